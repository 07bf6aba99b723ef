"""The early leaderboard as people read it: by age, the best first; what is not trained says why."""

import io

from rich.console import Console

from redpop_assets.cli.pages.early import print_early_leaderboard
from redpop_assets.evaluation.bootstrap import Interval
from redpop_assets.pages.early import early_markdown


def row(age, predictor, spearman, **changes):
    return {
        **{"subreddit": "pics", "age_hours": age, "predictor": predictor, "status": "trained", "reason": None},
        **{"test_posts": 66, "spearman": spearman, "spearman_low": spearman - 0.1, "spearman_high": spearman + 0.05},
        **{"mae": 0.41, "posting_predictor": "stack", "speaks": False, "coverage_50": 0.5, "coverage_80": 0.81},
        **{"coverage_90": None, "added_spearman": 0.02, "added_spearman_low": -0.01, "added_spearman_high": 0.05},
        **changes,
    }


ROWS = [
    row(3, "early_curve", 0.8, speaks=True),
    row(1, "early_growth", 0.4),
    row(1, "at_posting", 0.6, added_spearman=None, added_spearman_low=None),
    row(1, "early_curve", 0.7),
    row(24, "early_network", 0.0, status="not_trained", reason="too few matured posts: 9 of 100"),
]


def test_a_table_by_age_with_ceilings():
    out = io.StringIO()
    ceilings = {("pics", 1): Interval(0.9, 0.85, 0.93, 0.95, 1000)}
    print_early_leaderboard(ROWS, Console(file=out, width=200), ceilings)
    lines = [line for line in out.getvalue().splitlines() if " h " in line]
    names = [next(word for word in line.split()[2:]) for line in lines if "trained" not in line]
    assert names == ["highest", "early_curve", "at_posting", "early_growth", "early_curve"]
    assert "0.900 [0.850, 0.930]" in lines[0]
    assert "+0.020 [-0.010, +0.050]" in lines[1]
    assert "at_posting (stack)" in lines[2]
    assert "early_curve ✎" in lines[4]
    assert "50 %" in lines[4]
    assert "81 %" in lines[4]
    assert "r/pics, not trained: early_network at 24 h: too few matured posts: 9 of 100" in out.getvalue()


def test_the_same_as_markdown():
    page = early_markdown(ROWS)
    assert page.startswith("r/pics\n\n| age | predictor |")
    assert (
        "| 3 h | early_curve ✎ | 0.800 [0.700, 0.850] | +0.020 [-0.010, +0.050] | 0.41 | 50 % | 81 % | – | 66 |" in page
    )
    assert "| 24 h | early_network | not trained: too few matured posts: 9 of 100 |" in page
