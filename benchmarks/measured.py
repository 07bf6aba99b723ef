"""What a process and its steps take: processor time, which other work on the machine changes little, and memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg

_ENDS = (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE)
_PROCESS = Path("/proc/self")


def cpu_seconds() -> float:
    """Processor time of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


def peak_megabytes() -> float:
    """Most memory of this process since it began or since `forget_peak`; `getrusage` would count its parent's."""
    status = dict(line.split(":", 1) for line in (_PROCESS / "status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def forget_peak() -> None:
    """Begin anew with the peak (Linux, proc_pid_clear_refs(5))."""
    (_PROCESS / "clear_refs").write_text("5")


@dataclass
class Cost:
    """CPU seconds, seconds by the clock, and the peak in MB."""

    cpu: float = 0.0
    seconds: float = 0.0
    megabytes: float = 0.0

    def add(self, other: "Cost") -> None:
        """What came after it in the same process."""
        self.cpu += other.cpu
        self.seconds += other.seconds
        self.megabytes = max(self.megabytes, other.megabytes)


@dataclass
class Meter:
    """What the parts of this process took, by name."""

    parts: dict[str, Cost] = field(default_factory=dict)
    _began: dict[str, tuple[float, float]] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A block that is measured; blocks of one name add up."""
        self._begin(name)
        try:
            yield
        finally:
            self._end(name)

    @contextmanager
    def steps(self) -> Iterator[None]:
        """A block in which every step of Dagster that runs in this process is measured, one after the other."""
        told = dg.DagsterInstance.handle_new_event

        def handle(instance: dg.DagsterInstance, event: Any, **more: Any) -> None:
            found = event.dagster_event
            if found is not None and found.is_step_start:
                self._begin(_step(found.step_key))
            told(instance, event, **more)
            if found is not None and found.event_type in _ENDS:
                self._end(_step(found.step_key))

        with mock.patch.object(dg.DagsterInstance, "handle_new_event", handle):
            yield

    def _begin(self, name: str) -> None:
        forget_peak()
        self._began[name] = (cpu_seconds(), time.perf_counter())

    def _end(self, name: str) -> None:
        if name in self._began:  # a step that was never begun can still fail
            cpu, seconds = self._began.pop(name)
            cost = Cost(cpu_seconds() - cpu, time.perf_counter() - seconds, peak_megabytes())
            self.parts.setdefault(name, Cost()).add(cost)


def _step(key: str) -> str:
    """`features/neighbours` of `features__neighbours[pics]`."""
    return key.partition("[")[0].replace("__", "/")


def own_process(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[Any, dict[str, float]]:
    """Run a program of this folder, and return the JSON of its last line and what it took with all its children.

    Raises:
        SystemExit: it failed.
    """
    output, took = command([sys.executable, program, *arguments], environment or os.environ)
    return json.loads(output.splitlines()[-1]), took


def command(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, dict[str, float]]:
    """Run a command; returns its standard output, and its `cpu` and `seconds` (with all children it waited for).

    Raises:
        SystemExit: it failed.
    """
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(words, env=dict(environment), stdout=subprocess.PIPE, text=True, check=False)
    after = os.times()
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed ({done.returncode}): what it says is above\n{done.stdout[-2000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, {"cpu": cpu, "seconds": time.perf_counter() - began}
