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
    warehouse: Annotated[
        str,
        typer.Option(
            help="Where the warehouse goes: ducklake:postgres:…, as in REDPOP_WAREHOUSE, or file, for that of the "
            "home; empty: as it is set now."
        ),
    ] = "",
) -> None:
    """Copy a deployment to another home directory, store or warehouse, compare what arrived, and say what to set.

    Stop RedPop first.

    What is there now is only read, and stays; delete it yourself when the new place works. A move that was stopped goes
    on when the same command is given again. The run history of Dagster stays where it is.
    """
    from redpop_assets.settings import load_settings

    old = load_settings()
    asked = {"home": home, "store": store, "warehouse": warehouse}
    new = load_settings(**{name: "" if value == "file" else value for name, value in asked.items() if value})
    if _places(new) == _places(old):
        raise SettingsError(
            "Name where it goes: --home DIRECTORY, --store s3://bucket/prefix or another folder, "
            "--warehouse ducklake:postgres:… or file, or several; it differs from where it is."
        )
    if old.lake and new.lake and old.lake != new.lake and old.lake.postgres == new.lake.postgres:
        raise SettingsError(
            "The rows of a lake lie in the store, and one database has one lake: name another database in --warehouse "
            "as well, or --warehouse file."
        )
    _move_rows(old, new)
    _move_files(old, new)
    say("Everything is there and was compared. Set, in the environment or in .env:")
    for variable, before, after in (
        ("REDPOP_HOME", str(old.home), str(new.home)),
        ("REDPOP_STORE", old.store, new.store),
        ("REDPOP_WAREHOUSE", _shown(old), _shown(new)),
    ):
        if before != after:
            say(f"  {variable}={quoted(after)}")


def _places(settings: "Settings") -> tuple[object, ...]:
    return settings.home, settings.store, settings.lake


def _shown(settings: "Settings") -> str:
    """REDPOP_WAREHOUSE without its password."""
    return settings.lake.where if settings.lake else ""


def _move_rows(old: "Settings", new: "Settings") -> None:
    """Rows, the author key, and what was measured of this processor."""
    import shutil

    from redpop_assets.resources import author_key, open_warehouse
    from redpop_assets.storage.moving_rows import MARK, MovedTable, move_rows

    key, copy = (settings.home / "author.key" for settings in (old, new))
    source, target = open_warehouse(old), open_warehouse(new)
    if not source.exists():
        raise SettingsError(f"There is no warehouse at {source.place}: set REDPOP_HOME to the directory that has one.")
    if new.home != old.home:
        if new.home.is_relative_to(old.home) or old.home.is_relative_to(new.home):
            raise SettingsError(f"{new.home} and {old.home} lie in each other: name a folder beside.")
        if copy.exists() and (not key.exists() or copy.read_bytes() != key.read_bytes()):
            raise SettingsError(
                f"{new.home} has an author.key of its own, so it is another deployment: name an empty place."
            )
        new.home.mkdir(parents=True, exist_ok=True)
        if key.exists() and not copy.exists():
            shutil.copyfile(key, copy)
    author_key(new)  # readable by its owner only, and in the Postgres that machines share, if there is one

    def told(table: MovedTable) -> None:
        if table.rows:
            say(f"{table.name}: {table.rows:,} rows{', which were there' if table.kept else ''}")

    if source.place != target.place:
        moved = move_rows(source, target, new.home / MARK, told)
        say(f"{sum(table.rows for table in moved):,} rows of {len(moved)} tables are the same at both places.")
    if new.home != old.home:
        for name in ("tuning", "login.json"):
            if (old.home / name).is_dir():
                shutil.copytree(old.home / name, new.home / name, dirs_exist_ok=True)
            elif (old.home / name).exists():
                shutil.copyfile(old.home / name, new.home / name)


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
