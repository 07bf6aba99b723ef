"""A community whose moderators have reasons, as an archive knows it: each post read when it was new, and once later."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from redpop_assets.sandbox.submissions import submission
from redpop_assets.sandbox.world import Post, World
from redpop_assets.storage.warehouse import Warehouse

FIRST, SECOND = timedelta(minutes=1), timedelta(days=7, hours=6)
"""Ages at which posts are read."""


def moderated_world(posts: int, *, seed: int = 7, days: int = 400) -> World:
    """One community with so many posts."""
    return World(seed, ("pics",), posts, history=timedelta(days=days), moderated=True)


def fill_moderated(warehouse: Warehouse, world: World, *, second: timedelta = SECOND) -> dict[str, Post]:
    """Store the readings of the community of a world, and return its posts by id; deleted ones are left out.

    Only the raw layer is written; `refresh_posts` makes the rest.

    Args:
        warehouse: where to.
        world: whose first community is read up to its epoch.
        second: age of the second reading.
    """
    name = world.subreddits[0]
    posts = [post for post in world.posts(name, world.epoch.timestamp()) if post.removal != "deleted"]
    read = [[_reading(world, post, post.created + age.total_seconds()) for post in posts] for age in (FIRST, second)]
    key = {"post_id": [post.id for post in posts], "subreddit": [name.lower()] * len(posts)}
    first = _moments(posts, FIRST)
    with warehouse.write() as writer:
        writer.append(
            "raw.submissions",
            pa.table(
                {
                    **key,
                    "discovered_at": first,
                    "origin": ["arctic_shift"] * len(posts),
                    "revised_at": pa.nulls(len(posts), pa.timestamp("us")),
                    "json": [json.dumps(one) for one in read[0]],
                }
            ),
        )
        for age, readings in zip((FIRST, second), read, strict=True):
            # All else of a reading tells nothing of removals.
            known = {
                "observed_at": _moments(posts, age),
                "endpoint": ["arctic_shift"] * len(posts),
                "score": pa.array([one["score"] for one in readings], pa.int32()),
                "author_present": [True] * len(posts),
                "removed_by_category": pa.array([one["removed_by_category"] for one in readings], pa.string()),
            }
            rows = pa.table({**key, **known})
            for column in warehouse.schema["raw.observations"].columns:
                if column.name not in rows.column_names:
                    rows = rows.append_column(column.name, pa.nulls(len(posts)))
            writer.append("raw.observations", rows)
    return {post.id: post for post in posts}


def _reading(world: World, post: Post, now: float) -> dict[str, object]:
    found = submission(world, post, now, "https://i.redd.it")
    found["author"] = post.author_id if found["author"] != "[deleted]" else None
    return found


def _moments(posts: Sequence[Post], age: timedelta) -> pa.Array:
    moments = [datetime.fromtimestamp(post.created, UTC).replace(tzinfo=None) + age for post in posts]
    return pa.array(np.array(moments, dtype="datetime64[us]"))
