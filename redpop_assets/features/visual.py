"""The hand-made description of a picture that the visual-social network (VSCNN) takes beside its deep features.

Colour, texture, hue count, brightness contrast, colour entropy, composition, background simplicity and GIST. The paper
names the features but not their formulas; each one here says which published definition it follows. All are measured on
the working copy of `pixels`, or on a still smaller square made from it, so that the size of a file does not matter.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects
from redpop_assets.features.gist import DIMENSION as GIST_DIMENSION
from redpop_assets.features.gist import EDGE as GIST_EDGE
from redpop_assets.features.gist import gist
from redpop_assets.features.pixels import CODE_VERSION as PIXELS_VERSION
from redpop_assets.features.pixels import (
    WORKING_EDGE,
    WorkingCopy,
    hue_counts,
    measure_pixels,
    pixel_table,
    working_copy,
)

if TYPE_CHECKING:
    from PIL.Image import Image

Floats: TypeAlias = "npt.NDArray[np.float32]"
Counts: TypeAlias = "npt.NDArray[np.int64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"

CODE_VERSION: Final = "1"
"""Raise it whenever an image would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "colour_histogram",
    "colour_moments",
    "texture_lbp",
    "hue_count",
    "brightness_contrast",
    "colour_entropy",
    "composition",
    "background_simplicity",
    "gist",
)
"""Order of the columns of `visual_features`."""

WIDTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "colour_histogram": 54,
        "colour_moments": 9,
        "texture_lbp": 26,
        "brightness_contrast": 2,
        "composition": 8,
        "gist": GIST_DIMENSION,
    }
)
"""Width of the columns that are vectors; all others are scalars."""

SALIENCY_EDGE: Final = 64
"""Edge of the square on which salience and symmetry are found, as Hou & Zhang 2007 choose it (pixels)."""

_SALIENCY_MARGIN: Final = 16
_CHANNEL_BINS: Final = 18
_HUES: Final = 20  # bins of the hue count
_LEAST_HUE: Final = 0.05  # of the fullest bin
_DULL, _DARK = 51, 38  # saturation and value, of 255, up to which a pixel does not count: 0.2 and 0.15
_LBP_POINTS, _LBP_RADIUS, _LBP_UNIT = 24, 3, 128  # the unit keeps weighted sums of grey levels within 16 bits
_CONTRAST_MASS: Final = 0.98
_PALETTE: Final = 16**3
_LEAST_COLOUR: Final = 0.01  # of the most frequent colour
_SALIENT: Final = 3.0  # times the mean
_THIRDS: Final = (1 / 3, 2 / 3)
_FARTHEST: Final = math.sqrt(2) / 3  # from a corner to the nearest crossing of the lines at thirds
_NEAR_CROSSING: Final = 1 / 6


def visual_features(images: Iterable[Image]) -> dict[str, Floats]:
    """Describe images.

    Args:
        images: n decoded RGB images, consumed one at a time.

    Returns:
        The columns of `COLUMNS`, float32, shape (n,), or (n, k) for those in `WIDTHS`; always finite:

        * `colour_histogram` 0 to 1: 18 bins each of hue, saturation and value (HSV), shares of all pixels. The hue bins
          are 20 degrees wide, the first one centred on red; pixels without a hue (saturation or value below a tenth)
          are in none of them;
        * `colour_moments`: mean, standard deviation and cube root of the third central moment (Stricker & Orengo 1995)
          of luma (0 to 1), then of red - green and of (red + green) / 2 - blue (-1 to 1), the opponent axes of Hasler &
          Süsstrunk 2003: hue is an angle and has no such moments;
        * `texture_lbp` 0 to 1, sum 1: rotation-invariant uniform local binary patterns of 24 points at radius 3 (Ojala
          et al. 2002, eq. 13): shares of the pixels with 0 to 24 points at least as bright in one run, and of all
          others;
        * `hue_count` 0 to 20: of 20 bins of hue, those that hold more than a twentieth of the fullest one (Ke, Tang &
          Jing 2006, section 4.3), counting pixels with a saturation above 0.2 and a value above 0.15. The paper's upper
          limit of the brightness is left out: in HSV pure colours have value 1;
        * `brightness_contrast`: width of the middle 98 % of the grey levels, 0 to 1 (Ke, Tang & Jing 2006, section
          4.4), and ln(mean grey of the subject / of the background), -5.6 to 5.6, positive for a bright subject (the
          lighting feature of Luo & Tang 2008, with its sign); 0 without a subject;
        * `colour_entropy` 0 to 1: Shannon entropy of the 4,096 colours of 4 bits per channel, divided by ln 4,096;
        * `composition` 0 to 1: [0] nearness of the centre of salience to a crossing of the lines at thirds, 1 on one, 0
          in a corner; [1] share of the salience within a sixth of the edges from a crossing; [2] symmetry left to right
          and [3] top to bottom, see `symmetry`; [4], [5] centre of salience from the left and from the top; [6], [7]
          its standard deviation across and down. Edges are 1 long;
        * `background_simplicity` 0 to 1: 1 - ln |S| / ln 4,096, where S are the colours (4 bits per channel) of the
          background with more than a hundredth of the pixels of the most frequent one (Luo & Tang 2008, section 3.1);
        * `gist` not negative: see `gist.gist`.

        Salience is the spectral residual of Hou & Zhang 2007, the subject is where it exceeds three times its mean.

    Raises:
        ValueError: an image is not RGB.
    """
    return _visual_table([_measure_visual(working_copy(image)) for image in images])


def describe_images(
    images: Sequence[Image], original_sizes: Sequence[tuple[int, int]], workers: int = 1
) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Floats]]:
    """Compute `pixels.pixel_features` and `visual_features` from one decoding and one working copy of each image.

    Args:
        images: n RGB images. A sequence that decodes an image when it is asked for it is asked once for each, by the
            worker that measures it, and no more images are held than there are workers.
        original_sizes: (width, height) of each image as posted, in pixels.
        workers: Threads. Images are decoded and scaled side by side; measuring is made of array steps of a few
            microseconds, which gain little from threads.

    Returns:
        What `pixel_features` and `visual_features` return.

    Raises:
        ValueError: as there, or there are more or fewer sizes than images.
    """
    if len(images) != len(original_sizes):
        raise ValueError(f"{len(images)} images came with {len(original_sizes)} sizes")

    def measure(index: int) -> tuple[tuple[float, ...], Floats]:
        copy = working_copy(images[index])
        return measure_pixels(copy, original_sizes[index]), _measure_visual(copy)

    with ThreadPoolExecutor(workers) as pool:
        rows = list(pool.map(measure, range(len(images))))
    return pixel_table([pixels for pixels, _ in rows]), _visual_table([visual for _, visual in rows])


def _visual_table(rows: Sequence[Floats]) -> dict[str, Floats]:
    widths = [WIDTHS.get(name, 1) for name in COLUMNS]
    table = np.asarray(rows, dtype=np.float32).reshape(len(rows), sum(widths))
    parts = np.split(table, np.cumsum(widths)[:-1], axis=1)
    return {
        name: part.copy() if name in WIDTHS else part[:, 0].copy() for name, part in zip(COLUMNS, parts, strict=True)
    }


def _measure_visual(copy: WorkingCopy) -> Floats:
    """All columns of one image, one after the other."""
    from PIL.Image import Resampling

    def square(edge: int) -> Floats:
        return np.asarray(copy.grey_image.resize((edge, edge), Resampling.BILINEAR), dtype=np.float32)

    small = square(SALIENCY_EDGE)
    salience = spectral_residual(small)
    subject = salience > _SALIENT * salience.mean()
    colours = _colours(copy.rgb)
    return np.concatenate(
        [
            _colour_histogram(copy.hsv),
            _colour_moments(copy),
            local_binary_patterns(copy.grey),
            [_hue_count(copy.hsv)],
            [_middle_width(copy.grey_image.histogram()), _lighting(small, subject)],
            [_colour_entropy(colours)],
            _composition(small, salience),
            [_background_simplicity(colours, subject)],
            gist(square(GIST_EDGE)),
        ],
        dtype=np.float32,
    )


def _colour_histogram(hsv: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    saturation, value = (np.bincount(hsv[..., channel].ravel(), minlength=256) for channel in (1, 2))
    bins = np.arange(256) * _CHANNEL_BINS // 256
    return (
        np.concatenate(
            [
                np.bincount(_hue_bins(_CHANNEL_BINS), hue_counts(hsv)),
                np.bincount(bins, saturation),
                np.bincount(bins, value),
            ]
        )
        / hsv[..., 0].size
    )


def _hue_bins(count: int) -> Counts:
    """(256,) bin of each hue; the first bin is centred on hue 0, which is red."""
    return (2 * count * np.arange(256) + 256) // 512 % count


def _colour_moments(copy: WorkingCopy) -> list[float]:
    red, green, blue = (copy.rgb[..., channel].astype(np.float32) / 255.0 for channel in range(3))
    moments = []
    for axis in (copy.grey.astype(np.float32) / 255.0, red - green, 0.5 * (red + green) - blue):
        mean = axis.mean()
        axis -= mean
        squared = axis * axis
        moments += [float(mean), math.sqrt(squared.mean()), math.cbrt((squared * axis).mean())]
    return moments


def local_binary_patterns(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Histogram of rotation-invariant uniform local binary patterns, 24 points at radius 3.

    Points between pixels are interpolated with whole numbers, so that a flat region is flat: with fractions, a point
    can come out darker than a centre of the same grey.

    Args:
        grey: (h, w) uint8; edges are continued outwards.

    Returns:
        (26,) float64, sum 1: share of the pixels with k points at least as bright as the centre, all in one run, for k
        from 0 to 24; and of those with more than one run.
    """
    height, width = grey.shape
    padded = np.pad(grey, _LBP_RADIUS, mode="edge").astype(np.int16)
    centre = padded[_LBP_RADIUS:-_LBP_RADIUS, _LBP_RADIUS:-_LBP_RADIUS] * np.int16(_LBP_UNIT)
    brighter = np.empty((_LBP_POINTS, height, width), dtype=np.bool_)
    point, part = np.empty_like(centre), np.empty_like(centre)
    for index, corners in enumerate(_lbp_circle()):
        point.fill(0)
        for row, column, weight in corners:
            np.multiply(padded[row : row + height, column : column + width], weight, out=part)
            point += part
        np.greater_equal(point, centre, out=brighter[index])
    ones = brighter.view(np.uint8).sum(axis=0, dtype=np.uint8)
    changes = (brighter[0] != brighter[-1]).view(np.uint8)
    for before, after in itertools.pairwise(brighter):
        changes += before != after
    patterns = np.where(changes <= 2, ones, _LBP_POINTS + 1)
    return np.bincount(patterns.ravel(), minlength=_LBP_POINTS + 2) / grey.size


@cache
def _lbp_circle() -> tuple[tuple[tuple[int, int, np.int16], ...], ...]:
    """For each point the pixels it lies between: row and column in the padded picture, and weight of `_LBP_UNIT`."""
    points = []
    for index in range(_LBP_POINTS):
        angle = 2.0 * math.pi * index / _LBP_POINTS
        # Rounded, so that the points on the axes do not fall between pixels by a rounding error.
        row = round(_LBP_RADIUS - _LBP_RADIUS * math.sin(angle), 6)
        column = round(_LBP_RADIUS + _LBP_RADIUS * math.cos(angle), 6)
        down, across = row % 1.0, column % 1.0
        lower = round(_LBP_UNIT * down)
        right, lower_right = round(_LBP_UNIT * across), round(_LBP_UNIT * down * across)
        corners = (
            (0, 0, _LBP_UNIT - lower - right + lower_right),
            (0, 1, right - lower_right),
            (1, 0, lower - lower_right),
            (1, 1, lower_right),
        )
        points.append(tuple((int(row) + y, int(column) + x, np.int16(weight)) for y, x, weight in corners if weight))
    return tuple(points)


def _hue_count(hsv: npt.NDArray[np.uint8]) -> int:
    good = (hsv[..., 1] > _DULL) & (hsv[..., 2] > _DARK)
    hues = np.bincount(_hue_bins(_HUES), np.bincount(hsv[..., 0][good], minlength=256))
    return int(np.count_nonzero(hues > _LEAST_HUE * hues.max()))


def _middle_width(levels: Sequence[int]) -> float:
    """Width of the middle `_CONTRAST_MASS` of the grey levels, as a share of the range."""
    below = np.cumsum(levels)
    tail = (1.0 - _CONTRAST_MASS) / 2.0 * below[-1]
    first, last = np.searchsorted(below, tail, side="right"), np.searchsorted(below, below[-1] - tail)
    return float(last - first) / 255.0


def _lighting(grey: Floats, subject: Mask) -> float:
    if not subject.any():
        return 0.0
    return math.log((float(grey[subject].mean()) + 1.0) / (float(grey[~subject].mean()) + 1.0))


def _colours(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """(h, w) number of each pixel's colour at 4 bits per channel."""
    red, green, blue = ((rgb[..., channel] >> 4).astype(np.uint16) for channel in range(3))
    return red * np.uint16(256) + green * np.uint16(16) + blue


def _colour_entropy(colours: npt.NDArray[np.uint16]) -> float:
    counts = np.bincount(colours.ravel(), minlength=_PALETTE)
    shares = counts[counts > 0] / colours.size
    return float(-(shares * np.log(shares)).sum()) / math.log(_PALETTE) + 0.0


def _background_simplicity(colours: npt.NDArray[np.uint16], subject: Mask) -> float:
    height, width = colours.shape
    rows = np.arange(height) * SALIENCY_EDGE // height
    columns = np.arange(width) * SALIENCY_EDGE // width
    counts = np.bincount(colours[~subject[rows[:, None], columns]], minlength=_PALETTE)
    found = int(np.count_nonzero(counts > _LEAST_COLOUR * counts.max()))
    return 1.0 - math.log(max(found, 1)) / math.log(_PALETTE)


def spectral_residual(grey: Floats) -> Floats:
    """Salience of each place of a picture: what its spectrum has beyond the smooth decline of all pictures.

    Hou & Zhang 2007, equations 3 to 5: the logarithm of the amplitude, less its mean over 3 x 3 frequencies, with the
    phase of the picture, back in space, squared and blurred. Two things keep artefacts away. The picture fades into
    its mean within a mirrored margin, because otherwise the edges, which a spectrum joins, are what is salient. And one
    grey level is added to every amplitude, so that frequencies that a picture does not have stay absent: a flat picture
    is equally salient everywhere.

    Args:
        grey: (SALIENCY_EDGE, SALIENCY_EDGE) float32, 0 to 255.

    Returns:
        Of the same shape, positive, sum 1.
    """
    from scipy.fft import fft2, ifft2
    from scipy.ndimage import gaussian_filter, uniform_filter

    faded = np.pad(grey - grey.mean(), _SALIENCY_MARGIN, mode="symmetric") * _fading()
    spectrum = fft2(faded)
    amplitude = np.abs(spectrum) + np.float32(1.0)
    logarithm = np.log(amplitude)
    residual = logarithm - uniform_filter(logarithm, size=3, mode="wrap")
    response = ifft2(spectrum * (np.exp(residual) / amplitude)).real
    response = response[_SALIENCY_MARGIN:-_SALIENCY_MARGIN, _SALIENCY_MARGIN:-_SALIENCY_MARGIN]
    salience: Floats = gaussian_filter(response * response, sigma=2.5, mode="reflect")
    salience += np.float32(1e-9)  # far below anything but a flat picture
    salience /= salience.sum()
    return salience


@cache
def _fading() -> Floats:
    """1 inside, falling to 0 like a cosine within the margin."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_SALIENCY_MARGIN) + 0.5) / _SALIENCY_MARGIN)
    along = np.concatenate([ramp, np.ones(SALIENCY_EDGE), ramp[::-1]]).astype(np.float32)
    return along[:, None] * along[None, :]


def symmetry(grey: Floats, axis: int) -> float:
    """How much a picture is like its mirror image along an axis: 0 for the opposite, 1 for the same.

    1 - sum |I - M| / (2 sum |I - mean|), where M is the mirror image: about 0.3 for noise, and 1 for a flat picture.
    """
    spread = 2.0 * float(np.abs(grey - grey.mean()).sum())
    difference = float(np.abs(grey - np.flip(grey, axis)).sum())
    return 1.0 - min(difference / spread, 1.0) if difference > 0.0 else 1.0


def _composition(grey: Floats, salience: Floats) -> list[float]:
    place = (np.arange(SALIENCY_EDGE) + 0.5) / SALIENCY_EDGE
    along, down = salience.sum(axis=0, dtype=np.float64), salience.sum(axis=1, dtype=np.float64)
    along, down = along / along.sum(), down / down.sum()
    x, y = float(along @ place), float(down @ place)
    off = min(math.hypot(x - across, y - below) for across in _THIRDS for below in _THIRDS)
    return [
        1.0 - off / _FARTHEST,
        float(salience[_near_crossings()].sum()),
        symmetry(grey, axis=1),
        symmetry(grey, axis=0),
        x,
        y,
        math.sqrt(along @ (place - x) ** 2),
        math.sqrt(down @ (place - y) ** 2),
    ]


@cache
def _near_crossings() -> Mask:
    """Places within `_NEAR_CROSSING` of a crossing of the lines at thirds."""
    place = (np.arange(SALIENCY_EDGE) + 0.5) / SALIENCY_EDGE
    off = np.min([np.abs(place - third) for third in _THIRDS], axis=0)
    near: Mask = np.hypot(off[:, None], off[None, :]) <= _NEAR_CROSSING
    return near


def _measured(subjects: Subjects) -> tuple[Features, Features]:
    """The features of `pixels` and those of this module, from one decoding."""
    pictures = subjects.pictures(draft_edge=WORKING_EDGE)
    return describe_images(pictures, subjects.sizes, workers=os.cpu_count() or 1)


def _pixels(subjects: Subjects, _: Encoders) -> Features:
    return subjects.kept(_measured)[0]


def _visual(subjects: Subjects, _: Encoders) -> Features:
    return subjects.kept(_measured)[1]


PIXELS: Final = Family(
    "pixels",
    "features.image_features",
    "picture",
    PIXELS_VERSION,
    _pixels,
    step="pixels_and_composition",
    export="image",
    note="Size, light, colour, sharpness, clutter and text of each stored picture, once per picture.",
)
VISUAL: Final = Family(
    "visual",
    "features.image_visual",
    "picture",
    CODE_VERSION,
    _visual,
    step="pixels_and_composition",
    note="Texture and composition of each stored picture, once per picture, from the decoding of its pixels.",
)
