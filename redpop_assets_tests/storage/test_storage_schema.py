from pathlib import Path

import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.storage import schema as module
from redpop_assets.storage.schema import LAYERS, Column, load_schema, warehouse_folder


def write(folder: Path, **files: str) -> Path:
    for name, ddl in files.items():
        path = folder / f"{name.replace('__', '/')}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ddl, encoding="utf-8")
    return folder


def test_every_table_of_the_platform_is_described():
    schema = load_schema()
    assert {table.layer for table in schema.values()} == set(LAYERS)
    for name, table in schema.items():
        assert name == table.name
        assert table.description, name
        assert table.key or table.is_view, f"{name} has no key"
        assert set(table.key) <= set(table.column_names)
        for column in table.columns:
            assert column.description, f"{name}.{column.name} has no comment"


# They describe networks, columns, and how far tables are made.
BOOKKEEPING = {f"features.{name}" for name in ("encoders", "profiles", "known_posts", "made_posts")}


def test_every_feature_says_when_it_was_knowable():
    tables = [table for table in load_schema().values() if table.layer == "features" and table.name not in BOOKKEEPING]
    assert tables
    assert [f"{t.name}.{c.name}" for t in tables for c in t.columns if c.known_at is None] == []


def test_tables_come_by_layer_and_views_last():
    tables = list(load_schema().values())
    assert sorted(tables, key=lambda table: table.is_view) == tables
    layers = [LAYERS.index(table.layer) for table in tables if not table.is_view]
    assert layers == sorted(layers)


def test_columns_carry_type_nullability_comment_and_known_at(tmp_path):
    ddl = """
    CREATE TABLE features.f (post_id VARCHAR NOT NULL, v FLOAT[3]);
    COMMENT ON TABLE features.f IS 'Vectors; one''s own. | key: post_id';
    COMMENT ON COLUMN features.f.v IS 'A vector. | known_at: at_post';
    """
    table = load_schema(write(tmp_path, features__f=ddl))["features.f"]
    assert table.columns == (
        Column("post_id", "VARCHAR", False, ""),
        Column("v", "FLOAT[3]", True, "A vector.", "at_post"),
    )
    assert (table.key, table.description, table.layer, table.is_view) == (
        ("post_id",),
        "Vectors; one's own.",
        "features",
        False,
    )
    assert table.ddl == ddl


def test_comments_are_read_in_whatever_form_they_are_written(tmp_path):
    ddl = """
    CREATE TABLE core.t (a INTEGER, b INTEGER, c INTEGER, d INTEGER);
    COMMENT ON COLUMN core.t.a IS 'It''s a; semicolon -- and no comment.';
    comment on column core.t.b is 'In small letters.';
    COMMENT ON COLUMN core.t."c" IS 'Of a quoted name.';
    COMMENT ON COLUMN core.t.d IS 'What stood here before.';
    -- The last one counts.
    COMMENT ON COLUMN core.t.d IS 'First line,
    second line.';
    """
    assert [column.description for column in load_schema(write(tmp_path, core__t=ddl))["core.t"].columns] == [
        "It's a; semicolon -- and no comment.",
        "In small letters.",
        "Of a quoted name.",
        "First line,\n    second line.",
    ]


def test_a_view_may_read_a_view_that_comes_later_in_the_alphabet(tmp_path):
    folder = write(
        tmp_path,
        core__t="CREATE TABLE core.t (a INTEGER)",
        marts__a="CREATE VIEW marts.a AS FROM marts.z",
        marts__z="CREATE VIEW marts.z AS FROM core.t",
    )
    assert list(load_schema(folder)) == ["core.t", "marts.z", "marts.a"]


@pytest.mark.parametrize(
    ("ddl", "message"),
    [
        ("CREATE TABLE core.t (a INTEGR)", r"core/t\.sql cannot be executed"),
        (
            "CREATE TABLE core.t (a INTEGER); COMMENT ON COLUMN core.t.b IS 'Not there.'",
            r"core/t\.sql: there is a comment on column b, but no such column",
        ),
        ("CREATE TABLE core.other (a INTEGER)", r"differ in core\.other, core\.t"),
        ("CREATE TABLE core.t (a INTEGER); CREATE TABLE core.u (a INTEGER)", r"differ in core\.u"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_with_its_name(tmp_path, ddl, message):
    with pytest.raises(WarehouseError, match=message):
        load_schema(write(tmp_path, core__t=ddl))


def test_definitions_are_found_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (warehouse_folder() / "schema" / "raw" / "source.sql").is_file()


def test_an_installed_package_carries_its_own_definitions(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "redpop_assets" / "storage" / "schema.py"))
    with pytest.raises(WarehouseError, match="Install RedPop again"):
        warehouse_folder()
    (tmp_path / "warehouse" / "schema").mkdir(parents=True)
    assert warehouse_folder() == tmp_path / "warehouse"
    (tmp_path / "redpop_assets" / "_warehouse" / "schema").mkdir(parents=True)
    assert warehouse_folder() == tmp_path / "redpop_assets" / "_warehouse"


def test_the_digest_is_of_the_definitions(tmp_path):
    one = load_schema(write(tmp_path / "1", core__t="CREATE TABLE core.t (a INTEGER)"))
    same = load_schema(write(tmp_path / "2", core__t="CREATE TABLE core.t (a INTEGER)"))
    other = load_schema(write(tmp_path / "3", core__t="CREATE TABLE core.t (a BIGINT)"))
    assert one.digest == same.digest != other.digest
