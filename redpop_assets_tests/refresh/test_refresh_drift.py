"""Which rows are compared with what was accepted, and how a person accepts others."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from redpop_assets.errors import SettingsError
from redpop_assets.evaluation.drift import check_features, profile
from redpop_assets.features.registry import COMPARED, FAMILIES
from redpop_assets.refresh import drift as feature_drift
from redpop_assets.refresh.drift import (
    accept,
    accept_drift,
    compared_table,
    profile_rows,
    read_accepted,
    read_sample,
)
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration

PIXELS = "features.image_features"
EMBEDDINGS = "features.caption_embeddings"

NOW = datetime(2024, 5, 1, 12)


@pytest.fixture
def filled(empty_warehouse, fill, keep):
    fill(empty_warehouse, "pics", posts=120)
    return keep(empty_warehouse)


def accept_all(warehouse, subreddit, table, encoders):
    """As an asset does when nothing is wrong."""
    sample = read_sample(warehouse, subreddit, table, encoders)
    renewed = sample.check().renewed
    if renewed:
        warehouse.merge("features.profiles", profile_rows(subreddit, sample.table, renewed, utc_now()))
    return set(renewed)


def test_every_table_of_features_is_compared_but_those_that_follow_from_others_or_from_the_calendar():
    tables = {table.name for table in load_schema().values() if table.features}
    views = {family.table: family.filled_table for family in FAMILIES if family.filled}
    left_out = {family.table for family in FAMILIES if not family.compared} & tables
    assert {"features.timestamp_features", "features.retrieved"} <= left_out
    # What was read of young posts is no family: readings come when they come.
    assert tables - COMPARED.keys() == {"features.early_readings", *left_out, *views}
    assert set(views.values()) <= COMPARED.keys() <= tables


def test_rows_of_other_communities_code_and_networks_are_left_out(filled, fill, encoders):
    before = read_sample(filled, "pics", PIXELS, encoders)
    fill(filled, "aww", posts=60, seed=1)
    with filled.write() as writer:
        writer.execute(f"INSERT INTO {PIXELS} SELECT * REPLACE ('0' AS code_version) FROM {PIXELS}")
        writer.execute(
            f"INSERT INTO {EMBEDDINGS} SELECT * REPLACE ('timm:other/hub' AS encoder, [9::FLOAT] AS embedding) "
            f"FROM {EMBEDDINGS}"
        )
    after = read_sample(filled, "pics", PIXELS, encoders)
    assert before.rows == after.rows == after.compared == len(before.columns["log_aspect_ratio"])
    for name, values in before.columns.items():
        assert np.array_equal(values, after.columns[name])
    vectors = read_sample(filled, "pics", EMBEDDINGS, encoders)
    assert {name: values.shape for name, values in vectors.columns.items()} == {
        f"embedding ({encoders.caption})": (120, 5)
    }
    assert vectors.unit_vectors == set(vectors.columns)


def test_another_encoder_is_another_column_and_no_drift(filled, encoders):
    other = replace(encoders, caption="sentence_transformers:another/hub")
    with filled.write() as writer:
        writer.execute(f"UPDATE {EMBEDDINGS} SET embedding = list_transform(embedding, lambda x: x / 1)")
        unit = "list_transform(embedding, lambda x: (x / sqrt(list_dot_product(embedding, embedding)))::FLOAT)"
        writer.execute(f"UPDATE {EMBEDDINGS} SET embedding = {unit}")
        writer.execute(
            f"INSERT INTO {EMBEDDINGS} SELECT * REPLACE ('{other.caption}' AS encoder, embedding || [0::FLOAT] AS "
            f"embedding) FROM {EMBEDDINGS}"
        )
    assert accept_all(filled, "pics", EMBEDDINGS, encoders) == {f"embedding ({encoders.caption})"}
    sample = read_sample(filled, "pics", EMBEDDINGS, other)
    assert sample.check().passed
    assert accept_all(filled, "pics", EMBEDDINGS, other) == {f"embedding ({other.caption})"}


def test_vectors_of_untrained_networks_may_look_alike(filled, encoders):
    untrained = replace(encoders, caption="open_clip:ViT-S-32-alt/random", clip="open_clip:ViT-S-32-alt/random")
    with filled.write() as writer:
        writer.execute(
            f"UPDATE {EMBEDDINGS} SET encoder = '{untrained.caption}', embedding = [1::FLOAT, 0::FLOAT, 0::FLOAT]"
        )
    sample = read_sample(filled, "pics", EMBEDDINGS, untrained)
    assert (len(sample.columns), sample.rows, sample.unit_vectors) == (1, 120, frozenset())
    assert sample.check().passed


def test_a_network_that_is_not_named_has_no_features(filled, encoders):
    sample = read_sample(filled, "pics", "features.caption_emotions", replace(encoders, emotions=""))
    assert (dict(sample.columns), sample.rows) == ({}, 0)
    assert sample.check().passed


def test_a_column_without_any_value_waits_for_one(filled, encoders):
    ratings = "features.image_scores"
    assert dict(read_sample(filled, "pics", ratings, encoders).columns) == {}
    with filled.write() as writer:
        writer.execute(
            f"INSERT INTO {ratings} SELECT image_sha256, 'nima', 'w', 'x', '1', random() AS score, 1 + random() "
            f"FROM {PIXELS}"
        )
    sample = read_sample(filled, "pics", ratings, encoders)
    assert sample.table == "features.image_ratings"
    assert set(sample.columns) == accept_all(filled, "pics", ratings, encoders) == {"rating", "rating_spread"}
    with filled.write() as writer:
        writer.execute(f"UPDATE {ratings} SET scorer = 'iipa'")
    check = read_sample(filled, "pics", ratings, encoders).check()
    assert {drift.column: drift.reasons for drift in check.drifts if drift.drifted} == dict.fromkeys(
        ("rating", "rating_spread"), ("missing values went from 0.0% to 100.0%",)
    )


def test_what_is_no_number_counts_as_missing_and_stops_nothing(filled, encoders):
    with filled.write() as writer:
        first = f"(SELECT min(image_sha256) FROM {PIXELS})"
        writer.execute(f"UPDATE {PIXELS} SET log_aspect_ratio = 'infinity' WHERE image_sha256 = {first}")
        first = f"(SELECT min(caption_sha256) FROM {EMBEDDINGS})"
        writer.execute(f"UPDATE {EMBEDDINGS} SET embedding = embedding[:2] WHERE caption_sha256 = {first}")
    assert np.isnan(read_sample(filled, "pics", PIXELS, encoders).columns["log_aspect_ratio"]).sum() == 1
    (vectors,) = read_sample(filled, "pics", EMBEDDINGS, encoders).columns.values()
    assert (np.isnan(vectors).all(axis=1).sum(), np.isnan(vectors).any(axis=1).sum()) == (1, 1)


def test_lists_of_all_kinds_become_matrices():
    fixed = pa.chunked_array([pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2))])
    assert np.array_equal(feature_drift._finite(fixed), [[1, 2], [np.nan, np.nan], [3, 4]], equal_nan=True)
    sliced = pa.chunked_array([pa.array([[9.0], [1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32())).slice(1)])
    assert np.array_equal(feature_drift._finite(sliced), [[1, 2], [3, 4]])
    assert feature_drift._finite(pa.chunked_array([], pa.list_(pa.float32()))).shape == (0, 0)


def test_of_a_large_table_always_the_same_rows_are_looked_at(filled, encoders, monkeypatch):
    monkeypatch.setattr(feature_drift, "MOST_ROWS", 40)
    monkeypatch.setattr(feature_drift, "MOST_VECTORS", 30)
    one, other = (read_sample(filled, "pics", PIXELS, encoders) for _ in range(2))
    assert (one.compared, one.rows) == (40, 105)
    assert all(np.array_equal(one.columns[name], other.columns[name]) for name in one.columns)
    assert read_sample(filled, "pics", EMBEDDINGS, encoders).compared == 30
    # Sampled by the hash of the key: a few rows more displace a few of the rows, not all of them.
    with filled.write() as writer:
        writer.execute(f"DELETE FROM {PIXELS} WHERE image_sha256 IN (SELECT min(image_sha256) FROM {PIXELS})")
    fewer = read_sample(filled, "pics", PIXELS, encoders).columns["log_aspect_ratio"]
    assert len(set(fewer.tolist()) & set(one.columns["log_aspect_ratio"].tolist())) >= 39


def test_equal_data_renew_nothing(filled, encoders):
    assert accept_all(filled, "pics", PIXELS, encoders)
    assert accept_all(filled, "pics", PIXELS, encoders) == set()


def test_only_what_drifted_is_accepted_by_a_person(filled, encoders):
    tables = [PIXELS, "features.post_flags"]
    for table in tables:
        accept_all(filled, "pics", table, encoders)
    assert accept_drift(filled, "pics", encoders, tables) == {}
    with filled.write() as writer:
        writer.execute(f"UPDATE {PIXELS} SET sharpness = sharpness + 3")
    flags = read_accepted(filled, "pics", "features.post_flags")
    assert not read_sample(filled, "pics", PIXELS, encoders).check().passed
    accepted = accept_drift(filled, "pics", encoders, tables)
    assert {table: [drift.column for drift in drifts] for table, drifts in accepted.items()} == {PIXELS: ["sharpness"]}
    assert read_sample(filled, "pics", PIXELS, encoders).check().passed
    assert read_accepted(filled, "pics", "features.post_flags") == flags
    assert accept_drift(filled, "pics", encoders, tables) == {}


def test_a_table_is_named_with_or_without_its_layer():
    assert compared_table("image_features") == compared_table(PIXELS) == PIXELS
    assert compared_table("image_ratings") == compared_table("image_scores") == "features.image_scores"
    for name in ("timestamp_features", "core.posts", "profiles", "nonsense"):
        with pytest.raises(SettingsError, match=rf"no table {name} whose.*author_features, .*; or none, for all"):
            compared_table(name)


def test_profiles_are_kept_in_the_warehouse_until_a_person_accepts_others(empty_warehouse):
    warehouse = empty_warehouse
    random = np.random.default_rng(12)
    columns = {"a": random.normal(size=100).astype(np.float32), "e": random.normal(size=(100, 32))}
    renewed = check_features(columns, {}).renewed
    warehouse.merge("features.profiles", profile_rows("aww", "features.f", renewed, NOW))
    assert read_accepted(warehouse, "aww", "features.f") == renewed
    assert read_accepted(warehouse, "pics", "features.f") == {}

    moved = {"a": columns["a"] + 5}
    assert not check_features(moved, read_accepted(warehouse, "aww", "features.f")).passed
    assert accept(warehouse, "aww", "features.f", moved, NOW) == 1
    assert read_accepted(warehouse, "aww", "features.f") == {"a": profile(moved["a"])}
    assert check_features(moved, read_accepted(warehouse, "aww", "features.f")).passed
    assert accept(warehouse, "aww", "features.f", {"a": np.zeros(0)}, NOW) == 0
    assert set(read_accepted(warehouse, "aww", "features.f")) == {"a"}


def test_a_profile_of_another_version_counts_as_none(empty_warehouse):
    warehouse = empty_warehouse
    rows = profile_rows("aww", "features.f", {"a": profile(np.arange(60.0))}, NOW)
    text = rows.column("profile")[0].as_py().replace('"version":"1"', '"version":"0"')
    at = rows.schema.get_field_index("profile")
    warehouse.merge("features.profiles", rows.set_column(at, "profile", [[text]]))
    assert read_accepted(warehouse, "aww", "features.f") == {}
