"""When the graph refreshes itself: conditions on the real definitions and a real history, and the schedules."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from redpop_assets.automation import DISCOVER, REFRESH, build_schedules
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.runs import report_import
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.testing.deployments import definitions

pytestmark = [
    pytest.mark.end_to_end,
    # Of a parameter that evaluate_automation_conditions itself passes on.
    pytest.mark.filterwarnings("ignore:Parameter `include_sources`:dagster.BetaWarning"),
]

PREDICTORS = ("subreddit_median", "metadata_boosting")
"""One that looks at labels alone, and one at features: all are assets of one kind, and the others learn longer."""

MODELS = {
    f"models/{name}" for name in (*PREDICTORS, "champions", "early_predictors", "early_predictions", "early_coverage")
}
MARTS = {
    *("marts/predictions", "marts/leaderboard", "marts/metrics", "marts/comparisons"),
    *("marts/feature_catalogue", "marts/forecasts", "marts/published_warehouse"),
    *("marts/early_leaderboard", "marts/early_forecasts"),
}

TRAINING = {"models/training_set", "models/training_columns"}
OF_SCORES = {
    f"features/{table}"
    for table in ("author_features", "community_features", "seen_before", "neighbours", "retrieved", "title_past")
}
"""Features that are made of earlier scores."""


class Evaluations:
    """Evaluates the conditions of a deployment tick after tick; each tick sees what happened since the last one.

    `cursor` is where the evaluations of another one ended, whose history this deployment has; None to begin.
    """

    def __init__(self, instance, settings, cursor=None):
        self.instance = instance
        self.defs = definitions(settings)
        self.cursor = cursor

    def tick(self, at: datetime | None = None) -> set[tuple[str, str | None]]:
        """(asset, partition) pairs that are requested, now or at another time."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor, evaluation_time=at)
        self.cursor = result.cursor
        graph = self.defs.resolve_asset_graph()
        requested = set()
        for key in graph.get_all_asset_keys():
            name = "/".join(key.path)
            if graph.get(key).is_partitioned:
                requested |= {(name, partition) for partition in result.get_requested_partitions(key)}
            elif result.get_num_requested(key):
                requested.add((name, None))
        return requested


@pytest.fixture(scope="module")
def shared(pipeline):
    """The home that all share, where few predictors are asked for."""
    return pipeline.deployment.using(REDPOP_PREDICTORS=",".join(PREDICTORS))


@pytest.fixture
def copied(shared, tmp_path):
    return shared.copy(tmp_path / "home")


@pytest.fixture(scope="module")
def settled(shared):
    """The cursor after a first tick, which requests nothing."""
    with shared.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings)
        assert evaluations.tick() == set()
        return evaluations.cursor


def change_a_label(deployment, subreddit, instance):
    """An older reading turns up, from the very day the label is due, and the labels are made again."""
    with deployment.warehouse.write() as writer:
        found = writer.query(
            "SELECT o.* REPLACE (p.created_at + INTERVAL 7 DAY AS observed_at, 4321 AS score) "
            "FROM raw.observations AS o JOIN core.labels USING (post_id) JOIN core.posts AS p USING (post_id) "
            "WHERE o.subreddit = $subreddit ORDER BY o.post_id LIMIT 1",
            {"subreddit": subreddit},
        )
        assert writer.append("raw.observations", found) == 1
    run = deployment.run(subreddit, 'key:"core/labels"', instance)
    assert run.success
    assert run.metadata["core/labels"]["rows_changed"] >= 1


def test_equal_data_request_nothing(copied, settled):
    with copied.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings, settled)
        for name in settings.partitions:
            run = copied.run(name, "group:raw", instance)
            assert run.success
            assert run.metadata["raw/observations"]["new_observations"] == 0
        assert evaluations.tick() == set()


def test_new_labels_request_what_follows_from_labels_in_that_partition_and_then_the_marts(copied, settled):
    with copied.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings, settled)
        change_a_label(copied, "pics", instance)
        follows = {"core/anomalies", *OF_SCORES, *TRAINING, *MODELS}
        # Authors and pictures are looked up in all communities, so the other one may have changed with it.
        elsewhere = {"features/author_features", "features/seen_before", *TRAINING, *MODELS}
        assert evaluations.tick() == {(name, "pics") for name in follows} | {(name, "earthporn") for name in elsewhere}
        assert evaluations.tick() == set()  # asked once
        # The marts pool all communities: they wait for the models.
        assert copied.run(
            "pics", 'key:"features/author_features" or key:"features/seen_before" or group:"models"', instance
        ).success
        assert evaluations.tick() == {(name, None) for name in MARTS}


def test_labels_of_the_day_wait_for_the_night(copied, settled):
    """Otherwise all predictors would learn again after every hourly harvest that brings a label."""
    with copied.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings, settled)
        assert copied.run("pics", 'key:"models/training_set"', instance).success  # last night
        evaluations.tick()
        change_a_label(copied, "pics", instance)
        change_a_label(copied, "earthporn", instance)
        requested = evaluations.tick()
        assert ("features/author_features", "pics") in requested
        assert not {name for name, partition in requested if partition == "pics"} & {*TRAINING, *MODELS}
        assert {(name, "earthporn") for name in TRAINING | MODELS} <= requested  # it had no night yet
        assert copied.run("pics", 'key:"features/author_features"', instance).success
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        assert {(name, "pics") for name in TRAINING | MODELS} <= evaluations.tick(tomorrow)


def test_new_readings_of_young_posts_request_no_training_where_it_was_done_last_night(copied, settled):
    with copied.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings, settled)
        assert copied.run("pics", 'key:"models/training_set" or key:"models/early_predictors"', instance).success
        evaluations.tick()
        with copied.warehouse.write() as writer:
            assert writer.execute(
                "INSERT INTO raw.observations SELECT * REPLACE (observed_at + INTERVAL 1 HOUR AS observed_at) "
                "FROM raw.observations ANTI JOIN core.labels USING (post_id) WHERE subreddit = 'pics'"
            )
        report_import(settings, ["pics"], "what a harvest would bring")
        requested = evaluations.tick()
        assert ("core/labels", "pics") in requested
        assert {partition for _, partition in requested} == {"pics"}
        assert not {name for name, _ in requested} & {"models/training_set", *MODELS}


def test_an_imported_post_requests_everything_that_comes_of_posts(copied, settled, tmp_path):
    post = {
        "id": "zz9",
        "subreddit": "EarthPorn",
        "title": "x",
        "created_utc": 1.4e9,
        "score": 3,
        "url": "http://x.org/a.jpg",
    }
    (tmp_path / "dump.ndjson").write_text(json.dumps(post), encoding="utf-8")
    with copied.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings, settled)
        key = AuthorKey.load_or_create(settings.home / "author.key")
        report = import_archive(
            tmp_path / "dump.ndjson", "earthporn", copied.warehouse, key, observed_at=datetime(2026, 6, 1, tzinfo=UTC)
        )
        assert report.new_submissions == 1
        report_import(settings, ["earthporn"], "dump.ndjson")
        partitioned = {
            "/".join(key.path)
            for key in evaluations.defs.resolve_asset_graph().get_all_asset_keys()
            if key.path[0] not in ("raw", "marts")
        }
        # What reads all communities is asked when the posts are there, not with them, and then for every community.
        waiting = {"core/duplicates", "features/author_features", "features/seen_before"}
        assert evaluations.tick() == {(name, "earthporn") for name in partitioned - waiting}
        assert copied.run("earthporn", "group:core", instance).success
        requested = evaluations.tick()
        for name in ("features/author_features", "features/seen_before"):
            assert {(name, "earthporn"), (name, "pics")} <= requested


def test_a_failed_check_holds_back_its_partition_until_it_passes(copied, settled):
    broken = "image_sha256 = (SELECT min(image_sha256) FROM features.image_embeddings)"
    table = "features.image_embeddings"
    subreddit = copied.scalar(
        f"SELECT any_value(subreddit) FROM core.posts JOIN core.image_fetches AS f ON f.url = image_urls[1] "
        f"WHERE f.{broken}"
    )
    with copied.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings, settled)
        with copied.warehouse.write() as writer:
            kept = writer.query(f"SELECT * FROM {table} WHERE {broken}")
            writer.execute(f"UPDATE {table} SET embedding = embedding || embedding WHERE {broken}")
        assert copied.run(subreddit, 'key:"features/image_embeddings"', instance).failed_checks == {
            ("features/image_embeddings", "finite_unit_vectors")
        }
        assert evaluations.tick() == set()
        # The other community is not held back by it.
        other = next(name for name in settings.partitions if name != subreddit)
        change_a_label(copied, other, instance)
        assert ("models/training_set", other) in evaluations.tick()

        copied.warehouse.merge(table, kept)
        assert copied.run(subreddit, 'key:"features/image_embeddings"', instance).success
        assert ("models/training_set", subreddit) in evaluations.tick()
        assert evaluations.tick() == set()
        change_a_label(copied, subreddit, instance)
        assert ("features/author_features", subreddit) in evaluations.tick()


def test_the_marts_do_not_wait_for_a_community_that_has_nothing(copied):
    """A subreddit that was just added, or that Reddit refuses, must not stop the leaderboard of the others."""
    more = copied.using(REDPOP_SUBREDDITS="pics,EarthPorn,banned_one")
    with more.instance() as (settings, instance):
        evaluations = Evaluations(instance, settings)
        assert {partition for _, partition in evaluations.tick()} <= {None}
        change_a_label(more, "pics", instance)
        assert more.run(
            "pics", 'key:"features/author_features" or key:"features/seen_before" or group:"models"', instance
        ).success
        assert {(name, None) for name in MARTS} <= evaluations.tick()


# Schedules


def ticks(settings):
    at = datetime(2026, 6, 2, 3, tzinfo=UTC)
    for schedule in build_schedules(settings):
        context = dg.build_schedule_context(
            scheduled_execution_time=at, repository_def=definitions(settings).get_repository_def()
        )
        yield schedule, schedule.evaluate_tick(context)


def test_with_credentials_there_is_one_run_for_all_subreddits(copied):
    for _schedule, tick in ticks(copied.settings):
        assert tick.skip_message is None
        (request,) = tick.run_requests
        assert (request.partition_key, request.run_key) == (None, "2026-06-02T03:00")
        assert request.tags["redpop/source"] == "sandbox"


def test_without_credentials_a_tick_is_skipped_and_says_what_is_missing(copied):
    for _schedule, tick in ticks(copied.using(REDDIT_CLIENT_SECRET="", REDDIT_CLIENT_ID="").settings):
        assert tick.run_requests == []
        assert "REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET" in tick.skip_message
        assert "REDDIT_USER_AGENT" not in tick.skip_message
        assert "redpop doctor" in tick.skip_message


def discover(deployment):
    """Run the hourly job for one subreddit; returns what it said of each raw table."""
    with deployment.instance() as (settings, instance):
        job = definitions(settings).resolve_job_def(DISCOVER)
        asked = {"ops": {"discover_of_all": {"config": {"subreddits": ["pics"]}}}}
        assert job.execute_in_process(instance=instance, run_config=asked).success
        (run,) = instance.get_runs(dg.RunsFilter(job_name=REFRESH), limit=1)
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    return {
        event.asset_key.path[1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in events
        if event is not None and event.is_step_materialization
    }


def test_the_hourly_harvest_reads_what_is_due_and_nothing_else(copied, later_sandbox):
    said = discover(copied)
    # A login, and a question for the time.
    assert (said["submissions"]["api_requests"], said["listing_reads"]["listings_read"]) == (2, 0)
    assert said["presence"]["posts_checked"] == said["observations"]["scores_due_read"] == 0
    later = copied.using(
        REDPOP_REDDIT_URL=later_sandbox, REDPOP_OAUTH_URL=later_sandbox, REDPOP_HARVEST_PLAN="new:20@1h,hot@30d"
    )
    said = discover(later)
    assert (said["listing_reads"]["listings_read"], said["listing_reads"]["gaps"]) == (1, 0)
    assert "| new |" in said["listing_reads"]["readings"]
    assert "joined on to the reading before" in said["listing_reads"]["readings"]
    assert said["submissions"]["new_posts"] >= 8
    assert said["submissions"]["left_over"] == 0
    assert said["submissions"]["api_requests_remaining"] > 0
    assert said["presence"]["posts_checked"] > 0
    assert later.rows("SELECT DISTINCT misses FROM raw.presence WHERE subreddit = 'pics'") == [{"misses": 0}]
    (limit,) = later.rows("SELECT max(read_at) AS now FROM raw.listing_reads")
    unchecked = "SELECT count(*) FROM raw.presence WHERE subreddit = 'pics' AND checked_at < $now"
    assert later.scalar(unchecked, limit) == 0


def test_a_harvest_says_which_requests_were_not_enough(copied, later_sandbox):
    short = copied.using(
        REDPOP_REDDIT_URL=later_sandbox,
        REDPOP_OAUTH_URL=later_sandbox,
        REDPOP_HARVEST_PLAN="new:20@1h,hot@1h",
        REDPOP_REQUESTS_PER_HARVEST="3",
    )
    said = discover(short)
    assert said["submissions"]["api_requests"] == 3
    assert (said["listing_reads"]["listings_read"], said["listing_reads"]["listings_left_over"]) == (1, 1)
    assert said["observations"]["scores_left_over"] > 0
    assert said["presence"]["checks_left_over"] > 0
    # What was left over comes next.
    said = discover(short.using(REDPOP_REQUESTS_PER_HARVEST="100"))
    assert (said["listing_reads"]["listings_read"], said["submissions"]["left_over"]) == (1, 0)
    assert "| hot |" in said["listing_reads"]["readings"]
