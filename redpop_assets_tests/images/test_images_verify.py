"""Stored pictures against their rows: what is found, what is put right, and what is left alone."""

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.images.verify import KINDS, verify_images
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
MOMENT = datetime(2026, 1, 1)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "home" / "images")


@pytest.fixture
def warehouse(empty_warehouse, keep):
    return keep(empty_warehouse)


def write(warehouse, table, *rows):
    with warehouse.write() as writer:
        schema = writer.query(f"SELECT * FROM {table} LIMIT 0").schema
        writer.append(table, pa.Table.from_pylist(list(rows), schema=schema))


def make_older(store, path, age=2 * HOUR):
    moment = time.time() - age.total_seconds()
    os.utime(store.place.root / path, (moment, moment))


@pytest.fixture
def add(warehouse, store):
    """Store a picture as a download does; returns the path of its file."""

    def store_picture(data, *, post=True, identity=None):
        image_sha256 = identity or sha256(data)
        stored = store.put(data, "jpg")
        make_older(store, stored.path)
        url = f"https://i.redd.it/{image_sha256[:13]}.jpg"
        image = {
            **{"image_sha256": image_sha256, "path": stored.path, "file_sha256": stored.sha256, "format": "JPEG"},
            **{"bytes": len(data), "width": 1, "height": 1, "phash": "0" * 16, "dhash": "0" * 16, "stored_at": MOMENT},
        }
        fetch = {
            **{"url": url, "status": "stored", "detail": "", "http_status": 200, "image_sha256": image_sha256},
            **{"attempts": 1, "fetched_at": MOMENT, "checked_at": MOMENT, "etag": '"1"', "last_modified": "x"},
        }
        write(warehouse, "core.images", image)
        write(warehouse, "core.image_fetches", fetch)
        if post:
            row = {
                **{"post_id": image_sha256[:13], "subreddit": "pics", "kind": "image", "created_at": MOMENT},
                **{"caption": "x", "caption_sha256": "x", "code_version": "1", "image_urls": [url]},
                **dict.fromkeys(("is_original_content", "over_18", "spoiler"), False),
            }
            write(warehouse, "core.posts", row)
        return stored.path

    return store_picture


def verify(warehouse, store, *, repair=False, older_than=HOUR):
    result = verify_images(warehouse, store, repair=repair, older_than=older_than)
    return result, {kind: found.count for kind, found in result.findings.items() if found.count}


def fetch_of(warehouse, data):
    (row,) = warehouse.query(
        "FROM core.image_fetches WHERE url = $url", {"url": f"https://i.redd.it/{sha256(data)[:13]}.jpg"}
    ).to_pylist()
    return row


def test_a_sound_store_has_no_findings(warehouse, store, add):
    paths = {add(bytes([n]) * 100) for n in range(20)}
    seen = []
    result = verify_images(
        warehouse, store, repair=False, older_than=HOUR, progress=lambda done, total: seen.append((done, total))
    )
    assert result.is_sound
    assert list(result.findings) == list(KINDS)
    assert (result.pictures, result.files, result.bytes) == (20, len(paths), 2000)
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (256, (20, 20))


def test_an_empty_warehouse_is_sound(warehouse, store):
    result, found = verify(warehouse, store)
    assert (result.is_sound, result.pictures, found) == (True, 0, {})


def test_without_a_warehouse_there_is_nothing_to_compare_with(tmp_path, store):
    with pytest.raises(WarehouseError, match="There is no warehouse"):
        verify(Warehouse(tmp_path / "home", source="test"), store)


@pytest.mark.parametrize("kind", ["missing", "corrupt"])
def test_a_lost_picture_is_fetched_again(warehouse, store, add, kind):
    path, other = add(b"picture"), add(b"other")
    if kind == "missing":
        (store.place.root / path).unlink()
    else:
        (store.place.root / path).write_bytes(b"PICTURE")  # of the same size: only its bytes tell
        make_older(store, path)
    result, found = verify(warehouse, store)
    assert (result.is_sound, found, result.findings[kind].example) == (False, {kind: 1}, path)
    assert fetch_of(warehouse, b"picture")["status"] == "stored"  # looking changes nothing
    assert warehouse.scalar("SELECT count(*) FROM core.images") == 2

    result, found = verify(warehouse, store, repair=True)
    assert (result.is_sound, found) == (True, {kind: 1})
    row = fetch_of(warehouse, b"picture")
    assert (row["status"], row["reason"], row["image_sha256"], row["attempts"]) == ("retry", "file_lost", None, 0)
    # With a version the host would say that nothing has changed.
    assert (row["etag"], row["last_modified"], row["checked_at"]) == (None, None, None)
    assert row["next_attempt_at"] <= datetime.now(UTC).replace(tzinfo=None)
    assert fetch_of(warehouse, b"other")["status"] == "stored"
    assert not store.exists(path)
    assert store.exists(other)
    assert warehouse.scalar("SELECT count(*) FROM core.images") == 1
    assert verify(warehouse, store)[1] == {}
    # The way is free for the same bytes.
    assert store.put(b"picture", "jpg").path == path
    assert store.read(path) == b"picture"


def test_pictures_that_share_a_lost_file_are_both_fetched_again(warehouse, store, add):
    path = add(b"shared", identity="a" * 64)
    assert add(b"shared", identity="b" * 64) == path
    store.remove(path)
    assert verify(warehouse, store, repair=True)[1] == {"missing": 1}
    assert warehouse.scalar("SELECT count(*) FROM core.image_fetches WHERE status = 'retry'") == 2
    assert warehouse.scalar("SELECT count(*) FROM core.images") == 0


def test_a_file_without_a_row_is_removed_when_it_is_old_enough(warehouse, store, add):
    kept = add(b"picture")
    young, old = store.put(b"young", "jpg").path, store.put(b"old", "jpg").path
    make_older(store, old)
    assert verify(warehouse, store)[1] == {"orphaned": 1}
    assert verify(warehouse, store, older_than=3 * HOUR)[1] == {}
    assert verify(warehouse, store, repair=True)[0].findings["orphaned"].example == old
    assert [store.exists(path) for path in (kept, young, old)] == [True, True, False]
    assert verify(warehouse, store, repair=True, older_than=timedelta(0))[1] == {"orphaned": 1}
    assert [store.exists(path) for path in (kept, young)] == [True, False]


def test_files_of_others_are_left_alone(warehouse, store, add):
    path = add(b"picture")
    other = (store.place.root / path).with_name("notes.txt")
    other.write_text("not ours")
    make_older(store, other)
    assert verify(warehouse, store, repair=True)[1] == {}
    assert other.exists()


def test_a_picture_that_no_post_shows_is_removed(warehouse, store, add):
    used, unused = add(b"used"), add(b"unused", post=False)
    write(
        warehouse,
        "features.image_embeddings",
        {"image_sha256": sha256(b"unused"), "encoder": "e", "code_version": "1", "embedding": [1.0]},
    )
    result, found = verify(warehouse, store)
    assert (found, result.findings["unused"].example) == ({"unused": 1}, unused)
    assert verify(warehouse, store, repair=True)[1] == {"unused": 1}
    assert [store.exists(path) for path in (used, unused)] == [True, False]
    assert warehouse.scalar("SELECT count(*) FROM core.images") == 1
    assert warehouse.scalar("SELECT count(*) FROM core.image_fetches") == 1
    assert warehouse.scalar("SELECT count(*) FROM features.image_embeddings") == 0
    assert verify(warehouse, store)[1] == {}


def test_a_fetch_whose_picture_has_no_row_starts_again(warehouse, store, add):
    path = add(b"picture")
    with warehouse.write() as writer:
        writer.execute("DELETE FROM core.images")
    assert verify(warehouse, store)[1] == {"orphaned": 1, "unrecorded": 1}
    assert verify(warehouse, store, repair=True)[0].is_sound
    assert fetch_of(warehouse, b"picture")["status"] == "retry"
    assert not store.exists(path)
    assert verify(warehouse, store)[1] == {}


def test_temporary_files_are_found_and_removed(warehouse, store):
    with store.batch() as batch:
        batch.put(b"being written", "jpg")
        (staging,) = store.place.root.glob(".new-*")
        first, second = staging.with_name(f".new-{'0' * 32}") / "half.jpg", next(staging.iterdir())
        first.parent.mkdir()
        first.write_bytes(b"ha")
        make_older(store, second)
        assert verify(warehouse, store)[1] == {"leftover": 1}
        assert verify(warehouse, store, repair=True)[1] == {"leftover": 1}
        assert not first.exists()
        assert second.exists()
