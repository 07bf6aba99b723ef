"""The pace at which a free service is asked: one request at a time for all processes of the machine.

They share a small file with the moment of the next request that may be sent. Whoever may send moves it on by the
interval; an answer that asks to wait moves it on for everybody. A file that cannot be kept stops nobody: the process
then paces itself alone.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

log = logging.getLogger(__name__)

LONGEST_HOLD = 600.0
"""Seconds for which an answer can hold everybody; a file that says more was written under another clock."""

SLICE = 5.0
"""Longest sleep (seconds) before the file is looked at again: another process may have been asked to wait."""

_LOCK_SECONDS = 30.0
_SHORTEST_SLEEP = 0.01
_SAY_ABOVE = 5.0  # seconds


@dataclass(slots=True)
class _Next:
    """When the next request may be sent (Unix seconds of this machine's clock)."""

    at: float = 0.0


class Pace:
    """Lets one request through per interval, together with all who share the file.

    Args:
        requests_per_second: positive.
        file: shared with other processes, made when needed; None paces this process alone.
        clock: Unix seconds.
        sleep: pauses the caller (seconds).

    Attributes:
        file: the file, or None while this process paces itself alone.
        seconds_waited: how long `wait` has kept its callers waiting.
    """

    def __init__(
        self,
        requests_per_second: float,
        file: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.file = file
        self.seconds_waited = 0.0
        self._interval = 1 / requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._known = _Next()
        self._lock = FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS) if file else None

    def wait(self) -> None:
        """Return when a request may be sent, and count it."""
        said = False
        while True:
            with self._next() as upcoming:
                now = self._clock()
                if upcoming.at <= now:
                    upcoming.at = now + self._interval
                    return
                pause = upcoming.at - now
            if pause > max(_SAY_ABOVE, 2 * self._interval) and not said:
                said = True
                log.warning("The archive asks to wait: the next request is sent in %.0f s.", pause)
            pause = min(max(pause, _SHORTEST_SLEEP), SLICE)
            self._sleep(pause)
            self.seconds_waited += pause

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long, at most `LONGEST_HOLD`."""
        with self._next() as upcoming:
            upcoming.at = max(upcoming.at, self._clock() + min(seconds, LONGEST_HOLD))

    @contextmanager
    def _next(self) -> Iterator[_Next]:
        """The next moment, to change; locked, but never while sleeping."""
        with self._locked():
            self._known = self._load()
            yield self._known
            self._store()

    def _locked(self) -> AbstractContextManager[object]:
        if self._lock is None or self.file is None:
            return nullcontext()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            return self._lock.acquire()
        except (OSError, NotImplementedError) as error:
            self._go_on_alone(error)
            return nullcontext()

    def _load(self) -> _Next:
        if self.file is None:
            return self._known
        try:
            at = float(json.loads(self.file.read_text(encoding="utf-8"))["next"])
        except FileNotFoundError:
            return self._known
        except OSError as error:
            self._go_on_alone(error)
            return self._known
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            log.warning("The pace in %s is damaged (%s: %s); it is begun anew.", self.file, type(error).__name__, error)
            return self._known
        latest = self._clock() + LONGEST_HOLD + self._interval
        return _Next(at if math.isfinite(at) and at <= latest else 0.0)

    def _store(self) -> None:
        if self.file is None:
            return
        try:
            fresh = self.file.with_suffix(".new")
            fresh.write_text(json.dumps({"next": self._known.at}), encoding="utf-8")
            fresh.replace(self.file)
        except OSError as error:
            self._go_on_alone(error)

    def _go_on_alone(self, error: Exception) -> None:
        log.warning(
            "The pace cannot be kept in %s (%s): this process paces itself alone. Set REDPOP_BUDGET_DIR to a folder "
            "that all processes of the machine can write.",
            self.file,
            error,
        )
        self.file = None
