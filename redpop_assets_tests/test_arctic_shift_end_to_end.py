"""Without a key: from an empty home to the leaderboard through Arctic Shift, and back to Reddit when a key comes."""

from datetime import timedelta

import pytest

from redpop_assets.sandbox.arctic_shift import PATH, Traits
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.testing.deployments import SECRET

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def served(world):
    """The world at its epoch behind both APIs, and its clock."""
    clock = Clock(world.epoch)
    with running(world, clock, secret=SECRET, budget=100_000, archive=Traits(late=0.03, restored=0.1)) as url:
        yield url, clock


@pytest.fixture(scope="module")
def filled(deploy, served):
    """A deployment that has no key, after a run of the whole graph, and that run."""
    url, _ = served
    deployment = deploy(
        url,
        REDPOP_SUBREDDITS="pics",
        REDPOP_SOURCE="arctic_shift:sandbox",
        REDPOP_ARCTIC_SHIFT_URL=url + PATH,
        REDPOP_ARCTIC_SHIFT_REQUESTS_PER_SECOND="2",
        REDPOP_ARCTIC_SHIFT_LOOK_BACK_DAYS="130",
        REDPOP_FETCH_IMAGES="false",
        REDPOP_PREDICTORS="metadata_boosting",
        REDDIT_CLIENT_ID="",
        REDDIT_CLIENT_SECRET="",
    )
    return deployment, deployment.run("pics")


def test_everything_is_made_from_nothing_to_the_leaderboard(filled):
    deployment, run = filled
    assert run.failures == []
    assert run.success
    assert deployment.scalar("SELECT count(*) FROM models.training_set WHERE split = 'test'") > 15
    assert deployment.rows("SELECT DISTINCT source FROM core.labels") == [{"source": "arctic_shift"}]
    assert {row["predictor"] for row in deployment.rows("FROM marts.leaderboard WHERE spearman IS NOT NULL")} >= {
        "metadata_boosting"
    }
    assert run.metadata["models/training_set"]["labels_differ_in"] == "nothing"
    assert deployment.scalar("SELECT count(*) FROM marts.posts WHERE label_source = 'arctic_shift'") > 90
    assert deployment.rows("FROM raw.source SELECT source") == [{"source": "sandbox"}]


def test_it_goes_on_and_what_was_deleted_restored_or_missed_is_as_the_world_knows(filled, served, world, tmp_path):
    deployment, clock = filled[0].copy(tmp_path / "home"), served[1]
    for passes in (timedelta(days=1), timedelta(days=3)):
        clock.advance(passes)
        assert deployment.run("pics", "group:raw or group:core").success
    now = clock.seconds()
    settled = [post for post in world.posts("pics", now) if post.created < now - 40 * 3600]
    stored = {row["post_id"] for row in deployment.rows("SELECT post_id FROM raw.submissions")}
    forgotten = {row["post_id"] for row in deployment.rows("SELECT post_id FROM raw.tombstones")}
    assert {post.id for post in settled} <= stored | forgotten
    read_again = 36.5 * 3600
    for post in settled:
        gone = (
            post.removal in ("deleted", "author", "copyright_takedown") and post.removed_at < post.created + read_again
        )
        if gone and post.removed_at < post.created + 36 * 3600:
            assert post.id in forgotten
        elif not gone and not post.source:
            assert post.id not in forgotten
    kept = {row["post_id"]: row["removed_by_category"] for row in deployment.rows("FROM core.posts")}
    assert set(kept.values()) == {None}
    standing = {post.id for post in settled if post.kind == "image" and not post.removal and not post.over_18}
    assert standing <= kept.keys()


def test_with_a_key_the_same_home_goes_on_with_reddit(filled, tmp_path):
    deployment, _ = filled
    deployment = deployment.copy(tmp_path / "home").using(
        REDPOP_SOURCE="sandbox", REDDIT_CLIENT_ID="sandbox", REDDIT_CLIENT_SECRET=SECRET, REDPOP_HARVEST_PLAN="new"
    )
    run = deployment.run("pics", "group:raw or group:core")
    assert run.success
    # What the archive could not say is known now: what still stands, and who has closed the account.
    assert deployment.scalar("SELECT count(*) FROM raw.submissions ANTI JOIN raw.presence USING (post_id)") == 0
    assert run.metadata["raw/listing_reads"]["gaps"] == 0
    assert deployment.rows("SELECT DISTINCT source FROM core.labels") == [{"source": "reddit"}]
