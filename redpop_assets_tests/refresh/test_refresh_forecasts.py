"""Forecasts that are written down: once, of young posts, by the champion; scored when they matured; forgotten."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from redpop_assets.predictors.parts.conformal import COLUMNS
from redpop_assets.refresh.champions import refresh_champion
from redpop_assets.refresh.forecasts import make_forecasts
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.storage import forgetting
from redpop_assets.storage.images import ImageStore

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
NAMES = ("subreddit_median", "metadata_boosting")
NOW, LATER = datetime(2026, 9, 1), datetime(2026, 9, 2)


@pytest.fixture(scope="module")
def trained(prepared, encoders, learn_from):
    folder, warehouse, models = prepared
    with warehouse.kept():
        learn_from(warehouse)
        refresh(warehouse, models, encoders)
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


def refresh(warehouse, models, encoders, seed=7, names=NAMES):
    for name in names:
        refresh_predictor(name, "pics", warehouse, models, encoders, seed=seed)
    refresh_predictions(warehouse, models, progress=str)
    return refresh_champion(warehouse, models, "pics", names, seed=seed, progress=str)[0]


def make(warehouse, at=NOW, label_age=WEEK):
    return make_forecasts(warehouse, label_age=label_age, made_at=at)


def rows_of(warehouse, sql="FROM marts.forecasts ORDER BY post_id", **params):
    return warehouse.query(sql, params).to_pylist()


def young(warehouse):
    return [
        r["post_id"] for r in rows_of(warehouse, "FROM core.posts ANTI JOIN core.labels USING (post_id) ORDER BY 1")
    ]


def test_every_young_post_is_forecast_by_the_champion(ready):
    posts = young(ready)
    assert make(ready) == len(posts) > 5
    rows = rows_of(ready)
    assert [row["post_id"] for row in rows] == posts
    (champion,) = rows_of(ready, "FROM marts.champions")
    assert champion["predictor"] == "metadata_boosting"
    newest = ready.scalar("SELECT max(created_at) FROM core.posts")
    median = ready.scalar("SELECT median(log_score) FROM models.training_set WHERE split = 'train'")
    for row in rows:
        assert (row["predictor"], row["digest"]) == (champion["predictor"], champion["digest"])
        assert (row["made_at"], row["as_of"]) == (NOW, newest)
        (post,) = rows_of(ready, "FROM core.posts WHERE post_id = $id", id=row["post_id"])
        assert row["age_hours"] == pytest.approx((newest - post["created_at"]) / timedelta(hours=1))
        assert row["age_hours"] < 7 * 24
        assert row["median_log_score"] == median
        (said,) = rows_of(
            ready,
            "FROM marts.predictions WHERE post_id = $id AND predictor = $predictor",
            id=row["post_id"],
            predictor=champion["predictor"],
        )
        for name in ("expected_log_score", "expected_score", "percentile", *COLUMNS[:-1], "missing_blocks"):
            assert row[name] == said[name], name
        assert row["low_80"] < row["high_80"]


def test_nothing_is_made_twice_and_nothing_is_changed(ready, models, encoders):
    make(ready)
    before = ready.fingerprint("marts.forecasts")
    assert make(ready, LATER) == 0
    with ready.write() as writer:  # another model, which expects something else
        writer.execute("UPDATE features.caption_features SET words = words + 1")
        writer.execute("UPDATE models.training_set SET snapshot = 'another'")
    first = rows_of(ready, "FROM marts.champions")
    refresh(ready, models, encoders, seed=8)
    second = rows_of(ready, "FROM marts.champions")
    assert second[0]["digest"] != first[0]["digest"]
    assert make(ready, LATER) == 0
    assert ready.fingerprint("marts.forecasts") == before


def test_a_new_post_is_added_to_the_others(ready, models):
    made = make(ready)
    with ready.write() as writer:
        writer.execute(
            "INSERT INTO core.posts SELECT * REPLACE ('new' AS post_id, created_at + INTERVAL 1 HOUR AS created_at) "
            "FROM core.posts ORDER BY created_at DESC LIMIT 1"
        )
        for table in (
            *("timestamp_features", "author_features", "post_flags"),
            *("community_features", "seen_before", "caption_novelty"),
        ):
            writer.execute(
                f"INSERT INTO features.{table} SELECT * REPLACE ('new' AS post_id) FROM features.{table} "
                "WHERE post_id = (SELECT max(post_id) FROM core.posts WHERE post_id <> 'new')"
            )
    refresh_predictions(ready, models, progress=str)
    lacks = ready.scalar(
        "SELECT missing_blocks FROM marts.predictions WHERE post_id = 'new' AND predictor = 'metadata_boosting'"
    )
    assert lacks == []
    assert make(ready, LATER) == 1
    (row,) = rows_of(ready, "FROM marts.forecasts WHERE made_at = $at", at=LATER)
    assert (row["post_id"], row["age_hours"]) == ("new", 0.0)
    assert len(rows_of(ready)) == made + 1


def test_a_post_waits_a_day_for_its_features_and_not_for_ever(ready, models):
    """The clock is that of the newest reading, whatever this machine says."""
    with ready.write() as writer:
        writer.execute("DELETE FROM features.timestamp_features WHERE post_id = (SELECT max(post_id) FROM core.posts)")
    refresh_predictions(ready, models, progress=str)
    newest = max(young(ready))
    make(ready)
    assert newest not in {row["post_id"] for row in rows_of(ready)}
    with ready.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT post_id, subreddit, 'info' AS endpoint, "
            "created_at + INTERVAL 25 HOUR AS observed_at FROM core.posts WHERE post_id = $id",
            {"id": newest},
        )
    assert make(ready, LATER) == 1
    (row,) = rows_of(ready, "FROM marts.forecasts WHERE post_id = $id", id=newest)
    assert row["missing_blocks"] == ["time"]
    assert row["age_hours"] == 25


def test_a_post_that_is_old_enough_for_a_label_is_not_forecast(ready):
    """It was lost sight of; whatever is said of it now would be no forecast."""
    limit = timedelta(days=3)
    made = make(ready, label_age=limit)
    assert 0 < made < len(young(ready))
    assert max(row["age_hours"] for row in rows_of(ready)) < 72


def test_without_a_champion_there_are_no_forecasts(ready):
    with ready.write() as writer:
        writer.execute("UPDATE models.predictors SET status = 'not_trained'")
    assert make(ready) == 0


def mature(warehouse, posts, log_scores):
    with warehouse.write() as writer:
        for post_id, log_score in zip(posts, log_scores, strict=True):
            writer.execute(
                "INSERT INTO core.labels BY NAME SELECT l.* REPLACE ($id AS post_id, $log AS log_score, "
                "round(exp($log) - 1)::INTEGER AS score) FROM core.labels AS l LIMIT 1",
                {"id": post_id, "log": float(log_score)},
            )


def test_forecasts_are_scored_when_their_posts_have_matured(ready):
    make(ready)
    forecasts = rows_of(ready)
    scored = forecasts[:-2]
    rng = np.random.default_rng(0)
    truth = np.array([row["expected_log_score"] for row in scored]) + 0.5 * rng.normal(size=len(scored))
    mature(ready, [row["post_id"] for row in scored], truth)
    assert make(ready, LATER) == 0
    outcomes = {row["post_id"]: row for row in rows_of(ready, "FROM marts.forecast_outcomes")}
    assert len(outcomes) == len(forecasts)
    for row, log_score in zip(scored, truth, strict=True):
        outcome = outcomes[row["post_id"]]
        assert outcome["error"] == pytest.approx(row["expected_log_score"] - log_score)
        for level in (50, 80, 90):
            assert outcome[f"inside_{level}"] == (row[f"low_{level}"] <= log_score <= row[f"high_{level}"])
    for row in forecasts[-2:]:
        assert [outcomes[row["post_id"]][name] for name in ("score", "error", "inside_80")] == [None] * 3
    accuracy = rows_of(ready, "FROM marts.forecast_accuracy")
    assert sum(row["forecasts"] for row in accuracy) == len(forecasts)
    assert sum(row["scored"] for row in accuracy) == len(scored)
    assert {(row["subreddit"], row["predictor"]) for row in accuracy} == {("pics", "metadata_boosting")}


def test_forecasts_of_forgotten_posts_are_erased(ready, tmp_path):
    make(ready)
    gone, *others = young(ready)
    assert ready.scalar("SELECT count(*) FROM models.validation_predictions WHERE post_id = $id", {"id": gone}) == 0
    held_out = ready.scalar("SELECT min(post_id) FROM models.validation_predictions")
    done = forgetting.forget(ready, ImageStore(tmp_path / "images"), {gone: "by_request", held_out: "by_request"})
    assert (done.rows["marts.forecasts"], done.rows["models.validation_predictions"]) == (1, len(NAMES))
    assert [row["post_id"] for row in rows_of(ready)] == others
    assert ready.scalar(forgetting.trace_query(ready.schema)) == 0
    ready.append("marts.forecasts", ready.query(f"SELECT * REPLACE ('{gone}' AS post_id) FROM marts.forecasts LIMIT 1"))
    assert ready.scalar(forgetting.trace_query(ready.schema)) == 1
