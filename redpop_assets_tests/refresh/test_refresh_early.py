"""What follows posts, as jobs: readings by an age, training, leaderboard, forecasts that are written down, answers."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from redpop_assets.checks import checks_of, count_offences
from redpop_assets.features.early import FORECAST_AGES, FRESH
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.early.registry import AT_POSTING, CURVE
from redpop_assets.refresh.champions import refresh_champion
from redpop_assets.refresh.early_forecasts import EarlyOracle, forecast_now, make_early_forecasts
from redpop_assets.refresh.early_leaderboard import refresh_early_leaderboard
from redpop_assets.refresh.early_predictors import refresh_early_predictors
from redpop_assets.refresh.early_readings import refresh_early_readings
from redpop_assets.refresh.partition import partition_filter
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.storage import forgetting
from redpop_assets.storage.images import ImageStore
from redpop_assets.testing.early import fill_readings

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
AT_ONCE = ("subreddit_median", "metadata_boosting")
NAMES = ("early_growth", "early_loglinear", "early_boosting")
NOW = datetime(2026, 9, 1)
SETTINGS = SimpleNamespace(label_rule=LabelRule(WEEK, timedelta(0)))
"""What rules read of a deployment."""
NEWEST = "(SELECT max(created_at) FROM core.posts)"


def train(warehouse, models, encoders, told=None, **changes):
    options = {"label_hours": 168.0, "seed": 7, "names": NAMES, "progress": (told if told is not None else []).append}
    return refresh_early_predictors(warehouse, models, "pics", encoders, **{**options, **changes})


def board(warehouse, told=None):
    progress = (told if told is not None else []).append
    return refresh_early_leaderboard(warehouse, seed=7, resamples=100, progress=progress)


def forecast(warehouse, models):
    return make_early_forecasts(warehouse, models, label_age=WEEK, made_at=NOW)


def rows_of(warehouse, sql, **params):
    return warehouse.query(sql, params).to_pylist()


@pytest.fixture(scope="module")
def trained(prepared, encoders, learn_from):
    folder, warehouse, models = prepared
    with warehouse.kept():
        fill_readings(warehouse)
        learn_from(warehouse)
        for name in AT_ONCE:
            refresh_predictor(name, "pics", warehouse, models, encoders, seed=7)
        refresh_champion(warehouse, models, "pics", AT_ONCE, seed=7, progress=str)
        refresh_predictions(warehouse, models, progress=str)
        refresh_early_readings(warehouse, "pics")
        train(warehouse, models, encoders)
        board(warehouse)
        forecast(warehouse, models)
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


def test_rows_are_of_readings_by_their_age_and_are_made_once(ready):
    rows = rows_of(
        ready,
        "SELECT e.*, epoch(e.observed_at - p.created_at) / 3600 AS age FROM features.early_readings AS e "
        "JOIN core.posts AS p USING (post_id)",
    )
    assert {row["age_hours"] for row in rows} == set(FORECAST_AGES)
    assert all(FRESH * row["age_hours"] <= row["age"] <= row["age_hours"] for row in rows)
    assert all(row["reading_age_hours"] == pytest.approx(row["age"], abs=1e-4) for row in rows)
    for table in ("features.early_readings", "models.early_predictions", "marts.early_forecasts"):
        for check in checks_of(ready.schema[table]):
            where = "TRUE" if table.startswith("marts") else partition_filter(table)
            with ready.read() as reader:
                assert count_offences(reader, check, where, "pics", SETTINGS) == 0, check.name
    assert refresh_early_readings(ready, "pics").made == 0


def test_a_reading_that_comes_later_changes_rows_of_later_ages_alone(ready):
    (post,) = rows_of(ready, "SELECT post_id, created_at FROM core.posts ORDER BY created_at LIMIT 1 OFFSET 5")
    mine = "FROM features.early_readings WHERE post_id = $id ORDER BY age_hours"
    before = rows_of(ready, mine, id=post["post_id"])
    with ready.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT * REPLACE ($at AS observed_at, 9999 AS score) "
            "FROM raw.observations WHERE post_id = $id LIMIT 1",
            {"id": post["post_id"], "at": post["created_at"] + timedelta(hours=3, seconds=1)},
        )
    assert refresh_early_readings(ready, "pics").made == 2
    after = rows_of(ready, mine, id=post["post_id"])
    assert [row["age_hours"] for row in after] == [1, 3, 6, 24]
    assert before[:2] == after[:2]
    assert all(one != other for one, other in zip(before[2:], after[2:], strict=True))


def test_rows_wait_until_the_age_has_passed_and_go_with_their_readings(ready):
    newest = rows_of(ready, "SELECT post_id FROM core.posts ORDER BY created_at DESC LIMIT 1")[0]["post_id"]
    with ready.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT * REPLACE ($id AS post_id, "
            f"{NEWEST} + INTERVAL 50 MINUTE AS observed_at) FROM raw.observations LIMIT 1",
            {"id": newest},
        )
    assert refresh_early_readings(ready, "pics").made == 0  # a reading may come until an hour has passed
    with ready.write() as writer:
        writer.execute(
            f"INSERT INTO raw.observations BY NAME SELECT * REPLACE ({NEWEST} + INTERVAL 1 HOUR AS observed_at) "
            "FROM raw.observations WHERE post_id <> $id LIMIT 1",
            {"id": newest},
        )
    assert refresh_early_readings(ready, "pics").made == 1
    with ready.write() as writer:
        writer.execute("DELETE FROM raw.observations WHERE post_id = $id", {"id": newest})
    assert refresh_early_readings(ready, "pics").gone == 1


def test_training_happens_when_something_changed_that_is_learnt_from(ready, models, encoders):
    told = []
    states = train(ready, models, encoders, told)
    assert (states.trained_because, told) == (None, [])
    assert states.trained == len(states.rows) == (len(NAMES) + 1) * len(FORECAST_AGES)
    for age in FORECAST_AGES:
        rows = {row["predictor"]: row for row in states.rows if row["age_hours"] == age}
        best = min(rows, key=lambda name: rows[name]["validation_mse"])
        assert [name for name, row in rows.items() if row["speaks"]] == [best]
    with ready.write() as writer:  # of a post that nobody learns from: it has no label
        writer.execute(
            "UPDATE raw.observations SET score = score + 1 "
            "WHERE post_id NOT IN (SELECT post_id FROM models.training_set)"
        )
    refresh_early_readings(ready, "pics")
    assert train(ready, models, encoders).trained_because is None
    assert train(ready, models, encoders, names=NAMES[:1]).trained_because is not None


def test_the_leaderboard_says_what_readings_add_on_the_same_posts(ready):
    told = []
    rows = board(ready, told)
    assert told == []
    for age in FORECAST_AGES:
        own = {row["predictor"]: row for row in rows if row["age_hours"] == age}
        assert set(own) == {AT_POSTING, CURVE, *NAMES}
        assert len({row["test_posts"] for row in own.values()}) == 1
        reference = own[AT_POSTING]
        assert reference["added_spearman"] is None
        for name in (CURVE, *NAMES):
            row = own[name]
            assert row["posting_spearman"] == reference["spearman"]
            assert row["added_spearman"] == pytest.approx(row["spearman"] - reference["spearman"])
            assert row["added_spearman_low"] <= row["added_spearman"] <= row["added_spearman_high"]
    last = {row["predictor"]: row for row in rows if row["age_hours"] == 24}
    assert last["early_loglinear"]["spearman"] > 0.95
    assert last[CURVE]["spearman"] > last[AT_POSTING]["spearman"]
    assert last[CURVE]["mae"] < 0.5 * last[AT_POSTING]["mae"]


def test_the_curve_is_judged_at_every_age(ready):
    rows = rows_of(ready, "FROM models.early_coverage ORDER BY age_hours, target_hours")
    assert {(row["age_hours"], row["target_hours"]) for row in rows} >= {(1, 6), (1, 168), (24, 48), (24, 168)}
    assert all(row["target_hours"] > row["age_hours"] for row in rows)
    shares = [row["coverage_80"] for row in rows if row["coverage_80"] is not None]
    assert 0.65 < np.mean(shares) < 0.95


def test_forecasts_are_written_down_once_and_judged_when_the_post_has_matured(ready, models):
    rows = rows_of(ready, "FROM marts.early_forecasts ORDER BY post_id, age_hours")
    young = rows_of(
        ready,
        "SELECT post_id, age_hours FROM features.early_readings ANTI JOIN core.labels USING (post_id) "
        f"JOIN core.posts USING (post_id) WHERE created_at > {NEWEST} - INTERVAL 7 DAY ORDER BY ALL",
    )
    assert [(row["post_id"], row["age_hours"]) for row in rows] == [tuple(row.values()) for row in young]
    assert len(rows) > 10
    speaking = {row["age_hours"]: row for row in rows_of(ready, "FROM models.early_predictors WHERE speaks")}
    assert all(row["digest"] == speaking[row["age_hours"]]["digest"] for row in rows)
    kept = ready.fingerprint("marts.early_forecasts")
    assert forecast(ready, models) == 0
    with ready.write() as writer:
        writer.execute("UPDATE raw.observations SET score = score + 5")
    refresh_early_readings(ready, "pics")
    assert forecast(ready, models) == 0
    assert ready.fingerprint("marts.early_forecasts") == kept
    post = rows[0]["post_id"]
    with ready.write() as writer:
        writer.execute(
            "INSERT INTO core.labels SELECT * REPLACE ($id AS post_id, 3.0 AS log_score, 19 AS score) "
            "FROM core.labels LIMIT 1",
            {"id": post},
        )
    for row in rows_of(ready, "FROM marts.early_forecast_outcomes WHERE post_id = $id", id=post):
        assert row["error"] == pytest.approx(row["expected_log_score"] - 3.0)
        assert row["inside_80"] == (row["low_80"] <= 3.0 <= row["high_80"])
    scored = rows_of(ready, "SELECT sum(scored)::INT AS scored FROM marts.early_forecast_accuracy")[0]["scored"]
    assert scored == sum(row["post_id"] == post for row in rows)


def test_what_is_said_now_of_a_young_post(ready, models):
    (written,) = rows_of(
        ready, "FROM marts.early_forecasts WHERE age_hours = 24 ORDER BY read_at DESC, post_id LIMIT 1"
    )
    oracle = EarlyOracle(ready, models)
    said = oracle.of(written["post_id"])
    assert said == forecast_now(ready, models, written["post_id"])
    assert said.why_unknown is None
    assert said.at_age.age_hours == 24
    assert said.at_age.predictor == written["predictor"]
    assert said.at_age.final.expected == pytest.approx(written["expected_score"])
    assert said.at_age.final.ranges[80][0] == pytest.approx(np.expm1(written["low_80"]), abs=1e-6)
    ages = [one.age_hours for one in said.curve]
    assert ages == sorted(ages)
    assert (ages[0] > said.read_hours, ages[-1]) == (True, 168.0)
    expected = [one.expected for one in said.curve]
    assert expected == sorted(expected)
    for one in said.curve:
        low, high = one.ranges[80]
        assert low <= high
    assert 0 <= said.percentile <= 1
    assert oracle.of("nobody") is None


def test_a_post_without_readings_and_one_that_has_matured(ready, models):
    newest = rows_of(ready, "SELECT post_id FROM core.posts ORDER BY created_at DESC LIMIT 1")[0]["post_id"]
    oracle = EarlyOracle(ready, models)
    said = oracle.of(newest)
    assert (said.read_hours, said.score, said.at_age) == (None, None, None)
    assert len(said.curve) == 10  # from the forecast at posting
    with ready.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT * REPLACE ($id AS post_id, "
            f"{NEWEST} + INTERVAL 8 DAY AS observed_at) FROM raw.observations LIMIT 1",
            {"id": newest},
        )
    assert "its score is known" in oracle.of(newest).why_unknown


def test_nothing_of_a_forgotten_post_is_left(ready, tmp_path):
    post = rows_of(ready, "SELECT post_id FROM marts.early_forecasts LIMIT 1")[0]["post_id"]
    judged = rows_of(ready, "SELECT post_id FROM models.early_predictions LIMIT 1")[0]["post_id"]
    forgetting.forget(ready, ImageStore(tmp_path / "images"), {post: "missing", judged: "missing"})
    for table in ("features.early_readings", "models.early_predictions", "marts.early_forecasts"):
        assert ready.scalar(f"SELECT count(*) FROM {table} WHERE post_id IN ($a, $b)", {"a": post, "b": judged}) == 0


def test_too_few_posts_are_said_with_their_number(trained, copy_of, models, encoders):
    warehouse = copy_of(trained)
    with warehouse.write() as writer:
        writer.execute("DELETE FROM raw.observations WHERE post_id > 'pi00060'")
    refresh_early_readings(warehouse, "pics")
    states = train(warehouse, models, encoders)
    assert states.trained == 0
    assert {row["reason"] for row in states.rows if row["predictor"] == CURVE} == {
        "too few posts with early readings: 61 of 100"
    }
    assert all(row["test_posts"] == 0 for row in board(warehouse))
    assert forecast(warehouse, models) == 0
    assert "Run `redpop materialize`" in EarlyOracle(warehouse, models).of("pi00010").why_unknown
