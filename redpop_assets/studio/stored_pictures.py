"""Pictures of stored posts, as long as the post stands in the edition: smaller, and made anew from their pixels."""

import io
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redpop_assets.errors import ArtifactError
from redpop_assets.images.decode import ImageRejected, open_rgb
from redpop_assets.studio.refusals import Refusal
from redpop_assets.studio.site import Here, Site, site_of

router = APIRouter(include_in_schema=False)

LONGEST_EDGE: Final = 640
"""Of a picture that is served (pixels)."""

_STORED = """
SELECT i.image_sha256, i.path
FROM core.posts AS p
JOIN core.primary_images AS f USING (post_id)
JOIN core.images AS i ON i.image_sha256 = f.image_sha256
WHERE p.post_id = $post_id AND p.removed_by_category IS NULL
"""


@router.get("/posts/{post_id}/picture")
async def picture(request: Request, post_id: str) -> Response:
    """The picture of a stored post."""
    site = site_of(request)
    data = await site.ask(request, lambda here: _picture(site, here, post_id))
    return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=300"})


def _picture(site: Site, here: Here, post_id: str) -> bytes:
    found = here.edition.query(_STORED, {"post_id": post_id[:20]}).to_pylist()
    if not found:
        raise Refusal(404, "There is no picture of such a post.")
    digest, path = found[0]["image_sha256"], found[0]["path"]
    try:
        return site.thumbnails.get(digest, lambda: _smaller(site.images.read(path)))
    except (ArtifactError, ImageRejected) as error:
        raise Refusal(404, "The picture of this post is not stored any more.") from error


def _smaller(data: bytes) -> bytes:
    image = open_rgb(data, draft_edge=LONGEST_EDGE)
    image.thumbnail((LONGEST_EDGE, LONGEST_EDGE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
