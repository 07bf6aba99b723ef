"""Small texts that processes keep together, by name: files of one machine, or rows of a Postgres for several.

What is kept in them is bookkeeping of how others are asked, and what was measured once. Both forms do the same; who
uses them says with `Memory` which it is.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import RLock
from typing import Any, Final, Protocol, TypeAlias
from uuid import uuid4

from filelock import FileLock

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.postgres import SCHEMA, Postgres, lock_key

log = logging.getLogger(__name__)

Memory: TypeAlias = Path | Postgres
"""Where texts are kept: a folder, or a database."""

_LOCK_SECONDS: Final = 30.0
_PATIENCE: Final = timedelta(seconds=5)


class SharedText(Protocol):
    """A text that every reader reads anew.

    Attributes:
        where: its place, for people.
    """

    where: str

    def read(self) -> str | None:
        """The text as it is now; None if there is none.

        Raises:
            OSError, WarehouseError: its place cannot be read.
        """
        ...

    def write(self, text: str) -> None:
        """Replace it, whole or not at all.

        Raises:
            OSError, WarehouseError: its place cannot be written.
        """
        ...

    def alone(self) -> Any:
        """A block in which nobody else is in such a block; what an error ends leaves the text as it was in a database.

        Raises:
            OSError, NotImplementedError, WarehouseError: it cannot be locked, or not soon.
        """
        ...


def text_at(memory: Memory, name: str) -> SharedText:
    """A text of a memory; the name of one in a folder is that of its file."""
    return TextRow(memory, name) if isinstance(memory, Postgres) else TextFile(memory / name)


class TextFile:
    """A text in a file, for the processes of a machine.

    Args:
        path: where it is; file and folder are made by the first who writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self._lock = FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS)

    def read(self) -> str | None:
        """As `SharedText`."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, text: str) -> None:
        """As `SharedText`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{uuid4().hex}")
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As `SharedText`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            yield


class TextRow:
    """A text in a row of `redpop.shared_texts`, for all machines that name the database.

    Args:
        postgres: the database; the table is made by the first who writes.
        name: of the text.
    """

    def __init__(self, postgres: Postgres, name: str) -> None:
        self.where = f"{postgres.where}, {SCHEMA}.shared_texts, {name}"
        self._postgres = postgres
        self._name = name
        self._mine = RLock()
        self._connection: Any = None
        self._opened_by = 0
        self._is_alone = False

    def read(self) -> str | None:
        """As `SharedText`."""
        with self._asking() as cursor:
            cursor.execute(f"SELECT to_regclass('{SCHEMA}.shared_texts') IS NOT NULL")
            if not cursor.fetchone()[0]:
                return None
            cursor.execute(f"SELECT content FROM {SCHEMA}.shared_texts WHERE name = %s", [self._name])
            row = cursor.fetchone()
            return None if row is None else str(row[0])

    def write(self, text: str) -> None:
        """As `SharedText`."""
        with self._asking() as cursor:
            cursor.execute(f"SELECT to_regclass('{SCHEMA}.shared_texts') IS NOT NULL")
            if not cursor.fetchone()[0]:
                self._make_table()
            cursor.execute(
                f"INSERT INTO {SCHEMA}.shared_texts (name, content) VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET content = excluded.content, changed_at = now()",
                [self._name, text],
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As `SharedText`: a transaction, so that it holds through a pooler as well."""
        with self._asking() as cursor:
            cursor.execute("BEGIN")
            try:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_LOCK_SECONDS:.0f}s"])
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(f"text {self._name}")])
                self._is_alone = True
                yield
                cursor.execute("COMMIT")
            except BaseException:
                if not self._connection.closed:
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._is_alone = False

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """A cursor of a connection that is kept, and opened anew where it was lost; one thread at a time."""
        with self._mine:
            if self._opened_by != os.getpid() or self._connection.closed or not (self._is_alone or self._answers()):
                self._connection = self._postgres.connect(patience=_PATIENCE)
                self._opened_by = os.getpid()
            with self._postgres.explained(), self._connection.cursor() as cursor:
                yield cursor

    def _answers(self) -> bool:
        try:
            with self._postgres.explained(), self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except WarehouseError:
            self._connection.close()
            return False
        return True

    def _make_table(self) -> None:
        """Two machines may do so at once, which Postgres takes amiss in spite of IF NOT EXISTS."""
        with self._postgres.lock("schema", timeout=_PATIENCE * 6) as held, held.connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {SCHEMA}.shared_texts (name text PRIMARY KEY, content text NOT NULL, "
                "changed_at timestamptz NOT NULL DEFAULT now())"
            )
