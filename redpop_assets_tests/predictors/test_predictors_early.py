"""Predictors that follow a post: baselines by hand, what is usual, files, and the model of the whole curve."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.features.early import COLUMNS, FORECAST_AGES, Readings
from redpop_assets.predictors.dataset import EARLY, Block, Dataset
from redpop_assets.predictors.early.baselines import EarlyGrowth, EarlyLogLinear
from redpop_assets.predictors.early.curve import CurveModel, CurvePosts, Evidence, Knots, Population
from redpop_assets.predictors.early.registry import EARLY_NAMES, early_class, load_early
from redpop_assets.predictors.early.usual import Usual
from redpop_assets.predictors.registry import predictor_class, predictor_names

LABEL_HOURS = 168.0
AGES = (0.9, 2.0, 2.9, 5.8, 11.0, 23.0, 48.0, 96.0)


def grown(n, seed=0, ages=AGES, posting_known=True):
    """Posts whose log score grows to a label that the forecast at posting half knows."""
    rng = np.random.default_rng(seed)
    content = rng.normal(0, 0.9, n)
    labels = np.maximum(4 + content + rng.normal(0, 0.6, n), 0.0)
    pace = np.exp(rng.normal(np.log(10.5), 0.25, n))
    age = np.tile(ages, n) + rng.uniform(-0.05, 0.05, n * len(ages))
    post = np.repeat(np.arange(n), len(ages))
    true = 1 + (np.expm1(labels)[post] - 1) * (1 - np.exp(-((age / pace[post]) ** 1.4)))
    score = np.maximum(np.rint(true + rng.normal(0, np.minimum(3, 0.3 * np.sqrt(np.maximum(true, 0))))), 0)
    comments = np.floor(np.maximum(np.expm1(0.6 * np.log1p(np.maximum(true, 0)) + rng.normal(-0.4, 0.3, n)[post]), 0))
    no, zeros = np.zeros(len(post), dtype=bool), np.zeros(len(post))
    readings = Readings(post, age, score, no, np.full(len(post), 0.9), comments, zeros, no)
    created = np.datetime64("2026-01-01", "s") + np.arange(n) * np.timedelta64(1, "h")
    posting = 4 + content if posting_known else np.full(n, np.nan)
    return CurvePosts(readings, created, labels, posting)


@pytest.fixture(scope="module")
def fitted():
    """(model, test posts): of 300 posts to learn from, 160 to calibrate and 200 to judge."""
    everybody = grown(660)
    train = replace(everybody.select(np.arange(300)), posting=np.full(300, np.nan))
    model, _ = CurveModel.fit(train, everybody.select(np.arange(300, 460)), LABEL_HOURS)
    return model, everybody.select(np.arange(460, 660))


def foreseen(model, posts, age, ages=None):
    targets = [knot for knot in model.knots.scores if knot > age] if ages is None else ages
    return model.foresee(posts.known_by(model.knots, age), age, targets)


def test_the_more_was_read_the_nearer_it_is_and_posting_is_where_it_starts(fitted):
    model, test = fitted
    errors = [np.abs(foreseen(model, test, age).expected[:, -1] - test.labels).mean() for age in (0, *FORECAST_AGES)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(np.abs(test.posting - test.labels).mean(), abs=0.1)
    assert errors[-1] < 0.5 * errors[0]


def test_ranges_hold_as_often_as_they_say_at_every_age_and_nothing_falls(fitted):
    model, test = fitted
    for age in (0, *FORECAST_AGES):
        found, shares = foreseen(model, test, age), []
        for values in (found.expected, *found.low.values(), *found.high.values()):
            assert (np.diff(values, axis=1) >= 0).all()
        for place, target in enumerate(found.ages):
            seen = test.seen_at(target, model.knots)
            known = np.isfinite(seen)
            if known.sum() > 150:
                inside = (found.low[80][known, place] <= seen[known]) & (seen[known] <= found.high[80][known, place])
                assert 0.65 <= inside.mean() <= 0.93, (age, target)
                shares.append(inside.mean())
        assert 0.7 <= np.mean(shares) <= 0.9, age
        assert (found.low[90] <= found.low[50]).all()
        assert (found.high[50] <= found.high[90]).all()


@settings(max_examples=20)
@given(age=st.sampled_from((0, *FORECAST_AGES)), seed=st.integers(0, 5))
def test_later_readings_change_no_bit_of_the_curve(fitted, age, seed):
    model, _ = fitted
    known = grown(12, seed)
    other = grown(12, seed + 1)
    cut, later = known.readings.of(known.readings.age_hours <= age), other.readings.of(other.readings.age_hours > age)
    mixed = Readings(**{name: np.concatenate([getattr(later, name), value]) for name, value in vars(cut).items()})
    asked = [replace(known, readings=one) for one in (known.readings, mixed, cut)]
    first, *same = (foreseen(model, posts, age) for posts in asked)
    for one in same:
        assert one.expected.tobytes() == first.expected.tobytes()
        assert one.low[80].tobytes() == first.low[80].tobytes()


def test_files_of_the_curve(fitted, tmp_path):
    model, test = fitted
    model.save(tmp_path)
    again = CurveModel.load(tmp_path)
    assert foreseen(again, test, 3).expected.tobytes() == foreseen(model, test, 3).expected.tobytes()
    assert foreseen(again, test, 3).high[90].tobytes() == foreseen(model, test, 3).high[90].tobytes()
    (tmp_path / "curve.json").write_text("{}")
    with pytest.raises(ArtifactError, match="train it again"):
        CurveModel.load(tmp_path)


def test_a_curve_needs_posts_that_were_read_young():
    late = grown(200, ages=(30.0, 60.0))
    with pytest.raises(NotTrainable, match="0 of 100"):
        CurveModel.fit(late.select(np.arange(150)), late.select(np.arange(150, 200)), LABEL_HOURS)


def test_hidden_scores_leave_the_comments(fitted):
    model, test = fitted
    hidden = replace(test.readings, score=np.full(len(test.readings), np.nan))
    blind = foreseen(model, replace(test, readings=hidden), 24).expected[:, -1]
    error = np.abs(blind - test.labels).mean()
    assert np.abs(foreseen(model, test, 24).expected[:, -1] - test.labels).mean() < error
    assert error < np.abs(test.posting - test.labels).mean()


def test_the_distribution_is_found_again():
    knots = Knots(LABEL_HOURS)
    rng = np.random.default_rng(3)
    prior = Population.prior(knots, 4.0)
    vectors = rng.multivariate_normal(prior.mean + 1.0, prior.covariance, 400)
    looks = np.eye(knots.width) / 1e-4
    seen = Evidence(np.tile(looks, (400, 1, 1)), vectors @ looks)
    found = prior.fit(seen)
    assert np.abs(found.mean - vectors.mean(axis=0)).max() < 0.01
    assert np.abs(found.covariance - np.cov(vectors.T)).max() < 0.2


def dataset(n=400, seed=0, hidden=()):
    """Posts whose label is ln 10 above the log score of the age of one hour; some are hidden."""
    rng = np.random.default_rng(seed)
    score = rng.normal(2, 1, n)
    age = rng.uniform(0.5, 1.0, n)
    values = np.full((n, len(COLUMNS)), np.nan, dtype=np.float32)
    values[:, COLUMNS.index("reading_age_hours")] = age
    values[:, COLUMNS.index("log_score")] = score
    values[:, COLUMNS.index("log_comments")] = 0.5 * score + rng.normal(0, 0.3, n)
    values[list(hidden), COLUMNS.index("log_score")] = np.nan
    labels = (score + np.log(10) + 0.05 * rng.normal(size=n)).astype(np.float32)
    early = Block(values, COLUMNS, np.ones(n, dtype=bool))
    created = np.datetime64("2026-01-01", "s") + np.arange(n) * np.timedelta64(3, "h")
    return Dataset("pics", tuple(f"p{i:04}" for i in range(n)), {EARLY: early}, created, labels, tuple("a" * n))


@pytest.mark.parametrize("kind", [EarlyGrowth, EarlyLogLinear])
def test_baselines_find_the_growth_and_say_the_median_of_what_is_hidden(kind, tmp_path):
    data = dataset(hidden=(399,))
    train, held_out = data.select(np.arange(400) < 300), data.select(np.arange(400) >= 300)
    predictor = kind()
    predictor.fit(train, held_out)
    expected = predictor.predict(held_out)
    assert np.abs(expected[:-1] - held_out.labels[:-1]).mean() < 0.1
    assert expected[-1] == np.median(train.labels)
    predictor.save(tmp_path)
    assert load_early(tmp_path).predict(held_out).tobytes() == expected.tobytes()


def test_baselines_need_scores_that_are_shown():
    data = dataset(hidden=range(400))
    with pytest.raises(NotTrainable, match="0 of 300"):
        EarlyGrowth().fit(data.select(np.arange(400) < 300), data.select(np.arange(400) >= 300))


def test_what_is_usual_follows_age_and_hour():
    data = dataset()
    block, created = data.blocks[EARLY], data.created_at
    hour = (created - created.astype("datetime64[D]")) / np.timedelta64(1, "h")
    age = block.values[:, 0]
    values = block.values.copy()
    values[:, COLUMNS.index("log_score")] = 3 + 0.7 * np.log(age) + 0.5 * np.sin(2 * np.pi * (hour + age) / 24)
    usual = Usual.fit(Block(values, COLUMNS, block.present), created)
    beside = usual.beside(Block(values, COLUMNS, block.present), created)
    assert beside.columns == (*COLUMNS, "usual_log_score", "usual_log_comments")
    assert np.abs(beside.values[:, beside.columns.index("usual_log_score")]).max() < 0.05
    assert (
        Usual.of(usual.described()).beside(block, created).values.tobytes()
        == usual.beside(block, created).values.tobytes()
    )


@pytest.mark.parametrize("name", ["early_boosting", "early_network"])
def test_systems_with_readings_learn_from_them_and_are_stored(name, tmp_path):
    data = dataset(260)
    train, held_out = data.select(np.arange(260) < 200), data.select(np.arange(260) >= 200)
    told = []
    predictor = early_class(name)(seed=1, progress=told.append)
    report = predictor.fit(train, held_out)
    assert report.blocks == (EARLY,)
    assert report.validation["spearman"] > 0.9
    assert f"spearman {report.validation['spearman']:.3f}" in told[-1]
    expected = predictor.predict(held_out)
    assert np.allclose(expected, report.validation_prediction)
    predictor.save(tmp_path)
    assert np.allclose(load_early(tmp_path).predict(held_out), expected, atol=1e-6)


def test_no_predictor_at_posting_looks_at_readings():
    for name in predictor_names():
        assert EARLY not in predictor_class(name).uses
    assert all(EARLY in early_class(name).requires for name in EARLY_NAMES)
