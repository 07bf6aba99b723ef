"""The image files of one home directory, stored once per content. What is in them belongs in `redpop_assets.images`."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.durable import sync
from redpop_assets.storage.staging import held_folder, unheld

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_STORED = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,8}")
_LEFTOVER = re.compile(r"\.new-.*")  # beside the pictures, as in the folder .new: what earlier versions left
_FOLDERS = tuple(f"{number:02x}" for number in range(256))
_SYNCS = 8  # a disk makes several files durable in nearly the time of one


@dataclass(frozen=True)
class StoredImage:
    """A stored file: SHA-256 of its bytes (hexadecimal), its path below the store, its size in bytes."""

    sha256: str
    path: str
    size: int


@dataclass(frozen=True)
class FoundFile:
    """A file that lies in the store: its path below the store, its size in bytes, the time since it was written."""

    path: str
    size: int
    age: timedelta


class ImageStore:
    """Content-addressed files `<root>/ab/<sha256>.<extension>`; equal bytes are stored once.

    A file is written in a folder aside and renamed when it is on the disk, so a name never stands for half a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

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
        """A batch for many files, whose `commit` waits for the disk once for all of them."""
        return ImageBatch(self)

    def path(self, sha256: str, extension: str) -> Path:
        """Where an image is, or would be, stored. Raises `ArtifactError` for what is no digest or no extension."""
        if not _SHA256.fullmatch(sha256) or not _EXTENSION.fullmatch(extension):
            raise ArtifactError(
                f"{sha256!r}, {extension!r} names no stored image: give a SHA-256 in lower-case hexadecimal and an "
                "extension without a dot, such as jpg."
            )
        return self.root / sha256[:2] / f"{sha256}.{extension}"

    def read(self, relative: str) -> bytes:
        """Bytes of the image at `StoredImage.path`.

        Raises `ArtifactError` when there is no such file or its bytes are not those of its name.
        """
        path = self._path(relative)
        if not path.exists():
            raise ArtifactError(f"The image {path} is missing. {_REMEDY}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.name.partition(".")[0]:
            raise ArtifactError(f"The image {path} is damaged: its bytes are not those of its name. {_REMEDY}")
        return data

    def exists(self, relative: str) -> bool:
        """Whether there is a file at `StoredImage.path`; its bytes are not looked at."""
        return self._path(relative).is_file()

    def is_intact(self, relative: str) -> bool:
        """Whether the bytes of a file are those of its name; read in pieces. False when there is no such file."""
        path = self._path(relative)
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == path.name.partition(".")[0]
        except FileNotFoundError:
            return False

    def remove(self, relative: str) -> bool:
        """Delete the image at `StoredImage.path`; False if there was none.

        Who deletes makes sure that no row names the file, in a `Warehouse.write()` block: see `images/orphans.py`.
        """
        try:
            self._path(relative).unlink()
        except FileNotFoundError:
            return False
        return True

    def files(self) -> Iterator[tuple[str, list[FoundFile]]]:
        """All stored images, folder by folder from 00 to ff (empty ones included), each sorted by path."""
        for folder in _FOLDERS:
            yield folder, [file for file in self._listed(self.root / folder) if _STORED.fullmatch(_name(file))]

    def leftovers(self, older_than: timedelta) -> list[FoundFile]:
        """What killed processes were writing.

        What nobody holds (`redpop_assets.storage.staging`), and what earlier versions left, without a lock, if it is
        older than `older_than`: younger files may be in the making.
        """
        beside = (self.root / folder for folder in _FOLDERS)
        found = self._listed(self.root / _STAGING)
        found += [file for folder in beside for file in self._listed(folder) if _LEFTOVER.fullmatch(_name(file))]
        found = [file for file in found if file.age > older_than]
        for path in unheld(self.root):
            status = path.lstat()
            age = timedelta(seconds=max(0.0, time.time() - status.st_mtime))
            found.append(FoundFile(path.relative_to(self.root).as_posix(), status.st_size, age))
        return found

    def remove_leftovers(self, older_than: timedelta) -> int:
        """Delete the `leftovers` and return their number."""
        found = self.leftovers(older_than)
        for file in found:
            (self.root / file.path).unlink(missing_ok=True)
            if file.path.startswith(".new-"):
                with suppress(OSError):  # there is more in it
                    (self.root / file.path).parent.rmdir()
        return len(found)

    def _path(self, relative: str) -> Path:
        sha256, _, extension = Path(relative).name.partition(".")
        path = self.path(sha256, extension)
        if path.relative_to(self.root).as_posix() != relative:
            raise ArtifactError(f"{relative!r} is no path in the image store; they look like ab/<sha256>.jpg.")
        return path

    def _listed(self, folder: Path) -> list[FoundFile]:
        now = time.time()
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_file(follow_symlinks=False):
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:  # renamed or removed since
                        continue
                    age = timedelta(seconds=max(0.0, now - status.st_mtime))
                    found.append(FoundFile(f"{folder.name}/{entry.name}", status.st_size, age))
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda file: file.path)


class ImageBatch:
    """Files that become durable and visible together. Leaving the `with` block discards what was not committed."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._written: dict[Path, Path] = {}  # final name -> temporary file
        self._staging: Path | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._written.clear()
        self._staging = None
        self._held.close()

    def put(self, data: bytes, extension: str) -> StoredImage:
        """Write the bytes aside; see `ImageStore.put`. The file is there after the next `commit`."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self._store.path(sha256, extension)
        if target not in self._written and not (target.exists() and target.stat().st_size == len(data)):
            if self._staging is None:
                self._staging = self._held.enter_context(held_folder(self._store.root))
            temporary = self._staging / target.name
            self._written[target] = temporary
            temporary.write_bytes(data)
        return StoredImage(sha256, target.relative_to(self._store.root).as_posix(), len(data))

    def commit(self) -> None:
        """Wait until everything put so far is on the disk, then give the files their names, durably as well.

        Rows that name the files may be written afterwards: no loss of power leaves them without their files.
        """
        if not self._written:
            return
        folders = {target.parent for target in self._written}
        with ThreadPoolExecutor(min(_SYNCS, len(self._written)), thread_name_prefix="redpop-sync") as pool:
            list(pool.map(sync, self._written.values()))
            for folder in folders:
                folder.mkdir(exist_ok=True)
            for target, temporary in self._written.items():
                temporary.replace(target)
            self._written.clear()
            list(pool.map(sync, [*folders, self._store.root]))


def _name(file: FoundFile) -> str:
    return Path(file.path).name


_STAGING = ".new"  # of earlier versions
_REMEDY = (
    "`redpop images verify --repair` has it fetched again by the next run; or restore the folder images/ of the home "
    "directory from a copy."
)
