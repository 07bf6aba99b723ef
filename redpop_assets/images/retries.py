"""When a URL is asked again: one that did not answer, or one whose picture is stored. The rules keep no state."""

from datetime import datetime, timedelta

MAX_ATTEMPTS = 5
# An hour less than whole days: a nightly run starts at the same hour and would always miss an exact day by minutes.
_DELAYS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=23), timedelta(hours=71))
_MAX_ATTEMPTS_FORBIDDEN = 2  # a 403 is nearly always final, but some hosts answer so while a post is young
_NEXT_NIGHT = timedelta(hours=23)
# 404, 410 and 451 mean the picture. 400 and 401 mean the request, 403 and pages of HTML mean the visitor.
_GONE = frozenset({404, 410, 451})


def next_attempt(
    attempts: int,
    retry_after: float | None,
    now: datetime,
    *,
    http_status: int | None = None,
    first_refusal: bool = False,
) -> datetime | None:
    """Return when to ask again for a picture that was never had, or None when the URL counts as dead.

    The delays are 1 h, 6 h, 23 h and 71 h; after `MAX_ATTEMPTS` attempts, which take more than four days, there is no
    further one. After a 403 there is one more attempt, whatever failed before it.

    Args:
        attempts: Attempts so far, the one that just ended included; 0 if the URL's turn never came.
        retry_after: What the server asked for (seconds); waited for at least.
        now: Aware, UTC.
        http_status: Status of the last answer, if there was one.
        first_refusal: Whether the attempt before the last one had another answer than 403.

    Raises:
        ValueError: `attempts` is negative.
    """
    if attempts < 0:
        raise ValueError(f"attempts is {attempts}; it counts from 0.")
    refused_again = http_status == 403 and not first_refusal and attempts >= _MAX_ATTEMPTS_FORBIDDEN
    if refused_again or attempts >= MAX_ATTEMPTS:
        return None
    delay = _DELAYS[max(attempts - 1, 0)]
    return now + max(delay, timedelta(seconds=retry_after or 0.0))


def is_removal(reason: str | None, http_status: int | None) -> bool:
    """Whether a failed check of a stored picture says that its host has taken it away, or wants it left alone.

    So do 404, 410, 451, a placeholder and an opt-out header. Everything else (403, 429, 5xx, time-outs, a page of HTML,
    limits of our own that have become tighter) says nothing about the picture.
    """
    return reason in ("placeholder_image", "opted_out") or (reason == "url_dead" and http_status in _GONE)


def next_check(
    reason: str | None, http_status: int | None, retry_after: float | None, now: datetime, recheck: timedelta
) -> datetime:
    """Return when to check a stored picture again after a check that did not confirm it.

    A removal is believed when it is seen twice, a night apart. A busy host is asked in the next night as well; for any
    other failure the next regular check is early enough: a host that has died must not cost its time-outs every night.

    Args:
        reason: Reason code of the failure.
        http_status: Status of the answer, if there was one.
        retry_after: What the server asked for (seconds); waited for at least.
        now: Aware, UTC.
        recheck: Time between regular checks.
    """
    soon = is_removal(reason, http_status) or reason == "rate_limited"
    delay = min(_NEXT_NIGHT, recheck) if soon else recheck
    return now + max(delay, timedelta(seconds=retry_after or 0.0))
