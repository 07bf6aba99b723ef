"""The rows of a warehouse go to another one, and arrive, whatever happens on the way."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.storage import moving_rows
from redpop_assets.storage.moving_rows import move_rows
from redpop_assets.storage.schema import Schema, load_schema
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage.forms import both_forms


def readings(count: int, score: int = 1) -> pa.Table:
    return pa.table(
        {
            "post": [f"p{n % 7}" for n in range(count)],
            "hour": pa.array(range(count), pa.int32()),
            "score": pa.array([None if n % 5 == 0 else score for n in range(count)], pa.int32()),
            "ratio": pa.array([n / 3 for n in range(count)], pa.float32()),
            "vector": pa.array([[float(n), 2.0] for n in range(count)], pa.list_(pa.float32())),
            "json": [f'{{"n": {n}}}' for n in range(count)],
            "seen": pa.array([datetime(2026, 1, 1)] * count, pa.timestamp("us")),
        }
    )


@pytest.fixture
def target(tmp_path: Path, schema_folder: Path) -> Warehouse:
    return Warehouse(tmp_path / "target", source="reddit", lock_timeout=60, schema=load_schema(schema_folder))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "target" / moving_rows.MARK


def rows_of(warehouse: Warehouse) -> list[list[dict[str, object]]]:
    return [warehouse.query(f"FROM {table} ORDER BY ALL").to_pylist() for table in ("core.readings", "raw.source")]


@both_forms
def test_every_row_arrives_in_pieces_and_is_published(warehouse, target, mark, monkeypatch):
    monkeypatch.setattr(moving_rows, "_MOST_ROWS", 30)
    warehouse.append("core.readings", readings(100))
    with warehouse.write() as writer:
        writer.execute("DELETE FROM core.readings WHERE hour BETWEEN 20 AND 70")
    warehouse.append("core.readings", readings(103).slice(100))
    before = rows_of(warehouse)
    told = []
    moved = move_rows(warehouse, target, mark, told.append)
    assert [(table.name, table.rows) for table in moved] == [("raw.source", 1), ("core.readings", 52)]
    assert told == moved
    assert rows_of(target) == before == rows_of(warehouse)  # the source keeps its rows, and when it began
    assert target.published.exists()
    assert not mark.exists()


def test_rows_that_are_large_go_in_small_pieces(warehouse, monkeypatch):
    warehouse.append("core.readings", readings(100))
    monkeypatch.setattr(moving_rows, "_BYTES", 1000)
    pieces = [piece.num_rows for piece in moving_rows._pieces(warehouse, warehouse.schema["core.readings"])]
    assert sum(pieces) == 100
    assert max(pieces) < 40


def test_the_order_of_columns_means_nothing(warehouse, tmp_path, mark):
    """Columns that came with a migration stand at the end of older homes."""
    warehouse.append("core.readings", readings(10))
    other = load_schema_with(warehouse.schema, "score INTEGER,\n    ratio FLOAT,", "ratio FLOAT,\n    score INTEGER,")
    target = Warehouse(tmp_path / "target", source="reddit", lock_timeout=60, schema=other)
    move_rows(warehouse, target, mark)
    columns = "post, hour, score, ratio, vector"
    assert target.query(f"SELECT {columns} FROM core.readings ORDER BY hour") == warehouse.query(
        f"SELECT {columns} FROM core.readings ORDER BY hour"
    )


def load_schema_with(schema: Schema, old: str, new: str) -> Schema:
    """A schema whose readings are defined otherwise."""
    tables = []
    for table in schema.values():
        if old in table.ddl:
            names = {column.name: column for column in table.columns}
            order = ("post", "hour", "ratio", "score", "vector", "json", "seen")
            table = replace(table, ddl=table.ddl.replace(old, new), columns=tuple(names[name] for name in order))
        tables.append(table)
    return Schema(tuple(tables))


def test_a_move_that_was_stopped_goes_on_and_doubles_nothing(warehouse, target, mark, monkeypatch):
    monkeypatch.setattr(moving_rows, "_MOST_ROWS", 30)
    warehouse.append("core.readings", readings(100))
    merge = target.merge

    def stopped(table: str, rows: pa.Table) -> object:
        if table == "core.readings" and target.scalar("SELECT count(*) FROM core.readings") == 60:
            raise KeyboardInterrupt
        return merge(table, rows)

    monkeypatch.setattr(target, "merge", stopped)
    with pytest.raises(KeyboardInterrupt):
        move_rows(warehouse, target, mark)
    assert target.scalar("SELECT count(*) FROM core.readings") == 60
    assert mark.exists()
    monkeypatch.setattr(target, "merge", merge)
    with warehouse.write() as writer:  # what has gone since is not kept at the target
        writer.execute("DELETE FROM core.readings WHERE hour < 10")
    moved = move_rows(warehouse, target, mark)
    assert [table.kept for table in moved] == [True, False]
    assert rows_of(target) == rows_of(warehouse)


def test_a_place_that_has_rows_is_refused(warehouse, target, mark):
    warehouse.append("core.readings", readings(3))
    target.append("core.readings", readings(1, score=9))
    with pytest.raises(WarehouseError, match=r"has rows already \(core\.readings\).*name an empty place"):
        move_rows(warehouse, target, mark)
    mark.write_text('{"from": "/somewhere/else"}', encoding="utf-8")
    with pytest.raises(WarehouseError, match="has rows already"):
        move_rows(warehouse, target, mark)
    assert target.scalar("SELECT score FROM core.readings WHERE hour = 0") is None
    assert target.scalar("SELECT count(*) FROM core.readings") == 1


def test_what_is_written_meanwhile_is_noticed_and_the_next_move_brings_it(warehouse, target, mark):
    warehouse.append("core.readings", readings(3))

    def write(table: moving_rows.MovedTable) -> None:
        if table.name == "core.readings":
            warehouse.append("core.readings", readings(5))

    with pytest.raises(WarehouseError, match=r"Not the same at both places: core\.readings"):
        move_rows(warehouse, target, mark, write)
    assert not target.published.exists()
    move_rows(warehouse, target, mark)
    assert rows_of(target) == rows_of(warehouse)
