"""A value that processes keep together: locked for a moment, and done without where it cannot be.

What is kept so is bookkeeping of how a service is asked. A text that cannot be kept stops nobody: the process then goes
on alone; a damaged one is begun anew.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.shared_text import SharedText, TextFile

log = logging.getLogger(__name__)

_ALONE_SECONDS: Final = 60.0
"""After so long a process that went on alone looks whether the database is there again."""

T = TypeVar("T")


class SharedValue(Generic[T]):
    """A value in a text, which every reader reads anew.

    Args:
        text: where it is, a file of this machine or a text that machines share; None keeps it in this process alone.
        first: the value before there is one.
        parse: reads the text; raises when it is something else.
        write: gives that text.
        what: names the value in messages: "The request budget".
        alone: what this process does where the text cannot be kept: "counts its requests for itself".
    """

    def __init__(
        self,
        text: Path | SharedText | None,
        first: T,
        parse: Callable[[str], T],
        write: Callable[[T], str],
        *,
        what: str,
        alone: str,
    ) -> None:
        self._text = TextFile(text) if isinstance(text, Path) else text
        self._known = first
        self._parse = parse
        self._write = write
        self._what = what
        self._alone = alone
        self._alone_until = 0.0

    @property
    def file(self) -> Path | None:
        """The file; None while this process goes on alone, or where it is none."""
        return self._text.path if isinstance(self._text, TextFile) else None

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return self._text.where if self._text else "this process"

    def read(self) -> T:
        """The value as it is now; the last one known where the text cannot be read."""
        text = self._reachable()
        if text is None:
            return self._known
        try:
            written = text.read()
            return self._known if written is None else self._parse(written)
        except (OSError, WarehouseError) as error:
            self._go_on_alone(error)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            log.warning("%s in %s is damaged (%s); it is begun anew.", self._what, self.where, error)
        return self._known

    @contextmanager
    def change(self) -> Iterator[T]:
        """The value to change in place, locked: never to wait in. An error inside changes nothing."""
        try:
            with self._locked():
                self._known = self.read()
                yield self._known
                if text := self._reachable():
                    text.write(self._write(self._known))
        except (OSError, WarehouseError) as error:  # nothing else in such a block raises these
            self._go_on_alone(error)

    def _locked(self) -> ExitStack:
        stack = ExitStack()
        if text := self._reachable():
            try:
                stack.enter_context(text.alone())
            except (OSError, NotImplementedError, WarehouseError) as error:
                self._go_on_alone(error)
        return stack

    def _reachable(self) -> SharedText | None:
        return self._text if time.monotonic() >= self._alone_until else None

    def _go_on_alone(self, error: Exception) -> None:
        if isinstance(self._text, TextFile):
            log.warning(
                "%s cannot be kept in %s (%s): this process %s. Set REDPOP_BUDGET_DIR to a folder that all processes "
                "of the machine can write.",
                self._what,
                self.where,
                error,
                self._alone,
            )
            self._text = None
        else:
            log.warning("%s cannot be kept (%s): this process %s for a minute.", self._what, error, self._alone)
            self._alone_until = time.monotonic() + _ALONE_SECONDS
