"""`redpop follow`: where a stored post stands among posts of its age, and where it will end."""

from typing import Annotated

import typer

from redpop_assets.cli.console import console, quoted
from redpop_assets.cli.programs import compute_as_told
from redpop_assets.errors import RedPopError, SettingsError


def follow(
    post: Annotated[str, typer.Argument(metavar="URL|ID", help="The post: its address, or its id such as 1tqmtz8.")],
    to_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """A post's curve so far, where it stands among posts of its age, and where it will end.

    It is read from what is published, and nothing is fetched: the newest reading is that of the last refresh.
    """
    from redpop_assets.pages import following as page
    from redpop_assets.refresh.early_forecasts import EarlyOracle
    from redpop_assets.refresh.following import following, why_unknown
    from redpop_assets.resources import open_models
    from redpop_assets.settings import load_settings
    from redpop_assets.storage.edition import Edition

    settings = load_settings()
    compute_as_told(settings)
    post_id = _post_id(post)
    edition = Edition(settings.home)
    try:
        found = following(edition, EarlyOracle(edition, open_models(settings)).of, post_id)
        if found is None:
            raise RedPopError(why_unknown(edition, post_id))
    finally:
        edition.close()
    if to_json:
        typer.echo(page.as_json(found))
        return
    lines = [
        f"[bold]r/{quoted(found.subreddit)}: {quoted(found.title)}[/]",
        "",
        *map(quoted, page.chart(found).splitlines()),
        "",
        f"  Stands     {quoted(page.standing_said(found))}",
        f"  {'Ended' if found.label else 'Ends':<10} {quoted(page.end_said(found))}",
    ]
    if found.removed_by is not None:
        lines.append(f"  Removed    by {quoted(found.removed_by)}")
    lines += [
        f"  {'Said' if not number else '':<10} {quoted(line)}" for number, line in enumerate(page.said_lines(found))
    ]
    console().print("\n".join(lines), soft_wrap=True, highlight=False)


def _post_id(text: str) -> str:
    """The id in what somebody copied: an id, or an address of a post.

    Raises:
        SettingsError: it is none.
    """
    from redpop_assets.sources.typed import comment_page
    from redpop_assets.sources.values import parse_post_id

    wanted = text.strip()
    page = comment_page(wanted)
    if page is not None:
        return page.post_id
    address = wanted.lower().removeprefix("https://").removeprefix("http://").removeprefix("www.")
    for begin in ("redd.it/", "reddit.com/gallery/", "reddit.com/"):
        if address.startswith(begin):
            address = address.removeprefix(begin).partition("?")[0].rstrip("/")
            break
    found = parse_post_id(address)
    if found is None:
        raise SettingsError(
            f"{text!r} is no post: write its id, such as 1tqmtz8, or its address, such as "
            "https://www.reddit.com/r/pics/comments/1tqmtz8/."
        )
    return found
