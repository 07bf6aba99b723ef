"""LightGBM learns the same from chunks as from one matrix, and never sees more than a chunk."""

import lightgbm
import numpy as np
import pytest

from redpop_assets.predictors.parts import trees
from redpop_assets.predictors.parts.trees import binned, predicted
from redpop_assets.predictors.systems.fusion import PARAMETERS


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1000, 12)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values, np.nan_to_num(values[:, 0]) + rng.normal(size=1000)


def test_trees_of_chunks_are_those_of_the_whole(inputs, monkeypatch):
    monkeypatch.setattr(trees, "ROWS_AT_ONCE", 300)
    values, labels = inputs
    asked = []

    def rows(some):
        asked.append(len(values[some]))
        return values[some]

    parameters = PARAMETERS | {"seed": 3}
    learning = binned(rows, labels, parameters)
    assert max(asked) == 300
    for seed in (3, 4):  # of one dataset several boosters can learn
        found = lightgbm.train(PARAMETERS | {"seed": seed}, learning, num_boost_round=30)
        whole = lightgbm.train(
            PARAMETERS | {"seed": seed}, lightgbm.Dataset(values.astype(np.float64), labels), num_boost_round=30
        )
        expected = whole.predict(values)
        np.testing.assert_array_equal(predicted(found, rows, 1000), expected)
        np.testing.assert_array_equal(
            predicted(found, rows, 1000, num_iteration=10), whole.predict(values, num_iteration=10)
        )
        assert np.corrcoef(expected, labels)[0, 1] > 0.5
    assert max(asked) == 300


def test_part_of_the_posts_can_be_left_out(inputs):
    values, labels = inputs
    rows = np.arange(200, 1000)
    changed = labels.copy()
    changed[:200] = 1e6
    learnt = [
        lightgbm.train(PARAMETERS, binned(values.__getitem__, y, PARAMETERS).subset(rows.tolist()), num_boost_round=30)
        for y in (labels, changed)
    ]
    first, second = (predicted(booster, values.__getitem__, 1000) for booster in learnt)
    np.testing.assert_array_equal(first, second)
    assert np.corrcoef(first[:200], labels[:200])[0, 1] > 0.5


def test_bins_are_found_on_a_sample(inputs, monkeypatch):
    monkeypatch.setattr(trees, "ROWS_FOR_BINS", 50)
    values, labels = inputs
    asked = []

    def rows(some):
        asked.append(some)
        return values[some]

    learning = binned(rows, labels, PARAMETERS)
    assert sum(some.stop - some.start == 1 for some in asked) == 50
    assert learning.num_data() == 1000
