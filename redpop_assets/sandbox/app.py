"""The local Reddit as a web application: token, listings, api/info, the image host, its archive, and a panel.

Every answer carries the world's time as its Date. Rate limits, tokens and their lifetimes count real time. The panel,
everything under /sandbox, moves the time, switches chaos, deletes posts and accounts, and tells the truth about it all.
"""

import base64
import binascii
import functools
import hashlib
import secrets
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from redpop_assets.sandbox import pictures
from redpop_assets.sandbox.arctic_shift import PATH as ARCHIVE_PATH
from redpop_assets.sandbox.arctic_shift import ArcticShift, Traits
from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.communities import about_of, requirements_of, rules_of
from redpop_assets.sandbox.connections import Application, Message, Receive, Scope, Send
from redpop_assets.sandbox.fates import Fates
from redpop_assets.sandbox.faults import TOKEN_PATH, Faults
from redpop_assets.sandbox.listings import LISTINGS, WINDOWS, Listings
from redpop_assets.sandbox.odd_pictures import PICTURELESS, dead, placeholder, served_as
from redpop_assets.sandbox.odd_posts import advertisement, shown
from redpop_assets.sandbox.panel import Panel
from redpop_assets.sandbox.world import Post, World

TOKEN_SECONDS = 3600
WINDOW_SECONDS = 600
_OF_COMMUNITIES = {
    "about": "/r/{subreddit}/about",
    "rules": "/r/{subreddit}/about/rules",
    "post_requirements": "/api/v1/{subreddit}/post_requirements",
}
_GRANTS = ("client_credentials", "https://oauth.reddit.com/grants/installed_client")


def create_app(
    world: World,
    clock: Clock,
    base_url: str,
    *,
    secret: str = "sandbox",
    budget: int = 996,
    chaos: Chaos | None = None,
    directory: Path | None = None,
    archive: Traits | None = None,
) -> Starlette:
    """The application of one world.

    `base_url` (scheme, host, port; no path) is where it can be reached: picture links start with it. A client logs in
    with any id and this `secret`. `budget` is the number of API calls in each window of 600 s; as on Reddit the windows
    are not aligned with the client, and the first one is half over when the application starts. `chaos` decides what
    goes wrong, nothing by default; `directory` keeps what is deleted by hand; `archive` is how Arctic Shift behaves.

    Raises:
        RedPopError: what the directory keeps cannot be read.
    """
    chaos = chaos or Chaos(world.seed)
    fates = Fates(world, chaos, directory)
    site = _Site(world, clock, base_url.rstrip("/"), secret, budget, chaos, fates)
    panel = Panel(world, clock, chaos, fates, site.listings)
    arctic_shift = ArcticShift(world, clock, chaos, fates, base_url.rstrip("/"), archive)
    app = Starlette(
        routes=[
            Route("/", site.about),
            Route(TOKEN_PATH, site.access_token, methods=["POST"]),
            Route("/api/info", site.info),
            Route("/api/info/", site.info),
            *(
                Route(path, functools.partial(site.community, answer))
                for answer, paths in _OF_COMMUNITIES.items()
                for path in (paths, f"{paths}/")
            ),
            Route("/r/{subreddit}/{listing}", site.listing),
            Route("/r/{subreddit}/{listing}/", site.listing),
            Route("/i/removed.png", site.placeholder),
            Route("/i/{media_id}.jpg", site.picture),
            *arctic_shift.routes(),
            *panel.routes(),
        ],
        exception_handlers={404: _not_found},
    )
    app.add_middleware(Faults, chaos=chaos, clock=clock)
    app.add_middleware(_WorldDate, clock=clock)
    return app


class _WorldDate:
    """Puts the world's time into the Date header of every answer."""

    def __init__(self, app: Application, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
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

    def __init__(
        self, world: World, clock: Clock, base_url: str, secret: str, budget: int, chaos: Chaos, fates: Fates
    ) -> None:
        self._world, self._clock, self._base_url, self._secret = world, clock, base_url, secret
        self._chaos, self._fates = chaos, fates
        self._budget, self.listings = _Budget(budget), Listings(world, fates)
        self._tokens: dict[str, float] = {}

    def about(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "what": "a local Reddit: generated communities, no real people or posts",
                "time": self._clock.now().isoformat(),
                "subreddits": list(self._world.subreddits),
                "see": ["/sandbox/clock", "/sandbox/chaos", "/sandbox/truth", f"{ARCHIVE_PATH}/api/posts/search"],
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

    def community(self, answer: str, request: Request) -> Response:
        refusal, headers = self._admit(request)
        if refusal:
            return refusal
        name = self._world.subreddit(request.path_params["subreddit"])
        if name is None:
            return JSONResponse({"message": "Not Found", "error": 404}, 404, headers)
        if answer == "about":
            return JSONResponse(
                {"kind": "t5", "data": about_of(self._world, name, self._moment(request))}, 200, headers
            )
        if answer == "rules":
            return JSONResponse({"rules": rules_of(self._world, name), "site_rules": []}, 200, headers)
        return JSONResponse(requirements_of(self._world, name), 200, headers)

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
        after, before = query.get("after"), query.get("before")
        twist = self._chaos.strike("pages") if after else None
        now = self._moment(request)
        page = self.listings.page(
            subreddit,
            listing,
            now,
            window=window if window in WINDOWS else "day",
            limit=min(100, max(1, int(limit))) if limit.isascii() and limit.isdigit() else 25,
            after=after,
            before=before,
            twist=twist.name if twist else None,
        )
        children = self._children(page.posts, now)
        if listing == "hot" and not after and (offer := self._chaos.strike("hot")):
            children.insert(min(3, len(children)), {"kind": "t3", "data": advertisement(offer.number, now)})
        # As on Reddit, the way back is shown to those who count, or came that way.
        back = page.before if before or query.get("count", "0") not in ("", "0") else None
        return _answer(children, page.after, back, headers)

    def info(self, request: Request) -> Response:
        refusal, headers = self._admit(request)
        if refusal:
            return refusal
        now = self._moment(request)
        names = request.query_params.get("id", "").split(",")[:100]
        ids = [name.strip()[3:] for name in names if name.strip().startswith("t3_")]
        found = (self._fates.find(post_id, now) for post_id in ids if not self._chaos.absent(post_id))
        return _answer(self._children([post for post in found if post], now), None, None, headers)

    def picture(self, request: Request) -> Response:
        media_id, now = request.path_params["media_id"], self._moment(request)
        found, place = self._world.media(media_id, now), self._world.shown(media_id, now)
        if found is None or place is None or self._fates.of(place[0], now).taken:
            return dead()
        look, quality = found
        trait = self._fates.picture(media_id, now)
        if trait == "changed-images":
            look = replace(look, detail=look.detail ^ 1)
        etag = '"' + hashlib.sha256(repr((look, quality)).encode()).hexdigest()[:32] + '"'
        changed = format_datetime(datetime.fromtimestamp(int(place[0].created), UTC), usegmt=True)
        headers = {"etag": etag, "last-modified": changed, "cache-control": "public, max-age=31536000"}
        if trait not in PICTURELESS and request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)

        def paint() -> bytes:
            return pictures.render(look, quality)

        if trait:
            return served_as(trait, self._chaos.share("variant", media_id), paint, headers)
        return Response(paint(), headers=headers, media_type="image/jpeg")

    def placeholder(self, _request: Request) -> Response:
        return Response(placeholder(161, 81), media_type="image/png")

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

    def _children(self, posts: list[Post], now: float) -> list[dict[str, Any]]:
        return [
            {"kind": "t3", "data": shown(self._world, self._fates, self._chaos, post, now, self._base_url)}
            for post in posts
        ]


def _answer(children: list[dict[str, Any]], after: str | None, before: str | None, headers: dict[str, str]) -> Response:
    data = {
        "after": after,
        "dist": len(children),
        "modhash": None,
        "geo_filter": None,
        "children": children,
        "before": before,
    }
    return JSONResponse(
        {"kind": "Listing", "data": data},
        headers={**headers, "cache-control": "private, s-maxage=0, max-age=0, must-revalidate, no-store"},
    )


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"message": "Not Found", "error": 404}, 404)
