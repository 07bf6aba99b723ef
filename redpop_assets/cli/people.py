"""`redpop forget` and `redpop new-author-key`: what people may ask of those who keep their posts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from redpop_assets.cli.console import quoted, say
from redpop_assets.errors import SettingsError
from redpop_assets.spellings import parse_account, parse_post

if TYPE_CHECKING:
    from redpop_assets.storage.warehouse import Warehouse


def forget(
    post: Annotated[list[str] | None, typer.Argument(help="Ids or addresses of posts.")] = None,
    author: Annotated[str, typer.Option(help="Name of an account, or its profile: all its stored posts.")] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Lift the tombstones of these posts, so that they may be stored again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Erase posts from every table and file, for ever; only tombstones stay, so that nothing stores them again."""
    from redpop_assets.resources import author_key, open_images, open_warehouse
    from redpop_assets.settings import load_settings
    from redpop_assets.storage import forgetting

    settings = load_settings()
    warehouse = open_warehouse(settings)
    if not post and not author:
        raise SettingsError("Name what to forget: ids or addresses of posts, or --author NAME.")
    if undo and author:
        raise SettingsError("A tombstone does not say whose post it was: name the posts for --undo, by id or address.")
    ids = [parse_post(text) for text in post or ()]
    name = parse_account(author) if author else ""
    warehouse.scalar("SELECT count(*) FROM raw.tombstones")  # nothing is made where there is no warehouse
    if undo:
        _lift(warehouse, ids)
        return
    reasons = dict.fromkeys(ids, "by_request")
    unknown = forgetting.never_seen(warehouse, ids)
    digests: list[str] = []
    found: list[str] = []
    if name:
        digests = author_key(settings).digests(name)
        found = sorted({post_id for digest in digests for post_id in forgetting.posts_of(warehouse, digest)})
        say(f"u/{quoted(name)}: {len(found)} posts, crossposts of theirs included.")
        reasons |= dict.fromkeys(found, "author_by_request")
    if reasons and not yes:
        typer.confirm(f"Erase {len(reasons)} posts for ever?", abort=True)
    images = open_images(settings)
    done = forgetting.forget(warehouse, images, reasons)
    mentions = forgetting.erase_accounts(warehouse, digests)
    warehouse.publish()
    for table, rows in done.rows.items():
        say(f"  {table}: {rows} rows")
    if mentions:
        say(f"{mentions} posts of others named u/{name}, and do not any more.")
    if done.rows or mentions:
        say(
            f"{done.posts} posts forgotten, {done.files} image files removed, the published warehouse replaced.\n"
            "What was learnt from them goes with the next training: `redpop materialize --no-harvest`. Copies that "
            "were exported or backed up before are yours to delete."
        )
        if images.place.caveat:
            say(f"But {images.place.caveat}.")
    elif len(set(ids)) > len(unknown):
        say("That was forgotten before, and nothing of it is stored.")
    missed = [*unknown, *([f"u/{name}"] if name and not (found or mentions) else [])]
    if missed:
        kept_out = (
            f" A tombstone keeps {', '.join(unknown)} from being stored; `redpop forget --undo {' '.join(unknown)}` "
            "lifts it."
        )
        raise SettingsError(
            f"Nothing was stored of {', '.join(missed)}, so nothing of that was erased: compare the spelling with "
            f"Reddit's.{kept_out if unknown else ''}"
        )


def _lift(warehouse: "Warehouse", ids: Sequence[str]) -> None:
    from redpop_assets.storage import forgetting

    if unknown := forgetting.lift(warehouse, ids):
        raise SettingsError(
            f"{', '.join(sorted(unknown))} was not forgotten, so there is nothing to lift, and nothing was changed: "
            '`redpop sql "FROM raw.tombstones"` shows what was.'
        )
    warehouse.publish()
    say(
        f"{len(set(ids))} tombstones lifted, the published warehouse replaced. What was erased does not come back by "
        "itself: the next harvest stores what Reddit still lists, and importing a file again what it holds. Where "
        "Reddit still says that a post was deleted, it is forgotten once more."
    )


def new_author_key(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Replace the key that hides author names; with the old one nobody can be recognised in the warehouse any more."""
    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.settings import load_settings
    from redpop_assets.storage.forgetting import unlink_authors
    from redpop_assets.storage.shared_key import renew_author_key

    settings = load_settings()
    path = settings.home / "author.key"
    if not yes:
        typer.confirm("Posts stored so far and posts to come will count as of different authors. Go on?", abort=True)
    authors = 0
    if (settings.home / "live" / "redpop.duckdb").exists():
        warehouse = open_warehouse(settings)
        authors = unlink_authors(warehouse)
        warehouse.publish()
    if shared := settings.shared_postgres:
        renew_author_key(shared, path)
    else:
        path.unlink(missing_ok=True)
        AuthorKey.load_or_create(path)
    say(f"{quoted(str(path))} is new, and {authors} stored hashes cannot be computed from names any more, by no key.")
