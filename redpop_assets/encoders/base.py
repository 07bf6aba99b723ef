"""What an encoder is: content in, unit vectors out, and the record of which weights made them. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, Protocol

from redpop_assets.arrays import np, npt
from redpop_assets.encoders.names import EncoderName, WeightsKind
from redpop_assets.errors import RedPopError

if TYPE_CHECKING:
    import torch

CODE_VERSION = "2"
"""Version of preprocessing and pooling: raise it when the same content and weights would give another vector."""

Modality = Literal["image", "caption"]
Backend = Literal["torch", "openvino"]
Precision = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which network and which weights make the vectors: a row of `features.encoders`."""

    encoder: str
    modality: Modality
    dimension: int
    provenance: WeightsKind
    weights_sha256: str
    library: str


@dataclass(frozen=True, slots=True)
class Choice:
    """How an encoder runs on a processor, as a measurement chose it.

    Attributes:
        backend: Library that runs the network.
        precision: Numbers it computes with; what it returns is float32 in any case.
        batch_size: Items per forward pass.
        items_per_second: Measured throughput of the forward pass alone, all threads together.
        min_cosine: Smallest cosine between its vectors of the measured items and those of float32 in torch.
        processor: Where it was measured.
    """

    backend: Backend
    precision: Precision
    batch_size: int
    items_per_second: float
    min_cosine: float
    processor: str


class TextEncoder(Protocol):
    """Turns captions into vectors."""

    name: str
    dimension: int
    provenance: Provenance

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts, in their order: (n, dimension) float32, L2-normalised and finite.

        Raises:
            RedPopError: The vector of a text is zero or not finite; the message names its index.
        """
        ...


def describe(
    name: EncoderName, modality: Modality, dimension: int, state: Mapping[str, torch.Tensor], distribution: str
) -> Provenance:
    """Provenance of a loaded encoder; `distribution` is the Python package whose code runs it."""
    library = f"{distribution} {version(distribution)} (torch {version('torch')})"
    return Provenance(str(name), modality, dimension, name.provenance, weights_sha256(state), library)


def unit_rows(vectors: npt.NDArray[np.floating], item: str) -> npt.NDArray[np.float32]:
    """Divide each row of (n, d) by its Euclidean length; `item` names in errors what a row stands for.

    Raises:
        RedPopError: A row is zero or not finite.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if bad.size:
        raise RedPopError(
            f"The vector of {item} {bad[0]} (of {len(vectors)}, counted from 0) is zero or not finite: "
            "the weights of the encoder are damaged or do not fit its model."
        )
    unit: npt.NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return unit


def weights_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over the sorted names, types, shapes and bytes of all tensors, whatever their device and layout."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
