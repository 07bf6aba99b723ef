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

from redpop_assets.reddit.cleaning import (
    CODE_VERSION,
    REASONS,
    Post,
    Rejection,
    clean,
    clean_caption,
    clean_submissions,
    parse_created_utc,
    post_rows,
    rejection_rows,
    rules_version,
)

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
    defaults = {
        "subreddit": "cats",
        "removed_by_category": None,
        "author_present": True,
        "allow_over_18": False,
        "from_archive": False,
    }
    return clean(POST | (changes or {}), **(defaults | options))


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
        crosspost_parent=None,
        is_original_content=False,
        over_18=False,
        spoiler=False,
        author_present=True,
        removed_by_category=None,
        code_version=CODE_VERSION,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"promoted": True}, "promoted"),
        ({"is_created_from_ads_ui": True}, "promoted"),
        ({"subreddit": None}, "promoted"),
        ({"subreddit": "dogs"}, "other_subreddit"),
        ({"stickied": True}, "stickied"),
        ({"distinguished": "moderator"}, "moderator"),
        ({"is_self": True}, "self"),
        ({"is_video": True}, "video"),
        ({"url": "https://i.imgur.com/abcde.gifv"}, "gifv"),
        ({"url": "https://imgur.com/a/abcde"}, "album_unsupported"),
        ({"is_gallery": True}, "gallery_removed"),
        ({"url": "https://example.org/"}, "external_page"),
        ({"url": "/r/cats/comments/abc12/"}, "relative_url_unresolved"),
        ({"url": "ftp://example.org/a.jpg"}, "unsupported_scheme"),
        ({"over_18": True}, "over_18"),
        ({"removed_by_category": "moderator"}, "removed_by_moderator"),
        ({"removed_by_category": "a new one"}, "removed_by_other"),
        ({"removal_reason": "legal"}, "removed_by_legal"),
        ({"_meta": {"removal_type": "deleted"}}, "removed_by_deleted"),
        ({"_meta": {"was_deleted_later": True}}, "removed_by_deleted"),
        ({"title": " \u200b\u200d\ufeff \n"}, "empty_caption"),
    ],
)
def test_rejections(changes, reason):
    rejected = judge(changes)
    assert isinstance(rejected, Rejection)
    assert (rejected.post_id, rejected.subreddit, rejected.reason) == ("abc12", "cats", reason)
    assert rejected.detail
    assert reason in REASONS


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
    assert judge({"id": None, "name": None}) == Rejection("", "cats", "malformed", "id", True, None, CODE_VERSION)
    assert judge({"id": None, "name": None}, post_id="abc13").post_id == "abc13"


def test_the_latest_observation_can_remove_a_post_and_its_author():
    gone = judge(removed_by_category="deleted", author_present=False)
    assert (gone.reason, gone.removed_by_category, gone.author_present) == ("removed_by_deleted", "deleted", False)
    orphan = judge(author_present=False)
    assert isinstance(orphan, Post)
    assert orphan.author is None
    assert judge({"author": "[deleted]"}, author_present=None).author is None


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
    parent = {"id": "zzz", "title": "Other", "url": "https://i.redd.it/zzz.png", "author": "x", "created_utc": 1.0}
    post = judge({"url": "/r/x/comments/zzz/y/", "crosspost_parent": "t3_zzz", "crosspost_parent_list": [parent]})
    assert (post.kind, post.crosspost_parent, post.image_urls) == ("crosspost", "zzz", ("https://i.redd.it/zzz.png",))
    assert (post.caption, post.author) == ("A cat", "5f2a")


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
    posts, rejections = post_rows([judge()]), rejection_rows([judge({"is_self": True})])
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
        stored = connection.execute("SELECT created_at, image_urls FROM core.posts").fetchone()
    assert stored == (datetime(2023, 11, 14, 22, 13, 20), ["https://i.redd.it/e3nhuwaa13951.jpg"])


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


@pytest.mark.skipif(not RECORDED.exists(), reason="recorded Reddit answers are not on this machine")
def test_every_recorded_submission_is_a_post_or_has_a_known_reason():
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for path in sorted(RECORDED.glob("submissions_*.ndjson.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                data = json.loads(line)["data"]
                outcome = clean(
                    data,
                    subreddit=data["subreddit"],
                    removed_by_category=None,
                    author_present=None,
                    allow_over_18=False,
                    from_archive=False,
                )
                if isinstance(outcome, Post):
                    kinds[outcome.kind] += 1
                    assert outcome.image_urls
                else:
                    assert outcome.reason in REASONS
                outcomes["post" if isinstance(outcome, Post) else outcome.reason] += 1
    assert outcomes.total() == 4391
    # One gallery of the recording is fresh, 16 are complete; nothing recorded is broken.
    assert outcomes["gallery_unprocessed"] == 1
    assert outcomes["malformed"] == 0
    assert set(kinds) == {"image", "gallery", "crosspost", "preview"}
    # 1,117 records have a direct image URL; not all are usable, and pages of imgur come on top.
    assert kinds["image"] > 1000


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
