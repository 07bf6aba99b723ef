from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.rows import Merged, _arrow_types
from redpop_assets.storage.schema import load_schema
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.storage.forms import both_forms
from redpop_assets_tests.storage.readings import TYPES, table

pytestmark = [pytest.mark.integration, both_forms]


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


def test_an_unknown_table_and_a_table_without_key_are_named(warehouse, place, tmp_path, schema_folder):
    for call in (warehouse.merge, warehouse.append):
        with pytest.raises(WarehouseError, match=r"no table core\.nothing.*core\.readings"):
            call("core.nothing", table({}))
    (tmp_path / "core").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "core" / "loose.sql").write_text("CREATE TABLE IF NOT EXISTS core.loose (a INTEGER)")
    (tmp_path / "raw" / "source.sql").write_text((schema_folder / "raw" / "source.sql").read_text())
    loose = place.open(schema=load_schema(tmp_path))
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


def test_a_block_that_is_sparing_ends_with_the_memory_that_there_was(warehouse):
    limit = "SELECT current_setting('memory_limit')"
    warehouse.append("core.readings", table({}))
    with warehouse.read() as reader:
        usual = reader.scalar(limit)
        for _ in range(9):
            with reader.sparing():
                assert reader.scalar(limit) == "183.1 MiB" != usual  # 192 MB
        assert reader.scalar(limit) == usual
        with pytest.raises(WarehouseError), reader.sparing():
            reader.fingerprint("core.nothing")
        assert reader.scalar(limit) == usual


def test_rows_that_are_streamed_are_those_of_a_query_in_their_order(warehouse, monkeypatch):
    monkeypatch.setattr("redpop_assets.storage.rows._ROWS_STREAMED", 2_048)  # as many as DuckDB has in hand at least
    sql = "SELECT x, x * $factor AS y, name FROM range(5000) AS t(x) JOIN names USING (x) ORDER BY x"
    names = pa.table({"x": list(range(5000)), "name": [f"n{number}" for number in range(5000)]})
    with warehouse.write() as reader:
        whole = reader.query(sql, {"factor": 3}, names=names)
        batches = list(reader.streamed(sql, {"factor": 3}, names=names))
        (nothing,) = reader.streamed(f"{sql} LIMIT 0", {"factor": 3}, names=names)
    assert len(batches) > 1
    assert pa.Table.from_batches(batches).equals(whole)
    assert (nothing.num_rows, nothing.schema) == (0, whole.schema)


def test_a_name_in_sql_is_never_a_python_variable(warehouse):
    warehouse.append("core.readings", table({}))
    reading = table({})  # noqa: F841
    with pytest.raises(duckdb.CatalogException, match="reading"):
        warehouse.query("FROM reading")


def test_execute_says_how_many_rows_it_changed(warehouse):
    with warehouse.write() as writer:
        assert writer.append("core.readings", table({}, {"hour": 1})) == 2
        assert writer.execute("UPDATE core.readings SET score = ? WHERE hour = 1", [4]) == 1
        assert writer.execute("DELETE FROM core.readings") == 2
        assert writer.execute("SELECT 1") == 0


def test_the_fingerprint_of_content_follows_from_its_keys_and_needs_no_vectors(place):
    warehouse = place.open(source="test", lock_timeout=5)
    captions = ["a" * 64, "b" * 64]
    rows = {"caption_sha256": captions, "encoder": ["net"] * 2, "code_version": ["1", "1"]}
    vectors = pa.table({**rows, "embedding": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))})
    warehouse.merge("features.caption_embeddings", vectors)

    def after(change):
        with warehouse.write() as writer:
            assert writer.execute(f"UPDATE features.caption_embeddings SET {change}") == 2
            return writer.counted("features.caption_embeddings", "caption_sha256 < 'b'")

    first = after("embedding = [1.0]")
    assert first[:2] == (2, 1)
    assert first == after("embedding = [2.0]")
    assert first != after("code_version = '2'")
    assert first != after("code_version = '1', encoder = 'other'")
    assert first == after("encoder = 'net'")
    # Of posts every value counts: their rows are written anew when others change.
    of_posts = [table for table, known in warehouse.schema.items() if "post_id" in known.key and not known.is_view]
    assert of_posts
    assert not any("code_version" in warehouse.schema[table].key for table in of_posts)


def test_types_that_are_asked_for_once_are_those_of_each_table(warehouse, tmp_path):
    with blank_warehouse(tmp_path / "all").write() as of_all, warehouse.write() as of_form:
        for writer in (of_all, of_form):
            for name, definition in writer.schema.items():
                if not definition.is_view:
                    types = _arrow_types(writer._conn, [writer._stored_type(column) for column in definition.columns])
                    assert types == writer._conn.execute(f"FROM {name} LIMIT 0").to_arrow_table().schema.types, name
