import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from skimage.feature import local_binary_pattern

from redpop_assets.features.pixels import pixel_features
from redpop_assets.features.visual import (
    COLUMNS,
    SALIENCY_EDGE,
    WIDTHS,
    describe_images,
    local_binary_patterns,
    spectral_residual,
    symmetry,
    visual_features,
)
from redpop_assets.storage.schema import load_schema

THIRDS, NEAR_CROSSING, LEFT_RIGHT, TOP_BOTTOM, X, Y, SPREAD_X, SPREAD_Y = range(8)
RANGES = {
    "colour_histogram": (0, 1),
    "colour_moments": (-1, 1),
    "texture_lbp": (0, 1),
    "hue_count": (0, 20),
    "brightness_contrast": (-5.6, 5.6),
    "colour_entropy": (0, 1),
    "composition": (0, 1),
    "background_simplicity": (0, 1),
    "gist": (0, 5),
}


def one(image: Image.Image) -> dict[str, np.ndarray]:
    return {name: values[0] for name, values in visual_features([image]).items()}


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    return noise(12, 8, seed).resize((width, height), Image.Resampling.BICUBIC)


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGB", (256, 256), left)
    picture.paste(right, (128, 0, 256, 256))
    return picture


def disc(x: float, y: float, ground: str = "black", fill: str = "white") -> Image.Image:
    """A disc at a place given as shares of the edges."""
    picture = Image.new("RGB", (300, 300), ground)
    ImageDraw.Draw(picture).ellipse((300 * x - 30, 300 * y - 30, 300 * x + 30, 300 * y + 30), fill=fill)
    return picture


class OpenedOnAccess(Sequence[Image.Image]):
    """Counts who asks for which image."""

    def __init__(self, images: list[Image.Image]) -> None:
        self.images = images
        self.asked: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):
        self.asked.append((index, threading.current_thread().name))
        return self.images[index]


def test_the_table_has_these_columns():
    columns = load_schema()["features.image_visual"].columns
    types = {column.name: column.type for column in columns if column.type.startswith("FLOAT")}
    assert types == {name: f"FLOAT[{WIDTHS[name]}]" if name in WIDTHS else "FLOAT" for name in COLUMNS}
    assert sum(WIDTHS.get(name, 1) for name in COLUMNS) == 102 + 512


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_grey_plane_has_nothing(grey):
    found = one(Image.new("RGB", (300, 200), (grey, grey, grey)))
    assert found["hue_count"] == 0
    assert found["colour_entropy"] == 0
    assert found["background_simplicity"] == 1
    assert found["brightness_contrast"].tolist() == [0, 0]
    assert not found["colour_histogram"][:18].any()
    np.testing.assert_allclose(found["colour_moments"][0], grey / 255, atol=1e-6)
    np.testing.assert_allclose(found["colour_moments"][1:], 0, atol=1e-6)
    assert found["texture_lbp"][24] == 1
    assert found["gist"].max() < 1e-5
    composition = found["composition"]
    assert composition[[LEFT_RIGHT, TOP_BOTTOM]].tolist() == [1, 1]
    np.testing.assert_allclose(composition[[X, Y]], 0.5, atol=1e-3)
    np.testing.assert_allclose(composition[[SPREAD_X, SPREAD_Y]], np.sqrt(1 / 12), atol=1e-3)


def test_one_colour_is_one_hue():
    found = one(Image.new("RGB", (200, 300), (200, 30, 30)))
    assert found["hue_count"] == 1
    assert found["colour_entropy"] == 0
    # red is in the middle of the first of the hue bins
    assert found["colour_histogram"][:18].tolist() == [1] + 17 * [0]


def test_half_red_half_blue():
    found = one(halves((255, 0, 0), (0, 0, 255)))
    assert found["hue_count"] == 2
    assert found["colour_entropy"] == pytest.approx(np.log(2) / np.log(4096), rel=1e-5)
    assert found["background_simplicity"] == pytest.approx(1 - np.log(2) / np.log(4096), rel=1e-5)
    histogram = found["colour_histogram"].reshape(3, 18)
    assert histogram[0, [0, 12]].tolist() == [0.5, 0.5]
    assert histogram[1:, 17].tolist() == [1, 1]
    assert found["colour_moments"].reshape(3, 3)[1].tolist() == pytest.approx([0.5, 0.5, 0])


def test_colour_moments_by_hand():
    picture = Image.new("RGB", (256, 256), (255, 255, 255))
    picture.paste((0, 0, 0), (0, 0, 64, 256))
    # luma: 0 for a quarter and 1 for three quarters
    expected = [0.75, np.sqrt(0.75 * 0.25), np.cbrt(0.25 * -(0.75**3) + 0.75 * 0.25**3)]
    found = one(picture)["colour_moments"]
    np.testing.assert_allclose(found[:3], expected, rtol=1e-5)
    np.testing.assert_allclose(found[3:], 0, atol=1e-6)


@pytest.mark.parametrize("hues", [1, 3, 7, 20])
def test_hues_are_counted(hues):
    stripes = np.zeros((256, 20 * 12, 3), dtype=np.uint8)
    for stripe in range(20):
        stripes[:, 12 * stripe : 12 * stripe + 12] = (round(stripe % hues * 256 / 20), 200, 200)
    assert one(Image.fromarray(stripes, mode="HSV").convert("RGB"))["hue_count"] == hues


def test_dull_and_dark_colours_are_no_hues():
    assert one(halves((120, 110, 115), (30, 5, 5)))["hue_count"] == 0


def test_contrast_leaves_out_a_hundredth_at_either_end():
    grey = np.full((200, 256), 100, dtype=np.uint8)
    grey[:, 128:] = 151
    assert one(Image.fromarray(grey).convert("RGB"))["brightness_contrast"][0] == pytest.approx(51 / 255)
    grey[:1, :] = 0  # one row of 200
    grey[-1:, :] = 255
    assert one(Image.fromarray(grey).convert("RGB"))["brightness_contrast"][0] == pytest.approx(51 / 255)


def test_a_bright_subject_and_a_dark_one():
    assert one(disc(0.5, 0.5))["brightness_contrast"][1] > 1
    assert one(disc(0.5, 0.5, "white", "black"))["brightness_contrast"][1] < -0.4


def test_a_simple_background():
    lively = noise(300, 300)
    ImageDraw.Draw(lively).ellipse((120, 120, 180, 180), fill="white")
    assert one(disc(0.5, 0.5))["background_simplicity"] > 0.85
    assert one(lively)["background_simplicity"] < 0.3


@pytest.mark.parametrize(("x", "y"), [(0.2, 0.5), (0.5, 0.8), (0.75, 0.3), (1 / 3, 1 / 3)])
def test_the_centre_of_salience_is_where_the_disc_is(x, y):
    composition = one(disc(x, y))["composition"]
    np.testing.assert_allclose(composition[[X, Y]], [x, y], atol=0.06)
    assert composition[[SPREAD_X, SPREAD_Y]].max() < 0.2


def test_the_rule_of_thirds():
    crossing, middle, corner = (one(disc(at, at))["composition"] for at in (1 / 3, 0.5, 0.1))
    assert crossing[THIRDS] > 0.9
    assert crossing[THIRDS] > middle[THIRDS] > corner[THIRDS]
    assert crossing[NEAR_CROSSING] > 0.8
    assert corner[NEAR_CROSSING] < 0.2


def test_symmetry_is_one_for_mirror_images_only():
    picture = np.asarray(scene(256, 256, 4))
    left_right = one(Image.fromarray(np.concatenate([picture, picture[:, ::-1]], axis=1)))["composition"]
    top_bottom = one(Image.fromarray(np.concatenate([picture, picture[::-1]], axis=0)))["composition"]
    assert left_right[LEFT_RIGHT] > 0.98
    assert left_right[TOP_BOTTOM] < 0.7
    assert top_bottom[TOP_BOTTOM] > 0.98
    assert top_bottom[LEFT_RIGHT] < 0.7
    assert one(halves((0, 0, 0), (255, 255, 255)))["composition"][LEFT_RIGHT] == pytest.approx(0, abs=0.01)


def test_noise_is_three_tenths_symmetric():
    grey = np.random.default_rng(0).normal(100, 9, (SALIENCY_EDGE, SALIENCY_EDGE)).astype(np.float32)
    assert symmetry(grey, 0) == pytest.approx(1 - 1 / np.sqrt(2), abs=0.02)


def test_what_breaks_a_pattern_is_salient():
    grey = np.full((SALIENCY_EDGE, SALIENCY_EDGE), 30, dtype=np.float32)
    for y in range(4, SALIENCY_EDGE, 8):
        for x in range(4, SALIENCY_EDGE, 8):
            if (y, x) == (36, 28):
                grey[y, x - 2 : x + 3] = 200
            else:
                grey[y - 2 : y + 3, x] = 200
    salience = spectral_residual(grey)
    assert salience.sum() == pytest.approx(1, rel=1e-4)
    assert salience.max() > 10 * salience.mean()
    assert np.unravel_index(salience.argmax(), salience.shape) == (36, 28)


def test_salience_turns_and_mirrors_with_the_picture():
    grey = np.asarray(scene(SALIENCY_EDGE, SALIENCY_EDGE, 6).convert("L"), dtype=np.float32)
    salience = spectral_residual(grey)
    for change in (np.fliplr, np.flipud, np.rot90):
        np.testing.assert_allclose(spectral_residual(change(grey).copy()), change(salience), rtol=0.01, atol=1e-6)


def test_patterns_are_those_of_scikit_image():
    pictures = (scene(256, 192, 7), noise(256, 192, 7), noise(64, 48, 7).resize((256, 192), Image.Resampling.BICUBIC))
    for picture in pictures:
        grey = np.asarray(picture.convert("L"))
        inside = local_binary_pattern(grey, 24, 3, "uniform")[3:-3, 3:-3].astype(int)
        expected = np.bincount(inside.ravel(), minlength=26) / inside.size
        difference = np.abs(local_binary_patterns(grey) - expected).sum()
        assert difference < 0.1


def test_patterns_by_hand():
    edge = np.zeros((100, 100), dtype=np.uint8)
    edge[50:] = 200
    found = local_binary_patterns(edge)
    # Dark rows next to the edge see some bright points, bright rows next to it lack some, all others see 24.
    assert found[24] == pytest.approx(0.97)
    assert found[25] == 0
    assert found[11:24].sum() == pytest.approx(0.03)


def test_patterns_do_not_turn_with_the_picture():
    grey = np.asarray(scene(256, 200, 9).convert("L"))
    turned = local_binary_patterns(np.rot90(grey).copy())
    np.testing.assert_allclose(turned, local_binary_patterns(grey), atol=0.01)


@pytest.mark.parametrize(("upright", "orientation"), [(True, 0), (False, 4)])
def test_stripes_light_up_gist(upright, orientation):
    wave = np.tile(np.where(np.arange(256) // 4 % 2, 220, 40).astype(np.uint8), (256, 1))
    picture = Image.fromarray(wave if upright else wave.T.copy()).convert("RGB")
    strength = one(picture)["gist"].reshape(4, 8, 16).sum(axis=(0, 2))
    assert strength.argmax() == orientation


@pytest.mark.parametrize("seed", [3, 4])
def test_twice_the_size_is_much_the_same(seed):
    picture = scene(1200, 800, seed)
    large, small = one(picture), one(picture.resize((600, 400), Image.Resampling.LANCZOS))
    for name in COLUMNS:
        low, high = RANGES[name]
        tolerance = 0.005 if name == "gist" else 0.03 * (high - low)
        np.testing.assert_allclose(large[name], small[name], atol=tolerance, err_msg=name)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(8, 400),
    st.integers(8, 400),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["noise", "scene", "grey", "two colours"]),
)
def test_any_image_is_finite_and_in_range(width, height, seed, kind):
    picture = noise(width, height, seed) if kind != "scene" else scene(width, height, seed)
    if kind == "grey":
        picture = picture.convert("L").convert("RGB")
    elif kind == "two colours":
        picture = picture.convert("1").convert("RGB")
    found = one(picture)
    assert tuple(found) == COLUMNS
    for name, values in found.items():
        assert values.shape == ((WIDTHS[name],) if name in WIDTHS else ())
        assert values.dtype == np.float32
        assert np.isfinite(values).all(), name
        assert RANGES[name][0] <= values.min(), name
        assert values.max() <= RANGES[name][1] + 1e-6, name
    assert found["texture_lbp"].sum() == pytest.approx(1, abs=1e-5)
    assert found["colour_histogram"].reshape(3, 18)[1:].sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    if kind in ("grey", "two colours"):
        assert found["hue_count"] == 0


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (1, 1)])
def test_thin_strips_and_single_pixels(size):
    assert all(np.isfinite(values).all() for values in one(noise(*size)).values())


def test_images_are_consumed_one_at_a_time_and_rows_are_independent():
    images = [noise(90, 60, 1), Image.new("RGB", (10, 10), (9, 99, 200)), scene(300, 200, 2)]
    features = visual_features(iter(images))
    for row, image in enumerate(images):
        for name, values in one(image).items():
            np.testing.assert_array_equal(features[name][row], values)
    none = visual_features([])
    assert {name: values.shape for name, values in none.items()} == {
        name: (0, WIDTHS[name]) if name in WIDTHS else (0,) for name in COLUMNS
    }


@pytest.mark.parametrize("workers", [1, 3])
def test_both_tables_from_one_opening(workers):
    images = [scene(200 + 10 * seed, 150, seed) for seed in range(7)]
    sizes = [(1000 + seed, 700) for seed in range(7)]
    opened = OpenedOnAccess(images)
    pixels, visual = describe_images(opened, sizes, workers)
    assert sorted(index for index, _ in opened.asked) == list(range(7))
    assert threading.current_thread().name not in {name for _, name in opened.asked}
    for found, expected in ((pixels, pixel_features(images, sizes)), (visual, visual_features(images))):
        assert list(found) == list(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == np.float32


def test_what_is_refused():
    with pytest.raises(ValueError, match="RGB"):
        visual_features([Image.new("L", (8, 8))])
    with pytest.raises(ValueError, match="RGB"):
        describe_images([Image.new("L", (8, 8))], [(8, 8)])
    with pytest.raises(ValueError, match="0 x 8"):
        describe_images([noise(8, 8)], [(0, 8)])
    with pytest.raises(ValueError, match="2 images came with 1 sizes"):
        describe_images([noise(8, 8), noise(8, 8)], [(8, 8)])
