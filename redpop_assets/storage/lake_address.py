"""Where a lake is: what REDPOP_WAREHOUSE and REDPOP_STORE say of it, checked before anybody is asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redpop_assets.errors import SettingsError
from redpop_assets.storage.location import is_remote
from redpop_assets.storage.postgres import Postgres, parse_postgres

METADATA: Final = "redpop_lake"
"""The schema of Postgres in which DuckLake keeps what it knows: one lake per database."""

_LAKE: Final = re.compile(r"ducklake:postgres(?:ql)?:(.*)", re.DOTALL)
_EXAMPLE: Final = "ducklake:postgres:postgresql://redpop:PASSWORD@db.example.org/redpop"


@dataclass(frozen=True)
class LakeAddress:
    """A lake: its catalogue in Postgres, its Parquet files in a folder or a bucket.

    Attributes:
        postgres: where the catalogue is.
        files: the folder `lake` that its files are below: a path, or `s3://bucket/prefix/lake`.
        variables: key, address and region of the object storage, by the names of its service.
    """

    postgres: Postgres
    files: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """For people, without the password."""
        return f"ducklake:{self.postgres.where}"


def parse_warehouse(text: str) -> str:
    """The setting as it is kept: empty for the file of the home directory, or `ducklake:postgres:<libpq string>`.

    Raises:
        ValueError: it is neither; the message says what to write and repeats no password.
    """
    text = text.strip()
    if not text:
        return ""
    match = _LAKE.fullmatch(text)
    if match is None:
        raise ValueError(
            "this names no warehouse: leave it empty for the DuckDB file of the home directory (REDPOP_HOME says "
            f"where that is), or write {_EXAMPLE}"
        )
    rest = match[1].strip()
    try:
        return f"ducklake:postgres:{parse_postgres(f'postgresql:{rest}' if rest.startswith('//') else rest)}"
    except ValueError as error:
        raise ValueError(f"{error}, as in {_EXAMPLE}") from None


def lake_address(warehouse: str, store: str, home: Path, variables: Mapping[str, str]) -> LakeAddress | None:
    """The lake that the settings name; None for a file.

    Args:
        warehouse: as `parse_warehouse` gives it.
        store: where files are, as `redpop_assets.storage.location.parse_location` gives it.
        home: home directory.
        variables: those of the object storage.

    Raises:
        SettingsError: a lake cannot have its files there.
    """
    if not warehouse:
        return None
    if is_remote(store) and not store.startswith("s3://"):
        raise SettingsError(
            f"REDPOP_WAREHOUSE names a lake, and DuckDB cannot keep its files at {store}: set REDPOP_STORE to a folder "
            "that all machines see, or to s3://bucket/prefix."
        )
    files = f"{store}/lake" if is_remote(store) else str((Path(store) if store else home) / "lake")
    return LakeAddress(Postgres(warehouse.removeprefix("ducklake:postgres:")), files, variables)
