"""Values of Reddit's JSON that have one meaning wherever they stand: ids and times."""

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

_EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_POST_ID: Final = re.compile(r"[a-z0-9]{1,13}")


def parse_created_utc(value: Any) -> datetime | None:
    """Epoch seconds as number or numeric string → aware UTC; None for anything outside the years 2005 to 2099."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or not _EARLIEST <= seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def parse_post_id(value: Any) -> str | None:
    """Base36 id of a post, with or without the t3_ prefix; None for anything else."""
    text = value.removeprefix("t3_") if isinstance(value, str) else ""
    return text if _POST_ID.fullmatch(text) else None
