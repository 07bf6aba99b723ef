"""The baselines: each finds the one thing that it looks for, and learns from the train part alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.features.tfidf import TfIdf
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.parts.block_ridge import PENALTIES, BlockRidge, ridge_path
from redpop_assets.predictors.parts.calibration import LEAST_SLOPE, LinearMap, mapped_out_of_fold
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.predictors.systems.subreddit_hour_median import WEIGHT
from redpop_assets.predictors.systems.tfidf_ridge import PENALTIES as TEXT_PENALTIES
from redpop_assets.predictors.systems.tfidf_ridge import ridge_path as text_ridge_path

BASELINES = ("subreddit_hour_median", "author_past_mean", "tfidf_ridge", "frozen_cnn_ridge", "late_fusion")


def spearman(predicted, data):
    return spearmanr(predicted, data.labels).statistic


def at_hours(hours, labels, first="2025-03-01"):
    hours = np.asarray(hours)
    days = np.arange(len(hours)).astype("timedelta64[D]").astype("timedelta64[s]")
    created = np.datetime64(first, "s") + days + hours.astype("timedelta64[h]")
    ids = tuple(f"{first}-{i}" for i in range(len(hours)))
    return Dataset("pics", ids, {}, created, np.asarray(labels, dtype=np.float32))


@pytest.mark.parametrize(("name", "least"), list(zip(BASELINES, (0.15, 0.2, 0.2, 0.35, 0.55), strict=True)))
def test_it_finds_what_it_looks_for(name, least, planted):
    data = planted()
    predictor = predictor_class(name)()
    predictor.fit(data.train, data.validation)
    assert spearman(predictor.predict(data.test), data.test) > least
    error = np.abs(predictor.predict(data.test) - data.test.labels).mean()
    assert error < np.abs(np.median(data.train.labels) - data.test.labels).mean()


@pytest.mark.parametrize("name", ["tfidf_ridge", "frozen_cnn_ridge", "late_fusion"])
def test_shuffled_labels_teach_nothing(name, planted):
    data = planted(sizes=(300, 60, 400), image_width=64, caption_width=32)
    rng = np.random.default_rng(5)
    parts = [replace(part, log_score=rng.permutation(part.labels)) for part in (data.train, data.validation)]
    predictor = predictor_class(name)()
    predictor.fit(*parts)
    predicted = predictor.predict(data.test)
    assert abs(spearman(predicted, data.test)) < 0.2
    assert predicted.std() < 0.4 * data.test.labels.std()


@pytest.mark.parametrize("name", BASELINES)
def test_the_order_of_the_rows_and_later_posts_do_not_matter(name, small, fitted, tmp_path):
    """Whatever a test post becomes, the files are the same: nothing but the two parts went into them."""
    rows = np.random.default_rng(0).permutation(len(small.train))
    again = predictor_class(name)(seed=3)
    again.fit(small.train.take(rows), small.validation)
    before = fitted(name)[0].predict(small.test)
    np.testing.assert_allclose(again.predict(small.test), before, atol=1e-6)
    fitted(name)[0].save(tmp_path / "before")
    other = predictor_class(name)(seed=3)
    other.fit(small.train, small.validation)
    other.save(tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()


def test_the_global_median_is_that_of_all_communities_together():
    train, validation = at_hours([3] * 4, [1, 2, 3, 4]), at_hours([3] * 2, [9, 9], first="2026-01-01")
    predictor = predictor_class("global_median")()
    report = predictor.fit(replace(train, elsewhere=np.array([5, 6, 7], np.float32)), validation)
    assert predictor.predict(validation).tolist() == [4.0, 4.0]
    assert report.notes == ()
    report = predictor.fit(train, validation)
    assert predictor.predict(validation).tolist() == [2.5, 2.5]
    assert report.notes == ("no other community had labelled posts by then",)


def test_an_hour_leans_on_its_neighbours_and_these_on_the_day():
    hours = [0] * 100 + [12] * 98 + [13] * 2
    labels = [5.0] * 100 + [1.0] * 98 + [9.0] * 2
    train = at_hours(hours, labels)
    predictor = predictor_class("subreddit_hour_median")()
    predictor.fit(train, at_hours([0] * 20, [5.0] * 20, first="2026-01-01"))
    whole = np.median(labels)
    midnight = (100 * 5 + WEIGHT * whole) / (100 + WEIGHT)
    assert predictor.medians[0] == pytest.approx((100 * 5 + WEIGHT * midnight) / (100 + WEIGHT))
    assert predictor.medians[23] == pytest.approx(midnight), "the hour before midnight is next to midnight"
    noon = (100 * 1 + WEIGHT * whole) / (100 + WEIGHT)
    assert predictor.medians[13] == pytest.approx((2 * 9 + WEIGHT * noon) / (2 + WEIGHT))
    assert predictor.medians[6] == pytest.approx(whole)


def test_the_authors_mean_is_mapped_by_a_line_through_the_train_part(small, fitted):
    predictor, _ = fitted("author_past_mean")
    assert predictor.columns == {"author": ("past_mean_log_score",)}
    past = small.train.blocks["author"].pick(("past_mean_log_score",)).values[:, 0].astype(float)
    known = ~np.isnan(past)
    slope, intercept = np.polyfit(np.where(known, past, past[known].mean()), small.train.labels.astype(float), 1)
    assert predictor.line.slope == pytest.approx(slope)
    assert predictor.line.intercept == pytest.approx(intercept)
    same = Block(np.ones((220, 1), dtype=np.float32), ("past_mean_log_score",), np.ones(220, dtype=bool))
    varied = Block(np.random.default_rng(0).random((220, 1), np.float32), ("past_posts",), np.ones(220, dtype=bool))
    for block in (same, varied):
        train = replace(small.train, blocks={"author": block})
        validation = replace(small.validation, blocks={"author": block.take(np.arange(60))})
        with pytest.raises(NotTrainable, match=r"needs .*author"):
            predictor_class("author_past_mean")().fit(train, validation)


CAPTIONS = ["my cat and my dog", "a cat", "my cat sleeps", "fog over the lake at dawn", "the lake", "my cat"]


def test_terms_weigh_as_the_formula_says():
    fitted = TfIdf.fit(CAPTIONS, least=2)
    having = {"cat": 4, "lake": 2, "my": 3, "my cat": 3, "the": 2, "the lake": 2}
    assert fitted.terms == tuple(having)
    weights = {term: np.log(7 / (1 + captions)) + 1 for term, captions in having.items()}
    np.testing.assert_allclose(fitted.inverse_frequency, list(weights.values()), rtol=1e-12)
    counts = {"my": 2, "lake": 1, "cat": 1, "my cat": 1}
    row = np.array([counts.get(term, 0) * weight for term, weight in weights.items()])
    found = fitted.transform(["my lake my cat", "", "unheard of"]).toarray()
    np.testing.assert_allclose(found, [row / np.linalg.norm(row), 0 * row, 0 * row], rtol=1e-12)


def test_a_stored_vocabulary_weighs_as_the_fitted_one():
    fitted = TfIdf.fit(CAPTIONS, least=2)
    stored = TfIdf(list(fitted.terms), fitted.inverse_frequency.copy())
    np.testing.assert_array_equal(stored.transform(CAPTIONS).toarray(), fitted.transform(CAPTIONS).toarray())


def test_the_vocabulary_keeps_what_most_captions_have(monkeypatch):
    monkeypatch.setattr("redpop_assets.features.tfidf.MOST_TERMS", 3)
    captions = ["loud loud loud loud", "loud loud", *["cat", "dog", "ant", "bird"] * 3]
    assert TfIdf.fit(captions, least=2).terms == ("ant", "bird", "cat")  # "loud" occurs most often, but in two of them


def test_captions_that_share_nothing_have_no_terms():
    fitted = TfIdf.fit(["one", "two"])
    assert fitted.terms == ()
    assert fitted.transform(["one", "two", "three"]).shape == (3, 0)


def test_terms_come_from_the_train_part(small, fitted):
    predictor, report = fitted("tfidf_ridge")
    spoken = replace(small.validation, captions=("zeppelin zeppelin",) * 60)
    other = predictor_class("tfidf_ridge")(seed=3)
    other.fit(small.train, spoken)
    assert other.tfidf.terms == predictor.tfidf.terms
    np.testing.assert_array_equal(other.tfidf.inverse_frequency, predictor.tfidf.inverse_frequency)
    assert report.notes[0].startswith(f"of {len(predictor.tfidf.terms)} terms, most for the score: ")
    assert np.ptp(predictor.predict(replace(small.test, captions=("",) * 80))) == 0


def test_captions_without_words_cannot_be_read(small, fitted):
    silent = replace(small.train, captions=())
    with pytest.raises(NotTrainable, match="needs captions: the data carry no words"):
        predictor_class("tfidf_ridge")().fit(silent, small.validation)
    mute = replace(small.train, captions=tuple(f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(220)))
    with pytest.raises(NotTrainable, match="220 training captions share none"):
        predictor_class("tfidf_ridge")().fit(mute, small.validation)
    with pytest.raises(ArtifactError, match="tfidf_ridge reads captions, which the data lack"):
        fitted("tfidf_ridge")[0].predict(replace(small.test, captions=()))


@pytest.mark.parametrize("shape", [(60, 9), (9, 60)])
def test_ridge_paths_agree_with_scikit_learn(shape):
    from scipy.sparse import csr_array
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    inputs, target = rng.normal(size=shape), rng.normal(size=shape[0])
    inputs -= inputs.mean(axis=0)
    found = ridge_path(inputs, target - target.mean(), PENALTIES)
    for column, penalty in enumerate(PENALTIES):
        expected = Ridge(alpha=penalty * shape[0]).fit(inputs, target)
        np.testing.assert_allclose(found[:, column], expected.coef_, atol=1e-9)
    shifted = inputs + 0.5
    for (weights, intercept), penalty in zip(text_ridge_path(csr_array(shifted), target), TEXT_PENALTIES, strict=True):
        expected = Ridge(alpha=penalty).fit(shifted, target)
        np.testing.assert_allclose(weights, expected.coef_, atol=1e-4)
        assert intercept == pytest.approx(expected.intercept_, abs=1e-4)


def test_the_penalty_is_chosen_by_later_posts(small):
    image = small.train.blocks["image"]
    labels = small.train.labels.astype(float)
    held_out = small.validation.blocks["image"]
    ridge = BlockRidge.fit(image, labels, held_out, small.validation.labels.astype(float))
    flat = BlockRidge.fit(image, labels, held_out, np.full(60, labels.mean()))
    assert flat.penalty == PENALTIES[0] > ridge.penalty, "if later posts do not vary, only the mean is right"
    np.testing.assert_array_equal(ridge.mean, flat.mean)
    absent = Block(np.full((1, 96), np.nan, dtype=np.float32), image.columns, np.zeros(1, dtype=bool))
    assert ridge.predict(absent)[0] == ridge.intercept


def test_a_line_keeps_the_order_and_is_worth_what_it_is_worth_elsewhere():
    rng = np.random.default_rng(0)
    output = rng.normal(size=200)
    labels = 3 + 2 * output + rng.normal(size=200)
    line = LinearMap.fit(output, labels)
    np.testing.assert_allclose([line.slope, line.intercept], np.polyfit(output, labels, 1))
    against = LinearMap.fit(output, -labels)
    assert against.slope == pytest.approx(LEAST_SLOPE * labels.std() / output.std())
    assert LinearMap.fit(np.ones(5), np.full(5, 3.0)).apply(np.ones(2)).tolist() == [3.0, 3.0]
    mapped = mapped_out_of_fold(output, labels)
    changed = labels.copy()
    changed[:40] += 100
    np.testing.assert_array_equal(mapped[:40], mapped_out_of_fold(output, changed)[:40])


def test_late_fusion_is_the_mean_of_its_members(small, fitted):
    fusion, report = fitted("late_fusion")
    members = fusion._members(small.test)
    assert set(members) == {"image", "caption", "metadata"}
    mean = np.mean(list(members.values()), axis=0)
    np.testing.assert_allclose(fusion.predict(small.test), fusion.line.intercept + fusion.line.slope * mean)
    alone = predictor_class("metadata_boosting")(seed=3)
    alone.fit(small.train.newest(220), small.validation)
    np.testing.assert_array_equal(members["metadata"], alone.predict(small.test))
    assert report.notes[0].startswith("members by spread: image ")


def test_late_fusion_does_without_a_member(small, tmp_path):
    fusion = predictor_class("late_fusion")()
    report = fusion.fit(small.train.without(["image", "time"]), small.validation.without(["image", "time"]))
    assert report.blocks_left_out == ("image", "time")
    assert set(fusion._members(small.test)) == {"caption"}
    fusion.save(tmp_path)
    np.testing.assert_array_equal(
        predictor_class("late_fusion").load(tmp_path).predict(small.test), fusion.predict(small.test)
    )
    bare = ["image", "time", "caption"]
    with pytest.raises(NotTrainable, match="needs images, captions or times"):
        predictor_class("late_fusion")().fit(small.train.without(bare), small.validation.without(bare))
