"""The Dagster instance of a home directory: run history, logs and limits in `<home>/.dagster`, for whoever starts runs.

The only place that knows `DAGSTER_HOME`. Programs of Dagster find their instance by that variable, so it stands in the
environment of those that are started; this process opens its instance by its folder and changes no variable. Where the
settings name a Postgres, run history and limits are there, for all machines that name it, and the rest stays at home.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance import InstanceRef

from redpop_assets.arithmetic import SAME_EVERYWHERE
from redpop_assets.errors import SettingsError
from redpop_assets.run_history import EventLog
from redpop_assets.settings import Settings

_OF_COMMANDS = "commands.yaml"
_HISTORY_URL = "REDPOP_DAGSTER_URL"
"""The variable by which programs of Dagster learn of the Postgres: the password stands in it, and so in no file."""

_STORAGES = re.compile(r"^(?:#.*\n)?(?:(?:run|event_log|schedule)_storage:\n(?: .*\n)+)+", re.MULTILINE)
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
    if settings.history is not None:
        instance = _STORAGES.sub(f"{json.dumps(_storage({'env': _HISTORY_URL}))[1:-1]}\n", instance)
    (folder / "dagster.yaml").write_text(instance, encoding="utf-8")
    (folder / _OF_COMMANDS).write_text(_CAPTURE.sub(_NO_CAPTURE, instance), encoding="utf-8")
    (folder / "workspace.yaml").write_text(_template("workspace.yaml"), encoding="utf-8")
    return folder


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance of a deployment, for this process; close it by `with`.

    Raises:
        SettingsError: the run history is in a Postgres, and what that takes is not installed.
        WarehouseError: that Postgres cannot be opened.
    """
    folder = str(prepare_instance(settings))
    history = settings.history
    if history is None:
        return dg.DagsterInstance.from_config(folder, _OF_COMMANDS)
    _require_cluster()
    overrides = _storage(history.url)
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(folder, config_filename=_OF_COMMANDS, overrides=overrides))


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The environment of a program of Dagster that works on a deployment.

    Besides that of this process it holds the settings that no `.env` may change, secrets included, and the place of the
    instance. Every process that the program starts inherits it, and reads the settings there when it loads
    `redpop_assets.definitions`.

    Raises:
        SettingsError, WarehouseError: as `open_instance`.
    """
    environment = {**os.environ, **settings.handed_over(), "DAGSTER_HOME": str(prepare_instance(settings))}
    if settings.reproducible:
        environment |= SAME_EVERYWHERE
    if settings.history is not None:
        _require_cluster()
        with settings.history.session():  # what is wrong is said once, not by every program that is started
            environment[_HISTORY_URL] = settings.history.url
    return environment


def events_at_once(instance: dg.DagsterInstance) -> AbstractContextManager[None]:
    """Where this thread may report thousands of events in little time; see `EventLog.at_once`."""
    storage = instance.event_log_storage
    return storage.at_once() if isinstance(storage, EventLog) else nullcontext()


def _storage(url: object) -> Mapping[str, Any]:
    """How `dagster.yaml` names a run history in a Postgres."""
    config = {"postgres_url": url}
    return {
        "storage": {"custom": {"module": "redpop_assets.shared_history", "class": "SharedHistory", "config": config}}
    }


def _require_cluster() -> None:
    if find_spec("dagster_postgres") is None:
        raise SettingsError(
            "REDPOP_DAGSTER_STORAGE names a Postgres, and what that takes is not installed: "
            "pip install 'redpop[cluster]'"
        )


def _template(name: str) -> str:
    """A configuration file of the repository's root, or the copy that the wheel carries."""
    packaged = resources.files("redpop_assets") / f"_{name}"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).resolve().parents[1] / name).read_text(encoding="utf-8")
