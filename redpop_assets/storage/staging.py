"""Folders for what is not finished, which go with the process that made them: when it ends, or with the next run.

Whatever is built aside and put in place when it is whole (pictures, models, figures, copies of the warehouse) is built
in a folder `.new-<random>` on the same disk. Its process holds a lock on the folder, and the kernel gives the lock back
however the process ends. So what a killed process left is known for certain: not by its age, and not by a process id,
which another process, container or machine may have as well.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

_FOLDER = re.compile(r"\.new-[0-9a-f]{32}")
_PLACES = (".", "live", "images", "models/*/*", "figures/*", "cache/models")
# What earlier versions left, without a lock: it is known by its name, and settled when it has not changed for an hour.
_EARLIER = (
    *("images/.new/*", "images/[0-9a-f][0-9a-f]/.new-*", "models/*/*/.new-*", "figures/*/.new-*"),
    *("live/new-*.duckdb*", "live/rebuilding-*", "live/migrating-*", "redpop.duckdb.publishing"),
)
SETTLED = timedelta(hours=1)
"""Age at which nobody is at a file any more that has no lock."""


@dataclass
class Swept:
    """What was removed: files, and their bytes."""

    files: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        """As a sentence for the log of a run."""
        return f"removed {self.files} files ({self.bytes / 1e6:.1f} MB) that killed processes had left"


@contextmanager
def held_folder(parent: Path) -> Iterator[Path]:
    """An empty folder of this process's own, below `parent`; it is deleted when the block ends."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        folder = parent / f".new-{uuid4().hex}"
        folder.mkdir()
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # swept at once
            continue
        with suppress(OSError):  # a file system without locks: the age decides there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            break
        os.close(handle)  # swept before it was held
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def is_held_name(name: str) -> bool:
    """Whether a folder of this name is one of `held_folder`."""
    return _FOLDER.fullmatch(name) is not None


def sweep(home: Path) -> Swept:
    """Delete what killed processes left in a home directory; what a living one holds stays."""
    swept = Swept()
    for place in _PLACES:
        for folder in home.glob(f"{place}/.new-*"):
            if is_held_name(folder.name):
                _sweep_folder(folder, swept)
    for pattern in _EARLIER:
        for path in home.glob(pattern):
            if not is_held_name(path.name) and _age(path) > SETTLED:
                _remove(path, swept)
    return swept


def unheld(parent: Path) -> list[Path]:
    """Files in those folders of `held_folder` below `parent` that no living process holds."""
    found: list[Path] = []
    for folder in parent.glob(".new-*"):
        if is_held_name(folder.name):
            with _lock_of(folder) as is_free:
                found += _files(folder) if is_free else []
    return found


def _sweep_folder(folder: Path, swept: Swept) -> None:
    with _lock_of(folder) as is_free:
        if is_free:
            _remove(folder, swept)


@contextmanager
def _lock_of(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock during the block, unless another process does; yields whether it was free."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # gone, or of another user
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = True
    except BlockingIOError:
        is_free = False
    except OSError:
        is_free = _age(folder) > timedelta(days=1)
    try:
        yield is_free
    finally:
        os.close(handle)


def _remove(path: Path, swept: Swept) -> None:
    try:
        sizes = [file.lstat().st_size for file in _files(path)]
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError:  # gone with its process, of another user, on a read-only disk, or another sweep was first
        return
    swept.files += len(sizes)
    swept.bytes += sum(sizes)


def _files(path: Path) -> list[Path]:
    if path.is_dir() and not path.is_symlink():
        return [file for file in path.rglob("*") if not file.is_dir()]
    return [path]


def _age(path: Path) -> timedelta:
    try:
        return timedelta(seconds=time.time() - path.lstat().st_mtime)
    except FileNotFoundError:
        return timedelta(0)
