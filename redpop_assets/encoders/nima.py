"""Neural image assessment (Talebi & Milanfar 2018): which ratings, 1 to 10, people would give a photograph.

Two forms, both ending in ten numbers under a softmax:

* a whole network, a backbone of timm with its classifier replaced by a linear layer of ten outputs (`load_nima`);
* the last layer alone, on the vectors of an encoder (`load_nima_head`), trained elsewhere on pictures one has ratings
  of; the paper's loss is the mean squared difference of the cumulative shares (eq. 1 with r = 2, without its root).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from redpop_assets.encoders.base import Provenance, weights_sha256
from redpop_assets.encoders.heads import RANDOM, ScorerProvenance, VectorScorer, vector_provenance
from redpop_assets.encoders.picture_network import (
    PictureNetwork,
    State,
    network_with_weights,
    read_weights,
    require_shapes,
)
from redpop_assets.encoders.weights import seeded
from redpop_assets.errors import SettingsError

SETTING: Final = "REDPOP_NIMA_WEIGHTS"
BACKBONE: Final = "mobilenetv2_100"
"""The backbone where none is named."""

BINS: Final = 10
_RATINGS = np.arange(1, BINS + 1, dtype=np.float64)


def rating_moments(distributions: npt.NDArray[np.floating]) -> dict[str, npt.NDArray[np.float32]]:
    """Mean and standard deviation of ratings from (n, 10) shares of the ratings 1 to 10.

    Returns:
        `score`, 1 to 10, and `spread`, 0 to 4.5, each (n,) float32.
    """
    shares = distributions.astype(np.float64)
    mean = shares @ _RATINGS
    variance = (shares * (_RATINGS - mean[:, None]) ** 2).sum(axis=1)
    return {"score": mean.astype(np.float32), "spread": np.sqrt(variance).astype(np.float32)}


class NimaNetwork:
    """An `ImageScorer`: `score` is the mean, `spread` the standard deviation of the ratings the network expects.

    The whole picture is squeezed to the input size of the backbone, so that its composition is judged and nothing is
    cropped; mean and deviation of the pixels are those of the backbone.
    """

    name = "nima"

    def __init__(
        self, network: torch.nn.Module, provenance: ScorerProvenance, *, device: str, batch_size: int | None
    ) -> None:
        from timm.data.config import resolve_model_data_config
        from timm.data.transforms import str_to_interp_mode
        from torchvision.transforms import Compose, Normalize, Resize, ToTensor

        self.provenance = provenance
        config = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
        interpolation = str_to_interp_mode(config["interpolation"])  # type: ignore[no-untyped-call]
        transform = Compose(
            [
                Resize(list(config["input_size"][1:]), interpolation),
                ToTensor(),
                Normalize(config["mean"], config["std"]),
            ]
        )
        rater = torch.nn.Sequential(network, torch.nn.Softmax(dim=1))
        self._network = PictureNetwork(rater, transform, BINS, device=device, batch_size=batch_size)

    def distributions(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Shares of the ratings 1 to 10, (n, 10) float32.

        Raises:
            RedPopError: An image cannot be read, or its output is not finite; the message names its index.
        """
        return self._network.run(images)

    def score(self, images: Sequence[Image.Image]) -> dict[str, npt.NDArray[np.float32]]:
        """Mean and standard deviation of the expected ratings, in the order of the images; see `ImageScorer.score`."""
        return rating_moments(self.distributions(images))


def load_nima(
    weights: str, *, backbone: str = BACKBONE, device: str = "cpu", batch_size: int | None = None
) -> NimaNetwork:
    """Load a whole network.

    Args:
        weights: Path of a state dictionary of `timm.create_model(backbone, num_classes=10)`; or the word random.
        backbone: A model of timm, such as mobilenetv2_100, vgg16 or inception_resnet_v2.
        device: cpu or cuda:<n>.
        batch_size: Images per forward pass, None to choose.

    Raises:
        SettingsError: `weights` is empty, or timm has no such model.
        WeightsUnavailable: There is no such file, or it holds other tensors.
    """
    import timm

    if not timm.is_model(backbone):
        raise SettingsError(f"timm has no model {backbone!r}: NIMA needs one of its models, such as {BACKBONE}.")

    def untrained() -> torch.nn.Module:
        with seeded():
            made: torch.nn.Module = timm.create_model(backbone, pretrained=False, num_classes=BINS)
        return made

    network = network_with_weights(untrained, weights, SETTING, f"NIMA ({backbone} of timm with {BINS} outputs)")
    provenance = ScorerProvenance(
        "nima",
        backbone,
        "random" if weights == RANDOM else "path",
        weights_sha256(network.state_dict()),
        f"timm {version('timm')} (torch {version('torch')})",
    )
    return NimaNetwork(network, provenance, device=device, batch_size=batch_size)


@dataclass(frozen=True)
class NimaHead:
    """The last layer of NIMA: `weight` (10, d) and `bias` (10,)."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def distributions(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Shares of the ratings 1 to 10 for (n, d) vectors: (n, 10) float32."""
        logits = vectors.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: npt.NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    def __call__(self, vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Mean and standard deviation of the expected ratings; see `rating_moments`."""
        return rating_moments(self.distributions(vectors))


def load_nima_head(weights: str, encoder: Provenance) -> VectorScorer:
    """Load the last layer alone, for the vectors of an encoder.

    Args:
        weights: Path of a file with the tensors `weight` (10, d) and `bias` (10,), safetensors or torch; or random.
        encoder: The encoder on whose vectors it was trained, as features.encoders records it.

    Raises:
        SettingsError: `weights` is empty.
        WeightsUnavailable: There is no such file, it holds other tensors, or they are for vectors of another dimension.
    """
    if weights == RANDOM:
        with seeded():
            state: State = torch.nn.Linear(encoder.dimension, BINS).state_dict()
    else:
        shapes = {"weight": (BINS, encoder.dimension), "bias": (BINS,)}
        model = f"a NIMA head on the {encoder.dimension} numbers of {encoder.encoder}"
        state = read_weights(weights, SETTING, model, lambda state: require_shapes(state, shapes))
    head = NimaHead(state["weight"].float().numpy(), state["bias"].float().numpy())
    return VectorScorer(encoder.dimension, head, vector_provenance("nima", weights, state, encoder))
