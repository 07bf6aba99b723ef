"""Image files: named by content, written whole or not at all, durable before anybody is told of them."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.images import ImageStore

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


def files(store):
    return sorted(
        path.relative_to(store.place.root).as_posix() for path in store.place.root.rglob("*") if path.is_file()
    )


def make_older(path, age):
    moment = time.time() - age.total_seconds()
    os.utime(path, (moment, moment))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000), extension=st.sampled_from(["jpg", "png", "webp"]))
def test_what_was_put_is_read_by_its_content(store, data, extension):
    image = store.put(data, extension)
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert image.path == f"{image.sha256[:2]}/{image.sha256}.{extension}"
    assert image.size == len(data)
    assert store.read(image.path) == data
    assert store.path(image.sha256, extension) == image.path
    assert store.exists(image.path)
    assert store.is_intact(image.path)
    assert store.put(data, extension) == image


def test_equal_bytes_are_written_once(store):
    image = store.put(b"pixels", "jpg")
    before = (store.place.root / image.path).stat().st_mtime_ns
    assert store.put(b"pixels", "jpg") == image
    assert (store.place.root / image.path).stat().st_mtime_ns == before
    assert files(store) == [image.path]


def test_many_threads_may_put_the_same_image(store):
    with ThreadPoolExecutor(8) as pool:
        images = set(pool.map(lambda _: store.put(b"pixels" * 1000, "jpg"), range(40)))
    assert files(store) == [images.pop().path]


def test_a_cut_off_file_is_replaced(store):
    image = store.put(b"pixels", "jpg")
    (store.place.root / image.path).write_bytes(b"pix")
    assert not store.is_intact(image.path)
    with pytest.raises(ArtifactError, match="damaged"):
        store.read(image.path)
    store.put(b"pixels", "jpg")
    assert store.read(image.path) == b"pixels"


def test_a_failing_write_leaves_nothing(store, monkeypatch):
    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        store.put(b"pixels", "jpg")
    assert files(store) == []


def test_a_missing_image_says_what_to_do(store):
    with pytest.raises(ArtifactError, match=r"is missing\. `redpop images verify --repair`"):
        store.read(f"aa/{'a' * 64}.jpg")
    assert not store.exists(f"aa/{'a' * 64}.jpg")
    assert not store.is_intact(f"aa/{'a' * 64}.jpg")


@pytest.mark.parametrize("action", ["read", "remove", "exists", "is_intact"])
@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "", f"bb/{'a' * 64}.jpg", f"aa/../aa/{'a' * 64}.jpg", f"aa/{'a' * 64}"]
)
def test_no_path_leads_out_of_the_store(store, action, path):
    with pytest.raises(ArtifactError):
        getattr(store, action)(path)


@pytest.mark.parametrize("extension", ["", ".jpg", "JPG", "j/pg", "../x"])
def test_an_extension_is_lower_case_letters(store, extension):
    with pytest.raises(ArtifactError, match="extension"):
        store.put(b"pixels", extension)


def test_a_removed_image_is_gone(store):
    image = store.put(b"pixels", "jpg")
    assert store.remove(image.path) == 1
    assert store.remove(image.path) == 0
    assert files(store) == []


# Batches


def test_a_batch_shows_nothing_before_it_is_committed(store):
    with store.batch() as batch:
        images = [batch.put(bytes([n]) * 10, "jpg") for n in range(5)]
        assert batch.put(b"\0" * 10, "jpg") == images[0]
        assert not any(store.exists(image.path) for image in images)
        assert len(files(store)) == 5
        batch.commit()
        assert files(store) == sorted(image.path for image in images)
        batch.commit()
        batch.put(b"one more", "jpg")
    assert files(store) == sorted(image.path for image in images)


def test_an_error_discards_what_was_not_committed(store):
    def fails():
        with store.batch() as batch:
            batch.put(b"pixels", "jpg")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert files(store) == []


def test_every_file_and_folder_is_on_the_disk_before_commit_returns(store, monkeypatch):
    synced, names = [], []
    fsync = os.fsync

    def remember(handle):
        synced.append(os.fstat(handle).st_ino)
        names.append(files(store))
        fsync(handle)

    monkeypatch.setattr("os.fsync", remember)
    with store.batch() as batch:
        images = [batch.put(bytes([n]), "jpg") for n in range(3)]
        batch.commit()
    paths = [store.place.root / image.path for image in images]
    files_of = {path.stat().st_ino for path in paths}
    assert files_of <= set(synced)
    assert {path.parent.stat().st_ino for path in paths} <= set(synced)
    assert store.place.root.stat().st_ino in synced
    # No file had its name before all of them were safe.
    last = max(synced.index(inode) for inode in files_of)
    assert not any(image.path in names[last] for image in images)


def test_a_killed_process_leaves_nothing_but_temporary_files(store):
    script = """
import sys
from pathlib import Path
from redpop_assets.storage.images import ImageStore
with ImageStore(Path(sys.argv[1])).batch() as batch:
    for n in range(20):
        batch.put(bytes([n]) * 1000, "jpg")
    print("written", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(store.place.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(files(store)) == 20
    assert not any(found for _, found in store.files())
    assert store.remove_leftovers(HOUR) == 20
    assert files(store) == []


def test_leftovers_of_earlier_versions_are_known_by_their_name(store):
    image = store.put(b"pixels", "jpg")
    old = (store.place.root / image.path).with_name(".new-x1y2")
    old.write_bytes(b"pix")
    make_older(old, 2 * HOUR)
    make_older(store.place.root / image.path, 2 * HOUR)
    (found,) = store.leftovers(HOUR)
    assert (found.path, found.size) == (f"{image.sha256[:2]}/.new-x1y2", 3)
    assert store.leftovers(3 * HOUR) == []
    assert store.remove_leftovers(HOUR) == 1
    assert files(store) == [image.path]


def test_all_stored_files_are_listed_folder_by_folder_and_nothing_else(store):
    images = {image.path: image.size for image in (store.put(bytes([n]) * n, "jpg") for n in range(1, 40))}
    (store.place.root / "readme.txt").write_text("not ours")
    folder = store.place.root / next(iter(images))[:2]
    (folder / ".DS_Store").write_text("not ours")
    listed = list(store.files())
    assert [folder for folder, _ in listed] == [f"{number:02x}" for number in range(256)]
    found = [file for _, files_of in listed for file in files_of]
    assert {file.path: file.size for file in found} == images
    assert [file.path for file in found] == sorted(images)
    assert all(timedelta(0) <= file.age < HOUR for file in found)


def test_an_empty_store_has_no_files(store):
    assert not any(found for _, found in store.files())
    assert store.leftovers(HOUR) == []
