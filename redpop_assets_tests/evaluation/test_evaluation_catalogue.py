from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from redpop_assets.evaluation import catalogue as evaluation
from redpop_assets.evaluation.bootstrap import interval, spearman_of
from redpop_assets.evaluation.catalogue import (
    SUSPICIOUS,
    feature_catalogue,
    feature_values,
    out_of_fold,
    rank_correlations,
)
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import Block
from redpop_assets.storage.facts import Missing
from redpop_assets.storage.schema import Column, Schema, Table, load_schema


def column(name, description="", type_="FLOAT", known_at="before_post", **facts):
    return Column(name, type_, False, description, known_at, **facts)


def table(name, *columns):
    key = Column("post_id", "VARCHAR", False, "Id.", "before_post")
    return Table(name, "features", (key, *columns), ("post_id",), "What it is.", False, "")


PLAIN = table(
    "features.plain",
    column("good", "Days since something.", unit="days", source="Oliva & Torralba 2001"),
    column("noise", "Nothing.", source="Tamura 1978"),
    column("constant", "Always the same."),
    column("leaky", "Comments.", known_at="at_post"),
    column("camera", "Focal length.", missing=Missing("has_exif", 0.0)),
    column("has_exif", "Whether the file says so.", unit="0 or 1"),
    column("later", "Seen later.", known_at="after_post"),
)
VECTORS = table(
    "features.vectors", column("spread", "A vector.", "FLOAT[40]"), column("empty", "Another one.", "FLOAT[]")
)
SCHEMA = Schema((PLAIN, VECTORS))
WHERE = {"plain": "features.plain", "vectors": "features.vectors"}


@pytest.fixture(scope="module")
def world():
    """600 posts of 250 authors; the last 100 have no label, the first 60 no vector."""
    random = np.random.default_rng(0)
    n = 600
    truth = random.normal(3, 1, size=n)
    has_exif = (random.random(n) < 0.5).astype(float)
    plain = {
        "good": 0.4 * truth + random.normal(size=n),
        "noise": random.normal(size=n),
        "constant": np.full(n, 2.0),
        "leaky": truth + 0.3 * random.normal(size=n),
        "camera": np.where(has_exif == 1, -0.8 * truth + random.normal(size=n), 0.0),
        "has_exif": has_exif,
        "later": truth,
    }
    spread = random.normal(size=(n, 40)) + 0.07 * (truth - 3)[:, None] * random.choice([-1, 1], 40)
    there = np.arange(n) >= 60
    spread[~there] = np.nan
    labels = np.where(np.arange(n) < 500, truth, np.nan)
    blocks = {
        "plain": Block(np.stack(list(plain.values()), axis=1).astype(np.float32), tuple(plain), np.ones(n, dtype=bool)),
        "vectors": Block(spread.astype(np.float32), tuple(f"spread_{n:02}" for n in range(40)), there),
    }
    return blocks, labels, random.integers(0, 250, n), truth


@pytest.fixture(scope="module")
def catalogue(world):
    blocks, labels, clusters, _ = world
    found = feature_catalogue("aww", blocks, labels, clusters, SCHEMA, WHERE, seed=1)
    return {(row["block"], row["feature"]): row for row in found.to_pylist()}


def test_every_feature_of_the_tables_is_listed_with_what_the_schema_says(catalogue):
    assert list(catalogue) == [
        ("plain", "good"), ("plain", "noise"), ("plain", "constant"), ("plain", "leaky"), ("plain", "camera"),
        ("plain", "has_exif"), ("plain", "later"), ("vectors", "spread"), ("vectors", "empty"),
    ]  # fmt: skip
    good = catalogue["plain", "good"]
    assert (good["unit"], good["source"], good["known_at"]) == ("days", "Oliva & Torralba 2001", "before_post")
    assert (good["type"], good["width"], good["method"]) == ("FLOAT", 1, "value")
    assert catalogue["plain", "noise"]["source"] == "Tamura 1978"
    assert catalogue["vectors", "spread"]["width"] == 40


def test_planted_correlations_are_found_within_their_intervals(world, catalogue):
    blocks, labels, clusters, _ = world
    known = ~np.isnan(labels)
    for number, name in enumerate(("good", "noise")):
        row = catalogue["plain", name]
        values = blocks["plain"].values[known, number].astype(float)
        expected = interval(spearman_of(labels[known], values), clusters[known], seed=1)
        assert row["spearman"] == pytest.approx(expected.estimate)
        assert (row["spearman_low"], row["spearman_high"]) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert catalogue["plain", "good"]["spearman_low"] > 0.2
    assert catalogue["plain", "noise"]["spearman_low"] < 0 < catalogue["plain", "noise"]["spearman_high"]


def test_a_constant_has_no_correlation_and_no_rank(catalogue):
    row = catalogue["plain", "constant"]
    assert [row[name] for name in ("spearman", "spearman_low", "spearman_high", "rank_in_block")] == [None] * 4
    assert row["leakage"] == "none"


def test_features_that_are_too_good_or_too_late_are_flagged(catalogue):
    assert {name: row["leakage"] for (_, name), row in catalogue.items()} == {
        **dict.fromkeys(("good", "noise", "constant", "has_exif", "spread", "empty"), "none"),
        "leaky": "suspicious",
        "camera": "suspicious",
        "later": "after_post",
    }
    assert catalogue["plain", "leaky"]["suspicious_above"] == SUSPICIOUS


def test_ranks_in_a_block_follow_the_size_of_the_correlation(catalogue):
    ranks = {name: row["rank_in_block"] for (block, name), row in catalogue.items() if block == "plain"}
    assert [ranks[name] for name in ("later", "leaky", "camera", "good")] == [1, 2, 3, 4]
    assert sorted(rank for rank in ranks.values() if rank) == [1, 2, 3, 4, 5, 6]
    assert catalogue["vectors", "spread"]["rank_in_block"] == 1


def test_posts_with_the_documented_flag_count_as_missing(world, catalogue):
    blocks, labels, _, truth = world
    camera, has_exif = catalogue["plain", "camera"], blocks["plain"].values[:, 5] == 1
    assert camera["posts"] == has_exif.sum()
    assert camera["missing_share"] == pytest.approx(1 - has_exif.mean())
    usable = has_exif & ~np.isnan(labels)
    assert camera["labelled_posts"] == usable.sum()
    assert camera["spearman"] == pytest.approx(spearman(truth[usable], blocks["plain"].values[usable, 4].astype(float)))
    assert catalogue["vectors", "spread"]["missing_share"] == pytest.approx(0.1)
    assert catalogue["vectors", "spread"]["labelled_posts"] == 440
    assert catalogue["plain", "good"]["missing_share"] == 0


def test_a_signal_spread_over_a_vector_is_found_where_no_component_has_it(world, catalogue):
    blocks, labels, _, _ = world
    usable = ~np.isnan(labels) & blocks["vectors"].present
    single = [abs(spearman(labels[usable], part.astype(float))) for part in blocks["vectors"].values[usable].T]
    row = catalogue["vectors", "spread"]
    assert row["method"] == "out_of_fold_ridge"
    assert row["spearman"] > max(single)
    assert 0 < row["spearman_low"] < row["spearman"] < row["spearman_high"]


def test_a_vector_that_no_predictor_is_offered_is_listed_without_numbers(catalogue):
    row = catalogue["vectors", "empty"]
    assert (row["width"], row["posts"], row["missing_share"], row["spearman"]) == (None, 0, None, None)


def test_a_vector_that_knows_nothing_correlates_about_zero_not_below():
    random = np.random.default_rng(2)
    found = []
    for _ in range(60):
        truth = random.normal(size=120)
        found.append(spearman(truth, out_of_fold(random.normal(size=(120, 8)), truth, np.arange(120))))
    assert abs(np.mean(found)) < 3 / np.sqrt(60 * 120) + 0.04
    assert np.std(found) < 0.2


def test_ridge_never_saw_the_author_it_speaks_of():
    random = np.random.default_rng(3)
    clusters = np.repeat(np.arange(40), 5)
    # Vectors that give the author away, and scores that are all about the author: nothing to learn for a new one.
    vectors = np.eye(40)[clusters] + 0.01 * random.normal(size=(200, 40))
    truth = random.normal(size=40)[clusters]
    assert abs(spearman(truth, out_of_fold(vectors, truth, clusters))) < 0.4
    assert spearman(truth, out_of_fold(vectors, truth, np.arange(200))) > 0.9


def test_ridge_is_the_same_from_either_side_of_the_matrix():
    random = np.random.default_rng(4)
    vectors, truth = random.normal(size=(100, 78)), random.normal(size=100)
    wide = np.concatenate([vectors, vectors], axis=1)  # each effect twice, each half as large a priori
    first, second = (out_of_fold(each, truth, np.arange(100)) for each in (vectors, wide))
    assert first == pytest.approx(second, abs=1e-9)
    assert out_of_fold(vectors, truth, np.arange(100) % 4) is None
    assert not out_of_fold(np.ones((100, 3)), truth, np.arange(100)).any()


@settings(deadline=None, max_examples=50)
@given(
    st.integers(3, 25).flatmap(
        lambda count: st.tuples(
            arrays(np.float64, count, elements=st.integers(-3, 3).map(float)),
            arrays(np.float64, count, elements=st.one_of(st.integers(-3, 3).map(float), st.floats(-9, 9))),
            arrays(np.int64, count, elements=st.integers(0, 8)),
        )
    )
)
def test_intervals_are_those_of_the_bootstrap_of_one_feature(case):
    truth, feature, clusters = case
    (found,) = rank_correlations([feature], truth, clusters, resamples=40, seed=5)
    plain = spearman(truth, feature)
    assert (found is None) == (plain is None)
    if found is None:
        return
    assert found.spearman == pytest.approx(plain)
    expected = interval(spearman_of(truth, feature), clusters, resamples=40, seed=5)
    assert (found.low is None) == (expected is None)
    if expected is not None:
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("kind", ["continuous", "rounded", "yes or no"])
def test_from_many_posts_on_intervals_are_those_of_ranks_taken_anew(correlation, kind, monkeypatch):
    random = np.random.default_rng(11)
    n, prolific = 5_200, 300
    clusters = np.minimum(random.pareto(1.0, n) * 20, 8_000).astype(np.int64) + prolific * (np.arange(n) % 2)
    author = random.normal(size=clusters.max() + 1)[clusters]
    truth = np.round(author + random.normal(size=n), 1)  # scores have ties
    feature = correlation * truth + np.sqrt(1 - correlation**2) * random.normal(size=n) + 0.3 * author
    feature = {"continuous": feature, "rounded": np.round(feature), "yes or no": (feature > 1).astype(float)}[kind]
    feature[random.random(n) < 0.02] = np.nan
    (linear,) = rank_correlations([feature], truth, clusters, resamples=400, seed=3)
    monkeypatch.setattr(evaluation, "LINEAR_FROM", n)
    (exact,) = rank_correlations([feature], truth, clusters, resamples=400, seed=3)
    assert linear.spearman == exact.spearman
    half = (exact.high - exact.low) / 2
    moved = max(abs(linear.low - exact.low), abs(linear.high - exact.high))
    assert moved < 0.15 * half


def test_perfect_and_unknown_features_of_many_posts_need_no_special_care():
    n = 6_000
    truth, few = np.arange(n) % 100.0, np.full(n, np.nan)
    few[:40] = np.arange(40)
    same, opposite, some, constant = rank_correlations(
        [truth, -truth, few, np.ones(n)], truth, np.arange(n) // 3, resamples=50
    )
    assert (same.spearman, same.low, same.high) == pytest.approx((1, 1, 1))
    assert (opposite.spearman, opposite.low, opposite.high) == pytest.approx((-1, -1, -1))
    assert (some.low, some.high) == pytest.approx((1, 1), abs=1e-3)
    assert constant is None


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 9), st.integers(5, 60))
def test_ridge_by_sums_of_products_is_the_ridge_of_the_posts_themselves(seed, shared, k, n):
    random = np.random.default_rng(seed)
    vectors = (random.normal(size=(n, k)) * 10.0 ** random.integers(-3, 4, k) + random.normal(size=k)).astype(
        np.float32
    )
    vectors[:, random.random(k) < 0.2] = 7.0
    truth, clusters = random.normal(size=n), random.integers(0, 30, n)
    groups = random.integers(0, n, n) if shared else None
    found = out_of_fold(vectors, truth, clusters, groups=groups, seed=seed)
    labels, cluster = np.unique(clusters, return_inverse=True)
    if len(labels) < 5:
        assert found is None
        return
    fold = (np.random.default_rng(seed).permutation(len(labels)) % 5)[cluster]
    expected = np.zeros(n)
    for part in range(5):
        held = fold == part
        fitted = ~held if groups is None else ~held & ~np.isin(groups, groups[held])
        if not fitted.any():
            continue
        known = vectors[fitted].astype(np.float64)
        varied = known.std(axis=0) > 1e-6
        mean, deviation = known.mean(axis=0)[varied], known.std(axis=0)[varied]
        known = (known[:, varied] - mean) / deviation
        if not varied.any():
            continue
        penalty = varied.sum() * 9.0 * np.eye(varied.sum())
        centred = truth[fitted] - truth[fitted].mean()
        weights = np.linalg.solve(known.T @ known + penalty, known.T @ centred)
        expected[held] = (vectors[held][:, varied].astype(np.float64) - mean) / deviation @ weights
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_intervals_cover_the_truth_with_authors_that_resemble_themselves():
    random = np.random.default_rng(6)
    covered = 0
    clusters = np.repeat(np.arange(60), 4)
    for _ in range(40):
        author = random.normal(size=(60, 2))[clusters]
        a, b = (author + random.normal(size=(240, 2))).T
        (found,) = rank_correlations([a], b, clusters, resamples=200)
        covered += found.low <= 0 <= found.high
    assert covered >= 34  # of 40, at a nominal 95 %


def test_a_feature_that_hardly_anybody_has_gets_no_interval():
    random = np.random.default_rng(7)
    truth = random.normal(size=60)
    feature = np.full(60, np.nan)
    feature[:3] = [1, 2, 3]
    (found,) = rank_correlations([feature], truth, np.repeat(np.arange(20), 3))
    assert found.spearman == spearman(truth[:3], feature[:3])
    (nothing, alone) = rank_correlations([np.full(60, np.nan), truth], truth, np.zeros(60, dtype=np.int64))
    assert nothing is None
    assert (alone.spearman, alone.low) == (1.0, None)


def test_few_authors_raise_the_bound_of_suspicion():
    random = np.random.default_rng(8)
    values = random.normal(size=(40, 7)).astype(np.float32)
    block = Block(
        values, tuple(column.name for column in SCHEMA["features.plain"].columns[1:]), np.ones(40, dtype=bool)
    )
    clusters = np.arange(40) % 10
    rows = feature_catalogue("aww", {"plain": block}, random.normal(size=40), clusters, SCHEMA, WHERE).to_pylist()
    assert {row["leakage"] for row in rows} <= {"none", "after_post"}
    assert min(row["suspicious_above"] for row in rows) > 0.7


def test_what_does_not_fit_together_is_refused(world):
    blocks, labels, clusters, _ = world
    with pytest.raises(ValueError, match="600 posts, but there are 10 labels"):
        feature_catalogue("aww", blocks, labels[:10], clusters, SCHEMA, WHERE)
    with pytest.raises(ValueError, match="finite"):
        feature_catalogue("aww", blocks, np.full(600, np.inf), clusters, SCHEMA, WHERE)


def test_a_community_without_labels_is_described_all_the_same(world):
    blocks, labels, clusters, _ = world
    rows = feature_catalogue("aww", blocks, np.full(len(labels), np.nan), clusters, SCHEMA, WHERE).to_pylist()
    assert len(rows) == 9
    assert {row["spearman"] for row in rows} == {None}
    empty = {"plain": Block(np.zeros((0, 1), dtype=np.float32), ("good",), np.zeros(0, dtype=bool))}
    rows = feature_catalogue("aww", empty, np.zeros(0), np.zeros(0, dtype=np.int64), SCHEMA, WHERE).to_pylist()
    assert {row["posts"] for row in rows} == {0}


def test_vectors_are_put_together_again_and_no_number_is_taken_for_a_component():
    odd = table("features.odd", column("a", "V.", "FLOAT[2]"), column("a_1", "N."), column("ab", "N."))
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = feature_values(Block(values, ("a_0", "a_01", "a_1", "ab"), np.ones(3, dtype=bool)), odd)
    assert {name: part.shape for name, part in found.items()} == {"a": (3, 2), "a_1": (3,), "ab": (3,)}


def test_only_facts_decide_whatever_the_words_say(world):
    blocks, labels, clusters, _ = world
    words = "0 where good is 0 (bytes); 1 if any, else the other columns are 0 (Luo & Tang 2008). known_at=after_post"
    reworded = tuple(replace(each, description=words) for each in PLAIN.columns)
    before, after = (
        feature_catalogue("aww", {"plain": blocks["plain"]}, labels, clusters, Schema((told,)), WHERE, resamples=20)
        for told in (PLAIN, replace(PLAIN, columns=reworded, description=words))
    )
    assert set(after.column("description").to_pylist()) == {words}
    assert before.drop_columns("description") == after.drop_columns("description")


def test_a_hundred_and_fifty_features_take_a_few_seconds():
    random = np.random.default_rng(9)
    truth, clusters = random.normal(size=2_000), random.integers(0, 900, 2_000)
    features = list(random.normal(size=(30, 2_000)))
    started = perf_counter()
    rank_correlations(features, truth, clusters, resamples=1_000)
    assert perf_counter() - started < 4  # a fifth of them; about 0.4 s on an idle core


def test_real_blocks_are_described_by_the_real_schema():
    schema = load_schema()
    random = np.random.default_rng(10)
    names = tuple(each.name for each in schema[BLOCKS["pixels"].table].columns if each.type == "FLOAT")
    values = random.normal(size=(50, len(names))).astype(np.float32)
    block = Block(values, names, np.ones(50, dtype=bool))
    rows = feature_catalogue(
        "aww", {"pixels": block}, random.normal(size=50), np.arange(50), schema, {"pixels": BLOCKS["pixels"].table}
    ).to_pylist()
    assert [row["feature"] for row in rows] == list(names)
    assert {row["table_name"] for row in rows} == {"features.image_features"}
    assert rows[0]["description"] == "ln(width / height)."
