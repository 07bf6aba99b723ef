"""One odd picture stops no step: extremes among ordinary pictures, from the web server to every family of features."""

import hashlib
import io
import zlib
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import FAMILIES, STEPS
from redpop_assets.images.download import download_images
from redpop_assets.images.fetch import FetchPolicy
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.embeddings import Encoding, refresh_captions, refresh_images
from redpop_assets.refresh.features import Scope, refresh_step
from redpop_assets.storage.images import ImageStore
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.local_server import LocalServer

pytestmark = pytest.mark.integration

ENCODERS = Encoders(
    "timm:tf_efficientnet_lite0/bundled",
    "sentence_transformers:all-MiniLM-L6-v2/bundled",
    objects="timm:tf_efficientnet_lite0/bundled",
)
RNG = np.random.default_rng(11)


def noise(width, height, channels=3, dtype=np.uint8):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def file(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def animated(frames):
    first, *others = [Image.fromarray(noise(130, 130, 1)) for _ in range(frames)]
    return file(first, "GIF", save_all=True, append_images=others, duration=10)


def with_bad_profile(data):
    """A PNG whose colour profile is no profile."""
    body = b"iCCPx\0\0" + zlib.compress(b"no profile")
    chunk = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    end_of_header = 33
    return data[:end_of_header] + chunk + data[end_of_header:]


# Drawn when they are asked for: who only looks for tests imports this, too.
ORDINARY = {f"plain{n}": lambda: file(Image.fromarray(noise(160, 140)), "JPEG") for n in range(6)}
ODD = {
    "column": lambda: file(Image.fromarray(noise(128, 640)), "JPEG"),
    "row": lambda: file(Image.fromarray(noise(4000, 800)), "JPEG"),
    "smallest": lambda: file(Image.fromarray(noise(128, 128))),
    "black": lambda: file(Image.new("RGB", (200, 200))),
    "white": lambda: file(Image.new("RGB", (200, 200), "white")),
    "clear": lambda: file(Image.new("RGBA", (200, 200), (0, 0, 0, 0))),
    "glass": lambda: file(Image.fromarray(noise(150, 150, 4))),
    "bits": lambda: file(Image.fromarray(noise(150, 150, 1)).convert("1")),
    "grey": lambda: file(Image.fromarray(noise(150, 150, 1)), "JPEG"),
    "grey16": lambda: file(Image.fromarray(noise(150, 150, 1, np.uint16))),
    "palette": lambda: file(Image.fromarray(noise(150, 150)).quantize(3)),
    "print": lambda: file(Image.fromarray(noise(150, 150, 4), "CMYK"), "JPEG"),
    "lossless": lambda: file(Image.fromarray(noise(150, 150)), "WEBP", lossless=True),
    "profile": lambda: with_bad_profile(file(Image.fromarray(noise(150, 150)))),
}
# What the door refuses, each with a reason.
REFUSED = {
    "tiny": lambda: file(Image.new("RGB", (4, 4))),
    "huge": lambda: file(Image.new("1", (12_000, 12_000), 1)),
    "ribbon": lambda: file(Image.fromarray(noise(128, 20_000)), "JPEG"),
    "moving": lambda: animated(40),
    "cut": lambda: file(Image.fromarray(noise(400, 400)), "JPEG")[:-2000],
    "half": lambda: file(Image.fromarray(noise(400, 400)), "JPEG")[:900],
    "page": lambda: b"<!doctype html><title>no picture</title>",
    "nothing": lambda: b"",
}


def post(number, name, url):
    caption = f"A picture of {name}"
    row = {
        **{"post_id": name, "subreddit": "pics", "author": f"a{number % 3}", "kind": "image", "caption": caption},
        **{"caption_sha256": hashlib.sha256(caption.encode()).hexdigest(), "code_version": "1", "image_urls": [url]},
        **dict.fromkeys(("is_original_content", "over_18", "spoiler"), False),
        **{"created_at": datetime(2026, 1, 1) + timedelta(hours=number), "crosspost_parent": None},
    }
    return row | {"preview_url": None}


@pytest.fixture(scope="module")
def host():
    """A web server that has all the pictures, each under its name."""
    pictures = {name: draw() for name, draw in (ORDINARY | ODD | REFUSED).items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = pictures[self.path[1:]]
            self.send_response_only(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = LocalServer(Handler)
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def scope(tmp_path_factory, host):
    """A community whose pictures came over the web, some of them odd; vectors of pictures and captions are made."""
    folder = tmp_path_factory.mktemp("pictures")
    warehouse = blank_warehouse(folder / "home")
    rows = [post(number, name, f"{host}/{name}") for number, name in enumerate(ORDINARY | ODD | REFUSED)]
    with warehouse.write() as writer:
        schema = writer.query("SELECT * FROM core.posts LIMIT 0").schema
        writer.append("core.posts", pa.Table.from_pylist(rows, schema=schema))
    images = ImageStore(folder / "home" / "images")
    policy = FetchPolicy(allowed_hosts=frozenset({host.removeprefix("http://")}), deadline=60, decoders=1)
    download_images(
        warehouse, images, "pics", policy, images_per_post=1, recheck=None, chunk_size=100, progress=lambda _: None
    )
    scope = Scope(
        subreddit="pics",
        warehouse=warehouse,
        images=images,
        encoders=ENCODERS,
        networks=Networks("cpu", None),
        matured_after=timedelta(days=9),
        chunk_size=64,
        progress=lambda _: None,
        warn=lambda _: None,
    )
    encoding = Encoding([ENCODERS.image], [ENCODERS.caption], grids=True, tuning=None)
    with warehouse.kept():
        refresh_images(scope, encoding)
        refresh_captions(scope, encoding)
        yield scope


def test_every_picture_is_stored_or_refused_with_a_reason(scope):
    rows = scope.warehouse.query(
        "SELECT post_id, f.status, f.reason FROM core.posts AS p "
        "JOIN core.image_fetches AS f ON f.url = p.image_urls[1]"
    ).to_pylist()
    ended = {row["post_id"]: row["status"] for row in rows}
    assert {name for name, status in ended.items() if status == "stored"} == set(ORDINARY | ODD)
    assert all(row["reason"] for row in rows if row["status"] != "stored")
    assert len(rows) == len(ORDINARY | ODD | REFUSED)


PICTURES = [
    step
    for step, families in STEPS.items()
    if families[0].grain in ("picture", "pair", "post") and step not in ("image_networks", "ratings")
]


@pytest.mark.parametrize("step", PICTURES)
def test_every_step_that_looks_at_pictures_gets_through(step, scope):
    refresh_step(STEPS[step], scope)
    for family in STEPS[step]:
        if family.grain == "picture" and all(family.named(scope.encoders).values()) and not family.optional:
            rows = scope.warehouse.scalar(f"SELECT count(DISTINCT image_sha256) FROM {family.filled_table}")
            assert rows == len(ORDINARY | ODD), family.name


def test_what_the_steps_wrote_are_numbers(scope):
    for step in PICTURES:
        refresh_step(STEPS[step], scope)
    names = [family.name for family in FAMILIES if family.block and all(family.named(scope.encoders).values())]
    data = read_dataset(scope.warehouse, "pics", scope.encoders, names)
    assert len(data) == len(ORDINARY | ODD | REFUSED)
    for name, block in data.blocks.items():
        assert not np.isinf(block.values).any(), name
    vectors = data.blocks["image"]
    assert int(vectors.present.sum()) == len(ORDINARY | ODD)
    assert np.isfinite(vectors.values[vectors.present]).all()
