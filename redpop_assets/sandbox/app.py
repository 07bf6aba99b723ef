"""The local Reddit as a web application: token, listings, api/info, the image host, and a panel for the sandbox itself.

Every answer carries the world's time as its Date. Rate limits, tokens and their lifetimes count real time.
"""

import base64
import binascii
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from redpop_assets.sandbox import pictures, popularity
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.listings import LISTINGS, WINDOWS, Listings
from redpop_assets.sandbox.submissions import submission
from redpop_assets.sandbox.world import Post, World

TOKEN_SECONDS = 3600
WINDOW_SECONDS = 600
_GRANTS = ("client_credentials", "https://oauth.reddit.com/grants/installed_client")

_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Scope = MutableMapping[str, Any]
_Application = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def create_app(world: World, clock: Clock, base_url: str, *, secret: str = "sandbox", budget: int = 996) -> Starlette:
    """The application of one world.

    `base_url` (scheme, host, port; no path) is where it can be reached: picture links start with it. A client logs in
    with any id and this `secret`. `budget` is the number of API calls in each window of 600 s; as on Reddit the windows
    are not aligned with the client, and the first one is half over when the application starts.
    """
    site = _Site(world, clock, base_url.rstrip("/"), secret, budget)
    app = Starlette(
        routes=[
            Route("/", site.about),
            Route("/api/v1/access_token", site.access_token, methods=["POST"]),
            Route("/api/info", site.info),
            Route("/api/info/", site.info),
            Route("/r/{subreddit}/{listing}", site.listing),
            Route("/r/{subreddit}/{listing}/", site.listing),
            Route("/i/{media_id}.jpg", site.picture),
            Route("/sandbox/clock", site.show_clock, methods=["GET"]),
            Route("/sandbox/clock", site.advance_clock, methods=["POST"]),
            Route("/sandbox/truth", site.truth),
        ],
        exception_handlers={404: _not_found},
    )
    app.add_middleware(_WorldDate, clock=clock)
    return app


class _WorldDate:
    """Puts the world's time into the Date header of every answer."""

    def __init__(self, app: _Application, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        async def stamped(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                moment = datetime.fromtimestamp(scope.get("state", {}).get("now") or self._clock.seconds(), UTC)
                date = format_datetime(moment, usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date), (b"server", b"sandbox")]
            await send(message)

        await self._app(scope, receive, stamped)


class _Budget:
    """API calls used in the present window of real time."""

    def __init__(self, calls: int) -> None:
        self._calls, self._used = calls, 0
        self._opened = time.monotonic() - WINDOW_SECONDS / 2
        self._lock = threading.Lock()

    def spend(self) -> tuple[bool, dict[str, str]]:
        """Count one call: whether it is within the budget, and the headers that say so."""
        with self._lock:
            windows = int((time.monotonic() - self._opened) // WINDOW_SECONDS)
            if windows:
                self._opened, self._used = self._opened + windows * WINDOW_SECONDS, 0
            allowed = self._used < self._calls
            self._used += int(allowed)
            reset = max(1, round(self._opened + WINDOW_SECONDS - time.monotonic()))
            return allowed, {
                "x-ratelimit-used": str(self._used),
                "x-ratelimit-remaining": f"{float(self._calls - self._used)}",
                "x-ratelimit-reset": str(reset),
            }


class _Site:
    """The endpoints of one world; plain functions, so they run in threads and a slow picture blocks nobody."""

    def __init__(self, world: World, clock: Clock, base_url: str, secret: str, budget: int) -> None:
        self._world, self._clock, self._base_url, self._secret = world, clock, base_url, secret
        self._budget, self._listings = _Budget(budget), Listings(world)
        self._tokens: dict[str, float] = {}

    def about(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "what": "a local Reddit: generated communities, no real people or posts",
                "time": self._clock.now().isoformat(),
                "subreddits": list(self._world.subreddits),
                "see": ["/sandbox/clock", "/sandbox/truth"],
            }
        )

    async def access_token(self, request: Request) -> Response:
        if not self._may_log_in(request.headers.get("authorization", "")):
            return JSONResponse(
                {"message": "Unauthorized", "error": 401}, 401, {"www-authenticate": 'Basic realm="reddit"'}
            )
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        grant = form.get("grant_type", [""])[0]
        if grant == "password":
            return JSONResponse({"error": "invalid_grant"})
        if grant not in _GRANTS:
            return JSONResponse({"error": "unsupported_grant_type"})
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + TOKEN_SECONDS
        return JSONResponse({"access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS, "scope": "*"})

    def listing(self, request: Request) -> Response:
        refusal, headers = self._admit(request)
        if refusal:
            return refusal
        name, listing = request.path_params["subreddit"], request.path_params["listing"]
        subreddit = self._world.subreddit(name)
        if subreddit is None:
            return Response(
                status_code=302, headers={**headers, "location": f"{self._base_url}/subreddits/search?q={quote(name)}"}
            )
        if listing not in LISTINGS:
            return JSONResponse({"message": "Not Found", "error": 404}, 404, headers)
        query = request.query_params
        limit = query.get("limit", "25")
        window = query.get("t", "day")
        now = self._moment(request)
        page = self._listings.page(
            subreddit,
            listing,
            now,
            window=window if window in WINDOWS else "day",
            limit=min(100, max(1, int(limit))) if limit.isascii() and limit.isdigit() else 25,
            after=query.get("after"),
        )
        return self._answer(page.posts, page.after, now, headers)

    def info(self, request: Request) -> Response:
        refusal, headers = self._admit(request)
        if refusal:
            return refusal
        now = self._moment(request)
        names = request.query_params.get("id", "").split(",")[:100]
        found = (self._world.find(name.strip()[3:], now) for name in names if name.strip().startswith("t3_"))
        return self._answer([post for post in found if post], None, now, headers)

    def picture(self, request: Request) -> Response:
        found = self._world.media(request.path_params["media_id"], self._moment(request))
        if found is None:
            return Response("<html><body>Not found</body></html>", 404, media_type="text/html")
        look, quality = found
        etag = '"' + hashlib.sha256(repr((look, quality)).encode()).hexdigest()[:32] + '"'
        headers = {"etag": etag, "cache-control": "public, max-age=31536000"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(pictures.render(look, quality), headers=headers, media_type="image/jpeg")

    def show_clock(self, _request: Request) -> Response:
        now = self._clock.now()
        return JSONResponse(
            {
                "now": now.isoformat(),
                "unix": now.timestamp(),
                "epoch": self._world.epoch.isoformat(),
                "speed": self._clock.speed,
            }
        )

    async def advance_clock(self, request: Request) -> Response:
        try:
            self._clock.advance(float(json.loads(await request.body())["advance_seconds"]))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            return JSONResponse({"error": f'send {{"advance_seconds": a number from 0 upwards}} ({error})'}, 400)
        return self.show_clock(request)

    def truth(self, request: Request) -> Response:
        """JSON lines: first the process, then every post so far with its terms (`?subreddit=` chooses a community)."""
        wanted = request.query_params.get("subreddit")
        names = [self._world.subreddit(wanted)] if wanted else list(self._world.subreddits)
        now = self._moment(request)

        def lines() -> Any:
            process = {"process": popularity.__doc__, "shares": dict(popularity.SHARES), "spread": popularity.SPREAD}
            yield json.dumps(process) + "\n"
            for name in names:
                for post in self._world.posts(name, now) if name else ():
                    yield json.dumps(_truth(post)) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    def _admit(self, request: Request) -> tuple[Response | None, dict[str, str]]:
        """A refusal, if the token or the budget asks for one, and the headers for the answer otherwise."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self._tokens.get(token, 0.0) < time.monotonic():
            challenge = {"www-authenticate": 'Bearer realm="reddit", error="invalid_token"'}
            return JSONResponse({"message": "Unauthorized", "error": 401}, 401, challenge), {}
        allowed, headers = self._budget.spend()
        if not allowed:
            page = "<!doctype html><html><head><title>Too Many Requests</title></head><body>whoa there</body></html>"
            return Response(page, 429, {"retry-after": headers["x-ratelimit-reset"]}, "text/html"), {}
        return None, headers

    def _may_log_in(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        try:
            client, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return (
            scheme.lower() == "basic"
            and bool(client)
            and secrets.compare_digest(secret.encode(), self._secret.encode())
        )

    def _moment(self, request: Request) -> float:
        """World time of this answer in whole seconds: taken once, so that Date, order and scores agree."""
        request.state.now = float(int(self._clock.seconds()))
        return float(request.state.now)

    def _answer(self, posts: list[Post], after: str | None, now: float, headers: dict[str, str]) -> Response:
        children = [{"kind": "t3", "data": submission(self._world, post, now, self._base_url)} for post in posts]
        data = {
            "after": after,
            "dist": len(children),
            "modhash": None,
            "geo_filter": None,
            "children": children,
            "before": None,
        }
        return JSONResponse(
            {"kind": "Listing", "data": data},
            headers={**headers, "cache-control": "private, s-maxage=0, max-age=0, must-revalidate, no-store"},
        )


def _truth(post: Post) -> dict[str, Any]:
    first = next((look for item, look in enumerate(post.looks) if item != post.failed_item), None)
    visible = {name: getattr(first, name) for name in popularity.IMAGE_PROPERTIES} if first else None
    return {
        "id": post.id,
        "subreddit": post.subreddit,
        "kind": post.kind,
        "expected_log_score": post.expected_log_score,
        "base": post.base,
        **post.terms,
        "noise": post.noise,
        "look": visible,
        "caption_properties": {name: getattr(post.caption, name) for name in popularity.CAPTION_PROPERTIES},
        "repeats": list(post.source) if post.source else None,
    }


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"message": "Not Found", "error": 404}, 404)
