"""Options that several commands have, and what people write in them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from redpop_assets.errors import SettingsError
from redpop_assets.spellings import parse_community

if TYPE_CHECKING:
    from redpop_assets.settings import Settings

Subreddits = Annotated[
    list[str] | None,
    typer.Option("--subreddit", "-r", help="Only this community; may be repeated. Default: all of them."),
]
Port = Annotated[int, typer.Option(help="Port of the sandbox.", min=1, max=65535)]
SANDBOX_PORT = 8765


def chosen(settings: "Settings", names: Sequence[str] | None) -> tuple[str, ...]:
    """The partitions that people mean; all of them if they name none.

    Raises:
        SettingsError: a text names no community, or one that is not configured.
    """
    if not names:
        return settings.partitions
    wanted = tuple(dict.fromkeys(parse_community(name).lower() for name in names))
    if unknown := [name for name in wanted if name not in settings.partitions]:
        configured = ",".join([*settings.subreddits, *unknown])
        raise SettingsError(f"r/{unknown[0]} is not configured. Add it: REDPOP_SUBREDDITS={configured}")
    return wanted


def moment(text: str) -> datetime:
    """A point in time as people write it, in UTC unless it says otherwise.

    Raises:
        SettingsError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no time; write it like 2026-12-24 or 2026-12-24T18:00 (UTC).") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
