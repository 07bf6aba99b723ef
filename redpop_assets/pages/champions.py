"""Who speaks for a community, and why, as people read it."""

from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown

_COLUMNS = (
    *("judged", "champion", "", "compared with", "MAE difference (95 %)", "p"),
    *("posts", "MAE", "median's", "why"),
)


def history_markdown(rows: Sequence[Mapping[str, Any]], most: int = 20) -> str:
    """The newest judgements as a table, the last one first.

    Args:
        rows: of models.champions, of one subreddit.
        most: how many are shown.
    """
    newest = sorted(rows, key=lambda row: -row["judgement"])[:most]
    return markdown.table(_COLUMNS, map(_cells, newest))


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        f"{row['judged_at']:%Y-%m-%d %H:%M}",
        row["predictor"] or "nobody",
        "promoted" if row["promoted"] else "",
        row["rival"] or markdown.DASH,
        markdown.interval(row["mae_difference"], row["mae_difference_low"], row["mae_difference_high"], ".3f"),
        markdown.number(row["p_value"], ".3f"),
        row["test_posts"],
        markdown.number(row["mae"], ".3f"),
        markdown.number(row["median_mae"], ".3f"),
        row["reason"],
    )
