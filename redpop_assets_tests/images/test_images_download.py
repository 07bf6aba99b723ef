"""From the URLs of posts to files and rows, over a real server, a real store and a real warehouse."""

import asyncio
import hashlib
import os
import re
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from redpop_assets.errors import SettingsError
from redpop_assets.images.decode import StoredForm
from redpop_assets.images.download import download_images
from redpop_assets.images.fetch import FetchPolicy
from redpop_assets.resources import fetch_policy
from redpop_assets.settings import Settings, load_settings
from redpop_assets.storage.forgetting import erase_unused_content
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

MONTH = timedelta(days=30)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def now():
    return datetime.now(UTC).replace(tzinfo=None)


class Home:
    """A warehouse and a store, and what happens to them."""

    def __init__(self, folder, server, empty):
        shutil.copytree(empty, folder / "home")
        self.warehouse = Warehouse(folder / "home", source="test", lock_timeout=30)
        self.store = ImageStore(folder / "home" / "images")
        self.server = server
        self.policy = FetchPolicy(allowed_hosts=frozenset({server.host}), deadline=10, decoders=1)
        self.messages = []

    def post(self, *urls, subreddit="pics", author="a", post_id=None, crosspost_parent=None, preview=None):
        with self.warehouse.write() as writer:
            number = writer.scalar("SELECT count(*) FROM core.posts")
            row = {
                **{"post_id": post_id or f"p{number:03}", "subreddit": subreddit, "author": author, "kind": "image"},
                **{"caption": "x", "caption_sha256": sha256(b"x"), "code_version": "1", "image_urls": list(urls)},
                **dict.fromkeys(("is_original_content", "over_18", "spoiler"), False),
                **{"created_at": datetime(2026, 1, 1) + timedelta(hours=number), "crosspost_parent": crosspost_parent},
                "preview_url": preview,
            }
            schema = writer.query("SELECT * FROM core.posts LIMIT 0").schema
            writer.append("core.posts", pa.Table.from_pylist([row], schema=schema))

    def run(self, subreddit="pics", *, recheck=MONTH, images_per_post=1, chunk_size=10, policy=None, store=None):
        """One pass; returns what it did and the URLs that were asked for, as paths."""
        before = len(self.server.requests)
        done = download_images(
            self.warehouse,
            store or self.store,
            subreddit,
            policy or self.policy,
            images_per_post=images_per_post,
            recheck=recheck,
            chunk_size=chunk_size,
            progress=self.messages.append,
        )
        return SimpleNamespace(done=done, asked=sorted(r.path for r in self.server.requests[before:]))

    def fetches(self):
        rows = self.warehouse.query("FROM core.image_fetches").to_pylist()
        return {row["url"]: row for row in rows}

    def fetch_of(self, url):
        return self.fetches()[url]

    def images(self):
        return {row["image_sha256"]: row for row in self.warehouse.query("FROM core.images").to_pylist()}

    def files(self):
        return sorted(
            p.relative_to(self.store.place.root).as_posix() for p in self.store.place.root.rglob("*") if p.is_file()
        )

    def let_pass(self, time):
        """Make everything that is on record so much older."""
        with self.warehouse.write() as writer:
            for column in ("fetched_at", "next_attempt_at", "checked_at", "paused_until"):
                writer.execute(f"UPDATE core.image_fetches SET {column} = {column} - $time", {"time": time})


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Home directory of an empty warehouse."""
    folder = tmp_path_factory.mktemp("empty") / "home"
    blank_warehouse(folder)
    return folder


@pytest.fixture
def home(tmp_path, server, empty):
    home = Home(tmp_path, server, empty)
    with home.warehouse.kept():
        yield home


def feature_of(home, image_sha256):
    """Something that was computed from a picture."""
    with home.warehouse.write() as writer:
        rows = [{"image_sha256": image_sha256, "encoder": "e", "code_version": "1", "embedding": [1.0]}]
        schema = writer.query("SELECT * FROM features.image_embeddings LIMIT 0").schema
        writer.append("features.image_embeddings", pa.Table.from_pylist(rows, schema=schema))


# What is new


def test_pictures_are_stored_and_described(home, server, photo, encode):
    jpeg, png = encode(photo, "JPEG"), encode(photo, "PNG")
    urls = [server.answers("/a.jpg", jpeg, content_type="image/jpeg", ETag='"v1"'), server.answers("/b.png", png)]
    for url in urls:
        home.post(url)
    before = now()
    done = home.run().done
    assert (done.fetched, done.stored, done.rechecked, done.gone) == (2, 2, 0, 0)
    for url, data, kind in zip(urls, (jpeg, png), ("JPEG", "PNG"), strict=True):
        fetch = home.fetch_of(url)
        assert (fetch["status"], fetch["reason"], fetch["detail"], fetch["http_status"]) == ("stored", None, "", 200)
        assert (fetch["attempts"], fetch["next_attempt_at"], fetch["image_sha256"]) == (1, None, sha256(data))
        assert before <= fetch["fetched_at"] == fetch["checked_at"] <= now()
        row = home.images()[sha256(data)]
        assert (row["format"], row["width"], row["height"]) == (kind, 300, 200)
        kept = home.store.read(row["path"])
        assert (row["bytes"], row["file_sha256"]) == (len(kept), sha256(kept))
        assert row["path"].startswith(f"{row['file_sha256'][:2]}/{row['file_sha256']}.")
        assert before <= row["stored_at"] <= now()
        assert row["contrast"] > 5
        assert len(row["pixel_sha256"]) == 64
    assert home.fetch_of(urls[0])["etag"] == '"v1"'


def test_a_second_run_asks_nobody(home, server, photo, encode):
    home.post(server.answers("/a.png", encode(photo, "PNG")))
    home.post(server.answers("/dead", status=404))
    assert home.run().asked == ["/a.png", "/dead"]
    rows = home.fetches()
    assert home.run().asked == []
    assert home.fetches() == rows


def test_only_as_many_images_of_a_gallery_as_are_wanted(home, server, photo, encode):
    home.post(*(server.answers(f"/{n}.png", encode(photo.rotate(n), "PNG")) for n in range(3)))
    assert home.run().asked == ["/0.png"]
    assert home.run(images_per_post=2).asked == ["/1.png"]


def primary(home):
    rows = home.warehouse.query("FROM core.primary_images ORDER BY post_id").to_pylist()
    return [(row["is_preview"], row["status"], row["image_sha256"]) for row in rows]


def test_the_preview_stands_in_for_a_picture_that_is_dead(home, server, photo, encode):
    data, small = encode(photo, "PNG"), encode(photo.resize((150, 140)), "PNG")
    preview = server.answers("/preview.png", small)
    home.post(server.answers("/dead.png", status=404), preview=preview)
    home.post(server.answers("/alive.png", data), preview=server.answers("/unneeded.png", small))
    assert home.run().asked == ["/alive.png", "/dead.png", "/preview.png"]
    counts = [tuple(map(int, re.findall(r"(\d+) of (\d+)", message)[0])) for message in home.messages]
    assert counts[-1] == (3, 3)
    assert all(fetched <= total for fetched, total in counts)
    assert primary(home) == [(True, "stored", sha256(small)), (False, "stored", sha256(data))]
    assert set(home.images()) == {sha256(data), sha256(small)}
    assert home.run().asked == []
    home.let_pass(2 * MONTH)
    assert home.run().asked == ["/alive.png", "/preview.png"]  # both pictures in use are checked
    with home.warehouse.write() as writer:
        writer.execute("DELETE FROM core.posts WHERE preview_url = $url", {"url": preview})
    erase_unused_content(home.warehouse, home.store)
    assert preview not in home.fetches()
    assert set(home.images()) == {sha256(data)}


@pytest.mark.parametrize("answer", ["busy", "opted out", "too small"])
def test_no_preview_of_what_may_still_come_or_was_refused(home, server, photo, encode, answer):
    url = {
        "busy": lambda: server.answers("/a.png", status=500),
        "opted out": lambda: server.answers("/a.png", encode(photo, "PNG"), **{"X-Robots-Tag": "noai"}),
        "too small": lambda: server.answers("/a.png", encode(photo.resize((20, 20)), "PNG")),
    }[answer]()
    home.post(url, preview=server.answers("/preview.png", encode(photo, "PNG")))
    assert home.run().asked == ["/a.png"]
    assert primary(home)[0][0] is False


def test_the_identity_is_that_of_the_download_and_the_name_that_of_the_file(home, server, encode, photo):
    """Two downloads that differ in their metadata alone are two pictures in one file."""
    exif = Image.Exif()
    exif[0x010E] = "my garden"
    plain, described = encode(photo, "JPEG"), encode(photo, "JPEG", exif=exif)
    assert plain != described
    home.post(server.answers("/a.jpg", plain))
    home.post(server.answers("/b.jpg", described))
    assert home.run().done.stored == 2
    rows = home.images()
    assert set(rows) == {sha256(plain), sha256(described)}
    assert home.files() == sorted({row["path"] for row in rows.values()})
    assert b"my garden" not in home.store.read(rows[sha256(described)]["path"])


def test_pictures_are_stored_in_the_form_of_the_settings(home, server, photo, encode):
    data = encode(photo.resize((900, 600)), "PNG")
    home.post(server.answers("/a.png", data))
    policy = FetchPolicy(allowed_hosts=home.policy.allowed_hosts, store=StoredForm("webp", 300, 80))
    assert home.run(policy=policy).done.stored == 1
    (row,) = home.images().values()
    assert (row["image_sha256"], row["format"], row["width"], row["height"]) == (sha256(data), "PNG", 900, 600)
    assert row["path"].endswith(".webp")
    with Image.open(home.store.place.root / row["path"]) as kept:
        assert (kept.format, kept.size) == ("WEBP", (300, 200))
    # Another form later does not leave a second file of the same picture.
    home.post(server.answers("/b.png", data))
    assert home.run().done.stored == 0
    assert home.files() == [row["path"]]
    assert list(home.images().values()) == [row]


def test_one_picture_at_two_addresses_is_one_file(home, server, photo, encode):
    data = encode(photo, "PNG")
    home.post(server.answers("/a.png", data))
    home.post(server.answers("/b.png", data))
    assert home.run().done.stored == 1
    assert len(home.files()) == 1
    assert {row["image_sha256"] for row in home.fetches().values()} == {sha256(data)}


@pytest.mark.parametrize(("urls", "size", "expected"), [(7, 3, 3), (6, 3, 2), (2, 5, 1), (0, 5, 0)])
def test_chunks_are_written_when_they_are_full_or_all_is_done(home, server, photo, encode, urls, size, expected):
    data = encode(photo, "PNG")
    for number in range(urls):
        home.post(server.answers(f"/{number}.png", data))
    home.run(chunk_size=size)
    assert len(home.messages) == expected
    assert len(home.fetches()) == urls
    if urls:
        assert home.messages[-1] == f"fetched {urls} of {urls} images, 1 new ones stored"


def test_a_run_that_is_stopped_keeps_its_chunks_and_leaves_nothing_half_done(home, server, photo, encode):
    threads = threading.active_count()
    for number in range(12):
        home.post(server.answers(f"/{number}.png", encode(photo.rotate(number), "PNG")))

    def stop(message):
        raise KeyboardInterrupt(message)

    with pytest.raises(KeyboardInterrupt):
        download_images(
            *(home.warehouse, home.store, "pics", home.policy),
            **{"images_per_post": 1, "recheck": None, "chunk_size": 3, "progress": stop},
        )
    ends_by = time.monotonic() + 5  # some of them may be on their last line
    while threading.active_count() > threads and time.monotonic() < ends_by:
        time.sleep(0.01)
    assert threading.active_count() <= threads
    assert len(home.fetches()) == len(home.images()) == 3
    assert home.files() == sorted(row["path"] for row in home.images().values())
    assert len(home.run().asked) == 9


def test_what_a_process_of_an_earlier_version_was_writing_is_removed_when_it_is_old(home):
    staging = home.store.place.root / ".new"
    staging.mkdir(parents=True)
    for name, age in (("old", 90_000), ("young", 60)):
        (staging / name).write_bytes(b"half a pict")
        os.utime(staging / name, times=(now().timestamp() - age, now().timestamp() - age))
    home.run()
    assert home.files() == [".new/young"]


def test_a_file_that_another_process_deletes_in_the_same_moment_is_fetched_again(home, server, photo, encode):
    """The file was an orphan for a moment; its row must not be written when it is gone."""

    class Raced(ImageStore):
        def existing(self, relatives):
            relatives = list(relatives)
            self.remove(*relatives)
            return super().existing(relatives)

    url = server.answers("/a.png", encode(photo, "PNG"), ETag='"1"')
    home.post(url)
    assert home.run(store=Raced(home.store.place)).done.stored == 0
    row = home.fetch_of(url)
    assert (row["status"], row["reason"], row["image_sha256"], row["etag"]) == ("retry", "file_lost", None, None)
    assert home.images() == {}
    home.let_pass(timedelta(hours=1))
    assert home.run().done.stored == 1


# Nothing is fetched twice


def test_posts_of_two_communities_share_a_picture(home, server, photo, encode):
    url = server.answers("/a.png", encode(photo, "PNG"))
    home.post(url, subreddit="pics")
    home.post(url, subreddit="pics")
    home.post(url, subreddit="aww")
    assert home.run("pics").asked == ["/a.png"]
    assert home.run("aww").asked == []


@pytest.mark.parametrize("at_once", [True, False])
def test_spellings_of_one_url_are_asked_for_once(home, server, photo, encode, at_once):
    """One host, once with its default letter case and once shouted: the canonical form is the same."""
    first = server.answers("/a.png", encode(photo, "PNG"), ETag='"1"')
    second = f"{first}#top"
    home.post(first)
    if not at_once:
        assert home.run().asked == ["/a.png"]
    home.post(second)
    result = home.run()
    assert result.asked == (["/a.png"] if at_once else [])
    assert result.done.reused == 1
    rows = home.fetches()
    one, other = sorted((rows[first], rows[second]), key=lambda row: -row["attempts"])
    assert (one["attempts"], other["attempts"]) == (1, 0)
    same = ("status", "image_sha256", "canonical_url", "checked_at")
    assert [one[name] for name in same] == [other[name] for name in same]
    assert other["etag"] is None  # a version belongs to the address that named it
    assert home.run().asked == []


def test_a_spelling_that_fails_does_not_condemn_the_others(home, server, photo, encode):
    """Asked one after the other in the same run: a signed URL may be refused where another is not."""
    url = server.answers("/a.png", encode(photo, "PNG"))
    broken = url.replace("127.0.0.1", "user@127.0.0.1")
    home.post(url)
    home.post(broken)  # the newer one, so it comes first
    assert home.run().done.stored == 1
    assert home.fetch_of(broken)["reason"] == "bad_url"
    assert home.fetch_of(url)["status"] == "stored"


# What failed


def test_what_is_dead_is_final_and_what_may_pass_is_tried_again(home, server):
    dead = server.answers("/dead", status=404, content_type="text/html")
    page = server.answers("/page", b"<html>hello</html>", content_type="text/html")
    busy = server.answers("/busy", status=503)
    for url in (dead, page, busy):
        home.post(url)
    home.run()
    rows = home.fetches()
    assert home.images() == {}
    assert rows[dead]["status"] == rows[page]["status"] == "failed"
    assert (rows[dead]["http_status"], rows[dead]["next_attempt_at"]) == (404, None)
    assert all(row["reason"] and row["detail"] for row in rows.values())
    waited = []
    while home.fetch_of(busy)["status"] == "retry":
        row = home.fetch_of(busy)
        waited.append((row["next_attempt_at"] - row["fetched_at"]) / timedelta(hours=1))
        home.let_pass(timedelta(hours=waited[-1] - 0.01))
        assert home.run().asked == []
        home.let_pass(timedelta(hours=0.01))
        assert home.run().asked == ["/busy"]
    assert waited == [1, 6, 23, 71]
    row = home.fetch_of(busy)
    assert (row["status"], row["attempts"], row["next_attempt_at"]) == ("failed", 5, None)


@pytest.mark.parametrize("earlier", [[], [503], [503, 503]])
def test_a_403_is_tried_once_more_whatever_failed_before(home, server, earlier):
    for status in [*earlier, 403]:
        url = server.answers("/x", status=status)
        if not home.fetches():
            home.post(url)
        home.let_pass(timedelta(days=4))
        home.run()
    assert home.fetch_of(url)["status"] == "retry"
    home.let_pass(timedelta(days=4))
    home.run()
    assert home.fetch_of(url)["status"] == "failed"


def test_a_refused_url_is_no_attempt(home):
    home.post("ftp://example.org/a.jpg")
    home.run()
    row = home.fetch_of("ftp://example.org/a.jpg")
    assert (row["status"], row["attempts"], row["http_status"]) == ("failed", 0, None)


def test_a_host_that_asked_for_a_pause_is_left_alone_by_later_runs(home, server, photo, encode):
    """By those of other communities as well, and for pictures that were never asked for."""
    busy = server.answers("/busy", status=429, Retry_After="7200")
    home.post(busy)
    home.run()
    row = home.fetch_of(busy)
    assert row["paused_until"] == row["fetched_at"] + timedelta(hours=2)
    home.post(server.answers("/a.png", encode(photo, "PNG")), subreddit="aww")
    home.let_pass(timedelta(minutes=119))
    assert home.run("aww").asked == []
    assert home.run("pics").asked == []
    assert set(home.fetches()) == {busy}
    home.let_pass(timedelta(minutes=2))
    assert home.run("aww").asked == ["/a.png"]


# What is stored is checked


@pytest.fixture
def stored(home, server, photo, encode):
    """A home with one picture, the URL and the bytes."""
    data = encode(photo, "PNG")
    url = server.answers("/a.png", data, ETag='"v1"', Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")
    home.post(url)
    home.run()
    feature_of(home, sha256(data))
    return SimpleNamespace(home=home, url=url, data=data, sha256=sha256(data))


def test_a_picture_is_checked_when_its_time_has_come_and_never_before(stored, server):
    home = stored.home
    home.let_pass(MONTH - timedelta(minutes=1))
    assert home.run().asked == []
    assert home.run(recheck=None).asked == []
    home.let_pass(timedelta(days=1))
    assert home.run(recheck=None).asked == []
    server.answers("/a.png", status=304)
    before, images = home.fetch_of(stored.url), home.images()
    result = home.run()
    assert (result.asked, result.done.rechecked, result.done.fetched) == (["/a.png"], 1, 0)
    asked = server.requests[-1].headers
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('"v1"', "Thu, 01 Jan 2026 00:00:00 GMT")
    after = home.fetch_of(stored.url)
    assert after["checked_at"] > before["checked_at"] + MONTH
    assert {**after, "checked_at": None} == {**before, "checked_at": None}
    assert home.images() == images
    assert home.run().asked == []


def test_rows_from_before_checks_count_from_their_fetch(stored):
    with stored.home.warehouse.write() as writer:
        writer.execute("UPDATE core.image_fetches SET checked_at = NULL, etag = NULL, canonical_url = NULL")
    assert stored.home.run().asked == []
    stored.home.let_pass(MONTH)
    assert stored.home.run().asked == ["/a.png"]
    assert stored.home.fetch_of(stored.url)["checked_at"] is not None
    assert stored.home.run().asked == []


def test_a_host_that_knows_no_versions_sends_the_same_picture(stored, server):
    server.answers("/a.png", stored.data)
    stored.home.let_pass(MONTH)
    before = stored.home.images()
    assert stored.home.run().done.stored == 0
    assert stored.home.fetch_of(stored.url)["status"] == "stored"
    assert stored.home.images() == before


def test_another_picture_takes_the_place_of_the_first(stored, server, photo, encode):
    home = stored.home
    other = encode(photo.rotate(90, expand=True), "PNG")
    server.answers("/a.png", other, ETag='"v2"')
    home.let_pass(MONTH)
    assert home.run().done.stored == 1
    row = home.fetch_of(stored.url)
    assert (row["status"], row["image_sha256"], row["etag"], row["attempts"]) == ("stored", sha256(other), '"v2"', 1)
    assert set(home.images()) == {sha256(other)}
    assert home.files() == [home.images()[sha256(other)]["path"]]
    assert home.warehouse.scalar("SELECT count(*) FROM features.image_embeddings") == 0


@pytest.mark.parametrize("answer", [{"status": 404}, {"status": 410}, {"status": 451}, {"X_Robots_Tag": "noai"}])
def test_a_picture_that_its_host_removes_leaves_after_a_second_look(stored, server, answer):
    home = stored.home
    server.answers("/a.png", stored.data if "status" not in answer else b"", **answer)
    home.let_pass(MONTH)
    home.run()
    row = home.fetch_of(stored.url)
    assert (row["status"], row["image_sha256"]) == ("stored", stored.sha256)
    assert row["reason"] in ("url_dead", "opted_out")
    assert timedelta(hours=22) < row["next_attempt_at"] - now() < timedelta(hours=24)
    assert home.run().asked == []
    home.let_pass(timedelta(hours=23))
    result = home.run()
    assert result.done.gone == 1
    row = home.fetch_of(stored.url)
    assert (row["status"], row["image_sha256"], row["next_attempt_at"], row["etag"]) == ("gone", None, None, None)
    assert home.images() == {}
    assert home.files() == []
    assert home.warehouse.scalar("SELECT count(*) FROM features.image_embeddings") == 0
    home.let_pass(10 * MONTH)
    assert home.run().asked == []


def test_a_placeholder_by_redirect_is_a_removal_too(stored, server):
    home = stored.home
    for _ in range(2):
        home.let_pass(MONTH)
        server.redirects("/a.png", "https://i.imgur.com/removed.png")
        home.run()
    row = home.fetch_of(stored.url)
    assert (row["status"], row["reason"]) == ("gone", "placeholder_image")


def test_a_picture_that_comes_back_is_confirmed(stored, server):
    home = stored.home
    server.answers("/a.png", status=404)
    home.let_pass(MONTH)
    home.run()
    server.answers("/a.png", status=304)
    home.let_pass(timedelta(days=1))
    home.run()
    row = home.fetch_of(stored.url)
    assert (row["status"], row["reason"], row["detail"], row["next_attempt_at"]) == ("stored", None, "", None)
    # The next 404 is the first one again.
    server.answers("/a.png", status=404)
    home.let_pass(MONTH)
    home.run()
    assert home.fetch_of(stored.url)["status"] == "stored"


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
def test_other_failures_never_remove_a_picture(stored, server, status):
    home = stored.home
    server.answers("/a.png", b"<html>", status=status, content_type="text/html")
    for _ in range(6):
        home.let_pass(MONTH)
        assert home.run().asked == ["/a.png"]
        row = home.fetch_of(stored.url)
        assert (row["status"], row["image_sha256"], row["attempts"]) == ("stored", stored.sha256, 1)
        assert row["next_attempt_at"] > now() + timedelta(hours=22)
    assert home.store.read(home.images()[stored.sha256]["path"])


def test_neither_silence_nor_html_nor_tighter_limits_remove_a_picture(stored, server):
    home = stored.home
    policy = FetchPolicy(allowed_hosts=home.policy.allowed_hosts, read_timeout=0.05, deadline=0.1)
    tighter = FetchPolicy(allowed_hosts=home.policy.allowed_hosts, min_edge=1000)

    async def silent(*_):
        await asyncio.sleep(0.3)

    for path_answer, limits in (
        (lambda: server.on("/a.png", silent), policy),
        (lambda: server.answers("/a.png", b"<html>", content_type="text/html"), home.policy),
        (lambda: server.answers("/a.png", stored.data), tighter),
        (lambda: None, FetchPolicy()),  # the host is allowed no longer
    ):
        path_answer()
        for _ in range(2):
            home.let_pass(MONTH)
            home.run(policy=limits)
            assert home.fetch_of(stored.url)["status"] == "stored"
    assert set(home.images()) == {stored.sha256}


def test_a_picture_stays_while_another_url_leads_to_it(stored, server):
    home = stored.home
    home.post(server.answers("/b.png", stored.data))
    home.run()
    server.answers("/a.png", status=404)
    for _ in range(2):
        home.let_pass(timedelta(days=20))
        home.run(recheck=timedelta(days=15))
    assert home.fetch_of(stored.url)["status"] == "gone"
    assert set(home.images()) == {stored.sha256}
    assert len(home.files()) == 1
    assert home.warehouse.scalar("SELECT count(*) FROM features.image_embeddings") == 1


def test_a_file_that_two_pictures_share_stays_for_the_other(home, server, photo, encode):
    exif = Image.Exif()
    exif[0x010E] = "my garden"
    plain, described = encode(photo, "JPEG"), encode(photo, "JPEG", exif=exif)
    home.post(server.answers("/a.jpg", plain))
    home.post(server.answers("/b.jpg", described))
    home.run()
    server.answers("/a.jpg", status=404)
    for _ in range(2):
        home.let_pass(MONTH)
        home.run()
    assert set(home.images()) == {sha256(described)}
    assert home.files() == [home.images()[sha256(described)]["path"]]


def test_new_pictures_come_before_checks(stored, server, photo, encode):
    home = stored.home
    home.let_pass(2 * MONTH)
    home.post(server.answers("/old-post.png", encode(photo.rotate(3), "PNG")))
    before = len(server.requests)
    home.run(policy=FetchPolicy(allowed_hosts=home.policy.allowed_hosts, concurrency=1, per_host=1))
    assert [request.path for request in server.requests[before:]] == ["/old-post.png", "/a.png"]


# Placeholders


def placeholder(encode):
    """What a host shows for a removed picture: a grey card with a sign."""
    card = Image.new("RGB", (400, 300), (230, 230, 230))
    card.paste((90, 90, 90), (150, 100, 250, 200))
    return encode(card, "PNG")


def five_people(home, server, data, *, authors=5, urls=5):
    for number in range(urls):
        home.post(server.answers(f"/dead{number}.png", data), author=f"author{number % authors}")


def test_a_file_behind_many_addresses_of_many_people_is_learnt_and_removed(home, server, photo, encode):
    data = placeholder(encode)
    five_people(home, server, data)
    feature_of(home, sha256(data))
    good = server.answers("/good.png", encode(photo, "PNG"))
    home.post(good)
    done = home.run().done
    assert done.placeholders == 1
    (learnt,) = home.warehouse.query("FROM core.placeholder_images").to_pylist()
    assert (learnt["image_sha256"], learnt["rule"]) == (sha256(data), "small_file")
    assert (learnt["urls"], learnt["authors"]) == (5, 5)
    rows = home.fetches()
    assert rows.pop(good)["status"] == "stored"
    assert {(row["status"], row["reason"], row["image_sha256"]) for row in rows.values()} == {
        ("failed", "placeholder_image", None)
    }
    assert len(home.images()) == len(home.files()) == 1
    assert home.warehouse.scalar("SELECT count(*) FROM features.image_embeddings") == 0
    # From now on it is recognised at once.
    home.post(server.answers("/dead9.png", data))
    assert home.run().done.stored == 0
    row = home.fetch_of(f"http://{server.host}/dead9.png")
    assert (row["status"], row["reason"], row["next_attempt_at"]) == ("failed", "placeholder_image", None)
    assert len(home.files()) == 1
    assert home.run().done.placeholders == 0


def test_a_picture_that_turns_into_a_known_placeholder_is_gone(home, server, photo, encode):
    five_people(home, server, placeholder(encode))
    url = server.answers("/good.png", encode(photo, "PNG"))
    home.post(url)
    home.run()
    server.answers("/good.png", placeholder(encode))
    for expected in ("stored", "gone"):
        home.let_pass(MONTH)
        home.run()
        assert home.fetch_of(url)["status"] == expected
    assert home.images() == {}


@pytest.mark.parametrize(("authors", "urls"), [(3, 5), (4, 4)])
def test_few_people_or_few_addresses_are_a_repost(home, server, encode, authors, urls):
    five_people(home, server, placeholder(encode), authors=authors, urls=urls)
    assert home.run().done.placeholders == 0
    (shared,) = home.warehouse.query("FROM core.shared_images").to_pylist()
    assert (shared["verdict"], shared["rule"], shared["urls"], shared["authors"]) == ("repost", None, urls, authors)


def test_a_real_picture_behind_many_addresses_is_flagged_and_stays(home, server, photo, encode):
    five_people(home, server, encode(photo, "PNG"))
    assert home.run().done.placeholders == 0
    (shared,) = home.warehouse.query("FROM core.shared_images").to_pylist()
    assert (shared["verdict"], shared["posts"]) == ("repost or placeholder", 5)
    assert len(home.images()) == 1


def test_one_address_that_many_post_is_no_placeholder(home, server, encode):
    url = server.answers("/meme.png", placeholder(encode))
    for number in range(6):
        home.post(url, author=f"author{number}")
    assert home.run().done.placeholders == 0
    assert home.warehouse.scalar("SELECT count(*) FROM core.shared_images") == 0


def test_a_large_file_of_one_colour_is_a_placeholder(home, server, encode):
    noise = np.random.default_rng(1).integers(126, 130, (300, 400, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), "PNG")
    assert len(data) > 20_000
    five_people(home, server, data)
    assert home.run().done.placeholders == 1
    assert home.warehouse.scalar("SELECT rule FROM core.placeholder_images") == "low_contrast"


# Settings


def test_the_settings_are_the_limits(only, tmp_path):
    with only(
        {
            "REDPOP_IMAGE_MAX_BYTES": "1000",
            "REDPOP_IMAGE_MAX_PIXELS": "2000",
            "REDPOP_IMAGE_MIN_EDGE": "30",
            "REDPOP_IMAGE_TIMEOUT_SECONDS": "4",
            "REDPOP_IMAGE_CONCURRENCY": "5",
            "REDPOP_IMAGE_CONCURRENCY_PER_HOST": "2",
            "REDPOP_IMAGE_HOSTS_ALLOWED": "127.0.0.1:80",
            "REDPOP_IMAGE_FORMAT": "webp",
            "REDPOP_IMAGE_LONGEST_EDGE": "512",
            "REDPOP_IMAGE_QUALITY": "80",
            "REDPOP_IMAGE_RECHECK_DAYS": "0",
            "REDDIT_USER_AGENT": "linux:x:1 (by /u/someone)",
        },
        tmp_path,
    ):
        settings = Settings()
    policy = fetch_policy(settings)
    assert (policy.max_bytes, policy.max_pixels, policy.min_edge, policy.deadline) == (1000, 2000, 30, 4)
    assert (policy.concurrency, policy.per_host, policy.allowed_hosts) == (5, 2, frozenset({"127.0.0.1:80"}))
    assert policy.user_agent == "linux:x:1 (by /u/someone)"
    assert policy.store == StoredForm("webp", 512, 80)
    assert settings.image_recheck is None
    with only({}, tmp_path):
        settings = Settings()
    assert fetch_policy(settings).store == StoredForm()
    assert settings.image_recheck == MONTH


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"REDPOP_IMAGE_LONGEST_EDGE": "512"}, "REDPOP_IMAGE_FORMAT=jpeg or webp"),
        ({"REDPOP_IMAGE_FORMAT": "webp", "REDPOP_IMAGE_LONGEST_EDGE": "100"}, "256 or more"),
        ({"REDPOP_IMAGE_FORMAT": "bmp"}, "REDPOP_IMAGE_FORMAT"),
        ({"REDPOP_IMAGE_QUALITY": "0"}, "REDPOP_IMAGE_QUALITY"),
        ({"REDPOP_IMAGE_RECHECK_DAYS": "-1"}, "REDPOP_IMAGE_RECHECK_DAYS"),
    ],
)
def test_a_form_that_cannot_be_made_is_refused(only, tmp_path, variables, message):
    with only(variables, tmp_path), pytest.raises(SettingsError, match=message):
        load_settings()
