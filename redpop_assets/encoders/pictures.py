"""Decoding a stored picture for networks: no finer than they can see, and with where in the pixels the picture lies."""

import io
import math
from dataclasses import dataclass
from typing import Final

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from redpop_assets.images.decode import format_of, open_rgb

FINENESS: Final = 3
"""Against pictures decoded in full, vectors of EfficientNet-Lite keep a cosine above 0.9993, those of ViT-B/32 above
0.9999. With 2, some of the former fall to 0.9984; with 3 but without regard to incomplete columns to 0.994."""

_UPRIGHT: Final = 1  # EXIF orientation of a picture that is stored as it is seen


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    A decoder that scales down rounds the size up, so the last column and row may be part of the picture only: `width`
    and `height` are those of the picture in pixels of `rgb`, to a fraction.
    """

    rgb: Image.Image
    width: float
    height: float


def whole(image: Image.Image) -> Picture:
    """An image that was decoded in full."""
    return Picture(image, image.width, image.height)


def open_picture(data: bytes, edge: int | None) -> Picture:
    """Open a stored picture to be resized to `edge` pixels, None for full size.

    JPEGs are decoded at 1/2, 1/4 or 1/8 of their size, but at least `FINENESS` times as fine as needed.

    Raises:
        ImageRejected: See `redpop_assets.images.decode.open_rgb`.
    """
    if edge is None:
        return whole(open_rgb(data))
    image = open_rgb(data, draft_edge=math.ceil(edge * FINENESS / 2))  # which doubles it
    if format_of(data) != "JPEG":
        return whole(image)
    header = JpegImageFile(io.BytesIO(data))
    if header.size == image.size:
        return whole(image)
    if header.getexif().get(ExifTags.Base.Orientation, _UPRIGHT) != _UPRIGHT:
        return whole(open_rgb(data))  # turned pixels may have the incomplete column on the other side
    scale = next(scale for scale in (2, 4, 8) if scale * image.width >= header.width)
    return Picture(image, header.width / scale, header.height / scale)
