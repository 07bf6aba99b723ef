import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.gist import DIMENSION, EDGE, GRID, ORIENTATIONS, SCALES, gist

STEP = np.pi / ORIENTATIONS


def described(grey: np.ndarray) -> np.ndarray:
    return gist(grey.astype(np.float32)).reshape(SCALES, ORIENTATIONS, GRID, GRID)


def stripes(cycles_per_pixel: float, angle: float) -> np.ndarray:
    down, across = np.mgrid[:EDGE, :EDGE]
    return 128 + 100 * np.sin(2 * np.pi * cycles_per_pixel * (across * np.cos(angle) + down * np.sin(angle)))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (EDGE, EDGE))


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
@pytest.mark.parametrize("scale", range(SCALES))
def test_stripes_light_up_their_scale_and_orientation(scale, orientation):
    strength = described(stripes(0.3 / 1.85**scale, orientation * STEP)).mean(axis=(2, 3))
    assert np.unravel_index(strength.argmax(), strength.shape) == (scale, orientation)


def test_the_cell_is_where_the_stripes_are():
    grey = np.full((EDGE, EDGE), 128.0)
    grey[64:96, 32:64] = stripes(0.25, 0.0)[64:96, 32:64]
    strength = described(grey)[:, 0].sum(axis=0)
    assert np.unravel_index(strength.argmax(), strength.shape) == (2, 1)


def test_every_response_is_what_the_whole_spectrum_gives():
    # The same filters without any short cut: all frequencies, all places.
    from redpop_assets.features.gist import _PADDED, _locally_normalised

    grey = noise(5)
    grey[:, 60:] = stripes(0.1, 0.4)[:, 60:]
    spectrum = np.fft.fft2(_locally_normalised(grey.astype(np.float32)).astype(np.float64))
    down, across = np.fft.fftfreq(_PADDED)[:, None], np.fft.fftfreq(_PADDED)[None, :]
    found = described(grey)
    margin = (_PADDED - EDGE) // 2
    for scale in range(SCALES):
        centre = 0.3 / 1.85**scale
        for orientation in range(ORIENTATIONS):
            turn = (np.arctan2(down, across) - orientation * STEP + np.pi) % (2 * np.pi) - np.pi
            gain = np.exp(-3.5 * (np.hypot(down, across) / centre - 1) ** 2 - 2 * np.pi * turn**2)
            modulus = np.abs(np.fft.ifft2(spectrum * gain))[margin:-margin, margin:-margin]
            whole = modulus.reshape(GRID, EDGE // GRID, GRID, EDGE // GRID).mean(axis=(1, 3))
            np.testing.assert_allclose(found[scale, orientation], whole, rtol=0.05, atol=0.002)


def test_a_quarter_turn_permutes_orientations_and_cells():
    grey = noise(2)
    grey[:40] = stripes(0.2, 0.3)[:40]
    turned = described(np.rot90(grey))
    expected = np.rot90(np.roll(described(grey), ORIENTATIONS // 2, axis=1), axes=(2, 3))
    np.testing.assert_allclose(turned, expected, rtol=0.1, atol=0.004)


def test_a_mirror_image_mirrors_orientations_and_cells():
    grey = noise(3)
    grey[:, :50] = stripes(0.15, 0.9)[:, :50]
    mirrored = described(grey[:, ::-1])
    expected = described(grey)[:, -np.arange(ORIENTATIONS) % ORIENTATIONS, :, ::-1]
    np.testing.assert_allclose(mirrored, expected, rtol=0.1, atol=0.004)


def test_illumination_changes_little():
    grey = stripes(0.1, 0.4) * 0.5 + 60
    shaded = grey * np.linspace(0.4, 1.0, EDGE)[None, :]
    assert np.corrcoef(gist(grey.astype(np.float32)), gist(shaded.astype(np.float32)))[0, 1] > 0.99


@pytest.mark.parametrize("grey", [0, 7, 255])
def test_a_flat_picture_has_no_layout(grey):
    assert np.abs(described(np.full((EDGE, EDGE), grey))).max() < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_any_picture_is_finite_and_in_range(seed, density):
    random = np.random.default_rng(seed)
    grey = np.where(random.random((EDGE, EDGE)) < density, 0, 255)
    found = gist(grey.astype(np.float32))
    assert found.shape == (DIMENSION,)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 5


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(64, 64\)"):
        gist(np.zeros((64, 64), dtype=np.float32))
