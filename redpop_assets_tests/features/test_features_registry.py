"""The registry of families: each is declared once, and everything that is derived from it sees the same columns."""

import pytest

from redpop_assets.evaluation.catalogue import feature_values
from redpop_assets.exports.posts import Selection, _feature_columns
from redpop_assets.features.family import KEYS, Encoders, Networks, NotAsked, Subjects
from redpop_assets.features.registry import BLOCKS, COMPARED, FAMILIES, STEPS
from redpop_assets.predictors.dataset import BLOCK_NAMES, EMBEDDINGS
from redpop_assets.refresh.blocks import block_columns, read_dataset
from redpop_assets.refresh.drift import read_sample
from redpop_assets.storage.schema import load_schema

SCHEMA = load_schema()
EXPORTED = {
    (column.source.rpartition(".")[0], column.source.rpartition(".")[2])
    for column in _feature_columns(
        Selection(encoders=dict.fromkeys(("image", "caption"), "x/y"), networks=Encoders("", ""))
    )
}


@pytest.fixture(scope="module")
def filled(fill, tmp_path_factory):
    from redpop_assets.storage.warehouse import Warehouse

    warehouse = Warehouse(tmp_path_factory.mktemp("registry") / "home", source="test", lock_timeout=30)
    fill(warehouse, posts=60)
    with warehouse.kept():
        yield warehouse


def test_names_and_tables_are_declared_once():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert len({family.table for family in FAMILIES}) == len(FAMILIES)
    assert tuple(BLOCKS) == BLOCK_NAMES


def test_every_table_of_features_belongs_to_a_family():
    tables = {name for name, table in SCHEMA.items() if table.layer == "features"}
    # What networks there were, what was accepted, what rows were made from, and what is known later than at posting.
    kept_apart = {
        f"features.{name}" for name in ("encoders", "profiles", "known_posts", "made_posts", "early_readings")
    }
    assert {table for family in FAMILIES for table in (family.table, family.filled_table)} == tables - kept_apart


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_fits_its_table(family):
    filled = SCHEMA[family.filled_table]
    assert set(KEYS[family.grain]) <= set(filled.key)
    assert {column for column, _ in family.networks} <= set(filled.column_names)
    assert {network for _, network in family.networks} <= set(vars(Encoders("", "")))
    assert SCHEMA[family.table].is_view == bool(family.filled)
    assert set(family.made_from) <= set(SCHEMA)


@pytest.mark.parametrize("step", STEPS)
def test_what_is_computed_together_asks_for_the_same(step):
    families = STEPS[step]
    assert len({(family.grain, family.rows_at_once is None) for family in families if family.grain != "post"}) <= 1
    # Dagster has one way per step in which communities depend on each other.
    assert len({family.past == "everybody" for family in families}) == 1
    assert len({family.optional for family in families}) == 1


@pytest.mark.parametrize("name", BLOCKS)
def test_training_catalogue_drift_and_export_see_the_same_columns(name, filled, encoders):
    family, table = BLOCKS[name], SCHEMA[BLOCKS[name].table]
    inputs = {column.name for column in block_columns(name)}
    later = {column.name for column in table.columns if column.is_feature and column.known_at == "after_post"}
    numbers = {column.name for column in table.columns if column.is_feature}
    assert inputs
    assert inputs == numbers - later
    if name not in EMBEDDINGS:  # a column of its own, beside the network that made it
        assert {column for source, column in EXPORTED if source == family.table} == numbers
    block = read_dataset(filled, "pics", encoders, [name]).blocks[name]
    assert set(feature_values(block, table)) >= inputs
    if family.compared and not table.is_view:
        seen = read_sample(filled, "pics", family.filled_table, encoders).columns
        assert {column.split(" (")[0] for column in seen} == numbers
    assert (family.filled_table in COMPARED) == family.compared


def test_subjects_say_what_they_do_not_have():
    class Nothing(Subjects):
        def __len__(self):
            return 0

    nothing = Nothing(Networks("cpu", None))
    for ask in (
        lambda: nothing.captions,
        lambda: nothing.sizes,
        lambda: nothing.created_at,
        lambda: nothing.facts,
        lambda: nothing.past,
        lambda: nothing.asked,
        nothing.pictures,
        lambda: nothing.vectors("picture", "x"),
        lambda: nothing.probabilities("x"),
    ):
        with pytest.raises(NotAsked):
            ask()


def test_what_is_made_of_subjects_is_made_once():
    class Nothing(Subjects):
        def __len__(self):
            return 0

    made = []

    def make(subjects):
        made.append(subjects)
        return len(made)

    nothing = Nothing(Networks("cpu", None))
    assert [nothing.kept(make), nothing.kept(make)] == [1, 1]
    assert made == [nothing]
