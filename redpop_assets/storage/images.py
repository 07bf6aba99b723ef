"""The image files of a deployment, stored once per content. What is in them belongs in `redpop_assets.images`."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.files import Files, Folder, FoundFile

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_STORED = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]{1,8}")
_FOLDERS = tuple(f"{number:02x}" for number in range(256))


@dataclass(frozen=True)
class StoredImage:
    """A stored file: SHA-256 of its bytes (hexadecimal), its path below the store, its size in bytes."""

    sha256: str
    path: str
    size: int


class ImageStore:
    """Content-addressed files `ab/<sha256>.<extension>`; equal bytes are stored once, and a name never stands for half.

    Attributes:
        place: Where they are; a folder may be given as its path.
    """

    def __init__(self, place: Files | Path) -> None:
        self.place = Folder(place) if isinstance(place, Path) else place

    def put(self, data: bytes, extension: str) -> StoredImage:
        """Store the bytes, atomically and durably; nothing is written when they are there already.

        `extension` comes without a dot, in lower case. A file of another size than `data`, as a full disk leaves it,
        is replaced.
        """
        with self.batch() as batch:
            stored = batch.put(data, extension)
            batch.commit()
        return stored

    def batch(self) -> "ImageBatch":
        """A batch for many files, whose `commit` waits once for all of them."""
        return ImageBatch(self)

    def path(self, sha256: str, extension: str) -> str:
        """Path of an image below the store. Raises `ArtifactError` for what is no digest or no extension."""
        if not _SHA256.fullmatch(sha256) or not _EXTENSION.fullmatch(extension):
            raise ArtifactError(
                f"{sha256!r}, {extension!r} names no stored image: give a SHA-256 in lower-case hexadecimal and an "
                "extension without a dot, such as jpg."
            )
        return f"{sha256[:2]}/{sha256}.{extension}"

    def read(self, relative: str) -> bytes:
        """Bytes of the image at `StoredImage.path`.

        Raises:
            ArtifactError: there is no such file, or its bytes are not those of its name.
            StoreError: the store does not answer.
        """
        key = self._key(relative)
        try:
            data = self.place.read(key)
        except FileNotFoundError:
            raise ArtifactError(f"The image {self.place.where}/{key} is missing. {self._remedy}") from None
        if hashlib.sha256(data).hexdigest() != _digest(key):
            raise ArtifactError(
                f"The image {self.place.where}/{key} is damaged: its bytes are not those of its name. {self._remedy}"
            )
        return data

    def ahead(self, paths: Sequence[str]) -> "ReadAhead":
        """The images at some paths, to be read one after the other."""
        return ReadAhead(self, paths)

    def exists(self, relative: str) -> bool:
        """Whether there is a file at `StoredImage.path`; its bytes are not looked at."""
        return bool(self.existing([relative]))

    def existing(self, relatives: Iterable[str]) -> Collection[str]:
        """Those of the paths at which there is a file; its bytes are not looked at."""
        return self.place.sizes(map(self._key, relatives)).keys()

    def is_intact(self, relative: str) -> bool:
        """Whether the bytes of a file are those of its name; read in pieces. False when there is no such file."""
        key, digest = self._key(relative), hashlib.sha256()
        try:
            for piece in self.place.pieces(key):
                digest.update(piece)
        except FileNotFoundError:
            return False
        return digest.hexdigest() == _digest(key)

    def remove(self, *relatives: str) -> int:
        """Delete the images at `StoredImage.path`, and return how many were there.

        Who deletes makes sure that no row names the files, in a `Warehouse.write()` block: see `images/orphans.py`.
        """
        return self.place.remove([self._key(relative) for relative in relatives])

    def files(self) -> Iterator[tuple[str, list[FoundFile]]]:
        """All stored images, folder by folder from 00 to ff (empty ones included), each sorted by path."""
        for folder in _FOLDERS:
            yield folder, [file for file in self.place.listed(folder) if _STORED.fullmatch(file.path)]

    def leftovers(self, older_than: timedelta) -> list[FoundFile]:
        """What killed processes were writing, if nobody holds it; without locks, if it is older than `older_than`."""
        return self.place.leftovers(older_than)

    def remove_leftovers(self, older_than: timedelta) -> int:
        """Delete the `leftovers` and return their number."""
        return self.place.remove_leftovers(older_than)

    def _key(self, relative: str) -> str:
        sha256, _, extension = relative.rpartition("/")[2].partition(".")
        key = self.path(sha256, extension)
        if key != relative:
            raise ArtifactError(f"{relative!r} is no path in the image store; they look like ab/<sha256>.jpg.")
        return key

    @property
    def _remedy(self) -> str:
        return (
            "`redpop images verify --repair` has it fetched again by the next run; or restore "
            f"{self.place.where} from a copy."
        )


class ImageBatch:
    """Files that become durable together. Leaving the `with` block discards what was not committed.

    In a folder they become visible together, too; object storage has what was put and not committed as orphans.
    """

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._batch = store.place.batch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._batch.__exit__(kind, error, traceback)

    def put(self, data: bytes, extension: str) -> StoredImage:
        """Store the bytes; see `ImageStore.put`. The file is there for certain after the next `commit`."""
        sha256 = hashlib.sha256(data).hexdigest()
        key = self._store.path(sha256, extension)
        self._batch.put(key, data)
        return StoredImage(sha256, key, len(data))

    def commit(self) -> None:
        """Wait until everything put so far is stored durably. Rows that name the files may be written afterwards."""
        self._batch.commit()


class ReadAhead:
    """Images that are asked for by their number, mostly in order, by one thread or several.

    Where reading is waiting, as many as `Files.at_once` are fetched before they are asked for, in threads that come
    and go with the need; a disk is read when it is asked.
    """

    def __init__(self, store: ImageStore, paths: Sequence[str]) -> None:
        self._store = store
        self._paths = paths
        self._window = store.place.at_once if store.place.at_once > 1 else 0
        self._next = 0  # the first that was not begun
        self._begun: dict[int, Future[bytes]] = {}
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(self._window, thread_name_prefix="redpop-read") if self._window else None

    def read(self, index: int) -> bytes:
        """Bytes of an image; raises as `ImageStore.read`."""
        future = None
        with self._lock:
            # Who leaps, as who takes a sample does, will not want those in between.
            if self._pool is not None and index < self._next + self._window:
                end = min(index + self._window, len(self._paths))
                for number in range(self._next, end):
                    self._begun[number] = self._pool.submit(self._store.read, self._paths[number])
                self._next = max(self._next, end)
                future = self._begun.pop(index, None)
        return future.result() if future is not None else self._store.read(self._paths[index])

    def close(self) -> None:
        """Begin no more; what is under way is not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _digest(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]
