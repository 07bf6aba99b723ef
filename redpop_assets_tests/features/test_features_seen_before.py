import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.seen_before import COLUMNS, LONGEST_ABSENCE_DAYS, seen_before_features
from redpop_assets.storage.schema import load_schema

DAY = 86_400
AGE = 7 * DAY
NAN = float("nan")


def features_of(posts, *, age=AGE, shrinkage=1.0):
    """Features of posts given as (id, subreddit, author, group, created seconds, log score)."""
    created = np.asarray([post[4] for post in posts], dtype="datetime64[s]")
    return seen_before_features(
        *([post[column] for post in posts] for column in range(4)),
        created,
        created + np.timedelta64(age, "s"),
        np.asarray([post[5] for post in posts], dtype=np.float64),
        shrinkage=shrinkage,
    )


def row_of(features, row):
    return {name: float(values[row]) for name, values in features.items()}


def brute_force(posts, row, age, shrinkage):
    """The definition, post by post."""
    _, subreddit, author, group, now, _ = posts[row]
    mature_at = [max(post[4] + age, post[4] + 1) for post in posts]

    def mature(until, rows):
        return [n for n in rows if mature_at[n] <= until and not np.isnan(posts[n][5])]

    def percentile(n):
        of_community = [m for m in range(len(posts)) if posts[m][1] == posts[n][1]]
        scores = np.asarray([posts[m][5] for m in mature(mature_at[n], of_community)])
        return float(((scores < posts[n][5]).mean() + (scores <= posts[n][5]).mean()) / 2)

    def days(rows, pick):
        gone = (now - pick(posts[n][4] for n in rows)) / DAY if rows else LONGEST_ABSENCE_DAYS
        return min(gone, LONGEST_ABSENCE_DAYS)

    earlier = [n for n, post in enumerate(posts) if group is not None and post[3] == group and post[4] < now]
    here = [n for n in earlier if posts[n][1] == subreddit]
    percentiles = [percentile(n) for n in mature(now, earlier)]
    scores = [posts[n][5] for n in mature(now, here)]
    community = [posts[n][5] for n in mature(now, range(len(posts))) if posts[n][1] == subreddit]
    usual = float(np.mean(community)) if community else 0.0
    return {
        "seen_before": float(bool(earlier)),
        "times_here": len(here),
        "times_elsewhere": len(earlier) - len(here),
        "by_same_author": float(any(author is not None and posts[n][2] == author for n in earlier)),
        "days_since_first": days(earlier, min),
        "days_since_last": days(earlier, max),
        "days_since_last_here": days(here, max),
        "times_mature": len(percentiles),
        "has_mature_score": float(bool(percentiles)),
        "best_percentile": max(percentiles, default=0.5),
        "mean_percentile": (sum(percentiles) + shrinkage * 0.5) / (len(percentiles) + shrinkage),
        "has_mature_score_here": float(bool(scores)),
        "best_log_score_here": max(scores, default=usual),
        "mean_log_score_here": (sum(scores) + shrinkage * usual) / (len(scores) + shrinkage),
    }


# Few pictures and coarse times, so that reposts, equal seconds and exact maturities are common.
POSTS = st.lists(
    st.tuples(
        st.sampled_from(["pics", "aww"]),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([None, "g", "h"]),
        st.integers(0, 40).map(lambda half_days: half_days * DAY // 2),
        st.one_of(st.just(NAN), st.integers(-2, 2).map(float), st.floats(-3, 11)),
    ),
    max_size=25,
).map(lambda rows: [(f"p{number}", *row) for number, row in enumerate(rows)])


@settings(deadline=None)
@given(POSTS, st.sampled_from([0, DAY // 2, AGE]), st.sampled_from([0.5, 1.0]))
def test_equals_the_definition(posts, age, shrinkage):
    features = features_of(posts, age=age, shrinkage=shrinkage)
    assert list(features) == list(COLUMNS)
    for row in range(len(posts)):
        assert row_of(features, row) == pytest.approx(brute_force(posts, row, age, shrinkage), rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(POSTS, POSTS, st.integers(0, 40), st.sampled_from([DAY // 2, AGE]), st.randoms(use_true_random=False))
def test_the_future_changes_no_row(posts, others, half_days, age, random):
    """Replace all posts made from a moment on, and all scores not mature before it: earlier rows stay bit-identical."""
    cut = half_days * DAY // 2
    changed = [
        (*post[:5], random.choice([NAN, random.uniform(-3, 11)])) if post[4] + age >= cut else post
        for post in posts
        if post[4] < cut
    ] + [(f"q{post[0]}", *post[1:4], post[4] + cut, post[5]) for post in others]
    random.shuffle(changed)
    ours, theirs = features_of(posts, age=age), features_of(changed, age=age)
    place = {post[0]: row for row, post in enumerate(changed)}
    for row, post in enumerate(posts):
        if post[4] < cut:
            for name in COLUMNS:
                assert ours[name][row].tobytes() == theirs[name][place[post[0]]].tobytes(), name


def test_a_known_repost():
    posts = [
        ("a", "pics", "ann", "g", 0, 4.0),
        ("b", "pics", "bob", None, 0, 2.0),
        ("c", "aww", "cat", "g", 1 * DAY, 9.0),
        ("d", "pics", "ann", "g", 7 * DAY, 1.0),
        ("e", "aww", "ann", "g", 30 * DAY, 1.0),
    ]
    features = features_of(posts)
    for row in (0, 1):
        assert features["seen_before"][row] == 0
        assert features["days_since_last"][row] == LONGEST_ABSENCE_DAYS
        assert features["best_percentile"][row] == 0.5
    # On day 7 the post of day 0 is mature, to the second: the better one of two.
    again = row_of(features, 3)
    assert (again["times_here"], again["times_elsewhere"], again["by_same_author"]) == (1, 1, 1)
    assert (again["days_since_first"], again["days_since_last"], again["days_since_last_here"]) == (7, 6, 7)
    assert (again["times_mature"], again["best_percentile"]) == (1, 0.75)
    assert again["mean_percentile"] == pytest.approx((0.75 + 0.5) / 2)
    assert again["best_log_score_here"] == 4
    assert again["mean_log_score_here"] == pytest.approx((4 + 3) / 2)
    # The 9 was the only score of its community when it matured, and so in its middle.
    last = row_of(features, 4)
    assert last["times_mature"] == 3
    assert last["best_percentile"] == 0.75
    assert last["has_mature_score_here"] == 1
    assert last["best_log_score_here"] == 9


def test_posts_of_one_second_see_nothing_of_each_other():
    features = features_of([("a", "pics", "ann", "g", 0, 4.0), ("b", "pics", "ann", "g", 0, 2.0)], age=0)
    assert features["seen_before"].tolist() == features["by_same_author"].tolist() == [0, 0]


def test_without_posts_there_are_no_rows():
    features = features_of([])
    assert list(features) == list(COLUMNS)
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in features.values())


def test_the_table_has_these_columns():
    table = load_schema()["features.seen_before"]
    assert tuple(column.name for column in table.columns if column.type == "FLOAT") == COLUMNS


def test_wrong_input_is_refused():
    now = np.zeros(1, dtype="datetime64[s]")
    with pytest.raises(ValueError, match="shrinkage"):
        features_of([], shrinkage=-1)
    with pytest.raises(ValueError, match="one entry per post"):
        seen_before_features(["a"], ["pics"], ["ann"], [], now, now, np.zeros(1))
