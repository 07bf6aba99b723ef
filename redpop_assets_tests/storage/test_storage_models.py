import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.files import folder_digest
from redpop_assets.storage.models import ModelStore


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models")


def save(store, **files):
    with store.new("pics", "gbm") as model:
        for name, text in files.items():
            path = model.folder / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return model.digest


def folders(store):
    return sorted(path.name for path in (store.place.root / "pics" / "gbm").iterdir())


def test_a_model_is_found_by_its_digest(store):
    digest = save(store, a="1", sub__b="2")
    folder = store.folder("pics", "gbm", digest)
    assert folder == store.place.root / "pics" / "gbm" / digest
    assert (folder / "sub" / "b").read_text() == "2"
    assert folders(store) == [digest]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_the_block_ends_with_folder_and_digest(store):
    with store.new("pics", "gbm") as model:
        (model.folder / "a").write_text("1")
    assert model.folder == store.folder("pics", "gbm", model.digest)


def test_equal_files_are_one_model_and_others_are_not(store):
    digests = [
        save(store, a="1", b="2"),
        save(store, b="2", a="1"),
        save(store, a="2", b="1"),
        save(store, a="1", c="2"),
    ]
    assert digests[0] == digests[1]
    assert folders(store) == sorted(set(digests))
    assert len(set(digests)) == 3


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "ab"]), st.text("ab\n:", max_size=4)), min_size=2, max_size=2)
)
def test_digests_are_equal_exactly_for_equal_folders(tmp_path_factory, pair):
    digests = []
    for content in pair:
        folder = tmp_path_factory.mktemp("model")
        for name, text in content.items():
            (folder / name).write_text(text)
        digests.append(folder_digest(folder))
    assert (digests[0] == digests[1]) == (pair[0] == pair[1])


def test_a_failed_save_leaves_nothing(store):
    with pytest.raises(RuntimeError, match="while saving"), store.new("pics", "gbm") as model:  # noqa: PT012
        (model.folder / "half").write_text("1")
        raise RuntimeError("while saving")
    assert folders(store) == []
    with pytest.raises(ArtifactError, match="saved no file"), store.new("pics", "gbm"):
        pass
    assert folders(store) == []


@pytest.mark.parametrize(
    "harm", [lambda f: (f / "a").write_text("9"), lambda f: (f / "a").unlink(), lambda f: (f / "z").touch()]
)
def test_a_damaged_model_is_refused_and_saving_it_again_repairs_it(store, harm):
    digest = save(store, a="1", b="2")
    harm(store.folder("pics", "gbm", digest))
    with pytest.raises(ArtifactError, match=r"damaged.*train gbm again"):
        store.folder("pics", "gbm", digest)
    assert save(store, a="1", b="2") == digest
    assert store.folder("pics", "gbm", digest).is_dir()


def test_a_missing_model_says_what_to_do(store):
    with pytest.raises(ArtifactError, match=r"missing.*train gbm again"):
        store.folder("pics", "gbm", "0" * 64)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "a\0b", "a b"])
def test_no_name_leads_out_of_the_store(store, name):
    for names in ((name, "gbm"), ("pics", name)):
        with pytest.raises(ArtifactError, match="cannot name a folder"):
            store.folder(*names, "0" * 64)
        with pytest.raises(ArtifactError, match="cannot name a folder"), store.new(*names):
            pass
    with pytest.raises(ArtifactError, match="no digest"):
        store.folder("pics", "gbm", name)


def test_models_in_use_and_new_ones_stay_when_the_others_go(store):
    used, unused, new = (save(store, a=text) for text in ("used", "unused", "new"))
    left_by_a_kill = store.place.root / "pics" / "gbm" / ".new-killed"
    left_by_a_kill.mkdir()
    for name in (used, unused, left_by_a_kill.name):
        os.utime(left_by_a_kill.with_name(name), (0, 0))
    assert store.prune([("pics", "gbm", used)]) == 2
    assert set(folders(store)) == {used, new}
    assert store.folder("pics", "gbm", used).is_dir()
    assert store.prune([("pics", "gbm", used)]) == 0
    assert not (store.place.root / "pics" / "gbm" / unused).exists()
