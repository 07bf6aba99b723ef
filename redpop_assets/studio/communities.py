"""The pages of communities and of stored posts: what is known of them, and what is not."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from redpop_assets.kept import Recent
from redpop_assets.pages.leaderboard import legend
from redpop_assets.refresh.community_page import (
    CommunityPage,
    ListedCommunity,
    PastHours,
    community_page,
    hours_of,
    listed,
)
from redpop_assets.refresh.going_with import Look, Things, looks_of, things_of, words_of
from redpop_assets.refresh.post_page import PostPage, post_page
from redpop_assets.storage.edition import Edition
from redpop_assets.studio import place_charts
from redpop_assets.studio.questions import read_communities, read_zone
from redpop_assets.studio.refusals import Refusal
from redpop_assets.studio.site import Site, site_of

_PLACES_KEPT = 32  # a few hundred kB each
_POSTS_KEPT = 64

Name = Annotated[str, Path(description="Community, such as pics.", max_length=200)]
PostId = Annotated[str, Path(description="Base36 id, such as 1tqmtz8.", max_length=20)]
Zone = Annotated[str, Query(description="Time zone of the hours, such as Europe/Vienna.", max_length=100)]


@dataclass(frozen=True)
class CommunityDocument:
    """All that is known of a community. Shares and percentiles from 0 to 1, times in UTC.

    Attributes:
        published_at: when what is read here was published (UTC).
        community: what it is, what is stored of it, how scores grow, who speaks for it and how that came true.
        hours: how past posts of each hour of the week did.
        words: that go with high and low scores.
        things: in pictures, likewise.
        looks: numbers that describe pictures, and how they go with the score.
    """

    published_at: datetime
    community: CommunityPage
    hours: PastHours
    words: Things
    things: Things
    looks: tuple[Look, ...]


def add_to(app: FastAPI) -> None:
    """Add the pages, and the same as JSON, to the studio."""
    answers = _Answers()
    app.include_router(_pages(answers))
    app.include_router(_documents(answers), prefix="/api/v1")


class _Answers:
    """What was asked for lately, until another edition is published."""

    def __init__(self) -> None:
        self._communities: Recent[tuple[object, str], CommunityDocument | None] = Recent(_PLACES_KEPT)
        self._hours: Recent[tuple[object, str, str], PastHours] = Recent(_PLACES_KEPT)
        self._posts: Recent[tuple[object, str], PostPage | None] = Recent(_POSTS_KEPT)

    async def listed(self, site: Site, request: Request) -> tuple[ListedCommunity, ...]:
        """All communities."""
        return await site.ask(request, lambda here: listed(here.edition))

    async def community(self, site: Site, request: Request, name: str, zone: str) -> CommunityDocument:
        """One community, its hours by the clock of a zone.

        Raises:
            Refusal: the name is none (422), or nothing is stored of it (404).
        """
        (subreddit,) = read_communities([name]) or ("",)
        where = read_zone(zone)

        def read(edition: Edition) -> CommunityDocument | None:
            found = community_page(edition, subreddit)
            if found is None:
                return None
            return CommunityDocument(
                published_at=datetime.fromtimestamp(edition.identity[1] // 1_000_000_000, UTC).replace(tzinfo=None),
                community=found,
                hours=hours_of(edition, subreddit, read_zone("UTC")),
                words=words_of(edition, subreddit),
                things=things_of(edition, subreddit),
                looks=looks_of(edition, subreddit),
            )

        found, hours = await site.ask(
            request,
            lambda here: (
                self._communities.get((here.edition.identity, subreddit), lambda: read(here.edition)),
                self._hours.get(
                    (here.edition.identity, subreddit, where.key), lambda: hours_of(here.edition, subreddit, where)
                ),
            ),
        )
        if found is None:
            raise Refusal(404, f"No post of r/{subreddit} is stored here: /communities lists those that are.")
        return CommunityDocument(found.published_at, found.community, hours, found.words, found.things, found.looks)

    async def post(self, site: Site, request: Request, post_id: str) -> PostPage:
        """One stored post.

        Raises:
            Refusal: it is not stored, or was forgotten (404).
        """
        wanted = post_id.lower()
        found = await site.ask(
            request,
            lambda here: self._posts.get((here.edition.identity, wanted), lambda: post_page(here.edition, wanted)),
        )
        if found is None:
            raise Refusal(404, "No such post is stored here.")
        return found


def _pages(answers: _Answers) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/communities")
    async def communities(request: Request) -> Response:
        """All communities, a line each."""
        site = site_of(request)
        return site.page(request, "communities.html", communities=await answers.listed(site, request))

    @router.get("/r/{name}")
    async def community(request: Request, name: str, zone: str = "") -> Response:
        """One community."""
        site = site_of(request)
        found = await answers.community(site, request, name, zone)
        return site.page(
            request,
            "community.html",
            found=found,
            page=found.community,
            hours=found.hours,
            is_zone_asked=bool(zone),
            charts=place_charts,
            legend=legend("★"),
        )

    @router.get("/r/{name}/hours")
    async def hours(request: Request, name: str, zone: str = "") -> Response:
        """Its hours alone, by another clock."""
        site = site_of(request)
        found = await answers.community(site, request, name, zone)
        return site.page(request, "_community_hours.html", hours=found.hours, charts=place_charts)

    @router.get("/post/{post_id}")
    async def post(request: Request, post_id: str) -> Response:
        """One stored post."""
        site = site_of(request)
        return site.page(request, "post.html", page=await answers.post(site, request, post_id), charts=place_charts)

    return router


def _documents(answers: _Answers) -> APIRouter:
    router = APIRouter()

    @router.get("/communities/{name}", summary="All that is known of a community")
    async def community(request: Request, name: Name, zone: Zone = "UTC") -> CommunityDocument:
        """What it is and asks, when its posts did well, what goes with scores, who speaks for it, what is missing."""
        return await answers.community(site_of(request), request, name, zone)

    @router.get("/posts/{post_id}", summary="A stored post")
    async def post(request: Request, post_id: PostId) -> PostPage:
        """How it grew, what was expected of it and what came of that, and which posts are most like it."""
        return await answers.post(site_of(request), request, post_id)

    return router
