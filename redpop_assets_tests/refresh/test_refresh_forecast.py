"""Applying trained predictors: to every post, and to a post that is not made yet."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.predictors.parts.conformal import COLUMNS, Calibration
from redpop_assets.refresh.blocks import OF_PICTURES, Encoders, is_of_caption, is_of_picture
from redpop_assets.refresh.champions import refresh_champion
from redpop_assets.refresh.forecast import forecast, refresh_predictions
from redpop_assets.refresh.leaderboard import refresh_comparison
from redpop_assets.refresh.new_post import NewPost
from redpop_assets.refresh.training import build_training_set, refresh_predictor
from redpop_assets.storage.models import ModelStore

WEEK = timedelta(days=7)
NAMES = ("subreddit_median", "metadata_boosting")

HOW_IT_RUNS = ("backend", "precision", "batch_size", "items_per_second", "min_cosine")
"""Columns of features.encoders that are empty where nothing was measured."""


def train(warehouse, models, encoders, subreddit="pics", names=NAMES):
    built = build_training_set(
        warehouse, subreddit, encoders, label_age=WEEK, test_share=0.2, validation_share=0.15, most=1000
    )
    with warehouse.write() as writer:
        writer.replace("models.training_set", built.rows, "subreddit = $s", {"s": subreddit})
    for name in names:
        assert refresh_predictor(name, subreddit, warehouse, models, encoders, seed=7).row["status"] == "trained"


@pytest.fixture
def models(tmp_path):
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="module")
def trained(prepared, encoders):
    folder, warehouse, models = prepared
    train(warehouse, models, encoders)
    return folder


@pytest.fixture
def ready(trained, copy_of):
    return copy_of(trained)


def predict_all(warehouse, models):
    said = []
    return refresh_predictions(warehouse, models, progress=said.append), said


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


def test_posts_are_read_some_at_a_time(ready, models, monkeypatch):
    predict_all(ready, models)
    expected = rows_of(ready)
    with ready.write() as writer:
        writer.execute("DELETE FROM marts.predictions")
    monkeypatch.setattr("redpop_assets.refresh.forecast.POSTS_AT_ONCE", 100)
    computed, said = predict_all(ready, models)
    assert computed == 480
    assert [sentence for sentence in said if sentence.startswith("metadata_boosting")] == [
        f"metadata_boosting predicted {posts} of 240 posts of r/pics" for posts in (100, 200, 240)
    ]
    for row, one in zip(rows_of(ready), expected, strict=True):
        assert row | {"inputs": one["inputs"]} == one
    assert predict_all(ready, models) == (0, [])


def test_percentiles_are_shares_of_the_labels(ready, models):
    predict_all(ready, models)
    labels = np.array([row["log_score"] for row in rows_of(ready, "FROM core.labels")])
    for row in rows_of(ready)[::17]:
        expected = row["expected_log_score"]
        share = (labels < expected).mean() + 0.5 * (labels == expected).mean()
        assert row["percentile"] == pytest.approx(share)
    median = rows_of(ready, "FROM marts.predictions WHERE predictor = 'subreddit_median' LIMIT 1")[0]
    assert 0.3 < median["percentile"] < 0.7


def test_intervals_are_those_of_the_held_out_residuals(ready, models):
    predict_all(ready, models)
    for name in NAMES:
        held_out = ready.query(
            "SELECT expected_log_score, log_score FROM models.validation_predictions "
            "JOIN models.training_set USING (post_id) WHERE predictor = $name",
            {"name": name},
        )
        calibration = Calibration.fit(*(held_out.column(at).to_numpy() for at in range(2)))
        rows = [row for row in rows_of(ready) if row["predictor"] == name]
        found = calibration.intervals(np.array([row["expected_log_score"] for row in rows]))
        for column in COLUMNS:
            assert [row[column] for row in rows] == found[column].tolist()
        assert all(row["low_80"] < row["low_50"] < row["high_50"] < row["high_80"] for row in rows)


def test_test_posts_are_covered_as_often_as_promised(empty_warehouse, fill, encoders, models):
    """Within three standard errors, on posts that neither the fit nor the calibration has seen."""
    fill(empty_warehouse, posts=900)
    train(empty_warehouse, models, encoders)
    predict_all(empty_warehouse, models)
    rows = rows_of(
        empty_warehouse,
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


def test_a_post_without_a_picture_says_which_blocks_it_lacks(ready, models, encoders):
    train(ready, models, encoders, names=("fusion_lightgbm",))
    predict_all(ready, models)
    rows = {row["post_id"]: row for row in rows_of(ready) if row["predictor"] == "fusion_lightgbm"}
    blocks = ready.scalar("SELECT blocks FROM models.predictors WHERE predictor = 'fusion_lightgbm'")
    dead = {row["post_id"] for row in rows_of(ready, "FROM core.primary_images WHERE status = 'failed'")}
    assert dead
    for post_id, row in rows.items():
        assert set(row["missing_blocks"]) == (set(blocks) & OF_PICTURES if post_id in dead else set())


def test_a_second_time_computes_nothing(ready, models):
    predict_all(ready, models)
    before = ready.fingerprint("marts.predictions")
    assert predict_all(ready, models) == (0, [])
    assert ready.fingerprint("marts.predictions") == before


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
def test_other_inputs_are_predicted_again(ready, models, change, expected):
    predict_all(ready, models)
    with ready.write() as writer:
        assert writer.execute(change) > 0
    computed, _ = predict_all(ready, models)
    assert computed == expected
    assert len({(row["predictor"], row["inputs"]) for row in rows_of(ready)}) == 2
    assert predict_all(ready, models)[0] == 0


def test_a_new_post_is_predicted_and_a_rejected_one_leaves(ready, models):
    predict_all(ready, models)
    with ready.write() as writer:
        writer.execute("UPDATE core.posts SET post_id = 'new' WHERE post_id = 'pi00239'")
    predict_all(ready, models)
    posts = {row["post_id"] for row in rows_of(ready)}
    assert "new" in posts
    assert "pi00239" not in posts
    assert len(rows_of(ready)) == 480


def test_a_predictor_that_is_no_longer_trained_takes_its_predictions_along(ready, models):
    predict_all(ready, models)
    with ready.write() as writer:
        writer.execute(
            "UPDATE models.predictors SET status = 'not_trained', digest = NULL WHERE predictor = 'metadata_boosting'"
        )
    assert predict_all(ready, models)[0] == 0
    assert {row["predictor"] for row in rows_of(ready)} == {"subreddit_median"}


def test_communities_do_not_mix(ready, models, fill, encoders):
    predict_all(ready, models)
    before = rows_of(ready)
    fill(ready, "earthporn", seed=5)
    train(ready, models, encoders, "earthporn")
    assert predict_all(ready, models)[0] == 480
    assert rows_of(ready, "FROM marts.predictions WHERE subreddit = 'pics' ORDER BY post_id, predictor") == before


def test_a_lost_model_is_an_error_that_names_it(ready, models):
    import shutil

    shutil.rmtree(models.root / "pics" / "metadata_boosting")
    with pytest.raises(ArtifactError, match="train metadata_boosting again"):
        predict_all(ready, models)


def test_without_predictors_there_is_nothing_to_do(empty_warehouse, fill, models):
    fill(empty_warehouse)
    assert predict_all(empty_warehouse, models) == (0, [])


# One post that is not made yet


def nobody():
    """No judge of pictures."""
    return Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get)


def new_post(
    warehouse,
    subreddit="pics",
    caption="A fine caption",
    image=None,
    author=None,
    at=datetime(2026, 6, 1, 18, tzinfo=UTC),
):
    options = {"posted_at": at, "author": author, "label_age": WEEK, "device": "cpu", "judges": nobody()}
    return NewPost(warehouse, subreddit, caption, image, **options)


def ask(warehouse, models, *place, **post):
    return {one.predictor: one for one in forecast(warehouse, models, new_post(warehouse, *place, **post))}


def test_a_forecast_of_each_predictor(ready, models):
    found = ask(ready, models)
    assert set(found) == set(NAMES)
    for one in found.values():
        assert np.isfinite(one.expected_log_score)
        assert one.expected_score == pytest.approx(
            np.sign(one.expected_log_score) * np.expm1(abs(one.expected_log_score))
        )
        assert 0 <= one.percentile <= 1
        assert one.used_image is False
        assert one.test_spearman is one.test_mae is one.champion_since is None  # nothing was compared yet
        for level, (low, high) in one.intervals.items():
            assert low < one.expected_score < high, level
        assert one.intervals[90][0] < one.intervals[80][0] < one.intervals[50][0]
    assert found["metadata_boosting"].used_caption
    assert not found["subreddit_median"].used_caption
    stored = rows_of(ready, "FROM models.training_set WHERE split = 'train'")
    assert found["subreddit_median"].expected_log_score == pytest.approx(np.median([r["log_score"] for r in stored]))


@pytest.mark.parametrize(
    ("block", "column", "of_picture", "of_caption"),
    [
        ("image", "embedding_0001", True, False),
        ("caption", "embedding_0001", False, True),
        ("agreement", "agreement", True, True),
        ("seen", "times_here", True, False),
        ("novelty", "max_similarity", False, True),
        ("neighbours", "image_neighbours", True, False),
        ("neighbours", "caption_neighbours", False, True),
        ("environment", "image_mean_0001", False, False),  # of other posts
        ("time", "hour_sin", False, False),
    ],
)
def test_what_follows_from_picture_and_caption(block, column, of_picture, of_caption):
    assert (is_of_picture(block, column), is_of_caption(block, column)) == (of_picture, of_caption)


def test_the_skill_is_that_of_the_leaderboard(ready, models):
    predict_all(ready, models)
    board = {row["predictor"]: row["spearman"] for row in refresh_comparison(ready, seed=7).rows}
    found = ask(ready, models)
    assert {name: one.test_spearman for name, one in found.items()} == board
    assert board["metadata_boosting"] > 0.3


def test_the_champion_comes_first_and_the_others_as_they_rank(ready, models):
    predict_all(ready, models)
    refresh_comparison(ready, seed=7)
    names = [one.predictor for one in forecast(ready, models, new_post(ready))]
    assert names == ["metadata_boosting", "subreddit_median"]  # who orders nothing is last
    row, _ = refresh_champion(ready, models, "pics", ["subreddit_median"], seed=7)
    found = forecast(ready, models, new_post(ready))
    assert [one.predictor for one in found] == names[::-1]
    assert [one.champion_since for one in found] == [row["promoted_at"], None]
    board = {row["predictor"]: row["mae"] for row in rows_of(ready, "FROM marts.leaderboard")}
    assert {one.predictor: one.test_mae for one in found} == board


def test_a_forecast_has_the_interval_of_equal_expectations(ready, models):
    predict_all(ready, models)
    one = ask(ready, models)["subreddit_median"]
    row = rows_of(ready, "FROM marts.predictions WHERE predictor = 'subreddit_median' LIMIT 1")[0]
    for level in (50, 80, 90):
        ends = np.array([row[f"low_{level}"], row[f"high_{level}"]])
        assert one.intervals[level] == pytest.approx(tuple(np.sign(ends) * np.expm1(abs(ends))))
    with ready.write() as writer:
        writer.execute("DELETE FROM models.validation_predictions")
    assert set(ask(ready, models)["subreddit_median"].intervals.values()) == {None}


def test_the_caption_counts(ready, models):
    # In this community only the number of words decides, and none has more than four of its standardised ones.
    assert ask(ready, models, caption="word " * 60)["metadata_boosting"].percentile > 0.8


def test_an_unknown_community_is_told_which_are_known(ready, models):
    with pytest.raises(NotTrainable, match=r"r/aww.*pics"):
        ask(ready, models, "aww")


def test_the_past_of_a_known_author_counts_and_only_what_was_mature(ready):
    """Author features of a forecast are those that the graph computes for a post of that moment."""
    from redpop_assets.features.authors import Activity, author_features
    from redpop_assets.storage.history import History

    at = datetime(2026, 3, 1, 18, tzinfo=UTC)
    made = new_post(ready, caption="A caption", author="author5", at=at).block("author", Encoders("", ""))
    everybody = History.read(ready, None, WEEK)
    here = everybody.only("pics")
    moment = np.datetime64(at.replace(tzinfo=None), "s")
    earlier = [row for row, created in enumerate(here.created_at) if created < moment]
    created = np.append(here.created_at[earlier], moment)
    expected = author_features(
        [*(here.post_ids[row] for row in earlier), "new"],
        [*(here.authors[row] for row in earlier), "author5"],
        created,
        created + np.timedelta64(7, "D"),
        np.append(here.log_score[earlier], np.nan),
        captions=[*(here.captions[row] for row in earlier), "A caption"],
        activity=Activity(everybody.authors, everybody.subreddits, everybody.created_at),
    )
    values = dict(zip(made.columns, made.values[0], strict=True))
    assert values["past_posts"] > 0
    assert values["past_mature_posts"] > 0
    for name, column in expected.items():
        assert values[name] == pytest.approx(column[-1]), name
    stranger = new_post(ready, caption="A caption", at=at).block("author", Encoders("", ""))
    assert stranger.values[0][stranger.columns.index("past_posts")] == 0


@pytest.fixture(scope="module")
def seen():
    """The encoders that packages carry, by their names."""
    return Encoders("timm:tf_efficientnet_lite0/bundled", "sentence_transformers:all-MiniLM-L6-v2/bundled")


def test_picture_and_caption_are_embedded_as_in_the_graph(seen, ready):
    """A post that is in the warehouse already gets, as a forecast, the vectors that stand there."""
    from redpop_assets.encoders.load import load_image_encoder, load_text_encoder

    picture = Image.radial_gradient("L").convert("RGB").resize((300, 200))
    post = new_post(ready, caption="A caption", image=picture)
    image, caption = (post.block(name, seen) for name in ("image", "caption"))
    assert np.array_equal(image.values, load_image_encoder(seen.image, device="cpu").encode([picture]))
    assert np.array_equal(caption.values, load_text_encoder(seen.caption, device="cpu").encode(["A caption"]))
    assert new_post(ready).block("image", seen) is None


def test_a_predictor_of_pictures_answers_with_and_without_one(empty_warehouse, fill, models, seen):
    """Vectors of the real width stand in the tables, so that those of the forecast fit them."""
    from redpop_assets.storage.arrow import arrow_table

    fill(empty_warehouse)
    rng = np.random.default_rng(0)
    for table, key, encoder, modality, width in (
        ("features.image_embeddings", "image_sha256", seen.image, "image", 1280),
        ("features.caption_embeddings", "caption_sha256", seen.caption, "caption", 384),
    ):
        keys = empty_warehouse.query(f"SELECT {key}, code_version FROM {table}").to_pydict()
        n = len(keys[key])
        vectors = rng.normal(size=(n, width)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with empty_warehouse.write() as writer:
            writer.execute(f"DELETE FROM {table}")
            writer.execute("DELETE FROM features.encoders WHERE modality = $modality", {"modality": modality})
            writer.append(table, arrow_table({**keys, "encoder": [encoder] * n, "embedding": vectors}))
            writer.append(
                "features.encoders",
                arrow_table(
                    {
                        "encoder": [encoder],
                        "modality": [modality],
                        "dimension": [width],
                        "provenance": ["bundled"],
                        "weights_sha256": [hashlib.sha256().hexdigest()],
                        "library": ["none"],
                        "first_used_at": [datetime(2026, 1, 1)],
                        **{how: [None] for how in HOW_IT_RUNS},
                    }
                ),
            )
    train(empty_warehouse, models, seen, names=("fusion_lightgbm",))
    picture = Image.radial_gradient("L").convert("RGB").resize((300, 200))
    without = ask(empty_warehouse, models)["fusion_lightgbm"]
    with_picture = ask(empty_warehouse, models, image=picture)["fusion_lightgbm"]
    assert with_picture.used_image
    assert not without.used_image
    assert np.isfinite([with_picture.expected_log_score, without.expected_log_score]).all()
    assert with_picture.expected_log_score != without.expected_log_score
