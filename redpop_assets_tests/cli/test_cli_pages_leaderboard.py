"""The leaderboard as people see it in a terminal."""

import io

from rich.console import Console

from redpop_assets.cli.pages.leaderboard import print_leaderboard


def row(predictor, spearman, standing, **more):
    return {
        **{"subreddit": "pics", "predictor": predictor, "status": "trained", "reason": None},
        **{"spearman": spearman, "spearman_low": None, "spearman_high": None, "mae": 1.0, "mse": 2.0},
        **{"pair_accuracy": 0.5, "pair_accuracy_low": 0.4, "pair_accuracy_high": 0.6, "test_posts": 90, "pairs": 40},
        **{"untrained_weights": False, "standing": standing, "smallest_detectable": 0.123, "test_clusters": 70},
        **more,
    }


def shown(rows):
    text = io.StringIO()
    print_leaderboard(rows, Console(file=text, width=200))
    return text.getvalue()


def test_marks_and_what_they_mean():
    text = shown([row("constant", None, None), row("second", 0.3, "worse"), row("first", 0.0, "among_best")])
    lines = text.splitlines()
    places = [next(n for n, line in enumerate(lines) if name in line) for name in ("second", "first", "constant")]
    assert places == sorted(places)  # 0 is a correlation, and more than none
    assert "first †" in text
    assert "likely to miss differences of Spearman below 0.12 (90 test posts in 70 independent groups)" in text
    assert "not worse than the highest beyond chance" in text
    assert " * " not in text.partition("*:")[0]
    assert "first *" in shown([row("first", 0.5, "best"), row("second", 0.3, "worse")])


def test_who_borrowed_says_so():
    assert "pooled † (borrowed from 12 others)" in shown([row("pooled", 0.5, "among_best", lenders=12)])


def test_a_file_of_an_earlier_version_is_shown_without_marks():
    old = {name: value for name, value in row("first", 0.5, "best").items() if name not in (
        "standing", "smallest_detectable", "test_clusters")}  # fmt: skip
    text = shown([old])
    assert "first " in text
    assert "first *" not in text
