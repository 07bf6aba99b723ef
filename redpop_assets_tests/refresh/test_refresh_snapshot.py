"""What rows were made from: any part counts, and what changed is said in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.refresh.snapshot import Snapshot

PARTS = {"code": "2", "models": [("median", "ab"), ("trees", "cd")], "training set": "0123456789abcdef", "seed": 7}
VALUES = st.one_of(st.text(), st.integers(), st.lists(st.tuples(st.text(), st.text())))


def test_the_digest_is_the_one_that_existing_homes_have_stored():
    """Another formula would make everything again, everywhere."""
    assert Snapshot(PARTS).digest == "acf2d4f897c76980"


@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_equal_parts_have_one_digest_and_any_other_part_gives_another(parts, data):
    assert Snapshot(parts).digest == Snapshot(dict(parts)).digest
    name = data.draw(st.sampled_from(sorted(parts)))
    other = data.draw(VALUES.filter(lambda value: value != parts[name]))
    assert Snapshot({**parts, name: other}).digest != Snapshot(parts).digest


@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_what_changed_is_named_and_nothing_else(parts, data):
    changed = data.draw(st.sets(st.sampled_from(sorted(parts)), min_size=1))
    now = Snapshot({name: object() if name in changed else value for name, value in parts.items()})
    sentence = now.because(parts)
    listed = [name for name in parts if name in changed]
    assert sentence == (
        f"{', '.join(f'the {name}' for name in listed[:-1])}{' and ' if listed[:-1] else ''}the {listed[-1]} changed"
    )


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (None, "there is nothing yet"),
        ({**PARTS, "seed": 8}, "the seed changed"),
        ({**PARTS, "code": "1", "seed": 8}, "the code and the seed changed"),
        ({"training set": "of another day"}, "the training set changed"),
        ({"training set": PARTS["training set"]}, "the code, the models or the seed changed"),
        ({name: value for name, value in PARTS.items() if name != "seed"}, "the seed changed"),
    ],
)
def test_why_rows_are_made_again(stored, sentence):
    assert Snapshot(PARTS).because(stored) == sentence


def test_parts_can_be_kept_readable():
    assert Snapshot(PARTS).text("code", "seed", "training set") == "2-7-0123456789abcdef"
