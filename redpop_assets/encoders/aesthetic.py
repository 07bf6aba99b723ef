"""How beautiful a picture is held to be, from its CLIP vector: the small heads that LAION and Schuhmann publish.

Two layouts of weights are read, both on L2-normalised vectors of 512 (ViT-B/32, B/16) or 768 (ViT-L/14) numbers:

* LAION aesthetic-predictor: one linear layer, `weight` (1, d) and `bias` (1,);
* improved-aesthetic-predictor: five linear layers with nothing but dropout between them, `layers.0`, `layers.2`,
  `layers.4`, `layers.6` and `layers.7`, which in evaluation are one linear function too.

A head fits only the CLIP whose vectors it was trained on; the dimension is checked, the rest is the deployment's word.
Scores are ratings of about 1 to 10.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.heads import RANDOM, VectorScorer, vector_provenance
from redpop_assets.encoders.picture_network import State, read_weights, require_shapes
from redpop_assets.encoders.weights import seeded

SETTING: Final = "REDPOP_AESTHETIC_WEIGHTS"

_LINEAR = ("",)
_LAYERS = ("layers.0.", "layers.2.", "layers.4.", "layers.6.", "layers.7.")


class AffineHead:
    """One number from a vector, through linear layers without activations.

    Args:
        layers: (weight (out, in), bias (out,)) of each layer, in order; the last one has one output.
    """

    def __init__(self, layers: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]) -> None:
        self._layers = layers

    def __call__(self, vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) vectors to `score` and a `spread` of 0."""
        values = vectors.astype(np.float32)
        for weight, bias in self._layers:
            values = values @ weight.T + bias
        return {"score": values[:, 0], "spread": np.zeros(len(values), np.float32)}


def load_aesthetic(weights: str, encoder: Provenance) -> VectorScorer:
    """Load a head for the vectors of an encoder.

    Args:
        weights: Path of a file in one of the two layouts; or the word random.
        encoder: The CLIP the head was trained on, as features.encoders records it.

    Raises:
        SettingsError: `weights` is empty.
        WeightsUnavailable: There is no such file, it holds other tensors, or they are for vectors of another dimension.
    """
    if weights == RANDOM:
        with seeded():
            state: State = torch.nn.Linear(encoder.dimension, 1).state_dict()
    else:
        model = f"an aesthetic head on the {encoder.dimension} numbers of {encoder.encoder}"
        state = read_weights(weights, SETTING, model, lambda state: _require_layout(state, encoder.dimension))
    layers = [(_numbers(state[f"{layer}weight"]), _numbers(state[f"{layer}bias"])) for layer in _layers(state)]
    return VectorScorer(encoder.dimension, AffineHead(layers), vector_provenance("aesthetic", weights, state, encoder))


def _layers(state: State) -> tuple[str, ...]:
    return _LAYERS if any(name.startswith("layers.") for name in state) else _LINEAR


def _require_layout(state: State, dimension: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    layers = _layers(state)
    inputs = dimension
    for layer in layers:
        bias = f"{layer}bias"
        if bias not in state:
            raise ValueError(f"it lacks the tensor {bias}")
        outputs = 1 if layer == layers[-1] else state[bias].numel()
        shapes |= {f"{layer}weight": (outputs, inputs), bias: (outputs,)}
        inputs = outputs
    require_shapes(state, shapes)


def _numbers(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    numbers: npt.NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return numbers
