"""A text encoder from a torch network and the tokenizer of its library, in batches of equal length.

Captions are taken in the order of their token counts, and a batch holds captions of one count only: no place in it is
padding, which would cost as much as a word.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from redpop_assets.encoders.base import describe, unit_rows
from redpop_assets.encoders.engine import Engine, Forward
from redpop_assets.encoders.lanes import in_lanes, threads_per_pass
from redpop_assets.encoders.names import EncoderName

_BATCH_ON_CPU = 32
_BATCH_ON_GPU = 512

Rows = npt.NDArray[np.intp]


class Tokens(Protocol):
    """Captions as a network reads them."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Token counts, (n,)."""
        ...

    def take(self, rows: Rows) -> Sequence[torch.Tensor]:
        """Inputs of the network for some captions of one length."""
        ...


@dataclass(frozen=True)
class PaddedTokens:
    """Captions in tensors of (n, longest), where `kept` is false at padding."""

    inputs: tuple[torch.Tensor, ...]
    kept: torch.Tensor

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Token counts, (n,)."""
        counts: npt.NDArray[np.int64] = self.kept.sum(dim=1).numpy()
        return counts

    def take(self, rows: Rows) -> tuple[torch.Tensor, ...]:
        """The tensors without padding, (len(rows), length)."""
        index = torch.from_numpy(rows)
        columns = self.kept[int(rows[0])]
        return tuple(tensor[index][:, columns] for tensor in self.inputs)


@dataclass(frozen=True)
class UnpaddedTokens:
    """Captions for a network whose inputs are no table with a row per caption; tokenised batch by batch."""

    texts: Sequence[str]
    tokenise: Callable[[list[str]], Sequence[torch.Tensor]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """All the same, for any captions fit together."""
        return np.zeros(len(self.texts), np.int64)

    def take(self, rows: Rows) -> Sequence[torch.Tensor]:
        """Inputs of the network."""
        return self.tokenise([self.texts[row] for row in rows])


class TextNetwork:
    """A `TextEncoder` around a network that maps token tensors to a tuple of one (n, d).

    On CUDA it runs in float16, as `ImageNetwork` does.

    Args:
        name: The encoder's name.
        network: The network, in a module that has it as its child `network`.
        tokenise: Captions to tokens.
        state: All weights the name stands for, for the digest.
        devices: As `resolve_devices` returns them.
        batch_size: Captions per forward pass, None to choose.
        distribution: Python package that defines the network.
    """

    def __init__(
        self,
        name: EncoderName,
        network: torch.nn.Module,
        tokenise: Callable[[list[str]], Tokens],
        state: dict[str, torch.Tensor],
        *,
        devices: Sequence[str],
        batch_size: int | None,
        distribution: str,
    ) -> None:
        self.name = str(name)
        self.outputs: tuple[str, ...] = ("vectors",)
        self.tokenise = tokenise
        probe = tokenise(["a probe of the network", "a probe of the network"])
        self.engine = Engine(
            network,
            probe.take(np.arange(2)),
            devices,
            batch_size=batch_size or (_BATCH_ON_CPU if devices[0] == "cpu" else _BATCH_ON_GPU),
            batch_sizes=(16, 64),
        )
        self.dimension = int(self.engine.run(probe.take, np.arange(1))[0].shape[1])
        self.provenance = describe(name, "caption", self.dimension, state, distribution)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts, in their order; see `TextEncoder.encode`."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        if not len(texts):
            return vectors
        tokens = self.tokenise(list(texts))
        batches = list(equal_lengths(tokens.lengths, self.engine.batch_size))
        if len(batches) == 1:
            vectors[batches[0]] = self._raw(tokens, batches[0])
        else:
            lanes = self.engine.lanes
            with threads_per_pass(self.engine.threads):
                parts = in_lanes(batches, lambda rows: self._raw(tokens, rows), lanes=lanes, ahead=4 * lanes)
                for rows, part in zip(batches, parts, strict=True):
                    vectors[rows] = part
        return unit_rows(vectors, "text")

    def run(self, tokens: Tokens, rows: Rows) -> npt.NDArray[np.float32]:
        """Vectors of captions of one length, (n, dimension); may be called from several threads at once.

        Raises:
            RedPopError: A vector is zero or not finite; the message names its index.
        """
        return unit_rows(self._raw(tokens, rows), "text")

    def vectors(self, sample: Tokens, forward: Forward, batch_size: int) -> tuple[npt.NDArray[np.float32], float]:
        """Vectors of captions and captions per second, with another way to run the network; for tuning."""
        batches = list(equal_lengths(sample.lengths, batch_size))
        return self.engine.measured(batches, lambda rows: forward(*sample.take(rows))[0], len)

    def _raw(self, tokens: Tokens, rows: Rows) -> npt.NDArray[np.float32]:
        return self.engine.run(tokens.take, rows)[0]


def equal_lengths(lengths: npt.NDArray[np.int64], size: int) -> Iterator[Rows]:
    """Rows in batches of at most `size`, from short to long; all rows of a batch have one length."""
    order = np.argsort(lengths, kind="stable")
    for same in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        for start in range(0, len(same), size):
            yield same[start : start + size]
