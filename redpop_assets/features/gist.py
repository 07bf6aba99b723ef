"""GIST: where in a picture which orientations and scales are strong, its layout without its objects.

The spatial envelope of Oliva & Torralba 2001 ("Modeling the Shape of the Scene", IJCV 42(3)): a bank of oriented
band-pass filters, and the mean strength of each filter in each cell of a 4 x 4 grid. Everything happens in the Fourier
domain. A filter passes only a part of the spectrum, so only that part is transformed back, at as few points as it
needs: the modulus of a response does not change when its spectrum is moved to zero frequency.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple, TypeAlias

from redpop_assets.arrays import np, npt

Floats: TypeAlias = "npt.NDArray[np.float32]"

EDGE: Final = 128
"""Edge of the square grey picture that is described (pixels)."""

SCALES: Final = 4
ORIENTATIONS: Final = 8
GRID: Final = 4

DIMENSION: Final = SCALES * ORIENTATIONS * GRID * GRID
"""Length of a descriptor."""

_MARGIN: Final = EDGE // 4  # mirrored on all sides, so that opposite edges do not meet
_PADDED: Final = EDGE + 2 * _MARGIN
_LOCAL_CYCLES: Final = 4.0  # per picture; what is coarser counts as illumination and is taken out
_LEAST_CONTRAST: Final = 0.2  # of the logarithm of the grey values: keeps noise in flat regions small
_TOP_FREQUENCY: Final = 0.3  # cycles per pixel of the finest scale
_SCALE_STEP: Final = 1.85  # between the frequencies of neighbouring scales
# Points per edge at which the responses of each scale are taken, the margin included: enough to hold the frequencies at
# which a filter passes more than a hundredth, and multiples of 6, so that margin and cells are whole numbers of points.
_POINTS: Final = (108, 72, 48, 36)


class _Band(NamedTuple):
    """The filters of one scale: where in the centred spectrum each one begins, and what it passes from there."""

    corners: tuple[tuple[int, int], ...]  # row and column, ORIENTATIONS of them
    gains: npt.NDArray[np.complex64]  # (ORIENTATIONS, points, points)


def gist(grey: Floats) -> Floats:
    """Describe the layout of a picture.

    Args:
        grey: (EDGE, EDGE) float32, 0 to 255; the whole picture squeezed into a square, as Douze et al. 2009 do.

    Returns:
        (DIMENSION,) float32, not negative: mean moduli of the filters' responses, in the order scale (fine first),
        orientation, row, column. Orientation j holds what varies along the direction j * 22.5 degrees, counted from
        "along the rows" (vertical stripes) to downwards: 0 is vertical stripes, 4 is horizontal stripes. About 0.05 in
        photographs, 0 in a flat picture, never above 5.

    Raises:
        ValueError: the picture has another shape.
    """
    from scipy.fft import fft2, fftshift, ifft2

    if grey.shape != (EDGE, EDGE):
        raise ValueError(f"a picture of shape {grey.shape} came where ({EDGE}, {EDGE}) is needed")
    spectrum = fftshift(fft2(_locally_normalised(grey)))
    means = np.empty((SCALES, ORIENTATIONS, GRID, GRID), dtype=np.float32)
    for scale, (corners, gains) in enumerate(_bank()):
        points = gains.shape[-1]
        passed = np.empty_like(gains)
        for orientation, (row, column) in enumerate(corners):
            part = spectrum[row : row + points, column : column + points]
            np.multiply(part, gains[orientation], out=passed[orientation])
        modulus = np.abs(ifft2(passed, overwrite_x=True))
        cell = points // 6
        inside = modulus[:, cell:-cell, cell:-cell].reshape(ORIENTATIONS, GRID, cell, GRID, cell)
        # ifft2 divides by the number of points that it makes, and not by that of the picture.
        means[scale] = inside.mean(axis=(2, 4)) * (points / _PADDED) ** 2
    return means.reshape(DIMENSION)


def _locally_normalised(grey: Floats) -> Floats:
    """Logarithm of the grey values, less its local mean, by its local contrast; with mirrored margins.

    Takes out illumination before the filters, as the authors' own program does. Returns (_PADDED, _PADDED).
    """
    from scipy.fft import irfft2, rfft2

    shape = (_PADDED, _PADDED)
    padded = np.pad(np.log1p(grey), _MARGIN, mode="symmetric")
    low_pass = _low_pass()
    detail: Floats = padded - irfft2(rfft2(padded) * low_pass, s=shape)
    variance = irfft2(rfft2(detail * detail) * low_pass, s=shape)
    detail /= _LEAST_CONTRAST + np.sqrt(np.maximum(variance, 0.0))
    return detail


@cache
def _low_pass() -> Floats:
    """Gains exp(-f^2 / c^2) for `rfft2`, which are one half at `_LOCAL_CYCLES` per picture."""
    down = np.fft.fftfreq(_PADDED, 1.0 / _PADDED)[:, None]
    across = np.fft.rfftfreq(_PADDED, 1.0 / _PADDED)[None, :]
    half_at = _LOCAL_CYCLES * _PADDED / EDGE
    gains: Floats = np.exp2(-(down * down + across * across) / half_at**2).astype(np.float32)
    return gains


@cache
def _bank() -> tuple[_Band, ...]:
    """The filters, each one cut out of the spectrum around its centre.

    With frequency f and direction t, the gain is exp(-3.5 (f / f0 - 1)^2 - 2 pi (t - t0)^2): the parameters of the
    authors' program for eight orientations and four scales.
    """
    bands = []
    for scale, points in enumerate(_POINTS):
        centre = _TOP_FREQUENCY / _SCALE_STEP**scale
        # A point stands for a square of the picture; this moves it from the square's corner to its middle.
        offset = 0.5 * (_PADDED / points - 1.0)
        corners, gains = [], []
        for orientation in range(ORIENTATIONS):
            angle = np.pi * orientation / ORIENTATIONS
            row, column = (_window(centre * along, points) for along in (np.sin(angle), np.cos(angle)))
            down = (np.arange(row, row + points) - _PADDED // 2)[:, None] / _PADDED
            across = (np.arange(column, column + points) - _PADDED // 2)[None, :] / _PADDED
            turn = (np.arctan2(down, across) - angle + np.pi) % (2.0 * np.pi) - np.pi
            gain = np.exp(-3.5 * (np.hypot(down, across) / centre - 1.0) ** 2 - 2.0 * np.pi * turn**2)
            corners.append((row, column))
            gains.append(gain * np.exp(2j * np.pi * offset * (down + across)))
        bands.append(_Band(tuple(corners), np.stack(gains).astype(np.complex64)))
    return tuple(bands)


def _window(frequency: float, points: int) -> int:
    """Where `points` places of the centred spectrum begin that surround a frequency (cycles per pixel)."""
    around = round((frequency + 0.5) * _PADDED) - points // 2
    return min(max(around, 0), _PADDED - points)
