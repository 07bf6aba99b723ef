"""When URLs are asked again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.images.retries import MAX_ATTEMPTS, is_removal, next_attempt, next_check

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = timedelta(days=30)


def test_delays_grow_and_end_after_more_than_four_days():
    delays = [next_attempt(attempts, None, NOW) - NOW for attempts in range(1, MAX_ATTEMPTS)]
    assert [delay / timedelta(hours=1) for delay in delays] == [1, 6, 23, 71]
    assert sum(delays, timedelta()) > 4 * DAY
    assert next_attempt(MAX_ATTEMPTS, None, NOW) is None
    assert next_attempt(0, None, NOW) == NOW + timedelta(hours=1)
    with pytest.raises(ValueError, match="attempts is -1"):
        next_attempt(-1, None, NOW)


@pytest.mark.parametrize("hours", [23, 71])
def test_a_nightly_run_does_not_miss_a_delay_by_minutes(hours):
    assert timedelta(hours=hours) < -(-hours // 24) * DAY


@given(attempts=st.integers(0, MAX_ATTEMPTS - 1), retry_after=st.floats(0, 7 * 86_400))
def test_a_host_is_never_asked_earlier_than_it_said(attempts, retry_after):
    when = next_attempt(attempts, retry_after, NOW)
    assert when >= NOW + timedelta(seconds=retry_after)
    assert next_check("rate_limited", 429, retry_after, NOW, MONTH) >= NOW + timedelta(seconds=retry_after)


def test_a_403_is_asked_once_more_and_then_believed():
    assert next_attempt(1, None, NOW, http_status=403, first_refusal=True) is not None
    assert next_attempt(2, None, NOW, http_status=403, first_refusal=False) is None
    # Time-outs before it do not count as refusals …
    assert next_attempt(4, None, NOW, http_status=403, first_refusal=True) is not None
    # … but attempts end some day.
    assert next_attempt(MAX_ATTEMPTS, None, NOW, http_status=403, first_refusal=True) is None


@pytest.mark.parametrize(
    ("reason", "http_status", "expected"),
    [
        *[("url_dead", status, True) for status in (404, 410, 451)],
        *[("url_dead", status, False) for status in (400, 401, 405)],
        ("placeholder_image", 200, True),
        ("placeholder_image", None, True),
        ("opted_out", 200, True),
        ("forbidden", 403, False),
        ("rate_limited", 429, False),
        ("server_error", 503, False),
        ("timeout", None, False),
        ("not_image_bytes", 200, False),
        ("not_image_bytes", 404, False),
        ("too_small", 200, False),
        (None, 404, False),
        (None, None, False),
    ],
)
def test_what_says_that_a_picture_was_taken_away(reason, http_status, expected):
    assert is_removal(reason, http_status) is expected


def test_removals_and_busy_hosts_are_looked_at_in_the_next_night_and_the_rest_at_the_next_check():
    assert next_check("url_dead", 404, None, NOW, MONTH) == NOW + timedelta(hours=23)
    assert next_check("rate_limited", 429, None, NOW, MONTH) == NOW + timedelta(hours=23)
    for reason, status in (("timeout", None), ("server_error", 500), ("forbidden", 403), ("not_image_bytes", 200)):
        assert next_check(reason, status, None, NOW, MONTH) == NOW + MONTH
    assert next_check("url_dead", 404, None, NOW, timedelta(hours=2)) == NOW + timedelta(hours=2)
