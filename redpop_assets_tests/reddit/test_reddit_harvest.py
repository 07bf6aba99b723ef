"""Harvests over a real server into a real warehouse; and imports of archives."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from redpop_assets.errors import ArchiveError, RedditBusy, SubredditUnavailable
from redpop_assets.reddit.harvest import Harvest
from redpop_assets.reddit.imports import import_archive
from redpop_assets.reddit.listings import Listing
from redpop_assets.reddit.records import AuthorKey
from redpop_assets.storage.schema import load_schema
from redpop_assets.storage.warehouse import Warehouse

NEW = Listing("new")
WEEK = timedelta(days=7)
MONTH = timedelta(days=30)
START = datetime(2026, 5, 1, tzinfo=UTC)


def post(name, created=START, /, **fields):
    return {
        "id": name,
        "subreddit": "pics",
        "title": f"Post {name}",
        "author": f"Author_{name}",
        "created_utc": created.timestamp(),
        "score": 5,
        "url": f"https://i.redd.it/{name}.jpg",
        **fields,
    }


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "home", source="test", lock_timeout=10, schema=load_schema())


@pytest.fixture
def key():
    return AuthorKey(bytes(range(32)))


class Community:
    """What the server knows: posts by id, the pages of `new`, and the time."""

    def __init__(self, server):
        self.now = START
        self.posts = {}
        self.pages = [[]]
        self.asked = []
        self.fails_at = None
        self._reply = server.reply
        server.answer = self.answer

    def shows(self, *pages):
        self.pages = [list(page) for page in pages]
        self.posts.update({post["id"]: post for page in pages for post in page})

    def answer(self, request):
        headers = {"date": format_datetime(self.now, usegmt=True)}
        if request.path.startswith("/api/info"):
            ids = [name.removeprefix("t3_") for name in request.params["id"].split(",")]
            if ids != ["1"]:  # how a client learns the time
                self.asked.append(ids)
            found, after = [self.posts[name] for name in ids if name in self.posts], None
        else:
            number = int(request.params.get("after", "page0").removeprefix("page"))
            if number == self.fails_at:
                return self._reply(b"", status=500, headers=headers)
            found = self.pages[number]
            after = f"page{number + 1}" if number + 1 < len(self.pages) else None
        children = [{"kind": "t3", "data": one} for one in found]
        return self._reply({"kind": "Listing", "data": {"children": children, "after": after}}, headers=headers)


@pytest.fixture
def community(server):
    return Community(server)


@pytest.fixture
def harvest(connect, warehouse, key):
    def start():
        return Harvest("pics", connect(), warehouse, key)

    return start


def test_a_listing_becomes_rows_of_three_tables(community, harvest, warehouse, key):
    community.shows([post("a1"), post("a2")], [post("a3"), post("a1")])
    run = harvest()
    counts = run.read_listing(NEW, depth=1000)
    assert (counts.submissions, counts.new) == (4, 3)
    assert (run.new_submissions, run.new_sightings, run.new_observations) == (3, 3, 3)
    assert run.requests_made == 3  # a login and two pages
    rows = warehouse.query("FROM raw.submissions ORDER BY post_id").to_pylist()
    assert [row["post_id"] for row in rows] == ["a1", "a2", "a3"]
    assert {(row["origin"], row["subreddit"]) for row in rows} == {("listing", "pics")}
    stored = json.loads(rows[0]["json"])
    assert stored == post("a1", author=key.digest("Author_a1"))
    ranks = warehouse.query("SELECT post_id, listing, time_filter, rank FROM raw.sightings ORDER BY rank").to_pylist()
    assert [tuple(row.values()) for row in ranks] == [("a1", "new", "", 0), ("a2", "new", "", 1), ("a3", "new", "", 2)]
    assert warehouse.query("SELECT DISTINCT endpoint, observed_at FROM raw.observations").to_pylist() == [
        {"endpoint": "listing", "observed_at": START.replace(tzinfo=None)}
    ]


def test_the_same_moment_again_adds_nothing(community, harvest, warehouse):
    community.shows([post("a1"), post("a2")])
    harvest().read_listing(NEW, depth=1000)
    tables = ("raw.submissions", "raw.sightings", "raw.observations")
    before = [warehouse.fingerprint(table) for table in tables]
    run = harvest()
    assert run.read_listing(NEW, depth=1000).new == 0
    assert (run.new_submissions, run.new_sightings, run.new_observations) == (0, 0, 0)
    assert [warehouse.fingerprint(table) for table in tables] == before


def test_a_later_look_appends_readings_and_never_overwrites_posts(community, harvest, warehouse):
    community.shows([post("a1", score=5)])
    harvest().read_listing(NEW, depth=1000)
    community.now += timedelta(hours=1)
    community.shows([post("a1", score=90, title="Edited")])
    run = harvest()
    assert run.read_listing(NEW, depth=1000).new == 0
    assert run.new_observations == 1
    assert warehouse.scalar("SELECT json->>'title' FROM raw.submissions") == "Post a1"
    scores = warehouse.query("SELECT score FROM raw.observations ORDER BY observed_at").column("score").to_pylist()
    assert scores == [5, 90]


def test_pages_before_a_failure_are_kept(community, harvest, warehouse, waits):
    community.shows([post("a1")], [post("a2")], [post("a3")])
    community.fails_at = 2
    run = harvest()
    with pytest.raises(RedditBusy):
        run.read_listing(NEW, depth=1000)
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == 2
    assert run.new_submissions == 2
    assert waits
    community.fails_at = None
    assert harvest().read_listing(NEW, depth=1000).new == 1


def test_a_community_that_is_gone_leaves_no_rows(server, harvest, warehouse):
    server.says(server.reply({"reason": "private"}, status=403))
    with pytest.raises(SubredditUnavailable):
        harvest().read_listing(NEW, depth=1000)
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == 0


def test_an_empty_listing_is_no_error(community, harvest):
    run = harvest()
    assert run.read_listing(NEW, depth=1000).submissions == 0
    assert run.reobserve(label_age=WEEK, give_up=MONTH) == 0
    assert community.asked == []


def test_young_posts_are_asked_for_once_until_they_have_their_label(community, harvest):
    community.shows([post(f"b{number}", START - timedelta(days=number)) for number in range(6)])
    run = harvest()
    run.read_listing(NEW, depth=1000)
    assert run.reobserve(label_age=WEEK, give_up=MONTH) == 0  # all of them were just read
    community.shows([])
    community.now += timedelta(days=3)
    run = harvest()
    run.read_listing(NEW, depth=1000)
    assert run.reobserve(label_age=WEEK, give_up=MONTH) == 6
    assert community.asked == [["b5", "b4", "b3", "b2", "b1", "b0"]]  # the oldest first
    assert run.new_observations == 6
    # Two of them were read at their label age, b4 to the second.
    community.now += timedelta(days=1)
    assert harvest().reobserve(label_age=WEEK, give_up=MONTH) == 4
    assert set(community.asked[-1]) == {"b0", "b1", "b2", "b3"}
    # Days later the rest is read past the label age, and then nobody is asked for again.
    community.now += timedelta(days=20)
    assert harvest().reobserve(label_age=WEEK, give_up=MONTH) == 3
    community.now += timedelta(days=1)
    assert harvest().reobserve(label_age=WEEK, give_up=MONTH) == 0


def test_what_is_too_old_is_given_up(community, harvest):
    community.shows([post("c1", START)])
    harvest().read_listing(NEW, depth=1000)
    community.shows([])
    community.now += timedelta(days=31)
    assert harvest().reobserve(label_age=WEEK, give_up=MONTH) == 0


def test_posts_of_other_communities_and_of_archives_are_not_asked_for(community, harvest, warehouse, key, tmp_path):
    community.shows([post("d1")])
    Harvest("earthporn", harvest()._client, warehouse, key).read_listing(NEW, depth=1000)
    (tmp_path / "dump.ndjson").write_text(json.dumps(post("d2")) + "\n", encoding="utf-8")
    import_archive(tmp_path / "dump.ndjson", "pics", warehouse, key, observed_at=START)
    community.now += timedelta(days=1)
    assert harvest().reobserve(label_age=WEEK, give_up=MONTH) == 0


def test_a_removal_is_seen_when_a_young_post_is_read_again(community, harvest, warehouse):
    community.shows([post("e1")])
    harvest().read_listing(NEW, depth=1000)
    community.now += timedelta(days=1)
    community.posts["e1"] = post("e1", removed_by_category="moderator", author="[deleted]")
    assert harvest().reobserve(label_age=WEEK, give_up=MONTH) == 1
    rows = warehouse.query(
        "SELECT removed_by_category, author_present FROM raw.observations ORDER BY observed_at"
    ).to_pylist()
    assert rows == [
        {"removed_by_category": None, "author_present": True},
        {"removed_by_category": "moderator", "author_present": False},
    ]


def test_hundreds_of_young_posts_are_read_in_hundreds(community, harvest):
    community.shows([post(f"f{number}") for number in range(230)])
    harvest().read_listing(NEW, depth=1000)
    community.shows([])
    community.now += timedelta(days=1)
    run = harvest()
    assert run.reobserve(label_age=WEEK, give_up=MONTH) == 230
    assert [len(ids) for ids in community.asked] == [100, 100, 30]


def test_the_other_pages_stay_when_reading_again_fails(community, harvest, warehouse, server):
    community.shows([post(f"g{number:03}") for number in range(150)])
    harvest().read_listing(NEW, depth=1000)
    community.now += timedelta(days=1)
    answer = server.answer

    def fail_second(request):
        return server.reply(b"", status=500) if len(community.asked) == 1 else answer(request)

    run = harvest()
    server.answer = fail_second
    with pytest.raises(RedditBusy):
        run.reobserve(label_age=WEEK, give_up=MONTH)
    assert warehouse.scalar("SELECT count(*) FROM raw.observations WHERE endpoint = 'info'") == 100


# Archives


def dump(path: Path, *posts) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in posts), encoding="utf-8")
    return path


def test_a_dump_becomes_rows_and_a_second_import_none(warehouse, key, tmp_path):
    path = dump(
        tmp_path / "dump.ndjson",
        post("h1", retrieved_on=(START + timedelta(days=9)).timestamp()),
        post("h2", name="t3_h2"),
        {"data": post("h3"), "observed_at": "2026-06-01T00:00:00Z", "listing": "r/pics/top?t=week", "position": 4},
        post("x1", subreddit="aww"),
        {"nothing": True},
    )
    seen = []
    report = import_archive(path, "Pics", warehouse, key, observed_at=START + timedelta(days=30), progress=seen.append)
    assert (report.posts, report.new_submissions, report.new_observations) == (3, 3, 3)
    assert (report.other_subreddit, report.broken, report.broken_samples[0].line) == (1, 1, 5)
    assert set(report.observed_at_rules) == {"given", "observed_at", "retrieved_on"}
    assert seen[-1].bytes_read == seen[-1].bytes_total
    rows = warehouse.query("SELECT post_id, origin, json FROM raw.submissions ORDER BY 1").to_pylist()
    assert [(row["post_id"], row["origin"]) for row in rows] == [
        (name, "archive:dump.ndjson") for name in ("h1", "h2", "h3")
    ]
    assert all("Author_" not in row["json"] for row in rows)
    observed = warehouse.query("SELECT observed_at, endpoint FROM raw.observations ORDER BY post_id").to_pylist()
    assert [row["observed_at"] for row in observed] == [
        datetime(2026, 5, 10),
        datetime(2026, 5, 31),
        datetime(2026, 6, 1),
    ]
    assert {row["endpoint"] for row in observed} == {"archive"}
    assert warehouse.query("SELECT post_id, listing, time_filter, rank FROM raw.sightings").to_pylist() == [
        {"post_id": "h3", "listing": "top", "time_filter": "week", "rank": 4}
    ]
    again = import_archive(path, "pics", warehouse, key, observed_at=START + timedelta(days=30))
    assert (again.posts, again.new_submissions, again.new_observations) == (3, 0, 0)


def test_ids_of_archives_lose_their_prefix(warehouse, key, tmp_path):
    path = dump(tmp_path / "d.ndjson", post("t3_k1"), {**post("k2"), "id": None, "name": "t3_k2"})
    import_archive(path, "pics", warehouse, key, observed_at=START + timedelta(days=30))
    rows = warehouse.query("SELECT post_id, json->>'id' AS id FROM raw.submissions ORDER BY 1").to_pylist()
    assert [(row["post_id"], row["id"]) for row in rows] == [("k1", "k1"), ("k2", "k2")]


def test_what_precedes_a_cut_is_kept(warehouse, key, tmp_path):
    import gzip

    lines = "".join(json.dumps(post(f"m{n}", selftext=str(n) * 500)) + "\n" for n in range(3000)).encode()
    path = tmp_path / "cut.ndjson.gz"
    path.write_bytes(gzip.compress(lines)[:-200])
    with pytest.raises(ArchiveError):
        import_archive(path, "pics", warehouse, key, observed_at=START + timedelta(days=30))
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") >= 2000
