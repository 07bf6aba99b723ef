from time import perf_counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from redpop_assets.evaluation.bootstrap import (
    author_clusters,
    interval,
    mean_of,
    pair_accuracy_of,
    paired_difference,
    replicate,
    spearman_of,
)
from redpop_assets.evaluation.metrics import mae, spearman
from redpop_assets.evaluation.pairs import pair_accuracy, pair_outcomes
from redpop_assets.evaluation.weighted_metrics import of_rows

VALUES = st.integers(-4, 4).map(float)


def posts(count=300, authors=200, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    truth = random.normal(size=count)
    return truth, truth + noise * random.normal(size=count), random.integers(0, authors, count)


@settings(deadline=None)
@given(
    st.integers(3, 15).flatmap(
        lambda count: st.tuples(
            arrays(np.float64, count, elements=VALUES),
            arrays(np.float64, count, elements=VALUES),
            arrays(np.int64, count, elements=st.integers(0, 3)),
        )
    )
)
def test_weights_mean_repetition(case):
    """A statistic of weights equals the plain metric of the posts written out as often as their weights say."""
    truth, prediction, times = case
    assume(times.sum() >= 3)
    weights = times[None, :].astype(np.float64)
    written = np.repeat(np.arange(len(truth)), times)
    rank = spearman_of(truth, prediction)(weights)[0]
    plain = spearman(truth[written], prediction[written])
    assert np.isnan(rank) if plain is None else rank == pytest.approx(plain, abs=1e-9)
    error = mean_of(np.abs(truth - prediction))(weights)[0]
    assert error == pytest.approx(mae(truth[written], prediction[written]))

    pairs = np.argwhere(truth[:, None] > truth[None, :])
    repeated = np.argwhere(truth[written][:, None] > truth[written][None, :])
    accuracy = pair_accuracy_of(pairs, pair_outcomes(pairs, prediction))(weights)[0]
    plain = pair_accuracy(repeated, prediction[written])
    assert np.isnan(accuracy) if plain is None else accuracy == pytest.approx(plain)


def test_interval_is_fast_seeded_and_holds_the_estimate():
    truth, prediction, clusters = posts()
    started = perf_counter()
    found = interval(spearman_of(truth, prediction), clusters)
    assert perf_counter() - started < 1
    assert found.estimate == pytest.approx(spearman(truth, prediction))
    assert found.low < found.estimate < found.high
    assert (found.level, found.resamples) == (0.95, 1000)
    assert found == interval(spearman_of(truth, prediction), clusters)
    assert found != interval(spearman_of(truth, prediction), clusters, seed=1)
    narrow = interval(spearman_of(truth, prediction), clusters, level=0.5)
    assert narrow.high - narrow.low < found.high - found.low


def test_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(5).normal(size=400)
    found = interval(mean_of(values), np.arange(400), resamples=4_000)
    error = values.std() / np.sqrt(400)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_posts_of_one_author_count_as_one():
    """Every post written ten times by its author says no more than once."""
    values = np.random.default_rng(5).normal(size=50)
    single = interval(mean_of(values), np.arange(50))
    tenfold = interval(mean_of(np.repeat(values, 10)), np.repeat(np.arange(50), 10))
    assert tenfold.low == pytest.approx(single.low)
    assert tenfold.high == pytest.approx(single.high)


def test_coverage():
    """The truth lies within the 90 % interval in about 90 % of repetitions, also with clusters."""
    random = np.random.default_rng(11)
    clusters = np.repeat(np.arange(60), 3)
    covered = 0
    for repetition in range(200):
        values = random.normal(size=60)[clusters] + random.normal(size=180)
        found = interval(mean_of(values), clusters, resamples=300, level=0.9, seed=repetition)
        covered += found.low <= 0 <= found.high
    assert 0.83 <= covered / 200 <= 0.96


def test_chunks_do_not_change_the_resamples(monkeypatch):
    truth, prediction, clusters = posts(100)
    whole = interval(spearman_of(truth, prediction), clusters)
    monkeypatch.setattr("redpop_assets.evaluation.bootstrap._CELLS_AT_ONCE", 777)
    assert interval(spearman_of(truth, prediction), clusters) == whole


def test_paired_difference_tells_better_from_equal():
    truth, good, clusters = posts(noise=0.5)
    bad = posts(noise=3.0, seed=0)[1]
    better = paired_difference(spearman_of(truth, good), spearman_of(truth, bad), clusters)
    assert better.interval.low > 0
    assert better.p_value < 0.01
    worse = paired_difference(spearman_of(truth, bad), spearman_of(truth, good), clusters)
    assert worse.interval.high < 0
    assert worse.interval.low == pytest.approx(-better.interval.high)
    same = paired_difference(spearman_of(truth, good), spearman_of(truth, good * 2), clusters)
    assert (same.interval.low, same.interval.estimate, same.interval.high, same.p_value) == (0, 0, 0, 1)


def test_undefined_is_none():
    truth, prediction, clusters = posts(20)
    assert interval(spearman_of(truth, np.zeros(20)), clusters) is None
    assert interval(spearman_of(truth, prediction), np.zeros(20, dtype=np.int64)) is None
    assert interval(spearman_of(truth[:2], prediction[:2]), np.arange(2)) is None
    assert interval(mean_of([]), np.zeros(0, dtype=np.int64)) is None
    assert interval(of_rows(np.zeros(0, dtype=np.int64), spearman_of([], [])), clusters) is None
    assert paired_difference(spearman_of(truth, prediction), spearman_of(truth, np.zeros(20)), clusters) is None
    no_pairs = np.zeros((0, 2), dtype=np.int64)
    assert interval(pair_accuracy_of(no_pairs, np.zeros(0)), clusters) is None


def test_clusters_of_authors():
    clusters = author_clusters(["ann", None, "bob", "ann", None])
    assert clusters[0] == clusters[3]
    assert len(set(clusters.tolist())) == 4
    assert author_clusters([]).shape == (0,)


def test_cluster_numbers_may_have_gaps():
    truth, prediction, clusters = posts(50)
    statistic = spearman_of(truth, prediction)
    assert interval(statistic, clusters) == interval(statistic, clusters * 1_000_000)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="level"):
        interval(mean_of([1.0, 2.0]), np.arange(2), level=1.0)
    with pytest.raises(ValueError, match="resamples"):
        interval(mean_of([1.0, 2.0]), np.arange(2), resamples=0)


def test_replicates_share_their_resamples():
    truth, prediction, clusters = posts(100)
    statistic = spearman_of(truth, prediction)
    one, negated, other = replicate([statistic, spearman_of(truth, -prediction), mean_of(truth)], clusters, seed=3)
    np.testing.assert_allclose(one.values, -negated.values)
    assert len(one.values) == len(other.values) == 1_000
    assert one.interval() == interval(statistic, clusters, seed=3)
    assert one.standard_error == pytest.approx(np.std(one.values, ddof=1))


def test_the_standard_error_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(5).normal(size=400)
    (found,) = replicate([mean_of(values)], np.arange(400), resamples=4_000)
    assert found.standard_error == pytest.approx(values.std() / np.sqrt(400), rel=0.05)


def test_replicates_of_what_is_undefined():
    truth, prediction, clusters = posts(20)
    constant, alone = spearman_of(truth, np.zeros(20)), np.zeros(20, dtype=np.int64)
    for statistic, groups in ((constant, clusters), (spearman_of(truth, prediction), alone)):
        (found,) = replicate([statistic], groups)
        assert np.isnan(found.values).all()
        assert found.interval() is found.standard_error is None
    assert replicate([], clusters) == []
    with pytest.raises(ValueError, match="resamples"):
        replicate([constant], clusters, resamples=0)
