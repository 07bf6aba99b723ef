"""The pace at which a free service is asked: one request at a time for all processes of the machine.

They share a small file with the moment of the next request that may be sent. Whoever may send moves it on by the
interval; an answer that asks to wait moves it on for everybody. A file that cannot be kept stops nobody: the process
then paces itself alone.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redpop_assets.sources.shared_value import SharedValue
from redpop_assets.storage.shared_text import SharedText

log = logging.getLogger(__name__)

LONGEST_HOLD = 600.0
"""Seconds for which an answer can hold everybody; a file that says more was written under another clock."""

SLICE = 5.0
"""Longest sleep (seconds) before the file is looked at again: another process may have been asked to wait."""

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
        file: shared with other processes or machines, made when needed; None paces this process alone.
        clock: Unix seconds.
        sleep: pauses the caller (seconds).

    Attributes:
        seconds_waited: how long `wait` has kept its callers waiting.
    """

    def __init__(
        self,
        requests_per_second: float,
        file: Path | SharedText | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds_waited = 0.0
        self._interval = 1 / requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._shared = SharedValue(
            file,
            _Next(),
            self._parse,
            lambda upcoming: json.dumps({"next": upcoming.at}),
            what="The pace",
            alone="paces itself alone",
        )

    @property
    def file(self) -> Path | None:
        """The file; None while this process paces itself alone, and where it is none."""
        return self._shared.file

    def wait(self) -> None:
        """Return when a request may be sent, and count it."""
        said = False
        while True:
            with self._shared.change() as upcoming:
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
        with self._shared.change() as upcoming:
            upcoming.at = max(upcoming.at, self._clock() + min(seconds, LONGEST_HOLD))

    def _parse(self, text: str) -> _Next:
        at = float(json.loads(text)["next"])
        latest = self._clock() + LONGEST_HOLD + self._interval
        return _Next(at if math.isfinite(at) and at <= latest else 0.0)
