"""Running a network that judges pictures (a classifier, a rater), and reading its weights from a file, strictly."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from timm.models import load_state_dict

from redpop_assets.encoders.heads import RANDOM
from redpop_assets.encoders.weights import from_path
from redpop_assets.errors import RedPopError, SettingsError, WeightsUnavailable

_BATCH_ON_CPU = 8
_BATCH_ON_GPU = 64
_MOST_THREADS = 16

State = dict[str, torch.Tensor]


class PictureNetwork:
    """A network and the transform that turns a picture into its input; runs in float32.

    Args:
        network: Maps (n, 3, h, w) to (n, k); it is moved to the device and set to evaluation.
        transform: Maps an RGB picture to (3, h, w), of one size for all pictures.
        outputs: k.
        device: cpu or cuda:<n>.
        batch_size: Images per forward pass, None to choose.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        transform: Callable[[Image.Image], torch.Tensor],
        outputs: int,
        *,
        device: str,
        batch_size: int | None,
    ) -> None:
        self._device = torch.device(device)
        self._network = network.eval().to(self._device)
        self._transform = transform
        self._outputs = outputs
        self._batch_size = batch_size or (_BATCH_ON_GPU if self._device.type == "cuda" else _BATCH_ON_CPU)

    def run(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Outputs of the network, (n, k) float32. Each image is asked for once, by a worker thread.

        Raises:
            RedPopError: An image cannot be read, or an output is not finite; the message names the image's index.
        """
        outputs = np.empty((len(images), self._outputs), np.float32)
        with ThreadPoolExecutor(min(_MOST_THREADS, torch.get_num_threads())) as pool:
            for start in range(0, len(images), self._batch_size):
                indices = range(start, min(start + self._batch_size, len(images)))
                batch = torch.stack(list(pool.map(lambda index: self._input(images, index), indices)))
                with torch.inference_mode():
                    outputs[indices.start : indices.stop] = self._network(batch.to(self._device)).float().cpu().numpy()
        bad = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if bad.size:
            raise RedPopError(
                f"The network's output for image {bad[0]} (of {len(images)}, counted from 0) is not finite: "
                "its weights are damaged."
            )
        return outputs

    def _input(self, images: Sequence[Image.Image], index: int) -> torch.Tensor:
        try:
            return self._transform(images[index].convert("RGB"))
        except (OSError, ValueError) as error:
            raise RedPopError(f"Image {index} (of {len(images)}, counted from 0) cannot be read: {error}") from error


def read_weights(weights: str, setting: str, model: str, accept: Callable[[State], None]) -> State:
    """Tensors of a file: safetensors, or a state dictionary saved by torch, alone or under `state_dict`.

    Files are read without running any code in them (`weights_only`); a prefix `module.` of the names is dropped.

    Args:
        weights: Path, `~` is expanded.
        setting: Setting that holds the path, for the messages.
        model: What the weights must fit, for the messages.
        accept: Raises when the tensors do not fit.

    Raises:
        SettingsError: The path is empty.
        WeightsUnavailable: There is no such file, or its tensors do not fit.
    """
    if not weights.strip():
        raise SettingsError(
            f"{setting} is not set: give the path of a file with the weights of {model} (safetensors or torch)."
        )
    path = Path(weights).expanduser()
    try:
        with from_path(path, model):
            state: State = load_state_dict(str(path), weights_only=True)
            accept(state)
    except WeightsUnavailable as error:
        raise WeightsUnavailable(f"The weights of {model} cannot be had: {error} Change {setting}.") from error
    return state


def load_strictly(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load exactly the tensors of the network.

    Raises:
        ValueError: A tensor is missing, has another shape or does not belong; the message names it.
    """
    require_shapes(state, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    network.load_state_dict(dict(state))


def require_shapes(state: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that tensors have exactly these names and shapes.

    Raises:
        ValueError: They have not; the message names the first tensor that differs.
    """
    for name, shape in shapes.items():
        if name not in state:
            raise ValueError(f"it lacks the tensor {name}")
        if tuple(state[name].shape) != shape:
            raise ValueError(f"the tensor {name} is of shape {tuple(state[name].shape)} where {shape} is needed")
    if extra := sorted(set(state) - set(shapes)):
        raise ValueError(f"the tensor {extra[0]} does not belong")


def network_with_weights(
    make: Callable[[], torch.nn.Module], weights: str, setting: str, model: str
) -> torch.nn.Module:
    """The network that `make` makes untrained, with the weights of a file, or as it is for `random`.

    Raises:
        SettingsError: No weights are named.
        WeightsUnavailable: They cannot be had.
    """
    network = make()
    if weights != RANDOM:
        read_weights(weights, setting, model, lambda state: load_strictly(network, state))
    return network
