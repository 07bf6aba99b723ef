"""A post as the Reddit API shows it: the submission object, with the fields and null conventions of 2026."""

import hashlib
import html
import re
from typing import Any
from urllib.parse import urlsplit

from redpop_assets.sandbox import pictures
from redpop_assets.sandbox.world import Post, Reading, World

_PREVIEW_WIDTHS = (108, 216, 320, 640)
_ARCHIVED_AFTER = 180 * 86_400


def submission(
    world: World,
    post: Post,
    now: float,
    base_url: str,
    *,
    reading: Reading | None = None,
    parent: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The t3 data object of `post` as read at `now` (Unix seconds); pictures are linked at `base_url`.

    `reading` says what has become of the post, by default the world does; `parent` is the object of the original of a
    crosspost.
    """
    reading = reading or world.read(post, now)
    slug = re.sub(r"[^a-z0-9]+", "_", post.caption.text.lower()).strip("_")[:50].strip("_")
    permalink = f"/r/{post.subreddit}/comments/{post.id}/{slug}/"
    data: dict[str, Any] = {
        "approved_at_utc": None,
        "subreddit": post.subreddit,
        "selftext": "",
        "author_fullname": post.author_id,
        "saved": False,
        "mod_reason_title": None,
        "gilded": 0,
        "clicked": False,
        "title": post.caption.text,
        "link_flair_richtext": [],
        "subreddit_name_prefixed": f"r/{post.subreddit}",
        "hidden": False,
        "pwls": 6,
        "link_flair_css_class": None,
        "downs": 0,
        "thumbnail_height": None,
        "top_awarded_type": None,
        "hide_score": reading.hidden,
        "name": f"t3_{post.id}",
        "quarantine": False,
        "link_flair_text_color": "dark",
        "upvote_ratio": reading.upvote_ratio,
        "author_flair_background_color": None,
        "subreddit_type": "public",
        "ups": reading.score,
        "total_awards_received": 0,
        "media_embed": {},
        "thumbnail_width": None,
        "author_flair_template_id": None,
        "is_original_content": post.original_content,
        "user_reports": [],
        "secure_media": None,
        "is_reddit_media_domain": False,
        "is_meta": False,
        "category": None,
        "secure_media_embed": {},
        "link_flair_text": None,
        "can_mod_post": False,
        "score": reading.score,
        "approved_by": None,
        "is_created_from_ads_ui": False,
        "author_premium": False,
        "thumbnail": "default",
        "edited": False,
        "author_flair_css_class": None,
        "author_flair_richtext": [],
        "gildings": {},
        "content_categories": None,
        "is_self": False,
        "mod_note": None,
        "created": post.created,
        "link_flair_type": "text",
        "wls": 6,
        "removed_by_category": reading.removed,
        "banned_by": None,
        "author_flair_type": "text",
        "domain": "",
        "allow_live_comments": reading.num_comments > 100,
        "selftext_html": None,
        "likes": None,
        "suggested_sort": None,
        "banned_at_utc": None,
        "view_count": None,
        "archived": now - post.created > _ARCHIVED_AFTER,
        "no_follow": reading.score < 5,
        "is_crosspostable": reading.removed is None,
        "pinned": False,
        "over_18": post.over_18,
        "all_awardings": [],
        "awarders": [],
        "media_only": False,
        "can_gild": False,
        "spoiler": False,
        "locked": reading.removed is not None or post.kind == "moderator",
        "author_flair_text": None,
        "treatment_tags": [],
        "visited": False,
        "removed_by": None,
        "num_reports": None,
        "distinguished": "moderator" if post.kind == "moderator" else None,
        "subreddit_id": world.subreddit_id(post.subreddit),
        "author_is_blocked": False,
        "mod_reason_by": None,
        "removal_reason": None,
        "link_flair_background_color": "",
        "id": post.id,
        "is_robot_indexable": reading.removed is None,
        "report_reasons": None,
        "author": post.author,
        "discussion_type": None,
        "num_comments": reading.num_comments,
        "send_replies": True,
        "contest_mode": False,
        "mod_reports": [],
        "author_patreon_flair": False,
        "author_flair_text_color": None,
        "permalink": permalink,
        "stickied": world.sticky(post.subreddit, now) == post.index,
        "url": f"https://www.reddit.com{permalink}",
        "subreddit_subscribers": world.subscribers(post.subreddit, now),
        "created_utc": post.created,
        "num_crossposts": reading.num_crossposts,
        "media": None,
        "is_video": False,
    }
    if post.source and post.kind == "crosspost":
        _add_crosspost(data, post, parent or submission(world, world.post(*post.source), now, base_url))
    else:
        _ADD[post.kind](data, world, post, now, base_url)
    if reading.author_gone:
        _forget_author(data)
    if reading.removed:
        _hide_content(data, post, reading)
    return data


def _add_picture(data: dict[str, Any], world: World, post: Post, _now: float, base_url: str) -> None:
    url = f"{base_url}/i/{world.media_id(post)}.jpg"
    width, height = pictures.size(post.looks[0])
    data |= {
        "url": url,
        "url_overridden_by_dest": url,
        "domain": urlsplit(base_url).hostname,
        "is_reddit_media_domain": True,
        "post_hint": "image",
        "preview": {
            "images": [
                {
                    "source": {"url": _signed(f"{url}?auto=webp"), "width": width, "height": height},
                    "resolutions": [
                        {"url": _signed(f"{url}?width={w}&crop=smart&auto=webp"), "width": w, "height": h}
                        for w, h in _smaller(width, height)
                    ],
                    "variants": {},
                    "id": world.media_id(post),
                }
            ],
            "enabled": True,
        },
    }
    _add_thumbnail(data, url, width, height)
    if post.original_content:
        data |= {
            "link_flair_text": "OC",
            "link_flair_richtext": [{"e": "text", "t": "OC"}],
            "link_flair_type": "richtext",
        }
    # Reddit leaves the hint out of about one picture post in seven.
    if world.digest(post.subreddit, "hint", post.index)[0] < 36:
        del data["post_hint"]


def _add_gallery(data: dict[str, Any], world: World, post: Post, _now: float, base_url: str) -> None:
    url = f"https://www.reddit.com/gallery/{post.id}"
    metadata: dict[str, Any] = {}
    # The keys are in upload order, which is not the order of the gallery.
    for item in reversed(range(len(post.looks))):
        media_id = world.media_id(post, item)
        if item == post.failed_item:
            metadata[media_id] = {"status": "failed"}
            continue
        width, height = pictures.size(post.looks[item])
        source = f"{base_url}/i/{media_id}.jpg"
        metadata[media_id] = {
            "status": "valid",
            "e": "Image",
            "m": "image/jpg",
            "p": [
                {"y": h, "x": w, "u": _signed(f"{source}?width={w}&crop=smart&auto=webp")}
                for w, h in _smaller(width, height)
            ],
            "s": {"y": height, "x": width, "u": _signed(f"{source}?width={width}&format=pjpg&auto=webp")},
            "id": media_id,
        }
    items = [
        {"caption": "", "media_id": world.media_id(post, item), "is_deleted": False, "id": post.number % 10**9 + item}
        for item in range(len(post.looks))
    ]
    data |= {
        "url": url,
        "url_overridden_by_dest": url,
        "domain": "reddit.com",
        "is_gallery": True,
        "gallery_data": {"items": items},
        "media_metadata": metadata,
    }
    first = next(item for item in range(len(post.looks)) if item != post.failed_item)
    _add_thumbnail(data, f"{base_url}/i/{world.media_id(post, first)}.jpg", *pictures.size(post.looks[first]))


def _add_crosspost(data: dict[str, Any], post: Post, parent: dict[str, Any]) -> None:
    shared = ("post_hint", "preview", "url", "url_overridden_by_dest", "domain", "is_reddit_media_domain", "thumbnail")
    sizes = ("thumbnail_width", "thumbnail_height")
    data |= {name: parent[name] for name in (*shared, *sizes) if name in parent}
    data |= {"crosspost_parent": parent["name"], "crosspost_parent_list": [parent]}
    if post.number % 3 == 0:
        data |= {"url": parent["permalink"], "url_overridden_by_dest": parent["permalink"], "domain": ""}
        data |= {"is_reddit_media_domain": False}


def _add_text(data: dict[str, Any], _world: World, post: Post, _now: float, _base_url: str) -> None:
    text = (
        "Please read the rules before you post."
        if post.kind == "moderator"
        else "I could not decide. Tell me in the comments."
    )
    data |= {
        "is_self": True,
        "domain": f"self.{post.subreddit}",
        "selftext": text,
        "selftext_html": f'<!-- SC_OFF --><div class="md"><p>{html.escape(text)}</p>\n</div><!-- SC_ON -->',
        "thumbnail": "self",
    }


def _add_video(data: dict[str, Any], world: World, post: Post, _now: float, _base_url: str) -> None:
    url = f"https://v.redd.it/{world.media_id(post)}"
    video = {
        "bitrate_kbps": 2400,
        "fallback_url": f"{url}/CMAF_720.mp4?source=fallback",
        "has_audio": True,
        "height": 720,
        "width": 1280,
        "scrubber_media_url": f"{url}/CMAF_96.mp4",
        "dash_url": f"{url}/DASHPlaylist.mpd",
        "duration": 17,
        "hls_url": f"{url}/HLSPlaylist.m3u8",
        "is_gif": False,
        "transcoding_status": "completed",
    }
    data |= {
        "url": url,
        "url_overridden_by_dest": url,
        "domain": "v.redd.it",
        "is_video": True,
        "is_reddit_media_domain": True,
        "post_hint": "hosted:video",
        "media": {"reddit_video": video},
        "secure_media": {"reddit_video": video},
    }


def _add_link(data: dict[str, Any], _world: World, post: Post, _now: float, _base_url: str) -> None:
    url = f"https://www.example.com/gallery/{post.id}"
    data |= {"url": url, "url_overridden_by_dest": url, "domain": "example.com", "post_hint": "link"}


_ADD = {
    "image": _add_picture,
    "gallery": _add_gallery,
    "self": _add_text,
    "moderator": _add_text,
    "video": _add_video,
    "link": _add_link,
}


def _add_thumbnail(data: dict[str, Any], url: str, width: int, height: int) -> None:
    tall = round(140 * height / width)
    data |= {
        "thumbnail": _signed(f"{url}?width=140&height={tall}&auto=webp"),
        "thumbnail_width": 140,
        "thumbnail_height": tall,
    }


def _forget_author(data: dict[str, Any]) -> None:
    """What remains of an author whose account is gone: no id, and none of the fields that describe the account."""
    data["author"] = "[deleted]"
    for name in (
        "author_fullname",
        "author_premium",
        "author_patreon_flair",
        "author_flair_richtext",
        "author_flair_type",
    ):
        data.pop(name, None)


def _hide_content(data: dict[str, Any], post: Post, reading: Reading) -> None:
    """Removed posts keep title and link, and lose their text, their gallery and their preview."""
    data["thumbnail"] = "default"
    data["thumbnail_width"] = data["thumbnail_height"] = None
    if data["is_self"]:
        data["selftext"] = "[deleted]" if reading.removed == "deleted" else "[removed]"
        data["selftext_html"] = None
    if post.kind == "gallery":
        data["gallery_data"] = data["media_metadata"] = None
    data.pop("preview", None)


def _smaller(width: int, height: int) -> list[tuple[int, int]]:
    return [(w, round(w * height / width)) for w in _PREVIEW_WIDTHS if w < width]


def _signed(url: str) -> str:
    return f"{url}&s={hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()}"
