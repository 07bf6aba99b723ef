"""The whole graph on the sandbox: a first run, a run with nothing new, and one eight days later."""

import re
import shutil
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.checks import LOOKS_AS_BEFORE
from redpop_assets.cli.app import app
from redpop_assets.features.registry import COMPARED, FAMILIES
from redpop_assets.partitions import TOGETHER
from redpop_assets.removals import DELETIONS
from redpop_assets.storage.schema import load_schema
from redpop_assets.testing.deployments import PREDICTORS
from redpop_assets_tests.fixtures.deployments import NOT_IN_PIPELINE

pytestmark = pytest.mark.end_to_end

SUBREDDITS = ("pics", "earthporn")
TABLES = [name for name, table in load_schema().items() if not table.is_view]

# Nothing was imported, forgotten, found to be a placeholder, or wrong in an archive; nothing was read young enough for
# it to be known what became of it.
WITHOUT_REASON_TO_HAVE_ANY = {
    "core.anomalies",
    "raw.imports",
    "raw.tombstones",
    "core.placeholder_images",
    "models.removal_posts",
    "marts.removal_calibration",
    *("features.early_readings", "models.early_predictions", "models.early_coverage", "marts.early_forecasts"),
}
OPTIONAL = {family.table for family in FAMILIES if family.name in NOT_IN_PIPELINE}
# Nobody asked.
WITHOUT_REASON_TO_HAVE_ANY |= {"marts.split_comparison", *(analysis.table for analysis in ANALYSES.values()), *OPTIONAL}

PREDICTOR = {"status", "reason", "blocks", "notes", "train_rows", "train_seconds", "snapshot"} | {
    "trained_now",
    "trained_because",
    "borrowed_from",
    "borrowed_posts",
}
COUNTS = {"dagster/row_count", "dagster/partition_row_count"}
TOOK = {"rows_computed", "compute_seconds", "rows_per_second"}
ENCODED = {"encoders", "device_seconds", "unreadable", "ways"}
METADATA = {
    "raw/submissions": COUNTS
    | {"new_posts", "forgotten_posts_dropped", "api_requests", "api_requests_remaining", "left_over"},
    "raw/sightings": COUNTS | {"new_sightings"},
    "raw/observations": COUNTS | {"new_observations", "scores_due_read", "scores_left_over"},
    "raw/presence": COUNTS | {"posts_checked", "posts_missing", "checks_left_over"},
    "raw/listing_reads": COUNTS | {"listings_read", "listings_left_over", "gaps", "readings"},
    "raw/imports": COUNTS,
    "raw/communities": COUNTS | {"new_answers"},
    "raw/community_sizes": COUNTS | {"new_days"},
    "raw/tombstones": {"dagster/row_count", "posts_forgotten", "files_removed", "posts_anonymised"},
    "core/posts": COUNTS | {"rows_computed"},
    "core/rejected_posts": COUNTS | {"reasons"},
    "core/image_fetches": COUNTS | {"urls_fetched", "urls_rechecked", "urls_reused", "urls_gone", "urls_without_image"},
    "core/images": COUNTS | {"images_stored", "placeholders_learnt"},
    "core/duplicates": COUNTS - {"dagster/partition_row_count"} | {"rows_changed", "posts_with_duplicates"},
    "core/labels": COUNTS | {"rows_changed", "posts_below_label_age", "label_age_days"},
    "core/anomalies": COUNTS | {"rows_changed", "doubtful_labels", "periods"},
    "features/image_embeddings": COUNTS | TOOK | ENCODED,
    "features/caption_embeddings": COUNTS | TOOK | ENCODED,
    **{f"features/image_{what}": COUNTS for what in ("classes", "grids")},
    **{f"features/image_{what}": COUNTS | TOOK for what in ("features", "visual", "scores")},
    **{f"features/image_{what}": COUNTS | TOOK | {"encoder"} for what in ("objects", "concepts")},
    "features/caption_image_agreement": COUNTS | TOOK | {"encoder"},
    **{f"features/caption_{what}": COUNTS | TOOK for what in ("features", "tokens")},
    **{f"features/caption_{what}": COUNTS | TOOK | {"model"} for what in ("entities", "emotions")},
    "features/timestamp_features": COUNTS | TOOK,
    **{
        f"features/{table}": COUNTS | {"rows_changed"}
        for table in ("author_features", "community_features", "caption_novelty", "seen_before", "post_flags")
    },
    **{
        f"features/{table}": COUNTS | {"rows_changed", "image_encoder", "caption_encoder"}
        for table in ("neighbours", "environments", "retrieved")
    },
    "features/title_past": COUNTS | {"rows_changed", "caption_encoder"},
    "models/training_set": COUNTS
    | {"snapshot", *(f"{part}_posts" for part in ("train", "validation", "test", "embargo", "seen_before"))}
    | {"left_out_as_first_readings", "labels_differ_in", "labels"},
    "models/training_columns": COUNTS,
    **{f"models/{name}": PREDICTOR for name in PREDICTORS},
    "models/champions": COUNTS | {"champion", "reason", "judged_now", "history"},
    "models/removal_predictors": COUNTS
    | {"status", "reason", "posts", "removed", "seen_late", "not_read_in_time", "test_posts", "test_removed"}
    | {"trained_now", "trained_because"},
    "models/removal_posts": COUNTS,
    "features/early_readings": COUNTS | {"rows_made", "rows_gone"},
    "models/early_predictors": COUNTS | {"trained", "not_trained", "reasons", "trained_because"},
    "models/early_predictions": COUNTS,
    "models/early_coverage": COUNTS,
    "marts/early_leaderboard": {"dagster/row_count", "table"},
    "marts/early_forecasts": {"dagster/row_count", "forecasts_made", "forecasts_scored"},
    "marts/removal_metrics": {"dagster/row_count", "table"},
    "marts/removal_calibration": {"dagster/row_count"},
    "marts/predictions": {"dagster/row_count", "rows_computed"},
    "marts/forecasts": {"dagster/row_count", "forecasts_made", "forecasts_scored", "accuracy"},
    "marts/leaderboard": {"dagster/row_count", "best_spearman", "table"},
    "marts/metrics": {"dagster/row_count", "communities_measured"},
    "marts/comparisons": {"dagster/row_count", "significant_differences"},
    "marts/feature_catalogue": {"dagster/row_count", "communities_measured", "suspicious_features", "table"},
    "marts/published_warehouse": {"path", "bytes", "changed", "models_pruned"},
}
"""What the UI plots over time: a key that changes its name loses its history."""


@pytest.fixture(scope="module")
def first(pipeline):
    return pipeline.deployment


def test_both_runs_succeed_and_every_check_passes(pipeline):
    for name in SUBREDDITS:
        run = pipeline.runs[name]
        assert run.success
        assert run.failed_checks == set()
        assert len(run.checks) >= len(TABLES) - len(OPTIONAL) - 3  # source, encoders and predictors have no asset
        assert set(run.materializations) == set(METADATA)


def test_partitioned_checks_know_their_partition(pipeline):
    for name in SUBREDDITS:
        whole = {False: set(), True: set()}
        for (key, _), found in pipeline.runs[name].checks.items():
            whole[key.startswith("marts/") or key.replace("/", ".") in TOGETHER].add(found.partition)
        assert whole == {False: {name}, True: {None}}


def test_every_asset_reports_the_same_numbers_every_time(pipeline):
    for name in SUBREDDITS:
        assert {key: set(found) for key, found in pipeline.runs[name].metadata.items()} == METADATA


def test_row_counts_are_those_of_the_tables(pipeline, first):
    found = pipeline.runs["earthporn"].metadata  # the later of the two
    for table in TABLES:
        key = table.replace(".", "/")
        if key in found and "dagster/row_count" in found[key]:
            assert found[key]["dagster/row_count"] == first.scalar(f"SELECT count(*) FROM {table}"), table
    posts = first.scalar("SELECT count(*) FROM core.posts WHERE subreddit = 'earthporn'")
    assert found["core/posts"]["dagster/partition_row_count"] == posts
    assert found["features/author_features"]["dagster/partition_row_count"] == posts


def test_the_harvest_holds_every_post_that_the_listings_show(first, world):
    shown = {
        post.id
        for name in SUBREDDITS
        for post in world.posts(name, world.epoch.timestamp())
        if world.read(post, world.epoch.timestamp()).removed is None
    }
    assert {row["post_id"] for row in first.rows("SELECT post_id FROM raw.submissions")} == shown
    assert len(shown) > 300


def test_every_submission_is_a_post_or_rejected_with_a_reason(first):
    posts = {row["post_id"] for row in first.rows("SELECT post_id FROM core.posts")}
    rejected = {row["post_id"]: row["reason"] for row in first.rows("SELECT post_id, reason FROM core.rejected_posts")}
    raw = {row["post_id"] for row in first.rows("SELECT post_id FROM raw.submissions")}
    assert posts | set(rejected) == raw
    assert posts & set(rejected) == set()
    assert {"self", "video"} <= set(rejected.values())
    assert all(rejected.values())


def test_labels_are_first_readings_past_the_label_age(first):
    week = 7 * 24
    labels = first.rows(
        "SELECT l.*, p.created_at, epoch(l.observed_at - p.created_at) / 3600 AS age FROM core.labels AS l "
        "JOIN core.posts AS p USING (post_id)"
    )
    assert labels
    assert min(row["age"] for row in labels) >= week
    assert [row["age_at_label_hours"] for row in labels] == pytest.approx([row["age"] for row in labels])
    readings = first.rows(
        "SELECT o.post_id, o.score, o.observed_at FROM raw.observations AS o JOIN core.posts AS p USING (post_id) "
        "WHERE o.observed_at >= p.created_at + INTERVAL 7 DAY AND NOT o.hide_score ORDER BY o.observed_at DESC"
    )
    earliest = {row["post_id"]: (row["score"], row["observed_at"]) for row in readings}
    assert {row["post_id"]: (row["score"], row["observed_at"]) for row in labels} == earliest
    young = first.scalar("SELECT count(*) FROM core.posts ANTI JOIN core.labels USING (post_id)")
    assert 0 < young < 60


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_rows_of_both_communities(first, table):
    if table in WITHOUT_REASON_TO_HAVE_ANY:
        assert first.scalar(f"SELECT count(*) FROM {table}") == 0
        return
    if "subreddit" in load_schema()[table].column_names:
        found = {row["subreddit"] for row in first.rows(f"SELECT DISTINCT subreddit FROM {table}")}
        assert found - {""} == set(SUBREDDITS)  # rows of the leaderboard over all of them name none
    else:
        assert first.scalar(f"SELECT count(*) FROM {table}") > 0


def test_every_stored_image_has_a_vector_and_features(first):
    images = first.scalar("SELECT count(*) FROM core.images")
    assert images > 300
    for table in ("features", "visual", "objects", "concepts", "grids", "classes"):
        assert first.scalar(f"SELECT count(*) FROM features.image_{table}") == images, table
    for table in ("embeddings", "scores"):  # of two encoders, and by two judges
        assert first.scalar(f"SELECT count(*) FROM features.image_{table}") == 2 * images, table
    files = {path.name for path in (first.home / "images").rglob("*") if path.is_file()}
    assert files == {Path(row["path"]).name for row in first.rows("SELECT path FROM core.images")}


def test_the_leaderboard_has_each_predictor_of_each_community(first):
    rows = first.rows("SELECT * FROM marts.leaderboard")
    assert {(row["subreddit"], row["predictor"]) for row in rows} == {
        (subreddit, name) for subreddit in SUBREDDITS for name in PREDICTORS
    }
    assert len(rows) == 2 * len(PREDICTORS)
    for row in rows:
        assert row["status"] == "trained", row
        assert row["test_posts"] >= 15
        assert row["train_posts"] >= 100
        assert 0 < row["mae"] < 5
        assert 0 < row["mse"] < 25
        assert row["untrained_weights"] is False
        if row["predictor"] == "subreddit_median":
            assert row["spearman"] is None  # a constant orders nothing
        else:
            assert -1 <= row["spearman_low"] <= row["spearman"] <= row["spearman_high"] <= 1


def test_every_post_is_predicted_by_everyone(first):
    expected = {(row["post_id"], name) for row in first.rows("SELECT post_id FROM core.posts") for name in PREDICTORS}
    rows = first.rows("SELECT * FROM marts.predictions")
    assert {(row["post_id"], row["predictor"]) for row in rows} == expected
    assert len(rows) == len(expected)
    assert all(0 <= row["percentile"] <= 1 for row in rows)
    labelled = {row["post_id"]: row["split"] for row in first.rows("SELECT post_id, split FROM models.training_set")}
    assert {row["split"] for row in rows if row["post_id"] not in labelled} == {"unlabelled"}
    assert all(row["split"] == labelled.get(row["post_id"], "unlabelled") for row in rows)


def test_the_published_file_opens_read_only_and_equals_the_live_one(first, tmp_path):
    with duckdb.connect(first.home / "redpop.duckdb", read_only=True) as connection:
        connection.execute(f"ATTACH '{first.home}/live/redpop.duckdb' AS live (READ_ONLY)")
        views = connection.execute(
            "SELECT schema_name || '.' || view_name, database_name = 'live', sql FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        copied = {name: sql for name, live, sql in views if not live}
        assert copied == {name: sql for name, live, sql in views if live}
        # A view is computed when it is read, and a mean depends in its last digit on the order that threads come in.
        for table in load_schema().keys() - copied.keys():
            for one, other in ((table, f"live.{table}"), (f"live.{table}", table)):
                found = connection.execute(f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})").fetchone()
                assert found == (0,), table
    # For writing too, as clients do by default: a copy, as copies of the home share the file itself with other workers.
    shutil.copy(first.home / "redpop.duckdb", tmp_path / "redpop.duckdb")
    with duckdb.connect(tmp_path / "redpop.duckdb") as connection:  # the mart people open first
        assert connection.execute("SELECT count(*) FROM marts.posts WHERE score IS NOT NULL").fetchone()[0] > 250


def people(world):
    """All names and ids of the people of the sandbox."""
    posts = [post for name in SUBREDDITS for post in world.posts(name, world.epoch.timestamp())]
    return {post.author for post in posts} | {post.author_id for post in posts}


def test_no_author_is_in_the_warehouse_by_name(first, world):
    names = people(world)
    assert len(names) > 40
    pattern = "|".join(re.escape(name) for name in names)
    assert re.search(pattern, next(iter(names)))
    with duckdb.connect(first.home / "live" / "redpop.duckdb", read_only=True) as connection:
        columns = connection.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
            "WHERE NOT internal AND (data_type LIKE '%VARCHAR%' OR data_type = 'JSON')"
        ).fetchall()
        assert ("raw.submissions", "json") in columns
        for table, column in columns:
            found = connection.execute(
                f"SELECT {column}::VARCHAR FROM {table} WHERE regexp_matches({column}::VARCHAR, $pattern, 'i') LIMIT 1",
                {"pattern": pattern},
            ).fetchone()
            assert found is None, f"{table}.{column}: {found}"
    authors = first.rows("SELECT DISTINCT author FROM core.posts WHERE author IS NOT NULL")
    assert len(authors) > 20
    assert all(re.fullmatch("[0-9a-f]{32}", row["author"]) for row in authors)


def test_neither_people_nor_the_secret_are_in_any_other_file(first, world):
    words = [name.encode() for name in people(world)] + [first.variables["REDDIT_CLIENT_SECRET"].encode()]
    pattern = re.compile(b"|".join(map(re.escape, words)))
    for path in first.home.rglob("*"):
        if path.is_file() and path.suffix != ".jpg":
            assert pattern.search(path.read_bytes()) is None, path


# A second run, at the same moment of the sandbox.


@pytest.fixture(scope="module")
def repeated(pipeline, tmp_path_factory):
    """(deployment, runs) of a copy on which the graph ran again while time stood still.

    Once before it counts: authors post in both communities, and the first one ran when the second was unknown.
    """
    deployment = pipeline.deployment.copy(tmp_path_factory.mktemp("repeated") / "home")
    settled = deployment.run("pics")
    published = (deployment.home / "redpop.duckdb").read_bytes()
    return deployment, {name: deployment.run(name) for name in SUBREDDITS}, settled, published


def test_a_run_with_nothing_new_computes_nothing(repeated):
    for name in SUBREDDITS:
        found = repeated[1][name].metadata
        assert repeated[1][name].success
        assert found["raw/submissions"]["new_posts"] == 0
        assert found["raw/sightings"]["new_sightings"] == 0
        assert found["raw/observations"]["new_observations"] == 0
        assert found["core/posts"]["rows_computed"] == 0
        assert found["core/image_fetches"]["urls_fetched"] == 0
        assert found["core/labels"]["rows_changed"] == 0
        features = {key: values for key, values in found.items() if key.startswith("features/")}
        assert len(features) > 15
        for key, values in features.items():
            assert values.get("rows_computed", 0) == values.get("rows_changed", 0) == 0, key
        for predictor in PREDICTORS:
            assert found[f"models/{predictor}"]["trained_now"] is False
        assert found["marts/predictions"]["rows_computed"] == 0
        assert found["marts/feature_catalogue"]["communities_measured"] == 0
        assert found["marts/published_warehouse"]["changed"] is False


def test_equal_rows_have_equal_data_versions(repeated):
    before, after = repeated[2].data_versions, repeated[1]["pics"].data_versions
    assert before.pop("marts/published_warehouse")  # a file is no table: its version follows from its inputs
    assert {key: after[key] for key in before} == before


def test_a_run_with_nothing_new_leaves_the_published_bytes_alone(repeated):
    assert (repeated[0].home / "redpop.duckdb").read_bytes() == repeated[3]


# Eight days later.


@pytest.fixture(scope="module")
def later(pipeline, later_sandbox, tmp_path_factory):
    """(deployment, runs) eight days later. `new` is read only as deep as new posts are, so that the rest is asked."""
    before = pipeline.deployment
    deployment = before.copy(tmp_path_factory.mktemp("later") / "home").using(
        REDPOP_REDDIT_URL=later_sandbox,
        REDPOP_OAUTH_URL=later_sandbox,
        REDPOP_IMAGE_HOSTS_ALLOWED=",".join(
            [before.variables["REDPOP_IMAGE_HOSTS_ALLOWED"], later_sandbox.removeprefix("http://")]
        ),
        REDPOP_HARVEST_PLAN="new:18",
    )
    return deployment, {name: deployment.run(name) for name in SUBREDDITS}


def test_new_posts_are_found(first, later, world):
    deployment, runs = later
    now = world.epoch.timestamp() + 8 * 86_400
    for name in SUBREDDITS:
        assert runs[name].success
        assert runs[name].failed_checks == set()
        born = {
            post.id
            for post in world.posts(name, now)
            if post.created > world.epoch.timestamp() and world.read(post, now).removed is None
        }
        raw = {row["post_id"] for row in deployment.rows("SELECT post_id FROM raw.submissions")}
        known = {row["post_id"] for row in first.rows("SELECT post_id FROM raw.submissions")}
        assert 8 <= len(born) <= 18
        assert born <= raw - known
        assert runs[name].metadata["raw/submissions"]["new_posts"] == len(born)


def test_every_young_post_is_read_again(first, later):
    deployment, _ = later
    young = {
        row["post_id"]
        for row in first.rows(
            "SELECT post_id FROM raw.submissions AS s ANTI JOIN core.labels USING (post_id) WHERE "
            "to_timestamp((json->>'created_utc')::DOUBLE)::TIMESTAMP > TIMESTAMP '2026-05-25 12:00:00'"
        )
    }
    read = {
        row["post_id"]
        for row in deployment.rows(
            "SELECT post_id FROM raw.observations WHERE observed_at > '2026-06-05' "
            "UNION ALL SELECT post_id FROM raw.tombstones"
        )
    }
    asked = {
        row["post_id"]
        for row in deployment.rows(
            "SELECT post_id FROM raw.observations WHERE observed_at > '2026-06-05' AND endpoint = 'info'"
        )
    }
    assert len(young) > 10
    assert young <= read
    assert asked


def test_nothing_raw_is_overwritten_but_what_has_to_be_forgotten(first, later):
    deployment, _ = later
    forgotten = {row["post_id"] for row in deployment.rows("SELECT post_id FROM raw.tombstones")}
    anonymous = {
        row["post_id"]
        for row in deployment.rows("SELECT post_id FROM raw.submissions WHERE json->>'author' = '[deleted]'")
    }
    assert forgotten
    assert anonymous
    for table in ("raw.submissions", "raw.observations", "raw.sightings"):
        gone = forgotten | anonymous if table == "raw.submissions" else forgotten
        before, after = (
            {tuple(row.items()) for row in deployed.rows(f"SELECT * FROM {table}") if row["post_id"] not in gone}
            for deployed in (first, deployment)
        )
        assert before < after


def test_deleted_posts_are_forgotten_removed_ones_rejected_and_both_leave_everything_else(first, later, world):
    deployment, _ = later
    start, now = world.epoch.timestamp(), world.epoch.timestamp() + 8 * 86_400
    known = {row["post_id"] for row in first.rows("SELECT post_id FROM core.posts")}
    removed = {
        post.id: world.read(post, now).removed
        for name in SUBREDDITS
        for post in world.posts(name, start)
        if post.id in known and post.created > start - 7 * 86_400 and world.read(post, now).removed
    }
    assert removed
    rejected = {
        row["post_id"]: row["reason"]
        for row in deployment.rows(
            "SELECT post_id, reason FROM core.rejected_posts UNION ALL SELECT post_id, reason FROM raw.tombstones"
        )
    }
    assert {post: rejected.get(post) for post in removed} == {
        post: f"removed_by_{category}" for post, category in removed.items()
    }
    final = {post for post, category in removed.items() if category in DELETIONS}
    assert final
    assert final == final & {row["post_id"] for row in deployment.rows("SELECT post_id FROM raw.tombstones")}
    for table in (
        *("core.posts", "core.labels", "features.timestamp_features", "features.author_features"),
        *("features.post_flags", "models.training_set", "marts.predictions"),
    ):
        left = {row["post_id"] for row in deployment.rows(f"SELECT post_id FROM {table}")}
        assert not left & set(removed), table


def test_labels_grow_and_old_ones_stay(first, later):
    sql = "SELECT post_id, score, observed_at FROM core.labels"
    before, after = (
        {row["post_id"]: (row["score"], row["observed_at"]) for row in deployment.rows(sql)}
        for deployment in (first, later[0])
    )
    gone = later[0].rows(
        "SELECT post_id FROM raw.tombstones "
        "UNION ALL SELECT post_id FROM core.rejected_posts WHERE reason LIKE 'removed%'"
    )
    for row in gone:
        before.pop(row["post_id"], None)
    assert before.items() < after.items()


def test_only_new_content_is_computed_and_all_predictors_learn_again(first, later):
    deployment, runs = later
    for name in SUBREDDITS:
        found = runs[name].metadata
        assert 0 < found["core/image_fetches"]["urls_fetched"] <= 20
        assert 0 < found["features/image_embeddings"]["rows_computed"] <= 20
        assert 0 < found["features/caption_embeddings"]["rows_computed"] <= 2 * 20  # by two encoders
        assert found["features/timestamp_features"]["rows_computed"] <= 20
        assert all(found[f"models/{predictor}"]["trained_now"] for predictor in PREDICTORS)
        assert found["marts/published_warehouse"]["changed"] is True
    digests = "SELECT subreddit, predictor, digest FROM models.predictors"
    before, after = ({tuple(row.values()) for row in deployment.rows(digests)} for deployment in (first, deployment))
    assert not before & after


def test_predictions_follow_the_new_models_and_posts(later):
    deployment, _ = later
    stale = deployment.scalar(
        "SELECT count(*) FROM marts.predictions ANTI JOIN models.predictors USING (subreddit, predictor, digest)"
    )
    assert stale == 0
    posts, predictions = (deployment.scalar(f"SELECT count(*) FROM {t}") for t in ("core.posts", "marts.predictions"))
    assert predictions == posts * len(PREDICTORS)


def test_forecasts_of_young_posts_are_kept_as_they_were_and_scored_eight_days_later(first, later):
    deployment, runs = later
    made = {row["post_id"]: row for row in first.rows("FROM marts.forecasts")}
    young = first.rows("SELECT post_id FROM core.posts ANTI JOIN core.labels USING (post_id)")
    assert set(made) <= {row["post_id"] for row in young}
    assert len(made) >= 10
    assert all(0 <= row["age_hours"] < 7 * 24 for row in made.values())
    assert first.scalar("SELECT count(*) FROM marts.forecast_outcomes WHERE score IS NOT NULL") == 0
    kept = {row["post_id"]: row for row in deployment.rows("FROM marts.forecasts")}
    gone = {row["post_id"] for row in deployment.rows("SELECT post_id FROM raw.tombstones")}
    assert {post: row for post, row in made.items() if post not in gone}.items() <= kept.items()
    new = set(kept) - set(made)
    assert len(new) == sum(runs[name].metadata["marts/forecasts"]["forecasts_made"] for name in SUBREDDITS) >= 10
    outcomes = deployment.rows("FROM marts.forecast_outcomes JOIN core.posts USING (post_id)")
    assert {row["post_id"] for row in outcomes if row["score"] is None} <= new
    assert all(row["error"] == row["expected_log_score"] - row["log_score"] for row in outcomes if row["score"])
    (found,) = deployment.rows("SELECT sum(forecasts) AS made, sum(scored) AS scored FROM marts.forecast_accuracy")
    assert found["made"] == len(kept)
    assert found["scored"] == sum(row["score"] is not None for row in outcomes) >= 10


def test_champions_are_judged_again_with_the_new_models(first, later):
    deployment, runs = later
    for name in SUBREDDITS:
        before, after = (
            deployed.rows("FROM models.champions WHERE subreddit = $name ORDER BY judgement", {"name": name})
            for deployed in (first, deployment)
        )
        assert after[: len(before)] == before
        assert len(after) > len(before)
        assert runs[name].metadata["models/champions"]["champion"] == after[-1]["predictor"]
        digest = "SELECT digest FROM models.predictors WHERE subreddit = $subreddit AND predictor = $predictor"
        row = {column: after[-1][column] for column in ("subreddit", "predictor")}
        assert deployment.scalar(digest, row) == after[-1]["digest"] != before[-1]["digest"]
        assert after[-1]["mae"] <= after[-1]["median_mae"] + 1e-6


# Features that look different, and features that know too much.

PIXELS = "features.image_features"
LOOKS = ("features/image_features", LOOKS_AS_BEFORE)


def test_features_are_accepted_as_they_first_look(first):
    rows = first.rows("SELECT subreddit, table_name, column_name, n FROM features.profiles")
    assert {row["subreddit"] for row in rows} == set(SUBREDDITS)
    assert {row["table_name"] for row in rows} == {
        *COMPARED.keys() - {"features.image_scores"} - OPTIONAL,
        "features.image_ratings",
    }
    assert min(row["n"] for row in rows) > 150


def test_a_feature_that_looks_different_is_a_warning_with_evidence_until_it_is_accepted(pipeline, tmp_path):
    deployment = pipeline.deployment.copy(tmp_path / "home")
    with deployment.warehouse.write() as writer:  # as after a mistake in decoding
        assert writer.execute(f"UPDATE {PIXELS} SET brightness = 0.9 + brightness / 10")
    profiles = deployment.warehouse.fingerprint("features.profiles")
    select = 'key:"features/image_features"'
    run = deployment.run("pics", select)
    assert run.success  # it holds nothing back
    assert run.failed_checks == {LOOKS}
    found = run.checks[LOOKS]
    assert (found.partition, found.severity, found.blocking) == ("pics", dg.AssetCheckSeverity.WARN, False)
    assert "brightness" in found.description
    assert f"`redpop accept-drift pics {PIXELS}`" in found.description
    shown = {name: value.value for name, value in found.metadata.items()}
    assert shown["drifted_columns"] >= 1
    assert shown["compared_rows"] == shown["rows"] > 150
    assert "| brightness | " in shown["columns"]
    assert shown["picture"].startswith(f"![{PIXELS} in r/pics: when it was accepted, and now](data:image/png;base64,")
    assert deployment.warehouse.fingerprint("features.profiles") == profiles  # and says so again
    assert deployment.run("pics", select).failed_checks == {LOOKS}

    with deployment.environment():
        app(["accept-drift", "pics", "image_features"], standalone_mode=False)
    assert deployment.run("pics", select).failed_checks == set()
    assert deployment.run("earthporn", select).failed_checks == {LOOKS}  # nobody accepted it there


def test_a_table_that_breaks_another_rule_is_not_accepted(pipeline, tmp_path):
    deployment = pipeline.deployment.copy(tmp_path / "home")
    with deployment.warehouse.write() as writer:
        writer.execute("DELETE FROM features.profiles")
        writer.execute(
            f"UPDATE {PIXELS} SET brightness = 'nan' WHERE image_sha256 IN (SELECT min(image_sha256) FROM {PIXELS})"
        )
    partition = deployment.scalar(
        f"SELECT any_value(subreddit) FROM core.primary_images JOIN {PIXELS} USING (image_sha256) "
        "WHERE isnan(brightness)"
    )
    run = deployment.run(partition, 'key:"features/image_features"')
    assert ("features/image_features", "no_missing_numbers") in run.failed_checks
    accepted = {row["table_name"] for row in deployment.rows("SELECT table_name FROM features.profiles")}
    assert PIXELS not in accepted


def test_the_catalogue_shows_what_was_planted(first):
    rows = {
        (row["subreddit"], row["block"], row["feature"]): row
        for row in first.rows("SELECT * FROM marts.feature_catalogue")
    }
    assert {key[0] for key in rows} == set(SUBREDDITS)
    assert {row["known_at"] for row in rows.values() if row["leakage"] == "after_post"} == {"after_post"}
    for name in SUBREDDITS:
        # Three tenths of the variance are in the picture, two in the caption, and there is a best hour.
        assert rows[name, "image", "embedding"]["spearman_low"] > 0.2
        assert rows[name, "caption", "embedding"]["spearman_low"] > 0.1
        assert rows[name, "time", "hour_cos"]["spearman_high"] < 0  # about noon is best, midnight worst
        best = max((row for key, row in rows.items() if key[0] == name), key=lambda row: abs(row["spearman"] or 0.0))
        assert (best["block"], best["feature"]) == ("image", "embedding")
        assert rows[name, "image", "embedding"]["posts"] <= rows[name, "caption", "embedding"]["posts"]


def test_a_feature_that_knows_the_score_is_suspicious(pipeline, tmp_path):
    deployment = pipeline.deployment.copy(tmp_path / "home")
    table = "features.caption_novelty"
    with deployment.warehouse.write() as writer:
        assert writer.execute(
            f"UPDATE {table} AS f SET mean_similarity = l.log_score FROM core.labels AS l "
            "WHERE l.post_id = f.post_id AND f.subreddit = 'pics'"
        )
    run = deployment.run("pics", 'key:"models/training_set" or key:"marts/feature_catalogue"')
    assert run.success
    found = run.metadata["marts/feature_catalogue"]
    assert (found["communities_measured"], found["suspicious_features"] >= 1) == (1, True)
    row = deployment.rows("SELECT * FROM marts.feature_catalogue WHERE feature = 'mean_similarity'")
    leakage = {each["subreddit"]: each["leakage"] for each in row if each["block"] == "novelty"}
    assert leakage == {"pics": "suspicious", "earthporn": "none"}
    assert "| novelty | mean_similarity |" in found["table"].split("### r/pics")[1].split("\n")[4]
