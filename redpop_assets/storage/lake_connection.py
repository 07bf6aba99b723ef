"""Connections to a lake: DuckDB in memory with the lake attached, which a process keeps, since opening one is dear.

Opening costs half a second of processor time, a use of what is open a hundredth. So each process keeps one per lake and
every use is a cursor of it, with a transaction of its own; cursors are kept as well, since one that does not know yet
in which database it is asks Postgres. All of it is given back when nobody has used it for a minute, and a process that
was forked leaves that of its parent alone.
"""

import ctypes
import importlib.util
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import duckdb

from redpop_assets.errors import SettingsError, WarehouseError
from redpop_assets.storage.file_form import sql_text
from redpop_assets.storage.lake_address import METADATA, LakeAddress
from redpop_assets.storage.live_file import file_config, prepare
from redpop_assets.storage.location import is_remote

NAME: Final = "lake"
"""The lake's name in SQL; it is the default database of every connection."""

CATALOGUE: Final = f"__ducklake_metadata_{NAME}"
"""What DuckLake calls its catalogue in Postgres, as a database in SQL."""

_IDLE_SECONDS: Final = 60.0
_EXTENSIONS: Final = ("ducklake", "postgres_scanner")


@dataclass(eq=False)
class _Kept:
    """DuckDB with the lake attached; each use is a cursor of it, and `cursors` are those that nobody uses."""

    conn: duckdb.DuckDBPyConnection
    users: int = 0
    idle_since: float = 0.0
    cursors: list[duckdb.DuckDBPyConnection] = field(default_factory=list)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """One of the lake, outside of any transaction."""
        with suppress(IndexError):
            while True:
                conn = self.cursors.pop()
                try:
                    prepare(conn)
                except duckdb.Error:  # its last use ended badly
                    conn.close()
                else:
                    return conn
        conn = self.conn.cursor()
        try:
            _enter(conn)
        except BaseException:
            conn.close()
            raise
        return conn

    def close(self) -> None:
        """Close everything; nobody uses any of it."""
        for conn in (*self.cursors, self.conn):
            conn.close()


class LakeConnections:
    """The connections of a process to one lake.

    Attributes:
        address: of the lake.
        spill: folder in which DuckDB puts what does not fit into memory.
        memory_mb: most memory that it takes.
    """

    def __init__(self, address: LakeAddress, spill: Path, *, memory_mb: int) -> None:
        self.address = address
        self.memory_mb = memory_mb
        self.spill = spill / f"spill-{socket.gethostname()}-{os.getpid()}"
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._closer: threading.Timer | None = None

    @contextmanager
    def use(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of the connection that is kept, for a block; the lake is its default database.

        Raises:
            SettingsError: a package is missing, or the object storage has no key.
            WarehouseError: the lake cannot be opened.
        """
        kept = self._take()
        try:
            conn = kept.cursor()
            try:
                yield conn
            except BaseException:
                conn.close()
                raise
            kept.cursors.append(conn)
        finally:
            self._give_back(kept)

    @contextmanager
    def alone(self, *, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own, which takes no more than `memory` and is closed at the end of the block.

        Raises:
            SettingsError: as `use`.
            WarehouseError: as `use`.
        """
        conn = self._open(memory_limit=memory)
        try:
            _enter(conn)
            yield conn
        finally:
            conn.close()

    def drop(self) -> None:
        """Open anew at the next use: the server was started again, or the lake has just been made."""
        with self._lock:
            if self._kept is not None and not self._kept.users:
                self._kept.close()
            self._kept = None

    def leave_to_parent(self) -> None:
        """In a process that was forked: what is open is the parent's, and closing it would close it there."""
        self._lock = threading.Lock()
        self._closer = None
        self.spill = self.spill.with_name(f"spill-{socket.gethostname()}-{os.getpid()}")
        if self._kept is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._kept))  # never destroyed here
            self._kept = None

    def _take(self) -> _Kept:
        with self._lock:
            if self._kept is None:
                self._kept = _Kept(self._open())
            self._kept.users += 1
            return self._kept

    def _give_back(self, kept: _Kept) -> None:
        with self._lock:
            kept.users -= 1
            kept.idle_since = time.monotonic()
            if kept is not self._kept:
                if not kept.users:
                    kept.close()
            elif not kept.users and self._closer is None:
                self._close_later(_IDLE_SECONDS)

    def _close_later(self, seconds: float) -> None:
        self._closer = threading.Timer(seconds, self._close_idle)
        self._closer.daemon = True
        self._closer.start()

    def _close_idle(self) -> None:
        with self._lock:
            self._closer = None
            if self._kept is None or self._kept.users:
                return  # the last user sees to it
            left = self._kept.idle_since + _IDLE_SECONDS - time.monotonic()
            if left > 0:
                self._close_later(left)
            else:
                self._kept.close()
                self._kept = None

    def _open(self, **config: str) -> duckdb.DuckDBPyConnection:
        self.spill.parent.mkdir(parents=True, exist_ok=True)
        self._remove_spills()
        string, password = self.address.postgres.libpq
        conn = duckdb.connect(":memory:", config={**file_config(self.spill, self.memory_mb), **config})
        try:
            for extension in (*_EXTENSIONS, *(["httpfs"] if is_remote(self.address.files) else [])):
                conn.execute(f"LOAD {sql_text(str(_extension(extension)))}")
            secret = ""
            if password:  # without one libpq looks for it, in PGPASSWORD or ~/.pgpass
                conn.execute(f"CREATE SECRET catalogue (TYPE postgres, PASSWORD {sql_text(password)})")
                secret = "META_SECRET 'catalogue', "
            if is_remote(self.address.files):
                conn.execute(_storage_secret(self.address))
            folder = self._folder()
            conn.execute(
                f"ATTACH {sql_text(f'ducklake:postgres:{string}')} AS {NAME} (DATA_PATH {sql_text(folder)}, "
                f"OVERRIDE_DATA_PATH true, METADATA_SCHEMA '{METADATA}', {secret}"
                "DATA_INLINING_ROW_LIMIT 0)"
            )
        except duckdb.Error as error:
            conn.close()
            told = " ".join(str(error).split())
            raise WarehouseError(
                f"{self.address.where} cannot be opened: {told.replace(password, '…') if password else told}"
            ) from None
        except BaseException:
            conn.close()
            raise
        return conn

    def _folder(self) -> str:
        """Where the files of this lake are: a folder of its own, whose name its catalogue has.

        What lies there and is in no table may be deleted, so no other lake's file may lie there.
        """
        with self.address.postgres.session() as session, session.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", [f"{METADATA}.ducklake_metadata"])
            found = None
            if cursor.fetchone()[0]:
                cursor.execute(f"SELECT value FROM {METADATA}.ducklake_metadata WHERE key = 'data_path'")
                found = cursor.fetchone()
            if found is None:
                cursor.execute("SELECT left(replace(gen_random_uuid()::text, '-', ''), 12)")
                found = cursor.fetchone()
        folder = f"{self.address.files}/{found[0].rstrip('/').rpartition('/')[2]}/"
        if not is_remote(folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
        return folder

    def _remove_spills(self) -> None:
        """Remove what did not fit into the memory of killed processes of this machine."""
        for spill in self.spill.parent.glob(f"spill-{socket.gethostname()}-*"):
            try:
                os.kill(int(spill.name.rpartition("-")[2]), 0)
            except ProcessLookupError:
                shutil.rmtree(spill, ignore_errors=True)
            except (ValueError, PermissionError):
                continue


_connections: dict[tuple[str, str, tuple[tuple[str, str], ...]], LakeConnections] = {}
"""Those of this process, by lake: whoever asks for a warehouse again shares what is open."""

_opening = threading.Lock()


def connections_to(address: LakeAddress, spill: Path, *, memory_mb: int) -> LakeConnections:
    """The connections of this process to a lake; who asks first says how much memory they take."""
    with _opening:
        if not _connections:
            os.register_at_fork(after_in_child=_leave_to_parent)
        key = (address.postgres.dsn, address.files, tuple(sorted(address.variables.items())))
        return _connections.setdefault(key, LakeConnections(address, spill, memory_mb=memory_mb))


def _leave_to_parent() -> None:
    global _opening
    _opening = threading.Lock()
    for each in _connections.values():
        each.leave_to_parent()


def _enter(conn: duckdb.DuckDBPyConnection) -> None:
    conn.execute(f"USE {NAME}")
    prepare(conn)


def _extension(name: str) -> Path:
    """The file of an extension, which its package brings: nothing is downloaded.

    Raises:
        SettingsError: there is none for this DuckDB.
    """
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / "extensions" / version / f"{name}.duckdb_extension"
        if path.exists():
            return path
    raise SettingsError(
        f"REDPOP_WAREHOUSE names a lake, and DuckDB {version} has no extension {name} here: "
        "pip install 'redpop[cluster]'"
    )


def _storage_secret(address: LakeAddress) -> str:
    """SQL by which DuckDB learns the key of the object storage, from the variables that all other files are asked with.

    Raises:
        SettingsError: there is no key among them.
    """
    given = address.variables
    key, secret = given.get("AWS_ACCESS_KEY_ID", ""), given.get("AWS_SECRET_ACCESS_KEY", "")
    if not key or not secret:
        raise SettingsError(
            f"The files of the lake are at {address.files}, and AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set: "
            "DuckDB asks no machine for a key of its own."
        )
    words = {"KEY_ID": key, "SECRET": secret}
    if token := given.get("AWS_SESSION_TOKEN"):
        words["SESSION_TOKEN"] = token
    words["REGION"] = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or "us-east-1"
    options = []
    if endpoint := given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL"):
        parts = urlsplit(endpoint)
        words["ENDPOINT"] = f"{parts.netloc}{parts.path.rstrip('/')}"
        virtual = given.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() == "true"
        words["URL_STYLE"] = "vhost" if virtual else "path"
        options.append(f"USE_SSL {'false' if parts.scheme == 'http' else 'true'}")
    options += [f"{name} {sql_text(value)}" for name, value in words.items()]
    return f"CREATE SECRET files (TYPE s3, SCOPE {sql_text(address.files)}, {', '.join(options)})"
