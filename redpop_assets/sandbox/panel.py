"""The control panel of the local Reddit, under /sandbox: time, chaos, deletions, and the truth."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from redpop_assets.errors import SettingsError
from redpop_assets.sandbox import popularity
from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.fates import REASONS, Fates
from redpop_assets.sandbox.foresight import foreseen
from redpop_assets.sandbox.listings import LISTINGS, LONGEST, WINDOWS, Listings
from redpop_assets.sandbox.odd_posts import original
from redpop_assets.sandbox.world import Post, Reading, World


class Panel:
    """What people and tests may do to the sandbox, and ask it."""

    def __init__(self, world: World, clock: Clock, chaos: Chaos, fates: Fates, listings: Listings) -> None:
        self._world, self._clock, self._chaos, self._fates, self._listings = world, clock, chaos, fates, listings

    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/sandbox/clock", self.show_clock, methods=["GET"]),
            Route("/sandbox/clock", self.advance_clock, methods=["POST"]),
            Route("/sandbox/chaos", self.show_chaos, methods=["GET"]),
            Route("/sandbox/chaos", self.switch_chaos, methods=["POST"]),
            Route("/sandbox/delete", self.delete, methods=["POST"]),
            Route("/sandbox/truth", self.truth),
            Route("/sandbox/foreseen", self.foreseen, methods=["POST"]),
            Route("/sandbox/readings", self.readings),
            Route("/sandbox/listed", self.listed),
        ]

    def show_clock(self, _request: Request) -> Response:
        """The world's time, its epoch and its speed."""
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
        """Let time pass: {"advance_seconds": 3600}."""
        try:
            self._clock.advance(float(json.loads(await request.body())["advance_seconds"]))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            return JSONResponse({"error": f'send {{"advance_seconds": a number from 0 upwards}} ({error})'}, 400)
        return self.show_clock(request)

    def show_chaos(self, _request: Request) -> Response:
        """Every situation: what it is, whether it is on, its rate, and how often it was thrown."""
        return JSONResponse(self._chaos.report())

    async def switch_chaos(self, request: Request) -> Response:
        """Switch situations: {"on": ["rate-limits"], "off": ["all"], "rates": {"rate-limits": 0.5}}."""
        try:
            body = json.loads(await request.body())
            if not isinstance(body, dict) or set(body) - {"on", "off", "rates"}:
                raise SettingsError('send {"on": [names], "off": [names], "rates": {name: share}}')
            on, off, rates = body.get("on", []), body.get("off", []), body.get("rates", {})
            if not (isinstance(on, list) and isinstance(off, list) and isinstance(rates, dict)):
                raise SettingsError("on and off are lists of names, rates is an object")
            self._chaos.switch(on=map(str, on), off=map(str, off), rates=rates)
        except (ValueError, SettingsError) as error:
            return JSONResponse({"error": str(error)}, 400)
        self._listings.forget()
        return self.show_chaos(request)

    async def delete(self, request: Request) -> Response:
        """Delete a post, {"post_id": "1abc", "reason": "deleted"}, or close an account, {"author": "QuietOtter12"}."""
        now = self._now()
        try:
            body = json.loads(await request.body())
            if not isinstance(body, dict) or len({"post_id", "author"} & set(body)) != 1:
                raise ValueError('send {"post_id": id, "reason": reason} or {"author": name}')
            reason = body.get("reason", "deleted")
            if reason not in REASONS:
                raise ValueError(f"{reason!r} is no reason; choose from {', '.join(REASONS)}")
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        if "author" in body:
            posts = self._fates.close_account(str(body["author"]), now)
        else:
            post = self._fates.delete(str(body["post_id"]).removeprefix("t3_"), now, reason)
            posts = [post] if post else []
        if not posts:
            return JSONResponse({"error": f"there is no such post or account: {body}"}, 404)
        return JSONResponse({"posts": [post.id for post in posts], "at": datetime.fromtimestamp(now, UTC).isoformat()})

    def truth(self, request: Request) -> Response:
        """JSON lines: first the process, then every post so far with its terms (`?subreddit=` chooses a community)."""
        wanted = request.query_params.get("subreddit")
        names = [self._world.subreddit(wanted)] if wanted else list(self._world.subreddits)
        now = self._now()

        def lines() -> Iterator[str]:
            process = {"process": popularity.__doc__, "shares": dict(popularity.SHARES), "spread": popularity.SPREAD}
            yield json.dumps(process) + "\n"
            for name in names:
                for post in self._fates.posts(name, now) if name else ():
                    yield json.dumps({**_truth(post), **self._now_of(post, now)}) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def foreseen(self, request: Request) -> Response:
        """What the best forecaster expects of posts read at some moments: {"1abc": [Unix seconds]} -> {"1abc": 4.2}."""
        now = self._now()
        try:
            asked = json.loads(await request.body())
            moments = {str(name): [min(float(one), now) for one in read] for name, read in asked.items()}
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"error": f'send {{"post id": [Unix seconds of its readings]}} ({error})'}, 400)
        found = {name: self._fates.find(name, now) for name in moments}
        if unknown := [name for name, post in found.items() if post is None]:
            return JSONResponse({"error": f"there is no post {', '.join(unknown)}"}, 404)
        return JSONResponse(
            {name: foreseen(self._world, post, moments[name]) for name, post in found.items() if post is not None}
        )

    def readings(self, request: Request) -> Response:
        """JSON lines: what somebody kept who read every post at some ages (`?subreddit=pics&hours=1,3,6`)."""
        query = request.query_params
        subreddit, now = self._world.subreddit(query.get("subreddit", "")), self._now()
        try:
            ages = sorted({int(3600 * float(age)) for age in query.get("hours", "").split(",")})
        except (ValueError, OverflowError) as error:
            return JSONResponse({"error": f"hours are numbers with commas between them ({error})"}, 400)
        if subreddit is None:
            return JSONResponse({"error": "no such subreddit"}, 404)

        def lines() -> Iterator[str]:
            for post in self._fates.posts(subreddit, now):
                for moment in (post.created + age for age in ages if post.created + age <= now):
                    if not self._fates.of(post, moment).missing:
                        yield json.dumps(_reading(post, self._fates.read(post, moment), moment)) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    def listed(self, request: Request) -> Response:
        """Ids that a listing shows now, to its end and undisturbed: `?subreddit=pics&listing=top&t=week`."""
        query = request.query_params
        subreddit, listing = self._world.subreddit(query.get("subreddit", "")), query.get("listing", "new")
        window = query.get("t", "day")
        if subreddit is None or listing not in LISTINGS or window not in WINDOWS:
            return JSONResponse({"error": "no such subreddit, listing or time filter"}, 404)
        page = self._listings.page(subreddit, listing, self._now(), window=window, limit=LONGEST)
        return JSONResponse([post.id for post in page.posts])

    def _now(self) -> float:
        return float(int(self._clock.seconds()))

    def _now_of(self, post: Post, now: float) -> dict[str, Any]:
        """What has become of a post and of its pictures."""
        fate = self._fates.of(post, now)
        media = {}
        for item in range(len(post.looks) if post.kind in ("image", "gallery") else 0):
            media_id = self._world.media_id(post, item)
            if item != post.failed_item:
                gone = fate.taken or self._world.media(media_id, now) is None
                media[media_id] = "gone" if gone else self._chaos.trait("pictures", media_id)
        return {
            "created_utc": post.created,
            "author_name": post.author,
            "author_gone": fate.author_gone,
            "removed_by_category": fate.removed,
            "missing": fate.missing,
            "crosspost_of": parent.id if (parent := original(self._world, self._chaos, post)) else None,
            "media": media,
        }


def _reading(post: Post, reading: Reading, moment: float) -> dict[str, Any]:
    return {
        "id": post.id,
        "subreddit": post.subreddit,
        "observed_at": moment,
        "score": reading.score,
        "hide_score": reading.hidden,
        "upvote_ratio": reading.upvote_ratio,
        "num_comments": reading.num_comments,
        "num_crossposts": reading.num_crossposts,
        "removed_by_category": reading.removed,
    }


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
