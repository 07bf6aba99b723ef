"""What stored rows were made from, and so whether they have to be made again: the one idea that all jobs share.

A job names the parts that its rows depend on: the version of its code, digests of what it reads, the settings that
matter. Its rows keep them, one by one or together, in columns of their own. Where these columns are what they would be
now, the job returns at once; else it computes, and can say why.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ALL: Final = ("all parts",)
"""Says that a column keeps a digest of all parts."""


def digest(*values: object) -> str:
    """16 hexadecimal digits over values whose `repr` says all that they are."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Snapshot:
    """Everything that would make the rows of a job come out differently if it were different.

    Attributes:
        parts: Name, as a log writes it, such as "seed" -> a version, a digest, a setting or a sequence of them, of a
            type whose `repr` is its value. The digest depends on their order, and not on their names.
        kept: Column of the rows -> the part that it keeps as it is, or several that it keeps as a text, joined by
            hyphens, or `ALL`. Every part is in one of them.
    """

    parts: Mapping[str, object]
    kept: Mapping[str, str | Sequence[str]]

    @property
    def digest(self) -> str:
        """That of the values of all parts."""
        return digest(*self.parts.values())

    @property
    def columns(self) -> dict[str, object]:
        """What rows that are made now have in the columns of `kept`."""
        return {column: self._value(names) for column, names in self.kept.items()}

    def is_of(self, row: Mapping[str, object] | None) -> bool:
        """Whether there is a stored row, with the columns of `kept`, and it was made from just this."""
        return row is not None and all(row[column] == value for column, value in self.columns.items())

    def because(self, row: Mapping[str, object] | None) -> str:
        """Why a row that was made from something else is made again, to follow the word "because".

        Args:
            row: with the columns of `kept`; None if there is none.

        Returns:
            Such as "the seed changed". Where all parts that have a column of their own are the same, it is one of the
            others that changed, and these are named.
        """
        if row is None:
            return "there is none yet"
        alone = {names: column for column, names in self.kept.items() if isinstance(names, str)}
        changed = [name for name, column in alone.items() if row[column] != self.parts[name]]
        return f"{_listed(changed, 'and') or _listed([name for name in self.parts if name not in alone], 'or')} changed"

    def _value(self, names: str | Sequence[str]) -> object:
        if isinstance(names, str):
            return self.parts[names]
        return self.digest if names == ALL else "-".join(str(self.parts[name]) for name in names)


def _listed(names: Sequence[str], word: str) -> str:
    *others, last = [f"the {name}" for name in names] or [""]
    return f"{', '.join(others)} {word} {last}" if others else last
