"""Connections to a Postgres and its locks: against a real server."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.errors import SettingsError, WarehouseError, WarehouseLocked
from redpop_assets.storage.postgres import Postgres, lock_key, parse_postgres

pytestmark = pytest.mark.integration

SOON = timedelta(seconds=20)


def one(connection, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def password_of(dsn: str) -> str:
    return dsn.split(":")[2].partition("@")[0]


def test_a_connection_says_whose_it_is_and_has_limits(postgres):
    with Postgres(postgres).session(statement=timedelta(seconds=7)) as connection:
        name = one(connection, "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        assert name.startswith("redpop/")
        assert name.endswith(f"/{os.getpid()}")
        assert one(connection, "SHOW statement_timeout") == "7s"
        assert one(connection, "SHOW tcp_keepalives_idle") == "30"


def test_a_host_with_a_long_name_keeps_the_id_of_the_process(postgres, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "ä" + "h" * 80)
    with Postgres(postgres).session() as connection:
        name = one(connection, "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    assert name.startswith("redpop/?hhh")
    assert name.endswith(f"/{os.getpid()}")


def forms(dsn: str) -> dict[str, str]:
    """Spellings of one database."""
    rest = dsn.removeprefix("postgresql://")
    secret, place = password_of(dsn), rest.partition("@")[2]
    port, name = place.partition(":")[2].split("/")
    words = f"host=127.0.0.1 port={port} dbname={name} user=redpop password={secret}"
    return {
        "postgres://": f"postgres://{rest}",
        "SQLAlchemy's": f"postgresql+psycopg2://{rest}",
        "words": words,
        "words with blanks and quotes": f"  host = '127.0.0.1'  {words.partition(' ')[2]} ",
        "parameters": f"postgresql://127.0.0.1:{port}/{name}?user=redpop&password={secret}",
        "escaped": f"postgresql://redpop:%{ord(secret[0]):02X}{secret[1:]}@{place}",
    }


@pytest.mark.parametrize("spelling", list(forms("postgresql://redpop:pw@h:1/d")))
def test_every_spelling_of_a_database_opens_it_and_shows_no_password(postgres, spelling):
    database = Postgres(forms(postgres)[spelling])
    with database.session() as connection:
        assert one(connection, "SELECT current_database()") == postgres.rpartition("/")[2]
    assert database.where == f"postgresql://redpop@127.0.0.1:{postgres.rpartition(':')[2]}"
    assert password_of(postgres) not in repr(database) + database.where
    assert database.url.startswith("postgresql+psycopg2://")
    import sqlalchemy

    engine = sqlalchemy.create_engine(database.url)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT current_database()")) == postgres.rpartition("/")[2]
    engine.dispose()


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        ("host=/run/pg dbname=r user=u", "postgresql+psycopg2://u@/r?host=%2Frun%2Fpg"),
        ("postgresql://u@a,b:1/r", "postgresql+psycopg2://u@/r?host=a%2Cb&port=%2C1"),
        ("postgresql://u:a%40b@h/r?sslmode=require", "postgresql+psycopg2://u:a%40b@h/r?sslmode=require"),
        ("dbname=r", "postgresql+psycopg2:///r"),
    ],
)
def test_places_that_are_no_host_have_a_url_as_well(dsn, url):
    pytest.importorskip("psycopg2")
    assert Postgres(dsn).url == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "mysql://u:secret@h/d", "/data/secret.db", "postgresql://u:secret@h", "postgresql://u:secret@h/"),
        *("postgresql://u:secret@h:port/d", "postgresql//u:secret@h/d", "secret", "http://u:secret@h/d"),
        *("postgresql://u:se/cret@h/d", "postgresql://u:secret@h/d\nx"),
    ],
)
def test_what_is_no_postgres_is_refused_without_repeating_it(text):
    with pytest.raises(ValueError, match="write a URL like postgresql://") as refused:
        parse_postgres(text)
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError, match="write a URL like postgresql://"):
        Postgres(text)


def test_words_that_libpq_does_not_know_are_refused_without_repeating_them():
    pytest.importorskip("psycopg2")
    for dsn in ("host=h dbname=d pass=secret", "dbname=d user", "dbname='secret"):
        with pytest.raises(SettingsError, match="no connection string") as refused:
            Postgres(dsn).connect()
        assert "secret" not in str(refused.value)


def taken(text: str) -> str:
    """What a setting makes of a text: the text, or why it is refused."""
    try:
        return parse_postgres(text)
    except ValueError as error:
        return str(error)


@given(st.text(max_size=60))
def test_whatever_is_written_is_taken_or_refused_with_a_sentence(text):
    said = taken(text)
    assert said == text.strip() or "write a URL" in said


def test_a_way_in_that_is_not_there_is_one_sentence_without_the_password(postgres, postgres_server):
    secret = password_of(postgres)
    wrong = [
        postgres.replace(f":{postgres_server.port}/", ":1/"),
        postgres.replace(secret, "hidden-word"),
        postgres_server.dsn("absent"),
    ]
    for dsn in wrong:
        with pytest.raises(WarehouseError, match=r"cannot be opened \(.*\)\. See that the server runs") as refused:
            Postgres(dsn).connect(patience=timedelta(seconds=3))
        said = str(refused.value)
        assert secret not in said
        assert "hidden-word" not in said
        assert "\n" not in said
        assert refused.value.__cause__ is None


def test_a_statement_that_fails_says_where(postgres):
    def ask(statement: str, limit: timedelta) -> None:
        with Postgres(postgres).session(statement=limit) as connection:
            one(connection, statement)

    with pytest.raises(WarehouseError, match=r"postgresql://redpop@127.*did not do .*division by zero"):
        ask("SELECT 1 / 0", SOON)
    with pytest.raises(WarehouseError, match="statement timeout"):
        ask("SELECT pg_sleep(10)", timedelta(milliseconds=50))


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(SettingsError, match=r"pip install 'redpop\[cluster\]'"):
        Postgres("postgresql://u@h/d").connect()


def test_a_lock_keeps_others_out_and_says_who_has_it(postgres):
    database = Postgres(postgres)
    with database.lock("warehouse", timeout=SOON) as held:
        held.verify()
        assert one(held.connection, "SELECT 2") == 2
        assert [owner.rpartition("/")[2] for owner in database.holders("warehouse")] == [str(os.getpid())]
        with database.lock("another", timeout=timedelta(0)):
            pass
        began = time.monotonic()
        again = database.lock("warehouse", timeout=timedelta(seconds=0.2), what="The rows")
        with pytest.raises(WarehouseLocked, match=rf"The rows in .* kept by redpop/.*/{os.getpid()} .* 0.2 s"), again:
            pass
        assert time.monotonic() - began < 5
    assert database.holders("warehouse") == []
    with database.lock("warehouse", timeout=timedelta(0)):
        pass


def test_a_lock_of_another_database_is_another(postgres, new_postgres):
    with Postgres(postgres).lock("x", timeout=SOON), Postgres(new_postgres()).lock("x", timeout=timedelta(0)):
        pass


def test_who_waits_gets_it_when_it_is_let_go_and_says_for_whom_it_waits(postgres, caplog):
    database, order = Postgres(postgres), []
    caplog.set_level(logging.INFO, "redpop_assets.storage.postgres")

    def wait() -> None:
        with database.lock("x", timeout=SOON):
            order.append("second")

    with database.lock("x", timeout=SOON):
        second = threading.Thread(target=wait)
        second.start()
        deadline = time.monotonic() + 15
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.05)
        order.append("first")
    second.join(timeout=20)
    assert order == ["first", "second"]
    assert "is held by redpop/" in caplog.text
    assert password_of(postgres) not in caplog.text


HOLDING = """
import sys
from datetime import timedelta
from redpop_assets.storage.postgres import Postgres
with Postgres(sys.argv[1]).lock("x", timeout=timedelta(seconds=10)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_lets_go(postgres):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, postgres],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout.readline() == b"held\n"
        assert Postgres(postgres).holders("x")[0].endswith(f"/{process.pid}")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Postgres(postgres).lock("x", timeout=SOON):
            pass


def test_a_lock_that_was_lost_is_noticed(postgres):
    database = Postgres(postgres)
    with database.session() as other, database.lock("x", timeout=SOON) as held:
        one(other, f"SELECT pg_terminate_backend({held.connection.info.backend_pid})")
        with pytest.raises(WarehouseError, match=r"terminating connection|closed"):
            held.verify()


@given(st.text(max_size=40))
def test_names_of_locks_are_numbers_of_the_server(name):
    assert -(2**63) <= lock_key(name) < 2**63
