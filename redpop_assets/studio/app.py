"""The studio as a web application: which pages there are, and what stands in front of them. A table of contents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from redpop_assets.studio import api, api_page, communities, draft, entrance, stored_pictures
from redpop_assets.studio.guard import ENTRANCE, OWN_NAMES, Guard, Pace
from redpop_assets.studio.refusals import Refusal, refusal_of
from redpop_assets.studio.rendering import HERE
from redpop_assets.studio.site import Site, site_of

_DESCRIPTION = (
    "What is expected of an image post that is not made yet: the same numbers as `redpop predict --json`. "
    "Scores are in points, differences in log scores (log of 1 + points), shares from 0 to 1, times in ISO 8601."
)


def create_app(site: Site) -> FastAPI:
    """The application of one studio. It closes the site when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        site.pictures.close()
        site.workers.close()
        site.editions.close()

    app = FastAPI(
        title="RedPop studio",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.site = site
    app.include_router(draft.router)
    communities.add_to(app)
    app.include_router(entrance.router)
    app.include_router(stored_pictures.router)
    app.include_router(api_page.router)
    app.include_router(api.router, prefix="/api/v1")
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(RequestValidationError, _not_read)
    settings = site.settings
    app.add_middleware(
        Guard,
        names=(*OWN_NAMES, settings.studio_host.lower(), *settings.studio_names),
        door=site.door,
        pace=Pace(settings.studio_requests_per_minute),
        respond=_refuse,
    )
    return app


def _refuse(request: Request, error: Exception) -> Response:
    """A refusal as who asked can read it: JSON for programs, a part of a page for a part, a page for people."""
    refusal = refusal_of(error)
    request.scope.setdefault("app", None)
    headers = {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}
    if request.url.path.startswith("/api/v1/"):
        challenge = {"www-authenticate": "Bearer"} if refusal.status == 401 else {}
        return JSONResponse({"error": str(refusal)}, refusal.status, headers | challenge)
    if refusal.status == 401 and request.method == "GET" and "hx-request" not in request.headers:
        return Response(status_code=303, headers={"location": ENTRANCE})
    template = "_problem.html" if "hx-request" in request.headers else "problem.html"
    page = site_of(request).page(request, template, status=refusal.status, refusal=refusal)
    page.headers.update(headers)
    return page


async def _not_served(request: Request, error: Exception) -> Response:
    """What Starlette and FastAPI refuse by themselves, or because reading the body was refused."""
    if isinstance(error.__cause__, Refusal):
        return _refuse(request, error.__cause__)
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = {
        404: "There is no such page in the studio.",
        405: "The studio does not take this method here.",
    }.get(status, "The studio cannot read this request.")
    return _refuse(request, Refusal(status, sentence))


async def _not_read(request: Request, error: Exception) -> Response:
    """A body that is not of the form that the API describes; what was sent is not repeated."""
    problems = error.errors() if isinstance(error, RequestValidationError) else ()
    places = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
    return _refuse(request, Refusal(422, f"This is no question that the studio can read: {places or 'see /api'}."))
