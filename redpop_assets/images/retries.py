"""When a URL that did not answer is asked again. The caller keeps the count of attempts; the rule keeps no state."""

from datetime import datetime, timedelta

MAX_ATTEMPTS = 5
# An hour less than whole days: a nightly run starts at the same hour and would always miss an exact day by minutes.
_DELAYS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=23), timedelta(hours=71))
_MAX_ATTEMPTS_FORBIDDEN = 2  # a 403 is nearly always final, but some hosts answer so while a post is young


def next_attempt(
    attempts: int, retry_after: float | None, now: datetime, *, http_status: int | None = None
) -> datetime | None:
    """Return when to ask again, or None when the URL counts as dead.

    The delays are 1 h, 6 h, 23 h and 71 h; after `MAX_ATTEMPTS` attempts (two where the answer was 403) there is no
    further one.

    Args:
        attempts: Attempts so far, the one that just ended included; 0 if the URL's turn never came.
        retry_after: What the server asked for (seconds); waited for at least.
        now: Aware, UTC.
        http_status: Status of the last answer, if there was one.

    Raises:
        ValueError: `attempts` is negative.
    """
    if attempts < 0:
        raise ValueError(f"attempts is {attempts}; it counts from 0.")
    if attempts >= (_MAX_ATTEMPTS_FORBIDDEN if http_status == 403 else MAX_ATTEMPTS):
        return None
    delay = _DELAYS[max(attempts - 1, 0)]
    return now + max(delay, timedelta(seconds=retry_after or 0.0))
