"""Precision and recall, Brier and calibration: as others define them, by hand, and on resamples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss

from redpop_assets.evaluation.probabilities import (
    average_precision_of,
    brier_of,
    brier_skill_of,
    calibration_groups,
)

CASES = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.integers(0, 3)), min_size=1)


def once(statistic, n):
    return float(statistic(np.ones((1, n)))[0])


@given(CASES)
def test_weights_stand_for_copies_and_the_values_are_those_of_scikit_learn(cases):
    truth, said, weight = (np.array(values) for values in zip(*cases, strict=True))
    copies = np.repeat(np.arange(len(truth)), weight)
    drawn = weight[None, :].astype(float)
    found = float(average_precision_of(truth, said)(drawn)[0])
    if truth[copies].any():
        assert found == pytest.approx(average_precision_score(truth[copies], said[copies]))
        brier = float(brier_of(truth, said)(drawn)[0])
        assert brier == pytest.approx(brier_score_loss(truth[copies], said[copies], pos_label=True))
    else:
        assert np.isnan(found)


def test_a_probability_that_knows_nothing_is_worth_the_base_rate_and_no_skill():
    truth = np.arange(40) % 4 == 0
    said = np.full(40, 0.25)
    assert once(average_precision_of(truth, said), 40) == pytest.approx(0.25)
    assert once(brier_skill_of(truth, said, 0.25), 40) == pytest.approx(0)
    assert once(brier_skill_of(truth, truth.astype(float), 0.25), 40) == 1
    assert once(brier_skill_of(truth, 1 - truth.astype(float), 0.25), 40) < -3


def test_groups_have_about_as_many_expected_events_and_keep_equals_together():
    rng = np.random.default_rng(0)
    said = np.clip(rng.beta(1, 12, 5000), 0, 1)
    truth = rng.random(5000) < said
    groups = calibration_groups(truth, said, np.arange(5000), resamples=200)
    assert len(groups) == 5
    assert sum(group.posts for group in groups) == 5000
    assert [group.mean_probability for group in groups] == sorted(group.mean_probability for group in groups)
    expected = [group.posts * group.mean_probability for group in groups]
    assert max(expected) < 1.5 * min(expected)
    assert all(group.low <= group.mean_probability <= group.high for group in groups)
    (one,) = calibration_groups([True, False], [0.3, 0.3], np.array([0, 0]))
    assert (one.posts, one.happened, one.share, one.low) == (2, 1, 0.5, None)
    assert calibration_groups([], [], np.array([], dtype=np.int64)) == ()


@pytest.mark.parametrize(("truth", "said"), [([True], [1.1]), ([True], [float("nan")]), ([True, False], [0.5])])
def test_what_is_no_probability_is_refused(truth, said):
    with pytest.raises(ValueError, match=r"probabilit"):
        brier_of(truth, said)
