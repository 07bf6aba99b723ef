from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.storage.forms import both_forms
from redpop_assets_tests.storage.readings import table

pytestmark = pytest.mark.integration


def bytes_of(warehouse: Warehouse) -> bytes:
    """What the warehouse is, where it is a file."""
    return warehouse.live.read_bytes() if warehouse.live.exists() else b""


def changed(folder: Path, target: Path, name: str, old: str, new: str) -> Path:
    for path in folder.rglob("*.sql"):
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    file = target / f"{name}.sql"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return target


@both_forms
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
def test_a_table_with_other_columns_than_its_file_is_named(
    warehouse, place, schema_folder, tmp_path, old, new, message
):
    warehouse.append("core.readings", table({}))
    before = bytes_of(warehouse)
    schema = load_schema(changed(schema_folder, tmp_path / "schema", "core/readings", old, new))
    newer = place.open(schema=schema)
    for call in (lambda: newer.scalar("SELECT 1"), lambda: newer.write().__enter__(), newer.publish):
        with pytest.raises(WarehouseError, match=rf"core\.readings .*{message}.*add the migration"):
            call()
    assert bytes_of(warehouse) == before
    assert warehouse.scalar("SELECT count(*) FROM core.readings") == 1


@both_forms
@pytest.mark.parametrize("first", ["read", "write"])
def test_a_new_column_that_may_be_null_is_added(warehouse, place, schema_folder, tmp_path, first):
    warehouse.append("core.readings", table({}))
    folder = changed(
        schema_folder, tmp_path / "schema", "core/readings", "score INTEGER,", "score INTEGER, flair VARCHAR,"
    )
    file = folder / "core" / "readings.sql"
    file.write_text(file.read_text() + "COMMENT ON COLUMN core.readings.flair IS 'New.';")
    newer = place.open(schema=load_schema(folder))
    if first == "write":
        with newer.write():
            pass
    assert newer.query("SELECT post, flair FROM core.readings").to_pylist() == [{"post": "a", "flair": None}]
    comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'readings' AND column_name = 'flair'"
    assert newer.scalar(comment) == "New."


@both_forms
@pytest.mark.parametrize("first", ["read", "write"])
def test_changed_comments_and_views_are_applied_once(warehouse, place, schema_folder, tmp_path, first):
    warehouse.append("core.readings", table({"hour": 5}))
    folder = changed(schema_folder, tmp_path / "schema", "marts/latest", "max(hour) AS hour", "min(hour) AS first_hour")
    changed(folder, folder, "core/readings", "A score.", "The score.")
    (folder / "marts" / "all.sql").write_text("CREATE OR REPLACE VIEW marts.all AS FROM marts.latest")
    newer = place.open(schema=load_schema(folder))
    if first == "write":
        with newer.write():
            pass
    comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'readings' AND column_name = 'score'"
    assert newer.scalar(comment) == "The score."
    assert newer.query("FROM marts.all").to_pylist() == [{"post": "a", "first_hour": 5}]
    content = bytes_of(newer)
    newer.scalar("SELECT 1")
    with newer.write():
        pass
    assert bytes_of(newer) == content
    # Whoever still runs the older definitions gets them back: a view that is gone from the files is gone here too.
    assert warehouse.query("SELECT hour FROM marts.latest").to_pylist() == [{"hour": 5}]
    assert warehouse.scalar("SELECT count(*) FROM duckdb_views() WHERE view_name = 'all'") == 0


@both_forms
def test_a_new_table_appears_in_an_old_warehouse(warehouse, place, schema_folder, tmp_path):
    warehouse.append("core.readings", table({}))
    folder = changed(schema_folder, tmp_path / "schema", "core/readings", "A score.", "A score.")
    (folder / "core" / "extra.sql").write_text("CREATE TABLE IF NOT EXISTS core.extra (a INTEGER)")
    newer = place.open(schema=load_schema(folder))
    assert newer.scalar("SELECT count(*) FROM core.extra") == 0
    assert newer.scalar("SELECT count(*) FROM core.readings") == 1


def test_the_real_schema_can_be_created_and_read(tmp_path):
    real = Warehouse(tmp_path, source="reddit")
    with real.write():
        pass
    with real.read() as reader:
        for name in real.schema:
            assert reader.fingerprint(name) == "0-0" or name == "raw.source"
    assert [path.name for path in real.live.parent.iterdir()] == ["redpop.duckdb"]


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
