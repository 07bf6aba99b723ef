"""The feature catalogue as people read it: which features go with the score, the suspicious ones first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown

_COLUMNS = ("block", "feature", "known", "Spearman (95 %)", "posts", "missing", "leakage")


def catalogue_markdown(rows: Sequence[Mapping[str, Any]], *, most: int = 20) -> str:
    """The largest correlations as a table, suspicious ones first.

    Args:
        rows: of marts.feature_catalogue, of one subreddit.
        most: rows to show.
    """
    order = sorted(
        rows,
        key=lambda row: (row["leakage"] != "suspicious", -abs(row["spearman"] or 0.0), row["block"], row["feature"]),
    )
    return markdown.table(_COLUMNS, map(_cells, order[:most]))


def catalogue_by_subreddit(rows: Sequence[Mapping[str, Any]]) -> str:
    """`catalogue_markdown` of each subreddit, under its name."""
    by_subreddit: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_subreddit[row["subreddit"]].append(row)
    return "\n\n".join(
        f"### r/{subreddit}\n\n{catalogue_markdown(members)}" for subreddit, members in by_subreddit.items()
    )


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["block"],
        row["feature"],
        row["known_at"],
        markdown.interval(row["spearman"], row["spearman_low"], row["spearman_high"], "+.2f"),
        row["labelled_posts"],
        markdown.number(row["missing_share"], ".0%"),
        row["leakage"],
    )
