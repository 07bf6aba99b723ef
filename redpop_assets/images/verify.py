"""Whether every stored picture has its file and every file its picture, and how to put it right."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from redpop_assets.images.orphans import remove_orphans
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.forgetting import erase_unused_content
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

KINDS: Final = {
    "missing": "rows of core.images whose file is not there",
    "corrupt": "files whose bytes are not those of their name",
    "unrecorded": "URLs that count as stored, of pictures without a row",
    "orphaned": "files that no row names",
    "unused": "pictures that no post shows any more",
    "leftover": "files that a killed process was writing",
}
"""What can be wrong, in the order in which it is shown."""

_PATHS = "SELECT path FROM core.images WHERE starts_with(path, $digit)"
_UNUSED = """
FROM core.images AS i ANTI JOIN (
    SELECT f.image_sha256
    FROM core.image_fetches AS f SEMI JOIN core.image_urls AS p ON p.url = f.url
) AS used ON used.image_sha256 = i.image_sha256
"""
_UNRECORDED = """
SELECT url FROM core.image_fetches ANTI JOIN core.images USING (image_sha256) WHERE status = 'stored' ORDER BY url
"""
# Without a version, or the host would answer that nothing has changed.
_FETCH_AGAIN = """
UPDATE core.image_fetches SET
    status = 'retry', reason = 'file_lost', detail = 'The stored file was lost or damaged.', image_sha256 = NULL,
    attempts = 0, next_attempt_at = $now, etag = NULL, last_modified = NULL, checked_at = NULL
"""
_READERS = 4


@dataclass
class Finding:
    """How often something was found, and the first example."""

    count: int = 0
    example: str = ""

    def add(self, examples: Iterable[str]) -> None:
        """Count what was found."""
        for example in examples:
            self.count += 1
            self.example = self.example or example


@dataclass
class Verification:
    """What was looked at, what was found, by the names of `KINDS`, and whether it was put right."""

    pictures: int = 0
    files: int = 0
    bytes: int = 0
    repaired: bool = False
    findings: dict[str, Finding] = field(default_factory=lambda: {kind: Finding() for kind in KINDS})

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return self.repaired or not any(finding.count for finding in self.findings.values())


def verify_images(
    warehouse: Warehouse,
    store: ImageStore,
    *,
    repair: bool,
    older_than: timedelta,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Compare core.images with the files, reading every byte; works beside a running download.

    Repairing has missing and damaged pictures fetched again by the next run, and removes what nothing refers to.

    Args:
        warehouse: has the rows.
        store: has the files.
        repair: whether to put right what is wrong.
        older_than: files younger than this are no orphans or leftovers yet: their rows may still be on their way.
        progress: told how many of how many pictures are done.
    """
    result = Verification()
    with warehouse.kept():
        _compare(result, warehouse, store, repair=repair, older_than=older_than, progress=progress)
    return result


def _compare(
    result: Verification,
    warehouse: Warehouse,
    store: ImageStore,
    *,
    repair: bool,
    older_than: timedelta,
    progress: Callable[[int, int], None] | None,
) -> None:
    found = result.findings
    pictures = warehouse.scalar("SELECT count(*) FROM core.images")
    rows: dict[str, list[str]] = {}
    with ThreadPoolExecutor(max(_READERS, store.place.at_once), thread_name_prefix="redpop-verify") as pool:
        for folder, files in store.files():
            if folder.endswith("0"):  # one query for 16 folders
                rows = _by_folder(warehouse.query(_PATHS, {"digit": folder[0]}).column("path").to_pylist())
            paths = sorted(set(rows.get(folder, ())))
            damaged = [path for path, intact in zip(paths, pool.map(store.is_intact, paths), strict=True) if not intact]
            named = set(paths)
            orphaned = [file.path for file in files if file.path not in named and file.age > older_than]
            result.pictures += len(rows.get(folder, ()))
            result.files += len(files)
            result.bytes += sum(file.size for file in files)
            there = store.existing(damaged)
            found["missing"].add(path for path in damaged if path not in there)
            found["corrupt"].add(path for path in damaged if path in there)
            found["orphaned"].add(orphaned)
            if repair and damaged:
                _fetch_again(warehouse, store, damaged)
            if repair:
                remove_orphans(warehouse, store, orphaned)
            if progress is not None:
                progress(result.pictures, pictures)
    found["unrecorded"].add(warehouse.query(_UNRECORDED).column("url").to_pylist())
    unused = warehouse.query(f"SELECT count(*) AS pictures, coalesce(min(i.path), '') AS example {_UNUSED}").to_pylist()
    found["unused"] = Finding(unused[0]["pictures"], unused[0]["example"])
    found["leftover"].add(file.path for file in store.leftovers(older_than))
    if repair:
        with warehouse.write() as writer:
            writer.execute(f"{_FETCH_AGAIN} WHERE url IN (SELECT url FROM ({_UNRECORDED}))", {"now": utc_now()})
        if found["unused"].count:
            erase_unused_content(warehouse, store)
        store.remove_leftovers(older_than)
        result.repaired = True


def _by_folder(paths: list[str]) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(path[:2], []).append(path)
    return folders


def _fetch_again(warehouse: Warehouse, store: ImageStore, paths: list[str]) -> None:
    """Forget pictures whose files are lost, so that the next run fetches them; damaged files would be in its way."""
    with warehouse.write() as writer:
        lost = [path for path in paths if not store.is_intact(path)]  # unless another process stored them meanwhile
        store.remove(*lost)
        of_lost = "(SELECT image_sha256 FROM core.images WHERE path IN (SELECT unnest($paths::VARCHAR[])))"
        writer.execute(f"{_FETCH_AGAIN} WHERE image_sha256 IN {of_lost}", {"now": utc_now(), "paths": lost})
        writer.execute("DELETE FROM core.images WHERE path IN (SELECT unnest($paths::VARCHAR[]))", {"paths": lost})
