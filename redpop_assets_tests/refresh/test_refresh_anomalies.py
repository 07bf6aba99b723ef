"""core.anomalies: what archives got wrong, told from their labels and days; and what is not learnt from for that."""

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from redpop_assets.evaluation.anomalies import gaps, judged_windows
from redpop_assets.pages.anomalies import anomalies_markdown, anomalies_picture
from redpop_assets.refresh.anomalies import refresh_anomalies
from redpop_assets.refresh.training_set import build_training_set
from redpop_assets.sandbox.world import World
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

FIRST = date(2022, 1, 3)
DAYS = 450
WRONG = (date(2022, 12, 5), date(2023, 1, 15))  # Monday to Sunday
SILENT = (date(2022, 9, 13), date(2022, 9, 18))
NOW = datetime(2024, 1, 1)

_PLANT = """
CREATE OR REPLACE TEMP TABLE planted AS
SELECT
    format('p{:06}', row_number() OVER ()) AS post_id, $subreddit AS subreddit, created_at, score,
    created_at + INTERVAL 36 HOUR AS read_at, rejected
FROM posts
"""
_FILL = (
    """
    INSERT INTO raw.submissions BY NAME
    SELECT post_id, subreddit, created_at AS discovered_at, $origin AS origin,
        json_object('created_utc', epoch(created_at)) AS json
    FROM planted
    """,
    """
    INSERT INTO raw.observations BY NAME
    SELECT post_id, subreddit, read_at AS observed_at, $endpoint AS endpoint, score FROM planted
    """,
    """
    INSERT INTO core.posts BY NAME
    SELECT post_id, subreddit, created_at, 'c' AS caption, 'c' AS caption_sha256, 'image' AS kind, [] AS image_urls,
        FALSE AS over_18, FALSE AS is_original_content, FALSE AS spoiler, '1' AS code_version
    FROM planted WHERE NOT rejected
    """,
    """
    INSERT INTO core.rejected_posts BY NAME
    SELECT post_id, subreddit, 'video' AS reason, '' AS detail, '1' AS code_version FROM planted WHERE rejected
    """,
    """
    INSERT INTO core.labels BY NAME
    SELECT post_id, subreddit, score, ln(1 + score) AS log_score, 0.5 AS percentile, read_at AS observed_at,
        36.0 AS age_at_label_hours, $scale AS score_scale, read_at AS first_observed_at
    FROM planted WHERE NOT rejected
    """,
)


def fill(warehouse, subreddit="pics", *, origin="archive:dump.zst", endpoint="archive", scale="current", seed=0):
    """A community of some 25 posts a day, with wrong scores, silent days, and a third of posts that are no pictures."""
    random = np.random.default_rng(seed)
    days = np.repeat(np.arange(DAYS), random.poisson(25, DAYS))
    silent = [(day - FIRST).days for day in SILENT]
    days = days[(days < silent[0]) | (days > silent[1])]
    created = np.datetime64(FIRST, "s") + days * np.timedelta64(1, "D") + random.integers(0, 86_400, len(days))
    scores = np.where(random.random(len(days)) < 0.1, random.integers(0, 2, len(days)), 40)
    wrong = [(day - FIRST).days for day in WRONG]
    scores[(days >= wrong[0]) & (days <= wrong[1]) & (random.random(len(days)) < 0.95)] = 1
    table = {"created_at": created, "score": scores, "rejected": random.random(len(days)) < 0.33}
    parameters = {"origin": origin, "endpoint": endpoint, "scale": scale}
    with warehouse.write() as writer:
        writer._conn.register("posts", pa.table(table))
        writer.execute(_PLANT, {"subreddit": subreddit})
        for statement in _FILL:
            writer.execute(statement, {name: value for name, value in parameters.items() if f"${name}" in statement})
        writer.execute("DROP TABLE planted")
        writer._conn.unregister("posts")
    return warehouse


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The file of a community that an archive filled."""
    warehouse = fill(blank_warehouse(tmp_path_factory.mktemp("archive") / "home"))
    return warehouse.live.read_bytes()


@pytest.fixture
def archive(prepared, empty_warehouse, keep):
    empty_warehouse.live.write_bytes(prepared)
    return keep(empty_warehouse)


def change(warehouse, *statements):
    with warehouse.write() as writer:
        for statement in statements:
            assert writer.execute(statement) >= 1, statement


def stored(warehouse):
    return warehouse.query("FROM core.anomalies ORDER BY kind DESC, first_day").to_pylist()


def test_planted_periods_are_stored_and_nothing_else_is(archive):
    found = refresh_anomalies(archive, "pics", now=NOW)
    gap, wrong = stored(archive)
    assert (gap["kind"], gap["first_day"], gap["last_day"], gap["observed"]) == ("gap", *SILENT, 0.0)
    assert gap["expected"] == pytest.approx(25, rel=0.2)  # posts that were rejected count
    assert gap["score_scale"] is None
    assert (wrong["kind"], wrong["first_day"], wrong["last_day"]) == ("first_readings", *WRONG)
    assert wrong["strength"] == pytest.approx(0.95, abs=0.03)
    assert wrong["expected"] == pytest.approx(0.1, abs=0.02)
    assert {row["found_at"] for row in (gap, wrong)} == {NOW}
    assert found.changed == 2
    within = "created_at::DATE BETWEEN DATE '2022-12-05' AND DATE '2023-01-15'"
    labels = archive.scalar(f"SELECT count(*) FROM core.labels JOIN core.posts USING (post_id) WHERE {within}")
    assert wrong["posts"] == found.doubtful_labels == labels > 500
    doubted = archive.query(
        "SELECT min(created_at) AS a, max(created_at) AS b, max(score) AS c FROM core.doubtful_labels"
    )
    (row,) = doubted.to_pylist()
    assert (row["a"].date(), row["b"].date()) == WRONG
    assert row["c"] == 40  # high ones, too: what is left out does not hang on the score of a post


def test_what_is_judged_again_is_as_it_was(archive):
    refresh_anomalies(archive, "pics", now=NOW)
    before = archive.fingerprint("core.anomalies")
    again = refresh_anomalies(archive, "pics", now=NOW + timedelta(days=30))
    assert again.changed == 0
    assert archive.fingerprint("core.anomalies") == before


def test_what_has_grown_was_found_when_it_was_found(archive):
    refresh_anomalies(archive, "pics", now=NOW)
    change(
        archive,
        "UPDATE core.labels SET score = 1 WHERE post_id IN (SELECT post_id FROM core.posts "
        "WHERE created_at::DATE BETWEEN DATE '2023-01-16' AND DATE '2023-01-22')",
    )
    later = NOW + timedelta(days=30)
    assert refresh_anomalies(archive, "pics", now=later).changed == 1
    _, wrong = stored(archive)
    assert (wrong["last_day"], wrong["found_at"]) == (date(2023, 1, 22), NOW)
    change(
        archive,
        "UPDATE core.labels SET score = 1 WHERE post_id IN (SELECT post_id FROM core.posts "
        "WHERE created_at::DATE BETWEEN DATE '2023-02-20' AND DATE '2023-02-26')",
    )
    refresh_anomalies(archive, "pics", now=later)
    assert [row["found_at"] for row in stored(archive)] == [NOW, NOW, later]


def test_what_is_right_again_is_forgotten(archive):
    refresh_anomalies(archive, "pics", now=NOW)
    change(archive, "UPDATE core.labels SET score = 40 WHERE score = 1")
    found = refresh_anomalies(archive, "pics", now=NOW)
    assert [row["kind"] for row in stored(archive)] == ["gap"]
    assert (found.changed, found.doubtful_labels) == (1, 0)


def test_readings_of_reddit_itself_are_not_doubted(archive):
    """That `new` has poorer posts than what was harvested before says nothing of readings."""
    refresh_anomalies(archive, "pics", now=NOW)
    doubtful = archive.scalar("SELECT count(*) FROM core.doubtful_labels")
    change(archive, "UPDATE raw.observations SET endpoint = 'info' WHERE post_id = 'p009001'")
    found = refresh_anomalies(archive, "pics", now=NOW)
    assert archive.scalar("SELECT count(*) FROM core.doubtful_labels WHERE post_id = 'p009001'") == 0
    assert doubtful - 1 <= found.doubtful_labels <= doubtful
    change(archive, "UPDATE raw.observations SET endpoint = 'info'")
    assert refresh_anomalies(archive, "pics", now=NOW).windows == []
    assert [row["kind"] for row in stored(archive)] == ["gap"]


def test_days_are_counted_by_what_shows_all_posts(archive):
    change(archive, "UPDATE raw.submissions SET origin = 'listing'")
    assert refresh_anomalies(archive, "pics", now=NOW).first_day is None
    change(
        archive,
        "INSERT INTO raw.sightings BY NAME SELECT post_id, subreddit, discovered_at AS seen_at, 'new' AS listing, "
        "'' AS time_filter, 0 AS rank FROM raw.submissions",
    )
    assert refresh_anomalies(archive, "pics", now=NOW).first_day == FIRST
    assert {row["kind"] for row in stored(archive)} == {"first_readings", "gap"}


def test_labels_of_two_scales_are_never_compared(archive):
    """Those of the lesser scale are neither judged nor doubted."""
    within = "SELECT post_id FROM core.posts WHERE created_at::DATE BETWEEN DATE '2022-12-05' AND DATE '2023-01-15'"
    change(archive, f"UPDATE core.labels SET score_scale = 'before_2016_12' WHERE post_id IN ({within})")
    found = refresh_anomalies(archive, "pics", now=NOW)
    assert ([row["kind"] for row in stored(archive)], found.doubtful_labels) == (["gap"], 0)


def test_communities_are_judged_each_by_itself(archive):
    refresh_anomalies(archive, "pics", now=NOW)
    before = archive.fingerprint("core.anomalies")
    nothing = refresh_anomalies(archive, "aww", now=NOW)
    assert (nothing.anomalies, nothing.windows, nothing.first_day, nothing.changed) == ([], [], None, 0)
    assert anomalies_picture(nothing.anomalies, nothing.windows, nothing.first_day, nothing.posts_per_day) is None
    assert anomalies_markdown(nothing.anomalies, nothing.windows).startswith("Nothing found.")
    assert archive.fingerprint("core.anomalies") == before


def test_a_community_of_the_sandbox_has_none():
    """Even where its labels are taken for those of an archive: twice as many posts, for eight times as long."""
    world = World(seed=3, subreddits=("pics",), posts_per_subreddit=3000, history=timedelta(days=480))
    posts = world.posts("pics", world.epoch.timestamp())
    days = np.array([post.created for post in posts]).astype("datetime64[s]").astype("datetime64[D]")
    day, place, labels = np.unique(days, return_inverse=True, return_counts=True)
    low = np.bincount(place, weights=[round(post.final_score) <= 1 for post in posts]).astype(np.int64)
    windows, found = judged_windows(day, labels, low)
    assert sum(window.p_value is not None for window in windows) > 20
    assert found == []
    daily = np.bincount((days - days.min()).astype(np.int64))
    assert gaps(days.min().astype(date), daily) == []


# --- what is learnt from ---


@pytest.fixture
def ready(empty_warehouse, fill, keep):
    """A community with all features, and a period in which its labels of archives are doubted."""
    fill(empty_warehouse)
    change(
        keep(empty_warehouse),
        "INSERT INTO raw.observations BY NAME SELECT post_id, subreddit, observed_at, 'archive' AS endpoint, score "
        "FROM core.labels",
        "UPDATE raw.observations SET endpoint = 'info' WHERE post_id = 'pi00100'",
        "INSERT INTO core.anomalies BY NAME SELECT subreddit, 'first_readings' AS kind, "
        "min(created_at)::DATE AS first_day, max(created_at)::DATE AS last_day, 'current' AS score_scale, "
        "0.9 AS observed, 0.1 AS expected, 0.9 AS strength, 0.0 AS p_value, 0 AS posts, now() AS found_at "
        "FROM core.posts WHERE post_id BETWEEN 'pi00090' AND 'pi00119' GROUP BY ALL",
    )
    return empty_warehouse


def build(warehouse, encoders, **changes):
    options = {"matured_after": timedelta(days=7), "test_share": 0.2, "validation_share": 0.15, "most": 1000}
    return build_training_set(warehouse, "pics", encoders, **{**options, **changes})


def test_doubtful_labels_are_not_learnt_from(ready, encoders):
    doubtful = set(ready.query("SELECT post_id FROM core.doubtful_labels").column(0).to_pylist())
    assert {f"pi{number:05}" for number in range(90, 120)} - {"pi00100"} <= doubtful
    assert "pi00100" not in doubtful  # Reddit itself was asked
    labels = set(ready.query("SELECT post_id FROM core.labels").column(0).to_pylist())
    built = build(ready, encoders)
    assert set(built.rows.column("post_id").to_pylist()) == labels - doubtful
    assert built.left_out == len(doubtful)
    assert set(built.rows.column("left_out_posts").to_pylist()) == {len(doubtful)}


def test_they_are_where_nobody_wants_them_left_out(ready, encoders):
    built = build(ready, encoders, leave_out_anomalies=False)
    assert len(built.rows) == ready.scalar("SELECT count(*) FROM core.labels")
    assert built.left_out == 0
    assert built.snapshot != build(ready, encoders).snapshot


def test_a_gap_and_a_new_level_leave_nothing_out(ready, encoders):
    for kind in ("gap", "new_level"):
        change(ready, f"UPDATE core.anomalies SET kind = '{kind}'")
        assert build(ready, encoders).left_out == 0


def test_of_many_posts_only_those_are_missing_that_would_be_among_the_newest(ready, encoders):
    doubtful = ready.scalar("SELECT count(*) FROM core.doubtful_labels")
    later = ready.scalar("SELECT count(*) FROM core.labels WHERE post_id > 'pi00125'")
    for most, left_out in ((later, 0), (later + 20, doubtful), (1000, doubtful)):
        built = build(ready, encoders, most=most)
        assert (len(built.rows) == most or most == 1000, built.left_out) == (True, left_out)
