"""Ray for the time of a run: a cluster that is there and has an address, or one on this machine that ends with the run.

Only this package imports ray, and only when there is something to do. Ray Data is called directly and not through
Dagster Pipes: the workers get functions of this package and give back rows and counts, which the step logs and reports
itself, as it does for work of its own process. Pipes would start a second program, which needs the same settings,
another way to the work list, and a place for its messages that all machines reach; all it would add is a second way to
say what came of a step.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from redpop_assets.errors import RedPopError, SettingsError

T = TypeVar("T")

_OBJECTS: Final = 200_000_000
"""Bytes of memory that a local cluster shares: work lists and notes go through it, pictures and vectors do not."""

_STARTS: Final = 3
_PATIENCE: Final = 10.0
"""Seconds that the head of a cluster may take to answer at all."""

_SAID: Final = {"RAY_USAGE_STATS_ENABLED": "0"}
_ON_THE_LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What Ray has everywhere but on Linux: one machine, whose ports nobody else reaches."""


@dataclass(frozen=True)
class Room:
    """What a cluster has.

    Attributes:
        machines: how many.
        cpus: of all of them.
        gpus: of all of them.
        cpus_of_one: of the machine that has the most.
    """

    machines: int
    cpus: int
    gpus: int
    cpus_of_one: int


class Session:
    """A connection to Ray, made when it is first asked for.

    Args:
        address: of the head of a cluster, `host:port`, or `auto` for the one that runs on this machine; empty for a
            cluster of this session.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._ours = False

    def start(self) -> None:
        """Connect, or start a cluster, unless this process is connected.

        Raises:
            SettingsError: ray is not installed, or there is no cluster at the address.
            RedPopError: a cluster does not start on this machine.
        """
        with _said_to_ray(_SAID if self._address else {**_SAID, **_ON_THE_LOOPBACK}), _own_answer_to_sigterm():
            ray = _ray()
            if ray.is_initialized():
                return
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
            if self._address:
                _connect(ray, self._address, quiet)
            else:
                _start_local(ray, quiet)
        self._ours = True

    def room(self) -> Room:
        """What the cluster has now."""
        self.start()
        alive = [node["Resources"] for node in _ray().nodes() if node["Alive"]]
        cpus = [int(resources.get("CPU", 0)) for resources in alive]
        return Room(len(alive), sum(cpus), int(sum(node.get("GPU", 0) for node in alive)), max(cpus))

    @property
    def where(self) -> str:
        """How people name the cluster."""
        return f"at {self._address}" if self._address else "on this machine, for the time of a run"

    def each_machine(self, question: Callable[..., T], *given: Any) -> list[tuple[str, T]]:
        """The address of each machine, and what a function returns there.

        Raises:
            RedPopError: a machine cannot call it.
        """
        self.start()
        ray = _ray()
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task = ray.remote(num_cpus=0)(question)
        answers = []
        for node in ray.nodes():
            if node["Alive"]:
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                answers.append((node["NodeManagerAddress"], task.options(scheduling_strategy=there).remote(*given)))
        found = []
        for machine, answer in answers:
            try:
                found.append((machine, ray.get(answer)))
            except RayError as error:
                raise RedPopError(
                    f"{machine} of the Ray cluster cannot run this ({last_line(error)}): install the same redpop "
                    "there, with its extra cluster, in the Python of its `ray start`"
                ) from error
        return found

    def data(self) -> Any:
        """Ray Data, set to hand on each result as soon as it is there, and to say nothing."""
        self.start()
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # Results are notes of a few hundred bytes; by default they would wait for 128 MB of them.
        context.target_max_block_size = 1
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        return ray.data

    def close(self) -> None:
        """Disconnect, and end the cluster if it is one of this session."""
        if self._ours:
            self._ours = False
            _ray().shutdown()


def _ray() -> Any:
    try:
        import ray
        import ray.data  # which needs more than ray alone
    except ImportError as error:
        raise SettingsError(
            f"REDPOP_COMPUTE is ray, and a package that it needs is missing ({error.name}): pip install "
            "'redpop[cluster]', or set REDPOP_COMPUTE=local."
        ) from error
    return ray


@contextmanager
def _said_to_ray(variables: Mapping[str, str]) -> Iterator[None]:
    """Ray reads these in the environment when it is imported and when it starts; what a person has set there holds."""
    new = variables.keys() - os.environ.keys()
    os.environ.update({name: variables[name] for name in new})
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


def taking_no_notes() -> AbstractContextManager[None]:
    """A block in which Ray Data counts nothing of what it is used for: it asks the environment at each execution.

    Otherwise a thread asks the cluster for its counters every ten seconds, for as long as the process lives.
    """
    return _said_to_ray({"RAY_DATA_USAGE_DISABLED": "1"})


@contextmanager
def _own_answer_to_sigterm() -> Iterator[None]:
    """Ray makes SIGTERM an exit of the process at once; how a run of Dagster ends is for Dagster to say."""
    answer = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and answer is not None:
            signal.signal(signal.SIGTERM, answer)


def _connect(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    try:
        if address != "auto":  # Ray itself waits for minutes where nobody answers
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
        ray.init(address=address, **quiet)
    except Exception as error:
        raise SettingsError(
            f"There is no Ray cluster at {address} that lets this machine in ({last_line(error)}): start one by "
            "`ray start --head --port=6379`, give this machine its token (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN), "
            "correct REDPOP_RAY_ADDRESS or RAY_ADDRESS, or leave both empty for one on this machine. See "
            "docs/operate.md."
        ) from error


def _start_local(ray: Any, quiet: dict[str, Any]) -> None:
    """Start a cluster on this machine; one that is busy may take longer than the half minute that Ray waits."""
    for attempt in range(_STARTS):
        try:
            ray.init(address="local", include_dashboard=False, object_store_memory=_OBJECTS, **quiet)
        except Exception as error:
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise RedPopError(
                    f"Ray does not start on this machine ({last_line(error)}): see its logs in "
                    "/tmp/ray/session_latest/logs, try again when the machine is less busy, or set "
                    "REDPOP_COMPUTE=local."
                ) from error
        else:
            return


def last_line(error: BaseException) -> str:
    """What an error of Ray says, whose text may hold the traceback of another process before it."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
