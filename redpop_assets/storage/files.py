"""Files by key, complete or absent: the contract, and its form in a folder.

The other form is object storage (`redpop_assets.storage.bucket`); `redpop_assets.storage.location` tells which one a
deployment has. Pictures, models and figures know nothing but the contract.

A key is names with slashes between them. Two kinds of things are stored under their content: files whose key says which
bytes they have, and folders whose key ends in their `folder_digest`. Neither ever changes.
"""

import hashlib
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from redpop_assets.storage.durable import put_in_place, sync
from redpop_assets.storage.staging import held_folder, is_held_name, unheld

_CHUNK = 1024 * 1024  # bytes
_SYNCS = 8  # a disk makes several files durable in nearly the time of one
_EARLIER_STAGING = ".new"  # of earlier versions, which had no locks; `.new-*` beside the files is theirs as well


@dataclass(frozen=True)
class FoundFile:
    """A stored file: its key, its size in bytes, the time since it was written."""

    path: str
    size: int
    age: timedelta


@dataclass(frozen=True)
class FoundFolder:
    """A stored folder, complete or not: its key, and the time since something of it was written."""

    key: str
    age: timedelta


class Files(ABC):
    """Where the files of one kind are.

    Attributes:
        where: How people name it: the path of a folder, or a URL.
        aside: A local folder that `redpop_assets.storage.staging.sweep` cleans of what killed processes were building.
        at_once: Most requests that are worth having under way at once; 1 where reading is not waiting.
    """

    where: str
    aside: Path
    at_once: int

    @property
    def caveat(self) -> str:
        """What is left of deleted files, as far as it was noticed, as a sentence; empty for nothing."""
        return ""

    @abstractmethod
    def beside(self, name: str) -> "Files":
        """The files of another kind (`images`, `models`, `figures`) of the same deployment."""

    @abstractmethod
    def batch(self) -> "Batch":
        """A batch in which files are stored whose keys say which bytes they have."""

    @abstractmethod
    def replace(self, key: str, data: bytes) -> None:
        """Store a file, or others in place of its bytes, atomically."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """The bytes of a file. Raises `FileNotFoundError`."""

    @abstractmethod
    def pieces(self, key: str) -> Iterator[bytes]:
        """The bytes of a file, a piece at a time. Raises `FileNotFoundError`."""

    @abstractmethod
    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Those of the files that are there, with their sizes in bytes."""

    @abstractmethod
    def remove(self, keys: Iterable[str]) -> int:
        """Delete files and return how many of them were there."""

    @abstractmethod
    def listed(self, prefix: str = "") -> Iterator[FoundFile]:
        """All files below a key, in the order of their keys; what begins with a dot is not ours."""

    @abstractmethod
    def leftovers(self, older_than: timedelta) -> list[FoundFile]:
        """What killed processes were writing, see `Folder.leftovers`."""

    @abstractmethod
    def remove_leftovers(self, older_than: timedelta) -> int:
        """Delete the `leftovers` and return their number."""

    @abstractmethod
    def building(self, parent: str) -> AbstractContextManager[Path]:
        """An empty local folder in which one is built that `put_folder` will store below `parent`."""

    @abstractmethod
    def put_folder(self, folder: Path, key: str) -> Path:
        """Store a folder of `building`, complete or not at all; whatever else is there under its key is replaced.

        Returns a local folder with its files.
        """

    @abstractmethod
    def folder(self, key: str) -> Path:
        """A local folder with the files that are stored under a key; nobody may change them.

        Raises `FileNotFoundError` when there is none. Whether they are those of its digest is for the caller to see.
        """

    @abstractmethod
    def folders(self) -> Iterator[FoundFolder]:
        """All stored folders, complete or not; their keys have three names."""

    @abstractmethod
    def remove_folder(self, key: str) -> None:
        """Delete a stored folder, and copies of it that this deployment keeps for reading."""


class Batch(ABC):
    """Files that are stored together. Leaving the `with` block ends it; what was not committed may be lost."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Store a file, unless it is there with as many bytes; it is certain after the next `commit`."""

    @abstractmethod
    def commit(self) -> None:
        """Wait until everything put so far is stored durably. Rows that name the files may be written afterwards."""


class Folder(Files):
    """Files in a folder of a disk.

    A file is written in a folder aside and renamed when it is on the disk, so a name never stands for half a file.
    """

    at_once = 1

    def __init__(self, root: Path) -> None:
        self.root = root
        self.where = str(root)
        self.aside = root.parent

    def beside(self, name: str) -> "Folder":
        """The folder of this name beside it."""
        return Folder(self.root.parent / name)

    def batch(self) -> "FolderBatch":
        """A batch whose `commit` waits for the disk once for all its files, which appear together."""
        return FolderBatch(self.root)

    def replace(self, key: str, data: bytes) -> None:
        """Store a file, or others in place of its bytes, atomically and durably."""
        path = self.root / key
        with held_folder(path.parent) as staging:
            (staging / path.name).write_bytes(data)
            put_in_place(staging / path.name, path)

    def read(self, key: str) -> bytes:
        """The bytes of a file. Raises `FileNotFoundError`."""
        return (self.root / key).read_bytes()

    def pieces(self, key: str) -> Iterator[bytes]:
        """The bytes of a file, a piece at a time. Raises `FileNotFoundError`."""
        with (self.root / key).open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Those of the files that are there, with their sizes in bytes."""
        return {key: (self.root / key).stat().st_size for key in keys if (self.root / key).is_file()}

    def remove(self, keys: Iterable[str]) -> int:
        """Delete files and return how many of them were there."""
        removed = 0
        for key in keys:
            with suppress(FileNotFoundError):
                (self.root / key).unlink()
                removed += 1
        return removed

    def listed(self, prefix: str = "") -> Iterator[FoundFile]:
        """All files below a key, in the order of their keys; what begins with a dot is not ours."""
        folders = []
        for entry, file in self._entries(self.root / prefix):
            if entry.name.startswith("."):
                continue
            if file is not None:
                yield file
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
        for name in folders:
            yield from self.listed(f"{prefix}/{name}" if prefix else name)

    def leftovers(self, older_than: timedelta) -> list[FoundFile]:
        """What killed processes were writing.

        What nobody holds (`redpop_assets.storage.staging`), and what earlier versions left, without a lock, if it is
        older than `older_than`: younger files may be in the making.
        """
        found = [file for _, file in self._entries(self.root / _EARLIER_STAGING) if file is not None]
        for entry, _ in self._entries(self.root):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                beside = self._entries(self.root / entry.name)
                found += [file for each, file in beside if file is not None and each.name.startswith(".new-")]
        found = [file for file in found if file.age > older_than]
        for path in unheld(self.root):
            status = path.lstat()
            found.append(FoundFile(path.relative_to(self.root).as_posix(), status.st_size, _since(status.st_mtime)))
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

    def building(self, parent: str) -> AbstractContextManager[Path]:
        """An empty folder on the same disk."""
        return held_folder(self.root / parent)

    def put_folder(self, folder: Path, key: str) -> Path:
        """Move a folder of `building` to its key, unless the same is there."""
        target, digest = self.root / key, key.rpartition("/")[2]
        if target.exists() and folder_digest(target) != digest:
            shutil.rmtree(target)
        if not target.exists():
            folder.rename(target)
        return target

    def folder(self, key: str) -> Path:
        """The stored folder itself. Raises `FileNotFoundError` when there is none."""
        folder = self.root / key
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        return folder

    def folders(self) -> Iterator[FoundFolder]:
        """All stored folders; their keys have three names."""
        for folder in sorted(self.root.glob("*/*/*")):
            if not is_held_name(folder.name):
                yield FoundFolder(folder.relative_to(self.root).as_posix(), _since(folder.stat().st_mtime))

    def remove_folder(self, key: str) -> None:
        """Delete a stored folder."""
        shutil.rmtree(self.root / key)

    def _entries(self, folder: Path) -> Iterator[tuple[os.DirEntry[str], FoundFile | None]]:
        """What is in a folder, by name; with its facts if it is a file that is still there."""
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    file = None
                    with suppress(FileNotFoundError):  # renamed or removed since
                        if entry.is_file(follow_symlinks=False):
                            status = entry.stat(follow_symlinks=False)
                            path = (folder / entry.name).relative_to(self.root).as_posix()
                            file = FoundFile(path, status.st_size, _since(status.st_mtime))
                    yield entry, file
        except FileNotFoundError:
            return


class FolderBatch(Batch):
    """Files that become durable and visible together; what was not committed is discarded."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._written: dict[Path, Path] = {}  # final name -> temporary file
        self._staging: Path | None = None
        self._held = ExitStack()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._written.clear()
        self._staging = None
        self._held.close()

    def put(self, key: str, data: bytes) -> None:
        """Write the bytes aside, unless the file is there with as many: a full disk leaves fewer."""
        target = self._root / key
        if target not in self._written and not (target.exists() and target.stat().st_size == len(data)):
            if self._staging is None:
                self._staging = self._held.enter_context(held_folder(self._root))
            temporary = self._staging / target.name
            self._written[target] = temporary
            temporary.write_bytes(data)

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
            list(pool.map(sync, [*folders, self._root]))


def folder_digest(folder: Path) -> str:
    """SHA-256 over relative names and bytes of all files below `folder`, in the order of the names; hexadecimal."""
    digest = hashlib.sha256()
    for name, path in files_below(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{len(name.encode())}:{name}:{content}\n".encode())
    return digest.hexdigest()


def files_below(folder: Path) -> Sequence[tuple[str, Path]]:
    """Relative names and paths of all files below a local folder, by name."""
    return sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())


def _since(moment: float) -> timedelta:
    return timedelta(seconds=max(0.0, time.time() - moment))
