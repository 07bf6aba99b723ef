import gzip
import hashlib
import json
from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets import versions
from redpop_assets.removals import REMOVERS
from redpop_assets.sources.cleaning import (
    REASONS,
    Post,
    Rejection,
    clean,
    clean_caption,
    clean_submissions,
    post_rows,
    rejection_rows,
    rules_version,
    supersedes,
)
from redpop_assets.sources.values import parse_created_utc

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
RECORDED = DATA / "reddit_recorded"

POST = {
    "id": "abc12",
    "name": "t3_abc12",
    "title": " A cat\u200b ",
    "created_utc": 1_700_000_000.0,
    "subreddit": "Cats",
    "author": "5f2a",
    "url": "https://i.redd.it/e3nhuwaa13951.jpg",
    "link_flair_text": "Cat Picture",
    "over_18": False,
    "score": 12,
}


def judge(changes=None, **options):
    """As the pipeline does, with an observation of the reading that brought the JSON."""
    submission = POST | (changes or {})
    remover = submission.get("removed_by_category")
    defaults = {
        "subreddit": "cats",
        "removed_by_category": remover if isinstance(remover, str) else None,
        "author_present": True,
        "allow_over_18": False,
        "from_archive": False,
    }
    return clean(submission, **(defaults | options))


def crosspost(parent):
    return {
        "url": "/r/x/comments/zzz/y/",
        "crosspost_parent": "t3_zzz",
        "crosspost_parent_list": [{"id": "zzz", "url": "https://i.redd.it/zzz.png", "created_utc": 1.0} | parent],
    }


def gallery(*statuses):
    """A gallery of pictures that are `valid`, `unprocessed`, …"""
    names = [f"picture{number}" for number in range(len(statuses))]
    return {
        "url": "https://www.reddit.com/gallery/abc12",
        "is_gallery": True,
        "gallery_data": {"items": [{"media_id": name, "caption": f"{name} &lt;3"} for name in names]},
        "media_metadata": {
            name: {"status": status} | ({"e": "Image", "m": "image/png"} if status == "valid" else {})
            for name, status in zip(names, statuses, strict=True)
        },
    }


def test_a_clean_post_has_every_column():
    caption_hash = hashlib.sha256(b"A cat").hexdigest()
    assert judge() == Post(
        post_id="abc12",
        subreddit="cats",
        created_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        author="5f2a",
        caption="A cat",
        caption_sha256=caption_hash,
        flair="Cat Picture",
        kind="image",
        image_urls=("https://i.redd.it/e3nhuwaa13951.jpg",),
        image_captions=None,
        preview_url=None,
        crosspost_parent=None,
        is_original_content=False,
        over_18=False,
        spoiler=False,
        author_present=True,
        removed_by_category=None,
        revised_at=None,
        code_version=versions.CLEANING,
    )


OLD = {"created_utc": 1_480_000_000}
UNNAMED = {"author": "[deleted]"}
ELSEWHERE = {"url": "https://example.org/x.jpg"}
PREVIEWED = {"preview": {"images": [{"source": {"url": "https://external-preview.redd.it/x.jpg?s=1"}}]}}
REJECTIONS = [
    ({"promoted": True}, "promoted"),
    ({"is_created_from_ads_ui": True}, "promoted"),
    ({"is_survey_ad": True}, "promoted"),
    ({"subreddit": None}, "promoted"),
    ({"subreddit": "dogs"}, "other_subreddit"),
    ({"stickied": True}, "stickied"),
    ({"distinguished": "moderator"}, "moderator"),
    ({"is_self": True}, "self"),
    ({"is_video": True}, "video"),
    ({"url": "https://i.imgur.com/abcde.gifv"}, "gifv"),
    ({"url": "https://imgur.com/a/abcde"}, "album_unsupported"),
    ({"is_gallery": True}, "gallery_removed"),
    (gallery("unprocessed", "valid"), "gallery_unprocessed"),
    ({"url": "https://example.org/"}, "external_page"),
    ({"url": "/r/cats/comments/abc12/"}, "relative_url_unresolved"),
    ({"url": "ftp://example.org/a.jpg"}, "unsupported_scheme"),
    ({"title": None}, "malformed"),
    ({"over_18": True}, "over_18"),
    (crosspost({"over_18": True}), "over_18"),
    *(({"removed_by_category": remover}, f"removed_by_{remover}") for remover in sorted(REMOVERS)),
    ({"removed_by_category": "a new one"}, "removed_by_other"),
    ({"removed_by_category": 3}, "removed_by_other"),
    ({"removal_reason": "legal"}, "removed_by_legal"),
    ({"_meta": {"was_deleted_later": True, "removal_type": "deleted"}}, "removed_by_deleted"),
    ({"_meta": {"was_deleted_later": True}}, "removed_by_other"),
    # What Reddit leaves of posts that went before it noted by whom.
    ({"title": "[deleted by user]", **UNNAMED}, "removed_by_deleted"),
    ({"selftext": "[deleted]", **UNNAMED}, "removed_by_deleted"),
    ({"selftext": "[removed]"}, "removed_by_moderator"),
    ({"title": "[ Removed by Reddit ]", **UNNAMED}, "removed_by_content_takedown"),
    (
        {"selftext": "[ Removed by reddit on account of violating the [content policy](/help/contentpolicy). ]"}
        | UNNAMED,
        "removed_by_content_takedown",
    ),
    (
        {"selftext": "[ Removed by Reddit in response to a copyright notice. ]", **UNNAMED},
        "removed_by_copyright_takedown",
    ),
    # Words that anybody may have written.
    ({"title": "[ Removed by Reddit ]"}, "removed_by_other"),
    ({"title": "[deleted]"}, "removed_by_other"),
    (OLD | {"is_robot_indexable": False}, "removed_by_other"),
    # A crosspost must not keep what its author took down.
    (crosspost({"removed_by_category": "deleted"}), "parent_removed"),
    (crosspost({"removed_by_category": "copyright_takedown"}), "parent_removed"),
    (crosspost({"title": "[deleted by user]", "selftext": "[deleted]"}), "parent_removed"),
    ({"title": " \u200b\u200d\ufeff \n"}, "empty_caption"),
]


@pytest.mark.parametrize(("changes", "reason"), REJECTIONS)
def test_rejections(changes, reason):
    rejected = judge(changes)
    assert isinstance(rejected, Rejection)
    assert (rejected.post_id, rejected.subreddit, rejected.reason) == ("abc12", "cats", reason)
    assert rejected.detail
    assert reason in REASONS


def test_every_reason_is_reached():
    assert {reason for _, reason in REJECTIONS} == REASONS


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "[deleted] scene of a film"},
        {"title": "Removed by Reddit"},
        {"selftext": "we [removed] it"},
        {"is_robot_indexable": False},  # since 2020 the category says who removed it
        OLD | {"is_robot_indexable": True},
        {"author": "[deleted]"},
        {"distinguished": "admin"},
        {"spoiler": True, "thumbnail": "spoiler"},
        crosspost({"removed_by_category": "moderator"}),
        # What was, according to a dump with two readings, and is not any more.
        {"_meta": {"removal_type": "deleted"}},
        *({"_meta": {"was_initially_deleted": True, "removal_type": remover}} for remover in sorted(REMOVERS)),
        {"_meta": {"was_initially_deleted": True}, "selftext": "[deleted]", **UNNAMED},
        crosspost({"removed_by_category": None, "over_18": False}),
    ],
)
def test_what_is_no_reason(changes):
    assert isinstance(judge(changes), Post)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", None),
        ("title", 3),
        ("created_utc", None),
        ("created_utc", "yesterday"),
        ("created_utc", float("nan")),
        ("created_utc", 1_700_000_000_000),
        ("created_utc", True),
        ("over_18", "False"),
        ("spoiler", 1),
        ("url", None),
    ],
)
def test_a_broken_field_is_named(field, value):
    rejected = judge({field: value})
    assert (rejected.reason, rejected.detail) == ("malformed", field)


def test_the_key_of_the_raw_row_stands_in_for_a_missing_id():
    assert judge({"id": None}).post_id == "abc12"
    assert judge({"id": None, "name": None}) == Rejection(
        "", "cats", "malformed", "id", True, None, None, versions.CLEANING
    )
    assert judge({"id": None, "name": None}, post_id="abc13").post_id == "abc13"


def test_the_latest_observation_can_remove_a_post_and_its_author():
    gone = judge(removed_by_category="deleted", author_present=False)
    assert (gone.reason, gone.removed_by_category, gone.author_present) == ("removed_by_deleted", "deleted", False)
    orphan = judge(author_present=False)
    assert isinstance(orphan, Post)
    assert orphan.author is None
    assert judge({"author": "[deleted]"}, author_present=None).author is None


def test_the_latest_observation_can_approve_a_post_again():
    seen_removed = {"removed_by_category": "moderator", "is_robot_indexable": False, "selftext": "[removed]"}
    assert judge(seen_removed).reason == "removed_by_moderator"
    assert isinstance(judge(seen_removed, removed_by_category=None), Post)
    assert judge({}, removed_by_category="moderator").reason == "removed_by_moderator"
    # Traces without a category are of the JSON alone, which no observation overrules.
    assert judge({"selftext": "[removed]"}, removed_by_category=None).reason == "removed_by_moderator"


@pytest.mark.parametrize(
    ("stored", "seen", "expected"),
    [
        (gallery("unprocessed", "unprocessed"), gallery("valid", "valid"), True),
        (gallery("unprocessed", "unprocessed"), gallery("valid", "unprocessed"), True),
        (gallery("valid", "unprocessed"), gallery("valid", "valid"), True),
        (gallery("valid", "unprocessed"), gallery("valid", "failed"), True),
        (gallery("unprocessed"), gallery("unprocessed"), False),
        (gallery("unprocessed"), gallery("failed"), False),
        (gallery("valid", "valid"), gallery("valid", "unprocessed"), False),
        (gallery("valid"), {"is_gallery": True, "gallery_data": None, "media_metadata": None}, False),
        ({"is_gallery": True, "gallery_data": None}, gallery("valid"), True),
        # Reddit makes previews some seconds after the post.
        (
            {"url": "https://example.org/"},
            {"url": "https://example.org/", "preview": {"images": [{"source": {"url": "https://example.org/x?s=1"}}]}},
            True,
        ),
        (crosspost({}) | {"crosspost_parent_list": []}, crosspost({}), True),
        ({"removed_by_category": "moderator"}, {"removed_by_category": None}, True),
        ({"removed_by_category": "moderator", **gallery("valid")}, gallery("valid"), True),
        ({"removed_by_category": "moderator", "is_self": True}, {"is_self": True}, True),
        ({"removed_by_category": "moderator", **gallery("valid")}, {"url": "https://www.reddit.com/gallery/a"}, False),
        ({"_meta": {"was_initially_deleted": True}}, {}, False),
        # A table knows one picture, no preview and no author.
        ({}, gallery("valid", "valid"), True),
        (gallery("valid", "valid"), {}, False),
        ({"author": None}, {"author": "somebody"}, True),
        ({"author": "[deleted]"}, {"author": "somebody"}, False),
        ({"author": None}, {"author": "[deleted]"}, False),
        (ELSEWHERE, ELSEWHERE | PREVIEWED, True),
        (ELSEWHERE | PREVIEWED, ELSEWHERE, False),
        ({"url": "https://example.org/"} | PREVIEWED, ELSEWHERE | PREVIEWED, True),
        (ELSEWHERE | PREVIEWED, {"url": "https://example.org/"} | PREVIEWED, False),
        ({"removed_by_category": "moderator"}, {"removed_by_category": "reddit"}, False),
        ({}, {"removed_by_category": "moderator"}, False),
        (gallery("unprocessed"), {"title": "[deleted by user]"}, False),
        ({}, {"title": "B", "score": 5000, "link_flair_text": "later"}, False),
        ({}, {}, False),
    ],
)
def test_a_later_reading_supersedes_when_it_shows_more(stored, seen, expected):
    assert supersedes(POST | stored, POST | seen) is expected


def test_mature_posts_are_a_choice_that_the_version_knows():
    post = judge({"over_18": True}, allow_over_18=True)
    assert isinstance(post, Post)
    assert post.over_18
    assert post.code_version == rules_version(allow_over_18=True) != rules_version(allow_over_18=False)


def test_entities_are_decoded_once_and_only_in_archives():
    title = {"title": "Q&amp;amp;A &lt;3 cats&not dogs &#x200B;"}
    assert judge(title).caption == title["title"]
    assert judge(title, from_archive=True).caption == "Q&amp;A <3 cats&not dogs"


def test_a_poor_table_without_community_is_no_advertisement():
    assert isinstance(judge({"subreddit": None}, from_archive=True), Post)


def test_the_own_fields_of_a_crosspost_stay():
    post = judge(crosspost({"title": "Other", "author": "x"}))
    assert (post.kind, post.crosspost_parent, post.image_urls) == ("crosspost", "zzz", ("https://i.redd.it/zzz.png",))
    assert (post.caption, post.author) == ("A cat", "5f2a")


def test_captions_of_pictures_are_cleaned_like_titles():
    assert judge(gallery("valid", "failed", "valid")).image_captions == ("picture0 &lt;3", "picture2 &lt;3")
    assert judge(gallery("valid"), from_archive=True).image_captions == ("picture0 <3",)
    blank = gallery("valid")
    blank["gallery_data"]["items"][0]["caption"] = " \u200b\u2060 "
    assert judge(blank).image_captions is None


def test_a_dead_foreign_image_leaves_the_preview():
    signed = "https://external-preview.redd.it/A.jpg?auto=webp&s=1"
    shown = {"url": "http://i.minus.com/i.jpg", "preview": {"images": [{"source": {"url": signed}}]}}
    assert judge(shown).preview_url == signed


def test_captions_lose_what_nobody_sees_and_nothing_else():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert (
        clean_caption(f"\u202e {family}  two\nlines\u2066\u200e\u200d ", decode_entities=False)
        == f"{family}  two\nlines"
    )
    assert clean_caption("half \ud83d pair", decode_entities=False) == "half \ufffd pair"


@given(st.text(max_size=60), st.booleans())
def test_cleaning_a_caption_twice_changes_nothing(text, decode):
    once = clean_caption(text, decode_entities=decode)
    assert clean_caption(once, decode_entities=False) == once
    assert once == once.strip()
    once.encode()


def test_times_of_archives_may_be_text():
    assert parse_created_utc("1700000000") == parse_created_utc(1_700_000_000.0)
    assert judge({"created_utc": "1700000000"}).created_at == judge().created_at


def test_rows_fit_the_tables_of_the_warehouse():
    revised_at = datetime(2023, 11, 15, tzinfo=UTC)
    posts = post_rows([judge(gallery("valid", "valid"), revised_at=revised_at), judge()])
    rejections = rejection_rows([judge({"is_self": True}, revised_at=revised_at)])
    empty = post_rows([]), rejection_rows([])
    assert [table.schema for table in empty] == [posts.schema, rejections.schema]
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA core")
        for name, rows, record in (("posts", posts, Post), ("rejected_posts", rejections, Rejection)):
            connection.execute((ROOT / "warehouse" / "schema" / "core" / f"{name}.sql").read_text())
            connection.register("rows", rows)
            connection.execute(f"INSERT INTO core.{name} BY NAME FROM rows")
            columns = [column[0] for column in connection.execute(f"DESCRIBE core.{name}").fetchall()]
            assert rows.column_names == columns == [field.name for field in fields(record)]
        stored = connection.execute(
            "SELECT created_at, revised_at, image_urls, image_captions FROM core.posts ORDER BY image_urls"
        ).fetchall()
    made = datetime(2023, 11, 14, 22, 13, 20)
    assert stored == [
        (made, None, ["https://i.redd.it/e3nhuwaa13951.jpg"], None),
        (
            made,
            datetime(2023, 11, 15),
            ["https://i.redd.it/picture0.png", "https://i.redd.it/picture1.png"],
            ["picture0 &lt;3", "picture1 &lt;3"],
        ),
    ]


def test_rows_of_the_raw_table_part_into_two_tables():
    raw = [
        {"post_id": "abc12", "json": json.dumps(POST), "origin": "listing"},
        {"post_id": "abc13", "json": json.dumps(POST | {"title": "a &amp; b"}), "origin": "archive:x.csv"},
        {"post_id": "abc14", "json": "[]", "origin": "archive:x.csv"},
    ]
    table = pa.Table.from_pylist([row | {"removed_by_category": None, "author_present": True} for row in raw])
    posts, rejections = clean_submissions(table, subreddit="cats", allow_over_18=False)
    assert posts.column("post_id").to_pylist() == ["abc12", "abc13"]
    assert posts.column("caption").to_pylist() == ["A cat", "a & b"]
    assert rejections.column("post_id").to_pylist() == ["abc14"]
    assert rejections.column("reason").to_pylist() == ["malformed"]
    assert posts.column("revised_at").to_pylist() == [None, None]
    moment = datetime(2023, 11, 15)
    revised = table.append_column("revised_at", pa.array([None, moment, moment], pa.timestamp("us")))
    posts, rejections = clean_submissions(revised, subreddit="cats", allow_over_18=False)
    assert posts.column("revised_at").to_pylist() == [None, moment]
    assert rejections.column("revised_at").to_pylist() == [moment]


# Every recorded submission, judged as one of its own community.
RECORDED_OUTCOMES = {
    "image": 1189,
    "preview": 226,
    "self": 31 + 1087,  # with pictures in the text, and without
    "crosspost": 25,
    "gallery": 16,
    "album": 11,
    "external_page": 945,
    "video": 493,
    "gifv": 112,
    "album_unsupported": 3,
    "gallery_unprocessed": 1,
    "over_18": 50,
    "moderator": 25,
    "stickied": 14,
    "removed_by_moderator": 94,
    "removed_by_other": 20,
    "removed_by_reddit": 19,
    "removed_by_deleted": 19,
    "removed_by_automod_filtered": 6,
    "removed_by_author": 5,
}


@pytest.mark.skipif(not RECORDED.exists(), reason=f"the recorded answers of Reddit are not here: {RECORDED}")
def test_the_outcome_of_every_recorded_submission():
    outcomes: Counter[str] = Counter()
    for path in sorted(RECORDED.glob("submissions_*.ndjson.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                data = json.loads(line)["data"]
                outcome = clean(
                    data,
                    subreddit=data["subreddit"],
                    removed_by_category=data.get("removed_by_category"),
                    author_present=None,
                    allow_over_18=False,
                    from_archive=False,
                )
                outcomes[outcome.kind if isinstance(outcome, Post) else outcome.reason] += 1
    assert outcomes == RECORDED_OUTCOMES
    assert outcomes.total() == 4391
    assert set(outcomes) <= REASONS | {"image", "gallery", "album", "self", "crosspost", "preview"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = [*POST, "author_present", "removed_by_category", "distinguished", "stickied", "_meta", "removal_reason"]
names += [
    "gallery_data",
    "media_metadata",
    "preview",
    "crosspost_parent",
    "crosspost_parent_list",
    "is_self",
    "spoiler",
]
odd_changes = st.dictionaries(st.sampled_from(names), json_values, max_size=4)


@given(odd_changes, st.lists(st.sampled_from(names), max_size=3), st.booleans(), st.booleans())
def test_odd_json_is_a_post_or_a_known_reason(changes, missing, from_archive, allow_over_18):
    submission = {name: value for name, value in (POST | changes).items() if name not in missing}
    outcome = clean(
        submission,
        subreddit="cats",
        removed_by_category=None,
        author_present=None,
        allow_over_18=allow_over_18,
        from_archive=from_archive,
    )
    if isinstance(outcome, Post):
        assert outcome.caption
        assert outcome.image_urls
        assert post_rows([outcome]).num_rows == 1
    else:
        assert outcome.reason in REASONS
        assert rejection_rows([outcome]).num_rows == 1


def test_what_was_imported_before_its_cells_had_types_is_judged_by_what_they_mean():
    fields = {"id": "a1", "title": "A lake", "created_utc": "1700000000", "subreddit": "cats", "author": "5f2a"}
    picture = {"url": "https://i.redd.it/a1.jpg"}
    stored = [
        {**fields, **picture, "over_18": 0, "is_self": "False", "stickied": 0},
        {**fields, **picture, "over_18": 1},
        {**fields, **picture, "stickied": "1"},
        {**fields, "url": "https://www.reddit.com/r/cats/comments/a1/x/", "is_self": 1},
        {**fields, **picture, "over_18": "perhaps"},
        {**fields, "crosspost_parent": "t3_b", "crosspost_parent_list": [{"id": "b", "over_18": 1, **picture}]},
    ]
    rows = {
        "post_id": [f"p{number}" for number in range(len(stored))],
        "json": [json.dumps(each) for each in stored],
        "origin": ["archive:a.ndjson"] * len(stored),
        "removed_by_category": pa.nulls(len(stored), pa.string()),
        "author_present": [True] * len(stored),
    }
    posts, rejected = clean_submissions(pa.table(rows), subreddit="cats", allow_over_18=False)
    assert posts.column("post_id").to_pylist() == ["p0"]
    assert dict(zip(*(rejected.column(name).to_pylist() for name in ("post_id", "reason")), strict=True)) == {
        "p1": "over_18",
        "p2": "stickied",
        "p3": "self",
        "p4": "malformed",
        "p5": "over_18",
    }
