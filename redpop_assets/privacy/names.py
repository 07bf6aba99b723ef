"""Names of accounts as texts and addresses hold them: found in whatever spelling, and replaced by keyed hashes.

An account is named where a field says so (`in_field`), and in text where Reddit would make a link of it or where it is
one (`in_text`, `in_link`): `u/x`, `/user/x`, the community `u_x` of a profile, an account id `t2_x`; plain, or
escaped for URLs, HTML, JSON or Markdown, several times over. A name that stands in a text like any other word is what
somebody wrote, and stays.

Whatever is replaced keeps the mark that it was found by (`u/`, `u_`, `user/`, `t2_`), so that a hash in a text can be
told from other digits; and what was replaced once is left alone, so that all of this can be applied again.
"""

import html
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit, urlunsplit

Digest = Callable[[str], str]
"""From the name or the id of an account to 32 hexadecimal digits, such as `AuthorKey.digest`."""

DIGEST: Final = re.compile(r"[0-9a-f]{32}")
"""A keyed hash. No account can be called so: names have at most 20 characters."""

DELETED: Final = "[deleted]"
"""What Reddit shows instead of the author once the account, or its link to the post, is gone."""

# Two characters, for accounts of the first years; today three are the least.
_NAME: Final = r"[A-Za-z0-9_-]{2,}"
_JSON_FIELD: Final = r"\w*(?:author|user|account)\w*|\w+_by"
_MENTION: Final = re.compile(
    rf"(?<![A-Za-z0-9])(?P<mark>u/ ?|user/|u_|t2_)(?P<name>{_NAME})"
    # JSON that somebody pasted.
    rf"|(?P<field>[\"'](?:{_JSON_FIELD})[\"']\s*:\s*[\"'])(?P<value>[^\"'\s]+)(?=[\"'])",
    re.IGNORECASE,
)
# In an address a hyphen or an underscore is part of a word or of a code in base64.
_MENTION_IN_LINK: Final = re.compile(
    rf"(?<![A-Za-z0-9_-])(?:(?P<mark>u/|user/|u_|t2_)|(?P<field>(?:author|user(?:_?name)?|account|to)[=:]))"
    rf"(?P<name>{_NAME})(?P<value>)",
    re.IGNORECASE,
)
_MAY_MENTION: Final = re.compile(r"u/|user|u_|t2_|author|account|_by\b|to[=:]|[%&\\]", re.IGNORECASE)
_OWN_NAME: Final = re.compile(r"\s*(?:(?:https?://[^/\s]*)?/?(?:u|user)/)?(.*?)/?\s*", re.IGNORECASE | re.DOTALL)

_ESCAPE: Final = re.compile(r"%(?:25)*[0-9a-f]{2}|&#?\w+;|\\", re.IGNORECASE)
_LAYERS: Final = 16

_REDDIT: Final = "https://www.reddit.com"
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_BARE_HOST: Final = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?(?:[/?#]|\Z)", re.IGNORECASE)
_COMMUNITY: Final = re.compile(r"[A-Za-z0-9_.]{2,24}")
_POST_PAGES: Final = frozenset({"comments", "duplicates", "gallery", "live", "poll", "tb"})
_ID: Final = re.compile(r"[a-z0-9]{1,13}")
_TOKEN_PATH: Final = re.compile(r"/[\w-]+(?:\.\w+)?", re.ASCII)
_REDDIT_HOST: Final = re.compile(r"(?:(?:www|old|new|np|m|i|amp|sh|ssl|pay|[a-z]{2})\.)?reddit\.com|redd\.it")
# What most addresses are: an upload and how it is scaled, with nothing in it that could be a name.
_PLAIN_UPLOAD: Final = re.compile(
    r"https?://(?:i|preview|external-preview|[a-z]\.thumbs)\.redd(?:\.it|itmedia\.com)/[\w-]+\.\w+"
    r"(?:\?(?:(?:&|&amp;)?[a-z]+=[a-z0-9]*)*)?",
    re.ASCII,
)
_NAMED_PARAMETER: Final = re.compile(r"[?&;](?:author|user|username|account|to)=")
_MEDIA_HOST: Final = re.compile(r"(?:.+\.)?(?:redd\.it|redditmedia\.com|redditstatic\.com|reddituploads\.com)")


def in_field(value: str, digest: Digest) -> str:
    """The hash of an account, from its name or id as a field gives it; `u/x` and links to profiles name x.

    Nothing, `[deleted]` and what is a hash already stay.
    """
    if value in ("", DELETED) or DIGEST.fullmatch(value):
        return value
    match = _OWN_NAME.fullmatch(value)
    return _hashed(match[1] if match and match[1] else value, digest)


def in_text(text: str, digest: Digest) -> str:
    """A text without the accounts that it mentions; whoever is mentioned is hidden wherever the text has the name.

    A text whose escapes hide a mention comes back without its escapes, every other one as it is.
    """
    return _without_mentions(text, digest, _MENTION)


def in_community(name: str, digest: Digest) -> str | None:
    """The name of a community, with or without `r/`, in which that of a person is hidden; None for anything else."""
    prefix, _, rest = name.rpartition("/")
    if prefix.lower().strip("/") in ("u", "user"):
        return f"{prefix}/{in_field(rest, digest)}"
    if rest.lower().startswith("u_") and prefix.lower().strip("/") in ("", "r"):
        return name[: -len(rest)] + rest[:2] + in_field(rest[2:], digest) if len(rest) > 2 else None
    return name if prefix.lower().strip("/") in ("", "r") and _COMMUNITY.fullmatch(rest) else None


def in_link(link: str, digest: Digest) -> str | None:
    """An address without accounts of Reddit; None for what is no address.

    Of pages of Reddit only the shapes are kept that lead to communities, profiles, posts and uploads; the words of the
    title in them end before the first that may be a mention, which Reddit writes as one word (`u/x` as `ux`). Of other
    sites everything is needed to get the picture, so only what looks like an account of Reddit is replaced.
    """
    if _PLAIN_UPLOAD.fullmatch(link) and not _NAMED_PARAMETER.search(link):
        return link
    text = link.strip()
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in ("http", "https"):
        # A host with a port looks like a scheme.
        if not _BARE_HOST.match(text):
            return f"{scheme[1].lower()}:" if scheme[1].isalpha() else None
        scheme = None
    if not scheme and not text.startswith("/") and not _BARE_HOST.match(text):
        return None
    before = "" if scheme else "https:" if text.startswith("//") else _REDDIT if text.startswith("/") else "https://"
    try:
        parts = urlsplit(before + text.replace("&amp;", "&"))
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    if "@" in parts.netloc:
        parts = parts._replace(netloc="_@" + parts.netloc.rpartition("@")[2])
    if _REDDIT_HOST.fullmatch(host):
        safe = _page_of_reddit(parts, digest)
    elif _MEDIA_HOST.fullmatch(host) and _TOKEN_PATH.fullmatch(parts.path):
        query = _without_mentions(parts.query, digest, _MENTION_IN_LINK)
        safe = parts._replace(query=query, fragment="")
    else:
        rest = urlunsplit(("", "", parts.path, parts.query, parts.fragment))
        hidden = _without_mentions(rest, digest, _MENTION_IN_LINK)
        path, _, fragment = hidden.partition("#")
        path, _, query = path.partition("?")
        safe = parts._replace(path=path, query=query, fragment=fragment)
    if safe == parts and "_@" not in parts.netloc:
        return link
    return urlunsplit(safe).removeprefix(before)


def _page_of_reddit(parts: SplitResult, digest: Digest) -> SplitResult:
    """The page as far as its shape is known."""
    segments = [segment for segment in _decoded(parts.path).split("/") if segment]
    kept: list[str] = []
    rest = segments
    if len(segments) > 1 and segments[0].lower() in ("u", "user"):
        kept, rest = [segments[0].lower(), in_field(segments[1], digest)], segments[2:]
    elif len(segments) > 1 and segments[0].lower() == "r":
        community = in_community(segments[1], digest)
        kept, rest = (["r", community], segments[2:]) if community else ([], [])
    elif segments == ["media"]:
        inner = in_link(parse_qs(parts.query).get("url", [""])[0], digest)
        kept = [f"media?url={quote(inner, safe='')}"] if inner else []
        return parts if inner and inner in _decoded(parts.query) else _rebuilt(parts, kept)
    if len(rest) > 1 and rest[0] in _POST_PAGES and _ID.fullmatch(rest[1]):
        kept += rest[:2]
        kept += list(_words_of_title(rest[2])) if len(rest) > 2 else []
        kept += rest[3:4] if len(rest) > 3 and len(kept) > 2 and _ID.fullmatch(rest[3]) else []
    elif len(rest) == 1 == len(segments) and _ID.fullmatch(rest[0]) and parts.netloc.endswith("redd.it"):
        kept = rest
    if kept == segments and not parts.query and not parts.fragment:
        return parts
    return _rebuilt(parts, kept)


def _rebuilt(parts: SplitResult, segments: list[str]) -> SplitResult:
    path, _, query = "/".join(segments).partition("?")
    slash = "/" if not segments or (parts.path.endswith("/") and not query) else ""
    path = quote(path, safe="/") if "%" in parts.path else path
    return parts._replace(path=f"/{path}{slash}" if segments else "/", query=query, fragment="")


def _words_of_title(words: str) -> Iterator[str]:
    kept = []
    for word in words.split("_"):
        if word.lower().startswith(("u", "t2")):
            break
        kept.append(word)
    if kept:
        yield "_".join(kept)


def _without_mentions(text: str, digest: Digest, mention: re.Pattern[str]) -> str:
    if not _MAY_MENTION.search(text):
        return text
    accounts = _accounts(text, mention)
    if _ESCAPE.search(text):
        decoded = _decoded(text)
        if (really := _accounts(decoded, mention)) != accounts:
            text, accounts = decoded, really
    if not accounts:
        return text

    def hide(match: re.Match[str]) -> str:
        mark = match["mark"].rstrip() if match["mark"] else f"{match['field']}u_"
        return mark + _hashed(_account(match), digest)

    hidden = mention.sub(hide, text)
    names = sorted({re.escape(name) for name in accounts if not DIGEST.fullmatch(name)}, key=len, reverse=True)
    if not names:
        return hidden
    alone = re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w/-])", re.IGNORECASE)
    return alone.sub(lambda match: f"u_{_hashed(match[0], digest)}", hidden)


def _accounts(text: str, mention: re.Pattern[str]) -> list[str]:
    return [_account(match) for match in mention.finditer(text)]


def _account(match: re.Match[str]) -> str:
    """The name or the id of the account that is mentioned, or the hash that has taken its place."""
    name = match["name"] or match["value"]
    if (match["mark"] or "").lower() == "t2_" and not DIGEST.fullmatch(name):
        return match[0]
    return name[2:] if match["field"] and DIGEST.fullmatch(name[2:]) else name


def _hashed(name: str, digest: Digest) -> str:
    return name if DIGEST.fullmatch(name) else digest(name)


def _decoded(text: str) -> str:
    """The text without the escapes of URLs, HTML, JSON and Markdown, however many layers of them there are."""
    for _ in range(_LAYERS):
        inner = _once_decoded(text)
        if inner == text:
            break
        text = inner
    return text


def _once_decoded(text: str) -> str:
    # Layers of one kind go at once: "%252520" would take as many rounds as it is long.
    text = re.sub(r"%(?:25)+", "%", text)
    text = re.sub(r"&(?:amp;)+", "&", text, flags=re.IGNORECASE)
    text = re.sub(r"\\+", r"\\", text)
    text = re.sub(r"\\(?:u00|x)([0-7][0-9a-fA-F])", lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", text)
    return html.unescape(unquote(text))
