import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.community import COLUMNS, FIRST_SIGHT_SECONDS, community_features
from redpop_assets.storage.schema import load_schema

HOUR = 3600
DAY = 24 * HOUR
AGE = 7 * DAY
NAN = float("nan")


def features_of(posts, *, age=AGE, recent=3):
    """Features of posts given as (id, author, created seconds, log score, subscribers, age when these were read)."""
    created = np.asarray([post[2] for post in posts], dtype="datetime64[s]")
    return community_features(
        [post[0] for post in posts],
        [post[1] for post in posts],
        created,
        created + np.timedelta64(age, "s"),
        np.asarray([post[3] for post in posts], dtype=np.float64),
        subscribers=np.asarray([post[4] for post in posts], dtype=np.float64),
        subscribers_observed_at=created + np.asarray([post[5] for post in posts], dtype="timedelta64[s]"),
        recent=recent,
    )


def row_of(features, row):
    return {name: float(values[row]) for name, values in features.items()}


def brute_force(posts, row, age, recent):
    """The definition, post by post."""
    now = posts[row][2]
    earlier = [post for post in posts if post[2] < now]

    def within(seconds, until=now):
        return [post for post in earlier if until - seconds <= post[2] < until]

    usual = [
        len(within(HOUR, now - day * DAY))
        for day in range(1, 29)
        if earlier and min(post[2] for post in earlier) <= now - day * DAY - HOUR
    ]
    rate = float(np.mean(usual)) if usual else 0.0
    mature = sorted(
        (post for post in earlier if post[2] + age <= now and not np.isnan(post[3])),
        key=lambda post: (max(post[2] + age, post[2] + 1), post[2], post[0]),
    )
    last = [post[3] for post in mature[-recent:]]
    month = [post[3] for post in mature if max(post[2] + age, post[2] + 1) > now - 30 * DAY]
    expected = {
        "posts_last_30min": len(within(HOUR // 2)),
        **{f"posts_last_{hours}h": len(within(hours * HOUR)) for hours in (2, 6, 24)},
        "posts_last_hour": len(within(HOUR)),
        "posts_last_7d": len(within(7 * DAY)),
        "authors_last_24h": len({post[1] or post[0] for post in within(DAY)}),
        "usual_posts_this_hour": rate,
        "hour_log_ratio": np.log((1 + len(within(HOUR))) / (1 + rate)) if usual else 0.0,
        "hour_has_usual_rate": float(bool(usual)),
        "has_scores": float(bool(mature)),
        "recent_scores": len(last),
        "month_scores": len(month),
    }
    for name, scores in (("recent", last), ("month", month or last)):
        expected[f"{name}_mean_log_score"] = np.mean(scores) if scores else 0.0
        expected[f"{name}_median_log_score"] = np.median(scores) if scores else 0.0
        expected[f"{name}_q90_log_score"] = np.quantile(scores, 0.9) if scores else 0.0
    *_, members, delay = posts[row]
    readings = [
        (post[2] + post[5], post[2], post[0], post[4])
        for post in earlier
        if not np.isnan(post[4]) and now - 30 * DAY <= post[2] + post[5] <= now
    ]
    if np.isnan(members) or delay > FIRST_SIGHT_SECONDS:
        members = max(readings)[3] if readings else NAN
    expected["log_subscribers"] = 0.0 if np.isnan(members) else np.log1p(members)
    expected["subscribers_known"] = float(not np.isnan(members))
    return expected


# Times on a coarse grid of hours and of months, so that equal seconds and window borders are common.
POSTS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b"]),
        st.tuples(st.integers(0, 3), st.integers(0, 60)).map(lambda time: time[0] * 25 * DAY + time[1] * HOUR // 2),
        st.one_of(st.just(NAN), st.floats(-3, 11)),
        st.sampled_from([NAN, 0, 10, 1_000_000]),
        st.sampled_from([1, FIRST_SIGHT_SECONDS, FIRST_SIGHT_SECONDS + 1, 3 * DAY]),
    ),
    max_size=25,
).map(lambda rows: [(f"p{number}", *row) for number, row in enumerate(rows)])


@settings(deadline=None)
@given(POSTS, st.sampled_from([0, DAY // 2, AGE]), st.sampled_from([1, 3, 100]))
def test_equals_the_definition(posts, age, recent):
    features = features_of(posts, age=age, recent=recent)
    assert list(features) == list(COLUMNS)
    for row in range(len(posts)):
        assert row_of(features, row) == pytest.approx(brute_force(posts, row, age, recent), rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(POSTS, POSTS, st.integers(0, 105), st.sampled_from([DAY // 2, AGE]), st.randoms(use_true_random=False))
def test_the_future_changes_no_row(posts, others, days, age, random):
    """Replace all posts made from a moment on, and all scores not mature before it: earlier rows stay bit-identical."""
    cut = days * DAY
    changed = [
        (*post[:3], random.choice([NAN, random.uniform(-3, 11)]), *post[4:]) if post[2] + age >= cut else post
        for post in posts
        if post[2] < cut
    ] + [(f"q{post[0]}", post[1], post[2] + cut, *post[3:]) for post in others]
    random.shuffle(changed)
    ours, theirs = features_of(posts, age=age), features_of(changed, age=age)
    place = {post[0]: row for row, post in enumerate(changed)}
    for row, post in enumerate(posts):
        if post[2] < cut:
            for name in COLUMNS:
                assert ours[name][row].tobytes() == theirs[name][place[post[0]]].tobytes(), name


def test_posts_of_one_second_see_nothing_of_each_other():
    features = features_of([(name, name, 0, 4.0, NAN, 0) for name in "abc"], age=0)
    for name in COLUMNS:
        assert features[name].tolist() == [0, 0, 0], name


def test_a_busy_hour_stands_out_from_the_same_hour_of_other_days():
    """One post every day at noon and one at midnight for five weeks, then five within the hour before noon."""
    daily = [(f"d{n}", None, n * DAY // 2, NAN, NAN, 0) for n in range(70)]
    noon = 36 * DAY + DAY // 2
    burst = [(f"b{n}", "ann", noon - 60 * n, NAN, NAN, 0) for n in range(1, 6)]
    row = row_of(features_of([*daily, *burst, ("p", None, noon + 1, NAN, NAN, 0)]), -1)
    assert row["posts_last_hour"] == 5
    # Of the 28 days before, the last one had no post at noon.
    assert row["usual_posts_this_hour"] == pytest.approx(27 / 28)
    assert row["hour_log_ratio"] == pytest.approx(np.log(6 / (1 + 27 / 28)))
    assert row["authors_last_24h"] == 1


def test_without_subscribers_the_size_is_marked_as_unknown():
    created = np.zeros(2, dtype="datetime64[s]")
    posts = (["a", "b"], [None, None], created, created, np.zeros(2))
    features = community_features(*posts)
    assert features["subscribers_known"].tolist() == features["log_subscribers"].tolist() == [0, 0]
    # What is given without a time was read when the post was made.
    features = community_features(
        ["a", "b"], [None, None], created, created, np.zeros(2), subscribers=np.asarray([9, NAN])
    )
    assert features["log_subscribers"].tolist() == pytest.approx([np.log(10), 0])


def test_without_posts_there_are_no_rows():
    features = features_of([])
    assert list(features) == list(COLUMNS)
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in features.values())


def test_the_table_has_these_columns():
    table = load_schema()["features.community_features"]
    assert tuple(column.name for column in table.columns if column.type == "FLOAT") == COLUMNS


def test_wrong_input_is_refused():
    now = np.zeros(1, dtype="datetime64[s]")
    with pytest.raises(ValueError, match="recent"):
        features_of([], recent=0)
    with pytest.raises(ValueError, match="authors"):
        community_features(["a"], [], now, now, np.zeros(1))
    with pytest.raises(ValueError, match="subscribers"):
        community_features(["a"], [None], now, now, np.zeros(1), subscribers=np.zeros(2))
    for members in (-1.0, np.inf):
        with pytest.raises(ValueError, match="negative or infinite"):
            community_features(["a"], [None], now, now, np.zeros(1), subscribers=np.asarray([members]))
