"""From URLs to stored files and rows, over a real server and a real store."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from redpop_assets.images.download import download_images, fetch_policy
from redpop_assets.images.fetch import FetchPolicy
from redpop_assets.settings import Settings
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


@pytest.fixture
def policy(server):
    return FetchPolicy(allowed_hosts=frozenset({server.host}), deadline=10)


def collect(chunks):
    """All rows of all chunks: fetches by URL, images in their order, and the progress."""
    chunks = list(chunks)
    fetches = [row for chunk in chunks for row in chunk.fetches.to_pylist()]
    assert len({row["url"] for row in fetches}) == len(fetches)
    return {row["url"]: row for row in fetches}, [r for c in chunks for r in c.images.to_pylist()], chunks


def test_pictures_are_stored_and_described(server, store, policy, photo, encode):
    jpeg, png = encode(photo, "JPEG"), encode(photo, "PNG")
    urls = [server.answers("/a.jpg", jpeg, content_type="image/jpeg"), server.answers("/b.png", png)]
    before = datetime.now(UTC).replace(tzinfo=None)
    fetches, images, _ = collect(download_images(dict.fromkeys(urls, 0), policy, store, chunk_size=10))
    assert {row["status"] for row in fetches.values()} == {"stored"}
    digests = [hashlib.sha256(data).hexdigest() for data in (jpeg, png)]
    assert [fetches[url]["image_sha256"] for url in urls] == digests
    by_digest = {row["image_sha256"]: row for row in images}
    assert set(by_digest) == set(digests)
    for digest, data, kind in zip(digests, (jpeg, png), ("JPEG", "PNG"), strict=True):
        row = by_digest[digest]
        assert (row["format"], row["bytes"], row["width"], row["height"]) == (kind, len(data), 300, 200)
        assert store.read(row["path"]) == data
        assert before <= row["stored_at"] <= datetime.now(UTC).replace(tzinfo=None)
    row = fetches[urls[0]]
    assert (row["reason"], row["detail"], row["http_status"], row["attempts"], row["next_attempt_at"]) == (
        *(None, "", 200),
        *(1, None),
    )


def test_rows_fit_the_tables(server, store, policy, photo, encode, tmp_path):
    warehouse = Warehouse(tmp_path / "home", source="test", schema=load_schema())
    urls = [server.answers("/a.png", encode(photo, "PNG")), server.answers("/dead", status=404)]
    for chunk in download_images(dict.fromkeys(urls, 0), policy, store, chunk_size=1):
        warehouse.append("core.images", chunk.images)
        warehouse.merge("core.image_fetches", chunk.fetches)
    assert warehouse.scalar("SELECT count(*) FROM core.images") == 1
    assert warehouse.scalar("SELECT count(*) FROM core.image_fetches") == 2


def test_one_picture_at_two_addresses_is_one_file(server, store, policy, photo, encode):
    data = encode(photo, "PNG")
    urls = [server.answers("/a.png", data), server.answers("/b.png", data)]
    fetches, images, _ = collect(download_images(dict.fromkeys(urls, 0), policy, store, chunk_size=10))
    assert len({row["image_sha256"] for row in fetches.values()}) == 1
    assert len({row["path"] for row in images}) == 1
    assert len([path for path in store.root.rglob("*") if path.is_file()]) == 1


def test_what_is_dead_is_final_and_what_may_pass_is_tried_again(server, store, policy):
    dead = server.answers("/dead", status=404, content_type="text/html")
    page = server.answers("/page", b"<html>hello</html>", content_type="text/html")
    busy = server.answers("/busy", status=503)
    fetches, images, _ = collect(download_images({dead: 0, page: 0, busy: 2}, policy, store, chunk_size=10))
    assert images == []
    assert fetches[dead]["status"] == fetches[page]["status"] == "failed"
    assert fetches[dead]["http_status"] == 404
    assert fetches[dead]["next_attempt_at"] is None
    assert all(row["reason"] and row["detail"] for row in fetches.values())
    assert fetches[busy]["status"] == "retry"
    assert fetches[busy]["attempts"] == 3
    wait = fetches[busy]["next_attempt_at"] - fetches[busy]["fetched_at"]
    assert wait == timedelta(hours=23)


def test_after_the_last_attempt_a_failure_is_final(server, store, policy):
    url = server.answers("/busy", status=503)
    fetches, _, _ = collect(download_images({url: 4}, policy, store, chunk_size=10))
    assert (fetches[url]["status"], fetches[url]["attempts"], fetches[url]["next_attempt_at"]) == ("failed", 5, None)


def test_a_refused_url_is_no_attempt(store, policy):
    fetches, _, _ = collect(download_images({"ftp://example.org/a.jpg": 0}, policy, store, chunk_size=10))
    (row,) = fetches.values()
    assert (row["status"], row["attempts"], row["http_status"]) == ("failed", 0, None)


@pytest.mark.parametrize(("urls", "size", "expected"), [(7, 3, [3, 6, 7]), (6, 3, [3, 6]), (2, 5, [2]), (0, 5, [])])
def test_chunks_end_when_they_are_full_or_all_is_done(server, store, policy, photo, encode, urls, size, expected):
    data = encode(photo, "PNG")
    attempts = {server.answers(f"/{number}.png", data): 0 for number in range(urls)}
    fetches, _, chunks = collect(download_images(attempts, policy, store, chunk_size=size))
    assert [chunk.done for chunk in chunks] == expected
    assert set(fetches) == set(attempts)


def test_files_are_written_before_their_rows_are_given(server, store, policy, photo, encode):
    attempts = {server.answers(f"/{n}.png", encode(photo.rotate(n), "PNG")): 0 for n in range(4)}
    for chunk in download_images(attempts, policy, store, chunk_size=2):
        assert all((store.root / row["path"]).is_file() for row in chunk.images.to_pylist())


def test_stopping_early_ends_the_downloads(server, store, policy, photo, encode):
    import threading

    before = threading.active_count()
    attempts = {server.answers(f"/{n}.png", encode(photo, "PNG")): 0 for n in range(30)}
    chunks = download_images(attempts, policy, store, chunk_size=1)
    next(chunks)
    chunks.close()
    assert threading.active_count() <= before


def test_the_settings_are_the_limits(only, tmp_path):
    with only(
        {
            "REDPOP_IMAGE_MAX_BYTES": "1000",
            "REDPOP_IMAGE_MAX_PIXELS": "2000",
            "REDPOP_IMAGE_MIN_EDGE": "30",
            "REDPOP_IMAGE_TIMEOUT_SECONDS": "4",
            "REDPOP_IMAGE_CONCURRENCY": "5",
            "REDPOP_IMAGE_CONCURRENCY_PER_HOST": "2",
            "REDPOP_IMAGE_HOSTS_ALLOWED": "127.0.0.1:80",
            "REDDIT_USER_AGENT": "linux:x:1 (by /u/someone)",
        },
        tmp_path,
    ):
        policy = fetch_policy(Settings())
    assert (policy.max_bytes, policy.max_pixels, policy.min_edge, policy.deadline) == (1000, 2000, 30, 4)
    assert (policy.concurrency, policy.per_host, policy.allowed_hosts) == (5, 2, frozenset({"127.0.0.1:80"}))
    assert policy.user_agent == "linux:x:1 (by /u/someone)"
    with only({}, tmp_path):
        assert fetch_policy(Settings()) == FetchPolicy(allowed_hosts=frozenset())
