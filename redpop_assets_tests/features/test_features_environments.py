import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.environments import AUTHOR, COLUMNS, MOST_VALUE, NONE, SUBREDDIT, environments
from redpop_assets.storage.schema import load_schema

WIDTHS = (3, 2)
NAN = float("nan")


def environments_of(posts, **options):
    """Environments of posts given as (id, author, created seconds, image vector or None, caption vector or None).

    Returns a list of (level, posts, image mean, caption mean), None for posts that were not due.
    """
    vectors = [
        np.asarray([[NAN] * width if post[column] is None else post[column] for post in posts], dtype=np.float32)
        for column, width in ((3, WIDTHS[0]), (4, WIDTHS[1]))
    ]
    created = np.asarray([post[2] for post in posts], dtype="datetime64[s]")
    found = [None] * len(posts)
    for block in environments(
        [post[0] for post in posts],
        [post[1] for post in posts],
        created,
        *(each.reshape(len(posts), width) for each, width in zip(vectors, WIDTHS, strict=True)),
        **options,
    ):
        assert all(getattr(block, name).dtype == np.float32 for name in COLUMNS)
        for place, row in enumerate(block.rows.tolist()):
            assert found[row] is None
            found[row] = tuple(getattr(block, name)[place] for name in COLUMNS)
    return found


def brute_force(posts, row, min_posts, window):
    """The definition, post by post."""
    author, now = posts[row][1:3]
    earlier = sorted(
        (post for post in posts if post[2] < now and post[3] is not None and post[4] is not None),
        key=lambda post: (post[2], post[0]),
    )
    own = [post for post in earlier if author is not None and post[1] == author]
    level, past = (AUTHOR, own) if len(own) >= min_posts else (SUBREDDIT, earlier)
    past = past[-window:]
    if not past:
        return NONE, 0, np.zeros(WIDTHS[0]), np.zeros(WIDTHS[1])
    return level, len(past), np.mean([post[3] for post in past], axis=0), np.mean([post[4] for post in past], axis=0)


def vector(width):
    return st.one_of(st.none(), st.lists(st.floats(-1, 1, width=32), min_size=width, max_size=width))


POSTS = st.lists(
    st.tuples(st.sampled_from([None, "a", "b"]), st.integers(0, 20), vector(WIDTHS[0]), vector(WIDTHS[1])), max_size=30
).map(lambda rows: [(f"p{number:02d}", *row) for number, row in enumerate(rows)])
SIZES = st.sampled_from([{"min_posts": 1, "window": 2}, {"min_posts": 3, "window": 4}, {"min_posts": 2, "window": 500}])


def same(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@settings(deadline=None)
@given(POSTS, SIZES, st.sampled_from([1, 4, 1024]))
def test_equals_the_definition(posts, sizes, rows_at_once):
    found = environments_of(posts, **sizes, rows_at_once=rows_at_once)
    for row, (level, number, image_mean, caption_mean) in enumerate(found):
        expected = brute_force(posts, row, **sizes)
        assert (level, number) == expected[:2]
        np.testing.assert_allclose(image_mean, expected[2], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(caption_mean, expected[3], rtol=1e-6, atol=1e-7)


@settings(deadline=None)
@given(POSTS, POSTS, st.integers(0, 20), SIZES, st.randoms(use_true_random=False))
def test_the_future_changes_no_environment(posts, others, cut, sizes, random):
    """Replace all posts made from a moment on: earlier environments stay bit-identical, whatever the blocks are."""
    changed = [post for post in posts if post[2] < cut]
    changed += [(f"q{post[0]}", post[1], post[2] + cut, *post[3:]) for post in others]
    random.shuffle(changed)
    ours = environments_of(posts, **sizes)
    theirs = environments_of(changed, **sizes, rows_at_once=random.choice([1, 3, 7]))
    place = {post[0]: row for row, post in enumerate(changed)}
    for row, post in enumerate(posts):
        if post[2] < cut:
            assert same(ours[row], theirs[place[post[0]]])


@settings(deadline=None)
@given(POSTS, SIZES, st.randoms(use_true_random=False))
def test_what_is_due_comes_out_as_if_all_were(posts, sizes, random):
    due = np.asarray([random.random() < 0.3 for _ in posts], dtype=bool)
    everything, some = environments_of(posts, **sizes), environments_of(posts, **sizes, due=due, rows_at_once=2)
    for row, wanted in enumerate(due):
        assert same(some[row], everything[row]) if wanted else some[row] is None


def test_an_author_of_few_posts_has_the_environment_of_the_community():
    image, caption = [1, 0, 0], [1, 0]
    posts = [(f"a{n}", "ann", n, image, caption) for n in range(4)] + [("b", "bob", 5, None, None)]
    found = environments_of(posts)
    assert [each[0] for each in found] == [NONE, SUBREDDIT, SUBREDDIT, AUTHOR, SUBREDDIT]
    assert [each[1] for each in found] == [0, 1, 2, 3, 4]
    assert found[4][2].tolist() == image


def test_a_post_without_a_picture_counts_in_neither_mean():
    found = environments_of(
        [("a", None, 0, None, [9, 9]), ("b", None, 1, [1, 2, 3], [4, 5]), ("c", None, 2, None, [1, 1])]
    )
    assert found[1][:2] == (NONE, 0)
    assert found[2][:2] == (SUBREDDIT, 1)
    assert (found[2][2].tolist(), found[2][3].tolist()) == ([1, 2, 3], [4, 5])


def test_posts_of_one_second_see_nothing_of_each_other():
    found = environments_of([(name, "ann", 0, [1, 1, 1], [1, 1]) for name in "abcd"], min_posts=1)
    assert [each[0] for each in found] == [NONE] * 4


def test_sums_are_exact_however_long_the_past_is():
    """A window of one post shows that post and nothing that rounding left of the thousands before it."""
    random = np.random.default_rng(0)
    posts = [(f"p{n:04d}", None, n, random.normal(size=3), random.normal(size=2)) for n in range(3000)]
    found = environments_of(posts, min_posts=1, window=1)
    for row in range(1, 3000):
        assert np.abs(found[row][2] - posts[row - 1][3]).max() < 4e-7


def test_an_encoder_that_never_wrote_leaves_no_environment():
    created = np.arange(3).astype("datetime64[s]")
    (block,) = environments(
        ["a", "b", "c"], [None] * 3, created, np.zeros((3, 0), np.float32), np.ones((3, 2), np.float32)
    )
    assert block.level.tolist() == [NONE] * 3
    assert (block.image_mean.shape, block.caption_mean.shape) == ((3, 0), (3, 2))


def test_without_posts_there_is_nothing():
    assert environments_of([]) == []


def test_the_table_has_these_columns():
    table = load_schema()["features.environments"]
    assert tuple(column.name for column in table.columns if column.type.startswith("FLOAT")) == COLUMNS


def test_wrong_input_is_refused():
    good = ("a", "ann", 0, [1, 1, 1], [1, 1])
    with pytest.raises(ValueError, match="do not fit"):
        environments_of([good], min_posts=0)
    with pytest.raises(ValueError, match="do not fit"):
        environments_of([good], min_posts=5, window=4)
    with pytest.raises(ValueError, match="partly missing"):
        environments_of([("a", "ann", 0, [1, NAN, 1], [1, 1])])
    with pytest.raises(ValueError, match="components beyond"):
        environments_of([("a", "ann", 0, [1, -2 * MOST_VALUE, 1], [1, 1])])
    with pytest.raises(ValueError, match="one entry per post"):
        environments_of([good], due=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="missing times"):
        environments_of([("a", "ann", "NaT", [1, 1, 1], [1, 1])])
