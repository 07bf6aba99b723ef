import hashlib
import signal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage.forms import both_forms

pytestmark = pytest.mark.integration


def add(warehouse: Warehouse, post: str) -> None:
    columns = ("score", "ratio", "vector", "json", "seen")
    warehouse.merge("core.readings", pa.table({"post": [post], "hour": [0], **{name: pa.nulls(1) for name in columns}}))


def posts(warehouse: Warehouse) -> list[str]:
    with duckdb.connect(warehouse.published, read_only=True) as conn:
        return [post for (post,) in conn.execute("SELECT post FROM core.readings ORDER BY post").fetchall()]


def files(warehouse: Warehouse) -> list[str]:
    return sorted(path.name for path in warehouse.published.parent.rglob("*") if path.is_file())


def whole(warehouse: Warehouse) -> list[str]:
    """The names of all files of a home: those of a lake may be any number, and are Parquet."""
    if warehouse.live.exists():
        return ["redpop.duckdb", "redpop.duckdb"]
    return [name for name in files(warehouse) if name.endswith(".parquet")] + ["published.json", "redpop.duckdb"]


@both_forms
def test_the_copy_has_everything_and_nothing_is_left_beside_it(warehouse):
    add(warehouse, "a")
    published = warehouse.publish()
    assert published.changed
    assert published.path == warehouse.published
    assert published.bytes == warehouse.published.stat().st_size
    assert posts(warehouse) == ["a"]
    assert files(warehouse) == whole(warehouse)
    with duckdb.connect(warehouse.published, read_only=True) as conn:
        assert conn.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'readings'").fetchall() == [
            ("Scores over time. | key: post, hour",)
        ]


@both_forms
def test_nothing_new_is_not_copied_and_anything_new_is(warehouse):
    add(warehouse, "a")
    assert warehouse.publish().changed
    before = warehouse.published.stat().st_mtime_ns
    add(warehouse, "a")
    warehouse.scalar("SELECT 1")
    with warehouse.write() as writer:
        writer.execute("DELETE FROM core.readings WHERE post = 'z'")
    with pytest.raises(RuntimeError, match="rolled back"), warehouse.write() as writer:  # noqa: PT012
        writer.execute("DELETE FROM core.readings")
        raise RuntimeError("rolled back")
    assert not warehouse.publish().changed
    assert warehouse.published.stat().st_mtime_ns == before
    for sql in (
        "UPDATE core.readings SET score = 1",
        "UPDATE core.readings SET score = 2",
        "COMMENT ON TABLE core.readings IS 'Changed.'",
        "DELETE FROM core.readings",
    ):
        with warehouse.write() as writer:
            writer.execute(sql)
        assert warehouse.publish().changed, sql
        assert not warehouse.publish().changed, sql


@both_forms
def test_a_lost_damaged_or_foreign_copy_is_replaced(warehouse):
    add(warehouse, "a")
    warehouse.publish()
    warehouse.published.unlink()
    assert warehouse.publish().changed
    content = bytearray(warehouse.published.read_bytes())
    content[-1] ^= 1
    warehouse.published.write_bytes(content)
    assert warehouse.publish().changed
    assert not warehouse.publish().changed


@both_forms
def test_a_reader_keeps_its_snapshot_through_a_publish(warehouse):
    add(warehouse, "a")
    warehouse.publish()
    count = "SELECT count(*) FROM core.readings"
    conn = duckdb.connect(warehouse.published, read_only=True)
    try:
        for post in "bcd":
            add(warehouse, post)
            assert warehouse.publish().changed
            assert conn.execute(count).fetchone() == (1,)
    finally:
        conn.close()
    assert posts(warehouse) == ["a", "b", "c", "d"]


def test_a_reader_in_another_process_keeps_its_snapshot_and_blocks_nobody(warehouse, other_process):
    add(warehouse, "a")
    warehouse.publish()
    script = """
import duckdb
conn = duckdb.connect(warehouse.published, read_only=True)
print(conn.execute("SELECT count(*) FROM core.readings").fetchone()[0])
while not Path(sys.argv[3]).exists():
    time.sleep(0.01)
print(conn.execute("SELECT count(*) FROM core.readings").fetchone()[0])
"""
    done = warehouse.published.with_name("done")
    reader = other_process(script, done)
    assert reader.stdout.readline() == "1\n"
    add(warehouse, "b")
    assert warehouse.publish().changed
    done.touch()
    assert reader.stdout.readline() == "1\n"
    assert posts(warehouse) == ["a", "b"]


@pytest.mark.parametrize("moment", ["copying", "replaced"])
def test_a_killed_publish_leaves_a_whole_file(warehouse, other_process, moment):
    add(warehouse, "a")
    warehouse.publish()
    add(warehouse, "b")
    script = """
whole = os.copy_file_range
def half(source, target, count, *offsets):
    whole(source, target, min(count, 100_000), *offsets)
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "copying":
    os.copy_file_range = half
else:
    original = durable.sync
    durable.sync = lambda path: original(path) if path.is_file() else os.kill(os.getpid(), signal.SIGKILL)
warehouse.publish()
"""
    assert other_process(script, moment).wait(timeout=30) == -signal.SIGKILL
    half_way = moment == "copying"
    assert posts(warehouse) == (["a"] if half_way else ["a", "b"])
    assert list(warehouse.published.parent.glob(".new-*"))
    assert warehouse.publish().changed == half_way
    assert posts(warehouse) == ["a", "b"]
    assert files(warehouse) == ["redpop.duckdb", "redpop.duckdb"]


@both_forms
def test_what_a_client_left_unfinished_in_the_old_copy_is_not_applied_to_the_new_one(warehouse, other_process):
    add(warehouse, "a")
    warehouse.publish()
    script = """
import duckdb
conn = duckdb.connect(warehouse.published)
conn.execute("INSERT INTO core.readings (post, hour) VALUES ('scribble', 0)")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert other_process(script).wait(timeout=30) == -signal.SIGKILL
    assert "redpop.duckdb.wal" in files(warehouse)
    add(warehouse, "b")
    assert warehouse.publish().changed
    assert posts(warehouse) == ["a", "b"]


@both_forms
def test_nobody_sees_half_a_write_in_a_copy(warehouse, other_process):
    add(warehouse, "start")
    script = """
for number in range(8):
    warehouse.append("core.readings", rows(f"{number:02}"))
"""
    writer = other_process(script)
    while writer.poll() is None:
        warehouse.publish()
        seen = posts(warehouse)
        assert seen == [f"{number:02}" for number in range(len(seen) - 1)] + ["start"]
    assert writer.returncode == 0
    warehouse.publish()
    assert len(posts(warehouse)) == 9


# What was erased


def long_text(word: str) -> str:
    """Long enough for a block of its own, and without a pattern that compression could hide it in."""
    return "".join(hashlib.sha256(f"{word}{n}".encode()).hexdigest() for n in range(200))


def holds(path: Path, word: str) -> bool:
    return hashlib.sha256(f"{word}100".encode()).hexdigest().encode() in path.read_bytes()


def fill(warehouse: Warehouse) -> None:
    with warehouse.write() as writer:
        if warehouse.live.exists():
            writer.execute("PRAGMA force_compression = 'uncompressed'")
        for post in ("kept", "secret", *map(str, range(50))):
            writer.execute(
                "INSERT INTO core.readings BY NAME SELECT ? AS post, 0 AS hour, ? AS json",
                [post, f'"{long_text(post)}"'],
            )
    warehouse.publish()


def test_deleting_leaves_traces_and_erasing_leaves_none(warehouse):
    fill(warehouse)
    with warehouse.write() as writer:
        assert writer.execute("DELETE FROM core.readings WHERE post = 'secret'") == 1
    warehouse.publish()
    assert holds(warehouse.live, "secret")  # why erasing is more than deleting
    with warehouse.write() as writer:
        writer.execute("INSERT INTO core.readings (post, hour) VALUES ('secret', 0)")
        assert writer.erase("DELETE FROM core.readings WHERE post = $post", {"post": "secret"}) == 1
    assert warehouse.publish().changed
    for path in (warehouse.live, warehouse.published):
        assert not holds(path, "secret")
    assert len(posts(warehouse)) == 51
    assert files(warehouse) == ["redpop.duckdb", "redpop.duckdb"]
    assert not warehouse.publish().changed
    with duckdb.connect(warehouse.published, read_only=True) as conn:
        assert conn.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'latest'").fetchone() == (
            "The last reading of each post. | key: post",
        )
        assert conn.execute("SELECT is_nullable FROM duckdb_columns() WHERE column_name = 'hour'").fetchall()[0] == (
            False,
        )


def test_erasing_nothing_rewrites_nothing(warehouse):
    fill(warehouse)
    before = warehouse.live.stat().st_ino
    with warehouse.write() as writer:
        assert writer.erase("DELETE FROM core.readings WHERE post = 'nobody'") == 0
    assert not warehouse.publish().changed
    assert warehouse.live.stat().st_ino == before


@both_forms
def test_an_erasure_rolled_back_is_none(warehouse):
    fill(warehouse)
    with pytest.raises(RuntimeError, match="rolled back"), warehouse.write() as writer:  # noqa: PT012
        writer.erase("DELETE FROM core.readings")
        raise RuntimeError("rolled back")
    assert not warehouse.publish().changed
    assert len(posts(warehouse)) == 52


@pytest.mark.parametrize("moment", ["copied", "replaced"])
def test_a_killed_rebuild_leaves_a_whole_file_and_is_made_up_for(warehouse, other_process, moment):
    fill(warehouse)
    with warehouse.write() as writer:
        writer.erase("DELETE FROM core.readings WHERE post = 'secret'")
    script = """
original, calls = durable.sync, []
def kill(path):
    calls.append(path)
    if len(calls) == (1 if sys.argv[3] == "copied" else 2):
        os.kill(os.getpid(), signal.SIGKILL)
    original(path)
durable.sync = kill
warehouse.publish()
"""
    assert other_process(script, moment).wait(timeout=30) == -signal.SIGKILL
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 51
    warehouse.publish()
    assert not holds(warehouse.live, "secret")
    assert not holds(warehouse.published, "secret")
    assert files(warehouse) == ["redpop.duckdb", "redpop.duckdb"]


@both_forms
def test_writers_lose_nothing_while_what_was_erased_goes(warehouse, other_process):
    fill(warehouse)
    script = """
for number in range(12):
    warehouse.append("core.readings", rows(f"new {sys.argv[3]} {number:02}"))
"""
    writers = [other_process(script, name) for name in "xy"]
    while any(writer.poll() is None for writer in writers):
        with warehouse.write() as writer:
            writer.execute("INSERT INTO core.readings (post, hour) VALUES ('gone', 0)")
        with warehouse.write() as writer:
            writer.erase("DELETE FROM core.readings WHERE post = 'gone'")
        warehouse.publish()
    assert [writer.returncode for writer in writers] == [0, 0]
    warehouse.publish()
    assert sum(post.startswith("new ") for post in posts(warehouse)) == 24
