"""Metadata out of image files without touching a pixel: files are taken apart and put together, never re-encoded.

What a stranger's camera or editor wrote beside the picture (EXIF with its GPS position, XMP, IPTC, comments,
thumbnails, times, a second picture behind the end) is personal data that nothing here needs. Each format has a list of
parts that stay: those that decide how the picture looks. Everything else goes, known or not. The one fact of EXIF that
decides how a picture looks is its orientation, so that comes back as an EXIF block of a single entry.
"""

import re
import struct
import zlib
from collections.abc import Callable

from redpop_assets.errors import RedPopError

_ORIENTATION = 0x0112  # EXIF 2.32, table 4
_MARKER = re.compile(rb"\xff[^\x00\xff]")
# What ends a scan: neither a stuffed zero, nor a fill byte, nor one of the restart markers inside it.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# SOF, DHT, DAC, and SOS, DQT, DNL, DRI, DHP, EXP; APP0 to APP15, COM (ITU T.81, table B.1)
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0)})
_JPEG_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
_JPEG_RESTARTS = frozenset(range(0xD0, 0xD8))
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI"}
    | {b"sBIT", b"bKGD", b"pHYs"}
)
_WEBP_KEPT = frozenset({b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"})
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # flags of VP8X


class UnknownStructure(RedPopError):
    """The file does not have the structure of its format, although a decoder may get along with it."""


def strip_metadata(data: bytes, image_format: str, orientation: int) -> bytes:
    """Return the same picture without metadata: equal decoded pixels, colour profile and orientation kept.

    Args:
        data: A still picture that decodes, as a whole file; what follows its end marker is dropped.
        image_format: JPEG, PNG, WEBP or GIF.
        orientation: EXIF orientation (1..8) that applies to the picture, wherever the file says so.

    Raises:
        UnknownStructure: The file cannot be taken apart with certainty.
    """
    try:
        return _STRIPPERS[image_format](data, orientation)
    except (IndexError, struct.error) as error:
        raise UnknownStructure(f"The {image_format} ends within one of its parts.") from error


def _exif(orientation: int) -> bytes:
    """Return an EXIF block (TIFF) that says nothing but the orientation."""
    return b"II*\x00" + struct.pack("<IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def _jpeg(data: bytes, orientation: int) -> bytes:
    whole = memoryview(data)  # its slices are no copies
    parts: list[bytes | memoryview] = [data[:2]]
    if orientation != 1:
        block = b"Exif\x00\x00" + _exif(orientation)
        parts.append(struct.pack(">HH", 0xFFE1, len(block) + 2) + block)
    position, scans = 2, 0
    while (found := _MARKER.search(data, position)) is not None:
        start, marker = found.start(), data[found.start() + 1]
        if marker == 0xD9:
            break
        if marker in _JPEG_RESTARTS:  # behind a segment: without meaning
            position = start + 2
            continue
        if marker not in _JPEG_KEPT | _JPEG_METADATA:  # decoders that meet one in damaged data go on behind it
            raise UnknownStructure(f"The JPEG holds the unknown marker {marker:02x}.")
        (length,) = struct.unpack_from(">H", data, start + 2)
        position = start + 2 + length
        if length < 2 or position > len(data):
            raise UnknownStructure(f"The JPEG's segment {marker:02x} is longer than the file.")
        content = data[start + 4 : position]
        if marker == 0xE0 and content.startswith(b"JFIF\x00") and len(content) >= 14:
            # Its version, density and no thumbnail; it has to come first.
            parts.insert(1, b"\xff\xe0\x00\x10" + content[:12] + b"\x00\x00")
        elif (
            marker in _JPEG_KEPT
            or (marker == 0xE2 and content.startswith(b"ICC_PROFILE\x00"))
            or (marker == 0xEE and content.startswith(b"Adobe"))
        ):
            if marker == 0xDA:
                scans += 1
                end = _END_OF_SCAN.search(data, position)
                position = len(data) if end is None else end.start()
            parts.append(whole[start:position])
    if not scans:
        raise UnknownStructure("The JPEG holds no scan.")
    parts.append(b"\xff\xd9")
    return b"".join(parts)


def _png(data: bytes, orientation: int) -> bytes:
    whole = memoryview(data)
    parts: list[bytes | memoryview] = [data[:8]]
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise UnknownStructure(f"The PNG's chunk {kind!r} is longer than the file.")
        if kind in _PNG_KEPT:
            parts.append(whole[position:end])
        elif not kind[0] & 0x20:  # critical: without it the picture would be another
            raise UnknownStructure(f"The PNG holds the unknown critical chunk {kind!r}.")
        if kind == b"IHDR" and orientation != 1:
            block = b"eXIf" + _exif(orientation)
            parts.append(struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block)))
        position = end
    return b"".join(parts)


def _webp(data: bytes, orientation: int) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    end, position = 8 + size, 12
    if end > len(data):
        raise UnknownStructure("The WEBP is shorter than its header says.")
    parts: list[bytes] = []
    extended = False
    while position < end:
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        if len(content) < length or kind in (b"ANIM", b"ANMF"):
            raise UnknownStructure(f"The WEBP's chunk {kind!r} is cut off or belongs to an animation.")
        if kind == b"VP8X":
            extended = True
            flags = content[0] & ~(_WEBP_EXIF | _WEBP_XMP) | (_WEBP_EXIF if orientation != 1 else 0)
            content = bytes([flags]) + content[1:]
        if kind in _WEBP_KEPT:
            parts.append(struct.pack("<4sI", kind, length) + content + b"\x00" * (length % 2))
        position += 8 + length + length % 2
    if orientation != 1:
        if not extended:
            raise UnknownStructure("The WEBP is turned, yet has no header that could say so.")
        block = _exif(orientation)
        parts.append(struct.pack("<4sI", b"EXIF", len(block)) + block)
    body = b"WEBP" + b"".join(parts)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _gif(data: bytes, orientation: int) -> bytes:
    if orientation != 1:
        raise UnknownStructure("A GIF has no place for an orientation.")

    def after_blocks(position: int) -> int:
        while size := data[position]:
            position += 1 + size
        return position + 1

    def after_colours(flags: int, position: int) -> int:
        return position + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)

    position = after_colours(data[10], 13)
    parts = [data[:position]]
    while position < len(data) and data[position] != 0x3B:
        start = position
        if data[start] == 0x2C:
            position = after_blocks(after_colours(data[start + 9], start + 10) + 1)
            kept = True
        elif data[start] == 0x21:
            position = after_blocks(start + 2)
            # Graphic control, and the application extension that holds a colour profile.
            kept = data[start + 1] == 0xF9 or data[start + 1 : start + 14] == b"\xff\x0bICCRGBG1012"
        else:
            raise UnknownStructure(f"The GIF holds a block of the unknown kind {data[start]:02x}.")
        if kept:
            parts.append(data[start:position])
    return b"".join([*parts, b"\x3b"])


_STRIPPERS: dict[str, Callable[[bytes, int], bytes]] = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif}
