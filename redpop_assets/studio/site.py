"""What all pages of the studio share: the newest edition, its desk, threads, pictures and templates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse

from redpop_assets.kept import Recent
from redpop_assets.refresh.desk import Desk
from redpop_assets.settings import Settings
from redpop_assets.storage.images import ImageStore
from redpop_assets.studio.editions import Editions, Opened
from redpop_assets.studio.guard import Door
from redpop_assets.studio.pictures import Pictures
from redpop_assets.studio.pool import Workers
from redpop_assets.studio.rendering import Templates

T = TypeVar("T")

Here = Opened[Desk]
"""The newest edition and its desk, lent for an answer."""


@dataclass(frozen=True, eq=False)
class Site:
    """One running studio.

    Attributes:
        settings: of the deployment.
        editions: what is published, and who answers from it.
        workers: threads that answer.
        pictures: of visitors.
        images: of stored posts.
        thumbnails: those of them that were asked for latest, by content.
        templates: of pages.
        door: who may come in.
        digest: keyed hash of the name of an author.
    """

    settings: Settings
    editions: Editions[Desk]
    workers: Workers
    pictures: Pictures
    images: ImageStore
    thumbnails: Recent[str, bytes]
    templates: Templates
    door: Door
    digest: Callable[[str], str]

    async def ask(self, request: Request, call: Callable[[Here], T]) -> T:
        """What `call` makes of the newest edition and its desk, in a thread; it stays open until `call` returns.

        Raises:
            Refusal: too many wait (503).
            RedPopError: as `call` does, or nothing is published that can be read.
        """

        def answer() -> T:
            with self.editions.current() as opened:
                return call(opened)

        return await self.workers.run(answer, request.is_disconnected)

    def page(self, request: Request, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """A page, or a part of one."""
        return self.templates.page(request, template, context, status=status)


def site_of(request: Request) -> Site:
    """The studio that a request came to."""
    site: Site = request.app.state.site
    return site
