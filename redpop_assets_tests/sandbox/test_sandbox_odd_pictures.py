"""What the image host may serve: as it looks from outside, and what the platform's own fetcher makes of it."""

import hashlib
import io
import zlib

import pytest
import requests
from PIL import Image, ImageOps

from redpop_assets.images.fetch import FetchPolicy, fetch
from redpop_assets.sandbox.chaos import SITUATIONS
from redpop_assets.sandbox.odd_pictures import BOMB_EDGE, PLACE, placeholder

pytestmark = pytest.mark.integration

EXPECTED = {
    "dead-images": {("failed", "url_dead"), ("retry", "forbidden")},
    "html-images": {("failed", "not_image_bytes")},
    "pixel-bombs": {("failed", "too_many_pixels")},
    "opted-out-images": {("failed", "opted_out")},
    "wrong-types": {("ok", None)},
    "long-lengths": {("ok", None)},
    "rotated-images": {("ok", None)},
    "changed-images": {("ok", None)},
}


@pytest.fixture
def showing(place):
    """A sandbox in which one situation befalls every picture, and twelve posts whose pictures live."""

    def start(name):
        sandbox = place(name)
        sandbox.chaos.switch(rates={name: 1})
        alive = [
            post
            for post in sandbox.world.posts("pics", sandbox.now)
            if post.kind == "image"
            and sandbox.world.media(sandbox.world.media_id(post), sandbox.now)
            and sandbox.chaos.share("dying", sandbox.world.media_id(post)) >= 0.5
        ]
        return sandbox, alive[:12]

    return start


def original(sandbox, post):
    sandbox.chaos.switch(off=["all"])
    return sandbox.get(sandbox.picture(post)).content


@pytest.mark.parametrize("name", EXPECTED)
def test_what_the_fetcher_makes_of_it(showing, name):
    sandbox, posts = showing(name)
    policy = FetchPolicy(allowed_hosts=frozenset({sandbox.url.removeprefix("http://")}))
    outcomes = {
        (result.status, result.reason) for result in fetch([sandbox.url + sandbox.picture(p) for p in posts], policy)
    }
    assert outcomes == EXPECTED[name]


@pytest.mark.parametrize("name", ["broken-images", "lying-lengths"])
def test_the_fetcher_stores_nothing_that_is_cut(showing, name):
    sandbox, posts = showing(name)
    policy = FetchPolicy(allowed_hosts=frozenset({sandbox.url.removeprefix("http://")}))
    results = list(fetch([sandbox.url + sandbox.picture(post) for post in posts], policy))
    assert len(results) == len(posts)
    assert [result for result in results if result.status == "ok"] == []


def test_a_length_beyond_the_end_of_a_file_costs_nothing(showing):
    sandbox, posts = showing("long-lengths")
    policy = FetchPolicy(allowed_hosts=frozenset({sandbox.url.removeprefix("http://")}))
    pictures = {sandbox.url + sandbox.picture(post): post for post in posts}
    results = list(fetch(pictures, policy))
    assert len(results) == len(posts)
    for result in results:
        assert result.sha256 == hashlib.sha256(original(sandbox, pictures[result.url])).hexdigest()


def test_dead_pictures(showing):
    sandbox, posts = showing("dead-images")
    assert {sandbox.get(sandbox.picture(post)).status_code for post in posts} == {404, 403, 410}


def test_some_pictures_die_only_later(place):
    sandbox = place("dead-images")
    sandbox.chaos.switch(rates={"dead-images": 1})
    posts = [post for post in sandbox.world.posts("pics", sandbox.now) if post.kind == "image"][:20]
    alive = [post for post in posts if sandbox.get(sandbox.picture(post)).status_code == 200]
    assert alive
    sandbox.clock.advance(10 * 86_400)
    assert not any(sandbox.get(sandbox.picture(post)).status_code == 200 for post in alive)


def test_removed_pictures_share_their_bytes_some_through_a_redirect(showing):
    sandbox, posts = showing("placeholder-images")
    answers = [requests.get(sandbox.url + sandbox.picture(post), timeout=5) for post in posts]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {placeholder(640, 480), placeholder(161, 81)}
    assert {bool(answer.history) for answer in answers} == {True, False}


def test_a_viewer_is_a_web_page(showing):
    sandbox, posts = showing("html-images")
    answer = sandbox.get(sandbox.picture(posts[0]))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_broken_files_are_as_long_as_they_say(showing):
    sandbox, posts = showing("broken-images")
    answer = sandbox.get(sandbox.picture(posts[0]))
    assert int(answer.headers["content-length"]) == len(answer.content)
    with Image.open(io.BytesIO(answer.content)) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_lengths_that_lie(showing):
    sandbox, posts = showing("lying-lengths")
    announced = set()
    for post in posts:
        with requests.get(sandbox.url + sandbox.picture(post), stream=True, timeout=5) as answer:
            announced.add(int(answer.headers["content-length"]))
    assert 10**11 in announced
    assert len(announced) > 5


def test_types_that_are_wrong(showing):
    sandbox, posts = showing("wrong-types")
    answers = [sandbox.get(sandbox.picture(post)) for post in posts]
    assert {"text/plain; charset=utf-8", "application/octet-stream", None} <= {
        answer.headers.get("content-type") for answer in answers
    }
    for answer in answers:
        with Image.open(io.BytesIO(answer.content)) as image:
            image.load()


def test_a_pixel_bomb_is_small_and_of_very_many_pixels(showing):
    sandbox, posts = showing("pixel-bombs")
    answer = sandbox.get(sandbox.picture(posts[0]))
    assert len(answer.content) < 100_000
    width, height = (int.from_bytes(answer.content[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (BOMB_EDGE, BOMB_EDGE)
    assert zlib.crc32(answer.content[12:29]) == int.from_bytes(answer.content[29:33], "big")


def test_animations_have_frames(showing):
    sandbox, posts = showing("animated-images")
    with Image.open(io.BytesIO(sandbox.get(sandbox.picture(posts[0])).content)) as image:
        assert (image.format, image.n_frames) == ("GIF", 3)


def test_a_rotated_picture_is_the_same_when_put_right_and_says_where_it_was_taken(showing):
    sandbox, posts = showing("rotated-images")
    answer = sandbox.get(sandbox.picture(posts[0]))
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.getexif()[0x0112] == 6
        gps = image.getexif().get_ifd(0x8825)
        assert (gps[1], tuple(map(float, gps[2])), gps[3], tuple(map(float, gps[4]))) == ("N", PLACE[0], "E", PLACE[1])
        upright = ImageOps.exif_transpose(image)
    with Image.open(io.BytesIO(original(sandbox, posts[0]))) as image:
        assert upright.size == image.size
        difference = [
            abs(one - other)
            for one, other in zip(
                upright.convert("L").resize((16, 16)).tobytes(),
                image.convert("L").resize((16, 16)).tobytes(),
                strict=True,
            )
        ]
        assert max(difference) < 12


def test_whoever_opts_out_says_so(showing):
    sandbox, posts = showing("opted-out-images")
    answer = sandbox.get(sandbox.picture(posts[0]))
    assert answer.headers["x-robots-tag"] == "noai, noimageai"
    assert answer.content == original(sandbox, posts[0])


def test_a_changed_picture_has_another_tag(showing):
    sandbox, posts = showing("changed-images")
    before = [sandbox.get(sandbox.picture(post)) for post in posts]
    same = [
        sandbox.get(sandbox.picture(post), headers={"if-none-match": answer.headers["etag"]}).status_code
        for post, answer in zip(posts, before, strict=True)
    ]
    assert set(same) == {304}
    sandbox.clock.advance(10 * 86_400)
    for post, answer in zip(posts, before, strict=True):
        later = sandbox.get(sandbox.picture(post), headers={"if-none-match": answer.headers["etag"]})
        assert later.status_code in (200, 404)
        assert later.content != answer.content
    assert any(sandbox.get(sandbox.picture(post)).status_code == 200 for post in posts)


def test_every_situation_of_pictures_is_served_and_counted(place):
    names = [name for name, situation in SITUATIONS.items() if situation.place == "pictures"]
    sandbox = place(*names, posts=100)
    sandbox.chaos.switch(rates=dict.fromkeys(names, 0.15))
    sandbox.clock.advance(10 * 86_400)
    truth = {}
    for post in sandbox.world.posts("pics", sandbox.now):
        if post.kind == "image":
            sandbox.chaos.switch()
            media_id = sandbox.world.media_id(post)
            with requests.get(
                sandbox.url + sandbox.picture(post), stream=True, timeout=5, allow_redirects=False
            ) as answer:
                truth.setdefault(sandbox.chaos.trait("pictures", media_id), set()).add(answer.status_code)
    assert set(truth) == {None, *names}
    assert truth[None] <= {200, 404}
    thrown = sandbox.chaos.report()
    assert all(thrown[name]["thrown"] for name in names)
