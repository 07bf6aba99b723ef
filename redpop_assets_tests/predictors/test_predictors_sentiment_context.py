"""The support-vector regression that LIBLINEAR defines, and coefficients that mean what they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.systems import sentiment_context
from redpop_assets.predictors.systems.sentiment_context import (
    GRID,
    SentimentContext,
    choose_cost,
    common_tokens,
    jackknife_errors,
    support_vectors,
    token_indicators,
)


def files(predictor, folder):
    predictor.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("columns", [5, 80])
@pytest.mark.parametrize("cost", [1e-3, 1.0])
def test_it_is_the_regression_of_liblinear(columns, cost):
    from sklearn.svm import LinearSVR

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, columns))
    target = inputs[:, 0] + 0.3 * rng.standard_t(2, size=60)
    reference = LinearSVR(
        loss="squared_epsilon_insensitive", dual=False, C=cost, epsilon=0.1, tol=1e-10, max_iter=10000
    ).fit(inputs, target)
    dual = support_vectors(inputs @ inputs.T + 1, target, cost)
    np.testing.assert_allclose(inputs.T @ dual, reference.coef_, atol=1e-5)
    assert dual.sum() == pytest.approx(reference.intercept_, abs=1e-5)
    assert 0 < (dual == 0).sum() < 60 or cost < 1
    again = support_vectors(inputs @ inputs.T + 1, target, cost, rng.normal(size=60))
    np.testing.assert_allclose(again, dual, atol=1e-8)


def test_noise_gets_the_least_cost_and_signal_a_greater_one():
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(300, 40))
    assert choose_cost(inputs @ inputs.T + 1, rng.normal(size=300)) == GRID[0]
    assert choose_cost(inputs @ inputs.T + 1, inputs @ np.ones(40)) > GRID[2]


def test_standard_errors_are_those_of_fits_that_lack_a_stretch():
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(400, 6))
    target = inputs[:, 0] + rng.normal(size=400)
    kernel, cost = inputs @ inputs.T + 1, 1e-2
    errors = jackknife_errors(inputs, kernel, support_vectors(kernel, target, cost), cost)
    weights = []
    for stretch in np.array_split(np.arange(400), 10):
        kept = np.setdiff1d(np.arange(400), stretch)
        weights.append(inputs[kept].T @ support_vectors(kernel[np.ix_(kept, kept)], target[kept], cost))
    expected = np.sqrt(0.9 * ((np.array(weights) - np.mean(weights, axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(errors, expected, rtol=0.2)


def with_sentiment(data, seed):
    """Two adjective-noun pairs more, of which the first raises the score, and a word that lowers it."""
    rng = np.random.default_rng(seed)
    concepts, n = data.blocks["concepts"], len(data)
    happy, neutral, sad = rng.normal(size=n), rng.normal(size=n), rng.random(n) < 0.3
    values = np.column_stack([concepts.values, happy, neutral]).astype(np.float32)
    values[~concepts.present] = np.nan
    grown = Block(values, (*concepts.columns, "happy_dog", "grey_wall"), concepts.present)
    return replace(
        data,
        blocks={**data.blocks, "concepts": grown},
        log_score=(data.labels + happy * concepts.present - 2 * sad).astype(np.float32),
        captions=tuple(
            f"{caption} goodbye" * bool(s) or caption for caption, s in zip(data.captions, sad, strict=True)
        ),
    )


def test_signed_coefficients_tell_what_raises_and_lowers_the_score(planted):
    data = planted()
    model = SentimentContext()
    model.fit(with_sentiment(data.train, 0), with_sentiment(data.validation, 1))
    found = model.coefficients()
    assert (found[0].column, found[-1].column) == ("happy_dog", "goodbye")
    assert found[-1].block == "types"
    for coefficient in (found[0], found[-1]):
        assert abs(coefficient.value) > 3 * coefficient.standard_error
    (neutral,) = [each for each in found if each.column == "grey_wall"]
    assert abs(neutral.value) < 3 * neutral.standard_error
    test = with_sentiment(data.test, 2)
    predicted = model.predict(test)
    assert spearmanr(predicted, test.labels).statistic > 0.55
    parts = model.parts(test)
    np.testing.assert_allclose(sum(parts.values()) + model.intercept, predicted)
    assert list(parts) == ["image", "author", "flags", "objects", "concepts", "entities", "types"]


def test_of_the_author_only_the_past_mean_is_seen(fitted):
    assert fitted("sentiment_context")[0].columns["author"] == ("past_mean_log_score", "is_cold_start")


def test_nothing_but_the_train_part_is_stored(fitted, small, tmp_path):
    validation = small.validation
    moved = {name: Block(b.values + np.float32(3), b.columns, b.present) for name, b in validation.blocks.items()}
    other = SentimentContext(seed=3)
    other.fit(
        small.train,
        replace(validation, blocks=moved, log_score=-validation.labels, captions=("never seen",) * len(validation)),
    )
    assert files(other, tmp_path / "other") == files(fitted("sentiment_context")[0], tmp_path / "fitted")


def test_the_order_of_the_posts_does_not_matter(fitted, small):
    other = SentimentContext(seed=3)
    other.fit(small.train.take(np.random.default_rng(0).permutation(len(small.train))), small.validation)
    np.testing.assert_allclose(other.weights, fitted("sentiment_context")[0].weights, atol=1e-9)


def test_the_newest_posts_are_learnt_from_if_there_are_too_many(small, monkeypatch):
    monkeypatch.setattr(sentiment_context, "MOST_ROWS", 150)
    newest = SentimentContext()
    newest.fit(small.train.newest(150), small.validation)
    whole = SentimentContext()
    whole.fit(small.train, small.validation)
    np.testing.assert_allclose(whole.predict(small.test), newest.predict(small.test))


def test_common_tokens_are_no_stop_words():
    captions = [["the", "cat", "[oc]"], ["the", "cat"], ["a", "dog", "cat"]] * 5 + [["rare"]]
    assert common_tokens(captions) == ("cat", "[oc]", "dog")
    np.testing.assert_array_equal(
        token_indicators(["My CAT [OC], cat", "", "unheard of"], ("cat", "[oc]", "dog")),
        [[1, 1, 0], [0, 0, 0], [0, 0, 0]],
    )


def test_words_are_needed(fitted, small):
    with pytest.raises(NotTrainable, match="needs captions: the data carry no words"):
        SentimentContext().fit(replace(small.train, captions=()), replace(small.validation, captions=()))
    with pytest.raises(ArtifactError, match="reads captions, which the data lack"):
        fitted("sentiment_context")[0].predict(replace(small.test, captions=()))


def test_it_does_without_what_is_only_used(small):
    model = SentimentContext()
    only = ["image", "time"]
    report = model.fit(*(replace(p, blocks={k: p.blocks[k] for k in only}) for p in (small.train, small.validation)))
    assert report.blocks == ("image",)
    assert "trained without concepts: no training row has it" in report.notes
    assert np.isfinite(model.predict(small.test)).all()
