"""What a word, an emoji and a tag of a caption are, and captions as sequences of them.

The one tokeniser of RedPop: whatever counts words, looks them up or feeds them to a network takes them from here, so
that a word means the same everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redpop_assets.arrays import pa
from redpop_assets.features.family import CHEAP_CHUNK, Encoders, Family, Features, Subjects

CODE_VERSION: Final = "1"
"""Raise it whenever a caption would get other tokens than before, and with it that of `captions` if words change."""

MOST_TOKENS: Final = 64
"""Longest sequence of tokens; titles of 300 characters have about 60 words."""

MOST_TAG_WORDS: Final = 4
"""A text in square brackets with more words than that, sizes apart, is a remark and no tag."""

RESOLUTION_TAG: Final = "[resolution]"
"""What every size in pixels becomes, in brackets or not."""

RESOLUTION: Final = re.compile(r"\d[\d,.]{2,6}\s?(?:px)?\s?[xX×*]\s?\d[\d,.]{2,6}")
"""A size in pixels, such as 1968x1310 or 5,184 X 3,456."""

_SQUARE: Final = r"\[([^\[\]()]*)\]"
_ROUND: Final = r"\(([^\[\]()]*)\)"
BRACKETED: Final = re.compile(f"{_SQUARE}|{_ROUND}")
"""A text in square (group 1) or round (group 2) brackets, without brackets inside."""

_NUMBER: Final = r"(?<![\w'.,])\d+(?:[.,:]\d+)*(?![\w'])"
NUMBER: Final = re.compile(_NUMBER)
"""A number that stands alone: 7, 10,000, 3.5 or 10:30, but not the 3 of "3rd"."""

_PICTOGRAPH: Final = (
    r"(?:[\U0001F000-\U0001F1E5\U0001F200-\U0001FAFF\u2600-\u27BF\u2B50\u2B55\u231A\u231B\u23E9-\u23FA]"
    r"|[\u00A9\u00AE\u203C-\u3299](?=\uFE0F))"
    r"\uFE0F?[\U0001F3FB-\U0001F3FF]?[\U000E0020-\U000E007F]*"
)
EMOJI: Final = re.compile(
    rf"[\U0001F1E6-\U0001F1FF]{{2}}|[0-9#*]\uFE0F?\u20E3|{_PICTOGRAPH}(?:\u200D{_PICTOGRAPH})*",
)
"""An emoji as seen: a flag, a keycap, or a pictograph with its skin tone and whatever is joined to it."""

_ASCII_WORD: Final = re.compile(r"[A-Za-z0-9']+")
_NOT_WORDS_ALONE: Final = re.compile(r"[\d\[(]")  # what a piece begins with, in a text of ASCII
_ASCII_PIECE: Final = re.compile(f"{_SQUARE}|{_ROUND}|{RESOLUTION.pattern}|{_NUMBER}")
# Emoji first: some begin with a digit.
_PIECE: Final = re.compile(f"{EMOJI.pattern}|{_ASCII_PIECE.pattern}")
_DIGIT: Final = re.compile(r"\d")
_TAG_SEPARATOR: Final = re.compile(r"[,;|]")
_ROUND_TAGS: Final = frozenset({"[oc]", RESOLUTION_TAG})
# The style of an emoji (text or colour) and its skin tone say nothing about what it shows.
_EMOJI_DRESS: Final = re.compile(r"[\uFE0E\uFE0F\U0001F3FB-\U0001F3FF]")


class _Spaced(dict[int, str]):
    """For `str.translate`: characters of words stay, typographic apostrophes become plain, all others spaces."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if unicodedata.category(character)[0] in "LNM" else " "
        return self[code]


_SPACED: Final = _Spaced({ord("'"): "'", ord("’"): "'"})


@dataclass(frozen=True, slots=True)
class CaptionTokens:
    """The columns of `features.caption_tokens`, one list per caption."""

    tokens: list[list[str]]
    tags: list[list[str]]


def cased_words(caption: str) -> list[str]:
    """Words of a caption as they are written, typographic apostrophes made plain.

    A word is a run of letters, digits and combining marks, apostrophes inside it included; scripts without spaces
    therefore count one word per run.
    """
    if caption.isascii():
        runs = _ASCII_WORD.findall(caption)
        return [word for run in runs if (word := run.strip("'"))] if "'" in caption else runs
    # A variation selector or an accent on its own is a mark, not a word.
    return [run.strip("'") for run in caption.translate(_SPACED).split() if any(map(str.isalnum, run))]


def words(caption: str) -> list[str]:
    """The words of `cased_words` in lower case (case-folded)."""
    if caption.isascii():
        return cased_words(caption.lower())
    return [word.casefold() for word in cased_words(caption)]


def caption_tokens(captions: Sequence[str]) -> CaptionTokens:
    """Turn captions into sequences of tokens.

    Args:
        captions: n titles, HTML entities already decoded; empty ones are fine.

    Returns:
        For each caption, in the order of the title:

        * `tokens`, the first `MOST_TOKENS` of: words in lower case, their digits folded to `#` ("3rd" is `#rd`, 1934 is
          `####`, 10,000 is `##,###`); emoji as seen, without variation selector and skin tone; and tags;
        * `tags`, each once: texts in square brackets of at most `MOST_TAG_WORDS` words, sizes apart, as words in lower
          case in square brackets (`[oc]`). Commas, semicolons and bars separate tags inside one pair of brackets. Sizes
          become `[resolution]`, bracketed or not. Of round brackets only those that hold nothing but "OC" and sizes are
          tags; other bracketed texts are ordinary words.
    """
    tokens: list[list[str]] = []
    tags: list[list[str]] = []
    for caption in captions:
        found: list[str] = []
        sequence = _sequence(caption, found)
        tokens.append(sequence[:MOST_TOKENS])
        tags.append(list(dict.fromkeys(found)))
    return CaptionTokens(tokens, tags)


def _sequence(text: str, tags: list[str]) -> list[str]:
    """Tokens of a text; the tags among them are added to `tags` too."""
    is_ascii = text.isascii()
    if is_ascii and not _NOT_WORDS_ALONE.search(text):
        return words(text)
    sequence: list[str] = []
    end = 0
    for match in (_ASCII_PIECE if is_ascii else _PIECE).finditer(text):
        sequence += _folded_words(text[end : match.start()])
        end = match.end()
        piece = match[0]
        if match[1] is not None or match[2] is not None:
            inside = piece[1:-1]
            names = _tag_names(inside, is_round=match[2] is not None)
            sequence += names or _sequence(inside, tags)
            tags += names
        elif RESOLUTION.fullmatch(piece):
            sequence.append(RESOLUTION_TAG)
            tags.append(RESOLUTION_TAG)
        elif EMOJI.fullmatch(piece):
            # A skin tone may stand alone.
            sequence.append(_EMOJI_DRESS.sub("", piece) or piece)
        else:
            sequence.append(_DIGIT.sub("#", piece))
    return sequence + _folded_words(text[end:])


def _folded_words(text: str) -> list[str]:
    found = words(text)
    return [_DIGIT.sub("#", word) for word in found] if _DIGIT.search(text) else found


def _tag_names(inside: str, *, is_round: bool) -> list[str]:
    """The tags that a bracketed text consists of; none if it is something else."""
    # A size is cut out first: it may hold commas of its own.
    parts = [_folded_words(part) for part in _TAG_SEPARATOR.split(RESOLUTION.sub(" , ", inside))]
    if sum(map(len, parts)) > MOST_TAG_WORDS:
        return []
    names = [f"[{' '.join(part)}]" for part in parts if part]
    if RESOLUTION.search(inside):
        names.append(RESOLUTION_TAG)
    return [] if is_round and not _ROUND_TAGS.issuperset(names) else names


def _of_captions(subjects: Subjects, _: Encoders) -> Features:
    split = caption_tokens(subjects.captions)
    strings = pa.list_(pa.string())
    return {"tokens": pa.array(split.tokens, strings), "tags": pa.array(split.tags, strings)}


FAMILY: Final = Family(
    "tokens",
    "features.caption_tokens",
    "caption",
    CODE_VERSION,
    _of_captions,
    step="captions_and_words",
    block=False,
    compared=False,
    rows_at_once=CHEAP_CHUNK,
)
