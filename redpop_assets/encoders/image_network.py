"""An image encoder from a torch network and the preprocessing of its library."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from redpop_assets.encoders.base import describe, unit_rows
from redpop_assets.encoders.engine import Engine, Forward
from redpop_assets.encoders.lanes import in_lanes, threads_per_pass
from redpop_assets.encoders.names import EncoderName
from redpop_assets.encoders.pictures import whole
from redpop_assets.encoders.preprocessing import Preprocessing
from redpop_assets.errors import RedPopError

_BATCH_ON_CPU = 8  # activations of a small batch stay in the caches
_BATCH_ON_GPU = 256
_MOST_DECODERS = 16

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageOutputs:
    """What a network says of n pictures, in their order.

    Attributes:
        vectors: (n, dimension) float32, L2-normalised and finite.
        grids: (n, channels, height, width) float32, the last features before pooling; None if not asked for, or if the
            network has none.
        probabilities: (n, classes) float32, rows sum to 1; None likewise.
    """

    vectors: npt.NDArray[np.float32]
    grids: npt.NDArray[np.float32] | None = None
    probabilities: npt.NDArray[np.float32] | None = None


class ImageNetwork:
    """Turns pictures into vectors, by a network that maps (n, 3, h, w) to (n, d).

    A network may give more: then it returns a tuple, and its attribute `outputs` names the members in order, the first
    being `vectors` and the others fields of `ImageOutputs`.

    On CUDA the forward pass runs in float16 (autocast): EfficientNet-Lite's vectors keep a cosine above 0.9998 to
    those of float32, while in bfloat16 some fall to 0.988. A batch that overflows float16 runs again in float32.

    Args:
        name: The encoder's name.
        network: The network; it is moved to the device and set to evaluation.
        state: All weights the name stands for, for the digest.
        transform: The library's evaluation transform.
        devices: As `resolve_devices` returns them.
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
        devices: Sequence[str],
        batch_size: int | None,
        distribution: str,
        half: bool | None = None,
    ) -> None:
        self.name = str(name)
        self.preprocessing = Preprocessing(transform)
        self.outputs: tuple[str, ...] = getattr(network, "outputs", ("vectors",))
        self._grey = self.preprocessing.pixels(whole(Image.new("RGB", (256, 256), (128, 128, 128))))
        self.engine = Engine(
            _FromPixels(network.to(memory_format=torch.channels_last), self.preprocessing),
            _tensors(np.stack([self._grey, self._grey])),
            devices,
            batch_size=batch_size or (_BATCH_ON_CPU if devices[0] == "cpu" else _BATCH_ON_GPU),
            batch_sizes=(4, 16),
            precision=None if half is None else "float16" if half else "float32",
        )
        self.dimension = int(self.engine.run(_tensors, self._grey[None])[0].shape[1])
        self.provenance = describe(name, "image", self.dimension, state, distribution)

    @property
    def decoders(self) -> int:
        """Threads that decode pictures beside the forward passes."""
        return min(_MOST_DECODERS, self.engine.cores)

    def encode(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Vectors of the images, in their order: (n, dimension) float32, L2-normalised and finite.

        Each item is asked for once, by a worker thread, shortly before the network needs it: a sequence that opens its
        pictures on access decodes them beside the network and never holds them all.

        Raises:
            RedPopError: An image cannot be read, or its vector is zero or not finite; the message names its index.
        """
        return self.outputs_of(images).vectors

    def outputs_of(self, images: Sequence[Image.Image]) -> ImageOutputs:
        """All outputs for the images, in their order; as `encode`, and the same errors."""
        if not len(images):
            return self.run(np.stack([self._grey]), slice(0, 0))
        size = self.engine.batch_size
        with ThreadPoolExecutor(self.decoders, thread_name_prefix="redpop-decode") as pool:

            def prepared(start: int) -> Pixels:
                indices = range(start, min(start + size, len(images)))
                return np.stack(list(pool.map(lambda index: self._pixels(images, index), indices)))

            starts = range(0, len(images), size)
            if len(starts) == 1:
                return self.run(prepared(0))
            with threads_per_pass(self.engine.threads):
                lanes = self.engine.lanes
                parts = list(in_lanes(starts, lambda start: self._raw(prepared(start)), lanes=lanes, ahead=2 * lanes))
        return self._finished(tuple(np.concatenate(column) for column in zip(*parts, strict=True)))

    def run(self, pixels: Pixels, part: slice = slice(None)) -> ImageOutputs:
        """Outputs for prepared pictures, (n, height, width, 3); may be called from several threads at once.

        Raises:
            RedPopError: A vector is zero or not finite; the message names its index.
        """
        return self._finished(tuple(output[part] for output in self._raw(pixels)))

    def vectors(self, sample: Pixels, forward: Forward, batch_size: int) -> tuple[npt.NDArray[np.float32], float]:
        """Vectors of prepared pictures and pictures per second, with another way to run the network; for tuning."""
        batches = [sample[start : start + batch_size] for start in range(0, len(sample), batch_size)]
        return self.engine.measured(batches, lambda batch: forward(*_tensors(batch))[0], len)

    def _raw(self, pixels: Pixels) -> tuple[npt.NDArray[np.float32], ...]:
        return self.engine.run(_tensors, pixels)

    def _finished(self, outputs: tuple[npt.NDArray[np.float32], ...]) -> ImageOutputs:
        named = dict(zip(self.outputs, outputs, strict=True))
        return ImageOutputs(**{**named, "vectors": unit_rows(named["vectors"], "image")})

    def _pixels(self, images: Sequence[Image.Image], index: int) -> Pixels:
        try:
            return self.preprocessing.pixels(whole(images[index]))
        except (OSError, ValueError) as error:
            raise RedPopError(f"Image {index} (of {len(images)}, counted from 0) cannot be read: {error}") from error


class _FromPixels(torch.nn.Module):
    """A network behind the scaling of bytes; (n, h, w, 3) uint8 to a tuple of outputs.

    Rows of interleaved channels, as decoders give them, are already torch's channels_last layout.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: torch.nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", preprocessing.mean.reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", preprocessing.std.reshape(3, 1, 1), persistent=False)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scaled = pixels.permute(0, 3, 1, 2).float().div(255).sub(self.mean).div(self.std)
        outputs = self.network(scaled.to(next(self.network.parameters(), scaled).dtype))
        return outputs if isinstance(outputs, tuple) else (outputs,)


def _tensors(pixels: Pixels) -> tuple[torch.Tensor]:
    return (torch.from_numpy(pixels),)
