"""Files of pictures that no row names, and how they are deleted without a race.

Whoever stores a picture writes its file first and its row afterwards; in between, the file looks like an orphan. So
files are deleted inside a write block only, and whoever adds rows looks there whether their files are still in place.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta

from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

_PATHS_AT_ONCE = 20_000


def remove_orphans(warehouse: Warehouse, store: ImageStore, paths: Collection[str]) -> int:
    """Delete those of the files that no row of core.images names, and return how many were there.

    Args:
        warehouse: has the rows.
        store: has the files.
        paths: as in `StoredImage.path`.
    """
    if not paths:
        return 0
    with warehouse.write() as writer:
        return store.remove(*unnamed(writer, paths))


def stray_files(warehouse: Warehouse, store: ImageStore, *, older_than: timedelta) -> Iterator[list[str]]:
    """Paths of files that no row of core.images names, as far as they are older than `older_than`; by the chunk."""
    settled: list[str] = []
    for _, files in store.files():
        settled += [file.path for file in files if file.age > older_than]
        if len(settled) >= _PATHS_AT_ONCE:
            yield _unnamed_now(warehouse, settled)
            settled = []
    if settled:
        yield _unnamed_now(warehouse, settled)


def _unnamed_now(warehouse: Warehouse, paths: Collection[str]) -> list[str]:
    # Closed before anything is yielded: who takes the paths is going to write.
    with warehouse.read() as reader:
        return unnamed(reader, paths)


def unnamed(reader: Reader, paths: Collection[str]) -> list[str]:
    """Those of the paths that no row of core.images names; several pictures may share a file."""
    wanted = "SELECT DISTINCT unnest($paths::VARCHAR[]) AS path"
    rows = reader.query(f"FROM ({wanted}) ANTI JOIN core.images USING (path) ORDER BY path", {"paths": list(paths)})
    found: list[str] = rows.column("path").to_pylist()
    return found
