"""What makes #LearnDeeply what it is: three modules in all combinations, and what they may know."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from redpop_assets.errors import NotTrainable
from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.registry import predictor_class, predictor_variants
from redpop_assets.predictors.systems import learn_deeply
from redpop_assets.predictors.systems.learn_deeply import LearnDeeply, build_network, tag_weights
from redpop_assets.refresh.blocks import block_columns

pytestmark = pytest.mark.integration

MODULES = ("metadata", "objects", "aesthetics")

KINDS = ("learn_deeply", *predictor_variants("learn_deeply"))


def spearman(predicted, data):
    return spearmanr(predicted, data.labels).statistic


def with_block(data, name, values, columns):
    block = Block(np.asarray(values, np.float32), columns, np.ones(len(data), dtype=bool))
    return replace(data, blocks={**data.blocks, name: block})


def test_every_combination_of_modules_is_an_entry():
    kinds = [predictor_class(name) for name in KINDS]
    assert {kind.modules for kind in kinds} == {some for k in (1, 2, 3) for some in combinations(MODULES, k)}
    assert len(kinds) == 7
    for kind in kinds:
        assert kind.name == "_".join(("learn_deeply", *(kind.modules if len(kind.modules) < 3 else ())))
        assert ("time" in kind.uses) == ("metadata" in kind.modules)
        assert ("objects" in kind.uses) == ("objects" in kind.modules)
        assert ("image" in kind.uses) == ("aesthetics" in kind.modules)


def test_metadata_alone_have_the_auxiliary_output():
    widths = {"aesthetics": 4, "metadata": 20, "objects": 12}
    network = build_network(widths)
    inputs = {name: torch.rand(5, width) for name, width in widths.items()}
    joined, auxiliary = network.eval().both(inputs)
    assert joined.shape == auxiliary.shape == (5,)
    torch.testing.assert_close(network(inputs), joined)
    other = {**inputs, "objects": torch.rand(5, 12)}
    torch.testing.assert_close(network.both(other)[1], auxiliary)
    assert not torch.equal(network(other), joined)
    blind = build_network({"objects": 12})
    assert blind.both({"objects": inputs["objects"]})[1] is None
    target = torch.zeros(5)
    expected = (joined**2).mean() + 0.3 * (auxiliary**2).mean()
    torch.testing.assert_close(learn_deeply._loss(network, inputs, target), expected)


def test_families_are_embedded_as_a_weighted_sum():
    embedding = build_network({"objects": 12}).parts["objects"][0]
    both = embedding(torch.eye(12)[0] * 0.3 + torch.eye(12)[5] * 0.7)
    alone = 0.3 * embedding(torch.eye(12)[0]) + 0.7 * embedding(torch.eye(12)[5])
    torch.testing.assert_close(both, alone)
    torch.testing.assert_close(embedding(torch.zeros(12)), torch.zeros(16))


def test_a_tag_is_worth_its_rank():
    weights = tag_weights([["[oc]", "[cat]"], ["[oc]"], ["[dog]"], []])
    assert weights == pytest.approx({"[oc]": 1, "[cat]": 2 / 3, "[dog]": 1 / 3})
    assert tag_weights([[]]) == {}


def test_metadata_lie_between_0_and_1_whatever_comes(fitted, small):
    predictor, _ = fitted("learn_deeply_metadata")
    train = predictor._inputs(small.train.pick(predictor.columns))["metadata"]
    assert train.shape[1] == 1 + 6 + 7 + 2 + 2 + 1  # tags, hours, weekdays, length and mentions, the author, members
    assert train.min() == 0
    assert train.max() == 1
    author = small.test.blocks["author"]
    for value in (1e9, -1e9, np.nan):
        odd = with_block(small.test, "author", np.full_like(author.values, value), author.columns)
        found = predictor._inputs(odd.pick(predictor.columns))["metadata"]
        assert found.min() >= 0
        assert found.max() <= 1


def test_one_outlier_does_not_squeeze_the_others():
    values = np.append(np.linspace(0, 1, 499), 1e6).astype(np.float32)[:, None]
    low, high, fill = learn_deeply._unit_scale(values)
    assert high[0] < 1.01
    assert learn_deeply._to_unit(values, low, high, fill)[:, 0].std() > 0.2
    rare = np.zeros((500, 1), np.float32)
    rare[3] = 1
    assert learn_deeply._to_unit(rare, *learn_deeply._unit_scale(rare)).max() == 1
    never = learn_deeply._unit_scale(np.zeros((500, 1), np.float32))
    assert learn_deeply._to_unit(np.ones((1, 1), np.float32), *never)[0, 0] == 0
    unknown = learn_deeply._unit_scale(np.full((500, 1), np.nan, np.float32))
    assert np.isfinite(learn_deeply._to_unit(np.full((1, 1), np.nan, np.float32), *unknown)).all()


def test_scales_tags_and_inputs_come_from_the_train_part_alone(fitted, small):
    blocks = {k: Block(b.values + np.float32(5), b.columns, b.present) for k, b in small.validation.blocks.items()}
    other = LearnDeeply(seed=3)
    other.fit(small.train, replace(small.validation, blocks=blocks, captions=("[new tag]",) * 60))
    assert other.tags == fitted("learn_deeply")[0].tags
    assert list(other.tags) == ["[oc]"]
    for key, value in fitted("learn_deeply")[0].scales.items():
        np.testing.assert_array_equal(other.scales[key], value)


def test_the_modules_find_what_they_look_at(planted):
    data, found = planted(), {}
    for name in KINDS:
        predictor = predictor_class(name)(seed=7)
        predictor.fit(data.train, data.validation)
        found[name] = spearman(predictor.predict(data.test), data.test)
    assert min(found.values()) > 0.25
    assert found["learn_deeply"] > 0.55
    assert found["learn_deeply"] > max(found[f"learn_deeply_{module}"] for module in MODULES)


def test_ratings_stand_for_the_vectors_where_there_are_any(small):
    rng = np.random.default_rng(0)

    def rated(data):
        rating = data.labels + rng.normal(size=len(data))
        values = np.column_stack([np.full(len(data), np.nan), rating])
        return with_block(data, "ratings", values, ("intrinsic_popularity", "rating"))

    kind = predictor_class("learn_deeply_aesthetics")
    predictor = kind(seed=3)
    report = predictor.fit(rated(small.train), rated(small.validation))
    assert report.blocks == ("ratings",)
    assert report.image_rows is None
    assert predictor.columns == {"ratings": ("rating",)}
    assert spearman(predictor.predict(rated(small.test).without(["image"])), small.test) > 0.6

    neither = [part.without(["image"]) for part in (small.train, small.validation)]
    with pytest.raises(NotTrainable, match="needs one of image, ratings: none has a training row"):
        kind().fit(*neither)
    with pytest.raises(NotTrainable, match="needs ratings or images: no training row has either"):
        LearnDeeply().fit(*neither)


def test_the_weight_of_a_family_is_what_the_prediction_loses_without_it(fitted, small):
    predictor, report = fitted("learn_deeply_objects")
    assert list(predictor.weights)[:4] == ["animal", "domestic_animal", "dog", "domestic_cat"]
    train = small.train.pick(predictor.columns)
    values = train.blocks["objects"].values.copy()
    values[:, 2] = 0
    values[~train.blocks["objects"].present] = np.nan
    shown = train.blocks["objects"]
    without = replace(train, blocks={"objects": Block(values, shown.columns, shown.present)})
    lost = (predictor.predict(train) - predictor.predict(without)).sum()
    weight, low, high = predictor.weights["dog"]
    assert weight == pytest.approx(lost, abs=1e-3)
    assert low < weight < high
    best = max(predictor.weights, key=lambda family: predictor.weights[family][0])
    assert report.notes[0].startswith(f"families with the largest weights: {best} +")


def test_a_picture_of_nothing_is_predicted(fitted, small):
    objects = small.test.blocks["objects"]
    none = Block(np.full_like(objects.values, np.nan), objects.columns, np.zeros(len(small.test), dtype=bool))
    predicted = fitted("learn_deeply_objects")[0].predict(replace(small.test, blocks={"objects": none}))
    assert len(set(predicted)) == 1
    assert np.isfinite(predicted).all()


def test_metadata_are_columns_of_their_tables():
    for block, columns in {**learn_deeply.METADATA, "time": ("hour", "weekday", "month_onehot")}.items():
        assert {column.name for column in block_columns(block)} >= set(columns)
