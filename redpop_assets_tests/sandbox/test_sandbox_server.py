"""The local Reddit over HTTP: real PRAW against a real server on 127.0.0.1."""

import gzip
import io
import itertools
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import praw
import prawcore
import pytest
import requests
from PIL import Image

from redpop_assets.errors import RedPopError, SettingsError
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.foresight import foreseen
from redpop_assets.sandbox.server import running, serve
from redpop_assets.sandbox.submissions import submission
from redpop_assets.sandbox.world import World

pytestmark = pytest.mark.integration

DAY = 86_400
EPOCH = datetime(2026, 6, 1, 12, tzinfo=UTC)
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "reddit_recorded"


def client(url: str, secret: str = "sandbox") -> praw.Reddit:
    return praw.Reddit(
        client_id="sandbox",
        client_secret=secret,
        user_agent="linux:redpop-tests:0 (by /u/nobody)",
        reddit_url=url,
        oauth_url=url,
        short_url=url,
        check_for_updates=False,
    )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def url(world):
    """A server whose clock stands still at the epoch."""
    with running(world, Clock(world.epoch)) as base:
        yield base


@pytest.fixture(scope="module")
def reddit(url):
    return client(url)


@pytest.fixture
def moving():
    """A server of its own, small, for tests that move the time: (url, world, clock)."""
    world = World(seed=5, posts_per_subreddit=200)
    clock = Clock(world.epoch)
    with running(world, clock) as base:
        yield base, world, clock


def token(url: str) -> dict[str, str]:
    answer = requests.post(
        f"{url}/api/v1/access_token", auth=("any", "sandbox"), data={"grant_type": "client_credentials"}, timeout=5
    )
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def test_praw_walks_new_to_its_end(reddit, world):
    posts = list(reddit.subreddit("PICS").new(limit=None))
    visible = [post for post in world.posts("pics", EPOCH.timestamp()) if EPOCH.timestamp() < post.removed_at]
    assert [post.id for post in posts] == [post.id for post in reversed(visible)]
    assert {str(post.subreddit) for post in posts} == {"pics"}
    assert len(posts) > 930


def test_no_listing_goes_beyond_a_thousand():
    world = World(subreddits=("pics",), posts_per_subreddit=1100)
    with running(world, Clock(world.epoch)) as base:
        reddit = client(base)
        assert len(list(reddit.subreddit("pics").top(time_filter="all", limit=None))) == 1000


def test_hot_has_the_sticky_on_top_of_a_full_page(reddit, url):
    answer = requests.get(
        f"{url}/r/pics/hot", params={"limit": 100, "raw_json": 1}, headers=token(url), timeout=5
    ).json()
    children = answer["data"]["children"]
    assert len(children) == answer["data"]["dist"] == 101
    assert children[0]["data"]["stickied"]
    assert children[0]["data"]["distinguished"] == "moderator"
    assert sum(child["data"]["stickied"] for child in children) == 1
    posts = list(reddit.subreddit("pics").hot(limit=None))
    assert len({post.id for post in posts}) == len(posts)


def test_top_controversial_and_rising_are_ordered_within_their_window(reddit):
    everything = [post.score for post in reddit.subreddit("EarthPorn").top(time_filter="all", limit=300)]
    assert all(first >= second - 20 for first, second in itertools.pairwise(everything))
    week = list(reddit.subreddit("EarthPorn").top(time_filter="week", limit=None))
    assert 60 < len(week) < 180
    assert min(post.created_utc for post in week) > EPOCH.timestamp() - 7 * DAY
    rising = list(reddit.subreddit("EarthPorn").rising(limit=None))
    assert 0 < len(rising) < 40
    assert min(post.created_utc for post in rising) > EPOCH.timestamp() - DAY
    split = list(reddit.subreddit("EarthPorn").controversial(time_filter="month", limit=50))
    assert len(split) == 50


def test_info_answers_in_hundreds_and_leaves_out_what_it_does_not_know(reddit, world):
    posts = world.posts("pics", EPOCH.timestamp())[:250]
    names = [f"t3_{post.id}" for post in posts]
    names[7] = "t3_zzzzzz"
    found = list(reddit.info(fullnames=names))
    assert [post.id for post in found] == [post.id for index, post in enumerate(posts) if index != 7]
    gone = {post.id for post in posts if post.removed_at <= EPOCH.timestamp()}
    assert gone
    assert {post.id for post in found if post.removed_by_category} == gone - {posts[7].id}


def test_wrong_credentials_and_missing_tokens_are_refused(url):
    with pytest.raises(prawcore.ResponseException) as failure:
        next(client(url, "wrong").subreddit("pics").new())
    assert failure.value.response.status_code == 401
    for path in ("/api/info?id=t3_a", "/r/pics/new"):
        answer = requests.get(url + path, timeout=5)
        assert answer.status_code == 401
        assert "invalid_token" in answer.headers["www-authenticate"]
    for authorization in ("Basic !!!", "Basic", "Bearer x", "Basic OnNhbmRib3g="):
        refused = requests.post(f"{url}/api/v1/access_token", headers={"authorization": authorization}, timeout=5)
        assert refused.status_code == 401
    wrong = requests.post(
        f"{url}/api/v1/access_token", auth=("a", "sandbox"), data={"grant_type": "password"}, timeout=5
    )
    assert wrong.json() == {"error": "invalid_grant"}


def test_a_community_that_does_not_exist_redirects_to_the_search(reddit):
    with pytest.raises(prawcore.Redirect) as failure:
        next(reddit.subreddit("nosuchplace").new())
    assert failure.value.path.startswith("/subreddits/search")


def test_what_a_community_is_and_asks_of_posts(reddit):
    pics = reddit.subreddit("pics")
    assert (pics.display_name, pics.over18, pics.subscribers > 0) == ("pics", False, True)
    assert [rule.short_name for rule in pics.rules][:2] == ["No text over pictures", "Say what it is"]
    assert {"title_text_min_length", "is_flair_required"} <= pics.post_requirements().keys()
    with pytest.raises(prawcore.NotFound):
        reddit.subreddit("nowhere").post_requirements()


def test_rate_limit_headers_count_and_the_end_is_a_429(world):
    with running(world, Clock(world.epoch), budget=3) as base:
        headers = token(base)
        seen = [requests.get(f"{base}/r/pics/new?limit=1", headers=headers, timeout=5) for _ in range(4)]
    assert [answer.headers.get("x-ratelimit-used") for answer in seen] == ["1", "2", "3", None]
    assert [answer.headers.get("x-ratelimit-remaining") for answer in seen[:3]] == ["2.0", "1.0", "0.0"]
    assert 0 < int(seen[0].headers["x-ratelimit-reset"]) <= 600
    assert seen[3].status_code == 429
    assert int(seen[3].headers["retry-after"]) > 0


def test_date_is_the_time_of_the_world(url):
    answer = requests.get(f"{url}/r/pics/new?limit=1", headers=token(url), timeout=5)
    assert parsedate_to_datetime(answer.headers["date"]) == EPOCH
    assert len(answer.raw.headers.getlist("date")) == 1


def test_submissions_have_the_fields_of_recorded_ones(url):
    headers = token(url)
    children = requests.get(f"{url}/r/pics/new?limit=100", headers=headers, timeout=5).json()["data"]["children"]
    mine = next(
        child["data"] for child in children if "post_hint" in child["data"] and "author_fullname" in child["data"]
    )
    if not RECORDED.exists():
        pytest.skip("the recorded responses are not on this machine")
    theirs = None
    with gzip.open(RECORDED / "listing_responses.ndjson.gz", "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["recorded_at"] >= "2026":
                listed = [child["data"] for child in record["body_json"]["data"]["children"]]
                theirs = next(
                    data for data in listed if data.get("post_hint") == "image" and not data.get("link_flair_text")
                )
    assert theirs is not None
    assert set(mine) == set(theirs)
    for name, value in theirs.items():
        if value is not None and mine[name] is not None:
            assert type(mine[name]) is type(value), name


def test_pictures_are_served_with_length_and_etag(url):
    children = requests.get(f"{url}/r/pics/new?limit=40", headers=token(url), timeout=5).json()["data"]["children"]
    bodies = set()
    for data in [child["data"] for child in children if child["data"].get("preview")][:12]:
        answer = requests.get(data["url"], timeout=5)
        if answer.status_code == 404:
            continue
        assert answer.headers["content-type"] == "image/jpeg"
        assert int(answer.headers["content-length"]) == len(answer.content)
        with Image.open(io.BytesIO(answer.content)) as image:
            image.load()
            source = data["preview"]["images"][0]["source"]
            assert image.size == (source["width"], source["height"])
        again = requests.get(data["url"], headers={"if-none-match": answer.headers["etag"]}, timeout=5)
        assert (again.status_code, again.content) == (304, b"")
        bodies.add(answer.content)
    assert len(bodies) >= 10
    assert requests.get(f"{url}/i/nothing.jpg", timeout=5).status_code == 404


def test_reposts_are_byte_identical_or_reencoded(url, world):
    now = EPOCH.timestamp()
    pairs = [
        (post, world.post(*post.source))
        for name in world.subreddits
        for post in world.posts(name, now)
        if post.kind == "image" and post.source
    ]
    alive = [pair for pair in pairs if all(world.media(world.media_id(post), now) for post in pair)]
    equal = []
    for post, source in alive[:20]:
        mine, theirs = (
            requests.get(f"{url}/i/{world.media_id(each)}.jpg", timeout=5).content for each in (post, source)
        )
        assert (mine == theirs) == (post.quality == source.quality)
        equal.append(mine == theirs)
    assert set(equal) == {True, False}


def test_time_passes_over_http(moving):
    base, world, _ = moving
    reddit = client(base)
    before = {post.id: post for post in reddit.subreddit("pics").new(limit=None)}
    young = [f"t3_{name}" for name, post in before.items() if EPOCH.timestamp() - post.created_utc < DAY / 2]
    dying = [
        post
        for post in world.posts("pics", EPOCH.timestamp())
        if post.kind == "image" and EPOCH.timestamp() < post.picture_dies < EPOCH.timestamp() + 30 * DAY
    ]
    alive = [requests.get(f"{base}/i/{world.media_id(post)}.jpg", timeout=5).status_code for post in dying]
    assert 200 in alive
    answer = requests.post(f"{base}/sandbox/clock", json={"advance_seconds": 30 * DAY}, timeout=5)
    assert datetime.fromisoformat(answer.json()["now"]).timestamp() == EPOCH.timestamp() + 30 * DAY
    after = {post.id: post for post in reddit.subreddit("pics").new(limit=None)}
    assert 70 < len(set(after) - set(before)) < 120
    assert set(before) - set(after)
    grown = list(reddit.info(fullnames=young))
    assert grown
    assert sum(post.score for post in grown) > sum(before[post.id].score for post in grown)
    removed = list(reddit.info(fullnames=[f"t3_{name}" for name in set(before) - set(after)]))
    assert removed
    assert all(post.removed_by_category for post in removed)
    assert all(requests.get(f"{base}/i/{world.media_id(post)}.jpg", timeout=5).status_code == 404 for post in dying)


def test_wrong_steps_of_the_clock_are_refused(moving):
    base, _, clock = moving
    for body in ('{"advance_seconds": -1}', '{"advance_seconds": "x"}', "[]", "", '{"advance_seconds": 1e300}'):
        assert requests.post(f"{base}/sandbox/clock", data=body, timeout=5).status_code == 400
    assert clock.now() == EPOCH
    assert requests.get(f"{base}/sandbox/clock", timeout=5).json()["speed"] == 0


def test_truth_tells_the_process_and_every_post(moving):
    base, world, _ = moving
    first, *posts = [json.loads(line) for line in requests.get(f"{base}/sandbox/truth", timeout=10).text.splitlines()]
    assert sum(first["shares"].values()) == pytest.approx(1)
    assert len(posts) == 400
    for line in posts[::37]:
        post = world.find(line["id"], EPOCH.timestamp())
        total = line["base"] + line["image"] + line["caption"] + line["time"] + line["author"]
        assert line["expected_log_score"] == pytest.approx(total) == pytest.approx(post.expected_log_score)
    only = requests.get(f"{base}/sandbox/truth?subreddit=earthporn", timeout=10).text.splitlines()
    assert len(only) == 201


def test_readings_are_those_that_the_api_would_have_shown(moving):
    base, world, _ = moving
    found = requests.get(f"{base}/sandbox/readings?subreddit=PICS&hours=0.5,24", timeout=10).text.splitlines()
    read = {(line["id"], line["observed_at"]): line for line in map(json.loads, found)}
    posts = world.posts("pics", EPOCH.timestamp())
    assert read.keys() == {
        (post.id, post.created + age)
        for post in posts
        for age in (1800, 86_400)
        if post.created + age <= EPOCH.timestamp()
    }
    for post in posts[::37]:
        young, day = (read.get((post.id, post.created + age)) for age in (1800, 86_400))
        assert young is None or (young["score"], young["hide_score"]) == (1, True)
        if day is not None:
            shown = submission(world, post, post.created + 86_400, base)
            assert {**shown, **day} == {**shown, "observed_at": post.created + 86_400}
    assert requests.get(f"{base}/sandbox/readings?subreddit=none&hours=1", timeout=10).status_code == 404
    assert requests.get(f"{base}/sandbox/readings?subreddit=pics&hours=one", timeout=10).status_code == 400


def test_what_could_be_foreseen_is_told_of_posts_that_there_are(moving):
    base, world, _ = moving
    post = next(one for one in world.posts("pics", EPOCH.timestamp() - 3 * DAY) if one.kind == "image")
    moments = [post.created + 3600, post.created + 21_600]
    answer = requests.post(f"{base}/sandbox/foreseen", json={post.id: moments, "t3_none": []}, timeout=10)
    assert (answer.status_code, "t3_none" in answer.text) == (404, True)
    found = requests.post(f"{base}/sandbox/foreseen", json={post.id: moments}, timeout=10).json()
    assert found == {post.id: pytest.approx(foreseen(world, post, moments))}
    assert requests.post(f"{base}/sandbox/foreseen", data="[1]", timeout=10).status_code == 400


def test_a_clock_survives_a_restart(tmp_path):
    Clock(EPOCH, directory=tmp_path).advance(3600.5)
    again = Clock(EPOCH, directory=tmp_path)
    assert again.seconds() == EPOCH.timestamp() + 3600.5
    fast = Clock(EPOCH, speed=100_000, directory=tmp_path)
    assert fast.seconds() >= EPOCH.timestamp() + 3600.5
    moment = fast.seconds()
    kept = Clock(EPOCH, directory=tmp_path)
    assert kept.speed == 100_000
    assert kept.seconds() >= moment
    (tmp_path / "clock.json").write_text("{")
    with pytest.raises(RedPopError, match="delete it"):
        Clock(EPOCH, directory=tmp_path)
    with pytest.raises(SettingsError, match="speed"):
        Clock(EPOCH, speed=-1)


def test_a_taken_port_names_the_option(url, world):
    port = int(url.rsplit(":", 1)[1])
    with pytest.raises(RedPopError, match="--port"):
        serve(world, Clock(world.epoch), port=port)
