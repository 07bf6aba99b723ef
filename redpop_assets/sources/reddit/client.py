"""The one way to ask Reddit: read-only, through PRAW, raw JSON in, our own errors out.

PRAW and prawcore do the login and the renewal of the token. What to do about an answer that is no listing is decided
here, before prawcore sees it: its exceptions crash on header values that servers really send, its retries cannot be
configured, and its timeout setting does not reach API calls. Its rate limiter knows one process only, so it is shown no
budget and never waits: `budget.RequestBudget` does, for all processes that use the client id.

Nothing of PRAW's own configuration applies: every value that it would take from `praw_*` environment variables or
from a `praw.ini` is passed explicitly, even where PRAW warns that a `praw.ini` overrides its endpoints. `HTTPS_PROXY`
and the like apply, as to every client built on requests.
"""

import configparser
import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count, islice
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import praw
import prawcore
import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from redpop_assets.errors import (
    CredentialsMissing,
    CredentialsRefused,
    RedditBusy,
    RedditError,
    RedPopError,
    SettingsError,
    SubredditUnavailable,
)
from redpop_assets.sources.headers import http_date, retry_after
from redpop_assets.sources.listings import InfoPage, Listing, Page
from redpop_assets.sources.reddit.budget import WINDOW, RateLimit, RequestBudget
from redpop_assets.sources.services import WAYS_ON

log = logging.getLogger(__name__)

ITEMS_PER_REQUEST = 100
"""Most items that Reddit puts into one answer, and most ids that it takes in one question."""

LONGEST_WAIT = 60.0
"""Longest wait (seconds) that a failing server may ask for before the request is given up."""

FAILURE_PAUSES = (1.0, 3.0)
"""Pauses (seconds) before the second and the third attempt at a request that a failing server left unanswered."""

RATE_LIMIT_PAUSES = (5.0, 15.0, 45.0)
"""Pauses (seconds) after a refusal for the rate limit that does not say how long to wait."""

RATE_LIMIT_ATTEMPTS = 5
"""Most attempts at a request refused for the rate limit; what they are asked to wait adds up to `WINDOW` at most."""

LARGEST_ANSWER = 50_000_000
"""Bytes of one answer; a hundred posts take about one per cent of it."""

_T = TypeVar("_T")

USER_AGENT_FORM = "<platform>:<app ID>:<version> (by /u/<username>)"

_USER_AGENT = re.compile(r"[^\s:]+:[^\s:]+:[^\s:]+ \(by /?u/[A-Za-z0-9_-]{2,20}\)")
_TOKEN_PATH = "/api/v1/access_token"
_COMMUNITY = re.compile(r"/r/([^/]+)")
_TOKEN_ERRORS = re.compile(r'error="?(insufficient_scope|invalid_token)\b')

_UNAVAILABLE = {
    HTTPStatus.FORBIDDEN.value: "is private or quarantined",
    HTTPStatus.NOT_FOUND.value: "does not exist or is banned",
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS.value: "is blocked for legal reasons",
}
_LOGIN_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_REASONS = {
    "private": "is private",
    "banned": "is banned",
    "quarantined": "is quarantined",
    "gold_only": "is open to premium members only",
}
_HOW_TO_GET_CREDENTIALS = f"{WAYS_ON} The user agent has the form {USER_AGENT_FORM}."


_OF_COMMUNITIES: Final = {
    "about": "r/{}/about",
    "rules": "r/{}/about/rules",
    "post_requirements": "api/v1/{}/post_requirements",
}


class RedditClient:
    """Reads listings and posts with an app-only, read-only login; no account is involved.

    Not safe for use by several threads. All clients of one client id share one budget: when it is spent, a call may
    sleep up to 10 minutes.

    Args:
        client_id: of the app.
        client_secret: of the app; never logged.
        user_agent: `<platform>:<app ID>:<version> (by /u/<username>)`.
        reddit_url: scheme, host and port that hand out tokens.
        oauth_url: scheme, host and port of the API.
        timeout: longest time (seconds) that a request may take in all, and longest silence meanwhile.
        budget: the requests that may be made; by default one that this client shares with nobody.
        sleep: pauses the caller (seconds) before a request is repeated.

    Raises:
        CredentialsMissing: id, secret or user agent is empty.
        SettingsError: the user agent, a URL or a `praw.ini` on this machine is malformed.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        user_agent: str,
        *,
        reddit_url: str = "https://www.reddit.com",
        oauth_url: str = "https://oauth.reddit.com",
        timeout: float = 30.0,
        budget: RequestBudget | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        credentials = {
            "REDDIT_CLIENT_ID": client_id.strip(),
            "REDDIT_CLIENT_SECRET": client_secret.strip(),
            "REDDIT_USER_AGENT": user_agent.strip(),
        }
        if missing := [name for name, value in credentials.items() if not value]:
            raise CredentialsMissing(f"{', '.join(missing)} not set. {_HOW_TO_GET_CREDENTIALS}")
        if not _USER_AGENT.fullmatch(credentials["REDDIT_USER_AGENT"]):
            raise SettingsError(
                f"REDDIT_USER_AGENT is {user_agent!r}, but Reddit throttles or bans clients whose user agent is not of "
                f"the form {USER_AGENT_FORM}; such as linux:redpop:0.1.0 (by /u/your_name)."
            )
        if timeout <= 0:
            raise SettingsError(f"REDPOP_REDDIT_TIMEOUT_SECONDS is {timeout}, but has to be positive.")
        self._sleep = sleep
        self._paused = 0.0
        self._budget = budget or RequestBudget(sleep=sleep)
        self._traffic = _Traffic()
        self._http = requests.Session()
        try:
            self._reddit = praw.Reddit(
                "DEFAULT",
                requestor_class=_Requestor,
                requestor_kwargs={
                    "session": self._http,
                    "timeout": timeout,
                    "traffic": self._traffic,
                    "budget": self._budget,
                },
                client_id=credentials["REDDIT_CLIENT_ID"],
                client_secret=credentials["REDDIT_CLIENT_SECRET"],
                user_agent=credentials["REDDIT_USER_AGENT"],
                reddit_url=_bare_url("REDPOP_REDDIT_URL", reddit_url),
                oauth_url=_bare_url("REDPOP_OAUTH_URL", oauth_url),
                short_url="https://redd.it",
                username=None,
                password=None,
                refresh_token=None,
                redirect_uri=None,
                check_for_updates=False,
                check_for_async=False,
                ratelimit_seconds=5,
                timeout=16,
                window_size=int(WINDOW),
            )
        except configparser.Error as error:
            raise SettingsError(f"PRAW cannot read a praw.ini on this machine; repair or remove it: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Reddit."""
        self._http.close()

    @property
    def requests_made(self) -> int:
        """HTTP requests sent so far: logins and repeated attempts included."""
        return self._traffic.requests_made

    @property
    def requests_remaining(self) -> int | None:
        """Requests left in the present rate limit window, to all who use the client id; None before any answer told."""
        return self._budget.remaining

    @property
    def seconds_waited(self) -> float:
        """Time spent so far waiting for the rate limit and before repeated attempts."""
        return self._paused + self._budget.seconds_waited

    def now(self) -> datetime:
        """The time on Reddit's clock (aware, UTC): this machine's, corrected by the last answer's Date header.

        Before the first answer one request is made to learn Reddit's time. If no answer carries a Date header, this
        machine's clock is used.

        Raises:
            RedditError: as `info`, if that first request fails.
        """
        if self._traffic.answered_at is None:
            self._get("api/info/", {"id": "t3_1"})
        return self._traffic.now()

    def pages(self, subreddit: str, listing: Listing, *, limit: int = 1000) -> Iterator[Page]:
        """Read a listing page by page, one request each.

        Ends where Reddit's listing ends (at about 1,000 items), after `limit` items, and when Reddit points back to a
        page already read; an empty page ends it only if it names no further one. Posts may repeat across pages,
        because the listing moves meanwhile. A page may hold more posts than asked for: stickied ones come on top.

        Args:
            subreddit: name of one subreddit, without `r/`.
            listing: what to read.
            limit: items after which to stop.

        Raises (while iterating; pages already yielded stay valid):
            SubredditUnavailable: it does not exist or is private, banned or quarantined.
            RedditBusy: rate limit, failing server, no connection, or no answer in time.
            CredentialsRefused: Reddit refuses the login.
            RedditError: an answer that is no listing.
        """
        path = listing.path(subreddit)
        rank = 0
        after: str | None = None
        seen: set[str] = set()
        while rank < limit:
            params = {**listing.params, "limit": min(ITEMS_PER_REQUEST, limit - rank)}
            if after is not None:
                params["after"] = after
            data, observed_at = self._get(path, params)
            children = data["children"]
            placed = [(rank + i, child["data"]) for i, child in enumerate(children) if _is_submission(child)]
            if children:
                yield Page(
                    listing=listing,
                    observed_at=observed_at,
                    first_rank=rank,
                    submissions=tuple(submission for _, submission in placed),
                    ranks=tuple(place for place, _ in placed),
                )
            rank += len(children)
            after = data.get("after")
            if not after or after in seen:
                return
            seen.add(after)

    def info(self, post_ids: Iterable[str]) -> Iterator[InfoPage]:
        """Read posts by id, a hundred per request, in the order given.

        Args:
            post_ids: base36 ids, with or without `t3_`.

        Raises (while iterating; pages already yielded stay valid):
            RedditBusy: rate limit, failing server, no connection, or no answer in time.
            CredentialsRefused: Reddit refuses the login.
            RedditError: an answer that is no listing.
        """
        ids = (post_id.removeprefix("t3_") for post_id in post_ids)
        while requested := tuple(islice(ids, ITEMS_PER_REQUEST)):
            data, observed_at = self._get("api/info/", {"id": ",".join(f"t3_{post_id}" for post_id in requested)})
            yield InfoPage(
                observed_at=observed_at,
                requested=requested,
                submissions=tuple(child["data"] for child in data["children"] if _is_submission(child)),
            )

    def community(self, subreddit: str) -> tuple[dict[str, Any], datetime]:
        """Read what a community is, its rules, and what it requires of posts: a request each.

        Args:
            subreddit: name of one subreddit, without `r/`.

        Returns:
            `about`, `rules` and `post_requirements`, as Reddit gave them, with their envelopes. What it refuses, as it
            may to apps that log in without an account, is left out. And when it answered (aware, UTC, whole seconds).

        Raises:
            RedditBusy: rate limit, failing server, no connection, or no answer in time.
        """
        found: dict[str, Any] = {}
        answered_at = self.now().replace(microsecond=0)
        for name, path in _OF_COMMUNITIES.items():
            try:
                answer, answered_at = self._patiently(path.format(subreddit), {})
            except RedditBusy:
                raise
            except (RedditError, CredentialsRefused) as error:
                log.info("Reddit does not say %s of r/%s: %s", name, subreddit, error)
                continue
            if isinstance(answer, dict):
                found[name] = answer
        return found, answered_at

    def _get(self, path: str, params: dict[str, str | int]) -> tuple[dict[str, Any], datetime]:
        """The `data` of the listing at `path`, whose `children` is a list, and when Reddit answered.

        Repeats what is worth repeating.
        """
        answer, answered_at = self._patiently(path, params)
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("children"), list):
            raise RedditError(f"Reddit's answer to /{path} is no listing. If this lasts, please report it.")
        return data, answered_at

    def _patiently(self, path: str, params: dict[str, str | int]) -> tuple[Any, datetime]:
        for attempt in count():
            try:
                return self._ask(path, params)
            except _WorthRepeating as failure:
                if attempt >= len(failure.pauses):
                    raise RedditBusy(str(failure)) from failure
                pause = failure.pauses[attempt]
                if failure.holds_all:
                    log.warning("%s", failure)
                    self._budget.hold(pause)  # which says so, and waits, before the next request
                else:
                    log.warning("%s Trying again in %.0f s.", failure, pause)
                    self._sleep(pause)
                    self._paused += pause
        raise AssertionError("unreachable")

    def _ask(self, path: str, params: dict[str, str | int]) -> tuple[Any, datetime]:
        try:
            answer = self._reddit.request(method="GET", path=path, params=params)
        except RedPopError:
            raise
        except Exception as error:
            raise _own_error(error, path) from error
        assert self._traffic.answered_at is not None
        return answer, self._traffic.answered_at


class _WorthRepeating(RedditBusy):
    """A request that may succeed when repeated, at most once per pause (seconds); `holds_all` if nobody may ask now."""

    def __init__(self, message: str, pauses: tuple[float, ...], *, holds_all: bool = False) -> None:
        super().__init__(message)
        self.pauses = pauses
        self.holds_all = holds_all


@dataclass(slots=True)
class _Traffic:
    """How many requests were made, and what the answers said about Reddit's clock."""

    requests_made: int = 0
    skew: timedelta = timedelta(0)
    answered_at: datetime | None = None

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def record(self, headers: CaseInsensitiveDict[str]) -> None:
        date = http_date(headers.get("date"))
        if date is not None:
            self.skew = date - datetime.now(UTC)
        self.answered_at = (date or self.now()).replace(microsecond=0)


class _Requestor(prawcore.Requestor):
    """Sends prawcore's requests; hands on only the answers that prawcore can digest."""

    def __init__(self, *, traffic: _Traffic, budget: RequestBudget, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._traffic = traffic
        self._budget = budget

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> requests.Response:  # noqa: ARG002
        """Send one request. The timeout is the client's: prawcore passes a constant of its own, which is ignored.

        Raises:
            _WorthRepeating, RedditError: nothing that prawcore could use came back.
        """
        reservation = self._budget.spend()
        self._traffic.requests_made += 1
        told = None
        try:
            response = _within(self.timeout, lambda: self._send(*args, **kwargs))
            told = RateLimit.of(response.headers)
        except TimeoutError as error:
            raise _connection_error(error, self.timeout) from error
        finally:
            self._budget.settle(reservation, told)
        _repair_headers(response)
        self._traffic.record(response.headers)
        if refusal := _refusal(response, told):
            raise refusal
        return response

    def _send(self, *args: Any, **kwargs: Any) -> requests.Response:
        deadline = time.monotonic() + self.timeout
        try:
            # A redirect is an answer; and the client secret goes to no other host.
            response = super().request(
                *args, timeout=self.timeout, **{**kwargs, "stream": True, "allow_redirects": False}
            )
        except prawcore.RequestException as error:
            raise _connection_error(error.original_exception, self.timeout) from error.original_exception
        _read_body(response, deadline, self.timeout)
        return response


def _within(seconds: float, call: Callable[[], _T]) -> _T:
    """What `call` returns; it is left alone after so many seconds.

    Timeouts of sockets bound each silence, not their sum: a host that sends its header byte by byte, or a name server
    that never answers, would hold the caller for hours.

    Raises:
        TimeoutError: it takes longer.
    """
    outcome: Future[_T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  (it is raised where the result is asked for)
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(seconds)


def _bare_url(setting: str, url: str) -> str:
    try:
        parts = urlsplit(url.strip().rstrip("/"))
    except ValueError:  # brackets around what is no address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise SettingsError(f"{setting} is {url!r}; write scheme, host and port only, such as https://www.reddit.com.")
    return f"{parts.scheme}://{parts.netloc}"


def _is_submission(child: Any) -> bool:
    if not isinstance(child, dict) or child.get("kind") != "t3":
        return False
    data = child.get("data")
    if isinstance(data, dict) and isinstance(data.get("id"), str) and data["id"]:
        return True
    log.warning("Reddit sent a submission without an id; it is left out.")
    return False


def _read_body(response: requests.Response, deadline: float, timeout: float) -> None:
    """Read the whole body before the deadline: the timeout of requests bounds each wait for bytes, not their sum."""
    body = bytearray()
    try:
        while chunk := response.raw.read1(65536, decode_content=True):
            body += chunk
            if time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout
            if len(body) > LARGEST_ANSWER:
                response.close()
                raise RedditError(
                    f"Reddit's answer is larger than {LARGEST_ANSWER:,} bytes. If this lasts, please report it."
                )
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.HTTPError, OSError) as error:
        response.close()
        raise _connection_error(error, timeout) from error
    response.raw = io.BytesIO(body)


def _connection_error(error: Exception, timeout: float) -> RedPopError:
    if isinstance(error, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
        return _WorthRepeating(
            f"Reddit did not answer within {timeout:g} s. If this lasts, raise REDPOP_REDDIT_TIMEOUT_SECONDS.",
            FAILURE_PAUSES,
        )
    if isinstance(
        error,
        (
            requests.exceptions.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.HTTPError,
            OSError,
        ),
    ) and not isinstance(error, ValueError):
        return _WorthRepeating(
            f"The connection to Reddit failed ({error}). Check the network, a proxy, and REDPOP_REDDIT_URL and "
            "REDPOP_OAUTH_URL.",
            FAILURE_PAUSES,
        )
    return RedditError(f"A request to Reddit could not be sent ({type(error).__name__}: {error}).")


def _repair_headers(response: requests.Response) -> None:
    """Rewrite or drop the headers that prawcore acts on: it crashes on odd ones, and its own limiter has to rest."""
    headers = response.headers
    for name in [name for name in headers if name.lower().startswith("x-ratelimit-")]:
        del headers[name]
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="reddit", error="invalid_token"'


def _refusal(response: requests.Response, told: RateLimit | None) -> RedPopError | None:
    """The error that an answer amounts to; None for those that prawcore goes on with."""
    status, path = response.status_code, urlsplit(response.url).path
    login = path == _TOKEN_PATH
    page = response.content.lstrip().startswith(b"<")
    if 200 <= status < 300:
        return _bot_wall(f"HTTP {status} for {path}") if page else None
    if status == HTTPStatus.UNAUTHORIZED and not login:
        return None  # prawcore answers by asking for a new token, once or twice
    wait = retry_after(response.headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = told.reset if wait is None and told else wait
        asks = "" if wait is None else f" It asks to wait {wait:.0f} s."
        return _WorthRepeating(
            f"Reddit's rate limit is spent (HTTP 429).{asks} Run again later, and see that no other program or machine "
            "uses this client id.",
            RATE_LIMIT_PAUSES if wait is None else _rate_limit_pauses(max(wait, 1.0)),
            holds_all=True,
        )
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= 500:
        pauses = tuple(max(pause, wait or 0.0) for pause in FAILURE_PAUSES)
        return _WorthRepeating(
            f"Reddit's servers fail (HTTP {status} for {path}). Run again later.",
            pauses if max(pauses) <= LONGEST_WAIT else (),
        )
    if login and status in _LOGIN_REFUSED and not page:
        return CredentialsRefused(
            f"Reddit refuses the client id or secret (HTTP {status}): check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET."
        )
    if 300 <= status < 400:
        return _redirect_error(path, urlsplit(response.headers.get("location", "")).path)
    if page:
        return _bot_wall(f"HTTP {status} for {path}")
    if _TOKEN_ERRORS.search(response.headers.get("www-authenticate", "")):
        return RedditError(f"Reddit does not let this app read {path} (HTTP {status}): its token lacks the scope.")
    community = _COMMUNITY.match(path)
    if not community and status == HTTPStatus.FORBIDDEN:
        return CredentialsRefused(f"Reddit does not let this app use its API (HTTP 403 for {path}).")
    if community and status in _UNAVAILABLE:
        return _unavailable(community[1], status, _reason(response))
    return RedditError(f"Reddit refuses {path} (HTTP {status}). If this lasts, please report it.")


def _rate_limit_pauses(wait: float) -> tuple[float, ...]:
    return (wait,) * min(RATE_LIMIT_ATTEMPTS - 1, int(WINDOW // wait))


def _redirect_error(path: str, target: str) -> RedPopError:
    community, other = _COMMUNITY.match(path), _COMMUNITY.match(target)
    if community and target.startswith("/subreddits/search"):
        return SubredditUnavailable(f"r/{community[1]} does not exist. {_drop(community[1])}")
    if community and other and other[1].lower() != community[1].lower():
        return SubredditUnavailable(
            f"r/{community[1]} moved to r/{other[1]}: put that name into REDPOP_SUBREDDITS instead."
        )
    return RedditError(
        f"Reddit redirects {path} to {target or 'nowhere'}: check REDPOP_REDDIT_URL and REDPOP_OAUTH_URL."
    )


def _unavailable(community: str, status: int, reason: str) -> SubredditUnavailable:
    what = _REASONS.get(reason) or _UNAVAILABLE[status]
    return SubredditUnavailable(f"r/{community} {what} (HTTP {status}). {_drop(community)}")


def _drop(community: str) -> str:
    return f"Take {community} out of REDPOP_SUBREDDITS; posts already stored stay."


def _bot_wall(where: str) -> RedditError:
    return RedditError(
        f"Reddit answered with a web page instead of data ({where}): it takes this client for a bot, or a proxy is in "
        "between. Check REDDIT_USER_AGENT, and whether this network's address is blocked."
    )


def _own_error(error: Exception, path: str) -> RedPopError:
    if isinstance(error, prawcore.OAuthException):
        return CredentialsRefused(
            f"Reddit refuses the login ({error}): check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET."
        )
    if isinstance(error, prawcore.InvalidToken):
        return CredentialsRefused(
            f"Reddit refuses /{path} with a fresh token (HTTP 401): check that the app still exists."
        )
    if isinstance(error, (prawcore.BadJSON, ValueError)):
        return _WorthRepeating(f"Reddit's answer to /{path} is no JSON, perhaps cut off. Run again.", FAILURE_PAUSES)
    return RedditError(f"Reddit's answer to /{path} could not be used ({type(error).__name__}: {error}). Run again.")


def _reason(response: requests.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return ""
    return str(body.get("reason", "")) if isinstance(body, dict) else ""
