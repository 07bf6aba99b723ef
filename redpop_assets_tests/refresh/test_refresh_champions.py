"""Who is champion: the rules on errors of which the better one is known, and the history on a real warehouse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.evaluation.bootstrap import author_clusters, mean_of, paired_difference
from redpop_assets.refresh.champions import FEWEST_POSTS, MEDIAN, Bench, judge, refresh_champion
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.training_set import read_parts
from redpop_assets.storage.models import ModelStore

pytestmark = pytest.mark.integration

SEED = 7


def bench(candidates, n=120, median=1.0, clusters=None, asked=None):
    """Errors of each candidate about a mean, best on the validation part first; the median errs by `median`."""
    rng = np.random.default_rng(3)
    common = rng.gamma(4, 0.25, n)
    made = {name: common * mean * rng.uniform(0.9, 1.1, n) for name, mean in candidates.items()}

    def errors(name):
        if asked is not None:
            asked.append(name)
        return made[name]

    return Bench(
        list(candidates), median * common, errors, np.arange(n) if clusters is None else np.array(clusters), SEED
    )


def test_the_first_champion_is_the_best_of_the_validation_part_that_holds_against_the_median():
    asked = []
    verdict = judge(None, bench({"lucky": 1.2, "good": 0.8, "better": 0.5, MEDIAN: 1.0}, asked=asked))
    assert (verdict.predictor, verdict.promoted, verdict.replaced) == ("good", True, None)
    assert "no champion" in verdict.reason
    # The test part judges and does not choose: who was behind on the validation part is not even asked.
    assert "better" not in asked


def test_nobody_who_loses_to_the_median_is_champion():
    verdict = judge(None, bench({"lucky": 1.2, "unlucky": 1.1, MEDIAN: 1.0, "good": 0.5}))
    assert verdict.predictor == MEDIAN
    without = judge(None, bench({"lucky": 1.2, "unlucky": 1.1}))
    assert (without.predictor, without.promoted) == (None, False)
    assert "nobody" not in without.reason
    assert "no other predictor holds against the median" in without.reason


def test_a_champion_gives_way_only_to_what_is_better_beyond_chance():
    close = judge("old", bench({"new": 0.795, "old": 0.8, MEDIAN: 1.0}))
    assert (close.predictor, close.promoted, close.replaced, close.rival) == ("old", False, None, "new")
    assert close.mae_difference_low < 0 < close.mae_difference_high
    assert "old stays" in close.reason
    clear = judge("old", bench({"new": 0.6, "old": 0.8, MEDIAN: 1.0}))
    assert (clear.predictor, clear.promoted, clear.replaced, clear.rival) == ("new", True, "old", "old")
    assert clear.mae_difference_high < 0
    assert clear.p_value < 0.05
    worse = judge("old", bench({"new": 0.9, "old": 0.6, MEDIAN: 1.0}))
    assert worse.predictor == "old"
    assert worse.mae_difference_high < 0  # the champion minus its rival


def test_a_clear_gap_among_posts_of_two_authors_is_no_evidence():
    gap = {"new": 0.6, "old": 0.8, MEDIAN: 1.0}
    assert judge("old", bench(gap, clusters=[0] * 120)).predictor == "old"
    assert judge("old", bench(gap, clusters=[0] * 120)).mae_difference_low is None


def test_the_one_that_only_kept_the_seat_warm_gives_way_at_once():
    verdict = judge(MEDIAN, bench({"good": 0.99, MEDIAN: 1.0}))
    assert (verdict.predictor, verdict.replaced) == ("good", MEDIAN)
    stays = judge(MEDIAN, bench({MEDIAN: 1.0, "good": 0.5}))
    assert (stays.predictor, stays.promoted) == (MEDIAN, False)


@pytest.mark.parametrize(
    ("present", "why"), [("gone", "not trained or not in use any more"), ("bad", "loses to the median")]
)
def test_a_champion_that_is_gone_or_loses_to_the_median_is_replaced(present, why):
    verdict = judge(present, bench({"good": 0.9, "bad": 1.3, MEDIAN: 1.0}))
    assert (verdict.predictor, verdict.promoted, verdict.replaced) == ("good", True, present)
    assert why in verdict.reason
    assert (verdict.rival, verdict.mae_difference is not None) == ("bad", True)


@pytest.mark.parametrize(("present", "expected"), [(None, MEDIAN), ("good", "good"), ("gone", MEDIAN)])
def test_too_few_posts_tell_nothing(present, expected):
    asked = []
    verdict = judge(present, bench({"good": 0.5, MEDIAN: 1.0}, n=FEWEST_POSTS - 1, asked=asked))
    assert verdict.predictor == expected
    assert verdict.promoted == (present != expected)
    assert "too few matured posts" in verdict.reason
    assert asked == []
    assert judge("gone", bench({"good": 0.5}, n=0)).predictor is None


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.3, 2.0), max_size=6),
    st.sampled_from([None, *"abcdefg", MEDIAN]),
    st.permutations(range(7)),
)
def test_whoever_comes_out_is_fit_and_is_confirmed_when_asked_again(means, present, order):
    candidates = [*means.items(), (MEDIAN, 1.0)]
    candidates = dict(candidates[place] for place in order if place < len(candidates))
    judged = bench(candidates, n=40)
    verdict = judge(present, judged)
    assert verdict.predictor in candidates
    assert judged.passes(verdict.predictor)
    assert verdict.promoted == (verdict.predictor != present)
    again = judge(verdict.predictor, judged)
    assert (again.predictor, again.promoted) == (verdict.predictor, False)


# On a warehouse

NAMES = ("subreddit_median", "metadata_boosting", "tfidf_ridge")


def train(warehouse, models, encoders, names=NAMES, seed=SEED):
    for name in names:
        assert refresh_predictor(name, "pics", warehouse, models, encoders, seed=seed).row["status"] == "trained"


@pytest.fixture(scope="module")
def trained(prepared, encoders, learn_from):
    folder, warehouse, models = prepared
    with warehouse.kept():
        learn_from(warehouse)
        train(warehouse, models, encoders)
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


def champion(warehouse, models, names=NAMES, seed=SEED, progress=str):
    return refresh_champion(warehouse, models, "pics", names, seed=seed, progress=progress)


def history(warehouse):
    return warehouse.query("FROM models.champions ORDER BY judgement").to_pylist()


def test_the_first_judgement_and_its_evidence(ready, models):
    """Only the number of words decides the score here: trees on it beat the median and title words."""
    row, new = champion(ready, models)
    assert new
    (stored,) = history(ready)
    assert stored == row
    assert (row["predictor"], row["judgement"], row["promoted"]) == ("metadata_boosting", 1, True)
    assert row["promoted_at"] == row["judged_at"]
    from redpop_assets.refresh.predictions import refresh_predictions

    refresh_predictions(ready, models, progress=str)
    test = ready.query(
        "SELECT t.cluster, t.log_score, abs(p.expected_log_score - t.log_score) AS error, p.predictor "
        "FROM models.training_set AS t JOIN marts.predictions AS p USING (post_id) WHERE t.split = 'test' "
        "ORDER BY post_id"
    ).to_pylist()
    errors = {name: np.array([one["error"] for one in test if one["predictor"] == name]) for name in NAMES}
    assert row["test_posts"] == len(errors["metadata_boosting"])
    assert row["mae"] == pytest.approx(errors["metadata_boosting"].mean())
    assert row["median_mae"] == pytest.approx(errors[MEDIAN].mean())
    rival = errors[row["rival"]]
    assert row["rival_mae"] == pytest.approx(rival.mean())
    clusters = author_clusters([one["cluster"] for one in test if one["predictor"] == MEDIAN])
    found = paired_difference(mean_of(errors["metadata_boosting"]), mean_of(rival), clusters, seed=SEED)
    assert row["mae_difference"] == pytest.approx(found.interval.estimate)
    assert (row["mae_difference_low"], row["mae_difference_high"]) == pytest.approx(
        (found.interval.low, found.interval.high)
    )
    assert row["p_value"] == pytest.approx(found.p_value)
    now = ready.query("FROM marts.champions").to_pylist()
    assert [(one["subreddit"], one["predictor"], one["digest"]) for one in now] == [
        ("pics", "metadata_boosting", row["digest"])
    ]


def test_nothing_new_judges_nothing_and_loads_no_model(ready, models, tmp_path):
    first, _ = champion(ready, models)
    before = ready.fingerprint("models.champions")
    again, new = champion(ready, ModelStore(tmp_path / "no models here"))
    assert (again, new) == (first, False)
    assert ready.fingerprint("models.champions") == before


def test_a_champion_that_was_trained_again_is_judged_again_and_stays(ready, models, encoders):
    first, _ = champion(ready, models)
    train(ready, models, encoders, ["metadata_boosting"], seed=8)
    second, new = champion(ready, models)
    assert new
    assert (second["judgement"], second["predictor"], second["promoted"]) == (2, "metadata_boosting", False)
    assert second["digest"] != first["digest"]
    assert (second["promoted_at"], second["replaced"]) == (first["promoted_at"], None)
    assert ready.scalar("SELECT digest FROM marts.champions") == second["digest"]
    assert history(ready) == [first, second]


def test_other_rules_or_another_seed_judge_again(ready, models, monkeypatch):
    said = []
    champion(ready, models, progress=said.append)
    champion(ready, models, seed=8, progress=said.append)
    monkeypatch.setattr("redpop_assets.versions.CHAMPIONS", "another")
    row, new = champion(ready, models, seed=8, progress=said.append)
    assert new
    assert (row["judgement"], row["predictor"]) == (3, "metadata_boosting")
    assert champion(ready, models, seed=8, progress=said.append) == (row, False)
    assert said == [
        "The champion of r/pics is judged because there is none yet",
        *["The champion of r/pics is judged because the rules, the models or the seed changed"] * 2,
    ]


def test_a_champion_out_of_use_is_replaced_with_the_reason(ready, models):
    champion(ready, models)
    row, new = champion(ready, models, ["subreddit_median", "tfidf_ridge"])
    assert new
    assert row["predictor"] in ("subreddit_median", "tfidf_ridge")
    assert (row["promoted"], row["replaced"]) == (True, "metadata_boosting")
    assert "not in use any more" in row["reason"]
    assert [each["judgement"] for each in history(ready)] == [1, 2]


def test_untrained_weights_and_models_of_another_snapshot_have_no_part(ready, models):
    with ready.write() as writer:
        writer.execute("UPDATE models.predictors SET untrained_weights = TRUE WHERE predictor = 'metadata_boosting'")
        writer.execute("UPDATE models.predictors SET snapshot = 'older' WHERE predictor = 'tfidf_ridge'")
    row, _ = champion(ready, models)
    assert (row["predictor"], row["rival"]) == (MEDIAN, None)


def test_without_a_trained_predictor_there_is_no_judgement(empty_warehouse, fill, models):
    fill(empty_warehouse)
    assert champion(empty_warehouse, models) == (None, False)
    assert history(empty_warehouse) == []


# What predictors expected of posts that they had not learnt from


def test_held_out_predictions_are_those_before_any_refit(ready, models, encoders):
    train(ready, models, encoders, ["fusion_lightgbm"])
    rows = ready.query(
        "SELECT v.predictor, v.digest, v.expected_log_score, t.split, t.log_score, post_id "
        "FROM models.validation_predictions AS v JOIN models.training_set AS t USING (post_id) ORDER BY post_id"
    ).to_pylist()
    digests = {row["predictor"]: row["digest"] for row in ready.query("FROM models.predictors").to_pylist()}
    assert {row["predictor"]: row["digest"] for row in rows} == digests
    assert {row["split"] for row in rows} == {"validation"}
    _, validation = read_parts(ready, "pics", encoders)
    from redpop_assets.predictors.registry import load_predictor

    for name, learns_from_it_afterwards in (("metadata_boosting", False), ("fusion_lightgbm", True)):
        own = [row for row in rows if row["predictor"] == name]
        assert [row["post_id"] for row in own] == list(validation.post_ids)
        before = np.array([row["expected_log_score"] for row in own])
        after = load_predictor(models.folder("pics", name, digests[name])).predict(validation)
        assert np.allclose(before, after) != learns_from_it_afterwards
    fusion = [row for row in rows if row["predictor"] == "fusion_lightgbm"]
    before = np.mean([abs(row["expected_log_score"] - row["log_score"]) for row in fusion])
    assert before > np.abs(after - validation.labels).mean()  # the stored model would flatter its intervals


def test_a_model_without_held_out_predictions_is_trained_again(ready, models, encoders):
    """As in a warehouse that was filled before there were any."""
    with ready.write() as writer:
        writer.execute("DELETE FROM models.validation_predictions WHERE predictor = 'metadata_boosting'")
    again = refresh_predictor("metadata_boosting", "pics", ready, models, encoders, seed=SEED)
    assert again.trained_because == "nothing says what it expected of posts that it had not learnt from"
    assert not refresh_predictor("metadata_boosting", "pics", ready, models, encoders, seed=SEED).trained_now


def test_what_can_no_longer_be_trained_takes_them_along(ready, models, encoders):
    with ready.write() as writer:
        writer.execute("DELETE FROM models.training_set WHERE split = 'train'")
        writer.execute("UPDATE models.training_set SET snapshot = 'smaller'")
    state = refresh_predictor("metadata_boosting", "pics", ready, models, encoders, seed=SEED)
    assert state.row["status"] == "not_trained"
    left = ready.query("SELECT DISTINCT predictor FROM models.validation_predictions ORDER BY 1").column(0).to_pylist()
    assert left == ["subreddit_median", "tfidf_ridge"]
