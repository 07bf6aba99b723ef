"""A real Postgres for tests and benchmarks: what is installed, on the loopback, in a folder of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

_UNPRIVILEGED = "nobody"  # Postgres refuses to run as root
_SETTINGS = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=100"),
    *("listen_addresses=127.0.0.1", "autovacuum=off", "wal_level=minimal", "max_wal_senders=0", "lc_messages=C"),
    "jit=off",
)


class PostgresServer:
    """A server on the loopback that asks for passwords.

    Attributes:
        port: where it is asked.
        password: of its user `redpop`, who may do everything.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self.password = f"pw-{uuid4().hex}"
        (folder / "password").write_text(self.password)
        user = _UNPRIVILEGED if os.getuid() == 0 else None
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        self._identity: dict[str, Any] = {"user": user, "group": "nogroup", "extra_groups": []} if user else {}
        data = folder / "data"
        secret = ("-U", "redpop", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}")
        self._call("initdb", "-D", str(data), "-N", "-E", "UTF8", "--locale=C", *secret)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.start()

    def dsn(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://redpop:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """A new, empty database; its URL."""
        name = f"d{uuid4().hex[:12]}"
        self._sql(f"CREATE DATABASE {name}")
        return self.dsn(name)

    def drop(self, dsn: str) -> None:
        """Remove a database, and whoever is still connected to it."""
        self._sql(f"DROP DATABASE {dsn.rpartition('/')[2]} WITH (FORCE)")

    def dump(self, dsn: str) -> bytes:
        """All that a backup of a database holds (pg_dump)."""
        return subprocess.run(
            [str(self._programs / "pg_dump"), dsn], capture_output=True, timeout=120, check=True
        ).stdout

    def stop(self) -> None:
        """End the server, and the connections of whoever has one."""
        self._call("pg_ctl", "-D", str(self._folder / "data"), "-m", "fast", "-w", "stop")

    def start(self) -> None:
        """Start it, also again after `stop`: at the same port, with what it had."""
        settings = (*_SETTINGS, f"port={self.port}", f"unix_socket_directories={self._folder}")
        options = " ".join(f"-c {each}" for each in settings)
        log = ("-l", str(self._folder / "log"))
        self._call("pg_ctl", "-D", str(self._folder / "data"), *log, "-o", options, "-w", "-t", "60", "start")

    def _sql(self, statement: str) -> None:
        import psycopg2

        connection = psycopg2.connect(self.dsn("postgres"))
        connection.autocommit = True
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()

    def _call(self, program: str, *arguments: str) -> None:
        # Into a file: a server that was started would keep a pipe open.
        with (self._folder / "called").open("wb") as said:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                cwd=self._folder,
                stdout=said,
                stderr=said,
                timeout=120,
                check=False,
                **self._identity,
            )
        assert done.returncode == 0, (self._folder / "called").read_text(errors="replace")


def installed_programs() -> Path | None:
    """The folder of the newest Postgres: Debian keeps its servers out of the PATH."""
    found = [Path(program).resolve().parent for program in filter(None, [shutil.which("initdb")])]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@contextmanager
def serving(programs: Path) -> Iterator[PostgresServer]:
    """A new server for the time of a block; nothing of it stays.

    Args:
        programs: folder with `initdb`, `pg_ctl` and the others, such as `installed_programs` finds.
    """
    # Not below a test's folder, which an unprivileged user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="redpop-postgres-"))
    try:
        server = PostgresServer(programs, folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
