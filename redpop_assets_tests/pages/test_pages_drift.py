import io

import numpy as np
import pytest
from PIL import Image

from redpop_assets.evaluation.drift import compare, profile
from redpop_assets.pages.drift import drift_markdown, evidence_picture

pytestmark = pytest.mark.integration


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


def test_what_was_never_accepted_is_listed_and_not_drawn():
    sick = compare(None, np.ones((100, 32)) / np.sqrt(32), column="e", embeddings=True)
    assert evidence_picture([sick]) is None
    text = drift_markdown([sick, compare(None, np.arange(60.0), column="new")])
    assert text.startswith("1 of 2 columns drifted; 0 have an accepted profile.\n\n| column | rows accepted |")
    assert text.splitlines()[4].startswith("| e | – | 100 | – | – | – | 0.0% | – | 1.00 | collapsed")
    assert text.splitlines()[5] == "| new | – | 60 | – | – | – | 0.0% | – | – | first seen |"


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


def test_the_table_lists_the_ten_worst_columns():
    random = np.random.default_rng(11)
    drifts = [
        compare(profile(random.normal(size=300)), random.normal(0.1 * n, size=300), column=f"c|{n}") for n in range(14)
    ]
    lines = drift_markdown(drifts).splitlines()
    assert lines[0].endswith("of 14 columns drifted; 14 have an accepted profile.")
    assert len(lines) == 4 + 10
    assert lines[4].startswith("| c\\|13 | 300 | 300 | ")
    assert "PSI" in lines[4].split(" | ")[-1]
    assert {line.replace("\\|", "").count("|") for line in lines[2:]} == {11}
