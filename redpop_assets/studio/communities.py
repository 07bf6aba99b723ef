"""The pages of communities and of stored posts: what is known of them, and what is not."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from redpop_assets.kept import Recent
from redpop_assets.pages import following as follow_page
from redpop_assets.pages.leaderboard import legend
from redpop_assets.refresh.community_page import (
    CommunityPage,
    ListedCommunity,
    PastHours,
    community_page,
    hours_of,
    listed,
)
from redpop_assets.refresh.following import Following, following
from redpop_assets.refresh.going_with import Look, Things, looks_of, things_of, words_of
from redpop_assets.refresh.post_page import PostPage, post_page
from redpop_assets.storage.edition import Edition
from redpop_assets.studio import place_charts
from redpop_assets.studio.questions import read_communities, read_zone
from redpop_assets.studio.refusals import Refusal
from redpop_assets.studio.site import Here, Site, site_of

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


class _Lately:
    """What was asked for lately of one edition.

    Args:
        edition: what is read.
    """

    def __init__(self, edition: Edition) -> None:
        self.identity = edition.identity
        self.communities: Recent[str, CommunityDocument | None] = Recent(_PLACES_KEPT)
        self.hours: Recent[tuple[str, str], PastHours] = Recent(_PLACES_KEPT)
        self.posts: Recent[str, PostPage | None] = Recent(_POSTS_KEPT)
        self.followed: Recent[str, Following | None] = Recent(_POSTS_KEPT)


class _Answers:
    """What is said, kept until another edition is read: then nothing stays of what may have been forgotten."""

    def __init__(self) -> None:
        self._lately: _Lately | None = None

    def _of(self, edition: Edition) -> _Lately:
        lately = self._lately
        if lately is None or lately.identity != edition.identity:
            self._lately = lately = _Lately(edition)
        return lately

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

        def hours(edition: Edition) -> PastHours:
            return self._of(edition).hours.get((subreddit, where.key), lambda: hours_of(edition, subreddit, where))

        def read(edition: Edition) -> CommunityDocument | None:
            found = community_page(edition, subreddit)
            if found is None:
                return None
            return CommunityDocument(
                published_at=datetime.fromtimestamp(edition.identity[1] // 1_000_000_000, UTC).replace(tzinfo=None),
                community=found,
                hours=hours(edition),
                words=words_of(edition, subreddit),
                things=things_of(edition, subreddit),
                looks=looks_of(edition, subreddit),
            )

        def kept(here: Here) -> CommunityDocument | None:
            found = self._of(here.edition).communities.get(subreddit, lambda: read(here.edition))
            return None if found is None else replace(found, hours=hours(here.edition))

        found = await site.ask(request, kept)
        if found is None:
            raise Refusal(404, f"No post of r/{subreddit} is stored here: /communities lists those that are.")
        return found

    async def post(self, site: Site, request: Request, post_id: str) -> PostPage:
        """One stored post.

        Raises:
            Refusal: it is not stored, or was forgotten (404).
        """
        wanted = post_id.lower()
        found = await site.ask(
            request,
            lambda here: self._of(here.edition).posts.get(wanted, lambda: post_page(here.edition, wanted)),
        )
        if found is None:
            raise Refusal(404, "No such post is stored here.")
        return found

    async def followed(self, site: Site, request: Request, post_id: str) -> tuple[Following, str]:
        """One stored post, and what tells the edition that it is read from from the next one.

        Raises:
            Refusal: it is not stored, or was forgotten (404).
        """
        wanted = post_id.lower()

        def read(here: Here) -> tuple[Following | None, str]:
            lately = self._of(here.edition)
            found = lately.followed.get(wanted, lambda: following(here.edition, here.desk.ahead, wanted))
            return found, "-".join(f"{part:x}" for part in here.edition.identity)

        found, edition = await site.ask(request, read)
        if found is None:
            raise Refusal(404, "No such post is stored here.")
        return found, edition


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
        page = await answers.post(site, request, post_id)
        followed, edition = await answers.followed(site, request, post_id)
        return site.page(
            request,
            "post.html",
            page=page,
            charts=place_charts,
            followed=followed,
            edition=edition,
            following=follow_page,
        )

    @router.get("/post/{post_id}/following")
    async def newly(request: Request, post_id: str, seen: str = "") -> Response:
        """Where the post stands and where it goes, if that was published since the edition that was seen."""
        site = site_of(request)
        followed, edition = await answers.followed(site, request, post_id)
        if seen == edition:
            return Response(status_code=204)
        return site.page(
            request, "_following.html", charts=place_charts, followed=followed, edition=edition, following=follow_page
        )

    return router


def _documents(answers: _Answers) -> APIRouter:
    router = APIRouter()

    @router.get("/communities/{name}", summary="All that is known of a community")
    async def community(request: Request, name: Name, zone: Zone = "UTC") -> CommunityDocument:
        """What it is and asks, when its posts did well, what goes with scores, who speaks for it, what is missing."""
        return await answers.community(site_of(request), request, name, zone)

    @router.get("/posts/{post_id}/following", summary="Where a stored post stands, and where it will end")
    async def follow(request: Request, post_id: PostId) -> Following:
        """Its curve so far, where it stands among posts of its age, and what is expected: `redpop follow --json`."""
        return (await answers.followed(site_of(request), request, post_id))[0]

    @router.get("/posts/{post_id}", summary="A stored post")
    async def post(request: Request, post_id: PostId) -> PostPage:
        """How it grew, what was expected of it and what came of that, and which posts are most like it."""
        return await answers.post(site_of(request), request, post_id)

    return router
