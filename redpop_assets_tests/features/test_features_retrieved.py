import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.neighbours import MODALITIES, NEIGHBOURS, VectorPast
from redpop_assets.features.past import LEVEL_DAYS, checked_posts
from redpop_assets.features.retrieved import COLUMNS, SKETCH, retrieved_features
from redpop_assets.features.vectors import Vectors
from redpop_assets.storage.schema import load_schema

DAY = 86_400
AGE = 7 * DAY
VECTORS = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [3, 1, 0, 0], [0, 0, -1, 1]], dtype=np.float32)


def matrix_of(numbers):
    rows = [np.full(4, np.nan) if number is None else VECTORS[number] for number in numbers]
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def features_of(posts, **options):
    """Features of posts given as (id, created seconds, log score, author, group, picture, caption)."""
    ids, created, scores, authors, groups, pictures, captions = (
        [list(column) for column in zip(*posts, strict=True)] if posts else [[]] * 7
    )
    created = np.asarray(created, dtype="datetime64[s]")
    return retrieved_features(
        ids,
        created,
        created + np.timedelta64(AGE, "s"),
        np.asarray([np.nan if score is None else score for score in scores], dtype=np.float64),
        authors,
        matrix_of(pictures),
        matrix_of(captions),
        groups=groups,
        **options,
    )


def cosine(one, other):
    if one is None or other is None:
        return 0.0
    one, other = VECTORS[one].astype(float), VECTORS[other].astype(float)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def level_at(posts, now):
    """The definition: the mean of what matured of late, or else of all that had."""
    mature = [post for post in posts if post[2] is not None and post[1] + AGE <= now and post[1] < now]
    late = [post for post in mature if post[1] + AGE > now - LEVEL_DAYS * DAY] or mature
    return np.mean([post[2] for post in late]) if late else None


def said_of(posts, row):
    """The definition, post by post: modality -> neighbours with what is said of each."""
    _, now, _, author, group, *own = posts[row]
    found = {}
    for at, modality in enumerate(MODALITIES):
        near = []
        for name, created, score, by, their_group, *theirs in posts:
            alike = own[at] is not None and theirs[at] is not None
            if score is None or created >= now or created + AGE > now or not alike:
                continue
            if group is not None and group == their_group:
                continue
            level = level_at(posts, created)
            level = level_at(posts, now) if level is None else level
            both = cosine(own[1 - at], theirs[1 - at])
            same = float(author is not None and by == author)
            numbers = cosine(own[at], theirs[at]), score - level, (now - created) / DAY, same, both
            near.append((round(numbers[0], 5), created, name, numbers, theirs))
        near.sort(key=lambda one: one[:3], reverse=True)
        found[modality] = [(numbers, theirs) for *_, numbers, theirs in near[:NEIGHBOURS]]
    return found


POSTS = st.lists(
    st.tuples(
        st.integers(0, 60).map(lambda number: number * 3 * DAY),
        st.sampled_from([None, 0.0, 1.5, 4.0]),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([None, None, "g"]),
        st.sampled_from([None, 0, 1, 2, 3]),
        st.sampled_from([None, 0, 1, 2, 3]),
    ),
    max_size=16,
).map(lambda rows: [(f"p{number:02}", *row) for number, row in enumerate(rows)])


@settings(max_examples=60)
@given(POSTS)
def test_each_neighbour_is_told_of_as_the_definition_says(posts):
    features = features_of(posts)
    assert list(features) == list(COLUMNS)
    assert all(np.isfinite(values).all() and values.dtype == np.float32 for values in features.values())
    for row in range(len(posts)):
        level = level_at(posts, posts[row][1])
        assert features["level"][row] == pytest.approx(level or 0.0, abs=1e-6)
        for modality, near in said_of(posts, row).items():
            names = (*(f"{modality}_{name}" for name in ("similarity", "standing", "days", "same_author")),)
            found = np.stack([features[name][row] for name in (*names, f"both_{modality}")], axis=1)
            expected = np.zeros((NEIGHBOURS, 5))
            expected[: len(near)] = [numbers for numbers, _ in near] if near else np.zeros((0, 5))
            np.testing.assert_allclose(found, expected, atol=2e-5)
            assert (found[: len(near), 2] > 0).all(), "days are above 0 where there is a neighbour"
            for at, kind in enumerate(("picture", "caption")):
                sketches = features[f"{modality}_{kind}"][row].reshape(NEIGHBOURS, SKETCH)
                there = [theirs[at] is not None for _, theirs in near]
                assert (sketches != 0).any(axis=1).tolist() == there + [False] * (NEIGHBOURS - len(near))


def test_sketches_keep_the_angles_of_vectors_roughly():
    rng = np.random.default_rng(0)
    n, width = 120, 384
    units = rng.normal(size=(n, width)) + 2 * rng.normal(size=(1, width))
    units = (units / np.linalg.norm(units, axis=1, keepdims=True)).astype(np.float32)
    created = (np.arange(n) * 10 * DAY).astype("datetime64[s]")
    matured, ids = created + np.timedelta64(AGE, "s"), [f"p{number:03}" for number in range(n)]
    features = retrieved_features(ids, created, matured, np.ones(n), [None] * n, units, units)
    posts = checked_posts(ids, created, matured, np.ones(n))
    nearest = VectorPast(posts, Vectors.of(units, "v"), [None] * n).of_rows(np.arange(n))
    sketches = features["image_picture"][n - 1].reshape(NEIGHBOURS, SKETCH)
    np.testing.assert_array_equal(sketches, features["caption_caption"][n - 1].reshape(NEIGHBOURS, SKETCH))
    exact = units[nearest.rows[n - 1]] @ units[nearest.rows[n - 1]].T
    assert np.abs(sketches @ sketches.T / SKETCH - exact).max() < 0.8
    assert np.abs((sketches @ sketches.T / SKETCH - exact).mean()) < 0.35
    # The same whatever the length of the vectors, and to the last bit.
    again = retrieved_features(ids, created, matured, np.ones(n), [None] * n, 4 * units, units)
    assert again["image_picture"].tobytes() == features["image_picture"].tobytes()


def test_a_repost_does_not_hear_of_its_own_picture_nor_of_what_has_not_matured():
    posts = [
        ("a", 0, 9.0, None, "g", 0, None),
        ("b", 0, 1.0, None, None, 1, None),
        ("c", 29 * DAY, 5.0, None, None, 0, None),
        ("d", 30 * DAY, None, None, "g", 0, None),
    ]
    features = features_of(posts)
    assert np.count_nonzero(features["image_days"][3]) == 1
    assert features["image_days"][3][0] == 30
    # Nothing had matured when it was made, so that it stands against the level of now: of a and of b.
    assert features["image_standing"][3][0] == 1.0 - 5.0


def test_only_what_is_due_is_told_of():
    posts = [(f"p{n}", n * 4 * DAY, float(n), "a", None, n % 3, n % 2) for n in range(12)]
    due = np.arange(12) % 5 == 1
    whole, some = features_of(posts), features_of(posts, due=due)
    for name, values in whole.items():
        assert some[name].tobytes() == values[due].tobytes()


def test_without_posts_or_vectors_there_is_nobody():
    assert all(len(values) == 0 for values in features_of([]).values())
    now = np.zeros(2, dtype="datetime64[s]")
    nothing = np.zeros((2, 0), dtype=np.float32)
    features = retrieved_features(["a", "b"], now, now, np.zeros(2), [None, None], nothing, nothing)
    assert not any(values.any() for values in features.values())
    with pytest.raises(ValueError, match="one entry per post"):
        retrieved_features(["a", "b"], now, now, np.zeros(2), [None], nothing, nothing)


def test_the_table_has_these_columns():
    table = load_schema()["features.retrieved"]
    assert tuple(column.name for column in table.features) == COLUMNS
    widths = {column.name: column.type for column in table.features}
    assert widths["image_days"] == f"FLOAT[{NEIGHBOURS}]"
    assert widths["caption_picture"] == f"FLOAT[{NEIGHBOURS * SKETCH}]"
