"""Files that are on the disk when somebody is told so, and copies that take a place as a whole or not at all."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

_CHUNK = 8 * 1024 * 1024  # bytes


def sync(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def same_bytes(file: BinaryIO, copy: Path) -> bool:
    """Whether a file has the same content as an open one; False if it is not there."""
    file.seek(0)
    if not copy.exists() or copy.stat().st_size != os.fstat(file.fileno()).st_size:
        return False
    with copy.open("rb") as other:
        while chunk := file.read(_CHUNK):
            if chunk != other.read(_CHUNK):
                return False
    return True


def copy(file: BinaryIO, target: Path) -> None:
    """Write all of an open file to `target`, which is not synced yet."""
    with target.open("wb") as out:
        if not _copied_by_kernel(file, out):
            file.seek(0)
            out.seek(0)
            shutil.copyfileobj(file, out, _CHUNK)


def _copied_by_kernel(file: BinaryIO, out: BinaryIO) -> bool:
    """Copy without a way through this process, on XFS and Btrfs by sharing blocks; False where that cannot be done.

    A full disk is one of the reasons: whoever then copies otherwise meets it again.
    """
    size, done = os.fstat(file.fileno()).st_size, 0
    try:
        while done < size:
            some = os.copy_file_range(file.fileno(), out.fileno(), size - done, done, done)
            if not some:  # as network filesystems of some kernels answer
                return False
            done += some
    except (AttributeError, OSError):  # no Linux, or a filesystem that cannot
        return False
    return True


def put_in_place(staged: Path, target: Path) -> None:
    """Give a finished file the name of another, durably: whoever opens `target` sees the old file or the new one."""
    sync(staged)
    staged.replace(target)
    sync(target.parent)
