"""The instance of a home directory: opened by its folder here, found by its environment in programs of Dagster."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from redpop_assets.arithmetic import is_same_everywhere
from redpop_assets.definitions import build_defs
from redpop_assets.instance import dagster_environment, open_instance
from redpop_assets.resources import open_warehouse
from redpop_assets.rounds import execute
from redpop_assets.runs import selected_keys
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.settings import load_settings
from redpop_assets.testing.deployments import sandbox_variables

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).resolve().parents[1]


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_the_instance_is_that_of_the_template_and_lives_in_the_home(tmp_path, only):
    template = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert template["telemetry"] == {"enabled": False}
    with only({}, tmp_path):
        settings = load_settings(home=tmp_path / "some where")
        folder = settings.home / ".dagster"
        with open_instance(settings) as instance:
            assert instance.root_directory == str(folder)
            assert instance.telemetry_enabled is False
            assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
            assert instance.run_retries_enabled is True
            assert instance.run_monitoring_enabled is True
            assert "DAGSTER_HOME" not in os.environ
            assert dagster_environment(settings)["DAGSTER_HOME"] == str(folder)
            same = settings.model_copy(update={"reproducible": True})
            assert is_same_everywhere(dagster_environment(same))
    assert "warehouse/.dagster" not in (folder / "dagster.yaml").read_text(encoding="utf-8")
    assert files(tmp_path) == files(folder)


@pytest.fixture
def two(tmp_path, only):
    """Settings of two deployments on two Reddits with different secrets, and an environment that knows of neither."""
    worlds = [
        World(seed=seed, subreddits=("pics",), posts_per_subreddit=20, history=timedelta(days=30)) for seed in "34"
    ]
    clocks = [Clock(world.epoch) for world in worlds]
    secrets = ["the-secret-of-the-first", "the-secret-of-the-second"]
    with (
        running(worlds[0], clocks[0], secret=secrets[0], budget=100_000) as first,
        running(worlds[1], clocks[1], secret=secrets[1], budget=100_000) as second,
    ):
        settings = []
        for name, url, secret in zip(("first", "second"), (first, second), secrets, strict=True):
            more = {"REDPOP_SUBREDDITS": "pics", "REDPOP_HARVEST_PLAN": "new", "REDDIT_CLIENT_SECRET": secret}
            more["REDPOP_STEP_PROCESSES"] = "2"
            with only(sandbox_variables(tmp_path / name, url, **more), tmp_path):
                settings.append(load_settings())
        with only({}, tmp_path):
            yield settings


def test_two_deployments_in_one_process_do_not_touch_each_other(two, tmp_path):
    """Both are there at once, and runs of one stand between runs of the other."""
    before = dict(os.environ)
    first, second = two
    defs = {settings.home: build_defs(settings) for settings in two}
    # Resolved before there are instances: Dagster reads in that which was opened last, whose files would appear.
    keys = {home: selected_keys(platform, "group:raw", harvest=True) for home, platform in defs.items()}
    with open_instance(first) as of_first, open_instance(second) as of_second:
        instances = {first.home: of_first, second.home: of_second}
        for settings in (first, second, first):
            untouched = files(tmp_path) - files(settings.home)
            times = {path: path.stat().st_mtime_ns for path in untouched}
            home = settings.home
            assert execute(defs[home], instances[home], "pics", keys[home], tags={}).success
            assert {path: path.stat().st_mtime_ns for path in files(tmp_path) - files(settings.home)} == times
        assert [len(instances[settings.home].get_runs()) for settings in two] == [2, 1]
    posts = [
        {row["post_id"] for row in open_warehouse(settings).query("FROM raw.submissions").to_pylist()}
        for settings in two
    ]
    assert all(len(ids) > 10 for ids in posts)
    assert posts[0] != posts[1]
    assert {path.relative_to(tmp_path).parts[0] for path in files(tmp_path)} == {"first", "second"}
    assert dict(os.environ) == before


def test_steps_in_processes_of_their_own_find_the_deployment_and_leave_no_secret(two, tmp_path):
    """A program of Dagster gets all it needs by its environment, whatever `.env` lies where it is started."""
    settings, other = two
    (tmp_path / ".env").write_text(f"REDPOP_HOME={other.home}\nREDDIT_CLIENT_SECRET=wrong\n", encoding="utf-8")
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "asset", "materialize", "-m", "redpop_assets.definitions"]
    done = subprocess.run(
        [*command, "--select", "group:raw", "--partition", "pics"],
        env=dagster_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with open_instance(settings) as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        pids = {entry.dagster_event.pid for entry in instance.all_logs(run.run_id) if entry.dagster_event}
    assert len(pids - {None}) > 1  # the steps were processes
    assert open_warehouse(settings).scalar("SELECT count(*) FROM raw.submissions") > 10
    assert not other.home.exists()
    secret = settings.reddit_client_secret.get_secret_value()
    assert secret not in done.stdout + done.stderr
    for path in files(settings.home):
        assert secret.encode() not in path.read_bytes(), path


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
import dagster as dg
from redpop_assets.automation import REFRESH
from redpop_assets.instance import open_instance
from redpop_assets.rounds import execute
from redpop_assets.settings import load_settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells ignore in what runs in the background


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["pics"]))
def interrupted() -> None:
    # No process of Dagster's is there to which a terminal would send it, too.
    assert not Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    if sys.argv[2] == "by the terminal":
        signal.raise_signal(signal.SIGINT)
    raise KeyboardInterrupt  # what is made of DuckDB's own error


jobs, loggers = [dg.define_asset_job(REFRESH)], {"terminal": dg.colored_console_logger}
defs = dg.Definitions([interrupted], jobs=jobs, loggers=loggers)
with open_instance(load_settings(home=sys.argv[1])) as instance:
    try:
        execute(defs, instance, "pics", [dg.AssetKey("interrupted")], tags={})
    except KeyboardInterrupt:
        print("ended")
"""


@pytest.mark.parametrize("how", ["by the terminal", "by DuckDB"])
def test_ctrl_c_ends_a_command_and_not_only_the_run_of_one_community(tmp_path, how):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "home"), how],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "ended\n", done.stderr
