"""Where visitors show the token, if the studio asks for one."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from redpop_assets.studio.guard import ENTRANCE, session_cookie
from redpop_assets.studio.site import site_of

router = APIRouter(include_in_schema=False)


@router.get(ENTRANCE)
async def entrance(request: Request) -> Response:
    """The page that asks for the token."""
    site = site_of(request)
    if site.door.is_open:
        return RedirectResponse("/", 303)
    return site.page(request, "entrance.html", is_wrong=False)


@router.post(ENTRANCE)
async def enter(request: Request) -> Response:
    """Let in who shows the token, under a new session."""
    site = site_of(request)
    form = await request.form()
    if site.door.is_open or not site.door.fits(str(form.get("token", ""))):
        return site.page(request, "entrance.html", status=401, is_wrong=True)
    response = RedirectResponse("/", 303)
    response.headers["set-cookie"] = session_cookie(site.door.let_in(), secure=request.url.scheme == "https")
    return response
