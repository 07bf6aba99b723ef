"""Who does the two kinds of work of which every row can be done by itself: asking URLs, and running networks.

A job says what is due and writes what comes back; an `Engine` has it done. `Local` does it in this process, and what it
calls is what other machines call as well (`redpop_assets.cluster`): there is one fetcher and one way to encode.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.shared_text import Memory

if TYPE_CHECKING:
    from redpop_assets.encoders.chunks import Chunk as Encoded
    from redpop_assets.images.download import Asking, Chunk, Row


@dataclass(frozen=True)
class Running:
    """How networks run.

    Attributes:
        store: where pictures are.
        device: auto, cpu, cuda or cuda:<n>.
        grids: whether the spatial grids of pictures are wanted.
        tuning: what remembers how each encoder runs fastest; None to run them all in torch and float32.
        chunk_size: pictures between two writes; of captions there are 16 times as many.
    """

    store: ImageStore
    device: str
    grids: bool
    tuning: Memory | None
    chunk_size: int

    @property
    def captions(self) -> int:
        """Captions between two writes."""
        return 16 * self.chunk_size


class Encoders(ABC):
    """Some encoders of pictures, ready to look at them."""

    @abstractmethod
    def gives_grids(self, name: str) -> bool:
        """Whether an encoder has a spatial grid to give."""

    @abstractmethod
    def chunks(self, names: Sequence[str], rows: pa.Table, due: Mapping[str, pa.Table]) -> Iterator["Encoded"]:
        """Encode pictures with several of the encoders; each file is read and decoded once.

        Args:
            names: of the encoders.
            rows: with `image_sha256` and `path`.
            due: all pictures that each encoder has yet to see, by its name; to choose by how it runs.
        """


class Engine(ABC):
    """Has work done that falls into parts. Errors are those of the functions that do it."""

    @abstractmethod
    def fetched(self, due: "list[Row]", asking: "Asking") -> Iterator["Chunk"]:
        """Ask URLs; see `redpop_assets.images.download.fetched`."""

    @abstractmethod
    def image_encoders(self, names: Sequence[str], running: Running) -> Encoders:
        """The encoders of pictures of these names."""

    @abstractmethod
    def captions(self, name: str, rows: pa.Table, running: Running) -> Iterator["Encoded"]:
        """Encode captions; rows have `caption_sha256` and `caption`."""


class Local(Engine):
    """Does it in this process."""

    def fetched(self, due: "list[Row]", asking: "Asking") -> Iterator["Chunk"]:
        """Ask URLs, many at once."""
        from redpop_assets.images.download import fetched

        return fetched(due, asking)

    def image_encoders(self, names: Sequence[str], running: Running) -> Encoders:
        """Load the encoders."""
        return LoadedPictures(names, running)

    def captions(self, name: str, rows: pa.Table, running: Running) -> Iterator["Encoded"]:
        """Load the encoder, and encode."""
        return LoadedCaptions(name, running).chunks(rows)


class LoadedCaptions:
    """An encoder of captions, loaded; it chooses how it runs when it is first asked."""

    def __init__(self, name: str, running: Running) -> None:
        from redpop_assets.encoders.load import load_text_encoder

        self._running = running
        self._encoder = load_text_encoder(name, device=running.device)
        self._tuned = False

    def chunks(self, rows: pa.Table) -> Iterator["Encoded"]:
        """Encode captions; rows have `caption_sha256` and `caption`."""
        from redpop_assets.encoders.rows import caption_chunks, tune_captions

        if not self._tuned:
            tune_captions(self._encoder, rows, self._running.tuning)
            self._tuned = True
        return caption_chunks(self._encoder, rows, chunk_size=self._running.captions)


class LoadedPictures(Encoders):
    """Encoders of pictures, loaded; each chooses how it runs when it is first asked."""

    def __init__(self, names: Sequence[str], running: Running) -> None:
        from redpop_assets.encoders.load import load_image_encoder

        self._running = running
        self._encoders = {
            name: load_image_encoder(
                name, device=running.device, grids=running.grids, probabilities=name.startswith("timm:")
            )
            for name in names
        }
        self._tuned: set[str] = set()

    def gives_grids(self, name: str) -> bool:
        """Whether the network is one that has them."""
        return "grids" in self._encoders[name].outputs

    def chunks(self, names: Sequence[str], rows: pa.Table, due: Mapping[str, pa.Table]) -> Iterator["Encoded"]:
        """Encode, after the choice of how each encoder runs."""
        from redpop_assets.encoders.rows import image_chunks, tune_images

        running = self._running
        for name in set(names) - self._tuned:
            tune_images(self._encoders[name], running.store, due[name], running.tuning)
            self._tuned.add(name)
        chosen = [self._encoders[name] for name in names]
        return image_chunks(chosen, running.store, rows, chunk_size=running.chunk_size)
