"""Submissions in the odd states that the API really shows: galleries half processed or empty, advertisements."""

from typing import Any

from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.fates import Fates
from redpop_assets.sandbox.submissions import submission
from redpop_assets.sandbox.world import Post, World, base36

_DAY = 86_400.0
_LONGEST_PROCESSING = _DAY
_ADVERTISEMENTS = int("a000000", 36)


def shown(world: World, fates: Fates, chaos: Chaos, post: Post, now: float, base_url: str) -> dict[str, Any]:
    """The t3 data object of `post` at `now`, with what has become of it and the odd states that are switched on."""
    first = original(world, chaos, post)
    if first and first.kind == "gallery":
        chaos.count("gallery-crossposts", post.id)
    parent = shown(world, fates, chaos, first, now, base_url) if first else None
    data = submission(world, post, now, base_url, reading=fates.read(post, now), parent=parent)
    if post.kind == "gallery" and data["gallery_data"]:
        _disturb_gallery(data, chaos, post, now, world.epoch.timestamp())
    if fates.of(post, now).taken:
        _take_content(data)
    return data


def original(world: World, chaos: Chaos, post: Post) -> Post | None:
    """The post that a crosspost shows again; None for other posts."""
    if not post.source or post.kind != "crosspost":
        return None
    gallery = _earlier_gallery(world, post) if chaos.befalls("gallery-crossposts", post.id) else None
    return gallery or world.post(*post.source)


def advertisement(number: int, now: float) -> dict[str, Any]:
    """A promoted post, as it stands between the posts of a listing: no community, and a name that leads nowhere."""
    name = base36(_ADVERTISEMENTS + number)
    return {
        "id": name,
        "name": f"t3_{name}",
        "title": "You will not believe what this kettle can do",
        "promoted": True,
        "is_created_from_ads_ui": True,
        "author": "kettle_company",
        "author_fullname": f"t2_{name}",
        "url": "https://kettle.example/buy?utm_source=reddit",
        "url_overridden_by_dest": "https://kettle.example/buy?utm_source=reddit",
        "domain": "kettle.example",
        "permalink": f"/user/kettle_company/comments/{name}/you_will_not_believe/",
        "score": 0,
        "ups": 0,
        "downs": 0,
        "upvote_ratio": 0.5,
        "num_comments": 0,
        "num_crossposts": 0,
        "created": now - _DAY,
        "created_utc": now - _DAY,
        "is_self": False,
        "is_video": False,
        "over_18": False,
        "spoiler": False,
        "stickied": False,
        "locked": True,
        "edited": False,
        "archived": False,
        "hide_score": False,
        "selftext": "",
        "distinguished": None,
        "removed_by_category": None,
        "thumbnail": "default",
    }


def _disturb_gallery(data: dict[str, Any], chaos: Chaos, post: Post, now: float, epoch: float) -> None:
    if chaos.befalls("null-galleries", post.id):
        chaos.count("null-galleries", post.id)
        data["gallery_data"] = data["media_metadata"] = None
        return
    media = [item["media_id"] for item in data["gallery_data"]["items"]]
    metadata = data["media_metadata"]
    if chaos.befalls("failed-gallery-items", post.id):
        chaos.count("failed-gallery-items", post.id)
        metadata[media[int(chaos.share("failing item", post.id) * len(media))]] = {"status": "failed"}
    ready = max(post.created, epoch) + _LONGEST_PROCESSING * chaos.share("processing", post.id)
    if now < ready and chaos.befalls("unprocessed-galleries", post.id):
        chaos.count("unprocessed-galleries", post.id)
        # Half of them show their first pictures already.
        done = len(media) // 2 if chaos.share("half processed", post.id) < 0.5 else 0
        for media_id in media[done:]:
            if metadata[media_id]["status"] == "valid":
                metadata[media_id] = {"status": "unprocessed"}


def _earlier_gallery(world: World, post: Post) -> Post | None:
    earlier = (world.post(post.subreddit, index) for index in range(post.index - 1, -1, -1))
    return next((candidate for candidate in earlier if candidate.kind == "gallery"), None)


def _take_content(data: dict[str, Any]) -> None:
    """What the API shows of a post that its author deleted: its place, and nothing of what was in it."""
    permalink = f"/r/{data['subreddit']}/comments/{data['id']}/deleted_by_user/"
    data |= {"title": "[deleted by user]", "is_reddit_media_domain": False, "permalink": permalink}
    data |= {"url": f"https://www.reddit.com{permalink}", "domain": ""}
    for name in ("url_overridden_by_dest", "post_hint", "crosspost_parent", "crosspost_parent_list"):
        data.pop(name, None)
    data["link_flair_text"], data["link_flair_richtext"] = None, []
