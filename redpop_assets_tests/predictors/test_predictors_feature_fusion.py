"""Four dense layers over image, text and numbers, and the ablation that sets features to zero."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.predictors.systems import feature_fusion
from redpop_assets.predictors.systems.feature_fusion import (
    FEATURES,
    NUMBERS,
    FeatureFusion,
    FeatureFusionLiteral,
    build_network,
)

pytestmark = pytest.mark.integration


def changed(data, name, values):
    block = data.blocks[name]
    values = np.where(block.present[:, None], values, np.nan).astype(np.float32)
    return replace(data, blocks={**data.blocks, name: Block(values, block.columns, block.present)})


def test_four_dense_layers_of_which_all_but_the_last_are_normalised_and_rectified():
    network = build_network({"caption": 7, "image": 9, "numbers": 4})
    first = [network.first[group] for group in ("image", "caption", "numbers")]
    assert [layers[0].out_features for layers in first] == [512, 256, 32]
    kinds = [type(layer).__name__ for layer in network.joint]
    assert [type(layer).__name__ for layer in first[0]] == kinds[:3] == ["Linear", "BatchNorm1d", "ReLU"]
    assert kinds == [*["Linear", "BatchNorm1d", "ReLU"] * 2, "Linear"]
    literal = build_network({"image": 9}, rectified_output=True)
    assert isinstance(literal.joint[-1], torch.nn.ReLU)


def test_it_finds_planted_effects(planted):
    data = planted()
    model = FeatureFusion()
    model.fit(data.train, data.validation)
    seeing = spearmanr(model.predict(data.test), data.test.labels).statistic
    assert seeing > 0.55
    for feature in ("Deep image feature", "Deep text feature"):
        assert spearmanr(model.without(feature).predict(data.test), data.test.labels).statistic < seeing - 0.03


def test_numbers_are_the_columns_that_stand_for_those_of_the_paper(fitted):
    columns = fitted("feature_fusion")[0].columns
    assert columns["text"] == ("characters", "words", "bracket_tags")
    assert columns["time"] == ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")
    assert columns["author"] == ("past_mature_posts", "past_mean_log_score", "is_cold_start")
    assert columns["flags"] == ("has_flair",)


def test_a_feature_at_zero_is_its_train_mean(fitted, small):
    model = fitted("feature_fusion")[0]
    block = small.test.blocks["text"]
    values = block.values.copy()
    means = dict(zip(model._joined(small.train, "numbers").columns, model.scales["mean.numbers"], strict=True))
    for column in ("characters", "words"):
        values[:, block.columns.index(column)] = means[f"text.{column}"]
    without = model.without("Title length")
    np.testing.assert_allclose(
        without.predict(small.test), model.predict(changed(small.test, "text", values)), atol=1e-5
    )
    assert np.abs(without.predict(small.test) - model.predict(small.test)).max() > 1e-3
    assert model.left_out == ()


def test_a_left_out_feature_is_never_looked_at(small, tmp_path):
    model = FeatureFusion(seed=3, left_out=["Deep image feature", "User information"])
    report = model.fit(small.train, small.validation)
    assert report.notes[-2:] == (
        "trained with Deep image feature set to zero",
        "trained with User information set to zero",
    )
    model.save(tmp_path)
    loaded = load_predictor(tmp_path)
    noise = np.random.default_rng(0).normal(size=small.test.blocks["image"].values.shape)
    np.testing.assert_array_equal(loaded.predict(changed(small.test, "image", noise)), model.predict(small.test))


def test_alone_a_feature_leaves_all_others_out(fitted, small):
    """Every column belongs to one of the coarse rows, so that a univariate study can be made of them."""
    coarse = ("User information", "Visual features", "Text features", "Time")
    assert {part for feature in coarse for part in FEATURES[feature]} == {"image", "caption", *NUMBERS}
    blind = fitted("feature_fusion")[0].without(*coarse)
    assert len(set(blind.predict(small.test))) == 1
    assert len(set(fitted("feature_fusion")[0].without(*coarse[:3]).predict(small.test))) > 1
    with pytest.raises(ValueError, match="no feature followers; there are User information"):
        blind.without("followers")


def test_scales_come_from_the_train_part(fitted, small):
    moved = {name: Block(b.values + np.float32(1), b.columns, b.present) for name, b in small.validation.blocks.items()}
    other = FeatureFusion(seed=3)
    other.fit(small.train, replace(small.validation, blocks=moved))
    for key, value in fitted("feature_fusion")[0].scales.items():
        np.testing.assert_array_equal(other.scales[key], value)


def test_the_literal_last_layer_predicts_nothing_below_0(small, tmp_path):
    low = [replace(part, log_score=part.labels - 4) for part in (small.train, small.validation)]
    literal = FeatureFusionLiteral(seed=3)
    literal.fit(*low)
    assert literal.predict(small.test).min() >= 0
    literal.save(tmp_path)
    np.testing.assert_array_equal(FeatureFusionLiteral.load(tmp_path).predict(small.test), literal.predict(small.test))


def test_the_rate_falls_by_a_tenth_with_each_epoch(small, monkeypatch):
    seen = []

    class Spy(feature_fusion.NetworkRegressor):
        def __init__(self, build, recipe, **options):
            seen.append(recipe)
            super().__init__(build, recipe, **options)

    monkeypatch.setattr(feature_fusion, "NetworkRegressor", Spy)
    FeatureFusion().fit(small.train, small.validation)
    (recipe,) = seen
    # 220 posts are 2 batches: 4 passes make an epoch of 8 steps.
    np.testing.assert_allclose([recipe.schedule(epoch) for epoch in (1, 4, 5, 9)], [1, 1, 0.9, 0.81])
    assert (recipe.batch, recipe.weight_decay) == (128, 1e-3)
