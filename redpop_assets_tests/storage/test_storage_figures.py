"""Figures on disk: named, written whole, and removed."""

import pytest

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.figures import FigureStore


@pytest.fixture
def store(tmp_path):
    return FigureStore(tmp_path / "figures")


def test_a_figure_is_stored_by_community_and_name(store):
    store.write(store.relative("pics", "words"), b"png")
    assert (store.place.root / "pics" / "words.png").read_bytes() == b"png"
    assert store.read("pics/words.png") == b"png"
    assert store.names("pics") == ["words"]
    assert store.names("aww") == []


def test_equal_bytes_are_left_alone_and_others_replace_them(store):
    store.write("pics/words.png", b"one")
    path = store.place.root / "pics" / "words.png"
    inode = path.stat().st_ino
    store.write("pics/words.png", b"one")
    assert path.stat().st_ino == inode
    store.write("pics/words.png", b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in path.parent.iterdir()] == ["words.png"]  # nothing of the writing is left


def test_what_failed_to_be_written_leaves_the_old_one(store, monkeypatch):
    from pathlib import Path

    store.write("pics/words.png", b"one")
    path = store.place.root / "pics" / "words.png"
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        store.write("pics/words.png", b"two")
    assert path.read_bytes() == b"one"
    assert [each.name for each in path.parent.iterdir()] == ["words.png"]


def test_removing_says_whether_there_was_one(store):
    store.write("pics/words.png", b"one")
    assert store.remove("pics/words.png")
    assert not store.remove("pics/words.png")
    with pytest.raises(ArtifactError, match="run `redpop analyse` again"):
        store.read("pics/words.png")


@pytest.mark.parametrize(
    "path", ["../secret.png", "pics/../../x.png", "pics/words", "pics/.hidden.png", "words.png", ""]
)
def test_a_path_that_leads_elsewhere_is_refused(store, path):
    with pytest.raises(ArtifactError):
        store.remove(path)
