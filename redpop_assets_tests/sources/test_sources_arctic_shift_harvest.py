"""Harvests of Arctic Shift: over HTTP from the sandbox's archive into a real warehouse."""

import json
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from redpop_assets.errors import RedditBusy, SettingsError, SubredditUnavailable
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.refresh.labels import refresh_labels
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.sandbox.arctic_shift import PATH, Traits
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.sources.arctic_shift.client import ArcticShiftClient
from redpop_assets.sources.arctic_shift.harvest import SECOND_READ_BY, ArcticShiftHarvest
from redpop_assets.sources.arctic_shift.source import ArcticShiftSource
from redpop_assets.sources.records import observation_rows, submission_rows
from redpop_assets.sources.services import ARCTIC_SHIFT, SERVICES
from redpop_assets.sources.source import Asked
from redpop_assets.storage import forgetting
from redpop_assets.storage.images import ImageStore
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEY = AuthorKey(bytes(range(32)))
RULE = SERVICES[ARCTIC_SHIFT].label_rule


@dataclass
class Archive:
    """The archive of a world, whose time the test moves."""

    world: World
    clock: Clock
    url: str

    def delete(self, post_id, reason="deleted"):
        body = json.dumps({"post_id": post_id, "reason": reason}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/sandbox/delete", body, method="POST")).close()

    def connect(self, **options):
        options = {"requests_per_second": 10_000, "page_size": 25, "sleep": lambda _: None, **options}
        return ArcticShiftClient(url=self.url + PATH, user_agent="redpop-tests", **options)

    def posts(self):
        return self.world.posts("pics", self.clock.seconds())


@pytest.fixture
def archive():
    world = World(seed=11, subreddits=("pics",), posts_per_subreddit=120, history=timedelta(days=60))
    clock = Clock(world.epoch)
    with running(world, clock, archive=Traits(late=0.05, restored=0.3)) as url:
        yield Archive(world, clock, url)


@pytest.fixture
def warehouse(tmp_path):
    warehouse = blank_warehouse(tmp_path / "home", source="sandbox")
    with warehouse.kept():
        yield warehouse


def harvest(archive, warehouse, name="pics", *, requests=1000, look_back=90 * DAY, client=None):
    with client or archive.connect() as connected:
        run = ArcticShiftHarvest(
            name, connected, warehouse, KEY, look_back=look_back, give_up=30 * DAY, requests=requests
        )
        left = run.walk()
        asked = (0, 0) if left else run.ask_for_the_rest()
    return run, left, asked


def content(warehouse):
    """All that a harvest writes but when and in how many steps it did."""
    return {
        table: warehouse.fingerprint(table)
        for table in ("raw.submissions", "raw.observations", "raw.presence", "raw.sightings")
    }


def readings(warehouse):
    return warehouse.query(
        "WITH made AS (SELECT post_id, to_timestamp((json->>'created_utc')::DOUBLE)::TIMESTAMP AS born "
        "FROM raw.submissions) SELECT post_id, epoch(observed_at - born) / 3600 AS age, score "
        "FROM raw.observations JOIN made USING (post_id) ORDER BY ALL"
    ).to_pylist()


def test_a_first_harvest_reads_what_there_is_with_the_times_at_which_it_was_read(archive, warehouse):
    run, left, asked = harvest(archive, warehouse)
    stored = warehouse.query("SELECT * FROM raw.submissions").to_pylist()
    missed = {post.id for post in archive.posts()} - {row["post_id"] for row in stored}
    assert len(missed) <= 3  # young ones, that the archive has missed so far
    assert (left, asked[1], run.done.new_posts) == (0, 0, len(stored))
    assert {row["origin"] for row in stored} == {ARCTIC_SHIFT}
    found = readings(warehouse)
    assert len(found) == len(stored)
    assert {row["score"] for row in found if row["age"] < 1} == {1}
    assert all(row["age"] < 0.01 or 36 <= row["age"] < 37 for row in found)
    names = {post.author for post in archive.posts()}
    assert not [name for row in stored for name in names if name in row["json"]]
    assert warehouse.scalar("SELECT count(*) FROM raw.presence") == 0


def test_again_it_adds_nothing_and_asks_little(archive, warehouse):
    harvest(archive, warehouse)
    before = content(warehouse)
    run, *_ = harvest(archive, warehouse)
    assert content(warehouse) == before
    assert run.requests_made <= 5
    assert (run.done.new_posts, run.done.new_observations) == (0, 0)


def test_each_post_has_two_readings_once_it_is_followed_and_those_missed_first_come_later(archive, warehouse):
    harvest(archive, warehouse)
    begun = archive.clock.now()
    for _ in range(8):
        archive.clock.advance(12 * HOUR)
        harvest(archive, warehouse)
    settled = archive.clock.seconds() - SECOND_READ_BY.total_seconds()
    there = {row["post_id"] for row in warehouse.query("SELECT post_id FROM raw.submissions").to_pylist()}
    assert {post.id for post in archive.posts() if post.created < settled} <= there
    ages: dict[str, list[float]] = {}
    for row in readings(warehouse):
        ages.setdefault(row["post_id"], []).append(row["age"])
    followed = [post for post in archive.posts() if begun.timestamp() < post.created < settled]
    assert len(followed) > 3
    assert all(ages[post.id][-1] >= RULE.age / HOUR for post in followed)
    assert sum(len(ages[post.id]) == 2 for post in followed) >= len(followed) - 1
    # And all of them are labels, none of which counts as known before it could be.
    refresh_posts(warehouse, "pics", allow_over_18=False, progress=lambda _: None)
    refresh_labels(warehouse, "pics", RULE)
    labels = warehouse.query("SELECT post_id, source, age_at_label_hours AS age FROM core.labels").to_pylist()
    assert {row["source"] for row in labels} == {ARCTIC_SHIFT}
    assert all(RULE.age / HOUR <= row["age"] <= RULE.final_age / HOUR for row in labels)
    posts = warehouse.query("SELECT post_id, created_at FROM core.posts").to_pylist()
    old = {row["post_id"] for row in posts if row["created_at"].replace(tzinfo=UTC).timestamp() < settled}
    assert old == {row["post_id"] for row in labels}


@dataclass
class Killed(Exception):
    """Stands in for a kill: nothing behind it is done."""


@dataclass
class DyingClient:
    """A client that is killed behind so many pages."""

    client: ArcticShiftClient
    pages: int
    given: int = field(default=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def __getattr__(self, name):
        return getattr(self.client, name)

    def posts(self, *arguments, **options):
        for page in self.client.posts(*arguments, **options):
            if self.given == self.pages:
                raise Killed
            self.given += 1
            yield page


@pytest.mark.parametrize("pages", [0, 1, 3, 5])
def test_a_kill_loses_nothing_and_doubles_nothing(archive, warehouse, tmp_path, pages):
    whole = blank_warehouse(tmp_path / "whole", source="sandbox")
    harvest(archive, whole)
    with pytest.raises(Killed):
        harvest(archive, warehouse, client=DyingClient(archive.connect(), pages))
    stored = warehouse.scalar("SELECT count(*) FROM raw.submissions")
    assert stored >= 20 * pages
    run, *_ = harvest(archive, warehouse)
    assert content(warehouse) == content(whole)
    assert run.done.new_posts == whole.scalar("SELECT count(*) FROM raw.submissions") - stored
    assert run.requests_made <= 12 - pages


def test_the_budget_of_requests_is_kept_and_the_next_harvest_goes_on(archive, warehouse, tmp_path):
    whole = blank_warehouse(tmp_path / "whole", source="sandbox")
    harvest(archive, whole)
    left = []
    while not left or left[-1]:
        run, walks, _ = harvest(archive, warehouse, requests=2)
        assert run.requests_made <= 4
        left.append(walks)
        assert len(left) < 20
    assert len(left) > 2
    assert content(warehouse) == content(whole)


def test_it_looks_back_as_far_as_it_is_told(archive, warehouse):
    harvest(archive, warehouse, look_back=20 * DAY)
    oldest = archive.clock.now() - 20 * DAY
    first = warehouse.scalar("SELECT min((json->>'created_utc')::DOUBLE) FROM raw.submissions")
    assert oldest <= datetime.fromtimestamp(first, UTC) < oldest + 3 * DAY


def test_what_is_deleted_by_the_second_reading_is_forgotten_and_stays_so(archive, warehouse, tmp_path):
    archive.clock.advance(6 * HOUR)
    harvest(archive, warehouse)
    young = [post for post in archive.posts() if archive.clock.seconds() - post.created < 24 * 3600]
    stored = {row["post_id"] for row in warehouse.query("SELECT post_id FROM raw.submissions").to_pylist()}
    victim = next(post for post in reversed(young) if post.id in stored and post.removal is None)
    archive.delete(victim.id)
    archive.clock.advance(3 * DAY)
    harvest(archive, warehouse)
    due = forgetting.due(warehouse, "pics")
    assert due[victim.id] == "removed_by_deleted"
    forgetting.forget(warehouse, ImageStore(tmp_path / "images"), due)
    run, *_ = harvest(archive, warehouse, look_back=90 * DAY)
    assert run.done.new_posts == 0
    fresh = warehouse.query("SELECT post_id FROM raw.submissions").column("post_id").to_pylist()
    assert victim.id not in fresh


def test_what_is_removed_at_first_and_stands_later_stands(archive, warehouse):
    for passes in (DAY, 2 * DAY):
        archive.clock.advance(passes)
        harvest(archive, warehouse)
    restored = warehouse.query(
        "SELECT post_id FROM raw.submissions SEMI JOIN "
        "(FROM raw.observations WHERE removed_by_category = 'automod_filtered') USING (post_id)"
    )
    ids = restored.column("post_id").to_pylist()
    assert ids
    settled = archive.clock.seconds() - SECOND_READ_BY.total_seconds()
    made = {post.id: post.created for post in archive.posts()}
    now = warehouse.query(
        "SELECT post_id, arg_max_null(removed_by_category, observed_at) AS removed FROM raw.observations GROUP BY ALL"
    ).to_pylist()
    states = {row["post_id"]: row["removed"] for row in now}
    assert {states[post_id] for post_id in ids if made[post_id] < settled} == {None}
    assert forgetting.due(warehouse, "pics").keys().isdisjoint(ids)


def test_posts_that_reddit_gave_are_asked_for_by_id_when_the_key_is_gone(archive, warehouse):
    """Their second reading may have been missed by whoever held the key; the archive has it."""
    now = archive.clock.now()
    young = [post for post in archive.posts() if 5 * DAY.total_seconds() < now.timestamp() - post.created < 25 * 86_400]
    rows = [{"id": post.id, "subreddit": "pics", "created_utc": post.created, "score": 3} for post in young]
    with warehouse.write() as writer:
        for row in rows:
            when = datetime.fromtimestamp(row["created_utc"], UTC) + HOUR
            writer.append("raw.submissions", submission_rows([row], subreddit="pics", discovered_at=when))
            writer.append(
                "raw.observations",
                observation_rows([row], subreddit="pics", observed_at=when, endpoint="listing"),
            )
        writer.execute(
            "INSERT INTO raw.listing_reads BY NAME SELECT 'pics' AS subreddit, 'new' AS listing, '' AS time_filter, "
            "$at AS read_at, 1 AS posts, 1 AS new_posts, 1 AS requests, 'end' AS ended, $at AS newest_created_at",
            {"at": (now - 4 * DAY).replace(tzinfo=None)},
        )
    run, _, asked = harvest(archive, warehouse)
    assert asked == (len(young), 0)
    assert run.readings[0].overlapped is True
    labelled = {row["post_id"] for row in readings(warehouse) if row["age"] > 30}
    assert {post.id for post in young} <= labelled
    assert harvest(archive, warehouse)[2] == (0, 0)
    assert warehouse.scalar("SELECT count(*) FROM raw.presence") == 0


def test_a_community_that_does_not_exist_is_told_from_one_without_new_posts(archive, warehouse):
    for _ in range(2):
        with pytest.raises(SubredditUnavailable, match="r/nosuchthing and does not know it: check the spelling"):
            harvest(archive, warehouse, "nosuchthing")
    harvest(archive, warehouse, look_back=HOUR)
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") < 3


def test_an_archive_that_is_down_keeps_what_was_read(archive, warehouse):
    with pytest.raises(RedditBusy):
        harvest(
            archive,
            warehouse,
            client=ArcticShiftClient(
                url="http://127.0.0.1:1",
                user_agent="redpop-tests",
                requests_per_second=10_000,
                timeout=1,
                sleep=lambda _: None,
            ),
        )
    assert warehouse.scalar("SELECT count(*) FROM raw.listing_reads") == 0
    harvest(archive, warehouse)
    assert warehouse.scalar("SELECT count(*) FROM raw.submissions") > 100


def test_what_the_archive_says_of_the_community_is_asked_for_once_a_day(archive, warehouse):
    def count():
        heard = Heard()
        with archive.connect() as client:
            source = ArcticShiftSource(
                client, warehouse, lambda: KEY, look_back=90 * DAY, give_up=30 * DAY, requests=100, address="a"
            )
            done = source.harvest("pics", Asked(), heard)
        assert heard.warned == []
        return done.community_answers, done.community_days, done.requests

    answers, days, requests = count()
    assert answers == 2  # what it is, and its rules
    assert days > 30
    again = count()
    assert again[:2] == (0, 0)
    assert again[2] < requests
    archive.clock.advance(2 * DAY)
    assert count()[1] >= 1
    assert warehouse.scalar("SELECT count(*) FROM core.community_rules WHERE subreddit = 'pics'") >= 3


@dataclass
class Heard:
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def progress(self, message):
        self.said.append(message)

    def warn(self, message):
        self.warned.append(message)


def test_the_source_says_how_far_it_came_and_what_it_cannot(archive, warehouse):
    heard = Heard()
    with archive.connect() as client:
        source = ArcticShiftSource(
            client, warehouse, lambda: KEY, look_back=90 * DAY, give_up=30 * DAY, requests=2, address="http://archive"
        )
        assert "http://archive answers, its time is" in source.answer()
        assert "about 36 hours" in source.answer()
        done = source.harvest("pics", Asked(), heard)
        assert done.left_over == 2
        assert done.new_posts > 0
        assert "the next harvest goes on where this one ended" in heard.warned[0]
        assert any(message.startswith("new: ") for message in heard.said)
        with pytest.raises(SettingsError, match="no listings such as top/week"):
            source.harvest("pics", Asked(listings=("top/week",)), heard)
