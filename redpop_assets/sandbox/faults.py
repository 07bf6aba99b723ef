"""Faults of requests: a layer around the application that refuses, delays, cuts or breaks some of its answers."""

import asyncio
import contextlib
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.responses import HTMLResponse, JSONResponse, Response

from redpop_assets.sandbox import arctic_shift
from redpop_assets.sandbox.chaos import Chaos, Place, Strike
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.connections import Application, Message, Receive, Scope, Send, gone, hang_up

TOKEN_PATH = "/api/v1/access_token"

API_FAILURES = (503, 500, 502, 504, 520, 522)
IMAGE_FAILURES = (503, 500, 502, 504)
SILENCE_SECONDS = 5.0
_DRIPS, _DRIP_SECONDS = 8, 0.15
_THINKING_SECONDS = 0.5

_BOT_WALL = (
    "<!doctype html>\n<html>\n<head><title>Blocked</title></head>\n<body><h1>whoa there, pardner!</h1>\n"
    "<p>Your request has been blocked due to a network policy.</p></body>\n</html>\n"
)
_TOO_MANY = (
    "<!doctype html>\n<html>\n<head><title>Too Many Requests</title></head>\n<body><h1>whoa there, pardner!</h1>\n"
    "<p>we're sorry, but you appear to be a bot and we've seen too many requests from you lately.</p></body>\n</html>\n"
)
_ARCHIVE_PAGE = "<!doctype html>\n<html>\n<head><title>Arctic Shift</title></head>\n<body>Back soon.</body>\n</html>\n"


class Faults:
    """Throws the request situations of `chaos` at what passes; the panel under /sandbox is spared."""

    def __init__(self, app: Application, chaos: Chaos, clock: Clock) -> None:
        self._app, self._chaos, self._clock = app, chaos, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or do what strikes it."""
        place = _place(scope["path"]) if scope["type"] == "http" else None
        strike = self._chaos.strike(place) if place else None
        if strike is None:
            if place == "api" and (twist := self._chaos.strike("headers")):
                send = _with_headers(send, twist.name)
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(strike)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif strike.name in ("timeouts", "stalled-images"):
            if strike.name == "stalled-images":
                await self._halve(scope, receive, send)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone(receive), SILENCE_SECONDS)
            await hang_up(scope, receive)
        elif strike.name in ("resets", "archive-resets", "image-resets"):
            if strike.number % 2:
                await self._halve(scope, receive, send)
            await hang_up(scope, receive)
        else:
            await self._delay(strike.name, scope, receive, send)

    def _refusal(self, strike: Strike) -> Response | None:
        """The answer that takes the place of the application's."""
        number = strike.number
        match strike.name:
            case "rate-limits" | "image-rate-limits":
                return HTMLResponse(_TOO_MANY, 429, self._retry_after(strike))
            case "token-rate-limits":
                # The recorded one has no Retry-After.
                body = {"message": "Too Many Requests", "error": 429}
                return JSONResponse(body, 429, self._retry_after(strike))
            case "server-errors" | "token-errors":
                return _failure(API_FAILURES[number % len(API_FAILURES)])
            case "image-errors":
                return _failure(IMAGE_FAILURES[number % len(IMAGE_FAILURES)])
            case "archive-rate-limits":
                return arctic_shift.error("Too many requests", 429, self._retry_after(strike))
            case "archive-errors" if number % 2 == 0:
                return arctic_shift.error("Internal server error", 500)
            case "archive-errors":
                return _failure(API_FAILURES[number % len(API_FAILURES)])
            case "archive-query-timeouts":
                return arctic_shift.error(arctic_shift.GIVEN_UP[number % 2], 422)
            case "archive-web-pages":
                return HTMLResponse(_ARCHIVE_PAGE)
            case "bot-walls":
                return HTMLResponse(_BOT_WALL, (200, 403)[number % 2])
            case "expired-tokens":
                challenge = {"www-authenticate": 'Bearer realm="reddit", error="invalid_token"'}
                return JSONResponse({"message": "Unauthorized", "error": 401}, 401, challenge)
        return None

    def _retry_after(self, strike: Strike) -> dict[str, str]:
        seconds = math.ceil(strike.remaining)
        if not seconds:
            return {}
        if strike.number % 3 == 0:
            return {"retry-after": str(seconds)}
        # Counted from the Date of the answer, which is the world's.
        until = datetime.fromtimestamp(int(self._clock.seconds()) + seconds, UTC)
        return {"retry-after": format_datetime(until, usegmt=True)}

    async def _delay(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """cut-json of either, slow-answers and slow-images: the application's answer, in another way."""
        start, body = await self._answer(scope, receive)
        if name in ("cut-json", "archive-cut-json"):
            body = body[: len(body) // 2]
            start["headers"] = [*_without(start["headers"], b"content-length"), _length(body)]
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        if name == "slow-images":
            await asyncio.sleep(_THINKING_SECONDS)
        await send(start)
        size = max(1, math.ceil(len(body) / _DRIPS))
        for place in range(0, len(body), size):
            await send({"type": "http.response.body", "body": body[place : place + size], "more_body": True})
            await asyncio.sleep(_DRIP_SECONDS)
        await send({"type": "http.response.body", "body": b""})

    async def _halve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and half of the body of an answer."""
        start, body = await self._answer(scope, receive)
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await asyncio.sleep(0.05)  # so that it leaves the machine before the connection breaks

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Head and body of what the application answers."""
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, keep)
        if not start:  # the application has broken the connection itself
            start.update({"type": "http.response.start", "status": 200, "headers": []})
        return start, bytes(body)


def _place(path: str) -> Place | None:
    if path == TOKEN_PATH:
        return "token"
    if path.startswith(("/api/", "/r/")):
        return "api"
    if path.startswith(f"{arctic_shift.PATH}/"):
        return "archive"
    return "images" if path.startswith("/i/") else None


def _failure(status: int) -> Response:
    return HTMLResponse(f"<html><head><title>{status}</title></head><body>Our servers are busy</body></html>", status)


def _with_headers(send: Send, name: str) -> Send:
    """Make the rate limit headers of an answer odd, or leave them out."""

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = _without(message["headers"], b"x-ratelimit-remaining", b"x-ratelimit-used", b"x-ratelimit-reset")
            limits = [pair for pair in message["headers"] if pair not in kept]
            if name == "odd-headers":
                kept += [(key, b"%.1f" % (float(value) + 0.5)) for key, value in limits]
            message["headers"] = kept
        await send(message)

    return changed


def _without(headers: Iterable[tuple[bytes, bytes]], *names: bytes) -> list[tuple[bytes, bytes]]:
    return [(key, value) for key, value in headers if key.lower() not in names]


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()
