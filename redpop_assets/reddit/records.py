"""From raw submission objects to rows of the raw tables: people become keyed hashes, loose JSON becomes typed columns.

Rows keep the partition they were asked for, in lower case, whatever community the object names: a promoted post names
none, and what does not belong is for the cleaning to reject with a reason. Nothing here talks to a network.
"""

import contextlib
import hashlib
import hmac
import json
import math
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from redpop_assets.errors import SettingsError
from redpop_assets.reddit.listings import Page
from redpop_assets.storage.arrow import naive_utc

SUBMISSIONS = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("discovered_at", pa.timestamp("us")),
        ("origin", pa.string()),
        ("revised_at", pa.timestamp("us")),
        ("json", pa.string()),
    ]
)
SIGHTINGS = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("seen_at", pa.timestamp("us")),
        ("listing", pa.string()),
        ("time_filter", pa.string()),
        ("rank", pa.int32()),
    ]
)
OBSERVATIONS = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("observed_at", pa.timestamp("us")),
        ("endpoint", pa.string()),
        ("score", pa.int32()),
        ("upvote_ratio", pa.float64()),
        ("num_comments", pa.int32()),
        ("num_crossposts", pa.int32()),
        ("hide_score", pa.bool_()),
        ("stickied", pa.bool_()),
        ("locked", pa.bool_()),
        ("over_18", pa.bool_()),
        ("spoiler", pa.bool_()),
        ("edited", pa.bool_()),
        ("archived", pa.bool_()),
        ("author_present", pa.bool_()),
        ("removed_by_category", pa.string()),
    ]
)
LISTING_READS = pa.schema(
    [
        ("subreddit", pa.string()),
        ("listing", pa.string()),
        ("time_filter", pa.string()),
        ("read_at", pa.timestamp("us")),
        ("posts", pa.int32()),
        ("new_posts", pa.int32()),
        ("requests", pa.int32()),
        ("ended", pa.string()),
        ("oldest_created_at", pa.timestamp("us")),
        ("newest_created_at", pa.timestamp("us")),
        ("overlapped", pa.bool_()),
        ("gap_from", pa.timestamp("us")),
        ("gap_to", pa.timestamp("us")),
    ]
)
PRESENCE = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("checked_at", pa.timestamp("us")),
        ("misses", pa.int32()),
        ("missing_since", pa.timestamp("us")),
    ]
)

DELETED = "[deleted]"
"""What Reddit shows instead of the author once the account, or its link to the post, is gone."""

_PEOPLE = ("author", "author_fullname", "approved_by", "banned_by", "removed_by", "mod_reason_by")
_PEOPLE_OF_COLLECTIONS = ("author_name", "author_id")
_REPORTS = ("mod_reports", "mod_reports_dismissed", "user_reports", "user_reports_dismissed")
_LINKS = ("subreddit", "subreddit_name_prefixed", "permalink", "url", "url_overridden_by_dest", "domain")
_KEY_BYTES = 32
_INT32 = 2**31


@dataclass(frozen=True)
class AuthorKey:
    """The secret that turns names of people into hashes; one per deployment.

    Without the key nobody can tell whose hash it is, not even by hashing every known name. With the same key, one
    author's posts stay together, which splits without leaks need. A lost key unlinks old posts from new ones.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the key file, or make it with 32 random bytes, readable by its owner only.

        Raises:
            SettingsError: the file cannot be read or made, or holds no key.
        """
        try:
            if not path.exists():
                _write_once(path, secrets.token_bytes(_KEY_BYTES))
            secret = path.read_bytes()
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
        except OSError as error:
            raise SettingsError(f"The key that hides author names cannot be kept in {path}: {error}") from error
        if len(secret) != _KEY_BYTES:
            raise SettingsError(
                f"{path} holds no key ({len(secret)} bytes instead of {_KEY_BYTES}): restore it from a backup. If "
                "there is none, delete it; known authors then count as new ones."
            )
        return cls(secret)

    def digest(self, name: str) -> str:
        """The first 32 hex digits of HMAC-SHA256 (RFC 2104) of the name, whose case does not matter."""
        message = name.lower().encode("utf-8", "surrogatepass")
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()[:32]

    def digests(self, name: str) -> list[str]:
        """Under what hashes an account may be stored: its own, and those that imports of former versions gave to
        spellings such as `u/name`, which tables have."""
        return [self.digest(f"{before}{name}") for before in ("", "u/", "/u/", "/user/", " ")]


def pseudonymise(submission: dict[str, Any], key: AuthorKey) -> dict[str, Any]:
    """A copy of a raw submission in which people are keyed hashes; to be applied once, to the object as Reddit sent it.

    Hashed: `author`, `author_fullname`; the moderators in `approved_by`, `banned_by`, `removed_by`, `mod_reason_by` and
    in the report lists; the givers in `awarders`; the authors of `collections`; and all of these in the posts of
    `crosspost_parent_list`. Where a post lives on a profile (`u_<name>`), the name in its community, permalink, domain
    and URLs as well.

    Unchanged: everything else, the order of the keys, `[deleted]`, null, and values that are no text (a spam filter
    shows as `banned_by: true`). Free text that a person wrote (title, body, flair) is content and may name anybody;
    so may the creator that a video host reports in `media`.
    """
    profiles = _profiles(submission)
    names = "|".join(map(re.escape, profiles))
    profile = re.compile(rf"(?<![\w-])(u_|u/|user/|self\.u_|self\.)({names})(?![\w-])", re.IGNORECASE)

    def hide(value: Any) -> Any:
        return key.digest(value) if isinstance(value, str) and value not in ("", DELETED) else value

    def hide_profile(value: Any) -> Any:
        if not profiles or not isinstance(value, str):
            return value
        return profile.sub(lambda match: match[1] + key.digest(match[2]), value)

    def hide_report(report: Any) -> Any:
        # [reason, moderator] or, from users, who stay anonymous, [reason, how often]
        return [report[0], *map(hide, report[1:])] if isinstance(report, list) and report else report

    def hide_collection(collection: Any) -> Any:
        return _with(collection, dict.fromkeys(_PEOPLE_OF_COLLECTIONS, hide))

    def hide_post(post: Any) -> Any:
        return _with(post, changes)

    changes: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_PEOPLE, hide),
        **dict.fromkeys(_LINKS, hide_profile),
        **dict.fromkeys(_REPORTS, _each(hide_report)),
        "awarders": _each(hide),
        "collections": _each(hide_collection),
        "crosspost_parent_list": _each(hide_post),
    }
    hidden: dict[str, Any] = _with(submission, changes)
    return hidden


def submission_rows(
    submissions: Iterable[dict[str, Any]], *, subreddit: str, discovered_at: datetime, origin: str = "listing"
) -> pa.Table:
    """Rows of raw.submissions (schema `SUBMISSIONS`), one per post, the first where a post repeats.

    Args:
        submissions: pseudonymised submission objects with an `id`.
        subreddit: the partition asked for.
        discovered_at: when Reddit answered (aware).
        origin: `listing`, or `archive:<file name>`.
    """
    partition, when = subreddit.lower(), naive_utc(discovered_at)
    return _table(
        SUBMISSIONS,
        (
            (post_id, partition, when, origin, None, submission_json(submission))
            for post_id, submission in _first_of_each(submissions).items()
        ),
    )


def sighting_rows(page: Page, *, subreddit: str) -> pa.Table:
    """Rows of raw.sightings (schema `SIGHTINGS`), one per post of the page, at its best rank.

    Args:
        page: an answer of the client; of its submissions only the ids are used.
        subreddit: the partition asked for.
    """
    ranks: dict[str, int] = {}
    for submission, rank in zip(page.submissions, page.ranks, strict=True):
        ranks.setdefault(submission["id"], rank)
    partition, when = subreddit.lower(), naive_utc(page.observed_at)
    return _table(
        SIGHTINGS,
        (
            (post_id, partition, when, page.listing.name, page.listing.time_filter, rank)
            for post_id, rank in ranks.items()
        ),
    )


def observation_rows(
    submissions: Iterable[dict[str, Any]], *, subreddit: str, observed_at: datetime, endpoint: str
) -> pa.Table:
    """Rows of raw.observations (schema `OBSERVATIONS`), one per post, the first where a post repeats.

    A value that is absent, null, or not of its column's kind is NULL. Numbers may be numeric text, as in archives.

    Args:
        submissions: submission objects with an `id`, pseudonymised or not.
        subreddit: the partition asked for.
        observed_at: when Reddit answered (aware).
        endpoint: `listing`, `info` or `archive`.
    """
    partition, when = subreddit.lower(), naive_utc(observed_at)
    return _table(
        OBSERVATIONS,
        (
            (
                post_id,
                partition,
                when,
                endpoint,
                _integer(post.get("score")),
                _number(post.get("upvote_ratio")),
                _integer(post.get("num_comments")),
                _integer(post.get("num_crossposts")),
                _flag(post.get("hide_score")),
                _flag(post.get("stickied")),
                _flag(post.get("locked")),
                _flag(post.get("over_18")),
                _flag(post.get("spoiler")),
                _flag(post.get("edited")),
                _flag(post.get("archived")),
                post["author"] not in (None, "", DELETED) if "author" in post else None,
                _text(post.get("removed_by_category")),
            )
            for post_id, post in _first_of_each(submissions).items()
        ),
    )


def submission_json(submission: dict[str, Any]) -> str:
    """The object as JSON text, keys in their order. Half surrogate pairs, which DuckDB refuses, become `?`."""
    text = json.dumps(submission, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def created_at(submission: dict[str, Any]) -> datetime | None:
    """When the post was made (aware, UTC), from `created_utc` as a number or numeric text; None if it is neither."""
    seconds = _number(submission.get("created_utc"))
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def shown_ids(submission: dict[str, Any]) -> set[str]:
    """Ids of the post and of the posts that it copies: a crosspost carries the whole object of its original."""
    parents = submission.get("crosspost_parent_list")
    originals = (
        [parent.get("id") for parent in parents if isinstance(parent, dict)] if isinstance(parents, list) else []
    )
    found = (submission["id"], submission.get("crosspost_parent"), *originals)
    return {post_id.removeprefix("t3_") for post_id in found if isinstance(post_id, str)}


def _write_once(path: Path, secret: bytes) -> None:
    """Make the file whole or not at all; if another process is first, its file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as draft:  # mode 0600
        draft.write(secret)
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)


def _profiles(submission: dict[str, Any]) -> list[str]:
    """Names of the people on whose profile the post or the post it copies lives."""
    parents = submission.get("crosspost_parent_list")
    posts = [submission, *(parents if isinstance(parents, list) else [])]
    communities = [post.get("subreddit") for post in posts if isinstance(post, dict)]
    return [name[2:] for name in communities if isinstance(name, str) and re.match("u_.", name, re.I)]


def _with(value: Any, changes: dict[str, Callable[[Any], Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: changes[name](item) if name in changes else item for name, item in value.items()}


def _each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [change(item) for item in value] if isinstance(value, list) else value


def _first_of_each(submissions: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    posts: dict[str, dict[str, Any]] = {}
    for submission in submissions:
        posts.setdefault(submission["id"], submission)
    return posts


def _table(schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and -_INT32 <= number < _INT32 else None


def _flag(value: Any) -> bool | None:
    """True, false, a number (`edited` is the time of the edit), or one of these as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    number = _number(value)
    return None if number is None else number != 0


def _text(value: Any) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None
