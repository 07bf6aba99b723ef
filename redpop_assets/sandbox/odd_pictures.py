"""What an image host serves instead of a picture, or around it."""

import functools
import io
from collections.abc import Callable

from PIL import Image, ImageDraw
from starlette.responses import HTMLResponse, RedirectResponse, Response

from redpop_assets.sandbox.connections import Raw

REMOVED_PATH = "/i/removed.png"
PICTURELESS = ("dead-images", "placeholder-images", "html-images", "lying-lengths", "long-lengths")
BOMB_EDGE = 12_000
PLACE = ((48.0, 51.0, 29.6), (2.0, 17.0, 40.2))
"""Latitude (north) and longitude (east) in rotated pictures: degrees, minutes, seconds."""

_TYPES = ("text/plain", "application/octet-stream", "image/webp", "", "image/png")


def served_as(trait: str, share: float, paint: Callable[[], bytes], headers: dict[str, str]) -> Response:
    """The answer for a picture with one of the traits of chaos.

    Args:
        trait: name of the situation.
        share: from 0 to below 1, chooses among the variants of a situation.
        paint: makes the JPEG file that should be served.
        headers: of the answer that should be given.
    """
    match trait:
        case "dead-images":
            return dead((404, 403, 410)[int(share * 3)])
        case "placeholder-images":
            if share < 0.5:
                return RedirectResponse(REMOVED_PATH, 302)
            return Response(placeholder(640, 480), media_type="image/png")
        case "html-images":
            page = "<!doctype html><html><head><title>a picture</title></head><body><img src='?'></body></html>"
            return HTMLResponse(page)
        case "broken-images":
            file = paint()
            return Response(file[: int(len(file) * (0.3 + 0.6 * share))], headers=headers, media_type="image/jpeg")
        case "lying-lengths" | "long-lengths":
            file = paint()
            length = 2 * len(file) if trait == "long-lengths" else (len(file) // 2, 10**11)[int(share * 2)]
            head = f"HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncontent-length: {length}\r\n"
            return Raw(f"{head}connection: close\r\n\r\n".encode() + file)
        case "wrong-types":
            kind = _TYPES[int(share * len(_TYPES))]
            file = _as_png(paint()) if kind == "image/png" else paint()
            answer = Response(file, headers=headers, media_type=kind or None)
            if not kind and "content-type" in answer.headers:
                del answer.headers["content-type"]
            return answer
        case "pixel-bombs":
            return Response(bomb(), headers=headers, media_type="image/png")
        case "animated-images":
            return Response(_animated(paint()), headers=headers, media_type="image/gif")
        case "rotated-images":
            return Response(_rotated(paint()), headers=headers, media_type="image/jpeg")
        case "opted-out-images":
            return Response(paint(), headers={**headers, "x-robots-tag": "noai, noimageai"}, media_type="image/jpeg")
    return Response(paint(), headers=headers, media_type="image/jpeg")


def dead(status: int = 404) -> Response:
    """What is left of a picture that is gone."""
    return HTMLResponse("<html><body>Not found</body></html>", status)


@functools.cache
def placeholder(width: int, height: int) -> bytes:
    """The one picture that stands for all removed ones (PNG)."""
    image = Image.new("RGB", (width, height), (34, 34, 34))
    pen = ImageDraw.Draw(image)
    pen.rectangle((width // 8, height // 8, width * 7 // 8, height * 7 // 8), outline=(200, 200, 200), width=3)
    pen.line((width // 8, height // 8, width * 7 // 8, height * 7 // 8), fill=(200, 60, 60), width=5)
    pen.text((width // 4, height // 2), "If you are looking for an image, it was probably deleted.", (230, 230, 230))
    return _file(image, "PNG")


@functools.cache
def bomb() -> bytes:
    """A small PNG file of very many pixels."""
    return _file(Image.new("1", (BOMB_EDGE, BOMB_EDGE), 1), "PNG")


def _as_png(file: bytes) -> bytes:
    with Image.open(io.BytesIO(file)) as image:
        return _file(image.convert("RGB"), "PNG")


def _animated(file: bytes) -> bytes:
    with Image.open(io.BytesIO(file)) as image:
        first = image.convert("P", palette=Image.Palette.ADAPTIVE)
    later = [first.transpose(turn) for turn in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)]
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=later, duration=200, loop=0)
    return out.getvalue()


def _rotated(file: bytes) -> bytes:
    """The picture lying on its side, with the EXIF note that puts it right and the place where it was taken."""
    with Image.open(io.BytesIO(file)) as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to view
    exif[0x010F] = "Sandbox"
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", PLACE[0], "E", PLACE[1]
    out = io.BytesIO()
    turned.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def _file(image: Image.Image, form: str) -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()
