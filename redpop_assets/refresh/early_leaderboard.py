"""How predictors that follow a post compare at each age, and what the readings add over the forecast at posting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.evaluation.bootstrap import Replicates, mean_of, replicate, spearman_of
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.evaluation.metrics import covered
from redpop_assets.evaluation.splits import connected_components
from redpop_assets.predictors.early.registry import AT_POSTING
from redpop_assets.refresh.early_predictors import PREDICTIONS
from redpop_assets.refresh.early_predictors import TABLE as PREDICTORS
from redpop_assets.refresh.snapshot import ALL, Snapshot
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.early_leaderboard"

# A post that was forgotten since judges nobody any more, so its community is measured again.
_STATES = f"""
SELECT p.*, j.judging
FROM {PREDICTORS} AS p
LEFT JOIN (
    SELECT subreddit, age_hours, count(*) || '-' || sum(hash(e.post_id, e.predictor, e.digest, t.log_score)::HUGEINT)
        AS judging
    FROM {PREDICTIONS} AS e JOIN models.training_set AS t USING (post_id, subreddit)
    WHERE e.split = 'test' GROUP BY ALL
) AS j USING (subreddit, age_hours)
ORDER BY p.subreddit, p.age_hours, p.predictor
"""
_JUDGED = f"""
SELECT e.*, t.log_score, t.cluster, t.duplicate_group
FROM {PREDICTIONS} AS e JOIN models.training_set AS t USING (post_id, subreddit)
WHERE e.subreddit = $subreddit AND e.age_hours = $age AND e.split = 'test' AND t.split = 'test'
ORDER BY e.predictor, e.post_id
"""


def refresh_early_leaderboard(
    warehouse: Warehouse, *, seed: int, progress: Callable[[str], None], resamples: int = 1_000
) -> list[dict[str, Any]]:
    """Measure what follows posts in all communities; ages of which nothing changed are left alone.

    Args:
        warehouse: with models.early_predictors and models.early_predictions.
        seed, resamples: of the bootstrap.
        progress: told what is measured, and why.

    Returns:
        The rows of marts.early_leaderboard, by community, age and predictor.
    """
    stored: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in warehouse.query(f"FROM {TABLE} ORDER BY subreddit, age_hours, predictor").to_pylist():
        stored.setdefault((row["subreddit"], row["age_hours"]), []).append(row)
    states: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for state in warehouse.query(_STATES).to_pylist():
        states.setdefault((state["subreddit"], state["age_hours"]), []).append(state)
    rows: list[dict[str, Any]] = []
    for (subreddit, age), members in states.items():
        facts = tuple((one["predictor"], one["inputs"], one["digest"], one["judging"]) for one in members)
        parts = {"code": versions.EARLY_LEADERBOARD, "predictors": facts, "seed": seed, "resamples": resamples}
        made_from = Snapshot(parts, {"inputs": ALL})
        known = stored.get((subreddit, age), [])
        if known and all(made_from.is_of(row) for row in known):
            rows += known
            continue
        found = [{**row, **made_from.columns} for row in _measured(warehouse, subreddit, age, members, seed, resamples)]
        with warehouse.write() as writer:
            empty = writer.query(f"SELECT * FROM {TABLE} LIMIT 0")
            writer.replace(
                TABLE,
                pa.Table.from_pylist(found, schema=empty.schema),
                "subreddit = $subreddit AND age_hours = $age",
                {"subreddit": subreddit, "age": age},
            )
        why = made_from.because(known[0] if known else None)
        progress(f"what follows posts of r/{subreddit} is measured at {age} h because {why}")
        rows += sorted(found, key=lambda row: str(row["predictor"]))
    if gone := sorted({subreddit for subreddit, _ in stored} - {subreddit for subreddit, _ in states}):
        with warehouse.write() as writer:
            writer.execute(f"DELETE FROM {TABLE} WHERE list_contains($gone, subreddit)", {"gone": gone})
    return rows


def _measured(
    warehouse: Warehouse, subreddit: str, age: int, states: list[dict[str, Any]], seed: int, resamples: int
) -> list[dict[str, Any]]:
    """The rows of a community and an age, without their digest."""
    judged = warehouse.query(_JUDGED, {"subreddit": subreddit, "age": age})
    said: dict[str, dict[str, dict[str, Any]]] = {}
    for one in judged.to_pylist():
        said.setdefault(one["predictor"], {})[one["post_id"]] = one
    # All are judged on the posts that every one of them speaks of.
    posts = sorted(set.intersection(*(set(own) for own in said.values()))) if said else []
    everything = {
        name: {column: _numbers(own, posts, column) for column in ("expected_log_score", "log_score", *_BOUNDS)}
        for name, own in said.items()
    }
    some = next(iter(said.values()), {})
    clusters = connected_components(
        [some[post]["cluster"] for post in posts], [some[post]["duplicate_group"] for post in posts]
    )
    order = sorted(everything)
    statistics = [spearman_of(everything[name]["log_score"], everything[name]["expected_log_score"]) for name in order]
    statistics += [mean_of(np.abs(everything[n]["log_score"] - everything[n]["expected_log_score"])) for n in order]
    drawn = replicate(statistics, clusters, resamples=resamples, seed=seed) if posts else []
    spearman = dict(zip(order, drawn[: len(order)], strict=False))
    mae = dict(zip(order, drawn[len(order) :], strict=False))
    reference = spearman.get(AT_POSTING)
    first = states[0]
    rows = []
    for state in [{**first, "predictor": AT_POSTING, "speaks": False}] * (AT_POSTING in said) + states:
        name = state["predictor"]
        trained = name in everything
        row: dict[str, Any] = {
            "subreddit": subreddit,
            "age_hours": age,
            "predictor": name,
            "status": "trained" if name == AT_POSTING else state["status"],
            "reason": None if name == AT_POSTING else state["reason"],
            "test_posts": len(posts) if trained else state["test_posts"],
            "test_clusters": len(np.unique(clusters)) if trained else 0,
            **dict.fromkeys(("spearman", "spearman_low", "spearman_high", "mae", "posting_spearman")),
            **dict.fromkeys(("added_spearman", "added_spearman_low", "added_spearman_high", "mean_width_80")),
            **{f"coverage_{level}": None for level in LEVELS},
            "posting_predictor": first["posting_predictor"],
            "speaks": state["speaks"],
            "digest": first["posting_digest"] if name == AT_POSTING else state["digest"],
        }
        if trained and posts:
            row |= _with_interval("spearman", spearman[name])
            row["mae"] = _finite(mae[name].estimate)
            row |= _inside(everything[name])
            if reference is not None:
                row["posting_spearman"] = _finite(reference.estimate)
                if name != AT_POSTING:
                    own = spearman[name]
                    added = Replicates(own.estimate - reference.estimate, own.values - reference.values)
                    row |= _with_interval("added_spearman", added)
        rows.append(row)
    return rows


_BOUNDS = tuple(f"{end}_{level}" for level in LEVELS for end in ("low", "high"))


def _numbers(own: Mapping[str, Mapping[str, Any]], posts: list[str], column: str) -> npt.NDArray[np.float64]:
    return np.array([np.nan if own[post][column] is None else own[post][column] for post in posts], dtype=np.float64)


def _inside(said: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, float | None]:
    """Coverage of the ranges, and the mean width of one of them; None where a post has none."""
    found: dict[str, float | None] = {}
    for level in LEVELS:
        low, high = said[f"low_{level}"], said[f"high_{level}"]
        there = bool(np.isfinite(low).all() and np.isfinite(high).all())
        found[f"coverage_{level}"] = float(covered(said["log_score"], low, high).mean()) if there else None
        if level == 80:
            found["mean_width_80"] = float((high - low).mean()) if there else None
    return found


def _with_interval(name: str, drawn: Replicates) -> dict[str, float | None]:
    bounds = drawn.interval()
    low, high = (None, None) if bounds is None else (bounds.low, bounds.high)
    return {name: _finite(drawn.estimate), f"{name}_low": low, f"{name}_high": high}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
