import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features import novelty
from redpop_assets.features.novelty import COLUMNS, LONGEST_AGE_DAYS, MOST_POSTS, SIMILAR, caption_novelty
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration

DAY = 86_400


def features_of(posts):
    """Features of posts given as (id, created seconds, tokens)."""
    created = np.asarray([post[1] for post in posts], dtype="datetime64[s]")
    return caption_novelty([post[0] for post in posts], created, [post[2] for post in posts])


def row_of(features, row):
    return {name: float(values[row]) for name, values in features.items()}


def brute_force(posts, row, most_posts):
    """The definition, post by post."""
    _, now, caption = posts[row]
    earlier = sorted(post[1::-1] + post[2:] for post in posts if now - LONGEST_AGE_DAYS * DAY <= post[1] < now)
    window = earlier[-most_posts:]
    own = set(caption)
    idf = {
        token: 1 + math.log((1 + len(window)) / (1 + sum(token in post[2] for post in window)))
        for token in own.union(*(post[2] for post in window))
    }

    def length(tokens):
        return math.sqrt(sum(idf[token] ** 2 for token in tokens))

    similarities = [
        sum(idf[token] ** 2 for token in own & set(post[2])) / (length(own) * length(set(post[2])))
        if own and post[2]
        else 0.0
        for post in window
    ]
    similar = [post[0] for post, cosine in zip(window, similarities, strict=True) if cosine >= SIMILAR - 1e-9]
    unseen = [token for token in own if not any(token in post[2] for post in window)]
    return {
        "has_earlier_captions": float(bool(window)),
        "window_posts": len(window),
        "max_similarity": max(similarities, default=0.0),
        "mean_similarity": float(np.mean(similarities)) if window else 0.0,
        "unseen_word_share": len(unseen) / len(own) if own and window else 0.0,
        "days_since_similar": (now - max(similar)) / DAY if similar else LONGEST_AGE_DAYS,
    }


# Few words and coarse times, so that equal seconds, equal captions and posts at the edge of the window are common.
POSTS = st.lists(
    st.tuples(st.integers(0, 80).map(lambda half_days: half_days * DAY // 2), st.lists(st.sampled_from("abcdef"))),
    max_size=30,
).map(lambda rows: [(f"p{number}", *row) for number, row in enumerate(rows)])


@pytest.fixture(params=[(256, MOST_POSTS), (4, 5)], ids=["one block", "small blocks and windows"])
def sizes(request, monkeypatch):
    block, most_posts = request.param
    monkeypatch.setattr(novelty, "_BLOCK", block)
    monkeypatch.setattr(novelty, "MOST_POSTS", most_posts)
    return request.param


def test_columns_are_those_of_the_table():
    table = load_schema()["features.caption_novelty"]
    assert table.column_names == ("post_id", "subreddit", *COLUMNS)
    assert {column.known_at for column in table.columns if column.type == "FLOAT"} == {"at_post"}


def test_equals_the_definition(sizes):
    @settings(deadline=None)
    @given(POSTS)
    def check(posts):
        features = features_of(posts)
        assert list(features) == list(COLUMNS)
        for row in range(len(posts)):
            expected = brute_force(posts, row, most_posts=sizes[1])
            assert row_of(features, row) == pytest.approx(expected, rel=1e-5, abs=1e-5)

    check()


@pytest.mark.usefixtures("sizes")
def test_the_future_and_the_order_of_the_input_change_no_row():
    @settings(deadline=None)
    @given(POSTS, POSTS, st.integers(0, 80), st.randoms(use_true_random=False))
    def check(posts, others, half_days, random):
        cut = half_days * DAY // 2
        changed = [post for post in posts if post[1] < cut]
        changed += [(f"q{post[0]}", post[1] + cut, [*post[2], "new"]) for post in others]
        random.shuffle(changed)
        ours, theirs = features_of(posts), features_of(changed)
        place = {post[0]: row for row, post in enumerate(changed)}
        for row, post in enumerate(posts):
            if post[1] < cut:
                for name in COLUMNS:
                    assert ours[name][row].tobytes() == theirs[name][place[post[0]]].tobytes(), name

    check()


def test_many_posts_added_later_change_no_bit():
    random = np.random.default_rng(5)
    words = [f"w{number}" for number in range(400)]
    posts = [
        (f"p{row:04d}", int(moment), list(random.choice(words, random.integers(1, 14))))
        for row, moment in enumerate(np.sort(random.integers(0, 20 * DAY, 1_500)))
    ]
    ours, whole = features_of(posts[:1_100]), features_of(posts)
    earlier = np.array([post[1] for post in posts[:1_100]]) < posts[1_100][1]
    for name in COLUMNS:
        assert ours[name][earlier].tobytes() == whole[name][:1_100][earlier].tobytes(), name


@given(st.lists(st.sampled_from("abcdef"), min_size=1), POSTS)
@settings(deadline=None)
def test_an_equal_caption_in_the_window_gives_similarity_one(caption, others):
    posts = [*others, ("y", 41 * DAY, caption), ("z", 41 * DAY + 1, caption[::-1])]
    last = row_of(features_of(posts), len(posts) - 1)
    assert last["max_similarity"] == 1
    assert last["unseen_word_share"] == 0
    assert last["days_since_similar"] == pytest.approx(1 / DAY)


def test_a_known_history():
    posts = [
        ("a", 0, ["my", "cat"]),
        ("b", 2 * DAY, ["sunset"]),
        ("c", 3 * DAY, ["my", "dog", "[oc]"]),
        ("d", 3 * DAY, ["my", "dog", "[oc]"]),
        ("e", 5 * DAY, ["my", "dog", "[oc]"]),
    ]
    features = features_of(posts)
    assert row_of(features, 0) == {
        "has_earlier_captions": 0,
        "window_posts": 0,
        "max_similarity": 0,
        "mean_similarity": 0,
        "unseen_word_share": 0,
        "days_since_similar": LONGEST_AGE_DAYS,
    }
    assert row_of(features, 1)["unseen_word_share"] == 1
    # Posts of one second see nothing of each other.
    assert row_of(features, 3)["window_posts"] == 2
    assert row_of(features, 3)["unseen_word_share"] == pytest.approx(2 / 3)
    assert row_of(features, 3)["days_since_similar"] == LONGEST_AGE_DAYS
    assert row_of(features, 4)["max_similarity"] == 1
    assert row_of(features, 4)["days_since_similar"] == 2


def test_words_that_everybody_uses_count_less_than_rare_ones():
    common = [(f"p{row}", row, ["my", f"thing{row}"]) for row in range(20)]
    posts = [*common, ("rare", 30, ["my", "heron"]), ("x", 40, ["my", "bicycle"]), ("y", 50, ["the", "heron"])]
    features = features_of(posts)
    assert row_of(features, 22)["max_similarity"] > row_of(features, 21)["max_similarity"] > 0


def test_the_window_ends_after_500_posts_and_after_30_days():
    posts = [(f"p{row:04d}", row, ["word"]) for row in range(MOST_POSTS + 50)]
    windows = features_of(posts)["window_posts"]
    assert windows[MOST_POSTS] == windows[-1] == MOST_POSTS
    late = [("a", 0, ["word"]), ("b", 30 * DAY, ["word"]), ("c", 60 * DAY + 1, ["word"])]
    assert features_of(late)["window_posts"].tolist() == [0, 1, 0]


def test_captions_without_tokens_are_similar_to_none():
    features = features_of([("a", 0, []), ("b", 1, []), ("c", 2, ["cat"])])
    assert features["window_posts"].tolist() == [0, 1, 2]
    for name in ("max_similarity", "mean_similarity"):
        assert features[name].tolist() == [0, 0, 0]
    assert features["unseen_word_share"].tolist() == [0, 0, 1]


def test_no_posts_give_no_rows():
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in features_of([]).values())


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="one entry per post"):
        caption_novelty(["a", "b"], np.zeros(1, dtype="datetime64[s]"), [["cat"]])
    with pytest.raises(ValueError, match="missing"):
        caption_novelty(["a"], np.asarray(["NaT"], dtype="datetime64[s]"), [["cat"]])
