"""The pipeline's own DuckDB file: who may open it, and when.

DuckDB lets one process write a file or many read it, and a reader blocks the writer. So everybody waits for a turn, and
a connection is open only around its SQL.
"""

import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb

from redpop_assets.errors import WarehouseError, WarehouseLocked, is_interruption

_log = logging.getLogger(__name__)

_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")
_HELD_BY_THIS_PROCESS = re.compile("different configuration|Unique file handle conflict")
# Seconds. A refused attempt costs about 5 ms of processor time, which is better left to the process that works.
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 0.25
_LOG_EVERY = 10.0
# Readable by every DuckDB since February 2025. By default files stay readable for those of 2023: of the same rows they
# are three times as large, and take twice as long to open.
_STORAGE_VERSION = "v1.2.0"


class LiveFile:
    """A file that processes and threads take turns with.

    Attributes:
        path: where it is.
        instead: a copy that nobody has to wait for, which errors name.
        lock_timeout: longest wait (seconds).
    """

    def __init__(self, path: Path, *, instead: Path, lock_timeout: float) -> None:
        self.path = path
        self.instead = instead
        self.lock_timeout = lock_timeout
        self._thread = threading.local()

    @contextmanager
    def connect(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """Wait for the file, connect, and always close; alone, unless `read_only`.

        Raises `WarehouseLocked` after `lock_timeout`, and `WarehouseError` when the file cannot be opened or is open in
        this thread already.
        """
        held = getattr(self._thread, "held", None)
        if held == "write" or (held == "read" and not read_only):
            raise WarehouseError(
                f"{self.path} is already open in this thread ({held}), which would wait for itself: use the object "
                f"that the {held}() block yields, or end the block first."
            )
        conn = self._wait_for_connection(read_only=read_only)
        self._thread.held = "read" if read_only else "write"
        try:
            prepare(conn)
            if not read_only:
                for spill in self.path.parent.glob("spill-*"):
                    # Left by a killed process: nobody else can be here now.
                    size = sum(file.stat().st_size for file in spill.rglob("*") if file.is_file())
                    shutil.rmtree(spill)
                    _log.info("Removed %s (%.1f MB), which a killed process had left", spill, size / 1e6)
            yield conn
        except RuntimeError as error:
            if is_interruption(error):
                raise KeyboardInterrupt from error
            raise
        finally:
            self._thread.held = held
            conn.close()

    def _wait_for_connection(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        config = self.config()
        if not read_only:
            # DuckDB refuses a second connection of one process only if their settings differ: a writer has to be alone.
            config["custom_user_agent"] = f"redpop-writer-{uuid4().hex}"
        start = time.monotonic()
        next_log = start
        delay = _FIRST_DELAY
        while True:
            try:
                before = self.path.stat().st_ino
                conn = duckdb.connect(self.path, read_only=read_only, config=config)
                if self.path.stat().st_ino == before:
                    return conn
                conn.close()  # it was written anew in between: this is the old file, which nobody will read again
                continue
            except (duckdb.ConnectionException, duckdb.BinderException) as error:
                if not _HELD_BY_THIS_PROCESS.search(str(error)):
                    raise
                holder = f"this process itself (PID {os.getpid()}, another thread or an unfinished block)"
            except duckdb.Error as error:
                found = held_elsewhere(error)
                if found is None:
                    raise WarehouseError(f"{self.path} cannot be opened: {error}{self._remedy(str(error))}") from error
                holder = found
            now = time.monotonic()
            if now - start >= self.lock_timeout:
                raise WarehouseLocked(
                    f"{self.path} was kept by {holder} for longer than {self.lock_timeout:g} s. End that process or "
                    "let it finish and try again, or raise REDPOP_LOCK_TIMEOUT_SECONDS; to look at data, open "
                    f"{self.instead}, which nobody has to wait for."
                )
            if now >= next_log:
                level = logging.INFO if next_log == start else logging.WARNING
                _log.log(level, "Waiting for %s, held by %s (%.0f s so far)", self.path, holder, now - start)
                next_log = now + _LOG_EVERY
            time.sleep(min(delay * random.uniform(0.5, 1.0), max(0.0, start + self.lock_timeout - now)))
            delay = min(2 * delay, _LONGEST_DELAY)

    def _remedy(self, message: str) -> str:
        if "not a valid DuckDB database file" not in message and "orrupt" not in message:
            return ""
        return (
            " Restore it from a backup. Without one, move it away and put in its place a copy of "
            f"{self.instead}, which has everything up to the last publish."
        )

    def config(self) -> dict[str, str | bool | int | float | list[str]]:
        """Settings of every connection to the file or to a copy beside it."""
        return {
            "autoinstall_known_extensions": "false",
            "storage_compatibility_version": _STORAGE_VERSION,  # of new files; existing ones keep theirs
            # Readers of several processes must not share a directory for what does not fit into memory.
            "temp_directory": str(self.path.parent / f"spill-{os.getpid()}"),
        }


def prepare(conn: duckdb.DuckDBPyConnection) -> None:
    """Without this, now() in SQL would be the local time of the machine, and a misspelt table a Python variable."""
    conn.execute("SET TimeZone = 'UTC'; SET python_enable_replacements = false")


def held_elsewhere(error: duckdb.Error) -> str | None:
    """Which other process keeps a file, with its command line where /proc has it; None: that is not the error."""
    if "Could not set lock" not in str(error):
        return None
    match = _HOLDER.search(str(error))
    if match is None:
        return "another process"
    executable, pid = match.groups()
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # another system, another user, or gone by now
        words = []
    command = " ".join(b" ".join(words).decode(errors="replace").split())[:200]
    return f"{executable} (PID {pid}): {command}" if command else f"{executable} (PID {pid})"
