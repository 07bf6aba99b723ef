"""Work for actors, most of which goes wrong, in a module that their processes can import."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from redpop_assets.arithmetic import is_same_everywhere
from redpop_assets.cluster.pipeline import Actors, Result, Work, results
from redpop_assets.cluster.session import Session
from redpop_assets.cluster.trial import try_out
from redpop_assets.errors import WeightsUnavailable
from redpop_assets.refresh.engine import Running
from redpop_assets.settings import load_settings
from redpop_assets.storage.files import Folder
from redpop_assets.storage.shards import Shards


class OfOneProcess:
    """Work that leaves the number of its process in a file, and all of them in another."""

    def __init__(self, work: Work, file: Path) -> None:
        self.key = work.key
        self._work = work
        self._file = file

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        self._file.write_text(str(os.getpid()))
        with self._file.with_name(f"{self._file.name}.all").open("a") as file:
            file.write(f"{os.getpid()}\n")
        yield from self._work(rows)


@dataclass
class NeverDone:
    """Does one row; its process dies of the next."""

    key: str = "url"

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        for url in rows.column("url").to_pylist():
            if url == "b":
                os.kill(os.getpid(), signal.SIGKILL)
            yield Result({"urls": pa.table({"url": [url]})}, (url,), {})


@dataclass
class Refused:
    """Cannot load what it needs."""

    key: str = "url"

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        raise WeightsUnavailable(f"there is no /nowhere for {rows.num_rows} rows.")


def where(running: Running, name: str) -> tuple[int, str, str]:
    """The process that was asked, and how networks run there."""
    return os.getpid(), running.device, name


@dataclass
class WhereItRan:
    """Says on which machine of a cluster each part was done, and whether its process computes as on any other."""

    key: str = "url"

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        import ray

        time.sleep(1)  # so that one actor cannot do all parts
        node = ray.get_runtime_context().get_node_id()
        yield Result(
            {"urls": rows}, tuple(rows.column("url").to_pylist()), {"node": node, "same": is_same_everywhere()}
        )


def on_two_machines(images: Path) -> None:
    """What a process does that is told the address of a cluster by its environment; it prints what came of it."""
    session = Session(load_settings().ray_address)
    place = Folder(images)
    deadline = time.monotonic() + 120
    while session.room().machines < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    print(try_out(session, place))  # noqa: T201
    parts = [pa.table({"url": [url]}) for url in "abcdef"]
    found = list(results(session, WhereItRan(), parts, Actors(2, 1), Shards(place)))
    session.close()
    done = ",".join(sorted(url for result in found for url in result.done))
    as_told = all(result.said["same"] for result in found)
    print(done, len({result.said["node"] for result in found}), as_told)  # noqa: T201


if __name__ == "__main__":
    on_two_machines(Path(sys.argv[1]))
