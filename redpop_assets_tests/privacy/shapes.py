"""Submissions in every shape that the API, dumps and tables give them, and the ways in which texts name an account."""

import copy
import html
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

_SIZE = {"url": "https://preview.redd.it/abc123.jpg?width=108&amp;s=0f", "width": 108, "height": 72}
_SIZES = {"source": _SIZE, "resolutions": [_SIZE]}
_UPLOAD = {
    "status": "valid", "e": "Image", "m": "image/jpg", "id": "abc123", "x": 4, "y": 3, "isGif": False,
    "s": {"u": "https://preview.redd.it/abc123.jpg?width=4&s=1", "gif": "https://i.redd.it/abc123.gif", "x": 4, "y": 3},
    "p": [{"u": "https://preview.redd.it/abc123.jpg?width=1&s=1", "x": 1, "y": 1}], "o": [{"u": "https://x.y/b.jpg"}],
    "dashUrl": "https://v.redd.it/abc123/DASHPlaylist.mpd", "hlsUrl": "https://v.redd.it/abc123/HLSPlaylist.m3u8",
}  # fmt: skip
_MEDIA = {
    "type": "youtube.com",
    "oembed": {
        "author_name": "a", "author_url": "https://www.youtube.com/@a", "description": "d", "html": "<iframe>",
        "provider_name": "YouTube", "provider_url": "https://www.youtube.com/", "title": "t", "type": "video",
        "thumbnail_url": "https://i.ytimg.com/vi/a/b.jpg", "thumbnail_width": 480, "url": "https://imgur.com/a/b",
    },
    "reddit_video": {"dash_url": "https://v.redd.it/a/DASH", "fallback_url": "https://v.redd.it/a/b", "height": 3,
                     "transcoding_status": "completed"},
}  # fmt: skip

POST: dict[str, Any] = {
    "id": "abc12", "name": "t3_abc12", "title": "A lake", "selftext": "Some text", "selftext_html": "<p>Some text</p>",
    "author": "Somebody", "author_fullname": "t2_somebody", "author_flair_text": "f", "author_flair_css_class": "c",
    "author_flair_richtext": [{"e": "text", "t": "f", "a": ":f:", "u": "https://emoji.redditmedia.com/a/b"}],
    "author_flair_template_id": "77a0c508-420f-11ea-af29-0ea4f28b10bb", "author_premium": False,
    "subreddit": "pics", "subreddit_name_prefixed": "r/pics", "subreddit_id": "t5_2qh0u", "subreddit_type": "public",
    "permalink": "/r/pics/comments/abc12/a_lake/", "url": "https://i.redd.it/abc123.jpg", "domain": "i.redd.it",
    "url_overridden_by_dest": "https://i.redd.it/abc123.jpg", "thumbnail": "https://b.thumbs.redditmedia.com/a-b.jpg",
    "created_utc": 1718000000.0, "created": "1718000000", "score": 5, "ups": "5", "edited": False, "over_18": False,
    "is_self": False, "is_gallery": True, "stickied": "false", "distinguished": "moderator", "post_hint": "image",
    "suggested_sort": "new", "removed_by_category": "moderator", "removal_reason": "legal", "removed_by": "m",
    "approved_by": "m", "banned_by": "m", "ban_note": "n", "mod_note": "n", "mod_reason_by": "m",
    "mod_reason_title": "r", "mod_reports": [["r", "m"]], "mod_reports_dismissed": [["r", "m"]],
    "user_reports": [["r", 1]], "user_reports_dismissed": [["r", 1]], "report_reasons": ["r"], "steward_reports": [],
    "awarders": ["g"], "link_flair_text": "Media", "link_flair_css_class": "c", "link_flair_richtext": [{"t": "M"}],
    "link_flair_template_id": "5cb1e586-83ff-11e7-b875-0efe3504a986", "likes": None, "view_count": None,
    "all_awardings": [{"id": "gid_2", "name": "Gold", "description": "d", "icon_url": "https://a.b/c.png", "count": 2,
                       "coin_price": 500, "resized_icons": [_SIZE], "award_type": "global", "subreddit_id": None}],
    "gildings": {"gid_1": 1}, "treatment_tags": ["t"], "content_categories": ["photography"], "category": "c",
    "collections": [{"author_name": "a", "author_id": "t2_a", "title": "t", "permalink": "https://www.reddit.com/r/a",
                     "description": "d", "link_ids": ["t3_a"], "collection_id": "c"}],
    "poll_data": {"options": [{"id": "1", "text": "o", "vote_count": 1}], "user_selection": "1"},
    "rtjson": {"document": [{"e": "par", "c": [{"e": "text", "t": "t"}], "id": "i"}]}, "rte_mode": "markdown",
    "gallery_data": {"items": [{"media_id": "abc123", "id": 1, "caption": "c", "outbound_url": "https://a.b/c",
                                "is_deleted": False}]},
    "media_metadata": {"abc123": _UPLOAD},
    "preview": {"enabled": True, "reddit_video_preview": _MEDIA["reddit_video"],
                "images": [_SIZES | {"id": "x-y_z", "variants": {"gif": _SIZES, "nsfw": _SIZES}}]},
    "media": _MEDIA, "secure_media": _MEDIA, "media_embed": {"content": "<iframe>"},
    "secure_media_embed": {"content": "<iframe>", "media_domain_url": "https://www.redditmedia.com/mediaembed/a"},
    "crosspost_parent": "t3_par01", "crosspost_parent_list": [],
}  # fmt: skip
"""An answer of the API with all that it ever held, to moderators as well."""

PROFILE_POST: dict[str, Any] = {
    "id": "par01", "author": "Somebody", "subreddit": "u_Somebody", "subreddit_name_prefixed": "u/Somebody",
    "permalink": "/r/u_Somebody/comments/par01/a_lake/", "domain": "self.Somebody", "title": "A lake",
    "url": "https://www.reddit.com/user/Somebody/comments/par01/a_lake/",
}  # fmt: skip

ADVERTISEMENT: dict[str, Any] = {
    "id": "ad001", "subreddit": None, "title": "Buy", "author": "Brand", "author_id": "t2_brand", "promoted": True,
    "promoted_by": "Brand", "promoted_by_display_name": "Brand", "ad_user_targeting": {"users": ["a", "b"]},
    "ad_promoted_user_posts": [{"id": "zz1", "author": "Y", "author_fullname": "t2_y", "subreddit": "worldnews"}],
    "ad_supplementary_text_md": "m", "call_to_action": "c", "events": [{"url": "https://a.b/c"}], "adserver_click_url":
    "https://alb.reddit.com/c?q=a", "impression_id_str": "1", "href_url": "brand.com", "mobile_ad_url": "https://b.com",
    "created_utc": 1718000000, "url": "https://brand.com/a.jpg",
}  # fmt: skip

DUMPED: dict[str, Any] = {
    "id": "dump1", "title": "A lake", "author": "Somebody", "created_utc": 1718000000, "retrieved_on": 1718000010,
    "retrieved_utc": "1718000010", "observed_at": "2024-06-10T06:13:30Z", "utc_datetime_str": "2024-06-10 06:13:20",
    "author_created_utc": 1500000000, "full_link": "https://www.reddit.com/r/pics/comments/dump1/a_lake/",
    "_meta": {"retrieved_2nd_on": 1718129610, "was_deleted_later": False, "removal_type": "deleted",
              "note": "no_2nd_retrieval", "is_edited": False},
    "raw_caption": "A lake", "caption": "a lake", "crosspost_parents": ["a"], "image_id": "dump1", "username": "u",
    "url": "https://i.redd.it/abc123.jpg",
}  # fmt: skip

SHAPES: dict[str, dict[str, Any]] = {
    "post": POST,
    "crosspost": POST | {"crosspost_parent_list": [POST | {"crosspost_parent_list": [PROFILE_POST]}]},
    "profile": PROFILE_POST,
    "advertisement": ADVERTISEMENT,
    "dumped": DUMPED,
}

MENTIONS: dict[str, Callable[[str], str]] = {
    "u/x": lambda name: f"Thanks to u/{name}, see",
    "/u/x": lambda name: f"(/u/{name})",
    "/user/x": lambda name: f"/user/{name}",
    "u_x": lambda name: f"r/u_{name} is a profile",
    "two": lambda name: f"u/{name} and {name} again",
    "italic": lambda name: f"_u/{name}_",
    "profile": lambda name: f"https://www.reddit.com/user/{name}",
    "profile page": lambda name: f"http://old.reddit.com/u/{name}/comments/par01/words/?utm_source=a#b",
    "profile without scheme": lambda name: f"reddit.com/user/{name}/",
    "post of a profile": lambda name: f"https://reddit.com/r/u_{name}/comments/par01/a_lake/",
    "relative": lambda name: f"/r/u_{name}/comments/par01/a_lake/",
    "search": lambda name: f"https://www.reddit.com/search?q=/user/{name}",
    "inside another": lambda name: f"https://example.com/a.jpg?next=https://reddit.com/u/{name}",
    "viewer": lambda name: f"https://www.reddit.com/media?url=https%3A%2F%2Freddit.com%2Fuser%2F{name}",
    "quoted": lambda name: quote(f"/user/{name}", safe=""),
    "quoted wholly": lambda name: "https://www.reddit.com/" + "".join(f"%{ord(c):02x}" for c in f"user/{name}"),
    "quoted twice": lambda name: quote(quote(f"https://reddit.com/user/{name}", safe=""), safe=""),
    "quoted often": lambda name: "/user/" + "".join(f"%25252525{ord(c):02X}" for c in name),
    "entities": lambda name: "".join(f"&#{ord(c)};" for c in f"u/{name}"),
    "entities twice": lambda name: html.escape("".join(f"&#x{ord(c):x};" for c in f"u/{name}")),
    "quoted in entities": lambda name: html.escape("&" + quote(f"/user/{name}", safe="") + "&"),
    "html": lambda name: f'<a href="/user/{name}">{name}</a>',
    "html escaped": lambda name: html.escape(f'<a href="https://www.reddit.com/user/{name}">{name}</a>'),
    "markdown": lambda name: f"[{name}](https://www.reddit.com/user/{name})",
    "markdown escaped": lambda name: "u/" + name.replace("_", "\\_").replace("-", "\\-"),
    "json": lambda name: json.dumps({"author": name, "score": 1}),
    "json twice": lambda name: json.dumps(json.dumps([{"approved_by": name}])),
    "json escaped": lambda name: "".join(f"\\u{ord(c):04x}" for c in f"/u/{name}"),
    "json slashes": lambda name: f"https:\\/\\/www.reddit.com\\/user\\/{name}\\/",
    "python": lambda name: repr([{"author": name, "ups": 1}]),
    "account id": lambda name: f"by t2_{name}",
}
"""A text that names an account, by how it does."""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths to everything in a submission: objects, lists, and what they hold."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


def at(submission: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    """What is at a place."""
    found: Any = submission
    for step in path:
        found = found[step]
    return found


def filled(value: Any, text: Callable[[str], Any], name: str = "") -> Any:
    """A copy with another value, by the name of its field, for everything that is neither an object nor a list."""
    if isinstance(value, dict):
        return {field: filled(item, text, field) for field, item in value.items()}
    return [filled(item, text, name) for item in value] if isinstance(value, list) else text(name)


def planted(submission: dict[str, Any], path: tuple[str | int, ...], value: Any, *, as_key: bool = False) -> dict:
    """A copy with another value at a place or, `as_key`, with a field of that name beside it."""
    changed = copy.deepcopy(submission)
    owner = at(changed, path[:-1])
    if not as_key:
        owner[path[-1]] = value
    elif isinstance(owner, dict):
        owner[value] = owner[path[-1]]
    else:
        owner.append({value: 1})
    return changed
