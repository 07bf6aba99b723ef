"""A small file that the processes of a machine keep together: locked for a moment, and done without where it cannot be.

What is kept in it is bookkeeping of how a service is asked. A file that cannot be kept stops nobody: the process then
goes on alone; a damaged one is begun anew.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock

log = logging.getLogger(__name__)

_LOCK_SECONDS = 30.0

T = TypeVar("T")


class SharedFile(Generic[T]):
    """A value in a file, which every reader reads anew.

    Args:
        file: where it is, made when needed; None keeps it in this process alone.
        first: the value before there is one.
        parse: reads the text of the file; raises when it is something else.
        write: gives that text.
        what: names the value in messages: "The request budget".
        alone: what this process does where the file cannot be kept: "counts its requests for itself".

    Attributes:
        file: the file, or None while this process goes on alone.
    """

    def __init__(
        self,
        file: Path | None,
        first: T,
        parse: Callable[[str], T],
        write: Callable[[T], str],
        *,
        what: str,
        alone: str,
    ) -> None:
        self.file = file
        self._known = first
        self._parse = parse
        self._write = write
        self._what = what
        self._alone = alone
        self._lock = FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS) if file else None

    def read(self) -> T:
        """The value as it is now; the last one known where the file cannot be read."""
        if self.file is None:
            return self._known
        try:
            return self._parse(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return self._known
        except OSError as error:
            self._go_on_alone(error)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            log.warning("%s in %s is damaged (%s); it is begun anew.", self._what, self.file, error)
        return self._known

    @contextmanager
    def change(self) -> Iterator[T]:
        """The value to change in place, locked: never to wait in. An error inside changes nothing."""
        with self._locked():
            self._known = self.read()
            yield self._known
            self._store()

    def _locked(self) -> AbstractContextManager[object]:
        if self._lock is None or self.file is None:
            return nullcontext()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            return self._lock.acquire()
        except (OSError, NotImplementedError) as error:
            self._go_on_alone(error)
            return nullcontext()

    def _store(self) -> None:
        if self.file is None:
            return
        try:
            fresh = self.file.with_suffix(".new")
            fresh.write_text(self._write(self._known), encoding="utf-8")
            fresh.replace(self.file)
        except OSError as error:
            self._go_on_alone(error)

    def _go_on_alone(self, error: Exception) -> None:
        log.warning(
            "%s cannot be kept in %s (%s): this process %s. Set REDPOP_BUDGET_DIR to a folder that all processes of "
            "the machine can write.",
            self._what,
            self.file,
            error,
            self._alone,
        )
        self.file = None
