"""`redpop forget` and `redpop new-author-key`: what people may ask of those who keep their posts."""

from typing import Annotated

import typer

from redpop_assets.cli.console import say
from redpop_assets.errors import SettingsError


def forget(
    post: Annotated[list[str] | None, typer.Argument(help="Ids or addresses of posts.")] = None,
    author: Annotated[str, typer.Option(help="Name of an account: all its posts that are stored.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Erase posts from every table and file, for ever; only tombstones stay, so that nothing stores them again."""
    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.settings import load_settings
    from redpop_assets.storage import forgetting
    from redpop_assets.storage.images import ImageStore

    settings = load_settings()
    warehouse = open_warehouse(settings)
    if not post and not author:
        raise SettingsError("Name what to forget: ids or addresses of posts, or --author NAME.")
    warehouse.scalar("SELECT count(*) FROM raw.tombstones")  # nothing is made where there is no warehouse
    reasons = {forgetting.parse_post(text): "by_request" for text in post or ()}
    if author:
        digest = AuthorKey.load_or_create(settings.home / "author.key").digest(author.removeprefix("u/"))
        found = forgetting.posts_of(warehouse, digest)
        say(f"u/{author.removeprefix('u/')}: {len(found)} posts, crossposts of theirs included.")
        reasons |= dict.fromkeys(found, "author_by_request")
    if reasons and not yes:
        typer.confirm(f"Erase {len(reasons)} posts for ever?", abort=True)
    done = forgetting.forget(warehouse, ImageStore(settings.home / "images"), reasons)
    if author:
        forgetting.erase_accounts(warehouse, [digest])
    warehouse.publish()
    for table, rows in done.rows.items():
        say(f"  {table}: {rows} rows")
    say(
        f"{done.posts} posts forgotten, {done.files} image files removed, the published warehouse replaced.\n"
        "What was learnt from them goes with the next training: `redpop materialize --no-harvest`. Copies that were "
        "exported or backed up before are yours to delete."
    )


def new_author_key(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Replace the key that hides author names; with the old one nobody can be recognised in the warehouse any more."""
    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.settings import load_settings
    from redpop_assets.storage.forgetting import unlink_authors

    settings = load_settings()
    path = settings.home / "author.key"
    if not yes:
        typer.confirm("Posts stored so far and posts to come will count as of different authors. Go on?", abort=True)
    authors = 0
    if (settings.home / "live" / "redpop.duckdb").exists():
        warehouse = open_warehouse(settings)
        authors = unlink_authors(warehouse)
        warehouse.publish()
    path.unlink(missing_ok=True)
    AuthorKey.load_or_create(path)
    say(f"{path} is new, and {authors} stored hashes cannot be computed from names any more, by no key.")
