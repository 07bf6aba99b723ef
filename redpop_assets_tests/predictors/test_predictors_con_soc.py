"""What makes the content-and-social systems what they are, and keeps their scores honest."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor

from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.parts.forest import Forest
from redpop_assets.predictors.registry import load_predictor, predictor_class, predictor_names
from redpop_assets.predictors.systems import con_soc
from redpop_assets.predictors.systems.con_soc import ConSocCNN, ConSocForest, ConSocMultimodal, ContentSocial, ImageHead
from redpop_assets.refresh.blocks import block_columns

pytestmark = pytest.mark.integration


def spearman(predicted, data):
    return spearmanr(predicted, data.labels).statistic


def noise(data, seed=0):
    """The same posts with labels that have nothing to do with them, and titles of four words out of 81."""
    rng = np.random.default_rng(seed)
    words = [f"w{first}{second}" for first in "abcdefghi" for second in "abcdefghi"]
    captions = tuple(" ".join(rng.choice(words, 4)) for _ in range(len(data)))
    return replace(data, log_score=rng.permutation(data.labels), captions=captions)


def test_the_forest_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1500, 5)).astype(np.float32)
    labels = (values[:, 0] * values[:, 1] + 0.1 * rng.normal(size=1500)).astype(np.float32)
    forest = Forest.fit(values, labels, trees=7, least_leaf=3, share=0.6, seed=4)
    theirs = RandomForestRegressor(7, min_samples_leaf=3, max_features=0.6, random_state=4).fit(values, labels)
    np.testing.assert_allclose(forest.predict(values), theirs.predict(values), atol=1e-9)
    np.testing.assert_allclose(forest.importances, theirs.feature_importances_)
    np.testing.assert_array_equal(Forest(**forest.arrays()).predict(values), forest.predict(values))


def test_a_forest_may_be_a_single_leaf():
    forest = Forest.fit(np.zeros((30, 2), np.float32), np.arange(30.0), trees=1, least_leaf=30, share=1.0, seed=0)
    assert forest.predict(np.ones((4, 2), np.float32)).tolist() == [forest.value[0]] * 4


def test_the_numbers_of_a_post(small):
    numbers = ContentSocial()
    values = numbers.fit(small.train)
    assert numbers.names == (
        *(f"postdate.{c}" for c in ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")),
        *("titlelen.characters", "tagcount.bracket_tags", "sentiment.vader_compound"),
        *("avgview.past_mean_log_score", "avgview.is_cold_start"),
        *("avgmembercount.log_subscribers", "title-score", "tag-score"),
    )
    assert values.shape == (220, 12)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=0.05)
    assert numbers.values(small.test).shape == (80, 12)
    flagged = [c for c in con_soc.DECLARED if c in numbers.dictionaries["tags"].token_means]
    assert flagged == list(con_soc.DECLARED)
    assert "[oc]" in numbers.dictionaries["tags"].token_means
    assert "[oc]" not in numbers.dictionaries["title"].token_means


def test_titles_tell_what_they_can(planted):
    data, numbers = planted(), ContentSocial()
    out_of_fold = numbers.fit(data.train)[:, -2]
    assert spearman(out_of_fold, data.train) == pytest.approx(0.3, abs=0.08)
    assert spearman(numbers.values(data.test)[:, -2], data.test) == pytest.approx(0.3, abs=0.08)


def test_out_of_fold_scores_of_pure_noise_tell_nothing_and_in_sample_ones_a_lot(small):
    honest, literal = [], []
    for seed in range(4):
        data = noise(small.train, seed)
        head = ImageHead()
        head.mean, head.deviation = data.blocks["image"].moments()
        head.regressor.fit_epochs(head._inputs(data), data.labels, 30, seed=0)
        literal.append(
            [spearman(ContentSocial().fit(data, in_sample=True)[:, -2], data), spearman(head.predict(data), data)]
        )
        honest.append(
            [spearman(ContentSocial().fit(data)[:, -2], data), spearman(head.out_of_fold(data, 30, seed=0), data)]
        )
    assert np.min(literal) > 0.4
    assert np.abs(np.mean(honest, axis=0)).max() < 0.08


def test_a_post_has_no_part_in_its_own_numbers(small):
    data = noise(small.train)
    labels = data.labels.copy()
    labels[17] += 3
    other = replace(data, log_score=labels)
    before, after = (ImageHead().out_of_fold(part, 2, seed=0) for part in (data, other))
    assert before[17] == after[17]
    assert (before != after).any()
    before, after = (out_of_fold_title(part) for part in (data, other))
    assert before[17] == pytest.approx(after[17], abs=1e-5)
    assert np.abs(before - after).max() > 0.01


def out_of_fold_title(data):
    """Before standardising, which looks at all posts."""
    numbers = ContentSocial()
    return numbers.fit(data)[:, -2] * numbers.deviation[-2] + numbers.mean[-2]


def test_copies_share_a_fold(small):
    captions = list(small.train.captions)
    order = np.argsort(small.train.created_at)
    captions[order[0]] = captions[order[-1]] = "The very same words again"
    captions[order[1]] = captions[order[-2]] = "Sunset"
    data = replace(small.train, captions=tuple(captions))
    folds = con_soc._folds(data, [con_soc._copied(caption) for caption in data.captions])
    assert folds[order[0]] == folds[order[-1]] == 0
    assert folds[order[-2]] == 4
    same = con_soc._folds(data, ["one group"] * len(data))
    assert len(np.unique(same)) == 5


def test_a_fold_does_not_tell_the_mean_of_the_others():
    """With no word known, each score is the mean of the other folds, which is low where the own fold is high."""
    labels = np.repeat([0.0, 10.0], 5).astype(np.float32)
    folds = np.repeat([0, 1], 5)
    scores = np.repeat([10.0, 0.0], 5).astype(np.float32)
    np.testing.assert_array_equal(con_soc._against_the_others(scores, labels, folds), 0)


@pytest.mark.parametrize("name", ["con_soc_rf", "con_soc_cnn", "con_soc_image", "con_soc_multimodal"])
def test_what_is_learnt_comes_from_the_train_part_alone(name, fitted, small):
    kind = type(fitted(name)[0])
    blocks = {k: Block(b.values + np.float32(5), b.columns, b.present) for k, b in small.validation.blocks.items()}
    other = kind(seed=3)
    other.fit(small.train, replace(small.validation, blocks=blocks, captions=("changed",) * 60))
    if name != "con_soc_image":
        for key, value in fitted(name)[0].numbers.arrays().items():
            np.testing.assert_array_equal(other.numbers.arrays()[key], value)
        for key, dictionary in fitted(name)[0].numbers.dictionaries.items():
            assert other.numbers.dictionaries[key].token_means == dictionary.token_means
    else:
        np.testing.assert_array_equal(other.head.mean, fitted(name)[0].head.mean)


def test_the_network_of_figure_1():
    network = con_soc.build_network({"numbers": 14})
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == [*("Conv1d", "ReLU", "Dropout") * 2, "Flatten", "Linear", "ReLU", "Linear"]
    assert [layer.out_channels for layer in network.layers if isinstance(layer, torch.nn.Conv1d)] == [20, 50]
    assert [layer.p for layer in network.layers if isinstance(layer, torch.nn.Dropout)] == [0.1, 0.3]
    assert [layer.out_features for layer in network.layers if isinstance(layer, torch.nn.Linear)] == [50, 1]


def test_the_multimodal_network_has_one_number_more(fitted):
    widths = [fitted(name)[0].regressor.widths["numbers"] for name in ("con_soc_cnn", "con_soc_multimodal")]
    assert widths == [12, 13]


def test_they_find_planted_effects_and_the_picture_adds_to_them(small):
    found = {}
    for name in ("con_soc_rf", "con_soc_cnn", "con_soc_image", "con_soc_multimodal"):
        predictor = predictor_class(name)(seed=3)
        predictor.fit(small.train, small.validation)
        found[name] = spearman(predictor.predict(small.test), small.test)
    assert min(found.values()) > 0.3
    assert found["con_soc_multimodal"] > found["con_soc_cnn"] + 0.05


def test_the_forest_says_what_mattered(fitted):
    (note,) = fitted("con_soc_rf")[1].notes
    assert note.startswith("most important to the forest: postdate.hour_")
    assert fitted("con_soc_rf")[0].forest.importances.sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", [ConSocForest, ConSocCNN, ConSocMultimodal])
def test_they_do_without_captions_and_all_but_what_they_need(kind, small):
    spared = sorted(set(small.train.blocks) - kind.requires)
    train, validation = (replace(part, captions=()).without(spared) for part in (small.train, small.validation))
    predictor = kind(seed=3)
    report = predictor.fit(train, validation)
    assert set(report.blocks) == kind.requires
    assert np.isfinite(predictor.predict(small.test)).all()


@pytest.mark.parametrize("name", ["con_soc_rf", "con_soc_cnn", "con_soc_multimodal"])
def test_the_literal_way_is_a_variant_that_says_so(name, small, fitted, tmp_path):
    honest, literal = predictor_class(name), predictor_class(f"{name}_literal")
    assert not honest.in_sample
    assert f"{name}_literal" not in predictor_names()
    assert not any("paper" in note for note in fitted(name)[1].notes)
    predictor = literal(seed=3)
    report = predictor.fit(noise(small.train), noise(small.validation, 1))
    assert report.notes[0].startswith("as in the paper: dictionaries")
    assert abs(report.validation["spearman"] or 0.0) < 0.4
    predictor.save(tmp_path)
    np.testing.assert_array_equal(load_predictor(tmp_path).predict(small.test), predictor.predict(small.test))


def test_fields_and_declarations_are_columns_of_their_tables():
    for block, columns in (*con_soc.FIELDS.values(), ("flags", con_soc.DECLARED)):
        assert {column.name for column in block_columns(block)} >= set(columns)
