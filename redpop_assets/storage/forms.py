"""What a form of the live warehouse has to do: a DuckDB file (`file_form`), or a lake on Postgres (`lake`).

`Warehouse` says what is done with rows, whichever form it has; a form says where they are, whose turn it is, and how
people get their copy. Nobody outside of this folder knows which one there is.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from redpop_assets.errors import WarehouseError, is_interruption
from redpop_assets.storage.rows import Reader, Writer
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.staging import Swept
from redpop_assets.storage.upkeep import Definitions, transaction


@dataclass(frozen=True)
class Published:
    """The published file, its size in bytes, whether this call had anything new to publish, and what it removed."""

    changed: bool
    path: Path
    bytes: int
    swept: Swept


class Form(ABC):
    """Where the rows of a warehouse are.

    Attributes:
        definitions: what the warehouse has to have, in the words of this form; its `place` is how errors call it.
        published: the copy that people read, a DuckDB file whatever the form is.
    """

    def __init__(self, definitions: Definitions, published: Path) -> None:
        self.definitions = definitions
        self.published = published

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a warehouse."""

    @abstractmethod
    def create(self) -> None:
        """Make one; others see it complete or not at all, and the first one wins."""

    @abstractmethod
    def kept(self) -> AbstractContextManager[None]:
        """A block of somebody who has much to ask and to write in little time."""

    @abstractmethod
    def connect(self, *, read_only: bool, alone: bool = False) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Connect for a block, and always close. A writer waits until it is the only one.

        Args:
            read_only: what is read in the block is of one moment, and others may read meanwhile.
            alone: for what handles the whole warehouse: with a connection that was not kept and will not be.

        Raises:
            WarehouseLocked: it was not to be had in time.
            WarehouseError: it cannot be opened, or is open in this thread already.
            KeyboardInterrupt: DuckDB was interrupted.
        """

    def transaction(self, conn: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
        """A block that is committed at its end, and rolled back on an exception."""
        return transaction(conn)

    @abstractmethod
    def reader(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> Reader:
        """How rows are read through a connection of this form."""

    @abstractmethod
    def writer(self, conn: duckdb.DuckDBPyConnection, schema: Schema) -> Writer:
        """How rows are written through a connection of this form."""

    @abstractmethod
    def bring_up_to_date(self) -> None:
        """Apply what the warehouse lacks of the definitions; when that fails it is as it was.

        Raises:
            WarehouseError: it cannot be, or newer code wrote it.
        """

    @abstractmethod
    def publish(self) -> Published:
        """Replace the published file by a copy of what is there now, at once or not at all."""

    def is_current(self, conn: duckdb.DuckDBPyConnection) -> bool:
        """Whether the warehouse has the present definitions. Raises `WarehouseError` when it is of another source."""
        return self.definitions.is_current(conn)

    @contextmanager
    def current(self, *, read_only: bool, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Connect to a warehouse that has the present definitions; older code's is brought up to date first.

        Raises:
            WarehouseError: as `connect` and `bring_up_to_date`, or it was filled from another source.
        """
        with self.connect(read_only=read_only, alone=alone) as conn:
            current = self.is_current(conn)
            if current:
                yield conn
        if not current:
            self.bring_up_to_date()
            with self.connect(read_only=read_only, alone=alone) as conn:
                yield conn


class Uses(threading.local):
    """How each thread uses a warehouse: who writes would wait for itself if it asked again."""

    held = ""

    @contextmanager
    def one(self, place: str, *, read_only: bool) -> Iterator[None]:
        """A use of the warehouse at `place`; what DuckDB makes of Ctrl-C is Ctrl-C again.

        Raises:
            WarehouseError: this thread writes already, or reads and wants to write.
            KeyboardInterrupt: DuckDB was interrupted.
        """
        held = self.held
        if held == "write" or (held == "read" and not read_only):
            raise WarehouseError(
                f"{place} is already open in this thread ({held}), which would wait for itself: use the object "
                f"that the {held}() block yields, or end the block first."
            )
        self.held = "read" if read_only else "write"
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(
                f"A question to {place} needs more memory than REDPOP_WAREHOUSE_MEMORY_MB allows, or more room beside "
                f"it than the disk has: {' '.join(str(error).split())}"
            ) from error
        except RuntimeError as error:
            if is_interruption(error):
                raise KeyboardInterrupt from error
            raise
        finally:
            self.held = held
