"""Rows of the raw tables from recorded and from odd submissions, and the hiding of names."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import SettingsError
from redpop_assets.reddit.listings import Listing, Page
from redpop_assets.reddit.records import (
    DELETED,
    AuthorKey,
    created_at,
    observation_rows,
    pseudonymise,
    shown_ids,
    sighting_rows,
    submission_json,
    submission_rows,
)

SCHEMA = Path(__file__).resolve().parents[2] / "warehouse" / "schema" / "raw"
KEY = AuthorKey(b"k" * 32)
NOON = datetime(2026, 4, 13, 12, tzinfo=UTC)


# --- the key ---


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "home" / "author.key"
    key = AuthorKey.load_or_create(path)
    assert len(key.secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert AuthorKey.load_or_create(path) == key
    assert AuthorKey.load_or_create(tmp_path / "other.key") != key
    assert [file.name for file in path.parent.iterdir()] == ["author.key"]
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "author.key"
    AuthorKey.load_or_create(path)
    path.chmod(0o644)
    AuthorKey.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_those_who_start_together_agree_on_one_key(tmp_path):
    for attempt in range(20):
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(AuthorKey.load_or_create, [tmp_path / f"{attempt}.key"] * 8))
        assert len({key.secret for key in keys}) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"k" * 33])
def test_a_damaged_key_is_not_replaced_silently(tmp_path, content):
    path = tmp_path / "author.key"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="restore it from a backup"):
        AuthorKey.load_or_create(path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_kept_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be kept"):
        AuthorKey.load_or_create(tmp_path / "file" / "author.key")


def test_a_digest_depends_on_the_key_and_not_on_case():
    # HMAC-SHA256, test case 2 of RFC 4231, cut to 32 digits
    assert AuthorKey(b"Jefe").digest("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"
    assert KEY.digest("Some_Name") == KEY.digest("some_name")
    assert KEY.digest("a") != KEY.digest("b")
    assert AuthorKey(b"other" * 8).digest("a") != KEY.digest("a")


# --- hiding names ---

names = st.text("abcXYZ019_-", min_size=3, max_size=20)
fullnames = st.text("abc019", min_size=3, max_size=8).map("t2_{}".format)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
content = st.dictionaries(
    st.sampled_from(["id", "title", "selftext", "score", "author_flair_text", "media", "preview", "edited", "likes"]),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
)


@st.composite
def submissions(draw, parents=True):
    people = {
        name: draw(values)
        for name, values in {
            "author": names,
            "author_fullname": fullnames,
            "approved_by": st.none() | names,
            "banned_by": st.none() | st.booleans() | names,
            "mod_reports": st.lists(st.tuples(st.text(max_size=9), names).map(list), max_size=2),
            "awarders": st.lists(names, max_size=2),
        }.items()
        if draw(st.booleans())
    }
    fields = draw(content) | people
    if parents and draw(st.booleans()):
        fields["crosspost_parent_list"] = draw(st.lists(submissions(parents=False), max_size=2))
    return dict(draw(st.permutations(list(fields.items()))))


def people_of(post):
    yield from (post.get(name) for name in ("author", "author_fullname", "approved_by", "banned_by"))
    yield from post.get("awarders", [])
    yield from (report[1] for report in post.get("mod_reports", []))
    for parent in post.get("crosspost_parent_list", []):
        yield from people_of(parent)


def rest_of(post):
    rest = {k: v for k, v in post.items() if k not in ("author", "author_fullname", "approved_by", "banned_by")}
    rest.pop("awarders", None)
    rest["mod_reports"] = [report[0] for report in post.get("mod_reports", [])]
    rest["crosspost_parent_list"] = [rest_of(parent) for parent in post.get("crosspost_parent_list", [])]
    return rest


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(submissions())
def test_no_person_is_left_where_people_are_named_and_nothing_else_changes(post):
    before = json.dumps(post)
    hidden = pseudonymise(post, KEY)
    assert json.dumps(post) == before
    was, now = list(people_of(post)), list(people_of(hidden))
    assert now == [KEY.digest(person) if isinstance(person, str) else person for person in was]
    assert list(hidden) == list(post)
    assert rest_of(hidden) == rest_of(post)


def test_deleted_authors_and_values_that_are_no_text_stay():
    post = {"author": DELETED, "author_fullname": None, "banned_by": True, "mod_reports": None, "awarders": [None]}
    assert pseudonymise(post, KEY) == post
    assert pseudonymise({"author": None, "crosspost_parent_list": None}, KEY)["author"] is None


def test_moderators_givers_and_collection_authors_are_hidden():
    post = {
        "mod_reports": [["Repost", "Some_Mod"]],
        "user_reports": [["This is spam", 8, False, False]],
        "removed_by": "Some_Mod",
        "awarders": ["Giver"],
        "collections": [{"author_name": "Some_Author", "author_id": "t2_abc", "title": "t"}],
    }
    hidden = pseudonymise(post, KEY)
    assert hidden["mod_reports"] == [["Repost", KEY.digest("some_mod")]]
    assert hidden["user_reports"] == post["user_reports"]
    assert hidden["removed_by"] == KEY.digest("some_mod")
    assert hidden["awarders"] == [KEY.digest("giver")]
    assert hidden["collections"] == [
        {"author_name": KEY.digest("some_author"), "author_id": KEY.digest("t2_abc"), "title": "t"}
    ]


def test_a_post_copied_from_a_profile_does_not_name_it():
    parent = {
        "author": "Some_Name",
        "subreddit": "u_Some_Name",
        "subreddit_name_prefixed": "u/Some_Name",
        "permalink": "/r/u_Some_Name/comments/1s3ezrc/humans_welcome/",
        "url": "https://www.reddit.com/user/some_name/comments/1s3ezrc/",
        "domain": "self.Some_Name",
        "title": "Some_Name says hello",
    }
    post = {
        "author": "Other",
        "subreddit": "pics",
        "url": "/r/u_Some_Name/comments/1s3ezrc/humans_welcome/",
        "permalink": "/r/pics/comments/abc/u_some_names_picture/",
        "crosspost_parent_list": [parent],
    }
    hidden = pseudonymise(post, KEY)
    copied = hidden["crosspost_parent_list"][0]
    digest = KEY.digest("some_name")
    assert hidden["url"] == f"/r/u_{digest}/comments/1s3ezrc/humans_welcome/"
    assert hidden["permalink"] == post["permalink"]
    assert copied == {
        "author": digest,
        "subreddit": f"u_{digest}",
        "subreddit_name_prefixed": f"u/{digest}",
        "permalink": f"/r/u_{digest}/comments/1s3ezrc/humans_welcome/",
        "url": f"https://www.reddit.com/user/{digest}/comments/1s3ezrc/",
        "domain": f"self.{digest}",
        "title": "Some_Name says hello",
    }


def test_recorded_submissions_name_nobody_outside_free_text_and_media(recorded):
    free = {"title", "selftext", "selftext_html", "permalink", "url", "url_overridden_by_dest", "domain", "preview"}
    free |= {"media", "secure_media", "all_awardings", "link_flair_text", "link_flair_css_class", "thumbnail"}
    free |= {"subreddit", "subreddit_name_prefixed", "author_flair_text", "mod_reports", "mod_reports_dismissed"}
    checked = 0
    for file in ("submissions_asyncpraw", "submissions_praw", "submissions_prawcore"):
        for line in recorded(f"{file}.ndjson.gz"):
            post = line["data"]
            hidden = pseudonymise(post, KEY)
            assert list(hidden) == list(post)
            assert hidden["author"] == (DELETED if post["author"] == DELETED else KEY.digest(post["author"]))
            kept = {name for name in post if hidden[name] == post[name]}
            assert not kept & {"author", "author_fullname"} or post["author"] == DELETED
            own = f'"{post["author"].lower()}"'
            closed = {name: value for name, value in hidden.items() if name not in free | {"crosspost_parent_list"}}
            if post["author"] != DELETED:
                assert own not in json.dumps(closed).lower()
                checked += 1
            if post["subreddit"].lower() == f"u_{post['author']}".lower():
                links = [hidden[name] for name in ("subreddit", "subreddit_name_prefixed", "permalink")]
                assert post["author"].lower() not in " ".join(links).lower()
    assert checked > 4000


# --- rows ---


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA raw")
        for name in ("submissions", "sightings", "observations"):
            connection.execute((SCHEMA / f"{name}.sql").read_text())
        yield connection


def insert(connection, name, table):
    columns = [row[0] for row in connection.execute(f"DESCRIBE raw.{name}").fetchall()]
    assert table.column_names == columns
    connection.register("incoming", table)
    connection.execute(f"INSERT INTO raw.{name} BY NAME SELECT * FROM incoming")
    return connection.execute(f"SELECT * FROM raw.{name}").fetchall()


def test_recorded_submissions_fill_the_tables_of_the_warehouse(warehouse, recorded):
    lines = recorded("submissions_asyncpraw.ndjson.gz")[::5]
    posts = [pseudonymise(line["data"], KEY) for line in lines]
    ids = list(dict.fromkeys(post["id"] for post in posts))
    first = {post["id"]: post for post in reversed(posts)}
    stored = insert(warehouse, "submissions", submission_rows(posts, subreddit="Pics", discovered_at=NOON))
    assert [row[:4] for row in stored] == [(i, "pics", NOON.replace(tzinfo=None), "listing") for i in ids]
    assert [json.loads(row[-1]) for row in stored] == [first[i] for i in ids]
    assert [list(json.loads(row[-1])) for row in stored] == [list(first[i]) for i in ids]
    observed = insert(
        warehouse, "observations", observation_rows(posts, subreddit="Pics", observed_at=NOON, endpoint="info")
    )
    assert [(row[0], row[4], row[6]) for row in observed] == [
        (i, first[i]["score"], first[i]["num_comments"]) for i in ids
    ]
    assert all(row[15] is (first[row[0]]["author"] != DELETED) for row in observed)
    assert all(row[13] is bool(first[row[0]]["edited"]) for row in observed)


def test_sightings_keep_the_best_rank_of_a_post_that_repeats_in_a_page(warehouse):
    page = Page(Listing("top", "week"), NOON, 100, ({"id": "a"}, {"id": "b"}, {"id": "a"}), (100, 102, 103))
    when = NOON.replace(tzinfo=None)
    assert insert(warehouse, "sightings", sighting_rows(page, subreddit="EarthPorn")) == [
        ("a", "earthporn", when, "top", "week", 100),
        ("b", "earthporn", when, "top", "week", 102),
    ]


def test_an_empty_answer_makes_empty_tables_of_the_same_columns(warehouse):
    page = Page(Listing("new"), NOON, 0, (), ())
    assert insert(warehouse, "sightings", sighting_rows(page, subreddit="pics")) == []
    assert insert(warehouse, "submissions", submission_rows([], subreddit="pics", discovered_at=NOON)) == []
    empty = observation_rows([], subreddit="pics", observed_at=NOON, endpoint="listing")
    assert insert(warehouse, "observations", empty) == []


def observe(**fields):
    rows = observation_rows([{"id": "a", **fields}], subreddit="pics", observed_at=NOON, endpoint="archive")
    return rows.to_pylist()[0]


def test_a_post_without_fields_has_no_values():
    row = observe()
    assert {name for name, value in row.items() if value is not None} == {
        "post_id",
        "subreddit",
        "observed_at",
        "endpoint",
    }


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("score", 12, 12),
        ("score", "12", 12),
        ("score", -3, -3),
        ("score", 12.0, 12),
        ("score", None, None),
        ("score", "", None),
        ("score", "many", None),
        ("score", True, None),
        ("score", [1], None),
        ("score", float("nan"), None),
        ("score", 10**400, None),
        ("score", 2**31, None),
        ("upvote_ratio", 0.97, 0.97),
        ("upvote_ratio", "0.97", 0.97),
        ("upvote_ratio", 1, 1.0),
        ("edited", False, False),
        ("edited", True, True),
        ("edited", 1460000000.0, True),
        ("edited", "False", False),
        ("edited", None, None),
        ("over_18", 0, False),
        ("over_18", "true", True),
        ("stickied", "perhaps", None),
        ("removed_by_category", "moderator", "moderator"),
        ("removed_by_category", "", None),
        ("removed_by_category", 5, None),
        ("removed_by_category", "\ud83d", "?"),
    ],
)
def test_loose_values_become_typed_or_nothing(field, value, expected):
    row = observe(**{field: value})
    assert row[field] == expected
    assert type(row[field]) is type(expected)


@pytest.mark.parametrize(("author", "present"), [("a" * 32, True), (DELETED, False), (None, False), ("", False)])
def test_whether_the_author_is_still_there(author, present):
    assert observe(author=author)["author_present"] is present


def test_times_are_stored_in_utc_and_naive_ones_are_refused():
    east = timezone(timedelta(hours=2))
    table = submission_rows([{"id": "a"}], subreddit="pics", discovered_at=NOON.astimezone(east))
    assert table["discovered_at"].to_pylist() == [NOON.replace(tzinfo=None)]
    with pytest.raises(ValueError, match="no time zone"):
        submission_rows([{"id": "a"}], subreddit="pics", discovered_at=NOON.replace(tzinfo=None))


@pytest.mark.parametrize("title", ["\ud83d half a smile", "nul \x00", 'quote " \\', "\u2028", "😀 ümläut"])
def test_any_text_can_be_stored(warehouse, title):
    table = submission_rows([{"id": "a", "title": title}], subreddit="pics", discovered_at=NOON)
    ((*_, text),) = insert(warehouse, "submissions", table)
    assert json.loads(text)["title"] == title.replace("\ud83d", "?")


def test_json_keeps_keys_and_their_order():
    post = {"b": 1, "a": {"z": None, "y": [1.5, True]}, "edited": False}
    assert submission_json(post) == '{"b":1,"a":{"z":null,"y":[1.5,true]},"edited":false}'


@pytest.mark.parametrize("seconds", [1775000000, 1775000000.0, "1775000000", "1775000000.0"])
def test_creation_times_are_read_from_any_number(seconds):
    assert created_at({"created_utc": seconds}) == datetime(2026, 3, 31, 23, 33, 20, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [None, "", "soon", True, float("inf"), 1e30, []])
def test_creation_times_that_are_none_are_none(seconds):
    assert created_at({"created_utc": seconds}) is None
    assert created_at({}) is None


def test_a_crosspost_shows_what_it_copies():
    copied = {"id": "a1", "crosspost_parent": "t3_b2", "crosspost_parent_list": [{"id": "c3"}, None, {"name": "t3_d4"}]}
    assert shown_ids(copied) == {"a1", "b2", "c3"}
    assert shown_ids({"id": "a1"}) == {"a1"}
    assert shown_ids({"id": "a1", "crosspost_parent": None, "crosspost_parent_list": "x"}) == {"a1"}
