"""Neural image assessment (Talebi & Milanfar 2018): which ratings, 1 to 10, people would give a photograph.

Two forms, both ending in ten numbers under a softmax:

* a whole network, a backbone of timm with its classifier replaced by a linear layer of ten outputs (`load_nima`);
* the last layer alone, on the vectors of an encoder (`load_nima_head`), which `fit_nima_head` trains on pictures one
  has ratings of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
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


def earth_movers_distance(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], r: float = 2
) -> npt.NDArray[np.float64]:
    """Distance of two distributions over ordered ratings, row by row (Talebi & Milanfar 2018, eq. 1).

    EMD = (mean over the ratings of |CDF_first - CDF_second|^r)^(1/r). The CDFs are cumulative sums: the same formula on
    the bare shares forgets that 9 is nearer to 10 than 1 is, and a network trained on it says about 5 to everything.

    Args:
        first: (n, 10), rows that sum to 1.
        second: As `first`.
        r: 2 in training; 1 is the earth mover's distance in the narrow sense, over ten.

    Returns:
        (n,) float64, 0 to 0.9^(1/r).
    """
    gaps = np.abs(np.cumsum(first, axis=1, dtype=np.float64) - np.cumsum(second, axis=1, dtype=np.float64))
    distances: npt.NDArray[np.float64] = (gaps**r).mean(axis=1) ** (1 / r)
    return distances


def squared_emd_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of the squared `earth_movers_distance` (r = 2) of (n, 10) distributions: eq. 1 without its root.

    The root has no gradient where a prediction is perfect; the minimum is the same.
    """
    gaps = torch.cumsum(predicted, dim=1) - torch.cumsum(target, dim=1)
    return gaps.square().mean()


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
    """The last layer of NIMA: `weight` (10, d), `bias` (10,), and the loss after each step of its training."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    losses: tuple[float, ...] = ()

    def distributions(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Shares of the ratings 1 to 10 for (n, d) vectors: (n, 10) float32."""
        logits = vectors.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: npt.NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    def __call__(self, vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Mean and standard deviation of the expected ratings; see `rating_moments`."""
        return rating_moments(self.distributions(vectors))

    def save(self, path: Path) -> None:
        """Write the two tensors as safetensors, for `load_nima_head`."""
        from safetensors.numpy import save_file

        save_file({"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}, path)


def load_nima_head(weights: str, encoder: Provenance) -> VectorScorer:
    """Load the last layer alone, for the vectors of an encoder.

    Args:
        weights: Path of a file with `weight` (10, d) and `bias` (10,), as `NimaHead.save` writes it; or random.
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


def fit_nima_head(
    vectors: npt.NDArray[np.float32],
    ratings: npt.NDArray[np.floating],
    *,
    steps: int = 300,
    learning_rate: float = 0.05,
    weight_decay: float = 1e-4,
) -> NimaHead:
    """Train the last layer on rated pictures: `squared_emd_loss`, AdamW on the whole set, from zero, so deterministic.

    Args:
        vectors: (n, d) vectors of an encoder, L2-normalised.
        ratings: (n, 10), how many people gave each rating 1 to 10, or their shares.
        steps: Steps of the optimiser.
        learning_rate: Of Adam.
        weight_decay: L2 penalty, decoupled.

    Raises:
        ValueError: Shapes do not fit, or a picture has no rating or a negative one.
    """
    if ratings.ndim != 2 or ratings.shape != (len(vectors), BINS) or not len(vectors):
        raise ValueError(f"ratings of shape {ratings.shape} came where ({len(vectors)}, {BINS}), not empty, is needed")
    totals = ratings.sum(axis=1, keepdims=True)
    if not (np.isfinite(ratings).all() and (ratings >= 0).all() and (totals > 0).all()):
        raise ValueError("each picture needs ratings that are not negative, and at least one")
    inputs = torch.from_numpy(vectors.astype(np.float32))
    targets = torch.from_numpy((ratings / totals).astype(np.float32))
    weight = torch.zeros(BINS, inputs.shape[1], requires_grad=True)
    bias = torch.zeros(BINS, requires_grad=True)
    optimiser = torch.optim.AdamW([weight, bias], lr=learning_rate, weight_decay=weight_decay)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = squared_emd_loss(torch.softmax(inputs @ weight.T + bias, dim=1), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return NimaHead(weight.detach().numpy(), bias.detach().numpy(), tuple(losses))
