"""Slices of the error and calibration, against plain computations on the same predictions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from redpop_assets.analyses.asking import refresh
from redpop_assets.analyses.errors import CALIBRATION, ERROR_SLICES, reliability_bins
from redpop_assets.storage.figures import FigureStore

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own(community, tmp_path_factory):
    return community.copy(tmp_path_factory.mktemp("errors") / "home")


@pytest.fixture(scope="module")
def tested(own):
    """The test posts with what the boosted trees expected."""
    return own.warehouse.query(
        "SELECT t.*, p.expected_log_score FROM models.training_set AS t JOIN marts.predictions AS p USING (post_id) "
        "WHERE t.split = 'test' AND p.predictor = 'metadata_boosting' ORDER BY post_id"
    ).to_pylist()


@pytest.fixture(scope="module")
def slices(own):
    rows = refresh(ERROR_SLICES, [own.study()], own.warehouse).rows
    return {(row["dimension"], row["slice"]): row for row in rows if row["predictor"] == "metadata_boosting"}


def test_slices_of_a_dimension_are_all_test_posts_once(slices, tested):
    for dimension in ("month", "year", "label_age", "author", "picture"):
        assert sum(row["posts"] for key, row in slices.items() if key[0] == dimension) == len(tested)


def test_posts_belong_to_every_listing_in_which_they_were_seen(slices, tested):
    numbers = [int(row["post_id"][2:]) for row in tested]
    seen = {
        "new": [n % 3 > 0 for n in numbers],
        "top": [n % 2 > 0 for n in numbers],
        "archive": [n % 3 == 0 and n % 2 == 0 for n in numbers],
    }
    assert {value for dimension, value in slices if dimension == "listing"} == set(seen)
    for listing, there in seen.items():
        chosen = [row for row, was in zip(tested, there, strict=True) if was]
        truth, expected = (np.array([row[name] for row in chosen]) for name in ("log_score", "expected_log_score"))
        row = slices["listing", listing]
        assert row["posts"] == len(chosen)
        assert row["authors"] == len({one["cluster"] for one in chosen})
        if len(chosen) < 30:
            assert row["spearman"] is None
            assert f"too few posts: {len(chosen)} of 30" in row["reason"]
        else:
            assert row["spearman"] == pytest.approx(spearmanr(truth, expected).statistic)
            assert row["mae"] == pytest.approx(np.abs(truth - expected).mean())
            assert row["bias"] == pytest.approx((truth - expected).mean())
            assert row["bias_low"] <= row["bias"] <= row["bias_high"]


def test_months_are_those_of_the_posts(slices, tested):
    months = {f"{row['created_at']:%Y-%m}" for row in tested}
    assert {value for dimension, value in slices if dimension == "month"} == months


def test_all_trained_predictors_are_judged(own):
    found = own.warehouse.query("SELECT DISTINCT predictor FROM marts.error_slices ORDER BY 1").column(0).to_pylist()
    assert found == ["fusion_lightgbm", "metadata_boosting", "subreddit_median"]


def test_groups_of_the_calibration_hold_all_posts_in_order(own, tested):
    outcome = refresh(CALIBRATION, [own.study()], own.warehouse)
    rows = [row for row in outcome.rows if row["predictor"] == "metadata_boosting"]
    assert sum(row["posts"] for row in rows) == len(tested)
    means = [row["mean_expected"] for row in rows]
    assert means == sorted(means)
    overall = sum(row["posts"] * row["mean_actual"] for row in rows) / len(tested)
    assert overall == pytest.approx(np.mean([row["log_score"] for row in tested]))
    assert rows[-1]["mean_actual_low"] > rows[0]["mean_actual_high"]
    constant = [row for row in outcome.rows if row["predictor"] == "subreddit_median"]
    assert [row["bin"] for row in constant] == [1]
    assert outcome.figures == ("pics/calibration.png",)
    assert refresh(CALIBRATION, [own.study()], own.warehouse).measured == 0


def test_what_changed_is_said(own):
    said = []

    def ask(**changes):
        study = replace(own.study(), progress=said.append, **changes)
        return refresh(CALIBRATION, [study], own.warehouse).measured

    ask()
    said.clear()
    assert (ask(), said) == (0, [])
    assert ask(seed=8) == 1
    assert said[0] == (
        "calibration asks r/pics because the code, the seed, the networks, the rows of models.predictors, "
        "the rows of marts.predictions or the rows of raw.sightings changed"
    )
    FigureStore(own.home / "figures").remove("pics/calibration.png")
    assert ask(seed=8) == 1
    assert said[2] == "calibration asks r/pics because its figures are lost"
    assert ask() == 1


def test_new_sightings_are_looked_at(own, slices):  # noqa: ARG001  the slices were measured before
    with own.warehouse.write() as writer:
        writer.execute("DELETE FROM raw.sightings WHERE listing = 'top'")
    assert refresh(ERROR_SLICES, [own.study()], own.warehouse).measured == 1
    found = own.warehouse.query("SELECT DISTINCT slice FROM marts.error_slices WHERE dimension = 'listing'")
    assert sorted(found.column(0).to_pylist()) == ["archive", "new"]


def test_a_figure_shows_those_with_the_smallest_error():
    from redpop_assets.analyses.errors import Judged, _best

    truth = np.zeros(40)
    everyone = [Judged(f"p{n:02}", truth + (n * 7 % 12), truth, np.arange(40), {}) for n in range(12)]
    assert _best(everyone) == {f"p{n:02}" for n in range(12) if n * 7 % 12 < 8}


def test_without_predictions_it_says_so(untrained):
    from redpop_assets.analyses import errors

    for measure in (errors.measure_slices, errors.measure_calibration):
        finding = measure(untrained.study())
        assert list(finding.rows) == []
        assert finding.notes == ("no predictor has predictions of test posts",)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 10))
def test_equal_expectations_are_in_one_group(values, bins):
    expected = np.array(values, dtype=np.float64)
    groups = reliability_bins(expected, bins)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(values)))
    assert len(groups) <= bins
    for group in groups:
        assert len(group)
    for lower, upper in pairwise(groups):
        assert expected[lower].max() < expected[upper].min()


@given(st.integers(20, 200), st.integers(1, 10))
def test_different_expectations_make_groups_of_one_size(posts, bins):
    sizes = [len(group) for group in reliability_bins(np.random.default_rng(posts).normal(size=posts), bins)]
    assert len(sizes) == bins
    assert max(sizes) - min(sizes) <= 1
