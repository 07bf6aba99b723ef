"""The rounds that schedules start: all communities in one process, with one login; none holds up the others."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import requests

from redpop_assets import nights
from redpop_assets.automation import DISCOVER, NIGHT, REFRESH, TOGETHER
from redpop_assets.definitions import build_defs
from redpop_assets.instance import dagster_environment, open_instance
from redpop_assets.rounds import MADE_FROM
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.faults import TOKEN_PATH
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World

pytestmark = pytest.mark.end_to_end

SECRET = "a-secret-of-the-sandbox-that-must-not-be-stored"
FEW = {
    "REDPOP_SUBREDDITS": "missing_one,pics,earthporn",
    "REDPOP_HARVEST_PLAN": "new",
    "REDPOP_FETCH_IMAGES": "false",
    "REDPOP_PREDICTORS": "subreddit_median",
}


@pytest.fixture
def deployment(deploy):
    world = World(seed=3, subreddits=("pics", "EarthPorn"), posts_per_subreddit=20, history=timedelta(days=30))
    with running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url:
        yield deploy(url, **FEW)


def execute(deployment, job, **config):
    with deployment.instance() as (settings, instance):
        done = (
            build_defs(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                raise_on_error=False,
                run_config={"ops": {f"{job}_of_all": {"config": config}}},
            )
        )
        return done, [run for run in instance.get_runs() if run.run_id != done.run_id]


def community(run):
    return run.tags.get("dagster/partition")


SOME = dg.AssetSelection.groups("raw", "core") | dg.AssetSelection.assets(
    ["features", "author_features"], ["marts", "predictions"], ["marts", "published_warehouse"]
)


def test_a_night_brings_everything_up_to_date_but_what_cannot_be_read(deployment, monkeypatch):
    monkeypatch.setattr(nights, "KEPT_FRESH", SOME)
    done, runs = execute(deployment, NIGHT)
    assert not done.success  # one community does not exist at this Reddit
    assert "Not up to date: r/missing_one." in done.failure_data_for_node("night_of_all").error.message
    assert {run.tags["redpop/round"] for run in runs} == {done.run_id}
    ended = {
        name: sorted(run.status.value for run in runs if community(run) == name)
        for name in ("missing_one", "pics", "earthporn", None)
    }
    assert ended["missing_one"] == ["FAILURE"]
    assert set(ended["pics"]) == set(ended["earthporn"]) == {"SUCCESS"}
    # What is made of all communities is made once, and not for each.
    assert [run.job_name for run in runs].count(TOGETHER) == len(ended[None]) == 3
    assert {run.job_name for run in runs} == {TOGETHER, REFRESH}
    computed = deployment.rows("SELECT DISTINCT subreddit FROM features.author_features ORDER BY ALL")
    assert [row["subreddit"] for row in computed] == ["earthporn", "pics"]
    assert (deployment.home / "redpop.duckdb").exists()


def test_a_harvest_of_all_logs_in_once_and_can_be_of_some(deployment, monkeypatch):
    logins = []
    request = requests.Session.request

    def counting(self, method, url, **kwargs):
        if TOKEN_PATH in url:
            logins.append(url)
        return request(self, method, url, **kwargs)

    monkeypatch.setattr(requests.Session, "request", counting)
    done, runs = execute(deployment, DISCOVER)
    assert not done.success
    assert len(logins) == 1
    assert {community(run) for run in runs} == {"missing_one", "pics", "earthporn", None}
    done, runs = execute(deployment, DISCOVER, subreddits=["pics"])
    assert done.success
    assert len(logins) == 2
    assert [community(run) for run in runs[:1]] == ["pics"]
    done, _ = execute(deployment, DISCOVER, subreddits=["nowhere"])
    assert "Not in REDPOP_SUBREDDITS: nowhere." in str(done.failure_data_for_node("discover_of_all").error)


STOPPED = """
import os, signal, sys
import dagster as dg
from redpop_assets import rounds
from redpop_assets.automation import DISCOVER
from redpop_assets.definitions import build_defs
from redpop_assets.instance import open_instance
from redpop_assets.settings import load_settings
settings = load_settings()
go_round = rounds.go_round
def interrupted(defs, instance, *args, **kwargs):
    import redpop_assets.sources.reddit.source as source
    def harvest(*_):
        os.kill(os.getpid(), signal.SIGINT)
        import time
        time.sleep(30)
    source.RedditSource.harvest = harvest
    return go_round(defs, instance, *args, **kwargs)
rounds.go_round = interrupted
with open_instance(settings) as instance:
    job = build_defs(settings).resolve_job_def(DISCOVER)
    try:
        job.execute_in_process(instance=instance, raise_on_error=False)
    except KeyboardInterrupt:
        pass
"""


def test_a_night_that_is_stopped_stops_and_says_so(deployment, tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED, encoding="utf-8")
    subprocess.run(
        [sys.executable, str(script)], env=dagster_environment(deployment.settings), check=False, timeout=120
    )
    with open_instance(deployment.settings) as instance:
        runs = instance.get_runs()
    # The harvest of the first community, and the round: none was begun for the others.
    assert sorted(run.job_name for run in runs) == [DISCOVER, REFRESH]
    assert {run.status for run in runs} == {dg.DagsterRunStatus.FAILURE}


def test_a_round_in_a_process_of_dagster_is_one_process(deployment, tmp_path):
    """As the daemon starts it."""
    asked = tmp_path / "asked.yaml"
    config = {"ops": {"discover_of_all": {"config": {"subreddits": ["pics", "earthporn"]}}}}
    asked.write_text(json.dumps(config), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-m", "redpop_assets.definitions"]
    done = subprocess.run(
        [*command, "-j", DISCOVER, "--config", str(asked)],
        env=dagster_environment(deployment.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with open_instance(deployment.settings) as instance:
        runs = instance.get_runs()
        assert len(runs) == 4
        pids = {
            entry.dagster_event.pid for run in runs for entry in instance.all_logs(run.run_id) if entry.dagster_event
        }
    assert len(pids - {None}) == 1
    assert deployment.scalar("SELECT count(DISTINCT subreddit) FROM raw.submissions") == 2


def test_where_nothing_changed_features_and_models_are_not_looked_at(deployment, monkeypatch):
    few = dg.AssetSelection.assets(["core", "posts"], ["core", "rejected_posts"], ["features", "author_features"])
    monkeypatch.setattr(nights, "KEPT_FRESH", few | dg.AssetSelection.groups("raw"))
    deployment = deployment.using(REDPOP_SUBREDDITS="pics,earthporn")

    def night(**variables):
        """The communities whose features were looked at, in a night with other settings."""
        done, runs = execute(deployment.using(**variables), NIGHT)
        assert done.success
        runs = [run for run in runs if run.tags.get("redpop/round") == done.run_id]
        return {community(run) for run in runs if MADE_FROM in run.tags}

    everybody = {"pics", "earthporn"}
    assert night() == everybody
    assert night() == set()
    monkeypatch.setattr(nights, "KEPT_FRESH", few)  # a harvest brings nothing new at this Reddit
    # What changed in one community may be a feature in the others.
    with deployment.warehouse.write() as writer:
        assert writer.execute("UPDATE core.posts SET flair = 'changed' WHERE subreddit = 'pics'") > 0
    assert night() == everybody
    assert night(REDPOP_SEED="5") == everybody
    assert night(REDPOP_SEED="5") == set()
    # Somebody brought a part of one up to date, with whatever settings.
    assert deployment.run("pics", 'key:"features/author_features"').success
    with deployment.instance() as (_, instance):
        assert deployment.run("pics", 'key:"features/author_features"', instance).success
    assert night(REDPOP_SEED="5") == {"pics"}
