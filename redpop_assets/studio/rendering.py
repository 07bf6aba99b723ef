"""Pages from templates: every text is escaped, and what is missing is an error."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from redpop_assets.pages import drafts
from redpop_assets.pages.leaderboard import borrowed_from
from redpop_assets.shown import visible
from redpop_assets.studio import scales

NAVIGATION = (("Draft", "/"), ("Communities", "/communities"), ("API", "/api"))
"""Pages that every page leads to: name and path."""

HERE = Path(__file__).parent


class Templates:
    """The templates of the studio. Texts of strangers are shown as they are, and act on nothing."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "visible": visible,
            "commands": _commands,
            "points": drafts.points,
            "standing": drafts.standing,
            "age": drafts.age,
            "ratio": drafts.ratio,
            "borrowed": borrowed_from,
            "abs": abs,
            "percent": lambda share: f"{100 * share:.0f}",
            "count": lambda number: f"{number:,}",
        }
        self._environment.globals |= {"scales": scales, "drafts": drafts, "navigation": NAVIGATION}

    def page(self, request: Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
        """A page, or a part of one."""
        text = self._environment.get_template(template).render(request=request, **context)
        return HTMLResponse(text, status)


def _commands(sentence: object) -> Markup:
    """One of our own sentences, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))
