"""The predictor of removals of a community, trained again when its posts, what became of them, or the code changed."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.evaluation.splits import Split, time_split
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.removal import NAME, RemovalModel
from redpop_assets.refresh.predictors import TrainedState
from redpop_assets.refresh.removal_posts import FIRST_SEEN_WITHIN, REMOVED, RemovalPosts
from redpop_assets.refresh.snapshot import Snapshot
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "models.removal_predictors"
POSTS: Final = "models.removal_posts"

LEAST: Final[Mapping[str, int]] = {"train": 30, "validation": 8, "test": 10}
"""Removed posts, and as many that stand, that a part needs: with fewer, nobody could tell what was learnt."""

_KEPT = {"posts_digest": "posts", "settings": "settings", "code_version": "code", "seed": "seed"}


def refresh_removal_predictor(
    warehouse: Warehouse,
    models: ModelStore,
    subreddit: str,
    rule: LabelRule,
    *,
    test_share: float,
    validation_share: float,
    most: int,
    seed: int,
    progress: Callable[[str], None],
) -> TrainedState:
    """Train the predictor of removals, unless it was made from just this; record the outcome.

    What cannot be trained, for want of removals, is recorded as not trained with the numbers. Reads a few columns of
    every post and reading; the training grows with the posts up to `most`.

    Args:
        warehouse: with posts, rejected posts and readings.
        models: where the trained predictor is put.
        subreddit: in lower case.
        rule: when posts are looked at.
        test_share, validation_share: as for `time_split`.
        most: posts with an outcome, the newest ones.
        seed: of the training.
        progress: told why it is trained.
    """
    scope = {"subreddit": subreddit}
    found = warehouse.query(f"FROM {TABLE} WHERE subreddit = $subreddit", scope).to_pylist()
    stored = found[0] if found else None
    with warehouse.read() as reader:
        posts = RemovalPosts.read(reader, subreddit, rule)
    rows = posts.newest(most)
    settings = repr((test_share, validation_share, most, str(rule.age), str(rule.final_age), str(FIRST_SEEN_WITHIN)))
    parts = {"posts": posts.digest(rows), "settings": settings, "code": versions.REMOVAL_PREDICTORS, "seed": seed}
    made_from = Snapshot(parts, _KEPT)
    why = _lost(stored, models) if stored and made_from.is_of(stored) else made_from.because(stored)
    if stored and why is None:
        return TrainedState(stored)
    progress(f"The predictor of removals of r/{subreddit} is trained because {why}")

    began = time.perf_counter()
    removed = posts.outcome[rows] == REMOVED
    digest: str | None = None
    reason: str | None = None
    said = np.full(len(rows), np.nan)
    split: Split = np.full(len(rows), "train", dtype="<U12")
    try:
        split = _split(posts, rows, rule, test_share, validation_share)
        _see_to_it_that_there_are_enough(split, removed)
        inputs = posts.inputs(rows)
        train, validation = split == "train", split == "validation"
        model = RemovalModel.fit(
            inputs.of(train), removed[train], inputs.of(validation), removed[validation], seed=seed
        )
        judged = np.isin(split, ("validation", "test"))
        said[judged] = model.probability(inputs.of(judged))
        with models.new(subreddit, NAME) as kept:
            model.save(kept.folder)
        digest = kept.digest
    except NotTrainable as error:
        reason = str(error)
    counts: dict[str, int] = {}
    for part in LEAST:
        counts[f"{part}_posts"] = int((split == part).sum())
        counts[f"{part}_removed"] = int(removed[split == part].sum())
    row: dict[str, Any] = {
        **scope,
        "status": "not_trained" if digest is None else "trained",
        "reason": reason,
        **made_from.columns,
        "digest": digest,
        "age_hours": rule.age.total_seconds() / 3600,
        "posts": len(rows),
        "removed": int(removed.sum()),
        "base_rate": float(removed.mean()) if len(rows) else None,
        "seen_late": posts.left_out["seen late"],
        "not_read_in_time": posts.left_out["not read in time"],
        **counts,
        "trained_at": utc_now(),
    }
    ids = [posts.post_ids[number] for number in rows] if digest else []
    of_posts = {
        "post_id": pa.array(ids, pa.string()),
        "subreddit": pa.array([subreddit] * len(ids), pa.string()),
        "cluster": pa.array(
            [posts.authors[number] or posts.post_ids[number] for number in rows][: len(ids)], pa.string()
        ),
        "split": pa.array(split.tolist()[: len(ids)], pa.string()),
        "removed": pa.array(removed.tolist()[: len(ids)], pa.bool_()),
        "probability": pa.array(said[: len(ids)], pa.float64(), from_pandas=True),
        "digest": pa.array([digest] * len(ids), pa.string()),
    }
    with warehouse.write() as writer:
        writer.merge(TABLE, arrow_table({column: [value] for column, value in row.items()}))
        writer.replace(POSTS, arrow_table(of_posts), "subreddit = $subreddit", scope)
    progress(f"removal: {row['status']} in {time.perf_counter() - began:.1f} s")
    return TrainedState(row, trained_because=why)


def _split(posts: RemovalPosts, rows: Any, rule: LabelRule, test_share: float, validation_share: float) -> Split:
    """By time, as of predictors; pictures are looked at by nobody, so duplicates need no care."""
    if len(rows) < 2:
        raise NotTrainable(_FEW.format(posts=len(rows)))
    created = posts.created_at[rows]
    return time_split(
        created,
        created + np.timedelta64(rule.final_age),
        test_share=test_share,
        validation_share=validation_share,
    )


_FEW = "too few posts of which it is known whether they were removed: {posts}"


def _see_to_it_that_there_are_enough(split: Split, removed: Any) -> None:
    short = []
    for name, some in (("removals", removed), ("posts that stand", ~removed)):
        for part, least in LEAST.items():
            there = int((some & (split == part)).sum())
            if there < least:
                short.append(f"{there} {name} of {least} in the {part} part")
    if short:
        raise NotTrainable(f"too few removals here: {', '.join(short)}" if "removals" in short[0] else ", ".join(short))


def _lost(row: Mapping[str, Any], models: ModelStore) -> str | None:
    """What a trained predictor lacks though nothing changed, and so is made again for; None if nothing."""
    if row["digest"] is None:
        return None
    try:
        models.folder(row["subreddit"], NAME, row["digest"])
    except ArtifactError:
        return "its files are lost or damaged"
    return None
