"""How much the split flatters: predictors trained again under splits that let them see the future, or the author.

The split by time asks what people ask: how will the next post do? A random split lets a predictor learn from the same
weeks and the same authors as the posts it is judged by. Papers use it, so it is shown, beside the split by time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.errors import NotTrainable, SettingsError
from redpop_assets.evaluation import splits
from redpop_assets.evaluation.measurement import Expectation, measure
from redpop_assets.evaluation.splits import Split
from redpop_assets.evaluation.targets import Posts
from redpop_assets.features.family import Encoders
from redpop_assets.predictors.base import Progress
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class, predictor_names
from redpop_assets.refresh.leaderboard import read_posts
from redpop_assets.refresh.lending import lent_digest, no_newer, read_lent
from redpop_assets.refresh.snapshot import Snapshot
from redpop_assets.refresh.training_set import read_split, training_sets
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "marts.split_comparison"

SPLITS: Final = ("time", "author", "random", "one_per_author", "one_author")
"""The splits compared, that of all other results first."""

_KEPT: Final = {"snapshot": "training set", "split_digest": "split", "version": ("code", "predictor", "seed")}
_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    **{name: ("log_score", name) for name in ("spearman", "kendall", "mae", "rmse", "r2", "pair_accuracy")},
    "pr_auc": ("top_quarter", "pr_auc"),
}


@dataclass(frozen=True, eq=False)
class Trial:
    """One way to split the posts; `reason` says why there is none."""

    name: str
    split: Split
    reason: str | None = None


def split_trials(
    posts: Posts, *, matured_after: timedelta, test_share: float, validation_share: float, seed: int
) -> list[Trial]:
    """Split the posts of a subreddit in the ways of `SPLITS`; the split by time is the one they come with.

    Posts of a duplicate group are on one side of each split. `matured_after` is the age at which a label is final; the
    other arguments are as for `splits.grouped_split`.
    """
    authors, groups = posts.authors.tolist(), posts.groups.tolist()
    matured_at = posts.created_at + np.timedelta64(matured_after)
    parts: dict[str, Any] = {"test_share": test_share, "validation_share": validation_share}
    shares = parts | {"seed": seed}
    ways: dict[str, Callable[[], Split]] = {
        "time": lambda: posts.split,
        "author": lambda: splits.grouped_split(authors, groups, **shares),
        "random": lambda: splits.grouped_split(groups, **shares),
        "one_per_author": lambda: splits.one_per_author_split(authors, groups, **shares),
        "one_author": lambda: splits.one_author_split(authors, posts.created_at, matured_at, groups, **parts),
    }
    trials = []
    for name in SPLITS:
        try:
            trials.append(Trial(name, ways[name]()))
        except NotTrainable as error:
            trials.append(Trial(name, np.full(len(posts), "left_out"), str(error)))
    return trials


def compare_splits(
    subreddit: str,
    predictor: str,
    data: Dataset,
    posts: Posts,
    trials: Iterable[Trial],
    *,
    others: Sequence[Dataset] = (),
    seed: int,
    progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:
    """Train one predictor under each split and judge it on the test part of that split.

    Args:
        subreddit: name in lower case.
        predictor: name, as in the registry.
        data: labelled posts with the blocks that the predictor uses.
        posts: the same posts, in the same order.
        trials: the splits.
        others: posts of other communities, for a predictor that borrows.
        seed: of the training and of the bootstrap.
        progress: told what the predictor says of its training.

    Yields:
        Rows of marts.split_comparison, but for snapshot and version.

    Raises:
        ValueError: data and posts are not the same posts.
    """
    if len(data) != len(posts) or not np.array_equal(data.created_at, posts.created_at):
        raise ValueError(f"{len(data)} posts with features and {len(posts)} with labels are not the same posts")
    for trial in trials:
        parts = {part: trial.split == part for part in ("train", "validation", "test")}
        reason, value = trial.reason, {}
        if reason is None:
            try:
                value = _judged(predictor, data, replace(posts, split=trial.split), others, parts, seed, progress)
            except NotTrainable as error:
                reason = str(error)
        own = {column: value.get(key, {}) for column, key in _COLUMNS.items()}
        learnt = set(posts.authors[parts["train"] | parts["validation"]].tolist())
        tested = posts.authors[parts["test"]].tolist()
        yield {
            "subreddit": subreddit,
            "predictor": predictor,
            "split": trial.name,
            "status": "trained" if reason is None else "not_trained",
            "reason": reason,
            **{f"{part}_posts": int(rows.sum()) for part, rows in parts.items()},
            "left_out_posts": len(posts) - sum(int(rows.sum()) for rows in parts.values()),
            "unseen_author_share": float(np.mean([name not in learnt for name in tested])) if tested else None,
            **{column: row.get("value") for column, row in own.items()},
            **{
                f"{name}_{end}": own[name].get(end) for name in ("spearman", "pair_accuracy") for end in ("low", "high")
            },
            "pairs": own["pair_accuracy"].get("n", 0),
            "top_quarter_share": own["pr_auc"].get("chance"),
            "note": own["spearman"].get("note"),
            "split_digest": splits.digest(data.post_ids, trial.split),
        }


def _judged(
    name: str,
    data: Dataset,
    posts: Posts,
    others: Sequence[Dataset],
    parts: Mapping[str, npt.NDArray[np.bool_]],
    seed: int,
    progress: Progress | None,
) -> dict[tuple[str, str], dict[str, Any]]:
    """(target, metric) -> its row, of a predictor that is trained for it."""
    predictor = predictor_class(name)(seed=seed, progress=progress)
    train = data.select(parts["train"])
    predictor.fit(train, data.select(parts["validation"]), no_newer(others, train))
    # Of what it learnt from, too: the quarters of a community are found among these.
    expected = {name: Expectation(predictor.predict(data))}
    return {(row["target"], row["metric"]): row for row in measure(posts, expected, seed=seed).rows}


def refresh_split_comparison(
    warehouse: Warehouse,
    encoders: Encoders,
    predictors: Sequence[str],
    *,
    subreddit: str = "",
    matured_after: timedelta,
    test_share: float,
    validation_share: float,
    seed: int,
    progress: Progress,
) -> tuple[list[dict[str, Any]], int]:
    """Bring marts.split_comparison up to date; what was trained on these posts with this code and seed is kept.

    Rows are written predictor by predictor, so that a killed run loses one of them at most.

    Args:
        warehouse: with the training sets.
        encoders: networks whose outputs predictors learn from.
        predictors: names.
        subreddit: name in lower case; empty for all that have a training set.
        matured_after: age at which a label is final.
        test_share, validation_share: of the splits that are made here.
        seed: of splits, trainings and bootstrap.
        progress: told of each predictor that was compared.

    Returns:
        All rows of the table, and the number of models that were trained.

    Raises:
        SettingsError: the subreddit has no training set.
        ValueError: there is no such predictor.
    """
    snapshots = training_sets(warehouse)
    if subreddit and subreddit not in snapshots:
        known = ", ".join(snapshots) or "none yet: run `redpop materialize`"
        raise SettingsError(f"r/{subreddit} has no training set. Subreddits that have one: {known}.")
    with warehouse.write() as writer:
        writer.execute(
            f"DELETE FROM {TABLE} WHERE NOT list_contains($subreddits, subreddit) "
            "OR NOT list_contains($predictors, predictor)",
            {"subreddits": list(snapshots), "predictors": [*predictor_names(), *predictors]},
        )
        empty = writer.query(f"SELECT * FROM {TABLE} LIMIT 0")
    stored = {
        (row["subreddit"], row["predictor"], row["split"]): row
        for row in warehouse.query(f"SELECT * FROM {TABLE}").to_pylist()
    }
    trained = 0
    for name in [subreddit] if subreddit else snapshots:
        post_ids, posts = read_posts(warehouse, name)
        trials = split_trials(
            posts, matured_after=matured_after, test_share=test_share, validation_share=validation_share, seed=seed
        )
        digests = {trial.name: splits.digest(post_ids.tolist(), trial.split) for trial in trials}
        for predictor in predictors:
            kind = predictor_class(predictor)
            parts = {
                "code": versions.SPLIT_COMPARISON,
                "predictor": "-".join((kind.code_version, *([lent_digest(warehouse, name)] if kind.borrows else []))),
                "seed": seed,
                "training set": snapshots[name],
            }
            made_from = {split: Snapshot({**parts, "split": found}, _KEPT) for split, found in digests.items()}
            before = {trial.name: stored.get((name, predictor, trial.name)) for trial in trials}
            due = [trial for trial in trials if not made_from[trial.name].is_of(before[trial.name])]
            if not due:
                continue
            data, _ = read_split(warehouse, name, encoders, sorted(kind.uses))
            others = read_lent(warehouse, name, encoders, sorted(kind.uses)) if kind.borrows else ()
            rows = [
                {**row, **made_from[row["split"]].columns}
                for row in compare_splits(name, predictor, data, posts, due, others=others, seed=seed)
            ]
            warehouse.merge(TABLE, pa.Table.from_pylist(rows, schema=empty.schema))
            trained += sum(row["status"] == "trained" for row in rows)
            why = made_from[due[0].name].because(before[due[0].name])
            progress(f"{predictor} trained under {len(due)} splits of r/{name} because {why}")
    return warehouse.query(f"SELECT * FROM {TABLE} ORDER BY ALL").to_pylist(), trained
