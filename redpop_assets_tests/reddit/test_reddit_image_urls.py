import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.reddit.image_urls import UNRESOLVED_REASONS, Resolved, Unresolved, resolve

FRESH = {"status": "unprocessed"}
SIGNED = "https://external-preview.redd.it/Abc_d.jpg?auto=webp&s=36a3c0"


def with_preview(url, source):
    return {"url": url, "preview": {"images": [{"source": {"url": source, "width": 640, "height": 480}}]}}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # Reddit's own hosts
        ("https://i.redd.it/e3nhuwaa13951.jpg", "https://i.redd.it/e3nhuwaa13951.jpg"),
        ("https://preview.redd.it/abc123.png?width=640&s=9", "https://i.redd.it/abc123.png"),
        (
            "https://preview.redd.it/some-title-words-v0-abc123def.jpeg?auto=webp&s=9",
            "https://i.redd.it/abc123def.jpeg",
        ),
        ("https://preview.redd.it/award_images/t5_x/y.png?s=9", "https://preview.redd.it/award_images/t5_x/y.png?s=9"),
        (SIGNED, SIGNED),
        (
            "https://i.reddituploads.com/76d6?fit=max&h=1536&s=d2",
            "https://i.reddituploads.com/76d6?fit=max&h=1536&s=d2",
        ),
        ("https://i.redditmedia.com/SiqD.jpg?s=63", "https://i.redditmedia.com/SiqD.jpg?s=63"),
        ("https://www.reddit.com/media?url=https%3A%2F%2Fi.redd.it%2Fabc.jpg", "https://i.redd.it/abc.jpg"),
        # imgur: pages, file names, hosts, thumbnails
        ("http://imgur.com/dlIHFcw", "https://i.imgur.com/dlIHFcw.jpg"),
        ("http://imgur.com/ppBPV", "https://i.imgur.com/ppBPV.jpg"),
        ("http://www.imgur.com/hDV6r", "https://i.imgur.com/hDV6r.jpg"),
        ("http://m.imgur.com/4llhbxY?r", "https://i.imgur.com/4llhbxY.jpg"),
        ("http://i.imgur.com/2OEIQyE", "https://i.imgur.com/2OEIQyE.jpg"),
        ("https://imgur.io/dlIHFcw", "https://i.imgur.com/dlIHFcw.jpg"),
        ("https://i.imgur.io/dlIHFcw.png", "https://i.imgur.com/dlIHFcw.png"),
        ("http://www.imgur.com/3qH4J.jpeg", "https://i.imgur.com/3qH4J.jpeg"),
        ("http://www.i.imgur.com/4QroG31.jpeg", "https://i.imgur.com/4QroG31.jpeg"),
        ("http://imgur.com/vGbFvkI.JPG", "https://i.imgur.com/vGbFvkI.jpg"),
        ("http://i.imgur.com/UvnfN.jpg?1", "https://i.imgur.com/UvnfN.jpg"),
        ("http://i.imgur.com/8nuolGP.jpg#.UVIfdXvd27k.reddit", "https://i.imgur.com/8nuolGP.jpg"),
        ("http://i.imgur.com/8nuolGPl.jpg", "https://i.imgur.com/8nuolGP.jpg"),
        ("http://i.imgur.com/UvnfNh.jpg", "https://i.imgur.com/UvnfN.jpg"),
        ("http://i.imgur.com/8nuolGs.jpg", "https://i.imgur.com/8nuolGs.jpg"),
        ("https://i.imgur.com/8nuolGP_d.jpg?maxwidth=640", "https://i.imgur.com/8nuolGP.jpg"),
        ("https://imgur.com/two-words-8nuolGP", "https://i.imgur.com/8nuolGP.jpg"),
        ("http://imgur.com/download/8nuolGP/", "https://i.imgur.com/8nuolGP.jpg"),
        # not imgur, though it is called so
        ("https://i.stack.imgur.com/aBcDe.png", "https://i.stack.imgur.com/aBcDe.png"),
        # other hosts
        ("http://127.0.0.1:8765/i/x.jpg", "http://127.0.0.1:8765/i/x.jpg"),
        ("http://localhost:8765/i/x.webp#y", "http://localhost:8765/i/x.webp"),
        ("http://[::1]:8765/i/x.gif", "http://[::1]:8765/i/x.gif"),
        ("HTTP://Example.ORG:80/A/B.JPG?w=1#frag", "http://example.org/A/B.JPG?w=1"),
        ("http://example.org/a b.jpg", "http://example.org/a%20b.jpg"),
        (" https://example.org/a.jpg?x=1&amp;y=2 ", "https://example.org/a.jpg?x=1&y=2"),
        ("//i.redd.it/abc.jpg", "https://i.redd.it/abc.jpg"),
        ("https://farm9.staticflickr.com/8747/1_k.jpg", "https://farm9.staticflickr.com/8747/1_k.jpg"),
        ("https://live.staticflickr.com/65535/1_k.jpg", "https://live.staticflickr.com/65535/1_k.jpg"),
        ("https://pbs.twimg.com/media/AbC.jpg:large", "https://pbs.twimg.com/media/AbC.jpg:large"),
        ("https://pbs.twimg.com/media/A?format=jpg&name=large", "https://pbs.twimg.com/media/A?format=jpg&name=large"),
        (
            "http://upload.wikimedia.org/wikipedia/en/d/d8/T.jpg?/",
            "http://upload.wikimedia.org/wikipedia/en/d/d8/T.jpg?/",
        ),
    ],
)
def test_a_url_of_one_image(url, expected):
    assert resolve({"url": url}) == Resolved("image", (expected,))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://v.redd.it/dqm10oy4d0vg1", "video"),
        ("https://example.org/film.mov", "video"),
        ("https://i.imgur.com/rAToeQl.gifv", "gifv"),
        ("http://imgur.com/NyPnrCa.gifv", "gifv"),
        ("https://i.imgur.com/rAToeQl.mp4", "gifv"),
        ("https://example.org/loop.webm?x", "gifv"),
        ("https://preview.redd.it/abc.gif?format=mp4&s=1", "gifv"),
        ("http://imgur.com/a/VxMz9", "album_unsupported"),
        ("http://imgur.com/a/yusSB#0", "album_unsupported"),
        ("http://m.imgur.com/a/3a3rJ", "album_unsupported"),
        ("http://imgur.com/gallery/dlIHFcw", "album_unsupported"),
        ("http://imgur.com/t/cats/dlIHFcw", "album_unsupported"),
        ("http://imgur.com/r/EarthPorn/dlIHFcw", "album_unsupported"),
        ("https://imgur.io/a/VxMz9", "album_unsupported"),
        ("http://imgur.com/", "external_page"),
        ("http://imgur.com/upload", "external_page"),
        ("http://imgur.com/user/somebody", "external_page"),
        ("http://www.flickr.com/photos/thekog/6886709962/sizes/l/", "external_page"),
        ("http://en.wikipedia.org/wiki/File:Cat.jpg", "external_page"),
        ("https://commons.wikimedia.org/wiki/File:Cat.JPG", "external_page"),
        ("https://example.org/x.svg", "external_page"),
        ("https://example.org/featured/?ext=.jpg", "external_page"),
        ("https://www.reddit.com/r/pics/comments/92dd8/test/", "external_page"),
        ("https://www.reddit.com/gallery/hzofks", "gallery_removed"),
        ("/r/modnews/comments/fdh4rr/announcing/", "relative_url_unresolved"),
        ("i.imgur.com/x.jpg", "relative_url_unresolved"),
        ("ftp://example.org/x.jpg", "unsupported_scheme"),
        ("javascript:alert(1)", "unsupported_scheme"),
        ("data:image/png;base64,AAAA", "unsupported_scheme"),
        ("", "malformed"),
        (None, "malformed"),
        (17, "malformed"),
        ("https:///x.jpg", "malformed"),
        ("http://[::1/x.jpg", "malformed"),
        ("http://example.org:99999/x.jpg", "malformed"),
        ("http://example.org/\ud800.jpg", "malformed"),
    ],
)
def test_a_url_without_an_image(url, reason):
    found = resolve({"url": url})
    assert isinstance(found, Unresolved)
    assert found.reason == reason
    assert found.detail


def test_a_comma_list_of_imgur_is_a_gallery_in_its_order():
    found = resolve({"url": "http://imgur.com/dlIHFcw,ppBPV,hDV6r#1"})
    assert found == Resolved(
        "gallery", tuple(f"https://i.imgur.com/{name}.jpg" for name in ("dlIHFcw", "ppBPV", "hDV6r"))
    )


def test_preview_is_the_last_resort_and_marked():
    page = with_preview("http://www.flickr.com/photos/x/1/", SIGNED.replace("&", "&amp;"))
    assert resolve(page) == Resolved("preview", (SIGNED,))
    assert resolve(with_preview("https://i.redd.it/abc.jpg", SIGNED)).kind == "image"
    assert resolve(with_preview("http://imgur.com/a/VxMz9", SIGNED)).reason == "album_unsupported"
    assert resolve(with_preview("https://i.imgur.com/x.gifv", SIGNED)).reason == "gifv"
    assert resolve(with_preview("http://example.org/", "/relative.jpg")).reason == "external_page"


@pytest.mark.parametrize(
    "marks",
    [
        {"post_hint": "rich:video"},
        {"media": {"oembed": {"type": "video"}}},
        {"secure_media": {"reddit_video": {"fallback_url": "x"}}},
    ],
)
def test_the_still_of_a_video_page_is_no_image_post(marks):
    assert resolve(with_preview("https://www.youtube.com/watch?v=1", SIGNED) | marks).reason == "video"


def test_is_video_wins_over_the_url_and_self_over_everything():
    assert resolve({"url": "https://i.redd.it/abc.jpg", "is_video": True}).reason == "video"
    assert resolve({"url": "https://i.redd.it/abc.jpg", "is_self": True}).reason == "self"
    assert resolve({"url": "http://x/", "domain": "self.pics"}).reason == "self"


def gallery(items, metadata):
    return {"url": "https://www.reddit.com/gallery/x", "is_gallery": True} | {
        "gallery_data": {
            "items": [{"media_id": name, "id": number} | more for number, (name, more) in enumerate(items)]
        },
        "media_metadata": metadata,
    }


def picture(name, media_type="image/jpg", extension="jpg"):
    source = f"https://preview.redd.it/{name}.{extension}?width=9&amp;s=1"
    return {"status": "valid", "e": "Image", "m": media_type, "s": {"x": 1, "y": 1, "u": source}}


def test_gallery_keeps_the_order_of_its_items_and_skips_what_is_gone():
    metadata = {
        "aaa": picture("aaa"),
        "bbb": picture("bbb", "image/png", "png"),
        "ccc": {"status": "valid", "e": "AnimatedImage", "m": "image/gif", "s": {"gif": "https://i.redd.it/ccc.gif"}},
        "ddd": picture("ddd"),
        "eee": {"status": "failed"},
        "fff": {"status": "unprocessed"},
        "ggg": {"status": "valid", "e": "RedditVideo", "dashUrl": "x"},
        "hhh": {"status": "valid", "e": "Image", "m": "image/png"},
        "iii": picture("iii", "image/png", "jpg"),
    }
    items = [("ccc", {}), ("bbb", {}), ("ddd", {"is_deleted": True}), ("eee", {}), ("fff", {}), ("missing", {})]
    items += [("ggg", {}), ("aaa", {"is_deleted": False}), ("hhh", {}), ("iii", {})]
    assert resolve(gallery(items, metadata)) == Resolved(
        "gallery",
        tuple(f"https://i.redd.it/{name}" for name in ("ccc.gif", "bbb.png", "aaa.jpg", "hhh.png", "iii.png")),
    )


def test_gallery_of_one_is_still_a_gallery():
    assert resolve(gallery([("aaa", {})], {"aaa": picture("aaa")})) == Resolved(
        "gallery", ("https://i.redd.it/aaa.jpg",)
    )


def test_gallery_served_by_another_host_keeps_its_urls():
    entry = {"status": "valid", "e": "Image", "m": "image/png", "s": {"u": "http://127.0.0.1:8765/i/a.png?s=1"}}
    assert resolve(gallery([("aaa", {})], {"aaa": entry})).urls == ("http://127.0.0.1:8765/i/a.png?s=1",)


@pytest.mark.parametrize(
    ("submission", "reason"),
    [
        ({"is_gallery": True, "gallery_data": None, "media_metadata": None}, "gallery_removed"),
        (gallery([], {}), "gallery_removed"),
        (gallery([("a", {"is_deleted": True})], {"a": picture("a")}), "gallery_removed"),
        (gallery([("a", {}), ("b", {})], {"a": {"status": "failed"}}), "gallery_removed"),
        (gallery([("a", {}), ("b", {})], {"a": FRESH, "b": FRESH}), "gallery_unprocessed"),
        (gallery([("a", {}), ("b", {})], {"a": {"status": "failed"}, "b": FRESH}), "gallery_unprocessed"),
        (gallery([("a", {})], {"a": {"status": "valid", "e": "RedditVideo"}}), "video"),
    ],
)
def test_gallery_without_a_picture(submission, reason):
    assert resolve(submission).reason == reason


def test_pictures_inside_a_text_post_come_in_the_order_of_the_text():
    post = {
        "is_self": True,
        "url": "https://www.reddit.com/r/x/comments/1/",
        "selftext": "first https://preview.redd.it/bbb.jpg then https://preview.redd.it/aaa.jpg",
        "media_metadata": {"aaa": picture("aaa"), "bbb": picture("bbb"), "emote|t5_x|1": picture("emote")},
    }
    assert resolve(post) == Resolved("gallery", ("https://i.redd.it/bbb.jpg", "https://i.redd.it/aaa.jpg"))


def test_crosspost_shows_the_pictures_of_the_last_parent():
    parents = [
        {"id": "old1", "url": "https://i.redd.it/wrong.jpg"},
        {"id": "abc12", "url": "https://i.redd.it/right.jpg"},
    ]
    post = {
        "url": "/r/x/comments/abc12/y/",
        "domain": "",
        "crosspost_parent": "t3_abc12",
        "crosspost_parent_list": parents,
    }
    assert resolve(post) == Resolved("crosspost", ("https://i.redd.it/right.jpg",), "abc12")


def test_crosspost_of_a_gallery_of_a_preview_and_of_no_image():
    def crosspost(parent):
        post = {
            "url": "/r/x/comments/p/y/",
            "crosspost_parent": "t3_p",
            "crosspost_parent_list": [parent | {"id": "p"}],
        }
        return resolve(with_preview(post["url"], SIGNED) | post)

    assert crosspost(gallery([("aaa", {})], {"aaa": picture("aaa")})) == Resolved(
        "crosspost", ("https://i.redd.it/aaa.jpg",), "p"
    )
    assert crosspost(with_preview("http://example.org/", SIGNED)) == Resolved("preview", (SIGNED,), "p")
    assert crosspost({"url": "https://v.redd.it/x", "is_video": True}).reason == "video"
    assert crosspost({"url": "https://www.reddit.com/r/x/comments/p/", "is_self": True}).reason == "self"


def test_crosspost_without_its_parent_is_resolved_by_its_own_url():
    assert resolve({"url": "https://i.redd.it/abc.jpg", "crosspost_parent": "t3_p"}) == Resolved(
        "crosspost", ("https://i.redd.it/abc.jpg",), "p"
    )
    assert resolve({"url": "/r/x/comments/p/y/", "crosspost_parent": "t3_p"}).reason == "relative_url_unresolved"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
url_texts = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["http://", "https://", "//", "/", "ftp:", "http://[", "https://i.imgur.com/", "http://imgur.com/"]
        ),
        st.text(max_size=20),
        st.sampled_from(["", ".jpg", ".gifv", ":large", "?url=//a.redd.it", "/a,b.png"]),
    ),
)


@given(url_texts, st.booleans())
def test_every_url_ends_in_exactly_one_answer(url, relative_parent):
    submission = {"url": url, "crosspost_parent_list": [{"url": url}] if relative_parent else None}
    found = resolve(submission)
    if isinstance(found, Resolved):
        assert all(address.startswith(("http://", "https://")) and "#" not in address for address in found.urls)
        # What is stored is found again as it is.
        assert all(resolve({"url": address}) == Resolved("image", (address,)) for address in found.urls)
    else:
        assert found.reason in UNRESOLVED_REASONS


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("url", "crosspost_parent", "crosspost_parent_list", "gallery_data", "media_metadata", "preview"),
            json_values,
        )
        | {"is_gallery": st.booleans(), "is_self": st.booleans(), "media": json_values, "domain": json_values},
    )
)
def test_fields_of_odd_types_are_never_fatal(submission):
    found = resolve(submission)
    assert isinstance(found, Resolved) or found.reason in UNRESOLVED_REASONS
