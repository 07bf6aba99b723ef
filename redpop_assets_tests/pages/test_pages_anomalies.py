"""What people see of wrong periods: a table that says how sure it is, and a picture that is small enough to be kept."""

import io
from datetime import date, timedelta

import numpy as np
import pytest
from PIL import Image

from redpop_assets.evaluation.anomalies import Anomaly, Window
from redpop_assets.pages.anomalies import anomalies_markdown, anomalies_picture

pytestmark = pytest.mark.integration

FIRST = date(2016, 1, 4)
WRONG = Anomaly("first_readings", date(2023, 7, 10), date(2023, 11, 5), 0.918, 0.081, 0.911, 9e-41, 747)
LEVEL = Anomaly("new_level", date(2020, 7, 6), date(2021, 1, 10), 0.5, 0.1, 0.44, 2e-9, 4000)
GAP = Anomaly("gap", date(2023, 6, 12), date(2023, 6, 13), 0.0, 9.4, 1.0, 2e-8, 19)


def windows(count):
    return [
        Window(first := FIRST + timedelta(weeks=week), first + timedelta(days=6), 60, 6 + week % 5, *judged)
        for week in range(count)
        for judged in [(None, None) if week < 8 else (0.1, 0.4)]
    ]


def test_each_period_says_what_was_seen_and_expected():
    lines = anomalies_markdown([WRONG, GAP], windows(20)).splitlines()
    assert lines[0].startswith("12 of 20 windows of labels of archives could be judged")
    assert lines[-2:] == [
        "| scores that are first readings | 2023-07-10 | 2023-11-05 | 91.8% | 8.1% | 91% | 9e-41 | 747 |",
        "| days without posts | 2023-06-12 | 2023-06-13 | 0.0 | 9.4 | 100% | 2e-08 | 19 |",
    ]


def test_nothing_found_is_a_sentence():
    text = anomalies_markdown([], windows(3))
    assert text.startswith("Nothing found. 0 of 3 windows")
    assert "|" not in text


@pytest.mark.parametrize(
    ("found", "shown"), [([GAP], []), ([WRONG], windows(20)), ([WRONG, LEVEL, GAP, GAP], windows(410))]
)
def test_the_picture_opens_and_is_small(found, shown):
    posts = np.random.default_rng(0).poisson(60, 8 * 365)
    png = anomalies_picture(found, shown, FIRST, posts)
    assert len(png) < 40_000
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert (picture.format, picture.width > picture.height > 200) == ("PNG", True)


def test_periods_are_marked():
    posts = np.full(8 * 365, 20)
    pictures = [anomalies_picture(found, windows(410), FIRST, posts) for found in ([WRONG], [GAP], [WRONG, GAP])]
    assert len(set(pictures)) == 3
    assert pictures[0] == anomalies_picture([WRONG], windows(410), FIRST, posts)


def test_where_nothing_is_wrong_nothing_is_drawn():
    assert anomalies_picture([], windows(410), FIRST, np.full(8 * 365, 20)) is None
    assert anomalies_picture([], [], None, np.zeros(0, dtype=np.int64)) is None
