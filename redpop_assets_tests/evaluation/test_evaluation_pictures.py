import base64
import io

import numpy as np
import pytest
from PIL import Image

from redpop_assets.evaluation.drift import compare, profile
from redpop_assets.evaluation.pictures import embedded_png, evidence_picture


def drifts(count):
    random = np.random.default_rng(0)
    draws = [
        random.normal(size=400),
        np.where(random.random(400) < 0.7, 0.0, random.exponential(size=400)),
        (random.random(400) < 0.3).astype(float),
        random.normal(size=(400, 16)),
        np.full(400, 2.0),
    ]
    return [
        compare(profile(values), values * 1.7 + 0.4, column=f"a_{n}_long_name_with_$dollars$_in_it")
        for n, values in enumerate(draws[:count])
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_picture_of_the_evidence_opens_and_is_small(count):
    png = evidence_picture(drifts(count))
    assert len(png) < 30_000
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.width > picture.height > 100
        colours = {colour for _, colour in picture.convert("RGB").getcolors()}
    assert len(colours) > 3


def test_the_same_evidence_makes_the_same_picture():
    assert evidence_picture(drifts(4)) == evidence_picture(drifts(4))
    assert evidence_picture(drifts(4)) != evidence_picture(drifts(3))


def test_nothing_to_compare_makes_no_picture():
    assert evidence_picture([]) is None
    values = np.arange(60.0)
    assert (
        evidence_picture([compare(None, values, column="x"), compare(profile(values), values[:0], column="y")]) is None
    )


def test_drawing_leaves_no_open_figure():
    from matplotlib import _pylab_helpers

    evidence_picture(drifts(2))
    assert not _pylab_helpers.Gcf.get_all_fig_managers()


def test_markdown_carries_the_picture_in_itself():
    png = evidence_picture(drifts(1))
    text = embedded_png(png, "what [drifted]")
    head, data = text.removesuffix(")").split("base64,")
    assert head == "![what (drifted)](data:image/png;"
    assert base64.b64decode(data) == png
