"""The time of the local Reddit: it stands still or runs at a multiple of real time, and survives a restart."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redpop_assets.errors import RedPopError, SettingsError


class Clock:
    """World time, kept as an anchor (world time, wall time) and a speed.

    `speed` is world seconds per real second, 0 for a clock that stands still until advanced. With a `directory`, the
    anchor is kept there in `clock.json`, and a later clock on the same directory goes on from it: a running clock also
    counts the time during which nobody looked. `speed=None` keeps the stored speed (0 if nothing is stored).

    Raises `SettingsError` for a negative speed and `RedPopError` for a file that cannot be read.
    """

    def __init__(self, epoch: datetime, *, speed: float | None = None, directory: Path | None = None) -> None:
        if speed is not None and speed < 0:
            raise SettingsError("the speed of the sandbox clock must be 0 (standing still) or positive")
        self._lock = threading.Lock()
        self._file = directory / "clock.json" if directory else None
        self._world, self._wall, self._speed = epoch.timestamp(), time.time(), 0.0
        if self._file and self._file.exists():
            self._load(self._file)
        with self._lock:
            self._set(self._now(), self._speed if speed is None else speed)

    @property
    def speed(self) -> float:
        """World seconds per real second."""
        return self._speed

    def seconds(self) -> float:
        """World time as Unix seconds."""
        with self._lock:
            return self._now()

    def now(self) -> datetime:
        """World time (UTC)."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, seconds: float | timedelta) -> datetime:
        """Move world time forward; returns the new time. Raises `ValueError` for a step backwards."""
        step = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
        if not 0 <= step < float("inf"):
            raise ValueError("time can only be advanced: give a number of seconds that is not negative")
        with self._lock:
            self._set(self._now() + step, self._speed)
            return datetime.fromtimestamp(self._world, UTC)

    def _now(self) -> float:
        return self._world + self._speed * max(0.0, time.time() - self._wall)

    def _set(self, world: float, speed: float) -> None:
        datetime.fromtimestamp(world, UTC)
        self._world, self._wall, self._speed = world, time.time(), speed
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".json.new")
            fresh.write_text(json.dumps({"world": self._world, "wall": self._wall, "speed": self._speed}))
            fresh.replace(self._file)

    def _load(self, file: Path) -> None:
        try:
            state = json.loads(file.read_text())
            self._world, self._wall, self._speed = float(state["world"]), float(state["wall"]), float(state["speed"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RedPopError(f"the sandbox clock {file} cannot be read ({error}): delete it to start again") from error
