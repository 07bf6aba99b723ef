"""Figures open, are the same for the same numbers, and take whatever words and numbers there are."""

import io

import numpy as np
import pytest
from PIL import Image

from redpop_assets.analyses import drawings

pytestmark = pytest.mark.integration

NAMES = ["plain", "$x_1$ costs $5", "🔥 emoji", "[oc]", "a" * 60]
INTERVALS = {name: {"lift": n - 2.0, "lift_low": n - 2.5, "lift_high": n - 1.5} for n, name in enumerate(NAMES)}
GROUPS = [
    {"predictor": name, "mean_expected": n / 2, "mean_actual": n / 3, "mean_actual_low": low, "mean_actual_high": 1.0}
    for name in ("one", "other")
    for n, low in ((1, 0.1), (2, 0.2), (3, None))
]
MONTHS = [
    {"predictor": f"p{n}", "slice": month, "bias": 0.1 * n, "bias_low": low, "bias_high": 0.9}
    for n in range(10)
    for month, low in (("2026-01", -0.5), ("2026-02", None))
]


def pictures(n):
    return [Image.new("RGB", (40 + k, 30), (k, 99, 200)) for k in range(n)]


def swarm(values):
    return drawings.beeswarm(["text: words", "$y$"], np.linspace(-1, 1, 20).reshape(10, 2), values, title="t", axis="a")


WORDS = [("the", 0.2), ("$🔥$", 0.8)]
DRAWN = {
    "intervals": lambda: drawings.interval_chart(INTERVALS, "lift", title="t$", axis="a"),
    "point without interval": lambda: drawings.interval_chart({"x": {"lift": 1.0}}, "lift", title="t", axis="a"),
    "reliability": lambda: drawings.reliability_chart(GROUPS, title="t"),
    "months": lambda: drawings.month_chart(MONTHS, title="t"),
    "swarm": lambda: swarm(np.arange(20.0).reshape(10, 2)),
    "swarm of what is not known": lambda: swarm(np.full((10, 2), np.nan)),
    "swarm of constants": lambda: swarm(np.ones((10, 2))),
    "gallery": lambda: drawings.gallery([("1: $50% bad", pictures(3)), ("2", pictures(1))], title="t"),
    "attention": lambda: drawings.attention_chart(
        [("a", pictures(1)[0], np.random.default_rng(0).random((7, 7)), WORDS), ("b", pictures(2)[1], None, [])],
        title="t",
    ),
}


@pytest.mark.parametrize("what", DRAWN)
def test_a_figure_opens_and_is_the_same_every_time(what):
    png = DRAWN[what]()
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 90
        assert len(set(picture.convert("L").tobytes())) > 3  # something is drawn
    assert len(png) < 400_000
    assert DRAWN[what]() == png


def test_a_chart_of_many_intervals_stays_a_page():
    many = {f"entry {n}": {"lift": float(n)} for n in range(500)}
    with Image.open(io.BytesIO(drawings.interval_chart(many, "lift", title="t", axis="a"))) as picture:
        assert picture.height < 1200


def test_dots_of_equal_values_lie_side_by_side():
    offsets = drawings._spread(np.zeros(7))
    assert len(set(offsets)) == 7
    assert offsets.mean() == pytest.approx(0.0)
    assert np.abs(drawings._spread(np.random.default_rng(0).normal(size=5000))).max() <= 0.35
