"""The rules that turn a raw submission into a row of core.posts, or of core.rejected_posts with a reason.

`clean` decides about one submission and never raises on its content; `post_rows` and `rejection_rows` give the
decisions the columns of the two tables.
"""

import hashlib
import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from redpop_assets.reddit.image_urls import UNRESOLVED_REASONS, Unresolved, resolve

CODE_VERSION: Final = "1"
"""Change it whenever a rule below, or the resolution of image URLs, gives another result."""

REMOVERS: Final = frozenset(
    {
        "deleted",
        "author",
        "moderator",
        "reddit",
        "automod_filtered",
        "content_takedown",
        "copyright_takedown",
        "anti_evil_ops",
        "community_ops",
        "legal",
    }
)

REASONS: Final = UNRESOLVED_REASONS | {
    "promoted",
    "other_subreddit",
    "stickied",
    "moderator",
    "over_18",
    "empty_caption",
    "removed_by_other",
    *(f"removed_by_{remover}" for remover in REMOVERS),
}
"""Every reason that a rejection can have. `removed_by_other` covers categories that Reddit may yet invent."""


@dataclass(frozen=True)
class Post:
    """A usable image post: one row of core.posts, column by column. `created_at` is aware, in UTC."""

    post_id: str
    subreddit: str
    created_at: datetime
    author: str | None
    caption: str
    caption_sha256: str
    flair: str | None
    kind: str
    image_urls: tuple[str, ...]
    crosspost_parent: str | None
    is_original_content: bool
    over_18: bool
    spoiler: bool
    author_present: bool | None
    removed_by_category: str | None
    code_version: str


@dataclass(frozen=True)
class Rejection:
    """A submission that is no usable image post: one row of core.rejected_posts. `reason` is one of `REASONS`."""

    post_id: str
    subreddit: str
    reason: str
    detail: str
    author_present: bool | None
    removed_by_category: str | None
    code_version: str


_POST_COLUMNS: Final = {
    "created_at": pa.timestamp("us"),
    "image_urls": pa.list_(pa.string()),
    **dict.fromkeys(("is_original_content", "over_18", "spoiler", "author_present"), pa.bool_()),
}
_DETAIL_LENGTH: Final = 200

_POST_ID: Final = re.compile(r"[a-z0-9]{1,13}")
# Only what Reddit and its dumps escape, and only with the semicolon: html.unescape alone would turn "cats&not dogs"
# of a file that was never escaped into "cats¬ dogs".
_ENTITY: Final = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")
# Control characters, zero-width space, word joiner, byte order mark, directional marks and overrides. The two joiners
# U+200C and U+200D are not here: inside a caption they hold emoji and Persian words together.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OUTER_BLANK: Final = re.compile("^[\\s\u200c\u200d\u2800]+|[\\s\u200c\u200d\u2800]+$")

# Reddit opened in June 2005; numbers beyond 2100 are milliseconds or rubbish.
_EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


class _MalformedFieldError(Exception):
    """A field that every post needs is missing or has a value that cannot be meant."""


def clean(
    submission: Mapping[str, Any],
    *,
    subreddit: str,
    removed_by_category: str | None,
    author_present: bool | None,
    allow_over_18: bool,
    from_archive: bool,
    post_id: str | None = None,
) -> Post | Rejection:
    """Judge one raw submission; its content raises nothing.

    `subreddit` is the partition. `removed_by_category` and `author_present` come from the latest observation (None: not
    removed, or not known); a removal seen there or in the JSON rejects the post, a missing author only empties the
    column. `from_archive` says that HTML entities are to be decoded once, and that a missing `subreddit` field means
    a poor table; in an answer of the API it is the mark of an advertisement. `post_id` is the key of the raw row,
    for a JSON without a usable id.

    A crosspost keeps its own caption, author and time; only the pictures are those of the original.
    """
    version = rules_version(allow_over_18=allow_over_18)
    key = post_id or parse_post_id(submission.get("id")) or parse_post_id(submission.get("name"))

    def reject(reason: str, detail: str) -> Rejection:
        return Rejection(
            post_id=key or "",
            subreddit=subreddit.lower(),
            reason=reason,
            detail=_unicode(detail)[:_DETAIL_LENGTH],
            author_present=author_present,
            removed_by_category=removed_by_category,
            code_version=version,
        )

    try:
        if key is None:
            raise _MalformedFieldError("id")
        refusal = _refusal(submission, subreddit, removed_by_category, from_archive)
        if refusal is not None:
            return reject(*refusal)
        over_18 = _flag(submission, "over_18")
        if over_18 and not allow_over_18:
            return reject("over_18", "over_18")
        images = resolve(submission)
        if isinstance(images, Unresolved):
            return reject(images.reason, images.detail)
        title = submission.get("title")
        if not isinstance(title, str):
            raise _MalformedFieldError("title")
        caption = clean_caption(title, decode_entities=from_archive)
        if not caption:
            return reject("empty_caption", ascii(title))
        flair = submission.get("link_flair_text")
        return Post(
            post_id=key,
            subreddit=subreddit.lower(),
            created_at=_created_at(submission),
            author=None if author_present is False else _author(submission),
            caption=caption,
            caption_sha256=hashlib.sha256(caption.encode()).hexdigest(),
            flair=(clean_caption(flair, decode_entities=from_archive) or None) if isinstance(flair, str) else None,
            kind=images.kind,
            image_urls=images.urls,
            crosspost_parent=images.crosspost_parent,
            is_original_content=_flag(submission, "is_original_content"),
            over_18=over_18,
            spoiler=_flag(submission, "spoiler"),
            author_present=author_present,
            removed_by_category=removed_by_category,
            code_version=version,
        )
    except _MalformedFieldError as error:
        return reject("malformed", str(error))


def clean_submissions(submissions: pa.Table, *, subreddit: str, allow_over_18: bool) -> tuple[pa.Table, pa.Table]:
    """Judge rows of raw.submissions joined with their latest observation.

    Columns used: `post_id`, `json` (text), `origin`, `removed_by_category`, `author_present`. Returns rows of
    core.posts and rows of core.rejected_posts; each submission is in exactly one of them.
    """
    posts: list[Post] = []
    rejections: list[Rejection] = []
    for row in submissions.to_pylist():
        submission = json.loads(row["json"])
        outcome = clean(
            submission if isinstance(submission, dict) else {},
            subreddit=subreddit,
            removed_by_category=row["removed_by_category"],
            author_present=row["author_present"],
            allow_over_18=allow_over_18,
            from_archive=row["origin"].startswith("archive:"),
            post_id=row["post_id"],
        )
        if isinstance(outcome, Post):
            posts.append(outcome)
        else:
            rejections.append(outcome)
    return post_rows(posts), rejection_rows(rejections)


def rules_version(*, allow_over_18: bool) -> str:
    """Version of the rules together with the choices they were given: rows of another version are made again."""
    return f"{CODE_VERSION}+over_18" if allow_over_18 else CODE_VERSION


def clean_caption(text: str, *, decode_entities: bool) -> str:
    """A title without what nobody sees: invisible characters go everywhere, white space at both ends.

    `decode_entities` undoes one level of HTML escaping first. White space and joiners inside stay as they are. The
    result is valid Unicode (lone surrogates become U+FFFD) and may be empty.
    """
    decoded = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text) if decode_entities else text
    return _OUTER_BLANK.sub("", _INVISIBLE.sub("", _unicode(decoded)))


def post_rows(posts: Iterable[Post]) -> pa.Table:
    """Rows of core.posts: its columns, in its order; `created_at` as timestamp[us] without zone, meaning UTC."""
    rows = list(posts)
    table = {field.name: [getattr(row, field.name) for row in rows] for field in fields(Post)}
    table["created_at"] = [row.created_at.astimezone(UTC).replace(tzinfo=None) for row in rows]
    schema = pa.schema([(field.name, _POST_COLUMNS.get(field.name, pa.string())) for field in fields(Post)])
    return pa.table(table, schema=schema)


def rejection_rows(rejections: Iterable[Rejection]) -> pa.Table:
    """Rows of core.rejected_posts: its columns, in its order."""
    rows = list(rejections)
    table = {field.name: [getattr(row, field.name) for row in rows] for field in fields(Rejection)}
    schema = pa.schema([(field.name, _POST_COLUMNS.get(field.name, pa.string())) for field in fields(Rejection)])
    return pa.table(table, schema=schema)


def parse_created_utc(value: Any) -> datetime | None:
    """Epoch seconds as number or numeric string → aware UTC; None for anything outside the years 2005 to 2099."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or not _EARLIEST <= seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def parse_post_id(value: Any) -> str | None:
    """Base36 id of a post, with or without the t3_ prefix; None for anything else."""
    text = value.removeprefix("t3_") if isinstance(value, str) else ""
    return text if _POST_ID.fullmatch(text) else None


def _refusal(
    submission: Mapping[str, Any], subreddit: str, removed_by_category: str | None, from_archive: bool
) -> tuple[str, str] | None:
    """Reason and detail where the post is refused whatever it shows."""
    if submission.get("promoted") is True or submission.get("is_created_from_ads_ui") is True:
        return "promoted", "advertisement"
    own = submission.get("subreddit")
    if not from_archive and not own:
        return "promoted", "no subreddit"
    # The community of a profile holds the name of a person, which the raw layer has replaced.
    if isinstance(own, str) and own and own.lower() != subreddit.lower() and not own.lower().startswith("u_"):
        return "other_subreddit", own
    if submission.get("stickied") is True:
        return "stickied", "stickied"
    if submission.get("distinguished") == "moderator":
        return "moderator", "distinguished"
    remover = removed_by_category or submission.get("removed_by_category") or _removed_later(submission)
    if not remover and submission.get("removal_reason") == "legal":
        remover = "legal"
    if remover:
        category = remover if isinstance(remover, str) else type(remover).__name__
        return f"removed_by_{category if category in REMOVERS else 'other'}", category
    return None


def _removed_later(submission: Mapping[str, Any]) -> str | None:
    """What a dump with a second reading knows about the fate of the post."""
    meta = submission.get("_meta")
    if not isinstance(meta, Mapping):
        return None
    removal = meta.get("removal_type")
    if isinstance(removal, str) and removal:
        return removal
    return "deleted" if meta.get("was_deleted_later") is True else None


def _author(submission: Mapping[str, Any]) -> str | None:
    author = submission.get("author")
    if not isinstance(author, str) or author in ("", "[deleted]"):
        return None
    return _unicode(author)


def _created_at(submission: Mapping[str, Any]) -> datetime:
    created_at = parse_created_utc(submission.get("created_utc"))
    if created_at is None:
        raise _MalformedFieldError("created_utc")
    return created_at


def _flag(submission: Mapping[str, Any], name: str) -> bool:
    value = submission.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _MalformedFieldError(name)
    return value


def _unicode(text: str) -> str:
    """JSON may escape half of a surrogate pair, which neither UTF-8 nor Arrow can hold."""
    return _SURROGATE.sub("\ufffd", text)
