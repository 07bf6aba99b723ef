"""How people write a length of time, in every setting and every option: a number and a unit, `30m`, `12h`, `0.5d`."""

import re
from datetime import timedelta

from redpop_assets.errors import SettingsError

LONGEST = timedelta(days=9999)
"""Longer ones are slips of the keyboard, and would leave the calendar."""

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_DURATION = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*([dhms])", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read a number of days, hours, minutes or seconds, such as `8d`, `0.5d`, `12h`, `30m` or `90s`.

    Case does not matter, nor do spaces around number and unit.

    Raises:
        SettingsError: the text is no duration, or one that is not above zero or above `LONGEST`.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _UNITS[match[2]].total_seconds() if match else 0.0
    if match is None or seconds > LONGEST.total_seconds():
        raise SettingsError(f"{text!r} is no duration; write it like 8d, 12h or 30m.")
    if seconds <= 0 or not (duration := timedelta(seconds=seconds)):
        raise SettingsError("Time only goes forward: give a duration above zero, such as 8d.")
    return duration


def format_duration(duration: timedelta) -> str:
    """Whole seconds in the form that `parse_duration` reads, in the largest unit that leaves no rest: `90m`, `1d`."""
    name, unit = next((name, unit) for name, unit in _UNITS.items() if not duration % unit)
    return f"{duration // unit}{name}"
