"""The generated communities: the same everywhere, worth what the documentation says, and changing as time passes."""

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.errors import SettingsError
from redpop_assets.sandbox import popularity
from redpop_assets.sandbox.submissions import submission
from redpop_assets.sandbox.world import Post, World

DAY = 86_400


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def epoch(world):
    return world.epoch.timestamp()


def test_same_seed_same_world_in_another_process_and_order(world):
    script = (
        "from redpop_assets.sandbox.world import World\n"
        "w = World()\n"
        "for s, i in (('earthporn', 812), ('pics', 3), ('pics', 977)): print(repr(w.post(s, i)))\n"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    mine = "".join(f"{world.post(name, index)!r}\n" for name, index in (("earthporn", 812), ("pics", 3), ("pics", 977)))
    assert other == mine
    assert World(seed=8).post("pics", 3) != world.post("pics", 3)


def test_exactly_the_promised_posts_at_the_epoch_and_the_same_rate_after(world, epoch):
    for name in world.subreddits:
        assert world.count(name, epoch) == 1000
        assert world.count(name, epoch - 60 * DAY - 1) == 0
        assert world.count(name, epoch + 60 * DAY) == pytest.approx(2000, abs=40)
        created = [post.created for post in world.posts(name, epoch)]
        assert created == sorted(created)
        assert created[-1] <= epoch < world.post(name, 1000).created


@settings(max_examples=30, deadline=None)
@given(index=st.integers(0, 999), name=st.sampled_from(["pics", "EarthPorn"]))
def test_ids_lead_back_to_their_post(world, epoch, index, name):
    post = world.post(name, index)
    assert world.find(post.id, epoch) == post
    assert world.find(post.id, post.created - 1) is None
    if post.kind == "image":
        assert world.media(world.media_id(post), post.created) == (post.looks[0], post.quality)


def test_ids_are_unique(world, epoch):
    posts = [post for name in world.subreddits for post in world.posts(name, epoch)]
    assert len({post.id for post in posts}) == len(posts)
    names = {(post.author, post.author_id) for post in posts if post.kind != "moderator"}
    assert len({name for name, _ in names}) == len({key for _, key in names}) == len(names)


def test_unknown_ids_are_nobodys(world, epoch):
    for post_id in ("", "zzzz", "1tq0001", "hello!", "0", "zzzzzzzzzzzzz"):
        assert world.find(post_id, epoch) is None
        assert world.media(post_id, epoch) is None


def test_each_term_explains_its_share_of_the_variance():
    big = World(seed=3, posts_per_subreddit=4000)
    for name in big.subreddits:
        posts = [post for post in big.posts(name, big.epoch.timestamp()) if post.kind == "image" and not post.source]
        value = np.array([post.expected_log_score + post.noise for post in posts])
        assert value.std() == pytest.approx(popularity.SPREAD, rel=0.05)
        terms = {key: np.array([post.terms[key] for post in posts]) for key in posts[0].terms}
        terms["noise"] = np.array([post.noise for post in posts])
        for key, share in popularity.SHARES.items():
            assert terms[key].var() / popularity.SPREAD**2 == pytest.approx(share, abs=0.03), key
            assert np.cov(terms[key], value)[0, 1] / value.var() == pytest.approx(share, abs=0.04), key
        assert np.expm1(np.median(value)) == pytest.approx(popularity.MEDIAN_SCORE[name.lower()], rel=0.12)


def test_most_posts_are_plain_pictures_and_every_oddity_occurs(world, epoch):
    posts = [post for name in world.subreddits for post in world.posts(name, epoch)]
    kinds = {kind: sum(post.kind == kind for post in posts) for kind in {post.kind for post in posts}}
    assert set(kinds) == {"image", "gallery", "crosspost", "self", "video", "link", "moderator"}
    plain = sum(post.kind == "image" and post.source is None and not post.over_18 for post in posts)
    assert 0.92 < plain / len(posts) < 0.97
    assert any(post.kind == "gallery" and post.failed_item is not None for post in posts)
    assert {post.quality for post in posts if post.kind == "image" and post.source} == {86, 68}
    assert any(post.source and post.source[0] != post.subreddit for post in posts)
    for post in posts:
        if post.source:
            assert world.post(*post.source).created < post.created


def test_score_grows_and_is_final_after_a_week(world):
    for index in range(0, 200, 7):
        post = world.post("pics", index)
        if post.removal or post.final_score < 5:
            continue
        scores = [world.score(post, post.created + hours * 3600) for hours in (0, 3, 8, 24, 48, 168, 336)]
        assert scores == sorted(scores)
        assert scores[0] == 1
        assert scores[3] > 0.7 * post.final_score
        assert scores[5] == pytest.approx(post.final_score, rel=1e-3)


def test_readings_are_fuzzed_like_recorded_ones(world):
    changed = {"small": [], "middle": [], "large": []}
    for index in range(0, 900, 3):
        post = world.post("pics", index)
        at = post.created + 20 * DAY
        first, second = world.read(post, at), world.read(post, at + 1)
        assert first == world.read(post, at)
        assert first.score >= 0
        assert abs(first.score - world.score(post, at)) <= 10.5
        size = "small" if first.score < 10 else "middle" if first.score < 100 else "large"
        changed[size].append(first.score != second.score)
    shares = {size: float(np.mean(values)) for size, values in changed.items()}
    assert shares["small"] < 0.35
    assert 0.5 < shares["middle"] < 0.9
    assert shares["large"] > 0.75


def test_young_posts_hide_their_score(world):
    post = world.post("pics", 10)
    assert world.read(post, post.created + 3000).hidden
    assert world.read(post, post.created + 3000).score == 1
    assert not world.read(post, post.created + 3600).hidden


def test_comments_follow_the_score(world, epoch):
    readings = [world.read(post, epoch) for post in world.posts("pics", epoch - 7 * DAY)]
    log = np.log1p([[reading.score, reading.num_comments] for reading in readings])
    assert np.corrcoef(log.T)[0, 1] > 0.7
    assert all(0.5 <= reading.upvote_ratio <= 1 for reading in readings)


def test_things_happen_as_time_passes(world, epoch):
    later = epoch + 30 * DAY
    posts = [post for name in world.subreddits for post in world.posts(name, epoch)]

    def removed(now: float) -> set[str]:
        return {post.id for post in posts if world.read(post, now).removed}

    def dead(now: float) -> set[str]:
        return {post.id for post in posts if post.kind == "image" and world.media(world.media_id(post), now) is None}

    def nameless(now: float) -> set[str]:
        return {post.id for post in posts if world.read(post, now).author_gone}

    for happened in (removed, dead, nameless):
        assert happened(epoch)
        assert happened(epoch) < happened(later)
    assert {world.read(post, later).removed for post in posts} >= {None, "moderator", "deleted"}
    deleted = next(post for post in posts if post.removal == "deleted" and post.kind == "image")
    after = submission(world, deleted, deleted.removed_at + 1, "http://h")
    assert (after["author"], after["removed_by_category"]) == ("[deleted]", "deleted")
    assert "author_fullname" not in after
    assert world.score(deleted, deleted.removed_at) == world.score(deleted, deleted.removed_at + 9 * DAY)


def test_submission_fields_follow_the_kind_of_post(world, epoch):
    posts = [
        post for name in world.subreddits for post in world.posts(name, epoch) if not world.read(post, epoch).removed
    ]

    def first(kind: str) -> tuple[Post, dict]:
        post = next(post for post in posts if post.kind == kind)
        return post, submission(world, post, epoch, "http://host:1")

    _, image = first("image")
    assert image["url"] == image["url_overridden_by_dest"]
    assert image["url"].startswith("http://host:1/i/")
    assert image["preview"]["images"][0]["source"]["width"] >= 480
    assert "is_gallery" not in image
    gallery = next(
        submission(world, post, epoch, "http://host:1")
        for post in posts
        if post.kind == "gallery" and post.failed_item is not None
    )
    assert "preview" not in gallery
    assert "post_hint" not in gallery
    order = [item["media_id"] for item in gallery["gallery_data"]["items"]]
    assert sorted(order) == sorted(gallery["media_metadata"])
    assert order != list(gallery["media_metadata"])
    assert sorted({entry["status"] for entry in gallery["media_metadata"].values()}) == ["failed", "valid"]
    post, crosspost = first("crosspost")
    assert crosspost["crosspost_parent_list"][-1]["id"] == world.post(*post.source).id
    assert crosspost["crosspost_parent"] == crosspost["crosspost_parent_list"][-1]["name"]
    assert first("self")[1]["is_self"]
    assert first("video")[1]["domain"] == "v.redd.it"
    assert first("moderator")[1]["distinguished"] == "moderator"


def test_settings_that_make_no_world_are_refused():
    for wrong in (
        {"subreddits": ()},
        {"subreddits": ("pics", "Pics")},
        {"posts_per_subreddit": 0},
        {"history": timedelta(0)},
        {"epoch": datetime(2026, 1, 1)},
    ):
        with pytest.raises(SettingsError, match="sandbox needs"):
            World(**wrong)


def test_a_tiny_world_of_unknown_communities_works():
    tiny = World(seed=1, subreddits=("houseplants",), posts_per_subreddit=5, epoch=datetime(2026, 3, 1, tzinfo=UTC))
    posts = tiny.posts("HOUSEPLANTS", tiny.epoch.timestamp())
    assert len(posts) == 5
    assert all(math.isfinite(post.expected_log_score) for post in posts)
    assert tiny.subreddit("HousePlants") == "houseplants"
    assert tiny.subreddit("cats") is None
