"""How much is done between two writes, and how often people are told: by seconds rather than by a number of rows.

Opening the file, merging and committing take a tenth of a second or more, whatever is written; what a killed run loses
is what it computed since the last write. So chunks grow until one takes some seconds.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Final

SECONDS: Final = 5.0
"""Work between two writes that a killed run may lose."""

GROWTH: Final = 16
"""A chunk grows to so many times the first one at most, which bounds the memory of what is computed at once."""


def chunks_by_seconds(
    total: int, first: int, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
) -> Iterator[slice]:
    """Cut `total` rows into chunks for a caller that works on one before it asks for the next.

    Args:
        total: rows.
        first: of the first chunk, at least 1.
        seconds: a chunk that took less than half as long makes the next one twice as large, up to `GROWTH` times the
            first; one that took more than twice as long makes it half as large.
        clock: seconds.
    """
    start, size = 0, first
    while start < total:
        began = clock()
        yield slice(start, min(start + size, total))
        took = clock() - began
        start += size
        if took < seconds / 2:
            size = min(2 * size, GROWTH * first)
        elif took > 2 * seconds:
            size = max(size // 2, 1)


class Progress:
    """Tells how many of some things are done: at once when the first are, then about once a second, and when all are.

    Args:
        tell: what takes the message.
        total: how many there are.
        things: what they are, such as "rows".
        seconds: between two messages.
        clock: seconds.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        total: int,
        things: str,
        *,
        seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._total, self._things = tell, total, things
        self._seconds, self._clock = seconds, clock
        self._told = -math.inf

    def at(self, done: int) -> None:
        """So many are done."""
        now = self._clock()
        if done >= self._total or now - self._told >= self._seconds:
            self._tell(f"{done} of {self._total} {self._things}")
            self._told = now
