"""`retrieval_attention`: it listens to neighbours where they tell something, to nobody where they do not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.errors import NotTrainable
from redpop_assets.features.neighbours import NEIGHBOURS
from redpop_assets.features.retrieved import PLACES
from redpop_assets.predictors.dataset import Block
from redpop_assets.predictors.registry import load_predictor, predictor_class, predictor_variants
from redpop_assets.predictors.systems import multimodal_mlp, retrieval_attention
from redpop_assets.testing.planted import make_drifting

pytestmark = pytest.mark.integration

NAME = "retrieval_attention"
SIZES = (600, 120, 300)
SMALL = {"image_width": 32, "caption_width": 16, "days": 200}


def fit(name, data, seed=1):
    predictor = predictor_class(name)(seed=seed)
    return predictor, predictor.fit(data.train, data.validation)


@pytest.fixture(scope="module", autouse=True)
def one_network_is_enough():
    """Instead of the mean of several."""
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(retrieval_attention, "MEMBERS", 1)
        quick.setattr(multimodal_mlp, "MEMBERS", 1)
        yield


@pytest.fixture(scope="module")
def drifting():
    """Only past posts tell what a subject is worth now; and each predictor fitted once on it."""
    data = make_drifting(0, SIZES, **SMALL)
    made = {}

    def get(name):
        if name not in made:
            made[name] = fit(name, data)
        return made[name]

    return data, get


def error(predicted, data):
    return float(np.sqrt(np.mean((predicted - data.labels) ** 2)))


def test_it_finds_what_only_past_posts_tell_and_its_controls_do_not(drifting):
    data, fitted = drifting
    variants = ("retrieval_attention_alone", "retrieval_attention_similarity", "retrieval_attention_shuffled")
    assert predictor_variants(NAME) == variants
    errors, ranks = {}, {}
    for name in (NAME, *variants):
        predicted = fitted(name)[0].predict(data.test)
        errors[name], ranks[name] = error(predicted, data.test), spearmanr(predicted, data.test.labels).statistic
    assert errors[NAME] < 0.95 * errors["retrieval_attention_alone"]
    for control in variants:
        assert ranks[NAME] > ranks[control] + 0.02, control
        assert errors[NAME] < 0.98 * errors[control], control
    assert "share of neighbours on the validation part" in fitted(NAME)[1].notes[-1]


def test_what_counted_is_recent_and_makes_up_the_difference_from_the_own_expectation(drifting):
    data, fitted = drifting
    predictor, _ = fitted(NAME)
    counted = predictor.counted(data.test)
    assert counted.weights.shape == counted.added.shape == (len(data.test), PLACES)
    block = data.test.blocks["retrieved"]
    days = block.values[:, [at for at, name in enumerate(block.columns) if "_days_" in name]]
    assert not counted.weights[days == 0].any()
    assert (counted.gate <= 1 + 1e-6).all()
    assert counted.gate.mean() > 0.12
    near = days[:, :NEIGHBOURS]
    recent, old = near < np.median(near), near >= np.median(near)
    weights = counted.weights[:, :NEIGHBOURS]
    assert weights[recent].mean() > 1.5 * weights[old].mean(), "what a subject was worth long ago tells little"
    # The neighbours' part and the level's part are all that is between the two.
    kept = data.test.pick(predictor.columns)
    own = predictor.own.predict(kept)
    nobody = replace(kept, blocks={**kept.blocks, "retrieved": _nothing(kept.blocks["retrieved"])})
    moved = predictor.predict(data.test) - own
    assert np.corrcoef(moved, counted.added.sum(axis=1))[0, 1] > 0.9
    assert not predictor.counted(nobody).weights.any()
    assert np.isfinite(predictor.predict(nobody)).all()


def _nothing(block):
    return Block(np.full_like(block.values, np.nan), block.columns, np.zeros(len(block.values), dtype=bool))


def test_where_neighbours_tell_nothing_nobody_is_listened_to():
    data = make_drifting(0, SIZES, share=0.0, **SMALL)
    predictor, _ = fit(NAME, data)
    counted = predictor.counted(data.test)
    assert counted.gate.mean() < 0.1
    with_them, alone = predictor.predict(data.test), predictor.own.predict(data.test)
    assert error(with_them, data.test) < 1.02 * error(alone, data.test)
    assert counted.added.sum(axis=1).std() < 0.1 * data.test.labels.std()


def test_attention_learns_from_what_only_earlier_posts_taught_and_one_seed_gives_the_same(drifting, monkeypatch):
    data, fitted = drifting
    seen = []
    learn = retrieval_attention.RetrievalAttention._out_of_fold

    def watched(self, past, later):
        seen.append((past, later))
        return learn(self, past, later)

    monkeypatch.setattr(retrieval_attention.RetrievalAttention, "_out_of_fold", watched)
    again, _ = fit(NAME, data)
    assert [len(past) for past, _ in seen] == [300, 450]
    for past, later in seen:
        assert past.created_at.max() <= later.created_at.min()
        assert not set(past.post_ids) & set(later.post_ids)
        assert not set(later.post_ids) & set(data.validation.post_ids)
    np.testing.assert_array_equal(again.predict(data.test), fitted(NAME)[0].predict(data.test))


@pytest.mark.parametrize("name", [NAME, "retrieval_attention_shuffled"])
def test_files_give_it_back_and_each_post_is_predicted_by_itself(name, drifting, tmp_path):
    data, fitted = drifting
    predictor, _ = fitted(name)
    predictor.save(tmp_path / name)
    loaded = load_predictor(tmp_path / name)
    whole = predictor.predict(data.test)
    np.testing.assert_array_equal(loaded.predict(data.test), whole)
    some = np.arange(len(data.test)) % 9 == 0
    np.testing.assert_allclose(loaded.predict(data.test.select(some)), whole[some], atol=1e-5)


def test_where_its_block_is_not_computed_it_says_what_to_set(drifting):
    data, _ = drifting
    without = [
        replace(part, blocks={**part.blocks, "retrieved": _nothing(part.blocks["retrieved"])})
        for part in (data.train, data.validation)
    ]
    with pytest.raises(NotTrainable, match=r"0 of 600 .* REDPOP_OPTIONAL_FAMILIES=retrieved computes them"):
        predictor_class(NAME)(seed=1).fit(*without)
