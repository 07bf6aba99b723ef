"""What a judge of pictures is: pictures in, scores out, and the record of which weights gave them. Imports no torch.

The judges: `redpop_assets.encoders.iipa` (intrinsic popularity), `nima` (how people would rate a photograph) and
`aesthetic` (the same from CLIP's vectors). Their scores are published raw, on the scale of their training; what a score
means for a community is its percentile there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Literal, Protocol

from redpop_assets.arrays import np, npt
from redpop_assets.encoders.base import Provenance, weights_sha256

if TYPE_CHECKING:
    import torch
    from PIL import Image

CODE_VERSION: Final = "1"
"""Raise it when the same picture and weights would get another score."""

RANDOM: Final = "random"
"""Written instead of a path, it stands for an untrained network."""


@dataclass(frozen=True, slots=True)
class ScorerProvenance:
    """Which judge and which weights gave the scores: columns of `features.image_scores`.

    `scorer` is iipa, nima or aesthetic; `network` names what the weights belong to (an architecture, or an encoder);
    `weights` is random as soon as any part is untrained, and path otherwise.
    """

    scorer: str
    network: str
    weights: Literal["path", "random"]
    weights_sha256: str
    library: str


class ImageScorer(Protocol):
    """Turns pictures into scores."""

    name: str
    provenance: ScorerProvenance

    def score(self, images: Sequence[Image.Image]) -> dict[str, npt.NDArray[np.float32]]:
        """Scores of the images, in their order.

        Returns:
            Two columns, each (n,) float32 and finite: `score`, higher is better liked, and `spread`, the standard
            deviation of the ratings the judge expects, 0 from a judge that gives a number only.

        Raises:
            RedPopError: An image cannot be read or its score is not finite; the message names its index.
        """
        ...


class VectorHead(Protocol):
    """A small head on the vectors of an encoder."""

    def __call__(self, vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) L2-normalised vectors to `score` and `spread`, as in `ImageScorer`."""
        ...


class VectorScorer:
    """A judge that looks at the stored vectors of an encoder instead of at pictures."""

    def __init__(self, dimension: int, head: VectorHead, provenance: ScorerProvenance) -> None:
        self.name = provenance.scorer
        self.provenance = provenance
        self._dimension = dimension
        self._head = head

    def score_vectors(self, vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Scores from (n, d) vectors of the encoder, L2-normalised: `score` and `spread`, as in `ImageScorer`.

        Raises:
            ValueError: The vectors have another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            raise ValueError(f"vectors of shape {vectors.shape} came where (n, {self._dimension}) is needed")
        return self._head(vectors)


def vector_provenance(
    scorer: str, weights: str, state: Mapping[str, torch.Tensor], encoder: Provenance
) -> ScorerProvenance:
    """Provenance of a head on vectors: its digest covers the head and the encoder, and so does `random`."""
    both = f"{weights_sha256(state)}\0{encoder.weights_sha256}"
    untrained = weights == RANDOM or encoder.provenance == RANDOM
    return ScorerProvenance(
        scorer,
        encoder.encoder,
        "random" if untrained else "path",
        hashlib.sha256(both.encode()).hexdigest(),
        f"{encoder.library}, numpy {version('numpy')}",
    )
