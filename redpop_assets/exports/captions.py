"""Captions as RedCaps has them (Desai et al. 2021, arXiv:2111.11431, section 2)."""

import re
from typing import Final

import ftfy

_BRACKETED: Final = re.compile(r"[\[(].*?[\])]")
_RESOLUTION: Final = re.compile(r"\d+\s*[x×*,]\s*\d+")
_USER: Final = re.compile(r"@[\w.]+")
_SPACE: Final = re.compile(r"\s+")


def redcaps_caption(title: str) -> str:
    """Clean a title as RedCaps does; the result may be empty, as that of `[OC]`.

    In this order: mojibake is repaired, and letters are taken apart from their accents (ftfy, NFKD); lower case; what
    stands in [] or () goes; image resolutions such as `1920 x 1080` go, and with them, as in RedCaps, numbers with a
    comma; `@name` becomes `<usr>`; what is not ASCII goes. White space becomes one space, none at the ends: that is
    the one difference, since RedCaps joins the words before and after a resolution and keeps the gap of an emoji.
    """
    text = ftfy.fix_text(title, normalization="NFKD").lower()
    for pattern in (_BRACKETED, _RESOLUTION):
        text = pattern.sub(" ", text)
    text = _USER.sub("<usr>", text).encode("ascii", "ignore").decode()
    return _SPACE.sub(" ", text).strip()
