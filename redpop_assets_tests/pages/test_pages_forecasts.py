"""The track record of forecasts as a table."""

from datetime import date

from redpop_assets.pages.forecasts import accuracy_markdown


def row(month, predictor="x", **more):
    return {
        **{"month": date(2024, month, 1), "subreddit": "pics", "predictor": predictor, "forecasts": 9, "scored": 4},
        **{"spearman": None, "mae": 0.5, "median_mae": 0.625, "bias": -0.1},
        **{"coverage_50": 0.5, "coverage_80": 0.75, "coverage_90": None},
        **more,
    }


def test_the_newest_month_comes_first_and_what_is_not_known_is_a_dash():
    rows = [row(1, spearman=0.25), row(2, "y"), row(2, subreddit="aww", coverage_90=1.0)]
    assert accuracy_markdown(rows).splitlines() == [
        "| month | subreddit | champion | forecasts | scored | Spearman | MAE | median's | bias "
        "| in 50 % | in 80 % | in 90 % |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        "| 2024-02 | aww | x | 9 | 4 | – | 0.50 | 0.62 | -0.10 | 50 % | 75 % | 100 % |",
        "| 2024-02 | pics | y | 9 | 4 | – | 0.50 | 0.62 | -0.10 | 50 % | 75 % | – |",
        "| 2024-01 | pics | x | 9 | 4 | 0.25 | 0.50 | 0.62 | -0.10 | 50 % | 75 % | – |",
    ]
