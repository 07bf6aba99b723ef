"""What a community's rules have against a draft: each kind of rule, what is not known, and patterns that would hang."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.refresh import patterns
from redpop_assets.refresh.rules import CERTAINTIES, DraftFacts, objections, repost_rule
from redpop_assets.sources.communities import keep_community
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.testing.warehouses import blank_warehouse

READ_AT = datetime(2026, 5, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ABOUT = {"submission_type": "any", "allow_images": True, "allow_galleries": True, "over18": False}
FORM = {"is_flair_required": False}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """One warehouse for all: each test describes a community of its own."""
    warehouse = blank_warehouse(tmp_path_factory.mktemp("rules") / "home")
    with warehouse.kept():
        yield warehouse


@pytest.fixture
def place(warehouse, request):
    """Describes a community and returns its name."""
    names = iter(f"c{abs(hash(request.node.name))}x{number}" for number in range(1000))

    def described(about=ABOUT, form=FORM, rules=()):
        name = next(names)
        with warehouse.write() as writer:
            written = (
                None
                if rules is None
                else [
                    {"short_name": each, "description": "", "kind": "link"} if isinstance(each, str) else each
                    for each in rules
                ]
            )
            keep_community(writer, name, read_at=READ_AT, about=about, rules=written, post_requirements=form)
        return name

    return described


def against(warehouse, name, title="A quiet mountain", **facts):
    return objections(warehouse, name, DraftFacts(title, NOW, **facts))


def kinds(found):
    return [(one.about, one.certainty) for one in found]


def test_nothing_stands_against_a_post_where_all_rules_are_known_and_none_is_broken(warehouse, place):
    assert against(warehouse, place()) == ()


def test_what_was_never_read_is_not_known(warehouse, place):
    nothing = against(warehouse, "never_heard_of")
    assert {one.certainty for one in nothing} == {"not known"}
    assert {one.about for one in nothing} == {"rules", "form"}
    assert any("rules of r/never_heard_of are not known" in one.says for one in nothing)
    assert all(one.read_at is None for one in nothing)
    # A list without rules was read; one that is not there was not.
    assert kinds(against(warehouse, place(rules=None))) == [("rules", "not known")]
    assert kinds(against(warehouse, place(form=None))) == [("rules", "not known")]
    assert kinds(against(warehouse, place(about=None))) == [("form", "not known")]


def test_what_an_answer_leaves_out_is_not_known(warehouse, place):
    found = against(warehouse, place(about={"submission_type": "any"}, form={"title_text_min_length": 3}))
    assert kinds(found) == [("flair", "not known"), ("form", "not known")]
    assert "posts for adults, pictures" in found[1].says


@pytest.mark.parametrize(
    ("form", "title", "expected"),
    [
        ({"title_text_min_length": 5}, "Four", "certain"),
        ({"title_text_min_length": 5}, "Fives", None),
        ({"title_text_min_length": 5}, " Four  ", "certain"),  # Reddit takes white space away
        ({"title_text_max_length": 5}, "Sixsix", "certain"),
        ({"title_text_max_length": 5}, "Fives", None),
        ({"title_text_max_length": 5}, "Four\N{CAT}", "likely"),  # five characters, or six in a browser
        ({"title_text_min_length": 2}, "\N{CAT}", "likely"),
        ({"title_blacklisted_strings": ["upvote if"]}, "So upvote if you like", "certain"),
        ({"title_blacklisted_strings": ["upvote if"]}, "UPVOTE IF you like", "likely"),
        ({"title_blacklisted_strings": ["upvote if", ""]}, "Nothing of the kind", None),
        ({"title_required_strings": ["[OC]", "[Found]"]}, "A mountain [Found]", None),
        ({"title_required_strings": ["[OC]", "[Found]"]}, "A mountain [oc]", "likely"),
        ({"title_required_strings": ["[OC]", "[Found]"]}, "A mountain", "certain"),
        ({"title_required_strings": []}, "A mountain", None),
        ({"title_regexes": [r"\[\d+ ?x ?\d+\]", "(?i)^oc"]}, "A mountain [1200x800]", None),
        ({"title_regexes": [r"\[\d+ ?x ?\d+\]"]}, "A mountain", "likely"),
        ({"title_regexes": [r"^(?!.*[A-Z]{5})"]}, "A MOUNTAIN", "likely"),
        ({"title_regexes": [r"^(?!.*[A-Z]{5})"]}, "A mountain", None),
        ({"title_regexes": ["(", "mountain"]}, "A mountain", None),
        ({"title_regexes": ["(", "sea"]}, "A mountain", "not known"),
        ({"title_regexes": ["(a+)+$"]}, "a" * 60 + "b", "not known"),
    ],
)
def test_titles_and_what_the_form_refuses(warehouse, place, form, title, expected):
    found = against(warehouse, place(form={**FORM, **form}), title)
    assert kinds(found) == ([("title", expected)] if expected else [])
    if found:
        assert found[0].read_at == READ_AT.replace(tzinfo=None)
        assert found[0].rule


def test_reddits_own_length_of_titles_holds_everywhere(warehouse, place):
    name = place()
    assert kinds(against(warehouse, name, "x" * 300)) == []
    assert kinds(against(warehouse, name, "x" * 301)) == [("title", "certain")]
    assert kinds(against(warehouse, name, " \n")) == [("title", "certain")]


@pytest.mark.parametrize(
    ("about", "facts", "expected"),
    [
        ({"submission_type": "self"}, {}, [("form", "certain")]),
        ({"submission_type": "self"}, {"pictures": 0}, []),
        ({"submission_type": "link"}, {}, []),
        ({"submission_type": "link"}, {"pictures": 0}, [("form", "certain")]),
        ({"allow_images": False}, {}, [("form", "certain")]),
        ({"allow_images": False}, {"pictures": 0}, []),
        ({"allow_galleries": False}, {}, []),
        ({"allow_galleries": False}, {"pictures": 2}, [("form", "certain")]),
        ({"over18": True}, {}, [("adults", "certain")]),
        ({"over18": True}, {"over_18": True}, []),
        ({}, {"over_18": True}, [("adults", "likely")]),
    ],
)
def test_what_may_be_posted_at_all(warehouse, place, about, facts, expected):
    assert kinds(against(warehouse, place(about={**ABOUT, **about}), **facts)) == expected


@pytest.mark.parametrize(("flair", "missing"), [(None, True), (" ", True), ("OC", False)])
def test_a_flair_that_is_asked_for(warehouse, place, flair, missing):
    found = against(warehouse, place(form={"is_flair_required": True}), flair=flair)
    assert kinds(found) == [("flair", "certain")] * missing


def test_written_rules_are_quoted_for_a_person_to_read(warehouse, place):
    rules = [
        {"short_name": "No text", "description": "<b>None</b> at all.", "kind": "link", "priority": 1},
        {"short_name": "Be kind", "kind": "all", "priority": 0},
        {"short_name": "No jokes in answers", "kind": "comment", "priority": 2},
    ]
    found = against(warehouse, place(rules=rules))
    assert kinds(found) == [("rules", "read it")] * 2
    assert [one.rule for one in found] == ["Be kind", "No text\n<b>None</b> at all."]


def show(warehouse, subreddit, post_id, created_at, group):
    """A stored post that shows a picture."""
    created = created_at.replace(tzinfo=None)
    post = {"post_id": post_id, "subreddit": subreddit, "created_at": created, "caption": "x", "caption_sha256": "0"}
    post |= {"kind": "image", "is_original_content": False, "over_18": False, "spoiler": False, "code_version": "1"}
    same = {"post_id": post_id, "subreddit": subreddit, "duplicate_group": group, "canonical": True}
    with warehouse.write() as writer:
        for table, row in (("core.posts", {**post, "image_urls": []}), ("core.duplicates", same)):
            names = [column.name for column in warehouse.schema[table].columns]
            writer.merge(table, arrow_table({name: [row.get(name)] for name in names}))


@pytest.mark.parametrize(
    ("rule", "days", "expected"),
    [
        ("No reposts within 6 months", 170, "likely"),
        ("No reposts within 6 months", 200, "read it"),
        ("No reposts", 3000, "likely"),
        ("Be kind", 1, "read it"),
        ("Reposts are allowed after 3 months.", 60, "likely"),
        ("Reposts are allowed after 3 months.", 100, "read it"),
    ],
)
def test_a_picture_that_was_shown_there_may_be_a_repost(warehouse, place, rule, days, expected):
    name = place(rules=[rule])
    show(warehouse, name, f"p{name}", NOW - timedelta(days=days), f"g{name}")
    (found,) = against(warehouse, name, duplicate_group=f"g{name}")
    assert (found.certainty, found.rule) == (expected, rule)
    if expected == "likely":
        assert "may count as a repost" in found.says
        assert f"{days} days before" in found.says


def test_a_picture_of_another_community_or_of_later_is_no_repost(warehouse, place):
    name, other = place(rules=["No reposts"]), place()
    show(warehouse, other, f"o{name}", NOW - timedelta(days=3), f"g{name}")
    show(warehouse, name, f"l{name}", NOW + timedelta(days=3), f"g{name}")
    assert kinds(against(warehouse, name, duplicate_group=f"g{name}")) == [("rules", "read it")]
    assert kinds(against(warehouse, name)) == [("rules", "read it")]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("No reposts within 6 months", 186),
        ("No re-posts of the last six months.", 186),
        ("Reposts must be at least a year old", 366),
        ("Do not repost anything from the past 30 days!", 30),
        ("No reposts\nContent posted here before within the last half a year will be removed", 183),
        ("A 90-day repost rule", 90),
        ("no reposts for two (2) weeks", 14),
        ("No reposts in the previous month", 31),
        ("No reposts for 3 months. Own work may be reposted after 1 month", 93),
        ("No reposts; new accounts have to wait for 10 days", None),
        ("Reposts", None),
        ("Don’t repost.", None),
        ("Pictures that were already posted are removed", None),
    ],
)
def test_rules_about_reposts_that_are_understood(text, days):
    found = repost_rule(text)
    assert found is not None
    assert (found.within.total_seconds() / 86_400 if found.within else None) == days


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Be kind",
        "Post at most once in 6 months",
        "Reposts are allowed",
        "No complaining about reposts",
        "Do not accuse others of reposting",
        "Represent the place well",
    ],
)
def test_rules_that_do_not_forbid_reposts(text):
    assert repost_rule(text) is None


@settings(max_examples=40)
@given(st.text(max_size=300))
def test_any_text_may_be_a_rule(text):
    for rule in (text, f"no reposts {text}", f"{text} months repost"):
        found = repost_rule(rule)
        assert found is None or found.within is None or found.within >= timedelta(0)


def test_a_rule_as_long_as_one_likes_is_read_at_once():
    began = time.monotonic()
    for text in ("no reposts " * 100_000, "1" * 1_000_000, "half a " * 200_000, "re" * 500_000 + "post"):
        repost_rule(text)
    assert time.monotonic() - began < 5


HOSTILE = (
    "(a+)+$",
    "(a|a)*$",
    "(?:(?:(?:a?){100}){100}){100}b",
    "(a{1,1000}){1,1000}b",
    "(" * 5000 + ")" * 5000,
    "(" * 900 + "a" + ")" * 900,
    "a{999999999999}",
    "(?P<x>a)(?P=x){50}(a*)*b",
    "x" * 100_000,
    "(?<=a+)b",
    "\\",
    "[",
    "\ud800",
    "(?:a{0,65535}){0,65535}{0,65535}",
)


def test_hostile_patterns_end_in_time_and_take_no_other_along():
    began = time.monotonic()
    found = patterns.search([*HOSTILE, "^a"], "a" * 300)
    assert time.monotonic() - began < patterns.MOST_SECONDS_IN_ALL + 2
    assert len(found) == len(HOSTILE) + 1
    assert set(found) <= {"yes", "no", "invalid", "too slow"}
    one_by_one = [patterns.search([pattern, "^a"], "a" * 50 + "b")[1] for pattern in HOSTILE[:2]]
    assert one_by_one == ["yes", "yes"]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b$", "(", "[x", "(?i)A", "é", "\n", "^$"]), max_size=6),
    st.text("aéb\n", max_size=5),
)
def test_patterns_mean_what_they_mean_to_python(wanted, text):
    import re

    def plainly(pattern):
        try:
            return "yes" if re.search(pattern, text) else "no"
        except re.error:
            return "invalid"

    assert patterns.search(wanted, text) == tuple(map(plainly, wanted))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "title_text_min_length": st.integers(0, 50),
            "title_text_max_length": st.integers(0, 50),
            "title_blacklisted_strings": st.lists(st.text("abC ", max_size=3), max_size=3),
            "title_required_strings": st.lists(st.text("abC ", max_size=3), max_size=3),
            "is_flair_required": st.booleans(),
        },
    ),
    st.text("abcC \N{CAT}", max_size=60),
)
def test_objections_come_in_order_and_a_title_that_keeps_to_the_form_has_none(form, title):
    class Edition:
        """What `objections` asks, answered without a warehouse."""

        def read(self):
            from contextlib import nullcontext

            return nullcontext(self)

        def query(self, sql, *_):
            from redpop_assets.storage.arrow import pa

            row = {"read_at": READ_AT, "submission_type": "any", "allow_images": True, "allow_galleries": True}
            row |= {"over_18": False, "requirements_read_at": READ_AT, "title_patterns": []}
            row |= {"title_min_length": form.get("title_text_min_length")}
            row |= {"title_max_length": form.get("title_text_max_length")}
            row |= {"title_required": form.get("title_required_strings", [])}
            row |= {"title_forbidden": form.get("title_blacklisted_strings", [])}
            row |= {"flair_required": form.get("is_flair_required")}
            return pa.Table.from_pylist([row] if "core.communities" in sql else [])

        def scalar(self, *_):
            return READ_AT

    found = objections(Edition(), "pics", DraftFacts(title, NOW))
    places = [CERTAINTIES.index(one.certainty) for one in found]
    assert places == sorted(places)
    kept = title.strip()
    forbidden = [text for text in form.get("title_blacklisted_strings", []) if text and text in kept]
    least, most = form.get("title_text_min_length"), form.get("title_text_max_length")
    wide = len(kept.encode("utf-16-le")) // 2
    broken = bool(forbidden) or not kept
    broken |= least is not None and wide < least
    broken |= most is not None and len(kept) > most
    required = [text for text in form.get("title_required_strings", []) if text]
    broken |= bool(required) and not any(text.casefold() in kept.casefold() for text in required)
    assert any(one.about == "title" and one.certainty == "certain" for one in found) == broken
    assert json.dumps([one.says for one in found])
