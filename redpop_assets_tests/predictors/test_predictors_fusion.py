"""What can be found in a community with planted effects, and what must not be."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.parts.additive_kernel import AdditiveKernel, Projection, sum_of
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.predictors.systems.fusion import FusionLightGBM

pytestmark = pytest.mark.integration


def spearman(predicted, data):
    return spearmanr(predicted, data.labels).statistic


def test_it_finds_planted_effects_and_beats_the_others(planted):
    data = planted()
    oracle = spearman(data.oracle, data.test)
    fusion = FusionLightGBM()
    fusion.fit(data.train, data.validation)
    predicted = fusion.predict(data.test)
    assert spearman(predicted, data.test) >= 0.8 * oracle
    errors = {"fusion": np.abs(predicted - data.test.labels).mean()}
    for name in ("subreddit_median", "metadata_boosting"):
        other = predictor_class(name)()
        other.fit(data.train, data.validation)
        errors[name] = np.abs(other.predict(data.test) - data.test.labels).mean()
        if name == "metadata_boosting":
            assert spearman(other.predict(data.test), data.test) < spearman(predicted, data.test) - 0.1
    assert errors["fusion"] < errors["metadata_boosting"] < errors["subreddit_median"]


def test_the_thesis_network_finds_the_image(planted):
    data = planted()
    thesis = predictor_class("redpop_thesis")()
    thesis.fit(data.train, data.validation)
    shuffled = np.random.default_rng(0).permutation(len(data.test))
    image = data.test.blocks["image"].take(shuffled)
    blind = thesis.predict(replace(data.test, blocks={**data.test.blocks, "image": image}))
    seeing = spearman(thesis.predict(data.test), data.test)
    assert seeing > 0.35
    assert seeing > spearman(blind, data.test) + 0.1


def test_trees_find_what_no_sum_can_hold(small, fitted):
    data = small
    fusion, report = fitted("fusion_lightgbm")
    assert report.rounds > 0
    assert report.notes == ()
    parts = fusion.kernel.parts(fusion._scores(data.test.pick(fusion.columns)))
    kernels_alone = fusion.kernel.mean + sum_of(list(parts.values()))
    squared = [((p - data.test.labels) ** 2).mean() for p in (fusion.predict(data.test), kernels_alone)]
    assert squared[0] < squared[1]


def test_shuffled_labels_teach_nothing(planted):
    data = planted(sizes=(300, 60, 400), image_width=64, caption_width=32)
    rng = np.random.default_rng(5)
    train = replace(data.train, log_score=rng.permutation(data.train.labels))
    validation = replace(data.validation, log_score=rng.permutation(data.validation.labels))
    fusion = FusionLightGBM()
    fusion.fit(train, validation)
    predicted = fusion.predict(data.test)
    assert abs(spearman(predicted, data.test)) < 0.2
    assert predicted.std() < 0.35 * data.test.labels.std()


@pytest.mark.usefixtures("few_rounds")
def test_what_happens_outside_of_the_fit_cannot_enter(small, fitted, tmp_path):
    """The same seed and posts give the same files, whatever becomes of the arrays and other labels afterwards."""
    data = small
    train, validation = (part.select(np.ones(len(part), dtype=bool)) for part in (data.train, data.validation))
    fusion = FusionLightGBM(seed=3)
    fusion.fit(train, validation)
    fitted("fusion_lightgbm")[0].save(tmp_path / "before")
    predicted = fitted("fusion_lightgbm")[0].predict(data.test)
    for part in (train, validation):
        part.labels[:] = 99
        for block in part.blocks.values():
            block.values[:] = 99
    leaked = replace(data.test, log_score=np.full(len(data.test), 99, dtype=np.float32))
    np.testing.assert_array_equal(fusion.predict(leaked), predicted)
    fusion.save(tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()


@pytest.mark.usefixtures("few_rounds")
def test_projections_and_kernel_weights_come_from_the_train_part(small, fitted):
    data = small
    moved = {k: Block(b.values + np.float32(5), b.columns, b.present) for k, b in data.validation.blocks.items()}
    labels = data.validation.labels[::-1].copy()
    one, two = fitted("fusion_lightgbm")[0], FusionLightGBM(seed=3)
    two.fit(data.train, replace(data.validation, blocks=moved, log_score=labels))
    assert one.kernel.weights == two.kernel.weights
    assert one.kernel.noise == two.kernel.noise
    for name, projection in one.projections.items():
        np.testing.assert_array_equal(projection.components, two.projections[name].components)
        np.testing.assert_array_equal(projection.mean, two.projections[name].mean)


def test_out_of_fold_predictions_do_not_see_their_own_label():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 3)).astype(np.float32)
    block = Block(values, ("a", "b", "c"), np.ones(120, dtype=bool))
    scores = {"text": Projection.fit(block, whiten=True).scores(block)}
    labels = values[:, 0] + 0.1 * rng.normal(size=120)
    kernel = AdditiveKernel.fit(scores, labels)
    _, expected = kernel.out_of_fold(scores, labels, 8)
    changed = labels.copy()
    changed[:15] += 100
    _, again = kernel.out_of_fold(scores, changed, 8)
    np.testing.assert_array_equal(expected[:15], again[:15])
    assert not np.allclose(expected[15:], again[15:])
    assert np.corrcoef(expected, labels)[0, 1] > 0.9


@pytest.mark.usefixtures("few_rounds")
def test_it_trains_without_images_and_says_so(small, tmp_path):
    data = small
    images = data.train.blocks["image"]
    none = Block(np.full_like(images.values, np.nan), images.columns, np.zeros(len(data.train), dtype=bool))
    train = replace(data.train, blocks={**data.train.blocks, "image": none}).without(["pixels"])
    fusion = FusionLightGBM()
    report = fusion.fit(train, data.validation)
    assert report.blocks_left_out == ("image", "pixels")
    assert "trained without image: no training row has it" in report.notes
    assert report.image_rows is None
    predicted = fusion.predict(data.test.without(["image"]))
    np.testing.assert_array_equal(predicted, fusion.predict(data.test))
    fusion.save(tmp_path)
    np.testing.assert_array_equal(FusionLightGBM.load(tmp_path).predict(data.test), predicted)


def test_constant_and_unknown_columns_do_no_harm(small, tmp_path):
    data = small

    def bare(part):
        n = len(part)
        flags = Block(np.zeros((n, 2), dtype=np.float32), ("oc", "flair"), np.ones(n, dtype=bool))
        author = Block(np.full((n, 1), np.nan, dtype=np.float32), ("past_mean",), np.ones(n, dtype=bool))
        return replace(part, blocks={"time": part.blocks["time"], "flags": flags, "author": author})

    fusion = FusionLightGBM()
    fusion.fit(bare(data.train), bare(data.validation))
    predicted = fusion.predict(bare(data.test))
    assert np.isfinite(predicted).all()
    assert spearman(predicted, data.test) > 0.15
    fusion.save(tmp_path)
    np.testing.assert_array_equal(FusionLightGBM.load(tmp_path).predict(bare(data.test)), predicted)


@pytest.mark.usefixtures("few_rounds")
def test_the_order_of_the_training_rows_does_not_matter(small, fitted):
    rows = np.random.default_rng(0).permutation(len(small.train))
    shuffled = FusionLightGBM(seed=3)
    shuffled.fit(small.train.take(rows), small.validation)
    np.testing.assert_allclose(
        shuffled.predict(small.test), fitted("fusion_lightgbm")[0].predict(small.test), atol=1e-6
    )
