"""The request budget of one Reddit app: read from the answers, shared by all processes of the machine.

Reddit counts the requests of a client id in windows of ten minutes and says in every answer how many are left. Several
processes that each trust only their own answers would together ask too often, so they keep one ledger, a small file:
a request is taken out of it before it is sent, and every answer corrects it. A ledger that cannot be kept stops nobody:
the process then counts for itself.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit
from uuid import uuid4

from redpop_assets.sources.headers import number
from redpop_assets.sources.shared_value import SharedValue
from redpop_assets.storage.shared_text import Memory, SharedText, text_at

log = logging.getLogger(__name__)

WINDOW = 600.0
"""Seconds over which Reddit averages its rate limit."""

UNTOLD_REQUESTS, UNTOLD_WINDOW = 100, 60.0
"""Requests in so many seconds until an answer has told the budget: Reddit's documented limit."""

GRACE = 1.0
"""Seconds after the announced end of a window: it is announced in whole seconds."""

SLICE = 5.0
"""Longest sleep (seconds) before the ledger is looked at again: another process may have learnt something."""

_SAY_AGAIN = 60.0


class RateLimit(NamedTuple):
    """What an answer says of the budget: requests left and made in this window, seconds until the next one begins."""

    remaining: int
    used: int
    reset: float

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """Read the x-ratelimit headers; None unless all three are there and are numbers. Fractions are usual."""
        names = ("x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset")
        numbers = [number(headers.get(name)) for name in names]
        if None in numbers:
            return None
        remaining, used, reset = (value or 0.0 for value in numbers)
        return cls(math.floor(remaining), math.floor(used), min(reset, WINDOW))


class Reservation(NamedTuple):
    """One request that may be sent, and what the ledger knew when it was taken."""

    id: str
    answers: int


@dataclass(slots=True)
class Ledger:
    """The budget in the present window. Times are Unix seconds of this machine's clock.

    Attributes:
        limit: requests per window, as last told; None before that.
        remaining: requests that may still be sent.
        used: the highest number of used requests told in this window; None before the first answer.
        began_at: no answer of an earlier window is believed.
        resets_at: end of the window.
        held_until: nobody sends before that, because an answer asked to wait.
        answers: counts the answers that were believed.
        in_flight: when each request was taken that has no answer yet.
    """

    limit: int | None = None
    remaining: int = 0
    used: int | None = None
    began_at: float = 0.0
    resets_at: float = 0.0
    held_until: float = 0.0
    answers: int = 0
    in_flight: dict[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `json.dumps(asdict(ledger))` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            stored = json.loads(text)
            limit, used = stored["limit"], stored["used"]
            ledger = cls(
                limit=None if limit is None else max(1, int(limit)),
                remaining=int(stored["remaining"]),
                used=None if used is None else int(used),
                began_at=float(stored["began_at"]),
                resets_at=float(stored["resets_at"]),
                held_until=float(stored["held_until"]),
                answers=int(stored["answers"]),
                in_flight={str(name): float(taken) for name, taken in stored["in_flight"].items()},
            )
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        times = (ledger.began_at, ledger.resets_at, ledger.held_until, *ledger.in_flight.values())
        if not all(map(math.isfinite, times)):
            raise ValueError("a time is not finite")
        return ledger

    def roll(self, now: float) -> None:
        """Begin a new window if the present one is over, or lies in a future that cannot be: the clock was set back."""
        self.held_until = min(self.held_until, now + WINDOW)
        if now < self.resets_at <= now + WINDOW + 2 * GRACE:
            return
        # Whoever was killed before his answer came stops counting after a while.
        self.in_flight = {name: taken for name, taken in self.in_flight.items() if now - WINDOW < taken <= now}
        self.used = None
        self.began_at = now
        self.remaining = (self.limit or UNTOLD_REQUESTS) - len(self.in_flight)
        self.resets_at = now + (WINDOW if self.limit else UNTOLD_WINDOW)

    def free_at(self, now: float) -> float:
        """When the next request may be sent; not later than `now` if at once."""
        return max(self.held_until, now if self.remaining > 0 else self.resets_at)

    def take(self, now: float) -> Reservation | None:
        """Take one request out of the budget; None if there is none to take."""
        if self.free_at(now) > now:
            return None
        self.remaining -= 1
        reservation = Reservation(uuid4().hex, self.answers)
        self.in_flight[reservation.id] = now
        return reservation

    def settle(self, reservation: Reservation, told: RateLimit | None, now: float) -> None:
        """Note that a request was answered, and what its answer told.

        Answers overtake each other. One is believed if it is of a later window, if no other was believed since its
        request was taken, or if it knows of at least as many requests. What is in flight meanwhile may or may not be
        counted in it, and is subtracted.
        """
        taken_at = self.in_flight.pop(reservation.id, now)
        if told is None:
            return
        # The answer's window ends between these two; answers that went fast say it best.
        ends_after, ends_by = taken_at + told.reset, now + told.reset + GRACE
        if ends_after < self.began_at:
            return
        later = self.used is None or ends_after > self.resets_at
        overtaken = reservation.answers != self.answers and told.used < (self.used or 0)
        if overtaken and not later:
            return
        self.began_at = self.resets_at if self.used is not None and later else self.began_at
        self.answers += 1
        self.limit = max(1, told.remaining + told.used)
        self.used = told.used
        self.remaining = told.remaining - len(self.in_flight)
        self.resets_at = ends_by if later else min(self.resets_at, ends_by)


class RequestBudget:
    """Lets requests through as long as Reddit's rate limit allows, together with all who share the ledger.

    Args:
        file: the ledger, made when needed: a file, or a text that machines share; None keeps it in this process alone.
        clock: Unix seconds.
        sleep: pauses the caller (seconds).

    Attributes:
        seconds_waited: how long `spend` has kept its callers waiting.
    """

    def __init__(
        self,
        file: Path | SharedText | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds_waited = 0.0
        self._clock = clock
        self._sleep = sleep
        self._shared = SharedValue(
            file,
            Ledger(),
            Ledger.parse,
            lambda ledger: json.dumps(asdict(ledger)),
            what="The request budget",
            alone="counts its requests for itself",
        )

    @classmethod
    def of(cls, client_id: str, oauth_url: str, memory: Memory) -> Self:
        """The budget of an app at an API, kept where its processes share it. The name of the text hides the id."""
        name = hashlib.sha256(f"{client_id.strip()} {urlsplit(oauth_url).netloc}".encode()).hexdigest()[:16]
        return cls(text_at(memory, f"reddit-budget-{name}.json"))

    @property
    def file(self) -> Path | None:
        """The file of the ledger; None while this process counts for itself, and where it is none."""
        return self._shared.file

    @property
    def where(self) -> str:
        """Where the ledger is, for people."""
        return self._shared.where

    @property
    def remaining(self) -> int | None:
        """Requests left in the present window; None before any answer told."""
        ledger = self.state()
        return None if ledger.limit is None else max(0, ledger.remaining)

    def state(self) -> Ledger:
        """The ledger as it is now."""
        ledger = replace(self._shared.read())
        ledger.roll(self._clock())
        return ledger

    def spend(self) -> Reservation:
        """Take one request out of the budget, waiting as long as there is none; to be settled when it is answered."""
        said_at: float | None = None
        while True:
            with self._ledger() as ledger:
                now = self._clock()
                if reservation := ledger.take(now):
                    return reservation
                free_at = ledger.free_at(now)
                held = ledger.held_until > now
            if said_at is None or now >= said_at + _SAY_AGAIN:
                said_at = now
                why = (
                    "Reddit asks to wait"
                    if held
                    else f"The request budget is spent ({ledger.limit or UNTOLD_REQUESTS} requests in "
                    f"{(WINDOW if ledger.limit else UNTOLD_WINDOW) / 60:.0f} min)"
                )
                until = datetime.fromtimestamp(free_at, UTC)
                log.warning("%s: the next request waits %.0f s, until %s UTC.", why, free_at - now, f"{until:%H:%M:%S}")
            pause = min(max(free_at - now, 0.01), SLICE)
            self._sleep(pause)
            self.seconds_waited += pause

    def settle(self, reservation: Reservation, told: RateLimit | None) -> None:
        """Note that a request was answered, and what its answer told; None also if no answer came."""
        with self._ledger() as ledger:
            ledger.settle(reservation, told, self._clock())

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long (at most `WINDOW`): Reddit asked to wait."""
        with self._ledger() as ledger:
            ledger.held_until = max(ledger.held_until, self._clock() + min(seconds, WINDOW))

    @contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        """The ledger to change, locked for a moment; never while waiting."""
        with self._shared.change() as ledger:
            ledger.roll(self._clock())
            yield ledger
