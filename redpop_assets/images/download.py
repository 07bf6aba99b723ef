"""From URLs to stored files and rows: fetching, storing, and what the warehouse remembers of it."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pyarrow as pa

from redpop_assets.images.fetch import FetchPolicy, FetchResult, fetch
from redpop_assets.images.retries import next_attempt
from redpop_assets.settings import Settings
from redpop_assets.storage.images import ImageStore

_FETCHES = pa.schema(
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
    ]
)
_IMAGES = pa.schema(
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
    ]
)


@dataclass(frozen=True)
class Downloaded:
    """Rows for core.image_fetches and core.images of one chunk of URLs; `done` counts from the start."""

    fetches: pa.Table
    images: pa.Table
    done: int


def fetch_policy(settings: Settings) -> FetchPolicy:
    """The limits of a download, as the settings have them."""
    return FetchPolicy(
        max_bytes=settings.image_max_bytes,
        max_pixels=settings.image_max_pixels,
        min_edge=settings.image_min_edge,
        deadline=settings.image_timeout_seconds,
        concurrency=settings.image_concurrency,
        per_host=settings.image_concurrency_per_host,
        allowed_hosts=frozenset(settings.image_hosts_allowed),
        user_agent=settings.reddit_user_agent or FetchPolicy.user_agent,
    )


def download_images(
    attempts: Mapping[str, int], policy: FetchPolicy, store: ImageStore, *, chunk_size: int
) -> Iterator[Downloaded]:
    """Fetch URLs and store what is an image; yields the rows of `chunk_size` URLs at a time, files already written.

    Args:
        attempts: URL -> attempts made by earlier runs.
        policy: the limits.
        store: where the files go; a picture that is there already is not written again.
        chunk_size: URLs per chunk.
    """
    fetches: list[dict[str, object]] = []
    images: list[dict[str, object]] = []
    done = 0
    with closing(fetch(attempts, policy)) as results:
        for result in results:
            done += 1
            fetched, image = _store(result, attempts[result.url], store)
            fetches.append(fetched)
            images.extend([image] if image else [])
            if len(fetches) == chunk_size or done == len(attempts):
                yield Downloaded(
                    pa.Table.from_pylist(fetches, schema=_FETCHES), pa.Table.from_pylist(images, schema=_IMAGES), done
                )
                fetches, images = [], []


def _store(result: FetchResult, attempts: int, store: ImageStore) -> tuple[dict[str, object], dict[str, object] | None]:
    now = datetime.now(UTC)
    attempts += result.asked
    fetched: dict[str, object] = {
        "url": result.url,
        "reason": result.reason,
        "detail": result.detail,
        "http_status": result.http_status,
        "attempts": attempts,
        "fetched_at": now.replace(tzinfo=None),
    }
    if result.image is None or result.data is None:
        again = None
        if result.status == "retry":
            again = next_attempt(attempts, result.retry_after, now, http_status=result.http_status)
        return {
            **fetched,
            "status": "failed" if again is None else "retry",
            "next_attempt_at": again.replace(tzinfo=None) if again else None,
        }, None
    stored = store.put(result.data, result.image.extension)
    seen = {name: value for name, value in asdict(result.image).items() if name in _IMAGES.names}
    image = {
        **seen,
        "image_sha256": stored.sha256,
        "path": stored.path,
        "bytes": stored.size,
        "stored_at": now.replace(tzinfo=None),
    }
    return {**fetched, "status": "stored", "image_sha256": stored.sha256}, image
