"""From the JSON of a submission to the URLs of its images.

Nothing here touches the network: whether an address may be asked for, and what it answers, is the image fetcher's
matter. Every submission ends as exactly one of `Resolved` and `Unresolved`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qs, quote, urljoin, urlsplit, urlunsplit

Kind = Literal["image", "gallery", "crosspost", "preview"]

UNRESOLVED_REASONS: Final = frozenset(
    {
        "self",
        "video",
        "gifv",
        "album_unsupported",
        "gallery_removed",
        "gallery_unprocessed",
        "external_page",
        "relative_url_unresolved",
        "unsupported_scheme",
        "malformed",
    }
)


@dataclass(frozen=True)
class Resolved:
    """The images of a submission.

    `kind` is `image` (one picture), `gallery` (several, in the author's order), `crosspost` (the pictures of the
    original post) or `preview` (only Reddit's preview picture of another page is left). `urls` is never empty and
    holds no URL twice. `crosspost_parent` is the base36 id of the original of a crosspost, whatever the kind.
    """

    kind: Kind
    urls: tuple[str, ...]
    crosspost_parent: str | None = None


@dataclass(frozen=True)
class Unresolved:
    """Why a submission has no image: one of `UNRESOLVED_REASONS`, and the value that decided it."""

    reason: str
    detail: str


Resolution = Resolved | Unresolved

_REDDIT: Final = "https://www.reddit.com"
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_IMAGE_PATH: Final = re.compile(r"\.(?:jpe?g|png|gif|webp)$", re.IGNORECASE)
_LOOP_PATH: Final = re.compile(r"\.(?:gifv|mp4|webm)$", re.IGNORECASE)
_VIDEO_PATH: Final = re.compile(r"\.(?:mov|m4v|avi|mkv|mpd|m3u8)$", re.IGNORECASE)
_WIKI_PAGE: Final = re.compile(r"^/wiki/", re.IGNORECASE)
_TWITTER_IMAGE_PATH: Final = re.compile(r"\.(?:jpe?g|png|gif|webp):[a-z0-9]+$", re.IGNORECASE)
_IMAGE_FORMATS: Final = frozenset({"jpg", "jpeg", "png", "gif", "webp"})
_LOOP_FORMATS: Final = frozenset({"gifv", "mp4", "webm"})

# Hosts that serve nothing but pictures, under a signed query without which they refuse.
_SIGNED_HOSTS: Final = frozenset({"external-preview.redd.it", "i.reddituploads.com", "i.redditmedia.com"})
# "some-words-of-the-title-v0-abc123def.jpeg" or "abc123def.jpeg": only the last part names the upload.
_PREVIEW_PATH: Final = re.compile(r"/(?:[^/]*-v\d+-)?([a-z0-9]+)\.([a-z]+)", re.IGNORECASE)
_POST_ID: Final = re.compile(r"[a-z0-9]{1,13}")

_IMGUR_HOST: Final = re.compile(r"(?:(?:www|m|i)\.)*imgur\.(?:com|io)")
_IMGUR_ALBUMS: Final = frozenset({"a", "gallery", "t", "topic", "r"})
_IMGUR_ID: Final = re.compile(r"[A-Za-z0-9]{5}|[A-Za-z0-9]{7}")
_IMGUR_FILE: Final = re.compile(r"\w+", re.ASCII)
# Ids have 5 or 7 characters, so a 6th or 8th that is one of these asks for a thumbnail.
_IMGUR_THUMBNAIL: Final = re.compile(r"([A-Za-z0-9]{5}|[A-Za-z0-9]{7})(?:[sbtmlh]|_d)")
_IMGUR_PAGES: Final = frozenset(
    {
        *("about", "account", "contact", "emerald", "login", "memegen", "privacy", "random"),
        *("rules", "search", "signin", "store", "terms", "topics", "upload"),
    }
)

# Reddit's own judgement of a page: a still of a moving picture is not what people voted on.
_VIDEO_HINTS: Final = frozenset({"hosted:video", "rich:video", "video"})
# A parent that is a text or a video settles the matter; one that is broken or gone may live on in the crosspost.
_LEADS_NOWHERE: Final = frozenset({"malformed", "external_page", "relative_url_unresolved", "gallery_removed"})
_EXTENSION_OF_TYPE: Final = {
    "image/jpg": "jpg",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
}


def resolve(submission: Mapping[str, Any]) -> Resolution:
    """Find the images of a raw submission of the Reddit API or of an archive.

    A crosspost is resolved through the last entry of its `crosspost_parent_list`, and by its own fields where that
    list is missing or leads nowhere. Fields of unexpected types count as absent; nothing is raised.
    """
    parents = submission.get("crosspost_parent_list")
    parent = _mapping(parents[-1]) if isinstance(parents, list) and parents else {}
    parent_id = _post_id(submission.get("crosspost_parent")) or _post_id(parent.get("id"))
    if not parent_id and not parent:
        return _resolve_media(submission)
    found = _resolve_media(parent) if parent else _resolve_media(submission)
    if parent and isinstance(found, Unresolved) and found.reason in _LEADS_NOWHERE:
        own = _resolve_media(submission)
        found = own if isinstance(own, Resolved) or found.reason == "malformed" else found
    if isinstance(found, Unresolved):
        return found
    # A preview stays marked as one: its quality differs, and crosspost_parent tells the rest.
    return replace(found, kind="preview" if found.kind == "preview" else "crosspost", crosspost_parent=parent_id)


def _resolve_media(submission: Mapping[str, Any]) -> Resolution:
    domain = submission.get("domain")
    if submission.get("is_self") is True or (isinstance(domain, str) and domain.startswith("self.")):
        return _inline_images(submission)
    if submission.get("is_video") is True:
        return Unresolved("video", _text(domain) or "is_video")
    raw_url = _text(submission.get("url")) or _text(submission.get("url_overridden_by_dest"))
    if submission.get("is_gallery") is True or _mapping(submission.get("gallery_data")):
        return _gallery(submission)
    if not raw_url:
        return Unresolved("malformed", "url")
    if "/" not in raw_url.strip()[:1] and not _SCHEME.match(raw_url.strip()):
        return Unresolved("relative_url_unresolved", raw_url)
    try:
        parts, relative = _split(raw_url)
    except ValueError as error:
        return Unresolved("malformed", f"url: {error}")
    if parts.scheme not in ("http", "https"):
        return Unresolved("unsupported_scheme", parts.scheme)
    if not parts.hostname:
        return Unresolved("malformed", "url: no host")
    if _is_reddit(parts) and parts.path.startswith("/gallery/"):
        return _gallery(submission)
    found = _resolve_url(parts)
    if isinstance(found, Resolved) or found.reason != "external_page":
        return found
    if _is_video_page(submission):
        return Unresolved("video", parts.hostname)
    preview = _preview(submission)
    if preview:
        return Resolved("preview", (preview,))
    return Unresolved("relative_url_unresolved", raw_url) if relative else found


def _resolve_url(parts: SplitResult) -> Resolution:
    """Judge a URL by its host and path; `external_page` means that neither says image."""
    host = (parts.hostname or "").rstrip(".")
    formats = {value.lower() for value in parse_qs(parts.query).get("format", [])}
    if _is_reddit(parts) and parts.path == "/media":
        return _reddit_viewer(parts, host)
    if host == "v.redd.it":
        return Unresolved("video", host)
    if _IMGUR_HOST.fullmatch(host):
        return _imgur(parts, host)
    if _LOOP_PATH.search(parts.path) or (host.endswith(".redd.it") and formats & _LOOP_FORMATS):
        return Unresolved("gifv", host)
    if _VIDEO_PATH.search(parts.path):
        return Unresolved("video", host)
    if host in _SIGNED_HOSTS and parts.path.strip("/"):
        return _image(parts)
    if host == "preview.redd.it":
        return Resolved("image", (_original_of_preview(parts),))
    # MediaWiki names the page about a picture like the picture.
    if _WIKI_PAGE.match(parts.path):
        return Unresolved("external_page", host)
    if _IMAGE_PATH.search(parts.path):
        return _image(parts)
    if host.endswith(".twimg.com") and (_TWITTER_IMAGE_PATH.search(parts.path) or formats & _IMAGE_FORMATS):
        return _image(parts)
    return Unresolved("external_page", host)


def _reddit_viewer(parts: SplitResult, host: str) -> Resolution:
    """https://www.reddit.com/media?url=… is the page that Reddit puts around an upload."""
    try:
        inner, _ = _split(parse_qs(parts.query).get("url", [""])[0])
    except ValueError:
        return Unresolved("external_page", host)
    if (inner.hostname or "").endswith(".redd.it") and inner.scheme in ("http", "https"):
        return _resolve_url(inner)
    return Unresolved("external_page", host)


def _imgur(parts: SplitResult, host: str) -> Resolution:
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and segments[0].lower() in _IMGUR_ALBUMS:
        return Unresolved("album_unsupported", host)
    if segments and segments[0].lower() == "download":
        segments = segments[1:]
    if not segments:
        return Unresolved("external_page", host)
    if _LOOP_PATH.search(segments[0]):
        return Unresolved("gifv", host)
    names = [name for name in segments[0].split(",") if name]
    urls = [url for name in names if (url := _imgur_image(name))]
    if not urls or len(urls) < len(names):
        return Unresolved("external_page", host)
    return _pictures(urls)


def _imgur_image(name: str) -> str | None:
    """The original behind an id, a page slug ending in an id, or a file name; None for pages of the site itself."""
    stem, _, extension = name.rpartition(".") if _IMAGE_PATH.search(name) else (name, "", "")
    if not extension and stem.lower() in _IMGUR_PAGES:
        return None
    stem = stem.rpartition("-")[2]
    thumbnail = _IMGUR_THUMBNAIL.fullmatch(stem)
    image_id = thumbnail[1] if thumbnail else stem
    if not (_IMGUR_FILE if extension else _IMGUR_ID).fullmatch(image_id):
        return None
    # imgur serves the true type under any extension, so a page without one is asked for as .jpg.
    return f"https://i.imgur.com/{image_id}.{extension.lower() or 'jpg'}"


def _gallery(submission: Mapping[str, Any]) -> Resolution:
    items = _mapping(submission.get("gallery_data")).get("items")
    metadata = _mapping(submission.get("media_metadata"))
    if not isinstance(items, list) or not items:
        return Unresolved("gallery_removed", "gallery_data")
    kept = [item for item in map(_mapping, items) if item and item.get("is_deleted") is not True]
    media = [(str(item.get("media_id")), _mapping(metadata.get(str(item.get("media_id"))))) for item in kept]
    urls = [url for media_id, entry in media if (url := _uploaded_image(media_id, entry))]
    if urls:
        return replace(_pictures(urls), kind="gallery")
    statuses = sorted({_text(entry.get("status")) or "missing" for _, entry in media})
    if "unprocessed" in statuses:
        return Unresolved("gallery_unprocessed", ", ".join(statuses))
    if any(entry.get("e") == "RedditVideo" for _, entry in media):
        return Unresolved("video", "gallery of videos")
    return Unresolved("gallery_removed", ", ".join(statuses) or "all items deleted")


def _inline_images(submission: Mapping[str, Any]) -> Resolution:
    """Pictures inside a text post, in the order of the text; a text post without any is `self`."""
    text = _text(submission.get("selftext"))
    # Ids with "|" are emotes and stickers, not the author's pictures.
    media = {
        media_id: _mapping(entry)
        for media_id, entry in _mapping(submission.get("media_metadata")).items()
        if isinstance(media_id, str) and "|" not in media_id
    }
    places = {media_id: text.find(media_id) for media_id in media}
    in_order = sorted(media, key=lambda media_id: places[media_id] if places[media_id] >= 0 else len(text))
    urls = [url for media_id in in_order if (url := _uploaded_image(media_id, media[media_id]))]
    return _pictures(urls) if urls else Unresolved("self", _text(submission.get("domain")) or "is_self")


def _uploaded_image(media_id: str, entry: Mapping[str, Any]) -> str | None:
    """The original of one entry of `media_metadata`; None unless it is a picture whose status is valid."""
    if entry.get("status") != "valid" or entry.get("e") not in ("Image", "AnimatedImage", None):
        return None
    extension = _EXTENSION_OF_TYPE.get(_text(entry.get("m")).lower())
    sizes = _mapping(entry.get("s"))
    source = _text(sizes.get("u")) or _text(sizes.get("gif"))
    if not source:
        is_upload = extension and re.fullmatch(r"[a-z0-9]+", media_id)
        return f"https://i.redd.it/{media_id}.{extension}" if is_upload else None
    try:
        parts, _ = _split(source)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    if parts.hostname not in ("preview.redd.it", "i.redd.it"):
        return _normalised(parts)
    url = _original_of_preview(parts) if parts.hostname == "preview.redd.it" else _normalised(parts._replace(query=""))
    stem, dot, given = url.rpartition(".")
    same_type = given.lower() == extension or {given.lower(), extension} == {"jpg", "jpeg"}
    if not extension or same_type or not dot or "/" in given or "?" in given:
        return url
    return f"{stem}.{extension}"


def _preview(submission: Mapping[str, Any]) -> str | None:
    images = _mapping(submission.get("preview")).get("images")
    first = _mapping(images[0]) if isinstance(images, list) and images else {}
    try:
        parts, relative = _split(_text(_mapping(first.get("source")).get("url")))
    except ValueError:
        return None
    if relative or parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return _normalised(parts)


def _original_of_preview(parts: SplitResult) -> str:
    """preview.redd.it/<name> → i.redd.it/<id>; a path of another shape keeps its host and its signed query."""
    name = _PREVIEW_PATH.fullmatch(parts.path)
    if name is None or name[2].lower() not in _IMAGE_FORMATS:
        return _normalised(parts)
    return f"https://i.redd.it/{name[1]}.{name[2]}"


def _is_video_page(submission: Mapping[str, Any]) -> bool:
    media = [_mapping(submission.get(field)) for field in ("media", "secure_media")]
    return _text(submission.get("post_hint")) in _VIDEO_HINTS or any(
        "reddit_video" in entry or _mapping(entry.get("oembed")).get("type") == "video" for entry in media
    )


def _is_reddit(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return host == "reddit.com" or host.endswith(".reddit.com")


def _image(parts: SplitResult) -> Resolved:
    return Resolved("image", (_normalised(parts),))


def _pictures(urls: list[str]) -> Resolved:
    distinct = tuple(dict.fromkeys(urls))
    return Resolved("image" if len(distinct) == 1 else "gallery", distinct)


def _split(url: str) -> tuple[SplitResult, bool]:
    """Parse a URL, a relative one against www.reddit.com, and say whether it was relative.

    Archives made without raw_json hold "&amp;" for "&"; signatures fail unless it is undone.

    Raises ValueError for what is no URL: a broken IPv6 host, a port out of range, text that is no Unicode.
    """
    text = url.strip().replace("&amp;", "&")
    if not text:
        raise ValueError("empty")
    text.encode("utf-8")
    relative = not urlsplit(text).scheme and not text.startswith("//")
    parts = urlsplit(text if urlsplit(text).scheme else urljoin(_REDDIT, text))
    _ = parts.port
    return parts, relative


def _normalised(parts: SplitResult) -> str:
    """Lower-case scheme and host, no default port, no fragment, no raw spaces; the query stays, it may be signed."""
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    user, at, _ = parts.netloc.rpartition("@")
    port = parts.port
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    netloc = f"{user}{at}{host}" + (f":{port}" if port is not None and port != standard else "")
    url = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    return re.sub(r"[\x00-\x20\x7f]", lambda match: quote(match[0]), url)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _post_id(value: Any) -> str | None:
    text = _text(value).removeprefix("t3_")
    return text if _POST_ID.fullmatch(text) else None
