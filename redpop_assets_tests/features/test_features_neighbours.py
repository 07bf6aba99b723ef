import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from redpop_assets.features.neighbours import (
    COLUMNS,
    SIMILARITY_STEPS,
    STATISTICS,
    VectorPast,
    neighbour_features,
)
from redpop_assets.features.past import LONGEST_PAUSE_DAYS, checked_posts
from redpop_assets.features.vectors import Vectors
from redpop_assets.storage.schema import load_schema

DAY = 86_400
AGE = 7 * DAY
NAN = float("nan")
WIDTH = 4
TILES = st.sampled_from([(1, 1), (3, 2), (2, 5), (64, 64)])


def matrix_of(vectors, width=WIDTH):
    rows = [[NAN] * width if vector is None else vector for vector in vectors]
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), width)


def features_of(posts, *, age=AGE, with_groups=True, **options):
    """Features of posts given as (id, created seconds, log score, group, image vector, caption vector)."""
    created = np.asarray([post[1] for post in posts], dtype="datetime64[s]")
    return neighbour_features(
        [post[0] for post in posts],
        created,
        created + np.timedelta64(age, "s"),
        np.asarray([post[2] for post in posts], dtype=np.float64),
        matrix_of([post[4] for post in posts]),
        matrix_of([post[5] for post in posts]),
        groups=[post[3] for post in posts] if with_groups else None,
        **options,
    )


def row_of(features, row):
    return {name: float(values[row]) for name, values in features.items()}


def brute_force(posts, row, age, k, with_groups):
    """The definition, post by post."""
    _, now, _, group, *mine = posts[row]
    mature = [n for n, post in enumerate(posts) if post[1] < now and post[1] + age <= now and not np.isnan(post[2])]
    usual = [posts[n][2] for n in mature]
    mean, sd = (np.mean(usual), np.std(usual)) if usual else (0.0, 0.0)
    expected = {}
    for modality, vector, column in zip(("image", "caption"), mine, (4, 5), strict=True):
        near = []
        for n in mature if vector is not None else ():
            other = posts[n][column]
            if other is not None and not (with_groups and group is not None and posts[n][3] == group):
                cosine = np.dot(vector, other) / (np.linalg.norm(vector) * np.linalg.norm(other))
                near.append((round(cosine * SIMILARITY_STEPS), posts[n][1], posts[n][0], n))
        near = sorted(near, reverse=True)[:k]
        similarity = np.asarray([each[0] / SIMILARITY_STEPS for each in near])
        scores = np.asarray([posts[each[3]][2] for each in near])
        weights = np.maximum(similarity, 0)
        values = (
            len(near),
            float(bool(near)),
            scores.mean() if near else mean,
            (np.average(scores, weights=weights) if weights.any() else scores.mean()) if near else mean,
            scores.std() if near else sd,
            min(scores, default=mean),
            max(scores, default=mean),
            similarity.mean() if near else 0.0,
            similarity[0] if near else 0.0,
            min((now - near[0][1]) / DAY, LONGEST_PAUSE_DAYS) if near else LONGEST_PAUSE_DAYS,
        )
        expected.update({f"{modality}_{name}": value for name, value in zip(STATISTICS, values, strict=True)})
    return expected


# Vectors of equal length whose cosines are multiples of a quarter, so that equal similarities are common and exact.
VECTORS = st.one_of(
    st.none(), st.lists(st.sampled_from([-0.5, 0.5]), min_size=WIDTH, max_size=WIDTH), st.just([1.0, 0.0, 0.0, 0.0])
)
POSTS = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda half_days: half_days * DAY // 2),
        st.one_of(st.just(NAN), st.floats(-3, 11)),
        st.sampled_from([None, None, "g", "h"]),
        VECTORS,
        VECTORS,
    ),
    max_size=25,
).map(lambda rows: [(f"p{number:02d}", *row) for number, row in enumerate(rows)])


@settings(deadline=None)
@given(POSTS, st.sampled_from([0, DAY // 2, AGE]), st.sampled_from([1, 3, 10]), TILES, st.booleans())
def test_equals_the_definition(posts, age, k, tile, with_groups):
    features = features_of(posts, age=age, k=k, tile=tile, with_groups=with_groups)
    assert list(features) == list(COLUMNS)
    for row in range(len(posts)):
        expected = brute_force(posts, row, age, k, with_groups)
        assert row_of(features, row) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(
    POSTS,
    POSTS,
    st.integers(0, 40),
    st.sampled_from([DAY // 2, AGE]),
    TILES,
    st.integers(0, 99),
    st.randoms(use_true_random=False),
)
def test_the_future_changes_no_row(posts, others, half_days, age, tile, seed, random):
    """Replace all posts made from a moment on, and all scores not mature before it: earlier rows stay bit-identical.

    The vectors are turned and stretched at random, so that products of them are rounded.
    """
    turn = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH))

    def turned(post):
        return (*post[:4], *(None if vector is None else np.asarray(vector) @ turn for vector in post[4:]))

    cut = half_days * DAY // 2
    posts = [turned(post) for post in posts]
    changed = [
        (*post[:2], random.choice([NAN, random.uniform(-3, 11)]), *post[3:]) if post[1] + age >= cut else post
        for post in posts
        if post[1] < cut
    ] + [(f"q{post[0]}", post[1] + cut, *turned(post)[2:]) for post in others]
    random.shuffle(changed)
    ours, theirs = features_of(posts, age=age, tile=tile, k=3), features_of(changed, age=age, tile=tile, k=3)
    place = {post[0]: row for row, post in enumerate(changed)}
    for row, post in enumerate(posts):
        if post[1] < cut:
            for name in COLUMNS:
                assert ours[name][row].tobytes() == theirs[name][place[post[0]]].tobytes(), name


@settings(deadline=None)
@given(POSTS, TILES, st.randoms(use_true_random=False))
def test_what_is_due_comes_out_as_if_all_were(posts, tile, random):
    due = np.asarray([random.random() < 0.3 for _ in posts], dtype=bool)
    everything, some = features_of(posts, tile=tile), features_of(posts, tile=tile, due=due)
    for name in COLUMNS:
        assert some[name].tobytes() == everything[name][due].tobytes()


def made(n, width, seed=0, days=400):
    """Random posts: ids, creations, maturities, scores and vectors, most pictures there."""
    random = np.random.default_rng(seed)
    created = np.sort(random.integers(0, days * DAY, n)).astype("datetime64[s]")
    vectors = random.normal(size=(n, width)).astype(np.float32)
    vectors[random.random(n) < 0.05] = np.nan
    scores = np.where(random.random(n) < 0.1, np.nan, random.normal(3, 2, n))
    return [f"p{row:05d}" for row in range(n)], created, created + np.timedelta64(AGE, "s"), scores, vectors


def test_the_products_of_real_tiles_do_not_change_when_posts_follow():
    """More than one tile each way, of a width that no kernel of a BLAS library likes best."""
    ids, created, matured, scores, vectors = made(4500, 131)
    posts = checked_posts(ids, created, matured, scores)
    whole = VectorPast(posts, Vectors.of(vectors, "v"), [None] * 4500).of_rows(np.arange(4500))
    for n in (2999, 2048, 1025, 17):
        posts = checked_posts(ids[:n], created[:n], matured[:n], scores[:n])
        part = VectorPast(posts, Vectors.of(vectors[:n].copy(), "v"), [None] * n).of_rows(np.arange(n))
        assert part.rows.tobytes() == whole.rows[:n].tobytes()
        assert part.similarity.tobytes() == whole.similarity[:n].tobytes()


def test_the_neighbours_of_many_random_posts_are_the_nearest():
    n, k = 3000, 10
    ids, created, matured, scores, vectors = made(n, 24, seed=1)
    groups = [f"g{number}" for number in np.random.default_rng(2).integers(0, 400, n)]
    posts = checked_posts(ids, created, matured, scores)
    nearest = VectorPast(posts, Vectors.of(vectors, "v"), groups).of_rows(np.arange(n), k)
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    for row in range(0, n, 37):
        allowed = (matured <= created[row]) & ~np.isnan(scores) & ~np.isnan(vectors[:, 0])
        allowed &= np.asarray([group != groups[row] for group in groups])
        cosine = np.where(allowed, unit @ unit[row], -np.inf)
        best = np.argsort(-cosine)[:k]
        best = best[np.isfinite(cosine[best])]
        found = nearest.rows[row][nearest.rows[row] >= 0]
        assert sorted(found) == sorted(best)
        np.testing.assert_allclose(nearest.similarity[row][: len(best)], cosine[best], atol=2e-6)


def test_of_equally_similar_posts_the_latest_is_the_nearest():
    vector = [0.1, 0.7, -0.2, 0.4]
    posts = [(f"p{n}", n * DAY, float(n), None, vector, vector) for n in range(5)]
    features = features_of([*posts, ("q", 30 * DAY, NAN, None, [2 * value for value in vector], None)], k=2)
    row = row_of(features, -1)
    assert (row["image_neighbours_min_log_score"], row["image_neighbours_max_log_score"]) == (3, 4)
    assert row["image_days_since_nearest"] == 26
    assert row["image_neighbours_best_similarity"] == 1
    assert (row["caption_neighbours"], row["caption_neighbours_mean_log_score"]) == (0, 2)
    assert row["caption_neighbours_sd_log_score"] == pytest.approx(np.sqrt(2))


def test_the_picture_itself_is_no_neighbour():
    posts = [
        ("a", 0, 9.0, "g", [1, 0, 0, 0], None),
        ("b", 0, 1.0, None, [0, 1, 0, 0], None),
        ("c", 30 * DAY, NAN, "g", [1, 0, 0, 0], None),
    ]
    assert row_of(features_of(posts), -1)["image_neighbours_mean_log_score"] == 1
    assert row_of(features_of(posts, with_groups=False), -1)["image_neighbours"] == 2


def test_posts_of_one_second_are_no_neighbours():
    vector = [1, 0, 0, 0]
    features = features_of([(name, 0, 4.0, None, vector, vector) for name in "ab"], age=0)
    assert features["image_neighbours"].tolist() == features["caption_neighbours"].tolist() == [0, 0]


def test_similar_posts_tell_and_noise_does_not():
    ids, created, matured, _, vectors = made(2500, 8, seed=3)
    random = np.random.default_rng(4)
    noise = random.normal(size=2500)
    late = created.astype(np.int64) > 60 * DAY
    for scores, told in ((noise, False), (np.nan_to_num(vectors[:, 0]) + 0.5 * noise, True)):
        features = neighbour_features(ids, created, matured, scores, vectors, vectors)
        rows = late & (features["image_has_neighbours"] == 1)
        found = spearmanr(features["image_neighbours_mean_log_score"][rows], scores[rows]).statistic
        assert (found > 0.4) if told else (abs(found) < 4 / np.sqrt(rows.sum()))


def test_without_posts_or_vectors_there_are_no_neighbours():
    features = features_of([])
    assert list(features) == list(COLUMNS)
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in features.values())
    now = np.zeros(2, dtype="datetime64[s]")
    nothing = np.zeros((2, 0), dtype=np.float32)
    features = neighbour_features(["a", "b"], now, now, np.zeros(2), nothing, nothing)
    assert features["image_has_neighbours"].tolist() == [0, 0]


def test_the_table_has_these_columns():
    table = load_schema()["features.neighbours"]
    assert tuple(column.name for column in table.columns if column.type == "FLOAT") == COLUMNS


def test_wrong_input_is_refused():
    good = ("a", 0, 1.0, None, [1, 0, 0, 0], None)
    with pytest.raises(ValueError, match="at least 1"):
        features_of([good], k=0)
    with pytest.raises(ValueError, match="at least 1"):
        features_of([good], tile=(0, 4))
    with pytest.raises(ValueError, match="groups and due"):
        features_of([good], due=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="partly missing"):
        features_of([("a", 0, 1.0, None, [1, NAN, 0, 0], None)])
    now = np.zeros(1, dtype="datetime64[s]")
    with pytest.raises(ValueError, match="one row per post"):
        neighbour_features(["a"], now, now, np.zeros(1), np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32))
