"""The two steps that are data-parallel, on Ray: asking URLs, and running networks over pictures and captions.

What an actor calls is what a single machine calls (`redpop_assets.images.download.fetched` and
those of `redpop_assets.refresh.engine`). Here is only how the work is cut, and how results travel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import msgspec
import pyarrow as pa
from platformdirs import user_cache_path

from redpop_assets.cluster.pipeline import Actors, Result, Work, results
from redpop_assets.cluster.session import Session
from redpop_assets.encoders.chunks import Chunk as Encoded
from redpop_assets.encoders.chunks import Running as Ran
from redpop_assets.encoders.chunks import Unreadable
from redpop_assets.images.addresses import parse_literal
from redpop_assets.images.download import FETCHES, IMAGES, Asking, Chunk, Row, fetched
from redpop_assets.images.urls import UrlRefused, target_of
from redpop_assets.refresh.engine import Encoders, Engine, LoadedCaptions, LoadedPictures, Running
from redpop_assets.storage.shards import Shards

_FETCHES, _IMAGES = "core.image_fetches", "core.images"


@dataclass(frozen=True)
class Shares:
    """How much of a cluster an actor has.

    Attributes:
        networks: actors that hold networks; 0 for one per GPU share, without GPUs as many as the processors allow.
        cpus: of such an actor, at most; threads of its networks where it has no GPU.
        gpus: of such an actor, where the cluster has any: 1, a share of one, or several.
        fetchers: actors that fetch pictures, each with a processor and the limits of a download.
    """

    networks: int
    cpus: int
    gpus: float
    fetchers: int


class OnRay(Engine):
    """Has it done by actors of a cluster.

    Args:
        session: the cluster; it is started when there is something to do.
        shares: how much an actor has of it.
    """

    def __init__(self, session: Session, shares: Shares) -> None:
        self._session = session
        self._shares = shares

    def fetched(self, due: list[Row], asking: Asking) -> Iterator[Chunk]:
        """Ask URLs, all of one owner (see `owner_of`) by one actor, so that limits per host hold.

        An actor has the limits of a download for itself. Where a redirect leads to a host of another owner, those of
        the actor that follows it hold: such a host may be asked by every actor at once, each within the limits.
        """
        if not due:
            return
        room = self._session.room()
        parts = shared_out(due, max(1, min(self._shares.fetchers, room.cpus)), asking.policy.allowed_hosts)
        tables = [pa.Table.from_pylist(part, schema=FETCHES) for part in parts]
        for result in self._results(Fetching(asking), tables, Actors(len(tables), 1), asking.store.place):
            yield Chunk(result.tables[_FETCHES].to_pylist(), result.tables[_IMAGES].to_pylist(), **result.said)

    def image_encoders(self, names: Sequence[str], running: Running) -> Encoders:  # noqa: ARG002
        """The encoders, which actors load."""
        return _RemoteEncoders(self, running)

    def captions(self, name: str, rows: pa.Table, running: Running) -> Iterator[Encoded]:
        """Encode captions, as many at a time as between two writes."""
        actors, there = self._actors(running)
        return self._encoded(EncodingCaptions(there, name), rows, running.captions, actors, running)

    def pictures(self, names: Sequence[str], rows: pa.Table, running: Running) -> Iterator[Encoded]:
        """Encode pictures, as many at a time as between two writes."""
        actors, there = self._actors(running)
        return self._encoded(EncodingPictures(there, tuple(names)), rows, running.chunk_size, actors, running)

    def asks(self, question: Any, *given: Any, running: Running) -> Any:
        """What a function returns that is called where networks are."""
        actors, there = self._actors(running)
        self._session.start()
        import ray

        task = ray.remote(num_cpus=actors.cpus, num_gpus=actors.gpus)(question)
        return ray.get(task.remote(there, *given))

    def _actors(self, running: Running) -> tuple[Actors, Running]:
        """Who runs networks, and how they run there."""
        room, shares = self._session.room(), self._shares
        gpus = shares.gpus if room.gpus and running.device != "cpu" else 0.0
        cpus = min(shares.cpus, room.cpus_of_one)
        most = int(room.gpus / gpus) if gpus else max(1, room.cpus // cpus)
        # Ray shows an actor its GPUs alone, whatever their numbers are, and one without a share none.
        there = replace(running, device="auto" if gpus else "cpu")
        return Actors(min(shares.networks, most) or most, cpus, gpus), there

    def _encoded(self, work: Work, rows: pa.Table, size: int, actors: Actors, running: Running) -> Iterator[Encoded]:
        parts = [rows.slice(start, size) for start in range(0, rows.num_rows, size)]
        actors = replace(actors, count=min(actors.count, len(parts)))
        for result in self._results(work, parts, actors, running.store.place):
            said = result.said
            yield Encoded(
                result.tables,
                said["items"],
                msgspec.convert(said["unreadable"], list[Unreadable]),
                said["device_seconds"],
                msgspec.convert(said["ran"], list[Ran]),
            )

    def _results(self, work: Work, parts: Sequence[pa.Table], actors: Actors, place: Any) -> Iterator[Result]:
        return results(self._session, work, parts, actors, Shards(place))


class _RemoteEncoders(Encoders):
    def __init__(self, engine: OnRay, running: Running) -> None:
        self._engine = engine
        self._running = running

    def gives_grids(self, name: str) -> bool:
        """Asked where the networks are: this machine may have neither weights nor room for them."""
        given: bool = self._engine.asks(_gives_grids, name, running=self._running)
        return given

    def chunks(self, names: Sequence[str], rows: pa.Table, due: Mapping[str, pa.Table]) -> Iterator[Encoded]:  # noqa: ARG002
        """Encode; how an encoder runs fastest, each actor finds out for its own machine."""
        return self._engine.pictures(names, rows, self._running)


def _gives_grids(running: Running, name: str) -> bool:
    return LoadedPictures([name], running).gives_grids(name)


@dataclass
class EncodingPictures:
    """Pictures for encoders, which are loaded with the first part."""

    key: ClassVar[str] = "image_sha256"
    running: Running
    names: tuple[str, ...]
    _loaded: LoadedPictures | None = field(default=None, repr=False)

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        """Encode them as one machine does."""
        if self._loaded is None:
            self._loaded = LoadedPictures(self.names, _here(self.running))
        for chunk in self._loaded.chunks(self.names, rows, dict.fromkeys(self.names, rows)):
            yield _result(chunk, self.key)


@dataclass
class EncodingCaptions:
    """Captions for an encoder, which is loaded with the first part."""

    key: ClassVar[str] = "caption_sha256"
    running: Running
    name: str
    _loaded: LoadedCaptions | None = field(default=None, repr=False)

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        """Encode them as one machine does."""
        if self._loaded is None:
            self._loaded = LoadedCaptions(self.name, _here(self.running))
        for chunk in self._loaded.chunks(rows):
            yield _result(chunk, self.key)


@dataclass
class Fetching:
    """URLs to be asked."""

    key: ClassVar[str] = "url"
    asking: Asking

    def __call__(self, rows: pa.Table) -> Iterator[Result]:
        """Ask them as one machine does; files are stored before their shard is."""
        for chunk in fetched(rows.to_pylist(), self.asking):
            tables = {
                _FETCHES: pa.Table.from_pylist(chunk.fetches, schema=FETCHES),
                _IMAGES: pa.Table.from_pylist(chunk.images, schema=IMAGES),
            }
            said = {"rechecked": chunk.rechecked, "gone": chunk.gone, "left": chunk.left}
            yield Result(tables, tuple(row["url"] for row in chunk.fetches), said)


def owner_of(url: str, allowed_hosts: Collection[str]) -> str:
    """Whose limits a URL counts towards: the last two names of its host, an address itself.

    More than a host, so that redirects among the hosts of one service (imgur.com to i.imgur.com) stay with the actor
    that owns it. Names like co.uk put the hosts of many into one, which costs speed and no manners.
    """
    try:
        host = target_of(url, allowed_hosts).host
        literal = parse_literal(host) is not None
    except (UrlRefused, ValueError):
        return ""  # it is not asked
    return host if literal else ".".join(host.rstrip(".").split(".")[-2:])


def shared_out(due: Sequence[Row], count: int, allowed_hosts: Collection[str]) -> list[list[Row]]:
    """Rows of URLs in at most `count` parts of similar size, all of one owner in one part, in their order."""
    owners: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(due):
        owners[owner_of(row["url"], allowed_hosts)].append(index)
    parts: list[list[int]] = [[] for _ in range(count)]
    for owned in sorted(owners.values(), key=len, reverse=True):
        min(parts, key=len).extend(owned)
    return [[due[index] for index in sorted(part)] for part in parts if part]


def _here(running: Running) -> Running:
    """How networks run on the machine of an actor: it remembers for itself which way is fastest."""
    return replace(running, tuning=running.tuning and user_cache_path("redpop") / "tuning")


def _result(chunk: Encoded, key: str) -> Result:
    done = {content for rows in chunk.tables.values() for content in rows.column(key).to_pylist()}
    done |= {picture.image_sha256 for picture in chunk.unreadable}
    said = {
        name: msgspec.to_builtins(getattr(chunk, name)) for name in ("items", "unreadable", "device_seconds", "ran")
    }
    return Result(chunk.tables, tuple(sorted(done)), said)
