"""Brings up to date what encoders and judges say of pictures and captions: several networks in one pass over content.

torch is loaded only where there is something to encode: most refreshes of a quiet hour find nothing.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from redpop_assets.encoders import heads
from redpop_assets.encoders.base import CODE_VERSION
from redpop_assets.encoders.chunks import Chunk, record_encoder
from redpop_assets.encoders.chunks import Running as Ran
from redpop_assets.encoders.judges import Judge
from redpop_assets.errors import RedPopError
from redpop_assets.features import embeddings, ratings
from redpop_assets.refresh.chunks import Progress
from redpop_assets.refresh.engine import Running
from redpop_assets.refresh.features import (
    Cost,
    Scope,
    StoredContent,
    compute_due,
    due_content,
    keyed,
    without_unreadable,
)
from redpop_assets.refresh.partition import partition_filter
from redpop_assets.storage.shared_text import Memory

IMAGES, CLASSES, GRIDS = (family.table for family in (embeddings.IMAGE, embeddings.CLASSES, embeddings.GRIDS))
CAPTIONS = embeddings.CAPTION.table
SCORES = ratings.FAMILY.filled_table

_NO_JUDGES = f"""
DELETE FROM {SCORES}
WHERE {partition_filter(SCORES)} AND NOT list_contains($judges, scorer)
"""
_OTHER_WEIGHTS = f"""
DELETE FROM {SCORES} WHERE {partition_filter(SCORES)} AND scorer = $scorer
AND (weights_sha256 <> $sha256 OR code_version <> $version)
"""

Metadata = Mapping[str, float | str]


@dataclass(frozen=True)
class Encoding:
    """Which encoders fill the tables of embeddings, and how.

    Attributes:
        images: encoders of pictures, by name.
        captions: encoders of captions.
        grids: whether the spatial grids of the image encoders are kept.
        tuning: what remembers how each encoder runs fastest; None to run them all in torch and float32.
    """

    images: Sequence[str]
    captions: Sequence[str]
    grids: bool
    tuning: Memory | None


def refresh_images(scope: Scope, encoding: Encoding) -> Mapping[str, Metadata]:
    """Encode the pictures of a community that an encoder has yet to see; each is read and decoded once for all.

    With the vector come the probabilities of the encoder's classes, where it has a classifier, and its spatial grid.

    Returns:
        Table -> what to say of it.

    Raises:
        WeightsUnavailable: an encoder cannot be loaded.
    """
    due: dict[str, pa.Table] = {}
    with_grids = [name for name in encoding.images if encoding.grids and name.startswith("timm:")]
    for name in encoding.images:
        rows = _due_pictures(scope, [IMAGES, GRIDS] if name in with_grids else [IMAGES], name)
        if rows.num_rows:
            due[name] = rows
    costs = _Costs()
    if due:
        encoders = scope.engine.image_encoders(list(due), _running(scope, encoding))
        for name in due.keys() & set(with_grids):
            if not encoders.gives_grids(name):
                due[name] = _due_pictures(scope, [IMAGES], name)
        for names, rows in _by_encoders(due):
            costs.write(scope, encoders.chunks(names, rows, due), rows.num_rows)
    return {IMAGES: {"encoders": ", ".join(encoding.images), **costs.metadata}, CLASSES: {}, GRIDS: {}}


def refresh_captions(scope: Scope, encoding: Encoding) -> Mapping[str, Metadata]:
    """Encode the captions of a community that a caption encoder has yet to see.

    Returns:
        Table -> what to say of it.

    Raises:
        WeightsUnavailable: an encoder cannot be loaded.
    """
    costs = _Costs()
    for name in encoding.captions:
        due = due_content(scope.warehouse, "caption", scope.subreddit, {CAPTIONS: CODE_VERSION}, encoder=name)
        if due.num_rows:
            costs.write(scope, scope.engine.captions(name, due, _running(scope, encoding)), due.num_rows)
    return {CAPTIONS: {"encoders": ", ".join(encoding.captions), **costs.metadata}}


def refresh_scores(scope: Scope) -> Mapping[str, Metadata]:
    """Ask the judges of pictures what they have not seen; scores by other weights than the present ones are removed.

    Returns:
        Table -> what to say of it.

    Raises:
        WeightsUnavailable: a judge cannot be loaded.
    """
    judges = scope.networks.judges
    with scope.warehouse.write() as writer:
        writer.execute(_NO_JUDGES, {"subreddit": scope.subreddit, "judges": judges.names})
    cost = Cost()
    for judge, encoder in judges.load():
        due = _due_for(judge, encoder, scope)
        compute = _judged(judge, encoder, scope)
        took = compute_due(scope, due, compute if encoder else without_unreadable(scope, compute), scope.chunk_size)
        cost.rows += took.rows
        cost.seconds += took.seconds
    return {SCORES: cost.metadata}


class _Costs:
    """What encoding took, over all its passes."""

    def __init__(self) -> None:
        self._cost = Cost()
        self._unreadable = 0
        self._device_seconds: Counter[str] = Counter()
        self._ran: dict[str, Ran] = {}

    def write(self, scope: Scope, chunks: Iterator[Chunk], due: int) -> None:
        """Write chunks as they come, and their encoders before; what cannot be read is named in the log."""
        began, done, left_out = time.perf_counter(), 0, 0
        progress = Progress(scope.progress, due, "rows")
        with closing(chunks):  # type: ignore[type-var]  # it is a generator
            for chunk in chunks:
                for ran in chunk.ran:
                    self._note(scope, ran)
                with scope.warehouse.write() as writer:
                    for table, rows in chunk.tables.items():
                        writer.merge(table, rows)
                for picture in chunk.unreadable:
                    scope.warn(f"left out ({picture.reason}): {picture.detail}")
                done += chunk.items
                left_out += len(chunk.unreadable)
                self._device_seconds.update(chunk.device_seconds)
                progress.at(done + left_out)
        self._cost.rows += done
        self._unreadable += left_out
        self._cost.seconds += time.perf_counter() - began

    def _note(self, scope: Scope, ran: Ran) -> None:
        name = ran.provenance.encoder
        if name not in self._ran:
            record_encoder(scope.warehouse, ran)
            self._ran[name] = ran
        elif ran.provenance.weights_sha256 != self._ran[name].provenance.weights_sha256:
            raise RedPopError(
                f"{name} has other weights on one machine than on another, so their vectors cannot be compared: give "
                "all of them the same files."
            )

    @property
    def metadata(self) -> Metadata:
        """Rows, seconds, seconds on the device, and how each encoder ran."""
        shown = [
            f"{name}: {way.backend} {way.precision}, {way.batch_size} at a time, cosine {way.min_cosine:.5f}"
            for name, ran in self._ran.items()
            if (way := ran.choice) is not None
        ]
        return {
            **self._cost.metadata,
            "device_seconds": round(self._device_seconds.total(), 3),
            "unreadable": self._unreadable,
            "ways": "; ".join(shown),
        }


def _running(scope: Scope, encoding: Encoding) -> Running:
    return Running(scope.images, scope.networks.device, encoding.grids, encoding.tuning, scope.chunk_size)


def _due_pictures(scope: Scope, gives: Collection[str], encoder: str) -> pa.Table:
    return due_content(scope.warehouse, "picture", scope.subreddit, dict.fromkeys(gives, CODE_VERSION), encoder=encoder)


def _by_encoders(due: Mapping[str, pa.Table]) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """Pictures by the encoders that have yet to see them, so that each picture is decoded once."""
    waiting: dict[str, tuple[str, ...]] = {}
    for encoder, rows in due.items():
        for picture in rows.column("image_sha256").to_pylist():
            waiting[picture] = (*waiting.get(picture, ()), encoder)
    for encoders in dict.fromkeys(waiting.values()):
        rows = due[encoders[0]]
        theirs = [waiting[picture] == encoders for picture in rows.column("image_sha256").to_pylist()]
        yield encoders, rows.filter(pa.array(theirs))


def _due_for(judge: Judge, encoder: str, scope: Scope) -> pa.Table:
    """Pictures that a judge has not seen; its scores by other weights or code are removed."""
    weights = judge.provenance.weights_sha256
    of_encoder = {"encoder": encoder} if encoder else {}
    with scope.warehouse.write() as writer:
        params = {"scorer": judge.name, "sha256": weights, "version": heads.CODE_VERSION}
        writer.execute(_OTHER_WEIGHTS, {"subreddit": scope.subreddit, **params})
    return due_content(
        scope.warehouse,
        "picture",
        scope.subreddit,
        {SCORES: heads.CODE_VERSION},
        made_from={IMAGES: CODE_VERSION} if encoder else {},
        scorer=judge.name,
        weights_sha256=weights,
        **of_encoder,
    )


def _judged(judge: Judge, encoder: str, scope: Scope) -> Callable[[pa.Table], Mapping[str, pa.Table]]:
    """How a judge scores the pictures of some rows."""
    weights = {"weights": judge.provenance.weights, "weights_sha256": judge.provenance.weights_sha256}
    same = {"scorer": judge.name, **weights, "code_version": heads.CODE_VERSION}

    def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
        pictures = StoredContent(scope, rows)
        if isinstance(judge, heads.VectorScorer):
            scores = judge.score_vectors(pictures.vectors("picture", encoder))
        else:
            scores = judge.score(pictures.pictures())
        return {SCORES: keyed(rows, ["image_sha256"], scores, **same)}

    return compute
