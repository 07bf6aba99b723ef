"""The pictures of one subreddit: which URLs are due, what became of them, and what the warehouse remembers of it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from redpop_assets.images.decode import ImageInfo
from redpop_assets.images.duplicates import canonical_url
from redpop_assets.images.fetch import FetchPolicy, FetchResult, Request, fetch
from redpop_assets.images.orphans import remove_orphans, unnamed
from redpop_assets.images.placeholders import known_placeholders, learn_placeholders
from redpop_assets.images.retries import is_removal, next_attempt, next_check
from redpop_assets.storage.arrow import naive_utc, utc_now
from redpop_assets.storage.forgetting import erase_unused_content
from redpop_assets.storage.images import ImageStore, StoredImage
from redpop_assets.storage.staging import sweep
from redpop_assets.storage.warehouse import Warehouse

FETCHES = pa.schema(
    [
        ("url", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("http_status", pa.int32()),
        ("image_sha256", pa.string()),
        ("attempts", pa.int32()),
        ("fetched_at", pa.timestamp("us")),
        ("next_attempt_at", pa.timestamp("us")),
        ("canonical_url", pa.string()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("checked_at", pa.timestamp("us")),
        ("paused_until", pa.timestamp("us")),
    ]
)
"""Columns of core.image_fetches, in which URLs are handed on, too."""

IMAGES = pa.schema(
    [
        ("image_sha256", pa.string()),
        ("path", pa.string()),
        ("format", pa.string()),
        ("bytes", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("phash", pa.string()),
        ("dhash", pa.string()),
        ("stored_at", pa.timestamp("us")),
        ("file_sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("contrast", pa.float64()),
    ]
)
"""Columns of core.images."""

# URLs of posts that were never asked, whose failure may have passed, or whose picture is to be checked again; none of a
# host that wants to be left alone. New pictures come first, the newest of them before the others. A preview is asked
# for where the picture itself could never be had, unless that is a judgement of the picture or its host's wish.
_DUE = """
WITH wanted AS (
    SELECT u.url, max(u.created_at) AS created_at
    FROM core.image_urls AS u LEFT JOIN core.primary_images AS i USING (post_id)
    WHERE u.subreddit = $subreddit AND (
        (NOT u.is_preview AND u.position <= $images_per_post)
        OR (u.is_preview AND (i.is_preview OR (i.status = 'failed' AND i.reason NOT IN (SELECT unnest($judged)))))
    )
    GROUP BY u.url
),
paused AS (
    SELECT DISTINCT regexp_extract(lower(url), '^[a-z]+://([^/?#]*)', 1) AS host
    FROM core.image_fetches WHERE paused_until > $now
)
SELECT w.url AS wanted_url, f.*
FROM wanted AS w LEFT JOIN core.image_fetches AS f ON f.url = w.url
WHERE regexp_extract(lower(w.url), '^[a-z]+://([^/?#]*)', 1) NOT IN (SELECT host FROM paused) AND (
    f.url IS NULL
    OR (f.status = 'retry' AND f.next_attempt_at <= $now)
    OR (f.status = 'stored' AND coalesce(f.next_attempt_at, coalesce(f.checked_at, f.fetched_at) + $recheck) <= $now)
)
ORDER BY coalesce(f.status = 'stored', FALSE), w.created_at DESC, w.url
"""
_STORED_ELSEWHERE = """
SELECT * FROM core.image_fetches
WHERE status = 'stored' AND reason IS NULL AND canonical_url IN (SELECT unnest($canonical_urls::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY canonical_url ORDER BY checked_at DESC, url) = 1
"""
_JUDGED = ["opted_out", "too_small", "aspect_extreme", "animated", "blocked_address"]
_NEVER = timedelta(days=365_000)
_PAGE = 10_000  # URLs in memory at a time

Row = dict[str, Any]


@dataclass
class Downloads:
    """What one pass did.

    Attributes:
        fetched: URLs asked for a picture that is not stored.
        rechecked: URLs asked whether their picture is still there.
        reused: URLs that were not asked because another spelling had brought the picture.
        stored: Pictures new to the warehouse.
        gone: URLs whose picture their host has removed.
        placeholders: Files newly recognised as placeholders.
    """

    fetched: int = 0
    rechecked: int = 0
    reused: int = 0
    stored: int = 0
    gone: int = 0
    placeholders: int = 0


@dataclass(frozen=True)
class Asking:
    """How URLs are asked, the same wherever that is done.

    Attributes:
        store: gets the files.
        policy: the limits.
        placeholders: SHA-256 of files that stand for removed pictures.
        chunk_size: URLs per chunk.
        recheck: time after which a stored picture is checked again.
    """

    store: ImageStore
    policy: FetchPolicy
    placeholders: frozenset[str]
    chunk_size: int
    recheck: timedelta


@dataclass
class Chunk:
    """Rows of one chunk, whose files are written; `left` counts URLs that do not lead to their old picture any more."""

    fetches: list[Row] = field(default_factory=list)
    images: list[Row] = field(default_factory=list)
    rechecked: int = 0
    gone: int = 0
    left: int = 0


def fetched(due: list[Row], asking: Asking) -> Iterator[Chunk]:
    """Ask for the URLs; yields `chunk_size` of them at a time, their files durably stored.

    Args:
        due: rows of core.image_fetches as they are, or as those of a URL that was never asked.
        asking: how.
    """
    store = asking.store
    waiting = {row["url"]: row for row in due}
    requests = (Request(row["url"], row["etag"], row["last_modified"]) for row in due)
    chunk = Chunk()
    with closing(fetch(requests, asking.policy)) as results, store.batch() as batch:
        for result in results:
            before = waiting.pop(result.url)
            now = datetime.now(UTC)
            if result.sha256 in asking.placeholders:
                detail = "The same file is behind many other addresses."
                result = replace(result, status="failed", reason="placeholder_image", detail=detail, data=None)
            if before["status"] == "stored":
                row = _checked(before, result, now, asking.recheck)
                chunk.rechecked += 1
                chunk.gone += row["status"] == "gone"
                chunk.left += row["image_sha256"] != before["image_sha256"]
            else:
                row = _tried(before, result, now)
            chunk.fetches.append(row)
            if result.data is not None and result.image is not None and result.sha256 != before["image_sha256"]:
                stored = batch.put(result.data, result.image.extension)
                chunk.images.append(_image(result.image, row["image_sha256"], stored, now))
            if len(chunk.fetches) == asking.chunk_size or not waiting:
                batch.commit()
                yield chunk
                chunk = Chunk()


Ask = Callable[[list[Row], Asking], Iterator[Chunk]]
"""What `fetched` does, in this process or elsewhere."""


def download_images(
    warehouse: Warehouse,
    store: ImageStore,
    subreddit: str,
    policy: FetchPolicy,
    *,
    images_per_post: int,
    recheck: timedelta | None,
    chunk_size: int,
    progress: Callable[[str], None],
    ask: Ask = fetched,
) -> Downloads:
    """Fetch the pictures of a subreddit that are not stored, and check those that were not checked for long.

    A picture is asked for once, however many posts, communities and spellings of its URL lead to it. Every chunk is
    written when it is complete, files before rows; a killed run loses at most the chunk in flight.

    Only one of these may run at a time: the limits per host are those of one download.

    Args:
        warehouse: has the posts; gets the rows.
        store: gets the files.
        subreddit: partition, in lower case.
        policy: the limits.
        images_per_post: how many images of a gallery are wanted.
        recheck: time after which a stored picture is checked; None for never.
        chunk_size: URLs per write.
        progress: told after each chunk.
        ask: who asks the URLs; by default this process.
    """
    done = Downloads()
    for folder in {warehouse.published.parent, store.place.aside}:
        if (swept := sweep(folder)).files:
            progress(str(swept))
    scope = {
        "subreddit": subreddit,
        "images_per_post": images_per_post,
        # One moment for the whole pass: what it has asked is not due again, so it ends.
        "now": utc_now(),
        "recheck": recheck or _NEVER,
        "judged": _JUDGED,
    }
    left = fetched = 0
    # Of several spellings of a URL one is asked at a time: after it, the others are done or come up again. Where a
    # picture is dead, its preview comes up.
    while (due := warehouse.query(f"{_DUE} LIMIT {_PAGE}", scope)).num_rows:
        total = fetched + warehouse.scalar(f"SELECT count(*) FROM ({_DUE})", scope)
        asked = _spared(warehouse, due, done)
        asking = Asking(store, policy, known_placeholders(warehouse), chunk_size, recheck or _NEVER)
        for chunk in ask(asked, asking):
            left += chunk.left
            _write(warehouse, store, chunk, done)
            fetched = done.fetched + done.rechecked + done.reused
            progress(f"fetched {fetched} of {total} images, {done.stored} new ones stored")
    done.placeholders = learn_placeholders(warehouse)
    if left or done.placeholders:
        erase_unused_content(warehouse, store)
    return done


def _spared(warehouse: Warehouse, due: pa.Table, done: Downloads) -> list[Row]:
    """Settle what other spellings of the URLs have brought, and return one row for each picture still to be asked for.

    The rows have the columns of core.image_fetches: as they are, or as those of a URL that was never asked.
    """
    rows: list[Row] = []
    for row in due.to_pylist():
        url = row.pop("wanted_url")
        if row["url"] is None:
            row.update(url=url, status="new", detail="", attempts=0)
        rows.append({**row, "canonical_url": canonical_url(url)})
    wanted = [row["canonical_url"] for row in rows if row["status"] != "stored"]
    found = warehouse.query(_STORED_ELSEWHERE, {"canonical_urls": wanted}).to_pylist()
    elsewhere = {row["canonical_url"]: row for row in found}
    reused = [
        {**elsewhere[row["canonical_url"]], "url": row["url"], "attempts": row["attempts"], **_NO_VERSION}
        for row in rows
        if row["status"] != "stored" and row["canonical_url"] in elsewhere
    ]
    if reused:
        warehouse.merge("core.image_fetches", pa.Table.from_pylist(reused, schema=FETCHES))
        done.reused += len(reused)
    settled = {row["url"] for row in reused}
    asked: dict[str, Row] = {}
    for row in rows:
        if row["url"] not in settled:
            asked.setdefault(row["canonical_url"], row)
    return list(asked.values())


def _tried(before: Row, result: FetchResult, now: datetime) -> Row:
    """The row of a URL without a picture, after it was asked."""
    attempts = before["attempts"] + result.asked
    row = {**before, **_failure(result, now), **_NO_VERSION, "attempts": attempts, "fetched_at": naive_utc(now)}
    if result.status == "ok":
        return {**row, **_success(result, now)}
    again = None
    if result.status == "retry":
        first_refusal = before["http_status"] != 403
        again = next_attempt(
            attempts, result.retry_after, now, http_status=result.http_status, first_refusal=first_refusal
        )
    return {**row, "status": "failed" if again is None else "retry", "next_attempt_at": again and naive_utc(again)}


def _checked(before: Row, result: FetchResult, now: datetime, recheck: timedelta) -> Row:
    """The row of a URL whose picture is stored, after it was asked whether the picture is still there."""
    if result.status == "unchanged" or (result.status == "ok" and result.sha256 == before["image_sha256"]):
        version = {name: getattr(result, name) or before[name] for name in _NO_VERSION}
        return {**before, **_success(result, now), **version, "image_sha256": before["image_sha256"]}
    if result.status == "ok":
        return {**before, **_success(result, now), "fetched_at": naive_utc(now)}
    if is_removal(result.reason, result.http_status) and is_removal(before["reason"], before["http_status"]):
        gone = {"status": "gone", "image_sha256": None, "next_attempt_at": None, "fetched_at": naive_utc(now)}
        return {**before, **_failure(result, now), **_NO_VERSION, **gone}
    again = next_check(result.reason, result.http_status, result.retry_after, now, recheck)
    # A host that asked for a pause before the URL's turn came has said nothing about the picture.
    failure = _failure(result, now) if result.asked else {"paused_until": _pause(result, now)}
    return {**before, **failure, "next_attempt_at": naive_utc(again)}


_NO_VERSION: Row = {"etag": None, "last_modified": None}


def _success(result: FetchResult, now: datetime) -> Row:
    return {
        **dict.fromkeys(("reason", "next_attempt_at", "paused_until")),
        "status": "stored",
        "detail": "",
        "http_status": 200,
        "image_sha256": result.sha256,
        "etag": result.etag,
        "last_modified": result.last_modified,
        "checked_at": naive_utc(now),
    }


def _failure(result: FetchResult, now: datetime) -> Row:
    return {
        "reason": result.reason,
        "detail": result.detail,
        "http_status": result.http_status,
        "paused_until": _pause(result, now),
    }


def _pause(result: FetchResult, now: datetime) -> datetime | None:
    """Until when the host, not only this URL, wants to be left alone."""
    of_host = result.reason == "rate_limited" or result.http_status in (429, 503)
    return naive_utc(now + timedelta(seconds=result.retry_after)) if of_host and result.retry_after else None


def _image(info: ImageInfo, image_sha256: str, stored: StoredImage, now: datetime) -> Row:
    return {
        **{name: value for name, value in asdict(info).items() if name in IMAGES.names},
        "image_sha256": image_sha256,
        "file_sha256": stored.sha256,
        "path": stored.path,
        "bytes": stored.size,
        "stored_at": naive_utc(now),
    }


def _write(warehouse: Warehouse, store: ImageStore, chunk: Chunk, done: Downloads) -> None:
    """Write the rows of a chunk whose files are stored, and delete files that were stored in vain."""
    with warehouse.write() as writer:
        # From here on no other process deletes files. One may have done so before, when no row named them yet.
        there = store.existing(row["path"] for row in chunk.images)
        images = [row for row in chunk.images if row["path"] in there]
        lost = {row["image_sha256"] for row in chunk.images} - {row["image_sha256"] for row in images}
        fetches = [_lost(row) if row["image_sha256"] in lost else row for row in chunk.fetches]
        done.stored += writer.append("core.images", pa.Table.from_pylist(images, schema=IMAGES))
        writer.merge("core.image_fetches", pa.Table.from_pylist(fetches, schema=FETCHES))
        # A picture that is stored already, in another form of the settings, stays as it is.
        orphans = unnamed(writer, [row["path"] for row in images])
    remove_orphans(warehouse, store, orphans)
    done.fetched += len(chunk.fetches) - chunk.rechecked
    done.rechecked += chunk.rechecked
    done.gone += chunk.gone


def _lost(row: Row) -> Row:
    return {
        **row,
        **_NO_VERSION,
        "status": "retry",
        "reason": "file_lost",
        "detail": "The file was deleted before its row was written.",
        "image_sha256": None,
        "checked_at": None,
        "next_attempt_at": row["fetched_at"] + timedelta(hours=1),
    }
