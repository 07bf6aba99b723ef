"""Painted pictures: valid, repeatable, different from each other, and showing what they are meant to show."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from redpop_assets.sandbox import pictures
from redpop_assets.sandbox.pictures import Look


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("HSV").resize((224, 224)), dtype=float)


@pytest.mark.parametrize("subject", pictures.SUBJECTS)
def test_every_subject_is_painted_in_every_way(subject):
    seen = set()
    ways = zip(
        itertools.cycle(pictures.PALETTES),
        itertools.cycle(pictures.SHARPNESSES),
        itertools.cycle(pictures.OVERLAYS),
        itertools.cycle(pictures.FRAMINGS),
        itertools.cycle(pictures.COMPOSITIONS),
        range(6),
        strict=False,
    )
    for palette, sharpness, overlay, framing, composition, detail in ways:
        look = Look(subject, palette, sharpness, overlay, framing, composition, detail)
        data = pictures.render(look)
        assert data == pictures.render(look)
        seen.add(data)
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert (image.format, image.size) == ("JPEG", pictures.size(look))
            assert min(image.size) >= 380
            assert max(image.size) <= 800
    assert len(seen) == 6


def test_properties_are_visible():
    def mean(**change: str) -> np.ndarray:
        fixed = {"palette": "warm", "sharpness": "crisp", "overlay": "none", "framing": "plain", "composition": "close"}
        looks = [Look(subject, **(fixed | change), detail=5) for subject in pictures.SUBJECTS]
        return np.stack([pixels(pictures.render(look)) for look in looks])

    def detail(images: np.ndarray) -> float:
        return float(np.abs(np.diff(images[..., 2], axis=1)).mean())

    assert mean(palette="muted")[..., 1].mean() < 0.5 * mean(palette="vivid")[..., 1].mean()
    assert detail(mean(sharpness="blurred")) < 0.5 * detail(mean())
    assert mean(framing="bordered")[:, 2, :, 2].mean() > 230
    assert mean(framing="letterbox")[:, 5, :, 2].mean() < 30


def test_a_reupload_is_the_same_picture_in_other_bytes():
    look = Look("animal", "vivid", "crisp", "none", "plain", "many", 11)
    first, again = pictures.render(look), pictures.render(look, quality=68)
    assert first != again
    assert np.abs(pixels(first)[..., 2] - pixels(again)[..., 2]).mean() < 6
