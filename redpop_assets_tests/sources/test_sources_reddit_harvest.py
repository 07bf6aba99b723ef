"""Harvests over a real server into a real warehouse; and imports of archives."""

import json
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from redpop_assets.errors import ArchiveError, RedditBusy, RedditError, SubredditUnavailable
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.sources.listings import Listing
from redpop_assets.sources.reddit.client import RedditClient
from redpop_assets.sources.reddit.harvest import OVERLAP, Harvest
from redpop_assets.sources.reddit.plan import Maturation, PlannedListing
from redpop_assets.storage import forgetting
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
NEW = PlannedListing.parse("new")
USUAL = Maturation((HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY), 7 * DAY, 30 * DAY)
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


def naive(moment):
    return moment.replace(tzinfo=None)


@pytest.fixture
def warehouse(tmp_path):
    warehouse = blank_warehouse(tmp_path / "home")
    with warehouse.kept():
        yield warehouse


@pytest.fixture
def key():
    return AuthorKey(bytes(range(32)))


class Community:
    """What the server knows: posts by id, the pages of every listing, and the time, which each answer moves on."""

    def __init__(self, server):
        self.now = START
        self.takes = timedelta(0)
        self.posts = {}
        self.pages = [[]]
        self.asked = []
        self.pages_read = []
        self.fails_at = None
        self.before = lambda: None
        self._reply = server.reply
        server.answer = self.answer

    def shows(self, *pages):
        self.pages = [list(page) for page in pages]
        self.posts.update({post["id"]: post for page in pages for post in page})

    def is_made_of(self, posts):
        """`new`, a hundred posts a page, cut where Reddit cuts it."""
        newest = sorted(posts, key=lambda post: -post["created_utc"])[:1000]
        self.shows(*([newest[at : at + 100] for at in range(0, len(newest), 100)] or [[]]))

    def answer(self, request):
        self.before()
        self.now += self.takes
        headers = {"date": format_datetime(self.now, usegmt=True)}
        if request.path.startswith("/api/info"):
            ids = [name.removeprefix("t3_") for name in request.params["id"].split(",")]
            if ids != ["1"]:  # how a client learns the time
                self.asked.append(ids)
            found, after = [self.posts[name] for name in ids if name in self.posts], None
        else:
            number = int(request.params.get("after", "page0").removeprefix("page"))
            self.pages_read.append(number)
            if number == self.fails_at:
                return self._reply(b"", status=500, headers=headers)
            found = self.pages[number][: int(request.params["limit"])]
            after = f"page{number + 1}" if number + 1 < len(self.pages) else None
        children = [{"kind": "t3", "data": one} for one in found]
        return self._reply({"kind": "Listing", "data": {"children": children, "after": after}}, headers=headers)


@pytest.fixture
def community(server):
    return Community(server)


@pytest.fixture
def harvest(connect, warehouse, key):
    def start(subreddit="pics", **options):
        return Harvest(subreddit, connect(), warehouse, key, **options)

    return start


def reads(warehouse, *columns):
    rows = warehouse.query(f"SELECT {', '.join(columns)} FROM raw.listing_reads ORDER BY read_at").to_pylist()
    return [tuple(row.values()) for row in rows]


def presence(warehouse):
    rows = warehouse.query("SELECT post_id, checked_at, misses, missing_since FROM raw.presence").to_pylist()
    return {row["post_id"]: (row["checked_at"], row["misses"], row["missing_since"]) for row in rows}


# Listings


def test_a_listing_becomes_rows(community, harvest, warehouse, key):
    community.shows([post("a1"), post("a2")], [post("a3", START - DAY), post("a1")])
    run = harvest()
    reading = run.read_listing(NEW)
    assert (reading.posts, reading.new_posts, reading.requests, reading.ended) == (3, 3, 2, "end")
    assert (run.new_submissions, run.new_sightings, run.new_observations) == (3, 3, 3)
    assert run.requests_made == 4  # a login, the time, and two pages
    rows = warehouse.query("FROM raw.submissions ORDER BY post_id").to_pylist()
    assert [row["post_id"] for row in rows] == ["a1", "a2", "a3"]
    assert {(row["origin"], row["subreddit"]) for row in rows} == {("listing", "pics")}
    stored = json.loads(rows[0]["json"])
    assert stored == post("a1", author=key.digest("Author_a1"))
    ranks = warehouse.query("SELECT post_id, listing, time_filter, rank FROM raw.sightings ORDER BY rank").to_pylist()
    assert [tuple(row.values()) for row in ranks] == [("a1", "new", "", 0), ("a2", "new", "", 1), ("a3", "new", "", 2)]
    assert warehouse.query("SELECT DISTINCT endpoint, observed_at FROM raw.observations").to_pylist() == [
        {"endpoint": "listing", "observed_at": naive(START)}
    ]
    assert presence(warehouse) == dict.fromkeys(("a1", "a2", "a3"), (naive(START), 0, None))
    assert reads(warehouse, "*") == [
        ("pics", "new", "", naive(START), 3, 3, 2, "end", naive(START - DAY), naive(START), None, None, None)
    ]
    assert run.readings == [reading]
    assert run.last_read() == {Listing("new"): naive(START)}


def test_what_comes_again_on_a_later_page_counts_once(community, harvest, warehouse):
    """Posts made meanwhile push the others down."""
    community.takes = SECOND
    community.shows([post("a1"), post("a2")], [post("a2"), post("a3")])
    run = harvest()
    assert run.read_listing(NEW).posts == 3
    rows = warehouse.query("SELECT post_id, rank FROM raw.sightings ORDER BY rank").to_pylist()
    assert [tuple(row.values()) for row in rows] == [("a1", 0), ("a2", 1), ("a3", 3)]
    assert warehouse.scalar("SELECT count(*) FROM raw.observations") == 3


def test_every_page_is_written_before_the_next_is_asked_for(community, harvest, warehouse):
    community.shows([post("a1")], [post("a2")], [post("a3")])
    run = harvest()
    stored = []
    community.before = lambda: stored.append(warehouse.scalar("SELECT count(*) FROM raw.submissions"))
    run.read_listing(NEW)
    assert stored == [0, 0, 1, 2]  # at the question for the time, then at each page


def test_the_same_moment_again_adds_nothing(community, harvest, warehouse):
    community.shows([post("a1"), post("a2")])
    harvest().read_listing(NEW)
    tables = [f"raw.{name}" for name in ("submissions", "sightings", "observations", "presence", "listing_reads")]
    before = [warehouse.fingerprint(table) for table in tables]
    run = harvest()
    assert run.read_listing(NEW).new_posts == 0
    assert (run.new_submissions, run.new_sightings, run.new_observations) == (0, 0, 0)
    assert [warehouse.fingerprint(table) for table in tables] == before


def test_a_later_look_appends_readings_and_never_overwrites_posts(community, harvest, warehouse):
    community.shows([post("a1", score=5)])
    harvest().read_listing(NEW)
    community.now += HOUR
    community.shows([post("a1", score=90, title="Edited")])
    run = harvest()
    assert run.read_listing(NEW).new_posts == 0
    assert run.new_observations == 1
    assert warehouse.scalar("SELECT json->>'title' FROM raw.submissions") == "Post a1"
    scores = warehouse.query("SELECT score FROM raw.observations ORDER BY observed_at").column("score").to_pylist()
    assert scores == [5, 90]
    assert presence(warehouse) == {"a1": (naive(START + HOUR), 0, None)}


def test_a_reading_that_fails_is_recorded_and_its_pages_are_kept(community, harvest, warehouse, waits):
    community.shows([post("a1")], [post("a2")], [post("a3")])
    community.fails_at = 2
    run = harvest()
    with pytest.raises(RedditBusy):
        run.read_listing(NEW)
    assert waits
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == 2
    assert run.new_submissions == 2
    assert reads(warehouse, "posts", "new_posts", "requests", "ended") == [(2, 2, 5, "error")]  # the third page thrice
    assert run.last_read() == {}
    # In the same second of Reddit's clock, which stands still here.
    community.fails_at = None
    assert harvest().read_listing(NEW).new_posts == 1
    assert reads(warehouse, "posts", "new_posts", "ended") == [(3, 1, "end")]
    assert run.last_read() == {Listing("new"): naive(START)}


def test_a_community_that_is_gone_leaves_the_failed_reading_and_no_posts(server, harvest, warehouse):
    answer = server.answer

    def refuse(request):
        return answer(request) if "info" in request.path else server.reply({"reason": "private"}, status=403)

    server.answer = refuse
    with pytest.raises(SubredditUnavailable):
        harvest().read_listing(PlannedListing.parse("top/week"))
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") == 0
    assert reads(warehouse, "listing", "time_filter", "posts", "ended") == [("top", "week", 0, "error")]


def test_an_empty_listing_is_no_error(community, harvest, warehouse):
    run = harvest()
    assert run.read_listing(NEW).posts == 0
    assert run.mature(USUAL).asked == run.recheck(DAY, USUAL).asked == 0
    assert community.asked == []
    community.now += HOUR
    community.shows([post("a1", START + MINUTE)])
    assert harvest().read_listing(NEW).overlapped is True
    assert reads(warehouse, "posts", "ended", "oldest_created_at", "overlapped") == [
        (0, "end", None, None),
        (1, "end", naive(START + MINUTE), True),
    ]


def test_a_reading_stops_at_its_depth_and_at_the_budget(community, harvest, warehouse):
    community.is_made_of([post(f"p{n:03}", START - n * MINUTE) for n in range(250)])
    hot = PlannedListing.parse("hot:150")
    assert (reading := harvest().read_listing(hot)).ended == "depth"
    assert (reading.posts, reading.requests) == (150, 2)
    community.now += HOUR
    run = harvest(requests=3)  # a login, the time, one page
    assert (reading := run.read_listing(hot)).ended == "budget"
    assert (reading.posts, run.requests_left) == (100, 0)
    assert run.last_read() == {Listing("hot"): naive(START)}
    assert warehouse.scalar("SELECT count(*) FROM raw.observations WHERE observed_at > '2026-05-01 00:30:00'") == 100


# Whether `new` joins on


def test_new_is_read_until_it_has_joined_on_and_once_a_day_to_the_bottom(community, harvest):
    posts = [post(f"p{n:03}", START - n * MINUTE) for n in range(350)]
    community.is_made_of(posts)
    first = harvest().read_listing(NEW)
    assert (first.ended, first.overlapped, first.requests) == ("end", None, 4)
    for hour in (1, 8, 16, 23):
        community.now = START + hour * HOUR
        posts += [post(f"h{hour}_{n}", community.now - n * MINUTE) for n in range(40)]
        community.is_made_of(posts)
        reading = harvest().read_listing(NEW)
        assert (reading.ended, reading.overlapped, reading.requests) == ("overlap", True, 1)
        assert reading.new_posts == 40
    community.now = START + DAY - MINUTE
    # Made hours ago, approved by a moderator now.
    posts.append(post("late", START + 2 * HOUR + SECOND))
    community.is_made_of(posts)
    reading = harvest().read_listing(NEW)
    assert (reading.ended, reading.overlapped, reading.new_posts) == ("end", True, 1)


def test_a_page_that_has_just_joined_on_is_not_enough_to_stop(community, harvest):
    posts = [post(f"p{n:03}", START - n * MINUTE) for n in range(300)]
    community.is_made_of(posts)
    harvest().read_listing(NEW)
    community.now += HOUR
    posts += [post(f"q{n:02}", START + (n + 1) * SECOND) for n in range(100 - OVERLAP + 1)]
    community.is_made_of(posts)
    reading = harvest().read_listing(NEW)
    assert (reading.ended, reading.requests, reading.overlapped) == ("overlap", 2, True)


def test_a_gap_is_reported_with_its_bounds(community, harvest, warehouse):
    shallow = PlannedListing.parse("new:50")
    community.is_made_of([post(f"p{n:03}", START - n * MINUTE) for n in range(100)])
    harvest().read_listing(shallow)
    community.now += DAY
    flood = [post(f"q{n:03}", START + DAY - n * MINUTE) for n in range(300)]
    community.is_made_of(flood)
    reading = harvest().read_listing(shallow)
    assert (reading.ended, reading.overlapped) == ("depth", False)
    assert (reading.gap_from, reading.gap_to) == (naive(START), naive(START + DAY - 49 * MINUTE))
    # What is lost stays lost, but the next reading joins on to this one.
    community.now += HOUR
    assert harvest().read_listing(shallow).overlapped is True
    assert [gap is not None for (gap,) in reads(warehouse, "gap_from")] == [False, True, False]


@pytest.mark.parametrize(("posts", "overlapped"), [(850, True), (950, False)])
def test_a_listing_that_ends_by_itself_is_whole_unless_reddit_cut_it(community, harvest, posts, overlapped):
    community.is_made_of([post("a0", START)])
    harvest().read_listing(NEW)
    community.now += 30 * DAY
    community.is_made_of([post(f"p{n:03}", community.now - n * MINUTE) for n in range(posts)])
    reading = harvest().read_listing(NEW)
    assert (reading.ended, reading.overlapped) == ("end", overlapped)
    assert (reading.gap_from is None) is overlapped


def test_pinned_and_promoted_posts_do_not_look_like_an_overlap(community, harvest):
    shallow = PlannedListing.parse("new:50")
    community.is_made_of([post("a0", START)])
    harvest().read_listing(shallow)
    community.now += DAY
    fresh = [post(f"p{n:03}", community.now - n * MINUTE) for n in range(50)]
    old = START - 300 * DAY
    community.shows([*fresh[:48], post("pinned", old, stickied=True), post("advert", old, subreddit=None)])
    reading = harvest().read_listing(shallow)
    assert (reading.overlapped, reading.gap_to) == (False, naive(community.now - 47 * MINUTE))
    assert reading.oldest_created_at == naive(community.now - 47 * MINUTE)
    assert reading.posts == 50


def test_a_reading_that_was_broken_off_never_moves_the_frontier(community, harvest):
    posts = [post(f"p{n:03}", START - n * MINUTE) for n in range(300)]
    community.is_made_of(posts)
    harvest().read_listing(NEW)
    community.now += HOUR
    posts += [post(f"q{n:03}", community.now - n * SECOND) for n in range(250)]
    community.is_made_of(posts)
    assert (cut := harvest(requests=3).read_listing(NEW)).ended == "budget"
    assert (cut.overlapped, cut.gap_from) == (None, None)
    community.fails_at = 1
    community.now += MINUTE
    with pytest.raises(RedditError):
        harvest().read_listing(NEW)
    community.fails_at = None
    community.now += MINUTE
    reading = harvest().read_listing(NEW)
    assert (reading.ended, reading.requests, reading.overlapped, reading.new_posts) == ("overlap", 3, True, 150)


def test_the_newest_post_of_the_last_reading_may_be_gone(community, harvest):
    posts = [post(f"p{n:03}", START - n * MINUTE) for n in range(120)]
    community.is_made_of(posts)
    harvest().read_listing(NEW)
    community.now += HOUR
    community.is_made_of([*posts[3:], post("q", community.now)])
    assert harvest().read_listing(NEW).overlapped is True


def test_no_post_is_lost_outside_of_a_reported_gap(community, harvest, warehouse):
    """A busy community in bursts, and readings too rare and too shallow for some of them."""
    dice = random.Random(3)
    shallow = PlannedListing.parse("new:30")
    posts, reading_at = [post("p0", START)], START
    for _ in range(14):
        reading_at += dice.choice((10, 60, 240)) * MINUTE
        made = datetime.fromtimestamp(posts[-1]["created_utc"], UTC)
        while (made := made + dice.randrange(1, 900) * dice.choice((SECOND, SECOND, SECOND / 5))) < reading_at:
            posts.append(post(f"p{len(posts)}", made))
        community.now = reading_at
        community.is_made_of(posts)
        harvest().read_listing(shallow)
    known = {row["post_id"] for row in warehouse.query("SELECT post_id FROM raw.submissions").to_pylist()}
    gaps = [gap for gap in reads(warehouse, "gap_from", "gap_to") if gap[0]]
    lost = [datetime.fromtimestamp(post["created_utc"], UTC) for post in posts if post["id"] not in known]
    assert lost
    assert 2 <= len(gaps) < 13
    assert all(any(start < naive(made) < end for start, end in gaps) for made in lost)
    assert all(any(start < naive(made) < end for made in lost) for start, end in gaps)


# Maturing scores


def test_scores_are_read_at_every_scheduled_age_and_then_no_more(community, harvest, warehouse):
    community.shows([post("b1")])
    harvest().read_listing(NEW)
    community.shows([])
    asked_at = []
    for hour in [*range(1, 8), *range(9, 30, 3), *range(36, 11 * 24, 12)]:
        community.now = START + hour * HOUR
        if harvest().mature(USUAL).asked:
            asked_at.append(hour)
    assert asked_at == [1, 3, 6, 12, 24, 48, 72, 96, 120, 144, 168, 192]
    ages = warehouse.query("SELECT observed_at FROM raw.observations WHERE endpoint = 'info' ORDER BY 1")
    assert [row["observed_at"] for row in ages.to_pylist()] == [naive(START + hour * HOUR) for hour in asked_at]


def test_a_late_harvest_reads_once_for_all_ages_it_missed_those_due_longest_first(community, harvest):
    made = [0, 5, 20, 47, 48.5]
    community.shows([post(f"b{n}", START - hours * HOUR) for n, hours in enumerate(made)])
    run = harvest()
    run.read_listing(NEW)
    assert run.mature(USUAL).asked == 0  # readings from listings count
    community.shows([])
    community.now += timedelta(hours=4, minutes=30)
    assert harvest().mature(USUAL).asked == 4
    assert community.asked == [["b0", "b1", "b3", "b2"]]  # due since 3.5 h, 3.5 h, 3.5 h and 0.5 h
    community.now += 24 * HOUR
    assert harvest().mature(USUAL).asked == 5


def test_a_masked_score_is_no_label_and_is_read_again_every_night_until_it_shows(community, harvest):
    community.shows([post("b1", score=1, hide_score=True), post("b2", score=None), post("b3")])
    harvest().read_listing(NEW)
    community.shows([])
    asked = {}
    for day in (*range(1, 11), 12, 13, 28, 29, 31):
        community.now = START + day * DAY
        if day == 12:
            community.posts["b1"] = post("b1", score=77)
        before = len(community.asked)
        harvest().mature(USUAL)
        for ids in community.asked[before:]:
            for post_id in ids:
                asked.setdefault(post_id, []).append(day)
    assert asked["b3"] == [*range(1, 9)]
    assert asked["b1"] == [*range(1, 11), 12]
    assert asked["b2"] == [*range(1, 11), 12, 13, 28, 29]  # given up at 30 days


def test_what_is_too_old_is_given_up(community, harvest):
    community.shows([post("c1", score=None)])
    harvest().read_listing(NEW)
    community.shows([])
    community.now += 31 * DAY
    assert harvest().mature(USUAL).asked == 0


def test_what_the_budget_does_not_reach_comes_first_the_next_time(community, harvest):
    community.is_made_of([post(f"f{number:03}", START - number * SECOND) for number in range(330)])
    harvest().read_listing(NEW)
    community.now += HOUR
    run = harvest(requests=4)  # a login, the time and two hundred posts
    reread = run.mature(USUAL)
    assert (reread.asked, reread.left_over, run.requests_left) == (200, 130, 0)
    assert [len(ids) for ids in community.asked] == [100, 100]
    asked = [post_id for ids in community.asked for post_id in ids]
    assert asked == [f"f{number:03}" for number in range(329, 129, -1)]  # the oldest first
    assert run.recheck(DAY, USUAL).asked == 0
    # Three hours on, those that were read are due again, but not for as long.
    community.now += 2 * HOUR
    assert harvest(requests=4).mature(USUAL).left_over == 130
    asked = [post_id for ids in community.asked[2:] for post_id in ids]
    assert asked[:130] == [f"f{number:03}" for number in range(129, -1, -1)]


def test_the_other_answers_stay_when_reading_again_fails(community, harvest, warehouse, server):
    community.is_made_of([post(f"g{number:03}") for number in range(150)])
    harvest().read_listing(NEW)
    community.now += DAY
    answer = server.answer

    def fail_second(request):
        return server.reply(b"", status=500) if len(community.asked) == 1 else answer(request)

    run = harvest()
    server.answer = fail_second
    with pytest.raises(RedditBusy):
        run.mature(USUAL)
    assert warehouse.scalar("SELECT count(*) FROM raw.observations WHERE endpoint = 'info'") == 100
    assert {misses for _, misses, _ in presence(warehouse).values()} == {0}  # no answer is no miss
    server.answer = answer
    assert harvest().mature(USUAL).asked == 50


def test_a_missing_post_is_not_asked_for_at_every_harvest(community, harvest):
    community.shows([post("h1"), post("h2")])
    harvest().read_listing(NEW)
    community.shows([])
    del community.posts["h1"]
    asked = []
    for hour in range(1, 13):
        community.now = START + hour * HOUR
        if harvest().mature(USUAL).missing:
            asked.append(hour)
    assert asked == [1, 3, 6, 12]


def test_a_removal_is_seen_when_a_young_post_is_read_again(community, harvest, warehouse):
    community.shows([post("e1")])
    harvest().read_listing(NEW)
    community.now += DAY
    community.posts["e1"] = post("e1", removed_by_category="moderator", author="[deleted]")
    assert harvest().mature(USUAL).asked == 1
    rows = warehouse.query(
        "SELECT removed_by_category, author_present FROM raw.observations ORDER BY observed_at"
    ).to_pylist()
    assert rows == [
        {"removed_by_category": None, "author_present": True},
        {"removed_by_category": "moderator", "author_present": False},
    ]


def test_a_post_without_a_time_is_not_in_the_way(community, harvest):
    community.shows([post("n1", created_utc="soon"), post("n2", created_utc=None), post("n3")])
    harvest().read_listing(NEW)
    community.now += DAY
    harvest().mature(USUAL)
    assert community.asked == [["n3"]]


# Whether posts still stand


def test_a_settled_post_is_checked_every_day_and_recorded_only_when_its_state_changes(community, harvest, warehouse):
    community.shows([post("s1", START - 40 * DAY), post("s2", START - 40 * DAY)])
    harvest().read_listing(NEW)
    community.shows([])

    def observations():
        return warehouse.query(
            "SELECT post_id, score, removed_by_category FROM raw.observations "
            "WHERE endpoint = 'info' ORDER BY observed_at"
        ).to_pylist()

    community.now += DAY - HOUR
    assert harvest().recheck(DAY, USUAL).asked == 0
    community.now += HOUR - 5 * MINUTE  # a little early is early enough
    community.posts["s1"] = post("s1", START - 40 * DAY, score=99)
    assert harvest().recheck(DAY, USUAL).asked == 2
    assert observations() == []
    assert presence(warehouse) == dict.fromkeys(("s1", "s2"), (naive(community.now), 0, None))
    assert harvest().recheck(DAY, USUAL).asked == 0
    for state in ("moderator", "moderator", None, None):
        community.now += DAY
        community.posts["s1"] = post("s1", START - 40 * DAY, score=99, removed_by_category=state)
        assert harvest().recheck(DAY, USUAL).asked == 2
    assert observations() == [
        {"post_id": "s1", "score": 99, "removed_by_category": "moderator"},
        {"post_id": "s1", "score": 99, "removed_by_category": None},
    ]
    community.now += DAY
    community.posts["s2"] = post("s2", START - 40 * DAY, author="[deleted]")
    harvest().recheck(DAY, USUAL)
    assert [row["post_id"] for row in observations()] == ["s1", "s1", "s2"]


def test_misses_are_counted_in_a_row(community, harvest, warehouse):
    old = START - 40 * DAY
    community.shows([post("m1", old), post("m2", old)])
    harvest().read_listing(NEW)
    community.shows([])
    gone = community.posts.pop("m1")
    for day in (1, 2, 3):
        community.now = START + day * DAY
        reread = harvest().recheck(DAY, USUAL)
        assert (reread.asked, reread.missing) == (2, 1)
        assert presence(warehouse) == {
            "m1": (naive(community.now), day, naive(START + DAY)),
            "m2": (naive(community.now), 0, None),
        }
    assert warehouse.scalar("SELECT count(*) FROM raw.observations WHERE endpoint = 'info'") == 0
    community.posts["m1"] = gone
    community.now += DAY
    harvest().recheck(DAY, USUAL)
    assert presence(warehouse)["m1"] == (naive(community.now), 0, None)


def test_a_post_that_is_listed_again_is_not_missing(community, harvest, warehouse):
    one, other = post("m1", START - 40 * DAY), post("m2", START - 40 * DAY)
    community.shows([one, other])
    harvest().read_listing(NEW)
    del community.posts["m1"]
    community.now += DAY
    harvest().recheck(DAY, USUAL)
    assert presence(warehouse)["m1"][1] == 1
    community.now += HOUR
    community.shows([one])
    harvest().read_listing(NEW)
    assert presence(warehouse)["m1"] == (naive(community.now), 0, None)


def test_an_answer_without_any_post_says_nothing(community, harvest, warehouse):
    """A community that is closed for some days, a service that is disturbed, or another one than before."""
    community.is_made_of([post(f"c{n:03}", START - 40 * DAY) for n in range(110)])
    harvest().read_listing(NEW)
    closed, community.posts = community.posts, {}
    for day in (1, 2, 3, 4):
        community.now = START + day * DAY
        reread = harvest().recheck(DAY, USUAL)
        assert (reread.asked, reread.missing, reread.doubted) == (110, 0, 110)
        assert set(presence(warehouse).values()) == {(naive(community.now), 0, None)}, "they had their turn"
    assert forgetting.due(warehouse, "pics") == {}
    community.posts = closed
    community.now += DAY
    assert harvest().recheck(DAY, USUAL).doubted == 0


def test_an_answer_that_is_broken_once_says_nothing(community, harvest, warehouse, server):
    community.shows([post(f"b{n:03}", START - 40 * DAY) for n in range(45)])
    harvest().read_listing(NEW)
    community.now += DAY
    answer, broken = server.answer, iter([True])

    def broken_once(request):
        whole = community.posts
        if "t3_b" in request.params.get("id", "") and next(broken, False):
            community.posts = {}
        try:
            return answer(request)
        finally:
            community.posts = whole

    server.answer = broken_once
    reread = harvest()._ask([f"b{n:03}" for n in range(30)], {})
    assert (reread.asked, reread.missing, reread.doubted) == (30, 0, 30)
    assert [len(ids) for ids in community.asked] == [30, 40]
    assert {misses for _, misses, _ in presence(warehouse).values()} == {0}


def test_posts_that_are_missing_alone_are_told_from_a_silent_service_by_those_that_stand(community, harvest, warehouse):
    old = START - 40 * DAY
    community.shows([post(name, old) for name in ("w1", "w2", *(f"s{n:02}" for n in range(12)))])
    harvest().read_listing(NEW)
    del community.posts["w1"], community.posts["w2"]
    for misses in (1, 2, 3):
        community.now = START + 2 * misses * DAY
        reread = harvest()._ask(["w1", "w2"], {})
        assert (reread.asked, reread.missing, reread.doubted) == (2, 2, 0)
        assert presence(warehouse)["w1"] == (naive(community.now), misses, naive(START + 2 * DAY))
    assert forgetting.due(warehouse, "pics") == {"w1": "missing", "w2": "missing"}
    assert len(community.asked[-1]) == 12
    community.posts.clear()
    community.now += DAY
    assert harvest()._ask(["w1", "w2"], {}).doubted == 2
    assert presence(warehouse)["w1"][1] == 3


def test_checks_begin_with_the_oldest_and_go_on_where_the_budget_ended(community, harvest):
    old = START - 40 * DAY
    community.is_made_of([post(f"o{n:03}", old) for n in range(100)])
    harvest().read_listing(PlannedListing.parse("hot"))
    community.now += HOUR
    community.is_made_of([post(f"n{n:03}", old) for n in range(150)])
    harvest().read_listing(PlannedListing.parse("top/all"))
    community.shows([])
    community.now += 2 * DAY
    run = harvest(requests=4)
    reread = run.recheck(DAY, USUAL)
    assert (reread.asked, reread.left_over) == (200, 50)
    assert all(post_id.startswith("o") for post_id in community.asked[0])
    community.now += HOUR
    assert harvest(requests=4).recheck(DAY, USUAL).asked == 50
    assert len({post_id for ids in community.asked for post_id in ids}) == 250


def test_maturing_posts_are_not_checked_twice_a_day(community, harvest):
    community.shows([post("y1")])
    harvest().read_listing(NEW)
    community.shows([])
    asked = 0
    for hour in [*range(1, 8), *range(10, 7 * 24, 5), 7 * 24 - 1]:
        community.now = START + hour * HOUR + (hour % 7) * MINUTE
        run = harvest()
        asked += run.mature(USUAL).asked
        assert run.recheck(DAY, USUAL).asked == 0
    assert asked == 10


def test_a_shorter_period_checks_maturing_posts_too_and_their_scores_are_kept(community, harvest, warehouse):
    community.shows([post("y1", START - 2 * DAY)])
    harvest().read_listing(NEW)
    community.shows([])
    community.now += 7 * HOUR
    run = harvest()
    assert run.mature(USUAL).asked == 0
    assert run.recheck(6 * HOUR, USUAL).asked == 1
    assert warehouse.scalar("SELECT count(*) FROM raw.observations WHERE endpoint = 'info'") == 1


def test_posts_of_other_communities_and_of_archives_are_not_asked_for(community, harvest, warehouse, key, tmp_path):
    community.shows([post("d1")])
    harvest("earthporn").read_listing(NEW)
    import_archive(dump(tmp_path / "dump.ndjson", post("d2")), "pics", warehouse, key, observed_at=START)
    community.now += DAY
    assert harvest().mature(USUAL).asked == harvest().recheck(DAY, USUAL).asked == 0


def test_posts_of_an_archive_of_the_same_reddit_are_checked_and_mature(community, connect, key, tmp_path):
    warehouse = blank_warehouse(tmp_path / "home", source="reddit")
    path = dump(tmp_path / "dump.ndjson", post("d1", START - 900 * DAY), post("d2", START - HOUR), post("d3"))
    import_archive(path, "pics", warehouse, key, observed_at=START)
    community.posts = {"d1": post("d1", START - 900 * DAY, score=8), "d2": post("d2", START - HOUR, score=9)}
    community.now += 4 * HOUR
    run = Harvest("pics", connect(), warehouse, key)
    reread = run.mature(USUAL)
    assert (reread.asked, reread.missing) == (2, 1)
    assert run.recheck(DAY, USUAL).asked == 1
    assert community.asked == [["d3", "d2"], ["d1"]]
    assert {post_id: misses for post_id, (_, misses, _) in presence(warehouse).items()} == {"d1": 0, "d2": 0, "d3": 1}
    rows = warehouse.query("SELECT post_id, score FROM raw.observations WHERE endpoint = 'info'").to_pylist()
    assert rows == [{"post_id": "d2", "score": 9}]


def test_a_promoted_post_stays_in_the_partition_where_it_was_seen_first(community, harvest, warehouse):
    community.shows([post("ad", subreddit=None)])
    harvest("pics").read_listing(NEW)
    community.now += HOUR
    harvest("earthporn").read_listing(NEW)
    assert warehouse.query("SELECT post_id, subreddit, checked_at FROM raw.presence").to_pylist() == [
        {"post_id": "ad", "subreddit": "pics", "checked_at": naive(START)}
    ]


# Forgotten posts


def forget(warehouse, *post_ids):
    with warehouse.write() as writer:
        for table in ("submissions", "sightings", "observations", "presence"):
            writer.execute(f"DELETE FROM raw.{table} WHERE post_id IN (SELECT unnest($ids))", {"ids": list(post_ids)})
        for post_id in post_ids:
            writer.execute(
                "INSERT INTO raw.tombstones VALUES ($id, NULL, NULL, TIMESTAMP '2026-05-01', 'by_request')",
                {"id": post_id},
            )


def test_what_was_forgotten_is_never_stored_again_nor_are_its_copies(community, harvest, warehouse):
    copies = [
        post("x1", crosspost_parent="t3_t1"),
        post("x2", crosspost_parent_list=[{"id": "t1", "title": "Post t1"}]),
        post("x3", crosspost_parent="t3_other", crosspost_parent_list=[{"id": "other"}, None]),
    ]
    community.shows([post("t1"), *copies, post("a1")])
    harvest()
    forget(warehouse, "t1")
    run = harvest()
    reading = run.read_listing(NEW)
    assert (reading.posts, reading.new_posts, run.forgotten) == (2, 2, 3)
    for table in ("submissions", "sightings", "observations", "presence"):
        rows = warehouse.query(f"SELECT post_id FROM raw.{table} ORDER BY 1").column("post_id").to_pylist()
        assert rows == ["a1", "x3"]


def test_what_is_forgotten_while_it_is_asked_for_is_not_stored(community, harvest, warehouse):
    community.shows([post("t1"), post("a1")])
    harvest().read_listing(NEW)
    community.now += DAY
    run = harvest()
    run.now()  # so that the next question is for the posts
    community.before = lambda: forget(warehouse, "t1")
    assert run.mature(USUAL).asked == 2
    for table in ("submissions", "observations", "presence"):
        assert warehouse.query(f"SELECT DISTINCT post_id FROM raw.{table}").column("post_id").to_pylist() == ["a1"]


# Against the sandbox


def test_a_sandbox_week_is_harvested_without_a_gap_and_on_schedule(warehouse, key):
    world = World(seed=5, subreddits=("pics",), posts_per_subreddit=60, history=60 * DAY)
    clock = Clock(world.epoch)
    secret = "a-secret-of-the-sandbox"
    with (
        running(world, clock, secret=secret, budget=100_000) as url,
        RedditClient("id", secret, "linux:redpop-tests:0.1 (by /u/tests)", reddit_url=url, oauth_url=url) as client,
    ):
        for _ in range(16):
            run = Harvest("pics", client, warehouse, key)
            run.read_listing(NEW)
            run.mature(USUAL)
            assert run.recheck(DAY, USUAL).left_over == 0
            clock.advance(12 * HOUR)
        end = clock.seconds() - 12 * 3600
    assert {row[0] for row in reads(warehouse, "overlapped")} == {None, True}
    known = {
        row["post_id"]: row["read"]
        for row in warehouse.query(
            "SELECT post_id, list(observed_at ORDER BY observed_at) AS read FROM raw.observations GROUP BY ALL"
        ).to_pylist()
    }
    living = [one for one in world.posts("pics", end) if one.removed_at > end]
    assert {one.id for one in living} <= known.keys()
    for one in living:
        ages = [moment.replace(tzinfo=UTC).timestamp() - one.created for moment in known[one.id]]
        lived = end - one.created
        for age in (day * 86_400 for day in range(1, 9)):
            if one.created > world.epoch.timestamp() and lived > age:
                assert any(age <= read < age + 13 * 3600 for read in ages), (one.id, age)
    stale = "SELECT count(*) FROM raw.presence WHERE checked_at < $limit"
    assert warehouse.scalar(stale, {"limit": naive(datetime.fromtimestamp(end, UTC)) - DAY}) == 0


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
