"""Predictors that follow a post as people read them: by age, beside the forecast at posting."""

from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.predictors.early.registry import AT_POSTING

COLUMNS = (
    *("age", "predictor", "Spearman (95 %)", "added to posting (95 %)", "MAE"),
    *(f"in {level} %" for level in LEVELS),
    "test posts",
)


def early_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of marts.early_leaderboard as a table per community, best Spearman first within each age."""
    parts = []
    for subreddit in sorted({row["subreddit"] for row in rows}):
        own = [row for row in rows if row["subreddit"] == subreddit]
        parts.append(f"r/{subreddit}\n\n{markdown.table(COLUMNS, (cells(row) for row in ordered(own)))}")
    return "\n\n".join([*parts, EXPLAINED])


EXPLAINED = (
    "Of each age all are judged on the same posts. at_posting is the champion, which sees no reading; what is added is "
    "the difference of Spearman to it, with a paired interval. ✎ is written down in marts.early_forecasts."
)


def ordered(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By age, then the best first; those without a correlation last."""

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        unknown = row["spearman"] is None
        return row["age_hours"], unknown, 0.0 if unknown else -row["spearman"], row["predictor"]

    return sorted(rows, key=place)


def cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    """One row, in the order of `COLUMNS`."""
    age = f"{row['age_hours']} h"
    name = f"{row['predictor']} ({row['posting_predictor']})" if row["predictor"] == AT_POSTING else row["predictor"]
    if row["status"] != "trained":
        return age, name, f"not trained: {row['reason']}", *[""] * (len(COLUMNS) - 4), row["test_posts"]
    added = markdown.interval(row["added_spearman"], row["added_spearman_low"], row["added_spearman_high"], "+.3f")
    shares = (row[f"coverage_{level}"] for level in LEVELS)
    return (
        age,
        f"{name} ✎" if row["speaks"] else name,
        markdown.interval(row["spearman"], row["spearman_low"], row["spearman_high"], ".3f"),
        added,
        markdown.number(row["mae"]),
        *(markdown.DASH if share is None else f"{100 * share:.0f} %" for share in shares),
        row["test_posts"],
    )
