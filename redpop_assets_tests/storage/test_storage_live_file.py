import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseError, WarehouseLocked
from redpop_assets.storage import live_file
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage.readings import table

pytestmark = pytest.mark.integration

HOLD = """
with warehouse.write() as writer:
    writer.append("core.readings", rows("uncommitted"))
    print("holding")
    time.sleep(float(sys.argv[3]))
"""


def impatient(warehouse: Warehouse, timeout: float) -> Warehouse:
    home = warehouse.published.parent
    return Warehouse(home, source="reddit", lock_timeout=timeout, schema=warehouse.schema)


def rows(*posts: str) -> pa.Table:
    return table(*({"post": post} for post in posts))


def create(warehouse: Warehouse) -> None:
    with warehouse.write():
        pass


def test_what_duckdb_makes_of_ctrl_c_is_ctrl_c_again(warehouse):
    create(warehouse)
    with pytest.raises(KeyboardInterrupt), warehouse.write():
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), warehouse.read():
        raise RuntimeError("another")
    create(warehouse)


def test_processes_that_write_at_once_lose_nothing(warehouse, other_process):
    # Nobody has created the file yet, so this is also a race for its creation.
    script = """
for number in range(25):
    assert warehouse.append("core.readings", rows(f"{sys.argv[3]}-{number}")) == 1
"""
    writers = [other_process(script, name) for name in "abcd"]
    assert [writer.wait(timeout=240) for writer in writers] == [0, 0, 0, 0]
    posts = warehouse.query("SELECT post FROM core.readings").column("post").to_pylist()
    assert sorted(posts) == sorted(f"{name}-{number}" for name in "abcd" for number in range(25))
    assert [path.name for path in warehouse.live.parent.iterdir()] == ["redpop.duckdb"]


def test_the_log_names_the_holder_at_once_and_then_now_and_again(warehouse, other_process, caplog, monkeypatch):
    monkeypatch.setattr(live_file, "_LOG_EVERY", 0.3)
    create(warehouse)
    holder = other_process(HOLD, 1.2)
    assert holder.stdout.readline() == "holding\n"
    with caplog.at_level(logging.INFO, logger=live_file.__name__):
        assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1
    messages = [record.getMessage() for record in caplog.records]
    assert 2 <= len(messages) <= 6
    assert all(f"(PID {holder.pid})" in message and "python" in message for message in messages)
    assert "(0 s so far)" in messages[0]
    assert [record.levelname for record in caplog.records] == ["INFO", *["WARNING"] * (len(messages) - 1)]
    if sys.platform == "linux":
        assert "-c import os, signal" in messages[0]


def test_the_deadline_ends_the_wait_and_says_who_and_what_to_do(warehouse, other_process):
    create(warehouse)
    holder = other_process(HOLD, 60)
    assert holder.stdout.readline() == "holding\n"
    start = time.monotonic()
    with pytest.raises(WarehouseLocked, match=rf"PID {holder.pid}\).*0\.5 s.*REDPOP_LOCK_TIMEOUT_SECONDS"):
        impatient(warehouse, 0.5).scalar("SELECT 1")
    assert 0.5 <= time.monotonic() - start < 5
    holder.kill()
    holder.wait()
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 0


def test_a_foreign_reader_keeps_the_writer_waiting_and_is_named(warehouse):
    create(warehouse)
    script = """
import duckdb, sys
conn = duckdb.connect(sys.argv[1], read_only=True)
print("reading", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(warehouse.live)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "reading\n"
        with pytest.raises(WarehouseLocked, match=rf"PID {reader.pid}\)"):
            create(impatient(warehouse, 0.2))
        assert impatient(warehouse, 0.2).scalar("SELECT count(*) FROM core.readings") == 0
    create(impatient(warehouse, 0.2))


def test_an_object_beside_it_in_the_same_process_waits_too(warehouse):
    create(warehouse)
    with warehouse.write(), pytest.raises(WarehouseLocked, match=rf"this process itself \(PID {os.getpid()}"):
        impatient(warehouse, 0.2).scalar("SELECT 1")
    with warehouse.read() as one, impatient(warehouse, 0.2).read() as two:
        assert one.scalar("SELECT 1") == two.scalar("SELECT 1")


def test_killing_a_writer_loses_its_transaction_and_nothing_else(warehouse, other_process):
    script = """
warehouse.append("core.readings", rows("kept"))
with warehouse.write() as writer:
    writer.append("core.readings", rows("lost"))
    writer.execute("DELETE FROM core.readings WHERE post = 'kept'")
    print("ready")
    time.sleep(60)
"""
    writer = other_process(script)
    assert writer.stdout.readline() == "ready\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert warehouse.query("SELECT post FROM core.readings").to_pylist() == [{"post": "kept"}]
    create(impatient(warehouse, 0))


def test_killing_a_writer_after_its_commit_loses_nothing(warehouse, other_process):
    # Killed between commit and close: the rows are in the write-ahead log only.
    script = """
with warehouse.write():
    pass
with warehouse._form.connect(read_only=False) as conn:
    conn.execute("INSERT INTO core.readings (post, hour) VALUES ('kept', 0)")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert other_process(script).wait(timeout=30) == -signal.SIGKILL
    assert warehouse.live.with_name("redpop.duckdb.wal").exists()
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1
    assert warehouse.publish().changed
    with duckdb.connect(warehouse.published, read_only=True) as conn:
        assert conn.execute("SELECT post FROM core.readings").fetchall() == [("kept",)]


def test_digests_are_the_same_in_every_process(warehouse, other_process, schema_folder):
    row = {"post": ["é" * 20], "hour": [1], "score": [-3], "ratio": [0.5], "vector": [[1.5, 2.0]], "json": ['{"a": 1}']}
    warehouse.append("core.readings", pa.table({**row, "seen": pa.nulls(1)}))
    process = other_process("print(warehouse.fingerprint('core.readings'))")
    assert process.stdout.readline().strip() == warehouse.fingerprint("core.readings")
    assert load_schema(schema_folder).digest == warehouse.schema.digest


TAKE_TURNS = """
with warehouse.kept():
    end = time.monotonic() + float(sys.argv[4])
    turns = 0
    while time.monotonic() < end or turns < 5:
        assert warehouse.append("core.readings", rows(f"{sys.argv[3]}-{turns}")) == 1
        assert warehouse.scalar("SELECT count(*) FROM core.readings") > turns
        turns += 1
print(turns)
"""


@pytest.fixture
def opened(monkeypatch):
    """How the file was opened since: True for reading only."""
    found = []
    connect = duckdb.connect

    def counting(*args, **kwargs):
        conn = connect(*args, **kwargs)
        found.append(kwargs.get("read_only"))
        return conn

    monkeypatch.setattr(live_file.duckdb, "connect", counting)
    return found


def test_a_kept_connection_serves_what_follows(warehouse, opened):
    create(warehouse)
    opened.clear()
    with warehouse.kept():
        for _ in range(20):
            warehouse.scalar("SELECT count(*) FROM core.readings")
            with warehouse.read(), warehouse.read() as inner:
                assert inner.scalar("SELECT strftime(TIMESTAMPTZ '2020-01-01 00:00:00+00', '%H')") == "00"
        assert opened == [True]
        for number in range(20):
            assert warehouse.append("core.readings", rows(f"{number}")) == 1
            # What wrote can read, as often as it is asked.
            with warehouse.read() as outer, warehouse.read() as inner:
                assert outer.scalar("SELECT count(*) FROM core.readings") == number + 1
                assert inner.scalar("SELECT count(*) FROM core.readings") == number + 1
        assert opened == [True, False]
    opened.clear()
    warehouse.scalar("SELECT 1")
    warehouse.scalar("SELECT 1")
    assert opened == [True, True]


def test_an_error_in_a_kept_connection_rolls_back_and_spoils_nothing(warehouse):
    create(warehouse)
    with warehouse.kept():
        with pytest.raises(ZeroDivisionError), warehouse.write() as writer:
            writer.append("core.readings", rows(str(writer.append("core.readings", rows("lost")) / 0)))
        with pytest.raises(WarehouseError, match="already open in this thread"), warehouse.write():
            warehouse.scalar("SELECT 1")
        assert warehouse.append("core.readings", rows("kept")) == 1
        assert warehouse.query("SELECT post FROM core.readings").to_pylist() == [{"post": "kept"}]


def test_threads_share_a_kept_connection_and_write_one_after_the_other(warehouse):
    create(warehouse)

    def work(name):
        for number in range(6):
            with warehouse.write() as writer:
                before = writer.scalar("SELECT count(*) FROM core.readings")
                writer.append("core.readings", rows(f"{name}-{number}"))
                assert writer.scalar("SELECT count(*) FROM core.readings") == before + 1
            with warehouse.read() as reader:
                assert reader.scalar("SELECT count(*) FROM core.readings") >= number + 1

    with warehouse.kept(), ThreadPoolExecutor(4) as threads:
        list(threads.map(work, "abcd"))
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 24


def test_what_is_kept_is_given_up_when_nobody_uses_it(warehouse, other_process):
    create(warehouse)
    with warehouse.kept():
        warehouse.append("core.readings", rows("mine"))
        process = other_process("assert warehouse.append('core.readings', rows('theirs')) == 1")
        # This process does something else meanwhile, for as long as it likes.
        assert process.wait(timeout=60) == 0
        assert warehouse.scalar("SELECT count(*) FROM core.readings") == 2


def test_processes_that_keep_connections_let_each_other_in(warehouse, other_process):
    create(warehouse)
    workers = [other_process(TAKE_TURNS, name, 3) for name in "ab"]
    reads = 0
    started = time.monotonic()
    while any(worker.poll() is None for worker in workers):
        # Without keeping anything itself.
        assert impatient(warehouse, 20).scalar("SELECT count(*) FROM core.readings") >= 0
        reads += 1
        assert time.monotonic() - started < 120
    turns = [int(worker.stdout.readline()) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert min(turns) >= 5
    assert reads >= 2
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == sum(turns)


def test_publishing_between_kept_connections_leaves_no_lock_behind(warehouse, other_process):
    create(warehouse)
    with warehouse.kept():
        warehouse.append("core.readings", rows("one"))
        assert warehouse.publish().changed
        with warehouse.write() as writer:
            writer.append("core.readings", rows("two"))
            # POSIX would drop the lock of a connection that was open while the file was copied.
            blocked = other_process(
                "impatient = Warehouse(warehouse.published.parent, source='reddit', "
                "lock_timeout=0.3, schema=warehouse.schema)\nimpatient.scalar('SELECT 1')"
            )
            assert blocked.wait(timeout=60) == 1
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 2


def test_killing_a_process_that_keeps_a_connection_loses_nothing_it_committed(warehouse, other_process):
    script = """
with warehouse.kept():
    for number in range(10):
        warehouse.append("core.readings", rows(f"{number}"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    create(warehouse)
    assert other_process(script).wait(timeout=60) == -signal.SIGKILL
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 10
