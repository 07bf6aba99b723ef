"""The Dagster instance of a home directory: run history, logs and limits in `<home>/.dagster`, for whoever starts runs.

The only place that knows `DAGSTER_HOME`. Programs of Dagster find their instance by that variable, so it stands in the
environment of those that are started; this process opens its instance by its folder and changes no variable.
"""

import json
import os
import re
import socket
from contextlib import AbstractContextManager, nullcontext
from importlib import resources
from pathlib import Path

import dagster as dg

from redpop_assets.run_history import EventLog
from redpop_assets.settings import Settings

_OF_COMMANDS = "commands.yaml"
_CAPTURE = re.compile(r"^compute_logs:\n(?: .*\n)+", re.MULTILINE)
_NO_CAPTURE = """\
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def prepare_instance(settings: Settings) -> Path:
    """Write `dagster.yaml` and `workspace.yaml` into `<home>/.dagster` and return that folder.

    A third file is for runs inside of commands, whose output is on the terminal and is captured for nobody: Dagster
    would start two processes for it, to which a Ctrl-C of the terminal goes as well.
    """
    folder = settings.home / ".dagster"
    folder.mkdir(parents=True, exist_ok=True)
    # A text of JSON is one of YAML as well, whatever the path holds.
    template = _template("dagster.yaml")
    instance = re.sub(
        "warehouse/.dagster(.*)", lambda rest: json.dumps(f"{folder}{rest[1]}", ensure_ascii=False), template
    )
    (folder / "dagster.yaml").write_text(instance, encoding="utf-8")
    (folder / _OF_COMMANDS).write_text(_CAPTURE.sub(_NO_CAPTURE, instance), encoding="utf-8")
    (folder / "workspace.yaml").write_text(_template("workspace.yaml"), encoding="utf-8")
    return folder


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance of a deployment, for this process; close it by `with`."""
    return dg.DagsterInstance.from_config(str(prepare_instance(settings)), _OF_COMMANDS)


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The environment of a program of Dagster that works on a deployment.

    Besides that of this process it holds the settings that no `.env` may change, secrets included, and the place of the
    instance. Every process that the program starts inherits it, and reads the settings there when it loads
    `redpop_assets.definitions`.
    """
    return {**os.environ, **settings.handed_over(), "DAGSTER_HOME": str(prepare_instance(settings))}


def tags_of_this_process() -> dict[str, str]:
    """Tags that tell whose run it is."""
    return {"redpop/host": socket.gethostname(), "redpop/pid": str(os.getpid())}


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Give back what runs hold whose process was killed: their place in a pool, for which the next run would wait."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={"redpop/host": socket.gethostname()})
    for run in instance.get_runs(unfinished):
        pid = int(run.tags["redpop/pid"])
        # In a container every process may have the same id; and this process has not begun a run.
        if pid == os.getpid() or not _is_running(pid):
            instance.report_run_failed(run, "The process of this run was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def events_at_once(instance: dg.DagsterInstance) -> AbstractContextManager[None]:
    """Where this thread may report thousands of events in little time; see `EventLog.at_once`."""
    storage = instance.event_log_storage
    return storage.at_once() if isinstance(storage, EventLog) else nullcontext()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # of another user
    return True


def _template(name: str) -> str:
    """A configuration file of the repository's root, or the copy that the wheel carries."""
    packaged = resources.files("redpop_assets") / f"_{name}"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).resolve().parents[1] / name).read_text(encoding="utf-8")
