"""All metrics of a subreddit at once: the same numbers as one by one, on the posts that they are about."""

from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn import metrics as reference

from redpop_assets.evaluation.bootstrap import interval, spearman_of
from redpop_assets.evaluation.measurement import LEVELS, Expectation, measure
from redpop_assets.evaluation.metrics import raw_score
from redpop_assets.evaluation.splits import connected_components
from redpop_assets.evaluation.targets import Posts

N = 500


@pytest.fixture(scope="module")
def posts():
    rng = np.random.default_rng(0)
    created = np.datetime64("2026-01-01", "s") + np.sort(rng.integers(0, 120 * 86_400, N)).astype("timedelta64[s]")
    groups = [f"group{number if number % 20 else number + 1}" for number in range(N)]
    return Posts(
        created_at=created,
        log_score=np.log1p(np.rint(np.exp(rng.normal(4, 1.5, N)))),
        authors=np.array([f"author{number}" for number in rng.zipf(1.5, N) % 80]),
        groups=np.array(groups),
        split=np.array(["train"] * 250 + ["validation"] * 50 + ["embargo"] * 20 + ["test"] * 180),
        log_subscribers=np.full(N, np.nan),
    )


@pytest.fixture(scope="module")
def expectation(posts):
    expected = posts.log_score + np.random.default_rng(1).normal(size=N)
    ends = [{level: expected + sign * level / 50 for level in LEVELS} for sign in (-1, 1)]
    return Expectation(expected, *ends)


@pytest.fixture(scope="module")
def measured(posts, expectation):
    constant = Expectation(np.full(N, 3.0))
    return measure(posts, {"good": expectation, "constant": constant}, seed=4)


def rows_of(measured, predictor):
    return {(row["target"], row["metric"]): row for row in measured.rows if row["predictor"] == predictor}


def test_values_are_those_of_the_libraries(posts, expectation, measured):
    rows = rows_of(measured, "good")
    truth, expected = posts.log_score[posts.test], expectation.expected[posts.test]
    for metric, value in {
        "spearman": spearmanr(truth, expected).statistic,
        "kendall": kendalltau(truth, expected).statistic,
        "mae": reference.mean_absolute_error(truth, expected),
        "mse": reference.mean_squared_error(truth, expected),
        "rmse": reference.root_mean_squared_error(truth, expected),
        "r2": reference.r2_score(truth, expected),
        "median_absolute_error": reference.median_absolute_error(raw_score(truth), raw_score(expected)),
        "coverage_50": (np.abs(truth - expected) <= 1).mean(),
        "width_90": 3.6,
    }.items():
        row = rows["log_score", metric]
        assert row["value"] == pytest.approx(value), metric
        assert row["low"] <= row["value"] <= row["high"], metric
        assert (row["n"], row["note"]) == (180, None)
    learnt = posts.learnt[posts.created_at[posts.learnt] >= posts.created_at[299] - np.timedelta64(90, "D")]
    positive = truth >= np.quantile(posts.log_score[learnt], 0.75)
    said = expected >= np.quantile(expectation.expected[learnt], 0.75)
    for metric, value in {
        "precision": reference.precision_score(positive, said),
        "recall": reference.recall_score(positive, said),
        "f1": reference.f1_score(positive, said),
        "accuracy": reference.accuracy_score(positive, said),
        "pr_auc": reference.average_precision_score(positive, expected),
        "roc_auc": reference.roc_auc_score(positive, expected),
    }.items():
        assert rows["top_quarter", metric]["value"] == pytest.approx(value), metric
    assert rows["top_quarter", "pr_auc"]["chance"] == rows["top_quarter", "precision"]["chance"] == positive.mean()
    assert rows["top_quarter", "accuracy"]["chance"] == 1 - positive.mean()


def test_intervals_draw_authors_and_pictures_together(posts, expectation, measured):
    test = posts.test
    clusters = connected_components(posts.authors[test].tolist(), posts.groups[test].tolist())
    alone = interval(spearman_of(posts.log_score[test], expectation.expected[test]), clusters, seed=4)
    row = rows_of(measured, "good")["log_score", "spearman"]
    assert (row["low"], row["high"]) == (alone.low, alone.high)
    assert measured.clusters == len(np.unique(clusters)) < len(np.unique(posts.authors[test]))
    assert measured.replicates["log_score", "spearman"]["good"].estimate == row["value"]


def test_a_guess_reaches_chance(posts, measured):
    constant = rows_of(measured, "constant")
    for (target, metric), row in constant.items():
        if row["value"] is not None and row["chance"] is not None and metric != "r2":
            assert row["value"] == pytest.approx(row["chance"]), (target, metric)
    random = np.random.default_rng(2)
    guesses = measure(posts, {str(k): Expectation(random.normal(size=N)) for k in range(40)}, resamples=2)
    for target, metric in (("log_score", "ndcg_at_10"), ("log_score", "precision_at_10_percent"),
                           ("top_quarter", "roc_auc"), ("author_top_quarter", "pr_auc"),
                           ("extreme_quarters", "precision")):  # fmt: skip
        found = [row for row in guesses.rows if (row["target"], row["metric"]) == (target, metric)]
        assert np.mean([row["value"] for row in found]) == pytest.approx(found[0]["chance"], abs=0.06), metric


def test_what_is_undefined_says_why(measured):
    constant = rows_of(measured, "constant")
    assert constant["log_score", "spearman"]["value"] is None
    assert constant["log_score", "spearman"]["note"] == "the prediction is the same for all posts"
    assert "expects the same of all posts" in constant["top_quarter", "f1"]["note"]
    assert constant["log_score", "mae"]["value"] > 0
    assert all((row["value"] is None) == (row["note"] is not None) for row in measured.rows)
    assert set(rows_of(measured, "good")) - set(constant) == {
        ("log_score", f"{name}_{level}") for name in ("coverage", "width") for level in LEVELS
    }
    assert "constant" not in measured.replicates["log_score", "spearman"]


def test_without_test_posts_everything_is_undefined(posts):
    empty = replace(posts, split=np.full(N, "train"))
    found = measure(empty, {"p": Expectation(posts.log_score)})
    assert {row["value"] for row in found.rows} == {None}
    assert {row["n"] for row in found.rows} == {0}
    assert all(row["note"] for row in found.rows)
    assert measure(posts, {}).rows == []


def test_one_author_alone_has_no_interval(posts):
    lonely = replace(posts, authors=np.full(N, "ann"))
    (row,) = (
        row
        for row in measure(lonely, {"p": Expectation(posts.log_score)}).rows
        if (row["target"], row["metric"]) == ("log_score", "mae")
    )
    assert (row["value"], row["low"], row["standard_error"]) == (0.0, None, None)
    assert row["note"] == "no interval: all test posts hang together"


def test_a_missing_prediction_is_no_comparison(posts, expectation):
    partly = expectation.expected.copy()
    partly[[0, -1]] = np.nan
    found = measure(posts, {"partly": Expectation(partly)}, resamples=10)
    (row,) = found.rows
    assert row["note"] == "2 of 480 posts have no prediction: refresh marts.predictions"
    assert found.replicates == {}
    with pytest.raises(ValueError, match="3 expectations for 500 posts"):
        measure(posts, {"p": Expectation(np.zeros(3))})


def test_a_predictor_takes_less_than_a_second(posts, expectation):
    began = process_time()
    measure(posts, {str(k): expectation for k in range(5)}, seed=1)
    assert (process_time() - began) / 5 < 1
