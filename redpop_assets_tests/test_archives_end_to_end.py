"""The tables of 2013 through the graph: import, everything but images, and a leaderboard of what can be trained."""

from datetime import UTC, datetime, timedelta

import pytest

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.runs import materialize, report_import
from redpop_assets.sources.archives.imports import import_archive

pytestmark = pytest.mark.end_to_end

SUBREDDITS = ("pics", "EarthPorn", "aww", "cats", "FoodPorn")
TAKEN = datetime(2013, 8, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def deployment(deploy):
    """Without credentials: an archive needs no Reddit."""
    return deploy(
        "http://127.0.0.1:1",
        REDPOP_SOURCE="reddit_2013",
        REDPOP_SUBREDDITS=",".join(SUBREDDITS),
        REDPOP_FETCH_IMAGES="false",
        REDDIT_CLIENT_ID="",
        REDDIT_CLIENT_SECRET="",
        REDDIT_USER_AGENT="",
    )


def bring_in(deployment, path, name, **options):
    with deployment.environment() as settings:
        key = AuthorKey.load_or_create(settings.home / "author.key")
        return import_archive(path, name, deployment.warehouse, key, **options)


@pytest.fixture(scope="module")
def reports(deployment, shared_data):
    return {
        name: bring_in(deployment, shared_data(f"reddit_top_2013/{name}.csv.gz"), name, observed_at=TAKEN)
        for name in SUBREDDITS
    }


@pytest.fixture(scope="module")
def outcome(deployment, reports):
    assert reports
    with deployment.environment() as settings:
        (outcome,) = materialize(settings, ["earthporn"], harvest=False)
    return outcome


@pytest.mark.parametrize("name", SUBREDDITS)
def test_every_row_of_a_table_is_imported(reports, deployment, name):
    report = reports[name]
    assert (report.posts, report.new_submissions, report.new_observations) == (1000, 1000, 1000)
    assert (report.broken, report.other_subreddit) == (0, 0)
    assert report.observed_at_rules == ("given",)
    stored = deployment.rows(
        "SELECT count(*) AS n, any_value(origin) AS origin FROM raw.submissions WHERE subreddit = $s",
        {"s": name.lower()},
    )
    assert stored == [{"n": 1000, "origin": f"archive:{name}.csv.gz"}]


def test_importing_twice_adds_nothing(reports, deployment, shared_data):
    assert reports
    again = bring_in(deployment, shared_data("reddit_top_2013/cats.csv.gz"), "cats", observed_at=TAKEN)
    assert (again.posts, again.new_submissions, again.new_observations) == (1000, 0, 0)
    assert deployment.scalar("SELECT count(*) FROM raw.submissions") == 5000


def test_an_import_is_a_materialization_that_dagster_knows(reports, deployment):
    import dagster as dg

    assert reports
    with deployment.instance() as (settings, instance):
        report_import(settings, ["pics"], "pics.csv.gz")
        for table in ("submissions", "observations"):
            (record,) = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(["raw", table]), asset_partitions=["pics"]), limit=1
            ).records
            found = record.asset_materialization
            assert found.metadata["dagster/partition_row_count"].value == 1000
            scope = ("subreddit = $s", {"s": "pics"})
            assert found.tags["dagster/data_version"] == deployment.warehouse.fingerprint(f"raw.{table}", *scope)
            assert instance.get_run_by_id(record.run_id).tags["redpop/import"] == "pics.csv.gz"


def test_without_a_time_the_newest_posts_have_no_label(deploy, shared_data):
    other = deploy("http://127.0.0.1:1", REDPOP_FETCH_IMAGES="false")
    report = bring_in(other, shared_data("reddit_top_2013/pics.csv.gz"), "pics")
    assert report.observed_at_rules == ("newest_post",)
    assert other.run("pics", 'key:"core/posts" or key:"core/rejected_posts" or key:"core/labels"').success
    newest, young = other.rows(
        "SELECT (SELECT max(observed_at) FROM raw.observations) AS newest, max(p.created_at) AS young "
        "FROM core.posts AS p JOIN core.labels USING (post_id)"
    )[0].values()
    assert newest - young >= timedelta(days=7)
    assert other.scalar("SELECT count(*) FROM core.posts ANTI JOIN core.labels USING (post_id)") > 0


def test_the_graph_runs_from_posts_to_leaderboard_without_reddit(outcome):
    assert outcome.failures == ()


def test_every_archived_post_is_accounted_for(outcome, deployment):
    assert outcome
    assert deployment.rows(
        "SELECT (SELECT count(*) FROM core.posts WHERE subreddit = 'earthporn') "
        "+ (SELECT count(*) FROM core.rejected_posts WHERE subreddit = 'earthporn') AS n"
    ) == [{"n": 1000}]


def test_labels_of_2013_are_of_their_own_scale(outcome, deployment):
    assert outcome
    assert deployment.rows("SELECT DISTINCT score_scale FROM core.labels") == [{"score_scale": "before_2016_12"}]


def test_predictors_that_need_images_say_so_and_the_others_are_trained(outcome, deployment):
    assert outcome
    rows = {row["predictor"]: row for row in deployment.rows("SELECT * FROM marts.leaderboard")}
    assert {row["subreddit"] for row in rows.values()} == {"earthporn"}
    thesis = rows.pop("redpop_thesis")
    (fusion,) = deployment.rows("SELECT notes FROM models.predictors WHERE predictor = 'fusion_lightgbm'")
    assert any("without image" in note for note in fusion["notes"])
    assert thesis["status"] == "not_trained"
    assert "image" in thesis["reason"]
    assert (thesis["digest"], thesis["spearman"]) == (None, None)
    for row in rows.values():
        assert row["status"] == "trained", row
        assert row["test_posts"] >= 100
        assert row["mae"] < 1
        assert "image" not in row["blocks"]
        assert "pixels" not in row["blocks"]
    assert deployment.scalar("SELECT count(*) FROM core.image_fetches") == 0


def test_posts_of_an_archive_are_not_asked_for_again(outcome, deployment):
    """They are of a source that cannot be asked: their scores stay as the archive has them."""
    from redpop_assets.sources.reddit.harvest import _UNCHECKED, _YOUNG

    assert outcome
    scope = {"subreddit": "earthporn", "archives": False}
    assert deployment.rows(_YOUNG, {**scope, "oldest": datetime(2000, 1, 1), "label_age": timedelta(days=9000)}) == []
    late = {"old": datetime(2030, 1, 1), "too_old": datetime(2030, 1, 1), "maturing": [], "posts": 10}
    assert deployment.rows(_UNCHECKED, {**scope, **late}) == []
