import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.images import ImageStore


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


def files(store):
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000), extension=st.sampled_from(["jpg", "png", "webp"]))
def test_what_was_put_is_read_by_its_content(store, data, extension):
    image = store.put(data, extension)
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert image.path == f"{image.sha256[:2]}/{image.sha256}.{extension}"
    assert image.size == len(data)
    assert store.read(image.path) == data
    assert store.path(image.sha256, extension) == store.root / image.path
    assert store.put(data, extension) == image


def test_equal_bytes_are_written_once(store):
    image = store.put(b"pixels", "jpg")
    before = (store.root / image.path).stat().st_mtime_ns
    assert store.put(b"pixels", "jpg") == image
    assert (store.root / image.path).stat().st_mtime_ns == before
    assert files(store) == [image.path]


def test_many_threads_may_put_the_same_image(store):
    with ThreadPoolExecutor(8) as pool:
        images = set(pool.map(lambda _: store.put(b"pixels" * 1000, "jpg"), range(40)))
    assert files(store) == [images.pop().path]


def test_a_cut_off_file_is_replaced(store):
    image = store.put(b"pixels", "jpg")
    (store.root / image.path).write_bytes(b"pix")
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
    with pytest.raises(ArtifactError, match=r"is missing\. Restore"):
        store.read(f"aa/{'a' * 64}.jpg")


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "", f"bb/{'a' * 64}.jpg", f"aa/../aa/{'a' * 64}.jpg", f"aa/{'a' * 64}"]
)
def test_no_path_leads_out_of_the_store(store, path):
    with pytest.raises(ArtifactError):
        store.read(path)


@pytest.mark.parametrize("extension", ["", ".jpg", "JPG", "j/pg", "../x"])
def test_an_extension_is_lower_case_letters(store, extension):
    with pytest.raises(ArtifactError, match="extension"):
        store.put(b"pixels", extension)
