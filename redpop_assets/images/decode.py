"""Image bytes to pixels: what is a usable image, its size and perceptual hashes, and how a stored image is opened.

Pillow's plugin classes are used directly instead of `Image.open`. So only the four allowed formats can ever run, the
size in the header is compared with our own limit before a pixel is decoded, and Pillow's process-wide limit
(`Image.MAX_IMAGE_PIXELS`) and warnings stay untouched, which matters because decoding happens in threads.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import ExifTags, Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from redpop_assets.errors import RedPopError

SNIFF_BYTES = 16
"""So many leading bytes are enough for `format_of`."""

OPEN_MAX_PIXELS = 178_956_970
"""Limit of `open_rgb`: twice Pillow's default, where Pillow itself refuses. Fetching has a tighter one."""

_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
_PLUGINS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
}
# EXIF 2.32, tag 0x0112: what brings the stored rows upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_START_OF_SCAN = b"\xff\xda"
_MAX_SCANS = 200  # cameras and encoders write up to about 12; a decoder walks the whole picture once per scan


class ImageRejected(RedPopError):
    """Bytes that are no usable image; `reason` is the reason code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class ImageInfo:
    """What is known of a decoded image.

    Attributes:
        format: JPEG, PNG, WEBP or GIF, by the bytes.
        width: Pixels, after EXIF rotation.
        height: Pixels, after EXIF rotation.
        phash: 64-bit perceptual hash (DCT), 16 hexadecimal digits.
        dhash: 64-bit difference hash (horizontal), 16 hexadecimal digits.
        extension: Of the file name, without the dot.
    """

    format: str
    width: int
    height: int
    phash: str
    dhash: str
    extension: str


def format_of(data: bytes) -> str | None:
    """Tell the format from the first `SNIFF_BYTES` bytes, or None if it is none of the four allowed ones."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def inspect(data: bytes, *, max_pixels: int, min_edge: int, max_aspect: float) -> ImageInfo:
    """Decode an image completely, check it, and measure it upright, with alpha on white.

    Args:
        data: The whole file.
        max_pixels: Largest width x height, compared before decoding.
        min_edge: Smallest length of the shorter edge (pixels).
        max_aspect: Largest ratio of the longer to the shorter edge.

    Raises:
        ImageRejected: With reason `not_image_bytes`, `too_many_pixels`, `too_small`, `aspect_extreme`, `animated` or
            `decode_error`.
    """
    image = _open(data, max_pixels)
    shorter, longer = sorted(image.size)
    if shorter < min_edge:
        raise ImageRejected("too_small", f"{image.width}x{image.height} pixels; the shorter edge must have {min_edge}.")
    if longer > max_aspect * shorter:
        raise ImageRejected("aspect_extreme", f"{image.width}x{image.height} pixels is beyond {max_aspect:g}:1.")
    if _is_animated(image):
        raise ImageRejected("animated", f"The {image.format} has more than one frame.")
    rgb = _upright_rgb(image)
    grey = rgb.convert("L")
    image_format = str(image.format)
    return ImageInfo(
        format=image_format,
        width=rgb.width,
        height=rgb.height,
        phash=str(imagehash.phash(grey, hash_size=8)),
        dhash=str(imagehash.dhash(grey, hash_size=8)),
        extension=_EXTENSIONS[image_format],
    )


def open_rgb(data: bytes | Path, *, draft_edge: int | None = None, max_pixels: int = OPEN_MAX_PIXELS) -> Image.Image:
    """Open a stored image as every later stage sees it: first frame, upright, 8-bit RGB, alpha on white.

    Args:
        data: The file's bytes, or its path.
        draft_edge: The edge to which the caller will shrink the image (pixels). JPEGs are then decoded at 1/2, 1/4 or
            1/8 of their size (DCT scaling, several times faster) as long as both edges keep at least twice this length.
        max_pixels: Largest width x height, compared before decoding.

    Raises:
        ImageRejected: With reason `file_missing`, `not_image_bytes`, `too_many_pixels` or `decode_error`.
    """
    if isinstance(data, Path):
        try:
            data = data.read_bytes()
        except FileNotFoundError as error:
            raise ImageRejected("file_missing", f"{error.filename} is gone: fetch the image again.") from error
    image = _open(data, max_pixels)
    if draft_edge is not None:
        image.draft(None, (2 * draft_edge, 2 * draft_edge))
    return _upright_rgb(image)


def _open(data: bytes, max_pixels: int) -> ImageFile:
    """Read the header of an allowed format; no pixel is decoded yet."""
    image_format = format_of(data)
    if image_format is None:
        raise ImageRejected("not_image_bytes", f"The bytes begin with {data[:12]!r}: no JPEG, PNG, WEBP or GIF.")
    if image_format == "JPEG" and (scans := data.count(_START_OF_SCAN)) > _MAX_SCANS:
        raise ImageRejected(
            "decode_error", f"The JPEG holds {scans} scans, more than {_MAX_SCANS}: it would take hours."
        )
    try:
        image = _PLUGINS[image_format](io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected("too_many_pixels", f"{error}") from error
    except MemoryError:
        raise
    except Exception as error:  # hostile headers make Pillow raise a dozen unrelated kinds
        raise ImageRejected("decode_error", f"The {image_format} header is broken: {error!r}.") from error
    if image.width * image.height > max_pixels:
        raise ImageRejected("too_many_pixels", f"{image.width}x{image.height} is more than {max_pixels} pixels.")
    return image


def _is_animated(image: ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception as error:  # the second frame of a GIF is looked for here, see _open
        raise ImageRejected("decode_error", f"The frames cannot be told apart: {error!r}.") from error


def _upright_rgb(image: ImageFile) -> Image.Image:
    """Decode everything (`verify` passes on half a file, only `load` notices) and bring it into the one common form."""
    try:
        image.load()
        orientation = _orientation(image)
        rgb = _rgb(image)
        return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb
    except MemoryError:
        raise
    except Exception as error:  # see _open
        raise ImageRejected("decode_error", f"The {image.format} does not decode: {error!r}.") from error


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where it is absent or unreadable: broken metadata does not make a broken picture."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in _open
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey. Pillow's own conversion clips at 255, which would turn nearly every such picture white.
        grey = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    return image.convert("RGB")
