import logging
import os
import signal
import subprocess
import sys
import time

import duckdb
import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseLocked
from redpop_assets.storage import live_file
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse

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
with warehouse._file.connect(read_only=False) as conn:
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
