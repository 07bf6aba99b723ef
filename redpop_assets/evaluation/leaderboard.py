"""The leaderboard: every predictor on the test part of its subreddit, with intervals; and its rendering as a table."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from redpop_assets.evaluation.bootstrap import author_clusters, interval, pair_accuracy_of, spearman_of
from redpop_assets.evaluation.metrics import mae, mse, raw_score
from redpop_assets.evaluation.pairs import pair_outcomes, time_controlled_pairs
from redpop_assets.storage.warehouse import Warehouse

CODE_VERSION: Final = "1"
"""Raise it whenever a metric would come out differently."""

_STATES = """
SELECT * EXCLUDE (code_version, seed, notes, validation_rows, train_seconds, trained_at)
FROM models.predictors ORDER BY ALL
"""
_TEST = """
SELECT t.created_at, t.cluster, t.duplicate_group, t.log_score, p.expected_log_score
FROM models.training_set AS t
JOIN marts.predictions AS p USING (post_id)
WHERE t.subreddit = $subreddit AND t.split = 'test' AND p.predictor = $predictor AND p.digest = $digest
ORDER BY t.post_id
"""


def refresh_leaderboard(warehouse: Warehouse, *, seed: int) -> list[dict[str, Any]]:
    """Measure every predictor of models.predictors that changed since, store marts.leaderboard and return all its rows.

    Metrics are within a subreddit, never pooled: Spearman and pair accuracy with 95 % bootstrap intervals clustered by
    author, MAE and MSE on the log scale.
    """
    known = {
        (row["subreddit"], row["predictor"], row["snapshot"], row["digest"], row["metrics_version"]): row
        for row in warehouse.query("SELECT * FROM marts.leaderboard").to_pylist()
    }
    rows = []
    for state in warehouse.query(_STATES).to_pylist():
        key = (state["subreddit"], state["predictor"], state["snapshot"], state["digest"], f"{CODE_VERSION}-{seed}")
        rows.append(known.get(key) or _measure(warehouse, state, seed))
    with warehouse.write() as writer:
        empty = writer.query("SELECT * FROM marts.leaderboard LIMIT 0")
        writer.replace("marts.leaderboard", pa.Table.from_pylist(rows, schema=empty.schema), "TRUE")
    return rows


def leaderboard_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The leaderboard as a Markdown table, best Spearman first within each subreddit."""
    lines = [
        "| subreddit | predictor | Spearman (95 %) | MAE | MSE | pair accuracy (95 %) | test posts | pairs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: (row["subreddit"], -(row["spearman"] or -2.0), row["predictor"])):
        if row["status"] != "trained":
            lines.append(f"| {row['subreddit']} | {row['predictor']} | not trained: {row['reason']} | | | | | |")
            continue
        lines.append(
            f"| {row['subreddit']} | {row['predictor']}{' (untrained weights)' if row['untrained_weights'] else ''} "
            f"| {with_interval(row, 'spearman')} | {_number(row['mae'])} | {_number(row['mse'])} "
            f"| {with_interval(row, 'pair_accuracy')} | {row['test_posts']} | {row['pairs']} |"
        )
    return "\n".join(lines)


def with_interval(row: dict[str, Any], metric: str) -> str:
    """A metric of a leaderboard row with its interval, such as `0.41 [0.30, 0.52]`; a dash where it is undefined."""
    if row[metric] is None:
        return "–"
    if row[f"{metric}_low"] is None:
        return _number(row[metric])
    return f"{_number(row[metric])} [{_number(row[f'{metric}_low'])}, {_number(row[f'{metric}_high'])}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _measure(warehouse: Warehouse, state: dict[str, Any], seed: int) -> dict[str, Any]:
    params = {"subreddit": state["subreddit"], "predictor": state["predictor"], "digest": state["digest"]}
    test = warehouse.query(_TEST, params).to_pydict()
    truth = np.array(test["log_score"], dtype=np.float64)
    expected = np.array(test["expected_log_score"], dtype=np.float64)
    created_at = np.array(test["created_at"], dtype="datetime64[s]")
    clusters = author_clusters(test["cluster"])
    pairs = time_controlled_pairs(
        np.zeros(len(truth), dtype=np.int64), created_at, np.rint(raw_score(truth)), np.array(test["duplicate_group"])
    )
    spearman = interval(spearman_of(truth, expected), clusters, seed=seed) if len(truth) else None
    accuracy = (
        interval(pair_accuracy_of(pairs, pair_outcomes(pairs, expected)), clusters, seed=seed) if len(pairs) else None
    )
    return {
        **{name: value for name, value in state.items() if name != "train_rows"},
        "train_posts": state["train_rows"],
        "test_posts": len(truth),
        "spearman": spearman.estimate if spearman else None,
        "spearman_low": spearman.low if spearman else None,
        "spearman_high": spearman.high if spearman else None,
        "mae": mae(truth, expected),
        "mse": mse(truth, expected),
        "pair_accuracy": accuracy.estimate if accuracy else None,
        "pair_accuracy_low": accuracy.low if accuracy else None,
        "pair_accuracy_high": accuracy.high if accuracy else None,
        "pairs": len(pairs),
        "metrics_version": f"{CODE_VERSION}-{seed}",
    }
