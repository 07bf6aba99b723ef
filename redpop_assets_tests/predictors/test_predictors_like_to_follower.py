"""The score as a share of the audience: the ratio, its outliers, both heads, and the way back."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.predictors.systems.like_to_follower import FLOORS, log_ratios, probabilities, softmax_head, with_bias

NAMES = ("like_to_follower", "like_to_follower_buckets")


def with_community(data, **columns):
    values = np.column_stack(list(columns.values())).astype(np.float32)
    block = Block(values, tuple(columns), np.ones(len(data), dtype=bool))
    return replace(data, blocks={**data.blocks, "community": block})


def fit(name, train, validation):
    predictor = predictor_class(name)(seed=3)
    return predictor, predictor.fit(train, validation)


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_the_picture(name, planted):
    data = planted()
    predictor, report = fit(name, data.train, data.validation)
    predicted = predictor.predict(data.test)
    assert spearmanr(predicted, data.test.labels).statistic > 0.35
    assert np.abs(predicted - data.test.labels).mean() < np.abs(data.test.labels - data.train.labels.mean()).mean()
    assert report.notes[0].startswith("audience: log_subscribers; validation Spearman of picture and ratio 0.")


@pytest.mark.parametrize("name", NAMES)
def test_a_larger_audience_raises_the_score_and_not_the_ratio(name, small, fitted):
    predictor, _ = fitted(name)
    assert predictor.columns["community"] == ("log_subscribers",)
    community = small.test.blocks["community"]
    twice = Block(community.values + np.float32(np.log(2)), community.columns, community.present)
    grown = replace(small.test, blocks={**small.test.blocks, "community": twice})
    np.testing.assert_allclose(predictor.predict(grown), predictor.predict(small.test) + np.log(2), atol=1e-5)


def test_growth_of_the_audience_is_divided_out(planted):
    """Scores that grow with the community: a model of ratios follows where a model of scores cannot."""
    data = planted()
    parts = []
    for part in (data.train, data.validation, data.test):
        growth = 4 * (part.created_at - np.datetime64("2025-03-01")).astype(float) / 1e7
        grown = replace(part, log_score=(part.labels + growth).astype(np.float32))
        parts.append(with_community(grown, log_subscribers=8 + growth, month_median_log_score=np.ones(len(part))))
    train, validation, test = parts
    errors = {}
    for name in (*NAMES, "frozen_cnn_ridge"):
        predictor, _ = fit(name, train, validation)
        errors[name] = np.abs(predictor.predict(test) - test.labels).mean()
    assert max(errors[name] for name in NAMES) < errors["frozen_cnn_ridge"] - 0.3


def test_which_audience(small):
    def community(part, known, median=None):
        rng = np.random.default_rng(0)
        subscribers = np.where(rng.random(len(part)) < known, 12 + rng.random(len(part)), 0)
        medians = rng.random(len(part)) if median is None else np.full(len(part), median)
        return with_community(part, log_subscribers=subscribers, month_median_log_score=medians)

    for known, median, audience in [
        (0.95, None, "log_subscribers"),
        (0.5, None, "month_median_log_score"),
        (0.5, 2.0, ""),
    ]:
        train, validation = (community(part, known, median) for part in (small.train, small.validation))
        predictor, report = fit("like_to_follower", train, validation)
        assert predictor.audience == audience
        assert report.notes[0].startswith(f"audience: {audience or 'the same for all posts'}; ")
        assert np.isfinite(predictor.predict(community(small.test, known, median))).all()


def test_an_unknown_audience_is_the_typical_one_and_a_tiny_one_is_floored(small, fitted):
    predictor, _ = fitted("like_to_follower")
    test = small.test.take(np.arange(4))
    given = with_community(test, log_subscribers=[0.0, np.nan, 0.7, 11.0])
    community = small.train.blocks["community"]
    typical = np.median(community.values[:, community.columns.index("log_subscribers")])
    np.testing.assert_allclose(
        predictor._log_audience(given), [typical, typical, FLOORS["log_subscribers"], 11.0], atol=1e-6
    )
    absent = Block(np.full((4, 1), np.nan, dtype=np.float32), ("log_subscribers",), np.zeros(4, dtype=bool))
    assert np.isfinite(predictor.predict(replace(test, blocks={**test.blocks, "community": absent}))).all()


def test_ratios():
    np.testing.assert_allclose(log_ratios(np.log1p([99.0, 0.0]), np.log1p([999.0, 9.0])), np.log([0.1, 0.1]))
    assert log_ratios(np.array([-2.0]), np.array([5.0])) == -5.0


@pytest.mark.parametrize("name", NAMES)
def test_outliers_are_winsorised_on_the_train_part(name, small, fitted):
    """One absurd score moves the model no further than a high one."""
    labels = small.train.labels.copy()
    top = labels.argmax()
    labels[top] += 1000
    predictor, _ = fit(name, replace(small.train, log_score=labels), small.validation)
    np.testing.assert_allclose(predictor.predict(small.test), fitted(name)[0].predict(small.test), atol=0.05)


def test_the_softmax_head_is_a_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(150, 5)).astype(np.float32)
    classes = (inputs[:, 0] + rng.normal(size=150) > 0).astype(int) + (inputs[:, 1] > 0.5)
    weights = softmax_head(with_bias(inputs), classes, 0.01, np.zeros((6, 3)))
    other = LogisticRegression(C=1 / (2 * 0.01 * 150), tol=1e-8).fit(inputs, classes)
    np.testing.assert_allclose(
        probabilities(with_bias(inputs) @ weights), other.predict_proba(inputs.astype(float)), atol=2e-3
    )


def test_buckets_hold_equally_many_posts_and_empty_ones_are_none(small, fitted):
    predictor, _ = fitted("like_to_follower_buckets")
    assert len(predictor.levels) == 5
    assert (np.diff(predictor.levels) > 0).all()
    zeros = replace(small.train, log_score=np.where(np.arange(220) % 2, small.train.labels, 0).astype(np.float32))
    level = {"log_subscribers": 12.0, "month_median_log_score": 2.0, "posts_last_7d": 1.0}
    flat = [
        with_community(part, **{name: np.full(len(part), value) for name, value in level.items()})
        for part in (zeros, small.validation, small.test)
    ]
    for part in flat:
        part.blocks["community"].values[:, 2] = np.arange(len(part))
    halved, _ = fit("like_to_follower_buckets", flat[0], flat[1])
    assert 2 <= len(halved.levels) <= 5
    assert np.isfinite(halved.predict(flat[2])).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_posts_give_the_same_files(name, small, fitted, tmp_path):
    fitted(name)[0].save(tmp_path / "a")
    again, _ = fit(name, small.train.take(np.random.default_rng(0).permutation(220)), small.validation)
    again.save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
