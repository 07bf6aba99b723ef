"""Headers of answers that say when to ask again: numbers, dates, and Retry-After, which is either."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def number(text: str | None) -> float | None:
    """A header's number, at least 0; None if it is none or not finite."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return max(value, 0.0) if math.isfinite(value) else None


def http_date(text: str | None) -> datetime | None:
    """A header's date (aware, UTC); None if it is none."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from Retry-After as a number or a date; a date is counted from the answer's own.

    Args:
        headers: of an answer, by names in any case.
    """
    text = headers.get("retry-after")
    if (seconds := number(text)) is not None:
        return seconds
    if (date := http_date(text)) is not None:
        now = http_date(headers.get("date")) or datetime.now(UTC)
        return max((date - now).total_seconds(), 0.0)
    return None
