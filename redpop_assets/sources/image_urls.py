"""From the JSON of a submission to the URLs of its images.

Nothing here touches the network: whether an address may be asked for, and what it answers, is the image fetcher's
matter. Every submission ends as exactly one of `Resolved` and `Unresolved`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qs, quote, urljoin, urlsplit, urlunsplit

Kind = Literal["image", "gallery", "album", "self", "crosspost", "preview"]

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

    `kind` is `image` (one picture), `gallery` (several, in the author's order), `album` (only the cover of an imgur
    album is known), `self` (pictures inside a text), `crosspost` (the pictures of the original post) or `preview` (only
    Reddit's preview picture of another page is left).

    `urls` is never empty and holds no URL twice. `captions` has what the author wrote below each picture, None where
    nothing; it is empty where nothing was written at all. `preview_url` is a copy of the first picture on Reddit's
    servers, of preview quality, to be asked for when the first URL is dead; a dead upload of Reddit's own has none, for
    it was taken down. `crosspost_parent` is the base36 id of the original of a crosspost, whatever the kind.
    """

    kind: Kind
    urls: tuple[str, ...]
    captions: tuple[str | None, ...] = ()
    preview_url: str | None = None
    crosspost_parent: str | None = None


@dataclass(frozen=True)
class Unresolved:
    """Why a submission has no image: one of `UNRESOLVED_REASONS`, and the value that decided it."""

    reason: str
    detail: str


Resolution = Resolved | Unresolved

LONGEST_URL: Final = 2048
"""Characters of the longest URL that the image fetcher asks for."""

_REDDIT: Final = "https://www.reddit.com"
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_IMAGE_PATH: Final = re.compile(r"\.(?:jpe?g|png|gif|webp)$", re.IGNORECASE)
_LOOP_PATH: Final = re.compile(r"\.(?:gifv|mp4|webm)$", re.IGNORECASE)
_VIDEO_PATH: Final = re.compile(r"\.(?:mov|m4v|avi|mkv|mpd|m3u8)$", re.IGNORECASE)
_TWITTER_IMAGE_PATH: Final = re.compile(r"\.(?:jpe?g|png|gif|webp):[a-z0-9]+$", re.IGNORECASE)
# Twitter's browsers saved files as "….jpg-large", and people give such names in links.
_TWITTER_SAVED: Final = re.compile(r"(\.(?:jpe?g|png|gif|webp))[-_][a-z0-9]+$", re.IGNORECASE)
# What stood around a link in its text: punctuation, as it is, percent-encoded or an HTML entity, and tags of forums.
_TEXT_BEHIND: Final = re.compile(
    r"(?<=\.)(jpe?g|png|gif|webp|gifv|mp4|webm)"
    r"(?:(?:\[|<|%5b|%3c|&lt;)/?\w+/?(?:\]|>|%5d|%3e|&gt;)"
    r"|[\s()\[\]{}<>,;.!*|'\"\u2018-\u201f]|%(?:0a|0d|20|22|27|28|29|2c|3c|3e|5b|5d|7b|7d)|&(?:gt|lt|quot|apos|#39);)+$",
    re.IGNORECASE,
)
_BRACKETS: Final = (("(", ")"), ("[", "]"))
_TEXT_BEFORE: Final = "<([{\"'\u201c\u2018"
_IMAGE_FORMATS: Final = frozenset({"jpg", "jpeg", "png", "gif", "webp"})
_LOOP_FORMATS: Final = frozenset({"gifv", "mp4", "webm"})

# Hosts that serve nothing but pictures, under a signed query without which they refuse.
_SIGNED_HOSTS: Final = frozenset({"external-preview.redd.it", "i.reddituploads.com", "i.redditmedia.com"})
# "some-words-of-the-title-v0-abc123def.jpeg" or "abc123def.jpeg": only the last part names the upload. Nothing is
# behind the extension but what people put there.
_UPLOAD_PATH: Final = re.compile(r"/(?:[^/]*-v\d+-)?([a-z0-9]+)\.([a-z]+)(?:[^a-z0-9/].*)?", re.IGNORECASE)
_POST_ID: Final = re.compile(r"[a-z0-9]{1,13}")

_IMGUR_HOST: Final = re.compile(r"(?:(?:www|m|i)\.)*imgur\.(?:com|io)")
# A page below /r/ shows one picture; what /gallery/ and the tags show may be an album.
_IMGUR_ALBUMS: Final = frozenset({"a", "gallery", "t", "topic"})
_IMGUR_ID: Final = re.compile(r"[A-Za-z0-9]{5}|[A-Za-z0-9]{7}")
_IMGUR_FILE: Final = re.compile(r"\w+", re.ASCII)
_IMGUR_NAME: Final = re.compile(
    r"([\w-]+)(?:\.(jpe?g|png|gif|webp))?(?:[^\w-].*|(?<=\.\w{3})-.*|(?<=\.\w{4})-.*)?", re.I
)
_IMGUR_LOOP: Final = re.compile(r"\.(?:gifv|mp4|webm)(?![a-z0-9])", re.IGNORECASE)
# Ids have 5 or 7 characters, so a 6th or 8th that is one of these asks for a thumbnail.
_IMGUR_THUMBNAIL: Final = re.compile(r"([A-Za-z0-9]{5}|[A-Za-z0-9]{7})(?:[sbtmlh]|_d)")
# Words have the length of an id as well. Of all ids of 7 characters 1 of 400 is written like the page of a site (of 5
# characters 1 of 80), and 1 of 150 like some word of a title (1 of 25): better no picture than another one.
_IMGUR_PAGE: Final = re.compile(r"[a-z_-]+")
_IMGUR_WORD: Final = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+|\d+")
_IMGUR_PAGES: Final = frozenset(
    {
        *("about", "account", "contact", "emerald", "legal", "login", "memegen", "privacy", "random"),
        *("rules", "search", "signin", "store", "terms", "topics", "upload"),
    }
)
_SIZES: Final = frozenset({"large", "orig", "original", "medium", "small", "thumb", "big", "full"})

# MediaWiki names the page about a picture like the picture, and leads from Special:FilePath to the picture itself.
_WIKI_PAGE: Final = re.compile(r"/wiki/", re.IGNORECASE)
_WIKI_FILE: Final = re.compile(r"/wiki/(?:(?:File|Image)(?::|%3A)|Special:FilePath/)([^/]+)", re.IGNORECASE)
_WIKI_VIEWER: Final = re.compile(r"/media/(?:File|Image)(?::|%3A)([^/]+)", re.IGNORECASE)
_WIKIMEDIA_HOST: Final = re.compile(r"([a-z0-9-]+\.)(?:m\.)?(wikipedia\.org|wikimedia\.org)")

_VIDEO_HOST: Final = re.compile(
    r"(?:.+\.)?(?:youtube(?:-nocookie)?\.com|youtu\.be|vimeo\.com|dailymotion\.com|dai\.ly|streamable\.com|gfycat\.com"
    r"|redgifs\.com|tiktok\.com|twitch\.tv|liveleak\.com)"
)
# Reddit's own judgement of a page: a still of a moving picture is not what people voted on.
_VIDEO_HINTS: Final = frozenset({"hosted:video", "rich:video", "video"})
_MOVING_VARIANTS: Final = ("gif", "mp4")

# The URL says nothing about a picture; what Reddit found behind it may.
_UNDECIDED: Final = frozenset(
    {"external_page", "album_unsupported", "relative_url_unresolved", "unsupported_scheme", "malformed"}
)
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
    list is missing or leads nowhere. A gallery whose first picture is still being processed is unresolved; later ones
    are left out until they are there. Fields of unexpected types count as absent; nothing is raised.
    """
    parent = original_of(submission)
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


def original_of(submission: Mapping[str, Any]) -> Mapping[str, Any]:
    """The post that a crosspost shows, as embedded in it; empty for any other post, or where Reddit left it out."""
    parents = submission.get("crosspost_parent_list")
    return _mapping(parents[-1]) if isinstance(parents, list) and parents else {}


def pictures_pending(submission: Mapping[str, Any]) -> int:
    """How many pictures of a gallery, of the post or of its original, Reddit is still processing."""
    shown = original_of(submission) or submission
    return sum(_text(entry.get("status")) == "unprocessed" for _, _, entry in _gallery_items(shown))


def _resolve_media(submission: Mapping[str, Any]) -> Resolution:
    domain = _text(submission.get("domain"))
    if submission.get("is_self") is True or domain.startswith("self."):
        return _inline_images(submission)
    if submission.get("is_video") is True:
        return Unresolved("video", domain or "is_video")
    if submission.get("is_gallery") is True or _mapping(submission.get("gallery_data")):
        return _gallery(submission)
    urls = dict.fromkeys(_text(submission.get(name)) for name in ("url_overridden_by_dest", "url"))
    attempts = [_resolve_destination(submission, url) for url in urls if url]
    if not attempts:
        return Unresolved("malformed", "url")
    return next((found for found in attempts if isinstance(found, Resolved)), attempts[0])


def _resolve_destination(submission: Mapping[str, Any], url: str) -> Resolution:
    """Judge what a link post leads to: by the URL and, where that does not say, by what Reddit found behind it."""
    parts = _split(url)
    if isinstance(parts, SplitResult) and _is_reddit(parts) and parts.path.startswith("/gallery/"):
        return _gallery(submission)
    found = parts if isinstance(parts, Unresolved) else _resolve_url(parts)
    still = _preview(submission)
    if isinstance(found, Resolved):
        return found if _is_upload(parts) else replace(found, preview_url=still)
    if found.reason not in _UNDECIDED:
        return found
    if _is_video_page(submission):
        return Unresolved("video", found.detail)
    if isinstance(parts, SplitResult) and _is_reddit(parts):
        if url.lstrip().startswith("/"):
            found = Unresolved("relative_url_unresolved", url)
        # The preview of a page of Reddit is the icon of a community or a picture of another post.
        if not submission.get("crosspost_parent"):
            return found
    cover = _album_cover(submission) if found.reason == "album_unsupported" else None
    if cover:
        return Resolved("album", (cover,), preview_url=still)
    if still:
        return Resolved("preview", (still,))
    return Unresolved("gifv", found.detail) if _moves(_first_preview(submission)) else found


def _resolve_url(parts: SplitResult) -> Resolution:
    """Judge a URL by its host and path; `external_page` means that neither says image."""
    host = _host(parts)
    formats = {value.lower() for value in parse_qs(parts.query).get("format", [])}
    if _is_reddit(parts) and parts.path.rstrip("/") == "/media":
        return _reddit_viewer(parts)
    if host == "v.redd.it":
        return Unresolved("video", host)
    if _IMGUR_HOST.fullmatch(host):
        return _imgur(parts)
    if _LOOP_PATH.search(parts.path) or (host.endswith(".redd.it") and formats & _LOOP_FORMATS):
        return Unresolved("gifv", host)
    if _VIDEO_PATH.search(parts.path):
        return Unresolved("video", host)
    if host in ("i.redd.it", "preview.redd.it") and (upload := _upload(parts)):
        # Some uploads answer under their signed preview URL alone.
        signed = _normalised(parts) if host == "preview.redd.it" and "s" in parse_qs(parts.query) else None
        return Resolved("image", (upload,), preview_url=signed)
    if (host in _SIGNED_HOSTS or host == "preview.redd.it") and parts.path.strip("/"):
        return _image(parts)
    if wikimedia := _WIKIMEDIA_HOST.fullmatch(host):
        file = _WIKI_FILE.fullmatch(parts.path) or _WIKI_VIEWER.fullmatch(parts.fragment)
        if file and _IMAGE_PATH.search(file[1]):
            path = f"/wiki/Special:FilePath/{file[1]}"
            return _image(SplitResult("https", wikimedia[1] + wikimedia[2], path, "", ""))
    if _WIKI_PAGE.match(parts.path):
        return Unresolved("external_page", host)
    if _IMAGE_PATH.search(parts.path):
        return _image(parts)
    if host.endswith(".twimg.com") and _TWITTER_SAVED.search(parts.path):
        return _image(parts._replace(path=_TWITTER_SAVED.sub(r"\1", parts.path)))
    if host.endswith(".twimg.com") and (_TWITTER_IMAGE_PATH.search(parts.path) or formats & _IMAGE_FORMATS):
        return _image(parts)
    return Unresolved("video" if _VIDEO_HOST.fullmatch(host) else "external_page", host)


def _reddit_viewer(parts: SplitResult) -> Resolution:
    """https://www.reddit.com/media?url=… is the page that Reddit puts around an upload."""
    inner = _split(parse_qs(parts.query).get("url", [""])[0])
    if isinstance(inner, SplitResult) and _host(inner).endswith(".redd.it"):
        return _resolve_url(inner)
    return Unresolved("external_page", _host(parts))


def _imgur(parts: SplitResult) -> Resolution:
    segments = [segment for segment in parts.path.split("/") if segment]
    first = segments[0].lower() if segments else ""
    if first in _IMGUR_ALBUMS:
        return Unresolved("album_unsupported", _host(parts))
    if first == "r":
        segments = segments[2:]
    elif first == "download":
        segments = segments[1:]
    if not segments:
        return Unresolved("external_page", _host(parts))
    if _IMGUR_LOOP.search(segments[0]):
        return Unresolved("gifv", _host(parts))
    names = [name for name in segments[0].split(",") if name]
    urls = [url for name in names if (url := _imgur_image(name))]
    if not urls or len(urls) < len(names):
        return Unresolved("external_page", _host(parts))
    return _pictures(urls)


def _imgur_image(name: str) -> str | None:
    """The original behind an id, a page slug ending in an id, or a file name; None for pages of the site itself."""
    parts = _IMGUR_NAME.fullmatch(name)
    if parts is None:
        return None
    stem, extension = parts[1], parts[2]
    if "-" in stem:
        image_id = _imgur_id_of_slug(stem.split("-"))
    elif extension is None and (_IMGUR_PAGE.fullmatch(stem) or stem.lower() in _IMGUR_PAGES):
        return None
    else:
        thumbnail = _IMGUR_THUMBNAIL.fullmatch(stem)
        image_id = thumbnail[1] if thumbnail else stem
    if image_id is None or not (_IMGUR_FILE if extension else _IMGUR_ID).fullmatch(image_id):
        return None
    # imgur serves the true type under any extension, so a page without one is asked for as .jpg.
    return f"https://i.imgur.com/{image_id}.{(extension or 'jpg').lower()}"


def _imgur_id_of_slug(words: list[str]) -> str | None:
    """The id in "words-of-a-title-8nuolGP" or "8nuolGP-large": a part that is one by its form and is no word."""
    is_sized = len(words) == 2 and words[1].lower() in _SIZES
    candidate = words[0] if is_sized else words[-1]
    return candidate if _IMGUR_ID.fullmatch(candidate) and not _IMGUR_WORD.fullmatch(candidate) else None


def _album_cover(submission: Mapping[str, Any]) -> str | None:
    """The picture of an imgur album that its embedding names, in original size; often wrapped in a URL of Embedly."""
    for field in ("media", "secure_media"):
        oembed = _mapping(_mapping(submission.get(field)).get("oembed"))
        parts = _split(_text(oembed.get("thumbnail_url")))
        if isinstance(parts, SplitResult) and _host(parts).endswith(".embed.ly"):
            parts = _split(parse_qs(parts.query).get("url", [""])[0])
        if isinstance(parts, SplitResult) and _IMGUR_HOST.fullmatch(_host(parts)):
            found = _imgur(parts)
            if isinstance(found, Resolved):
                return found.urls[0]
    return None


def _gallery_items(submission: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, Mapping[str, Any]]]:
    """(item, media id, its entry of `media_metadata`), in the author's order, without items the author took out."""
    items = _mapping(submission.get("gallery_data")).get("items")
    metadata = _mapping(submission.get("media_metadata"))
    for item in map(_mapping, items if isinstance(items, list) else []):
        if item and item.get("is_deleted") is not True:
            media_id = str(item.get("media_id"))
            yield item, media_id, _mapping(metadata.get(media_id))


def _gallery(submission: Mapping[str, Any]) -> Resolution:
    captions: dict[str, str | None] = {}
    statuses: list[str] = []
    for item, media_id, entry in _gallery_items(submission):
        statuses.append(_text(entry.get("status")) or "missing")
        if url := _uploaded_image(media_id, entry):
            captions.setdefault(url, _text(item.get("caption")).strip() or None)
        elif statuses[-1] == "unprocessed" and not captions:
            # The first picture is the one that people saw: better none for now than another one for ever.
            return Unresolved("gallery_unprocessed", f"{pictures_pending(submission)} pictures pending")
    if captions:
        return Resolved("gallery", tuple(captions), tuple(captions.values()) if any(captions.values()) else ())
    if any(entry.get("e") == "RedditVideo" for _, _, entry in _gallery_items(submission)):
        return Unresolved("video", "gallery of videos")
    return Unresolved("gallery_removed", ", ".join(sorted(set(statuses))) or "no items")


def _inline_images(submission: Mapping[str, Any]) -> Resolution:
    """Pictures inside a text post, in the order of the text; a text post without any is `self`."""
    # Ids with "|" are emotes and stickers, not the author's pictures.
    media = {
        media_id: _mapping(entry)
        for media_id, entry in _mapping(submission.get("media_metadata")).items()
        if isinstance(media_id, str) and "|" not in media_id
    }
    text = submission.get("selftext")
    if isinstance(text, str):
        # An edited text keeps the entries of pictures that it shows no longer.
        shown = {media_id: text.find(media_id) for media_id in media if media_id in text}
        media = {media_id: media[media_id] for media_id in sorted(shown, key=lambda name: shown[name])}
    urls = dict.fromkeys(url for media_id, entry in media.items() if (url := _uploaded_image(media_id, entry)))
    return Resolved("self", tuple(urls)) if urls else Unresolved("self", _text(submission.get("domain")) or "is_self")


def _uploaded_image(media_id: str, entry: Mapping[str, Any]) -> str | None:
    """The original of one entry of `media_metadata`; None unless it is a picture whose status is valid.

    Only `s` is looked at: `p` has smaller copies, `o` blurred ones.
    """
    if entry.get("status") != "valid" or entry.get("e") not in ("Image", "AnimatedImage", None):
        return None
    extension = _EXTENSION_OF_TYPE.get(_text(entry.get("m")).lower())
    sizes = _mapping(entry.get("s"))
    source = _text(sizes.get("u")) or _text(sizes.get("gif"))
    if not source:
        is_upload = extension and re.fullmatch(r"[a-z0-9]+", media_id)
        return f"https://i.redd.it/{media_id}.{extension}" if is_upload else None
    parts = _split(source)
    if isinstance(parts, Unresolved):
        return None
    url = _upload(parts) if _host(parts) in ("preview.redd.it", "i.redd.it") else None
    if url is None:
        return _normalised(parts)
    stem, _, given = url.rpartition(".")
    same_type = given.lower() == extension or {given.lower(), extension} == {"jpg", "jpeg"}
    return url if not extension or same_type else f"{stem}.{extension}"


def _first_preview(submission: Mapping[str, Any]) -> Mapping[str, Any]:
    images = _mapping(submission.get("preview")).get("images")
    return _mapping(images[0]) if isinstance(images, list) and images else {}


def _preview(submission: Mapping[str, Any]) -> str | None:
    """The signed source of the preview: never a variant, for these are blurred or moving, nor the still of a loop."""
    image = _first_preview(submission)
    parts = _split(_text(_mapping(image.get("source")).get("url")))
    if isinstance(parts, Unresolved) or _is_reddit(parts) or "blur" in parse_qs(parts.query) or _moves(image):
        return None
    return _normalised(parts)


def _moves(preview: Mapping[str, Any]) -> bool:
    variants = _mapping(preview.get("variants"))
    return any(_mapping(variants.get(name)) for name in _MOVING_VARIANTS)


def _upload(parts: SplitResult) -> str | None:
    """i.redd.it/<id> for the upload that a URL of i.redd.it or preview.redd.it names; None for a path of another shape.

    Slugged names are cut to the id, for i.redd.it refuses them; the query only scales and signs.
    """
    name = _UPLOAD_PATH.fullmatch(parts.path)
    if name is None or name[2].lower() not in _IMAGE_FORMATS:
        return None
    return f"https://i.redd.it/{name[1]}.{name[2]}"


def _is_video_page(submission: Mapping[str, Any]) -> bool:
    media = [_mapping(submission.get(field)) for field in ("media", "secure_media")]
    return _text(submission.get("post_hint")) in _VIDEO_HINTS or any(
        "reddit_video" in entry or _mapping(entry.get("oembed")).get("type") == "video" for entry in media
    )


def _is_reddit(parts: SplitResult) -> bool:
    host = _host(parts)
    return host in ("reddit.com", "redd.it") or host.endswith(".reddit.com")


def _is_upload(parts: SplitResult | Unresolved) -> bool:
    return isinstance(parts, SplitResult) and (_is_reddit(parts) or _host(parts).endswith(".redd.it"))


def _image(parts: SplitResult) -> Resolved:
    return Resolved("image", (_normalised(parts),))


def _pictures(urls: list[str]) -> Resolved:
    distinct = tuple(dict.fromkeys(urls))
    return Resolved("image" if len(distinct) == 1 else "gallery", distinct)


def _split(url: str) -> SplitResult | Unresolved:
    """The parts of a URL that a picture may have, a relative one taken against www.reddit.com, or why it is none.

    Archives made without raw_json hold "&amp;" for "&"; signatures fail unless it is undone.
    """
    text = url.strip().lstrip(_TEXT_BEFORE).partition("](")[0].replace("&amp;", "&")
    if text and not text.startswith("/") and not _SCHEME.match(text):
        return Unresolved("relative_url_unresolved", url)
    try:
        text.encode("utf-8")
        parts = _without_text_behind(urlsplit(text if _SCHEME.match(text) else urljoin(_REDDIT, text)))
        _ = parts.port
        if parts.scheme not in ("http", "https"):
            return Unresolved("unsupported_scheme", parts.scheme or "none")
        if not text or not _host(parts):
            return Unresolved("malformed", "url: no host")
        # What follows is what the image fetcher refuses to ask for.
        if "@" in parts.netloc:
            return Unresolved("malformed", "url: credentials")
        if "\\" in text or not parts.netloc.isprintable():
            return Unresolved("malformed", "url: backslash or control character")
        if (length := len(_normalised(parts))) > LONGEST_URL:
            return Unresolved("malformed", f"url: {length} characters")
    except ValueError as error:
        return Unresolved("malformed", f"url: {error}")
    return parts


def _without_text_behind(parts: SplitResult) -> SplitResult:
    """A link to a file without the punctuation that followed it in a text; what closes its own bracket stays."""
    path = _TEXT_BEHIND.sub(r"\1", parts.path)
    if path == parts.path or any(path.count(opening) > path.count(closing) for opening, closing in _BRACKETS):
        return parts
    return parts._replace(path=path)


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _normalised(parts: SplitResult) -> str:
    """One spelling of a URL: host in lower case, no default port, no fragment, nothing raw that is not printable ASCII.

    The query stays, it may be signed. Hosts in other scripts are left to the fetcher, which knows IDNA.
    """
    host = _host(parts)
    scheme = "https" if host.endswith(".redd.it") else parts.scheme
    port = parts.port
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}.get(parts.scheme):
        netloc += f":{port}"
    path, query = (
        re.sub(r"[^\x21-\x7e]", lambda match: quote(match[0]), part) for part in (parts.path or "/", parts.query)
    )
    return urlunsplit((scheme, netloc, path, query, ""))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _post_id(value: Any) -> str | None:
    text = _text(value).removeprefix("t3_")
    return text if _POST_ID.fullmatch(text) else None
