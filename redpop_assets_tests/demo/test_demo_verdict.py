"""The verdict of the demo with chaos: each kind of loss is found, in a warehouse that is otherwise as it should be."""

import io
import json
from datetime import datetime

import pytest
from PIL import Image
from rich.console import Console

from redpop_assets.cli.pages.chaos import print_report
from redpop_assets.demo.verdict import Report, examine
from redpop_assets.storage.arrow import arrow_table

pytestmark = pytest.mark.end_to_end

SEEN = datetime(2026, 6, 12)
MADE = datetime(2026, 6, 1)
DIGEST = "a" * 32
URL = "http://127.0.0.1:8766/i/{}.jpg"


def fact(**changes):
    """A line of the sandbox's truth."""
    usual = {"kind": "image", "removed_by_category": None, "missing": False, "author_gone": False, "crosspost_of": None}
    return {**usual, "media": {}, **changes}


class Place:
    """A warehouse with one post, stored with its picture, and what the sandbox knows of it."""

    def __init__(self, warehouse, images):
        self.warehouse = warehouse
        self.images = images
        self.truth = {}
        self.report = Report()
        self.add("fine", trait=None, status="stored")

    def add(self, post_id, *, trait=None, status="stored", cleaned=True, author=DIGEST, removed=None, **truth):
        """A raw post; `cleaned=False` leaves core without it, `status=None` without having asked for its picture."""
        key = {"post_id": [post_id], "subreddit": ["pics"]}
        url = URL.format(post_id + "pic")
        rows = {
            "raw.submissions": {
                **key,
                "discovered_at": [MADE],
                "origin": ["listing"],
                "json": [json.dumps({"author": author})],
            },
            "raw.observations": {
                **key,
                "observed_at": [SEEN],
                "endpoint": ["info"],
                "author_present": [not truth.get("author_gone", False)],
                "removed_by_category": [removed],
            },
            "raw.presence": {
                **key,
                "checked_at": [SEEN],
                "misses": [int(truth.get("missing", False))],
                "missing_since": [SEEN],
            },
        }
        if cleaned:
            rows["core.posts"] = {
                **key,
                "created_at": [MADE],
                "caption": ["x"],
                "caption_sha256": ["0" * 64],
                "kind": ["image"],
                "image_urls": [[url]],
                **{name: [False] for name in ("is_original_content", "over_18", "spoiler")},
                "code_version": ["1"],
            }
            if status:
                rows["core.image_fetches"] = {
                    "url": [url],
                    "status": [status],
                    "detail": [""],
                    "attempts": [2],
                    "fetched_at": [SEEN],
                }
        with self.warehouse.write() as writer:
            for table, columns in rows.items():
                known = {column.name for column in self.warehouse.schema[table].columns}
                full = {**{name: [None] for name in known - columns.keys()}, **columns}
                writer.append(table, arrow_table(full))
        self.truth[post_id] = fact(media={post_id + "pic": trait}, **truth)

    def bury(self, post_id):
        row = {"post_id": [post_id], "forgotten_at": [SEEN], "reason": ["missing"]}
        row |= {"first_seen_at": [MADE], "last_seen_at": [SEEN]}
        with self.warehouse.write() as writer:
            writer.append("raw.tombstones", arrow_table(row))

    def found(self):
        """The checks that found something, with what they found."""
        examine(self.warehouse, self.images, self.truth, self.report)
        return {check: cases for check, cases in self.report.checks.items() if cases}


@pytest.fixture
def place(empty_warehouse, tmp_path, keep):
    return Place(keep(empty_warehouse), tmp_path / "images")


def printed(report):
    out = io.StringIO()
    print_report(report, Console(file=out, width=200))
    return out.getvalue()


def test_nothing_is_lost_where_nothing_is(place):
    place.report.listed |= {"fine", "buried"}
    place.bury("buried")
    place.truth["buried"] = fact(removed_by_category="deleted")
    place.add("burning", trait="dead-images", status="failed")
    place.add("waiting", status="retry")
    place.add("watched", missing=True)
    place.add("tilted", trait="rotated-images")
    assert place.found() == {}
    assert place.report.lost_nothing
    assert "Nothing was lost." in printed(place.report)
    assert "5 posts are stored" in printed(place.report)
    assert "3 pictures stored, 3 of them after more than one attempt" in printed(place.report)


@pytest.mark.parametrize(
    ("happens", "check"),
    [
        (lambda place: place.report.unfinished.append("r/pics"), "steps that no run finished"),
        (lambda place: place.report.listed.add("x"), "posts that `new` showed and the warehouse lacks"),
        (
            lambda place: place.add("x", cleaned=False),
            "raw posts in neither or both of core.posts and core.rejected_posts",
        ),
        (lambda place: place.add("x", status="failed"), "pictures given up although they are sound"),
        (lambda place: place.add("x", status=None), "pictures never asked for"),
        (
            lambda place: place.add("x", trait="pixel-bombs"),
            "files kept although they are no pictures, or unwanted",
        ),
        (lambda place: place.add("x", removed_by_category="deleted"), "deleted posts that nobody noticed"),
        (
            lambda place: place.add("x", removed_by_category="deleted", removed="deleted"),
            "posts noticed to be deleted and kept",
        ),
        (lambda place: place.add("x", author_gone=True), "names kept of accounts noticed to be closed"),
        (lambda place: (place.truth.update(x=fact()), place.bury("x")), "posts forgotten although they stand"),
    ],
)
def test_every_loss_is_found(place, happens, check):
    happens(place)
    found = place.found()
    assert list(found) == [check]
    assert "x" in found[check][0] or found[check] == ["r/pics"]
    assert not place.report.lost_nothing
    assert "Something was lost." in printed(place.report)


def test_a_file_that_says_where_it_was_taken_is_found(place):
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.6)})
    folder = place.images / "ab"
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "plain.jpg")
    assert place.found() == {}
    Image.new("RGB", (8, 8)).save(folder / "placed.jpg", exif=exif)
    assert place.found() == {"files that say where they were taken": ["placed.jpg"]}


def test_a_crosspost_goes_with_its_original(place):
    place.truth["original"] = fact(removed_by_category="author")
    place.truth["crosspost"] = fact(kind="crosspost", crosspost_of="original")
    place.bury("original")
    place.bury("crosspost")
    assert place.found() == {}
