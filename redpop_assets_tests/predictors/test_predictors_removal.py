"""The predictor of removals on a planted truth: what it finds, whether its probabilities hold, and what it keeps."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArtifactError
from redpop_assets.predictors.removal import DETAILS, MODEL, RemovalInputs, RemovalModel, recalibration


def planted(n, seed=0, nameless=0.0):
    """Posts, whether they were removed, and with what probability: by a word, an hour and the author."""
    rng = np.random.default_rng(seed)
    word, night = rng.random(n) < 0.1, rng.random(n) < 0.25
    share = rng.choice([0.02, 0.5], n, p=[0.85, 0.15])
    titles = [f"a {rng.choice(['lake', 'dog', 'city', 'road'])}{' giveaway' * bool(one)}" for one in word]
    logit = -4.0 + 3.0 * word + 1.5 * night + 2.0 * (share > 0.1)
    probability = 1 / (1 + np.exp(-logit))
    numbers = np.column_stack([night, rng.normal(size=(n, 5))]).astype(float)
    standing = np.column_stack([share, rng.normal(size=n)])
    standing[rng.random(n) < nameless] = np.nan
    return RemovalInputs(titles, numbers, standing), rng.random(n) < probability, probability


@pytest.fixture(scope="module")
def fitted():
    train, removed, _ = planted(3000, 1)
    validation, also_removed, _ = planted(600, 2)
    return RemovalModel.fit(train, removed, validation, also_removed, seed=7)


def skill(said, truth, base):
    """Expected Brier skill, without the noise of what happened."""
    spread = truth * (1 - truth)
    return 1 - np.mean((said - truth) ** 2 + spread) / np.mean((base - truth) ** 2 + spread)


def test_it_comes_close_to_what_can_be_known_and_is_calibrated(fitted):
    posts, removed, truth = planted(4000, 3)
    said = fitted.probability(posts)
    best = skill(truth, truth, truth.mean())
    assert best > 0.15
    assert skill(said, truth, truth.mean()) > 0.8 * best
    assert said.mean() == pytest.approx(truth.mean(), rel=0.15)
    for low, high in ((0, 0.03), (0.03, 0.1), (0.1, 0.3), (0.3, 1)):
        some = (said >= low) & (said < high)
        assert some.sum() > 50
        assert said[some].mean() == pytest.approx(truth[some].mean(), rel=0.25, abs=0.015)
    assert removed.any()


def test_where_there_is_nothing_to_know_it_says_the_base_rate():
    posts, _, _ = planted(2600, 4)
    removed = np.random.default_rng(5).random(2600) < 0.06
    parts = [np.arange(2000), np.arange(2000, 2300), np.arange(2300, 2600)]
    train, validation, test = (posts.of(part) for part in parts)
    model = RemovalModel.fit(train, removed[parts[0]], validation, removed[parts[1]], seed=1)
    said = model.probability(test)
    assert said.std() < 0.02
    assert said.mean() == pytest.approx(0.06, abs=0.03)


def test_that_a_name_is_gone_tells_nothing():
    """Accounts of removed posts are closed: a predictor could learn from what became of them, and must not."""
    posts, removed, truth = planted(3600, 6)
    gone = posts.standing.copy()
    gone[removed & (np.random.default_rng(0).random(3600) < 0.8)] = np.nan
    leaking = RemovalInputs(posts.titles, posts.numbers, gone)
    first, then = np.arange(3000), np.arange(3000, 3600)
    model = RemovalModel.fit(leaking.of(first), removed[first], leaking.of(then), removed[then], seed=7)
    others, _, other_truth = planted(1000, 8)
    unnamed = RemovalInputs(others.titles, others.numbers, np.full_like(others.standing, np.nan))
    assert model.probability(unnamed).mean() < 2 * other_truth.mean()
    assert truth.mean() == pytest.approx(other_truth.mean(), rel=0.2)


def test_somebody_unknown_is_the_mean_of_authors_and_known_ones_are_told_apart(fitted):
    posts, _, _ = planted(50, 9)

    def of(share):
        return RemovalInputs(posts.titles, posts.numbers, np.tile([share, 0.0], (50, 1)))

    careless, careful = fitted.probability(of(0.5)), fitted.probability(of(0.02))
    unknown = fitted.probability(of(np.nan))
    assert (careless > careful).all()
    assert ((unknown >= careful - 1e-6) & (unknown <= careless + 1e-6)).mean() > 0.9


def test_posts_of_which_no_author_is_known_can_be_learnt_from():
    train, removed, _ = planted(1500, 1, nameless=1.0)
    validation, also, _ = planted(400, 2, nameless=1.0)
    model = RemovalModel.fit(train, removed, validation, also, seed=7)
    posts, _, truth = planted(800, 3, nameless=1.0)
    assert len(model.donors) == 0
    assert skill(model.probability(posts), truth, truth.mean()) > 0.05


def test_what_is_saved_is_what_is_loaded_and_equal_fits_are_equal_bytes(fitted, tmp_path):
    again = RemovalModel.fit(*planted(3000, 1)[:2], *planted(600, 2)[:2], seed=7)
    for name, model in (("one", fitted), ("other", again)):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    for file in (DETAILS, MODEL):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()
    posts, _, _ = planted(100, 3, nameless=0.3)
    assert RemovalModel.load(tmp_path / "one").probability(posts).tolist() == fitted.probability(posts).tolist()


@pytest.mark.parametrize("damage", ["gone", "text", "version", "tree"])
def test_damaged_files_are_said(fitted, tmp_path, damage):
    fitted.save(tmp_path)
    details = json.loads((tmp_path / DETAILS).read_text())
    if damage == "gone":
        (tmp_path / DETAILS).unlink()
    elif damage == "text":
        (tmp_path / DETAILS).write_text("{")
    elif damage == "version":
        (tmp_path / DETAILS).write_text(json.dumps({**details, "code_version": "0"}))
    else:
        (tmp_path / MODEL).write_text("no trees")
    with pytest.raises(ArtifactError):
        RemovalModel.load(tmp_path)


@settings(max_examples=20)
@given(st.floats(0.3, 3), st.floats(-2, 2), st.integers(0, 99))
def test_recalibration_finds_the_slope_and_the_shift(slope, shift, seed):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, 4000)
    happened = rng.random(4000) < 1 / (1 + np.exp(-(shift + slope * logit)))
    found = recalibration(logit, happened)
    assert found[0] == pytest.approx(slope, abs=0.35)
    assert found[1] == pytest.approx(shift, abs=0.5)


def test_a_slope_is_never_turned_round():
    logit = np.linspace(-3, 3, 200)
    slope, shift = recalibration(logit, logit < -1)
    assert slope == 0
    assert 1 / (1 + np.exp(-shift)) == pytest.approx((logit < -1).mean(), abs=0.06)
