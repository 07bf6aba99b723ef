"""What an image looks like before any network sees it: shape, light, colour, sharpness and clutter."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

CODE_VERSION: Final = "1"
"""Raise it whenever an image would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "log_aspect_ratio",
    "log_megapixels",
    "brightness",
    "contrast",
    "saturation",
    "hue_entropy",
    "warm_share",
    "colourfulness",
    "sharpness",
    "edge_density",
    "grey_entropy",
)
"""Order of the columns of `pixel_features`; all are scalars."""

WORKING_EDGE: Final = 256
"""Longest edge (pixels) that every image is first brought to, up or down: sharpness and edges depend on the size."""

_COLOURED: Final = 26  # least saturation and value, of 255, at which a hue means anything: a tenth
_EDGE: Final = 0.1  # least gradient (share of the grey range per pixel) that counts as an edge
_HUE_BINS: Final = 32
_WARM_FROM, _WARM_TO = 235, 53  # hues of 256 that begin and end the warm range: 330 and 75 degrees


def pixel_features(
    images: "Iterable[Image]", original_sizes: Sequence[tuple[int, int]]
) -> dict[str, npt.NDArray[np.float32]]:
    """Measure images.

    Args:
        images: n decoded RGB images, consumed one at a time.
        original_sizes: (width, height) of each image as posted, in pixels; `images` may hold smaller copies.

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `log_aspect_ratio`: ln(width / height), 0 for a square, positive for landscape; `log_megapixels`: ln(width *
          height / 10^6);
        * `brightness`, `contrast`: mean and standard deviation of the luma (ITU-R 601), 0 to 1;
        * `saturation`: mean saturation (HSV), 0 to 1;
        * `hue_entropy`: Shannon entropy of the hues of the coloured pixels over 32 bins, divided by ln 32: 0 for one
          hue, or none, to 1;
        * `warm_share`: share of all pixels that are coloured with a hue from magenta-red over orange to yellow (-30 to
          75 degrees);
        * `colourfulness`: M = sigma_rgyb + 0.3 mu_rgyb of Hasler & Süsstrunk 2003 on sRGB values of 0 to 255: 0 grey,
          about 33 moderate, above 109 extreme;
        * `sharpness`: ln(1 + variance of the Laplacian of the grey values 0 to 255);
        * `edge_density`: share of pixels whose luma gradient exceeds a tenth of the range per pixel;
        * `grey_entropy`: Shannon entropy of the 256 grey levels, bits, 0 to 8.

        All but the first two are measured on a copy with a longest edge of `WORKING_EDGE`.

    Raises:
        ValueError: an image is not RGB, a size is not positive, or there are more or fewer sizes than images.
    """
    rows = [_measure(image, size) for image, size in zip(images, original_sizes, strict=True)]
    table = np.asarray(rows, dtype=np.float32).reshape(len(rows), len(COLUMNS))
    return {name: table[:, column].copy() for column, name in enumerate(COLUMNS)}


def _measure(image: "Image", original_size: tuple[int, int]) -> tuple[float, ...]:
    from PIL.Image import Resampling

    if image.mode != "RGB":
        raise ValueError(f"an image of mode {image.mode} came where RGB is needed; convert it when decoding")
    width, height = original_size
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} pixels cannot be; take the size from its decoded header")

    scale = WORKING_EDGE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Resampling.BILINEAR, reducing_gap=1.0)
    grey_image = small.convert("L")
    grey = np.asarray(grey_image, dtype=np.float32)
    hsv = np.asarray(small.convert("HSV"))
    luma = grey / 255.0
    return (
        math.log(width / height),
        math.log(width * height / 1e6),
        float(luma.mean()),
        float(luma.std()),
        float(hsv[..., 1].mean()) / 255.0,
        *_hues(hsv),
        _colourfulness(np.asarray(small, dtype=np.float32)),
        _sharpness(grey),
        _edge_density(luma),
        _entropy(np.asarray(grey_image.histogram())) / math.log(2.0),
    )


def _hues(hsv: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Hue entropy and share of warm pixels."""
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    coloured = (saturation >= _COLOURED) & (value >= _COLOURED)
    counts = np.bincount(hue[coloured], minlength=256)
    warm = counts[_WARM_FROM:].sum() + counts[:_WARM_TO].sum()
    return _entropy(counts.reshape(_HUE_BINS, -1).sum(axis=1)) / math.log(_HUE_BINS), float(warm / hue.size)


def _colourfulness(rgb: npt.NDArray[np.float32]) -> float:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    red_green = red - green
    yellow_blue = 0.5 * (red + green) - blue
    spread = math.hypot(float(red_green.std()), float(yellow_blue.std()))
    shift = math.hypot(float(red_green.mean()), float(yellow_blue.mean()))
    return spread + 0.3 * shift


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    padded = np.pad(grey, 1, mode="edge")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4.0 * grey
    return math.log1p(float(laplacian.var()))


def _edge_density(luma: npt.NDArray[np.float32]) -> float:
    across = np.diff(luma, axis=1, append=luma[:, -1:])
    down = np.diff(luma, axis=0, append=luma[-1:, :])
    return float((across * across + down * down > _EDGE * _EDGE).mean())


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    """Shannon entropy of a histogram in nats; 0 for an empty one."""
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log(shares)).sum()) + 0.0
