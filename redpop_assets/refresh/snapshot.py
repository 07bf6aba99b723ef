"""What stored rows were made from, and so whether they have to be made again: the one idea that all jobs share.

A job names the parts that its rows depend on: the version of its code, digests of what it reads, the settings that
matter. With the rows it stores the digest of all parts, or some of them as they are. Where these are still the same, it
returns at once; else it computes, and can say why.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """Everything that would make the rows of a job come out differently if it were different.

    Attributes:
        parts: Name, as it is written in a log, such as "seed" -> a version, a digest, a setting, or a list of them, of
            a type whose `repr` is its value. Their order counts.
    """

    parts: Mapping[str, object]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over the values of all parts, for rows that have one column for all."""
        return hashlib.sha256(repr(tuple(self.parts.values())).encode()).hexdigest()[:16]

    def text(self, *names: str) -> str:
        """Some of the parts joined by hyphens, for rows that keep them readable in one column."""
        return "-".join(str(self.parts[name]) for name in names)

    def because(self, stored: Mapping[str, object] | None) -> str:
        """Why rows that were made from something else are made again, to follow the word "because".

        Args:
            stored: the parts that they were made from, as far as the rows tell; None if there are no rows.

        Returns:
            Such as "the seed changed". Where all that is known is the same, it is one of the others that changed.
        """
        if stored is None:
            return "there is nothing yet"
        changed = [name for name, value in self.parts.items() if name in stored and stored[name] != value]
        unknown = [name for name in self.parts if name not in stored]
        return f"{_listed(changed, 'and') or _listed(unknown, 'or') or 'nothing'} changed"


def _listed(names: list[str], word: str) -> str:
    *others, last = [f"the {name}" for name in names] or [""]
    return f"{', '.join(others)} {word} {last}" if others else last
