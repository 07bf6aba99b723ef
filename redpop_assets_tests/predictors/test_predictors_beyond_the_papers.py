"""`catboost_fusion`, `multimodal_mlp`, `past_neighbours`, `stack`: the rule that makes each, and its honesty."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.parts.ridge import PENALTIES, Ridge
from redpop_assets.predictors.parts.title_words import COMPONENTS, TitleWords
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.predictors.systems.stack import MEMBERS, Stack, stacking_weights

pytestmark = pytest.mark.integration


def spearman(predicted, data):
    return spearmanr(predicted, data.labels).statistic


def with_other_validation(data):
    """Later posts of other numbers, words and labels."""
    moved = {k: Block(b.values + np.float32(5), b.columns, b.present) for k, b in data.validation.blocks.items()}
    labels = data.validation.labels[::-1].copy()
    return replace(data.validation, blocks=moved, log_score=labels, captions=("zeppelin",) * len(data.validation))


@pytest.mark.parametrize(
    ("name", "least"), [("past_neighbours", 0.4), ("multimodal_mlp", 0.6), ("catboost_fusion", 0.65)]
)
def test_it_finds_planted_effects(name, least, planted):
    data = planted()
    predictor = predictor_class(name)()
    predictor.fit(data.train, data.validation)
    predicted = predictor.predict(data.test)
    assert spearman(predicted, data.test) > least
    median = np.abs(np.median(data.train.labels) - data.test.labels).mean()
    assert np.abs(predicted - data.test.labels).mean() < 0.95 * median


@pytest.mark.parametrize("name", ["past_neighbours", "multimodal_mlp", "catboost_fusion"])
def test_shuffled_labels_teach_nothing(name, planted):
    data = planted(sizes=(300, 60, 400), image_width=64, caption_width=32)
    rng = np.random.default_rng(5)
    parts = [
        replace(part, log_score=rng.permutation(part.labels)).without(["author", "community", "neighbours"])
        if name != "past_neighbours"
        else replace(part, log_score=rng.permutation(part.labels))
        for part in (data.train, data.validation)
    ]
    predictor = predictor_class(name)()
    predictor.fit(*parts)
    predicted = predictor.predict(data.test)
    assert abs(spearman(predicted, data.test)) < 0.2
    assert predicted.std() < 0.4 * data.test.labels.std()


def test_ridge_predictions_of_train_posts_do_not_see_their_own_label():
    rng = np.random.default_rng(0)
    inputs, noise = rng.normal(size=(200, 60)), rng.normal(size=200)
    ridge, out_of_fold = Ridge.fit(inputs, noise)
    assert abs(np.corrcoef(out_of_fold, noise)[0, 1]) < 0.25, "noise stays noise, in-sample it would look like a signal"
    assert ridge.penalty == max(PENALTIES)
    signal = inputs[:, 0] + 0.1 * noise
    ridge, out_of_fold = Ridge.fit(inputs, signal)
    assert np.corrcoef(out_of_fold, signal)[0, 1] > 0.95
    assert np.corrcoef(ridge.predict(inputs), signal)[0, 1] > 0.95
    changed = signal.copy()
    changed[:40] *= 1.001
    np.testing.assert_array_equal(Ridge.fit(inputs, changed)[1][:40], out_of_fold[:40])


def test_a_ridge_agrees_with_scikit_learn():
    from sklearn.linear_model import Ridge as Theirs

    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(50, 4)) * [1, 2, 3, 4] + 5, rng.normal(size=50)
    ridge, _ = Ridge.fit(inputs, labels)
    unit = ((inputs - inputs.mean(axis=0)) ** 2).sum() / 4
    theirs = Theirs(alpha=ridge.penalty * unit).fit(inputs, labels)
    np.testing.assert_allclose(ridge.predict(inputs), theirs.predict(inputs), atol=1e-9)


def test_title_words_are_the_singular_directions_of_the_train_titles():
    titles = [f"{'cat' if i % 2 else 'dog'} in the {'sun' if i % 3 else 'rain'} w{i}" for i in range(60)]
    words = TitleWords.fit(titles)
    table = words.tfidf.transform(titles).toarray()
    left, singular, _ = np.linalg.svd(table, full_matrices=False)
    found = words.transform(titles)
    assert found.shape[1] <= COMPONENTS
    np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(left[:, 0] * singular[0]), atol=1e-6)
    assert not words.transform(["nothing known"]).any()
    assert TitleWords.fit(["one", "two", "three"]).transform(["one"]).shape == (1, 0)


@pytest.mark.usefixtures("few_rounds")
def test_catboost_takes_reductions_from_the_train_part(small, fitted):
    one, _ = fitted("catboost_fusion")
    two = predictor_class("catboost_fusion")(seed=3)
    two.fit(small.train, with_other_validation(small))
    assert one.words.tfidf.terms == two.words.tfidf.terms
    np.testing.assert_array_equal(one.words.directions, two.words.directions)
    assert set(one.ridges) == {"image", "caption", "objects", "concepts", "title words"}
    for name, ridge in one.ridges.items():
        np.testing.assert_array_equal(ridge.coefficients, two.ridges[name].coefficients)
    for name, projection in one.projections.items():
        np.testing.assert_array_equal(projection.components, two.projections[name].components)


def test_catboost_learns_the_newest_posts_once_they_have_said_how_many_trees(small, fitted):
    predictor, report = fitted("catboost_fusion")
    labels = small.validation.labels
    reported, learnt = report.validation_prediction, predictor.predict(small.validation)
    assert np.abs(learnt - labels).mean() < 0.95 * np.abs(reported - labels).mean()
    assert spearman(reported, small.validation) == pytest.approx(report.validation["spearman"])


@pytest.mark.usefixtures("few_rounds")
def test_catboost_goes_without_titles_but_not_without_those_it_learnt_from(small, fitted):
    silent = [replace(part, captions=()) for part in (small.train, small.validation, small.test)]
    predictor = predictor_class("catboost_fusion")()
    predictor.fit(silent[0], silent[1])
    assert predictor.words is None
    assert np.isfinite(predictor.predict(silent[2])).all()
    with pytest.raises(ArtifactError, match="fitted with captions, which the data lack"):
        fitted("catboost_fusion")[0].predict(silent[2])


@pytest.mark.usefixtures("few_rounds")
def test_the_network_takes_scales_from_the_train_part(small, fitted):
    one, _ = fitted("multimodal_mlp")
    two = predictor_class("multimodal_mlp")(seed=3)
    two.fit(small.train, with_other_validation(small))
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.deviation, two.deviation)
    for name, projection in one.projections.items():
        np.testing.assert_array_equal(projection.components, two.projections[name].components)


@pytest.mark.usefixtures("few_rounds")
def test_the_network_is_the_mean_of_its_members_and_crosses_image_with_caption(small, fitted):
    predictor, _ = fitted("multimodal_mlp")
    inputs = predictor._inputs(small.test.pick(predictor.columns))
    each = [member.predict(inputs) for member in predictor.members]
    assert len({tuple(values) for values in each}) == len(each) == 3
    np.testing.assert_allclose(predictor.predict(small.test), np.mean(each, axis=0))
    others = predictor_class("multimodal_mlp")()
    report = others.fit(small.train.without(["image"]), small.validation.without(["image"]))
    assert "image" in report.blocks_left_out
    assert np.isfinite(others.predict(small.test)).all()


def test_near_neighbours_count_more(small, fitted):
    """The same good fate among neighbours lifts a post the more, the more alike they are."""
    predictor, _ = fitted("past_neighbours")
    block = small.test.blocks["neighbours"]

    def described(similarity, mean):
        values = block.values.copy()
        for modality in ("image", "caption"):
            values[:, block.columns.index(f"{modality}_neighbours_mean_similarity")] = similarity
            values[:, block.columns.index(f"{modality}_neighbours_weighted_mean_log_score")] = mean
        blocks = {**small.test.blocks, "neighbours": Block(values, block.columns, block.present)}
        found = predictor._described(replace(small.test, blocks=blocks).pick(predictor.columns))
        return found.pick(("kernel.image.neighbours_weighted_mean_log_score",)).values[:, 0]

    width = predictor.widths["image"]
    lifts = [described(np.float32(similarity), 6) - described(np.float32(similarity), 4) for similarity in (0.2, 0.9)]
    np.testing.assert_allclose(lifts[0], 2 * np.exp(-0.8 / width), rtol=1e-3)
    np.testing.assert_allclose(lifts[1], 2 * np.exp(-0.1 / width), rtol=1e-3)


def test_neighbours_are_learnt_from_the_train_part_alone(small, fitted, tmp_path):
    fitted("past_neighbours")[0].save(tmp_path / "one")
    other = predictor_class("past_neighbours")(seed=3)
    other.fit(small.train, with_other_validation(small))
    other.save(tmp_path / "two")
    assert (tmp_path / "one" / "ridge.safetensors").read_bytes() == (
        tmp_path / "two" / "ridge.safetensors"
    ).read_bytes()


def test_stacking_weights_find_the_better_member():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 150))
    good, bad = truth + 0.5 * rng.normal(size=truth.shape), rng.normal(size=truth.shape)
    level = [3.0, -2.0]  # of each stretch, which no member could know
    stretches = [(np.column_stack([good[k], bad[k]]), truth[k] + level[k]) for k in range(2)]
    weights = stacking_weights(stretches, 2)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights[0] > 0.75
    np.testing.assert_array_equal(stacking_weights([], 4), np.full(4, 0.25))
    equal = stacking_weights([(np.ones((10, 2)), np.arange(10.0))], 2)
    np.testing.assert_allclose(equal, 0.5, atol=1e-4)


def test_the_members_of_a_stack_are_weighed_by_posts_after_those_they_learnt_from(small, monkeypatch):
    seen = []

    def learn(_, name, train, validation):
        seen.append((name, train, validation))
        member = predictor_class("subreddit_median")()
        member.fit(train, validation)
        return member

    monkeypatch.setattr(Stack, "_trained", learn)
    asked = []
    median = predictor_class("subreddit_median")
    predict = median.predict
    monkeypatch.setattr(median, "predict", lambda self, data: asked.append(data) or predict(self, data))
    stack = Stack()
    stack.fit(small.train, small.validation)
    assert [name for name, *_ in seen[-len(MEMBERS) :]] == list(MEMBERS)
    assert len(seen) - len(MEMBERS) == len(asked)
    for (_, train, validation), later in zip(seen, asked, strict=False):
        assert train.created_at.max() <= validation.created_at.min() <= later.created_at.min()
        assert not set(later.post_ids) & {*train.post_ids, *validation.post_ids}
    assert len(seen[-1][1]) == len(small.train), "at last all of the train part"


@pytest.mark.usefixtures("few_rounds")
def test_a_stack_does_without_a_member_that_cannot_be_trained(small, fitted):
    stack, report = fitted("stack")
    assert set(stack.weights) == set(MEMBERS)
    assert any(note.startswith("weights: fusion_lightgbm ") for note in report.notes)
    parts = [part.without(["neighbours", "caption"]) for part in (small.train, small.validation)]
    other = Stack()
    report = other.fit(*parts)
    assert set(other.weights) == {"fusion_lightgbm", "catboost_fusion"}
    assert "left out multimodal_mlp: it could not be trained" in report.notes
    with pytest.raises(NotTrainable, match="no member could be trained: fusion_lightgbm too few matured posts"):
        Stack().fit(small.train.newest(105), small.validation)
