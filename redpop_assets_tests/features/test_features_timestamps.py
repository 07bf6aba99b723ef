import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from redpop_assets.features.timestamps import COLUMNS, WIDTHS, circular_rbf, timestamp_features

# 2005 to 2059: from the founding of Reddit on
SECONDS = st.integers(1_104_537_600, 2_839_967_999)


def times(*texts: str) -> np.ndarray:
    return np.asarray(texts, dtype="datetime64[s]")


def embedded(features: dict, kind: str) -> np.ndarray:
    return np.stack((features[f"{kind}_sin"], features[f"{kind}_cos"]), axis=1)


def test_known_date():
    features = timestamp_features(times("2024-02-29T13:45:30"))
    assert list(features) == list(COLUMNS)
    assert (features["hour"][0], features["weekday"][0], features["day_of_year"][0]) == (13, 3, 60)
    assert features["hour_onehot"][0].argmax() == 13
    assert features["weekday_onehot"][0].argmax() == 3
    assert features["month_onehot"][0].argmax() == 1
    angle = 2 * np.pi * (13 + 45 / 60 + 30 / 3600) / 24
    assert features["hour_sin"][0] == pytest.approx(np.sin(angle), abs=1e-6)


def test_calendar_fields_against_python():
    moments = np.arange("2019-12-30", "2021-01-03", np.timedelta64(7, "h"), dtype="datetime64[s]")
    features = timestamp_features(moments)
    for row, moment in enumerate(moments.tolist()):
        assert features["hour"][row] == moment.hour
        assert features["weekday"][row] == moment.weekday()
        assert features["day_of_year"][row] == moment.timetuple().tm_yday
        assert features["month_onehot"][row].argmax() == moment.month - 1


@given(arrays(np.int64, st.integers(0, 20), elements=SECONDS))
def test_shapes_and_ranges(seconds):
    features = timestamp_features(seconds.astype("datetime64[s]"))
    for name in COLUMNS:
        width = WIDTHS.get(name)
        assert features[name].shape == ((len(seconds),) if width is None else (len(seconds), width))
        assert features[name].dtype == np.float32
        assert np.isfinite(features[name]).all()
        if name.endswith("_onehot"):
            assert (features[name].sum(axis=1) == 1).all()
        if name.endswith("_rbf") and len(seconds):
            # Every place on the circle is at most half a spacing away from a bump.
            assert features[name].max(axis=1).min() >= np.exp(-0.25) - 1e-6


@pytest.mark.parametrize(
    ("kind", "step", "period"), [("hour", 3600, 24), ("weekday", 86_400, 7), ("day_of_year", 86_400, 365.25)]
)
@given(start=SECONDS)
def test_neighbours_are_equidistant_everywhere(kind, step, period, start):
    """Nothing is special about midnight, Sunday night, a leap day or New Year; and the period is the right one."""
    features = timestamp_features(np.asarray([start, start + step], dtype="datetime64[s]"))
    here, there = embedded(features, kind).astype(np.float64)
    assert np.linalg.norm(there - here) == pytest.approx(2 * np.sin(np.pi / period), abs=2e-6)
    assert np.linalg.norm(here) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("kind", "hours"), [("hour", 24), ("weekday", 168), ("day_of_year", 365.25 * 24)])
@given(start=SECONDS)
def test_one_period_later_is_the_same_place(kind, hours, start):
    features = timestamp_features(np.asarray([start, start + int(hours * 3600)], dtype="datetime64[s]"))
    np.testing.assert_allclose(*embedded(features, kind), atol=1e-6)
    np.testing.assert_allclose(*features[f"{kind}_rbf"], atol=1e-5)


def test_hours_23_and_0_are_neighbours_and_not_equal():
    features = timestamp_features(times("2024-05-01T22:00", "2024-05-01T23:00", "2024-05-02T00:00"))
    place = embedded(features, "hour")
    assert np.linalg.norm(place[2] - place[1]) == pytest.approx(np.linalg.norm(place[1] - place[0]), rel=1e-5)
    assert np.linalg.norm(place[2] - place[1]) > 0.2


def test_a_date_is_nearly_the_same_place_in_every_year():
    features = timestamp_features(times(*(f"{year}-07-04" for year in range(2005, 2050))))
    place = embedded(features, "day_of_year")
    assert np.linalg.norm(place - place[0], axis=1).max() < 2 * np.sin(np.pi / 365.25)


def test_bumps():
    bumps = circular_rbf(np.asarray([0.0, 2.0, 23.0]), 24.0, 12)
    assert bumps[0, 0] == 1
    assert bumps[0, 1] == bumps[0, 11] == pytest.approx(np.exp(-1))
    np.testing.assert_allclose(bumps[1], np.roll(bumps[0], 1), rtol=1e-6)
    assert bumps[2, 0] == bumps[2, 11] == pytest.approx(np.exp(-0.25))


def test_missing_time_is_refused():
    with pytest.raises(ValueError, match="missing"):
        timestamp_features(times("NaT"))
    with pytest.raises(ValueError, match="shape"):
        timestamp_features(np.zeros((2, 2), dtype="datetime64[s]"))
