"""Assets that can be asked for in part: single checks, single tables of a step, and communities that look at others."""

import dagster as dg
import pytest

from redpop_assets.definitions import build_defs
from redpop_assets.runs import materialize

pytestmark = pytest.mark.end_to_end

NOWHERE = "http://127.0.0.1:9"  # nobody is asked: only assets behind the harvest run
CAPTIONS = dg.AssetKey(["features", "caption_features"])


@pytest.fixture
def filled(deploy, fill):
    """A deployment with two communities and all their features, none of them accepted yet."""
    deployment = deploy(NOWHERE)
    for number, name in enumerate(("pics", "earthporn")):
        fill(deployment.warehouse, name, posts=60, seed=number)
    return deployment


def run_alone(deployment, *checks, subreddit=None):
    """Run checks without their assets, as the UI does, of one community or of all; check name -> evaluation."""
    with deployment.instance() as (settings, instance):
        job = build_defs(settings).resolve_implicit_global_asset_job_def()
        asked = {dg.AssetCheckKey(key, name) for key, name in checks}
        tags = {} if subreddit is None else {"dagster/partition": subreddit}
        result = job.get_subset(asset_check_selection=asked, asset_selection=set()).execute_in_process(
            instance=instance, tags=tags, raise_on_error=False
        )
        assert not result.get_asset_materialization_events()
        return {found.check_name: found for found in result.get_asset_check_evaluations()}


def test_a_check_can_be_run_alone_and_writes_nothing(filled):
    before = filled.warehouse.live.read_bytes()
    found = run_alone(filled, (CAPTIONS, "no_missing_numbers"), (CAPTIONS, "looks_as_before"), subreddit="pics")
    assert {name: check.passed for name, check in found.items()} == {
        "no_missing_numbers": True,
        "looks_as_before": True,
    }
    assert {check.partition for check in found.values()} == {"pics"}
    assert filled.warehouse.live.read_bytes() == before
    assert filled.scalar("SELECT count(*) FROM features.profiles") == 0


def test_without_a_community_a_check_looks_at_all_of_them(filled):
    with filled.warehouse.write() as writer:
        for name in ("pics", "earthporn"):
            writer.execute(
                "UPDATE features.caption_features SET words = 'nan' WHERE caption_sha256 = "
                "(SELECT min(caption_sha256) FROM core.posts WHERE subreddit = $name)",
                {"name": name},
            )
    everywhere = run_alone(filled, (CAPTIONS, "no_missing_numbers"))["no_missing_numbers"]
    assert not everywhere.passed
    assert everywhere.metadata["offending_rows"].value == 2
    here = run_alone(filled, (CAPTIONS, "no_missing_numbers"), subreddit="pics")["no_missing_numbers"]
    assert here.metadata["offending_rows"].value == 1


def test_materializing_accepts_new_features_and_a_broken_table_is_not_accepted(filled):
    select = 'key:"features/caption_features"'
    assert filled.run("pics", select).success
    accepted = "SELECT count(*) FROM features.profiles WHERE subreddit = $name"
    assert filled.scalar(accepted, {"name": "pics"}) > 0
    with filled.warehouse.write() as writer:
        writer.execute(
            "UPDATE features.caption_features SET words = 'nan' WHERE caption_sha256 = "
            "(SELECT min(caption_sha256) FROM core.posts WHERE subreddit = 'earthporn')"
        )
    assert not filled.run("earthporn", select).success
    assert filled.scalar(accepted, {"name": "earthporn"}) == 0


def test_of_families_that_share_a_step_only_the_one_asked_for_is_computed(filled):
    with filled.warehouse.write() as writer:
        writer.execute("DELETE FROM features.caption_features")
        writer.execute("DELETE FROM features.caption_tokens")
    run = filled.run("pics", 'key:"features/caption_tokens"')
    assert set(run.materializations) == {"features/caption_tokens"}
    assert filled.scalar("SELECT count(*) FROM features.caption_tokens") == 60
    assert filled.scalar("SELECT count(*) FROM features.caption_features") == 0


def test_tables_that_are_written_together_are_asked_for_together(filled):
    run = filled.run("pics", 'key:"models/training_columns"')
    assert set(run.materializations) == {"models/training_columns", "models/training_set"}
    assert {("models/training_set", "no_picture_on_both_sides"), ("models/training_columns", "no_leakage")} <= set(
        run.checks
    )


def test_what_looks_at_everybody_says_so(filled):
    with filled.instance() as (settings, _):
        graph = build_defs(settings).resolve_asset_graph()

    def reads_all(table, source):
        mapping = graph.get(dg.AssetKey(["features", table])).partition_mappings.get(dg.AssetKey(source.split(".")))
        return isinstance(mapping, dg.AllPartitionMapping)

    for table in ("author_features", "seen_before"):
        assert reads_all(table, "core.posts")
        assert reads_all(table, "core.labels")
    for table in ("community_features", "caption_novelty", "neighbours", "environments", "title_past"):
        assert not reads_all(table, "core.posts")
    assert not graph.get(dg.AssetKey(["core", "duplicates"])).is_partitioned


@pytest.mark.parametrize("order", [("pics", "earthporn"), ("earthporn", "pics")])
def test_a_picture_that_turns_out_to_be_older_elsewhere_reaches_both_communities_in_one_go(filled, order):
    """A post of r/pics shows what an earlier post of r/earthporn showed, and the two came to be known only now."""
    with filled.warehouse.write() as writer:
        (original,) = writer.query(
            "SELECT p.post_id, i.image_sha256 FROM core.posts AS p JOIN core.primary_images AS i USING (post_id) "
            "WHERE p.subreddit = 'earthporn' ORDER BY p.created_at LIMIT 1"
        ).to_pylist()
        (repost,) = writer.query(
            "SELECT p.post_id, p.image_urls[1] AS url FROM core.posts AS p JOIN core.primary_images USING (post_id) "
            "WHERE p.subreddit = 'pics' ORDER BY p.created_at DESC LIMIT 1"
        ).to_pylist()
        writer.execute(
            "UPDATE core.image_fetches SET image_sha256 = $image WHERE url = $url",
            {"image": original["image_sha256"], "url": repost["url"]},
        )
    select = 'key:"core/duplicates" or key:"features/seen_before"'
    with filled.environment() as settings:
        outcomes = materialize(settings, order, select=select)
    assert not [failure for outcome in outcomes for failure in outcome.failures]
    group = "SELECT duplicate_group FROM core.duplicates WHERE post_id = $post"
    assert filled.scalar(group, {"post": repost["post_id"]}) == original["post_id"]
    seen = "SELECT times_elsewhere FROM features.seen_before WHERE post_id = $post"
    assert filled.scalar(seen, {"post": repost["post_id"]}) == 1
    assert filled.scalar(seen, {"post": original["post_id"]}) == 0
