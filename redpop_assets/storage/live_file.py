"""The pipeline's own DuckDB file: who may open it, and when.

DuckDB lets one process write a file or many read it, and a reader blocks the writer. So everybody waits for a turn, and
a connection is open only around its SQL. Opening costs more than most SQL does, so inside of `kept` a connection stays
for the process's next SQL: for a moment, and only while nobody else wants the file.
"""

import fcntl
import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb

from redpop_assets.errors import WarehouseError, WarehouseLocked
from redpop_assets.storage.forms import Uses

_log = logging.getLogger(__name__)

_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")
_HELD_BY_THIS_PROCESS = re.compile("different configuration|Unique file handle conflict")
# Seconds. A refused attempt costs about 5 ms of processor time, which is better left to the process that works.
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 0.25
_LOG_EVERY = 10.0
_LONGEST_IDLE = 0.2
_LONGEST_KEPT = 1.0
_LONGEST_COURTESY = 0.5
# Readable by every DuckDB since February 2025. By default files stay readable for those of 2023: of the same rows they
# are three times as large, and take twice as long to open.
_STORAGE_VERSION = "v1.2.0"

_LEAST_MEMORY_MB = 512
_MEMORY_MB_PER_PROCESSOR = 256


def usual_memory_mb() -> int:
    """Most memory that DuckDB takes, unless a setting says otherwise (MB); by itself it would keep most of a machine's.

    Each of its threads, one per processor, has rows of its own in hand.
    """
    return max(_LEAST_MEMORY_MB, _MEMORY_MB_PER_PROCESSOR * (os.cpu_count() or 1))


@dataclass
class _Kept:
    """A connection that stays open between uses; each use is a cursor of it.

    Attributes:
        conn: the connection, used for nothing itself.
        read_only: whether it can only read.
        opened: when (monotonic seconds).
        users: cursors that are open.
        writing: whether one of them writes.
        idle_since: when the last of them was closed.
    """

    conn: duckdb.DuckDBPyConnection
    read_only: bool
    opened: float
    users: int = 0
    writing: bool = False
    idle_since: float = 0.0


class LiveFile:
    """A file that processes and threads take turns with.

    Attributes:
        path: where it is.
        instead: a copy that nobody has to wait for, which errors name.
        lock_timeout: longest wait (seconds).
        memory_mb: most memory that DuckDB takes for it, its copies of what it read included.
    """

    def __init__(self, path: Path, *, instead: Path, lock_timeout: float, memory_mb: int) -> None:
        self.path = path
        self.instead = instead
        self.lock_timeout = lock_timeout
        self.memory_mb = memory_mb
        self._uses = Uses()
        self._lock = threading.Lock()
        self._keepers = 0
        self._kept: _Kept | None = None
        self._closer: threading.Timer | None = None
        self._courtesy_until = 0.0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside, a connection that was closed serves the next one, whichever thread asks.

        It is closed for good after 0.2 s without use, after 1 s, at the end of the block, and as soon as somebody else
        waits for the file, whom the next connection lets go first.
        """
        with self._lock:
            self._keepers += 1
        try:
            yield
        finally:
            with self._lock:
                self._keepers -= 1
                if not self._keepers:
                    self._close_unused()

    @contextmanager
    def connect(self, *, read_only: bool, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Wait for the file, connect, and always close, or keep as `kept` says.

        Args:
            read_only: others may read meanwhile; nobody may otherwise.
            alone: for what handles the file itself: with a connection that was not kept and will not be.

        Raises:
            WarehouseLocked: it was not to be had within `lock_timeout`.
            WarehouseError: it cannot be opened, or is open in this thread already.
            KeyboardInterrupt: DuckDB was interrupted.
        """
        with self._uses.one(str(self.path), read_only=read_only):
            conn, kept = self._wait_for_connection(read_only=read_only, alone=alone)
            try:
                prepare(conn)
                if not read_only:
                    self._remove_spills()
                yield conn
            finally:
                conn.close()
                if kept is not None:
                    self._release(kept, read_only=read_only)

    def _wait_for_connection(self, *, read_only: bool, alone: bool) -> tuple[duckdb.DuckDBPyConnection, _Kept | None]:
        """A connection, and the kept one that it is a cursor of, if it is one."""
        config = self.config()
        if not read_only:
            # DuckDB refuses a second connection of one process only if their settings differ: a writer has to be alone.
            config["custom_user_agent"] = f"redpop-writer-{uuid4().hex}"
        self._let_others_go_first()
        start = time.monotonic()
        next_log = start
        delay = _FIRST_DELAY
        with _Waiting(self.path.parent) as waiting:
            while True:
                if (shared := self._cursor(read_only=read_only, alone=alone)) is not None:
                    return shared
                try:
                    before = self.path.stat().st_ino
                    conn = duckdb.connect(self.path, read_only=read_only, config=config)
                    if self.path.stat().st_ino == before:
                        return (conn, None) if alone else self._keep(conn, read_only=read_only)
                    conn.close()  # it was written anew in between: this is the old file, which nobody will read again
                    continue
                except (duckdb.ConnectionException, duckdb.BinderException) as error:
                    if not _HELD_BY_THIS_PROCESS.search(str(error)):
                        raise
                    holder = f"this process itself (PID {os.getpid()}, another thread or an unfinished block)"
                except duckdb.Error as error:
                    found = held_elsewhere(error)
                    if found is None:
                        raise WarehouseError(
                            f"{self.path} cannot be opened: {error}{self._remedy(str(error))}"
                        ) from error
                    holder = found
                waiting.show()
                now = time.monotonic()
                if now - start >= self.lock_timeout:
                    raise WarehouseLocked(
                        f"{self.path} was kept by {holder} for longer than {self.lock_timeout:g} s. End that process "
                        "or let it finish and try again, or raise REDPOP_LOCK_TIMEOUT_SECONDS; to look at data, open "
                        f"{self.instead}, which nobody has to wait for."
                    )
                if now >= next_log:
                    level = logging.INFO if next_log == start else logging.WARNING
                    _log.log(level, "Waiting for %s, held by %s (%.0f s so far)", self.path, holder, now - start)
                    next_log = now + _LOG_EVERY
                time.sleep(min(delay * random.uniform(0.5, 1.0), max(0.0, start + self.lock_timeout - now)))
                delay = min(2 * delay, _LONGEST_DELAY)

    def _cursor(self, *, read_only: bool, alone: bool) -> tuple[duckdb.DuckDBPyConnection, _Kept] | None:
        """A use of the kept connection, if it can serve; else it is closed, unless it is in use."""
        with self._lock:
            kept = self._kept
            if kept is None:
                return None
            if alone or (not read_only and (kept.read_only or kept.writing)):
                self._close_unused()
                return None
            conn = kept.conn.cursor()
            kept.users += 1
            kept.writing |= not read_only
            return conn, kept

    def _keep(
        self, conn: duckdb.DuckDBPyConnection, *, read_only: bool
    ) -> tuple[duckdb.DuckDBPyConnection, _Kept | None]:
        """What to use of a connection that was opened just now: a cursor, where it is to be kept."""
        with self._lock:
            if not self._keepers or self._kept is not None:
                return conn, None
            cursor = conn.cursor()
            self._kept = _Kept(conn, read_only, time.monotonic(), users=1, writing=not read_only)
            return cursor, self._kept

    def _release(self, kept: _Kept, *, read_only: bool) -> None:
        with self._lock:
            kept.users -= 1
            if not read_only:
                kept.writing = False
            if kept.users:
                return
            now = kept.idle_since = time.monotonic()
            wanted = _Waiting.somebody(self.path.parent)
            if wanted:
                self._courtesy_until = now + _LONGEST_COURTESY
            if wanted or not self._keepers or now - kept.opened >= _LONGEST_KEPT:
                self._close_unused()
            elif self._closer is None:
                self._close_later(_LONGEST_IDLE)

    def _close_later(self, seconds: float) -> None:
        self._closer = threading.Timer(seconds, self._close_idle)
        self._closer.daemon = True
        self._closer.start()

    def _close_idle(self) -> None:
        with self._lock:
            self._closer = None
            kept = self._kept
            if kept is None or kept.users:
                return
            left = kept.idle_since + _LONGEST_IDLE - time.monotonic()
            if left > 0 and not _Waiting.somebody(self.path.parent):
                self._close_later(left)
            else:
                self._close_unused()

    def _close_unused(self) -> None:
        """Close the kept connection unless it is in use: then its last user does."""
        if self._kept is not None and not self._kept.users:
            self._kept.conn.close()
            self._kept = None

    def _let_others_go_first(self) -> None:
        """After somebody has waited for this process, leave the file closed until they have it, half a second at most.

        A process with much to do would have it open again before they look.
        """
        while time.monotonic() < self._courtesy_until and _Waiting.somebody(self.path.parent):
            time.sleep(_FIRST_DELAY / 5)
        self._courtesy_until = 0.0

    def _remove_spills(self) -> None:
        """Remove what did not fit into the memory of killed processes: no other one is here while this one writes."""
        for spill in self.path.parent.glob("spill-*"):
            if spill.name != self._spill.name:
                size = sum(file.stat().st_size for file in spill.rglob("*") if file.is_file())
                shutil.rmtree(spill)
                _log.info("Removed %s (%.1f MB), which a killed process had left", spill, size / 1e6)

    @property
    def _spill(self) -> Path:
        """Where DuckDB puts what does not fit into memory; readers of several processes must not share it."""
        return self.path.parent / f"spill-{os.getpid()}"

    def _remedy(self, message: str) -> str:
        if "not a valid DuckDB database file" not in message and "orrupt" not in message:
            return ""
        return (
            " Restore it from a backup. Without one, move it away and put in its place a copy of "
            f"{self.instead}, which has everything up to the last publish."
        )

    def config(self) -> dict[str, str | bool | int | float | list[str]]:
        """Settings of every connection to the file or to a copy beside it."""
        return file_config(self._spill, self.memory_mb)


def file_config(spill: Path, memory_mb: int) -> dict[str, str | bool | int | float | list[str]]:
    """Settings of connections to files that this code writes; `spill` takes what does not fit into memory."""
    return {
        "memory_limit": f"{memory_mb}MB",
        "autoinstall_known_extensions": "false",
        "storage_compatibility_version": _STORAGE_VERSION,  # of new files; existing ones keep theirs
        "temp_directory": str(spill),
    }


class _Waiting:
    """Shows that somebody waits for the file of a folder, by a lock on the folder that is held meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def show(self) -> None:
        """From now on, until the end of the block."""
        if self._handle is None:
            handle = os.open(self._folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:  # somebody asks just now, or a file system without locks
                os.close(handle)
            else:
                self._handle = handle

    @staticmethod
    def somebody(folder: Path) -> bool:
        """Whether anybody waits."""
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:  # a file system without locks: it is waited for as long as a connection is kept
                return False
            finally:
                os.close(handle)
        return False

    def __enter__(self) -> "_Waiting":
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)


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
