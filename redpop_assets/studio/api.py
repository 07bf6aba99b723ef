"""The JSON API: the same questions, the same answers, and the same words as the pages and `redpop predict --json`."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from redpop_assets.pages.drafts import (
    AnswerDocument,
    CommunityDocument,
    HoursDocument,
    MayIDocument,
    PlaceDocument,
    ReasonsDocument,
    answer_document,
    community_document,
    hours_document,
    may_document,
    place_document,
    reasons_document,
)
from redpop_assets.studio.questions import MOST_TITLES, Asked, ask
from redpop_assets.studio.site import Site, site_of

router = APIRouter()


class Draft(BaseModel):
    """A post that is not made yet."""

    model_config = ConfigDict(extra="forbid")

    titles: Annotated[list[str], Field(description="Those to choose from.", min_length=1, max_length=MOST_TITLES)]
    picture: Annotated[str | None, Field(description="Id that POST /api/v1/pictures gave; none for a title alone.")] = (
        None
    )
    posted_at: Annotated[datetime | None, Field(description="When it would be made (UTC unless it says). Now.")] = None
    author: Annotated[str, Field(description="Who would post it; kept nowhere.", max_length=200)] = ""


class DraftIn(Draft):
    """A post that is not made yet, and where it would be made."""

    subreddit: Annotated[str, Field(description="Community, such as pics.", max_length=200)]


class DraftInWeek(DraftIn):
    """A post that may be made at any hour of the coming week."""

    zone: Annotated[str, Field(description="Time zone of the hours, such as Europe/Vienna.", max_length=100)] = "UTC"


class PictureDocument(TypedDict):
    """A picture that is kept for half an hour after its last use, for this session's cookie alone."""

    picture: str
    width: int
    height: int


@router.get("/communities", summary="Communities, and who speaks for each")
async def communities(request: Request) -> list[CommunityDocument]:
    """Every community of the warehouse."""
    found = await site_of(request).ask(request, lambda here: here.desk.communities())
    return list(map(community_document, found))


@router.post(
    "/pictures",
    summary="Bring a picture",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/jpeg", "image/png", "image/webp", "image/gif")
            },
        }
    },
)
async def bring_picture(request: Request) -> PictureDocument:
    """The body is the file itself. It is kept in memory alone, and only the session that brought it can ask about it.

    A program keeps the cookie of the answer: `curl --cookie-jar studio --data-binary @photo.jpg …`.
    """
    identity, picture = await site_of(request).pictures.keep(request.state.session, request.stream())
    return {"picture": identity, "width": picture.image.width, "height": picture.image.height}


@router.delete("/pictures/{picture}", summary="Forget a picture", status_code=204)
async def forget_picture(request: Request, picture: str) -> Response:
    """Let go of a picture at once."""
    site_of(request).pictures.forget(request.state.session, picture)
    return Response(status_code=204)


@router.post("/answers", summary="What is expected of a draft")
async def answers(request: Request, draft: DraftIn) -> AnswerDocument:
    """The titles, the best first, by the community's champion: the numbers of `redpop predict --json`."""
    site = site_of(request)
    asked = _asked(site, request, draft, draft.subreddit)
    where = asked.communities[0]
    return answer_document(await site.ask(request, lambda here: here.desk.answer(where, asked.question)))


@router.post("/reasons", summary="Why it is expected")
async def reasons(request: Request, draft: DraftIn) -> ReasonsDocument:
    """What each side of the draft adds, with its first title, and which past posts are most like it."""
    site = site_of(request)
    asked = _asked(site, request, draft, draft.subreddit)
    where = asked.communities[0]
    return reasons_document(await site.ask(request, lambda here: here.desk.reasons(where, asked.question)), where)


@router.post("/hours", summary="When to post it")
async def hours(request: Request, draft: DraftInWeek) -> HoursDocument:
    """Each hour of the coming seven days, and the best five of them."""
    site = site_of(request)
    asked = _asked(site, request, draft, draft.subreddit, draft.zone)
    where = asked.communities[0]
    found = await site.ask(request, lambda here: here.desk.hours(where, asked.question, asked.zone))
    return hours_document(found, where)


@router.post("/may", summary="Whether it may be posted")
async def may(request: Request, draft: DraftIn) -> MayIDocument:
    """The community's rules against the first title, and how likely the post is to be taken down."""
    site = site_of(request)
    asked = _asked(site, request, draft, draft.subreddit)
    where = asked.communities[0]
    return may_document(await site.ask(request, lambda here: here.desk.may(where, asked.question)))


@router.post("/places", summary="Where to post it")
async def places(request: Request, draft: Draft) -> list[PlaceDocument]:
    """All communities, the one first in which the draft is expected to stand highest."""
    site = site_of(request)
    asked = _asked(site, request, draft, "pics")
    return list(map(place_document, await site.ask(request, lambda here: here.desk.places(asked.question))))


def _asked(site: Site, request: Request, draft: Draft, subreddit: str, zone: str = "UTC") -> Asked:
    picture = site.pictures.of(request.state.session, draft.picture) if draft.picture else None
    at = "" if draft.posted_at is None else _in_utc(draft.posted_at).isoformat()
    return ask([subreddit], draft.titles, picture, at, zone, draft.author, site.digest)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
