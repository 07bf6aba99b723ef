"""Tables, numbers and pictures as Markdown."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.markdown import interval, number, picture, table
from redpop_assets.shown import visible


def test_a_table_has_a_head_a_rule_and_its_rows():
    assert table(("a", "b"), [(1, "x"), (None, 2.5)]) == "| a | b |\n|---|---|\n| 1 | x |\n|  | 2.5 |"
    assert table(("a",), []) == "| a |\n|---|"


TEXT = st.text(st.characters(exclude_characters="\\"))  # a bar that is escaped already is the caller's Markdown


@given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_whatever_stands_in_a_cell_stays_in_it(rows):
    lines = table(("a", "b"), rows).split("\n")
    assert len(lines) == 2 + len(rows)
    for line, cells in zip(lines[2:], rows, strict=True):
        assert len(line.splitlines()) == 1
        found = re.split(r"(?<!\\)\|", line)
        assert [cell.strip().replace("\\|", "|") for cell in found] == [
            *("", *(visible(cell).strip() for cell in cells), "")
        ]


def test_a_row_of_another_width_is_refused():
    with pytest.raises(ValueError, match="3 cells, the table 2 columns"):
        table(("a", "b"), [(1, 2), (1, 2, 3)])


def test_numbers_and_intervals_and_what_is_not_defined():
    assert (number(0.126), number(1.0, "+.1f"), number(0.5, ".0%"), number(None)) == ("0.13", "+1.0", "50%", "–")
    assert interval(0.41, 0.3, 0.516) == "0.41 [0.30, 0.52]"
    assert interval(0.41, 0.3, 0.516, "+.1f") == "+0.4 [+0.3, +0.5]"
    assert interval(0.41, None, None) == "0.41"
    assert interval(0.41, 0.3, None) == "0.41 [0.30, –]"
    assert interval(None, None, None) == "–"


def test_a_picture_is_carried_by_the_text_itself():
    text = picture(b"\x89PNG bytes", "what [drifted]")
    head, data = text.removesuffix(")").split("base64,")
    assert head == "![what (drifted)](data:image/png;"
    assert base64.b64decode(data) == b"\x89PNG bytes"
