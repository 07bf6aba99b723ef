"""Intrinsic image popularity (Ding, Ma & Wang 2019): a ResNet-50 with one output, trained on pairs of pictures.

The published weights (github.com/dingkeyan93/Intrinsic-Image-Popularity) want what their authors feed them:
the whole picture squeezed to 224 x 224 (bilinear), values of 0 to 1, and **no** ImageNet mean and deviation. Nothing
is cropped: the picture's centre and its edges count alike, and its score is the same each time, whereas the evaluation
in the paper crops at random.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from redpop_assets.encoders.base import weights_sha256
from redpop_assets.encoders.heads import RANDOM, ScorerProvenance
from redpop_assets.encoders.picture_network import PictureNetwork, network_with_weights
from redpop_assets.encoders.weights import seeded

SETTING: Final = "REDPOP_IIPA_WEIGHTS"

_EDGE = 224  # pixels
_MODEL = "IIPA (ResNet-50 of torchvision, fc of 1 output)"


class IntrinsicPopularity:
    """An `ImageScorer`: l(image), the logit whose difference between two pictures says which one is more popular.

    Unbounded, and of no meaning alone: p(a above b) = logistic(score of a - score of b).
    """

    name = "iipa"

    def __init__(
        self, network: torch.nn.Module, provenance: ScorerProvenance, *, device: str, batch_size: int | None
    ) -> None:
        from torchvision.transforms import Compose, Resize, ToTensor

        self.provenance = provenance
        transform = Compose([Resize([_EDGE, _EDGE]), ToTensor()])
        self._network = PictureNetwork(network, transform, 1, device=device, batch_size=batch_size)

    def score(self, images: Sequence[Image.Image]) -> dict[str, npt.NDArray[np.float32]]:
        """Raw scores of the images, in their order; `spread` is 0. See `ImageScorer.score`."""
        scores = self._network.run(images)[:, 0]
        return {"score": scores, "spread": np.zeros_like(scores)}


def load_iipa(weights: str, *, device: str = "cpu", batch_size: int | None = None) -> IntrinsicPopularity:
    """Load the network.

    Args:
        weights: Path of a state dictionary in the names of torchvision's `resnet50` (timm's are the same) with
            `fc.weight` (1, 2048) and `fc.bias` (1,); or the word random.
        device: cpu or cuda:<n>.
        batch_size: Images per forward pass, None to choose.

    Raises:
        SettingsError: `weights` is empty.
        WeightsUnavailable: There is no such file, or it holds other tensors.
    """
    network = network_with_weights(_untrained, weights, SETTING, _MODEL)
    provenance = ScorerProvenance(
        "iipa",
        "resnet50",
        "random" if weights == RANDOM else "path",
        weights_sha256(network.state_dict()),
        f"torchvision {version('torchvision')} (torch {version('torch')})",
    )
    return IntrinsicPopularity(network, provenance, device=device, batch_size=batch_size)


def _untrained() -> torch.nn.Module:
    from torchvision.models import resnet50

    with seeded():
        network: torch.nn.Module = resnet50(weights=None, num_classes=1)
    return network
