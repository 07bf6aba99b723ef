"""The one way in which people write a length of time."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.durations import LONGEST, format_duration, parse_duration
from redpop_assets.errors import SettingsError

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86_400))


@given(st.integers(1, 9999), st.sampled_from((SECOND, MINUTE, HOUR, DAY)))
def test_what_is_written_is_what_is_read(count, unit):
    assert parse_duration(format_duration(count * unit)) == count * unit


@given(st.decimals(0, 9999, places=3, allow_nan=False), st.sampled_from("dhms"), st.sampled_from(("", " ", "  ")))
def test_parts_of_a_unit_case_and_spaces(number, unit, space):
    length = float(number) * {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}[unit]
    text = f"{space}{number}{space}{unit.upper()}{space}"
    if not length:
        with pytest.raises(SettingsError, match="forward"):
            parse_duration(text)
    else:
        assert abs(parse_duration(text) - length) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8d", 691_200),
        ("12h", 43_200),
        ("30m", 1800),
        ("90s", 90),
        ("0.5d", 43_200),
        (".5h", 1800),
        ("9999d", 9999 * 86_400),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    ["", "8", "d", "8w", "eight d", "1e400d", "nand", "infd", "1h30m", "٣d", ".d", "1,5h", "9999.1d", "9" * 400 + "s"],
)
def test_what_is_no_duration(text):
    with pytest.raises(SettingsError, match="write it like 8d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0d", "-1h", "0.0000000001s"])
def test_time_only_goes_forward(text):
    with pytest.raises(SettingsError, match="forward"):
        parse_duration(text)


def test_the_longest_one_stays_in_the_calendar():
    assert parse_duration(format_duration(LONGEST)) == LONGEST
