"""The comparison of splits as people read it: how well each predictor ranks under each of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown
from redpop_assets.pages.leaderboard import with_interval
from redpop_assets.refresh.split_comparison import SPLITS

_WORDS = (
    "Spearman with 95 % intervals. Each split has a test part of its own; only that by time says how the next posts "
    "would do."
)


def split_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Spearman under each split, a row per subreddit and predictor, as Markdown; best by time first."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["subreddit"], row["predictor"]), {})[row["split"]] = row

    def order(entry: tuple[tuple[str, str], Mapping[str, Mapping[str, Any]]]) -> tuple[str, float, str]:
        value = entry[1].get("time", {}).get("spearman")
        return entry[0][0], 2.0 if value is None else -value, entry[0][1]

    shown = []
    for (subreddit, predictor), by_split in sorted(found.items(), key=order):
        share = by_split.get("time", {}).get("unseen_author_share")
        unseen = "–" if share is None else f"{share:.0%}"
        shown.append((subreddit, predictor, *(_cell(by_split.get(split)) for split in SPLITS), unseen))
    header = ("subreddit", "predictor", *SPLITS, "unseen authors by time")
    return f"{markdown.table(header, shown)}\n\n{_WORDS}"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return with_interval(row, "spearman") if row["status"] == "trained" else "not trained"
