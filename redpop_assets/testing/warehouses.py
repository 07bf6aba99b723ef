"""Warehouses that are there and hold nothing yet."""

import tempfile
from functools import cache
from pathlib import Path

from redpop_assets.storage.warehouse import Warehouse


def blank_warehouse(home: Path, *, source: str = "test", lock_timeout: float = 30) -> Warehouse:
    """The warehouse of `home`, which has all tables and no row but that of its source.

    As after a first `write()` of nothing, at the price of copying a file: executing all SQL files takes a hundred times
    as long.

    Args:
        home: a folder without a warehouse; it need not exist.
        source: what fills it.
        lock_timeout: seconds.
    """
    warehouse = Warehouse(home, source=source, lock_timeout=lock_timeout)
    warehouse.live.parent.mkdir(parents=True)
    warehouse.live.write_bytes(_blank(source))
    return warehouse


@cache
def _blank(source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder), source=source)
        with warehouse.write():
            pass
        return warehouse.live.read_bytes()
