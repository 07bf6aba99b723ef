from redpop_assets.storage.catalogue_page import COMMAND, feature_tables, main, page, render
from redpop_assets.storage.facts import Missing, Placeholder
from redpop_assets.storage.schema import Column, Schema, Table, load_schema


def test_the_page_on_disk_is_current():
    assert page().is_file(), f"write it: {COMMAND}"
    assert page().read_text(encoding="utf-8") == render(load_schema()), f"it is stale, run: {COMMAND}"


def test_the_page_names_every_feature_with_when_it_is_known():
    schema = load_schema()
    text = render(schema)
    tables = feature_tables(schema)
    assert {table.name for table in tables} >= {"features.image_features", "features.timestamp_features"}
    assert "features.profiles" not in text
    for each in tables:
        section = text.split(f"## {each.name}\n")[1].split("\n## ")[0]
        assert each.description in section
        for feature in each.columns:
            description = feature.description.replace("|", "\\|")
            type_ = feature.type if feature.nullable or each.is_view else f"{feature.type} NOT NULL"
            row = f"| `{feature.name}` | {type_} | {description} | {feature.known_at} |"
            assert (row in section) == feature.is_feature


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    for block in render(load_schema()).split("\n\n"):
        lines = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, lines[0]


def test_facts_are_columns_where_there_are_any():
    plain = Column("a", "FLOAT", False, "A number | of sorts.", "before_post")
    told = Column(
        "b", "FLOAT[2]", True, "B.", "at_post", "days", "Tamura 1978", Missing("a", 0.0), Placeholder(365.0, "never")
    )

    def page(*columns):
        return render(Schema((Table("features.t", "features", columns, ("a",), "What it is.", False, ""),)))

    assert "1 tables, 2 columns" in page(plain, told)
    assert "## features.t\n\nWhat it is. One row per `a`.\n" in page(plain)
    assert "| column | type | description | known |\n|---|---|---|---|\n" in page(plain)
    assert "| `a` | FLOAT NOT NULL | A number \\| of sorts. | before_post |\n" in page(plain)
    both = page(plain, told)
    assert "| column | type | description | known | unit | no value | source |\n" in both
    assert "| `a` | FLOAT NOT NULL | A number \\| of sorts. | before_post |  |  |  |\n" in both
    assert "| `b` | FLOAT[2] | B. | at_post | days | `a` = 0; 365: never | Tamura 1978 |\n" in both


def test_the_command_writes_the_page(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("redpop_assets.storage.catalogue_page.warehouse_folder", lambda: tmp_path / "warehouse")
    main()
    assert page().read_text(encoding="utf-8") == render(load_schema())
