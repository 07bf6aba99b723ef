"""The contract of files, held by every form: a folder, object storage in memory, and a real S3 server."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from obstore.store import MemoryStore

from redpop_assets.errors import ArtifactError
from redpop_assets.storage import bucket
from redpop_assets.storage.bucket import Bucket, Link
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.files import Folder
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.location import open_link
from redpop_assets.storage.models import ModelStore

HOUR = timedelta(hours=1)
FORMS = ("folder", "memory", pytest.param("s3", marks=pytest.mark.integration))


@pytest.fixture(params=FORMS)
def images(request, tmp_path):
    """A new place for pictures, in each form."""
    if request.param == "folder":
        return ImageStore(Folder(tmp_path / "images"))
    if request.param == "memory":
        return ImageStore(Bucket(Link(MemoryStore(), "memory:", tmp_path), "images"))
    seaweed = request.getfixturevalue("seaweed")
    return ImageStore(Bucket(open_link(f"s3://{seaweed.bucket()}/a/b", tmp_path, seaweed.variables()), "images"))


@pytest.fixture
def models(images):
    return ModelStore(images.place.beside("models"))


def found(images):
    return [file.path for _, files in images.files() for file in files]


def save(models, **files):
    with models.new("pics", "gbm") as model:
        for name, text in files.items():
            path = model.folder / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return model.digest


# Files


def test_what_was_put_is_there_whole_and_goes_when_it_is_removed(images):
    with images.batch() as batch:
        stored = [batch.put(bytes([n]) * n, "jpg") for n in range(40)]
        stored.append(batch.put(os.urandom(7_000_000), "png"))
        batch.commit()
    paths = sorted(image.path for image in stored)
    assert found(images) == paths
    assert set(images.existing([*paths, f"aa/{'a' * 64}.jpg"])) == set(paths)
    assert all(hashlib.sha256(images.read(path)).hexdigest() in path and images.is_intact(path) for path in paths)
    sizes = {file.path: file.size for _, files in images.files() for file in files}
    assert sizes == {image.path: image.size for image in stored}
    assert all(timedelta(0) <= file.age < HOUR for _, files in images.files() for file in files)
    assert images.remove(*paths, paths[0], f"aa/{'a' * 64}.jpg") == len(paths)
    assert images.remove(paths[0]) == 0
    assert found(images) == []
    assert not images.exists(paths[0])
    assert not images.is_intact(paths[0])
    with pytest.raises(ArtifactError, match="is missing"):
        images.read(paths[0])


def test_more_files_than_a_page_are_listed_and_removed(images):
    with images.batch() as batch:
        paths = sorted(batch.put(str(n).encode(), "jpg").path for n in range(1100))
        batch.commit()
    assert [file.path for file in images.place.listed()] == paths
    assert images.remove(*paths) == 1100
    assert list(images.place.listed()) == []


def test_many_threads_may_put_the_same_file(images):
    with ThreadPoolExecutor(8) as pool:
        stored = set(pool.map(lambda _: images.put(b"pixels" * 1000, "jpg"), range(40)))
    assert found(images) == [stored.pop().path]


def test_a_file_of_another_size_is_replaced(images):
    image = images.put(b"pixels", "jpg")
    images.place.replace(image.path, b"pix")
    assert not images.is_intact(image.path)
    with pytest.raises(ArtifactError, match="damaged"):
        images.read(image.path)
    images.put(b"pixels", "jpg")
    assert images.read(image.path) == b"pixels"


def test_a_file_that_is_there_is_not_written_again(images, monkeypatch):
    image = images.put(b"pixels", "jpg")
    (before,) = images.place.listed()
    monkeypatch.setattr(type(images.place), "replace", None)
    assert images.put(b"pixels", "jpg") == image
    time.sleep(0.05)
    (after,) = images.place.listed()
    assert after.age > before.age


def test_figures_replace_each_other(images):
    figures = FigureStore.beside(images)
    figures.write("pics/words.png", b"one")
    figures.write("pics/words.png", b"two")
    figures.write("pics/trees.png", b"three")
    figures.write("aww/trees.png", b"four")
    assert figures.names("pics") == ["trees", "words"]
    assert figures.read("pics/words.png") == b"two"
    assert figures.remove("pics/words.png", "pics/none.png") == 1
    assert figures.names("pics") == ["trees"]
    with pytest.raises(ArtifactError, match="run `redpop analyse` again"):
        figures.read("pics/words.png")
    assert found(images) == []


def test_reading_ahead_gives_the_same_in_any_order(images):
    with images.batch() as batch:
        paths = [batch.put(str(n).encode(), "jpg").path for n in range(100)]
        batch.commit()
    lost = paths[50]
    images.remove(lost)
    for order in (range(100), [99, 0, 3, 1, 40, 41, 42, 2, 41], [0, 40, 80, 20]):
        ahead = images.ahead(paths)
        for index in order:
            if index == 50:
                with pytest.raises(ArtifactError, match="missing"):
                    ahead.read(index)
            else:
                assert ahead.read(index) == str(index).encode()
        ahead.close()


def test_reading_ahead_serves_several_threads_and_holds_few(images):
    with images.batch() as batch:
        paths = [batch.put(str(n).encode(), "jpg").path for n in range(200)]
        batch.commit()
    ahead = images.ahead(paths)
    most = 0

    def read(index):
        nonlocal most
        data = ahead.read(index)
        most = max(most, len(ahead._begun))
        return data

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(200))) == [str(n).encode() for n in range(200)]
    assert most <= 2 * bucket.AT_ONCE


# Models


def test_a_model_is_complete_or_absent_and_goes_when_nobody_refers_to_it(models, monkeypatch):
    used, unused = save(models, a="1", sub__b="2"), save(models, a="2")
    assert (models.folder("pics", "gbm", used) / "sub" / "b").read_text() == "2"
    assert sorted(folder.key for folder in models.place.folders()) == sorted(
        f"pics/gbm/{digest}" for digest in (used, unused)
    )
    assert models.prune([("pics", "gbm", used)]) == 0  # both are young
    monkeypatch.setattr("redpop_assets.storage.models._UNSETTLED", timedelta(0))
    time.sleep(1.1)  # S3 counts seconds
    assert models.prune([("pics", "gbm", used)]) == 1
    with pytest.raises(ArtifactError, match=r"missing.*train gbm again"):
        models.folder("pics", "gbm", unused)
    assert (models.folder("pics", "gbm", used) / "a").read_text() == "1"


def test_saving_a_damaged_model_again_repairs_it(models):
    digest = save(models, a="1", b="2")
    models.place.replace(f"pics/gbm/{digest}/b", b"9")
    _without_copies(models)
    with pytest.raises(ArtifactError, match="damaged"):
        models.folder("pics", "gbm", digest)
    assert save(models, a="1", b="2") == digest
    _without_copies(models)
    assert (models.folder("pics", "gbm", digest) / "b").read_text() == "2"


def test_a_model_that_fails_to_be_saved_leaves_nothing(models):
    with pytest.raises(RuntimeError), models.new("pics", "gbm") as model:  # noqa: PT012
        (model.folder / "half").write_text("1")
        raise RuntimeError
    assert list(models.place.folders()) == []


def _without_copies(models):
    if isinstance(models.place, Bucket):
        for copy in models.place._cache.glob("*"):
            for path in copy.glob("*"):
                path.unlink()
            copy.rmdir()


@pytest.fixture
def remote(tmp_path):
    """Models in object storage in memory, of two homes."""
    client = MemoryStore()
    return [ModelStore(Bucket(Link(client, "memory:", tmp_path / home), "models")) for home in ("one", "two")]


def test_a_folder_without_its_manifest_is_not_there_and_is_removed_in_time(remote, monkeypatch):
    one, _ = remote
    digest = save(one, a="1")
    one.place.remove([f"pics/gbm/{digest}.json"])
    with pytest.raises(ArtifactError, match="missing"):
        one.folder("pics", "gbm", digest)
    monkeypatch.setattr("redpop_assets.storage.models._UNSETTLED", timedelta(0))
    time.sleep(0.01)
    assert one.prune([]) == 1
    assert list(one.place.listed()) == []


def test_a_copy_of_what_another_machine_deleted_goes(remote):
    one, two = remote
    digest = save(one, a="1")
    copy = two.folder("pics", "gbm", digest)
    one.place.remove_folder(f"pics/gbm/{digest}")
    with pytest.raises(ArtifactError, match="missing"):
        two.folder("pics", "gbm", digest)
    assert not copy.exists()


def test_a_damaged_copy_is_fetched_again(remote):
    one, _ = remote
    digest = save(one, a="1", b="2")
    folder = one.folder("pics", "gbm", digest)
    (folder / "a").write_text("9")
    assert (one.folder("pics", "gbm", digest) / "a").read_text() == "1"


def test_two_at_once_read_and_save_one_model(remote):
    one, two = remote
    digest = save(one, a="1" * 100_000, b="2")
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: two.folder("pics", "gbm", digest), range(16)))
        assert {save(two, a="1" * 100_000, b="2") for _ in range(4)} == {digest}
    assert len(set(folders)) == 1
    assert [path.name for path in folders[0].parent.iterdir()] == [digest]


def test_copies_are_bounded_but_none_goes_that_was_used_just_now(remote, monkeypatch):
    one, _ = remote
    monkeypatch.setattr(bucket, "CACHE_BYTES", 250)
    digests = [save(one, a=str(n) * 100) for n in range(4)]
    cache = one.place._cache
    assert len(list(cache.iterdir())) == 4
    for number, digest in enumerate(digests):
        moment = time.time() - 7200 + number
        os.utime(cache / digest, (moment, moment))
    os.utime(cache / digests[0], (0, 0))
    newest = save(one, a="new" * 10)
    assert {path.name for path in cache.iterdir()} == {newest, digests[3], digests[2]}


# Processes

PUTTING = """
import sys
from pathlib import Path
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.location import open_files
import json, random
location, home, variables, seed = sys.argv[1:]
place = open_files(location, Path(home), "images", json.loads(variables))
random.seed(int(seed))
print("ready", flush=True)
while True:
    with ImageStore(place).batch() as batch:
        for n in range(20):
            batch.put(random.randbytes(400_000), "jpg")
        batch.commit()
    with ModelStore(place.beside("models")).new("pics", "gbm") as model:
        for n in range(4):
            (model.folder / str(n)).write_bytes(random.randbytes(300_000))
"""


@pytest.mark.integration
def test_a_process_that_is_killed_leaves_nothing_half(seaweed, tmp_path):
    location = f"s3://{seaweed.bucket()}/home"
    images = ImageStore(Bucket(open_link(location, tmp_path, seaweed.variables()), "images"))
    models = ModelStore(images.place.beside("models"))
    moments = random.Random(5)
    for _ in range(4):
        arguments = [location, str(tmp_path / "home"), json.dumps(seaweed.variables()), "7"]
        process = subprocess.Popen([sys.executable, "-c", PUTTING, *arguments], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.05, 0.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        paths = found(images)
        assert all(images.is_intact(path) for path in paths)
        complete = [file.path for file in models.place.listed() if file.path.endswith(".json")]
        for manifest in complete:
            models.folder("pics", "gbm", manifest.rpartition("/")[2].removesuffix(".json"))
    assert found(images)


@pytest.mark.integration
def test_two_processes_put_the_same_at_once(seaweed, tmp_path):
    location = f"s3://{seaweed.bucket()}"
    script = PUTTING.replace("while True:", "for _ in range(2):").replace("400_000", "40_000")
    arguments = [location, str(tmp_path / "home"), json.dumps(seaweed.variables()), "7"]
    processes = [subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE) for _ in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    for process in processes:
        process.stdout.close()
    images = ImageStore(Bucket(open_link(location, tmp_path, seaweed.variables()), "images"))
    paths = found(images)
    assert len(paths) == 40
    assert all(images.is_intact(path) for path in paths)
    assert len(list(ModelStore(images.place.beside("models")).place.folders())) == 2
