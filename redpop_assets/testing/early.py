"""Posts that were read while they were young: in a community that is filled already, and in one of the sandbox."""

import json
import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa

from redpop_assets.sandbox.popularity import growth
from redpop_assets.sandbox.submissions import submission
from redpop_assets.sandbox.world import Post, World
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


WATCHED = (1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0, 168.0, 190.0, 214.0)
"""Ages at which each post of a watched world is read (hours)."""


def watched_world(posts: int, *, seed: int, days: int = 200) -> World:
    """One community with so many posts."""
    return World(seed, ("pics",), posts, history=timedelta(days=days))


def fill_watched(warehouse: Warehouse, world: World, *, hours: Sequence[float] = WATCHED) -> dict[str, Post]:
    """Store the raw posts of the first community of a world as somebody saw them who read each at these ages.

    Args:
        warehouse: where to; only the raw layer is written.
        world: read up to its epoch.
        hours: ages.

    Returns:
        The posts by id; deleted ones are left out.
    """
    name, now = world.subreddits[0], world.epoch.timestamp()
    posts = [post for post in world.posts(name, now) if post.removal != "deleted"]
    rows: dict[str, list[object]] = {
        field: [] for field in ("post_id", "at", "score", "ratio", "comments", "crossposts", "hidden", "removed")
    }
    for post in posts:
        for moment in (post.created + 3600 * age for age in hours):
            if moment <= now:
                found = world.read(post, moment)
                said = (found.score, found.upvote_ratio, found.num_comments, found.num_crossposts, found.hidden)
                for field, value in zip(rows, (post.id, round(moment * 1e6), *said, found.removed), strict=True):
                    rows[field].append(value)
    n, subreddit = len(rows["post_id"]), name.lower()
    first = pa.array([round((post.created + 60) * 1e6) for post in posts], pa.timestamp("us"))
    shown = [submission(world, post, post.created + 60, "https://i.redd.it") for post in posts]
    with warehouse.write() as writer:
        writer.append(
            "raw.submissions",
            pa.table(
                {
                    "post_id": [post.id for post in posts],
                    "subreddit": [subreddit] * len(posts),
                    "discovered_at": first,
                    "origin": ["listing"] * len(posts),
                    "revised_at": pa.nulls(len(posts), pa.timestamp("us")),
                    "json": [
                        json.dumps({**one, "author": post.author_id}) for one, post in zip(shown, posts, strict=True)
                    ],
                }
            ),
        )
        table = pa.table(
            {
                "post_id": pa.array(rows["post_id"], pa.string()),
                "subreddit": [subreddit] * n,
                "observed_at": pa.array(rows["at"], pa.timestamp("us")),
                "endpoint": ["info"] * n,
                "score": pa.array(rows["score"], pa.int32()),
                "upvote_ratio": pa.array(rows["ratio"], pa.float64()),
                "num_comments": pa.array(rows["comments"], pa.int32()),
                "num_crossposts": pa.array(rows["crossposts"], pa.int32()),
                "hide_score": pa.array(rows["hidden"], pa.bool_()),
                "author_present": [True] * n,
                "removed_by_category": pa.array(rows["removed"], pa.string()),
            }
        )
        for column in warehouse.schema["raw.observations"].columns:
            if column.name not in table.column_names:
                table = table.append_column(column.name, pa.nulls(n))
        writer.append("raw.observations", table)
    return {post.id: post for post in posts}
