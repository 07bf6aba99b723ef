"""The page of a draft: what is expected of it, and why, when and where."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from redpop_assets.errors import NothingPublished, RedPopError
from redpop_assets.refresh.answers import Answered, Community
from redpop_assets.studio.charts import week
from redpop_assets.studio.questions import Asked, ask
from redpop_assets.studio.refusals import Refusal, refusal_of
from redpop_assets.studio.site import Here, Site, site_of

router = APIRouter(include_in_schema=False)

SECTIONS = {"why": "Why", "when": "When", "where": "Where", "may": "May I"}


@router.get("/")
async def page(request: Request) -> Response:
    """An empty draft, or what has to be done before one can be asked about."""
    return await _page(request, site_of(request), FormData(), None)


@router.post("/")
async def page_with_answer(request: Request) -> Response:
    """The draft with its answer, for browsers without scripts."""
    form = await request.form()
    return await _page(request, site_of(request), form, await _answer(request, form))


@router.post("/draft/answer")
async def answer(request: Request) -> Response:
    """The answer alone, as one types."""
    return await _answer(request, await request.form())


@router.post("/draft/closer")
async def closer(request: Request) -> Response:
    """One of the sections that look closer at a draft, in one of its communities."""
    site, form = site_of(request), await request.form()
    asked = _asked(site, request, form)
    about = str(form.get("about", ""))
    where = about if about in asked.communities else asked.communities[0]
    section = str(form.get("section", "why"))
    make = _SECTIONS.get(section)
    if make is None:
        raise Refusal(404, "There is no such section.")
    found = await site.ask(request, lambda here: make(here, where, asked))
    return site.page(request, f"_{section}.html", asked=asked, where=where, **found)


async def _page(request: Request, site: Site, form: FormData, answered: Response | None) -> Response:
    communities: tuple[Community, ...] = ()
    trouble: Refusal | None = None
    try:
        communities = await site.ask(request, lambda here: here.desk.communities())
    except RedPopError as error:
        trouble = refusal_of(error)
    status = 200 if trouble is None else trouble.status
    return site.page(
        request,
        "draft.html",
        status=status,
        communities=communities,
        chosen=_chosen(form, communities),
        trouble=trouble,
        sections=SECTIONS,
        form=form,
        answered=None if answered is None else bytes(answered.body).decode(),
        max_bytes=site.pictures.max_bytes,
    )


async def _answer(request: Request, form: FormData) -> Response:
    site = site_of(request)
    if not str(form.get("titles", "")).strip():
        return site.page(request, "_no_title.html")
    asked = _asked(site, request, form)
    found: list[tuple[str, Answered | None, Refusal | None]] = []
    for where in asked.communities:
        try:
            answered = await site.ask(request, _answered_in(where, asked))
            found.append((where, answered, None))
        except NothingPublished:
            raise
        except RedPopError as error:
            refusal = refusal_of(error)
            if refusal.status in (499, 429) or len(asked.communities) == 1:
                raise
            found.append((where, None, refusal))
    response = site.page(request, "_answer.html", asked=asked, found=found)
    response.headers["hx-trigger"] = "answered"
    return response


def _answered_in(where: str, asked: Asked) -> Callable[[Here], Answered]:
    return lambda here: here.desk.answer(where, asked.question)


def _asked(site: Site, request: Request, form: FormData) -> Asked:
    identity = str(form.get("picture", ""))
    return ask(
        [str(name) for name in form.getlist("community")],
        str(form.get("titles", "")),
        site.pictures.of(request.state.session, identity) if identity else None,
        str(form.get("at", "")),
        str(form.get("zone", "")),
        str(form.get("author", "")),
        site.digest,
    )


def _chosen(form: FormData, communities: tuple[Community, ...]) -> list[str]:
    """Communities that are ticked: those that were sent, else the first that somebody speaks for."""
    sent = [str(name) for name in form.getlist("community")]
    return sent or [one.subreddit for one in communities if one.speaker is not None][:1]


def _why(here: Here, where: str, asked: Asked) -> dict[str, Any]:
    return {"reasons": here.desk.reasons(where, asked.question)}


def _when(here: Here, where: str, asked: Asked) -> dict[str, Any]:
    hours = here.desk.hours(where, asked.question, asked.zone)
    return {"hours": hours, "charts": week(hours)}


def _where(here: Here, _where: str, asked: Asked) -> dict[str, Any]:
    return {"places": here.desk.places(asked.question)}


def _may(here: Here, where: str, asked: Asked) -> dict[str, Any]:
    return {"may": here.desk.may(where, asked.question)}


_SECTIONS: dict[str, Callable[[Here, str, Asked], dict[str, Any]]] = {
    "why": _why,
    "when": _when,
    "where": _where,
    "may": _may,
}
