"""What a JSON says of the fate of its post, and that only what is beyond doubt counts as a deletion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.removals import DELETIONS, REMOVERS, REVERSIBLE, UNKNOWN, removal


@pytest.mark.parametrize("kind", sorted({*REMOVERS, "trademark_takedown", "a new one"}))
def test_history_is_no_state(kind):
    for history in (
        {"was_initially_deleted": True},
        {"was_initially_deleted": "true"},
        {"was_deleted_later": False},
        {},
    ):
        assert removal({"_meta": {**history, "removal_type": kind, "retrieved_2nd_on": 1_718_130_000}}) is None
    assert removal({"_meta": {"was_deleted_later": True, "removal_type": kind}}) == kind
    both = {"was_initially_deleted": True, "was_deleted_later": True, "removal_type": kind}
    assert removal({"_meta": both}) == kind


def test_the_second_reading_is_the_newer_one():
    first = {"removed_by_category": "deleted", "selftext": "[removed]", "is_robot_indexable": False, "created_utc": 1e9}
    assert removal(first | {"_meta": {"was_initially_deleted": True}}) is None
    assert removal(first | {"_meta": {"was_deleted_later": True, "removal_type": "moderator"}}) == "moderator"
    assert removal(first | {"_meta": {"was_deleted_later": True}}) == "deleted"


def test_gone_but_nobody_says_by_whom_is_no_deletion():
    assert removal({"_meta": {"was_deleted_later": True}}) == UNKNOWN
    assert UNKNOWN not in DELETIONS


@pytest.mark.parametrize("words", ["[deleted]", "[deleted by user]", "[ Removed by Reddit ]"])
def test_words_that_anybody_may_write_are_no_deletion(words):
    for place in ("title", "selftext"):
        assert removal({place: words, "author": "somebody"}) == UNKNOWN
        assert removal({place: words, "author": "[deleted]"}) in DELETIONS
        assert removal({place: f"{words} scenes", "author": "[deleted]"}) is None


def test_what_may_end_is_no_deletion():
    assert not {*REVERSIBLE, UNKNOWN, "not_indexable"} & {*DELETIONS}
    assert removal({"selftext": "[removed]", "author": "[deleted]"}) in REVERSIBLE


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
FIELDS = (
    "_meta",
    "removed_by_category",
    "removal_reason",
    "title",
    "selftext",
    "author",
    "is_robot_indexable",
    "created_utc",
)


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_fields_of_any_kind_are_judged(submission):
    assert isinstance(removal(submission), str | None)
