"""The published warehouse, which commands read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from redpop_assets.errors import WarehouseError

if TYPE_CHECKING:
    from redpop_assets.settings import Settings


def published_file(settings: "Settings") -> Path:
    """Where it is.

    Raises:
        WarehouseError: nothing is published yet.
    """
    published = settings.home / "redpop.duckdb"
    if not published.exists():
        raise WarehouseError(
            f"Nothing is published at {published} yet: run `redpop materialize`, or set REDPOP_HOME to the home "
            "directory that has it (that of the demo is warehouse/demo)."
        )
    return published


def published_rows(settings: "Settings", statement: str) -> list[dict[str, Any]]:
    """The rows of a statement on it.

    Raises:
        WarehouseError: nothing is published yet, or by a version with other tables.
    """
    import duckdb

    published = published_file(settings)
    with duckdb.connect(published, read_only=True) as connection:
        try:
            rows: list[dict[str, Any]] = connection.execute(statement).to_arrow_table().to_pylist()
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise WarehouseError(
                f"{published} was published by another version of RedPop: run `redpop materialize` and try again. "
                f"({str(error).splitlines()[0]})"
            ) from error
        return rows
