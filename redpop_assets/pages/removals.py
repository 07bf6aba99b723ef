"""How well removals are foreseen, as people read it: a row per community, and whether probabilities came true."""

from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown

_COLUMNS = ("community", "test posts", "removed", "PR-AUC", "95 %", "chance", "Brier skill", "95 %", "why not")
_GROUPS = ("community", "said on average", "posts", "removed", "share", "95 %")


def removals_markdown(rows: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]) -> str:
    """Rows of marts.removal_metrics and of marts.removal_calibration as two tables.

    Args:
        rows: one per community.
        groups: by community and bin.
    """
    metrics = markdown.table(_COLUMNS, map(_metrics, rows))
    if not groups:
        return metrics
    return f"{metrics}\n\nOf posts to which some probability was given, how many were removed:\n\n" + markdown.table(
        _GROUPS, map(_group, groups)
    )


def _metrics(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["subreddit"],
        row["test_posts"],
        row["test_removed"],
        markdown.number(row["pr_auc"]),
        _interval(row, "pr_auc", markdown.number),
        markdown.number(row["base_rate"]),
        markdown.number(row["brier_skill"]),
        _interval(row, "brier_skill", markdown.number),
        row["reason"] or "",
    )


def _group(row: Mapping[str, Any]) -> tuple[object, ...]:
    share = _percent(row["removed_share"])
    said = _percent(row["mean_probability"])
    return (row["subreddit"], said, row["posts"], row["removed"], share, _interval(row, "removed_share", _percent))


def _interval(row: Mapping[str, Any], name: str, shown: Any) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return markdown.DASH if low is None else f"{shown(low)} to {shown(high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
