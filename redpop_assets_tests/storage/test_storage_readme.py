from redpop_assets.storage.readme import COMMAND, main, render
from redpop_assets.storage.schema import load_schema, warehouse_folder


def test_the_page_on_disk_is_current():
    folder = warehouse_folder()
    page = folder / "README.md"
    assert page.is_file(), f"write it: {COMMAND}"
    assert page.read_text(encoding="utf-8") == render(load_schema(), folder / "queries"), f"it is stale, run: {COMMAND}"


def test_the_page_names_every_table_column_and_query():
    folder = warehouse_folder()
    schema = load_schema()
    page = render(schema, folder / "queries")
    for table in schema.values():
        section = page.split(f"### {table.name}\n")[1].split("\n### ")[0]
        for column in table.columns:
            assert f"| `{column.name}` | {column.type}" in section
            assert column.description.replace("|", "\\|") in section
    for query in (folder / "queries").glob("*.sql"):
        assert f"(queries/{query.name})" in page


def test_queries_are_introduced_by_their_leading_comment(schema_folder, tmp_path):
    (tmp_path / "best_hour.sql").write_text("-- Which hour\n-- is | best?\nSELECT 1 -- not this\n")
    (tmp_path / "silent.sql").write_text("SELECT 1")
    page = render(load_schema(schema_folder), tmp_path)
    assert "| [`best_hour.sql`](queries/best_hour.sql) | Which hour is \\| best? |\n" in page
    assert "| [`silent.sql`](queries/silent.sql) |  |\n" in page
    assert "### marts.latest\n\nA view. The last reading of each post. One row per `post`.\n" in page
    assert "| `post` | VARCHAR NOT NULL |" in page


def test_the_command_writes_the_page_beside_the_definitions(tmp_path, monkeypatch):
    monkeypatch.setattr("redpop_assets.storage.readme.warehouse_folder", lambda: tmp_path)
    main()
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == render(load_schema(), tmp_path / "queries")
