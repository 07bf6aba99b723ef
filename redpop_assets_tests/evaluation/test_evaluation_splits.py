import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.splits import (
    PARTS,
    connected_components,
    digest,
    grouped_split,
    one_author_split,
    one_per_author_split,
    time_split,
)

DAY = 86_400


def seconds(values) -> np.ndarray:
    return np.asarray(values, dtype=np.int64).astype("datetime64[s]")


def split_of(days, age_days, groups=None, **settings):
    created = np.asarray(days) * DAY
    return time_split(seconds(created), seconds(created + age_days * DAY), groups, **settings)


POSTS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([None, "cat", "dog", "fox"])), min_size=2, max_size=60)


@settings(deadline=None)
@given(
    POSTS,
    st.sampled_from([0, 1, 7]),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.sampled_from([0.0, 0.15, 0.5]),
)
def test_nothing_leaks(posts, age, test_share, validation_share):
    days, groups = np.asarray([post[0] for post in posts]), [post[1] for post in posts]
    try:
        split = split_of(
            days,
            age,
            groups,
            test_share=test_share,
            validation_share=validation_share,
        )
    except NotTrainable:
        assume(False)
    assert set(split.tolist()) <= set(PARTS)
    judged = np.isin(split, ["test", "seen_before"])
    learnt = np.isin(split, ["train", "validation"])
    start = days[judged].min()
    assert judged.sum() >= max(1, round(test_share * len(posts)))
    assert (days[judged] >= start).all()
    assert (days[~judged] < start).all()
    # No label that is learnt from could be read only after the first test post.
    assert (days[learnt] + age <= start).all()
    assert (days[split == "embargo"] + age > start).all()
    assert (split == "train").any()

    for group in {"cat", "dog", "fox"}:
        parts = {part for part, own in zip(split.tolist(), groups, strict=True) if own == group}
        assert not parts >= {"train", "validation"}
        if parts & {"train", "validation"}:
            assert "test" not in parts
        else:
            assert "seen_before" not in parts
    assert all(part != "seen_before" for part, group in zip(split, groups, strict=True) if group is None)


def test_by_hand():
    days = np.arange(100)
    split = split_of(days, 7)
    assert (split[80:] == "test").all()
    # Matured by day 80: made on day 73 or before.
    assert (split[74:80] == "embargo").all()
    assert (split[74 - round(0.15 * 74) : 74] == "validation").all()
    assert (split[: 74 - round(0.15 * 74)] == "train").all()


def test_order_of_rows_does_not_matter():
    days = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(split_of(days, 7)[np.argsort(days)], split_of(np.arange(100), 7))


def test_duplicates_across_the_cut():
    groups = [None] * 100
    groups[10] = groups[90] = "repost"
    groups[76] = groups[95] = "embargoed"
    groups[85] = groups[86] = "both tested"
    groups[5] = groups[70] = "train and validation"
    split = split_of(np.arange(100), 7, groups)
    assert (split[10], split[90]) == ("train", "seen_before")
    assert (split[76], split[95]) == ("embargo", "test")
    assert (split[85], split[86]) == ("test", "test")
    assert (split[5], split[70]) == ("train", "train")


def test_posts_of_one_second_stay_together():
    days = np.repeat(np.arange(10), 10)
    split = split_of(days, 0, test_share=0.25)
    assert (split[70:] == "test").all()
    assert not (split[:70] == "test").any()


def test_archives_read_late_are_no_reason_for_an_embargo():
    """The label of a post of 2013 read in 2020 matured a week after the post."""
    days = np.arange(1000)
    assert (split_of(days, 7) == "embargo").sum() == 6


def test_too_short_a_time_says_what_to_do():
    with pytest.raises(NotTrainable, match="wait for more posts to mature"):
        split_of(np.linspace(0, 5, 100).astype(int), 7)
    with pytest.raises(NotTrainable, match="scrape more"):
        split_of([0], 7)
    with pytest.raises(NotTrainable, match="cover 0"):
        split_of([3, 3, 3], 0)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="shares"):
        split_of([0, 1], 0, test_share=1.0)
    with pytest.raises(ValueError, match="one entry"):
        split_of([0, 1], 0, ["cat"])
    with pytest.raises(ValueError, match="matures before"):
        split_of([0, 1], -1)
    with pytest.raises(ValueError, match="missing"):
        time_split(np.asarray(["NaT", "NaT"], dtype="datetime64[s]"), seconds([0, 0]))


KEYS = st.lists(
    st.tuples(st.sampled_from([None, "ann", "bob", "eve"]), st.one_of(st.none(), st.integers(0, 30).map(str))),
    min_size=1,
    max_size=60,
)


@settings(deadline=None)
@given(KEYS, st.integers(0, 5))
def test_grouped_split_keeps_every_key_together(rows, seed):
    authors, images = [row[0] for row in rows], [row[1] for row in rows]
    try:
        split = grouped_split(authors, images, seed=seed)
    except NotTrainable:
        assume(False)
    assert (split == "test").mean() >= 0.2 - 1e-9
    np.testing.assert_array_equal(split, grouped_split(authors, images, seed=seed))
    for key in (authors, images):
        for value in set(key) - {None}:
            assert len({part for part, own in zip(split.tolist(), key, strict=True) if own == value}) == 1


def test_grouped_split_shares_and_seeds():
    alone = [None] * 1000
    split = grouped_split(alone)
    assert ((split == "test").sum(), (split == "validation").sum()) == (200, 120)
    assert not np.array_equal(split, grouped_split(alone, seed=1))


def test_grouped_split_joins_through_others():
    """Posts 0 and 2 share nothing, but both share something with post 1."""
    authors = ["ann", "ann", "bob", *map(str, range(20))]
    images = ["cat", "dog", "dog", *map(str, range(20))]
    for seed in range(10):
        assert len(set(grouped_split(authors, images, seed=seed)[:3].tolist())) == 1


def test_grouped_split_refuses():
    with pytest.raises(NotTrainable, match="split by time"):
        grouped_split(["ann"] * 10)
    with pytest.raises(ValueError, match="key"):
        grouped_split()
    with pytest.raises(ValueError, match="as many"):
        grouped_split(["ann"], ["cat", "dog"])
    with pytest.raises(ValueError, match="shares"):
        grouped_split(["ann", "bob"], test_share=0.0)


@settings(deadline=None)
@given(KEYS, st.integers(0, 5))
def test_one_post_per_author(rows, seed):
    authors, images = [row[0] for row in rows], [row[1] for row in rows]
    try:
        split = one_per_author_split(authors, images, seed=seed)
    except NotTrainable:
        assume(False)
    drawn = split != "left_out"
    for author in {"ann", "bob", "eve"} & set(authors):
        assert sum(drawn[row] for row, own in enumerate(authors) if own == author) == 1
    assert all(drawn[row] for row, author in enumerate(authors) if author is None)
    for image in set(images) - {None}:
        parts = {part for part, own in zip(split.tolist(), images, strict=True) if own == image}
        assert len(parts - {"left_out"}) <= 1
    np.testing.assert_array_equal(split, one_per_author_split(authors, images, seed=seed))


def test_every_post_of_an_author_may_be_the_one():
    authors = ["ann", "ann", "ann", *map(str, range(50))]
    chosen = {
        one_per_author_split(authors, [None] * 53, seed=seed)[:3].tolist().index("left_out") for seed in range(20)
    }
    assert chosen >= {0, 1}
    with pytest.raises(ValueError, match="2 authors and 1 groups"):
        one_per_author_split(["ann", "bob"], [None])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, "ann", "bob", "eve"]), st.integers(0, 60)), min_size=2, max_size=60))
def test_the_posts_of_one_author_are_split_by_time_as_if_there_were_no_others(rows):
    authors, created = [row[0] for row in rows], seconds([row[1] * DAY for row in rows])
    groups = [f"picture {number % 7}" for number in range(len(rows))]
    matured = created + np.timedelta64(7, "D")
    try:
        split = one_author_split(authors, created, matured, groups)
    except NotTrainable:
        assume(False)
    own = [row for row, part in enumerate(split) if part != "left_out"]
    (author,) = {authors[row] for row in own}
    assert len(own) == authors.count(author) == max(authors.count(name) for name in ("ann", "bob", "eve"))
    alone = time_split(created[own], matured[own], [groups[row] for row in own])
    np.testing.assert_array_equal(split[own], alone)


def test_one_author_has_to_have_two_posts():
    with pytest.raises(NotTrainable, match="no author has two labelled posts"):
        one_author_split(["ann", None, None], seconds([0, 1, 2]), seconds([0, 1, 2]), [None] * 3)
    with pytest.raises(ValueError, match="2 authors, 1 groups, 2 times"):
        one_author_split(["ann", "ann"], seconds([0, 1]), seconds([0, 1]), [None])


@settings(deadline=None)
@given(KEYS)
def test_components_are_those_of_a_graph(rows):
    """The same by asking again and again whether two sets share a value."""
    authors, images = [row[0] for row in rows], [row[1] for row in rows]
    sets = [{row} for row in range(len(rows))]

    def linked(one, other):
        return any(key[a] is not None and key[a] == key[b] for a in one for b in other for key in (authors, images))

    merged = True
    while merged:
        merged = False
        for first in range(len(sets)):
            for second in range(first + 1, len(sets)):
                if linked(sets[first], sets[second]):
                    sets[first] |= sets.pop(second)
                    merged = True
                    break
            if merged:
                break
    found = connected_components(authors, images)
    assert {frozenset(np.flatnonzero(found == number).tolist()) for number in set(found.tolist())} == set(
        map(frozenset, sets)
    )


def test_digest_is_of_the_split_and_not_of_its_order():
    ids, split = ["a", "b", "c"], np.asarray(["train", "test", "test"])
    first = digest(ids, split)
    assert len(first) == 64
    assert first == digest(ids[::-1], split[::-1])
    assert first != digest(ids, np.asarray(["test", "train", "test"]))
    assert first != digest(["a", "b", "d"], split)
    with pytest.raises(ValueError, match="zip"):
        digest(ids[:2], split)
