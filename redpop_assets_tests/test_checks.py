"""Asset checks: each rule notices what it is for, and only that; and a failure keeps what follows from running."""

import os
import re

import duckdb
import pytest

from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.checks import LOOKS_AS_BEFORE, checks_of, count_offences
from redpop_assets.features.registry import FAMILIES
from redpop_assets.partitions import TOGETHER
from redpop_assets.refresh.partition import partition_filter
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.schema import load_schema
from redpop_assets_tests.fixtures.deployments import NOT_IN_PIPELINE

pytestmark = pytest.mark.end_to_end

SCHEMA = load_schema()
WITHOUT_ASSET = {
    *("raw.source", "core.placeholder_images", "features.encoders", "features.profiles", "models.predictors"),
    *("features.known_posts", "features.made_posts", "models.validation_predictions"),
}
CHECKED = [name for name, table in SCHEMA.items() if not table.is_view and name not in WITHOUT_ASSET]
RULES = {(name, check.name) for name in CHECKED for check in checks_of(SCHEMA[name])}
FLOATS = {
    name: SCHEMA[name].features
    for name in CHECKED
    if name.startswith("features.") and not name.endswith("_embeddings") and name != "features.early_readings"
}

ANY_POST = "(SELECT min(post_id) FROM core.posts WHERE subreddit = 'pics')"
LEARNT = "(SELECT min(post_id) FROM models.training_set WHERE subreddit = 'pics' AND split = 'train')"
TESTED = "(SELECT min(post_id) FROM models.training_set WHERE subreddit = 'pics' AND split = 'test')"
LABELLED = "(SELECT min(post_id) FROM core.labels WHERE subreddit = 'pics')"
WITH_PICTURE = "(SELECT min(post_id) FROM core.primary_images WHERE subreddit = 'pics' AND image_sha256 IS NOT NULL)"
ALONE = (
    "(SELECT min(post_id) FROM core.duplicates WHERE subreddit = 'pics' AND duplicate_group IN "
    "(SELECT duplicate_group FROM core.duplicates GROUP BY ALL HAVING count(*) = 1))"
)
EARLY_READING = (
    f"{ANY_POST} AS post_id, 'pics' AS subreddit, 1 AS age_hours, 'x' AS made_from, 0.75 AS reading_age_hours, "
    f"(SELECT created_at + INTERVAL 45 MINUTE FROM core.posts WHERE post_id = {ANY_POST}) AS observed_at, "
    "1.0 AS readings, 0.0 AS masked, NULL::FLOAT AS log_score, 1.0 AS still_up"
)
EARLY_FORECAST = (
    "post_id, subreddit, 1 AS age_hours, 'early_curve' AS predictor, 'x' AS digest, created_at AS made_at, "
    "1.0 AS expected_log_score, 1.0 AS expected_score, 0.5 AS percentile, 1.0 AS median_log_score"
)
# Tables that nothing has filled yet, and a row for each.
EMPTY = {
    "core.anomalies": (
        "'pics' AS subreddit, 'gap' AS kind, DATE '2026-03-01' AS first_day, DATE '2026-03-02' AS last_day, "
        "0.0 AS observed, 9.0 AS expected, 1.0 AS strength, 0.0 AS p_value, 18 AS posts, "
        "TIMESTAMP '2020-04-01' AS found_at"
    ),
    "raw.tombstones": "'1abc' AS post_id, now() AS forgotten_at, 'missing' AS reason",
    "raw.imports": (
        "'f' AS file, 'pics' AS subreddit, '' AS asked, '' AS sha256, ['given'] AS observed_at_rules, "
        "now() AS started_at, now() AS updated_at, "
        + ", ".join(f"0 AS {column.name}" for column in SCHEMA["raw.imports"].columns if column.type == "BIGINT")
    ),
    "models.removal_posts": (
        f"{ANY_POST} AS post_id, 'pics' AS subreddit, 'x' AS cluster, 'test' AS split, FALSE AS removed, "
        "0.1 AS probability, 'x' AS digest"
    ),
    "models.early_predictions": (
        f"{TESTED} AS post_id, 'pics' AS subreddit, 'early_curve' AS predictor, 1 AS age_hours, 'test' AS split, "
        "'x' AS digest, 1.0 AS expected_log_score"
    ),
    "features.early_readings": EARLY_READING,
    "models.early_coverage": (
        "'pics' AS subreddit, 1 AS age_hours, 3 AS target_hours, 9 AS posts, 0.5 AS mae, 'x' AS digest"
    ),
    "marts.early_forecasts": (
        f"{ANY_POST} AS post_id, 'pics' AS subreddit, 1 AS age_hours, 'early_curve' AS predictor, 'x' AS digest, "
        "now() AS made_at, TIMESTAMP '2020-01-01' AS as_of, TIMESTAMP '2020-01-01' AS read_at, "
        "1.0 AS expected_log_score, 1.0 AS expected_score, 0.5 AS percentile, 1.0 AS median_log_score"
    ),
    "marts.removal_calibration": (
        "'pics' AS subreddit, 0 AS bin, 9 AS posts, 1 AS removed, 0.1 AS mean_probability, 0.1 AS removed_share"
    ),
}
DEFAULTS = {"VARCHAR": "'x'", "INTEGER": "1", "DOUBLE": "1.0", "BOOLEAN": "FALSE"}
EMPTY |= {
    table: ", ".join(
        f"{DEFAULTS[column.type]} AS {column.name}" for column in SCHEMA[table].columns if not column.nullable
    )
    for table in ("marts.split_comparison", *(analysis.table for analysis in ANALYSES.values()))
}
# Families that the pipeline does not compute, as nobody names them: a row of each for one of its pictures.
OPTIONAL = {
    family.table: ", ".join(
        f"{ {'FLOAT': '0', 'FLOAT[]': '[0]'}.get(column.type, repr(family.version)) } AS {column.name}"
        for column in SCHEMA[family.table].columns
        if column.name not in family.keys
    )
    for family in FAMILIES
    if family.name in NOT_IN_PIPELINE
}
VECTORS = {"features.image_embeddings": "image_sha256", "features.caption_embeddings": "caption_sha256"}


def one_vector(table):
    """Condition for one row of an embedding table that belongs to r/pics and to no other community."""
    others = partition_filter(table).replace("$subreddit", "'earthporn'")
    mine = partition_filter(table).replace("$subreddit", "'pics'")
    first = f"SELECT min({VECTORS[table]}) FROM {table} WHERE {mine} AND ({others}) IS NOT TRUE"
    return f"{VECTORS[table]} = ({first}) AND NOT starts_with(encoder, 'open_clip:')"


BREAKAGES = {
    ("raw.tombstones", "no_trace_of_forgotten_posts"): (
        f"INSERT INTO raw.tombstones BY NAME SELECT {ANY_POST} AS post_id, now() AS forgotten_at, 'missing' AS reason",
        "INSERT INTO features.caption_features SELECT * REPLACE ('unused' AS caption_sha256) "
        "FROM features.caption_features LIMIT 1",
    ),
    ("raw.tombstones", "no_trace_of_closed_accounts"): (
        f"UPDATE raw.observations SET author_present = FALSE WHERE post_id = {ANY_POST}",
    ),
    ("raw.listing_reads", "new_joins_on"): (
        "INSERT INTO raw.listing_reads SELECT * REPLACE (read_at + INTERVAL 1 DAY AS read_at, FALSE AS overlapped) "
        "FROM raw.listing_reads WHERE subreddit = 'pics' AND listing = 'new' ORDER BY read_at DESC LIMIT 1",
    ),
    ("core.posts", "every_submission_accounted_for"): (
        "DELETE FROM core.rejected_posts WHERE post_id = "
        "(SELECT min(post_id) FROM core.rejected_posts WHERE subreddit = 'pics')",
    ),
    ("core.image_fetches", "stored_images_exist"): (
        "UPDATE core.image_fetches SET image_sha256 = 'nowhere' WHERE url = "
        "(SELECT min(url) FROM core.image_fetches JOIN (SELECT unnest(image_urls) AS url FROM core.posts "
        "WHERE subreddit = 'pics') USING (url) WHERE status = 'stored')",
    ),
    ("core.duplicates", "every_post_has_a_group"): (f"DELETE FROM core.duplicates WHERE post_id = {ALONE}",),
    ("core.duplicates", "groups_have_a_canonical_post"): (
        f"UPDATE core.duplicates SET duplicate_group = 'nowhere', canonical = FALSE WHERE post_id = {ALONE}",
    ),
    ("core.duplicates", "one_canonical_post_per_group"): (
        f"UPDATE core.duplicates SET canonical = FALSE WHERE post_id = {ALONE}",
    ),
    ("core.anomalies", "nothing_newly_found"): (
        "INSERT INTO core.anomalies BY NAME SELECT 'pics' AS subreddit, 'gap' AS kind, DATE '2026-03-01' AS first_day, "
        "DATE '2026-03-02' AS last_day, 0.0 AS observed, 9.0 AS expected, 1.0 AS strength, 0.0 AS p_value, "
        "18 AS posts, make_timestamp(epoch_us(now())) AS found_at",
    ),
    ("core.labels", "labels_are_mature"): (
        f"UPDATE core.labels SET first_observed_at = (SELECT created_at FROM core.posts WHERE post_id = {LABELLED}) "
        f"+ INTERVAL 167 HOUR WHERE post_id = {LABELLED}",
    ),
    ("features.author_features", "authors_see_only_the_past"): (
        f"UPDATE features.author_features SET past_posts = past_posts + 1 WHERE post_id = {ANY_POST}",
        f"UPDATE features.author_features SET past_mature_posts = past_posts + 1 WHERE post_id = {ANY_POST}",
    ),
    ("models.training_set", "no_label_from_the_future"): (
        "UPDATE models.training_set SET split = 'train' WHERE post_id = "
        "(SELECT max(post_id) FROM models.training_set WHERE subreddit = 'pics' AND split = 'embargo')",
    ),
    ("models.training_set", "no_picture_on_both_sides"): (
        "UPDATE models.training_set SET duplicate_group = (SELECT any_value(duplicate_group) FROM models.training_set "
        "WHERE subreddit = 'pics' AND split = 'train') WHERE post_id = "
        "(SELECT max(post_id) FROM models.training_set WHERE subreddit = 'pics' AND split = 'test')",
    ),
    ("models.training_set", "finite_targets"): tuple(
        f"UPDATE models.training_set SET log_score = '{value}' WHERE post_id = {LABELLED}"
        for value in ("nan", "infinity", "-infinity")
    ),
    ("models.training_columns", "no_leakage"): (
        "UPDATE models.training_columns SET known_at = 'after_post' WHERE subreddit = 'pics' AND block = 'flags' "
        "AND column_name = 'is_gallery'",
        "UPDATE models.training_columns SET known_at = '' WHERE subreddit = 'pics' AND block = 'time' "
        "AND column_name = 'hour'",
    ),
    ("marts.predictions", "finite_predictions"): (
        f"UPDATE marts.predictions SET expected_log_score = 'nan' WHERE post_id = {ANY_POST} "
        "AND predictor = 'fusion_lightgbm'",
    ),
    ("marts.predictions", "every_post_predicted"): (
        f"DELETE FROM marts.predictions WHERE post_id = {ANY_POST} AND predictor = 'subreddit_median'",
    ),
    ("models.champions", "champion_is_fit"): (
        "UPDATE models.champions SET mae = median_mae + 0.1 WHERE subreddit = 'pics'",
        "UPDATE models.champions SET digest = 'of another model' WHERE subreddit = 'pics'",
        "UPDATE models.champions SET predictor = 'gone' WHERE subreddit = 'pics'",
        "DELETE FROM models.champions WHERE subreddit = 'pics'",
    ),
    ("marts.predictions", "intervals_are_nested"): (
        f"UPDATE marts.predictions SET low_50 = high_50 + 1 WHERE post_id = {ANY_POST} "
        "AND predictor = 'fusion_lightgbm'",
        f"UPDATE marts.predictions SET high_90 = low_90 WHERE post_id = {ANY_POST} AND predictor = 'fusion_lightgbm'",
    ),
    ("features.early_readings", "nothing_was_read_later"): tuple(
        f"INSERT INTO features.early_readings BY NAME SELECT * REPLACE ({broken}) FROM (SELECT {EARLY_READING})"
        for broken in (
            "observed_at + INTERVAL 16 MINUTE AS observed_at, 61 / 60 AS reading_age_hours",
            "observed_at - INTERVAL 16 MINUTE AS observed_at, 29 / 60 AS reading_age_hours",
            "0.8 AS reading_age_hours",
        )
    ),
    ("features.early_readings", "no_missing_numbers"): tuple(
        f"INSERT INTO features.early_readings BY NAME SELECT * REPLACE ('nan' AS {name}) FROM (SELECT {EARLY_READING})"
        for name in ("readings", "masked", "log_score", "still_up")
    ),
    ("models.early_predictions", "judged_posts_were_not_learnt_from"): (
        f"INSERT INTO models.early_predictions BY NAME SELECT {LEARNT} AS post_id, "
        "'pics' AS subreddit, 'early_curve' AS predictor, 1 AS age_hours, 'test' AS split, 'x' AS digest, "
        "1.0 AS expected_log_score",
    ),
    ("marts.early_forecasts", "forecasts_come_before_scores"): tuple(
        f"INSERT INTO marts.early_forecasts BY NAME SELECT {EARLY_FORECAST}, {as_of} AS as_of, {read_at} AS read_at "
        f"FROM core.posts WHERE post_id = {ANY_POST}"
        for as_of, read_at in (
            ("created_at + INTERVAL 168 HOUR", "created_at + INTERVAL 1 HOUR"),
            ("created_at + INTERVAL 2 HOUR", "created_at + INTERVAL 61 MINUTE"),
        )
    ),
    ("marts.forecasts", "forecasts_come_before_scores"): (
        "UPDATE marts.forecasts AS f SET as_of = p.created_at + INTERVAL 168 HOUR FROM core.posts AS p "
        "WHERE p.post_id = f.post_id AND p.post_id = (SELECT min(post_id) FROM marts.forecasts)",
    ),
    **{
        (table, "finite_unit_vectors"): (
            f"UPDATE {table} SET embedding = list_transform(embedding, lambda x: x * 1.01) WHERE {one_vector(table)}",
            f"UPDATE {table} SET embedding = list_transform(embedding, lambda x: 0) WHERE {one_vector(table)}",
            f"UPDATE {table} SET embedding = embedding[:-2] || ['nan'::FLOAT] WHERE {one_vector(table)}",
            f"UPDATE {table} SET embedding = embedding || [0::FLOAT] WHERE {one_vector(table)}",
            f"UPDATE {table} SET encoder = 'timm:unheard_of/hub' WHERE {one_vector(table)}",
        )
        for table in VECTORS
    },
    **{
        (table, "no_missing_numbers"): tuple(
            f"UPDATE {table} SET {column.name} = "
            + ("'nan'" if column.type == "FLOAT" else f"list_transform({column.name}, lambda x: '-infinity'::FLOAT)")
            for column in columns
        )
        for table, columns in FLOATS.items()
        if columns
    },
    **{
        (table, "unique_keys"): (
            f"INSERT INTO {table} SELECT * FROM {table} "
            f"WHERE ({partition_filter(table).replace('$subreddit', repr('pics'))}) LIMIT 1",
        )
        for table in CHECKED
        if table not in EMPTY
    },
    **{
        (table, "unique_keys"): (f"INSERT INTO {table} BY NAME SELECT {row} FROM range(2)",)
        for table, row in EMPTY.items()
    },
}
# What cannot be broken alone: a post that is there twice is not accounted for exactly once either and counts twice in
# its author's past, and NaN is no count.
_PAST = ("features.author_features", "authors_see_only_the_past")
ALSO = {
    ("core.image_fetches", "stored_images_exist"): {("raw.tombstones", "no_trace_of_forgotten_posts")},
    ("features.author_features", "no_missing_numbers"): {_PAST},
    ("core.posts", "unique_keys"): {("core.posts", "every_submission_accounted_for"), _PAST},
    ("core.labels", "unique_keys"): {_PAST},
    ("core.rejected_posts", "unique_keys"): {("core.posts", "every_submission_accounted_for")},
}


@pytest.fixture(scope="module")
def copied(pipeline, tmp_path_factory):
    deployment = pipeline.deployment.copy(tmp_path_factory.mktemp("checks") / "home")
    picture = f"SELECT image_sha256 FROM core.primary_images WHERE post_id = {WITH_PICTURE}"
    with deployment.warehouse.write() as writer:
        for table, values in OPTIONAL.items():
            writer.execute(f"INSERT INTO {table} BY NAME SELECT image_sha256, {values} FROM ({picture})")
    return deployment


@pytest.fixture(scope="module")
def connected(copied):
    with duckdb.connect(copied.home / "live" / "redpop.duckdb") as connection:
        yield connection


@pytest.fixture
def connection(connected):
    """A transaction on the copy that is rolled back."""
    connected.begin()
    yield connected
    connected.rollback()


@pytest.fixture(scope="module")
def settings(copied):
    return copied.settings


def is_whole(table):
    """Whether a table is checked as a whole, not community by community."""
    return table.startswith("marts.") or table in TOGETHER


class TablesRead(Reader):
    """Notes which tables statements name, views looked through, instead of running them."""

    def scalar(self, sql, params=None):  # noqa: ARG002
        self.read, seen = set(), [sql]
        while seen:
            for name in set(re.findall(r"\b[a-z]+\.\w+", seen.pop())) & SCHEMA.keys() - self.read:
                self.read.add(name)
                if SCHEMA[name].is_view:
                    seen.append(SCHEMA[name].ddl)
        return 0


@pytest.fixture(scope="module")
def reads(settings):
    """Rule -> the tables that it reads, of which it can notice something."""
    reader, found = TablesRead(None, SCHEMA), {}
    for name in CHECKED:
        rows, partition = ("TRUE", None) if is_whole(name) else (partition_filter(name), "pics")
        for check in checks_of(SCHEMA[name]):
            count_offences(reader, check, rows, partition, settings)
            found[name, check.name] = reader.read
    return found


def failing(connection, settings, subreddit, rules=RULES):
    """Those of the rules that do not hold; by default all rules of all tables."""
    found = set()
    for name in {table for table, _ in rules}:
        whole = is_whole(name)
        rows, partition = ("TRUE", None) if whole else (partition_filter(name), subreddit)
        for check in checks_of(SCHEMA[name]):
            if (name, check.name) in rules and count_offences(
                Reader(connection, SCHEMA), check, rows, partition, settings
            ):
                found.add((name, check.name))
    return found


def test_every_rule_is_broken_here():
    assert set(BREAKAGES) == RULES


def test_an_honest_warehouse_breaks_no_rule(connection, settings):
    assert failing(connection, settings, "pics") == set()
    assert failing(connection, settings, "earthporn") == set()


@pytest.mark.parametrize("rule", sorted(RULES), ids=lambda rule: "-".join(rule))
def test_a_rule_notices_what_it_is_for_and_no_other_does(connection, settings, reads, rule):
    rounds = [((statement,), None) for statement in BREAKAGES[rule]]
    if len(rounds) > 1 and rule[1] == "no_missing_numbers" and rule[0] not in EMPTY:
        # It has to notice each column alone; that no other rule minds any of them is seen when all are broken.
        rounds = [(alone, {rule}) for alone, _ in rounds] + [(BREAKAGES[rule], None)]
    for statements, asked in rounds:
        for statement in statements:
            changed = connection.execute(statement).fetchone()[0]
            assert changed >= 1, statement
        (broken,) = {re.match(r"(?:UPDATE|INSERT INTO|DELETE FROM) (\S+)", statement)[1] for statement in statements}
        looking = {other for other, tables in reads.items() if broken in tables}  # all others see what they saw before
        assert rule in looking
        found = failing(connection, settings, "pics", asked or looking)
        assert rule in found, statements
        assert found - {rule} <= ALSO.get(rule, set()), statements
        # What is wrong with one community is no reason to hold back another; unless all rows were broken, or what
        # has to be forgotten is still somewhere.
        if changed == 1 and not is_whole(rule[0]):
            elsewhere = failing(connection, settings, "earthporn", asked or looking)
            assert elsewhere <= {("raw.tombstones", "no_trace_of_forgotten_posts")}, statements
        connection.rollback()
        connection.begin()


def test_a_file_without_a_row_is_noticed_and_removed(pipeline, tmp_path):
    deployment = pipeline.deployment.copy(tmp_path / "home")
    stray = deployment.home / "images" / "ab" / f"{'ab' * 32}.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"of a post that is forgotten")
    select = 'key:"raw/tombstones"'
    assert deployment.run("pics", select).success
    assert stray.exists()  # its row may be on the way
    os.utime(stray, (0, 0))
    run = deployment.run("pics", select)
    assert run.success, run.failed_checks
    assert run.checks["raw/tombstones", "no_stray_files"].passed
    assert not stray.exists()


def test_a_failure_stops_what_follows_and_a_repair_lets_it_go_on(pipeline, tmp_path):
    """A vector of the wrong length: nothing may be trained on it, and nothing else waits."""
    deployment = pipeline.deployment.copy(tmp_path / "home")
    where = one_vector("features.image_embeddings")
    with deployment.warehouse.write() as writer:
        kept = writer.query(f"SELECT * FROM features.image_embeddings WHERE {where}")
        writer.execute(
            f"UPDATE features.image_embeddings SET embedding = list_transform(embedding, lambda x: 2 * x) WHERE {where}"
        )
    select = 'key:"features/image_embeddings"+'
    run = deployment.run("pics", select)
    assert not run.success
    assert run.failed_checks == {
        ("features/image_embeddings", "finite_unit_vectors"),
        ("features/image_embeddings", LOOKS_AS_BEFORE),  # which would not stop anything
    }
    evaluation = run.checks["features/image_embeddings", "finite_unit_vectors"]
    assert (evaluation.metadata["offending_rows"].value, evaluation.partition) == (1, "pics")
    assert set(run.materializations) == {f"features/image_{what}" for what in ("embeddings", "classes", "grids")}

    deployment.warehouse.merge("features.image_embeddings", kept)
    run = deployment.run("pics", select)
    assert run.success
    assert {"models/training_set", "models/training_columns"} <= set(run.materializations)
