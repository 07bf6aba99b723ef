import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from redpop_assets.sources.cleaning import clean_submissions
from redpop_assets.sources.revisions import Reading, revised_submissions

FIRST_SEEN = datetime(2026, 4, 13, 12)
LATER = datetime(2026, 4, 13, 18, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("subreddit", pa.string()),
        ("discovered_at", pa.timestamp("us")),
        ("origin", pa.string()),
        ("revised_at", pa.timestamp("us")),
        ("json", pa.string()),
    ]
)


def post(post_id, status="valid", **fields):
    entry = {"status": status} | ({"m": "image/png"} if status == "valid" else {})
    return {
        "id": post_id,
        "title": "A &amp; B",
        "subreddit": "cats",
        "created_utc": 1_776_000_000,
        "is_gallery": True,
        "gallery_data": {"items": [{"media_id": "aaa"}]},
        "media_metadata": {"aaa": entry},
    } | fields


def stored(*posts, origin="listing", revised_at=None):
    rows = [
        {
            "post_id": post["id"],
            "subreddit": "cats",
            "discovered_at": FIRST_SEEN,
            "origin": origin,
            "json": json.dumps(post),
            "revised_at": revised_at,
        }
        for post in posts
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def read(*posts, at=LATER):
    return [Reading(post, at) for post in posts]


def test_a_gallery_becomes_a_post_when_it_is_processed():
    raw = stored(post("a1", "unprocessed"), post("a2", "unprocessed"), post("a3"), post("a4", "unprocessed"))
    seen = [post("a1"), post("a2", "unprocessed"), post("a3", score=9), post("new")]
    revised = revised_submissions(raw, read(*seen))
    assert revised.schema == SCHEMA
    [row] = revised.to_pylist()
    assert json.loads(row.pop("json")) == post("a1")
    assert row == {
        "post_id": "a1",
        "subreddit": "cats",
        "discovered_at": FIRST_SEEN,
        "origin": "listing",
        "revised_at": LATER.replace(tzinfo=None),
    }
    observed = revised.append_column("removed_by_category", pa.array([None], pa.string()))
    posts, rejections = clean_submissions(
        observed.append_column("author_present", pa.array([True])), subreddit="cats", allow_over_18=False
    )
    assert rejections.num_rows == 0
    assert posts.column("image_urls").to_pylist() == [["https://i.redd.it/aaa.png"]]
    assert posts.column("revised_at").to_pylist() == [LATER.replace(tzinfo=None)]


def test_a_removed_post_comes_back_with_its_pictures():
    gone = post("a1", removed_by_category="moderator", gallery_data=None, media_metadata=None)
    [row] = revised_submissions(stored(gone), read(post("a1", removed_by_category=None))).to_pylist()
    assert json.loads(row["json"])["media_metadata"]
    assert revised_submissions(stored(post("a1")), read(gone)).num_rows == 0


@pytest.mark.parametrize("revised_at", [None, FIRST_SEEN + timedelta(hours=2)])
def test_an_older_reading_supersedes_nothing(revised_at):
    raw = stored(post("a1", "unprocessed"), revised_at=revised_at)
    known = (revised_at or FIRST_SEEN).replace(tzinfo=UTC)
    for moment, rows in ((known - timedelta(hours=1), 0), (known, 0), (known + timedelta(seconds=1), 1)):
        assert revised_submissions(raw, read(post("a1"), at=moment)).num_rows == rows


def test_an_answer_of_the_api_in_the_place_of_an_archive_is_no_longer_escaped():
    raw = stored(post("a1", "unprocessed"), origin="archive:RS_2026-04.zst")
    [row] = revised_submissions(raw, read(post("a1"))).to_pylist()
    assert row["origin"] == "listing"


def test_a_stored_json_that_is_no_object_is_superseded():
    raw = stored(post("a1")).drop_columns("json").append_column("json", pa.array(["[]"]))
    assert revised_submissions(raw, read(post("a1"))).num_rows == 1


def test_of_several_readings_the_last_one_that_shows_more_stays():
    raw = stored(post("a1", "unprocessed"))
    half = post("a1", score=2) | {"media_metadata": {"aaa": {"status": "valid", "m": "image/png"}}}
    removed = post("a1", removed_by_category="moderator")
    moments = [(removed, 3), (post("a1", "unprocessed", score=9), 4), (half, 2), (post("a1", score=1), -48)]
    readings = [Reading(one, LATER + timedelta(hours=hours)) for one, hours in moments]
    [row] = revised_submissions(raw, readings).to_pylist()
    assert json.loads(row["json"])["score"] == 2
    assert row["revised_at"] == (LATER + timedelta(hours=2)).replace(tzinfo=None)
