import threading

import duckdb
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.schema import load_schema
from redpop_assets_tests.storage.forms import both_forms
from redpop_assets_tests.storage.readings import table

pytestmark = pytest.mark.integration


@both_forms
def test_batches_leave_the_file_free(warehouse):
    warehouse.append("core.readings", table(*({"hour": hour} for hour in range(10))))
    sizes = []
    for batch in warehouse.batches("SELECT hour FROM core.readings ORDER BY hour", size=4):
        sizes.append(batch.num_rows)
        warehouse.merge("core.readings", table({"hour": 100 + len(sizes)}))
    assert sizes == [4, 4, 2]
    assert list(warehouse.batches("FROM core.readings WHERE false", size=4)) == []


@both_forms
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_failing_block_leaves_no_row_and_no_lock(warehouse, failure):
    warehouse.append("core.readings", table({}))
    with pytest.raises(failure), warehouse.write() as writer:  # noqa: PT012
        writer.append("core.readings", table({"hour": 1}))
        writer.execute("DELETE FROM core.readings WHERE hour = 0")
        raise failure
    assert warehouse.query("SELECT hour FROM core.readings").to_pylist() == [{"hour": 0}]
    assert warehouse.append("core.readings", table({"hour": 2})) == 1


@both_forms
def test_failing_sql_rolls_the_whole_block_back(warehouse):
    warehouse.append("core.readings", table({}))
    with pytest.raises(duckdb.Error), warehouse.write() as writer:  # noqa: PT012
        writer.append("core.readings", table({"hour": 1}))
        writer.execute("INSERT INTO core.readings (post) VALUES ('x')")
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1


@both_forms
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


@both_forms
def test_threads_of_one_process_take_turns(warehouse, place, schema_folder):

    def work(number: int) -> None:
        mine = place.open(schema=load_schema(schema_folder))
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


@both_forms
def test_reading_what_does_not_exist_says_what_to_run(warehouse):
    for call in (lambda: warehouse.query("SELECT 1"), warehouse.publish):
        with pytest.raises(WarehouseError, match="redpop materialize"):
            call()
    assert not warehouse.exists()


@both_forms
def test_one_warehouse_takes_one_source(warehouse, place, schema_folder):
    other = place.open(source="sandbox", schema=load_schema(schema_folder))
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
    with pytest.raises(WarehouseError, match=r"cannot be opened.*Restore it.*put in its place a copy of "):
        warehouse.scalar("SELECT 1")


@both_forms
def test_memory_is_limited_and_what_cannot_do_with_it_says_what_to_set(place, schema_folder):
    warehouse = place.open(schema=load_schema(schema_folder), memory_mb=130)
    warehouse.append("core.readings", table({}))
    for with_it in (warehouse.read, warehouse.write):
        with with_it() as connected:
            assert connected.scalar("SELECT current_setting('memory_limit')") == "123.9 MiB"
    with pytest.raises(WarehouseError, match="needs more memory than REDPOP_WAREHOUSE_MEMORY_MB allows"):
        warehouse.query("SELECT list(hash(i)) FROM range(40_000_000) r(i)")
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1


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


def test_where_more_is_in_use_than_a_sparing_block_may_have_all_goes_on(monkeypatch):
    monkeypatch.setattr("redpop_assets.storage.rows.SPARING", 1_000_000)
    with duckdb.connect(":memory:", config={"memory_limit": "100MB", "temp_directory": ""}) as conn:
        conn.execute("CREATE TABLE numbers AS SELECT range AS number FROM range(3_000_000)")  # cannot go anywhere
        for name in ("one", "other"):
            with Reader(conn, {}).sparing():
                assert conn.execute("SELECT current_setting('memory_limit')").fetchone() == ("95.3 MiB",)
                conn.execute(f"CREATE TABLE {name} AS FROM numbers")


def test_a_sparing_block_never_has_more_than_the_deployment_gives():
    limit = "SELECT current_setting('memory_limit')"
    with duckdb.connect(":memory:", config={"memory_limit": "100MB"}) as conn, Reader(conn, {}).sparing():
        assert conn.execute(limit).fetchone() == ("95.3 MiB",)
    with duckdb.connect(":memory:", config={"memory_limit": "2GB"}) as conn:
        outer, inner = Reader(conn, {}).sparing(), Reader(conn.cursor(), {}).sparing()
        with outer:
            inner.__enter__()
            assert conn.execute(limit).fetchone() == ("183.1 MiB",)
        inner.__exit__(None, None, None)  # ends later, as in another thread
        assert conn.execute(limit).fetchone() == ("1.8 GiB",)
