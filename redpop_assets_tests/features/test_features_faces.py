"""Faces in photographs that installed packages carry, and the numbers that follow from where they are."""

import io
import math
import sys
import threading
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from redpop_assets.errors import SettingsError, WeightsUnavailable
from redpop_assets.features.faces import (
    COLUMNS,
    LEAST_CONFIDENCE,
    LEAST_FACE,
    face_features,
    load_face_detector,
)
from redpop_assets.images.decode import open_rgb

pytestmark = pytest.mark.integration

WITH_A_FACE = {
    "skimage/data/astronaut.png": (0.44, 0.23),
    "skimage/data/camera.png": (0.44, 0.30),
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": (0.51, 0.37),
}
"""Photograph -> where its one face is, from the left and from the top."""

WITHOUT_A_FACE = (
    *(f"skimage/data/{name}" for name in ("chelsea.png", "coffee.png", "coins.png", "gravel.png", "moon.png")),
    *(f"skimage/data/{name}" for name in ("motorcycle_left.png", "page.png", "rocket.jpg")),
    *(f"sklearn/datasets/images/{name}" for name in ("china.jpg", "flower.jpg")),
)


def photograph(path):
    package, _, rest = path.partition("/")
    return open_rgb(files(package).joinpath(rest).read_bytes())


def packed(image, image_format, **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def detector():
    return load_face_detector(device="cpu", workers=2)


@pytest.fixture(scope="module")
def astronaut():
    return photograph("skimage/data/astronaut.png")


def features_of(detector, *images):
    return face_features(detector.find(images))


@pytest.mark.parametrize("path", WITH_A_FACE)
def test_the_one_face_of_a_photograph_is_found_where_it_is(detector, path):
    found = features_of(detector, photograph(path))
    assert (found["has_face"][0], found["faces"][0]) == (1, 1)
    assert (found["largest_face_x"][0], found["largest_face_y"][0]) == pytest.approx(WITH_A_FACE[path], abs=0.02)
    assert LEAST_CONFIDENCE <= found["face_confidence"][0] <= 1
    assert found["faces_share"][0] == found["largest_face_share"][0]


@pytest.mark.parametrize("path", WITHOUT_A_FACE)
def test_where_nobody_is_no_face_is_found(detector, path):
    (found,) = detector.find([photograph(path)])
    assert found.shape == (0, 5)
    assert found.dtype == np.float32


def test_of_labelled_crops_faces_are_told_from_the_rest(detector):
    crops = np.load(files("skimage").joinpath("data/lfw_subset.npy"))  # 100 faces, then 100 pictures without one
    chosen = range(0, 200, 10)
    images = []
    for crop in crops[chosen]:
        image = Image.new("RGB", (160, 160), (128, 128, 128))
        image.paste(Image.fromarray((255 * crop).astype(np.uint8)).resize((48, 48)).convert("RGB"), (56, 56))
        images.append(image)
    counts = features_of(detector, *images)["faces"]
    assert (counts[:10] == 1).sum() >= 9
    assert counts[10:].sum() == 0


def test_all_faces_of_a_group_are_found_and_the_largest_is_described(detector, astronaut):
    hopper = photograph("matplotlib/mpl-data/sample_data/grace_hopper.jpg")
    group = Image.new("RGB", (1400, 600))
    group.paste(astronaut.resize((400, 400)), (0, 100))
    group.paste(hopper, (420, 0))
    group.paste(ImageOps.mirror(astronaut).resize((400, 400)), (1000, 100))
    (found,) = detector.find([group])
    assert len(found) == 3
    areas = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    assert (np.diff(areas) <= 0).all()
    features = face_features([found])
    assert features["faces"][0] == 3
    assert features["largest_face_x"][0] == pytest.approx((420 + 0.51 * 512) / 1400, abs=0.02)
    assert features["faces_share"][0] == pytest.approx(areas.sum(), rel=1e-5)
    assert features["largest_face_share"][0] == pytest.approx(areas[0], rel=1e-5)


@pytest.mark.parametrize("path", [*WITH_A_FACE, *WITHOUT_A_FACE[:3]])
def test_a_mirrored_picture_has_its_faces_mirrored(detector, path):
    image = photograph(path)
    found = features_of(detector, image, ImageOps.mirror(image))
    assert found["faces"][0] == found["faces"][1]
    assert found["largest_face_x"][1] == pytest.approx(1 - found["largest_face_x"][0], abs=0.02)
    for column in ("largest_face_y", "largest_face_height", "largest_face_off_centre"):
        assert found[column][1] == pytest.approx(found[column][0], abs=0.03)


def test_a_face_on_a_larger_ground_is_smaller_and_moves(detector, astronaut):
    ground = Image.new("RGB", (1024, 1024))
    ground.paste(astronaut, (512, 512))
    found = features_of(detector, astronaut, ground)
    assert found["faces"].tolist() == [1, 1]
    assert found["largest_face_share"][1] == pytest.approx(found["largest_face_share"][0] / 4, rel=0.15)
    assert found["largest_face_x"][1] == pytest.approx((1 + found["largest_face_x"][0]) / 2, abs=0.01)


def test_the_size_and_the_form_of_a_file_do_not_matter(detector, astronaut):
    forms = {
        "small": packed(astronaut.resize((256, 256)), "PNG"),
        "large": packed(astronaut.resize((2400, 2400)), "JPEG"),
        "stretched": packed(astronaut.resize((768, 512)), "PNG"),
        "grey": packed(astronaut.convert("L"), "JPEG"),
        "16 bits of grey": packed(
            Image.fromarray((np.asarray(astronaut.convert("L"), np.int32) * 257).astype(np.uint16)), "PNG"
        ),
        "CMYK": packed(astronaut.convert("CMYK"), "JPEG"),
        "palette": packed(astronaut.quantize(256), "PNG"),
        "transparent": packed(astronaut.convert("RGBA"), "WEBP", lossless=True),
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    forms["turned by EXIF"] = packed(astronaut.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    found = features_of(detector, astronaut, *(open_rgb(data) for data in forms.values()))
    for row, form in enumerate(forms, start=1):
        assert found["faces"][row] == 1, form
        assert found["largest_face_x"][row] == pytest.approx(found["largest_face_x"][0], abs=0.015), form
        assert found["largest_face_y"][row] == pytest.approx(found["largest_face_y"][0], abs=0.015), form


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 4000), (LEAST_FACE - 1, 500), (500, LEAST_FACE - 1), (LEAST_FACE, LEAST_FACE), (21, 900)]
)
def test_pictures_too_small_for_a_face_have_none(detector, size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    assert [len(found) for found in detector.find([Image.fromarray(noise)])] == [0]


def test_a_face_that_fills_a_small_picture_is_found(detector, astronaut):
    (found,) = detector.find([astronaut.crop((160, 40, 290, 190)).resize((96, 110))])
    assert len(found) == 1
    assert ((found[:, :4] >= 0) & (found[:, :4] <= 1)).all()


def test_what_is_found_does_not_depend_on_the_company_or_the_threads(detector, astronaut):
    images = [astronaut, photograph("skimage/data/gravel.png"), astronaut.resize((300, 300))]
    together = detector.find(images)
    alone = [load_face_detector(device="cpu", workers=1).find([image])[0] for image in images[::-1]][::-1]
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pictures_are_opened_once_and_no_more_than_workers_at_a_time(detector, astronaut):
    class Counted:
        lock, opened, held, most = threading.Lock(), 0, 0, 0

        def __len__(self):
            return 7

        def __getitem__(self, index):
            class Tracked(Image.Image):
                def __del__(tracked):  # noqa: N805
                    with self.lock:
                        self.held -= 1

            with self.lock:
                self.opened += 1
                self.held += 1
                self.most = max(self.most, self.held)
            image = astronaut.resize((64, 64))
            image.__class__ = Tracked
            return image

    pictures = Counted()
    assert len(detector.find(pictures)) == 7
    assert pictures.opened == 7
    assert pictures.most <= 2


def test_no_pictures_give_no_rows(detector):
    assert detector.find([]) == []
    found = face_features([])
    assert list(found) == list(COLUMNS)
    assert all(values.shape == (0,) and values.dtype == np.float32 for values in found.values())


def test_other_modes_than_rgb_are_refused(detector):
    with pytest.raises(ValueError, match="mode L"):
        detector.find([Image.new("L", (64, 64))])


def test_a_picture_that_cannot_be_opened_is_the_callers_concern(detector):
    class Broken:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        detector.find(Broken())


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(WeightsUnavailable, match=r"facenet-pytorch is not installed.*redpop\[recognise\]"):
        load_face_detector(device="cpu")


def test_unknown_devices_are_refused():
    with pytest.raises(SettingsError, match="REDPOP_DEVICE"):
        load_face_detector(device="tpu")


shares = st.floats(0, 1, width=32)


@st.composite
def faces_of_a_picture(draw):
    """Boxes inside a picture, the largest first."""
    boxes = []
    for _ in range(draw(st.integers(0, 5))):
        left, right = sorted((draw(shares), draw(shares)))
        top, bottom = sorted((draw(shares), draw(shares)))
        boxes.append([left, top, right, bottom, draw(st.floats(LEAST_CONFIDENCE, 1))])
    found = np.array(boxes, np.float32).reshape(-1, 5)
    return found[np.argsort(-(found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1]), kind="stable")]


@given(st.lists(faces_of_a_picture(), max_size=4))
def test_features_are_finite_shares_and_say_whether_there_is_a_face(pictures):
    found = face_features(pictures)
    assert list(found) == list(COLUMNS)
    for name, values in found.items():
        assert values.shape == (len(pictures),)
        assert values.dtype == np.float32
        if name != "faces":
            assert ((values >= 0) & (values <= 1)).all(), name
    for row, faces in enumerate(pictures):
        assert found["faces"][row] == len(faces)
        assert found["has_face"][row] == bool(len(faces))
        assert found["largest_face_share"][row] <= found["faces_share"][row]
        if not len(faces):
            nothing = {name: float(values[row]) for name, values in found.items()}
            assert nothing == dict.fromkeys(COLUMNS, 0.0) | {"largest_face_x": 0.5, "largest_face_y": 0.5}


@given(faces_of_a_picture())
def test_mirroring_boxes_mirrors_the_place_and_nothing_else(faces):
    mirrored = faces.copy()
    mirrored[:, [0, 2]] = 1 - faces[:, [2, 0]]
    found = face_features([faces, mirrored])
    assert found["largest_face_x"][1] == pytest.approx(1 - found["largest_face_x"][0], abs=1e-6)
    for name in set(COLUMNS) - {"largest_face_x"}:
        assert found[name][1] == pytest.approx(found[name][0], abs=1e-6), name


@given(faces_of_a_picture(), faces_of_a_picture())
def test_a_further_face_covers_more(faces, more):
    both = np.concatenate([faces, more])
    both = both[np.argsort(-(both[:, 2] - both[:, 0]) * (both[:, 3] - both[:, 1]), kind="stable")]
    fewer, together = (face_features([boxes]) for boxes in (faces, both))
    assert together["faces_share"][0] >= fewer["faces_share"][0] - 1e-6
    assert together["largest_face_share"][0] >= fewer["largest_face_share"][0]


def test_distances_are_measured_from_the_centre_to_the_corner():
    corner = np.array([[0.0, 0.0, 0.0, 0.0, 1.0]], np.float32)
    centre = np.array([[0.4, 0.25, 0.6, 0.75, 0.95]], np.float32)
    side = np.array([[0.9, 0.4, 1.0, 0.6, 1.0]], np.float32)
    found = face_features([corner, centre, side])
    np.testing.assert_allclose(found["largest_face_off_centre"], [1.0, 0.0, 0.45 / math.sqrt(0.5)], atol=1e-6)
    np.testing.assert_allclose(found["largest_face_height"], [0.0, 0.5, 0.2], atol=1e-6)
    np.testing.assert_allclose(found["largest_face_share"], [0.0, 0.1, 0.02], atol=1e-6)
    np.testing.assert_allclose(found["face_confidence"], [1.0, 0.95, 1.0], atol=1e-6)
