"""Submissions in every documented format, and the images that each of them has: one table, read by several tests.

Only the fields that decide are written down. Names of cases are sentences: they say what would be wrong.
"""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.images.urls import MAX_URL_LENGTH, UrlRefused, target_of
from redpop_assets.sources.image_urls import (
    LONGEST_URL,
    UNRESOLVED_REASONS,
    Resolved,
    Unresolved,
    pictures_pending,
    resolve,
)

SIGNED = "https://external-preview.redd.it/Abc_d.jpg?auto=webp&s=36a3c0"
STICKER = "emote|t5_x|1"
UNPROCESSED = {"status": "unprocessed"}
FAILED = {"status": "failed"}
VIDEO = {"status": "valid", "e": "RedditVideo", "dashUrl": "https://v.redd.it/link/x/asset/y/DASHPlaylist.mpd"}


class Case(NamedTuple):
    """`found` is the kind for a post with images, else the reason why it has none."""

    name: str
    submission: dict[str, Any]
    found: str
    urls: tuple[str, ...] = ()
    captions: tuple[str | None, ...] = ()
    preview_url: str | None = None
    crosspost_parent: str | None = None


def upload(*names: str) -> tuple[str, ...]:
    return tuple(f"https://i.redd.it/{name}" for name in names)


def preview(source: str = SIGNED, **variants: str) -> dict[str, Any]:
    moving = {name: {"source": {"url": url}, "resolutions": []} for name, url in variants.items()}
    return {"preview": {"images": [{"source": {"url": source, "width": 640, "height": 480}, "variants": moving}]}}


def link(url: str, **fields: Any) -> dict[str, Any]:
    """A link post as the API shows it since 2020."""
    return {"url": url, "url_overridden_by_dest": url, "is_self": False, "is_video": False} | fields


def picture(name: str, media_type: str = "image/jpg", extension: str = "jpg") -> dict[str, Any]:
    """An entry of media_metadata: `p` has smaller copies, `o` the blurred one of posts that hide their picture."""
    source = f"https://preview.redd.it/{name}.{extension}?width=4000&format=pjpg&auto=webp&s=1"
    smaller = [{"x": 108, "y": 81, "u": f"https://preview.redd.it/{name}.{extension}?width=108&s=2"}]
    blurred = [{"x": 4000, "y": 3000, "u": f"https://preview.redd.it/{name}.{extension}?width=1080&blur=40&s=3"}]
    sizes = {"x": 4000, "y": 3000, "u": source}
    return {"status": "valid", "e": "Image", "m": media_type, "s": sizes, "p": smaller, "o": blurred, "id": name}


def animation(name: str, **sizes: str) -> dict[str, Any]:
    return {"status": "valid", "e": "AnimatedImage", "m": "image/gif", "s": {"x": 1, "y": 1} | sizes, "id": name}


def gallery(items: list[Any], metadata: Any) -> dict[str, Any]:
    """`items`: media ids, or (media id, further fields of the item)."""
    pairs = [item if isinstance(item, tuple) else (item, {}) for item in items]
    data = {"items": [{"media_id": name, "id": number} | more for number, (name, more) in enumerate(pairs)]}
    return {
        "url": "https://www.reddit.com/gallery/x",
        "domain": "reddit.com",
        "is_gallery": True,
        "gallery_data": data,
        "media_metadata": metadata,
    }


def crosspost(*parents: Any, **fields: Any) -> dict[str, Any]:
    """The form of 2026: the URL leads to the original, relative, and there is no domain."""
    return {
        "url": "/r/x/comments/orig1/y/",
        "url_overridden_by_dest": "/r/x/comments/orig1/y/",
        "domain": "",
        "crosspost_parent": "t3_orig1",
        "crosspost_parent_list": list(parents),
    } | fields


def album(url: str, thumbnail: str | None, kind: str = "rich") -> dict[str, Any]:
    """An imgur album as Reddit embeds it."""
    embedded = {"type": "imgur.com", "oembed": {"type": kind, "thumbnail_url": thumbnail}}
    return link(url, media=embedded, secure_media=embedded)


def text(selftext: str | None, metadata: Any = None) -> dict[str, Any]:
    post = {"is_self": True, "domain": "self.x", "url": "https://www.reddit.com/r/x/comments/1/", "selftext": selftext}
    return post | ({} if metadata is None else {"media_metadata": metadata})


ABC = {name: picture(name) for name in ("aaa", "bbb", "ccc")}

GALLERIES = [
    Case(
        "the order of a gallery is that of its items, not of its metadata",
        gallery(["ccc", "aaa", "bbb"], ABC),
        "gallery",
        upload("ccc.jpg", "aaa.jpg", "bbb.jpg"),
    ),
    Case(
        "captions stay with their pictures",
        gallery([("bbb", {"caption": " First "}), ("aaa", {"caption": ""}), ("ccc", {"caption": "Third"})], ABC),
        "gallery",
        upload("bbb.jpg", "aaa.jpg", "ccc.jpg"),
        captions=("First", None, "Third"),
    ),
    Case(
        "captions of items without a picture are dropped",
        gallery([("aaa", {"caption": "Gone"}), ("bbb", {"caption": "Here"})], ABC | {"aaa": FAILED}),
        "gallery",
        upload("bbb.jpg"),
        captions=("Here",),
    ),
    Case(
        "a picture that a gallery shows twice counts once",
        gallery([("aaa", {"caption": "Once"}), "bbb", ("aaa", {"caption": "Again"})], ABC),
        "gallery",
        upload("aaa.jpg", "bbb.jpg"),
        captions=("Once", None),
    ),
    Case("a gallery of one is still a gallery", gallery(["aaa"], ABC), "gallery", upload("aaa.jpg")),
    Case(
        "the extension is that of the media type, not .jpg for all",
        gallery(
            ["p", "w", "g", "j", "x"],
            {
                "p": picture("p", "image/png", "png"),
                "w": picture("w", "image/webp", "webp"),
                "g": picture("g", "image/gif", "jpg"),
                "j": picture("j", "image/jpeg", "jpeg"),
                "x": picture("x", "image/png", "jpg"),
            },
        ),
        "gallery",
        upload("p.png", "w.webp", "g.gif", "j.jpeg", "x.png"),
    ),
    Case(
        "animated items have no u",
        gallery(
            ["one", "two"],
            {
                "one": animation("one", gif="https://i.redd.it/one.gif", mp4="https://preview.redd.it/one.gif?s=1"),
                "two": animation("two", mp4="https://preview.redd.it/two.gif?format=mp4&s=1"),
            },
        ),
        "gallery",
        upload("one.gif", "two.gif"),
    ),
    Case(
        "slugged names of previews are cut to the id",
        gallery(["abc1"], {"abc1": picture("words-of-the-title-v0-abc1", "image/jpg", "jpeg")}),
        "gallery",
        upload("abc1.jpeg"),
    ),
    Case(
        "an entry without sizes still names the upload",
        gallery(["aaa"], {"aaa": {"status": "valid", "e": "Image", "m": "image/png"}}),
        "gallery",
        upload("aaa.png"),
    ),
    Case(
        "URLs of archives are escaped",
        gallery(["a"], {"a": {"status": "valid", "m": "image/png", "s": {"u": "https://h.example/a.png?x=1&amp;s=2"}}}),
        "gallery",
        ("https://h.example/a.png?x=1&s=2",),
    ),
    Case(
        "failed, deleted, unknown and moving items are left out",
        gallery(
            ["failed", "unknown", "video", ("aaa", {"is_deleted": True}), ("bbb", {"is_deleted": False}), "ccc"],
            ABC | {"failed": FAILED, "video": VIDEO},
        ),
        "gallery",
        upload("bbb.jpg", "ccc.jpg"),
    ),
    Case(
        "later pictures that are not processed yet are left out for now",
        gallery(["aaa", "bbb", "ccc"], ABC | {"bbb": UNPROCESSED}),
        "gallery",
        upload("aaa.jpg", "ccc.jpg"),
    ),
    Case(
        "the first picture is worth waiting for",
        gallery(["aaa", "bbb"], ABC | {"aaa": UNPROCESSED}),
        "gallery_unprocessed",
    ),
    Case(
        "a failed picture before it is not",
        gallery(["aaa", "bbb", "ccc"], ABC | {"aaa": FAILED, "bbb": UNPROCESSED}),
        "gallery_unprocessed",
    ),
    Case("a fresh gallery", gallery(["a", "b"], {"a": UNPROCESSED, "b": UNPROCESSED}), "gallery_unprocessed"),
    Case(
        "a removed gallery has null for both",
        link("https://www.reddit.com/gallery/x", is_gallery=True, gallery_data=None, media_metadata=None),
        "gallery_removed",
    ),
    Case("null metadata", gallery(["a"], None), "gallery_removed"),
    Case("a gallery without items", gallery([], {}), "gallery_removed"),
    Case("a gallery that its author emptied", gallery([("aaa", {"is_deleted": True})], ABC), "gallery_removed"),
    Case("a gallery that failed", gallery(["a", "b"], {"a": FAILED}), "gallery_removed"),
    Case("is_gallery may be absent", link("https://www.reddit.com/gallery/x"), "gallery_removed"),
    Case("a gallery of videos", gallery(["v"], {"v": VIDEO}), "video"),
]

CROSSPOSTS = [
    Case(
        "the last parent has the picture",
        crosspost({"id": "old1", "url": "https://i.redd.it/wrong.jpg"}, link("https://i.redd.it/right.jpg")),
        "crosspost",
        upload("right.jpg"),
        crosspost_parent="orig1",
    ),
    Case(
        "a crosspost of a gallery in the form of 2026",
        crosspost(gallery([("bbb", {"caption": "B"}), "aaa"], ABC) | {"id": "orig1"}),
        "crosspost",
        upload("bbb.jpg", "aaa.jpg"),
        captions=("B", None),
        crosspost_parent="orig1",
    ),
    Case(
        "a crosspost of a gallery that is not processed yet",
        crosspost(gallery(["aaa"], {"aaa": UNPROCESSED})),
        "gallery_unprocessed",
    ),
    Case(
        "a crosspost of the years before has the URL itself",
        crosspost(
            link("https://i.redd.it/abc.jpg"),
            url="https://i.redd.it/abc.jpg",
            url_overridden_by_dest=None,
            domain="i.redd.it",
        ),
        "crosspost",
        upload("abc.jpg"),
        crosspost_parent="orig1",
    ),
    Case(
        "the parent list is empty, the own URL is a picture",
        crosspost(url="https://i.redd.it/abc.jpg", url_overridden_by_dest="https://i.redd.it/abc.jpg"),
        "crosspost",
        upload("abc.jpg"),
        crosspost_parent="orig1",
    ),
    Case(
        "the parent list is empty, the own preview is left",
        crosspost(**preview()),
        "preview",
        (SIGNED,),
        crosspost_parent="orig1",
    ),
    Case("the parent list is empty and nothing is left", crosspost(), "relative_url_unresolved"),
    Case("the parent list is null", crosspost() | {"crosspost_parent_list": None}, "relative_url_unresolved"),
    Case(
        "the parent was a gallery and is gone",
        crosspost({"is_gallery": True, "gallery_data": None, "media_metadata": None}),
        "gallery_removed",
    ),
    Case(
        "the parent is gone, the crosspost kept the gallery",
        crosspost({"is_gallery": True, "gallery_data": None}) | gallery(["aaa"], ABC),
        "crosspost",
        upload("aaa.jpg"),
        crosspost_parent="orig1",
    ),
    Case(
        "a preview stays marked as one",
        crosspost(link("http://example.org/", **preview()), **preview()),
        "preview",
        (SIGNED,),
        crosspost_parent="orig1",
    ),
    Case("a crosspost of a video", crosspost({"url": "https://v.redd.it/x", "is_video": True}, **preview()), "video"),
    Case("a crosspost of a text", crosspost(text("words"), **preview()), "self"),
    Case(
        "a crosspost of a text with pictures",
        crosspost(text("https://preview.redd.it/aaa.jpg", ABC)),
        "crosspost",
        upload("aaa.jpg"),
        crosspost_parent="orig1",
    ),
]

TEXTS = [
    Case("a text", text("words"), "self"),
    Case("a text without its fields is known by its domain", {"url": "http://x/", "domain": "self.pics"}, "self"),
    Case("a poll", text("vote", None) | {"poll_data": {"options": []}}, "self"),
    Case("the preview of a text is that of a link in it", text("words") | preview(), "self"),
    Case(
        "pictures inside a text come in the order of the text",
        text("[b](https://preview.redd.it/bbb.jpg?s=1)\n\n![img](aaa)", ABC | {STICKER: picture("sticker")}),
        "self",
        upload("bbb.jpg", "aaa.jpg"),
    ),
    Case("pictures that an edit took out of the text", text("no more", ABC), "self"),
    Case(
        "the table has no text to order by",
        {"is_self": True, "media_metadata": ABC},
        "self",
        upload("aaa.jpg", "bbb.jpg", "ccc.jpg"),
    ),
    Case(
        "a video inside a text is no picture",
        text("https://reddit.com/link/1/video/vvv/player", {"vvv": VIDEO}),
        "self",
    ),
    Case(
        "of a text with pictures and a video the pictures",
        text("vvv aaa", {"vvv": VIDEO, "aaa": picture("aaa")}),
        "self",
        upload("aaa.jpg"),
    ),
    Case("a picture inside a text that is not processed yet", text("aaa", {"aaa": UNPROCESSED}), "self"),
    Case("stickers are not the author's", text(STICKER, {STICKER: picture("sticker")}), "self"),
]

PAGES = [
    Case("a page", link("http://example.org/story"), "external_page"),
    Case("a flickr page has its preview", link("https://flic.kr/p/2jhT", **preview()), "preview", (SIGNED,)),
    Case(
        "a flickr page of 2011 has none",
        link("http://www.flickr.com/photos/thekog/6886709962/sizes/l/"),
        "external_page",
    ),
    Case(
        "previews of archives are escaped, or the signature fails",
        link("http://www.flickr.com/photos/x/1/", **preview(SIGNED.replace("&", "&amp;"))),
        "preview",
        (SIGNED,),
    ),
    Case(
        "previews before 2018",
        link("https://www.flickr.com/photos/x/1/", **preview("https://i.redditmedia.com/xYz.jpg?s=1")),
        "preview",
        ("https://i.redditmedia.com/xYz.jpg?s=1",),
    ),
    Case(
        "a dead foreign host leaves the preview",
        link("http://i.minus.com/ibq0.jpg", **preview()),
        "image",
        ("http://i.minus.com/ibq0.jpg",),
        preview_url=SIGNED,
    ),
    Case(
        "a dead upload was taken down, and its preview is not asked for",
        link("https://i.redd.it/abc.jpg", **preview("https://preview.redd.it/abc.jpg?auto=webp&s=1")),
        "image",
        upload("abc.jpg"),
    ),
    Case(
        "an upload may answer under its signed preview URL alone",
        link("https://preview.redd.it/abc.jpg?auto=webp&s=19b1"),
        "image",
        upload("abc.jpg"),
        preview_url="https://preview.redd.it/abc.jpg?auto=webp&s=19b1",
    ),
    Case(
        "blurred variants of posts that hide their picture are never chosen",
        link("https://example.org/", over_18=True, **preview(nsfw=SIGNED + "9", obfuscated=SIGNED + "8")),
        "preview",
        (SIGNED,),
    ),
    Case(
        "nor is a blurred source",
        link("https://example.org/", **preview("https://external-preview.redd.it/A.jpg?width=9&blur=40&s=1")),
        "external_page",
    ),
    Case(
        "the thumbnail is no image source",
        link("https://example.org/", thumbnail="https://b.thumbs.redditmedia.com/x.jpg"),
        "external_page",
    ),
    Case("a relative preview", link("http://example.org/", **preview("/relative.jpg")), "external_page"),
    Case(
        "a video page",
        link("https://www.example.org/v/1", post_hint="rich:video", **preview()),
        "video",
    ),
    Case(
        "a video page without a hint",
        link("https://www.example.org/v/1", media={"oembed": {"type": "video"}}, **preview()),
        "video",
    ),
    Case(
        "a hosted video without is_video",
        link("https://example.org/x", secure_media={"reddit_video": {"fallback_url": "x"}}, **preview()),
        "video",
    ),
    Case("a video host needs no embedding", link("https://youtu.be/MIAk89nvLR8", **preview()), "video"),
    Case(
        "the still of a loop is not what people saw",
        link("https://gifs.example/abc", **preview(gif="https://g.redditmedia.com/x.gif?s=1", mp4="https://x/y?s=2")),
        "gifv",
    ),
    Case("is_video wins over the URL", link("https://i.redd.it/abc.jpg") | {"is_video": True}, "video"),
    Case(
        "a link to another post of Reddit has no picture of its own",
        link("https://www.reddit.com/r/tifu/comments/5dbcka/x/", **preview()),
        "external_page",
    ),
    Case("nor has its short form", link("https://redd.it/5dbcka", **preview()), "external_page"),
    Case("nor a live thread", link("https://www.reddit.com/live/ta535s1hq2je", **preview()), "external_page"),
    Case("an old crosspost, without its parent", {"url": "/r/x/comments/p/", "domain": ""}, "relative_url_unresolved"),
    Case(
        "a destination in one of the two fields is enough",
        {"url": "/r/x/comments/1/", "url_overridden_by_dest": "https://i.redd.it/abc.jpg"},
        "image",
        upload("abc.jpg"),
    ),
    Case(
        "in either of them",
        {"url": "https://i.redd.it/abc.jpg", "url_overridden_by_dest": None},
        "image",
        upload("abc.jpg"),
    ),
    Case(
        "a fetchable preview stands in for a URL of another scheme",
        link("ftp://x/y.jpg", **preview()),
        "preview",
        (SIGNED,),
    ),
]

ALBUMS = [
    Case("an album", link("http://imgur.com/a/VxMz9"), "album_unsupported"),
    Case(
        "the embedding of an album names its cover",
        album("http://imgur.com/a/J9iOB", "http://i.imgur.com/Kp27a6f.jpg?fb"),
        "album",
        ("https://i.imgur.com/Kp27a6f.jpg",),
    ),
    Case(
        "the cover as a thumbnail",
        album("http://imgur.com/gallery/JEp9sAz", "http://i.imgur.com/JEp9sAzh.jpg"),
        "album",
        ("https://i.imgur.com/JEp9sAz.jpg",),
    ),
    Case(
        "the cover wrapped by Embedly",
        album(
            "https://imgur.com/a/yC3Qz9X",
            "https://i.embed.ly/1/image?url=https%3A%2F%2Fi.imgur.com%2FN3uHqQI.jpg%3Ffb&key=522b",
        )
        | preview(),
        "album",
        ("https://i.imgur.com/N3uHqQI.jpg",),
        preview_url=SIGNED,
    ),
    Case("an album of a video", album("http://imgur.com/gallery/x", "http://i.imgur.com/abcdeh.jpg", "video"), "video"),
    Case("an album with a preview", link("http://imgur.com/a/VxMz9", **preview()), "preview", (SIGNED,)),
    Case(
        "a thumbnail elsewhere is no cover",
        album("http://imgur.com/a/x", "https://s.example/x.jpg"),
        "album_unsupported",
    ),
    Case("an embedding without a thumbnail", album("http://imgur.com/a/x", None), "album_unsupported"),
    Case(
        "a comma list is a gallery in its order",
        link("http://imgur.com/dlIHFcw,ppBPV,hDV6r#1"),
        "gallery",
        tuple(f"https://i.imgur.com/{name}.jpg" for name in ("dlIHFcw", "ppBPV", "hDV6r")),
    ),
    Case("a comma list of one", link("http://imgur.com/dlIHFcw,"), "image", ("https://i.imgur.com/dlIHFcw.jpg",)),
    Case("the still of a gifv", link("https://i.imgur.com/x.gifv", **preview()), "gifv"),
]

BROKEN = [
    Case("no URL", {}, "malformed"),
    Case("a null URL", {"url": None}, "malformed"),
    Case("a URL that is a number", {"url": 17}, "malformed"),
    Case("an empty URL", {"url": ""}, "malformed"),
    Case("a URL of blanks", {"url": " "}, "malformed"),
]

CASES = [*GALLERIES, *CROSSPOSTS, *TEXTS, *PAGES, *ALBUMS, *BROKEN]

# One URL, one picture.
IMAGE_URLS = {
    # Reddit's own hosts
    "https://i.redd.it/e3nhuwaa13951.jpg": "https://i.redd.it/e3nhuwaa13951.jpg",
    "http://i.redd.it/ljf8u51kpnzw.png": "https://i.redd.it/ljf8u51kpnzw.png",
    "https://i.redd.it/some-words-v0-4gp4de4d3yic1.jpeg?width=1080&s=3c": "https://i.redd.it/4gp4de4d3yic1.jpeg",
    "https://preview.redd.it/abc123.png?width=640": "https://i.redd.it/abc123.png",
    "https://preview.redd.it/some-title-words-v0-abc123def.jpeg?auto=webp": "https://i.redd.it/abc123def.jpeg",
    "https://preview.redd.it/award_images/t5_x/y.png?s=9": "https://preview.redd.it/award_images/t5_x/y.png?s=9",
    SIGNED: SIGNED,
    "https://i.reddituploads.com/76d6?fit=max&h=1536&s=d2": "https://i.reddituploads.com/76d6?fit=max&h=1536&s=d2",
    "https://i.redditmedia.com/SiqD.jpg?s=63": "https://i.redditmedia.com/SiqD.jpg?s=63",
    "https://www.reddit.com/media?url=https%3A%2F%2Fi.redd.it%2Fabc.jpg": "https://i.redd.it/abc.jpg",
    "https://old.reddit.com/media/?url=https%3A%2F%2Fpreview.redd.it%2Fx-v0-abc.png%3Fwidth%3D9": (
        "https://i.redd.it/abc.png"
    ),
    # imgur: pages, file names, hosts, thumbnails
    "http://imgur.com/dlIHFcw": "https://i.imgur.com/dlIHFcw.jpg",
    "http://imgur.com/ppBPV": "https://i.imgur.com/ppBPV.jpg",
    "http://www.imgur.com/hDV6r": "https://i.imgur.com/hDV6r.jpg",
    "http://m.imgur.com/4llhbxY?r": "https://i.imgur.com/4llhbxY.jpg",
    "http://i.imgur.com/2OEIQyE": "https://i.imgur.com/2OEIQyE.jpg",
    "https://imgur.io/dlIHFcw": "https://i.imgur.com/dlIHFcw.jpg",
    "https://i.imgur.io/dlIHFcw.png": "https://i.imgur.com/dlIHFcw.png",
    "http://www.imgur.com/3qH4J.jpeg": "https://i.imgur.com/3qH4J.jpeg",
    "http://www.i.imgur.com/4QroG31.jpeg": "https://i.imgur.com/4QroG31.jpeg",
    "http://imgur.com/vGbFvkI.JPG": "https://i.imgur.com/vGbFvkI.jpg",
    "http://i.imgur.com/UvnfN.jpg?1": "https://i.imgur.com/UvnfN.jpg",
    "http://i.imgur.com/8nuolGP.jpg#.UVIfdXvd27k.reddit": "https://i.imgur.com/8nuolGP.jpg",
    "http://i.imgur.com/8nuolGP.webp?maxwidth=640&fidelity=grand": "https://i.imgur.com/8nuolGP.webp",
    "http://i.imgur.com/8nuolGP.gif": "https://i.imgur.com/8nuolGP.gif",
    **{f"http://i.imgur.com/8nuolGP{size}.jpg": "https://i.imgur.com/8nuolGP.jpg" for size in "sbtmlh"},
    **{f"http://i.imgur.com/UvnfN{size}.jpg": "https://i.imgur.com/UvnfN.jpg" for size in "sbtmlh"},
    "http://imgur.com/8nuolGPl": "https://i.imgur.com/8nuolGP.jpg",
    "http://i.imgur.com/8nuolGs.jpg": "https://i.imgur.com/8nuolGs.jpg",  # 7 characters: the s is part of the id
    "http://i.imgur.com/Uvnfs.jpg": "https://i.imgur.com/Uvnfs.jpg",
    "https://i.imgur.com/8nuolGP_d.jpg?maxwidth=640": "https://i.imgur.com/8nuolGP.jpg",
    "https://imgur.com/two-words-8nuolGP": "https://i.imgur.com/8nuolGP.jpg",
    "http://imgur.com/download/8nuolGP/": "https://i.imgur.com/8nuolGP.jpg",
    "http://imgur.com/r/EarthPorn/dlIHFcw": "https://i.imgur.com/dlIHFcw.jpg",
    "https://m.imgur.com/r/Celebs/iHJ7tsM": "https://i.imgur.com/iHJ7tsM.jpg",
    "http://imgur.com/dlIHFcw/new": "https://i.imgur.com/dlIHFcw.jpg",
    # imgur: what people put around a link, or made of it
    **{
        f"http://i.imgur.com/1VpMADG.jpg{tail}": "https://i.imgur.com/1VpMADG.jpg"
        for tail in (
            *(
                "-large",
                ":large",
                "_large",
                "-orig",
                "[/img]",
                "[/IMG][/URL]",
                "%5B/img%5D",
                ")",
                "),",
                ",",
                ".",
                ";",
                "!",
            ),
            *(
                "]",
                "](http://imgur.com/a/VxMz9)",
                '"',
                "'",
                "&gt;",
                "%22",
                "%20",
                "%29",
                "*",
                "**",
                "?1",
                "?1)",
                "/",
                "#.x",
            ),
            *(
                " ",
                " (a lake)",
                "\u201d",
                "</a>",
                "&quot;&gt;",
                "<br/>",
                "\\n".replace("\\n", "\n"),
                "&",
                "|",
                "~",
                "%0A",
            ),
        )
    },
    "http://imgur.com/1VpMADG)": "https://i.imgur.com/1VpMADG.jpg",
    "http://imgur.com/1VpMADG[/img]": "https://i.imgur.com/1VpMADG.jpg",
    "http://imgur.com/1VpMADG.": "https://i.imgur.com/1VpMADG.jpg",
    "<http://i.imgur.com/1VpMADG.png>": "https://i.imgur.com/1VpMADG.png",
    "(http://i.imgur.com/1VpMADG.png)": "https://i.imgur.com/1VpMADG.png",
    "https://i.imgur.com/1VpMADG-large.jpg": "https://i.imgur.com/1VpMADG.jpg",
    "https://i.imgur.com/1VpMADG-orig.png": "https://i.imgur.com/1VpMADG.png",
    "https://imgur.com/a-lake-at-dawn-1VpMADG": "https://i.imgur.com/1VpMADG.jpg",
    # not imgur, though it is called so
    "https://i.stack.imgur.com/aBcDe.png": "https://i.stack.imgur.com/aBcDe.png",
    "https://notimgur.com/dlIHFcw.jpg": "https://notimgur.com/dlIHFcw.jpg",
    # what people put around links to other hosts
    "https://i.redd.it/abc123.jpg-large": "https://i.redd.it/abc123.jpg",
    "https://i.redd.it/abc123.png)": "https://i.redd.it/abc123.png",
    "https://i.redd.it/abc123.png[/img]": "https://i.redd.it/abc123.png",
    "https://preview.redd.it/x-v0-abc123.jpg:large?width=9": "https://i.redd.it/abc123.jpg",
    "https://example.org/a/b.jpg),": "https://example.org/a/b.jpg",
    "https://example.org/a/b.jpg[/img]?w=1": "https://example.org/a/b.jpg?w=1",
    "https://example.org/b_(1).jpg": "https://example.org/b_(1).jpg",
    "https://example.org/b_(1).jpg)": "https://example.org/b_(1).jpg",
    "https://example.org/b.JPG](https://example.org/c.jpg)": "https://example.org/b.JPG",
    "https://example.org/b.jpg&quot;&gt;": "https://example.org/b.jpg",
    # pages that are named like their picture
    "http://en.wikipedia.org/wiki/File:Cat.jpg": "https://en.wikipedia.org/wiki/Special:FilePath/Cat.jpg",
    "https://en.m.wikipedia.org/wiki/Image:Cat.JPG": "https://en.wikipedia.org/wiki/Special:FilePath/Cat.JPG",
    "https://commons.wikimedia.org/wiki/File%3AM%C3%BCcke_(1).png?uselang=de": (
        "https://commons.wikimedia.org/wiki/Special:FilePath/M%C3%BCcke_(1).png"
    ),
    "https://en.wikipedia.org/wiki/Cat#/media/File:Two_cats.jpg": (
        "https://en.wikipedia.org/wiki/Special:FilePath/Two_cats.jpg"
    ),
    "https://de.wikipedia.org/wiki/Special:FilePath/Cat.webp": "https://de.wikipedia.org/wiki/Special:FilePath/Cat.webp",
    "http://upload.wikimedia.org/wikipedia/en/d/d8/T.jpg?/": "http://upload.wikimedia.org/wikipedia/en/d/d8/T.jpg?/",
    # pictures whose URL ends in something else
    "https://pbs.twimg.com/media/AbC.jpg:large": "https://pbs.twimg.com/media/AbC.jpg:large",
    "https://pbs.twimg.com/media/AbC.jpg-large": "https://pbs.twimg.com/media/AbC.jpg",
    "https://pbs.twimg.com/media/A?format=jpg&name=large": "https://pbs.twimg.com/media/A?format=jpg&name=large",
    # other hosts
    "https://farm9.staticflickr.com/8747/1_k.jpg": "https://farm9.staticflickr.com/8747/1_k.jpg",
    "https://live.staticflickr.com/65535/1_k.jpg": "https://live.staticflickr.com/65535/1_k.jpg",
    "https://thumbs.gfycat.com/A-size_restricted.gif": "https://thumbs.gfycat.com/A-size_restricted.gif",
    "http://127.0.0.1:8765/i/x.jpg": "http://127.0.0.1:8765/i/x.jpg",
    "http://localhost:8765/i/x.webp#y": "http://localhost:8765/i/x.webp",
    "http://[::1]:8765/i/x.gif": "http://[::1]:8765/i/x.gif",
    "HTTP://Example.ORG.:80/A/B.JPG?w=1#frag": "http://example.org/A/B.JPG?w=1",
    "https://example.org:443/a.jpg": "https://example.org/a.jpg",
    "http://example.org/a b.jpg": "http://example.org/a%20b.jpg",
    "http://example.org/mücke.jpg?ä=1": "http://example.org/m%C3%BCcke.jpg?%C3%A4=1",
    "http://BÜCHER.example/a.jpg": "http://bücher.example/a.jpg",
    " https://example.org/a.jpg?x=1&amp;y=2 ": "https://example.org/a.jpg?x=1&y=2",
    "//i.redd.it/abc.jpg": "https://i.redd.it/abc.jpg",
}

# One URL, no picture, and why.
OTHER_URLS = {
    "https://v.redd.it/dqm10oy4d0vg1": "video",
    "https://example.org/film.mov": "video",
    "https://www.youtube.com/watch?v=1": "video",
    "https://m.youtube.com/shorts/1": "video",
    "https://gfycat.com/SameAptIndianabat": "video",
    "https://www.redgifs.com/watch/x": "video",
    "https://i.imgur.com/rAToeQl.gifv": "gifv",
    "http://imgur.com/NyPnrCa.gifv": "gifv",
    "https://i.imgur.com/rAToeQl.mp4": "gifv",
    "https://example.org/loop.webm?x": "gifv",
    "https://i.redd.it/abc.gif?format=mp4&s=1": "gifv",
    "https://preview.redd.it/abc.gif?format=mp4&s=1": "gifv",
    "http://imgur.com/a/VxMz9": "album_unsupported",
    "http://imgur.com/a/yusSB#0": "album_unsupported",
    "http://m.imgur.com/a/3a3rJ": "album_unsupported",
    "https://imgur.com/a/some-words-pjOnJA0": "album_unsupported",
    "http://imgur.com/gallery/dlIHFcw": "album_unsupported",
    "http://imgur.com/t/cats/dlIHFcw": "album_unsupported",
    "https://imgur.com/topic/Funny/dlIHFcw": "album_unsupported",
    "https://imgur.io/a/VxMz9": "album_unsupported",
    "http://imgur.com/": "external_page",
    "http://imgur.com/r/pics": "external_page",
    "http://imgur.com/upload": "external_page",
    "http://imgur.com/user/somebody": "external_page",
    "http://imgur.com/search?q=cat": "external_page",
    "http://imgur.com/dlIHFcw,nonsense!": "external_page",
    **{
        f"https://imgur.com/{page}": "external_page"
        for page in (
            *("legal", "Legal", "terms", "terms-of-service", "Terms-Of-Service", "community-rules", "privacy-policy"),
            *("tos", "rules", "RULES", "about", "jobs", "press", "advertise", "careers", "contact", "apps", "mobile"),
            *(
                "blog",
                "hot",
                "trending",
                "register",
                "accounts",
                "topics",
                "searchs",
                "removalrequest",
                "vidgif",
                "ccpa",
            ),
            *("user/Somebody", "account/settings", "privacy/details", "search/score", "r/pics/topweek", "emerald"),
            *("1VpMADG-2017a-2018b-service", "a-lake-2017", "a-lake-Sunny", "index.html", "favicon.ico", "removed"),
        )
    },
    "https://i.imgur.com/a-lake.jpg": "external_page",
    "https://i.imgur.com/some-words-large.jpg": "external_page",
    "https://i.imgur.com/rAToeQl.gifv)": "gifv",
    "https://i.imgur.com/rAToeQl.gifv[/img]": "gifv",
    "https://i.imgur.com/rAToeQl.mp4-large": "gifv",
    "https://example.org/loop.gifv),": "gifv",
    "https://i.imgur.com/a/VxMz9.": "album_unsupported",
    "https://example.org/Cat_(a.jpg)": "external_page",
    "https://example.org/a.jpg/revision/latest": "external_page",
    "http://www.flickr.com/photos/thekog/6886709962/sizes/l/": "external_page",
    "https://en.wikipedia.org/wiki/Cat": "external_page",
    "https://en.wikipedia.org/wiki/File:Cat.svg": "external_page",
    "https://en.wikipedia.org/wiki/File:Cat.ogv": "external_page",
    "https://wiki.example.org/wiki/File:Cat.jpg": "external_page",
    "https://twitter.com/moonalice/status/1350864175912783873": "external_page",
    "https://example.org/x.svg": "external_page",
    "https://example.org/featured/?ext=.jpg": "external_page",
    "https://preview.redd.it/": "external_page",
    "https://www.reddit.com/media?url=https%3A%2F%2Fexample.org%2Fx.jpg": "external_page",
    "https://www.reddit.com/media": "external_page",
    "https://www.reddit.com/r/pics/comments/92dd8/test/": "external_page",
    "https://www.reddit.com/gallery/hzofks": "gallery_removed",
    "/gallery/hzofks": "gallery_removed",
    "/r/modnews/comments/fdh4rr/announcing/": "relative_url_unresolved",
    "i.imgur.com/x.jpg": "relative_url_unresolved",
    "ftp://example.org/x.jpg": "unsupported_scheme",
    "javascript:alert(1)": "unsupported_scheme",
    "data:image/png;base64,AAAA": "unsupported_scheme",
    "file:///etc/passwd.jpg": "unsupported_scheme",
    "https:///x.jpg": "malformed",
    "https://./x.jpg": "malformed",
    "http://[::1/x.jpg": "malformed",
    "http://example.org:99999/x.jpg": "malformed",
    "http://example.org/\ud800.jpg": "malformed",
    "https://i.redd.it@example.org/x.jpg": "malformed",
    "https://user:secret@example.org/x.jpg": "malformed",
    "https://example.org\\@i.redd.it/x.jpg": "malformed",
    f"https://example.org/{'x' * 2048}.jpg": "malformed",
}

IDS = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_images_of_a_submission(case: Case):
    found = resolve(case.submission)
    if case.urls:
        assert found == Resolved(case.found, case.urls, case.captions, case.preview_url, case.crosspost_parent)
    else:
        assert isinstance(found, Unresolved)
        assert found.reason == case.found
        assert found.detail


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_submission_of_an_archive_has_the_same_images(case: Case):
    # Dumps made without raw_json escape every "&" of every URL.
    escaped = json.loads(json.dumps(case.submission).replace("&amp;", "&").replace("&", "&amp;"))
    assert resolve(escaped) == resolve(case.submission)


@pytest.mark.parametrize(("url", "expected"), IMAGE_URLS.items())
def test_a_url_of_one_image(url, expected):
    assert resolve({"url": url}) == Resolved("image", (expected,))


@pytest.mark.parametrize(("url", "reason"), OTHER_URLS.items())
def test_a_url_without_an_image(url, reason):
    found = resolve({"url": url})
    assert isinstance(found, Unresolved)
    assert found.reason == reason
    assert found.detail


def test_the_table_reaches_every_kind_and_every_reason():
    found = {case.found for case in CASES} | set(OTHER_URLS.values())
    assert found == UNRESOLVED_REASONS | {"image", "gallery", "album", "self", "crosspost", "preview"}
    assert len({case.name for case in CASES}) == len(CASES)


def test_what_is_resolved_may_be_asked_for():
    assert LONGEST_URL == MAX_URL_LENGTH
    for url in {url for case in CASES for url in case.urls} | set(IMAGE_URLS.values()):
        asked = str(target_of(url, {"127.0.0.1", "localhost", "[::1]"}).url)
        # The fetcher puts hosts of other scripts into ASCII; all else is already as it asks for it.
        assert asked == url.replace("bücher", "xn--bcher-kva")


def test_pictures_pending_counts_the_items_in_the_making():
    half = gallery(["aaa", "bbb", ("ccc", {"is_deleted": True})], ABC | {"bbb": UNPROCESSED, "ccc": UNPROCESSED})
    assert pictures_pending(half) == 1
    assert pictures_pending(crosspost(half)) == 1
    assert pictures_pending(gallery(["aaa", "bbb"], ABC)) == 0
    assert pictures_pending(link("https://i.redd.it/abc.jpg")) == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
url_texts = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(
            [
                *("http://", "https://", "//", "/", "ftp:", "http://[", "https://user@", "https://i.imgur.com/"),
                *("http://imgur.com/", "http://imgur.com/r/", "https://preview.redd.it/", "https://i.redd.it/"),
                *("https://en.wikipedia.org/wiki/File:", "https://en.wikipedia.org/wiki/x#/media/File:"),
                *("https://www.reddit.com/media?url=", "https://www.reddit.com/gallery/", "https://youtu.be/"),
                *("https://external-preview.redd.it/", "https://pbs.twimg.com/media/", "http://BÜCHER.example:"),
            ]
        ),
        st.sampled_from(["", "https%3A%2F%2Fi.redd.it%2F", "words-of-it-v0-", "80/", "9/"]),
        st.text(max_size=12),
        st.sampled_from(["", ".jpg", ".gifv", ".PNG:large", "?url=//a.redd.it", "/a,b.png", "?s=1&amp;x=2", "#y"]),
    ),
)


@given(url_texts, st.booleans())
def test_every_url_ends_in_exactly_one_answer(url, as_parent):
    submission = {"url": url, "crosspost_parent_list": [{"url": url}] if as_parent else None}
    found = resolve(submission)
    if isinstance(found, Unresolved):
        assert found.reason in UNRESOLVED_REASONS
        assert found.detail
        return
    for address in found.urls:
        assert address.startswith(("http://", "https://"))
        assert "#" not in address
        assert len(address) <= LONGEST_URL
        # What is stored is found again as it is.
        assert resolve({"url": address}) == Resolved("image", (address,))


@given(url_texts)
def test_the_fetcher_refuses_no_url_for_its_form(url):
    found = resolve({"url": url})
    for address in found.urls if isinstance(found, Resolved) else ():
        try:
            target_of(address)
        except UrlRefused as error:
            # Only hosts are its matter alone: names, IDNA, addresses and ports.
            assert error.reason == "blocked_address" or "host" in str(error)  # noqa: PT017


fields = {
    **dict.fromkeys(
        ("url", "url_overridden_by_dest", "selftext", "domain", "post_hint", "id"), url_texts | json_values
    ),
    **dict.fromkeys(("crosspost_parent", "media", "secure_media", "preview", "gallery_data"), json_values),
    **dict.fromkeys(("is_gallery", "is_self", "is_video"), st.booleans() | json_values),
    "media_metadata": st.dictionaries(st.sampled_from(["aaa", "bbb"]), json_values, max_size=2) | json_values,
}
shapes = st.fixed_dictionaries({}, optional=fields)
# Objects that are nearly right get deeper than objects of chance.
near_galleries = st.builds(
    lambda items, metadata: {"is_gallery": True, "gallery_data": {"items": items}, "media_metadata": metadata},
    st.lists(st.fixed_dictionaries({"media_id": st.sampled_from(["aaa", "bbb", 7, None])}) | json_values, max_size=4),
    st.dictionaries(
        st.sampled_from(["aaa", "bbb"]),
        st.fixed_dictionaries(
            {"status": st.sampled_from(["valid", "unprocessed", 1])},
            optional={"e": json_values, "m": st.just("image/png"), "s": st.dictionaries(st.just("u"), url_texts)},
        ),
    ),
)


@given(shapes | near_galleries, st.none() | st.lists(shapes | near_galleries | json_values, max_size=2))
def test_fields_of_odd_types_are_never_fatal(submission, parents):
    found = resolve(submission if parents is None else submission | {"crosspost_parent_list": parents})
    assert pictures_pending(submission) >= 0
    if isinstance(found, Unresolved):
        assert found.reason in UNRESOLVED_REASONS
        return
    assert len(set(found.urls)) == len(found.urls) > 0
    assert not found.captions or len(found.captions) == len(found.urls)
    for address in (*found.urls, *filter(None, [found.preview_url])):
        assert address.startswith(("http://", "https://"))
        assert "#" not in address
