"""Work that falls into parts, done by actors of Ray: parts in, shards out, each taken over once.

A part is a table of rows that one actor does, in order. Its results are shards (`redpop_assets.storage.shards`), stored
by the actor where the pictures are; through Ray only their names come back, as soon as they are there. Who asked reads
them, writes the rows and is the only one who writes to the warehouse.

**What a kill costs.** When the process of an actor dies, Ray starts another one and gives it the part again. It finds
the shards that are there, names them again, in the same order (Ray leaves out as many as it had), and goes on with the
rows that are in none: a part loses the shard that was in the making. A part that kills its process again and again
fails the run with a sentence; rows that were taken over are written, and no longer due.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import pyarrow as pa

from redpop_assets.arithmetic import SAME_EVERYWHERE, is_same_everywhere
from redpop_assets.cluster.session import Session, last_line, taking_no_notes
from redpop_assets.errors import RedPopError
from redpop_assets.storage.shards import Shards

_TRIES: Final = 3
"""So often a part is begun: Ray goes on for ever, and a part may be what its process dies of."""

_PART = "_part"


@dataclass(frozen=True)
class Result:
    """Something that is done.

    Attributes:
        tables: rows by the name of their table.
        done: keys of the rows that are done with it.
        said: what else there is to say, as JSON has it.
    """

    tables: Mapping[str, pa.Table]
    done: tuple[str, ...]
    said: Mapping[str, Any]


class Work(Protocol):
    """What is done with the rows of a part; it is sent to other processes, and loads there what it needs."""

    key: ClassVar[str]
    """The column that names a row."""

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        """Do some rows. Each of them is in one of the results."""
        ...


@dataclass(frozen=True)
class Actors:
    """Who does it.

    Attributes:
        count: how many.
        cpus: of each.
        gpus: of each, a share of one or several.
    """

    count: int
    cpus: float
    gpus: float = 0.0


def results(
    session: Session, work: Work, parts: Sequence[pa.Table], actors: Actors, shards: Shards
) -> Iterator[Result]:
    """Have the parts done; results come as they are stored, each once, and whoever takes the next has kept the last.

    Args:
        session: where.
        work: what is done.
        parts: rows without gaps between processes: one actor does a part.
        actors: who does it.
        shards: a new run; it is opened and closed here.

    Raises:
        RedPopError: what the work raised, a part killed its process each time, or the cluster is gone.
    """
    data = session.data()
    from ray.exceptions import RayError

    shards.open()
    try:
        numbered = [part.append_column(_PART, pa.array([number] * len(part))) for number, part in enumerate(parts)]
        dataset = data.from_arrow(numbered).map_batches(
            _Actor,
            fn_constructor_args=(_Sealed(work), shards),
            batch_size=None,
            batch_format="pyarrow",
            compute=data.ActorPoolStrategy(size=actors.count),
            num_cpus=actors.cpus,
            num_gpus=actors.gpus or None,
            # A process of Ray has the environment of its machine, not that of the run.
            runtime_env={"env_vars": dict(SAME_EVERYWHERE)} if is_same_everywhere() else None,
        )
        taken: set[str] = set()
        left = sum(part.num_rows for part in parts)
        try:
            with taking_no_notes():
                for row in dataset.iter_rows():
                    if row["error"]:
                        raise pickle.loads(row["error"])
                    if row["name"] not in taken:
                        shard = shards.get(row["name"])
                        yield Result(shards.tables(shard), shard.done, shard.said)
                        shards.taken(shard)
                        taken.add(shard.name)
                        left -= len(shard.done)
        except RayError as error:
            raise RedPopError(
                f"Work on Ray failed ({last_line(error)}). What was done is kept, and the next run goes on; logs are "
                "in /tmp/ray/session_latest/logs of the machines."
            ) from error
        if left:
            raise RedPopError(
                f"{left} of the rows that were given to Ray did not come back: a machine of the cluster went, and "
                "another one could not go on with what it had begun. What was done is kept, and the next run goes on."
            )
    finally:
        shards.close()


class _Sealed:
    """Work on its way to an actor: keys of an object store may be in it, which nobody may see in a log."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __repr__(self) -> str:
        return type(self.work).__name__


class _Actor:
    """One process that does parts."""

    def __init__(self, sealed: _Sealed, shards: Shards) -> None:
        self._work = sealed.work
        self._shards = shards

    def __call__(self, part: pa.Table) -> Iterator[pa.Table]:
        try:
            for name in self._names(part):
                yield pa.table({"name": [name], "error": pa.array([None], pa.binary())})
        except RedPopError as error:
            # As a result, because of an exception only the text would arrive.
            yield pa.table({"name": [""], "error": pa.array([_portable(error)], pa.binary())})

    def _names(self, part: pa.Table) -> Iterator[str]:
        if not self._shards.is_open:
            import socket

            raise RedPopError(
                f"{socket.gethostname()}, a machine of the Ray cluster, does not see {self._shards.where}: set "
                "REDPOP_STORE to a folder that all machines share, or to object storage such as s3://bucket/redpop."
            )
        number = part.column(_PART)[0].as_py()
        rows = part.drop_columns([_PART])
        done: set[str] = set()
        count = 0
        for shard in self._shards.of(number):
            yield shard.name
            done.update(shard.done)
            count += 1
        # After what an earlier process named: Ray takes what comes in its place for the same.
        if self._shards.begin(number) > _TRIES:
            raise RedPopError(
                f"A part of the work was given up after {_TRIES} processes had died of it. What was done is kept, and "
                "the next run goes on; if it happens again, see whether memory runs out on a machine of the Ray "
                "cluster (REDPOP_CHUNK_SIZE, REDPOP_RAY_NETWORKS), or set REDPOP_COMPUTE=local."
            )
        keys = rows.column(self._work.key).to_pylist()
        left = rows.filter(pa.array([key not in done for key in keys], pa.bool_())) if done else rows
        if left.num_rows:
            for result in self._work(left):
                yield self._shards.put(number, count, result.tables, result.done, result.said).name
                count += 1


def _portable(error: RedPopError) -> bytes:
    """An error of ours for another process, as its class if that can be sent."""
    try:
        sent = pickle.dumps(error)
        pickle.loads(sent)
    except Exception:  # noqa: BLE001 - an error whose class wants more than a message
        return pickle.dumps(RedPopError(str(error)))
    return sent
