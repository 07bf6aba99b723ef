"""Paired comparisons: who is better beyond chance, corrected for how many pairs were looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from redpop_assets.evaluation.bootstrap import Replicates, mean_of, paired_difference, replicate, spearman_of
from redpop_assets.evaluation.comparison import (
    compare,
    detectable,
    holm,
    smallest_detectable,
    standings,
)
from redpop_assets.evaluation.macro import MIN_POSTS, macro_comparisons, macro_metrics, pooled_metrics

P_VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


@given(P_VALUES)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    """Written as in the paper: go up the ordered p-values until the first that is not below alpha / (m - k)."""
    adjusted = holm(p_values)
    tested = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for place, (p, number) in enumerate(tested):
            if p * (len(tested) - place) >= alpha:
                break
            rejected.add(number)
        assert {number for number, p in enumerate(adjusted) if p is not None and p < alpha} == rejected
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert (p is None) == (corrected is None)
        assert p is None or p <= corrected <= 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def world(noises, n=400, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    clusters = rng.integers(0, n // 2, n)
    predictions = {name: truth + noise * rng.normal(size=n) for name, noise in noises.items()}
    found = replicate([spearman_of(truth, p) for p in predictions.values()], clusters, seed=5)
    return truth, predictions, clusters, dict(zip(predictions, found, strict=True))


def test_differences_are_those_of_the_paired_bootstrap():
    truth, predictions, clusters, replicates = world({"a": 2.0, "b": 1.0, "c": 1.1})
    rows = {(row["first"], row["second"]): row for row in compare(
        replicates, higher_is_better=True, clusters=len(np.unique(clusters)), n=400)}  # fmt: skip
    assert set(rows) == {("b", "c"), ("b", "a"), ("c", "a")}
    for (first, second), row in rows.items():
        sides = (spearman_of(truth, predictions[name]) for name in (first, second))
        expected = paired_difference(*sides, clusters, seed=5).interval
        assert (row["difference"], row["low"], row["high"]) == (expected.estimate, expected.low, expected.high)
        deviation = np.std(replicates[first].values - replicates[second].values, ddof=1)
        assert row["standard_error"] == pytest.approx(deviation)
        p_value = 2 * student.sf(abs(row["difference"]) / deviation, len(np.unique(clusters)) - 1)
        assert row["p_value"] == pytest.approx(p_value)
        assert row["smallest_detectable"] == pytest.approx(2.8016 * deviation, rel=1e-4)
        assert row["n"] == 400
    assert rows["b", "a"]["p_holm"] < 0.001 < 0.05 < rows["b", "c"]["p_holm"]


def test_of_errors_the_smaller_one_comes_first():
    rng = np.random.default_rng(0)
    errors = {"a": abs(rng.normal(size=200)), "b": 2 * abs(rng.normal(size=200))}
    found = replicate([mean_of(values) for values in errors.values()], np.arange(200))
    (row,) = compare(dict(zip(errors, found, strict=True)), higher_is_better=False, clusters=200, n=200)
    assert (row["first"], row["second"]) == ("a", "b")
    assert row["high"] < 0
    assert row["p_holm"] == row["p_value"] < 1e-6


def test_the_same_predictions_are_no_difference():
    _, _, _, replicates = world({"a": 1.0})
    twice = {"a": replicates["a"], "b": replicates["a"]}
    (row,) = compare(twice, higher_is_better=True, clusters=100, n=400)
    assert (row["first"], row["difference"], row["p_value"], row["p_holm"]) == ("a", 0.0, 1.0, 1.0)


def test_a_difference_that_never_varies_has_no_test():
    replicates = {"a": Replicates(1.0, np.full(100, 1.0)), "b": Replicates(0.0, np.full(100, 0.0))}
    (row,) = compare(replicates, higher_is_better=True, clusters=3, n=3)
    assert (row["difference"], row["p_value"], row["p_holm"]) == (1.0, None, None)


def test_few_false_discoveries():
    """Twelve predictors that are equally good: a leader is declared better than somebody in about 1 of 20 worlds."""
    wrong = 0
    for seed in range(60):
        _, _, clusters, replicates = world({f"p{k}": 1.0 for k in range(12)}, n=120, seed=seed)
        rows = compare(replicates, higher_is_better=True, clusters=len(np.unique(clusters)), n=120)
        wrong += any(row["p_holm"] < 0.05 for row in rows)
    assert wrong <= 8


def row(first, second, p_holm):
    return {"first": first, "second": second, "p_holm": p_holm, "smallest_detectable": 0.1}


def test_standings():
    values = {"a": 0.5, "b": 0.3, "constant": None}
    lows = {"a": 0.4, "b": 0.2, "constant": None}
    assert standings(values, lows, [row("a", "b", 0.01)]) == {"a": "best", "b": "worse", "constant": None}
    assert standings(values, lows, [row("a", "b", 0.05)]) == {"a": "among_best", "b": "among_best", "constant": None}
    # Better than another, but not than nothing.
    assert standings(values, {**lows, "a": -0.1}, [row("a", "b", 0.01)])["a"] == "among_best"
    assert standings({"a": 0.5}, {"a": 0.1}, []) == {"a": "best"}
    assert standings({"a": 0.5}, {"a": None}, []) == {"a": "among_best"}
    assert standings({"a": None}, {"a": None}, []) == {"a": None}
    assert standings({}, {}, []) == {}


def test_smallest_detectable_difference():
    # A thousand posts resolve about 0.09.
    assert smallest_detectable(1 / np.sqrt(1000)) == pytest.approx(0.0886, abs=1e-4)
    assert detectable([], 1000) == pytest.approx(0.0886, abs=1e-4)
    assert detectable([], 2) is None
    rows = [{"smallest_detectable": value} for value in (0.3, None, 0.1, 0.2)]
    assert detectable(rows, 1000) == 0.2


def test_the_smallest_detectable_difference_is_detected_in_four_of_five_worlds():
    random = np.random.default_rng(3)
    error = 1 / np.sqrt(50)
    found = random.normal(smallest_detectable(error), 1.0, size=(4_000, 50)).mean(axis=1) / error
    assert (np.abs(found) > 1.96).mean() == pytest.approx(0.8, abs=0.03)


def measured(subreddit, value, error=0.1, predictor="p", **more):
    base = {"predictor": predictor, "target": "log_score", "metric": "spearman", "chance": 0.0, "n": 100}
    return {**base, "subreddit": subreddit, "value": value, "standard_error": error, **more}


SIZES = {"a": MIN_POSTS, "b": 100, "small": MIN_POSTS - 1}


def test_a_macro_mean_counts_large_communities_alike():
    (mean,) = macro_metrics([measured("a", 0.2), measured("b", 0.6, 0.2), measured("small", -1.0)], SIZES)
    assert (mean["scope"], mean["subreddit"], mean["subreddits"], mean["n"]) == ("macro_mean", "", 2, 200)
    assert mean["value"] == pytest.approx(0.4)
    assert mean["standard_error"] == pytest.approx(np.sqrt(0.05) / 2)
    assert mean["high"] - mean["value"] == pytest.approx(1.96 * np.sqrt(0.05) / 2, rel=1e-4)
    assert (mean["chance"], mean["note"]) == (0.0, None)


def test_the_interval_of_a_macro_mean_is_that_of_its_simulation():
    random = np.random.default_rng(1)
    errors = random.uniform(0.05, 0.2, 6)
    sizes = {str(k): 50 for k in range(6)}
    (mean,) = macro_metrics([measured(str(k), 0.3, error) for k, error in enumerate(errors)], sizes)
    means = (0.3 + errors[:, None] * random.normal(size=(6, 20_000))).mean(axis=0)
    assert mean["standard_error"] == pytest.approx(means.std(), rel=0.03)
    assert (mean["low"], mean["high"]) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))), abs=0.005)


def test_a_macro_mean_of_nothing_says_why():
    (small,) = macro_metrics([measured("small", 0.3)], SIZES)
    assert (small["value"], small["subreddits"], small["note"]) == (None, 0, "no subreddit has 30 test posts")
    (constant,) = macro_metrics([measured("a", None, None)], SIZES)
    assert (constant["value"], constant["note"]) == (None, "undefined in every subreddit")
    (unbounded,) = macro_metrics([measured("a", 0.3, None), measured("b", 0.1)], SIZES)
    assert (unbounded["value"], unbounded["low"]) == (pytest.approx(0.2), None)


def compared(subreddit, first, second, difference, error=0.05, metric="spearman"):
    base = {"target": "log_score", "metric": metric, "n": 100}
    return {**base, "subreddit": subreddit, "first": first, "second": second, "difference": difference,
            "standard_error": error}  # fmt: skip


def test_macro_differences_add_up_with_their_signs():
    rows = [compared("a", "x", "y", 0.3), compared("b", "y", "x", 0.1), compared("small", "y", "x", 0.9)]
    (mean,) = macro_comparisons(rows, SIZES)
    assert (mean["first"], mean["second"], mean["subreddits"]) == ("x", "y", 2)
    assert mean["difference"] == pytest.approx(0.1)
    assert mean["standard_error"] == pytest.approx(0.05 / np.sqrt(2))
    assert mean["p_holm"] == mean["p_value"] == pytest.approx(0.00468, abs=1e-4)
    assert mean["low"] < mean["difference"] < mean["high"]


def test_macro_differences_of_errors_have_the_smaller_error_first():
    (mean,) = macro_comparisons([compared("a", "x", "y", 0.3, metric="mae")], SIZES)
    assert (mean["first"], mean["second"], mean["difference"]) == ("y", "x", -0.3)
    assert mean["low"] < -0.3 < mean["high"] < 0


def test_pooling_is_a_trap():
    """Two communities in which the prediction knows only the community: within them it is worth nothing."""
    random = np.random.default_rng(0)
    level = np.repeat([1.0, 6.0], 200)
    rows = pooled_metrics("p", level + random.normal(size=400), level + 0.01 * random.normal(size=400), 2)
    (spearman,) = (row for row in rows if row["metric"] == "spearman")
    assert spearman["value"] > 0.7
    assert "mostly which community is large" in spearman["note"]
