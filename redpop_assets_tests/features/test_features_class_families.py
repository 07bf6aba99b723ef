import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from redpop_assets.errors import RedPopError
from redpop_assets.features import class_families
from redpop_assets.features.class_families import (
    CLASSES,
    CODE_VERSION,
    COLUMNS,
    Family,
    classes,
    families,
    family_probabilities,
    make_classes,
    membership,
    object_features,
    write_classes,
)
from redpop_assets.storage.schema import load_schema

DATA = Path(class_families.__file__).parent / "data"
WORDNET = Path("/usr/share/wordnet/data.noun")
PAPER = {
    "n01317541": "domestic_animal",
    "n03574555": "institution",
    "n07884567": "alcohol",
    "n04565375": "weapon",
    "n00020090": "substance",
    "n04381994": "tableware",
}

distributions = arrays(np.float64, (3, CLASSES), elements=st.floats(0, 1)).map(
    lambda values: (values + 1e-9) / (values + 1e-9).sum(axis=1, keepdims=True)
)


def column(lemma):
    return [family.lemma for family in families()].index(lemma)


def certain(*indices):
    rows = np.zeros((len(indices), CLASSES))
    rows[range(len(indices)), indices] = 1
    return rows


def test_the_table_has_the_classes_of_imagenet_in_order():
    from timm.data.imagenet_info import ImageNetInfo

    assert [entry.index for entry in classes()] == list(range(1000))
    assert [entry.wnid for entry in classes()] == ImageNetInfo().label_names()
    assert {entry.lexname for entry in classes()} <= {
        *("noun.animal", "noun.artifact", "noun.communication", "noun.food", "noun.object", "noun.person"),
        *("noun.plant", "noun.shape", "noun.substance"),
    }


def test_families_are_few_distinct_and_hold_something():
    assert 60 <= len(families()) <= 120
    assert (
        len({family.wnid for family in families()}) == len({family.lemma for family in families()}) == len(families())
    )
    assert membership().sum(axis=0).min() >= 1
    assert len({column.tobytes() for column in membership().T}) == len(families()), "two families hold the same classes"


def test_every_class_has_known_families_from_the_smallest_to_the_largest():
    known = [family.wnid for family in families()]
    sizes = dict(zip(known, membership().sum(axis=0), strict=True))
    for entry in classes():
        own = [sizes[wnid] for wnid in entry.families]
        assert own
        assert own == sorted(own), entry
        assert entry.family == entry.families[0]


def test_the_six_families_of_the_paper_are_there():
    lemmas = {family.wnid: family.lemma for family in families()}
    assert {wnid: lemmas.get(wnid) for wnid in PAPER} == PAPER


@pytest.mark.parametrize(
    ("index", "within"),
    [
        (207, {"dog", "domestic_animal", "canine", "mammal", "animal"}),  # golden retriever
        (281, {"domestic_cat", "domestic_animal", "feline", "animal"}),  # tabby
        (269, {"canine", "animal"}),  # timber wolf: no domestic animal
        (966, {"alcohol", "beverage", "substance"}),  # red wine
        (963, {"dish", "food", "substance"}),  # pizza
        (763, {"weapon", "instrumentality"}),  # revolver
        (743, {"institution"}),  # prison
        (809, {"tableware", "container"}),  # soup bowl
        (978, {"shore", "geological_formation"}),  # seashore
        (985, {"flower"}),  # daisy
    ],
)
def test_a_class_is_in_its_families(index, within):
    found = family_probabilities(certain(index))[0]
    assert {family.lemma for family, value in zip(families(), found, strict=True) if value} >= within
    if index == 269:
        assert found[column("domestic_animal")] == 0


def test_what_is_shared_between_kinds_of_dogs_is_all_dog():
    rows = np.zeros((1, CLASSES))
    rows[0, [207, 208, 281, 999]] = 0.4, 0.3, 0.2, 0.1  # two retrievers, a cat, toilet tissue
    found = family_probabilities(rows)[0]
    assert found[column("dog")] == pytest.approx(0.7)
    assert found[column("domestic_animal")] == found[column("animal")] == pytest.approx(0.9)


@given(distributions)
def test_family_probabilities_are_sums_over_their_classes(probabilities):
    found = family_probabilities(probabilities)
    assert found.shape == (3, len(families()))
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    for position in range(0, len(families()), 17):
        own = membership()[:, position].astype(bool)
        np.testing.assert_allclose(found[:, position], probabilities[:, own].sum(axis=1), rtol=1e-6)


@given(distributions)
def test_object_features_describe_the_distribution(probabilities):
    found = object_features(probabilities)
    assert tuple(found) == COLUMNS
    np.testing.assert_array_equal(found["peak"], found["top_probabilities"][:, 0])
    assert (np.diff(found["top_probabilities"], axis=1) <= 0).all()
    picked = np.take_along_axis(probabilities, found["top_classes"], axis=1)
    np.testing.assert_allclose(picked, found["top_probabilities"], rtol=1e-6)
    assert ((found["entropy"] >= 0) & (found["entropy"] <= 1)).all()


def test_entropy_runs_from_certain_to_flat():
    flat = np.full((1, CLASSES), 1 / CLASSES)
    two = certain(3) / 2 + certain(8) / 2
    assert object_features(certain(5))["entropy"][0] == 0
    assert object_features(flat)["entropy"][0] == pytest.approx(1)
    assert object_features(two)["entropy"][0] == pytest.approx(np.log(2) / np.log(1000))
    assert object_features(flat)["top_classes"][0].tolist() == [0, 1, 2, 3, 4]


def test_no_images_give_no_rows():
    found = object_features(np.empty((0, CLASSES), np.float32))
    assert {name: values.shape for name, values in found.items()} == {
        "families": (0, len(families())),
        "top_classes": (0, 5),
        "top_probabilities": (0, 5),
        "peak": (0,),
        "entropy": (0,),
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 999)), r"shape \(2, 999\)"),
        (np.zeros(CLASSES), "shape"),
        (certain(1) * 2, "sum to 1"),
        (certain(1) - 2 * certain(2) + 2 * certain(3), "negative"),
        (np.full((1, CLASSES), np.nan), "not finite"),
    ],
)
def test_what_is_no_distribution_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        family_probabilities(values)


def test_the_tables_change_only_with_the_code_version():
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in (DATA / "imagenet_classes.csv", DATA / "wordnet_families.csv")
    }
    assert (CODE_VERSION, digests) == (
        "1",
        {"imagenet_classes.csv": "5caba659376faea6", "wordnet_families.csv": "953ce20cf9e4e060"},
    )


def test_the_warehouse_keeps_as_many_families():
    table = load_schema()["features.image_objects"]
    types = {column.name: column.type for column in table.columns}
    assert types["families"] == f"FLOAT[{len(families())}]"
    assert tuple(types)[-len(COLUMNS) :] == COLUMNS


NOUNS = """\
  1 The licence, which starts with blanks.
00000001 03 n 01 thing 0 000 | everything
00000002 05 n 02 beast 0 brute 0 001 @ 00000001 n 0000 | a living thing
00000003 05 n 01 dog 0 002 @ 00000002 n 0000 ~ 00000005 n 0000 | a friend
00000004 06 n 01 pet 0 001 @ 00000001 n 0000 | kept at home
00000005 05 n 01 beagle 0 003 @ 00000003 n 0000 @ 00000004 n 0000 #m 00000001 n 0000 | with ears | and more
00000006 05 n 01 wolf 0 001 @i 00000002 n 0000 | without a home
"""


@pytest.fixture
def nouns(tmp_path):
    path = tmp_path / "data.noun"
    path.write_text(NOUNS, encoding="utf-8")
    return path


def test_families_follow_every_path_of_hypernyms(nouns):
    wanted = [Family("n00000002", "brute"), Family("n00000003", "dog"), Family("n00000004", "pet")]
    beagle, wolf = make_classes(nouns, ["n00000005", "n00000006"], wanted)
    assert beagle.families == ("n00000003", "n00000004", "n00000002"), "smallest first, then in the order of the list"
    assert (beagle.lemma, beagle.lexname, beagle.index) == ("beagle", "noun.animal", 0)
    assert wolf.families == ("n00000002",)


@pytest.mark.parametrize(
    ("wnids", "wanted", "message"),
    [
        (["n00000005"], [Family("n00000002", "dog")], "no dog as n00000002"),
        (["n00000009"], [Family("n00000002", "beast")], "lacks n00000009"),
        (["n00000006"], [Family("n00000003", "dog")], "wolf, belongs to no family"),
    ],
)
def test_another_wordnet_is_refused(nouns, wnids, wanted, message):
    with pytest.raises(RedPopError, match=message):
        make_classes(nouns, wnids, wanted)


@pytest.mark.skipif(not WORDNET.exists(), reason="WordNet 3.0 is not installed (Debian: wordnet-base)")
def test_the_shipped_table_is_the_one_that_wordnet_gives(tmp_path):
    write_classes(make_classes(WORDNET, [entry.wnid for entry in classes()], families()), tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == (DATA / "imagenet_classes.csv").read_bytes()
