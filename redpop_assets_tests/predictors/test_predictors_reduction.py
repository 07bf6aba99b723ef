"""Blocks side by side, and their principal components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.parts import reduction
from redpop_assets.predictors.parts.reduction import PrincipalComponents, side_by_side


def correlated(n, d, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + 0.3 * rng.normal(size=(n, d))
    return Block(values.astype(np.float32), tuple(f"c{i}" for i in range(d)), np.ones(n, dtype=bool))


@pytest.mark.parametrize("shape", [(300, 12), (40, 90)])
def test_the_components_are_those_of_scikit_learn(shape):
    block = correlated(*shape)
    found = PrincipalComponents.fit(block, 3)
    standardised = block.standardised(*block.moments())
    theirs = PCA(3).fit(standardised)
    ours = found.scores(block)
    scores = theirs.transform(standardised) / theirs.transform(standardised).std(axis=0)
    signs = np.sign((ours * scores).sum(axis=0))
    np.testing.assert_allclose(ours, np.clip(scores * signs, -4, 4), atol=1e-3)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_, atol=1e-4)
    np.testing.assert_allclose(ours.std(axis=0), 1, atol=0.02)
    again = PrincipalComponents(**found.arrays())
    np.testing.assert_array_equal(again.scores(block), ours)


def test_columns_that_repeat_one_another_give_fewer_components():
    one = correlated(100, 1).values
    block = Block(np.hstack([one, 2 * one, one + 1]), ("a", "b", "c"), np.ones(100, dtype=bool))
    found = PrincipalComponents.fit(block, 20)
    assert found.scores(block).shape == (100, 1)
    assert found.explained == pytest.approx([1.0])


def test_an_unknown_value_counts_as_the_mean_and_a_huge_one_is_bounded():
    block = correlated(200, 5)
    found = PrincipalComponents.fit(block, 2)
    odd = np.array([np.full(5, np.nan), np.full(5, 1e9)], dtype=np.float32)
    absent, huge = found.scores(Block(odd, block.columns, np.ones(2, dtype=bool)))
    np.testing.assert_allclose(absent, 0, atol=0.1)
    assert np.abs(huge).max() <= 4


def test_the_directions_come_from_a_bounded_number_of_posts(monkeypatch):
    monkeypatch.setattr(reduction, "MOST_ROWS", 50)
    block = correlated(500, 8)
    found = PrincipalComponents.fit(block, 2)
    values = block.values.copy()
    chosen = np.unique(np.linspace(0, 499, 50).astype(int))
    np.testing.assert_array_equal(found.mean, block.moments()[0])
    only = PrincipalComponents.fit(Block(values[chosen], block.columns, np.ones(50, dtype=bool)), 2)
    np.testing.assert_allclose(np.abs(found.explained), np.abs(only.explained), atol=0.05)


def test_side_by_side_names_and_order(small):
    block = side_by_side(small.train, {"author": ["is_cold_start", "past_mean_log_score"], "image": ["c3"]})
    assert block.columns == ("author.is_cold_start", "author.past_mean_log_score", "image.c3")
    assert block.present.all()
    image = small.train.blocks["image"]
    np.testing.assert_array_equal(block.values[:, 2], image.values[:, 3])
    assert np.isnan(block.values[~image.present, 2]).all()
    assert side_by_side(small.train, {}).values.shape == (len(small.train), 0)
