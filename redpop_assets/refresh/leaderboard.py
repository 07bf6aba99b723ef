"""The leaderboard: every predictor on the test part of its subreddit, with intervals.

Three tables are made together: marts.leaderboard (what one looks at first), marts.metrics (all of it) and
marts.comparisons (who is better than whom). A subreddit is measured again as a whole when a model, a prediction or a
label in it changed. How a leaderboard looks belongs into `redpop_assets.pages.leaderboard`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.evaluation.comparison import COMPARED, HEADLINE, compare, detectable, standings
from redpop_assets.evaluation.macro import SUBREDDIT, macro_comparisons, macro_metrics, pooled_metrics
from redpop_assets.evaluation.measurement import LEVELS, Expectation, measure
from redpop_assets.evaluation.targets import Posts
from redpop_assets.refresh.snapshot import Snapshot
from redpop_assets.storage.warehouse import Warehouse

TABLES: Final[Mapping[str, str]] = {
    "rows": "marts.leaderboard",
    "metrics": "marts.metrics",
    "comparisons": "marts.comparisons",
}
"""Field of `Leaderboard` -> its table."""

_INTERVALS = [f"{end}_{level}" for level in LEVELS for end in ("low", "high")]
_STATES = """
SELECT * EXCLUDE (code_version, seed, notes, validation_rows, train_seconds, trained_at, lent_rows, lent_digest)
FROM models.predictors ORDER BY ALL
"""
_KEPT = {
    "status": "status",
    "reason": "reason",
    "snapshot": "training set",
    "digest": "model",
}
# What a predictor is judged by, whatever else changes: unlabelled posts come every hour.
_JUDGED = f"""
SELECT m.subreddit, m.predictor,
    count(*) || '-' || lower(hex(bit_xor(hash(p.post_id, p.expected_log_score, {", ".join(_INTERVALS)})))) AS judged
FROM models.predictors AS m
JOIN marts.predictions AS p USING (subreddit, predictor, digest)
JOIN models.training_set AS t USING (post_id)
GROUP BY ALL
"""
_LEFT_OUT = """
SELECT subreddit, any_value(left_out_posts) AS posts FROM models.training_set GROUP BY ALL
"""
_POSTS = """
SELECT t.post_id, t.created_at, t.cluster, t.duplicate_group, t.log_score, t.split,
    CASE WHEN c.subscribers_known = 1 THEN c.log_subscribers END AS log_subscribers
FROM models.training_set AS t
LEFT JOIN features.community_features AS c USING (post_id)
WHERE t.subreddit = $subreddit ORDER BY t.post_id
"""
_PREDICTIONS = f"""
SELECT p.post_id, p.predictor, p.expected_log_score, {", ".join(_INTERVALS)}
FROM models.predictors AS m
JOIN marts.predictions AS p USING (subreddit, predictor, digest)
SEMI JOIN models.training_set AS t ON t.post_id = p.post_id AND t.subreddit = m.subreddit
WHERE m.subreddit = $subreddit ORDER BY p.predictor, p.post_id
"""
_TESTED = """
SELECT m.predictor, t.subreddit, t.log_score, p.expected_log_score
FROM models.predictors AS m
JOIN marts.predictions AS p USING (subreddit, predictor, digest)
JOIN models.training_set AS t USING (post_id)
WHERE t.split = 'test' ORDER BY m.predictor, t.post_id
"""
# Column of marts.leaderboard -> target and metric; those of _BOUNDED with the ends of their intervals.
_WIDE: Final[Mapping[str, tuple[str, str]]] = {
    **{
        name: ("log_score", name)
        for name in (
            *("spearman", "mae", "mse", "pair_accuracy", "kendall", "rmse", "r2", "median_absolute_error"),
            *("ndcg_at_10", "precision_at_10_percent"),
        )
    },
    "pr_auc": ("top_quarter", "pr_auc"),
}
_BOUNDED = ("spearman", "pair_accuracy")
_ALL_OF_THEM = ""  # the community of macro means and pooled values


@dataclass(frozen=True)
class Leaderboard:
    """All rows of the three tables, and how many subreddits were measured to get them."""

    rows: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    measured: int


def refresh_leaderboard(warehouse: Warehouse, *, seed: int, progress: Callable[[str], None]) -> Leaderboard:
    """Measure and compare the predictors of every subreddit in which anything changed, and store all three tables.

    What is measured grows with the test posts of the subreddit; the rows of the others are not written again. Means
    over subreddits, and pooled values, are made of all of them.

    Args:
        warehouse: with models.predictors, models.training_set and marts.predictions.
        seed: of the bootstrap.
        progress: told which community is measured, and why.

    Returns:
        All rows, those of unchanged subreddits included.
    """
    stored = _stored(warehouse)
    judged = {(row["subreddit"], row["predictor"]): row["judged"] for row in warehouse.query(_JUDGED).to_pylist()}
    left_out = {row["subreddit"]: row["posts"] or 0 for row in warehouse.query(_LEFT_OUT).to_pylist()}
    states: dict[str, dict[str, dict[str, Any]]] = {}
    for state in warehouse.query(_STATES).to_pylist():
        state["left_out_posts"] = left_out.get(state["subreddit"], 0)
        states.setdefault(state["subreddit"], {})[state["predictor"]] = state
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    measured: list[str] = []
    for subreddit, members in states.items():
        known = {name: [row for row in rows if row["subreddit"] == subreddit] for name, rows in stored.items()}
        made_from = {name: _made_from(state, judged.get((subreddit, name)), seed) for name, state in members.items()}
        if why := _what_changed(made_from, {row["predictor"]: row for row in known["rows"]}):
            states_now = [{**state, **made_from[name].columns} for name, state in members.items()]
            known = _measure(warehouse, subreddit, states_now, seed)
            measured.append(subreddit)
            progress(f"r/{subreddit} is measured because {why}")
        for name, rows in known.items():
            found[name] += rows
    gone = {row["subreddit"] for row in stored["rows"]} - states.keys()
    if not measured and not gone:
        return Leaderboard(**stored, measured=0)
    sizes: dict[str, int] = {}
    for row in found["rows"]:
        sizes[row["subreddit"]] = max(sizes.get(row["subreddit"], 0), row["test_posts"])
    found["metrics"] += [*macro_metrics(found["metrics"], sizes), *_pooled(warehouse)]
    found["comparisons"] += macro_comparisons(found["comparisons"], sizes)
    changed = {"subreddits": [*measured, *gone, _ALL_OF_THEM]}
    with warehouse.write() as writer:
        for name, rows in found.items():
            empty = writer.query(f"SELECT * FROM {TABLES[name]} LIMIT 0")
            new = [row for row in rows if row["subreddit"] in changed["subreddits"]]
            table = pa.Table.from_pylist(new, schema=empty.schema)
            writer.replace(TABLES[name], table, "list_contains($subreddits, subreddit)", changed)
    return Leaderboard(**_stored(warehouse), measured=len(measured))


def _stored(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """All rows of the three tables, by field of `Leaderboard`."""
    with warehouse.read() as reader:
        return {name: reader.query(f"SELECT * FROM {table} ORDER BY ALL").to_pylist() for name, table in TABLES.items()}


def _made_from(state: Mapping[str, Any], judged: str | None, seed: int) -> Snapshot:
    """What the row of a predictor is made from.

    Args:
        state: its row of models.predictors, and the posts that its training set leaves out.
        judged: digest of what it says of labelled posts; None if it says nothing.
        seed: of the bootstrap.
    """
    parts = {
        "status": state["status"],
        "reason": state["reason"],
        "training set": state["snapshot"],
        "model": state["digest"],
        "code": versions.LEADERBOARD,
        "seed": seed,
    }
    # Where there is none of these, no part of a digest that is stored already.
    optional = {"predictions": judged, "posts left out": state["left_out_posts"] or None}
    found = {name: value for name, value in optional.items() if value is not None}
    return Snapshot({**parts, **found}, {**_KEPT, "metrics_version": ("code", "seed", *found)})


def _what_changed(made_from: Mapping[str, Snapshot], stored: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a community is measured again, as the end of a sentence; empty if nothing changed.

    Args:
        made_from: predictor -> what its row would be made from now.
        stored: predictor -> its row of marts.leaderboard.
    """
    for name, snapshot in made_from.items():
        if not snapshot.is_of(stored.get(name)):
            return f"of {name} {snapshot.because(stored.get(name))}"
    gone = stored.keys() - made_from.keys()
    return f"there is no {min(gone)} any more" if gone else ""


def _measure(
    warehouse: Warehouse, subreddit: str, states: Sequence[Mapping[str, Any]], seed: int
) -> dict[str, list[dict[str, Any]]]:
    """The rows of one subreddit, by field of `Leaderboard`."""
    posts, expectations = _read(warehouse, subreddit, [row["predictor"] for row in states if row["digest"]])
    result = measure(posts, expectations, seed=seed)
    value = {(row["predictor"], row["target"], row["metric"]): row for row in result.rows}
    comparisons = []
    for (target, metric), higher in COMPARED.items():
        replicates = result.replicates.get((target, metric), {})
        n = max((value[name, target, metric]["n"] for name in replicates), default=0)
        for pair in compare(replicates, higher_is_better=higher, clusters=result.clusters, n=n):
            comparisons.append(
                {
                    "scope": SUBREDDIT,
                    "subreddit": subreddit,
                    "target": target,
                    "metric": metric,
                    **pair,
                    "subreddits": 1,
                }
            )
    headline = [row for row in comparisons if (row["target"], row["metric"]) == HEADLINE]
    of_headline = {name: value.get((name, *HEADLINE), {}) for name in expectations}
    standing = standings(
        {name: row.get("value") for name, row in of_headline.items()},
        {name: row.get("low") for name, row in of_headline.items()},
        headline,
    )
    test = posts.test
    board = []
    for state in states:
        name = state["predictor"]
        own = {column: value.get((name, *key), {}) for column, key in _WIDE.items()}
        judged = name in expectations
        board.append(
            {
                **{column: held for column, held in state.items() if column != "train_rows"},
                "train_posts": state["train_rows"],
                "test_posts": int(np.isfinite(expectations[name].expected[test]).sum()) if judged else 0,
                "pairs": value.get((name, "log_score", "pair_accuracy"), {}).get("n", 0),
                **{column: row.get("value") for column, row in own.items()},
                **{f"{column}_{end}": own[column].get(end) for column in _BOUNDED for end in ("low", "high")},
                "top_quarter_share": own["pr_auc"].get("chance"),
                "standing": standing.get(name),
                "smallest_detectable": detectable(headline, len(test)) if judged else None,
                "test_clusters": result.clusters if judged else 0,
                "note": own["spearman"].get("note"),
            }
        )
    measured = [{"scope": SUBREDDIT, "subreddit": subreddit, **row, "subreddits": 1} for row in result.rows]
    return {"rows": board, "metrics": measured, "comparisons": comparisons}


def read_posts(warehouse: Warehouse, subreddit: str) -> tuple[npt.NDArray[np.str_], Posts]:
    """The (n,) ids of the labelled posts of a subreddit, ascending, and the posts as they are judged."""
    labelled = warehouse.query(_POSTS, {"subreddit": subreddit})
    post_ids, authors, groups, split = (
        labelled.column(name).to_numpy(zero_copy_only=False).astype(np.str_)
        for name in ("post_id", "cluster", "duplicate_group", "split")
    )
    return post_ids, Posts(
        created_at=labelled.column("created_at").to_numpy().astype("datetime64[s]"),
        log_score=labelled.column("log_score").to_numpy(),
        authors=authors,
        groups=groups,
        split=split,
        log_subscribers=labelled.column("log_subscribers").to_numpy(zero_copy_only=False).astype(np.float64),
    )


def _read(warehouse: Warehouse, subreddit: str, predictors: Sequence[str]) -> tuple[Posts, dict[str, Expectation]]:
    """The labelled posts of a subreddit, and what each of the trained predictors says of them."""
    post_ids, posts = read_posts(warehouse, subreddit)
    predictions = warehouse.query(_PREDICTIONS, {"subreddit": subreddit})
    row = np.searchsorted(post_ids, predictions.column("post_id").to_numpy(zero_copy_only=False).astype(np.str_))
    said_by = predictions.column("predictor").to_numpy(zero_copy_only=False).astype(np.str_)
    columns = {}
    for column in ("expected_log_score", *_INTERVALS):
        columns[column] = predictions.column(column).to_numpy(zero_copy_only=False).astype(np.float64)
    expectations = {}
    for name in predictors:
        own = said_by == name
        full = {}
        for column, values in columns.items():
            full[column] = np.full(len(posts), np.nan)
            full[column][row[own]] = values[own]
        low, high = ({level: full[f"{end}_{level}"] for level in LEVELS} for end in ("low", "high"))
        expectations[name] = Expectation(full["expected_log_score"], low, high)
    return posts, expectations


def _pooled(warehouse: Warehouse) -> list[dict[str, Any]]:
    tested = warehouse.query(_TESTED)
    said_by, subreddit = (
        tested.column(column).to_numpy(zero_copy_only=False).astype(np.str_) for column in ("predictor", "subreddit")
    )
    truth, expected = (tested.column(column).to_numpy() for column in ("log_score", "expected_log_score"))
    rows = []
    for name in np.unique(said_by):
        own = said_by == name
        rows += pooled_metrics(str(name), truth[own], expected[own], len(np.unique(subreddit[own])))
    return rows
