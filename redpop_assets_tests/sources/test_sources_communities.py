"""What is kept of communities: answers of any source, at the time they were read, and nobody's name."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from redpop_assets.privacy.submissions import nameless
from redpop_assets.sources.communities import KeptCommunity, keep_community
from redpop_assets.storage.warehouse import Warehouse

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ABOUT = {
    "display_name": "Pics",
    "display_name_prefixed": "r/Pics",
    "title": "Pictures",
    "public_description": "Ask u/SomeModerator_7 or /u/another-one.",
    "description": "Made by https://www.reddit.com/user/SomeModerator_7",
    "over18": False,
    "submission_type": "link",
    "subscribers": 31_000_000,
    "allow_images": True,
    "allow_galleries": True,
    "header_img": "https://b.thumbs.redditmedia.com/x.png",
    "user_is_banned": None,
    "moderators": ["SomeModerator_7"],
}
RULES = [
    {"kind": "comment", "priority": 2, "short_name": "Be kind", "description": None, "violation_reason": "Unkind"},
    {"kind": "link", "priority": 0, "short_name": "No text", "description": "Ask u/SomeModerator_7.", "created_utc": 1},
    {"kind": "link", "priority": 1, "short_name": "Half \ud83d", "description": "", "description_html": "<p>"},
]
REQUIREMENTS = {
    "title_text_min_length": 10,
    "title_text_max_length": None,
    "title_required_strings": ["[OC]"],
    "title_blacklisted_strings": [],
    "title_regexes": ["^The .*"],
    "is_flair_required": True,
    "domain_blacklist": ["example.com"],
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Warehouse:
    warehouse = Warehouse(Path(tmp_path_factory.mktemp("home")), source="reddit", lock_timeout=60)
    with warehouse.write():
        pass
    return warehouse


@pytest.fixture
def writer(warehouse):
    class Undone(Exception):
        pass

    try:
        with warehouse.write() as writer:
            yield writer
            raise Undone
    except Undone:
        pass


def rows(writer, sql):
    return writer.query(sql).to_pylist()


def test_answers_are_kept_with_the_time_they_were_read_and_storing_them_again_changes_nothing(writer):
    sizes = [(NOW - timedelta(days=days), 30_000_000 - days) for days in (1, 2)]
    options = {"read_at": NOW, "about": ABOUT, "rules": RULES, "post_requirements": REQUIREMENTS, "sizes": sizes}
    assert keep_community(writer, "PICS", **options) == KeptCommunity(3, 3)
    assert keep_community(writer, "pics", **options) == KeptCommunity(0, 0)
    assert keep_community(writer, "pics", read_at=NOW + timedelta(days=1), rules=RULES[:1]) == KeptCommunity(1, 0)
    assert rows(writer, "SELECT day, subscribers FROM raw.community_sizes ORDER BY day") == [
        {"day": date(2026, 5, 30), "subscribers": 29_999_998},
        {"day": date(2026, 5, 31), "subscribers": 29_999_999},
        {"day": date(2026, 6, 1), "subscribers": 31_000_000},
    ]
    assert rows(writer, "SELECT short_name, read_at FROM core.community_rules") == [
        {"short_name": "Be kind", "read_at": datetime(2026, 6, 2, 12)}
    ]


def test_the_latest_facts_are_columns(writer):
    keep_community(writer, "pics", read_at=NOW, about=ABOUT, post_requirements=REQUIREMENTS)
    keep_community(writer, "aww", read_at=NOW, rules=RULES)
    (aww, pics) = rows(writer, "SELECT * FROM core.communities ORDER BY subreddit")
    assert pics == {
        "subreddit": "pics",
        "title": "Pictures",
        "description": f"Ask u/{'f' * 32} or /u/{'f' * 32}.",
        "over_18": False,
        "submission_type": "link",
        "allow_images": True,
        "allow_galleries": True,
        "subscribers": 31_000_000,
        "read_at": datetime(2026, 6, 1, 12),
        "title_min_length": 10,
        "title_max_length": None,
        "title_required": ["[OC]"],
        "title_forbidden": [],
        "title_patterns": ["^The .*"],
        "flair_required": True,
        "requirements_read_at": datetime(2026, 6, 1, 12),
    }
    assert aww["title"] is aww["read_at"] is aww["subscribers"] is aww["flair_required"] is None


def test_rules_stand_in_the_order_of_the_moderators(writer):
    keep_community(writer, "pics", read_at=NOW, rules=RULES)
    found = rows(writer, "SELECT * EXCLUDE (subreddit, read_at) FROM core.community_rules ORDER BY position")
    assert [(row["position"], row["short_name"], row["kind"]) for row in found] == [
        (1, "No text", "link"),
        (2, "Half ?", "link"),
        (3, "Be kind", "comment"),
    ]
    assert found[2]["description"] is None
    assert found[2]["violation_reason"] == "Unkind"


def test_answers_of_reddit_come_in_envelopes_and_those_of_an_archive_say_when_they_were_read(writer):
    at = NOW - timedelta(days=200)
    keep_community(writer, "one", read_at=NOW, about={"kind": "t5", "data": ABOUT}, rules={"rules": RULES, "site": []})
    retrieved = {"retrieved_on": int(at.timestamp())}
    keep_community(writer, "two", read_at=NOW, about=ABOUT | retrieved, rules=[rule | retrieved for rule in RULES])
    keep_community(writer, "three", read_at=NOW, about=ABOUT | {"retrieved_on": "soon"}, rules=[])
    found = rows(writer, "SELECT subreddit, answer, read_at FROM raw.communities ORDER BY ALL")
    now, then = datetime(2026, 6, 1, 12), at.replace(tzinfo=None)
    assert [(row["subreddit"], row["answer"], row["read_at"]) for row in found] == [
        ("one", "about", now),
        ("one", "rules", now),
        ("three", "about", now),
        ("three", "rules", now),
        ("two", "about", then),
        ("two", "rules", then),
    ]
    sizes = rows(writer, "SELECT day FROM raw.community_sizes WHERE subreddit = 'two'")
    assert sizes == [{"day": then.date()}]
    assert rows(writer, "SELECT * FROM core.community_rules WHERE subreddit = 'three'") == []


def test_nobodys_name_is_kept(writer):
    keep_community(writer, "pics", read_at=NOW, about=ABOUT, rules=RULES, post_requirements=REQUIREMENTS)
    stored = " ".join(row["json"] for row in rows(writer, "SELECT json FROM raw.communities"))
    assert "SomeModerator" not in stored
    assert "another-one" not in stored
    assert "header_img" not in stored
    for answer, value in (("about", ABOUT), ("rules", RULES), ("post_requirements", REQUIREMENTS)):
        once = nameless(answer, value)
        assert nameless(answer, once) == once
        assert json.dumps(once)


@pytest.mark.parametrize(
    "odd",
    [
        {"about": ["x"]},
        {"about": "text"},
        {"rules": {"a": 1}},
        {"rules": "x"},
        {"rules": 7},
        {"post_requirements": []},
        {"about": {"data": 7}, "sizes": [(NOW, True), (NOW, -1), (NOW, 2**50)]},
    ],
)
def test_what_has_another_shape_is_not_kept_and_nothing_breaks(writer, odd, caplog):
    kept = keep_community(writer, "pics", read_at=NOW, **odd)
    assert kept.days == 0
    assert kept.readings == (1 if odd.get("about") == {"data": 7} else 0)
    assert kept.readings or "has another shape" in caplog.text


def test_odd_values_become_what_they_are_not(writer):
    about = {"over18": "perhaps", "subscribers": "many", "allow_images": {"u/someone": 1}, "title": ["u/someone"]}
    keep_community(writer, "pics", read_at=NOW, about=about, rules=[{"short_name": {"u/someone": 2}}, "x", None])
    (found,) = rows(writer, "SELECT * FROM core.communities")
    assert (found["over_18"], found["subscribers"], found["allow_images"]) == (None, None, None)
    stored = " ".join(row["json"] for row in rows(writer, "SELECT json FROM raw.communities"))
    assert "someone" not in stored
