"""The published warehouse, which commands read."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redpop_assets.settings import Settings


def published_rows(settings: "Settings", statement: str) -> list[dict[str, Any]]:
    """The rows of a statement on it.

    Raises:
        WarehouseError: nothing is published yet, it cannot be opened, or it has other tables than this version.
    """
    import duckdb

    from redpop_assets.storage.published import of_another_version, open_published, published_file

    with open_published(settings.home) as connection:
        try:
            rows: list[dict[str, Any]] = connection.execute(statement).to_arrow_table().to_pylist()
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise of_another_version(published_file(settings.home), error) from error
        return rows
