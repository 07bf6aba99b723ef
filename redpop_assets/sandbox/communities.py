"""What the moderators of generated communities say of them: a description, rules, and what they require of posts."""

from typing import Any

from redpop_assets.sandbox.world import World

_DAY = 86_400.0


def about_of(world: World, name: str, at: float) -> dict[str, Any]:
    """A community as Reddit's `about` describes it at a moment (Unix seconds)."""
    created = int(world.epoch.timestamp() - world.history.total_seconds() - 365 * _DAY)
    pictures_only = _is_for_pictures_only(world, name)
    return {
        "accounts_active": None,
        "allow_galleries": True,
        "allow_images": True,
        "allow_videos": not pictures_only,
        "created": created,
        "created_utc": created,
        "description": f"Everything that is worth seeing in {name}.",
        "display_name": name,
        "display_name_prefixed": f"r/{name}",
        "id": world.subreddit_id(name).removeprefix("t5_"),
        "lang": "en",
        "link_flair_enabled": True,
        "name": world.subreddit_id(name),
        "over18": False,
        "public_description": f"Pictures of {name}, for everybody.",
        "quarantine": False,
        "spoilers_enabled": True,
        "submission_type": "link" if pictures_only else "any",
        "submit_text": "",
        "subreddit_type": "public",
        "subscribers": world.subscribers(name, at),
        "title": name,
        "url": f"/r/{name}/",
    }


def rules_of(world: World, name: str) -> list[dict[str, Any]]:
    """The rules of a community: three to five, the same ones always."""
    texts = (
        ("No text over pictures", "Pictures with added text are removed.", "link", "Text over the picture"),
        ("Say what it is", "A title describes what there is to see.", "link", "Title does not describe the picture"),
        ("Be kind", "Remember the human.", "all", "Unkind"),
        ("No advertising", "Nothing is sold here.", "all", "Advertising"),
        ("No talk of other communities", "", "comment", "Off topic"),
    )
    number = 3 + world.digest(name, "rules", 0)[0] % 3
    created = int(world.epoch.timestamp() - world.history.total_seconds() - 300 * _DAY)
    return [
        {
            "created_utc": created + place,
            "description": text,
            "kind": kind,
            "priority": place,
            "short_name": short_name,
            "violation_reason": reason,
        }
        for place, (short_name, text, kind, reason) in enumerate(texts[:number])
    ]


def requirements_of(world: World, name: str) -> dict[str, Any]:
    """What Reddit's form for new posts checks in a community: the length of titles, and whether flair is a must."""
    lengths = ((None, None), (5, 250), (15, None))
    shortest, longest = lengths[world.digest(name, "requirements", 0)[0] % len(lengths)]
    return {
        "title_regexes": [],
        "body_blacklisted_strings": [],
        "title_blacklisted_strings": ["upvote if"] if shortest else [],
        "body_text_max_length": None,
        "title_required_strings": [],
        "guidelines_text": None,
        "gallery_min_items": None,
        "domain_blacklist": [],
        "domain_whitelist": [],
        "title_text_max_length": longest,
        "body_restriction_policy": "notAllowed" if _is_for_pictures_only(world, name) else "none",
        "link_restriction_policy": "none",
        "guidelines_display_policy": None,
        "body_required_strings": [],
        "title_text_min_length": shortest,
        "gallery_captions_requirement": "none",
        "is_flair_required": False,
        "gallery_max_items": None,
        "gallery_urls_requirement": "none",
        "body_regexes": [],
        "link_repost_age": 365 if shortest else None,
        "body_text_min_length": None,
    }


def _is_for_pictures_only(world: World, name: str) -> bool:
    return world.digest(name, "pictures only", 0)[0] < 128
