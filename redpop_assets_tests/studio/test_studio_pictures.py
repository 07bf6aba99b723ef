import asyncio
import io

import pytest
from PIL import Image

from redpop_assets.images.decode import open_rgb
from redpop_assets.studio.pictures import Pictures
from redpop_assets.studio.refusals import Refusal
from redpop_assets_tests.studio.samples import SampleDesk, draft, picture

pytestmark = pytest.mark.integration

PICTURES = "/api/v1/pictures"


def bring(client, data):
    return client.post(PICTURES, content=data)


def moving():
    file = io.BytesIO()
    frames = [Image.new("RGB", (200, 200), colour) for colour in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_a_picture_is_asked_about_by_who_brought_it_and_by_nobody_else(visit):
    client, other = visit(), None
    brought = bring(client, picture())
    assert brought.status_code == 201
    assert (brought.json()["width"], brought.json()["height"]) == (300, 200)
    identity = brought.json()["picture"]
    answer = client.post("/api/v1/answers", json=draft(picture=identity))
    assert answer.json()["comparisons"][0]["titles"][0]["used_image"]
    mine = dict(client.cookies)
    client.cookies.clear()
    other = client.post("/api/v1/answers", json=draft(picture=identity))
    assert other.status_code == 404
    client.delete(f"{PICTURES}/{identity}")
    client.cookies.clear()
    client.cookies.update(mine)
    assert client.post("/api/v1/answers", json=draft(picture=identity)).status_code == 200
    assert client.delete(f"{PICTURES}/{identity}").status_code == 204
    assert client.post("/api/v1/answers", json=draft(picture=identity)).status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 422, "empty"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            422,
            "no picture that can be read",
        ),
        (picture()[:2000], 422, "damaged"),
        (picture((100, 100)), 422, "too small"),
        (picture((1200, 130)), 422, "five times"),
        (picture((400, 300)), 422, "megapixels"),
        (moving(), 422, "moves"),
        (b"\xff\xd8\xff" + b"\0" * 300_000, 413, "MB"),
    ],
    ids=["empty", "svg", "cut", "small", "long", "pixels", "moving", "large"],
)
def test_what_is_no_picture_that_counts_is_said_in_a_sentence(visit, data, status, words):
    client = visit(image_max_bytes=200_000, image_max_pixels=160_000 if words != "megapixels" else 100_000)
    answer = bring(client, data)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert bring(client, picture()).status_code == 201


def test_a_file_without_end_is_refused_while_it_comes(visit):
    sent = []

    def endless():
        for number in range(1000):
            sent.append(number)
            yield b"\xff\xd8\xff" + b"\0" * 50_000

    assert bring(visit(image_max_bytes=200_000), endless()).status_code == 413


def test_predictors_see_the_picture_upright_and_without_metadata(visit):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "who and where"
    data = picture((300, 200), exif=exif.tobytes())
    desks = []

    def desk(edition):
        desks.append(SampleDesk(edition))
        return desks[-1]

    client = visit(desk=desk)
    brought = bring(client, data).json()
    assert (brought["width"], brought["height"]) == (200, 300)
    client.post("/api/v1/answers", json=draft(picture=brought["picture"]))
    seen = desks[0].asked[0].picture.image
    assert 0x010E not in seen.getexif()
    assert seen.tobytes() == open_rgb(data).tobytes()


def test_what_is_kept_is_bounded_in_number_and_time():
    now = [0.0]
    pictures = Pictures(max_bytes=10**6, max_pixels=10**6, min_edge=10, clock=lambda: now[0])

    async def chunks(data):
        yield data

    async def run():
        try:
            first, _ = await pictures.keep("a", chunks(picture((50, 50))))
            other, _ = await pictures.keep("b", chunks(picture((50, 50))))
            own = [first]
            for _ in range(8):
                own.append((await pictures.keep("a", chunks(picture((50, 50)))))[0])
            with pytest.raises(Refusal, match="choose it again"):
                pictures.of("a", first)
            assert pictures.of("b", other).image.size == (50, 50)
            now[0] = 1000
            pictures.of("a", own[1])
            now[0] = 1900
            with pytest.raises(Refusal):
                pictures.of("b", other)
            assert pictures.of("a", own[1])
            assert len(pictures._kept) == 1
        finally:
            pictures.close()

    asyncio.run(run())


def test_nothing_is_written(visit, home, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    before = sorted(home.rglob("*"))
    client = visit()
    identity = bring(client, picture((900, 900), "PNG", compress_level=0)).json()["picture"]
    client.post("/api/v1/answers", json=draft(picture=identity))
    assert sorted(home.rglob("*")) == before
    assert not list(folder.rglob("*"))
