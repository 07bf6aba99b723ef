"""One question to the archive, one answer: paced, repeated where that helps, bounded, and our own errors out.

The service is one person's, free and without a promise: it may be away, slow or behind a proxy that answers in its
place, and every way in which that shows ends here as one sentence that says what to do.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from redpop_assets.errors import RedditBusy, RedditError, SettingsError
from redpop_assets.literals import JSON
from redpop_assets.sources.arctic_shift.pace import LONGEST_HOLD, Pace
from redpop_assets.sources.headers import http_date, number, retry_after

log = logging.getLogger(__name__)

LARGEST_ANSWER: Final = 64_000_000
"""Bytes of one unpacked answer; a thousand posts with all their previews take about a tenth of it."""

ATTEMPTS: Final = 5
"""Most attempts at a question that a failing service or network left unanswered."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the second attempt, doubled before each further one, and their most; by chance up to half as long."""

_TIMED_OUT: Final = ("timed out", "timeout")
_SLOW_DOWN: Final = "slow down"

_BUSY: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_CLOCK_IS_OFF: Final = timedelta(minutes=5)
_LONGEST_QUOTE: Final = 200
_CONNECT_SECONDS: Final = 10.0
_TIMEOUTS_IN_ALL: Final = 4  # times the longest silence, for one answer from beginning to end


class QueryTimedOut(RedditBusy):
    """The service gave a query up: a smaller one may succeed."""


class _WorthRepeating(RedditBusy):
    """A question that may be answered when it is asked again; `wait` says how long the service asks to wait (s)."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Answer:
    """What `data` of an answer holds, and when the service gave it, on its own clock (aware, UTC, whole seconds)."""

    data: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class _Received:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Asks one service, from one thread that runs no event loop.

    Args:
        url: scheme, host and port, perhaps a path, below which `/api` lies.
        user_agent: names this program to the service.
        pace: when a request may be sent.
        timeout: longest silence of the service (seconds); a whole answer may take four times as long.
        sleep: pauses the caller (seconds) before a question is repeated.

    Attributes:
        host: as messages name it.
        requests_made: requests sent, repeated attempts included.
        seconds_paused: how long callers were kept waiting before repeated attempts.

    Raises:
        SettingsError: the URL, the user agent or the timeout cannot be used.
    """

    def __init__(
        self, url: str, user_agent: str, pace: Pace, *, timeout: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._url, self.host = _checked_url(url)
        agent = user_agent.strip()
        if not agent or not agent.isprintable() or not agent.isascii():
            raise SettingsError(
                f"The user agent {user_agent!r} cannot be sent; write printable ASCII that names you, such as "
                "linux:redpop:0.1.0 (by /u/your_name)."
            )
        if not timeout > 0:
            raise SettingsError(f"The timeout of requests to the archive is {timeout}, but has to be positive.")
        self.requests_made = 0
        self.seconds_paused = 0.0
        self._agent = agent
        self._pace = pace
        self._timeout = timeout
        self._sleep = sleep
        self._skew: timedelta | None = None
        self._runner: asyncio.Runner | None = None
        self._session: aiohttp.ClientSession | None = None

    def close(self) -> None:
        """Close the connections; a later question opens new ones."""
        runner, self._runner, session, self._session = self._runner, None, self._session, None
        if runner is not None:
            with runner:
                if session is not None:
                    runner.run(session.close())

    def answered(self) -> bool:
        """Whether the service has answered, so that its clock is known."""
        return self._skew is not None

    def now(self) -> datetime:
        """The time on the service's clock (aware, UTC), as of its last answer; this machine's before the first."""
        return datetime.now(UTC) + (self._skew or timedelta())

    def get(self, path: str, params: Mapping[str, str]) -> Answer:
        """Ask for what is at `path`; repeats what is worth repeating.

        Args:
            path: below the service's URL, without a leading slash.
            params: the query.

        Raises:
            QueryTimedOut: the service gave the query up.
            RedditBusy: rate limit, failing service, no connection, or no answer in time.
            RedditError: an answer that cannot be used; the service's own words in the message where it said some.
        """
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(path, params)
            except _WorthRepeating as failure:
                wait = max(pause * random.uniform(0.5, 1.0), failure.wait or 0.0)
                if attempt == ATTEMPTS or wait > LONGEST_HOLD:
                    raise RedditBusy(str(failure)) from failure
                log.warning("%s Trying again in %.0f s.", failure, wait)
                if failure.wait is not None:
                    self._pace.hold(wait)
                else:
                    self.pause(wait)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("unreachable")

    def pause(self, seconds: float) -> None:
        """Keep the caller waiting, and count it."""
        self._sleep(seconds)
        self.seconds_paused += seconds

    def _once(self, path: str, params: Mapping[str, str]) -> Answer:
        self._pace.wait()
        self.requests_made += 1
        if self._runner is None:
            self._runner = asyncio.Runner()
        received = self._runner.run(self._receive(path, params))
        at = self._learn_clock(received.headers)
        spent_until = _spent_until(received.headers, at)
        if spent_until:
            self._pace.hold(spent_until)
        return Answer(self._data(path, received, spent_until), at)

    async def _receive(self, path: str, params: Mapping[str, str]) -> _Received:
        """Send one request and read the answer, whatever it is.

        Raises:
            _WorthRepeating: none came.
            RedditError: it cannot come.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,  # proxies of the environment, as for every other client of Reddit's data
                timeout=aiohttp.ClientTimeout(
                    total=_TIMEOUTS_IN_ALL * self._timeout,
                    sock_connect=min(_CONNECT_SECONDS, self._timeout),
                    sock_read=self._timeout,
                ),
                headers={"User-Agent": self._agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"},
            )
        try:
            # A redirect is an answer: the address is a setting, and ids of posts go to no other place.
            async with self._session.get(f"{self._url}/{path}", params=params, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > LARGEST_ANSWER:
                        response.close()
                        raise RedditError(
                            f"{self.host} sent more than {LARGEST_ANSWER:,} bytes for /{path}: check "
                            "REDPOP_ARCTIC_SHIFT_URL; if it is right and this lasts, please report it."
                        )
                return _Received(response.status, response.headers.copy(), bytes(body))
        except TimeoutError as error:
            raise _WorthRepeating(
                f"{self.host} did not answer within {self._timeout:g} s. Run again later; what was read is kept."
            ) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise _WorthRepeating(
                f"{self.host} does not resolve ({error.os_error}). Check the network and REDPOP_ARCTIC_SHIFT_URL."
            ) from error
        except (aiohttp.ClientConnectorCertificateError, ssl.SSLError, aiohttp.ClientSSLError) as error:
            raise RedditError(
                f"No secure connection to {self.host} ({error}). Check this machine's clock and certificates, a proxy, "
                "and REDPOP_ARCTIC_SHIFT_URL."
            ) from error
        except aiohttp.InvalidURL as error:
            raise RedditError(f"{error} is no address: check REDPOP_ARCTIC_SHIFT_URL.") from error
        except aiohttp.ClientPayloadError as error:
            raise _WorthRepeating(
                f"{self.host} hung up within its answer to /{path}. Run again later; what was read is kept."
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            told = str(error) or type(error).__name__
            raise _WorthRepeating(
                f"The connection to {self.host} failed ({told}). Check the network, a proxy, and "
                "REDPOP_ARCTIC_SHIFT_URL; the archive may be down: see its status page."
            ) from error

    def _learn_clock(self, headers: Mapping[str, str]) -> datetime:
        date, here = http_date(headers.get("date")), datetime.now(UTC)
        if date is not None:
            first, self._skew = self._skew is None, date - here
            if first and abs(self._skew) > _CLOCK_IS_OFF and not _is_loopback(self.host):
                log.warning(
                    "The clock of %s says %s UTC, this machine's %s UTC: ages of posts are counted on the former. Set "
                    "this machine's clock if it is the wrong one.",
                    *(self.host, f"{date:%Y-%m-%d %H:%M:%S}", f"{here:%Y-%m-%d %H:%M:%S}"),
                )
        else:
            self._skew = self._skew or timedelta()
        return (date or self.now()).replace(microsecond=0)

    def _data(self, path: str, received: _Received, spent_until: float) -> Any:
        """The `data` of an answer, or the error that it amounts to."""
        status = received.status
        wait = retry_after(received.headers)
        if wait is None and status == HTTPStatus.TOO_MANY_REQUESTS and spent_until:
            wait = spent_until
        asks = "" if wait is None else f" It asks to wait {wait:.0f} s."
        if 300 <= status < 400:
            target = received.headers.get("location", "nowhere")[:_LONGEST_QUOTE]
            raise RedditError(f"{self.host} redirects /{path} to {target}: check REDPOP_ARCTIC_SHIFT_URL.")
        try:
            answer = JSON.decode(received.body.decode("utf-8-sig"))
        except RecursionError:
            raise RedditError(
                f"{self.host} answered /{path} with JSON nested too deeply to be posts: check REDPOP_ARCTIC_SHIFT_URL."
            ) from None
        except ValueError:
            answer = None
            page = received.body.lstrip()[:1] == b"<"
            if status < 400:
                what = "a web page" if page else "something that is no JSON, perhaps cut off"
                raise _WorthRepeating(
                    f"{self.host} answered /{path} with {what} (HTTP {status}). Run again later; if this lasts, check "
                    "REDPOP_ARCTIC_SHIFT_URL and whether a proxy is in between.",
                    wait,
                ) from None
        said = _error_of(answer)
        limited = status == HTTPStatus.TOO_MANY_REQUESTS
        # The service says "slow down" of a query that takes too long as well as of too many of them.
        if any(words in said.lower() for words in _TIMED_OUT) or (_SLOW_DOWN in said.lower() and not limited):
            raise QueryTimedOut(f"{self.host} gave up a query for /{path} ({said}).")
        if limited:
            raise _WorthRepeating(
                f"The rate limit of {self.host} is spent (HTTP 429).{asks} Run again later, and see that no other "
                "program of this network asks it.",
                wait,
            )
        if status in _BUSY or status >= 500:
            raise _WorthRepeating(
                f"{self.host} fails (HTTP {status}{f': {said}' if said else ''}).{asks} Run again later; what was read "
                "is kept.",
                wait,
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS):
            raise RedditError(
                f"{self.host} refuses this client (HTTP {status}{f': {said}' if said else ''}): name yourself in the "
                "user agent, and check whether this network's address is blocked."
            )
        if said or status >= 400:
            raise RedditError(
                f"{self.host} refuses /{path} (HTTP {status}{f': {said}' if said else ''}): check "
                "REDPOP_ARCTIC_SHIFT_URL; if it is right and this lasts, please report it."
            )
        if not isinstance(answer, dict) or answer.get("data") is None:
            what = "data" if isinstance(answer, dict) else "an object"
            raise RedditError(
                f"{self.host} answered /{path} without {what} (HTTP {status}): check REDPOP_ARCTIC_SHIFT_URL; if it is "
                "right and this lasts, please report it."
            )
        return answer["data"]


def _error_of(answer: Any) -> str:
    """What the service says is wrong, in one line; empty if nothing is."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if error in (None, False, ""):
        return ""
    if isinstance(error, dict):
        error = error.get("message", "an error without words")
    text = "".join(character if character.isprintable() else " " for character in str(error))
    return " ".join(text.split())[:_LONGEST_QUOTE].rstrip(".") or "an error without words"


def _spent_until(headers: Mapping[str, str], at: datetime) -> float:
    """Seconds until the rate limit is renewed if no request is left, else 0.

    The service does not say what its reset counts: seconds from now, or those since 1970, or their thousandths.
    """
    remaining, reset = number(headers.get("x-ratelimit-remaining")), number(headers.get("x-ratelimit-reset"))
    if remaining is None or remaining >= 1 or reset is None:
        return 0.0
    if reset > 1e11:
        reset /= 1000
    if reset > 1e9:
        reset -= at.timestamp()
    return min(max(reset, 0.0), LONGEST_HOLD)


def _checked_url(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        usable = usable and not parts.username and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"REDPOP_ARCTIC_SHIFT_URL is {url!r}; write scheme and host, such as https://arctic-shift.photon-reddit.com."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}", parts.netloc


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
