"""The newest published file, kept open and warm, and taken over between two answers when there is a newer one."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from redpop_assets.errors import RedPopError, WarehouseError
from redpop_assets.storage.edition import Edition, identity_of

_log = logging.getLogger(__name__)

D = TypeVar("D")

_TRY_AGAIN_SECONDS = 10.0  # after a new file could not be taken over


@dataclass(eq=False)
class Opened(Generic[D]):
    """An edition that is open, and who answers from it.

    Attributes:
        edition: what is published.
        desk: who answers.
    """

    edition: Edition
    desk: D
    _users: int = 0
    _replaced: bool = False


class Editions(Generic[D]):
    """Lends the newest edition to whoever answers; an old one is closed when its last answer is done.

    A newer file is opened, and its desk made, beside the answers that are given meanwhile; from then on new questions
    get it. A file that cannot be taken over changes nothing: the edition that is open goes on answering.

    Args:
        home: the home directory.
        make: makes the desk of an edition; it may take its time.
        every: how often it is looked whether there is a newer file (seconds).
    """

    def __init__(self, home: Path, make: Callable[[Edition], D], *, every: float = 1.0) -> None:
        self._home, self._make, self._every = home, make, every
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._newest: Opened[D] | None = None
        self._next_look = 0.0
        self._taking_over: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def current(self) -> Iterator[Opened[D]]:
        """A block in which the newest edition is open; called in a thread, as opening one may take seconds.

        Raises:
            WarehouseError: there is none, or it cannot be read.
        """
        opened = self._lent()
        try:
            yield opened
        finally:
            self._given_back(opened)

    def close(self) -> None:
        """Close what is open, after its last answer."""
        with self._lock:
            self._closed = True
            taking_over, newest, self._newest = self._taking_over, self._newest, None
            idle = self._retire(newest)
        if idle is not None:
            idle.edition.close()
        if taking_over is not None:
            taking_over.join()

    def _lent(self) -> Opened[D]:
        while True:
            with self._lock:
                if self._closed:
                    raise WarehouseError("The studio is being closed.")
                if self._newest is not None:
                    self._look()
                    self._newest._users += 1
                    return self._newest
            with self._opening:  # the first one is waited for, by all who ask
                if self._newest is None:
                    self._take_over()

    def _given_back(self, opened: Opened[D]) -> None:
        with self._lock:
            opened._users -= 1
            idle = opened._replaced and not opened._users
        if idle:
            opened.edition.close()

    def _look(self) -> None:
        """Begin to take over a newer file, if there is one; the lock is held."""
        if time.monotonic() < self._next_look or self._taking_over is not None or self._newest is None:
            return
        self._next_look = time.monotonic() + self._every
        try:
            is_new = identity_of(self._home) != self._newest.edition.identity
        except WarehouseError:
            return  # it was taken away; what is open can still be read
        if is_new:
            self._taking_over = threading.Thread(target=self._take_over_beside, name="redpop-edition", daemon=True)
            self._taking_over.start()

    def _take_over_beside(self) -> None:
        try:
            with self._opening:
                self._take_over()
        except Exception as error:  # noqa: BLE001 - said in the log; the edition that is open goes on answering
            known = isinstance(error, RedPopError)
            _log.warning("The newer published file is not taken over: %s", error, exc_info=not known)
            with self._lock:
                self._next_look = time.monotonic() + _TRY_AGAIN_SECONDS
        finally:
            with self._lock:
                self._taking_over = None

    def _take_over(self) -> None:
        edition = Edition(self._home)
        try:
            opened = Opened(edition, self._make(edition))
        except BaseException:
            edition.close()
            raise
        with self._lock:
            if self._closed:
                idle: Opened[D] | None = opened
            else:
                idle, self._newest = self._retire(self._newest), opened
        if idle is not None:
            idle.edition.close()

    @staticmethod
    def _retire(opened: Opened[D] | None) -> Opened[D] | None:
        """The edition, if nobody answers from it; else it is closed by who does so last. The lock is held."""
        if opened is None:
            return None
        opened._replaced = True
        return None if opened._users else opened
