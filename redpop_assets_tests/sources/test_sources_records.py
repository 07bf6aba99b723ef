"""Rows of the raw tables from recorded and from odd submissions."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.names import DELETED
from redpop_assets.privacy.submissions import pseudonymise
from redpop_assets.sources.listings import Listing, Page
from redpop_assets.sources.records import (
    created_at,
    observation_rows,
    shown_ids,
    sighting_rows,
    submission_json,
    submission_rows,
)

SCHEMA = Path(__file__).resolve().parents[2] / "warehouse" / "schema" / "raw"
KEY = AuthorKey(b"k" * 32)
NOON = datetime(2026, 4, 13, 12, tzinfo=UTC)


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
