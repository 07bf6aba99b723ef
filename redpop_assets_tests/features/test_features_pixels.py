import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from redpop_assets.features.pixels import COLUMNS, pixel_features


def one(image: Image.Image, size: tuple[int, int] | None = None) -> dict[str, float]:
    return {name: float(values[0]) for name, values in pixel_features([image], [size or image.size]).items()}


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


# Of three pictures, see `test_older_columns_mean_what_they_meant`; as version 1 of the code measured them.
VERSION_1 = {
    "log_aspect_ratio": (0.4054651, 0.4054651, -0.51082563),
    "log_megapixels": (-5.2213564, -0.040821996, -1.89712),
    "brightness": (0.5051847, 0.5001889, 0.48772654),
    "contrast": (0.13072452, 0.15659839, 0.1377444),
    "saturation": (0.48082384, 0.5606864, 0.52090544),
    "hue_entropy": (0.9990338, 0.9982761, 0.9740623),
    "warm_share": (0.28362572, 0.26041666, 0.15665585),
    "colourfulness": (92.91437, 111.93761, 105.46475),
    "sharpness": (6.611877, 4.6031456, 1.142433),
    "edge_density": (0.36862665, 0.12625639, 0.0),
    "grey_entropy": (7.098567, 7.3515887, 7.0829854),
}


def checkerboard(square: int) -> Image.Image:
    cells = np.indices((256, 256)).sum(axis=0) if square == 1 else sum(np.indices((256, 256)) // square)
    return Image.fromarray(((cells % 2) * 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_grey_plane_has_nothing(grey):
    found = one(Image.new("RGB", (300, 200), (grey, grey, grey)))
    assert found["brightness"] == pytest.approx(grey / 255)
    for name in (*list(VERSION_1)[3:], "is_square", "text_share"):
        assert found[name] == 0, name
    assert found["black_share"] == (grey == 0)
    assert found["white_share"] == (grey == 255)
    assert found["mid_tone_share"] == (grey == 128)
    assert found["median_brightness"] == pytest.approx(grey / 255)


def test_older_columns_mean_what_they_meant():
    images = [
        noise(90, 60, 1),
        noise(48, 32, 3).resize((1200, 800), Image.Resampling.BICUBIC),
        noise(5, 7, 4).resize((300, 500), Image.Resampling.BILINEAR),
    ]
    found = pixel_features(images, [image.size for image in images])
    for name, values in VERSION_1.items():
        np.testing.assert_allclose(found[name], np.float32(values), rtol=3e-6, err_msg=name)


@pytest.mark.parametrize(
    ("size", "square"), [((600, 600), 1), ((600, 590), 1), ((590, 600), 1), ((600, 580), 0), ((600, 800), 0)]
)
def test_a_square_may_be_off_by_a_fiftieth(size, square):
    assert one(Image.new("RGB", (20, 20)), size)["is_square"] == square


def test_the_shorter_edge_is_that_of_the_original():
    for size in ((1080, 1920), (1920, 1080)):
        assert one(Image.new("RGB", (20, 20)), size)["log_shorter_edge"] == pytest.approx(np.log(1080))


def test_exposure_by_hand():
    pixels = np.zeros((256, 256, 3), dtype=np.uint8)
    pixels[:, 64:] = 250
    pixels[:, 128:] = 100
    pixels[:, 240:] = 200
    found = one(Image.fromarray(pixels))
    assert found["black_share"] == pytest.approx(64 / 256)
    assert found["white_share"] == pytest.approx(64 / 256)
    assert found["mid_tone_share"] == pytest.approx(112 / 256)
    assert found["median_brightness"] == pytest.approx(100 / 255)


def test_words_cover_a_share_of_the_picture():
    picture = Image.new("RGB", (800, 600), (90, 120, 60))
    assert one(picture)["text_share"] == 0
    font = ImageFont.load_default(size=60)
    ImageDraw.Draw(picture).text((400, 80), "WHEN YOU SEE IT", font=font, fill="white", anchor="mm")
    assert 0.03 < one(picture)["text_share"] < 0.1


def test_the_size_is_that_of_the_original():
    found = one(Image.new("RGB", (30, 20)), (6000, 4000))
    assert found["log_aspect_ratio"] == pytest.approx(np.log(1.5))
    assert found["log_megapixels"] == pytest.approx(np.log(24))
    portrait = one(Image.new("RGB", (20, 30)))
    assert portrait["log_aspect_ratio"] == pytest.approx(-np.log(1.5))


def test_one_colour():
    found = one(Image.new("RGB", (64, 64), (255, 0, 0)))
    assert found["saturation"] == 1
    assert found["warm_share"] == 1
    assert found["hue_entropy"] == 0
    # Hasler & Süsstrunk: rg = 255, yb = 127.5, no spread
    assert found["colourfulness"] == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-5)
    for colour, warm in [
        ((255, 200, 0), 1),
        ((255, 0, 100), 1),
        ((0, 255, 0), 0),
        ((0, 0, 255), 0),
        ((255, 0, 255), 0),
    ]:
        assert one(Image.new("RGB", (64, 64), colour))["warm_share"] == warm


def test_colourfulness_by_hand():
    pixels = np.zeros((256, 256, 3), dtype=np.uint8)
    pixels[:, :128] = (255, 0, 0)
    pixels[:, 128:] = (0, 0, 255)
    # rg: 255 and 0; yb: 127.5 and -255
    expected = np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, -63.75)
    assert one(Image.fromarray(pixels))["colourfulness"] == pytest.approx(expected, rel=1e-5)


def test_two_colours_are_one_bit_of_hue():
    pixels = np.zeros((256, 256, 3), dtype=np.uint8)
    pixels[:, :128] = (255, 0, 0)
    pixels[:, 128:] = (0, 0, 255)
    found = one(Image.fromarray(pixels))
    assert found["hue_entropy"] == pytest.approx(np.log(2) / np.log(32))
    assert found["grey_entropy"] == pytest.approx(1)


def test_blur_lowers_sharpness_and_edges():
    sharp = noise(256, 256)
    blurred = one(sharp.filter(ImageFilter.GaussianBlur(3)))
    assert blurred["sharpness"] < one(sharp)["sharpness"] - 2
    assert blurred["edge_density"] < one(sharp)["edge_density"]


def test_edge_density_counts_edges():
    wide, narrow = one(checkerboard(64)), one(checkerboard(8))
    assert 0 < wide["edge_density"] < narrow["edge_density"] < 1
    # squares of 8: a pixel lies on an edge if it is last in its square, across or down
    assert narrow["edge_density"] == pytest.approx(1 - (7 / 8) ** 2, abs=0.01)
    assert narrow["contrast"] == pytest.approx(0.5, abs=1e-3)


def test_a_larger_copy_measures_much_the_same():
    scene = noise(48, 32, seed=3).resize((2400, 1600), Image.Resampling.BICUBIC)
    large, small = one(scene), one(scene.resize((600, 400), Image.Resampling.LANCZOS), scene.size)
    for name in COLUMNS:
        assert large[name] == pytest.approx(small[name], rel=0.1, abs=0.02), name


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_any_image_is_finite_and_in_range(width, height, seed):
    found = one(noise(width, height, seed))
    assert all(np.isfinite(value) for value in found.values())
    unbounded = ("log_aspect_ratio", "log_megapixels", "colourfulness", "sharpness", "grey_entropy", "log_shorter_edge")
    for name in set(COLUMNS) - set(unbounded):
        assert 0 <= found[name] <= 1, name
    assert 0 <= found["grey_entropy"] <= 8


def test_a_thin_strip():
    assert all(np.isfinite(value) for value in one(noise(3000, 1)).values())


def test_images_are_consumed_one_at_a_time_and_rows_are_independent():
    images = [noise(90, 60, 1), Image.new("RGB", (10, 10), (9, 99, 200))]
    features = pixel_features(iter(images), [image.size for image in images])
    assert list(features) == list(COLUMNS)
    for row, image in enumerate(images):
        assert {name: float(values[row]) for name, values in features.items()} == one(image)
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in pixel_features([], []).values())


def test_what_is_refused():
    with pytest.raises(ValueError, match="RGB"):
        one(Image.new("L", (8, 8)))
    with pytest.raises(ValueError, match="0 x 8"):
        one(Image.new("RGB", (8, 8)), (0, 8))
    with pytest.raises(ValueError, match="zip"):
        pixel_features([noise(8, 8)], [])
