"""Imports of files into a real warehouse: what is stored, what is left out, and where an interrupted one goes on."""

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from redpop_assets.errors import ArchiveError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives import imports, posts
from redpop_assets.sources.archives.columns import told
from redpop_assets.sources.archives.imports import Imported, check_archive, import_archive
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

BORN = 1_600_000_000
DAY = 86_400
SEEN = datetime(2021, 1, 1, tzinfo=UTC)


def post(number, /, **fields):
    return {
        "id": f"a{number}",
        "subreddit": "pics",
        "title": f"Post {number}",
        "author": f"Author_{number}",
        "created_utc": BORN + number,
        "score": number,
        "url": f"https://i.redd.it/a{number}.jpg",
        **fields,
    }


def dump(path, *records):
    content = "".join(json.dumps(record) + "\n" if isinstance(record, dict) else record for record in records).encode()
    packed = {".zst": zstandard.compress, ".gz": gzip.compress}.get(path.suffix, bytes)(content)
    path.write_bytes(packed)
    return path


@pytest.fixture
def warehouse(tmp_path):
    warehouse = blank_warehouse(tmp_path / "home")
    with warehouse.kept():
        yield warehouse


@pytest.fixture
def key():
    return AuthorKey(bytes(range(32)))


def rows(warehouse, sql):
    return [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]


def bury(warehouse, *post_ids):
    now = datetime(2021, 1, 1)
    warehouse.append(
        "raw.tombstones",
        arrow_table(
            {
                "post_id": post_ids,
                "first_seen_at": [now] * len(post_ids),
                "last_seen_at": [now] * len(post_ids),
                "forgotten_at": [now] * len(post_ids),
                "reason": ["by_request"] * len(post_ids),
            }
        ),
    )


def test_several_communities_in_one_pass(tmp_path, warehouse, key):
    path = dump(
        tmp_path / "RS_2020-09.zst",
        *(post(number, subreddit=name) for number, name in enumerate(["pics", "EarthPorn", "aww", "Pics", "cats"])),
        "broken\n",
        post(9, subreddit=None),
    )
    report = import_archive(path, ["Pics", "EarthPorn", "empty"], warehouse, key, observed_at=SEEN)
    assert report.by_subreddit == {
        "earthporn": Imported(1, 1, 1, 0),
        "empty": Imported(),
        "pics": Imported(2, 2, 2, 0),
    }
    assert (report.posts, report.new_submissions, report.new_observations, report.forgotten) == (3, 3, 3, 0)
    assert (report.broken, report.other_subreddit, report.resumed_after) == (2, 2, 0)
    assert rows(warehouse, "SELECT subreddit, post_id FROM raw.submissions ORDER BY 2") == [
        *[("pics", "a0"), ("earthporn", "a1"), ("pics", "a3")]
    ]
    assert rows(warehouse, "SELECT subreddit, post_id FROM raw.observations ORDER BY 2") == [
        *[("pics", "a0"), ("earthporn", "a1"), ("pics", "a3")]
    ]
    # A file does not say whether its posts still stand.
    assert rows(warehouse, "SELECT count(*) FROM raw.presence") == [(0,)]


def test_the_import_itself_is_on_record(tmp_path, warehouse, key):
    path = dump(tmp_path / "d.ndjson", *map(post, range(3)), "broken\n", post(5, subreddit="aww"))
    import_archive(path, ["pics", "cats"], warehouse, key, observed_at=SEEN)
    (cats, pics) = warehouse.query("SELECT * FROM raw.imports ORDER BY subreddit").to_pylist()
    started, updated, finished = (pics.pop(name) for name in ("started_at", "updated_at", "finished_at"))
    assert started <= updated == finished
    assert pics == {
        "file": "d.ndjson",
        "subreddit": "pics",
        "asked": hashlib.sha256(b"cats,pics").hexdigest(),
        "bytes": path.stat().st_size,
        "bytes_read": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "records": 5,
        "posts": 3,
        "new_posts": 3,
        "new_observations": 3,
        "forgotten": 0,
        "revised_posts": 0,
        "readings": 0,
        "unknown_readings": 0,
        "broken": 1,
        "other_subreddits": 1,
        "observed_at": datetime(2021, 1, 1),
        "observed_at_rules": ["given"],
    }
    assert (cats["posts"], cats["broken"], cats["observed_at_rules"]) == (0, 1, ["given"])


def test_every_row_has_its_own_time(tmp_path, warehouse, key):
    path = dump(
        tmp_path / "d.ndjson",
        post(1, retrieved_on=BORN + 1 * DAY, score=1),
        post(2, retrieved_on=BORN + 2 * DAY),
        post(1, retrieved_on=BORN + 3 * DAY, score=300, title="Edited"),
        post(1, retrieved_on=BORN + 3 * DAY, score=999),
        post(2, retrieved_on=BORN + 1 * DAY),
    )
    report = import_archive(path, "pics", warehouse, key)
    assert report.by_subreddit == {"pics": Imported(5, 2, 4, 0)}
    found = rows(warehouse, "SELECT post_id, observed_at, score FROM raw.observations ORDER BY ALL")
    at = [datetime.fromtimestamp(BORN + days * DAY, UTC).replace(tzinfo=None) for days in range(4)]
    assert found == [("a1", at[1], 1), ("a1", at[3], 300), ("a2", at[1], 2), ("a2", at[2], 2)]
    assert rows(warehouse, "SELECT post_id, discovered_at, json->>'title' FROM raw.submissions ORDER BY 1") == [
        *[("a1", at[1], "Post 1"), ("a2", at[2], "Post 2")]
    ]


def test_places_in_listings_are_kept(tmp_path, warehouse, key):
    record = {"observed_at": "2021-01-01T00:00:00Z", "listing": "r/pics/top?t=week"}
    path = dump(tmp_path / "d.ndjson", *({"data": post(n), **record, "position": n} for n in range(3)))
    import_archive(path, "pics", warehouse, key)
    import_archive(path, "pics", warehouse, key)
    assert rows(
        warehouse, "SELECT post_id, subreddit, seen_at, listing, time_filter, rank FROM raw.sightings ORDER BY 1"
    ) == [(f"a{n}", "pics", datetime(2021, 1, 1), "top", "week", n) for n in range(3)]


def test_forgotten_posts_and_their_crossposts_are_not_stored_again(tmp_path, warehouse, key):
    bury(warehouse, "a1", "gone")
    path = dump(
        tmp_path / "d.ndjson",
        post(1),
        post(2, crosspost_parent="t3_gone"),
        post(3, crosspost_parent_list=[post(99, id="gone", title="Forgotten words")]),
        post(4, crosspost_parent="t3_a2", crosspost_parent_list=[post(98, id="a2")]),
        {"data": post(1), "observed_at": "2021-01-01T00:00:00Z", "listing": "r/pics/new", "position": 0},
    )
    report = import_archive(path, "pics", warehouse, key, observed_at=SEEN)
    assert report.by_subreddit == {"pics": Imported(5, 1, 1, 4)}
    for table in ("submissions", "observations"):
        assert rows(warehouse, f"SELECT post_id FROM raw.{table}") == [("a4",)]
    assert rows(warehouse, "SELECT count(*) FROM raw.sightings") == [(0,)]
    assert rows(warehouse, "SELECT forgotten FROM raw.imports") == [(4,)]


def test_what_an_archive_knows_of_a_removal_counts_as_observed(tmp_path, warehouse, key):
    path = dump(
        tmp_path / "d.ndjson",
        post(1, _meta={"was_deleted_later": True}),
        post(2, _meta={"removal_type": "moderator", "was_deleted_later": True}),
        post(3, removed_by_category="reddit", _meta={"removal_type": "deleted"}),
        post(4, _meta={"was_deleted_later": False, "is_edited": True}),
        post(5, _meta=None),
        post(6, title="[deleted by user]", author="[deleted]"),  # from before Reddit said by whom
        post(7, title="[deleted by user]"),  # which anybody may write
        post(8, _meta={"was_initially_deleted": True, "removal_type": "deleted"}),
        post(9, removed_by_category="deleted", _meta={"was_initially_deleted": True, "removal_type": "deleted"}),
    )
    import_archive(path, "pics", warehouse, key, observed_at=SEEN)
    assert rows(warehouse, "SELECT removed_by_category FROM raw.observations ORDER BY post_id") == [
        *[("unknown",), ("moderator",), ("reddit",), (None,), (None,), ("deleted",), ("unknown",), (None,), (None,)]
    ]
    assert rows(warehouse, "SELECT json->>'removed_by_category' FROM raw.submissions WHERE post_id = 'a1'") == [(None,)]


def stored_json(warehouse, post_id):
    return json.loads(warehouse.scalar("SELECT json FROM raw.submissions WHERE post_id = $id", {"id": post_id}))


PICTURE = {"status": "valid", "e": "Image", "m": "image/jpg", "s": {"u": "https://preview.redd.it/mm.jpg?s=1"}}
UPLOADED = {
    "url": "https://www.reddit.com/gallery/x",
    "is_gallery": True,
    "gallery_data": {"items": [{"media_id": "mm"}]},
}
FIRST, LATER = BORN + 100, BORN + 30 * DAY


def scans():
    """Posts as they are seconds after they were made, and as they are a month later."""
    page = {"url": "https://flickr.com/photos/x/1/", "domain": "flickr.com"}
    preview = {"images": [{"source": {"url": "https://external-preview.redd.it/k.jpg?auto=webp&amp;s=1f"}}]}
    young = [
        post(1, **UPLOADED, media_metadata={"mm": {"status": "unprocessed"}}),
        post(2, **page),
        post(3, removed_by_category="automod_filtered"),
        post(4, selftext="[removed]", removed_by_category="moderator"),
    ]
    old = [post(1, **UPLOADED, media_metadata={"mm": PICTURE}), post(2, **page, preview=preview), post(3), post(4)]
    return [one | {"retrieved_on": FIRST} for one in young], [one | {"retrieved_on": LATER} for one in old]


@pytest.mark.parametrize("order", ["in two files", "backwards", "in one file", "in one file, backwards"])
def test_the_later_scan_is_what_stays(tmp_path, warehouse, key, order):
    young, old = scans()
    files = {
        "in two files": (young, old), "backwards": (old, young),
        "in one file": ([*young, *old],), "in one file, backwards": ([*old, *young],),
    }[order]  # fmt: skip
    reports = [
        import_archive(dump(tmp_path / f"{number}.ndjson", *posts), "pics", warehouse, key)
        for number, posts in enumerate(files)
    ]
    assert [report.by_subreddit["pics"].revised for report in reports] == {
        "in two files": [0, 4], "backwards": [0, 0], "in one file": [4], "in one file, backwards": [0],
    }[order]  # fmt: skip
    for seen in old:
        found = stored_json(warehouse, seen["id"])
        assert {**found, "author": seen["author"]} == seen
    assert rows(warehouse, "SELECT count(*) FROM raw.observations") == [(8,)]
    unrevised = {"in two files": 0, "backwards": 4, "in one file": 0, "in one file, backwards": 4}[order]
    assert rows(warehouse, "SELECT count(*) FROM raw.submissions WHERE revised_at IS NULL") == [(unrevised,)]


def test_what_is_poorer_replaces_nothing_however_late(tmp_path, warehouse, key):
    rich = post(1, **UPLOADED, media_metadata={"mm": PICTURE}, retrieved_on=FIRST)
    import_archive(dump(tmp_path / "rich.ndjson", rich), "pics", warehouse, key)
    before = stored_json(warehouse, "a1")
    poor = [post(1, url=UPLOADED["url"]), post(1, selftext="[removed]"), post(1, removed_by_category="deleted")]
    for number, one in enumerate(poor):
        path = dump(tmp_path / f"poor{number}.ndjson", one | {"retrieved_on": LATER + number})
        assert import_archive(path, "pics", warehouse, key).by_subreddit["pics"].revised == 0
    assert stored_json(warehouse, "a1") == before


def test_a_forgotten_post_is_not_revised_into_being(tmp_path, warehouse, key):
    young, old = scans()
    import_archive(dump(tmp_path / "young.ndjson", *young), "pics", warehouse, key)
    bury(warehouse, "a1")
    report = import_archive(dump(tmp_path / "old.ndjson", *old), "pics", warehouse, key)
    assert (report.by_subreddit["pics"].revised, report.forgotten) == (3, 1)
    assert stored_json(warehouse, "a1")["media_metadata"] == {"mm": {"status": "unprocessed"}}


def test_authors_of_tables_are_one_person_or_nobody(tmp_path, warehouse, key):
    people = [
        "John_Doe_7",
        "u/John_Doe_7",
        " John_Doe_7",
        "/u/john_doe_7/",
        "None",
        "nan",
        "[removed]",
        "NA",
        "",
        "\\N",
        "NULL",
    ]
    path = tmp_path / "authors.csv"
    lines = [f"b{n},title {n},{BORN + n},{n},https://i.redd.it/b{n}.jpg,pics,{name}\n" for n, name in enumerate(people)]
    path.write_text("id,title,created_utc,score,url,subreddit,author\n" + "".join(lines))
    import_archive(path, "pics", warehouse, key, observed_at=SEEN)
    found = rows(
        warehouse,
        "SELECT s.json->>'author', author_present FROM raw.submissions AS s JOIN raw.observations USING (post_id) "
        "ORDER BY substr(post_id, 2)::INTEGER",
    )
    assert found == [*[(key.digest("John_Doe_7"), True)] * 4, *[(None, False)] * 7]


def test_newer_scores_of_the_same_posts_are_readings_beside_the_older_ones(tmp_path, warehouse, key):
    for score, day in ((5, 0), (9, 30)):
        path = dump(tmp_path / "d.ndjson", post(1, score=score), post(2, score=7))
        report = import_archive(path, "pics", warehouse, key, observed_at=SEEN + timedelta(days=day))
        assert (report.new_observations, report.contradicting) == (2, 0)
    readings = "SELECT score FROM raw.observations WHERE post_id = 'a1' ORDER BY observed_at"
    assert rows(warehouse, readings) == [(5,), (9,)]
    # Without a word of when they were read they count as read when the newest post was made, as before.
    import_archive(dump(tmp_path / "d.ndjson", post(1, score=1), post(2, score=7)), "pics", warehouse, key)
    report = import_archive(dump(tmp_path / "e.ndjson", post(1, score=8), post(2, score=7)), "pics", warehouse, key)
    assert (report.new_observations, report.contradicting) == (0, 1)


# Interruptions


class Killed(Exception):
    """Stands for whatever ends a process."""


def interrupted(path, subreddits, warehouse, key, chunks, **options):
    """Import until so many chunks are stored."""
    stored = []

    def stop(chunk):
        stored.append(chunk)
        if len(stored) == chunks:
            raise Killed

    with pytest.raises(Killed):
        import_archive(path, subreddits, warehouse, key, progress=stop, **options)
    return stored[-1]


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(imports, "_CHUNK_SIZE", 5)


def big(path, **fields):
    """Some posts of two communities among others, and broken lines."""
    names = ["pics", "aww", "EarthPorn", "pics"]
    records = [post(n, subreddit=names[n % 4], selftext=str(n) * 9000, **fields) for n in range(24)]
    return dump(path, *records[:9], "broken\n", *records[9:], "broken again\n")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(("name", "chunks"), [("d.ndjson", 1), ("d.ndjson.gz", 2), ("RS_2020-09.zst", 3)])
def test_an_interrupted_import_goes_on_and_ends_like_another(tmp_path, key, name, chunks):
    path = big(tmp_path / name)
    whole, parts = (Warehouse(tmp_path / home, source="test", lock_timeout=10) for home in ("whole", "parts"))
    expected = import_archive(path, ("pics", "earthporn"), whole, key)
    last = interrupted(path, ("pics", "earthporn"), parts, key, chunks)
    again = []
    report = import_archive(path, ("EarthPorn", "pics"), parts, key, progress=again.append)
    assert report.resumed_after == last.position.records
    assert sum(len(chunk.rows) for chunk in again) == 18 - 5 * chunks
    for field in ("by_subreddit", "broken", "other_subreddit", "observed_at_rules"):
        assert getattr(report, field) == getattr(expected, field)
    tables = ("raw.submissions", "raw.observations")
    assert [parts.fingerprint(table) for table in tables] == [whole.fingerprint(table) for table in tables]
    state = "SELECT * EXCLUDE (started_at, updated_at, finished_at) FROM raw.imports ORDER BY subreddit"
    assert rows(parts, state) == rows(whole, state)
    # A finished import is read from the beginning, if somebody asks for that.
    assert import_archive(path, ("pics", "earthporn"), parts, key).resumed_after == 0


@pytest.mark.usefixtures("small_chunks")
def test_a_file_that_changed_is_read_from_the_beginning(tmp_path, warehouse, key):
    path = big(tmp_path / "d.ndjson")
    interrupted(path, "pics", warehouse, key, 2)
    big(path, score=77)
    report = import_archive(path, "pics", warehouse, key)
    assert (report.resumed_after, report.posts, report.new_submissions) == (0, 12, 2)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("subreddits", "options"),
    [(("pics", "aww"), {}), (("aww",), {}), (("pics",), {"observed_at": SEEN + timedelta(days=1)}), (("pics",), {})],
)
def test_another_import_of_the_file_is_no_continuation(tmp_path, warehouse, key, subreddits, options):
    path = big(tmp_path / "d.ndjson")
    interrupted(path, "pics", warehouse, key, 2, observed_at=SEEN)
    assert import_archive(path, subreddits, warehouse, key, **options).resumed_after == 0


@pytest.mark.usefixtures("small_chunks")
def test_an_import_whose_columns_are_told_otherwise_begins_anew(tmp_path, warehouse, key):
    path = tmp_path / "t.csv"
    lines = [f"a{n},t,{BORN + n},{n},{2 * n},x" for n in range(12)]
    path.write_text("\n".join(["id,title,created_utc,votes,stars,url", *lines, ""]))
    asked = {name: told(f"score={name}") for name in ("votes", "stars")}
    interrupted(path, "pics", warehouse, key, 2, columns=asked["votes"])
    report = import_archive(path, "pics", warehouse, key, columns=asked["stars"])
    assert (report.resumed_after, report.posts, report.new_submissions) == (0, 12, 2)
    interrupted(path, "pics", warehouse, key, 2, columns=asked["votes"])
    assert import_archive(path, "pics", warehouse, key, columns=asked["votes"]).resumed_after == 11


def test_a_check_stores_nothing(tmp_path):
    path = dump(tmp_path / "pics.ndjson", post(1), post(2, subreddit=None), post(3, subreddit="aww"), "broken\n")
    report = check_archive(path, ["pics", "cats"])
    assert (report.by_subreddit["pics"], report.by_subreddit["cats"]) == (Imported(2), Imported())
    assert (report.broken, report.other_subreddit, report.observed_at_rules) == (1, 1, ("newest_post",))


@pytest.mark.usefixtures("small_chunks")
def test_a_file_of_the_same_name_elsewhere_is_another_file(tmp_path, warehouse, key):
    path = big(tmp_path / "d.ndjson")
    interrupted(path, "pics", warehouse, key, 2)
    (tmp_path / "other").mkdir()
    other = dump(tmp_path / "other" / "d.ndjson", *(post(n, title="Other") for n in range(100, 103)))
    assert import_archive(other, "pics", warehouse, key).resumed_after == 0


@pytest.mark.usefixtures("small_chunks")
def test_what_goes_wrong_in_a_chunk_leaves_no_trace_of_it(tmp_path, warehouse, key, monkeypatch):
    path = big(tmp_path / "d.ndjson")
    import_archive(dump(tmp_path / "first.ndjson", post(1000)), "pics", warehouse, key)
    before = [warehouse.fingerprint(f"raw.{table}") for table in ("submissions", "observations", "imports")]

    def fail(*_):
        raise Killed

    monkeypatch.setattr(imports._Pass, "rows", fail)  # the last thing that is done before the commit
    with pytest.raises(Killed):
        import_archive(path, "pics", warehouse, key)
    after = [warehouse.fingerprint(f"raw.{table}") for table in ("submissions", "observations", "imports")]
    assert after == before


@pytest.mark.usefixtures("small_chunks")
def test_a_cut_file_keeps_its_place_and_the_whole_one_begins_anew(tmp_path, warehouse, key):
    path = big(tmp_path / "d.ndjson.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    for _ in range(2):
        with pytest.raises(ArchiveError, match="cut or damaged"):
            import_archive(path, "pics", warehouse, key)
    kept = warehouse.scalar("SELECT count(*) FROM raw.submissions")
    assert kept >= 5
    assert rows(warehouse, "SELECT finished_at FROM raw.imports") == [(None,)]
    path.write_bytes(whole)
    report = import_archive(path, "pics", warehouse, key)
    assert (report.resumed_after, report.posts, report.new_submissions) == (0, 12, 12 - kept)


@pytest.mark.usefixtures("small_chunks")
def test_long_stretches_of_others_are_not_read_again(tmp_path, warehouse, key, monkeypatch):
    monkeypatch.setattr(posts, "_LINES_WITHOUT_CHUNK", 50)
    path = dump(tmp_path / "d.ndjson", post(1), *(post(n, subreddit="aww") for n in range(2, 400)))
    last = interrupted(path, "pics", warehouse, key, 3)
    assert (last.rows, last.position.records) == ([], 150)
    report = import_archive(path, "pics", warehouse, key)
    assert (report.resumed_after, report.posts, report.other_subreddit) == (150, 1, 398)


def test_a_list_of_names_without_any(tmp_path, warehouse, key):
    report = import_archive(dump(tmp_path / "d.ndjson", post(1)), (), warehouse, key)
    assert (report.posts, report.other_subreddit) == (0, 1)
