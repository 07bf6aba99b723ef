"""Every system there is, as an asset, on the posts of the sandbox; and a deployment that names only some."""

import pytest

from redpop_assets.predictors.registry import predictor_class, predictor_names

pytestmark = pytest.mark.end_to_end

COMPARISON = 'group:models or key:"marts/predictions" or key:"marts/leaderboard"'


@pytest.fixture(scope="module")
def everyone(pipeline, tmp_path_factory):
    """(deployment, run) of a copy on which all systems learn in one community."""
    deployment = pipeline.deployment.copy(tmp_path_factory.mktemp("everyone") / "home").using(REDPOP_PREDICTORS="")
    return deployment, deployment.run("pics", COMPARISON)


def test_all_systems_are_trained_or_say_what_they_lack(everyone):
    deployment, run = everyone
    assert run.success
    assert {key for key in run.metadata if key.startswith("models/")} == {
        *("models/training_set", "models/training_columns", "models/champions"),
        *("models/removal_predictors", "models/removal_posts"),
        *("models/early_predictors", "models/early_predictions", "models/early_coverage"),
        *(f"models/{name}" for name in predictor_names()),
    }
    found = {row["predictor"]: row for row in deployment.rows("FROM models.predictors WHERE subreddit = 'pics'")}
    assert set(found) == set(predictor_names())
    without = {name for name, row in found.items() if row["status"] != "trained"}
    # A stack learns from members trained on the earlier part of so few posts, and the other community lends no more.
    assert without == {"pooled_fusion", "stack"}
    assert "others lend too little" in found["pooled_fusion"]["reason"]
    assert "no member could be trained" in found["stack"]["reason"]
    for name in set(found) - without:
        assert set(found[name]["blocks"]) <= predictor_class(name).uses
        assert predictor_class(name).requires <= set(found[name]["blocks"])


def test_all_systems_are_compared_on_the_same_posts(everyone):
    deployment, _ = everyone
    rows = deployment.rows("FROM marts.leaderboard WHERE subreddit = 'pics'")
    assert {row["predictor"] for row in rows} == set(predictor_names())
    trained = [row for row in rows if row["status"] == "trained"]
    assert len({(row["test_posts"], row["snapshot"]) for row in trained}) == 1
    assert all(row["mae"] > 0 for row in trained)
    predicted = deployment.rows(
        "SELECT predictor, count(*) AS n FROM marts.predictions WHERE subreddit = 'pics' GROUP BY ALL"
    )
    posts = deployment.scalar("SELECT count(*) FROM core.posts WHERE subreddit = 'pics'")
    assert {row["predictor"]: row["n"] for row in predicted} == {row["predictor"]: posts for row in trained}


def test_what_the_settings_name_no_longer_leaves_the_comparison(everyone, tmp_path):
    few = everyone[0].copy(tmp_path / "home").using(REDPOP_PREDICTORS="subreddit_median,tfidf_ridge")
    run = few.run("pics", COMPARISON)
    assert run.success
    assert run.metadata["models/tfidf_ridge"]["trained_now"] is False
    for table in ("models.predictors", "marts.leaderboard", "marts.predictions"):
        found = few.rows(f"SELECT DISTINCT predictor FROM {table} WHERE subreddit = 'pics'")
        assert {row["predictor"] for row in found} == {"subreddit_median", "tfidf_ridge"}, table
