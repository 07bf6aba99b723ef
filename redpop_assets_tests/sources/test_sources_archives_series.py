"""Several readings of a post in one file: whatever its dialect and order, they come back equal, each with its time."""

import csv
import gzip
import io
import json
import random
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArchiveError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives import imports
from redpop_assets.sources.archives.columns import told
from redpop_assets.sources.archives.imports import check_archive, import_archive
from redpop_assets.sources.archives.posts import columns_of
from redpop_assets.sources.archives.series import series_of
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

BORN = datetime(2021, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = AuthorKey(bytes(range(32)))
NUMBERS = count()


def born(post):
    return BORN + timedelta(minutes=7 * int(post[1:]))


def fields(post):
    return {
        "id": post,
        "title": f"Post {post}",
        "subreddit": "pics",
        "created_utc": int(born(post).timestamp()),
        "url": f"https://i.redd.it/{post}.jpg",
    }


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    warehouse = blank_warehouse(tmp_path_factory.mktemp("series") / "home")
    with warehouse.kept():
        yield warehouse


@pytest.fixture(autouse=True)
def emptied(warehouse):
    empty(warehouse)


def empty(warehouse):
    with warehouse.write() as writer:
        for table in ("submissions", "observations", "sightings", "imports"):
            writer.execute(f"DELETE FROM raw.{table}")


def stored(warehouse):
    rows = warehouse.query("SELECT post_id, observed_at, score, num_comments FROM raw.observations").to_pylist()
    return {(row["post_id"], row["observed_at"].replace(tzinfo=UTC), row["score"], row["num_comments"]) for row in rows}


def table(rows, delimiter=","):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def bring(warehouse, folder, name, content, **more):
    path = folder / name
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)(content.encode())
    path.write_bytes(packed)
    return import_archive(path, "pics", warehouse, KEY, **more)


def know(warehouse, folder, *posts):
    """Store posts of which nothing was read but once, long after."""
    late = {"score": 0, "num_comments": 0, "retrieved_on": int((BORN + 1000 * HOUR).timestamp())}
    bring(warehouse, folder, f"known{next(NUMBERS)}.ndjson", lines([fields(post) | late for post in posts]))
    with warehouse.write() as writer:
        writer.execute("DELETE FROM raw.observations")


TIMES = {
    "seconds": lambda at: int(at.timestamp()),
    "milliseconds": lambda at: int(at.timestamp() * 1000),
    "float": lambda at: at.timestamp(),
    "ISO": lambda at: at.isoformat(),
    "with a blank": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "another zone": lambda at: at.astimezone(datetime.strptime("+0530", "%z").tzinfo).isoformat(),
}
IDS = {"id": str, "post_id": str, "name": "t3_{}".format, "submission": str}
READ = ["observed_at", "retrieved_at", "scraped_at", "timestamp", "time"]
SCORES = ["score", "ups", "upvotes"]
COMMENTS = ["num_comments", "comments"]
FORMS = ["long", "long, alone", "long, by age", "wide", "wide, alone", "wide by moments", "numbered", "lists"]
READINGS = st.dictionaries(
    st.tuples(st.sampled_from(["a0", "a1", "a2", "b3"]), st.integers(1, 40)),
    st.tuples(st.integers(-5, 90_000), st.integers(0, 900)),
    min_size=1,
    max_size=14,
)


def long(readings, style, *, alone, by_age):
    for (post, hours), (score, comments) in readings.items():
        when = {"age_hours": hours} if by_age else {style["read"]: style["time"](born(post) + hours * HOUR)}
        own = {style["id"]: IDS[style["id"]](post)}
        beside = {} if alone else {name: value for name, value in fields(post).items() if name != "id"}
        yield {**own, **beside, **when, style["score"]: score, style["comments"]: comments}


def wide(readings, style, *, form):
    for post in dict.fromkeys(post for post, _ in readings):
        row = {} if form == "wide, alone" else fields(post)
        row = {**row, "id": post}
        own = {hours: found for (of, hours), found in readings.items() if of == post}
        if form == "lists":
            row["readings"] = [
                {style["read"]: style["time"](born(post) + hours * HOUR), style["score"]: score, "comments": comments}
                for hours, (score, comments) in own.items()
            ]
        for number, (hours, (score, comments)) in enumerate(own.items()):
            moment = born(post) + hours * HOUR
            if form in ("wide", "wide, alone"):
                row |= {f"{style['score']}_{hours}h": score, f"comments at {hours} hours": comments}
            elif form == "wide by moments":
                row |= {f"score {moment:%Y-%m-%d %H:%M:%S}": score, f"comments {moment:%Y-%m-%d %H:%M:%S}": comments}
            elif form == "numbered":
                row |= {
                    f"time_{number}": style["time"](moment),
                    f"score_{number}": score,
                    f"comments_{number}": comments,
                }
        yield row


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    readings=READINGS,
    form=st.sampled_from(FORMS),
    style=st.fixed_dictionaries(
        {
            "id": st.sampled_from(list(IDS)),
            "time": st.sampled_from(list(TIMES.values())),
            "read": st.sampled_from(READ),
            "score": st.sampled_from(SCORES),
            "comments": st.sampled_from(COMMENTS),
        }
    ),
    file=st.sampled_from([".csv", ".tsv", ";.csv", ".csv.gz", ".ndjson", ".ndjson.zst", ".json"]),
    seed=st.integers(0, 9),
)
def test_readings_come_back_equal_whatever_their_dialect(
    warehouse, tmp_path, readings, form, style, file, seed
):  # fmt: skip
    empty(warehouse)
    expected = {(post, born(post) + hours * HOUR, *found) for (post, hours), found in readings.items()}
    alone = form.endswith("alone") or form == "long, by age"
    if form.startswith("long"):
        rows = list(long(readings, style, alone=alone, by_age=form == "long, by age"))
        named = not alone and len({post for post, _ in readings}) == len(readings)
        # Where no post comes twice, nothing tells whether a time of such a name is of the reading.
        asked = told(f"read={style['read']}") if named else None
    else:
        rows, asked = list(wide(readings, style, form=form)), None
        file = ".ndjson" if form == "lists" else file
    if alone:
        know(warehouse, tmp_path, *{post for post, _ in readings})
    random.Random(seed).shuffle(rows)
    content = (
        table(rows, {".tsv": "\t", ";.csv": ";"}.get(file, ",")) if "sv" in file
        else json.dumps(rows) if file == ".json" else lines(rows)
    )  # fmt: skip
    name = f"f{next(NUMBERS)}{file.removeprefix(';')}"
    report = bring(warehouse, tmp_path, name, content, columns=asked)
    assert stored(warehouse) == expected
    assert (report.broken, report.emptied, report.unknown, report.new_observations) == (0, 0, 0, len(expected))
    assert bring(warehouse, tmp_path, name, content, columns=asked).new_observations == 0
    assert stored(warehouse) == expected
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == len({post for post, _ in readings})


def test_readings_of_posts_that_are_not_known_are_counted_and_come_later(warehouse, tmp_path):
    rows = [{"id": post, "timestamp": (BORN + 2 * HOUR).isoformat(), "score": 7} for post in ("a0", "a1")]
    know(warehouse, tmp_path, "a0")
    report = bring(warehouse, tmp_path, "r.csv", table(rows))
    assert (report.unknown, report.new_observations, report.broken) == (1, 1, 0)
    assert warehouse.scalar("SELECT unknown_readings FROM raw.imports WHERE file = 'r.csv'") == 1
    know(warehouse, tmp_path, "a1")
    report = bring(warehouse, tmp_path, "r.csv", table(rows))
    assert (report.unknown, report.total.readings) == (0, 2)
    assert {post for post, *_ in stored(warehouse)} == {"a0", "a1"}


def test_readings_that_cannot_be_true_are_refused_with_a_reason(warehouse, tmp_path):
    know(warehouse, tmp_path, "a0")
    future = datetime.now(UTC) + timedelta(days=2)
    times = [BORN - 3 * HOUR, BORN + HOUR, future, "yesterday"]
    rows = [
        {"post_id": "a0", "scraped_at": time if isinstance(time, str) else time.isoformat(), "ups": 5} for time in times
    ]
    report = bring(warehouse, tmp_path, "r.csv", table(rows))
    assert (report.broken, report.new_observations) == (3, 1)
    reasons = {sample.line: sample.error for sample in report.broken_samples}
    assert "created at 2021-03-01 12:00, after it was observed (2021-03-01 09:00" in reasons[2]
    assert "yet to come" in reasons[4]
    assert "no time at which it was read" in reasons[5]
    wide_row = fields("a1") | {"score 2021-03-01 13:30": 5, f"score {future:%Y-%m-%d %H:%M}": 6, "score_3h": "many"}
    report = bring(warehouse, tmp_path, "w.csv", table([wide_row]))
    assert (report.new_submissions, report.new_observations, report.emptied) == (1, 1, 2)
    with pytest.raises(ArchiveError, match="yet to come"):
        bring(warehouse, tmp_path, "d.ndjson", lines([fields("a2") | {"score": 1}]), observed_at=future)


def test_forgotten_posts_get_no_readings(warehouse, tmp_path):
    know(warehouse, tmp_path, "a0", "a1")
    with warehouse.write() as writer:
        writer.execute("DELETE FROM raw.submissions WHERE post_id = 'a0'")
        writer.execute(
            "INSERT INTO raw.tombstones BY NAME SELECT 'a0' AS post_id, 'by_request' AS reason, "
            "now()::TIMESTAMP AS first_seen_at, first_seen_at AS last_seen_at, first_seen_at AS forgotten_at"
        )
    try:
        rows = [{"id": post, "retrieved_at": (BORN + HOUR).isoformat(), "score": 7} for post in ("a0", "a1")]
        report = bring(warehouse, tmp_path, "r.csv", table(rows))
        assert {post for post, *_ in stored(warehouse)} == {"a1"}
        assert report.unknown == 0
    finally:
        with warehouse.write() as writer:
            writer.execute("DELETE FROM raw.tombstones")


def test_readings_of_other_communities_are_left_out(warehouse, tmp_path):
    know(warehouse, tmp_path, "a0")
    path = tmp_path / "r.csv"
    path.write_text(table([{"id": "a0", "retrieved_at": (BORN + HOUR).isoformat(), "score": 7}]), encoding="utf-8")
    report = import_archive(path, ["aww", "cats"], warehouse, KEY)
    assert (report.other_subreddit, report.new_observations, stored(warehouse)) == (1, 0, set())


def test_places_in_listings_come_with_the_readings(warehouse, tmp_path):
    know(warehouse, tmp_path, "a0")
    at = BORN + HOUR
    rows = [
        {"id": "a0", "read_at": at.isoformat(), "score": 7, "listing": "r/pics/rising", "rank": 3},
        {"id": "a0", "read_at": (at + HOUR).isoformat(), "score": 8, "listing": "r/all/hot", "rank": 3},
    ]
    bring(warehouse, tmp_path, "r.csv", table(rows))
    bring(warehouse, tmp_path, "r.ndjson", lines([{**row, "position": 2} for row in rows]))
    found = warehouse.query("SELECT post_id, subreddit, seen_at, listing, rank FROM raw.sightings").to_pylist()
    assert [tuple(row.values()) for row in found] == [("a0", "pics", at.replace(tzinfo=None), "rising", 2)]
    assert len(stored(warehouse)) == 2


def test_an_interrupted_import_of_readings_goes_on(warehouse, tmp_path, monkeypatch):
    know(warehouse, tmp_path, "a0", "a1")
    rows = [
        {"id": post, "time": (BORN + hours * HOUR).isoformat(), "score": hours}
        for hours in range(1, 21)
        for post in ("a0", "a1", "zz")
    ]
    monkeypatch.setattr(imports, "_CHUNK_SIZE", 7)
    store = imports._Pass.store
    times = count()

    def stop(self, chunk, *more):
        if next(times) == 3:
            raise KeyboardInterrupt
        store(self, chunk, *more)

    with monkeypatch.context() as patch:
        patch.setattr(imports._Pass, "store", stop)
        with pytest.raises(KeyboardInterrupt):
            bring(warehouse, tmp_path, "r.csv", table(rows))
    before = len(stored(warehouse))
    report = bring(warehouse, tmp_path, "r.csv", table(rows))
    assert 0 < before < 40 == len(stored(warehouse))
    assert report.resumed_after > 1
    assert (report.total.readings, report.unknown, report.new_observations) == (40, 20, 40)


def test_a_dump_of_comments_is_none_of_readings(warehouse, tmp_path):
    know(warehouse, tmp_path, "a0")
    comment = {"id": "a0", "body": "Nice", "score": 5, "retrieved_on": int((BORN + HOUR).timestamp())}
    with pytest.raises(ArchiveError, match="no title"):
        bring(warehouse, tmp_path, "RC.ndjson", lines([comment]))
    with pytest.raises(ArchiveError, match="no column for title, time, url"):
        bring(warehouse, tmp_path, "RC.csv", table([comment]))
    assert stored(warehouse) == set()


def test_it_is_said_what_a_table_of_readings_is(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("name,timestamp,score,ratio\nt3_a0,2021-03-01 13:00,5,0.9\n", encoding="utf-8")
    columns = columns_of(path)
    meant = {meaning.word: (meaning.source, meaning.how) for meaning in columns.meanings}
    assert columns.of_readings
    assert meant["read"] == ("`timestamp`", "ISO without zone, taken as UTC")
    assert meant["rows"][0] == "readings of posts that are known"
    report = check_archive(path, ["pics", "aww"])
    assert (report.checked, report.posts, report.observed_at_rules) == (1, 0, ("observed_at",))


def test_a_time_beside_that_of_the_post_is_of_the_reading_where_posts_come_again(tmp_path):
    def meant(*rows):
        path = tmp_path / f"t{next(NUMBERS)}.csv"
        read = [{"id": post, "timestamp": f"2021-03-02 1{hour}:00", "score": 1} for post, hour in rows]
        path.write_text(table([fields("a0") | each for each in read]), encoding="utf-8")
        return columns_of(path).headers

    once = [(f"a{number}", number % 3) for number in range(600)]
    assert "observed_at" not in meant(*once)
    assert meant(*once, ("a0", 5))["observed_at"] == "timestamp"  # far behind the rows that are looked at first


@pytest.mark.parametrize(
    ("header", "field", "age"),
    [
        ("score_1h", "score", 1.0),
        ("Score at 24 hours", "score", 24.0),
        ("ups_30min", "score", 0.5),
        ("6h_score", "score", 6.0),
        ("score_hour_12", "score", 12.0),
        ("comments.after.2d", "num_comments", 48.0),
        ("upvote_ratio_3h", "upvote_ratio", 3.0),
        ("72h", "score", 72.0),
    ],
)
def test_ages_in_names_of_columns(header, field, age):
    assert series_of([header]).groups == (({field: header}, timedelta(hours=age)),)


@pytest.mark.parametrize(
    "header", ["score", "score_1", "score2", "thumbnail_width_3h", "utc", "h1", "media_1", "time_1"]
)
def test_other_names_hold_no_reading(header):
    assert series_of([header]).groups == ()
