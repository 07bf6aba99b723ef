"""What is kept of the JSON of a submission, or of a community: known fields in their known shapes, and no account.

A field that is not listed here is left out. Only text can name somebody, so every text has one of few shapes: an
account, which is hashed; a word of a short list, an id, a number or a date; an address; or what somebody wrote. A value
of another shape, which may hold anything, keeps no more than its kind: an object and a list become empty ones, a text
becomes its hash, so that what reads it refuses it as before. Objects and lists may come as text, as tables have them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from redpop_assets.literals import literal
from redpop_assets.privacy import names
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.names import Digest
from redpop_assets.removals import REMOVERS

Shape = Callable[[Any, Digest], Any]
"""From a value as it came to what is kept of it; only texts, lists and objects are asked about."""


def pseudonymise(submission: Mapping[str, Any], key: AuthorKey | Digest) -> dict[str, Any]:
    """What is kept of a submission of the Reddit API or of an archive, in the order of its fields.

    Accounts are hashes: whole where a field names one, and inside addresses, communities and what people wrote
    (`redpop_assets.privacy.names`). To what came out of it, it can be applied again and changes nothing.
    """
    kept: dict[str, Any] = _kept(submission, _SUBMISSION, key.digest if isinstance(key, AuthorKey) else key)
    return kept


def nameless(answer: str, value: Any) -> Any:
    """What is kept of an answer about a community: `about`, `rules` or `post_requirements`, as the Reddit API has it.

    Descriptions and rules name moderators, whom nobody has to recognise: an account leaves nothing that tells it from
    another one, so that there is nothing to forget. It can be applied again and changes nothing.
    """
    return _kept(value, _OF_COMMUNITIES[answer], lambda _: _NOBODY)


def _other_shape(value: Any, digest: Digest) -> Any:
    if isinstance(value, str):
        return names.in_field(value, digest)
    return [] if isinstance(value, list) else {}


# Whatever the field, values of these types name nobody.
_NAMELESS: Final = frozenset({type(None), bool, int, float})


def _kept(value: Any, shape: Shape, digest: Digest) -> Any:
    return value if type(value) in _NAMELESS else shape(value, digest)


def _opened(value: Any) -> Any:
    """An object or a list that came as text, as a table has it: JSON, or as Python prints it."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return literal(value)
    except ValueError:
        return value


def _text_of(hide: Callable[[str, Digest], str | None]) -> Shape:
    def keep(value: Any, digest: Digest) -> Any:
        hidden = hide(value, digest) if isinstance(value, str) else None
        return _other_shape(value, digest) if hidden is None else hidden

    return keep


def _matching(pattern: str) -> Shape:
    compiled = re.compile(pattern, re.ASCII)
    return _text_of(lambda text, _: text if compiled.fullmatch(text) else None)


def _words(*known: str) -> Shape:
    return _text_of(lambda text, _: text if text in known or text == "" else None)


def _record(fields: Mapping[str, Shape]) -> Shape:
    def keep(value: Any, digest: Digest) -> Any:
        value = _opened(value)
        if not isinstance(value, Mapping):
            return _other_shape(value, digest)
        return {name: _kept(item, fields[name], digest) for name, item in value.items() if name in fields}

    return keep


def _post(fields: Mapping[str, Shape]) -> Shape:
    """A record whose `domain` says, of a text, in which community it is: that of a profile is called like its owner."""
    record = _record(fields)

    def keep(value: Any, digest: Digest) -> Any:
        kept = record(value, digest)
        if isinstance(value, Mapping) and isinstance(value.get("domain"), str):
            host, dot, community = value["domain"].partition(".")
            own = value.get("subreddit")
            is_own = isinstance(own, str) and community.lower() == own.lower() == str(kept["subreddit"]).lower()
            if host.lower() == "self" and dot and not is_own:
                mark = community[:2] if community.lower().startswith("u_") else ""
                kept["domain"] = f"{host}.{mark}{names.in_field(community[len(mark) :], digest)}"
        return kept

    return keep


def _list(shape: Shape) -> Shape:
    def keep(value: Any, digest: Digest) -> Any:
        value = _opened(value)
        if not isinstance(value, list):
            return _other_shape(value, digest)
        return [_kept(item, shape, digest) for item in value]

    return keep


def _map(key: str, shape: Shape) -> Shape:
    compiled = re.compile(key, re.ASCII)

    def keep(value: Any, digest: Digest) -> Any:
        value = _opened(value)
        if not isinstance(value, Mapping):
            return _other_shape(value, digest)
        return {name: _kept(item, shape, digest) for name, item in value.items() if compiled.fullmatch(name)}

    return keep


_HOST: Final = re.compile(r"self\.[\w.-]+|(?:[a-z0-9-]+\.)+[a-z0-9-]{2,}", re.IGNORECASE | re.ASCII)

# Flags and numbers, which tables give as text.
_PLAIN: Final = _matching(r"\s*(?:[-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|(?i:true|false))?\s*")
_PERSON: Final = _text_of(names.in_field)
_WRITTEN: Final = _text_of(names.in_text)
_LINK: Final = _text_of(lambda text, digest: names.in_link(text, digest) if text else text)
_COMMUNITY: Final = _text_of(names.in_community)
_DOMAIN: Final = _text_of(lambda text, _: text if not text or _HOST.fullmatch(text) else None)
_POST_ID: Final = _matching(r"(?:t3_)?[a-z0-9]{1,13}")
_COMMUNITY_ID: Final = _matching(r"(?:t5_)?[a-z0-9]{1,13}")
_UUID: Final = _matching(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE: Final = _matching(r"[\dTZ:.,+ -]{0,40}")
_MEDIA_ID: Final = r"[a-z0-9]{1,32}"
_REMOVER: Final = _words(*REMOVERS)

_SIZE: Final = _record({"url": _LINK, "width": _PLAIN, "height": _PLAIN})
_SIZES: Final = {"source": _SIZE, "resolutions": _list(_SIZE)}
_VIDEO: Final = _record(
    dict.fromkeys(("bitrate_kbps", "duration", "has_audio", "height", "is_gif", "width"), _PLAIN)
    | {"transcoding_status": _words("completed", "error", "processing")}
)
_MEDIA: Final = _record(
    {
        "type": _DOMAIN,
        "oembed": _record(
            {
                "type": _words("link", "photo", "rich", "video"),
                "provider_url": _LINK,
                "url": _LINK,
                "thumbnail_url": _LINK,
                **dict.fromkeys(("height", "thumbnail_height", "thumbnail_width", "width"), _PLAIN),
            }
        ),
        "reddit_video": _VIDEO,
    }
)
_COPY_OF_UPLOAD: Final = _record({"u": _LINK, "gif": _LINK, "mp4": _LINK, "x": _PLAIN, "y": _PLAIN})
_UPLOAD: Final = _record(
    {
        "e": _words("AnimatedImage", "Image", "RedditVideo"),
        "id": _matching(_MEDIA_ID),
        "isGif": _PLAIN,
        "m": _matching(r"(?:image|video)/(?:jpe?g|png|gif|webp|avif|heic|mp4)"),
        "p": _list(_COPY_OF_UPLOAD),
        "s": _COPY_OF_UPLOAD,
        "status": _words("failed", "invalid", "missing", "processing", "unprocessed", "valid"),
        "x": _PLAIN,
        "y": _PLAIN,
    }
)
_GALLERY: Final = _record(
    {
        "items": _list(
            _record(
                {
                    "caption": _WRITTEN,
                    "id": _PLAIN,
                    "is_deleted": _PLAIN,
                    "media_id": _matching(_MEDIA_ID),
                    "outbound_url": _LINK,
                }
            )
        )
    }
)
_VARIANTS: Final = _record(dict.fromkeys(("gif", "mp4", "nsfw", "obfuscated"), _record(_SIZES)))
_PREVIEW: Final = _record(
    {
        "enabled": _PLAIN,
        "images": _list(_record(_SIZES | {"variants": _VARIANTS})),
        "reddit_video_preview": _VIDEO,
    }
)
_AWARD: Final = _record(
    {
        "id": _matching(r"gid_\d|award_[0-9a-f-]{36}"),
        **dict.fromkeys(("coin_price", "coin_reward", "count", "days_of_premium"), _PLAIN),
    }
)
# What dumps say about their second reading.
_META: Final = _record(
    {
        "is_edited": _PLAIN,
        "note": _words("initially_unavailable", "no_2nd_retrieval"),
        "removal_type": _REMOVER,
        "retrieved_2nd_on": _DATE,
        "was_deleted_later": _PLAIN,
        "was_initially_deleted": _PLAIN,
    }
)
_FIELDS: Final[dict[str, Shape]] = {
    "id": _POST_ID,
    "name": _POST_ID,
    "author": _PERSON,
    "author_fullname": _PERSON,
    "title": _WRITTEN,
    "selftext": _WRITTEN,
    "link_flair_text": _WRITTEN,
    "link_flair_template_id": _UUID,
    "subreddit": _COMMUNITY,
    "subreddit_name_prefixed": _COMMUNITY,
    "subreddit_id": _COMMUNITY_ID,
    "subreddit_type": _words(
        *("archived", "employees_only", "gold_only", "gold_restricted", "private", "public", "restricted", "user")
    ),
    "url": _LINK,
    "url_overridden_by_dest": _LINK,
    "permalink": _LINK,
    "full_link": _LINK,
    "thumbnail": _text_of(
        lambda text, digest: (
            text if text in ("", "default", "image", "nsfw", "self", "spoiler") else names.in_link(text, digest)
        )
    ),
    "domain": _DOMAIN,
    "post_hint": _words("gallery", "hosted:video", "image", "link", "rich:video", "self", "video"),
    "distinguished": _words("admin", "moderator", "special"),
    "suggested_sort": _words(
        *("blank", "best", "confidence", "controversial", "hot", "live", "new", "old", "qa", "random", "top")
    ),
    "removed_by_category": _REMOVER,
    "removal_reason": _words("legal"),
    "crosspost_parent": _POST_ID,
    "gallery_data": _GALLERY,
    "media_metadata": _map(_MEDIA_ID, _UPLOAD),
    "preview": _PREVIEW,
    "media": _MEDIA,
    "secure_media": _MEDIA,
    "all_awardings": _list(_AWARD),
    "gildings": _map(r"gid_\d", _PLAIN),
    "_meta": _META,
    **dict.fromkeys(
        ("observed_at", "retrieved_2nd_on", "retrieved_on", "retrieved_utc", "updated_utc", "utc_datetime_str"), _DATE
    ),
    **dict.fromkeys(
        (
            *("allow_live_comments", "archived", "author_cakeday", "author_premium", "brand_safe", "contest_mode"),
            *("created", "created_utc", "downs", "edited", "gilded", "hidden", "hide_score", "is_created_from_ads_ui"),
            *("is_crosspostable", "is_gallery", "is_meta", "is_original_content", "is_reddit_media_domain"),
            *("is_robot_indexable", "is_self", "is_survey_ad", "is_video", "locked", "media_only", "no_follow"),
            *("num_comments", "num_crossposts", "num_duplicates", "num_reports", "over_18", "pinned", "promoted"),
            *("pwls", "quarantine", "removed", "score", "send_replies", "spam", "spoiler", "stickied"),
            *("subreddit_subscribers", "thumbnail_height", "thumbnail_width", "total_awards_received", "ups"),
            *("upvote_ratio", "view_count", "wls"),
        ),
        _PLAIN,
    ),
}
# The original of a crosspost is a post of its own, in the form in which it holds no other.
KEPT: Final = frozenset(_FIELDS) | {"crosspost_parent_list"}
"""Names of the fields of a submission that are kept."""

_SUBMISSION: Final = _post(_FIELDS | {"crosspost_parent_list": _list(_post(_FIELDS))})

# What is said of communities.
_ABOUT: Final = _record(
    {
        "display_name": _COMMUNITY,
        "display_name_prefixed": _COMMUNITY,
        "submission_type": _words("any", "link", "self"),
        "subreddit_type": _words(
            *("archived", "employees_only", "gold_only", "gold_restricted", "private", "public", "restricted", "user")
        ),
        "lang": _matching(r"[A-Za-z-]{0,10}"),
        "id": _matching(r"[a-z0-9]{1,13}"),
        "name": _matching(r"t5_[a-z0-9]{1,13}"),
        **dict.fromkeys(("title", "public_description", "description", "submit_text"), _WRITTEN),
        **dict.fromkeys(("submit_link_label", "submit_text_label"), _WRITTEN),
        **dict.fromkeys(
            (
                *("all_original_content", "allow_galleries", "allow_images", "allow_polls", "allow_videogifs"),
                *("allow_videos", "can_assign_link_flair", "comment_score_hide_mins", "created", "created_utc"),
                *("is_crosspostable_subreddit", "link_flair_enabled", "original_content_tag_enabled", "over18"),
                *("quarantine", "restrict_posting", "retrieved_on", "should_archive_posts", "spoilers_enabled"),
                *("subscribers", "wiki_enabled"),
            ),
            _PLAIN,
        ),
    }
)
_RULES: Final = _list(
    _record(
        {
            "kind": _words("all", "comment", "link"),
            **dict.fromkeys(("short_name", "description", "violation_reason"), _WRITTEN),
            **dict.fromkeys(("created_utc", "priority"), _PLAIN),
        }
    )
)
_REQUIREMENTS: Final = _record(
    {
        **dict.fromkeys(
            (
                *("body_blacklisted_strings", "body_regexes", "body_required_strings", "domain_blacklist"),
                *("domain_whitelist", "title_blacklisted_strings", "title_regexes", "title_required_strings"),
            ),
            _list(_WRITTEN),
        ),
        **dict.fromkeys(
            (
                *("body_text_max_length", "body_text_min_length", "gallery_max_items", "gallery_min_items"),
                *("is_flair_required", "link_repost_age", "title_text_max_length", "title_text_min_length"),
            ),
            _PLAIN,
        ),
        "body_restriction_policy": _words("none", "notAllowed", "required"),
        "link_restriction_policy": _words("blacklist", "none", "whitelist"),
        **dict.fromkeys(
            ("gallery_captions_requirement", "gallery_urls_requirement"), _words("none", "notAllowed", "required")
        ),
        "guidelines_text": _WRITTEN,
    }
)
_OF_COMMUNITIES: Final[Mapping[str, Shape]] = {"about": _ABOUT, "rules": _RULES, "post_requirements": _REQUIREMENTS}

_NOBODY: Final = "f" * 32  # where a hash would stand; no number, whatever reads it
