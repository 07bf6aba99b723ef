"""When posts did well, by the clock of whoever asks: summer time, thin slots, doubtful labels."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.refresh.community_page import HOURS_A_WEEK, hours_of, on_the_clock

# Half hours, quarters, no summer time, a change at midnight, and a day that was left out (Samoa, 2011-12-30).
ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("America/Havana", "Africa/Casablanca", "Pacific/Apia", "Asia/Tehran", "Pacific/Kiritimati"),
]
moments = st.integers(1_100_000_000, 2_000_000_000)


@given(st.lists(moments, max_size=30), st.sampled_from(ZONES))
def test_the_clock_shows_what_it_showed(seconds, name):
    zone = ZoneInfo(name)
    shown = on_the_clock(np.array(seconds, dtype="datetime64[s]"), zone)
    expected = [datetime.fromtimestamp(second, UTC).astimezone(zone).replace(tzinfo=None) for second in seconds]
    assert shown.astype(object).tolist() == expected


@pytest.mark.parametrize("name", ZONES)
def test_around_a_change_of_the_clock_every_minute_is_right(name):
    zone = ZoneInfo(name)
    hours = [datetime(2011, 1, 1, tzinfo=UTC) + timedelta(hours=at) for at in range(366 * 24)]
    ahead = [hour.astimezone(zone).utcoffset() for hour in hours]
    changes = [hours[at] for at in range(1, len(hours)) if ahead[at] != ahead[at - 1]]
    minutes = [change + timedelta(minutes=at) for change in changes for at in range(-90, 90)]
    shown = on_the_clock(np.array([minute.replace(tzinfo=None) for minute in minutes], "datetime64[s]"), zone)
    assert shown.astype(object).tolist() == [minute.astimezone(zone).replace(tzinfo=None) for minute in minutes]


def test_no_post_has_no_time():
    assert len(on_the_clock(np.array([], "datetime64[s]"), ZoneInfo("Europe/Berlin"))) == 0


_POSTS = """
INSERT INTO core.posts BY NAME
SELECT
    'p' || n AS post_id, 'pics' AS subreddit, TIMESTAMP '2026-03-02' + n * INTERVAL 1 HOUR AS created_at,
    'a' || n AS author, 'a title' AS caption, 'c' AS caption_sha256, 'image' AS kind, []::VARCHAR[] AS image_urls,
    FALSE AS is_original_content, FALSE AS over_18, FALSE AS spoiler, '1' AS code_version
FROM generate_series(0, $posts - 1) AS g (n)
"""
# Those of Monday at 9 in Berlin did best, before and after the clock was changed on March 29.
_LABELS = """
INSERT INTO core.labels BY NAME
SELECT
    post_id, subreddit, 10 AS score, ln(11) AS log_score,
    CASE WHEN dayname(local) = 'Monday' AND hour(local) = 9 THEN 0.95 ELSE 0.3 + 0.4 * (hash(post_id) % 101) / 100 END
        AS percentile,
    created_at + INTERVAL 8 DAY AS observed_at, 192 AS age_at_label_hours, 'current' AS score_scale
FROM (
    FROM core.posts
    SELECT *, created_at + if(created_at < '2026-03-29 01:00', INTERVAL 1 HOUR, INTERVAL 2 HOUR) AS local
)
"""


@pytest.fixture
def labelled(empty_warehouse):
    """A post each hour of ten weeks, each of another author."""
    with empty_warehouse.write() as writer:
        writer.execute(_POSTS, {"posts": 10 * HOURS_A_WEEK})
        writer.execute(_LABELS)
    return empty_warehouse


def test_the_best_hour_is_that_of_the_clock_in_summer_and_in_winter(labelled):
    found = hours_of(labelled, "pics", ZoneInfo("Europe/Berlin"))
    assert (found.posts, found.zone) == (10 * HOURS_A_WEEK, "Europe/Berlin")
    assert [(slot.weekday, slot.hour) for slot in found.slots] == [divmod(at, 24) for at in range(HOURS_A_WEEK)]
    best = found.best()[0]
    assert (best.weekday, best.hour, best.posts, best.thin) == (0, 9, 10, False)
    assert 0.65 < best.percentile < 0.95  # drawn towards 0.5, where nearly all others are
    assert best.low < best.percentile < best.high
    assert best.told_apart
    assert sum(slot.told_apart for slot in found.slots) < HOURS_A_WEEK / 3
    assert sum(slot.posts for slot in found.hours) == sum(slot.posts for slot in found.weekdays) == found.posts
    utc = hours_of(labelled, "pics", ZoneInfo("UTC"))
    assert {(slot.weekday, slot.hour) for slot in utc.best(2)} == {(0, 7), (0, 8)}


def test_a_moment_of_whatever_zone_finds_its_slot(labelled):
    found = hours_of(labelled, "pics", ZoneInfo("Europe/Berlin"))
    assert found.at(datetime(2026, 7, 6, 7, 30, tzinfo=UTC)) is found.slots[9]
    assert found.at(datetime(2026, 1, 5, 3, 30, tzinfo=ZoneInfo("America/New_York"))) is found.slots[9]


def test_thin_slots_say_so(labelled):
    with labelled.write() as writer:
        writer.execute(
            "DELETE FROM core.labels WHERE post_id NOT IN (SELECT 'p' || n FROM generate_series(0, 9) AS g (n))"
        )
    found = hours_of(labelled, "pics", ZoneInfo("UTC"))
    assert all(slot.thin for slot in found.slots)
    assert found.best() == ()
    first, last = found.slots[0], found.slots[-1]
    assert (first.posts, last.posts) == (1, 0)
    assert abs(first.percentile - 0.5) < 0.1
    assert (last.percentile, last.low, last.high, last.told_apart) == (None, None, None, False)


def test_of_an_unknown_community_nothing_is_known(labelled):
    found = hours_of(labelled, "elsewhere", ZoneInfo("Asia/Kathmandu"))
    assert found.posts == 0
    assert all(slot.thin and slot.percentile is None for slot in (*found.slots, *found.hours, *found.weekdays))


def test_doubtful_labels_do_not_count(labelled):
    with labelled.write() as writer:
        writer.execute(
            "INSERT INTO core.anomalies VALUES "
            "('pics', 'first_readings', '2026-03-02', '2026-03-08', 'current', 1, 0, 1, 0, 9, '2026-06-01')"
        )
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT post_id, subreddit, observed_at, 'archive' AS endpoint, score "
            "FROM core.labels"
        )
    assert hours_of(labelled, "pics", ZoneInfo("UTC")).posts == 9 * HOURS_A_WEEK
