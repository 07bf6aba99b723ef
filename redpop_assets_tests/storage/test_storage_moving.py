"""The files of a deployment go from one place to another, and arrive."""

import itertools

import pytest
from obstore.store import MemoryStore

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.bucket import Bucket, Link
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.files import Folder
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.moving import copy_store


@pytest.fixture(params=list(itertools.product(("folder", "bucket"), repeat=2)), ids="-".join)
def places(request, tmp_path):
    """Where files are, and where they go."""

    def place(form, name):
        if form == "folder":
            return Folder(tmp_path / name / "images")
        return Bucket(Link(MemoryStore(), f"memory:{name}", tmp_path / name), "images")

    return [place(form, name) for form, name in zip(request.param, ("old", "new"), strict=True)]


def filled(place):
    images, models, figures = (kind(place.beside(name)) for kind, name in KINDS)
    paths = [images.put(bytes([n]) * 1000, "jpg").path for n in range(130)]
    figures.write("pics/words.png", b"png")
    with models.new("pics", "gbm") as model:
        (model.folder / "sub").mkdir()
        (model.folder / "sub" / "a").write_text("1")
    return paths, model.digest


KINDS = ((ImageStore, "images"), (ModelStore, "models"), (FigureStore, "figures"))


def test_everything_arrives_and_copying_again_changes_nothing(places):
    old, new = places
    paths, digest = filled(old)
    told = []
    done = copy_store(old, new.beside("models"), lambda done: told.append(done.files))
    assert (done.files, done.bytes, done.models) == (131, 130_003, 1)
    assert told[-1] == 131
    images, models, figures = (kind(new.beside(name)) for kind, name in KINDS)
    assert [file.path for _, files in images.files() for file in files] == sorted(paths)
    assert all(images.is_intact(path) for path in paths)
    assert (models.folder("pics", "gbm", digest) / "sub" / "a").read_text() == "1"
    assert figures.read("pics/words.png") == b"png"
    assert ImageStore(old).exists(paths[0])  # nothing goes at the old place
    assert copy_store(old, new) == done


def test_what_differs_at_the_target_is_replaced_and_what_is_damaged_at_the_source_is_told(places):
    old, new = places
    paths, _ = filled(old)
    new.replace(paths[3], b"of another picture")
    copy_store(old, new)
    assert ImageStore(new).is_intact(paths[3])
    old.replace(paths[3], b"of another picture")
    with pytest.raises(ArtifactError, match=r"is damaged: `redpop images verify --repair` first"):
        copy_store(old, new)
