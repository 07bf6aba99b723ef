"""Which way of running an encoder is fastest on this processor: measured once for a few seconds, then remembered.

Speed may not cost truth: a way counts only if each of its vectors of the measured items has a cosine of at least
`LEAST_COSINE` with the one of float32 in torch.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Protocol, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from redpop_assets.encoders.base import Backend, Choice, Precision, Provenance
from redpop_assets.encoders.engine import Engine, Forward, Way
from redpop_assets.errors import WarehouseError
from redpop_assets.storage.shared_text import Memory, SharedText, text_at

LEAST_COSINE: Final = 0.999
"""Smallest cosine with the vector of float32 that a faster way may give."""

LEAST_ITEMS: Final = 200
"""With fewer items to encode, an encoder runs as it was loaded: to measure, or to convert its network for the way that
was measured once, would take longer than it saves."""

SECONDS: Final = 10.0
"""After so long no further way is tried, unless three times what float32 took is longer: a slow network has the most to
gain."""

REFERENCE: Final = Way("torch", "float32")

Sample = TypeVar("Sample", contravariant=True)
Measure = Callable[[Way, int], tuple[npt.NDArray[np.float32], float]]

_log = logging.getLogger(__name__)


class Tunable(Protocol[Sample]):
    """An encoder whose engine has several ways to run."""

    provenance: Provenance
    engine: Engine
    outputs: tuple[str, ...]

    def vectors(self, sample: Sample, forward: Forward, batch_size: int) -> tuple[npt.NDArray[np.float32], float]:
        """Vectors of the sample, and items per second."""
        ...


def tune(
    encoder: Tunable[Sample],
    sample: Callable[[], Sample | None],
    *,
    due: int,
    folder: Memory | None,
    seconds: float = SECONDS,
) -> Choice | None:
    """Have an encoder run the fastest faithful way, and return it; None if the encoder stays as it is.

    Args:
        encoder: What to tune.
        sample: Gives items to measure with, None if there are none; called only if nothing is remembered.
        due: Number of items about to be encoded; see `LEAST_ITEMS`.
        folder: Where choices are remembered, per encoder, weights, processor and versions: a folder, or what machines
            share; None to leave it.
        seconds: As `SECONDS`.
    """
    if folder is None or due < LEAST_ITEMS:
        return None
    engine = encoder.engine
    subject = _subject(encoder)
    note = text_at(folder, f"{encoder.provenance.modality}-{_digest(subject)[:32]}.json")
    remembered = _recall(note, subject)
    if remembered is not None:
        engine.use(remembered)
        return remembered
    items = sample()
    if items is None:
        return None
    built: dict[Way, Forward] = {}

    def measure(way: Way, batch_size: int) -> tuple[npt.NDArray[np.float32], float]:
        if way not in built:
            built[way] = engine.build(way)
        return encoder.vectors(items, built[way], batch_size)

    choice = choose(
        engine.ways, engine.batch_size, engine.batch_sizes, measure, processor=engine.processor, seconds=seconds
    )
    _log.info("%s runs in %s, %s", encoder.provenance.encoder, choice.backend, choice)
    engine.use(choice, built[Way(choice.backend, choice.precision)])
    _remember(note, subject, choice)
    return choice


def choose(
    ways: Iterable[Way],
    batch_size: int,
    batch_sizes: Sequence[int],
    measure: Measure,
    *,
    processor: str,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Choice:
    """Measure float32 in torch and the ways, then the best one with other batch sizes, and return the fastest.

    Args:
        ways: In the order in which to try them. One is left out when the same library is faithful in lower precision,
            where it is never slower.
        batch_size: Items per forward pass to compare the ways with.
        batch_sizes: Others to try for the best way.
        measure: Vectors, (n, d) of the same items in the same order, and items per second; a RuntimeError says that
            the network cannot run this way.
        processor: Recorded in the choice.
        seconds: As `SECONDS`.
        clock: Seconds.
    """
    began = clock()
    reference, rate = measure(REFERENCE, batch_size)
    deadline = began + max(seconds, 3 * (clock() - began))
    best = Choice(REFERENCE.backend, REFERENCE.precision, batch_size, rate, 1.0, processor)
    faithful: set[Backend] = set()

    def tried(way: Way, size: int) -> Choice | None:
        try:
            vectors, rate = measure(way, size)
        except RuntimeError as error:
            _log.info("%s in %s cannot be used: %s", way.precision, way.backend, " ".join(str(error).split())[:300])
            return None
        cosine = _least_cosine(vectors, reference)
        return Choice(way.backend, way.precision, size, rate, cosine, processor) if cosine >= LEAST_COSINE else None

    def candidates() -> Iterator[tuple[Way, int]]:
        for way in ways:
            if way.backend not in faithful:
                yield way, batch_size
        winner = Way(best.backend, best.precision)
        for size in batch_sizes:
            if size != batch_size:
                yield winner, size

    for way, size in candidates():
        if clock() >= deadline:
            break
        found = tried(way, size)
        if found is None:
            continue
        if way.precision != "float32":
            faithful.add(way.backend)
        if found.items_per_second > best.items_per_second:
            best = found
    return best


def _least_cosine(vectors: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> float:
    """The smallest cosine of rows that belong together; -1 if one is not finite or zero."""
    a, b = vectors.astype(np.float64), reference.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(all="ignore"):
        cosines = (a * b).sum(axis=1) / lengths
    return float(np.nan_to_num(cosines, nan=-1.0, posinf=-1.0, neginf=-1.0).min())


def _subject(encoder: Tunable[Any]) -> dict[str, Any]:
    """Everything the choice depends on."""
    provenance = encoder.provenance
    return {
        "encoder": provenance.encoder,
        "outputs": list(encoder.outputs),
        "weights_sha256": provenance.weights_sha256,
        "library": provenance.library,
        "openvino": _openvino_version(),
        "processor": encoder.engine.processor,
        "batch_size": encoder.engine.first_batch_size,
    }


def _openvino_version() -> str:
    try:
        return version("openvino")
    except PackageNotFoundError:
        return ""


def _digest(subject: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(subject, sort_keys=True).encode()).hexdigest()


def _recall(note: SharedText, subject: dict[str, Any]) -> Choice | None:
    """The choice in a note; None if there is none, or if it is about something else or is damaged."""
    try:
        content = json.loads(note.read() or "{}")
        choice = Choice(**content["choice"])
        known = choice.backend in get_args(Backend) and choice.precision in get_args(Precision)
        numbers = type(choice.batch_size) is int and choice.batch_size > 0
        faithful = float(choice.min_cosine) >= LEAST_COSINE and float(choice.items_per_second) > 0
        return choice if known and numbers and faithful and content["subject"] == subject else None
    except (OSError, WarehouseError, ValueError, TypeError, KeyError):
        return None


def _remember(note: SharedText, subject: dict[str, Any], choice: Choice) -> None:
    try:
        note.write(json.dumps({"subject": subject, "choice": asdict(choice)}, indent=2) + "\n")
    except WarehouseError as error:
        _log.warning("How a network runs fastest is not remembered: %s", error)
