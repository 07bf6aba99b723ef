"""The track record of forecasts as people read it: what became of those that were written down."""

from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown
from redpop_assets.evaluation.measurement import LEVELS

_COLUMNS = (
    *("month", "subreddit", "champion", "forecasts", "scored", "Spearman", "MAE", "median's", "bias"),
    *(f"in {level} %" for level in LEVELS),
)


def accuracy_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of marts.forecast_accuracy as a table, newest month first."""
    ordered = sorted(rows, key=lambda row: (-row["month"].toordinal(), row["subreddit"], row["predictor"]))
    return markdown.table(_COLUMNS, map(_cells, ordered))


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    shares = [row[f"coverage_{level}"] for level in LEVELS]
    return (
        f"{row['month']:%Y-%m}",
        *(row[name] for name in ("subreddit", "predictor", "forecasts", "scored")),
        *(markdown.number(row[name]) for name in ("spearman", "mae", "median_mae", "bias")),
        *(markdown.DASH if share is None else f"{100 * share:.0f} %" for share in shares),
    )
