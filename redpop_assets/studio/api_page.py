"""The page that describes the API: what FastAPI says of it, in our own words and without a script from elsewhere."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redpop_assets.studio.site import site_of

router = APIRouter(include_in_schema=False)


@router.get("/api")
async def api_page(request: Request) -> Response:
    """Every operation of the API, and every form of its answers."""
    document: dict[str, Any] = request.app.openapi()
    operations = [
        {"path": path, "method": method.upper(), **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return site_of(request).page(
        request, "api.html", operations=operations, schemas=document.get("components", {}).get("schemas", {})
    )
