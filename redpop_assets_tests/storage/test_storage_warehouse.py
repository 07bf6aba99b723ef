import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Merged, Warehouse

TYPES = pa.schema(
    {
        "post": pa.string(),
        "hour": pa.int32(),
        "score": pa.int32(),
        "ratio": pa.float32(),
        "vector": pa.list_(pa.float32()),
        "json": pa.string(),
        "seen": pa.timestamp("us"),
    }
)


def table(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist([{"post": "a", "hour": 0, **row} for row in rows], schema=TYPES)


def by_key(rows: pa.Table) -> dict:
    return {(row["post"], row["hour"]): row for row in rows.to_pylist()}


vectors = st.none() | st.lists(st.floats(width=32, allow_nan=False), max_size=3)
readings = st.fixed_dictionaries(
    {
        "post": st.sampled_from(["a", "b", "c"]),
        "hour": st.integers(0, 2),
        "score": st.none() | st.integers(-5, 5),
        "ratio": st.none() | st.floats(width=32, allow_nan=False),
        "vector": vectors,
        "json": st.none() | st.sampled_from(["{}", '{"a": 1}']),
        "seen": st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)),
    }
)
batches = st.lists(readings, max_size=6).map(lambda rows: table(*rows))
few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(before=batches, rows=batches)
def test_merge_lets_the_last_value_of_a_key_win(warehouse, before, rows):
    with warehouse.write() as writer:
        writer.execute("DELETE FROM core.readings")
        writer.merge("core.readings", before)
        merged = writer.merge("core.readings", rows)
        again = writer.merge("core.readings", rows)
        after = writer.query("FROM core.readings")
    old, new = by_key(before), by_key(rows)
    assert len(by_key(after)) == after.num_rows
    assert by_key(after) == {**old, **new}
    assert merged == Merged(
        inserted=len(new.keys() - old.keys()), updated=sum(new[key] != old[key] for key in new.keys() & old.keys())
    )
    assert again == Merged(0, 0)


@few
@given(before=batches, rows=batches)
def test_append_lets_the_first_value_of_a_key_win(warehouse, before, rows):
    with warehouse.write() as writer:
        writer.execute("DELETE FROM core.readings")
        writer.append("core.readings", before)
        inserted = writer.append("core.readings", rows)
        again = writer.append("core.readings", rows)
        after = writer.query("FROM core.readings")
    assert len(by_key(after)) == after.num_rows
    first = {}
    for row in [*before.to_pylist(), *rows.to_pylist()]:
        first.setdefault((row["post"], row["hour"]), row)
    assert by_key(after) == first
    assert inserted == len(by_key(rows).keys() - by_key(before).keys())
    assert again == 0


@few
@given(rows=batches, order=st.randoms())
def test_the_fingerprint_ignores_the_order_and_nothing_else(warehouse, rows, order):
    unique = list(by_key(rows).values())
    shuffled = order.sample(unique, len(unique))
    fingerprints = []
    with warehouse.write() as writer:
        for content in (unique, shuffled, unique[1:]):
            writer.execute("DELETE FROM core.readings")
            writer.append("core.readings", table(*content))
            fingerprints.append(writer.fingerprint("core.readings"))
    assert fingerprints[0] == fingerprints[1]
    assert (fingerprints[0] == fingerprints[2]) == (not unique)


def test_the_fingerprint_sees_a_changed_value_and_respects_the_condition(warehouse):
    warehouse.append("core.readings", table({"score": 1}, {"post": "b", "score": 2}))
    one, two = (warehouse.fingerprint("core.readings", "post = $post", {"post": post}) for post in "ab")
    warehouse.merge("core.readings", table({"score": 7}))
    assert warehouse.fingerprint("core.readings", "post = $post", {"post": "a"}) != one
    assert warehouse.fingerprint("core.readings", "post = $post", {"post": "b"}) == two
    assert warehouse.fingerprint("core.readings", "TRUE", {}).startswith("2-")
    assert warehouse.fingerprint("marts.latest").startswith("2-")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table({}).drop_columns(["score"]), "misses column score"),
        (table({}).append_column("colour", pa.array(["red"])), "has unknown column colour"),
        (table({}).append_column("score", pa.array([1])), "has column score twice"),
        (table({"hour": None}), "1 NULL in column hour"),
        (table({}).set_column(2, "score", pa.array([1.5])), "double in column score, which does not fit INTEGER"),
        (table({}).set_column(2, "score", pa.array([2**40])), "int64 in column score, which does not fit INTEGER"),
        (table({}).set_column(4, "vector", pa.array(["x"])), "string in column vector, which does not fit FLOAT"),
    ],
)
def test_rows_that_do_not_fit_the_table_are_refused_by_name(warehouse, rows, message):
    for write in (warehouse.merge, warehouse.append):
        with pytest.raises(WarehouseError, match=message):
            write("core.readings", rows)
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 0


def test_columns_are_matched_by_name_and_widened_types_fit(warehouse):
    reordered = table({"score": 3, "ratio": 0.1, "vector": [1.0, 2.0]}).select(list(reversed(TYPES.names)))
    wide = reordered.set_column(
        reordered.column_names.index("vector"), "vector", pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2))
    ).set_column(reordered.column_names.index("ratio"), "ratio", pa.array([0.1], pa.float64()))
    assert warehouse.merge("core.readings", reordered) == Merged(1, 0)
    assert warehouse.merge("core.readings", wide) == Merged(0, 0)


def test_an_unknown_table_and_a_table_without_key_are_named(warehouse, tmp_path, schema_folder):
    for call in (warehouse.merge, warehouse.append):
        with pytest.raises(WarehouseError, match=r"no table core\.nothing.*core\.readings"):
            call("core.nothing", table({}))
    (tmp_path / "core").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "core" / "loose.sql").write_text("CREATE TABLE IF NOT EXISTS core.loose (a INTEGER)")
    (tmp_path / "raw" / "source.sql").write_text((schema_folder / "raw" / "source.sql").read_text())
    loose = Warehouse(tmp_path / "other", source="reddit", schema=load_schema(tmp_path))
    with pytest.raises(WarehouseError, match=r"core\.loose has no key"):
        loose.append("core.loose", pa.table({"a": [1]}))


def test_times_are_utc_whatever_the_zone_they_came_in(warehouse):
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    seen = pa.array([noon.astimezone(timezone(timedelta(hours=5)))], pa.timestamp("us", tz="Asia/Karachi"))
    warehouse.append("core.readings", table({}).set_column(6, "seen", seen))
    assert warehouse.scalar("SELECT seen FROM core.readings") == datetime(2026, 1, 1, 12)
    assert warehouse.scalar("SELECT count(*) FROM core.readings WHERE seen = $now", {"now": noon}) == 1
    assert warehouse.scalar("SELECT now()::TIMESTAMP - $now", {"now": datetime.now(UTC)}) < timedelta(minutes=1)


def test_queries_take_named_and_positional_parameters(warehouse):
    warehouse.append("core.readings", table({"score": 1}, {"post": "b", "score": 2}))
    assert warehouse.query("SELECT post FROM core.readings WHERE score = ?", [2]).to_pylist() == [{"post": "b"}]
    assert (
        warehouse.scalar("SELECT sum(score) FROM core.readings WHERE post IN (SELECT unnest($p))", {"p": ["a", "b"]})
        == 3
    )
    assert warehouse.scalar("SELECT score FROM core.readings WHERE post = 'z'") is None


def test_a_name_in_sql_is_never_a_python_variable(warehouse):
    warehouse.append("core.readings", table({}))
    reading = table({})  # noqa: F841
    with pytest.raises(duckdb.CatalogException, match="reading"):
        warehouse.query("FROM reading")


def test_batches_leave_the_file_free(warehouse):
    warehouse.append("core.readings", table(*({"hour": hour} for hour in range(10))))
    sizes = []
    for batch in warehouse.batches("SELECT hour FROM core.readings ORDER BY hour", size=4):
        sizes.append(batch.num_rows)
        warehouse.merge("core.readings", table({"hour": 100 + len(sizes)}))
    assert sizes == [4, 4, 2]
    assert list(warehouse.batches("FROM core.readings WHERE false", size=4)) == []


def test_execute_says_how_many_rows_it_changed(warehouse):
    with warehouse.write() as writer:
        assert writer.append("core.readings", table({}, {"hour": 1})) == 2
        assert writer.execute("UPDATE core.readings SET score = ? WHERE hour = 1", [4]) == 1
        assert writer.execute("DELETE FROM core.readings") == 2
        assert writer.execute("SELECT 1") == 0


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_failing_block_leaves_no_row_and_no_lock(warehouse, failure):
    warehouse.append("core.readings", table({}))
    with pytest.raises(failure), warehouse.write() as writer:  # noqa: PT012
        writer.append("core.readings", table({"hour": 1}))
        writer.execute("DELETE FROM core.readings WHERE hour = 0")
        raise failure
    assert warehouse.query("SELECT hour FROM core.readings").to_pylist() == [{"hour": 0}]
    with duckdb.connect(warehouse.live) as conn:
        assert conn.execute("SELECT count(*) FROM core.readings").fetchone() == (1,)


def test_failing_sql_rolls_the_whole_block_back(warehouse):
    warehouse.append("core.readings", table({}))
    with pytest.raises(duckdb.Error), warehouse.write() as writer:  # noqa: PT012
        writer.append("core.readings", table({"hour": 1}))
        writer.execute("INSERT INTO core.readings (post) VALUES ('x')")
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1


def test_a_block_that_would_wait_for_itself_is_told_so(warehouse):
    with warehouse.write():
        for call in (
            lambda: warehouse.scalar("SELECT 1"),
            lambda: warehouse.append("core.readings", table({})),
            warehouse.publish,
        ):
            with pytest.raises(WarehouseError, match=r"already open in this thread \(write\)"):
                call()
    with warehouse.read() as reader:
        assert warehouse.scalar("SELECT 1") == reader.scalar("SELECT 1")
        with pytest.raises(WarehouseError, match=r"already open in this thread \(read\)"):
            warehouse.publish()
    assert warehouse.append("core.readings", table({})) == 1


def test_threads_of_one_process_take_turns(warehouse, schema_folder):
    home = warehouse.published.parent

    def work(number: int) -> None:
        mine = Warehouse(home, source="reddit", lock_timeout=60, schema=load_schema(schema_folder))
        for hour in range(4):
            mine.append("core.readings", table({"post": "same", "hour": hour}, {"post": str(number), "hour": hour}))
            mine.scalar("SELECT count(*) FROM core.readings")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = warehouse.query("SELECT post, count(*) AS n FROM core.readings GROUP BY post ORDER BY post").to_pylist()
    assert [(row["post"], row["n"]) for row in counts] == [("0", 4), ("1", 4), ("2", 4), ("same", 4)]


def test_reading_what_does_not_exist_says_what_to_run(warehouse):
    for call in (lambda: warehouse.query("SELECT 1"), warehouse.publish):
        with pytest.raises(WarehouseError, match="redpop materialize"):
            call()
    assert not warehouse.live.exists()


def test_one_warehouse_takes_one_source(warehouse, schema_folder):
    home = warehouse.published.parent
    other = Warehouse(home, source="sandbox", schema=load_schema(schema_folder))
    with pytest.raises(RuntimeError, match="before the first commit"), warehouse.write():
        raise RuntimeError("before the first commit")
    assert warehouse.query("FROM raw.source").num_rows == 0
    warehouse.append("core.readings", table({}))
    assert warehouse.scalar("SELECT source FROM raw.source") == "reddit"
    since = warehouse.scalar("SELECT since FROM raw.source")
    warehouse.append("core.readings", table({"hour": 1}))
    assert warehouse.scalar("SELECT since FROM raw.source") == since
    for call in (
        lambda: other.append("core.readings", table({"hour": 2})),
        lambda: other.scalar("SELECT 1"),
        other.publish,
    ):
        with pytest.raises(WarehouseError, match=r"was filled by reddit.*REDPOP_SOURCE=reddit"):
            call()


def test_a_foreign_file_is_refused(warehouse):
    warehouse.live.parent.mkdir(parents=True)
    with duckdb.connect(warehouse.live) as conn:
        conn.execute("CREATE TABLE mine (a INTEGER)")
    with pytest.raises(WarehouseError, match="no warehouse of RedPop"), warehouse.write():
        pass
    warehouse.live.write_bytes(b"not a database at all, but long enough to be one" * 1000)
    with pytest.raises(WarehouseError, match="cannot be opened"):
        warehouse.scalar("SELECT 1")


def changed(folder: Path, target: Path, name: str, old: str, new: str) -> Path:
    for path in folder.rglob("*.sql"):
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    file = target / f"{name}.sql"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return target


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("score INTEGER,", "score BIGINT,", "score is INTEGER in the file and BIGINT in the SQL"),
        ("score INTEGER,", "score INTEGER NOT NULL,", "score is INTEGER in the file and INTEGER NOT NULL in the SQL"),
        ("    ratio FLOAT,\n", "", "ratio is FLOAT in the file and missing in the SQL"),
        (
            "score INTEGER,",
            "score INTEGER, flair VARCHAR NOT NULL,",
            "flair is missing in the file and VARCHAR NOT NULL",
        ),
        ("score", "points", "score is INTEGER in the file and missing in the SQL"),
    ],
)
def test_a_table_with_other_columns_than_its_file_is_named(warehouse, schema_folder, tmp_path, old, new, message):
    warehouse.append("core.readings", table({}))
    before = warehouse.live.read_bytes()
    schema = load_schema(changed(schema_folder, tmp_path / "schema", "core/readings", old, new))
    newer = Warehouse(warehouse.published.parent, source="reddit", schema=schema)
    for call in (lambda: newer.scalar("SELECT 1"), lambda: newer.write().__enter__(), newer.publish):
        with pytest.raises(WarehouseError, match=rf"core\.readings .*{message}.*add the migration"):
            call()
    assert warehouse.live.read_bytes() == before
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1


@pytest.mark.parametrize("first", ["read", "write"])
def test_a_new_column_that_may_be_null_is_added(warehouse, schema_folder, tmp_path, first):
    warehouse.append("core.readings", table({}))
    folder = changed(
        schema_folder, tmp_path / "schema", "core/readings", "score INTEGER,", "score INTEGER, flair VARCHAR,"
    )
    file = folder / "core" / "readings.sql"
    file.write_text(file.read_text() + "COMMENT ON COLUMN core.readings.flair IS 'New.';")
    newer = Warehouse(warehouse.published.parent, source="reddit", schema=load_schema(folder))
    if first == "write":
        with newer.write():
            pass
    assert newer.query("SELECT post, flair FROM core.readings").to_pylist() == [{"post": "a", "flair": None}]
    comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'readings' AND column_name = 'flair'"
    assert newer.scalar(comment) == "New."


@pytest.mark.parametrize("first", ["read", "write"])
def test_changed_comments_and_views_are_applied_once(warehouse, schema_folder, tmp_path, first):
    warehouse.append("core.readings", table({"hour": 5}))
    folder = changed(schema_folder, tmp_path / "schema", "marts/latest", "max(hour) AS hour", "min(hour) AS first_hour")
    changed(folder, folder, "core/readings", "A score.", "The score.")
    (folder / "marts" / "all.sql").write_text("CREATE OR REPLACE VIEW marts.all AS FROM marts.latest")
    newer = Warehouse(warehouse.published.parent, source="reddit", schema=load_schema(folder))
    if first == "write":
        with newer.write():
            pass
    comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'readings' AND column_name = 'score'"
    assert newer.scalar(comment) == "The score."
    assert newer.query("FROM marts.all").to_pylist() == [{"post": "a", "first_hour": 5}]
    content = newer.live.read_bytes()
    newer.scalar("SELECT 1")
    with newer.write():
        pass
    assert newer.live.read_bytes() == content
    # Whoever still runs the older definitions gets them back: a view that is gone from the files is gone here too.
    assert warehouse.query("SELECT hour FROM marts.latest").to_pylist() == [{"hour": 5}]
    assert warehouse.scalar("SELECT count(*) FROM duckdb_views() WHERE view_name = 'all'") == 0


def test_a_new_table_appears_in_an_old_file(warehouse, schema_folder, tmp_path):
    warehouse.append("core.readings", table({}))
    folder = changed(schema_folder, tmp_path / "schema", "core/readings", "A score.", "A score.")
    (folder / "core" / "extra.sql").write_text("CREATE TABLE IF NOT EXISTS core.extra (a INTEGER)")
    newer = Warehouse(warehouse.published.parent, source="reddit", schema=load_schema(folder))
    assert newer.scalar("SELECT count(*) FROM core.extra") == 0
    assert newer.scalar("SELECT count(*) FROM core.readings") == 1


def test_the_real_schema_can_be_created_and_read(tmp_path):
    real = Warehouse(tmp_path, source="reddit")
    with real.write():
        pass
    for name in real.schema:
        assert real.fingerprint(name) == "0-0" or name == "raw.source"
    assert [path.name for path in real.live.parent.iterdir()] == ["redpop.duckdb"]


def test_what_spills_to_disk_is_cleaned_up(warehouse):
    warehouse.append("core.readings", table({}))
    stale = warehouse.live.parent / "spill-1"
    stale.mkdir()
    (stale / "duckdb_temp_storage-0.tmp").write_bytes(b"left by a killed process")
    with warehouse.write() as writer:
        assert not stale.exists()
        writer.execute("SET memory_limit = '24MB'; SET threads = 1")
        assert (
            writer.scalar("SELECT count(*) FROM (SELECT hash(i) AS h FROM range(3_000_000) r(i) ORDER BY h)")
            == 3_000_000
        )
        writer.execute("CREATE TEMP TABLE big AS SELECT hash(i) AS h, hash(i + 1) AS g FROM range(3_000_000) r(i)")
        assert list(warehouse.live.parent.glob("spill-*")), "this query was meant not to fit into memory"
    assert [path.name for path in warehouse.live.parent.iterdir()] == ["redpop.duckdb"]


def test_vectors_are_stored_as_they_are(empty_warehouse):
    """DuckDB would try to compress them at every write, which takes longer than it saves."""
    numbers = np.random.default_rng(1).normal(size=(2_000, 64)).astype(np.float32)
    rows = {name: ["x"] * len(numbers) for name in ("encoder", "code_version")}
    rows |= {"caption_sha256": [str(number) for number in range(len(numbers))], "embedding": list(numbers)}
    with empty_warehouse.write() as writer:
        writer.append("features.caption_embeddings", pa.table(rows))
    stored = empty_warehouse.query(
        "SELECT DISTINCT compression FROM pragma_storage_info('features.caption_embeddings') "
        "WHERE column_name = 'embedding' AND segment_type = 'FLOAT'"
    )
    assert stored.column("compression").to_pylist() == ["Uncompressed"]
