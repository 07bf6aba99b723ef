"""Readings of young posts in a community that `fill_community` has filled: scores that grow to their labels."""

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from redpop_assets.sandbox.popularity import growth
from redpop_assets.storage.warehouse import Warehouse

HOURS = (0.9, 1.8, 2.9, 5.7, 11.5, 23.5, 47.0, 95.0)
"""Ages at which each post is read, about."""


def fill_readings(
    warehouse: Warehouse, subreddit: str = "pics", *, seed: int = 0, hours: Sequence[float] = HOURS, hidden: float = 0.0
) -> None:
    """Store readings of all posts of a community, as far as its newest post is older than their ages.

    A score grows as that of a post of the sandbox, with a pace of its own, to the label, or to that of another post
    where there is none; comments follow it.

    Args:
        warehouse: with posts and labels.
        subreddit: in lower case.
        seed: of pace, fuzz and comments.
        hours: ages, some minutes more or less.
        hidden: hours for which scores are masked.
    """
    rng = np.random.default_rng(seed)
    posts = warehouse.query(
        "SELECT p.post_id, p.created_at, l.score FROM core.posts AS p LEFT JOIN core.labels AS l USING (post_id) "
        "WHERE p.subreddit = $subreddit ORDER BY post_id",
        {"subreddit": subreddit},
    )
    created = posts.column("created_at").to_numpy().astype("datetime64[us]")
    labels = [score for score in posts.column("score").to_pylist() if score is not None]
    rows: dict[str, list[object]] = {name: [] for name in ("post_id", "observed_at", "score", "num_comments", "mask")}
    for number, (post_id, score) in enumerate(
        zip(posts.column("post_id").to_pylist(), posts.column("score").to_pylist(), strict=True)
    ):
        final = score if score is not None else labels[int(rng.integers(len(labels)))]
        pace, talk = 3600 * math.exp(rng.normal(math.log(10.5), 0.25)), rng.normal(-0.4, 0.3)
        for age in hours:
            seconds = 3600 * age - int(rng.integers(0, 600))
            when = created[number] + np.timedelta64(int(seconds), "s")
            true = max(0.0, 1 + (final - 1) * growth(seconds, pace))
            shown = max(0, round(true + rng.normal(0, min(3.0, 0.3 * true**0.5))))
            if when <= created.max():
                masked = seconds < 3600 * hidden
                comments = max(0, int(math.expm1(0.6 * math.log1p(true) + talk)))
                values = (post_id, when, 1 if masked else shown, comments, masked)
                for name, value in zip(rows, values, strict=True):
                    rows[name].append(value)
    n = len(rows["post_id"])
    table = pa.table(
        {
            "post_id": pa.array(rows["post_id"], pa.string()),
            "subreddit": [subreddit] * n,
            "observed_at": pa.array(np.array(rows["observed_at"], dtype="datetime64[us]")),
            "endpoint": ["info"] * n,
            "score": pa.array(rows["score"], pa.int32()),
            "upvote_ratio": pa.array(np.clip(rng.normal(0.9, 0.04, n), 0.5, 1.0)),
            "num_comments": pa.array(rows["num_comments"], pa.int32()),
            "num_crossposts": pa.array([0] * n, pa.int32()),
            "hide_score": pa.array(rows["mask"], pa.bool_()),
            "author_present": [True] * n,
        }
    )
    for column in warehouse.schema["raw.observations"].columns:
        if column.name not in table.column_names:
            table = table.append_column(column.name, pa.nulls(n))
    warehouse.append("raw.observations", table)
