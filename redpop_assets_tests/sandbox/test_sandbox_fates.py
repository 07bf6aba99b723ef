"""What becomes of posts: deletions by hand and by chaos, pages that move, bursts, galleries, over HTTP."""

import itertools
import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.errors import RedPopError
from redpop_assets.sandbox.chaos import SITUATIONS, Chaos
from redpop_assets.sandbox.fates import BURST_POSTS, REASONS, Fates
from redpop_assets.sandbox.listings import Listings
from redpop_assets.sandbox.world import World
from redpop_assets.sources.image_urls import Resolved, resolve
from redpop_assets.sources.listings import Listing

pytestmark = pytest.mark.integration

DAY = 86_400
NEW = "/r/pics/new?limit=100"
TAKEN = ("deleted", "author", "copyright_takedown")


def standing(sandbox, kind="image"):
    """A post of this kind whose picture lives, and whose author and community will leave it alone for a month."""
    return next(
        post
        for post in reversed(sandbox.world.posts("pics", sandbox.now))
        if post.kind == kind
        and min(post.removed_at, post.account_closed, post.picture_dies) > sandbox.now + 30 * DAY
        and not post.over_18
    )


# By hand


@pytest.mark.parametrize("reason", TAKEN)
def test_a_deleted_post_leaves_the_listings_and_keeps_its_place_without_its_content(place, reason):
    sandbox = place()
    post = standing(sandbox)
    assert post.id in {data["id"] for data in sandbox.listed()}
    assert sandbox.get(sandbox.picture(post)).status_code == 200
    answer = sandbox.post("/sandbox/delete", json={"post_id": f"t3_{post.id}", "reason": reason}).json()
    assert answer == {"posts": [post.id], "at": "2026-06-01T12:00:00+00:00"}
    assert post.id not in {data["id"] for data in sandbox.listed()}
    (data,) = sandbox.info(post)
    assert data["removed_by_category"] == reason
    assert (data["author"] == "[deleted]") == (reason != "copyright_takedown")
    text = json.dumps(data)
    assert post.caption.text not in text
    assert sandbox.world.media_id(post) not in text
    assert (post.author in text) == (reason == "copyright_takedown")
    assert sandbox.get(sandbox.picture(post)).status_code == 404


def test_a_post_that_a_moderator_removed_keeps_its_content(place):
    sandbox = place()
    post = standing(sandbox)
    sandbox.post("/sandbox/delete", json={"post_id": post.id, "reason": "moderator"})
    (data,) = sandbox.info(post)
    assert (data["removed_by_category"], data["title"], data["author"]) == ("moderator", post.caption.text, post.author)
    assert post.id not in {data["id"] for data in sandbox.listed()}
    assert sandbox.get(sandbox.picture(post)).status_code == 200


def test_a_missing_post_is_in_no_answer(place):
    sandbox = place()
    post = standing(sandbox)
    sandbox.post("/sandbox/delete", json={"post_id": post.id, "reason": "missing"})
    assert sandbox.info(post) == []
    assert post.id not in {data["id"] for data in sandbox.listed()}
    assert sandbox.get(sandbox.picture(post)).status_code == 404


def test_crossposts_show_a_deleted_original_as_reddit_does(place):
    sandbox = place(posts=1000)
    crosspost = standing(sandbox, "crosspost")
    original = sandbox.world.post(*crosspost.source)
    (before,) = sandbox.info(crosspost)
    assert original.caption.text in json.dumps(before)
    sandbox.post("/sandbox/delete", json={"post_id": original.id})
    (after,) = sandbox.info(crosspost)
    assert after["title"] == crosspost.caption.text
    assert after["crosspost_parent_list"][0]["author"] == "[deleted]"
    text = json.dumps(after)
    assert original.caption.text not in text
    assert original.author not in text.replace(crosspost.author, "")
    assert sandbox.world.media_id(original) not in text


def test_a_closed_account_leaves_its_posts_without_a_name(place):
    sandbox = place()
    author = standing(sandbox).author
    theirs = [post for post in sandbox.world.posts("pics", sandbox.now) if post.author == author]
    assert len(theirs) > 1
    answer = sandbox.post("/sandbox/delete", json={"author": author}).json()
    assert answer["posts"] == [post.id for post in theirs]
    for data in sandbox.info(*theirs):
        assert data["author"] == "[deleted]"
        assert "author_fullname" not in data
        assert author not in json.dumps(data)
    sandbox.clock.advance(timedelta(days=60))
    assert author not in sandbox.get(NEW).text
    assert {data["removed_by_category"] for data in sandbox.info(*theirs)} <= {None, *dict.fromkeys(REASONS)}


def test_deletions_outlive_a_restart(place):
    first = place(kept=True)
    post = standing(first)
    first.post("/sandbox/delete", json={"post_id": post.id})
    first.post("/sandbox/delete", json={"author": post.author})
    again = place(kept=True)
    assert again.info(post)[0]["removed_by_category"] == "deleted"
    assert post.author not in again.get(NEW).text


def test_a_broken_file_of_deletions_says_what_to_do(tmp_path):
    (tmp_path / "deletions.json").write_text('{"posts": []}')
    with pytest.raises(RedPopError, match="delete it to start again"):
        Fates(World(posts_per_subreddit=10), Chaos(), tmp_path)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("[]", 400),
        ("{}", 400),
        ('{"post_id": "1", "author": "x"}', 400),
        ('{"post_id": "1", "reason": "boredom"}', 400),
        ('{"post_id": "zzzzzzzz"}', 404),
        ('{"author": "nobody"}', 404),
    ],
)
def test_wrong_deletions_are_refused(place, body, status):
    answer = place().post("/sandbox/delete", data=body)
    assert answer.status_code == status
    assert answer.json()["error"]


# By chaos


def test_chaos_changes_nobodys_true_popularity(place):
    calm, wild = place(posts=100), place("all", posts=100)
    for sandbox in (calm, wild):
        sandbox.clock.advance(timedelta(days=5))
    assert all(
        one.final_score == other.final_score and one.terms == other.terms
        for one, other in zip(
            *(sandbox.world.posts("pics", sandbox.now) for sandbox in (calm, wild)),
            strict=True,
        )
    )
    fields = ("expected_log_score", "base", "image", "caption", "time", "author", "noise", "look")
    truth = [
        {
            row["id"]: [row[name] for name in fields]
            for line in sandbox.get("/sandbox/truth?subreddit=pics").text.splitlines()[1:]
            if (row := json.loads(line))["author_name"].find("_visitor") < 0
        }
        for sandbox in (calm, wild)
    ]
    assert truth[0] == truth[1]


@pytest.mark.parametrize("name", ["deleted-posts", "missing-posts", "closed-accounts", "reversed-removals"])
def test_what_befalls_posts_begins_after_the_epoch_and_leaves_the_others_alone(place, name):
    sandbox = place()
    posts = [post for post in sandbox.world.posts("pics", sandbox.now) if post.kind != "moderator"][-100:]

    def read(**switch):
        sandbox.chaos.switch(rates={name: 0.5}, **switch)
        return {data["id"]: data for data in sandbox.info(*posts)}

    assert read(on=[name]) == read(off=[name])
    sandbox.clock.advance(timedelta(days=1.5 if name == "reversed-removals" else 20))
    after, usual = read(on=[name]), read(off=[name])
    changed = {post.id for post in posts if after.get(post.id) != usual[post.id]}
    assert sandbox.chaos.report()[name]["thrown"] > 0
    assert 8 < len(changed) < 80
    signs = {
        "closed-accounts": '"author": "[deleted]"',
        "deleted-posts": '"title": "[deleted by user]"',
        "reversed-removals": '"removed_by_category": "moderator"',
    }
    for post_id in changed:  # crossposts may have changed because their original did
        if name == "missing-posts":
            assert post_id not in after or "[deleted by user]" in json.dumps(after[post_id])
        else:
            assert signs[name] in json.dumps(after[post_id])


def test_moderators_change_their_mind_after_36_hours(place):
    sandbox = place("reversed-removals")
    sandbox.chaos.switch(rates={"reversed-removals": 1})
    post = standing(sandbox)
    removed = []
    for _ in range(30 * 4):
        sandbox.clock.advance(timedelta(hours=6))
        removed.append(sandbox.info(post)[0]["removed_by_category"])
        if removed[-1] is None and "moderator" in removed:
            break
    assert removed.count("moderator") == 6
    assert removed[-1] is None
    assert sandbox.info(post)[0]["title"] == post.caption.text


def test_an_absent_id_is_back_in_the_next_answer(place):
    sandbox = place("absent-reads")
    sandbox.chaos.switch(rates={"absent-reads": 0.5})
    posts = sandbox.world.posts("pics", sandbox.now)[-100:]
    first, second = ({data["id"] for data in sandbox.info(*posts)} for _ in range(2))
    assert 20 < len(first) < 80
    assert second == {post.id for post in posts}


def test_masked_scores(place):
    sandbox = place("hidden-scores")
    sandbox.chaos.switch(rates={"hidden-scores": 1})
    day_old = [data for data in sandbox.listed() if sandbox.now - data["created_utc"] < DAY]
    assert {(data["hide_score"], data["score"]) for data in day_old} == {(True, 1)}
    assert not any(data["hide_score"] for data in sandbox.listed() if sandbox.now - data["created_utc"] > DAY)


def test_a_burst_fills_the_whole_of_new_so_that_it_does_not_reach_back(place):
    sandbox = place("post-bursts")
    with sandbox.client() as client:

        def read(listing):
            return [s["id"] for page in client.pages("pics", listing) for s in page.submissions]

        last = read(Listing("new"))
        for _ in range(9 * 8):
            sandbox.clock.advance(timedelta(hours=3))
            if len(read(Listing("new"))) == 1000:
                break
        new = read(Listing("new"))
        assert len(set(new)) == 1000
        assert not set(new) & set(last)
        week = read(Listing("top", "week"))
        between = [
            post.id
            for post in sandbox.world.posts("pics", sandbox.now)
            if post.created > sandbox.world.epoch.timestamp()
        ]
        lost = [post_id for post_id in between if post_id not in new]
        assert lost
        assert set(lost) & set(week)
        remarks = [post_id for post_id in new if post_id not in between]
        assert sum(len(page.submissions) for page in client.info(remarks)) == len(remarks)
    assert sandbox.chaos.report()["post-bursts"]["thrown"] >= 1
    sandbox.clock.advance(timedelta(hours=3))
    truth = sandbox.get("/sandbox/truth?subreddit=pics").text
    assert truth.count("_visitor") == BURST_POSTS


# Galleries and crossposts of galleries


def test_galleries_in_all_their_states(place):
    sandbox = place("unprocessed-galleries", "failed-gallery-items", "null-galleries", posts=1000)
    rates = {"unprocessed-galleries": 1, "failed-gallery-items": 0.5, "null-galleries": 0.2}
    sandbox.chaos.switch(rates=rates)
    galleries = [post for post in sandbox.world.posts("pics", sandbox.now) if post.kind == "gallery"]
    shown = sandbox.info(*galleries)
    statuses = [
        tuple(data["media_metadata"][item["media_id"]]["status"] for item in data["gallery_data"]["items"])
        for data in shown
        if data["gallery_data"]
    ]
    assert any(set(states) == {"unprocessed"} for states in statuses)
    assert any({"unprocessed", "valid"} <= set(states) for states in statuses)
    assert any("failed" in states for states in statuses)
    assert any(data["gallery_data"] is None and data["removed_by_category"] is None for data in shown)
    sandbox.clock.advance(timedelta(days=1))
    later = sandbox.info(*galleries)
    assert not any("unprocessed" in json.dumps(data["media_metadata"]) for data in later)
    assert sum(isinstance(resolve(data), Resolved) for data in later) > sum(
        isinstance(resolve(data), Resolved) for data in shown
    )
    assert all(sandbox.chaos.report()[name]["thrown"] for name in rates)


def test_crossposts_of_galleries(place):
    sandbox = place("gallery-crossposts", posts=1000)
    sandbox.chaos.switch(rates={"gallery-crossposts": 1})
    crossposts = [post for post in sandbox.world.posts("pics", sandbox.now) if post.kind == "crosspost"]
    shown = [data for data in sandbox.info(*crossposts) if data["crosspost_parent_list"][0].get("is_gallery")]
    assert shown
    for data in shown:
        assert "gallery_data" not in data
        found = resolve(data)
        if data["crosspost_parent_list"][0]["gallery_data"]:
            assert isinstance(found, Resolved)
            assert found.kind == "crosspost"
            assert len(found.urls) > 1


# Listings


def test_advertisements_have_no_community(place):
    sandbox = place("promoted-posts")
    sandbox.chaos.switch(rates={"promoted-posts": 1})
    listed = sandbox.listed("/r/pics/hot?limit=100")
    assert len(listed) == 102
    (offer,) = [data for data in listed if "subreddit" not in data]
    assert offer["promoted"]
    assert not any(data.get("promoted") for data in sandbox.listed(NEW))


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("moving-pages", [100, 100]), ("short-pages", [100, 60, 60]), ("empty-pages", [100, 0])],
)
def test_twisted_pages(place, name, sizes):
    sandbox = place(name, posts=400)
    sandbox.chaos.switch(rates={name: 1})
    pages = []
    after = ""
    while after is not None:
        if pages and not pages[-1]:  # else no page would ever come
            sandbox.chaos.switch(off=[name])
        data = sandbox.get(f"/r/pics/new?limit=100&after={after}").json()["data"]
        pages.append([child["data"]["id"] for child in data["children"]])
        after = data["after"]
    assert [len(page) for page in pages][: len(sizes)] == sizes
    complete = sandbox.get("/sandbox/listed?subreddit=pics").json()
    if name == "moving-pages":
        assert pages[0][-3:] == pages[1][:3]
    assert list(dict.fromkeys(itertools.chain(*pages))) == complete


def test_one_may_page_back_to_the_beginning(place):
    sandbox = place()
    forward = sandbox.get(NEW).json()["data"]
    assert forward["before"] is None
    second = sandbox.get(f"{NEW}&after={forward['after']}&count=100").json()["data"]
    assert second["before"] == second["children"][0]["data"]["name"]
    back = sandbox.get(f"{NEW}&before={second['before']}").json()["data"]
    assert back["children"] == forward["children"]
    assert (back["before"], back["after"]) == (None, forward["after"])
    assert sandbox.get(f"{NEW}&before={forward['children'][0]['data']['name']}").json()["data"]["children"] == []
    assert sandbox.get(f"{NEW}&before=t3_zzzzzz").json()["data"]["children"] == []


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 100), start=st.integers(1, 140), listing=st.sampled_from(["new", "hot", "top"]))
def test_paging_back_gives_what_paging_forward_gave(limit, start, listing):
    world = World(seed=5, posts_per_subreddit=150)
    now = world.epoch.timestamp()
    listings = Listings(world, Fates(world, Chaos()))
    arguments = {"window": "all", "limit": limit}
    everything = [post.id for post in listings.page("pics", listing, now, window="all", limit=1000).posts]
    pinned = listing == "hot"
    ranked = everything[pinned:]
    before, collected = f"t3_{ranked[min(start, len(ranked) - 1)]}", []
    while before:
        page = listings.page("pics", listing, now, **arguments, before=before)
        collected[:0] = [post.id for post in page.posts]
        before = page.before
    assert collected == everything[: pinned + min(start, len(ranked) - 1)]


def test_every_situation_is_described():
    for name, situation in SITUATIONS.items():
        assert name == situation.name
        assert 0 < situation.rate <= 1
        assert 5 < len(situation.what) < 70
