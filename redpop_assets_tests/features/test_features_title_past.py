import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features import title_past
from redpop_assets.features.past import LEVEL_DAYS, checked_posts
from redpop_assets.features.title_past import COLUMNS, HALF_LIFE_WEEKS, PENALTY, SHRINKAGE, title_past_features
from redpop_assets.features.vectors import Vectors
from redpop_assets.storage.schema import load_schema

DAY = 86_400
WEEK = 7 * DAY
MATURITY = 9 * DAY
VECTORS = np.random.default_rng(3).normal(size=(8, 4)).astype(np.float32)


def features_of(posts, due=None):
    """Features of posts given as (id, created seconds, tokens, log score or None, number of a vector or None)."""
    created = np.asarray([post[1] for post in posts], dtype="datetime64[s]")
    return title_past_features(
        [post[0] for post in posts],
        created,
        created + np.timedelta64(MATURITY, "s"),
        np.array([np.nan if post[3] is None else post[3] for post in posts], dtype=np.float64),
        [post[2] for post in posts],
        np.array([np.full(4, np.nan) if post[4] is None else VECTORS[post[4]] for post in posts], np.float32).reshape(
            -1, 4
        ),
        due=due,
    )


def relative_score(posts, post):
    """The definition; None without a score or a level."""
    if post[3] is None:
        return None
    mature = [other for other in posts if other[3] is not None and other[1] + MATURITY <= post[1]]
    of_late = [other for other in mature if other[1] + MATURITY > post[1] - LEVEL_DAYS * DAY]
    scores = [other[3] for other in of_late or mature]
    return post[3] - float(np.mean(scores)) if scores else None


def brute_force(posts, row):
    """The definition, post by post."""
    _, now, tokens, _, vector = posts[row]
    told = [(post, relative_score(posts, post)) for post in posts]
    told = [(post, score) for post, score in told if score is not None]
    found = {}
    for kind, terms_of in (("words", set), ("pairs", lambda own: set(pairwise(own)))):
        means = []
        for term in terms_of(tokens):
            scores = [score for post, score in told if post[1] + MATURITY <= now and term in terms_of(post[2])]
            if scores:
                means.append((sum(scores) / (len(scores) + SHRINKAGE[kind]), 1 / math.log(2 + len(scores))))
        weight = sum(own for _, own in means)
        found |= {
            f"{kind}_known": len(means),
            f"{kind}_past_sum": sum(mean for mean, _ in means),
            f"{kind}_past_mean": sum(mean * own for mean, own in means) / weight if means else 0.0,
            f"{kind}_past_min": min((mean for mean, _ in means), default=0.0),
            f"{kind}_past_max": max((mean for mean, _ in means), default=0.0),
        }
    week = now // WEEK
    learnt = [
        (post[4], score, 0.5 ** ((week - taught) / HALF_LIFE_WEEKS))
        for post, score in told
        if post[4] is not None and (taught := math.ceil((post[1] + MATURITY) / WEEK)) <= week
    ]
    posts_learnt = sum(weight for _, _, weight in learnt)
    expected = 0.0
    if vector is not None and posts_learnt >= title_past.LEAST_LEARNT_FROM:
        unit = VECTORS.astype(float) / np.linalg.norm(VECTORS.astype(float), axis=1, keepdims=True)
        squares = sum(weight * np.outer(unit[own], unit[own]) for own, _, weight in learnt) + PENALTY * np.eye(4)
        products = sum(weight * score * unit[own] for own, score, weight in learnt)
        expected = float(unit[vector] @ np.linalg.solve(squares, products))
    else:
        posts_learnt = 0.0
    return {**found, "title_expected": expected, "title_learnt_from": math.log1p(posts_learnt)}


# Few words and coarse times, so that equal seconds, known words and full weeks are common; levels move after 90 days.
POSTS = st.lists(
    st.tuples(
        st.integers(0, 60).map(lambda half_weeks: half_weeks * WEEK // 2),
        st.lists(st.sampled_from("abcd"), max_size=4),
        st.none() | st.integers(0, 6).map(float),
        st.none() | st.integers(0, 7),
    ),
    max_size=25,
).map(lambda rows: [(f"p{number}", *row) for number, row in enumerate(rows)])


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(autouse=True)
def _few_posts_are_enough(monkeypatch):
    monkeypatch.setattr(title_past, "LEAST_LEARNT_FROM", 3)


def test_columns_are_those_of_the_table():
    table = load_schema()["features.title_past"]
    assert table.column_names == ("post_id", "subreddit", "caption_encoder", *COLUMNS)
    assert {column.known_at for column in table.columns} == {"before_post"}


@settings(deadline=None)
@given(POSTS)
def test_equals_the_definition(posts):
    features = features_of(posts)
    assert list(features) == list(COLUMNS)
    for row in range(len(posts)):
        found = {name: float(values[row]) for name, values in features.items()}
        assert found == pytest.approx(brute_force(posts, row), rel=1e-4, abs=1e-5)


@settings(deadline=None)
@given(POSTS, POSTS, st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_future_and_the_order_of_the_input_change_no_bit(posts, others, half_weeks, random):
    cut = half_weeks * WEEK // 2
    # What had not matured by then may get any score.
    changed = [(*post[:3], 5.5 if post[1] + MATURITY > cut else post[3], post[4]) for post in posts if post[1] < cut]
    changed += [(f"q{post[0]}", post[1] + cut, [*post[2], "new"], *post[3:]) for post in others]
    random.shuffle(changed)
    ours, theirs = features_of(posts), features_of(changed)
    place = {post[0]: row for row, post in enumerate(changed)}
    for row, post in enumerate(posts):
        if post[1] < cut:
            for name in COLUMNS:
                assert ours[name][row].tobytes() == theirs[name][place[post[0]]].tobytes(), name


def a_year(rng, liked):
    """Four posts a day for a year, about a cat or a dog; the liked one scores more, against a rising level."""
    rows = []
    for number in range(4 * 365):
        moment = number * DAY // 4
        subject = int(rng.integers(2))
        score = 3 + moment / (200 * DAY) + (1.0 if subject == liked(moment) else -1.0) + rng.normal(0, 0.3)
        rows.append((f"p{number:04d}", moment, ["a", ("cat", "dog")[subject]], score, subject))
    return rows


def test_what_is_liked_is_learnt_and_learnt_anew_when_tastes_change(rng):
    posts = a_year(rng, lambda moment: 0 if moment < 180 * DAY else 1)
    features = features_of(posts)
    moment, cat = np.array([post[1] for post in posts]), np.array([post[4] == 0 for post in posts])
    before = (moment > 120 * DAY) & (moment < 180 * DAY)
    after = moment > 350 * DAY
    for name in ("words_past_max", "title_expected"):
        assert features[name][before & cat].min() > features[name][before & ~cat].max()
    # The ridge regression forgets: half a year later it has come round.
    assert features["title_expected"][after & ~cat].mean() > features["title_expected"][after & cat].mean()


def test_a_rising_level_teaches_nothing_about_a_word(rng):
    said = features_of(a_year(rng, lambda _: -1))["words_past_mean"]
    assert np.abs(said[200:]).max() < 0.3


@settings(deadline=None)
@given(POSTS, st.data())
def test_any_posts_get_what_they_get_among_all(posts, data):
    due = np.array(data.draw(st.lists(st.booleans(), min_size=len(posts), max_size=len(posts))), dtype=np.bool_)
    whole, some = features_of(posts), features_of(posts, due)
    for name in COLUMNS:
        assert some[name].tobytes() == whole[name][due].tobytes(), name


def test_some_posts_get_what_they_get_among_all(rng):
    posts = a_year(rng, lambda _: 0)
    due = np.zeros(len(posts), dtype=np.bool_)
    due[[3, 700, 1459]] = True
    whole, some = features_of(posts), features_of(posts, due)
    for name in COLUMNS:
        assert some[name].tobytes() == whole[name][due].tobytes(), name


def test_weeks_without_a_score_fade_alike_whichever_posts_are_wanted(rng):
    """To the last bit of a double, which float32 hides as a rule."""
    rows = [
        post if number < 600 else (*post[:3], None, post[4]) for number, post in enumerate(a_year(rng, lambda _: 0))
    ]
    created = np.array([row[1] for row in rows], dtype="datetime64[s]")
    score = np.array([np.nan if row[3] is None else row[3] for row in rows])
    posts = checked_posts([row[0] for row in rows], created, created + np.timedelta64(MATURITY, "s"), score)
    vectors = VECTORS[[row[4] for row in rows]]

    def found(wanted):
        titles = title_past._Titles(Vectors.of(vectors, "v"), posts, score - 3)
        return titles.features(vectors[wanted], posts.created[wanted])["title_expected"]

    last = np.arange(len(rows)) >= len(rows) - 200
    assert found(last).tobytes() == found(np.ones(len(rows), dtype=np.bool_))[last].tobytes()


def test_without_vectors_words_are_left():
    created = np.arange(40).astype("datetime64[D]").astype("datetime64[s]")
    found = title_past_features(
        [f"p{number}" for number in range(40)],
        created,
        created + np.timedelta64(9, "D"),
        np.arange(40.0) % 5,
        [["cat"]] * 40,
        np.empty((40, 0), dtype=np.float32),
    )
    assert found["words_known"][-1] == 1
    assert not found["title_expected"].any()
    assert not found["title_learnt_from"].any()


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one entry per post"):
        title_past_features(
            ["a"],
            np.zeros(1, dtype="datetime64[s]"),
            np.full(1, MATURITY).astype("datetime64[s]"),
            np.zeros(1),
            [],
            np.zeros((1, 4), dtype=np.float32),
        )
