"""Runs from the command line: what they report, and that a killed one loses and doubles nothing."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from redpop_assets.errors import SettingsError
from redpop_assets.runs import materialize
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.end_to_end

SECRET = "a-secret-of-the-sandbox-that-must-not-be-stored"
# Times of this machine; all other columns follow from the world and its clock.
OF_THIS_MACHINE = {
    *("fetched_at", "checked_at", "stored_at", "first_used_at", "trained_at", "train_seconds", "since"),
    *("discovered_at", "forgotten_at", "judged_at", "promoted_at", "made_at"),
}


UP_TO_PICTURES = 'group:raw or group:core or key:"features/image_embeddings"'
UP_TO_THE_VECTORS = f'{UP_TO_PICTURES} or key:"features/caption_embeddings"'
UP_TO_THE_PAST = 'group:raw or group:core or key:"features/author_features" or key:"features/seen_before"'


def contents(deployment) -> dict[str, list[int]]:
    """Hashes of all rows of all tables, without the times of this machine."""
    found = {}
    with deployment.warehouse.read() as reader:
        for name, table in load_schema().items():
            if not table.is_view:
                columns = ", ".join(column for column in table.column_names if column not in OF_THIS_MACHINE)
                rows = f"SELECT hash(r) FROM (SELECT {columns} FROM {name}) AS r ORDER BY 1"
                found[name] = reader.query(rows).column(0).to_pylist()
    return found


def killed_at(deployment, pattern: str, *arguments: str) -> list[str]:
    """Start `redpop materialize`, and kill it without warning when its log shows the pattern; returns the log."""
    process = subprocess.Popen(
        [sys.executable, "-m", "redpop_assets.cli", "materialize", "-r", "pics", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=deployment.full_environment,
        cwd=deployment.home.parent,
    )
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if re.search(pattern, line):
                break
    finally:
        process.kill()
        process.stderr.close()
        assert process.wait() == -signal.SIGKILL, "".join(said)
    assert re.search(pattern, said[-1]), "".join(said)
    return said


@pytest.fixture(scope="module")
def small():
    """A community of forty posts, served at a moment that stands still."""
    world = World(seed=3, subreddits=("pics",), posts_per_subreddit=40, history=timedelta(days=30))
    with running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url:
        yield url


@pytest.fixture(scope="module")
def start(deploy: Callable, small: str):
    """Makes deployments on the small community with small chunks; all of them hide names with one key."""

    def make():
        deployment = deploy(
            small, REDPOP_SUBREDDITS="pics", REDPOP_CHUNK_SIZE="8", REDPOP_HARVEST_PLAN="new,hot,top/all,top/month"
        )
        deployment.home.mkdir()
        (deployment.home / "author.key").write_bytes(bytes(32))
        return deployment

    return make


def test_a_run_killed_while_harvesting_downloading_and_embedding_is_like_an_undisturbed_one(start):
    undisturbed, disturbed = start(), start()
    assert undisturbed.run("pics", UP_TO_THE_VECTORS).success
    selected = ("--select", UP_TO_PICTURES)
    killed_at(disturbed, r"harvest +hot: ", *selected)
    kept = disturbed.scalar("SELECT count(*) FROM raw.submissions")
    assert kept > 30
    killed_at(disturbed, r"download +fetched 8 of", *selected)
    assert disturbed.scalar("SELECT count(*) FROM raw.submissions") == kept
    assert disturbed.scalar("SELECT count(*) FROM core.image_fetches") >= 8
    killed_at(disturbed, r"image_networks +8 of", *selected)
    done = disturbed.scalar("SELECT count(*) FROM features.image_embeddings")
    assert done >= 8

    with disturbed.instance() as (_, instance):
        run = disturbed.run("pics", UP_TO_THE_VECTORS, instance)
    assert run.success
    assert run.failed_checks == set()
    expected, found = contents(undisturbed), contents(disturbed)
    images = len(expected["features.image_embeddings"])
    assert run.metadata["features/image_embeddings"]["rows_computed"] == images - done
    assert {name: len(rows) for name, rows in found.items()} == {name: len(rows) for name, rows in expected.items()}
    assert found == expected
    with disturbed.instance() as (_, instance):
        states = [run.status for run in instance.get_runs()]
    assert states == [dg.DagsterRunStatus.SUCCESS, *[dg.DagsterRunStatus.FAILURE] * 3]


class TestOnAPipeline:
    def test_a_run_killed_while_training_is_like_an_undisturbed_one(self, pipeline, tmp_path):
        """Another seed makes all predictors learn again; those of young posts come after them."""
        undisturbed, disturbed = (
            pipeline.deployment.copy(tmp_path / name).using(REDPOP_SEED="8") for name in ("undisturbed", "disturbed")
        )
        select = '(group:"models" and not key:"models/early*") or key:"marts/predictions" or key:"marts/leaderboard"'
        assert undisturbed.run("pics", select).success
        killed_at(disturbed, r"fusion_lightgbm: kernels", "--no-harvest", "--select", select)
        seed = "SELECT seed FROM models.predictors WHERE predictor = 'fusion_lightgbm' AND subreddit = 'pics'"
        assert disturbed.scalar(seed) == 7
        run = disturbed.run("pics", select)
        assert run.success
        assert run.failed_checks == set()
        assert disturbed.scalar(seed) == 8
        assert contents(disturbed) == contents(undisturbed)
        models = [
            sorted(
                path.relative_to(deployment.home).as_posix()
                for path in (deployment.home / "models").rglob("*")
                if path.is_file() and not path.parent.name.startswith(".new-")
            )
            for deployment in (undisturbed, disturbed)
        ]
        assert models[0] == models[1]


def test_one_community_that_fails_does_not_stop_the_others(start):
    """The second one does not exist at this Reddit."""
    deployment = start().using(REDPOP_SUBREDDITS="missing_one,pics")
    with deployment.environment() as settings:
        missing, pics, together = materialize(settings, settings.partitions, select="group:raw")
    assert (missing.subreddit, pics.subreddit, together.subreddit) == ("missing_one", "pics", None)
    assert together.failures == ()
    assert len(missing.failures) == 1
    assert re.fullmatch(r"harvest: r/missing_one does not exist\. Take missing_one out of .*", str(missing.failures[0]))
    assert pics.failures == ()
    assert deployment.scalar("SELECT count(*) FROM raw.submissions WHERE subreddit = 'pics'") > 30
    with deployment.instance() as (_, instance):
        runs = {run.run_id: run for run in instance.get_runs()}
    assert runs[missing.run_id].status == dg.DagsterRunStatus.FAILURE
    assert runs[pics.run_id].status == dg.DagsterRunStatus.SUCCESS
    assert runs[pics.run_id].tags["redpop/source"] == "sandbox"
    assert runs[pics.run_id].tags["dagster/partition"] == "pics"


def test_an_error_that_is_not_ours_is_a_sentence_with_its_stack_apart(start):
    deployment = start().using(REDPOP_FETCH_IMAGES="false")
    assert deployment.run("pics", "group:raw").success
    with deployment.warehouse.write() as writer:
        writer.execute("UPDATE raw.submissions SET json = '[]'")
    with deployment.environment() as settings:
        (outcome,) = materialize(settings, ["pics"], select='key:"core/posts"', harvest=False)
    if outcome.failures:  # rows that no API sends: an error of the program is allowed, a silent one is not
        (failure,) = outcome.failures
        assert "Error" in failure.message
        assert "\n" not in failure.message
        assert "Stack Trace" in failure.stack
    else:
        assert deployment.scalar("SELECT count(*) FROM core.rejected_posts") > 0


def test_what_communities_share_is_known_after_one_run_of_all(deploy):
    """Authors and pictures of the second community are features in the first."""
    world = World(seed=3, subreddits=("pics", "EarthPorn"), posts_per_subreddit=30, history=timedelta(days=30))
    with running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url:
        deployment = deploy(url, REDPOP_HARVEST_PLAN="new")
        published = deployment.home / "redpop.duckdb"
        with deployment.environment() as settings:
            first = materialize(settings, settings.partitions, select=UP_TO_THE_PAST)
            assert [(outcome.subreddit, outcome.failures) for outcome in first] == [
                ("pics", ()),
                ("earthporn", ()),
                (None, ()),
            ]
            materialize(settings, ["pics"], select='key:"marts/published_warehouse"')
            before, bytes_before = contents(deployment), published.read_bytes()
            materialize(settings, settings.partitions, select=UP_TO_THE_PAST)
            materialize(settings, ["pics"], select='key:"marts/published_warehouse"')
        assert contents(deployment) == before
        assert published.read_bytes() == bytes_before


def test_a_wrong_encoder_is_one_sentence(start):
    deployment = start().using(REDPOP_CAPTION_ENCODER="sentence_transformers:no/such-model/hub")
    with deployment.environment() as settings:
        (outcome,) = materialize(
            settings, ["pics"], select='group:raw or key:"core/posts" or key:"features/caption_embeddings"'
        )
    (failure,) = outcome.failures
    assert failure.step == "features__caption_embeddings"
    assert "REDPOP_CAPTION_ENCODER" in failure.message
    assert failure.stack == ""


def test_tables_that_are_written_together_are_chosen_together(start):
    deployment = start()
    run = deployment.run("pics", 'key:"raw/sightings"')
    assert set(run.materializations) == {
        *(
            f"raw/{name}"
            for name in ("submissions", "sightings", "observations", "presence", "listing_reads", "imports")
        ),
        *("raw/communities", "raw/community_sizes"),
    }


def test_a_community_without_posts_runs_to_its_end(deploy):
    world = World(seed=3, subreddits=("pics", "quiet"), posts_per_subreddit=1, history=timedelta(days=400))
    with running(world, Clock(world.epoch - timedelta(days=500)), secret=SECRET) as url:
        deployment = deploy(url, REDPOP_SUBREDDITS="quiet", REDPOP_HARVEST_PLAN="new")
        run = deployment.run("quiet")
    assert run.success
    assert run.failed_checks == set()
    assert deployment.scalar("SELECT count(*) FROM raw.submissions") == 0
    assert (deployment.home / "redpop.duckdb").exists()
    rows = deployment.rows("SELECT status, reason FROM marts.leaderboard")
    assert {row["status"] for row in rows} == {"not_trained"}
    assert all(row["reason"] for row in rows)


def test_what_is_no_selection_is_refused_before_anything_runs(start):
    deployment = start()
    with deployment.environment() as settings:
        with pytest.raises(SettingsError, match="no asset selection"):
            materialize(settings, ["pics"], select="group:(")
        with pytest.raises(SettingsError, match="chooses no asset"):
            materialize(settings, ["pics"], select="group:nothing")
