"""The rules that turn a raw submission into a row of core.posts, or of core.rejected_posts with a reason.

`clean` decides about one submission and never raises on its content; `post_rows` and `rejection_rows` give the
decisions the columns of the two tables. `supersedes` says when a later reading of a post is the better source.
"""

import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from redpop_assets import versions
from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.removals import REMOVERS, UNKNOWN, removal
from redpop_assets.sources.image_urls import (
    UNRESOLVED_REASONS,
    Resolved,
    Unresolved,
    original_of,
    pictures_pending,
    resolve,
)
from redpop_assets.sources.typed import retyped
from redpop_assets.sources.values import parse_created_utc, parse_post_id

REASONS: Final = UNRESOLVED_REASONS | {
    "promoted",
    "other_subreddit",
    "stickied",
    "moderator",
    "over_18",
    "parent_removed",
    "empty_caption",
    "removed_by_other",
    *(f"removed_by_{remover}" for remover in REMOVERS),
}
"""Every reason that a rejection can have. `removed_by_other` covers categories that Reddit may yet invent."""


@dataclass(frozen=True)
class Post:
    """A usable image post: one row of core.posts, column by column. Times are aware, in UTC."""

    post_id: str
    subreddit: str
    created_at: datetime
    author: str | None
    caption: str
    caption_sha256: str
    flair: str | None
    kind: str
    image_urls: tuple[str, ...]
    image_captions: tuple[str | None, ...] | None
    preview_url: str | None
    crosspost_parent: str | None
    is_original_content: bool
    over_18: bool
    spoiler: bool
    author_present: bool | None
    removed_by_category: str | None
    revised_at: datetime | None
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
    revised_at: datetime | None
    code_version: str


_COLUMN_TYPES: Final = {
    **dict.fromkeys(("created_at", "revised_at"), pa.timestamp("us")),
    **dict.fromkeys(("image_urls", "image_captions"), pa.list_(pa.string())),
    **dict.fromkeys(("is_original_content", "over_18", "spoiler", "author_present"), pa.bool_()),
}
_DETAIL_LENGTH: Final = 200
_OVER_18: Final = "+over_18"

# Only what Reddit and its dumps escape, and only with the semicolon: html.unescape alone would turn "cats&not dogs"
# of a file that was never escaped into "cats¬ dogs".
_ENTITY: Final = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")
# Control characters, zero-width space, word joiner, byte order mark, directional marks and overrides. The two joiners
# U+200C and U+200D are not here: inside a caption they hold emoji and Persian words together.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

# A crosspost of what moderators took out of another community stands on its own; of what its author or Reddit took
# down, nothing may be shown.
_PARENT_REMOVERS: Final = {*REMOVERS, UNKNOWN} - {"moderator", "automod_filtered"}

# Longer before entities are decoded: "&#128512;" is one character.
_LONGEST_RAW_TITLE: Final = 10 * LONGEST_CAPTION
# All that counts as white space lies below U+3001; a pattern that ends in it would look at long titles again and again.
_OUTER_BLANK: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200c\u200d\u2800"

# Reddit opened in June 2005; numbers beyond 2100 are milliseconds or rubbish.


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
    revised_at: datetime | None = None,
    as_if_standing: bool = False,
) -> Post | Rejection:
    """Judge one raw submission; its content raises nothing.

    `subreddit` is the partition. `removed_by_category` and `author_present` come from the latest observation, which is
    at least as new as the JSON and overrules it: a post that was removed and approved again is clean. A removal rejects
    the post, a missing author only empties the column. `from_archive` says that HTML entities are to be decoded once,
    and that a missing `subreddit` field means a poor table; in an answer of the API it is the mark of an advertisement.
    `post_id` is the key of the raw row, for a JSON without a usable id, and `revised_at` its column. `as_if_standing`
    asks what the post would be if it had not been removed; of a gallery whose pictures went with it, it has none.

    A crosspost keeps its own caption, author and time; only the pictures are those of the original, and it is as mature
    as the original.
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
            revised_at=revised_at,
            code_version=version,
        )

    try:
        if key is None:
            raise _MalformedFieldError("id")
        refusal = _refusal(submission, subreddit, removed_by_category, from_archive, as_if_standing)
        if refusal is not None:
            return reject(*refusal)
        over_18 = _flag(submission, "over_18") or original_of(submission).get("over_18") is True
        if over_18 and not allow_over_18:
            return reject("over_18", "over_18")
        images = resolve(submission)
        if as_if_standing and isinstance(images, Unresolved) and images.reason == "gallery_removed":
            images = Resolved("gallery", ())
        if isinstance(images, Unresolved):
            return reject(images.reason, images.detail)
        title = submission.get("title")
        if not isinstance(title, str):
            raise _MalformedFieldError("title")
        caption = clean_caption(title[: _LONGEST_RAW_TITLE + 1], decode_entities=from_archive)
        if len(title) > _LONGEST_RAW_TITLE or len(caption) > LONGEST_CAPTION:
            raise _MalformedFieldError(f"title: {len(title)} characters")
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
            flair=_short_text(flair, from_archive) if isinstance(flair, str) else None,
            kind=images.kind,
            image_urls=images.urls,
            image_captions=_image_captions(images.captions, decode_entities=from_archive),
            preview_url=images.preview_url,
            crosspost_parent=images.crosspost_parent,
            is_original_content=_flag(submission, "is_original_content"),
            over_18=over_18,
            spoiler=_flag(submission, "spoiler"),
            author_present=author_present,
            removed_by_category=removed_by_category,
            revised_at=revised_at,
            code_version=version,
        )
    except _MalformedFieldError as error:
        return reject("malformed", str(error))


def clean_submissions(
    submissions: pa.Table, *, subreddit: str, allow_over_18: bool, as_if_standing: bool = False
) -> tuple[pa.Table, pa.Table]:
    """Judge rows of raw.submissions joined with their latest observation.

    Columns used: `post_id`, `json` (text), `origin`, `removed_by_category`, `author_present` and, where there is one,
    `revised_at`. Returns rows of core.posts and rows of core.rejected_posts; each submission is in exactly one of them.
    `as_if_standing` is that of `clean`.
    """
    posts: list[Post] = []
    rejections: list[Rejection] = []
    for row in submissions.to_pylist():
        found = json.loads(row["json"])
        submission = found if isinstance(found, dict) else {}
        from_archive = row["origin"].startswith("archive:")
        outcome = clean(
            retyped(submission) if from_archive else submission,
            subreddit=subreddit,
            removed_by_category=row["removed_by_category"],
            author_present=row["author_present"],
            allow_over_18=allow_over_18,
            from_archive=from_archive,
            post_id=row["post_id"],
            revised_at=_aware(row.get("revised_at")),
            as_if_standing=as_if_standing,
        )
        if isinstance(outcome, Post):
            posts.append(outcome)
        else:
            rejections.append(outcome)
    return post_rows(posts), rejection_rows(rejections)


def supersedes(stored: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    """Whether the JSON of a later reading of a post is to take the place of the stored one.

    It is where it tells more about the content: the post stood removed and stands again, its pictures were not there
    yet, more of a gallery is processed by now, only the preview of a picture was known, or not even that; or it names
    the author whom a table left out. Nothing else, such as another score, is a reason; nothing that was taken down
    replaces anything, and nothing without pictures replaces what has them.
    """
    if removal(seen):
        return False
    before, now = resolve(stored), resolve(seen)
    if isinstance(now, Unresolved):
        return isinstance(before, Unresolved) and removal(stored) is not None
    if isinstance(before, Unresolved) or removal(stored):
        return True
    return (
        pictures_pending(seen) < pictures_pending(stored)
        or len(now.urls) > len(before.urls)
        or (before.kind == "preview" and now.kind != "preview")
        or (before.preview_url is None and now.preview_url is not None)
        or (stored.get("author") is None and _author(seen) is not None)
    )


def rules_version(*, allow_over_18: bool) -> str:
    """Version of the rules together with the choices they were given: rows of another version are made again."""
    return f"{versions.CLEANING}{_OVER_18}" if allow_over_18 else versions.CLEANING


def allowed_over_18(version: str) -> bool:
    """Whether the choice behind a `rules_version` was to keep posts marked as mature."""
    return version.endswith(_OVER_18)


def clean_caption(text: str, *, decode_entities: bool) -> str:
    """A title without what nobody sees: invisible characters go everywhere, white space at both ends.

    `decode_entities` undoes one level of HTML escaping first. White space and joiners inside stay as they are. The
    result is valid Unicode (lone surrogates become U+FFFD) and may be empty.
    """
    decoded = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text) if decode_entities else text
    return _INVISIBLE.sub("", _unicode(decoded)).strip(_OUTER_BLANK)


def post_rows(posts: Iterable[Post]) -> pa.Table:
    """Rows of core.posts: its columns, in its order; times as timestamp[us] without zone, meaning UTC."""
    return _rows(Post, posts)


def rejection_rows(rejections: Iterable[Rejection]) -> pa.Table:
    """Rows of core.rejected_posts: its columns, in its order, as `post_rows`."""
    return _rows(Rejection, rejections)


def _refusal(
    submission: Mapping[str, Any],
    subreddit: str,
    removed_by_category: str | None,
    from_archive: bool,
    as_if_standing: bool,
) -> tuple[str, str] | None:
    """Reason and detail where the post is refused whatever it shows."""
    advertised = [
        name for name in ("promoted", "is_created_from_ads_ui", "is_survey_ad") if submission.get(name) is True
    ]
    if advertised:
        return "promoted", advertised[0]
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
    if as_if_standing:
        return None
    # The observation is at least as new as the category of the JSON.
    category = submission.get("removed_by_category")
    overruled = isinstance(category, str) and category != ""
    remover = removed_by_category or (None if overruled else removal(submission))
    if remover:
        return f"removed_by_{remover if remover in REMOVERS else 'other'}", remover
    removed_parent = removal(original_of(submission))
    if removed_parent in _PARENT_REMOVERS:
        return "parent_removed", removed_parent
    return None


def _author(submission: Mapping[str, Any]) -> str | None:
    author = submission.get("author")
    if not isinstance(author, str) or author in ("", "[deleted]"):
        return None
    return _unicode(author)


def _image_captions(captions: Iterable[str | None], *, decode_entities: bool) -> tuple[str | None, ...] | None:
    """The captions of a gallery, cleaned like titles; None where none has text."""
    cleaned = tuple(_short_text(text or "", decode_entities) for text in captions)
    return cleaned if any(cleaned) else None


def _short_text(text: str, decode_entities: bool) -> str | None:
    """A flair or the caption of a picture, cleaned like a title, its beginning where it is too long for one."""
    return clean_caption(text[:LONGEST_CAPTION], decode_entities=decode_entities) or None


def _rows(record: type[Post] | type[Rejection], decisions: Iterable[Post] | Iterable[Rejection]) -> pa.Table:
    schema = pa.schema([(field.name, _COLUMN_TYPES.get(field.name, pa.string())) for field in fields(record)])
    rows = [[_plain(getattr(decision, name)) for name in schema.names] for decision in decisions]
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table(
        [pa.array(values, field.type) for field, values in zip(schema, columns, strict=True)], schema=schema
    )


def _plain(value: Any) -> Any:
    """Times of the warehouse have no zone."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None else None


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
