"""What takes long to make, made once for all processes that need it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

_COMPLETE = ".complete"


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder` with what `make(folder)` put there.

    The first process that asks makes it, while the others wait; what it left unfinished, the next one makes anew.
    Nobody changes it afterwards: take a copy.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not (folder / _COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / _COMPLETE).touch()
    return folder
