"""The bare picture out of a file, without touching a pixel: files are taken apart and put together, never re-encoded.

What a stranger's camera or editor wrote beside the picture (EXIF with its GPS position, XMP, IPTC, comments,
thumbnails, times, a second picture behind the end) is personal data that nothing here needs. Each format has a list of
parts that stay: those that decide how the picture looks. Everything else goes, known or not. The one fact of EXIF that
decides how a picture looks is its orientation, so that comes back as an EXIF block of a single entry.

This comes before decoding. What goes may be as large or damaged as it likes, no decoder sees it; and of what may stay,
parts that browsers pass over (a wrong checksum, length or place) go as well.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from redpop_assets.errors import RedPopError

_ORIENTATION = 0x0112  # EXIF 2.32, table 4
_SHORT = 3  # its type, EXIF 2.32, section 4.6.2
_MARKER = re.compile(rb"\xff[^\x00\xff]")
# What ends a scan: neither a stuffed zero, nor a fill byte, nor one of the restart markers inside it.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# SOF, DHT, DAC, and SOS, DQT, DNL, DRI, DHP, EXP; APP0 to APP15, COM (ITU T.81, table B.1)
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0)})
_JPEG_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and the restarts have no content
_ADOBE_BYTES = 12  # "Adobe", version, flags, colour transform
_ICC_HEADER = 14  # "ICC_PROFILE", its number and the number of all
# Ancillary chunks that stay, and the lengths that they may have (PNG, third edition, chapter 11); None: see below.
_PNG_KEPT: dict[bytes, frozenset[int] | None] = {
    b"gAMA": frozenset({4}),
    b"cHRM": frozenset({32}),
    b"sRGB": frozenset({1}),
    b"cICP": frozenset({4}),
    b"mDCV": frozenset({24}),
    b"cLLI": frozenset({8}),
    b"sBIT": frozenset({1, 2, 3, 4}),
    b"bKGD": frozenset({1, 2, 6}),
    b"pHYs": frozenset({9}),
    b"iCCP": None,
    b"tRNS": None,
}
_GREY, _COLOURS, _PALETTE = 0, 2, 3  # colour types of a PNG
_MOST_PROFILE = 1 << 20  # bytes; what Pillow unpacks of one chunk. Profiles of screens and cameras have a few thousand.
_WEBP_PICTURE = frozenset({b"VP8 ", b"VP8L"})
_WEBP_KEPT = _WEBP_PICTURE | {b"VP8X", b"ICCP", b"ALPH"}
_WEBP_MOVING = frozenset({b"ANIM", b"ANMF"})
_WEBP_ICC, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04  # flags of VP8X


class UnknownStructure(RedPopError):
    """The file does not have the structure of its format, although a decoder may get along with it."""


@dataclass(frozen=True)
class Bare:
    """A picture without its metadata.

    Attributes:
        data: The file: equal decoded pixels, colour profile and orientation.
        orientation: EXIF orientation (1..8), where a browser would follow it: not from XMP.
        has_end: Whether a JPEG had its end marker; `data` has one in any case.
        moves: Whether a PNG had more frames than the one in `data`.
    """

    data: bytes
    orientation: int = 1
    has_end: bool = True
    moves: bool = False


def strip_metadata(data: bytes, image_format: str) -> Bare:
    """Take the metadata out of a picture; what follows its end marker is dropped.

    Whether the picture decodes is not looked at.

    Args:
        data: The whole file.
        image_format: JPEG, PNG, WEBP or GIF.

    Raises:
        UnknownStructure: The file cannot be taken apart with certainty.
    """
    try:
        return _STRIPPERS[image_format](data)
    except (IndexError, struct.error) as error:
        raise UnknownStructure(f"The {image_format} ends within one of its parts.") from error


def exif_orientation(block: bytes) -> int:
    """Orientation that an EXIF block (TIFF) gives, 1 where it gives none or is broken; as strict as browsers are."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", block, 4)
        (entries,) = struct.unpack_from(f"{order}H", block, directory)
        for entry in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", block, directory + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if (kind, count) == (_SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:  # cut off
        pass
    return 1


def _exif(orientation: int) -> bytes:
    """Return an EXIF block (TIFF) that says nothing but the orientation."""
    return b"II*\x00" + struct.pack("<IHHHIHHI", 8, 1, _ORIENTATION, _SHORT, 1, orientation, 0, 0)


def _jpeg(data: bytes) -> Bare:
    whole = memoryview(data)  # its slices are no copies
    parts: list[bytes | memoryview] = []
    jfif: list[bytes] = []
    position, scans, has_end = 2, 0, False
    orientation: int | None = None
    while (found := _MARKER.search(data, position)) is not None:
        start, marker = found.start(), data[found.start() + 1]
        if marker == 0xD9:
            has_end = True
            break
        if marker in _JPEG_ALONE:  # behind a segment: without meaning
            position = start + 2
            continue
        if marker not in _JPEG_KEPT | _JPEG_METADATA:  # decoders that meet one in damaged data go on behind it
            raise UnknownStructure(f"The JPEG holds the unknown marker {marker:02x}.")
        (length,) = struct.unpack_from(">H", data, start + 2)
        if length < 2 and marker in _JPEG_METADATA:  # decoders look for the next marker behind it
            position = start + 4
            continue
        position = start + 2 + length
        if length < 2 or position > len(data):
            if scans and marker in _JPEG_METADATA:
                break  # cut off behind the picture
            raise UnknownStructure(f"The JPEG's segment {marker:02x} is longer than the file.")
        content = data[start + 4 : position]
        if marker == 0xE0 and content.startswith(b"JFIF\x00") and len(content) >= 14:
            # Its version, density and no thumbnail; it has to come first.
            jfif.append(b"\xff\xe0\x00\x10" + content[:12] + b"\x00\x00")
        elif marker == 0xE1 and content.startswith(b"Exif\x00\x00") and not scans and orientation is None:
            orientation = exif_orientation(content[6:])
        elif marker == 0xEE and content.startswith(b"Adobe") and len(content) >= _ADOBE_BYTES:
            parts.append(b"\xff\xee" + struct.pack(">H", _ADOBE_BYTES + 2) + content[:_ADOBE_BYTES])
        elif marker in _JPEG_KEPT or (
            marker == 0xE2 and content.startswith(b"ICC_PROFILE\x00") and len(content) >= _ICC_HEADER
        ):
            if marker == 0xDA:
                scans += 1
                end = _END_OF_SCAN.search(data, position)
                position = len(data.rstrip(b"\xff")) if end is None else end.start()  # without half an end marker
            parts.append(whole[start:position])
    if not scans:
        raise UnknownStructure("The JPEG holds no scan.")
    orientation = orientation or 1
    turned: list[bytes] = []
    if orientation != 1:
        block = b"Exif\x00\x00" + _exif(orientation)
        turned = [struct.pack(">HH", 0xFFE1, len(block) + 2) + block]
    return Bare(b"".join([data[:2], *jfif, *turned, *parts, b"\xff\xd9"]), orientation, has_end)


def _png(data: bytes) -> Bare:
    whole = memoryview(data)
    if data[8:16] != b"\x00\x00\x00\x0dIHDR" or len(data) < 33:
        raise UnknownStructure("The PNG does not begin with its header.")
    colour_type = data[25]
    parts: list[bytes | memoryview] = []
    seen: set[bytes] = set()
    orientation, colours, frames = 1, 0, 0
    position = 33
    while True:
        if position + 12 > len(data) and b"IDAT" in seen:
            break  # its end is missing, or one of the chunks behind the picture
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        content = whole[position + 8 : min(end - 4, len(data))]
        if kind == b"IEND" or (b"IDAT" in seen and not kind.isalpha()):
            break
        if end > len(data):
            if b"IDAT" not in seen and kind != b"IDAT":
                raise UnknownStructure(f"The PNG's chunk {kind!r} is longer than the file.")
            if kind == b"IDAT":  # whether all pixels are there, a decoder will find
                parts.append(_chunk(kind, content))
            break
        if kind == b"IDAT" or (kind == b"PLTE" and colour_type == _PALETTE):
            parts.append(whole[position:end])
            colours = length // 3 if kind == b"PLTE" else colours
        elif not kind[0] & 0x20:  # critical: without it the picture would be another
            if kind != b"PLTE":  # of another colour type it is advice to old screens
                raise UnknownStructure(f"The PNG holds the unknown critical chunk {kind!r}.")
        elif kind in seen or zlib.crc32(whole[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            pass  # the first one counts, and only if it came through unharmed
        elif kind == b"eXIf":
            orientation = exif_orientation(bytes(content))
        elif kind == b"acTL" and length == 8 and b"IDAT" not in seen:
            frames = int.from_bytes(content[:4], "big")
        elif kind in _PNG_KEPT and (b"IDAT" not in seen) and _means_something(kind, bytes(content), data, colours):
            parts.append(whole[position:end])
        seen.add(kind)
        position = end
    turned = [_chunk(b"eXIf", _exif(orientation))] if orientation != 1 else []
    bare = b"".join([whole[:33], *turned, *parts, _chunk(b"IEND", b"")])
    return Bare(bare, orientation, moves=frames > 0 and b"fdAT" in seen)


def _chunk(kind: bytes, content: bytes | memoryview) -> bytes:
    crc = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def _means_something(kind: bytes, content: bytes, header: bytes, colours: int) -> bool:
    """Whether an ancillary chunk of a PNG has the form that its header and its palette of `colours` ask for."""
    if kind == b"tRNS":
        colour_type = header[25]
        if colour_type == _PALETTE:
            return 0 < len(content) <= colours
        return (colour_type, len(content)) in {(_GREY, 2), (_COLOURS, 6)}
    if kind == b"iCCP":
        name, found, packed = content.partition(b"\x00")
        if not found or not 1 <= len(name) <= 79 or packed[:1] != b"\x00":
            return False
        unpacking = zlib.decompressobj()
        try:
            unpacking.decompress(packed[1:], _MOST_PROFILE)
        except zlib.error:
            return False
        return not unpacking.unconsumed_tail
    lengths = _PNG_KEPT[kind]
    return lengths is not None and len(content) in lengths


def _webp(data: bytes) -> Bare:
    (size,) = struct.unpack_from("<I", data, 4)
    end, position = min(8 + size, len(data)), 12
    parts: list[bytes] = []
    seen: set[bytes] = set()
    flags, orientation = 0, 1
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : min(position + 8 + length, end)]
        if kind in _WEBP_MOVING:
            raise UnknownStructure(f"The WEBP's chunk {kind!r} belongs to an animation.")
        if len(content) < length:
            if seen.isdisjoint(_WEBP_PICTURE):
                raise UnknownStructure(f"The WEBP's chunk {kind!r} is cut off.")
            break
        if kind == b"VP8X" and not seen:
            if length < 10:
                raise UnknownStructure("The WEBP's header is too short.")
            flags, header = content[0], content[1:]
        elif kind == b"EXIF" and flags & _WEBP_EXIF and kind not in seen:
            orientation = exif_orientation(content.removeprefix(b"Exif\x00\x00"))
        elif kind in _WEBP_KEPT and not (kind == b"ICCP" and kind in seen):
            parts.append(struct.pack("<4sI", kind, length) + content + b"\x00" * (length % 2))
        seen.add(kind)
        position += 8 + length + length % 2
    if seen.isdisjoint(_WEBP_PICTURE):
        raise UnknownStructure("The WEBP holds no picture.")
    if b"VP8X" in seen:
        turned = orientation != 1
        flags = flags & ~(_WEBP_ICC | _WEBP_EXIF | _WEBP_XMP)
        flags |= (_WEBP_ICC if b"ICCP" in seen else 0) | (_WEBP_EXIF if turned else 0)
        parts.insert(0, struct.pack("<4sI", b"VP8X", len(header) + 1) + bytes([flags]) + header)
        if turned:
            block = _exif(orientation)
            parts.append(struct.pack("<4sI", b"EXIF", len(block)) + block)
    body = b"WEBP" + b"".join(parts)
    return Bare(struct.pack("<4sI", b"RIFF", len(body)) + body, orientation)


def _gif(data: bytes) -> Bare:
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
    return Bare(b"".join([*parts, b"\x3b"]))


_STRIPPERS: dict[str, Callable[[bytes], Bare]] = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif}
