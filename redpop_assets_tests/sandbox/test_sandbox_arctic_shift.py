"""The sandbox behind Arctic Shift's API: what the world knows, as far as an archive of two readings can know it."""

import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest

from redpop_assets.errors import RedditBusy, RedditError, SettingsError, SubredditUnavailable
from redpop_assets.sandbox.arctic_shift import PATH, RENEWED, SECOND_READING, Traits
from redpop_assets.sandbox.chaos import SITUATIONS
from redpop_assets.sources.arctic_shift.client import ArcticShiftClient

pytestmark = pytest.mark.integration

DAY = 86_400
FAULTS = [name for name, situation in SITUATIONS.items() if situation.place == "archive"]


def client_of(place, **options) -> ArcticShiftClient:
    """The platform's own client, whose waiting takes no time."""
    options = {"url": place.url + PATH, "user_agent": "redpop-tests", "requests_per_second": 1000.0, **options}
    return ArcticShiftClient(clock=place.waits.clock, sleep=place.waits, **options)


def read(client, name="pics", after=None, before=None):
    return [each for page in client.posts(name, after=after, before=before) for each in page.submissions]


def asked(place, path, **query):
    return place.get(f"{PATH}/api/{path}", params=query)


@pytest.fixture
def quiet(place):
    """A small sandbox without oddities of the archive."""
    return place(posts=80, days=12, archive=Traits(late=0, restored=0, edited=0))


def test_every_post_of_the_world_is_there_once_and_in_order(quiet):
    with client_of(quiet) as client:
        found = read(client)
        names = [each["id"] for each in found]
        assert names == [post.id for post in quiet.world.posts("pics", quiet.now) if post.created < quiet.now - 21]
        assert [each["id"] for page in client.by_ids(names[::3]) for each in page.submissions] == names[::3]
    assert all("selftext_html" not in each for each in found)
    assert all(each["created_utc"] <= each["retrieved_on"] <= each["created_utc"] + 21 for each in found)


def test_a_post_is_read_when_it_is_made_and_once_more_a_day_and_a_half_later(quiet):
    made = quiet.now
    quiet.clock.advance(DAY)
    with client_of(quiet) as client:
        young = {each["id"]: each for each in read(client, after=datetime.fromtimestamp(made + 1, UTC))}
        assert young
        for each in young.values():
            assert (each["score"], each["ups"], each["num_comments"], each["upvote_ratio"]) == (1, 1, 0, 1.0)
            assert "_meta" not in each
        quiet.clock.advance(SECOND_READING + 3600)
        old = {each["id"]: each for page in client.by_ids(list(young)) for each in page.submissions}
        quiet.clock.advance(30 * DAY)
        older = {each["id"]: each for page in client.by_ids(list(young)) for each in page.submissions}
    assert old == older  # nobody reads a third time
    for name, each in old.items():
        post = quiet.world.find(name, quiet.now)
        second = each["_meta"]["retrieved_2nd_on"]
        assert SECOND_READING <= second - each["created_utc"] <= SECOND_READING + 1800
        reading = quiet.world.read(post, second)
        assert (each["score"], each["num_comments"]) == (reading.score, reading.num_comments)
        assert {key for key in each if each[key] != young[name].get(key)} <= {*RENEWED, "_meta"}


def test_deletions_are_known_as_far_as_the_second_reading_saw_them(quiet):
    made = quiet.now
    quiet.clock.advance(DAY)
    posts = [each for each in quiet.world.posts("pics", quiet.now) if made < each.created < quiet.now - 60]
    stand = [each for each in posts if each.removed_at > each.created + 60 * DAY]
    gone, missing, late = stand[:3]
    quiet.post("/sandbox/delete", json={"post_id": gone.id, "reason": "moderator"})
    quiet.post("/sandbox/delete", json={"post_id": missing.id, "reason": "missing"})
    quiet.clock.advance(3 * DAY)
    quiet.post("/sandbox/delete", json={"post_id": late.id, "reason": "deleted"})
    with client_of(quiet) as client:
        (page,) = client.by_ids([gone.id, missing.id, late.id])
    shown = {each["id"]: each for each in page.submissions}
    assert shown[gone.id]["_meta"]["was_deleted_later"] is True
    assert shown[gone.id]["_meta"]["removal_type"] == "moderator"
    assert shown[gone.id]["removed_by_category"] is None  # as of the first reading, which saw it stand
    assert shown[gone.id]["author"] == gone.author
    assert "_meta" not in shown[missing.id]
    assert set(shown[late.id]["_meta"]) == {"retrieved_2nd_on"}


def test_the_worlds_own_removals_hold_here_too(quiet):
    quiet.clock.advance(3 * DAY)
    with client_of(quiet) as client:
        for each in read(client, before=datetime.fromtimestamp(quiet.now - 2 * DAY, UTC)):
            post = quiet.world.find(each["id"], quiet.now)
            later = each["retrieved_on"] < post.removed_at <= each["_meta"]["retrieved_2nd_on"]
            assert each["_meta"].get("was_deleted_later", False) == later
            assert each["_meta"].get("removal_type") == (post.removal if later else None)


def test_posts_that_the_first_reading_missed_or_saw_removed(place):
    sandbox = place(posts=150, days=12, archive=Traits(late=0.3, restored=0.3, edited=1))
    made = sandbox.now
    sandbox.clock.advance(DAY)
    after = datetime.fromtimestamp(made + 1, UTC)
    with client_of(sandbox) as client:
        first = {each["id"]: each for each in read(client, after=after)}
        sandbox.clock.advance(2 * DAY)
        second = {each["id"]: each for each in read(client, after=after, before=after + timedelta(hours=23))}
    late = {name for name, each in second.items() if each["_meta"].get("note") == "initially_unavailable"}
    restored = {name for name, each in second.items() if each["_meta"].get("was_initially_deleted")}
    assert late
    assert restored
    assert not late & first.keys()
    assert all(second[name]["retrieved_on"] == second[name]["_meta"]["retrieved_2nd_on"] for name in late)
    for name in restored:
        assert first[name]["removed_by_category"] == second[name]["_meta"]["removal_type"] == "automod_filtered"
        assert second[name]["removed_by_category"] is None


@pytest.mark.parametrize(
    "traits",
    [
        {"inclusive": True},
        {"longest_window": 5 * DAY, "largest_page": 50},
        {"times": "text"},
        {"times": "float"},
        {"least_auto": 100, "most_auto": 100},
    ],
)
def test_whatever_the_archive_does_not_promise_the_client_bears(place, traits, caplog):
    sandbox = place(posts=250, archive=Traits().changed(traits))
    caplog.set_level(logging.ERROR)
    with client_of(sandbox) as client:
        names = [each["id"] for each in read(client)]
    archived = [post.id for post in sandbox.world.posts("pics", sandbox.now)]
    assert names == [name for name in archived if name in set(names)]
    assert len(names) == len(set(names)) >= len(archived) - 6  # those that the first reading missed


def test_a_burst_is_read_to_its_end(place):
    sandbox = place("post-bursts", posts=20, days=10, archive=Traits(late=0, most_auto=300))
    sandbox.clock.advance(10 * DAY)
    with client_of(sandbox) as client:
        names = [each["id"] for each in read(client)]
    truth = [line["id"] for line in map(json.loads, sandbox.get("/sandbox/truth?subreddit=pics").text.splitlines()[1:])]
    assert len(names) == len(set(names)) > 1000
    assert set(truth) >= set(names)
    assert len(set(truth) - set(names)) < 10


def test_communities_rules_and_members(quiet):
    with client_of(quiet) as client:
        about = client.community("PICS")
        assert (about["display_name"], about["over18"]) == ("pics", False)
        assert about["submission_type"] in ("any", "link")
        assert about["subscribers"] == quiet.world.subscribers("pics", about["retrieved_on"])
        assert client.community("nowhere") is None
        rules = client.rules(["pics", "nowhere", "EarthPorn"])
        assert set(rules) == {"pics", "EarthPorn"}
        assert all(rule["short_name"] and rule["retrieved_on"] < quiet.now for of in rules.values() for rule in of)
        quiet.clock.advance(10 * DAY)
        members = client.subscribers("pics", after=quiet.clock.now() - timedelta(days=5))
        assert len(members) == 6
        assert all(later[1] > earlier[1] for earlier, later in pairwise(members[:-1]))
        assert client.subscribers("nowhere", after=None) == []
        with pytest.raises(SubredditUnavailable):
            read(client, "nowhere")
    counts = asked(quiet, "time_series", key="r/pics/posts/count", precision="day").json()["data"]
    assert sum(each["value"] for each in counts) == quiet.world.count("pics", quiet.now)
    scores = asked(quiet, "time_series", key="r/pics/posts/sum_score", precision="day").json()["data"]
    assert [each["date"] for each in scores] == [each["date"] for each in counts]


def test_the_time_is_the_worlds_and_so_are_the_limits(place):
    sandbox = place(posts=20, archive=Traits(requests_per_minute=3))
    answer = asked(sandbox, "posts/ids", ids="a")
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == int(sandbox.now)
    assert answer.headers["x-ratelimit-remaining"] == "2"
    for _ in range(2):
        asked(sandbox, "posts/ids", ids="a")
    refused = asked(sandbox, "posts/ids", ids="a")
    assert (refused.status_code, refused.json()["error"]) == (429, "Too many requests")
    assert 0 < int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize("dates", ["seconds", "milliseconds", "iso", "space", "zulu"])
def test_dates_are_understood_in_all_their_spellings(quiet, dates):
    at = quiet.world.epoch - timedelta(days=10)
    text = {
        "seconds": str(int(at.timestamp())),
        "milliseconds": str(int(at.timestamp()) * 1000),
        "iso": at.replace(tzinfo=None).isoformat(),
        "space": f"{at:%Y-%m-%d %H:%M:%S}",
        "zulu": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
    }[dates]
    for query in ({"after": text}, {"after": "10d"}):
        found = asked(quiet, "posts/search", subreddit="r/pics", sort="asc", limit="auto", **query).json()["data"]
        assert found[0]["created_utc"] > at.timestamp()
        assert len(found) == sum(post.created > at.timestamp() for post in quiet.world.posts("pics", quiet.now - 21))
    newest = asked(quiet, "posts/search", subreddit="pics", limit="1", fields="id,score").json()["data"]
    assert [set(each) for each in newest] == [{"id", "score"}]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("posts/search", {}),
        ("posts/search", {"subreddit": "pics", "limit": "0"}),
        ("posts/search", {"subreddit": "pics", "limit": "1000"}),
        ("posts/search", {"subreddit": "pics", "sort": "new"}),
        ("posts/search", {"subreddit": "pics", "after": "soon"}),
        ("posts/search", {"subreddit": "pics", "over_18": "perhaps"}),
        ("posts/search", {"subreddit": "pics", "sort_by": "score"}),
        ("posts/ids", {}),
        ("posts/ids", {"ids": "a!"}),
        ("posts/ids", {"ids": ",".join(map(str, range(501)))}),
        ("time_series", {"key": "r/pics/votes", "precision": "day"}),
        ("time_series", {"key": "r/pics/subscribers", "precision": "century"}),
    ],
)
def test_a_wrong_query_is_refused_in_the_archives_way(quiet, path, query):
    answer = asked(quiet, path, **query)
    assert answer.status_code == 400
    assert answer.json()["data"] is None
    assert answer.json()["error"]
    assert set(answer.json()) == {"data", "error"}


@pytest.mark.parametrize("name", FAULTS)
def test_the_client_of_the_platform_survives_each_fault(place, name):
    sandbox = place(name, posts=60)
    sandbox.chaos.switch(rates={name: 0.3})
    with client_of(sandbox) as client:
        undisturbed = None
        for _ in range(6):
            names = [each["id"] for each in read(client)]
            undisturbed = undisturbed or names
            assert names == undisturbed
            assert len(names) > 50
    assert sandbox.chaos.report()[name]["thrown"] >= 2


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_lasts_is_told_in_a_sentence(place, name):
    sandbox = place(name, posts=20)
    sandbox.chaos.switch(rates={name: 1})
    with (
        client_of(sandbox) as client,
        pytest.raises((RedditBusy, RedditError), match=r"un again|REDPOP_ARCTIC_SHIFT_URL"),
    ):
        read(client)


def test_the_panel_shows_and_changes_how_the_archive_behaves(quiet):
    traits = quiet.get("/sandbox/arctic_shift").json()
    assert traits["late"] == 0
    assert quiet.post("/sandbox/arctic_shift", json={"longest_window": 60}).json()["longest_window"] == 60
    given_up = asked(quiet, "posts/search", subreddit="pics")
    assert given_up.status_code == 422
    assert "out" in given_up.json()["error"].lower()
    for wrong in ({"colour": 1}, {"late": "much"}, {"times": "sundial"}, {"least_auto": 0}, [], {"late": -1}):
        answer = quiet.post("/sandbox/arctic_shift", json=wrong)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    quiet.post("/sandbox/arctic_shift", json={"longest_window": None, "unknown": True})
    with client_of(quiet) as client, pytest.raises(SubredditUnavailable, match="not found"):
        read(client, "nowhere", after=quiet.world.epoch)
    with pytest.raises(SettingsError):
        Traits().changed({"most_auto": 1})
