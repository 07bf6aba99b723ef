import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from redpop_assets.features.authors import COLUMNS, SCORE_STEPS, Activity, author_features
from redpop_assets.features.past import LONGEST_PAUSE_DAYS
from redpop_assets.storage.schema import load_schema

DAY = 86_400
AGE = 7 * DAY


def activity_of(elsewhere):
    """Activity given as (author, subreddit, created seconds)."""
    return Activity(
        [post[0] for post in elsewhere],
        [post[1] for post in elsewhere],
        np.asarray([post[2] for post in elsewhere], dtype="datetime64[s]"),
    )


def features_of(posts, *, age=AGE, shrinkage=5.0, captions=None, elsewhere=None):
    """Features of posts given as (id, author, created seconds, log score)."""
    created = np.asarray([post[2] for post in posts], dtype="datetime64[s]")
    return author_features(
        [post[0] for post in posts],
        [post[1] for post in posts],
        created,
        created + np.timedelta64(age, "s"),
        np.asarray([post[3] for post in posts], dtype=np.float64),
        shrinkage=shrinkage,
        captions=captions,
        activity=None if elsewhere is None else activity_of(elsewhere),
    )


def row_of(features, row):
    return {name: float(values[row]) for name, values in features.items()}


def brute_force(posts, row, age, shrinkage, captions, elsewhere):
    """The definition, post by post."""
    _, author, now, _ = posts[row]
    earlier = [n for n, post in enumerate(posts) if post[2] < now]
    mature = [n for n in earlier if posts[n][2] + age <= now and not np.isnan(posts[n][3])]
    scores = [posts[n][3] for n in mature]
    in_time = sorted(earlier, key=lambda n: (posts[n][2], posts[n][0]))
    own = [n for n in in_time if author is not None and posts[n][1] == author]
    own_mature = [n for n in own if n in mature]
    own_scores = [posts[n][3] for n in own_mature]
    mean = float(np.mean(scores)) if scores else 0.0

    def shrunk(values, of_subreddit, weight=None):
        weight = len(values) if weight is None else weight
        value = float(np.mean(values)) if values else of_subreddit
        return (weight * value + shrinkage * of_subreddit) / (weight + shrinkage)

    def share(values, step):
        # a score has so many points if sign * ln(1 + |score|) of it is this high
        return [float(value >= np.log1p(step)) for value in values]

    def ratios(rows):
        worded = [captions[n].lower().split() for n in rows if captions[n]]
        return [len(set(words)) / len(words) for words in worded]

    def mean_of(values):
        return float(np.mean(values)) if values else 0.0

    variance = float(np.var(scores)) if scores else 0.0
    spread = len(own_scores) * float(np.var(own_scores)) if own_scores else 0.0
    anywhere = [post for post in elsewhere if author is not None and post[0] == author and post[2] < now]
    hours = [(now - posts[n][2]) / 3600 for n in own]
    words = [len(caption.split()) for caption in captions]
    return {
        "author_known": float(author is not None),
        "past_posts": len(own),
        "past_mature_posts": len(own_mature),
        "is_cold_start": float(not own_mature),
        "past_mean_log_score": shrunk(own_scores, mean),
        "past_best_log_score": max(own_scores, default=mean),
        "days_since_last_post": min(hours[-1] / 24, LONGEST_PAUSE_DAYS) if own else LONGEST_PAUSE_DAYS,
        "subreddit_has_history": float(bool(mature)),
        "subreddit_past_mean_log_score": mean,
        "subreddit_posts_last_24h": len([n for n in earlier if posts[n][2] >= now - DAY]),
        "log_hours_since_first_post": np.log1p(hours[0]) if own else 0.0,
        "log_hours_since_last_post": np.log1p(min(hours[-1] if own else np.inf, 24 * LONGEST_PAUSE_DAYS)),
        "posts_per_day": len(own) / max(hours[0] / 24, 1) if own else 0.0,
        "past_last_log_score": shrunk(own_scores[-1:], mean, len(own_scores)),
        "past_best_shrunk_log_score": shrunk([max(own_scores)] if own_scores else [], mean, len(own_scores)),
        "past_sd_log_score": np.sqrt((spread + shrinkage * variance) / (max(len(own_scores) - 1, 0) + shrinkage)),
        **{
            f"past_share_score_{step}": shrunk(share(own_scores, step), mean_of(share(scores, step)))
            for step in SCORE_STEPS
        },
        "past_caption_words": shrunk([words[n] for n in own], mean_of([words[n] for n in earlier])),
        "past_caption_type_token_ratio": shrunk(ratios(own), mean_of(ratios(earlier))),
        "past_posts_anywhere": len(anywhere),
        "past_communities": len({post[1] for post in anywhere}),
        "share_of_posts_here": len(own) / max(len(own), len(anywhere), 1),
    }


# Few authors and coarse times, so that equal seconds, returning authors and exact maturities are common.
AUTHORS = st.sampled_from([None, "a", "b", "c"])
TIMES = st.integers(0, 40).map(lambda half_days: half_days * DAY // 2)
# Scores are whole points, as on Reddit; those next to the steps are common.
SCORES = st.one_of(
    st.just(float("nan")),
    st.integers(-20, 60_000).map(lambda score: float(np.sign(score) * np.log1p(abs(score)))),
    st.sampled_from([4, 5, 9, 10, 49, 50, 99, 100]).map(lambda score: float(np.log1p(score))),
)
POSTS = st.lists(st.tuples(AUTHORS, TIMES, SCORES), max_size=25).map(
    lambda rows: [(f"p{number}", *row) for number, row in enumerate(rows)]
)
CAPTIONS = st.lists(
    st.sampled_from(["", "a cat", "My cat my Cat", "one two three four five"]), min_size=50, max_size=50
)
ELSEWHERE = st.lists(st.tuples(AUTHORS, st.sampled_from(["aww", "pics", "cats"]), TIMES), max_size=15)


@settings(deadline=None)
@given(POSTS, CAPTIONS, ELSEWHERE, st.sampled_from([0, DAY // 2, 3 * DAY, AGE]), st.sampled_from([0.5, 5.0]))
def test_equals_the_definition(posts, captions, elsewhere, age, shrinkage):
    captions = captions[: len(posts)]
    features = features_of(posts, age=age, shrinkage=shrinkage, captions=captions, elsewhere=elsewhere)
    assert list(features) == list(COLUMNS)
    for row in range(len(posts)):
        expected = brute_force(posts, row, age, shrinkage, captions, elsewhere)
        assert row_of(features, row) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(
    POSTS,
    POSTS,
    CAPTIONS,
    ELSEWHERE,
    ELSEWHERE,
    st.integers(0, 40),
    st.sampled_from([DAY // 2, AGE]),
    st.randoms(use_true_random=False),
)
def test_the_future_changes_no_row(posts, others, captions, elsewhere, more, half_days, age, random):
    """Replace all posts made from a moment on, and all scores not mature before it: earlier rows stay bit-identical."""
    cut = half_days * DAY // 2
    before = [(n, post) for n, post in enumerate(posts) if post[2] < cut]
    rewritten = [
        (
            captions[n],
            (*post[:3], random.choice([float("nan"), random.uniform(-3, 11)])) if post[2] + age >= cut else post,
        )
        for n, post in before
    ]
    later = [(captions[-n], (f"q{post[0]}", post[1], post[2] + cut, post[3])) for n, post in enumerate(others)]
    changed = rewritten + later
    random.shuffle(changed)
    seen = [post for post in elsewhere if post[2] < cut] + [(*post[:2], post[2] + cut) for post in more]
    random.shuffle(seen)

    ours = features_of(posts, age=age, captions=captions[: len(posts)], elsewhere=elsewhere)
    theirs = features_of(
        [post for _, post in changed], age=age, captions=[caption for caption, _ in changed], elsewhere=seen
    )
    place = {post[0]: row for row, (_, post) in enumerate(changed)}
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
        "log_hours_since_first_post": 0,
        "log_hours_since_last_post": pytest.approx(np.log1p(8760)),
        "posts_per_day": 0,
        "past_last_log_score": 0,
        "past_best_shrunk_log_score": 0,
        "past_sd_log_score": 0,
        **{f"past_share_score_{step}": 0 for step in SCORE_STEPS},
        "past_caption_words": 0,
        "past_caption_type_token_ratio": 0,
        "past_posts_anywhere": 0,
        "past_communities": 0,
        "share_of_posts_here": 0,
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
    assert last["past_best_shrunk_log_score"] == pytest.approx((3 * 9 + 5 * 4) / (3 + 5))
    # Of the three scores, that of day 7 is the latest.
    assert last["past_last_log_score"] == pytest.approx((3 * 1 + 5 * 4) / (3 + 5))
    # e^4 - 1 and e^9 - 1 points are at least 50, e - 1 is not; in the subreddit, two of four are.
    assert last["past_share_score_50"] == pytest.approx((2 + 5 * 2 / 4) / (3 + 5))
    assert last["posts_per_day"] == pytest.approx(3 / 20)
    assert last["log_hours_since_first_post"] == pytest.approx(np.log1p(20 * 24))
    # Without the activity of other communities, all of the author's posts are here.
    assert (last["past_posts_anywhere"], last["past_communities"], last["share_of_posts_here"]) == (3, 1, 1)


def test_an_author_is_known_from_other_communities_and_only_from_their_past():
    posts = [("a1", "ann", 5 * DAY, 4.0), ("b1", "bob", 5 * DAY, 4.0), ("x", None, 5 * DAY, 4.0)]
    elsewhere = [
        ("ann", "aww", 0),
        ("ann", "aww", 1),
        ("ann", "cats", 5 * DAY - 1),
        ("ann", "dogs", 5 * DAY),
        ("ann", "pics", 5 * DAY),
        (None, "aww", 0),
    ]
    features = features_of(posts, elsewhere=elsewhere)
    assert features["past_posts_anywhere"].tolist() == [3, 0, 0]
    assert features["past_communities"].tolist() == [2, 0, 0]
    assert features["share_of_posts_here"].tolist() == [0, 0, 0]


def test_words_are_counted_without_punctuation_and_alike_in_both_cases():
    posts = [("a1", "ann", 0, 4.0), ("a2", "ann", 1, 4.0)]
    features = features_of(posts, captions=["The cat - THE cat’s cat!", "…"], shrinkage=0)
    assert features["past_caption_words"].tolist() == [0, 5]
    assert features["past_caption_type_token_ratio"][1] == pytest.approx(3 / 5)


def test_without_posts_there_are_no_rows():
    features = features_of([], captions=[], elsewhere=[])
    assert list(features) == list(COLUMNS)
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in features.values())


def test_without_shrinkage_an_author_speaks_for_himself():
    features = features_of([("a", "ann", 0, 4.0), ("b", "bob", 0, 2.0), ("c", "ann", AGE, 1.0)], shrinkage=0)
    assert features["past_mean_log_score"][2] == features["past_last_log_score"][2] == 4
    # One score has no spread of its own.
    assert features["past_sd_log_score"][2] == 1


def test_the_table_has_these_columns():
    table = load_schema()["features.author_features"]
    assert tuple(column.name for column in table.columns if column.type == "FLOAT") == COLUMNS


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
    with pytest.raises(ValueError, match="authors and captions"):
        author_features(["a"], ["ann"], now, now, np.zeros(1), captions=[])
    with pytest.raises(ValueError, match="activity must"):
        author_features(["a"], ["ann"], now, now, np.zeros(1), activity=Activity(["ann"], [], now))
    never = np.asarray(["NaT"], dtype="datetime64[s]")
    with pytest.raises(ValueError, match="activity has missing"):
        author_features(["a"], ["ann"], now, now, np.zeros(1), activity=Activity(["ann"], ["aww"], never))
    with pytest.raises(ValueError, match="missing"):
        author_features(["a"], ["ann"], np.asarray(["NaT"], dtype="datetime64[s]"), now, np.zeros(1))
