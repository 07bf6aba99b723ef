"""What every trained predictor expects of every post, kept up to date."""

import shutil
from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.errors import ArtifactError
from redpop_assets.predictors.parts.conformal import COLUMNS, Calibration
from redpop_assets.refresh.blocks import OF_PICTURES
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
NAMES = ("subreddit_median", "metadata_boosting")


@pytest.fixture(scope="session")
def train(learn_from):
    def train(warehouse, models, encoders, subreddit="pics", names=NAMES):
        learn_from(warehouse, subreddit, networks=encoders)
        for name in names:
            assert refresh_predictor(name, subreddit, warehouse, models, encoders, seed=7).row["status"] == "trained"

    return train


@pytest.fixture(scope="module")
def trained(prepared, encoders, train):
    folder, warehouse, models = prepared
    with warehouse.kept():
        train(warehouse, models, encoders)
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


def predict_all(warehouse, models):
    said = []
    return refresh_predictions(warehouse, models, progress=said.append), said


@pytest.fixture(scope="module")
def with_predictions(trained, tmp_path_factory):
    """Folder of `trained` once every post is predicted."""
    folder = tmp_path_factory.mktemp("predicted")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    warehouse = Warehouse(folder / "home", source="test", lock_timeout=30)
    with warehouse.kept():
        predict_all(warehouse, ModelStore(folder / "models"))
    return folder


@pytest.fixture
def predicted(with_predictions, copy_of):
    return copy_of(with_predictions)


def rows_of(warehouse, sql="FROM marts.predictions ORDER BY post_id, predictor"):
    return warehouse.query(sql).to_pylist()


def test_every_post_is_predicted_by_every_trained_predictor(ready, models):
    computed, said = predict_all(ready, models)
    rows = rows_of(ready)
    assert computed == len(rows) == 2 * 240
    assert len(said) == 2
    assert {row["predictor"] for row in rows} == set(NAMES)
    split = {r["post_id"]: r["split"] for r in rows_of(ready, "FROM models.training_set")}
    assert {row["split"] for row in rows} >= {"train", "validation", "test", "embargo", "unlabelled"}
    for row in rows:
        assert row["split"] == split.get(row["post_id"], "unlabelled")
        assert row["expected_score"] == pytest.approx(
            np.sign(row["expected_log_score"]) * np.expm1(abs(row["expected_log_score"]))
        )


def test_posts_are_read_some_at_a_time(predicted, models, monkeypatch):
    expected = rows_of(predicted)
    with predicted.write() as writer:
        writer.execute("DELETE FROM marts.predictions")
    monkeypatch.setattr("redpop_assets.refresh.predictions.POSTS_AT_ONCE", 100)
    computed, said = predict_all(predicted, models)
    assert computed == 480
    assert [sentence for sentence in said if sentence.startswith("metadata_boosting")] == [
        f"metadata_boosting predicted {posts} of 240 posts of r/pics" for posts in (100, 200, 240)
    ]
    for row, one in zip(rows_of(predicted), expected, strict=True):
        assert row | {"inputs": one["inputs"]} == one
    assert predict_all(predicted, models) == (0, [])


def test_percentiles_are_shares_of_the_labels(predicted):
    labels = np.array([row["log_score"] for row in rows_of(predicted, "FROM core.labels")])
    for row in rows_of(predicted)[::17]:
        expected = row["expected_log_score"]
        share = (labels < expected).mean() + 0.5 * (labels == expected).mean()
        assert row["percentile"] == pytest.approx(share)
    median = rows_of(predicted, "FROM marts.predictions WHERE predictor = 'subreddit_median' LIMIT 1")[0]
    assert 0.3 < median["percentile"] < 0.7


def test_intervals_are_those_of_the_held_out_residuals(predicted):
    for name in NAMES:
        held_out = predicted.query(
            "SELECT expected_log_score, log_score FROM models.validation_predictions "
            "JOIN models.training_set USING (post_id) WHERE predictor = $name",
            {"name": name},
        )
        calibration = Calibration.fit(*(held_out.column(at).to_numpy() for at in range(2)))
        rows = [row for row in rows_of(predicted) if row["predictor"] == name]
        found = calibration.intervals(np.array([row["expected_log_score"] for row in rows]))
        for column in COLUMNS:
            assert [row[column] for row in rows] == found[column].tolist()
        assert all(row["low_80"] < row["low_50"] < row["high_50"] < row["high_80"] for row in rows)


def test_test_posts_are_covered_as_often_as_promised(empty, fill, encoders, models, train):
    """Within three standard errors, on posts that neither the fit nor the calibration has seen."""
    fill(empty, posts=900)
    train(empty, models, encoders)
    predict_all(empty, models)
    rows = rows_of(
        empty,
        "FROM marts.predictions AS p JOIN models.training_set AS t USING (post_id) WHERE t.split = 'test'",
    )
    for name in NAMES:
        own = [row for row in rows if row["predictor"] == name]
        assert len(own) > 150
        for level in (50, 80, 90):
            share = np.mean([row[f"low_{level}"] <= row["log_score"] <= row[f"high_{level}"] for row in own])
            # Both parts are samples: of the bounds, and of what has to be between them.
            error = np.sqrt(level / 100 * (1 - level / 100) * (1 / len(own) + 1 / 100))
            assert abs(share - level / 100) < 3 * error, (name, level, share)


def test_too_few_held_out_posts_promise_nothing(ready, models):
    with ready.write() as writer:
        writer.execute(
            "DELETE FROM models.validation_predictions WHERE post_id NOT IN "
            "(SELECT DISTINCT post_id FROM models.validation_predictions ORDER BY post_id LIMIT 10)"
        )
    predict_all(ready, models)
    for row in rows_of(ready):
        assert row["calibration_posts"] == 10
        assert (row["low_90"], row["high_90"]) == (None, None)
        assert row["low_80"] < row["low_50"] < row["high_50"] < row["high_80"]


def test_a_post_without_a_picture_says_which_blocks_it_lacks(ready, models, encoders, train):
    train(ready, models, encoders, names=("fusion_lightgbm",))
    predict_all(ready, models)
    rows = {row["post_id"]: row for row in rows_of(ready) if row["predictor"] == "fusion_lightgbm"}
    blocks = ready.scalar("SELECT blocks FROM models.predictors WHERE predictor = 'fusion_lightgbm'")
    dead = {row["post_id"] for row in rows_of(ready, "FROM core.primary_images WHERE status = 'failed'")}
    assert dead
    for post_id, row in rows.items():
        assert set(row["missing_blocks"]) == (set(blocks) & OF_PICTURES if post_id in dead else set())


def test_a_second_time_computes_nothing(predicted, models):
    before = predicted.fingerprint("marts.predictions")
    assert predict_all(predicted, models) == (0, [])
    assert predicted.fingerprint("marts.predictions") == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # The median of the subreddit does not look at captions.
        ("UPDATE features.caption_features SET words = words + 1", 240),
        ("UPDATE models.training_set SET split = 'embargo' WHERE split = 'test'", 480),
        ("UPDATE models.training_set SET log_score = log_score + 1", 480),
        ("UPDATE models.validation_predictions SET expected_log_score = 1 WHERE predictor = 'subreddit_median'", 240),
    ],
)
def test_other_inputs_are_predicted_again(predicted, models, change, expected):
    with predicted.write() as writer:
        assert writer.execute(change) > 0
    computed, _ = predict_all(predicted, models)
    assert computed == expected
    assert len({(row["predictor"], row["calibration"]) for row in rows_of(predicted)}) == 2
    assert predict_all(predicted, models)[0] == 0


def from_nothing(warehouse, models):
    with warehouse.write() as writer:
        writer.execute("DELETE FROM marts.predictions")
    predict_all(warehouse, models)
    return rows_of(warehouse)


ONE_POST = {
    "a number of its caption": "UPDATE features.caption_features SET words = words + 1 WHERE caption_sha256 = $caption",
    "its author": "UPDATE core.posts SET author = 'somebody' WHERE post_id = $post",
    "its time": "UPDATE core.posts SET created_at = created_at + INTERVAL 1 MINUTE WHERE post_id = $post",
    "a number of its author": "UPDATE features.author_features SET past_posts = 99 WHERE post_id = $post",
    "its flags are gone": "DELETE FROM features.post_flags WHERE post_id = $post",
    "a vector of its time": "UPDATE features.timestamp_features SET hour_onehot = "
    "list_transform(hour_onehot, x -> x + 1)::FLOAT[24] WHERE post_id = $post",
}


@pytest.mark.parametrize("change", ONE_POST.values(), ids=ONE_POST)
def test_a_model_is_asked_only_about_the_post_of_which_it_sees_something_new(predicted, models, change):
    caption = predicted.scalar("SELECT caption_sha256 FROM core.posts WHERE post_id = 'pi00017'")
    given = {name: value for name, value in (("post", "pi00017"), ("caption", caption)) if f"${name}" in change}
    with predicted.write() as writer:
        assert writer.execute(change, given) == 1
    having = "SELECT count(*) FROM core.posts WHERE caption_sha256 = $caption"
    posts = predicted.scalar(having, {"caption": caption}) if "caption" in given else 1
    everybody_sees = change.startswith("UPDATE core.posts")
    computed, said = predict_all(predicted, models)
    assert computed == posts * (len(NAMES) if everybody_sees else 1)
    assert said[0] == f"metadata_boosting predicted {posts} of {posts} posts of r/pics"
    after = rows_of(predicted)
    assert after == from_nothing(predicted, models)


def test_where_only_labels_changed_no_model_is_asked(predicted, models, monkeypatch):
    with predicted.write() as writer:
        writer.execute("UPDATE models.training_set SET log_score = log_score / 2 WHERE post_id < 'pi00100'")
        writer.execute("DELETE FROM models.training_set WHERE post_id < 'pi00005'")
    with monkeypatch.context() as patched:
        patched.setattr("redpop_assets.refresh.predictions.load_predictor", lambda *_: pytest.fail("asked"))
        patched.setattr("redpop_assets.refresh.predictions.read_dataset", lambda *_: pytest.fail("read"))
        patched.setattr("redpop_assets.refresh.predictions.RENEWED_AT_ONCE", 100)
        computed, said = predict_all(predicted, models)
    assert computed == 480
    assert said[2] == "metadata_boosting: 240 percentiles and intervals of r/pics renewed"
    renewed = rows_of(predicted)
    assert {row["split"] for row in renewed if row["post_id"] < "pi00005"} == {"unlabelled"}
    assert renewed == from_nothing(predicted, models)


def test_rows_of_an_older_home_are_made_anew_once(predicted, models):
    rows = rows_of(predicted)
    with predicted.write() as writer:
        writer.execute("ALTER TABLE marts.predictions DROP COLUMN calibration")
        writer.execute("UPDATE marts.predictions SET inputs = '0123456789abcdef'")
        writer.execute("UPDATE main.warehouse_state SET ddl_digest = ''")
    assert predict_all(predicted, models)[0] == 480
    assert rows_of(predicted) == rows
    assert predict_all(predicted, models)[0] == 0


def test_communities_without_news_cost_one_opening_among_them(ready, models, fill, encoders, train, monkeypatch):
    for number, subreddit in enumerate(("earthporn", "aww")):
        fill(ready, subreddit, seed=5 + number)
        train(ready, models, encoders, subreddit)
    predict_all(ready, models)
    opened = []
    connect = ready._form.connect
    monkeypatch.setattr(ready._form, "connect", lambda **given: opened.append(given) or connect(**given))
    assert predict_all(ready, models) == (0, [])
    assert opened == [{"read_only": True, "alone": False}]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_changes_the_rows_are_those_of_a_computation_from_nothing(ready, models, seed):
    random = np.random.default_rng(seed)
    changes = [
        "UPDATE features.caption_features SET words = words + 1 WHERE {}",
        "UPDATE core.posts SET author = NULL WHERE {}",
        "DELETE FROM features.author_features WHERE {}",
        "DELETE FROM core.posts WHERE {}",
        "UPDATE models.training_set SET log_score = log_score + 0.5 WHERE {}",
        "DELETE FROM models.training_set WHERE {}",
        "DELETE FROM marts.predictions WHERE {}",
        "UPDATE models.validation_predictions SET expected_log_score = expected_log_score + 0.1 WHERE {}",
        "UPDATE core.posts SET post_id = post_id || 'x' WHERE {}",
    ]
    for _ in range(3):
        predict_all(ready, models)
        with ready.write() as writer:
            for change in random.choice(changes, 3, replace=False):
                key = "caption_sha256" if "caption_features" in change else "post_id"
                writer.execute(change.format(f"hash({key} || '{random.integers(99)}') % 12 = 0"))
    predict_all(ready, models)
    found = rows_of(ready)
    assert found == from_nothing(ready, models)
    assert predict_all(ready, models) == (0, [])


def test_another_code_version_predicts_again(predicted, models, monkeypatch):
    before = rows_of(predicted)
    monkeypatch.setattr("redpop_assets.versions.PREDICTIONS", "another")
    assert predict_all(predicted, models)[0] == 480
    assert predict_all(predicted, models)[0] == 0
    for row, one in zip(rows_of(predicted), before, strict=True):
        assert row | {"inputs": one["inputs"]} == one


def test_a_new_post_is_predicted_and_a_rejected_one_leaves(predicted, models):
    with predicted.write() as writer:
        writer.execute("UPDATE core.posts SET post_id = 'new' WHERE post_id = 'pi00239'")
    predict_all(predicted, models)
    posts = {row["post_id"] for row in rows_of(predicted)}
    assert "new" in posts
    assert "pi00239" not in posts
    assert len(rows_of(predicted)) == 480


def test_a_predictor_that_is_no_longer_trained_takes_its_predictions_along(predicted, models):
    with predicted.write() as writer:
        writer.execute(
            "UPDATE models.predictors SET status = 'not_trained', digest = NULL WHERE predictor = 'metadata_boosting'"
        )
    assert predict_all(predicted, models)[0] == 0
    assert {row["predictor"] for row in rows_of(predicted)} == {"subreddit_median"}


def test_communities_do_not_mix(predicted, models, fill, encoders, train):
    before = rows_of(predicted)
    fill(predicted, "earthporn", seed=5)
    train(predicted, models, encoders, "earthporn")
    assert predict_all(predicted, models)[0] == 480
    assert rows_of(predicted, "FROM marts.predictions WHERE subreddit = 'pics' ORDER BY post_id, predictor") == before


def test_a_lost_model_is_an_error_that_names_it(ready, models):
    shutil.rmtree(models.place.root / "pics" / "metadata_boosting")
    with pytest.raises(ArtifactError, match="train metadata_boosting again"):
        predict_all(ready, models)


def test_without_predictors_there_is_nothing_to_do(empty_warehouse, fill, models):
    fill(empty_warehouse)
    assert predict_all(empty_warehouse, models) == (0, [])
