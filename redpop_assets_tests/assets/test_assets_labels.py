"""The label rule: a median of mature readings, whatever comes before, between and after them."""

from datetime import datetime, timedelta
from statistics import median

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.refresh.labels import _LABELS
from redpop_assets.sandbox.world import World
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration

AGE, WINDOW = timedelta(days=7), timedelta(hours=48)
CREATED = datetime(2026, 3, 1, 12)
SCALES_MET = datetime(2016, 12, 1)


_POSTS = """
INSERT INTO core.posts BY NAME
SELECT unnest($posts) AS post_id, 'pics' AS subreddit, $created AS created_at, 'c' AS caption, 'c' AS caption_sha256,
    'image' AS kind, [] AS image_urls, FALSE AS over_18, FALSE AS is_original_content, FALSE AS spoiler,
    '1' AS code_version
"""
_READINGS = """
INSERT INTO raw.observations BY NAME
SELECT unnest($posts) AS post_id, 'pics' AS subreddit, unnest($endpoints) AS endpoint,
    unnest($times::TIMESTAMP[]) AS observed_at,
    unnest($scores::INTEGER[]) AS score, unnest($hidden::BOOLEAN[]) AS hide_score
"""


@pytest.fixture(scope="module")
def labels_of():
    """The labels, or None, that posts get from their readings, stored in the order given.

    A reading is age, score, whether it is hidden, and the endpoint that gave it, by default Reddit's own.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        for layer in ("raw", "core"):
            connection.execute(f"CREATE SCHEMA {layer}")
        for table in ("core.posts", "raw.observations"):
            connection.execute(load_schema()[table].ddl)

        def labels(*posts, created=CREATED, window=WINDOW, archive_age=AGE):
            connection.execute("TRUNCATE core.posts; TRUNCATE raw.observations")
            connection.execute(_POSTS, {"posts": list(range(len(posts))), "created": created})
            flat = [(n, *reading, "info")[:5] for n, readings in enumerate(posts) for reading in readings]
            columns = {
                "posts": [n for n, *_ in flat],
                "times": [created + age for _, age, *_ in flat],
                "scores": [score for _, _, score, *_ in flat],
                "hidden": [hidden for _, _, _, hidden, _ in flat],
                "endpoints": [endpoint for *_, endpoint in flat],
            }
            connection.execute(_READINGS, columns)
            parameters = {
                "subreddit": "pics",
                "label_age": AGE,
                "label_window": window,
                "archive_age": archive_age,
                "matured_after": AGE + window,
            }
            rows = connection.execute(_LABELS, parameters).to_arrow_table().to_pylist()
            found = {int(row.pop("post_id")): row for row in rows}
            assert len(found) == len(rows)
            return [found.get(n) for n in range(len(posts))]

        yield labels


@pytest.fixture(scope="module")
def label_of(labels_of):
    """The label of one post, or None."""
    return lambda readings, **more: labels_of(readings, **more)[0]


def mature(*scores, hours=1.0):
    """Readings from the label age on, so many hours apart."""
    return [(AGE + timedelta(hours=n * hours), score, False) for n, score in enumerate(scores)]


# --- the rule, case by case ---


def test_it_is_the_median_of_two_days(label_of):
    found = label_of(mature(100, 107, 96, 5000, hours=24))
    assert (found["score"], found["readings"], found["score_spread"]) == (100, 3, 11)
    assert found["log_score"] == pytest.approx(np.log1p(100))
    assert found["first_observed_at"] == CREATED + AGE
    assert found["observed_at"] == CREATED + AGE + WINDOW  # the end belongs to it
    assert found["age_at_label_hours"] == 168


def test_a_single_reading_is_all_there_is(label_of):
    found = label_of(mature(41))
    assert (found["score"], found["readings"], found["score_spread"]) == (41, 1, 0)
    assert found["observed_at"] == found["first_observed_at"]


@pytest.mark.parametrize(("scores", "label"), [((10, 11), 11), ((10, 13, 12, 11), 12), ((0, 1), 1), ((10, 12), 11)])
def test_between_two_middle_readings_halves_are_rounded_up(label_of, scores, label):
    assert label_of(mature(*scores))["score"] == label


def test_the_window_begins_at_the_first_reading_that_counts(label_of):
    """A post found late, or whose score was masked at the label age, has as much of a window as any other."""
    readings = [
        (timedelta(days=30), 999, True),
        (timedelta(days=31), None, False),
        (timedelta(days=40), 50, None),
        (timedelta(days=41), 52, False),
        (timedelta(days=43), 90, False),
    ]
    found = label_of(readings)
    assert (found["score"], found["readings"], found["age_at_label_hours"]) == (51, 2, 960)


def test_without_a_window_it_is_the_first_reading(label_of):
    assert label_of(mature(10, 20, 30), window=timedelta(0))["score"] == 10


@pytest.mark.parametrize(
    ("created", "label", "scale"),
    [
        (SCALES_MET - AGE, 3000, "current"),
        (SCALES_MET - AGE - timedelta(seconds=1), 1000, "before_2016_12"),
        (SCALES_MET - AGE - timedelta(hours=1), 1000, "before_2016_12"),
    ],
)
def test_readings_of_two_score_scales_never_mix(label_of, created, label, scale):
    readings = [*mature(1000), *((AGE + timedelta(hours=n), 3000, False) for n in (2, 3, 4))]
    if scale == "current":
        readings[0] = (AGE, 3000, False)
    found = label_of(readings, created=created)
    assert (found["score"], found["score_scale"]) == (label, scale)
    assert found["readings"] == (4 if scale == "current" else 1)


# --- and in general ---

AGES = st.integers(0, 14 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
READINGS = st.lists(
    st.tuples(AGES, st.none() | st.integers(0, 200), st.sampled_from([True, False, None])),
    max_size=12,
    unique_by=lambda reading: reading[0],
)
MATURE_SCORES = st.lists(st.integers(0, 10_000), min_size=3, max_size=9)


def usable(readings):
    counted = sorted((age, score) for age, score, hidden in readings if age >= AGE and score is not None and not hidden)
    return [(age, score) for age, score in counted if age <= counted[0][0] + WINDOW]


@settings(max_examples=150, deadline=None)
@given(readings=READINGS, data=st.data())
def test_only_mature_unmasked_readings_count_in_whatever_order_they_came(labels_of, readings, data):
    used = usable(readings)
    shuffled = data.draw(st.permutations(readings))
    found, again, alone = labels_of(readings, shuffled, [(age, score, False) for age, score in used])
    assert found == again == alone
    assert (found is None) == (not used)
    if found:
        scores = [score for _, score in used]
        assert found["score"] == int(median(scores) + 0.5)
        assert found["readings"] == len(used)
        assert found["score_spread"] == max(scores) - min(scores)
        assert found["first_observed_at"] == CREATED + used[0][0]
        assert found["observed_at"] == CREATED + used[-1][0]


@settings(max_examples=100, deadline=None)
@given(scores=MATURE_SCORES, position=st.integers(0, 8), outlier=st.integers(0, 2_000_000_000))
def test_one_outlier_among_three_moves_the_label_no_further_than_the_others(label_of, scores, position, outlier):
    position %= len(scores)
    others = [score for n, score in enumerate(scores) if n != position]
    label = label_of(mature(*scores[:position], outlier, *scores[position + 1 :]))["score"]
    assert min(others) <= label <= max(others)


# --- against the truth ---


@pytest.mark.parametrize("hours", [(0, 24), (0, 24, 48), (0, 0.02, 0.05, 24, 24.02)])
def test_it_is_closer_to_the_unfuzzed_score_than_a_single_reading(labels_of, hours):
    """At ages past the label age as a nightly refresh has them; the sandbox knows the score unfuzzed."""
    world = World(seed=5, posts_per_subreddit=400, history=timedelta(days=60))
    ages = [AGE + timedelta(seconds=round(hour * 3600)) for hour in hours]
    posts = [post for post in world.posts("pics", world.epoch.timestamp())[:250] if post.final_score > 20]
    truth = np.array([world.score(post, post.created + AGE.total_seconds()) for post in posts])
    readings = [[world.read(post, post.created + age.total_seconds()).score for age in ages] for post in posts]
    labels = labels_of(*([(age, score, False) for age, score in zip(ages, row, strict=True)] for row in readings))
    of_label = np.array([label["score"] for label in labels]) - truth
    of_reading = np.array(readings)[:, 0] - truth
    assert len(posts) > 150
    assert np.sqrt(np.mean(of_label**2)) < 0.85 * np.sqrt(np.mean(of_reading**2))
    assert abs(np.mean(of_label)) < 0.5, "it is neither too high nor too low on average"


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("endpoints", "source"),
    [
        (["info"], "reddit"),
        (["listing", "info"], "reddit"),
        (["archive"], "archive"),
        (["arctic_shift"], "arctic_shift"),
        (["listing", "archive"], "archive+reddit"),
        (["info", "arctic_shift", "archive"], "archive+arctic_shift+reddit"),
    ],
)
def test_a_label_says_where_its_readings_come_from(label_of, endpoints, source):
    readings = [(AGE + n * HOUR, 5, False, endpoint) for n, endpoint in enumerate(endpoints)]
    young = (DAY, 1, False, "arctic_shift")  # of no label
    label = label_of([young, *readings])
    assert (label["source"], label["readings"]) == (source, len(endpoints))


def test_readings_of_the_archive_stand_in_where_nobody_will_read_at_the_label_age(labels_of):
    second = (36 * HOUR, 40, False, "arctic_shift")
    on_reddit = (36 * HOUR, 40, False, "info")
    later = (AGE + WINDOW + 10 * DAY, 9, False, "info")  # of another post: time has passed
    found = labels_of([second], [on_reddit], [second, (AGE, 50, False, "info")], [later], archive_age=34 * HOUR)
    assert [label and (label["score"], label["source"]) for label in found] == [
        (40, "arctic_shift"),
        None,
        (50, "reddit"),
        (9, "reddit"),
    ]
    assert found[0]["age_at_label_hours"] == 36


def test_they_do_not_while_the_post_may_yet_be_read(labels_of):
    second = (36 * HOUR, 40, False, "arctic_shift")
    assert labels_of([second], [(AGE + HOUR, 9, False, "info")], archive_age=34 * HOUR)[0] is None


def test_nor_where_the_label_age_was_chosen(labels_of):
    second = (36 * HOUR, 40, False, "arctic_shift")
    assert labels_of([second], [(20 * DAY, 9, False, "info")])[0] is None
