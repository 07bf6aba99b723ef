"""An image encoder from a torch network and the preprocessing of its library: batches, devices, threads.

Preprocessing runs in threads beside the forward pass. Threads only do what releases Python's lock (decoding, resizing,
cropping, all in Pillow) and hand over bytes; scaling and normalising happen once per batch on the device. Pillow's rows
of interleaved channels are already torch's channels_last layout, which convolutions want on CPU and GPU alike.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torchvision.transforms import Normalize

from redpop_assets.encoders.base import describe, unit_rows
from redpop_assets.encoders.batches import ShrinkingBatches
from redpop_assets.encoders.names import EncoderName
from redpop_assets.errors import RedPopError

_BATCH_ON_CPU = 8  # activations of a small batch stay in the caches
_BATCH_ON_GPU = 256
_MOST_THREADS = 16
_BATCHES_AHEAD = 2


class Preprocessing:
    """A library's evaluation transform, taken apart into Pillow steps and the scaling that ends it.

    Args:
        transform: torchvision `Compose` that ends with a conversion to a tensor and `Normalize`, as those of timm and
            open_clip do.

    Raises:
        RedPopError: The transform ends otherwise.
    """

    def __init__(self, transform: Any) -> None:
        *self._steps, to_tensor, normalise = transform.transforms
        if not isinstance(normalise, Normalize) or "ToTensor" not in type(to_tensor).__name__:
            raise RedPopError(f"This preprocessing is not supported: {transform}. Choose another model.")
        self.mean = torch.as_tensor(normalise.mean, dtype=torch.float32).reshape(3, 1, 1)
        self.std = torch.as_tensor(normalise.std, dtype=torch.float32).reshape(3, 1, 1)

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Resized and cropped: (height, width, 3) uint8."""
        image = image.convert("RGB")
        for step in self._steps:
            image = step(image)
        return np.asarray(image)


class ImageNetwork:
    """An `ImageEncoder` around a network that maps (n, 3, h, w) to (n, d).

    On CUDA the forward pass runs in float16 (autocast): EfficientNet-Lite's vectors keep a cosine above 0.9998 to
    those of float32, while in bfloat16 some fall to 0.988. A batch that overflows float16 runs again in float32.

    Args:
        name: The encoder's name.
        network: The network; it is moved to the device and set to evaluation.
        state: All weights the name stands for, for the digest.
        transform: The library's evaluation transform.
        device: As `resolve_device` returns it.
        batch_size: Images per forward pass, None to choose.
        distribution: Python package that defines the network.
        half: Whether the forward pass runs in float16; None means on CUDA only.
    """

    def __init__(
        self,
        name: EncoderName,
        network: torch.nn.Module,
        state: dict[str, torch.Tensor],
        transform: Any,
        *,
        device: str,
        batch_size: int | None,
        distribution: str,
        half: bool | None = None,
    ) -> None:
        self.name = str(name)
        self._device = torch.device(device)
        self._network = network.eval().to(self._device).to(memory_format=torch.channels_last)
        self._preprocessing = Preprocessing(transform)
        self._mean = self._preprocessing.mean.to(self._device)
        self._std = self._preprocessing.std.to(self._device)
        self._half = self._device.type == "cuda" if half is None else half
        self._batches = ShrinkingBatches(
            batch_size or (_BATCH_ON_GPU if self._device.type == "cuda" else _BATCH_ON_CPU)
        )
        grey = self._preprocessing.pixels(Image.new("RGB", (256, 256), (128, 128, 128)))
        self.dimension = int(self._features(np.stack([grey])).shape[1])
        self.provenance = describe(name, "image", self.dimension, state, distribution)

    def encode(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Vectors of the images, in their order; see `ImageEncoder.encode`."""
        parts = []
        with ThreadPoolExecutor(min(_MOST_THREADS, torch.get_num_threads())) as pool:
            for pixels in self._prepared(images, pool):
                parts += self._batches.run(self._features, pixels)
        vectors = np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)
        return unit_rows(vectors, "image")

    def _prepared(self, images: Sequence[Image.Image], pool: ThreadPoolExecutor) -> Iterator[npt.NDArray[np.uint8]]:
        """Batches of pixels; while the caller works on one, the pool works on the next ones."""
        size = self._batches.size
        ahead: deque[Iterator[npt.NDArray[np.uint8]]] = deque()
        for start in range(0, len(images), size):
            ahead.append(pool.map(lambda i: self._pixels(images, i), range(start, min(start + size, len(images)))))
            if len(ahead) > _BATCHES_AHEAD:
                yield np.stack(list(ahead.popleft()))
        while ahead:
            yield np.stack(list(ahead.popleft()))

    def _pixels(self, images: Sequence[Image.Image], index: int) -> npt.NDArray[np.uint8]:
        try:
            return self._preprocessing.pixels(images[index])
        except (OSError, ValueError) as error:
            raise RedPopError(f"Image {index} (of {len(images)}, counted from 0) cannot be read: {error}") from error

    def _features(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            scaled = batch.float().div_(255).sub_(self._mean).div_(self._std)
            with torch.autocast(self._device.type, dtype=torch.float16, enabled=self._half):
                features = self._network(scaled)
            if self._half and not torch.isfinite(features).all():
                features = self._network(scaled)
        result: npt.NDArray[np.float32] = features.float().cpu().numpy()
        return result
