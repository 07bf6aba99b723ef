import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from redpop_assets.features.authors import COLUMNS, LONGEST_PAUSE_DAYS, author_features

DAY = 86_400
AGE = 7 * DAY


def features_of(posts, *, age=AGE, shrinkage=5.0):
    """Features of posts given as (id, author, created seconds, log score)."""
    created = np.asarray([post[2] for post in posts], dtype="datetime64[s]")
    return author_features(
        [post[0] for post in posts],
        [post[1] for post in posts],
        created,
        created + np.timedelta64(age, "s"),
        np.asarray([post[3] for post in posts], dtype=np.float64),
        shrinkage=shrinkage,
    )


def row_of(features, row):
    return {name: float(values[row]) for name, values in features.items()}


def brute_force(posts, row, age, shrinkage):
    """The definition, post by post."""
    _, author, now, _ = posts[row]
    earlier = [post for post in posts if post[2] < now]
    mature = [post for post in earlier if post[2] + age <= now and not np.isnan(post[3])]
    mean = float(np.mean([post[3] for post in mature])) if mature else 0.0
    own = [post for post in earlier if author is not None and post[1] == author]
    own_mature = [post[3] for post in mature if author is not None and post[1] == author]
    return {
        "author_known": float(author is not None),
        "past_posts": len(own),
        "past_mature_posts": len(own_mature),
        "is_cold_start": float(not own_mature),
        "past_mean_log_score": (sum(own_mature) + shrinkage * mean) / (len(own_mature) + shrinkage)
        if own_mature
        else mean,
        "past_best_log_score": max(own_mature, default=mean),
        "days_since_last_post": min((now - max(post[2] for post in own)) / DAY, LONGEST_PAUSE_DAYS)
        if own
        else LONGEST_PAUSE_DAYS,
        "subreddit_has_history": float(bool(mature)),
        "subreddit_past_mean_log_score": mean,
        "subreddit_posts_last_24h": len([post for post in earlier if post[2] >= now - DAY]),
    }


# Few authors and coarse times, so that equal seconds, returning authors and exact maturities are common.
POSTS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b", "c"]),
        st.integers(0, 40).map(lambda half_days: half_days * DAY // 2),
        st.one_of(st.just(float("nan")), st.floats(-3, 11)),
    ),
    max_size=25,
).map(lambda rows: [(f"p{number}", *row) for number, row in enumerate(rows)])


@settings(deadline=None)
@given(POSTS, st.sampled_from([0, DAY // 2, 3 * DAY, AGE]), st.sampled_from([0.5, 5.0]))
def test_equals_the_definition(posts, age, shrinkage):
    features = features_of(posts, age=age, shrinkage=shrinkage)
    assert list(features) == list(COLUMNS)
    for row in range(len(posts)):
        expected = brute_force(posts, row, age, shrinkage)
        assert row_of(features, row) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(POSTS, POSTS, st.integers(0, 40), st.sampled_from([DAY // 2, AGE]), st.randoms(use_true_random=False))
def test_the_future_changes_no_row(posts, others, half_days, age, random):
    """Replace all posts made from a moment on, and all scores not mature before it: earlier rows stay bit-identical."""
    cut = half_days * DAY // 2
    before = [post for post in posts if post[2] < cut]
    rewritten = [
        (*post[:3], random.choice([float("nan"), random.uniform(-3, 11)])) if post[2] + age >= cut else post
        for post in before
    ]
    later = [(f"q{post[0]}", post[1], post[2] + cut, post[3]) for post in others]
    changed = rewritten + later
    random.shuffle(changed)

    ours = features_of(posts, age=age)
    theirs = features_of(changed, age=age)
    place = {post[0]: row for row, post in enumerate(changed)}
    for row, post in enumerate(posts):
        if post[2] < cut:
            for name in COLUMNS:
                assert ours[name][row].tobytes() == theirs[name][place[post[0]]].tobytes(), name


def test_a_known_history():
    posts = [
        ("a1", "ann", 0, 4.0),
        ("b1", "bob", 1 * DAY, 2.0),
        ("a2", "ann", 6 * DAY, 9.0),
        ("a3", "ann", 7 * DAY, 1.0),
        ("a4", "ann", 20 * DAY, 5.0),
    ]
    features = features_of(posts)
    assert row_of(features, 0) == {
        "author_known": 1,
        "past_posts": 0,
        "past_mature_posts": 0,
        "is_cold_start": 1,
        "past_mean_log_score": 0,
        "past_best_log_score": 0,
        "days_since_last_post": LONGEST_PAUSE_DAYS,
        "subreddit_has_history": 0,
        "subreddit_past_mean_log_score": 0,
        "subreddit_posts_last_24h": 0,
    }
    # On day 7 only the post of day 0 is mature, to the second.
    third = row_of(features, 3)
    assert (third["past_posts"], third["past_mature_posts"], third["past_mean_log_score"]) == (2, 1, 4.0)
    assert third["days_since_last_post"] == 1
    assert third["subreddit_posts_last_24h"] == 1
    last = row_of(features, 4)
    assert last["subreddit_past_mean_log_score"] == 4.0
    assert last["past_mean_log_score"] == pytest.approx((4 + 9 + 1 + 5 * 4) / (3 + 5))
    assert last["past_best_log_score"] == 9.0


def test_posts_of_one_second_see_nothing_of_each_other():
    features = features_of([("a1", "ann", 0, 4.0), ("a2", "ann", 0, 2.0)], age=0)
    assert features["past_posts"].tolist() == [0, 0]
    assert features["past_mature_posts"].tolist() == [0, 0]


def test_pure_noise_predicts_nothing():
    """A mean that includes the post's own score predicts this noise well; the honest one stays within chance."""
    random = np.random.default_rng(7)
    count = 5_000
    authors = [f"author{number}" for number in random.integers(0, 1_000, count)]
    score = random.normal(size=count)
    created = np.sort(random.integers(0, 400 * DAY, count))
    posts = [(f"p{row}", authors[row], int(created[row]), float(score[row])) for row in range(count)]
    features = features_of(posts)
    warm = features["is_cold_start"] == 0
    assert warm.sum() > 3_000
    chance = 4 / np.sqrt(warm.sum())
    for name in COLUMNS[1:]:
        if np.ptp(features[name][warm]) > 0:
            assert abs(spearmanr(features[name][warm], score[warm]).statistic) < chance, name

    total = dict.fromkeys(authors, 0.0)
    for author, value in zip(authors, score, strict=True):
        total[author] += value / authors.count(author)
    assert spearmanr([total[author] for author in authors], score).statistic > 0.3


def test_a_talented_author_is_recognised():
    random = np.random.default_rng(1)
    talent = random.normal(size=100)
    author = random.integers(0, 100, 3_000)
    created = np.sort(random.integers(0, 400 * DAY, 3_000))
    score = talent[author] + random.normal(size=3_000)
    features = features_of([(f"p{i}", str(author[i]), int(created[i]), float(score[i])) for i in range(3_000)])
    late = created > 100 * DAY
    assert spearmanr(features["past_mean_log_score"][late], score[late]).statistic > 0.5


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="matures before"):
        features_of([("a", "ann", 0, 1.0)], age=-1)
    with pytest.raises(ValueError, match="infinite"):
        features_of([("a", "ann", 0, float("inf"))])
    with pytest.raises(ValueError, match="shrinkage"):
        features_of([], shrinkage=-1)
    now = np.zeros(1, dtype="datetime64[s]")
    with pytest.raises(ValueError, match="one entry per post"):
        author_features(["a", "b"], ["ann"], now, now, np.zeros(1))
    with pytest.raises(ValueError, match="missing"):
        author_features(["a"], ["ann"], np.asarray(["NaT"], dtype="datetime64[s]"), now, np.zeros(1))
