"""What readings tell at an age: by hand, and for any readings whatever comes later changes no bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.features.early import COLUMNS, FORECAST_AGES, FRESH, Readings, Sightings, early_features
from redpop_assets.storage.schema import load_schema

NONE = Sightings(*(np.zeros(0, dtype=kind) for kind in (np.int64, np.float64, np.int64, np.int64)))


def readings(*rows):
    """Readings from (post, age, score, comments); a score of None is hidden."""
    post, age, score, comments = ([row[place] for row in rows] for place in range(4))
    n = len(rows)
    return Readings(
        np.array(post, dtype=np.int64),
        np.array(age, dtype=np.float64),
        np.array([np.nan if one is None else one for one in score], dtype=np.float64),
        np.array([one is None for one in score], dtype=np.bool_),
        np.full(n, 0.9),
        np.array(comments, dtype=np.float64),
        np.zeros(n),
        np.zeros(n, dtype=np.bool_),
    )


def test_by_hand():
    posts, found = early_features(readings((3, 1.0, 11, 2), (3, 3.0, 41, 8), (3, 2.0, 25, 4)), NONE, 3)
    assert posts.tolist() == [3]
    values = {name: float(column[0]) for name, column in found.items()}
    assert tuple(values) == COLUMNS
    assert (values["reading_age_hours"], values["readings"], values["masked"], values["still_up"]) == (3, 3, 0, 1)
    assert values["log_score"] == pytest.approx(np.log(42))
    # Halfway, at 1.5 hours, there were 18 points and 3 comments.
    first, second = (18 - 1) / 1.5, (41 - 18) / 1.5
    assert values["score_speed"] == pytest.approx(np.log1p(second))
    assert values["score_speed_change"] == pytest.approx(np.log1p(second - first))
    assert values["comment_speed"] == pytest.approx(np.log1p(5 / 1.5))
    assert values["comment_speed_change"] == pytest.approx(np.log1p((5 - 3) / 1.5))
    assert np.isnan(values["rank_hot"])


def test_too_old_a_reading_is_refused_and_a_hidden_score_is_none():
    asked = readings((0, 0.4, 5, 1), (1, 0.5, 5, 1), (2, 0.9, None, 4), (2, 0.6, 7, 2), (4, 1.1, 9, 9))
    posts, found = early_features(asked, NONE, 1)
    assert posts.tolist() == [1, 2]
    assert found["masked"].tolist() == [0, 1]
    assert np.isnan(found["log_score"]).tolist() == [False, True]
    assert found["log_comments"].tolist() == [np.log(2), np.log(5)]
    # Of the hidden one the score of before tells how fast it was.
    assert np.isfinite(found["score_speed"]).all()
    assert found["reading_age_hours"].tolist() == [0.5, 0.9]


def test_places_in_listings():
    seen = Sightings(
        np.array([0, 0, 0, 1, 0]),
        np.array([0.9, 0.7, 0.95, 0.3, 1.2]),
        np.array([1, 1, 0, 1, 1]),
        np.array([4, 9, 0, 2, 0]),
    )
    _, found = early_features(readings((0, 1.0, 5, 1), (1, 1.0, 5, 1)), seen, 1)
    assert found["rank_hot"][0] == np.log(5)
    assert np.isnan(found["rank_hot"][1])  # seen too long ago
    assert found["rank_new"][0] == 0
    assert np.isnan(found["rank_rising"]).all()


def test_nobody_was_read():
    posts, found = early_features(readings((0, 30.0, 5, 1)), NONE, 24)
    assert len(posts) == 0
    assert all(len(column) == 0 for column in found.values())


ROWS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.floats(0, 40, width=32),
        st.one_of(st.none(), st.integers(-20, 5_000)),
        st.integers(0, 900),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row[:2],
)


@given(rows=ROWS, later=ROWS, age=st.sampled_from(FORECAST_AGES), order=st.randoms())
def test_what_is_read_later_changes_no_bit(rows, later, age, order):
    known = [row for row in rows if row[1] <= age]
    after = [row for row in later if row[1] > age]
    mixed = known + after
    order.shuffle(mixed)
    if not known or not after:
        return
    sightings = [
        Sightings(
            np.array([row[0] for row in some]),
            np.array([row[1] for row in some]),
            np.array([number % 3 for number in range(len(some))]),
            np.array([row[3] for row in some]),
        )
        for some in (known, known + after)
    ]
    posts, found = early_features(readings(*known), sightings[0], age)
    same_posts, same = early_features(readings(*mixed), sightings[1], age)
    assert posts.tolist() == same_posts.tolist()
    assert [column.tobytes() for column in found.values()] == [column.tobytes() for column in same.values()]
    for post, when in zip(posts, found["reading_age_hours"], strict=True):
        assert when == max(row[1] for row in known if row[0] == post) >= FRESH * age


def test_columns_are_those_of_the_table():
    table = load_schema()["features.early_readings"]
    assert tuple(column.name for column in table.features) == COLUMNS
    assert {column.known_at for column in table.features} == {"after_age"}
