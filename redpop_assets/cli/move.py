"""`redpop move`: a deployment goes to another place."""

from typing import TYPE_CHECKING, Annotated

import typer

from redpop_assets.cli.console import quoted, say
from redpop_assets.errors import SettingsError

if TYPE_CHECKING:
    from redpop_assets.settings import Settings


def move(
    home: Annotated[str, typer.Option(help="Home directory to move into; empty: the present one.")] = "",
    store: Annotated[
        str, typer.Option(help="Where pictures, models and figures go, as in REDPOP_STORE; empty: as it is set now.")
    ] = "",
) -> None:
    """Copy a deployment to another home directory or store, compare what arrived, and say what to set.

    Stop RedPop first.

    What is there now is only read, and stays; delete it yourself when the new place works. A move that was stopped goes
    on when the same command is given again. The run history of Dagster stays where it is.
    """
    from redpop_assets.settings import load_settings

    old = load_settings()
    new = load_settings(**{name: value for name, value in (("home", home), ("store", store)) if value})
    if (new.home, new.store) == (old.home, old.store):
        raise SettingsError(
            "Name where it goes: --home DIRECTORY, --store s3://bucket/prefix or another folder, or both; it differs "
            "from where it is."
        )
    if new.home != old.home:
        _move_home(old, new)
    _move_files(old, new)
    changed = {"REDPOP_HOME": (old.home, new.home), "REDPOP_STORE": (old.store, new.store)}
    say("Everything is there and was compared. Set, in the environment or in .env:")
    for variable, (before, after) in changed.items():
        if before != after:
            say(f"  {variable}={quoted(str(after))}")


def _move_home(old: "Settings", new: "Settings") -> None:
    """Rows, the author key, and what was measured of this processor."""
    import shutil

    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.storage.moving_rows import MARK, MovedTable, move_rows

    key, copy = (settings.home / "author.key" for settings in (old, new))
    if not (old.home / "live" / "redpop.duckdb").exists():
        raise SettingsError(f"There is no warehouse in {old.home}: set REDPOP_HOME to the directory that has one.")
    if new.home.is_relative_to(old.home) or old.home.is_relative_to(new.home):
        raise SettingsError(f"{new.home} and {old.home} lie in each other: name a folder beside.")
    if copy.exists() and (not key.exists() or copy.read_bytes() != key.read_bytes()):
        raise SettingsError(
            f"{new.home} has an author.key of its own, so it is another deployment: name an empty place."
        )

    def told(table: MovedTable) -> None:
        if table.rows:
            say(f"{table.name}: {table.rows:,} rows{', which were there' if table.kept else ''}")

    moved = move_rows(open_warehouse(old), open_warehouse(new), new.home / MARK, told)
    if key.exists() and not copy.exists():
        shutil.copyfile(key, copy)
        AuthorKey.load_or_create(copy)  # readable by its owner only
    for name in ("tuning", "login.json"):
        if (old.home / name).is_dir():
            shutil.copytree(old.home / name, new.home / name, dirs_exist_ok=True)
        elif (old.home / name).exists():
            shutil.copyfile(old.home / name, new.home / name)
    say(f"{sum(table.rows for table in moved):,} rows of {len(moved)} tables are the same at both places.")


def _move_files(old: "Settings", new: "Settings") -> None:
    """Pictures, models and figures."""
    from redpop_assets.storage.location import open_files
    from redpop_assets.storage.moving import Copied, copy_store

    source, target = (
        open_files(settings.store, settings.home, "images", settings.store_variables) for settings in (old, new)
    )
    if source.where == target.where:
        return
    last = 0

    def told(done: Copied) -> None:
        nonlocal last
        if done.files - last >= 1000:
            last = done.files
            say(f"{done.files:,} files, {done.bytes / 1e6:,.0f} MB")

    done = copy_store(source, target, told)
    say(f"{done.files:,} pictures and figures ({done.bytes / 1e6:,.1f} MB) and {done.models} models are there.")
