"""The leaderboard as a table, and what its marks mean."""

import pytest

from redpop_assets.evaluation.comparison import AMONG_BEST, BEST
from redpop_assets.evaluation.macro import WARNING
from redpop_assets.pages.leaderboard import by_spearman, leaderboard_markdown, marked, remark, with_interval


def row(predictor, spearman, standing=None, **more):
    half = None if spearman is None else 0.125
    return {
        **{"subreddit": "pics", "predictor": predictor, "status": "trained", "reason": None, "standing": standing},
        **{"spearman": spearman, "spearman_low": half and spearman - half, "spearman_high": half and spearman + half},
        **{"mae": 1.234, "mse": None, "pair_accuracy": 0.6, "pair_accuracy_low": 0.5, "pair_accuracy_high": 0.75},
        **{"test_posts": 100, "pairs": 33, "untrained_weights": False, "smallest_detectable": 0.111},
        **{"test_clusters": 50, **more},
    }


def untrained(predictor, **more):
    nothing = {"status": "not_trained", "reason": "needs images | captions", "smallest_detectable": None}
    return row(predictor, None, **{**nothing, **more})


def metric(scope, predictor, name, value, low=None, high=None):
    return {
        **{"scope": scope, "predictor": predictor, "metric": name, "target": "log_score", "value": value},
        **{"low": low, "high": high, "subreddits": 2},
    }


def test_best_first_with_intervals_and_what_could_not_be_trained_last():
    rows = [untrained("absent"), row("constant", None), row("random_one", 0.25, untrained_weights=True)]
    rows += [row("good", 0.5, BEST)]
    lines = leaderboard_markdown(rows).split("\n\n")[0].splitlines()
    assert lines == [
        "| subreddit | predictor | Spearman (95 %) | MAE | MSE | pair accuracy (95 %) | test posts | pairs |",
        "|---|---|---|---|---|---|---|---|",
        "| pics | **good** | 0.50 [0.38, 0.62] | 1.23 | – | 0.60 [0.50, 0.75] | 100 | 33 |",
        "| pics | random_one (untrained weights) | 0.25 [0.12, 0.38] | 1.23 | – | 0.60 [0.50, 0.75] | 100 | 33 |",
        "| pics | constant | – | 1.23 | – | 0.60 [0.50, 0.75] | 100 | 33 |",
        "| pics | absent | not trained: needs images \\| captions |  |  |  |  |  |",
    ]


@pytest.mark.parametrize(
    ("lenders", "random", "expected"),
    [
        (None, False, ""),
        (12, False, " (borrowed from 12 others)"),
        (1, False, " (borrowed from 1 other)"),
        (2, True, " (borrowed from 2 others) (untrained weights)"),
    ],
)
def test_who_borrowed_says_from_how_many(lenders, random, expected):
    assert remark(row("x", 0.5, lenders=lenders, untrained_weights=random)) == expected


def test_what_marks_mean_and_what_could_be_told_apart_stands_below():
    text = leaderboard_markdown([row("good", 0.5), untrained("absent")])
    assert "**Bold**: better than every other predictor of the subreddit by Spearman" in text
    assert "r/pics: one test at 5 % is likely to miss differences of Spearman below 0.11 (100 test posts in 50" in text
    assert "Mean over the subreddits" not in text


@pytest.mark.parametrize(("standing", "expected"), [(BEST, "**x**"), (AMONG_BEST, "x †"), ("worse", "x"), (None, "x")])
def test_a_standing_has_its_mark(standing, expected):
    assert marked(row("x", 0.5, standing)) == expected


def test_no_correlation_is_less_than_a_negative_one():
    rows = [row("none", None), row("negative", -0.5), row("zero", 0.0), untrained("absent")]
    assert [each["predictor"] for each in sorted(rows, key=by_spearman)] == ["zero", "negative", "none", "absent"]


def test_an_interval_is_shown_where_there_is_one():
    assert with_interval(row("x", 0.5), "spearman") == "0.50 [0.38, 0.62]"
    assert with_interval(row("x", 0.5, spearman_low=None), "spearman") == "0.50"
    assert with_interval(row("x", None), "spearman") == "–"


def test_over_several_communities_their_means_follow_and_pooling_is_marked():
    metrics = [
        metric("macro_mean", "bad", "spearman", None),
        metric("macro_mean", "good", "spearman", 0.4, 0.3, 0.5),
        metric("macro_mean", "good", "pair_accuracy", 0.7, 0.6, 0.8),
        metric("pooled", "good", "spearman", 0.9),
        {**metric("macro_mean", "good", "spearman", 0.1), "target": "top_quarter"},
    ]
    text = leaderboard_markdown([row("good", 0.5), row("good", 0.5, subreddit="aww")], metrics)
    below = text.partition("Mean over the subreddits with at least 30 test posts")[2]
    assert WARNING in below
    assert below.splitlines()[2:] == [
        "| predictor | mean Spearman (95 %) | mean pair accuracy (95 %) | subreddits | pooled Spearman |",
        "|---|---|---|---|---|",
        "| good | 0.40 [0.30, 0.50] | 0.70 [0.60, 0.80] | 2 | 0.90 |",
        "| bad | – | – | 2 | – |",
    ]


def test_what_is_left_out_stands_below():
    rows = [row("good", 0.5, left_out_posts=747), row("better", 0.6, left_out_posts=747)]
    rows += [row("good", 0.5, subreddit=name, left_out_posts=none) for name, none in (("aww", 0), ("cats", None))]
    lines = [line for line in leaderboard_markdown(rows).splitlines() if "neither learnt from nor judged" in line]
    assert [line.partition(":")[0] for line in lines] == ["r/pics"]
    assert "747 labelled posts" in lines[0]
