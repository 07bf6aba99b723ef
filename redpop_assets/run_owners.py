"""Whose process a run goes on in, and whether that process lives: here, or on a machine that shares the history.

A run of a command goes on inside the command's process. When that is killed, nobody reports it, and the run would hold
its place in a pool for ever.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import dagster as dg

from redpop_assets.storage.postgres import LOST_SECONDS, Postgres

log = logging.getLogger(__name__)

HOST: Final = "redpop/host"
PID: Final = "redpop/pid"
MACHINE: Final = "redpop/machine"
STARTED: Final = "redpop/started"
SIGN_OF_LIFE: Final = "redpop/sign_of_life"


@dataclass(frozen=True)
class Process:
    """A process, so that it is taken for no other one.

    Attributes:
        host: name of the machine.
        pid: of the process.
        machine: what tells apart two boots of a machine, and containers, which count processes for themselves; empty
            where that cannot be known.
        started: when it began, in ticks since that boot; empty where that cannot be known.
    """

    host: str
    pid: int
    machine: str
    started: str

    @classmethod
    def this(cls) -> "Process":
        """The one that asks."""
        return cls(socket.gethostname(), os.getpid(), _machine(), _started(os.getpid()))

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Process":
        """The one that a run goes on in, by its tags."""
        return cls(tags[HOST], int(tags[PID]), tags.get(MACHINE, ""), tags.get(STARTED, ""))

    @property
    def tags(self) -> dict[str, str]:
        """How a run tells of it."""
        known = {MACHINE: self.machine, STARTED: self.started}
        return {HOST: self.host, PID: str(self.pid), **{name: value for name, value in known.items() if value}}

    def is_on(self, other: "Process") -> bool:
        """Whether the same kernel counts both, so that the id of one means something to the other."""
        return bool(self.machine) and (self.host, self.machine) == (other.host, other.machine)

    def is_running(self) -> bool:
        """Whether it lives, as far as this machine can tell; what has its id and began at another time is another."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # of another user
        return not self.started or _started(self.pid) in ("", self.started)


@contextmanager
def owning(instance: dg.DagsterInstance) -> Iterator[dict[str, str]]:
    """A block in which this process executes runs; gives the tags that tell whose they are.

    In a shared history it gives a sign of life to all machines: a lock, which goes when the process dies.
    """
    mine, shared = Process.this().tags, _shared(instance)
    if shared is None:
        yield mine
        return
    sign = f"run {uuid4().hex}"
    with shared.sign_of_life(sign):
        yield {**mine, SIGN_OF_LIFE: sign}


def end_dead_runs(instance: dg.DagsterInstance, *, working: bool = False) -> None:
    """Give back what runs hold whose process was killed: their place in a pool, for which the next run would wait.

    In a history of this machine that is what the operating system says of the process. In a shared one a process of
    another machine is dead when its sign of life is gone, and stays gone for as long as a living one takes to renew it.

    Args:
        instance: the history.
        working: whether this process executes runs at the moment; if not, runs of a process like it are dead.
    """
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    runs = [run for run in instance.get_runs(unfinished) if HOST in run.tags and PID in run.tags]
    shared = _shared(instance)
    dead = [run for run in runs if _is_dead_here(run.tags, alone=shared is None, working=working)]
    if shared is not None:
        dead += _without_sign(shared, [run for run in runs if run not in dead and _is_elsewhere(run.tags)])
    for run in dead:
        instance.report_run_failed(run, "The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _is_dead_here(tags: Mapping[str, str], *, alone: bool, working: bool) -> bool:
    """Whether the operating system knows that the process of a run is dead.

    Args:
        tags: of the run.
        alone: whether every run of the history was executed by this machine.
        working: whether this process executes runs.
    """
    owner, mine = Process.of(tags), Process.this()
    if owner.is_on(mine):
        return (owner == mine and not working) or not owner.is_running()
    if not alone or owner.host != mine.host:
        return False
    # In a container every process may have the same id.
    return (owner.pid == mine.pid and not working) or not owner.is_running()


def _is_elsewhere(tags: Mapping[str, str]) -> bool:
    return SIGN_OF_LIFE in tags and not Process.of(tags).is_on(Process.this())


def _without_sign(shared: Postgres, runs: Sequence[dg.DagsterRun]) -> list[dg.DagsterRun]:
    """Those whose process gives no sign of life, although it had the time to renew it."""
    silent = _silent(shared, runs)
    if silent:
        names = ", ".join(sorted({run.tags[HOST] for run in silent}))
        log.info("Runs on %s give no sign of life; looking again in %d s.", names, LOST_SECONDS)
        time.sleep(LOST_SECONDS)
        silent = _silent(shared, silent)
    return silent


def _silent(shared: Postgres, runs: Sequence[dg.DagsterRun]) -> list[dg.DagsterRun]:
    if not runs:
        return []
    alive = shared.held([run.tags[SIGN_OF_LIFE] for run in runs])
    return [run for run in runs if run.tags[SIGN_OF_LIFE] not in alive]


def _shared(instance: dg.DagsterInstance) -> Postgres | None:
    """The Postgres that the history is in; Dagster's storages there know their URL."""
    url = getattr(instance.run_storage, "postgres_url", None)
    return Postgres(url) if url else None


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since the boot (field 22 of `/proc/<pid>/stat`, man 5 proc); empty if unknown."""
    try:
        # The second field is the name, in brackets, and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
