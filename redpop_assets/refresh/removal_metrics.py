"""How good the predictors of removals are, on the test part of each community; measured again where one changed."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from redpop_assets import versions
from redpop_assets.evaluation.bootstrap import Replicates, author_clusters, replicate
from redpop_assets.evaluation.probabilities import (
    average_precision_of,
    brier_of,
    brier_skill_of,
    calibration_groups,
)
from redpop_assets.refresh.removal_predictors import POSTS
from redpop_assets.refresh.removal_predictors import TABLE as PREDICTORS
from redpop_assets.refresh.snapshot import ALL, Snapshot
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.warehouse import Warehouse

METRICS: Final = "marts.removal_metrics"
CALIBRATION: Final = "marts.removal_calibration"

# A post that was forgotten since is in no part any more, so its community is measured again.
_STATES = f"""
SELECT p.*, coalesce(t.posts, 0) AS judging
FROM {PREDICTORS} AS p
LEFT JOIN (SELECT subreddit, count(*) AS posts FROM {POSTS} WHERE split = 'test' GROUP BY ALL) AS t USING (subreddit)
ORDER BY p.subreddit
"""
_JUDGED = f"""
SELECT cluster, removed, probability FROM {POSTS}
WHERE subreddit = $subreddit AND split = 'test' AND digest = $digest ORDER BY post_id
"""
_LEARNT = f"SELECT avg(removed::INTEGER) FROM {POSTS} WHERE subreddit = $subreddit AND split IN ('train', 'validation')"


def refresh_removal_metrics(
    warehouse: Warehouse, *, seed: int, progress: Callable[[str], None], resamples: int = 1_000
) -> list[dict[str, Any]]:
    """Measure the predictors of all communities; those that are what they were are left alone.

    Args:
        warehouse: with models.removal_predictors and models.removal_posts.
        seed, resamples: of the bootstrap.
        progress: told which communities are measured.

    Returns:
        The rows of marts.removal_metrics, by community.
    """
    stored = {row["subreddit"]: row for row in warehouse.query(f"FROM {METRICS}").to_pylist()}
    states = warehouse.query(_STATES).to_pylist()
    rows = []
    for state in states:
        facts = (state["status"], state["reason"], state["digest"], state["age_hours"], state["judging"])
        parts = {"code": versions.REMOVAL_METRICS, "predictor": facts, "seed": seed, "resamples": resamples}
        made_from = Snapshot(parts, {"inputs": ALL})
        scope = {"subreddit": state["subreddit"]}
        if made_from.is_of(stored.get(state["subreddit"])):
            rows.append(stored[state["subreddit"]])
            continue
        row, groups = _measured(warehouse, state, seed, resamples)
        row |= made_from.columns
        with warehouse.write() as writer:
            writer.merge(METRICS, arrow_table({name: [value] for name, value in row.items()}))
            columns = [column.name for column in warehouse.schema[CALIBRATION].columns]
            table = arrow_table({name: [group[name] for group in groups] for name in columns}) if groups else None
            writer.execute(f"DELETE FROM {CALIBRATION} WHERE subreddit = $subreddit", scope)
            if table is not None:
                writer.append(CALIBRATION, table)
        why = made_from.because(stored.get(state["subreddit"]))
        progress(f"removals of r/{state['subreddit']} are measured because {why}")
        rows.append(row)
    gone = sorted(set(stored) - {state["subreddit"] for state in states})
    if gone:
        with warehouse.write() as writer:
            for table_name in (METRICS, CALIBRATION):
                writer.execute(f"DELETE FROM {table_name} WHERE list_contains($gone, subreddit)", {"gone": gone})
    return rows


def _measured(
    warehouse: Warehouse, state: dict[str, Any], seed: int, resamples: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a community without its digest, and those of its calibration table."""
    scope = {"subreddit": state["subreddit"]}
    row: dict[str, Any] = {**scope, **{name: state[name] for name in ("status", "reason", "digest", "age_hours")}}
    judged = warehouse.query(_JUDGED, {**scope, "digest": state["digest"] or ""})
    removed = np.array(judged.column("removed").to_pylist(), dtype=np.bool_)
    said = judged.column("probability").to_numpy(zero_copy_only=False).astype(np.float64)
    clusters = author_clusters(judged.column("cluster").to_pylist())
    row |= {
        "test_posts": len(removed) if state["digest"] else state["test_posts"],
        "test_removed": int(removed.sum()) if state["digest"] else state["test_removed"],
        "test_authors": len(np.unique(clusters)),
    }
    learnt = warehouse.scalar(_LEARNT, scope)
    unknown = ("base_rate", "pr_auc", "pr_auc_low", "pr_auc_high", "brier", "brier_of_base_rate", "brier_skill")
    row |= dict.fromkeys((*unknown, "brier_skill_low", "brier_skill_high", "mean_probability"))
    if state["digest"] is None or not removed.any() or removed.all() or learnt is None:
        return row, []
    statistics = (average_precision_of(removed, said), brier_skill_of(removed, said, learnt))
    found = replicate(statistics, clusters, resamples=resamples, seed=seed)
    for name, drawn in zip(("pr_auc", "brier_skill"), found, strict=True):
        row |= _with_interval(name, drawn)
    one = np.ones((1, len(removed)))
    row |= {
        "base_rate": float(removed.mean()),
        "brier": float(brier_of(removed, said)(one)[0]),
        "brier_of_base_rate": float(brier_of(removed, np.full(len(removed), learnt))(one)[0]),
        "mean_probability": float(said.mean()),
    }
    groups = calibration_groups(removed, said, clusters, resamples=resamples, seed=seed)
    return row, [
        {
            **scope,
            "bin": number,
            "posts": group.posts,
            "removed": group.happened,
            "mean_probability": group.mean_probability,
            "removed_share": group.share,
            "removed_share_low": group.low,
            "removed_share_high": group.high,
        }
        for number, group in enumerate(groups, start=1)
    ]


def _with_interval(name: str, drawn: Replicates) -> dict[str, float | None]:
    bounds = drawn.interval()
    low, high = (None, None) if bounds is None else (bounds.low, bounds.high)
    return {name: drawn.estimate, f"{name}_low": low, f"{name}_high": high}
