"""Dumps and annotation files through cleaning and labels: which scores may be labels, and which images come out."""

import json
from datetime import UTC, datetime

import pytest
import zstandard

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives.imports import import_archive

pytestmark = pytest.mark.end_to_end

BORN = 1_600_000_000
DAY = 86_400
CORE = 'key:"core/posts" or key:"core/rejected_posts" or key:"core/labels"'


def bring_in(deployment, path, **options):
    with deployment.environment() as settings:
        key = AuthorKey.load_or_create(settings.home / "author.key")
        return import_archive(path, "pics", deployment.warehouse, key, **options)


def dumped(post_id, /, **fields):
    return {
        "id": post_id,
        "subreddit": "pics",
        "title": f"Tom &amp; {post_id}",
        "author": f"author_of_{post_id}",
        "created_utc": str(BORN),
        "score": 1,
        "num_comments": 0,
        "is_self": False,
        "domain": "i.redd.it",
        "url": f"https://i.redd.it/{post_id}.jpg",
        "retrieved_on": BORN + 5,
        **fields,
    }


def media(media_id):
    source = {"x": 800, "y": 600, "u": f"https://preview.redd.it/{media_id}.png?width=800&amp;s=abc"}
    return {media_id: {"status": "valid", "e": "Image", "m": "image/png", "s": source}}


GALLERY = {
    "domain": "reddit.com",
    "is_gallery": True,
    "url": "https://www.reddit.com/gallery/x",
    "gallery_data": {"items": [{"media_id": "second", "id": 1}, {"media_id": "first", "id": 2}]},
    "media_metadata": {**media("first"), **media("second")},
}
PREVIEW = {"source": {"url": "https://external-preview.redd.it/k.jpg?auto=webp&amp;s=1f", "width": 900, "height": 600}}
DUMP = (
    dumped("early"),
    dumped("late", score=500, retrieved_on=BORN + 60 * DAY),
    dumped("twice", score=40, _meta={"retrieved_2nd_on": BORN + 1.5 * DAY}),
    dumped("masked", score=7, hide_score=True, retrieved_on=BORN + 60 * DAY),
    dumped("gallery", score=60, retrieved_utc=BORN + 9 * DAY, retrieved_on=None, **GALLERY),
    dumped("copy", url="/r/cats/comments/o/", domain="", crosspost_parent="t3_o", crosspost_parent_list=[dumped("o")]),
    dumped("page", url="http://example.com/a/page", domain="example.com", preview={"images": [PREVIEW]}),
    dumped("removed", _meta={"was_deleted_later": True, "removal_type": "deleted"}),
)


@pytest.fixture(scope="module")
def from_dump(deploy, tmp_path_factory):
    deployment = deploy("http://127.0.0.1:1", REDPOP_FETCH_IMAGES="false", REDPOP_LABEL_AGE_DAYS="1.5")
    path = tmp_path_factory.mktemp("dump") / "RS_2020-09.zst"
    path.write_bytes(zstandard.compress("".join(json.dumps(post) + "\n" for post in DUMP).encode()))
    report = bring_in(deployment, path)
    assert (report.posts, report.broken) == (len(DUMP), 0)
    assert deployment.run("pics", CORE).success
    return deployment


def labels(deployment):
    rows = deployment.rows("SELECT post_id, score, age_at_label_hours FROM core.labels ORDER BY post_id")
    return {row["post_id"]: (row["score"], row["age_at_label_hours"]) for row in rows}


def test_a_score_read_seconds_after_posting_is_no_label(from_dump):
    assert labels(from_dump) == {"gallery": (60, 216.0), "late": (500, 1440.0), "twice": (40, 36.0)}
    read = from_dump.rows("SELECT score, observed_at FROM raw.observations WHERE post_id = 'early'")
    assert read == [{"score": 1, "observed_at": datetime(2020, 9, 13, 12, 26, 45)}]


def test_addresses_and_titles_of_dumps_lose_their_escapes(from_dump):
    found = {row["post_id"]: row for row in from_dump.rows("SELECT post_id, kind, image_urls, caption FROM core.posts")}
    assert found["page"]["image_urls"] == ["https://external-preview.redd.it/k.jpg?auto=webp&s=1f"]
    assert found["gallery"]["image_urls"] == ["https://i.redd.it/second.png", "https://i.redd.it/first.png"]
    assert (found["copy"]["kind"], found["copy"]["image_urls"]) == ("crosspost", ["https://i.redd.it/o.jpg"])
    assert found["late"]["caption"] == "Tom & late"
    assert "removed" not in found


def test_a_later_reading_in_another_dump_makes_the_label(from_dump, tmp_path):
    later = from_dump.copy(tmp_path / "home")
    path = tmp_path / "rescan.ndjson"
    path.write_text(json.dumps(dumped("early", score=321, retrieved_on=BORN + 30 * DAY)) + "\n", encoding="utf-8")
    report = bring_in(later, path)
    assert (report.new_submissions, report.new_observations) == (0, 1)
    assert later.run("pics", CORE).success
    assert labels(later)["early"] == (321, 720.0)


def test_annotations_of_redcaps_become_posts(deploy, tmp_path):
    deployment = deploy("http://127.0.0.1:1", REDPOP_FETCH_IMAGES="false")
    annotation = {
        "image_id": "bpzj7r",
        "author": "somebody",
        "url": "https://i.redd.it/ho0wntksivy21.jpg",
        "raw_caption": "Found on a friend\u2019s property",
        "caption": "found on a friend's property",
        "subreddit": "pics",
        "score": 72,
        "created_utc": BORN,
        "permalink": "/r/pics/comments/bpzj7r/found/",
        "crosspost_parents": None,
    }
    path = tmp_path / "pics_2020.json"
    path.write_text(json.dumps({"info": {"version": "1.0"}, "annotations": [annotation]}), encoding="utf-8")
    report = bring_in(deployment, path, observed_at=datetime(2021, 6, 1, tzinfo=UTC))
    assert report.observed_at_rules == ("given",)
    assert deployment.run("pics", CORE).success
    assert deployment.rows(
        "SELECT caption, image_urls, kind, score FROM core.posts JOIN core.labels USING (post_id)"
    ) == [
        {
            "caption": "Found on a friend\u2019s property",
            "image_urls": ["https://i.redd.it/ho0wntksivy21.jpg"],
            "kind": "image",
            "score": 72,
        }
    ]
    assert "somebody" not in deployment.scalar("SELECT json FROM raw.submissions")
