import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp

from redpop_assets.evaluation.drift import (
    BINS,
    KS_BOUND,
    MIN_ROWS,
    POINTS,
    PSI_BOUND,
    Profile,
    check_features,
    compare,
    ks,
    profile,
    psi,
    psi_bound,
)

# Normal, zero-inflated, a rare flag, counts, heavy tails.
DRAWS = {
    "normal": lambda random, n: random.normal(size=n),
    "zero_inflated": lambda random, n: np.where(random.random(n) < 0.85, 0.0, random.exponential(size=n)),
    "rare_flag": lambda random, n: (random.random(n) < 0.02).astype(float),
    "counts": lambda random, n: random.poisson(3, n).astype(float),
    "heavy_tails": lambda random, n: random.standard_cauchy(n),
}
COLUMNS = st.one_of(
    arrays(np.float32, st.integers(2, 300), elements=st.integers(-3, 3).map(float)),
    arrays(np.float32, st.integers(2, 300), elements=st.floats(-1e6, 1e6, width=32)),
)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def embeddings(n, seed=0, width=32, towards=0.3, direction=0):
    """Unit vectors around a common direction."""
    random = np.random.default_rng(seed)
    centre = np.roll(np.linspace(0.0, 1.0, width), direction)
    return unit(random.normal(size=(n, width)) * 0.2 + towards * centre)


@settings(deadline=None)
@given(COLUMNS)
def test_a_profile_survives_its_json_and_its_bins_hold_every_value(values):
    found = profile(values)
    assert Profile.from_json(found.to_json()) == found
    assert sum(found.counts) == found.known == len(values)
    assert min(found.counts) > 0
    assert len(found.counts) == len(found.edges) + 1 <= 2 * BINS + 1
    assert list(found.edges) == sorted(set(found.edges))
    again = np.bincount(np.searchsorted(found.edges, values.astype(float)), minlength=len(found.counts))
    assert tuple(again) == found.counts
    assert compare(found, values, column="same").reasons == ()


@settings(deadline=None)
@given(COLUMNS, COLUMNS)
def test_ks_is_that_of_scipy_within_the_stated_accuracy(old, new):
    found, expected = ks(profile(old), new), ks_2samp(old.astype(float), new.astype(float), method="asymp").statistic
    assert expected - 1 / POINTS - 1e-9 <= found <= expected + 1e-9
    if len(np.unique(old)) <= POINTS:
        assert found == pytest.approx(expected)


def test_ks_of_many_values_is_that_of_scipy_within_the_stated_accuracy():
    random = np.random.default_rng(0)
    old, new = random.normal(size=5_000), random.normal(0.1, 1.2, size=3_000)
    assert ks(profile(old), new) == pytest.approx(ks_2samp(old, new).statistic, abs=1 / POINTS)


def test_ks_keeps_its_accuracy_for_values_between_the_points_of_the_profile():
    old = np.arange(1_000.0)
    accepted = profile(old)
    for place in range(0, 999, 3):
        exact = max(place + 1, 999 - place) / 1_000
        assert exact - 1 / POINTS - 1e-9 <= ks(accepted, np.array([place + 0.5])) <= exact + 1e-9


def test_a_value_that_fills_a_bin_has_it_alone():
    values = np.r_[np.zeros(800), np.linspace(1, 2, 200)]
    found = profile(values)
    assert (found.edges[0], found.counts) == (0.0, (800, 100, 100))
    around = profile(np.r_[np.linspace(-2, -1, 250), np.zeros(500), np.linspace(1, 2, 250)])
    assert 500 in around.counts
    assert profile(np.array([0.0] * 60 + [1.0] * 40)).counts == (60, 40)
    assert profile(np.full(70, 3.0)).counts == (70,)


def test_psi_is_the_formula_and_stays_finite_with_empty_bins():
    p, q = np.array([30.5, 70.5]) / 101, np.array([60.5, 40.5]) / 101
    expected = ((q - p) * np.log(q / p)).sum()
    assert psi(np.array([30, 70]), np.array([60, 40])) == pytest.approx(expected)
    assert psi(np.array([30, 70]), np.array([30, 70])) == 0.0
    assert np.isfinite(psi(np.array([100, 0, 50]), np.array([0, 100, 50])))


def test_psi_of_equal_distributions_is_near_its_expectation():
    random = np.random.default_rng(1)
    n, m = 400, 200
    found = [compare(profile(random.normal(size=n)), random.normal(size=m), column="x").psi for _ in range(200)]
    assert np.mean(found) == pytest.approx((BINS - 1) * (1 / n + 1 / m), rel=0.15)
    assert np.quantile(found, 0.95) == pytest.approx(16.92 * (1 / n + 1 / m), rel=0.2)  # chi-squared, 9 degrees


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize(("n", "m"), [(200, 200), (1_000, 60)])
def test_chance_alone_hardly_ever_raises_an_alarm(draw, n, m):
    random = np.random.default_rng(2)
    alarms = sum(compare(profile(draw(random, n)), draw(random, m), column="x").drifted for _ in range(80))
    assert alarms <= 3  # of 80, at a nominal hundredth


def test_chance_alone_hardly_ever_raises_an_alarm_over_a_whole_table():
    random = np.random.default_rng(3)
    tables = 0
    for _ in range(20):
        old = {f"c{n}": random.normal(size=200) for n in range(25)}
        accepted = {name: profile(values) for name, values in old.items()}
        tables += not check_features({name: random.normal(size=200) for name in old}, accepted).passed
    assert tables <= 1


def test_the_bound_of_the_psi_grows_as_rows_become_few():
    assert psi_bound(10_000, 10_000, BINS, 0.001) == PSI_BOUND
    assert psi_bound(1_000, 50, BINS, 0.001) > psi_bound(1_000, 200, BINS, 0.001) >= PSI_BOUND
    assert psi_bound(50, 50, 1, 0.001) == PSI_BOUND


@pytest.mark.parametrize(
    ("name", "move"),
    [
        ("normal", lambda values: values + 0.9),
        ("normal", lambda values: values * 3),
        ("zero_inflated", lambda values: np.where(values == 0.0, 0.5, values)),
        ("rare_flag", lambda values: 1.0 - values),
        ("counts", lambda values: values + 2),
        ("heavy_tails", lambda values: values + 4),
    ],
)
def test_a_planted_change_is_noticed(name, move):
    random = np.random.default_rng(4)
    accepted = profile(DRAWS[name](random, 1_000))
    drift = compare(accepted, move(DRAWS[name](random, 200)), column="x", comparisons=100)
    assert drift.drifted
    assert drift.excess > 1
    assert drift.ks > KS_BOUND or drift.psi > drift.bounds["psi"]


def test_a_constant_that_changes_is_noticed_and_one_that_stays_is_not():
    accepted = profile(np.full(200, 3.0))
    assert not compare(accepted, np.full(500, 3.0), column="x").drifted
    assert compare(accepted, np.full(500, 2.0), column="x").ks == 1.0
    assert compare(accepted, np.full(500, 2.0), column="x").drifted


def test_mean_shift_is_in_accepted_deviations():
    old = np.random.default_rng(5).normal(10, 2, size=4_000)
    assert compare(profile(old), old + 1, column="x").mean_shift == pytest.approx(0.5, rel=0.05)
    assert compare(profile(np.full(100, 1.0)), old, column="x").mean_shift is None


def test_a_change_of_the_missing_share_is_noticed():
    values = np.random.default_rng(6).normal(size=1_000)
    accepted = profile(np.where(np.arange(1_000) < 100, np.nan, values))
    assert accepted.missing_share == pytest.approx(0.1)
    assert not compare(accepted, np.where(np.arange(1_000) < 130, np.nan, values), column="x").drifted
    more = compare(accepted, np.where(np.arange(1_000) < 300, np.nan, values), column="x")
    assert more.reasons == ("missing values went from 10.0% to 30.0%",)
    none_left = compare(accepted, np.full(1_000, np.nan), column="x")
    assert (none_left.psi, none_left.ks, none_left.drifted) == (None, None, True)
    # A quarter of eight posts is two posts.
    assert not compare(accepted, np.where(np.arange(8) < 2, np.nan, values[:8]), column="x").drifted


def test_few_values_are_not_compared():
    accepted = profile(np.random.default_rng(7).normal(size=500))
    few = compare(accepted, np.full(MIN_ROWS - 1, 99.0), column="x")
    assert (few.psi, few.ks, few.drifted) == (None, None, False)
    assert compare(accepted, np.full(MIN_ROWS, 99.0), column="x").drifted
    assert not compare(accepted, np.zeros(0), column="x").drifted


def test_infinite_values_and_odd_shapes_are_refused():
    with pytest.raises(ValueError, match="1 infinite"):
        profile(np.array([0.0, np.inf]))
    with pytest.raises(ValueError, match="not \\(2, 2, 2\\)"):
        profile(np.zeros((2, 2, 2)))


def test_a_shift_of_the_centroid_is_noticed_and_its_noise_is_not():
    accepted = profile(embeddings(400))
    alike = [compare(accepted, embeddings(200, seed), column="e", embeddings=True) for seed in range(1, 40)]
    assert not any(drift.drifted for drift in alike)
    moved = compare(accepted, embeddings(200, 1, direction=8), column="e", embeddings=True)
    assert moved.centroid_shift > moved.bounds["centroid"]
    assert [reason.split(" ")[0] for reason in moved.reasons] == ["centroid"]


def test_the_centroid_of_vectors_without_a_direction_is_left_alone():
    drifts = [
        compare(profile(embeddings(100, seed, towards=0.0)), embeddings(100, seed + 50, towards=0.0), column="e")
        for seed in range(30)
    ]
    assert not any(drift.drifted for drift in drifts)
    assert max(drift.centroid_shift for drift in drifts) > 0.5


def test_the_noise_of_a_centroid_is_estimated_in_few_or_many_dimensions():
    random = np.random.default_rng(8)
    for n, width in ((60, 200), (400, 10)):
        scale = np.linspace(0.2, 2.0, width)
        found = profile(random.normal(size=(n, width)) * scale).vectors
        assert found.variance == pytest.approx((scale**2).sum(), rel=0.1)
        assert found.squared_variance == pytest.approx((scale**4).sum(), rel=0.25)


def test_collapsed_vectors_are_noticed_without_any_accepted_profile():
    collapsed = unit(1.0 + 0.01 * np.random.default_rng(9).normal(size=(100, 32)))
    drift = compare(None, collapsed, column="e", embeddings=True)
    assert drift.similarity > 0.99
    assert drift.reasons[0].startswith("collapsed")
    assert not compare(None, collapsed, column="histogram").drifted
    healthy = compare(None, embeddings(100), column="e", embeddings=True)
    assert not healthy.drifted
    vectors = embeddings(100).astype(float)
    pairs = (vectors @ vectors.T)[~np.eye(100, dtype=bool)]
    assert healthy.similarity == pytest.approx(pairs.mean(), abs=1e-5)


def test_wrong_lengths_and_duplicates_are_noticed():
    vectors = embeddings(100)
    long = vectors.copy()
    long[:3] *= 2
    assert compare(None, long, column="e", embeddings=True).reasons == ("3.0% of the vectors are not of length 1",)
    repeated = np.concatenate([vectors, vectors[:20]])
    (reason,) = compare(None, repeated, column="e", embeddings=True).reasons
    assert reason.startswith("16.7% of the vectors repeat")


def test_rounding_of_unit_vectors_is_no_drift():
    vectors = embeddings(300)
    drift = compare(profile(vectors), vectors * np.float32(1 + 3e-7), column="e", embeddings=True)
    assert (drift.psi, drift.ks, drift.drifted) == (0.0, 0.0, False)


def test_another_width_is_noticed_and_no_width_is_missing():
    accepted = profile(embeddings(100))
    assert compare(accepted, embeddings(100, width=16), column="e").reasons == ("its width went from 32 to 16",)
    empty = compare(accepted, np.zeros((100, 0), dtype=np.float32), column="e")
    assert empty.reasons == ("missing values went from 0.0% to 100.0%",)


def test_what_a_check_accepts_and_what_it_waits_for():
    random = np.random.default_rng(10)
    first = {"a": random.normal(size=100), "e": embeddings(100), "few": random.normal(size=MIN_ROWS - 1)}
    check = check_features(first, {}, unit_vectors={"e"})
    assert check.passed
    assert check.drifted == ()
    assert set(check.renewed) == {"a", "e"}
    accepted = dict(check.renewed)

    # Within bounds: renewed once it has grown, so that a slow drift is not followed step by step.
    assert not check_features({"a": random.normal(size=120)}, accepted).renewed
    assert set(check_features({"a": random.normal(size=125)}, accepted).renewed) == {"a"}

    drifted = {"a": random.normal(3, size=200), "e": embeddings(200, 1), "new": random.normal(size=200)}
    check = check_features(drifted, accepted, unit_vectors={"e"})
    assert (check.passed, set(check.renewed)) == (False, {"new"})
    assert [drift.column for drift in check.drifted] == [check.drifts[0].column] == ["a"]
    assert check_features(drifted, {**accepted, **check.renewed}).passed is False


def test_a_sick_embedding_is_never_accepted_by_itself_and_silent_once_a_person_did():
    sick = {"e": np.ones((100, 32), dtype=np.float32) / np.float32(np.sqrt(32))}
    check = check_features(sick, {}, unit_vectors={"e"})
    assert (check.passed, dict(check.renewed)) == (False, {})
    assert check.drifts[0].excess == np.inf
    assert check_features(sick, {"e": profile(sick["e"])}, unit_vectors={"e"}).passed


def test_a_profile_says_what_it_is_of():
    found = profile(np.array([1.0, 2.0, np.nan, 3.0]))
    assert (found.rows, found.known, found.mean) == (4, 3, 2.0)
    assert found.deviation == pytest.approx(np.std([1, 2, 3]))
    assert dataclasses.asdict(profile(np.zeros(0)))["mean"] is None
