import pytest

from redpop_assets.storage.catalogue_page import (
    COMMAND,
    feature_tables,
    is_feature,
    main,
    page,
    render,
    source_of,
    unit_of,
)
from redpop_assets.storage.schema import Column, Table, load_schema


def column(description):
    return Column("c", "FLOAT", False, description, "before_post")


def table(description, *columns):
    return Table("features.t", "features", tuple(columns), ("post_id",), description, False, "")


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
            row = f"| `{feature.name}` | {feature.type} | {description} |"
            assert (row in section) == is_feature(feature)
            if is_feature(feature):
                assert f"| {feature.known_at} |" in section.split(row)[1].split("\n")[0]


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    for block in render(load_schema()).split("\n\n"):
        lines = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, lines[0]


@pytest.mark.parametrize(
    ("description", "unit"),
    [
        ("1 for a gallery.", "0 or 1"),
        ("1 if tagged with a size, such as [1968x1310].", "0 or 1"),
        ("Entropy of the grey levels (bits), 0 to 8.", "bits"),
        ("Days since the author's last post, at most 365.", "days"),
        ("ln(width / height).", "logarithm"),
        ("Number of images.", "count"),
        ("Places: countries and cities (GPE). Count.", "count"),
        ("Share of pixels from magenta-red to yellow.", "share"),
        ("Negative share (VADER, Hutto & Gilbert 2014).", "share"),
        ("Mean luma, 0 to 1.", "0 to 1"),
        ("Sentiment from -1 to 1 (VADER).", "-1 to 1"),
        ("Correlation, -1 to 1.", "-1 to 1"),
        ("Characters per word; 0 without words.", "per word"),
        ("Mean mature log score of the author.", "log score"),
        ("Width of the picture in pixels.", "pixels"),
        ("Numbers that stand alone; sizes in pixels apart.", None),
        ("Different authors; an unknown one counts once per post.", None),
        ("Dummies of the hour.", None),
    ],
)
def test_the_unit_is_what_the_comment_names(description, unit):
    assert unit_of(column(description)) == unit


@pytest.mark.parametrize(
    ("description", "source"),
    [
        ("Negative share (VADER, Hutto & Gilbert 2014).", "VADER, Hutto & Gilbert 2014"),
        ("M of Hasler & Süsstrunk 2003: 0 grey, 109 extreme.", "Hasler & Süsstrunk 2003"),
        ("Folded to the seven MUC classes (NER7 of Gelli et al. 2015).", "Gelli et al. 2015"),
        (
            "Readability (Coleman & Liau 1975), or that of Senter & Smith 1967.",
            "Coleman & Liau 1975; Senter & Smith 1967",
        ),
        ("Tamura 1978 and again Tamura 1978.", "Tamura 1978"),
        ("Scores since December 2016.", "Oliva & Torralba 2001"),
        ("Something of ours.", "Oliva & Torralba 2001"),
    ],
)
def test_the_source_is_what_the_comment_cites_or_else_that_of_the_table(description, source):
    assert source_of(column(description), table("The gist of a scene (Oliva & Torralba 2001).")) == source


def test_nothing_cited_is_no_source():
    assert source_of(column("Words."), table("How it is written.")) is None


def test_the_command_writes_the_page(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr("redpop_assets.storage.catalogue_page.warehouse_folder", lambda: tmp_path / "warehouse")
    main()
    assert page().read_text(encoding="utf-8") == render(load_schema())
