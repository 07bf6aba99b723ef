"""The leaderboard as people read it: a table in the UI, and the words and marks that the terminal shares with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from redpop_assets import markdown
from redpop_assets.evaluation.comparison import AMONG_BEST, BEST
from redpop_assets.evaluation.macro import MACRO_MEAN, MIN_POSTS, POOLED, WARNING

_COLUMNS = ("subreddit", "predictor", "Spearman (95 %)", "MAE", "MSE", "pair accuracy (95 %)", "test posts", "pairs")


def leaderboard_markdown(rows: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]] = ()) -> str:
    """The leaderboard as Markdown, best Spearman first within each subreddit, and what its marks mean.

    Args:
        rows: of marts.leaderboard.
        metrics: of marts.metrics; from several subreddits, their macro means and pooled values follow.
    """
    lines = [
        markdown.table(_COLUMNS, map(_cells, sorted(rows, key=by_spearman))),
        "",
        legend("**Bold**"),
        "",
        *(f"{line}  " for line in (*detectable_lines(rows), *left_out_lines(rows), *ways_lines(rows))),
    ]
    if len({row["subreddit"] for row in rows}) > 1:
        lines += ["", _over_subreddits(metrics)]
    return "\n".join(lines)


def legend(best: str) -> str:
    """What the marks of standings mean; `best` is how the best predictor is marked."""
    return (
        f"{best}: better than every other predictor of the subreddit by Spearman, p < 0.05 in paired tests with Holm's "
        "correction. †: not worse than the highest beyond chance."
    )


def by_spearman(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sort key of rows of marts.leaderboard: best first within each subreddit, those without a correlation last."""
    undefined = row["spearman"] is None
    return (
        row["subreddit"],
        row["status"] != "trained",
        undefined,
        0.0 if undefined else -row["spearman"],
        row["predictor"],
    )


def marked(row: Mapping[str, Any]) -> str:
    """The predictor of a leaderboard row, as Markdown with the mark of its standing."""
    name: str = row["predictor"]
    return {BEST: f"**{name}**", AMONG_BEST: f"{name} †"}.get(row["standing"], name)


def remark(row: Mapping[str, Any]) -> str:
    """What follows the name of a predictor: whether others lent it their posts, or its networks are random."""
    lenders = row.get("lenders")  # which a file that was published by an earlier version lacks
    borrowed = f" ({borrowed_from(lenders)})" if lenders else ""
    return borrowed + (" (untrained weights)" if row["untrained_weights"] else "")


def borrowed_from(lenders: int) -> str:
    """In words, from how many other communities a predictor has borrowed posts."""
    return f"borrowed from {lenders} other{'s' if lenders > 1 else ''}"


def detectable_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each subreddit a sentence on the smallest difference that its test posts can tell from chance."""
    lines = {}
    for row in rows:
        least = row.get("smallest_detectable")
        if least is not None:
            lines[row["subreddit"]] = (
                f"r/{row['subreddit']}: one test at 5 % is likely to miss differences of Spearman below {least:.2f} "
                f"({row['test_posts']} test posts in {row['test_clusters']} independent groups)."
            )
    return [lines[subreddit] for subreddit in sorted(lines)]


def left_out_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each subreddit whose archive had wrong scores, a sentence on how many posts are left out for that."""
    left_out = {row["subreddit"]: row["left_out_posts"] for row in rows if row.get("left_out_posts")}
    return [
        f"r/{subreddit}: {posts} labelled posts are neither learnt from nor judged: the scores that an archive has of "
        "them are likely to be first readings (core.anomalies)."
        for subreddit, posts in sorted(left_out.items())
    ]


def ways_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each way in which the encoders behind some predictors ran, a sentence: another one moves figures a little."""
    ways: dict[str, set[str]] = {}
    for row in rows:
        if row.get("networks_ran"):
            ways.setdefault(row["networks_ran"], set()).add(row["subreddit"])
    return [
        f"Encoders behind predictors of {', '.join(f'r/{name}' for name in sorted(ways[way]))} ran in: {way}."
        for way in sorted(ways)
    ]


def with_interval(row: Mapping[str, Any], metric: str) -> str:
    """A metric of a row with its interval, such as `0.41 [0.30, 0.52]`; a dash where it is undefined."""
    return markdown.interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    if row["status"] != "trained":
        return row["subreddit"], row["predictor"], f"not trained: {row['reason']}", *[""] * 5
    return (
        row["subreddit"],
        marked(row) + remark(row),
        with_interval(row, "spearman"),
        markdown.number(row["mae"]),
        markdown.number(row["mse"]),
        with_interval(row, "pair_accuracy"),
        row["test_posts"],
        row["pairs"],
    )


def _over_subreddits(metrics: Sequence[Mapping[str, Any]]) -> str:
    found = {(row["scope"], row["predictor"], row["metric"]): row for row in metrics if row["target"] == "log_score"}

    def of(scope: str, predictor: str, metric: str) -> Mapping[str, Any]:
        return found.get((scope, predictor, metric), {})

    means = [row for (scope, _, metric), row in found.items() if (scope, metric) == (MACRO_MEAN, "spearman")]
    means.sort(key=lambda row: (-(row["value"] if row["value"] is not None else -2.0), row["predictor"]))
    table = markdown.table(
        ("predictor", "mean Spearman (95 %)", "mean pair accuracy (95 %)", "subreddits", "pooled Spearman"),
        [
            (
                mean["predictor"],
                _value(mean),
                _value(of(MACRO_MEAN, mean["predictor"], "pair_accuracy")),
                mean["subreddits"],
                markdown.number(of(POOLED, mean["predictor"], "spearman").get("value")),
            )
            for mean in means
        ],
    )
    return f"Mean over the subreddits with at least {MIN_POSTS} test posts ({WARNING}):\n\n{table}"


def _value(row: Mapping[str, Any]) -> str:
    return markdown.interval(row.get("value"), row.get("low"), row.get("high"))
