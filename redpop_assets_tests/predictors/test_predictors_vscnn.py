"""What makes the visual-social network what it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.parts.reduction import PrincipalComponents
from redpop_assets.predictors.systems.vscnn import TEXT_COUNTS, VSCNN, build_network
from redpop_assets.refresh.blocks import block_columns

pytestmark = pytest.mark.integration


def spearman(predicted, data):
    return spearmanr(predicted, data.labels).statistic


def test_three_convolutions_read_each_vector_and_meet_in_two_layers():
    network = build_network({"social": 14, "visual": 20})
    for tower in network.towers.values():
        kinds = [type(layer).__name__ for layer in tower]
        assert kinds == [*("Conv1d", "ReLU") * 3, "Flatten"]
    assert [layer.out_features for layer in network.head if isinstance(layer, torch.nn.Linear)] == [64, 32, 1]
    assert network.head[0].in_features == 64 * (14 + 20)
    assert network({"social": torch.zeros(5, 14), "visual": torch.zeros(5, 20)}).shape == (5,)


def test_twenty_visual_and_fourteen_social_components(fitted, small):
    predictor, report = fitted("vscnn")
    assert predictor.regressor.widths == {"visual": 20, "social": 14}
    assert report.notes[0].startswith("20 visual components hold ")
    counted = [c[5:] for c in predictor._block(small.train, "social").columns if c.startswith("text.")]
    assert counted == ["characters", "words", "mean_word_length", "bracket_tags", "user_mentions"]


def test_components_come_from_the_train_part_alone(fitted, small):
    blocks = {k: Block(b.values * 2 + 5, b.columns, b.present) for k, b in small.validation.blocks.items()}
    other = VSCNN(seed=3)
    other.fit(small.train, replace(small.validation, blocks=blocks))
    for branch, components in fitted("vscnn")[0].components.items():
        for key, value in components.arrays().items():
            np.testing.assert_array_equal(other.components[branch].arrays()[key], value)


def test_it_sees_pictures_and_social_signals(fitted, small):
    predictor, _ = fitted("vscnn")
    seeing = spearman(predictor.predict(small.test), small.test)
    assert seeing > 0.5
    shuffled = np.random.default_rng(0).permutation(len(small.test))
    for branch in (("image", "visual", "pixels"), ("time", "author", "text")):
        blind = {name: small.test.blocks[name].take(shuffled) for name in branch}
        half_blind = predictor.predict(replace(small.test, blocks={**small.test.blocks, **blind}))
        assert spearman(half_blind, small.test) < seeing


def test_the_order_of_components_hardly_matters(small, fitted, monkeypatch):
    """Their order and sign are arbitrary; a network that needed one of them would have learnt an accident."""
    scores = PrincipalComponents.scores

    def turned(self, block):
        found = scores(self, block)
        return found[:, np.random.default_rng(1).permutation(found.shape[1])]

    straight = spearman(fitted("vscnn")[0].predict(small.test), small.test)
    monkeypatch.setattr(PrincipalComponents, "scores", turned)
    other = VSCNN(seed=3)
    other.fit(small.train, small.validation)
    assert spearman(other.predict(small.test), small.test) == pytest.approx(straight, abs=0.1)


def test_it_works_without_the_blocks_that_it_only_uses(small):
    only = [name for name in small.train.blocks if name != "image"]
    predictor = VSCNN(seed=3)
    report = predictor.fit(small.train.without(only), small.validation.without(only))
    assert report.blocks == ("image",)
    assert np.isfinite(predictor.predict(small.test)).all()


def test_the_counts_of_a_caption_are_columns_of_its_table():
    assert {column.name for column in block_columns("text")} >= TEXT_COUNTS
