"""What rows were made from: any part counts, rows keep it in columns, and what changed is said in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.refresh.snapshot import ALL, Snapshot

pytestmark = pytest.mark.integration

PARTS = {"code": "2", "models": [("median", "ab"), ("trees", "cd")], "training set": "0123456789abcdef", "seed": 7}
VALUES = st.one_of(st.text(max_size=3), st.integers(0, 9), st.lists(st.tuples(st.text(max_size=2)), max_size=2))
NAMED = st.dictionaries(st.sampled_from("abcdef"), VALUES, min_size=1)


@st.composite
def changes(draw):
    """Parts, some of their names, and the parts with other values of these."""
    parts = draw(NAMED)
    changed = draw(st.sets(st.sampled_from(sorted(parts)), min_size=1))
    others = {name: draw(VALUES.filter(lambda value, old=parts[name]: value != old)) for name in sorted(changed)}
    return parts, changed, {**parts, **others}


def test_the_digest_is_the_one_that_existing_homes_have_stored():
    """Another formula would judge every champion again."""
    assert Snapshot(PARTS, {"inputs": ALL}).columns == {"inputs": "acf2d4f897c76980"}


@given(changes())
def test_equal_parts_are_current_and_any_other_part_is_not(found):
    parts, _, others = found
    each = {f"column {number}": name for number, name in enumerate(parts)}
    for kept in ({"inputs": ALL}, each, {**each, "inputs": ALL}):
        row = Snapshot(parts, kept).columns
        assert Snapshot(dict(parts), kept).is_of({**row, "another column": 1})
        assert not Snapshot(others, kept).is_of(row)


@given(changes())
def test_the_parts_that_changed_are_named_and_no_others(found):
    parts, changed, others = found
    kept = {f"column {number}": name for number, name in enumerate(parts)}
    names = [f"the {name}" for name in parts if name in changed]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    assert Snapshot(others, kept).because(Snapshot(parts, kept).columns) == f"{listed} changed"


TOGETHER = {"snapshot": "training set", "inputs": ALL}
READABLE = {"snapshot": "training set", "version": ("code", "seed"), "models": "models"}


@pytest.mark.parametrize(
    ("kept", "before", "sentence"),
    [
        (READABLE, {"training set": "of another day"}, "the training set changed"),
        (READABLE, {"seed": 8}, "the code or the seed changed"),
        (READABLE, {"seed": 8, "models": []}, "the models changed"),
        (TOGETHER, {"training set": "of another day", "models": []}, "the training set changed"),
        (TOGETHER, {"models": []}, "the code, the models or the seed changed"),
    ],
)
def test_why_rows_are_made_again(kept, before, sentence):
    row = Snapshot({**PARTS, **before}, kept).columns
    assert not Snapshot(PARTS, kept).is_of(row)
    assert Snapshot(PARTS, kept).because(row) == sentence


def test_where_there_is_no_row_there_is_none_yet():
    assert Snapshot(PARTS, TOGETHER).because(None) == "there is none yet"


def test_parts_can_be_kept_readable_in_one_column():
    assert Snapshot(PARTS, READABLE).columns == {
        "snapshot": "0123456789abcdef",
        "version": "2-7",
        "models": PARTS["models"],
    }
