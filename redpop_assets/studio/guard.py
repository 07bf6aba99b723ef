"""Who may ask, how often, and what every answer carries: in front of all pages and of the API.

What is checked, in this order: the name under which the studio was reached (a page of a stranger whose name was bound
to this address gets nothing), where an unsafe request comes from (no other page can send one), pace, and token.
"""

import math
import re
import secrets
import time
from collections.abc import Callable, Collection, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redpop_assets.studio.refusals import Refusal

Respond = Callable[[Request, Exception], ASGIApp]

COOKIE: Final = "redpop_studio"
OWN_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
ENTRANCE: Final = "/enter"

_SESSION = re.compile(r"[A-Za-z0-9_-]{43}")
PICTURES: Final = "/api/v1/pictures"
_MOST_BODY = 65_536  # of anything but a picture, whose own limit stands in `Pictures`
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_VISITORS = 10_000
_MOST_SESSIONS = 10_000

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


class Door:
    """The token, and the sessions that have shown it.

    Args:
        token: that visitors have to show; empty for none.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._inside: dict[str, None] = {}  # in the order of coming

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked."""
        return not self._token

    def fits(self, token: str) -> bool:
        """Whether it is the token."""
        return secrets.compare_digest(token.encode(), self._token)

    def let_in(self) -> str:
        """A new session that has shown the token."""
        session = new_session()
        self._inside[session] = None
        if len(self._inside) > _MOST_SESSIONS:
            del self._inside[next(iter(self._inside))]
        return session

    def knows(self, session: str | None, authorization: str) -> bool:
        """Whether somebody may ask: by the session, or by a bearer token."""
        if self.is_open or session in self._inside:
            return True
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.fits(token.strip())


class Pace:
    """How many requests each visitor may make: so many at once, and so many per minute in the long run."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(per_minute), clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, visitor: str) -> float:
        """Count a request: 0.0, or the seconds after which the next one is allowed."""
        now = self._clock()
        left, since = self._left.pop(visitor, (self._most, now))
        left = min(self._most, left + (now - since) * self._most / 60)
        allowed = left >= 1
        self._left[visitor] = (left - allowed, now)
        if len(self._left) > _MOST_VISITORS:
            del self._left[next(iter(self._left))]
        return 0.0 if allowed else (1 - left) * 60 / self._most


class Guard:
    """The middleware: see the module.

    Args:
        app: what it stands in front of.
        names: under which the studio may be reached.
        door: who may come in.
        pace: how often.
        respond: makes the response of a refusal.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], door: Door, pace: Pace, respond: Respond) -> None:
        self._app, self._names, self._door, self._pace, self._respond = app, frozenset(names), door, pace, respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session, is_new = _session_of(headers)
        scope.setdefault("state", {})["session"] = session
        is_secure = scope["scheme"] == "https"
        is_static = scope["path"].startswith("/static/")

        began = False

        async def guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                carried = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    carried[name] = value
                carried.setdefault("cache-control", "no-cache" if is_static else "no-store")
                if is_new and not is_static and "set-cookie" not in carried:
                    carried["set-cookie"] = session_cookie(session, secure=is_secure)
            await send(message)

        try:
            self._check(scope, headers, None if is_new else session)
            await self._app(scope, receive if scope["path"] == PICTURES else _limited(receive), guarded)
        except Exception as error:
            if began:
                raise
            # Here and nowhere else: what an error says never leaves, and its answer carries the same headers.
            await self._respond(Request(scope, receive), error)(scope, receive, guarded)

    def _check(self, scope: MutableMapping[str, Any], headers: Headers, session: str | None) -> None:
        host = _name_in(headers.get("host", ""))
        if host not in self._names:
            raise Refusal(
                421,
                "The studio is not to be reached under this name. Whoever runs it can allow it: REDPOP_STUDIO_NAMES.",
            )
        if scope["method"] not in _SAFE and not _is_from_here(headers):
            raise Refusal(403, "This was sent by a page of somebody else, so nothing was done.")
        path = scope["path"]
        if path.startswith("/static/"):
            return
        if wait := self._pace.wait(str((scope.get("client") or ("", 0))[0])):
            raise Refusal(429, "These are many questions at once. Try again in a moment.", retry_after=math.ceil(wait))
        if path != ENTRANCE and not self._door.knows(session, headers.get("authorization", "")):
            raise Refusal(401, "The studio asks for a token, which whoever runs it has set in REDPOP_STUDIO_TOKEN.")


def _limited(receive: Receive) -> Receive:
    """What refuses a body as soon as it is too long."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > _MOST_BODY:
            raise Refusal(413, f"The question has more than {_MOST_BODY // 1024} kB: shorten it.")
        return message

    return limited


def new_session() -> str:
    """An id that nobody guesses."""
    return secrets.token_urlsafe(32)


def session_cookie(session: str, *, secure: bool) -> str:
    """The header that gives a browser its session, which no page of others and no script can use."""
    return f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"


def _session_of(headers: Headers) -> tuple[str, bool]:
    """The session of a request, and whether it was made just now."""
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return (found, False) if _SESSION.fullmatch(found) else (new_session(), True)


def _name_in(host: str) -> str:
    """The name in a Host header, without the port."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].removesuffix(".")


def _is_from_here(headers: Headers) -> bool:
    """Whether an unsafe request comes from a page of the studio, or from no page at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or (origin != "null" and urlsplit(origin).netloc.lower() == headers.get("host", "").lower())
