"""What a night without news and an hourly harvest cost, for one community and for many; and how many can be shown.

The sandbox runs beside as a process of its own, whose time does not count, and its clock stands still between two
nights. Each deployment is filled with a few posts per community, text only, by all predictors of the settings.

* `command`: `redpop materialize`, and `--select group:raw` after an hour: one process for all communities
* `schedule`: the run requests of the schedule, and then of the sensors that go on with them, each run as Dagster's
  launcher starts it: a process, with its processes for steps where its executor has some. What the daemon needs to
  evaluate them is not counted, for it has loaded the definitions long before.

Figures are CPU seconds of RedPop's processes, all together: time asleep, or waiting for an answer, costs none.

`--load` measures instead how long it takes to load the definitions of so many communities, until the first step of
`redpop materialize` begins, and until the web server has answered what the UI asks for the lineage and for an asset.

    python benchmarks/nights.py [--communities 30] [--posts 30] [--ways command schedule] [--predictors NAME ...]
    python benchmarks/nights.py --communities 350 --load [--screenshots FOLDER]
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
from measured import command, cpu_seconds, own_process

from redpop_assets import markdown
from redpop_assets.definitions import build_defs
from redpop_assets.demo.sandbox import advance_clock, sandbox_process
from redpop_assets.instance import dagster_environment, events_at_once, open_instance
from redpop_assets.runs import materialize
from redpop_assets.settings import Settings, load_settings
from redpop_assets.testing.deployments import Deployment, sandbox_variables

NIGHT, HOUR = "a night without news", "an hourly harvest"
AIMS = {NIGHT: 600.0, HOUR: 60.0}
"""CPU seconds that so many communities may take."""

REDPOP = (sys.executable, "-m", "redpop_assets.cli")
_BUDGET = 1_000_000  # requests in ten minutes: nobody is to wait for the sandbox
_WAIT_SECONDS = 600.0

# What the UI asks for its lineage and for the page of an asset, less what is only text.
_LINEAGE = """
{ assetNodes { id groupName isPartitioned hasMaterializePermission assetKey { path } dependencyKeys { path }
  dependedByKeys { path } partitionStats { numMaterialized numPartitions numFailed numMaterializing }
  latestMaterializationByPartition(partitions: null) { timestamp runId } } }
"""
_ASSET = """
{ assetNodeOrError(assetKey: {path: ["core", "posts"]}) { ... on AssetNode {
  partitionKeys partitionStats { numMaterialized numPartitions numFailed }
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } }
  latestMaterializationByPartition { partition timestamp runId } } } }
"""


def names(count: int) -> list[str]:
    """So many communities."""
    return [f"community_{number:03}" for number in range(count)]


def deployment(home: Path, url: str, communities: int, predictors: Sequence[str]) -> Deployment:
    """One with so many communities on a sandbox."""
    variables = {
        "REDPOP_SUBREDDITS": ",".join(names(communities)),
        "REDPOP_FETCH_IMAGES": "false",
        "REDPOP_PREDICTORS": ",".join(predictors),
        "REDPOP_REQUESTS_PER_HARVEST": "100000",
    }
    return Deployment(home, sandbox_variables(home, url, **variables) | {"REDDIT_CLIENT_SECRET": "sandbox"})


def nights(
    folder: Path, communities: int, posts: int, ways: Sequence[str], predictors: Sequence[str]
) -> dict[str, Any]:
    """What a night and an hour cost: `what, way` -> CPU seconds and seconds."""
    home = folder / f"nights-{communities}"
    state = folder / f"sandbox-{communities}"
    options = ("--budget", str(_BUDGET), "--days", "60")
    found = {}
    with sandbox_process(free_port(), state=state, subreddits=names(communities), posts=posts, options=options) as url:
        deployed = deployment(home, url, communities, predictors)
        home.mkdir(parents=True, exist_ok=True)
        environment = deployed.full_environment
        for what in ("the first night", "the second night"):  # the second learns what the first one has changed
            _, took = command((*REDPOP, "materialize"), environment)
            told(communities, what, took)
        for way in ways:
            _, took = command((*REDPOP, "materialize"), environment) if way == "command" else driven(deployed, NIGHT)
            found[f"{NIGHT}, {way}"] = told(communities, f"{NIGHT}, {way}", took)
        for way in ways:
            advance_clock(url, timedelta(hours=1))
            raw = (*REDPOP, "materialize", "--select", "group:raw")
            _, took = command(raw, environment) if way == "command" else driven(deployed, HOUR)
            found[f"{HOUR}, {way}"] = told(communities, f"{HOUR}, {way}", took)
    return found


def told(communities: int, what: str, took: dict[str, float]) -> dict[str, float]:
    """Say what something took."""
    print(
        f"== {communities} communities, {what}: {took['cpu']:.1f} CPU s, {took['seconds']:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    return took


def driven(deployed: Deployment, what: str) -> tuple[str, dict[str, float]]:
    """Run what the schedule requests, and what the sensors request afterwards, until they request nothing new."""
    took = {"cpu": 0.0, "seconds": 0.0}
    with deployed.environment() as settings:
        environment = dagster_environment(settings)
    at = datetime.now(UTC).isoformat()  # one and the same tick, however long its runs take
    done: set[str] = set()
    while True:
        requests, _ = own_process(__file__, "--requests", what, "--at", at, environment=environment)
        due = [request for request in requests if request["run_key"] not in done]
        if not due:
            return "", took
        for request in due:
            done.add(request["run_key"])
            _, run = own_process(__file__, "--run", json.dumps(request), environment=environment)
            took = {name: took[name] + run[name] for name in took}


def requested(settings: Settings, what: str, at: datetime) -> list[dict[str, Any]]:
    """What the schedule of a night, or of an hour, requests for a tick, and all sensors but those of conditions now."""
    defs = build_defs(settings)
    repository = defs.get_repository_def()
    cron = {NIGHT: settings.nightly_cron, HOUR: settings.discovery_cron}[what]
    found: list[tuple[str | None, dg.RunRequest]] = []
    with open_instance(settings) as instance:
        for schedule in repository.schedule_defs:
            if schedule.cron_schedule == cron:
                tick = schedule.evaluate_tick(
                    dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=repository)
                )
                found += [(schedule.job_name, request) for request in tick.run_requests or ()]
        for sensor in repository.sensor_defs:
            if what == NIGHT and not isinstance(sensor, dg.AutomationConditionSensorDefinition):
                context = dg.build_sensor_context(instance=instance, repository_def=repository)
                found += [(sensor.job_name, request) for request in sensor.evaluate_tick(context).run_requests or ()]
    return [
        {
            "job": request.job_name or job,
            "run_key": request.run_key,
            "tags": dict(request.tags),
            "config": request.run_config,
            "assets": [key.path for key in request.asset_selection or ()],
        }
        for job, request in found
    ]


def job_named(name: str) -> dg.JobDefinition:
    """A job of the deployment, for processes of steps."""
    return build_defs(load_settings()).resolve_job_def(name)


def run(request: dict[str, Any]) -> bool:
    """Execute a request as a process of Dagster's launcher does, with the executor of its job."""
    job = dg.build_reconstructable_job(
        "nights", "job_named", (request["job"],), reconstructor_working_directory=str(Path(__file__).parent)
    )
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            job,
            instance=instance,
            run_config=request["config"] or job_named(request["job"]).run_config or {},
            tags=request["tags"],
            asset_selection=[dg.AssetKey(path) for path in request["assets"]] or None,
        )
        return result.success


def load(folder: Path, communities: int, screenshots: Path | None) -> Iterator[tuple[str, dict[str, float]]]:
    """What it takes to show so many communities, all of whose tables were made once, and to begin with them."""
    home = folder / f"load-{communities}"
    home.mkdir(parents=True)
    deployed = deployment(home, "http://127.0.0.1:9", communities, ())
    environment = deployed.full_environment
    with deployed.environment() as settings:
        (home / "posts.ndjson").write_text("\n".join(map(post, settings.partitions)))
        dagster = dagster_environment(settings)
        record_all(settings)
    script = "from redpop_assets.definitions import defs; defs().get_repository_def().load_all_definitions()"
    yield "loading the definitions", command([sys.executable, "-c", script], environment)[1]
    yield "importing a post of each", command([*REDPOP, "import", str(home / "posts.ndjson")], environment)[1]
    with webserver(dagster, folder / "webserver.log") as (url, ready, spent):
        yield "until the web server answers", ready
        for what, query in (("the lineage", _LINEAGE), ("an asset", _ASSET)):
            for turn in ("", ", again"):
                yield f"GraphQL: {what}{turn}", timed(partial(asked, url, query), spent)
        if shutil.which("chromium"):
            pages = {"lineage": "/asset-groups", "asset": "/assets/core/posts?view=partitions"}
            for what, path in pages.items():
                picture = (screenshots or folder) / f"{what}-{communities}.png"
                yield f"Chromium: {what}", timed(partial(shot, url + path, picture), spent)
    yield "until the first step", own_process(__file__, "--first-step", environment=environment)[0]


def record_all(settings: Settings) -> None:
    """Tell Dagster that every table was made for every community, as in a deployment that has had its first night."""
    graph = build_defs(settings).resolve_asset_graph()
    with open_instance(settings) as instance, events_at_once(instance):
        for key in graph.materializable_asset_keys:
            for partition in settings.partitions if graph.get(key).is_partitioned else (None,):
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


def post(subreddit: str) -> str:
    """A line of a file of posts."""
    place = int(subreddit.rpartition("_")[2])
    return json.dumps(
        {
            "id": f"l{place:x}",
            "subreddit": subreddit,
            "title": f"A quiet lake of {subreddit}",
            "author": "somebody",
            "created_utc": 1_750_000_000 + place,
            "retrieved_on": 1_760_000_000,
            "score": place,
            "url": f"https://i.redd.it/l{place:x}.jpg",
        }
    )


def first_step(settings: Settings) -> None:
    """Begin as `redpop materialize --no-harvest`, say what it took until the first step starts, and end there."""
    began, handle = time.perf_counter(), dg.DagsterInstance.handle_new_event

    def stop(instance: dg.DagsterInstance, event: Any, **more: Any) -> None:
        if event.dagster_event is not None and event.dagster_event.is_step_start:
            print(json.dumps({"cpu": cpu_seconds(), "seconds": time.perf_counter() - began}), flush=True)
            os._exit(0)
        handle(instance, event, **more)

    with mock.patch.object(dg.DagsterInstance, "handle_new_event", stop):
        materialize(settings, settings.partitions, harvest=False)


@contextmanager
def webserver(environment: dict[str, str], log: Path) -> Iterator[tuple[str, dict[str, float], Callable[[], float]]]:
    """The UI's server: its URL, what it took until it answered, and its CPU seconds so far with its code server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    workspace = Path(environment["DAGSTER_HOME"]) / "workspace.yaml"
    words = [str(Path(sys.executable).with_name("dagster-webserver")), "-w", str(workspace), "-p", str(port)]
    began = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(words, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = began + _WAIT_SECONDS
        while True:
            try:
                asked(url, "{ version }")
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() > deadline:
                    sys.exit(f"the web server does not answer: {log.read_text()[-2000:]}")
                time.sleep(0.1)

        def spent() -> float:
            return session_cpu(process.pid)

        yield url, {"cpu": spent(), "seconds": time.perf_counter() - began}, spent
    finally:
        process.terminate()
        process.wait()


def session_cpu(session: int) -> float:
    """CPU seconds so far of the processes of a session (proc_pid_stat(5))."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def asked(url: str, query: str) -> Any:
    """What GraphQL answers.

    Raises:
        SystemExit: errors.
    """
    body = json.dumps({"query": query}).encode()
    ask = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(ask, timeout=_WAIT_SECONDS) as answer:
        found = json.load(answer)
    if "errors" in found:
        sys.exit(f"GraphQL: {found['errors'][0]['message']}")
    return found


def timed(ask: Callable[[], object], spent: Callable[[], float]) -> dict[str, float]:
    """What asking took a server, and by the clock."""
    began, before = time.perf_counter(), spent()
    ask()
    return {"cpu": spent() - before, "seconds": time.perf_counter() - began}


def shot(url: str, to: Path) -> None:
    """A picture of a page of the UI, once it has come to rest."""
    with tempfile.TemporaryDirectory() as profile:
        words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        words += ["--window-size=1600,1000", "--virtual-time-budget=30000", f"--screenshot={to}", url]
        subprocess.run(words, check=True, capture_output=True, timeout=_WAIT_SECONDS)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def report(found: dict[int, dict[str, dict[str, float]]]) -> None:
    """Print a line for each thing, with how many times as much as for the fewest communities it took."""
    counts = sorted(found)
    few, many = found[counts[0]], found[counts[-1]]
    several = len(counts) > 1
    headers = ["CPU s (s by the clock)", *map(str, counts), *["×"] * several]
    rows = [
        [
            what,
            *(f"{found[count][what]['cpu']:.1f} ({found[count][what]['seconds']:.1f})" for count in counts),
            *[f"{cost['cpu'] / max(few[what]['cpu'], 0.01):.1f}"] * several,
        ]
        for what, cost in many.items()
    ]
    print(f"{markdown.table(headers, rows)}\n")
    for what, cost in many.items():
        aim = AIMS.get(what.partition(", ")[0])
        if aim and several:
            ratio = f"{counts[-1]} / {counts[0]} = {cost['cpu'] / few[what]['cpu']:.1f}"
            most = " (target < 12)" if what.startswith(NIGHT) else ""
            print(f"* {what}: {ratio}{most}, {cost['cpu']:.0f} CPU s (target < {aim:.0f})")


def main() -> None:
    """Measure one community and many, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--communities", type=int, nargs="+", default=[30], help="one is measured as well")
    parser.add_argument("--posts", type=int, default=30, help="per community at the beginning")
    parser.add_argument("--ways", nargs="+", choices=("command", "schedule"), default=["command", "schedule"])
    parser.add_argument("--predictors", nargs="+", default=[], help="default: all")
    parser.add_argument("--load", action="store_true", help="loading and showing them instead")
    parser.add_argument("--screenshots", type=Path, help="folder that keeps the pictures of --load")
    for name in ("--requests", "--at", "--run"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--first-step", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.requests:
        print(json.dumps(requested(load_settings(), options.requests, datetime.fromisoformat(options.at))))
    elif options.run:
        print(json.dumps(run(json.loads(options.run))))
    elif options.first_step:
        first_step(load_settings())
    else:
        found: dict[int, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            for count in sorted({1, *options.communities}):
                if options.load:
                    found[count] = {}
                    for what, took in load(Path(folder), count, options.screenshots):
                        found[count][what] = told(count, what, took)
                else:
                    found[count] = nights(Path(folder), count, options.posts, options.ways, options.predictors)
        print(f"{os.cpu_count()} CPUs, {os.getloadavg()[0]:.1f} processes busy\n")
        report(found)


if __name__ == "__main__":
    main()
