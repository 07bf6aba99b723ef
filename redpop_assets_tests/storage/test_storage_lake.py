"""What only a lake has: writers on several machines, snapshots, files in a store, and forgetting in all of them."""

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from redpop_assets.errors import SettingsError, WarehouseError, WarehouseLocked
from redpop_assets.storage import lake_connection
from redpop_assets.storage.lake_address import lake_address, parse_warehouse
from redpop_assets.storage.lake_sql import in_lake
from redpop_assets.storage.migrations import Migration
from redpop_assets.storage.rows import Merged
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage.forms import Place
from redpop_assets_tests.storage.readings import table

lake_alone = pytest.mark.parametrize("form", ["lake"], indirect=True)

MERGE = """
for hour in range(10):
    n = 20
    warehouse.merge("core.readings", pa.table({
        "post": [f"p{i}" for i in range(n)], "hour": pa.array([hour] * n, pa.int32()),
        "score": pa.array([int(sys.argv[3])] * n, pa.int32()), "ratio": pa.nulls(n), "vector": pa.nulls(n),
        "json": pa.nulls(n), "seen": pa.nulls(n),
    }))
"""
HOLD = """
with warehouse.write() as writer:
    writer.append("core.readings", rows("uncommitted"))
    print("holding")
    time.sleep(float(sys.argv[3]))
"""


def create(warehouse: Warehouse) -> None:
    with warehouse.write():
        pass


def lake_files(place: Place) -> list[Path]:
    return [path for path in (place.home / "lake").rglob("*") if path.is_file()]


# The setting


@pytest.mark.parametrize(
    "text",
    [
        "ducklake:postgres:host=db dbname=redpop user=me password=geheim",
        "ducklake:postgres:postgresql://me:geheim@db/redpop",
        "ducklake:postgres://me:geheim@db/redpop",
        "ducklake:postgresql://me:geheim@db/redpop",
        "  ducklake:postgres:postgres://me:geheim@db/redpop?sslmode=require ",
    ],
)
def test_a_lake_is_named_by_a_connection_string_and_shown_without_its_password(text, tmp_path):
    address = lake_address(parse_warehouse(text), "", tmp_path, {"AWS_SECRET_ACCESS_KEY": "geheim"})
    assert address is not None
    assert address.where.startswith("ducklake:postgresql://me@db")
    assert address.where.endswith("/redpop")
    assert address.files == str(tmp_path / "lake")
    assert "geheim" not in f"{address!r}{address}{address.where}"
    string, password = address.postgres.libpq
    assert password == "geheim"
    assert "geheim" not in string


@pytest.mark.parametrize(
    "text",
    [
        *("redpop.duckdb", "/data/geheim.duckdb", "postgresql://me:geheim@db/redpop", "ducklake:geheim.ducklake"),
        *("ducklake:sqlite:geheim.db", "ducklake:postgres:", "ducklake:postgres:geheim", "ducklake:mysql:host=db"),
    ],
)
def test_what_names_no_warehouse_is_refused_in_a_sentence_that_does_not_repeat_it(text):
    with pytest.raises(ValueError, match="ducklake:postgres:postgresql://redpop:PASSWORD@") as refused:
        parse_warehouse(text)
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_files_of_a_lake_are_in_the_store(tmp_path):
    lake = parse_warehouse("ducklake:postgres:dbname=redpop")
    assert lake_address("", "s3://bucket/x", tmp_path, {}) is None
    for store, files in (("/mnt/store", "/mnt/store/lake"), ("s3://bucket/redpop", "s3://bucket/redpop/lake")):
        address = lake_address(lake, store, tmp_path, {})
        assert address is not None
        assert address.files == files
    for store in ("gs://bucket", "az://bucket/x"):
        with pytest.raises(SettingsError, match=r"set REDPOP_STORE to a folder .* or to s3://"):
            lake_address(lake, store, tmp_path, {})


@pytest.mark.integration
def test_a_server_that_cannot_be_reached_is_named_without_the_password(tmp_path, postgres, postgres_server):
    def said(dsn: str) -> str:
        lake = lake_address(f"ducklake:postgres:{dsn}", "", tmp_path, {})
        with pytest.raises(WarehouseError) as refused:
            Warehouse(tmp_path, source="reddit", lake=lake).scalar("SELECT 1")
        told = str(refused.value)
        assert refused.value.__cause__ is None
        assert "\n" not in told
        return told

    wrong = postgres.replace(postgres_server.password, "geheim")
    missing = postgres.rpartition("/")[0] + "/nobody"
    for dsn in (wrong, missing, "host=127.0.0.1 port=9 dbname=x user=me password=geheim"):
        told = said(dsn)
        assert "cannot be opened" in told
        assert "geheim" not in told
        assert postgres_server.password not in told


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(lake_connection.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'redpop\[cluster\]'"):
        lake_connection._extension("ducklake")


# The dialect


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("a FLOAT[12] NOT NULL USING COMPRESSION uncompressed,", "a FLOAT[] NOT NULL,"),
        ("x INTEGER[5], y varchar[3], z FLOAT[]", "x INTEGER[], y varchar[], z FLOAT[]"),
        ("COMMENT ON COLUMN a.b IS 'cast to FLOAT[12]; it''s USING COMPRESSION x'", None),
        ("SELECT urls[1] FROM t -- FLOAT[3]\n", None),
        (
            "CREATE OR REPLACE VIEW marts.v AS SELECT 1 AS a; COMMENT ON VIEW marts.v IS 'A.';"
            "COMMENT ON COLUMN marts.v.a IS 'B; it''s.';",
            "CREATE OR REPLACE VIEW marts.v AS SELECT 1 AS a; COMMENT ON VIEW marts.v IS 'A.';",
        ),
        ("COMMENT ON COLUMN marts.w.a IS 'Of a table.';", None),
    ],
)
def test_definitions_are_said_as_a_lake_takes_them(sql, said):
    assert in_lake(sql) == (sql if said is None else said)


# Arrays

VECTORS = """
CREATE TABLE IF NOT EXISTS features.vectors (id VARCHAR NOT NULL, v FLOAT[2] NOT NULL, w INTEGER[3]);
COMMENT ON TABLE features.vectors IS 'Vectors. | key: id';
COMMENT ON COLUMN features.vectors.v IS 'A vector. | known_at: before_post';
"""


@pytest.fixture
def vectors(place, schema_folder, tmp_path) -> Warehouse:
    for name in ("raw/source", "core/readings", "marts/latest"):
        path = tmp_path / "schema" / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((schema_folder / f"{name}.sql").read_text())
    (tmp_path / "schema" / "features").mkdir()
    (tmp_path / "schema" / "features" / "vectors.sql").write_text(VECTORS)
    return place.open(schema=load_schema(tmp_path / "schema"))


@lake_alone
@pytest.mark.integration
def test_arrays_have_their_length_and_are_arrays_again_when_published(vectors):
    rows = pa.table({"id": ["a", "b"], "v": [[1.0, 2.0], [3.0, 4.0]], "w": pa.array([[1, 2, 3], None])})
    assert vectors.merge("features.vectors", rows) == Merged(2, 0)
    assert vectors.merge("features.vectors", rows) == Merged(0, 0)
    for v, w in (([1.0], None), ([1.0, 2.0, 3.0], None), ([1.0, 2.0], [1, 2])):
        wrong = pa.table({"id": ["c"], "v": [v], "w": pa.array([w], pa.list_(pa.int32()))})
        with pytest.raises(WarehouseError, match=r"in column [vw], which does not fit (FLOAT\[2\]|INTEGER\[3\])"):
            vectors.append("features.vectors", wrong)
    for where in ("TRUE", "id = 'nobody'"):  # also where no row tells the length
        sql = f"SELECT id, v, w, v AS other FROM features.vectors WHERE {where} ORDER BY id"
        found = vectors.query(sql)
        with vectors.read() as reader:
            assert pa.Table.from_batches(reader.streamed(sql)).equals(found)
        assert found.schema.field("v").type == pa.list_(pa.float32(), 2)
        assert found.schema.field("w").type == pa.list_(pa.int32(), 3)
        assert found.schema.field("other").type == pa.list_(pa.float32())
        assert found.column("w").to_pylist() == ([[1, 2, 3], None] if where == "TRUE" else [])
    assert vectors.query("SELECT [1.5::FLOAT] AS v, list(id) AS w FROM features.vectors WHERE false").num_rows == 1
    fingerprint = vectors.fingerprint("features.vectors")
    vectors.publish()
    with duckdb.connect(vectors.published, read_only=True) as conn:
        types = conn.execute("SELECT data_type FROM duckdb_columns() WHERE table_name = 'vectors'").fetchall()
        assert types == [("VARCHAR",), ("FLOAT[2]",), ("INTEGER[3]",)]
        (total,) = conn.execute("SELECT sum(hash(r)::HUGEINT) FROM features.vectors AS r").fetchone()
    assert fingerprint == f"2-{total:x}"


# Writers and readers


@lake_alone
@pytest.mark.integration
def test_writers_that_merge_the_same_new_keys_double_no_row(warehouse, other_process):
    # Nobody has made the lake yet, so this is also a race for that.
    writers = [other_process(MERGE, number) for number in range(4)]
    assert [writer.wait(timeout=240) for writer in writers] == [0, 0, 0, 0]
    counted = "SELECT count(*) AS rows, count(DISTINCT (post, hour)) AS keys FROM core.readings"
    assert warehouse.query(counted).to_pylist() == [{"rows": 200, "keys": 200}]


@lake_alone
@pytest.mark.integration
def test_a_killed_writer_leaves_nothing_and_blocks_nobody(warehouse, other_process):
    create(warehouse)
    holder = other_process(HOLD, 60)
    assert holder.stdout.readline() == "holding\n"
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 0  # readers wait for nobody
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    assert warehouse.append("core.readings", table({})) == 1
    assert time.monotonic() - began < 10
    assert warehouse.query("SELECT post FROM core.readings").to_pylist() == [{"post": "a"}]


@lake_alone
@pytest.mark.integration
def test_who_waits_too_long_is_told_for_whom(warehouse, place, other_process):
    create(warehouse)
    holder = other_process(HOLD, 60)
    assert holder.stdout.readline() == "holding\n"
    with pytest.raises(WarehouseLocked, match=rf"redpop/.*/{holder.pid} for longer than 0.3 s") as locked:
        place.open(lock_timeout=0.3, schema=warehouse.schema).append("core.readings", table({}))
    assert place.lake.postgres.libpq[1] not in str(locked.value)


@lake_alone
@pytest.mark.integration
def test_a_block_reads_one_snapshot_and_writes_nothing(warehouse, place):
    warehouse.append("core.readings", table({}))
    count = "SELECT count(*) FROM core.readings"
    with warehouse.read() as reader:
        assert reader.scalar(count) == 1
        other = place.open(schema=warehouse.schema)
        writing = threading.Thread(target=other.append, args=("core.readings", table({"hour": 1})))
        writing.start()
        writing.join()
        assert reader.scalar(count) == 1
        with pytest.raises(duckdb.Error, match="read-only"):
            reader.query("DELETE FROM core.readings")
    assert warehouse.scalar(count) == 2


@lake_alone
@pytest.mark.integration
def test_a_writer_that_lost_its_lock_commits_nothing(warehouse, place):
    create(warehouse)
    with pytest.raises(WarehouseError, match="did not do what"), warehouse.write() as writer:  # noqa: PT012
        writer.append("core.readings", table({}))
        with place.lake.postgres.session() as session:
            session.cursor().execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 0


@lake_alone
@pytest.mark.integration
def test_a_server_that_was_started_again_serves_the_next_use(warehouse, postgres_server):
    warehouse.append("core.readings", table({}))
    postgres_server.stop()
    try:
        with pytest.raises(WarehouseError, match=r"does not answer any more .* See that its Postgres runs"):
            warehouse.scalar("SELECT 1 FROM core.readings")
        with pytest.raises(WarehouseError, match=r"cannot be opened .* See that the server runs"):
            warehouse.append("core.readings", table({}))
    finally:
        postgres_server.start()
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1
    assert warehouse.append("core.readings", table({"hour": 1})) == 1


@lake_alone
@pytest.mark.integration
def test_a_connection_is_kept_and_given_back_when_idle(warehouse, place, monkeypatch):
    monkeypatch.setattr(lake_connection, "_IDLE_SECONDS", 0.3)
    opened = []
    original = lake_connection.LakeConnections._open
    monkeypatch.setattr(
        lake_connection.LakeConnections, "_open", lambda self, **config: opened.append(1) or original(self, **config)
    )
    warehouse.append("core.readings", table({}))
    place.open(schema=warehouse.schema).scalar("SELECT 1")
    assert len(opened) == 1

    def connected() -> int:
        with place.lake.postgres.session() as session, session.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return cursor.fetchone()[0] - 1

    until = time.monotonic() + 10
    while connected() and time.monotonic() < until:
        time.sleep(0.1)
    assert connected() == 0
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1
    assert len(opened) == 2


@lake_alone
@pytest.mark.integration
def test_a_forked_process_leaves_the_connection_to_its_parent(warehouse, other_process):
    create(warehouse)
    script = """
warehouse.append("core.readings", rows("parent"))
child = os.fork()
if not child:
    warehouse.append("core.readings", rows("child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(warehouse.scalar("SELECT count(*) FROM core.readings"))
"""
    process = other_process(script)
    assert process.stdout.readline() == "2\n"
    assert process.wait(timeout=30) == 0


# Publishing


@lake_alone
@pytest.mark.integration
def test_small_files_are_merged_when_they_are_published(warehouse, place):
    for hour in range(20):
        warehouse.append("core.readings", table({"hour": hour}))
    warehouse.publish()
    with place.lake.postgres.session() as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(record_count) FROM redpop_lake.ducklake_data_file JOIN redpop_lake.ducklake_table "
            "USING (table_id) WHERE table_name = 'readings' AND ducklake_data_file.end_snapshot IS NULL"
        )
        assert cursor.fetchone() == (1, 20)
    assert warehouse.scalar("SELECT count(DISTINCT hour) FROM core.readings") == 20


@lake_alone
@pytest.mark.integration
def test_each_home_publishes_the_lake_that_all_share(warehouse, place, tmp_path):
    warehouse.append("core.readings", table({}))
    warehouse.publish()
    other = Place(tmp_path / "other", replace(place.lake)).open(schema=warehouse.schema)
    assert other.scalar("SELECT count(*) FROM core.readings") == 1
    assert other.publish().changed
    assert not other.publish().changed
    with duckdb.connect(other.published, read_only=True) as conn:
        assert conn.execute("SELECT count(*) FROM core.readings").fetchone() == (1,)


@lake_alone
@pytest.mark.integration
def test_the_published_file_is_as_that_of_a_file(warehouse, schema_folder, tmp_path):
    described = (
        "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY ALL"
    )
    found = []
    for each in (warehouse, Warehouse(tmp_path / "file", source="reddit", schema=load_schema(schema_folder))):
        each.append("core.readings", table({"score": 1, "vector": [1.0], "json": '{"a": 1}'}, {"hour": 2}))
        each.publish()
        with duckdb.connect(each.published, read_only=True) as conn:
            digest = "SELECT sum(hash(r)::HUGEINT) FROM core.readings AS r"
            found.append((conn.execute(described).fetchall(), conn.execute(digest).fetchall()))
    assert found[0] == found[1]


# What was erased

SECRET = "zzz-geheim-"


def search(place: Place, warehouse: Warehouse, server, word: str) -> list[str]:
    """Where a word is found: files of the lake, the backup of its catalogue, the files of the server, the copy."""
    needle = word.encode()
    found = [path.name for path in lake_files(place) if needle in path.read_bytes()]
    found += ["pg_dump"] if needle in server.dump(place.lake.postgres.dsn) else []
    found += ["published"] if warehouse.published.exists() and needle in warehouse.published.read_bytes() else []
    return found


@lake_alone
@pytest.mark.integration
def test_what_was_erased_is_in_no_file_no_backup_and_no_copy(warehouse, place, postgres_server):
    others = [{"post": f"p{n}", "hour": n, "score": n, "json": '{"a": 1}'} for n in range(50)]
    # The name is the greatest value of its column, in a file of its own and in one with others; it was also rewritten.
    warehouse.append("core.readings", table(*others, {"post": f"{SECRET}1", "json": f'"{SECRET}2"'}))
    warehouse.append("core.readings", table({"post": f"{SECRET}3", "hour": 1}))
    with warehouse.write() as writer:
        writer.execute("UPDATE core.readings SET score = 7 WHERE post LIKE 'zzz%'")
    with pytest.raises(RuntimeError, match="rolled back"), warehouse.write() as writer:  # noqa: PT012
        writer.append("core.readings", table({"post": f"{SECRET}4"}))
        raise RuntimeError("rolled back")
    warehouse.publish()
    assert {"pg_dump", "published"} < set(search(place, warehouse, postgres_server, SECRET))
    with warehouse.write() as writer:
        assert writer.erase("DELETE FROM core.readings WHERE post LIKE 'zzz%'") == 2
    assert warehouse.publish().changed
    assert search(place, warehouse, postgres_server, SECRET) == []
    assert not warehouse.publish().changed
    # What stays is found as before, also by its least and greatest values, and after further writes.
    warehouse.append("core.readings", table({"post": "m", "hour": 3, "score": 25}))
    for where, rows in (("post < 'c'", 0), ("post > 'p'", 50), ("score >= 49", 1), ("score < 1", 1), ("hour = 3", 2)):
        assert warehouse.scalar(f"SELECT count(*) FROM core.readings WHERE {where}") == rows, where


@lake_alone
@pytest.mark.integration
def test_the_last_row_of_a_table_can_be_erased(warehouse, place, postgres_server):
    warehouse.append("core.readings", table({"post": SECRET}))
    with warehouse.write() as writer:
        writer.erase("DELETE FROM core.readings")
    warehouse.publish()
    assert search(place, warehouse, postgres_server, SECRET) == []
    assert warehouse.append("core.readings", table({"post": "b"}, {"post": "c"})) == 2
    assert warehouse.scalar("SELECT count(*) FROM core.readings WHERE post >= 'c'") == 1


@lake_alone
@pytest.mark.integration
def test_files_of_what_was_erased_stay_for_as_long_as_somebody_reads_them(warehouse, place, other_process):
    warehouse.append("core.readings", table({"post": SECRET}))
    script = """
with warehouse.read() as reader:
    print(reader.scalar("SELECT count(*) FROM raw.source"))
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
    print(reader.scalar("SELECT post FROM core.readings"))
"""
    done = place.home.with_name("done")
    reader = other_process(script, done)
    assert reader.stdout.readline() == "1\n"
    with warehouse.write() as writer:
        writer.erase("DELETE FROM core.readings")
    impatient = place.open(lock_timeout=0.5, schema=warehouse.schema)
    with pytest.raises(WarehouseLocked, match=rf"still read.*redpop/.*/{reader.pid}"):
        impatient.publish()
    done.touch()
    assert reader.stdout.readline() == f"{SECRET}\n"
    reader.wait()
    assert impatient.publish().changed
    assert not [path for path in lake_files(place) if SECRET.encode() in path.read_bytes()]


# Older and newer lakes


def migration(version: int, sql: str) -> Migration:
    return Migration(version, f"change_{version}", sql)


@lake_alone
@pytest.mark.integration
def test_a_lake_goes_through_migrations_or_stays_as_it_is(warehouse, place, schema_folder, tmp_path):
    first = [migration(1, "SELECT 1")]
    old = place.open(schema=warehouse.schema, migrations=first)
    old.append("core.readings", table({"score": 3}))
    for path in schema_folder.rglob("*.sql"):
        copy = tmp_path / "schema" / path.relative_to(schema_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text().replace("score INTEGER", "points INTEGER").replace(".score IS", ".points IS"))
    schema = load_schema(tmp_path / "schema")
    rename = "ALTER TABLE core.readings RENAME COLUMN score TO points; UPDATE core.readings SET points = points * 10"
    failing = place.open(schema=schema, migrations=[*first, migration(2, f"{rename}; SELECT nothing")])
    with pytest.raises(WarehouseError, match=r"0002_change_2.*Nothing is lost, it is as it was.*nothing"):
        failing.scalar("SELECT 1")
    assert old.scalar("SELECT score FROM core.readings") == 3
    new = place.open(schema=schema, migrations=[*first, migration(2, rename)])
    assert new.query("SELECT points FROM core.readings").to_pylist() == [{"points": 30}]
    assert new.scalar("SELECT count(*) FROM main.warehouse_migrations WHERE applied_at IS NOT NULL") == 1
    assert new.query("SELECT hour FROM marts.latest").num_rows == 1
    new.publish()
    with duckdb.connect(new.published, read_only=True) as conn:
        assert conn.execute("SELECT points FROM core.readings").fetchall() == [(30,)]
    with pytest.raises(WarehouseError, match="was written by a newer RedPop"):
        place.open(schema=warehouse.schema, migrations=first).scalar("SELECT 1")


# Object storage


@pytest.mark.integration
def test_the_files_of_a_lake_can_be_in_a_bucket(postgres, seaweed, schema_folder, tmp_path):
    store = f"s3://{seaweed.bucket()}/redpop"
    lake = lake_address(f"ducklake:postgres:{postgres}", store, tmp_path / "home", seaweed.variables())
    warehouse = Warehouse(tmp_path / "home", source="reddit", lake=lake, schema=load_schema(schema_folder))
    warehouse.append("core.readings", table({}, {"post": SECRET, "hour": 1}))
    with warehouse.write() as writer:
        writer.erase("DELETE FROM core.readings WHERE post = $post", {"post": SECRET})
    assert warehouse.publish().changed
    assert not warehouse.publish().changed
    with duckdb.connect(warehouse.published, read_only=True) as conn:
        assert conn.execute("SELECT post FROM core.readings").fetchall() == [("a",)]
    from redpop_assets.storage.location import open_link

    link = open_link(store, tmp_path, seaweed.variables())
    keys = [found["path"] for page in link.client.list() for found in page]
    assert keys
    assert all(key.startswith("lake/") or "/lake/" in key for key in keys)
    assert not [key for key in keys if SECRET.encode() in bytes(link.client.get(key).bytes())]
    keyless = lake_address(f"ducklake:postgres:{postgres}", store, tmp_path / "home", {})
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID"):
        Warehouse(tmp_path / "home", source="reddit", lake=replace(keyless, files=f"{store}/x")).query("SELECT 1")


@pytest.mark.integration
def test_an_object_storage_that_is_gone_is_named(postgres, seaweed, schema_folder, tmp_path):
    def lake(**variables):
        there = seaweed.variables() | variables
        address = lake_address(f"ducklake:postgres:{postgres}", store, tmp_path / "home", there)
        return Warehouse(tmp_path / "home", source="reddit", lake=address, schema=load_schema(schema_folder))

    store = f"s3://{seaweed.bucket()}/redpop"
    rows = table(*({"post": f"p{number}", "hour": number} for number in range(1, 40)))
    lake().append("core.readings", rows)
    assert lake().scalar("SELECT count(hour) FROM core.readings") == 39
    gone = lake(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    for use in (
        lambda: gone.query("SELECT post, max(hour) FROM core.readings GROUP BY ALL"),
        lambda: gone.merge("core.readings", rows),
    ):
        with pytest.raises(WarehouseError, match=r"has its files at s3://.*/lake, and they cannot be reached"):
            use()
    assert lake().scalar("SELECT count(hour) FROM core.readings") == 39
