"""Results of parts of some work, made by many processes and taken over by one: Parquet beside the pictures, for a run.

A shard is some tables and a note in JSON, which is written last: with the note, the shard is there. Names count up
within a part of the work, so who takes over a part whose process died sees what of it is done. Shards are no archive:
they go when the run ends, and those that a killed run left when the next one begins, after a day.
"""

import io
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from redpop_assets.storage.files import Files

_KIND = "runs"
_LEFT_BEHIND: Final = timedelta(days=1)


@dataclass(frozen=True)
class Shard:
    """What is said of a shard.

    Attributes:
        name: of the shard, unique within its run.
        tables: names of its tables, in their order.
        done: keys of the rows of the part that are done with it.
        said: what the work says of it, as JSON has it.
    """

    name: str
    tables: tuple[str, ...]
    done: tuple[str, ...]
    said: Mapping[str, Any]


class Shards:
    """The shards of one run.

    Args:
        place: files of the deployment, such as those of the pictures; shards are beside them.
        run: its name; None for a new run.
    """

    def __init__(self, place: Files, run: str | None = None) -> None:
        self._files = place.beside(_KIND)
        self.run = run or uuid.uuid4().hex

    @property
    def where(self) -> str:
        """How people name the place."""
        return self._files.where

    def open(self) -> None:
        """Begin the run: remove what killed ones left, and leave a sign by which others find this one."""
        self._files.remove([file.path for file in self._files.listed() if file.age > _LEFT_BEHIND])
        self._files.replace(self._sign, b"")

    @property
    def is_open(self) -> bool:
        """Whether the sign of the run is seen here."""
        return bool(self._files.sizes([self._sign]))

    def close(self) -> None:
        """End the run, with all its shards."""
        self._files.remove([file.path for file in self._files.listed() if file.path.startswith(self.run)])

    def begin(self, part: int) -> int:
        """Begin a part of the work, and return how often that has been done."""
        times = 1
        while self._files.sizes([sign := f"{self.run}-{part}.begun{times}"]):
            times += 1
        self._files.replace(sign, b"")
        return times

    def put(
        self, part: int, number: int, tables: Mapping[str, pa.Table], done: tuple[str, ...], said: Mapping[str, Any]
    ) -> Shard:
        """Store the shard of this number, counted from 0, of a part of the work."""
        shard = Shard(f"{self.run}-{part}-{number}", tuple(tables), done, said)
        for table, rows in tables.items():
            sink = io.BytesIO()
            pq.write_table(rows, sink)
            self._files.replace(self._table(shard.name, table), sink.getvalue())
        note = {"tables": shard.tables, "done": done, "said": said}
        self._files.replace(self._note(shard.name), json.dumps(note).encode())
        return shard

    def of(self, part: int) -> Iterator[Shard]:
        """The shards that a part has so far, in the order of their numbers."""
        number = 0
        while self._files.sizes([self._note(f"{self.run}-{part}-{number}")]):
            yield self.get(f"{self.run}-{part}-{number}")
            number += 1

    def get(self, name: str) -> Shard:
        """What is said of a shard. Raises `FileNotFoundError`."""
        note = json.loads(self._files.read(self._note(name)))
        return Shard(name, tuple(note["tables"]), tuple(note["done"]), note["said"])

    def tables(self, shard: Shard) -> dict[str, pa.Table]:
        """The tables of a shard. Raises `FileNotFoundError`."""
        return {
            table: pq.read_table(pa.BufferReader(self._files.read(self._table(shard.name, table))))
            for table in shard.tables
        }

    def taken(self, shard: Shard) -> None:
        """Remove the tables of a shard, which are somewhere else now; its note stays until the run ends."""
        self._files.remove([self._table(shard.name, table) for table in shard.tables])

    @property
    def _sign(self) -> str:
        return f"{self.run}.run"

    def _note(self, name: str) -> str:
        return f"{name}.json"

    def _table(self, name: str, table: str) -> str:
        return f"{name}-{table}.parquet"
