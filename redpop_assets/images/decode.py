"""Image bytes to pixels and to files: what is a usable image, its size and hashes, and the form in which it is kept.

Pillow's plugin classes are used directly instead of `Image.open`. So only the four allowed formats can ever run, the
size in the header is compared with our own limit before a pixel is decoded, and Pillow's process-wide limit
(`Image.MAX_IMAGE_PIXELS`) and warnings stay untouched, which matters because decoding happens in threads.

Metadata is taken out first (`redpop_assets.images.metadata`), so no decoder stumbles over what nobody keeps. What is
left decodes as in a browser, with two exceptions: a file that was cut off within its pixels is no picture, and colour
profiles are not applied, only carried along.

JPEGs are inspected at 1/2, 1/4 or 1/8 of their size as long as the shorter edge keeps `INSPECTED_EDGE` pixels, and no
smaller than the form in which they are kept. Scaling happens inside the decoder (in its cosine transform), after it has
read the whole bit stream: a cut or damaged file is found just as in full size, for a fraction of the time. Hashes and
contrast need few pixels and are those of the scaled picture.
"""

import hashlib
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from redpop_assets.errors import RedPopError, SettingsError
from redpop_assets.images.metadata import Bare, UnknownStructure, exif_orientation, strip_metadata

INSPECTED_EDGE = 64
"""JPEGs are inspected at the smallest scale that leaves both edges this long (pixels): twice what hashes need."""

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
# EXIF 2.32, tag 0x0112: what brings the stored rows upright, and where that takes the margins left, top, right, bottom.
_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, (2, 1, 0, 3)),
    3: (Image.Transpose.ROTATE_180, (2, 3, 0, 1)),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, (0, 3, 2, 1)),
    5: (Image.Transpose.TRANSPOSE, (1, 0, 3, 2)),
    6: (Image.Transpose.ROTATE_270, (3, 0, 1, 2)),
    7: (Image.Transpose.TRANSVERSE, (3, 2, 1, 0)),
    8: (Image.Transpose.ROTATE_90, (1, 2, 3, 0)),
}
# Rows of the discrete cosine transform, type II, unscaled: the 8 lowest frequencies of 32 samples.
_COSINES: npt.NDArray[np.float64] = 2 * np.cos(np.outer(np.arange(8), 2 * np.arange(32) + 1) * np.pi / 64)
_ROUNDING = 1e-6  # frequencies reach 10^6, so rounding errors stay well below
_LONGEST_EDGE = {"JPEG": 65_500, "WEBP": 16_383}  # what the encoders can write
_START_OF_SCAN = re.compile(rb"\xff\xda")
_MAX_SCANS = 200  # cameras and encoders write up to about 12; a decoder walks the whole picture once per scan
_END_OF_JPEG = b"\xff\xd9"
_MADE_UP = b"\x55" * 4096  # decodes to something in nearly every table, and to other pixels than nothing does


class ImageRejected(RedPopError):
    """Bytes that are no usable image; `reason` is the reason code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class StoredForm:
    """In which form a picture is kept.

    Attributes:
        format: `original` (the bytes as downloaded, less their metadata) or the format to re-encode to.
        longest_edge: Larger pictures are shrunk to it (pixels); None for no limit. Nothing is ever enlarged.
        quality: Of the JPEG or WebP encoder, 1..100.
    """

    format: Literal["original", "jpeg", "webp"] = "original"
    longest_edge: int | None = None
    quality: int = 90

    def __post_init__(self) -> None:
        """Refuse forms that cannot be made."""
        if self.format == "original" and self.longest_edge is not None:
            raise SettingsError("Original files are not resized: choose jpeg or webp, or set no longest edge.")
        if self.longest_edge is not None and self.longest_edge < 1:
            raise SettingsError(f"The longest edge is {self.longest_edge} pixels; set it to at least 1.")
        if not 1 <= self.quality <= 100:
            raise SettingsError(f"The quality is {self.quality}; set it to 1 to 100.")


ORIGINAL = StoredForm()
"""The file as it came, less its metadata."""


@dataclass(frozen=True)
class ImageInfo:
    """What is known of a decoded image.

    Attributes:
        format: JPEG, PNG, WEBP or GIF, by the bytes.
        width: Pixels, after EXIF rotation.
        height: Pixels, after EXIF rotation.
        phash: 64-bit perceptual hash (DCT), 16 hexadecimal digits.
        dhash: 64-bit difference hash (horizontal), 16 hexadecimal digits.
        extension: Of the stored file's name, without the dot.
        pixel_sha256: SHA-256 of the upright size and the upright RGB pixels as inspected, hexadecimal. Equal for files
            that differ in metadata or in lossless packing only, if they are kept in one form.
        contrast: Standard deviation of the 32x32 grey version, 0..255.
        stored_width: Pixels of the stored file, after EXIF rotation.
        stored_height: Pixels of the stored file, after EXIF rotation.
    """

    format: str
    width: int
    height: int
    phash: str
    dhash: str
    extension: str
    pixel_sha256: str
    contrast: float
    stored_width: int
    stored_height: int


@dataclass(frozen=True)
class Look:
    """How a picture looks, of whatever size and packing: the attributes of these names of `ImageInfo`."""

    phash: str
    dhash: str
    contrast: float


def look_of(rgb: Image.Image) -> Look:
    """How an upright RGB picture looks."""
    return _look_of(rgb, (0.0, 0.0, float(rgb.width), float(rgb.height)))


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


def has_end(data: bytes) -> bool:
    """Whether a file of an allowed format ends as one does; what was cut off within it does not."""
    if data[:4] == b"RIFF":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    ends = {"JPEG": _END_OF_JPEG, "PNG": b"IEND\xaeB`\x82", "GIF": b"\x3b"}
    return data.endswith(ends.get(format_of(data) or "", b"\x00none"))


def inspect(
    data: bytes, *, max_pixels: int, min_edge: int, max_aspect: float, store: StoredForm = ORIGINAL
) -> tuple[ImageInfo, bytes]:
    """Decode an image completely, check it, measure it upright with alpha on white, and make the file to keep of it.

    The kept file holds no metadata. An original is decoded like the file it came from, bit for bit, unless its
    structure is too odd to be taken apart (`redpop_assets.images.metadata`): then it is encoded anew, a JPEG with
    quality 95, another format as PNG. In the other forms pixels are upright, and in sRGB if the file carries another
    RGB profile; profiles of other colour spaces are dropped.

    Args:
        data: The whole file.
        max_pixels: Largest width x height, compared before decoding.
        min_edge: Smallest length of the shorter edge (pixels).
        max_aspect: Largest ratio of the longer to the shorter edge.
        store: The form to keep.

    Raises:
        ImageRejected: With reason `not_image_bytes`, `too_many_pixels`, `too_small`, `aspect_extreme`, `animated` or
            `decode_error`.
    """
    file = _open(data, max_pixels)
    image = file.image
    full_size = image.size
    shorter, longer = sorted(full_size)
    if shorter < min_edge:
        raise ImageRejected("too_small", f"{image.width}x{image.height} pixels; the shorter edge must have {min_edge}.")
    if longer > max_aspect * shorter:
        raise ImageRejected("aspect_extreme", f"{image.width}x{image.height} pixels is beyond {max_aspect:g}:1.")
    if file.bare.moves or _is_animated(image):
        raise ImageRejected("animated", f"The {image.format} has more than one frame.")
    pixels = _decoded(file, _inspected_size(full_size, store))
    width, height = full_size if pixels.orientation < 5 else full_size[::-1]
    kept, stored_format, stored_size = _kept(file, pixels, (width, height), store)
    look = _look_of(pixels.rgb, pixels.box)
    image_format = str(image.format)
    return ImageInfo(
        format=image_format,
        width=width,
        height=height,
        phash=look.phash,
        dhash=look.dhash,
        extension=_EXTENSIONS[stored_format],
        pixel_sha256=_pixel_sha256(pixels.rgb, width, height),
        contrast=look.contrast,
        stored_width=stored_size[0],
        stored_height=stored_size[1],
    ), kept


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
    draft = None if draft_edge is None else (2 * draft_edge, 2 * draft_edge)
    return _decoded(_open(data, max_pixels), draft).rgb


@dataclass(frozen=True)
class _File:
    """A file whose header has been read: its picture, not decoded yet, and what is left of it without metadata.

    `is_intact` is false where the file could not be taken apart: `bare` is then the file as it came.
    """

    image: ImageFile
    bare: Bare
    is_intact: bool = True


def _open(data: bytes, max_pixels: int) -> _File:
    """Take the metadata out of a file of an allowed format and read its header; no pixel is decoded yet."""
    image_format = format_of(data)
    if image_format is None:
        raise ImageRejected("not_image_bytes", f"The bytes begin with {data[:12]!r}: no JPEG, PNG, WEBP or GIF.")
    try:
        bare, is_intact = strip_metadata(data, image_format), True
    except UnknownStructure:
        bare, is_intact = Bare(data), False
    if image_format == "JPEG" and (scans := len(_START_OF_SCAN.findall(bare.data))) > _MAX_SCANS:
        raise ImageRejected(
            "decode_error", f"The JPEG holds {scans} scans, more than {_MAX_SCANS}: it would take hours."
        )
    try:
        image = _PLUGINS[image_format](io.BytesIO(bare.data))
        if not is_intact:
            exif: bytes = image.info.get("exif", b"")
            bare = replace(bare, orientation=exif_orientation(exif.removeprefix(b"Exif\x00\x00")))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected("too_many_pixels", f"{error}") from error
    except MemoryError:
        raise
    except Exception as error:  # hostile headers make Pillow raise a dozen unrelated kinds
        raise ImageRejected("decode_error", f"The {image_format} header is broken: {error!r}.") from error
    if image.width * image.height > max_pixels:
        raise ImageRejected("too_many_pixels", f"{image.width}x{image.height} is more than {max_pixels} pixels.")
    if not bare.has_end and not _has_all_pixels(bare.data):
        raise ImageRejected("decode_error", "The JPEG ends within its pixels.")
    return _File(image, bare, is_intact)


def _has_all_pixels(jpeg: bytes) -> bool:
    """Whether a JPEG that came without its end marker had come to the end of its pixels.

    The decoder makes up what is missing. So it is all there if the same pixels come out with something else behind it.
    """
    longer = jpeg.removesuffix(_END_OF_JPEG) + _MADE_UP + _END_OF_JPEG
    try:
        with JpegImageFile(io.BytesIO(jpeg)) as one, JpegImageFile(io.BytesIO(longer)) as other:
            return one.tobytes() == other.tobytes()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in _open
        return False


def _is_animated(image: ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception as error:  # the second frame of a GIF is looked for here, see _open
        raise ImageRejected("decode_error", f"The frames cannot be told apart: {error!r}.") from error


@dataclass(frozen=True)
class _Pixels:
    """Pixels in the one common form, upright.

    A decoder that scales down rounds the size up, so the last column and row may be part of the picture only: `box` is
    where the picture lies, to a fraction of a pixel.
    """

    rgb: Image.Image
    box: tuple[float, float, float, float]
    orientation: int


def _decoded(file: _File, at_least: tuple[int, int] | None) -> _Pixels:
    """Decode everything (`verify` passes on half a file, only `load` notices), scaled down to not less than a size."""
    image, orientation = file.image, file.bare.orientation
    try:
        drafted = None if at_least is None else image.draft(None, at_least)
        image.load()
        rgb = _rgb(image, file.bare.data)
        margins = (0.0, 0.0, 0.0, 0.0)
        if drafted is not None:
            margins = (0.0, 0.0, rgb.width - drafted[1][2], rgb.height - drafted[1][3])
        if orientation in _UPRIGHT:
            transpose, order = _UPRIGHT[orientation]
            rgb = rgb.transpose(transpose)
            margins = (margins[order[0]], margins[order[1]], margins[order[2]], margins[order[3]])
        left, top, right, bottom = margins
        return _Pixels(rgb, (left, top, rgb.width - right, rgb.height - bottom), orientation)
    except MemoryError:
        raise
    except Exception as error:  # see _open
        raise ImageRejected("decode_error", f"The {image.format} does not decode: {error!r}.") from error


def _rgb(image: Image.Image, data: bytes) -> Image.Image:
    """8-bit RGB on white; of 16 bits per channel the upper 8."""
    if image.format == "PNG" and image.mode != "P" and (key := image.info.get("transparency")) is not None:
        see_through = _is_key(image, data, key)
        return Image.composite(Image.new("RGB", image.size, "white"), _without_alpha(image), see_through)
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    return _without_alpha(image)


def _without_alpha(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey. Pillow's own conversion clips at 255, which would turn nearly every such picture white.
        grey = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _is_key(image: Image.Image, data: bytes, key: int | tuple[int, int, int]) -> Image.Image:
    """Which pixels of a PNG have the one colour that is transparent (tRNS), as a mask.

    The file has it in the depth of its samples. Pillow compares it with pixels that it has brought to 8 bits.
    """
    depth = data[24]
    if depth == 16 and image.mode == "RGB":
        # The lower 8 bits, which Pillow drops, come out when the samples are read as if they were little-endian.
        low = PngImageFile(io.BytesIO(data))
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
        pixels = np.asarray(image).astype(np.uint16) << 8 | np.asarray(low)
    else:
        pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    largest = (1 << depth) - 1
    wanted = np.asarray(key) & largest
    if image.mode == "1":
        wanted = np.asarray(key)  # 0 or 255 already
    elif depth < 8:
        wanted = wanted * (255 // largest)
    same = pixels == wanted
    return Image.fromarray((same.all(axis=-1) if same.ndim == 3 else same).astype(np.uint8) * 255)


def _look_of(rgb: Image.Image, box: tuple[float, float, float, float]) -> Look:
    """How the picture in a box looks."""
    grey, box = _reduced(rgb.convert("L"), box)
    small = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS, box=box))
    difference = np.asarray(grey.resize((9, 8), Image.Resampling.LANCZOS, box=box))
    return Look(_phash(small), _dhash(difference), float(small.std()))


def _reduced(
    grey: Image.Image, box: tuple[float, float, float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Average a picture down, as the scaling of a decoder does, while both edges keep `INSPECTED_EDGE` pixels."""
    factor = 1
    while min(grey.size) >= 2 * factor * INSPECTED_EDGE:
        factor *= 2
    left, top, right, bottom = (edge / factor for edge in box)
    return grey.reduce(factor), (left, top, right, bottom)


def _pixel_sha256(rgb: Image.Image, width: int, height: int) -> str:
    digest = hashlib.sha256(f"RGB {width}x{height} ".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def _phash(grey: npt.NDArray[np.uint8]) -> str:
    """Hash as imagehash's `phash` does: which of the 8x8 lowest frequencies of a (32, 32) picture exceed their median.

    That library needs scipy, whose import takes longer than a hundred pictures. Where a frequency equals the median but
    for rounding, as in flat and symmetric pictures, it leaves the bit to the rounding; here it is 0 on every machine.
    """
    frequencies = _COSINES @ grey @ _COSINES.T
    low, high = np.sort(frequencies, axis=None)[31:33]
    return np.packbits(frequencies > (low + high) / 2 + _ROUNDING).tobytes().hex()


def _dhash(grey: npt.NDArray[np.uint8]) -> str:
    """Hash as imagehash's `dhash` does: which pixels of an (8, 9) picture are brighter than the one before."""
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()


def _kept(file: _File, pixels: _Pixels, size: tuple[int, int], store: StoredForm) -> tuple[bytes, str, tuple[int, int]]:
    """Make the file to keep: its bytes, format, and upright size.

    Args:
        file: The file, decoded.
        pixels: Its pixels, perhaps scaled down.
        size: Its upright size in full.
        store: The form to make.
    """
    image, data = file.image, file.bare.data
    if store.format == "original":
        if file.is_intact:
            return data, str(image.format), size
        target, target_format = size, "JPEG" if image.format == "JPEG" else "PNG"
        options: dict[str, object] = {"quality": 95, "subsampling": 0} if target_format == "JPEG" else {}
    else:
        target_format = store.format.upper()
        target = _resized(size, store)
        options = {"quality": store.quality}
    if pixels.rgb.width < target[0] or pixels.rgb.height < target[1]:  # scaled down too far for this form
        pixels = _decoded(_open(data, size[0] * size[1]), target if pixels.orientation < 5 else target[::-1])
    rgb = pixels.rgb
    if rgb.size != target:
        # From what a decoder has scaled, this comes as close to a reduction from full size as averaging that does.
        rgb = rgb.resize(target, Image.Resampling.HAMMING, box=pixels.box, reducing_gap=2.0)
    rgb = _in_srgb(rgb, image)
    rgb.info = {}  # comments and profiles, which some encoders would write back
    made = io.BytesIO()
    rgb.save(made, target_format, **options)
    return made.getvalue(), target_format, target


def _resized(size: tuple[int, int], store: StoredForm) -> tuple[int, int]:
    """Size of a picture in a form that is not `original`: its longest edge within the limits, never enlarged."""
    longest = min(store.longest_edge or max(size), _LONGEST_EDGE[store.format.upper()])
    share = min(longest / max(size), 1.0)
    return max(round(size[0] * share), 1), max(round(size[1] * share), 1)


def _inspected_size(size: tuple[int, int], store: StoredForm) -> tuple[int, int]:
    """The least size to decode a picture at, so that one decoding serves both the hashes and the file to keep."""
    if store.format == "original":
        return INSPECTED_EDGE, INSPECTED_EDGE
    width, height = _resized(size, store)
    return max(width, INSPECTED_EDGE), max(height, INSPECTED_EDGE)


def _in_srgb(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """Convert from the RGB profile that the file carries; a broken or other profile leaves the pixels as they are."""
    profile = image.info.get("icc_profile")
    if not profile:
        return rgb
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if embedded.profile.xcolor_space.strip() != "RGB":
            return rgb
        converted = ImageCms.profileToProfile(rgb, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return rgb
    return converted or rgb
