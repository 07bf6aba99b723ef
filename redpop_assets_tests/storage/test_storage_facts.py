import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.facts import Missing, Placeholder
from redpop_assets.storage.schema import Column, load_schema


def load(folder, layer="features", of_table="", **comments):
    """A table of this layer with a key `a` and the numbers `b` and `c`, with these comments."""
    comments = {"b": "B. | known_at: at_post", "c": "C. | known_at: at_post", **comments}
    ddl = [f"CREATE TABLE {layer}.t (a VARCHAR NOT NULL, b FLOAT NOT NULL, c FLOAT, v FLOAT[3]);"]
    ddl.append(f"COMMENT ON TABLE {layer}.t IS '{of_table}';")
    ddl += [f"COMMENT ON COLUMN {layer}.t.{name} IS '{comment}';" for name, comment in comments.items()]
    ddl.append("" if "v" in comments else f"COMMENT ON COLUMN {layer}.t.v IS 'V. | known_at: after_post';")
    path = folder / layer / "t.sql"
    path.parent.mkdir()
    path.write_text("\n".join(ddl), encoding="utf-8")
    return load_schema(folder)[f"{layer}.t"]


def test_the_tail_of_a_comment_is_facts_and_the_rest_is_words(tmp_path):
    table = load(
        tmp_path,
        of_table="One''s own; key: not this, known_at=never. | key: a | source: Tamura 1978; SKAPP, AAAI 2025",
        b="Days (in hours; 0 where c is 1). | known_at: before_post | unit: days | missing: c = 0"
        " | placeholder: 365 = never",
        c="C: a number. | known_at: at_post | unit: -1 to 1.5 | source: Ojala et al. 2002a, section 3",
    )
    assert (table.description, table.key) == ("One's own; key: not this, known_at=never.", ("a",))
    assert table.source == "Tamura 1978; SKAPP, AAAI 2025"
    assert table.columns[1:3] == (
        Column(
            "b",
            "FLOAT",
            False,
            "Days (in hours; 0 where c is 1).",
            known_at="before_post",
            unit="days",
            source="Tamura 1978; SKAPP, AAAI 2025",
            missing=Missing("c", 0.0),
            placeholder=Placeholder(365.0, "never"),
        ),
        Column(
            "c",
            "FLOAT",
            True,
            "C: a number.",
            known_at="at_post",
            unit="-1 to 1.5",
            source="Ojala et al. 2002a, section 3",
        ),
    )
    assert [column.name for column in table.features] == ["b", "c", "v"]


def test_numbers_outside_of_the_features_are_no_features(tmp_path):
    table = load(tmp_path, "core", b="B.", c="C.", v="V.")
    assert table.features == ()
    assert table.key == ()


@pytest.mark.parametrize(
    ("comments", "message"),
    [
        ({"of_table": "T. | key: z"}, "key column z is missing or may be NULL"),
        ({"of_table": "T. | key: a, c"}, "key column c is missing or may be NULL"),
        ({"of_table": "T. | key: (a)"}, "comment of the table has key: .a.; write the columns as in"),
        ({"of_table": "T. | known_at: at_post"}, "comment of the table has an unknown fact 'known_at'"),
        (
            {"of_table": "T. | source: Tamura"},
            "comment of the table has source: Tamura; give each publication its year",
        ),
        ({"b": "B. | known_at: later"}, "comment of column b has known_at: later; write one of before_post, at_post"),
        ({"b": "B."}, "column b does not say when it is known; add '. known_at: '"),
        ({"b": "B. known_at=at_post"}, "column b does not say when it is known"),
        ({"v": "V."}, "column v does not say when it is known"),
        ({"b": "B. | known: at_post"}, "comment of column b has an unknown fact 'known'; there are known_at, unit"),
        ({"b": "B. | key: a"}, "comment of column b has an unknown fact 'key'"),
        ({"b": "B. | known_at: at_post | known_at: at_post"}, "comment of column b has the fact known_at twice"),
        ({"b": "B. | known_at:at_post"}, "column b has 'known_at:at_post' after a bar, which is no fact"),
        ({"b": "B. | known_at: "}, "column b has 'known_at: ' after a bar, which is no fact"),
        ({"b": "B | C. | known_at: at_post"}, "column b has 'C.' after a bar, which is no fact"),
        ({"b": "B. | known_at: at_post | unit: day"}, "column b has unit: day; write one of 0 or 1, count"),
        (
            {"b": "B. | known_at: at_post | source: Tamura 1978; Luo"},
            "column b has source: Tamura 1978; Luo; give each",
        ),
        ({"b": "B. | known_at: at_post | missing: c is 0"}, "column b has missing: c is 0; write 'flag = 0'"),
        ({"b": "B. | known_at: at_post | missing: c = 2"}, "column b has missing: c = 2; write 'flag = 0'"),
        ({"b": "B. | known_at: at_post | missing: z = 0"}, "column b is missing where z says so, which is no other"),
        ({"b": "B. | known_at: at_post | missing: b = 0"}, "column b is missing where b says so, which is no other"),
        ({"b": "B. | known_at: at_post | missing: v = 0"}, "column b is missing where v says so, which is no other"),
        ({"b": "B. | known_at: at_post | placeholder: never"}, "column b has placeholder: never; write a number"),
    ],
)
def test_what_cannot_be_right_is_refused_with_file_and_column(tmp_path, comments, message):
    with pytest.raises(WarehouseError, match=rf"warehouse/schema/features/t\.sql: .*{message}"):
        load(tmp_path, **comments)


def test_when_it_is_known_is_only_said_of_features(tmp_path):
    with pytest.raises(WarehouseError, match=r"core/t\.sql: column b has a known_at, but only tables of the layer"):
        load(tmp_path, "core", c="C.", v="V.")
