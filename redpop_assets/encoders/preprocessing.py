"""From a picture to the pixels a network looks at, as its library prepares them for evaluation.

The library's transform is taken apart. Its resizing is done by torch on bytes, which follows the same antialiased
formula as Pillow and gives the same bytes but for rounding, in half the time; it also takes pictures that end within a
pixel, as scaling decoders give them. Cropping is the library's own step. A transform with other steps runs in Pillow as
it is. The scaling of values that ends a transform is left to the network's device. All of it releases Python's lock.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms import CenterCrop, InterpolationMode, Normalize, Resize

from redpop_assets.encoders.pictures import Picture
from redpop_assets.errors import RedPopError

_MODES = {InterpolationMode.BILINEAR: "bilinear", InterpolationMode.BICUBIC: "bicubic"}


class Preprocessing:
    """A library's evaluation transform.

    Attributes:
        edge: The longest edge that is asked of a resized picture (pixels); None where it has to be decoded in full.
        mean: Per channel, (3,) float32, of values from 0 to 1; subtracted on the device.
        std: Likewise; divided by.

    Args:
        transform: torchvision `Compose` that ends with a conversion to a tensor and `Normalize`, as those of timm and
            open_clip do.

    Raises:
        RedPopError: The transform ends otherwise.
    """

    def __init__(self, transform: Any) -> None:
        # Pictures are in RGB already. The class is named, because importing open_clip takes seconds.
        steps = [step for step in transform.transforms if type(step).__name__ != "MaybeConvertMode"]
        *self._steps, to_tensor, normalise = steps
        if not isinstance(normalise, Normalize) or "ToTensor" not in type(to_tensor).__name__:
            raise RedPopError(f"This preprocessing is not supported: {transform}. Choose another model.")
        self.mean = torch.as_tensor(normalise.mean, dtype=torch.float32)
        self.std = torch.as_tensor(normalise.std, dtype=torch.float32)
        self._resize, self._crop = _taken_apart(self._steps)
        self.edge = None if self._resize is None else int(np.max(self._resize.size))

    def pixels(self, picture: Picture) -> npt.NDArray[np.uint8]:
        """Resized and cropped: (height, width, 3) uint8."""
        image = picture.rgb.convert("RGB")
        if self._resize is None:
            for step in self._steps:
                image = step(image)
            return np.asarray(image)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        tensor = self._crop(_resized(tensor, picture, self._resize))
        return np.ascontiguousarray(tensor.permute(1, 2, 0).numpy())


def common_edge(preprocessings: Sequence[Preprocessing]) -> int | None:
    """The edge for which a picture has to be decoded to serve all of them."""
    edges = [preprocessing.edge for preprocessing in preprocessings]
    known = [edge for edge in edges if edge is not None]
    return max(known) if len(known) == len(edges) else None


def _taken_apart(steps: Sequence[Any]) -> tuple[Any, Callable[[torch.Tensor], torch.Tensor]]:
    """The resizing and the cropping of a transform that has no other steps; None for the first if it has."""
    match steps:
        case [Resize() as resize, *rest] if resize.interpolation in _MODES and resize.max_size is None:
            match rest:
                case []:
                    return resize, lambda tensor: tensor
                case [CenterCrop() as crop]:
                    return resize, crop
    return None, lambda tensor: tensor


def _resized(tensor: torch.Tensor, picture: Picture, resize: Any) -> torch.Tensor:
    """A (3, height, width) uint8 tensor in the size that the step of torchvision would give it."""
    if isinstance(resize.size, int) or len(resize.size) == 1:
        shorter = resize.size if isinstance(resize.size, int) else resize.size[0]
        # Cut off to whole pixels as torchvision does it.
        least = min(picture.width, picture.height)
        height, width = int(shorter * picture.height / least), int(shorter * picture.width / least)
    else:
        height, width = resize.size
    target: dict[str, Any] = {"size": (height, width)}
    if (picture.width, picture.height) != picture.rgb.size:
        # The size becomes the product cut off to whole pixels, which must not fall below because of rounding.
        factors = (height / picture.height, width / picture.width)
        target = {"scale_factor": [factor * (1 + 1e-9) for factor in factors]}
    mode = _MODES[resize.interpolation]
    return torch.nn.functional.interpolate(tensor[None], mode=mode, antialias=True, align_corners=False, **target)[0]
