"""What goes wrong at the real service: which situations there are, which are switched on, and when each one strikes.

Two kinds. A situation of *requests* is thrown at about one request in 1/rate, at places that only the seed and the
number of the request decide. A situation of *things* (posts, authors, galleries, pictures) befalls a share of them,
always the same ones, chosen by the seed and the thing's own name.

Faults come one at a time: after each, the next few requests to that part of the service are served, so a client that
asks again comes through. No situation changes what a post is worth.
"""

import hashlib
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from redpop_assets.errors import SettingsError

Place = Literal[
    "token",
    "api",
    "headers",
    "pages",
    "hot",
    "archive",
    "images",
    "info",
    "posts",
    "authors",
    "galleries",
    "pictures",
]


@dataclass(frozen=True)
class Situation:
    """Something that happens at the real service.

    Attributes:
        name: how it is switched on.
        place: what it strikes: requests to the token endpoint, API calls, their headers, follow-up pages, first pages
            of hot, requests to the archive and to the image host; or ids asked for, posts, authors, galleries,
            pictures.
        rate: requests or things that it strikes, as a share; for post-bursts, bursts per day and community.
        what: in words.
    """

    name: str
    place: Place
    rate: float
    what: str


SITUATIONS: Mapping[str, Situation] = {
    situation.name: situation
    for situation in (
        Situation("token-rate-limits", "token", 0.25, "429 to the login, with and without Retry-After"),
        Situation("token-errors", "token", 0.25, "500 to 522 to the login"),
        Situation("rate-limits", "api", 0.02, "429 as a web page for a second; Retry-After a number, a date, missing"),
        Situation("server-errors", "api", 0.02, "500, 502, 503, 504, 520 and 522"),
        Situation("cut-json", "api", 0.006, "an answer that ends in the middle"),
        Situation("bot-walls", "api", 0.005, "a web page instead of data, with status 200 or 403"),
        Situation("resets", "api", 0.015, "connections that break before or within the answer"),
        Situation("slow-answers", "api", 0.015, "answers that drip"),
        Situation("timeouts", "api", 0.006, "silence for five seconds, then a broken connection"),
        Situation("expired-tokens", "api", 0.01, "401 although the token should still be good"),
        Situation("odd-headers", "headers", 0.15, "x-ratelimit headers with fractions, such as reset 12.5"),
        Situation("missing-headers", "headers", 0.15, "no x-ratelimit headers"),
        Situation("moving-pages", "pages", 0.1, "the listing moved: a page repeats the end of the one before"),
        Situation("short-pages", "pages", 0.1, "fewer posts than asked for although the listing goes on"),
        Situation("empty-pages", "pages", 0.02, "a page without posts although the listing goes on"),
        Situation("promoted-posts", "hot", 0.5, "an advertisement among the posts: no subreddit, promoted"),
        Situation("absent-reads", "info", 0.004, "an id missing from one answer to api/info, back in the next"),
        Situation("post-bursts", "posts", 0.12, "1,100 posts within three hours: new does not reach back any more"),
        Situation("deleted-posts", "posts", 0.05, "deleted by their authors after the start, pictures gone as well"),
        Situation("missing-posts", "posts", 0.01, "gone from every answer after the start"),
        Situation("reversed-removals", "posts", 0.04, "removed by a moderator after the start, back 36 hours later"),
        Situation("hidden-scores", "posts", 0.2, "score masked for a day instead of an hour"),
        Situation("closed-accounts", "authors", 0.06, "accounts closed after the start: every post by [deleted]"),
        Situation("unprocessed-galleries", "galleries", 0.5, "items unprocessed for up to a day"),
        Situation("failed-gallery-items", "galleries", 0.3, "the upload of an item failed"),
        Situation("null-galleries", "galleries", 0.15, "gallery_data null although the post stands"),
        Situation("gallery-crossposts", "galleries", 0.6, "crossposts whose original is a gallery"),
        Situation("archive-rate-limits", "archive", 0.02, "429 of the archive for a second"),
        Situation("archive-errors", "archive", 0.02, "500 to 522 of the archive, as JSON and as web pages"),
        Situation("archive-query-timeouts", "archive", 0.04, "the archive gives a query up, in either of its words"),
        Situation("archive-cut-json", "archive", 0.01, "an answer of the archive that ends in the middle"),
        Situation("archive-web-pages", "archive", 0.01, "a web page instead of the archive's data"),
        Situation("archive-resets", "archive", 0.01, "connections to the archive that break"),
        Situation("image-rate-limits", "images", 0.002, "429 from the image host for a second"),
        Situation("image-errors", "images", 0.01, "500 to 504 from the image host"),
        Situation("image-resets", "images", 0.01, "the image host breaks the connection"),
        Situation("slow-images", "images", 0.05, "an image host that thinks for half a second, then drips"),
        Situation("stalled-images", "images", 0.003, "half a picture, then silence for five seconds"),
        Situation("dead-images", "pictures", 0.04, "404, 403 or 410; half of them only later"),
        Situation("placeholder-images", "pictures", 0.03, "one picture for all that are gone, or a redirect to it"),
        Situation("html-images", "pictures", 0.015, "a web page around the picture"),
        Situation("broken-images", "pictures", 0.015, "files that end in the middle"),
        Situation("lying-lengths", "pictures", 0.01, "a Content-Length that is too small or enormous"),
        Situation("long-lengths", "pictures", 0.005, "a Content-Length that is too large, of a file that is whole"),
        Situation("wrong-types", "pictures", 0.03, "a Content-Type that is wrong or missing, PNG under .jpg"),
        Situation("pixel-bombs", "pictures", 0.01, "144 million pixels in 41 kB"),
        Situation("animated-images", "pictures", 0.01, "GIFs with several frames"),
        Situation("rotated-images", "pictures", 0.05, "JPEGs turned by EXIF, with the place where they were taken"),
        Situation("opted-out-images", "pictures", 0.01, "X-Robots-Tag: noai, noimageai"),
        Situation("changed-images", "pictures", 0.02, "another picture under the same URL after some days"),
    )
}

CALM: Mapping[Place, Mapping[Place, int]] = {
    "token": {"token": 2, "api": 2},
    "api": {"token": 2, "api": 3},
    "pages": {"pages": 1},
    "archive": {"archive": 3},
}
"""Requests, by place, that are served after a fault: two attempts at a call are always enough, logins included."""

STORM_SECONDS = 1.0
_STORMS = ("token-rate-limits", "rate-limits", "archive-rate-limits", "image-rate-limits")


@dataclass(frozen=True)
class Strike:
    """A situation thrown at one request: how often it was thrown before, and how much longer a storm lasts (s)."""

    name: str
    number: int
    remaining: float = 0.0


class Chaos:
    """Switches, places and counts of the situations. Safe for use by several threads.

    Args:
        seed: what strikes when and whom follows from it.
        on: situations switched on from the start.
        monotonic: clock (seconds) by which a storm passes.

    Raises:
        SettingsError: there is no such situation.
    """

    def __init__(
        self, seed: int = 7, on: Iterable[str] = (), *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seed, self._monotonic = seed, monotonic
        self._lock = threading.RLock()
        self._on: set[str] = set()
        self._rates = {name: situation.rate for name, situation in SITUATIONS.items()}
        self._thrown: Counter[str] = Counter()
        self._struck: defaultdict[str, set[str]] = defaultdict(set)
        self._requests: Counter[Place] = Counter()
        self._calm: dict[Place, int] = {}
        self._due: dict[str, float] = {}
        self._random = {name: random.Random(f"{seed}|{name}") for name in SITUATIONS}
        self._storms: dict[Place, tuple[str, int, float]] = {}
        self._asked: Counter[str] = Counter()
        self._shares: dict[tuple[str, str], float] = {}
        self.switch(on=on)

    def switch(
        self, *, on: Iterable[str] = (), off: Iterable[str] = (), rates: Mapping[str, float] | None = None
    ) -> None:
        """Switch situations off, then others on, and set rates; `all` stands for every situation.

        A rate of 1 for a situation of requests throws it every time, without the pause in which clients recover.

        Raises:
            SettingsError: there is no such situation, or a rate is not above 0 and at most 1. Nothing is changed then.
        """
        on, off, rates = _names(on), _names(off), dict(rates or {})
        _names(rates)
        for name, rate in rates.items():
            if not (isinstance(rate, int | float) and 0 < rate <= 1):
                raise SettingsError(f"The rate of {name} is {rate!r}; it has to be above 0 and at most 1.")
        with self._lock:
            self._on = (self._on - set(off)) | set(on)
            self._rates.update(rates)
            for name in {*on, *off, *rates}:
                self._due.pop(name, None)

    def is_on(self, name: str) -> bool:
        """Whether a situation is switched on."""
        return name in self._on

    def rate(self, name: str) -> float:
        """The present rate of a situation."""
        return self._rates[name]

    def strike(self, place: Place) -> Strike | None:
        """Count a request to `place` and say what is thrown at it; None: it is served."""
        if not self._on:
            return None
        with self._lock:
            self._requests[place] += 1
            if place in self._storms:
                name, number, until = self._storms[place]
                remaining = until - self._monotonic()
                if name in self._on and remaining > 0:
                    self._thrown[name] += 1
                    return Strike(name, number, remaining)
                del self._storms[place]
            candidates = [name for name in SITUATIONS if name in self._on and SITUATIONS[name].place == place]
            for name in candidates:
                if name not in self._due:
                    self._due[name] = self._requests[place] + self._random[name].random() / self._rates[name] - 1
            always = [name for name in candidates if self._rates[name] == 1]
            if self._calm.get(place) and not always:
                self._calm[place] -= 1
                return None
            due = always or [name for name in candidates if self._due[name] <= self._requests[place]]
            if not due:
                if place == "api":
                    self._calm.pop("token", None)  # the call before has come through
                return None
            return self._throw(min(due, key=lambda name: self._due[name]), place)

    def befalls(self, name: str, key: str) -> bool:
        """Whether a situation of things is on and befalls the thing called `key`; does not count."""
        return name in self._on and self.share(name, key) < self._rates[name]

    def absent(self, key: str) -> bool:
        """Whether this reading of an id leaves it out (absent-reads); never twice in a row."""
        name = "absent-reads"
        if name not in self._on:
            return False
        with self._lock:
            asked = self._asked[key]
            self._asked[key] += 1
            missing = asked % 2 == 0 and self.share(name, f"{key}|{asked}") < self._rates[name]
            self._thrown[name] += int(missing)
            return missing

    def trait(self, place: Place, key: str) -> str | None:
        """The first situation of `place` that befalls the thing; does not count."""
        return next((name for name in SITUATIONS if SITUATIONS[name].place == place and self.befalls(name, key)), None)

    def share(self, name: str, key: str) -> float:
        """A number from 0 to below 1 that only the seed, a purpose and a key decide."""
        share = self._shares.get((name, key))
        if share is None:
            digest = hashlib.sha256(f"{self._seed}|chaos|{name}|{key}".encode()).digest()
            share = self._shares[name, key] = int.from_bytes(digest[:7], "big") / 2**56
        return share

    def count(self, name: str, key: str) -> None:
        """Note that an answer showed what befell a thing: counted once per thing."""
        with self._lock:
            self._struck[name].add(key)

    def report(self) -> dict[str, dict[str, Any]]:
        """Every situation: what it is, whether it is on, its rate, and how often it was thrown (things count once)."""
        with self._lock:
            return {
                name: {
                    "what": situation.what,
                    "place": situation.place,
                    "on": name in self._on,
                    "rate": self._rates[name],
                    "thrown": self._thrown[name] + len(self._struck[name]),
                }
                for name, situation in SITUATIONS.items()
            }

    def _throw(self, name: str, place: Place) -> Strike:
        number = self._thrown[name]
        self._thrown[name] += 1
        self._calm.update(CALM.get(place, {}))
        self._due[name] = self._requests[place] + self._random[name].uniform(0.5, 1.5) / self._rates[name]
        # Without Retry-After nobody can know how long to wait: that storm is over at once.
        if name in _STORMS and number % 3 < 2:
            self._storms[place] = (name, number, self._monotonic() + STORM_SECONDS)
            return Strike(name, number, STORM_SECONDS)
        return Strike(name, number)


def _names(names: Iterable[str]) -> list[str]:
    chosen: list[str] = []
    for name in names:
        if name == "all":
            chosen += SITUATIONS
        elif name in SITUATIONS:
            chosen.append(name)
        else:
            raise SettingsError(f"There is no situation {name!r}; choose from all, {', '.join(SITUATIONS)}.")
    return chosen
