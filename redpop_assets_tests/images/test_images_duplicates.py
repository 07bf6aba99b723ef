"""Which posts show the same picture, and what all spellings of a URL have in common."""

import io
import random
from datetime import datetime, timedelta
from itertools import combinations

import imagehash
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from redpop_assets.images.duplicates import (
    MAX_DHASH_DISTANCE,
    MAX_PHASH_DISTANCE,
    POSTS,
    canonical_url,
    duplicate_groups,
    first_alike,
)
from redpop_assets.storage.warehouse import Warehouse

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("post_id", "subreddit")),
        ("created_at", pa.timestamp("us")),
        *((name, pa.string()) for name in ("crosspost_parent", "url", "image_sha256", "pixel_sha256")),
        *((name, pa.string()) for name in ("phash", "dhash")),
        ("contrast", pa.float64()),
    ]
)


def post(number, **given):
    """A post like no other: made `number` hours after the first, unless something is given."""
    rng = random.Random(number)
    return {
        "post_id": f"p{number:03}",
        "subreddit": "pics",
        "created_at": datetime(2026, 1, 1) + timedelta(hours=number),
        "crosspost_parent": None,
        "url": f"https://i.redd.it/picture{number}.jpg",
        "image_sha256": f"{rng.getrandbits(256):064x}",
        "pixel_sha256": f"{rng.getrandbits(256):064x}",
        "phash": f"{rng.getrandbits(64):016x}",
        "dhash": f"{rng.getrandbits(64):016x}",
        "contrast": 40.0,
        **given,
    }


def grouped(*posts):
    rows = duplicate_groups(pa.Table.from_pylist(list(posts), schema=SCHEMA)).to_pylist()
    assert [row["post_id"] for row in rows] == sorted(p["post_id"] for p in posts)
    for row in rows:
        assert row["canonical"] == (row["post_id"] == row["duplicate_group"]) == (row["level"] is None)
        assert (row["distance"] is None) == (row["level"] != "perceptual")
    return {row["post_id"]: (row["duplicate_group"], row["level"]) for row in rows}


def flipped(digits, *bits):
    value = int(digits, 16)
    for bit in bits:
        value ^= 1 << bit
    return f"{value:016x}"


# Exact evidence


def test_posts_without_anything_in_common_are_alone():
    assert grouped(*map(post, range(5))) == {f"p00{n}": (f"p00{n}", None) for n in range(5)}
    assert grouped() == {}


@pytest.mark.parametrize(
    ("level", "same"),
    [
        ("url", {"url": "http://i.redd.it/picture0.png?width=10"}),
        ("bytes", {"image_sha256": post(0)["image_sha256"]}),
        ("pixels", {"pixel_sha256": post(0)["pixel_sha256"]}),
        ("post", {"crosspost_parent": "p000"}),
    ],
)
def test_each_kind_of_evidence_joins_two_posts(level, same):
    assert grouped(post(0), post(1), post(2, **same, subreddit="aww")) == {
        "p000": ("p000", None),
        "p001": ("p001", None),
        "p002": ("p000", level),
    }


def test_crossposts_of_a_post_that_is_not_known_belong_together():
    assert grouped(post(1, crosspost_parent="zz"), post(2, crosspost_parent="zz")) == {
        "p001": ("p001", None),
        "p002": ("p001", "post"),
    }


def test_the_earliest_post_is_canonical_even_if_it_is_the_crosspost_that_was_dated_so():
    assert grouped(post(1, crosspost_parent="p002"), post(2)) == {"p001": ("p001", None), "p002": ("p001", "post")}


def test_of_one_second_the_smaller_id_is_canonical():
    moment = datetime(2026, 1, 1)
    posts = [post(n, created_at=moment, image_sha256="x") for n in (2, 1, 3)]
    assert {group for group, _ in grouped(*posts).values()} == {"p001"}


def test_the_strongest_evidence_is_named():
    same = {name: post(0)[name] for name in ("url", "image_sha256", "pixel_sha256", "phash", "dhash")}
    assert grouped(post(0), post(1, **same), post(2, **same, crosspost_parent="p000")) == {
        "p000": ("p000", None),
        "p001": ("p000", "url"),
        "p002": ("p000", "post"),
    }


def test_exact_evidence_carries_over():
    """2 is a crosspost of 1, 1 has the file of 0: 2 is connected with 0 no better than by bytes."""
    first = post(0)
    assert grouped(first, post(1, image_sha256=first["image_sha256"]), post(2, crosspost_parent="p001")) == {
        "p000": ("p000", None),
        "p001": ("p000", "bytes"),
        "p002": ("p000", "bytes"),
    }


def test_dead_pictures_group_by_url_and_crosspost_only():
    nothing = dict.fromkeys(("image_sha256", "pixel_sha256", "phash", "dhash", "contrast"))
    posts = [post(n, **nothing) for n in range(3)]
    posts[2]["url"] = posts[0]["url"]
    assert grouped(*posts) == {"p000": ("p000", None), "p001": ("p001", None), "p002": ("p000", "url")}


# Perceptual evidence


def hashes(number, phash=(), dhash=()):
    original = post(number)
    return {"phash": flipped(original["phash"], *phash), "dhash": flipped(original["dhash"], *dhash)}


@pytest.mark.parametrize(
    ("bits", "other_bits", "alike"),
    [(0, 0, True), (6, 8, True), (7, 0, False), (0, 9, False), (6, 9, False), (7, 8, False)],
)
def test_both_hashes_have_to_be_near(bits, other_bits, alike):
    near = post(1, **hashes(0, range(0, 8 * bits, 8), range(0, 7 * other_bits, 7)))
    rows = duplicate_groups(pa.Table.from_pylist([post(0), near], schema=SCHEMA)).to_pylist()
    assert rows[1]["duplicate_group"] == ("p000" if alike else "p001")
    assert rows[1]["level"] == ("perceptual" if alike else None)
    assert rows[1]["distance"] == (bits if alike else None)


@pytest.mark.parametrize("contrast", [4.9, 0.0])
def test_pictures_of_low_contrast_are_not_compared(contrast):
    same = hashes(0)
    assert grouped(post(0, contrast=contrast), post(1, **same, contrast=contrast), post(2, **same)) == {
        "p000": ("p000", None),
        "p001": ("p001", None),
        "p002": ("p002", None),
    }


@pytest.mark.parametrize(
    "flat", [{"phash": "8000000000000000"}, {"phash": "0" * 16}, {"dhash": "0" * 16}, {"dhash": "f" * 16}]
)
def test_hashes_of_flat_pictures_are_not_compared_even_if_the_contrast_is_unknown(flat):
    same = {**hashes(0), **flat, "contrast": None}
    assert grouped(post(0, **same), post(1, **same)) == {"p000": ("p000", None), "p001": ("p001", None)}
    assert grouped(post(0, contrast=None), post(1, **hashes(0), contrast=None))["p001"] == ("p000", "perceptual")


def test_groups_do_not_drift():
    """1 is like 0 and 2 like 1, but 2 is not like 0: it is a picture of its own, and 3 is like 2."""
    bits = range(0, 60, 10)
    chain = [
        post(0),
        post(1, **hashes(0, bits[:5])),
        post(2, **hashes(0, [*bits[:5], 1, 2, 3])),
        post(3, **hashes(0, [*bits[:5], 1, 2, 3, 4])),
    ]
    assert grouped(*chain) == {
        "p000": ("p000", None),
        "p001": ("p000", "perceptual"),
        "p002": ("p002", None),
        "p003": ("p002", "perceptual"),
    }


def test_a_picture_that_is_like_two_joins_the_earlier_group():
    bits = list(range(0, 50, 5))
    apart = [post(0), post(1, **hashes(0, bits)), post(2, **hashes(0, bits[:6]))]
    assert [group for group, _ in grouped(*apart).values()] == ["p000", "p001", "p000"]


def test_what_is_the_same_file_joins_together():
    """The exact group of 1 and 2 joins 0 as a whole, by the picture of its first post."""
    near = hashes(0, [5])
    posts = [post(0), post(1, **near, image_sha256="x"), post(2, **near, image_sha256="x")]
    rows = duplicate_groups(pa.Table.from_pylist(posts, schema=SCHEMA)).to_pylist()
    assert [row["duplicate_group"] for row in rows] == ["p000"] * 3
    assert [row["distance"] for row in rows] == [None, 1, 1]


def test_a_group_whose_first_post_has_no_picture_is_compared_by_the_next():
    dead = post(1, url="https://i.redd.it/x.jpg", phash=None, dhash=None, contrast=None, image_sha256=None)
    alive = post(2, url="https://i.redd.it/x.png", **hashes(0, [3]))
    assert grouped(post(0), dead, alive) == {
        "p000": ("p000", None),
        "p001": ("p000", "perceptual"),
        "p002": ("p000", "perceptual"),
    }


def naive_groups(phash, dhash):
    heads, group = [], []
    for n in range(len(phash)):
        like = [
            head
            for head in heads
            if (int(phash[n]) ^ int(phash[head])).bit_count() <= MAX_PHASH_DISTANCE
            and (int(dhash[n]) ^ int(dhash[head])).bit_count() <= MAX_DHASH_DISTANCE
        ]
        if not like:
            heads.append(n)
        group.append(like[0] if like else n)
    return group


@pytest.mark.parametrize(("n", "flips"), [(0, 1), (1, 1), (400, 3), (400, 6), (3000, 5)])
def test_the_index_finds_what_comparing_all_finds(n, flips, monkeypatch):
    """Clouds of pictures around a few scenes: within a block and across blocks, in small pieces of pairs."""
    monkeypatch.setattr("redpop_assets.images.duplicates._BLOCK", 150)
    monkeypatch.setattr("redpop_assets.images.duplicates._MAX_PAIRS", 500)
    rng = np.random.default_rng(n + flips)
    scenes = rng.integers(0, 2**64, (2, 40), dtype=np.uint64)[:, rng.integers(0, 40, n)]
    masks = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (2, n, flips)).astype(np.uint64), axis=2)
    phash, dhash = scenes ^ masks
    assert first_alike(phash, dhash).tolist() == naive_groups(phash, dhash)


def test_real_edits_of_one_photograph_are_one_picture(encode):
    """As measured: recompressed and resized copies are near, mirrored and cropped ones are not."""
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    edits = {
        "original": scene,
        "small": scene.resize((320, 240)),
        "jpeg30": Image.open(io.BytesIO(encode(scene, "JPEG", quality=30))),
        "grey": scene.convert("L").convert("RGB"),
        "mirrored": scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "cropped": scene.crop((100, 80, 640, 480)),
    }
    rows = [
        post(n, post_id=name, phash=str(imagehash.phash(image)), dhash=str(imagehash.dhash(image)))
        for n, (name, image) in enumerate(edits.items())
    ]
    groups = {name: group for name, (group, _) in grouped(*rows).items()}
    assert {name for name, group in groups.items() if group == "original"} == {"original", "small", "jpeg30", "grey"}


# The order of the rows


@st.composite
def communities(draw):
    """Posts that often share something."""
    few = st.sampled_from
    bits = st.lists(st.integers(0, 63), max_size=4)
    posts = []
    for number in range(draw(st.integers(1, 12))):
        changes = {"created_at": datetime(2026, 1, 1) + timedelta(hours=draw(st.integers(0, 5)))}
        if draw(st.booleans()):
            changes["crosspost_parent"] = draw(few(["p000", "p003", "gone"]))
        if draw(st.booleans()):
            changes["image_sha256"] = draw(few(["x", "y", None]))
        if draw(st.booleans()):
            changes |= hashes(draw(st.integers(0, 1)), draw(bits), draw(bits))
        posts.append(post(number, **changes))
    return posts


@settings(max_examples=150, deadline=None)
@given(posts=communities(), seed=st.integers(0, 2**32))
def test_groups_are_sound_whatever_the_order_of_the_rows(posts, seed):
    groups = grouped(*posts)
    shuffled = posts[:]
    random.Random(seed).shuffle(shuffled)
    assert grouped(*shuffled) == groups
    by_id = {p["post_id"]: p for p in posts}
    for post_id, (group, level) in groups.items():
        assert groups[group] == (group, None)
        mine, first = by_id[post_id], by_id[group]
        assert (first["created_at"], group) <= (mine["created_at"], post_id)
        if level == "perceptual" and sum(g == group for g, _ in groups.values()) == 2:
            assert (int(mine["phash"], 16) ^ int(first["phash"], 16)).bit_count() <= MAX_PHASH_DISTANCE
    for one, other in combinations(posts, 2):
        same = groups[one["post_id"]][0] == groups[other["post_id"]][0]
        if one["image_sha256"] == other["image_sha256"] is not None or one["crosspost_parent"] == other["post_id"]:
            assert same


# URLs


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (
            [
                "https://i.redd.it/abc123def.jpg",
                "http://i.redd.it/abc123def.png",
                "https://preview.redd.it/abc123def.jpg?width=640&s=1234",
                "https://preview.redd.it/some-words-of-the-title-v0-abc123def.jpeg?auto=webp",
                "HTTPS://I.REDD.IT:443/abc123def.jpg#x",
            ],
            "https://i.redd.it/abc123def",
        ),
        (
            [
                "https://external-preview.redd.it/AbC_x.jpg?s=1",
                "https://external-preview.redd.it/AbC_x.jpg?width=2&s=3",
            ],
            "https://external-preview.redd.it/AbC_x",
        ),
        (["https://i.reddituploads.com/0123abcd?fit=max&h=1536&s=1"], "https://i.reddituploads.com/0123abcd"),
        (
            [
                "https://i.imgur.com/AbCdEfG.jpg",
                "http://imgur.com/AbCdEfG",
                "https://www.imgur.com/AbCdEfG.jpeg?1",
                "https://m.imgur.com/AbCdEfG",
                "https://imgur.io/AbCdEfG.png",
                "https://i.imgur.com/AbCdEfGh.jpg",
                "https://i.imgur.com/AbCdEfG_d.webp?maxwidth=640",
                "https://imgur.com/download/AbCdEfG",
            ],
            "https://i.imgur.com/AbCdEfG",
        ),
        (["https://i.imgur.com/abcde.png", "https://i.imgur.com/abcdel.png"], "https://i.imgur.com/abcde"),
        (
            [
                "https://farm5.staticflickr.com/4076/4767613083_c1f71d9f5d_b.jpg",
                "http://farm5.static.flickr.com/4076/4767613083_c1f71d9f5d.jpg",
                "https://live.staticflickr.com/4076/4767613083_aaaa9f5daa_o.png",
                "https://c1.staticflickr.com/5/4076/4767613083_c1f71d9f5d_k.jpg",
            ],
            "https://live.staticflickr.com/4767613083_0",
        ),
        (
            [
                "https://pbs.twimg.com/media/C-_x1.jpg:large",
                "https://pbs.twimg.com/media/C-_x1.jpg",
                "https://pbs.twimg.com/media/C-_x1?format=jpg&name=orig",
            ],
            "https://pbs.twimg.com/media/C-_x1",
        ),
        (
            ["http://www.example.com/a.jpg", "https://m.example.com:443/a.jpg", "https://Example.COM./a.jpg#b"],
            "https://example.com/a.jpg",
        ),
        (["http://example.com:8080/a.jpg"], "https://example.com:8080/a.jpg"),
        (["http://[2001:DB8::1]/a.jpg"], "https://[2001:db8::1]/a.jpg"),
        (["http://example.com"], "https://example.com/"),
    ],
)
def test_spellings_of_one_picture_have_one_canonical_url(urls, expected):
    assert {canonical_url(url) for url in urls} == {expected}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/image.php?id=1", "https://example.com/image.php?id=2"),
        ("https://example.com/a.jpg", "https://example.com/a.png"),
        ("https://example.com/a.jpg", "https://example.com/A.jpg"),
        ("https://i.imgur.com/AbCdEfG.jpg", "https://i.imgur.com/abcdefg.jpg"),
        ("https://i.imgur.com/AbCdE.jpg", "https://i.imgur.com/AbCdEfG.jpg"),
        ("https://imgur.com/a/AbCdE", "https://imgur.com/AbCdE"),
        ("https://i.redd.it/a.jpg", "https://external-preview.redd.it/a.jpg"),
        ("https://example.com/a.jpg", "https://example.org/a.jpg"),
        ("https://example.com:1/a.jpg", "https://example.com:2/a.jpg"),
        ("https://www.com/a.jpg", "https://com/a.jpg"),
        ("https://live.staticflickr.com/1/123_abc.jpg", "https://live.staticflickr.com/1/124_abc.jpg"),
    ],
)
def test_different_pictures_have_different_canonical_urls(one, other):
    assert canonical_url(one) != canonical_url(other)


_HOSTS = st.sampled_from(
    [
        *(
            "i.redd.it",
            "preview.redd.it",
            "external-preview.redd.it",
            "i.reddituploads.com",
            "i.imgur.com",
            "imgur.com",
        ),
        *("www.m.imgur.com", "farm5.staticflickr.com", "pbs.twimg.com", "www.www.example.com", "m.m", "www.m.com."),
        *("EXAMPLE.com", "[::1]", "example.com:80", "example.com:81", "user:x@example.com", "", "www."),
    ]
)
_NAMES = st.text("abcdeABC0123456789_-.~:/ü%&;v", max_size=24)


@settings(max_examples=500)
@given(
    url=st.builds(
        "{}://{}/{}{}{}".format,
        st.sampled_from(["http", "https", "HTTP", "ftp"]),
        _HOSTS,
        _NAMES,
        st.sampled_from(["", ".jpg", ".jpg.png", ".JPEG", ".jpg:large", "_d.webp", "/", "/.gif"]),
        st.sampled_from(["", "?", "?a=b", "?x.jpg", "#f", "?a#b"]),
    )
    | st.text(max_size=40)
)
@example("https://i.redd.it/a-v0-b-v1-c.jpg.png")
@example("http://[::1")
@example("https://example.com:99999/")
def test_the_canonical_url_of_a_canonical_url_is_itself(url):
    once = canonical_url(url)
    assert canonical_url(once) == once


# From the tables


def test_all_posts_of_the_warehouse_get_a_row(empty_warehouse: Warehouse, fill):
    ids = fill(empty_warehouse, "pics", posts=90) + fill(empty_warehouse, "aww", posts=50)
    with empty_warehouse.write() as writer:
        writer.execute("DELETE FROM core.duplicates")
        # A crosspost in the other community, before the original by the clock.
        writer.execute("UPDATE core.posts SET crosspost_parent = 'pi00010' WHERE post_id = 'aw00020'")
    rows = duplicate_groups(empty_warehouse.query(POSTS))
    empty_warehouse.replace("core.duplicates", rows, "TRUE")
    stored = {row["post_id"]: row for row in empty_warehouse.query("FROM core.duplicates").to_pylist()}
    assert set(stored) == set(ids)
    assert stored["pi00039"]["duplicate_group"] == "pi00038"
    assert stored["pi00039"]["level"] == "bytes"
    assert stored["aw00020"]["duplicate_group"] == stored["pi00010"]["duplicate_group"]
    assert {stored["aw00020"]["level"], stored["pi00010"]["level"]} == {"post", None}
    assert {row["subreddit"] for row in stored.values()} == {"pics", "aww"}


def test_an_empty_warehouse_has_no_groups(empty_warehouse):
    with empty_warehouse.write():
        pass
    assert (
        empty_warehouse.replace("core.duplicates", duplicate_groups(empty_warehouse.query(POSTS)), "TRUE").changed == 0
    )
