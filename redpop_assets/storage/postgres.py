"""A database of Postgres that the machines of a deployment share: connections to it, and locks that all respect.

What the driver raises ends here, as sentences without the password. The driver is loaded by the first connection: who
has no Postgres needs none.
"""

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redpop_assets.errors import SettingsError, WarehouseError, WarehouseLocked

log = logging.getLogger(__name__)

SCHEMA: Final = "redpop"
"""Where RedPop's own tables are, beside those of Dagster and of a catalogue."""

_SCHEMES: Final = ("postgresql://", "postgres://", "postgresql+psycopg2://")
_EXAMPLE: Final = "write a URL like postgresql://redpop:PASSWORD@db.example.org/redpop"
_NAME_BYTES: Final = 63  # of `application_name`; the server cuts off what is longer
_LOOK_AGAIN: Final = timedelta(milliseconds=500)  # how long one attempt waits at the server, deaf to Ctrl-C
_SAY_AFTER_SECONDS: Final = 2.0
_RENEWAL: Final = timedelta(seconds=10)

LOST_SECONDS: Final = 30
"""So long a living process may be without its sign of life: three times what it takes to look."""

# A machine that vanished lets go of its locks within a minute, and one whose server vanished learns of it.
_ALIVE: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


@dataclass(frozen=True)
class Postgres:
    """A database, by the libpq string or URL that names it.

    Attributes:
        dsn: `postgresql://user:password@host:port/database`, or `host=… dbname=… user=… password=…`; what it leaves out
            is what libpq takes, `PGPASSWORD` and `~/.pgpass` among it. The password may stand in it: never log it.
    """

    dsn: str = field(repr=False)

    def __post_init__(self) -> None:
        if problem := _problem(self.dsn):
            raise SettingsError(f"{problem}: {_EXAMPLE}")

    def __repr__(self) -> str:
        return f"Postgres({self.where})"

    @property
    def where(self) -> str:
        """User, host, port and database for people, without the password."""
        parts = self._parts()
        host = parts.get("host") or parts.get("hostaddr") or "localhost"
        user = f"{parts['user']}@" if parts.get("user") else ""
        port = f":{parts['port']}" if parts.get("port") else ""
        return f"postgresql://{user}{host}{port}/{parts.get('dbname', '')}"

    @property
    def url(self) -> str:
        """The URL by which SQLAlchemy opens it with the driver that is installed; the password stands in it.

        Raises:
            SettingsError: the string is none of libpq.
        """
        from sqlalchemy import URL

        parts = self._parts()
        user, password, host = (parts.pop(name, None) for name in ("user", "password", "host"))
        port, database = parts.pop("port", None), parts.pop("dbname", None)
        if host and ("/" in host or "," in host):  # a socket, or several servers: places only libpq's parameters have
            parts["host"], host = host, None
            if port:
                parts["port"], port = port, None
        url = URL.create("postgresql+psycopg2", user, password, host, int(port) if port else None, database, parts)
        return url.render_as_string(hide_password=False)

    @property
    def libpq(self) -> tuple[str, str]:
        """The string by which libpq opens it, less the password, under the name of this process; and the password.

        Raises:
            SettingsError: the driver is not installed, or the string is none of libpq.
        """
        parts = self._parts()
        password = parts.pop("password", "")
        from psycopg2.extensions import make_dsn

        alive = {name: str(value) for name, value in _ALIVE.items()}
        return str(make_dsn(**{**parts, **alive, "application_name": _process_name()})), password

    def connect(self, *, patience: timedelta = timedelta(seconds=10), statement: timedelta | None = None) -> Any:
        """A connection of psycopg2 that the caller closes; each statement is a transaction of its own.

        It is called `redpop/<host>/<pid>` in `pg_stat_activity`, and serves one thread at a time and one process.

        Args:
            patience: longest wait for the server.
            statement: longest time of one statement; None for the server's own limit.

        Raises:
            SettingsError: the driver is not installed, or the string is none of libpq.
            WarehouseError: there is no way into the database.
        """
        psycopg2 = _driver()
        own = {"application_name": _process_name(), "connect_timeout": max(1, round(patience.total_seconds()))}
        limits = {"tcp_" + name: str(value) for name, value in _ALIVE.items()}
        if statement is not None:
            limits["statement_timeout"] = str(round(statement.total_seconds() * 1000))
        try:
            connection = psycopg2.connect(**{**self._parts(), **own, **_ALIVE})
            connection.autocommit = True
            with connection.cursor() as cursor:
                calls = ", ".join("set_config(%s, %s, false)" for _ in limits)
                cursor.execute(f"SELECT {calls}", [word for limit in limits.items() for word in limit])
        except psycopg2.Error as error:
            raise WarehouseError(
                f"{self.where} cannot be opened ({self._told(error)}). See that the server runs and lets this machine "
                "in, that the database is there (createdb), and that name and password are right."
            ) from None
        return connection

    @contextmanager
    def session(
        self, *, patience: timedelta = timedelta(seconds=10), statement: timedelta | None = None
    ) -> Iterator[Any]:
        """A connection for the time of a block, as `connect` gives it.

        Raises:
            SettingsError: as `connect`.
            WarehouseError: as `connect`, or a statement of the block failed.
        """
        connection = self.connect(patience=patience, statement=statement)
        try:
            with self.explained():
                yield connection
        finally:
            connection.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A block in which what the driver raises becomes a WarehouseError, without the password."""
        psycopg2 = _driver()
        try:
            yield
        except psycopg2.Error as error:
            raise WarehouseError(f"{self.where} did not do what it was asked to: {self._told(error)}.") from None

    @contextmanager
    def lock(self, name: str, *, timeout: timedelta, what: str = "") -> Iterator["Held"]:
        """Hold an advisory lock of the database; everybody else who asks for it waits. It goes with the process.

        It lasts as long as a connection of its own, so that a process that dies lets go of it: through a pooler that
        hands connections on by transaction (pgbouncer in that mode) there are no such locks.

        Args:
            name: of the lock; any text.
            timeout: longest wait for it.
            what: for people, what it is about: "The warehouse"; empty for its name.

        Raises:
            SettingsError: as `connect`.
            WarehouseError: as `connect`; or the connection was lost inside, and with it the lock.
            WarehouseLocked: another process kept it for longer than that; the message says which.
        """
        with self.session() as connection:
            held = Held(self, connection, lock_key(name))
            held._take(timeout, what or f"The lock {name!r}")
            yield held  # closing the connection lets go

    @contextmanager
    def sign_of_life(self, name: str) -> Iterator[None]:
        """Hold a lock that nobody else asks for, so that all machines see whether this process lives; see `held`.

        A lost connection, which takes the lock with it, does not end the block: a thread notices and takes it anew. A
        living process so is without it for `LOST_SECONDS` at most, if the server can be reached.

        Raises:
            SettingsError: as `connect`.
            WarehouseError: there was no way into the database at the beginning.
        """
        first = self._living(name)
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(name, first, ended), name="redpop-alive", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def held(self, names: Iterable[str]) -> set[str]:
        """Those of some locks that anybody holds now."""
        keys = {lock_key(name): name for name in names}
        with self.session() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted "
                "AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            return {keys[key] for (key,) in cursor.fetchall() if key in keys}

    def _living(self, name: str) -> Any:
        """A connection with a lock that is free, or was held by one that this process lost."""
        connection = self.connect(statement=_RENEWAL)
        try:
            with self.explained(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(name)])
        except WarehouseError:
            connection.close()
            raise
        return connection

    def _keep(self, name: str, connection: Any, ended: threading.Event) -> None:
        """Look after a sign of life until it is not needed any more."""
        lost = False
        while not ended.wait(_RENEWAL.total_seconds()):
            try:
                if lost:
                    connection = self._living(name)
                    log.info("The connection to %s is there again.", self.where)
                    lost = False
                else:
                    with self.explained(), connection.cursor() as cursor:
                        # Once more does no harm, and a lock may still be that of a connection that was lost.
                        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(name)])
            except WarehouseError as error:
                if not lost:
                    log.warning("%s Other machines may take what goes on here for dead until it is back.", error)
                    connection.close()
                lost = True
        connection.close()

    def holders(self, name: str) -> list[str]:
        """Who holds a lock now: `redpop/<host>/<pid>`, or what else the connection is called."""
        with self.session() as connection:
            return _holders(connection, lock_key(name))

    def _parts(self) -> dict[str, str]:
        psycopg2 = _driver()
        from psycopg2.extensions import parse_dsn

        dsn = re.sub(r"^(postgres|postgresql\+psycopg2)://", "postgresql://", self.dsn.strip())
        try:
            return dict(parse_dsn(dsn))
        except psycopg2.Error:  # its message quotes the string, password and all
            raise SettingsError(f"What names the Postgres is no connection string of libpq: {_EXAMPLE}.") from None

    def _told(self, error: Exception) -> str:
        """What the driver says, in a line, without the password."""
        text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        secret = self._parts().get("password", "")
        return text.replace(secret, "…") if secret else text


class Held:
    """A lock that is held, and the connection that holds it; `Postgres.lock` makes it.

    Attributes:
        connection: of psycopg2, in autocommit; statements on it are sure to happen under the lock.
    """

    def __init__(self, postgres: Postgres, connection: Any, key: int) -> None:
        self.connection = connection
        self._postgres = postgres
        self._key = key

    def verify(self) -> None:
        """Make sure, before something is made final, that the lock was not lost.

        Raises:
            WarehouseError: the server closed the connection: another process may hold the lock.
        """
        with self._postgres.explained(), self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def _take(self, timeout: timedelta, what: str) -> None:
        deadline, said, began = time.monotonic() + timeout.total_seconds(), False, time.monotonic()
        while True:
            left = timedelta(seconds=deadline - time.monotonic())
            if self._try(min(_LOOK_AGAIN, left)):
                return
            if time.monotonic() >= deadline:
                raise WarehouseLocked(
                    f"{what} in {self._postgres.where} was kept by {self._owner()} for longer than "
                    f"{timeout.total_seconds():g} s: try again when it has ended, or end it."
                )
            if not said and time.monotonic() - began > _SAY_AFTER_SECONDS:
                said = True
                log.info("%s is held by %s; waiting up to %g s.", what, self._owner(), timeout.total_seconds())

    def _try(self, patience: timedelta) -> bool:
        """Wait in the queue of the server, which hands the lock on at once, for a moment."""
        from psycopg2.errors import LockNotAvailable

        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
            if cursor.fetchone()[0]:
                return True
            if patience <= timedelta(0):
                return False
            milliseconds = max(1, round(patience.total_seconds() * 1000))
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [str(milliseconds)])
            try:
                cursor.execute("SELECT pg_advisory_lock(%s)", [self._key])
            except LockNotAvailable:
                return False
            finally:
                if not self.connection.closed:
                    cursor.execute("SELECT set_config('lock_timeout', '0', false)")
        return True

    def _owner(self) -> str:
        return ", ".join(_holders(self.connection, self._key)) or "a process that has just let go of it"


def lock_key(name: str) -> int:
    """The number by which the server knows a lock: 64 bits, signed, the same on every machine."""
    return int.from_bytes(sha256(f"redpop lock {name}".encode()).digest()[:8], signed=True)


def parse_postgres(text: str) -> str:
    """The URL of a Postgres as a setting keeps it; no driver is needed, and nobody is asked.

    Raises:
        ValueError: it is none; the message says what to write, and does not repeat what was written.
    """
    if problem := _problem(text):
        raise ValueError(f"{problem}: {_EXAMPLE}")
    return text.strip()


def _problem(dsn: str) -> str:
    """Why a text names no database of Postgres; empty where it may."""
    dsn = dsn.strip()
    if "\0" in dsn or "\n" in dsn or not dsn:
        return "there is no Postgres of that name"
    if "://" not in dsn.partition("=")[0]:
        return "" if re.match(r"[a-z_]+\s*=", dsn) else "this is no URL of a Postgres"
    if not dsn.startswith(_SCHEMES):
        return "this is no URL of a Postgres"
    try:
        parts = urlsplit(dsn)
        _ = parts.port
    except ValueError:
        several = "," in dsn  # several servers, which libpq knows and the standard does not
        return (
            "" if several else "this is no URL of a Postgres, or its password has signs that are written as %40 for @"
        )
    if not unquote(parts.path).strip("/") and "dbname=" not in parts.query:
        return "the URL names no database"
    return ""


def _holders(connection: Any, key: int) -> list[str]:
    """Connections that hold a lock of this database, as people find them."""
    unsigned = key % 2**64
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(nullif(a.application_name, ''), 'a connection of ' || coalesce(a.usename, 'somebody')) "
            "FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.objsubid = 1",
            [unsigned >> 32, unsigned & 0xFFFFFFFF],
        )
        return [name for (name,) in cursor.fetchall()]


def _process_name() -> str:
    """`redpop/<host>/<pid>`, where a host that is too long for the server loses its end and the pid does not."""
    pid = f"/{os.getpid()}"
    host = socket.gethostname().encode("ascii", "replace").decode()
    return f"redpop/{host[: _NAME_BYTES - len('redpop/') - len(pid)]}{pid}"


def _driver() -> Any:
    try:
        import psycopg2
    except ImportError:
        raise SettingsError(
            "The settings name a Postgres, and its driver is not installed: pip install 'redpop[cluster]'"
        ) from None
    return psycopg2
