"""Between encoders and the warehouse: stored pictures and captions in, rows of the feature tables out, chunk by chunk.

The functions here read, decode, encode and build rows at the same time, and go on while the caller writes a chunk.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.encoders.base import CODE_VERSION, Choice, Provenance
from redpop_assets.encoders.chunks import Chunk, Running, Unreadable
from redpop_assets.encoders.engine import Engine
from redpop_assets.encoders.image_network import ImageNetwork, ImageOutputs, Pixels
from redpop_assets.encoders.lanes import Batch, in_lanes, threads_per_pass
from redpop_assets.encoders.pictures import open_picture
from redpop_assets.encoders.preprocessing import common_edge
from redpop_assets.encoders.text_network import Rows, TextNetwork, Tokens, equal_lengths
from redpop_assets.encoders.tuning import tune
from redpop_assets.errors import RedPopError, StoreError
from redpop_assets.storage.images import ImageStore, ReadAhead
from redpop_assets.storage.shared_text import Memory

IMAGE_EMBEDDINGS = "features.image_embeddings"
IMAGE_CLASSES = "features.image_classes"
IMAGE_GRIDS = "features.image_grids"
CAPTION_EMBEDDINGS = "features.caption_embeddings"

_SAMPLED_IMAGES = 32
_SAMPLED_CAPTIONS = 512
_WINDOW = 2048  # captions that are tokenised at a time, while the network computes those before
_LARGEST_HALF = float(np.finfo(np.float16).max)


def image_chunks(
    encoders: Sequence[ImageNetwork], store: ImageStore, rows: pa.Table, *, chunk_size: int = 256
) -> Iterator[Chunk]:
    """Encode stored pictures with several encoders; each file is read and decoded once.

    JPEGs are decoded at a fraction of their size, as far as the most demanding encoder allows.

    Args:
        encoders: All on the same device.
        store: Where the pictures are.
        rows: With `image_sha256` and `path` (in the store).
        chunk_size: Pictures of a chunk; a chunk may have up to a batch more, the last one has fewer.

    Yields:
        Rows of features.image_embeddings, and of features.image_classes and features.image_grids for the encoders that
        were loaded to give them, in the order of `rows`. A picture that is missing, damaged or no picture has no rows
        and is listed instead.

    Raises:
        RedPopError: A vector is zero or not finite, or the device has too little memory.
    """
    engines = [encoder.engine for encoder in encoders]
    size = min(chunk_size, max(engine.batch_size for engine in engines))
    prepare, ahead = _preparation(encoders, store, rows)
    decoders = ThreadPoolExecutor(encoders[0].decoders, thread_name_prefix="redpop-decode")
    batches = (
        [decoders.submit(prepare, index) for index in range(start, min(start + size, rows.num_rows))]
        for start in range(0, rows.num_rows, size)
    )
    try:
        yield from _in_chunks(
            engines[0], batches, lambda batch: _encoded_images(encoders, batch), chunk_size=chunk_size, batch_size=size
        )
    finally:
        decoders.shutdown(wait=True, cancel_futures=True)
        ahead.close()


def caption_chunks(encoder: TextNetwork, rows: pa.Table, *, chunk_size: int = 4096) -> Iterator[Chunk]:
    """Encode captions, from short to long, so that those of one number of tokens lie together.

    Args:
        encoder: The encoder.
        rows: With `caption_sha256` and `caption`.
        chunk_size: Captions of a chunk; a chunk may have up to a batch more, the last one has fewer.

    Yields:
        Rows of features.caption_embeddings.

    Raises:
        RedPopError: A vector is zero or not finite, or the device has too little memory.
    """
    rows = rows.take(pc.sort_indices(pc.utf8_length(rows.column("caption"))))
    keys, texts = rows.column("caption_sha256").to_pylist(), rows.column("caption").to_pylist()
    size = min(chunk_size, encoder.engine.batch_size)

    def batches() -> Iterator[tuple[Tokens, Rows, int]]:
        for start in range(0, len(texts), _WINDOW):
            tokens = encoder.tokenise(texts[start : start + _WINDOW])
            for part in equal_lengths(tokens.lengths, size):
                yield tokens, part, start

    def encoded(batch: tuple[Tokens, Rows, int]) -> Chunk:
        tokens, part, start = batch
        own = [keys[start + row] for row in part]
        began = time.perf_counter()
        with _naming(encoder.name, own):
            vectors = encoder.run(tokens, part)
        took = (time.perf_counter() - began) / encoder.engine.lanes
        table = _embeddings(encoder.provenance, "caption_sha256", own, vectors)
        return Chunk({CAPTION_EMBEDDINGS: table}, len(own), (), {encoder.name: took}, [running(encoder)])

    yield from _in_chunks(encoder.engine, batches(), encoded, chunk_size=chunk_size, batch_size=size)


def tune_images(encoder: ImageNetwork, store: ImageStore, rows: pa.Table, folder: Memory | None) -> Choice | None:
    """Have the encoder run the fastest faithful way for the pictures that are due; see `tuning.tune`.

    Args:
        encoder: What to tune.
        store: Where the pictures are.
        rows: All that are due, with `image_sha256` and `path`; a few of them are measured with.
        folder: Where choices are remembered; None leaves the encoder as it is.
    """

    def sample() -> Pixels | None:
        some = rows.take(pa.array(_spread(rows.num_rows, _SAMPLED_IMAGES)))
        prepare, _ = _preparation([encoder], store, some)
        prepared = map(prepare, range(some.num_rows))
        pixels = [item.pixels[0] for item in prepared if isinstance(item, _Prepared)]
        return np.stack(pixels) if pixels else None

    return tune(encoder, sample, due=rows.num_rows, folder=folder)


def tune_captions(encoder: TextNetwork, rows: pa.Table, folder: Memory | None) -> Choice | None:
    """Have the encoder run the fastest faithful way for the captions that are due; as `tune_images`."""

    def sample() -> Tokens:
        some = rows.column("caption").take(pa.array(_spread(rows.num_rows, _SAMPLED_CAPTIONS)))
        return encoder.tokenise(some.to_pylist())

    return tune(encoder, sample, due=rows.num_rows, folder=folder)


def running(encoder: ImageNetwork | TextNetwork) -> Running:
    """An encoder as it runs now."""
    engine = encoder.engine
    return Running(encoder.provenance, engine.way.backend, engine.way.precision, engine.choice)


@dataclass(frozen=True)
class _Prepared:
    """A picture as each of several encoders looks at it."""

    image_sha256: str
    pixels: list[Pixels]


def _preparation(
    encoders: Sequence[ImageNetwork], store: ImageStore, rows: pa.Table
) -> tuple[Callable[[int], _Prepared | Unreadable], ReadAhead]:
    """A function that reads the picture of a row, once, and what reads for it."""
    keys, paths = rows.column("image_sha256").to_pylist(), rows.column("path").to_pylist()
    ahead = store.ahead(paths)
    edge = common_edge([encoder.preprocessing for encoder in encoders])

    def prepare(index: int) -> _Prepared | Unreadable:
        try:
            picture = open_picture(ahead.read(index), edge)
            return _Prepared(keys[index], [encoder.preprocessing.pixels(picture) for encoder in encoders])
        except StoreError:  # not this picture's fault, and the next ones would fare no better
            raise
        except (RedPopError, OSError) as error:
            return Unreadable(keys[index], paths[index], getattr(error, "reason", "file_unusable"), str(error))

    return prepare, ahead


def _encoded_images(encoders: Sequence[ImageNetwork], batch: Sequence[Future[_Prepared | Unreadable]]) -> Chunk:
    """Rows of one batch."""
    results = [future.result() for future in batch]
    pictures = [result for result in results if isinstance(result, _Prepared)]
    unreadable = [result for result in results if isinstance(result, Unreadable)]
    keys = [picture.image_sha256 for picture in pictures]
    tables: dict[str, list[pa.Table]] = {}
    seconds = {}
    for position, encoder in enumerate(encoders if pictures else ()):
        began = time.perf_counter()
        with _naming(encoder.name, keys):
            outputs = encoder.run(np.stack([picture.pixels[position] for picture in pictures]))
        seconds[encoder.name] = (time.perf_counter() - began) / encoder.engine.lanes
        for name, table in _image_tables(encoder.provenance, keys, outputs).items():
            tables.setdefault(name, []).append(table)
    joined = {name: pa.concat_tables(parts) for name, parts in tables.items()}
    return Chunk(joined, len(keys), unreadable, seconds, [running(encoder) for encoder in encoders])


def _image_tables(provenance: Provenance, keys: Sequence[str], outputs: ImageOutputs) -> dict[str, pa.Table]:
    tables = {IMAGE_EMBEDDINGS: _embeddings(provenance, "image_sha256", keys, outputs.vectors)}
    if outputs.probabilities is not None:
        columns = {**_key(provenance, "image_sha256", keys), "probabilities": _lists(outputs.probabilities)}
        tables[IMAGE_CLASSES] = pa.table(columns)
    if outputs.grids is not None:
        halves = outputs.grids.clip(-_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
        shape = dict(zip(("channels", "height", "width"), halves.shape[1:], strict=True))
        sizes = {name: pa.array([value] * len(keys), pa.int32()) for name, value in shape.items()}
        grids = pa.array([grid.tobytes() for grid in halves], pa.binary())
        tables[IMAGE_GRIDS] = pa.table({**_key(provenance, "image_sha256", keys), **sizes, "grid": grids})
    return tables


def _embeddings(provenance: Provenance, key: str, keys: Sequence[str], vectors: npt.NDArray[np.float32]) -> pa.Table:
    return pa.table({**_key(provenance, key, keys), "embedding": _lists(vectors)})


def _key(provenance: Provenance, key: str, keys: Sequence[str]) -> dict[str, pa.Array]:
    return {
        key: pa.array(keys, pa.string()),
        "encoder": pa.array([provenance.encoder] * len(keys), pa.string()),
        "code_version": pa.array([CODE_VERSION] * len(keys), pa.string()),
    }


def _lists(rows: npt.NDArray[np.float32]) -> pa.ListArray:
    """An array of (n, k) as a column of lists, which for several encoders differ in length."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.ravel()))


def _in_chunks(
    engine: Engine, batches: Iterable[Batch], encode: Callable[[Batch], Chunk], *, chunk_size: int, batch_size: int
) -> Iterator[Chunk]:
    """Encode batches in the lanes of an engine and put their rows together to chunks of at least `chunk_size`.

    A chunk more is being made while the caller has one, so that writing it does not stop the device.
    """
    ahead = engine.lanes + math.ceil(chunk_size / batch_size)
    waiting: list[Chunk] = []
    with (
        threads_per_pass(engine.threads),
        closing(in_lanes(batches, encode, lanes=engine.lanes, ahead=ahead)) as results,
    ):
        for result in results:
            waiting.append(result)
            if sum(part.items + len(part.unreadable) for part in waiting) >= chunk_size:
                yield _together(waiting)
                waiting = []
        if waiting:
            yield _together(waiting)


def _together(parts: Sequence[Chunk]) -> Chunk:
    names = dict.fromkeys(name for part in parts for name in part.tables)
    seconds: Counter[str] = Counter()
    for part in parts:
        seconds.update(part.device_seconds)
    return Chunk(
        {name: pa.concat_tables(part.tables[name] for part in parts if name in part.tables) for name in names},
        sum(part.items for part in parts),
        [picture for part in parts for picture in part.unreadable],
        dict(seconds),
        parts[-1].ran,
    )


def _spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of the indices below `count`, evenly spread."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(most, count)).astype(np.int64))


@contextmanager
def _naming(encoder: str, keys: Sequence[str]) -> Iterator[None]:
    """Errors say which encoder failed at which batch."""
    try:
        yield
    except RedPopError as error:
        raise RedPopError(f"{encoder} failed in the batch that begins with {keys[0]}: {error}") from error
