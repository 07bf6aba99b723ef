"""An author's standing at the moment of a post: counted by hand, and never by what came later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.features.standing import COLUMNS, SHRINKAGE, author_standing

NAT = np.datetime64("NaT", "s")


def moments(*hours):
    return np.array([NAT if hour is None else np.datetime64(int(hour * 3600), "s") for hour in hours])


def column(found, name):
    return found[:, COLUMNS.index(name)]


def test_earlier_posts_and_removals_seen_by_then_count():
    authors = ("a", "a", "a", "b", None)
    created = moments(100, 110, 120, 121, 122)
    seen = moments(105, 130, None, None, None)
    found = author_standing(authors, created, seen, np.arange(5))
    assert column(found, "is_first_post")[:4].tolist() == [1, 0, 0, 1]
    assert np.expm1(column(found, "log_past_posts"))[:4] == pytest.approx([0, 1, 2, 0])
    # The second post was removed, but nobody had seen it when the third was made.
    assert np.expm1(column(found, "log_past_removed"))[:4] == pytest.approx([0, 1, 1, 0])
    assert np.expm1(column(found, "log_hours_since_first"))[1:3] == pytest.approx([10, 20])
    assert np.expm1(column(found, "log_hours_since_last"))[1:3] == pytest.approx([10, 10])
    assert np.isnan(found[4]).all()
    usual = (1 + 0.5) / (2 + 10)
    assert column(found, "past_removed_share")[2] == pytest.approx((1 + SHRINKAGE * usual) / (2 + SHRINKAGE))


def test_a_post_does_not_see_others_of_its_second():
    found = author_standing(("a", "a"), moments(5, 5), moments(None, None), np.arange(2))
    assert column(found, "is_first_post").tolist() == [1, 1]


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one entry per post"):
        author_standing(("a",), moments(1, 2), moments(None, None), np.arange(1))


POSTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 40), st.none() | st.integers(0, 20)), max_size=12
)


@given(POSTS, POSTS, st.integers(0, 40))
def test_what_comes_later_changes_no_bit(before, after, now):
    before = [(author, min(made, now), delay) for author, made, delay in before]
    after = [(author, now + made, delay) for author, made, delay in after]

    def described(posts):
        created = moments(*(made for _, made, _ in posts))
        seen = moments(*(None if delay is None else made + delay for _, made, delay in posts))
        return author_standing([author for author, _, _ in posts], created, seen, np.arange(len(before)))

    def forgetful(posts):
        """Without the removals that were seen from now on."""
        return [(a, made, None if delay is None or made + delay >= now else delay) for a, made, delay in posts]

    assert described(before).tobytes() == described(forgetful(before) + after).tobytes()
