"""What is made once and kept: for as long as its owner lives, or while it is among the latest that were asked for.

Any number of threads may ask at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Kept:
    """Keeps what is made of it, each thing once. What there can be has to be bounded by what the owner is."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._making = threading.RLock()  # what is made may ask for something else that is kept

    def kept_as(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned when this key was first asked for; threads that ask meanwhile wait for it."""
        if key not in self._kept:
            with self._making:
                if key not in self._kept:
                    self._kept[key] = make()
        found: T = self._kept[key]
        return found


class Recent(Generic[K, T]):
    """Keeps the things that were asked for latest.

    Args:
        most: how many, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[K, T] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: K, make: Callable[[], T]) -> T:
        """One thing; two threads that ask for it at once may both make it."""
        return self.all([key], lambda _: [make()])[key]

    def all(self, keys: Iterable[K], make: Callable[[Sequence[K]], Sequence[T]]) -> Mapping[K, T]:
        """The things of some keys.

        Args:
            keys: with or without repetitions.
            make: gets those that are not kept, each once, and returns what belongs to them; not called without any.
        """
        wanted = list(dict.fromkeys(keys))
        with self._lock:
            found = {key: self._found[key] for key in wanted if key in self._found}
        missing = [key for key in wanted if key not in found]
        if missing:
            found.update(zip(missing, make(missing), strict=True))
        with self._lock:
            for key in wanted:
                self._found[key] = found[key]
                self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found
