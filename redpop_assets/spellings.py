"""How people write accounts, posts and communities of Reddit: as names, with prefixes, as addresses they paste.

Every option, argument and setting that takes one reads it here, so that all accept the same spellings, and what names
nothing is refused in a sentence instead of matching nothing.
"""

import re
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redpop_assets.errors import SettingsError

TABLE_MARKERS: Final = frozenset({"", "na", "n/a", "#n/a", "nan", "none", "null", "\\n", "<na>"})
"""What pandas, R, SQL and spreadsheets write where a value is missing, in lower case."""

MISSING: Final = TABLE_MARKERS | {"-", "--", "[deleted]", "[removed]"}
"""What stands where nobody is named: Reddit's own words, too."""

NO_COMMUNITIES: Final = frozenset({"all", "popular", "friends", "mod", "random", "randnsfw", "myrandom", "contrib"})
"""Listings over many communities that Reddit shows under the address of one."""

# Names of accounts: letters, digits, underscore and hyphen; the oldest are shorter than three, none is longer than 20.
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_-]{1,20}")
_ACCOUNT_ID: Final = re.compile(r"t2_[A-Za-z0-9]{1,13}")
_POST_ID: Final = re.compile(r"(?:t3_)?([0-9a-z]{1,13})")
_COMMUNITY: Final = re.compile(r"[A-Za-z0-9_]{2,21}|reddit\.com|u_[A-Za-z0-9_-]{1,20}", re.IGNORECASE)
_OTHER_THINGS: Final = {"t1": "a comment", "t2": "an account", "t4": "a message", "t5": "a community", "t6": "an award"}
_HOSTS: Final = ("reddit.com", "redd.it")
_SCHEME: Final = re.compile("(?:[a-z]+:)?//", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?:[a-z]+:)?//|(?:[a-z0-9-]+\.)*(?:reddit\.com|redd\.it)[/?#:]", re.IGNORECASE)
_WRAPPED: Final = ("<>", '""', "''", "()", "“”", "‘’", "``")


def parse_account(text: str) -> str:
    """The name of an account, or its `t2_` id, without what is around it: `u/x`, `/user/x`, `@x`, its address.

    Raises:
        SettingsError: the text names no account.
    """
    plain = _unwrapped(text).removeprefix("@")
    first, second, *_ = *_segments(plain), "", ""
    name = first if not second else ""
    if first.lower() in ("u", "user") and "/" in plain:
        name = second
    elif first.lower() == "r" and second.lower().startswith("u_"):
        name = second[2:]
    if not (_ACCOUNT.fullmatch(name) or _ACCOUNT_ID.fullmatch(name)):
        raise SettingsError(
            f"{text!r} names no account: give its name, such as John_Doe or u/John_Doe, or the address of its profile."
        )
    return name


def parse_post(text: str) -> str:
    """The base36 id in an id, a fullname (`t3_…`), or an address or part of an address of a post.

    Raises:
        SettingsError: the text names no post.
    """
    plain = _unwrapped(text)
    kind, _, rest = plain.lower().partition("_")
    if kind in _OTHER_THINGS and _POST_ID.fullmatch(rest):
        raise SettingsError(f"{text!r} names no post but {_OTHER_THINGS[kind]}: give the id of the post itself.")
    if match := _POST_ID.fullmatch(plain.lower()):
        return match[1]
    host = _host(plain)
    segments = [segment.lower() for segment in _segments(plain)]
    if host in ("redd.it", "www.redd.it") and len(segments) == 1:
        segments = ["comments", *segments]
    if segments and segments[0] in ("r", "u", "user"):
        segments = segments[2:]  # a community may be called comments
    first, second, *_ = *segments, "", ""
    if first in ("comments", "gallery", "tb", "duplicates") and (match := _POST_ID.fullmatch(_stem(second))):
        return match[1]
    if first == "s" and second:
        raise SettingsError(
            f"{text!r} is a share link, and only Reddit knows which post it leads to: open it, and give the address "
            "that the browser shows then."
        )
    if host.endswith(".redd.it"):
        raise SettingsError(
            f"{text!r} names no post but a file of one: give the address of the post, which has /comments/ in it."
        )
    raise SettingsError(f"{text!r} names no post: give its id, such as 1tq0abc, or its address on Reddit.")


def parse_community(text: str) -> str:
    """The name of a community, in the case in which it is written: `r/pics`, `/r/pics/`, its address.

    The community of a profile, `u/x`, is called `u_x`.

    Raises:
        SettingsError: the text names no community, or several.
    """
    segments = _segments(_unwrapped(text))
    first, second, third, *_ = *segments, "", "", ""
    name = first if not second else ""
    if second and first.lower() == "r":
        name = second
    elif second and first.lower() in ("u", "user") and not third:
        name = f"u_{second}"
    if "+" in name or "m" in (second, third):
        raise SettingsError(
            f"{text!r} is several communities: name each of them, separated by commas, such as pics,EarthPorn"
        )
    if name.lower().split("-")[0] in NO_COMMUNITIES:
        raise SettingsError(
            f"{text!r} is no community but a listing over many: name the communities themselves, such as pics,EarthPorn"
        )
    if not _COMMUNITY.fullmatch(name):
        raise SettingsError(
            f"{text!r} is no name of a subreddit: 2 to 21 letters, digits or underscores, such as pics, or u_ and the "
            "name of an account"
        )
    return name


def is_nobody(author: Any) -> bool:
    """Whether what stands as an author names nobody: null, Reddit's `[deleted]`, or what a table writes instead."""
    return author is None or (isinstance(author, str) and author.strip().lower() in MISSING)


def author_of(cell: Any) -> Any:
    """An author of a dump or a table as the API would name it: None for nobody, else the name without `u/` and blanks.

    What is no text stays, and so does Reddit's own word for nobody.
    """
    if not isinstance(cell, str) or cell == "[deleted]":
        return cell
    try:
        return None if is_nobody(cell) else parse_account(cell)
    except SettingsError:
        return cell.strip()


def _unwrapped(text: str) -> str:
    """Without blanks, invisible characters and quotation marks around it."""
    plain = text.strip().strip("\u200b\u200e\u200f\u2060\ufeff\u00a0").strip()
    for first, last in _WRAPPED:
        if len(plain) > 2 and plain[0] == first and plain[-1] == last:
            plain = plain[1:-1].strip()
    return plain


def _host(text: str) -> str:
    """The host of Reddit that an address is on, in lower case; empty for what is none."""
    if not _ADDRESS.match(text):
        return ""
    try:
        host = urlsplit(text if _SCHEME.match(text) else f"//{text}").hostname or ""
    except ValueError:
        return ""
    return host if host in _HOSTS or host.endswith(tuple(f".{name}" for name in _HOSTS)) else ""


def _segments(text: str) -> list[str]:
    """The parts of a path, or of that of an address on Reddit; what is on another host has none."""
    path = text
    if _ADDRESS.match(text):
        if not _host(text):
            return []
        path = urlsplit(text if _SCHEME.match(text) else f"//{text}").path
    plain = re.split("[?#]", path, maxsplit=1)[0]
    return [segment for segment in (part.strip() for part in unquote(plain).split("/")) if segment]


def _stem(segment: str) -> str:
    return segment.removesuffix(".json").removesuffix(".rss")
