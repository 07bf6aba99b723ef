"""What an image looks like before any network sees it: shape, light, colour, sharpness, clutter and words on it.

Every image is brought to one size first, its working copy; other modules that measure pixels start from the same copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.text_area import text_share

if TYPE_CHECKING:
    from PIL.Image import Image

CODE_VERSION: Final = "2"
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
    "log_shorter_edge",
    "is_square",
    "black_share",
    "white_share",
    "mid_tone_share",
    "median_brightness",
    "text_share",
)
"""Order of the columns of `pixel_features`; all are scalars."""

WORKING_EDGE: Final = 256
"""Longest edge (pixels) that every image is first brought to, up or down: sharpness and edges depend on the size."""

_COLOURED: Final = 26  # least saturation and value, of 255, at which a hue means anything: a tenth
_SQUARE: Final = 0.02  # greatest |ln(width / height)| that looks square
_BLACK, _WHITE = 12, 243  # grey levels up to and from which nothing can be made out: a twentieth of the range
_MID_TONES: Final = slice(64, 192)  # grey levels, the middle half
_EDGE: Final = 0.1  # least gradient (share of the grey range per pixel) that counts as an edge
_HUE_BINS: Final = 32
_WARM_FROM, _WARM_TO = 235, 53  # hues of 256 that begin and end the warm range: 330 and 75 degrees


@dataclass(frozen=True)
class WorkingCopy:
    """An image with a longest edge of `WORKING_EDGE`, in the forms that are measured.

    Attributes:
        rgb: (h, w, 3) uint8.
        hsv: (h, w, 3) uint8, hue 0 to 255 for 0 to 360 degrees.
        grey_image: Luma (ITU-R 601), 8 bits.
    """

    rgb: npt.NDArray[np.uint8]
    hsv: npt.NDArray[np.uint8]
    grey_image: Image

    @property
    def grey(self) -> npt.NDArray[np.uint8]:
        """(h, w) uint8 luma."""
        return np.asarray(self.grey_image)


def working_copy(image: Image) -> WorkingCopy:
    """Bring a decoded image to the size at which all are measured.

    Raises:
        ValueError: the image is not RGB.
    """
    from PIL.Image import Resampling

    if image.mode != "RGB":
        raise ValueError(f"an image of mode {image.mode} came where RGB is needed; convert it when decoding")
    scale = WORKING_EDGE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Resampling.BILINEAR, reducing_gap=1.0)
    return WorkingCopy(np.asarray(small), np.asarray(small.convert("HSV")), small.convert("L"))


def pixel_features(
    images: Iterable[Image], original_sizes: Sequence[tuple[int, int]]
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
        * `grey_entropy`: Shannon entropy of the 256 grey levels, bits, 0 to 8;
        * `log_shorter_edge`: ln(shorter edge, pixels), of the image as posted;
          `is_square` (0 or 1): its edges differ by at most 2 %;
        * `black_share`, `white_share`: shares of the pixels within a twentieth of black and of white, underexposed and
          burnt out; `mid_tone_share`: share of the pixels in the middle half of the range; `median_brightness`: median
          luma; all 0 to 1;
        * `text_share`: share of the picture that lines of words cover (`text_area.text_share`), 0 to 1.

        All but the logarithms and `is_square` are measured on a copy with a longest edge of `WORKING_EDGE`.

    Raises:
        ValueError: an image is not RGB, a size is not positive, or there are more or fewer sizes than images.
    """
    pairs = zip(images, original_sizes, strict=True)
    return pixel_table([measure_pixels(working_copy(image), size) for image, size in pairs])


def measure_pixels(copy: WorkingCopy, original_size: tuple[int, int]) -> tuple[float, ...]:
    """One row of `pixel_features`: the values of `COLUMNS` for one image.

    Raises:
        ValueError: the size, (width, height) as posted, is not positive.
    """
    width, height = original_size
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} pixels cannot be; take the size from its decoded header")
    grey = copy.grey.astype(np.float32)
    luma = grey / 255.0
    levels = np.asarray(copy.grey_image.histogram())
    aspect = math.log(width / height)
    return (
        aspect,
        math.log(width * height / 1e6),
        float(luma.mean()),
        float(luma.std()),
        float(copy.hsv[..., 1].mean()) / 255.0,
        *_hues(copy.hsv),
        _colourfulness(copy.rgb.astype(np.float32)),
        _sharpness(grey),
        _edge_density(luma),
        _entropy(levels) / math.log(2.0),
        math.log(min(width, height)),
        float(abs(aspect) <= _SQUARE),
        *_exposure(levels),
        text_share(copy.grey),
    )


def pixel_table(rows: Sequence[tuple[float, ...]]) -> dict[str, npt.NDArray[np.float32]]:
    """The rows of n images as the columns of `COLUMNS`, each (n,) float32."""
    table = np.asarray(rows, dtype=np.float32).reshape(len(rows), len(COLUMNS))
    return {name: table[:, column].copy() for column, name in enumerate(COLUMNS)}


def hue_counts(hsv: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(256,) number of pixels of each hue, of those that are coloured and bright enough to have one."""
    coloured = (hsv[..., 1] >= _COLOURED) & (hsv[..., 2] >= _COLOURED)
    return np.bincount(hsv[..., 0][coloured], minlength=256)


def _hues(hsv: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Hue entropy and share of warm pixels."""
    counts = hue_counts(hsv)
    warm = counts[_WARM_FROM:].sum() + counts[:_WARM_TO].sum()
    return _entropy(counts.reshape(_HUE_BINS, -1).sum(axis=1)) / math.log(_HUE_BINS), float(warm / hsv[..., 0].size)


def _exposure(levels: npt.NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Values of the columns from `black_share` to `median_brightness`, from counts of the 256 grey levels."""
    total = int(levels.sum())
    median = int(np.searchsorted(np.cumsum(levels), total / 2.0))
    return (
        float(levels[: _BLACK + 1].sum() / total),
        float(levels[_WHITE:].sum() / total),
        float(levels[_MID_TONES].sum() / total),
        median / 255.0,
    )


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
