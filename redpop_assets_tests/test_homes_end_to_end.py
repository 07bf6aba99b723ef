"""A home that an older version wrote is refreshed by this one, from Reddit to the published warehouse."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.testing.deployments import SECRET, Deployment, sandbox_variables
from redpop_assets_tests.storage import old_homes

pytestmark = pytest.mark.end_to_end


class Published:
    """What people see of r/pics."""

    def __init__(self, home: Path) -> None:
        with duckdb.connect(home / "redpop.duckdb", read_only=True) as conn:

            def found(sql: str) -> set[tuple[Any, ...]]:
                return set(conn.execute(sql).fetchall())

            self.posts = {post for (post,) in found("SELECT post_id FROM marts.posts WHERE subreddit = 'pics'")}
            self.tombstones = {post for (post,) in found("SELECT post_id FROM raw.tombstones")}
            self.readings = found("SELECT post_id, observed_at FROM raw.observations WHERE subreddit = 'pics'")
            median = "FROM marts.predictions WHERE subreddit = 'pics' AND predictor = 'subreddit_median'"
            self.predicted = {post for (post,) in found(f"SELECT post_id {median}")}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """URL of the world that the homes were filled from, five days after they last looked."""
    world = World(seed=3, posts_per_subreddit=84, history=timedelta(days=90))
    clock = Clock(world.epoch)
    clock.advance(timedelta(days=13))
    with running(world, clock, secret=SECRET, budget=100_000) as url:
        yield url


@pytest.mark.parametrize("name", old_homes.NAMES)
def test_a_refresh_goes_on_where_the_older_version_stopped(name, sandbox, tmp_path):
    home = old_homes.unpack(name, tmp_path / "home")
    deployment = Deployment(
        home,
        sandbox_variables(
            home,
            sandbox,
            REDPOP_BUDGET_DIR=str(tmp_path / "budget"),
            REDPOP_PREDICTORS="subreddit_median,subreddit_hour_median,author_past_mean,metadata_boosting",
            REDPOP_IMAGE_ENCODER="timm:test_vit/random",
            REDPOP_IMAGE_FORMAT="webp",
            REDPOP_IMAGE_LONGEST_EDGE="256",
            REDPOP_IMAGE_QUALITY="50",
        ),
    )
    before = Published(home)
    run = deployment.run("pics")
    assert run.success, run.failures
    after = Published(home)
    assert before.tombstones
    assert before.tombstones <= after.tombstones
    assert not after.tombstones & after.posts
    assert before.posts - after.tombstones <= after.posts
    assert after.posts - before.posts, "five days bring posts"
    readings = {(post, moment) for post, moment in before.readings if post not in after.tombstones}
    assert readings < after.readings
    assert after.predicted == after.posts
