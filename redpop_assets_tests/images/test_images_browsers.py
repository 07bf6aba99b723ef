"""Files that browsers show although something about them is large, damaged or rare: accepted, with the same pixels.

What "the same" is say a plain twin of the file, arithmetic on the samples that were written, or a second decoder.
"""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from redpop_assets.images.decode import ImageRejected, inspect, open_rgb
from redpop_assets.images.metadata import exif_orientation

LIMITS = {"max_pixels": 10**6, "min_edge": 8, "max_aspect": 9.0}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TURNED = Image.Exif()
TURNED[0x0112] = 6
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
NOISE = np.random.default_rng(3).bytes(1_500_000)


def chunk(kind, payload, crc=0):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload) ^ crc)


def segment(marker, payload, length=None):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2 if length is None else length) + payload


def png(samples, depth, colour_type, *before, behind=b""):
    """A PNG of samples (height, width, channels), whatever the depth."""
    height, width = samples.shape[:2]
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        bits = (samples.reshape(height, -1)[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *before, chunk(b"IDAT", pixels), behind, chunk(b"IEND", b"")]
    return b"".join(parts)


def pixels(data):
    info, kept = inspect(data, **LIMITS)
    opened = np.asarray(open_rgb(data))
    assert (info.height, info.width) == opened.shape[:2]
    assert np.array_equal(np.asarray(open_rgb(kept)), opened)
    with Image.open(io.BytesIO(kept)) as image:  # the file to keep is one that any program opens
        image.load()
    return opened


def second_opinion(data):
    """RGB by OpenCV, alpha on white."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found.dtype == np.uint16:
        found = (found >> 8).astype(np.uint8)
    if found.ndim == 2:
        return np.repeat(found[..., None], 3, axis=2)
    rgb = found[..., 2::-1].astype(int)
    if found.shape[2] == 3:
        return rgb.astype(np.uint8)
    alpha = found[..., 3:].astype(int)
    return ((rgb * alpha + 255 * (255 - alpha)) / 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def jpeg(photo, encode):
    return encode(photo, "JPEG", quality=90)


@pytest.fixture(scope="module")
def plain_png(photo, encode):
    return encode(photo, "PNG")


@pytest.fixture(scope="module")
def webp(photo, encode):
    return encode(photo, "WEBP", quality=80, icc_profile=PROFILE)


# Ancillary parts

PNG_CHUNKS = {
    "large zTXt": chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(3_000_000))),
    "large iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(bytes(3_000_000))),
    "large tEXt": chunk(b"tEXt", b"Comment\x00" + NOISE),
    "many texts": chunk(b"tEXt", b"A\x00b") * 3_000 + chunk(b"zTXt", b"A\x00\x00" + zlib.compress(b"b" * 900_000)) * 90,
    "bomb in iCCP": chunk(b"iCCP", b"p\x00\x00" + zlib.compress(bytes(50_000_000))),
    "broken iCCP": chunk(b"iCCP", b"p\x00\x00nonsense"),
    "iCCP without name": chunk(b"iCCP", b"nonsense"),
    "iCCP with unknown packing": chunk(b"iCCP", b"p\x00\x07" + zlib.compress(PROFILE)),
    "iCCP bad checksum": chunk(b"iCCP", b"p\x00\x00" + zlib.compress(PROFILE), crc=1),
    "tRNS bad checksum": chunk(b"tRNS", bytes(6), crc=1),
    "tRNS of another colour type": chunk(b"tRNS", bytes(2)),
    "empty tRNS": chunk(b"tRNS", b""),
    "eXIf garbage": chunk(b"eXIf", b"garbage"),
    "eXIf bad checksum": chunk(b"eXIf", TURNED.tobytes()[6:], crc=1),
    "orientation in XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XMP),
    "orientation in a raw profile": chunk(
        b"tEXt", b"Raw profile type exif\x00\nexif\n      26\n" + TURNED.tobytes()[6:].hex().encode()
    ),
    "acTL without frames": chunk(b"acTL", struct.pack(">II", 2, 0)),
    "acTL too short": chunk(b"acTL", b"\x00"),
    "fcTL alone": chunk(b"fcTL", bytes(26)),
    "suggested palette": chunk(b"PLTE", bytes(5)),
    "unknown": chunk(b"prVt", NOISE[:70_000]) + chunk(b"abCd", b"", crc=7),
}
for name in (
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"pHYs",
    b"sBIT",
    b"bKGD",
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"tIME",
    b"hIST",
    b"sPLT",
):
    PNG_CHUNKS[f"bad checksum {name.decode()}"] = chunk(name, bytes(9), crc=0xFF)
    PNG_CHUNKS[f"empty {name.decode()}"] = chunk(name, b"")
    PNG_CHUNKS[f"short {name.decode()}"] = chunk(name, b"\x00\x01\x02")
    PNG_CHUNKS[f"long {name.decode()}"] = chunk(name, bytes(70_000))


@pytest.mark.parametrize("name", PNG_CHUNKS)
@pytest.mark.parametrize("place", ["before", "between", "behind"])
def test_no_ancillary_chunk_costs_a_png(photo, plain_png, name, place):
    size = struct.unpack_from(">I", plain_png, 33)[0]
    half = plain_png[41 : 41 + size // 2], plain_png[41 + size // 2 : 41 + size]
    planted = PNG_CHUNKS[name]
    gap = {place: planted}
    data = b"".join(
        [
            *(plain_png[:33], gap.get("before", b""), chunk(b"IDAT", half[0])),
            *(gap.get("between", b""), chunk(b"IDAT", half[1])),
            *(gap.get("behind", b""), plain_png[45 + size :]),
        ]
    )
    assert np.array_equal(pixels(data), np.asarray(photo))
    assert len(inspect(data, **LIMITS)[1]) < len(plain_png) + 1_000


JPEG_SEGMENTS = {
    "large comments": segment(0xFE, NOISE[:65_533]) * 20,
    "comment of length 0": segment(0xFE, b"", 0),
    "comment of length 1": segment(0xFE, b"", 1),
    "application data of length 0": b"".join(segment(marker, b"", 0) for marker in range(0xE0, 0xF0)),
    "empty application data": b"".join(segment(marker, b"") for marker in range(0xE0, 0xF0)),
    "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + XMP),
    "cut JFIF": segment(0xE0, b"JFIF\x00\x01"),
    "cut Adobe": segment(0xEE, b"Adobe\x00"),
    "cut profile": segment(0xE2, b"ICC_PROFILE\x00"),
    "profile without the rest": segment(0xE2, b"ICC_PROFILE\x00\x02\x07" + PROFILE[:100]),
    "nonsense as profile": segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + NOISE[:60_000]),
    "cut EXIF": segment(0xE1, b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"),
    "no EXIF": segment(0xE1, b"Exif\x00\x00" + NOISE[:60_000]),
    "cut pictures of a phone": segment(0xE2, b"MPF\x00II*\x00\x08\x00\x00\x00\x05"),
    "cut Photoshop": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\xff\xff\xff\xff"),
    "scans in a preview": segment(0xED, b"\xff\xda\x00\x08" * 10_000),
    "a restart and TEM": b"\xff\xd0\xff\x01",
    "fill bytes": b"\xff" * 500,
    "garbage between": NOISE[:5_000].replace(b"\xff", b""),
}


@pytest.mark.parametrize("name", JPEG_SEGMENTS)
def test_no_application_data_cost_a_jpeg(jpeg, name):
    scan = jpeg.rfind(b"\xff\xda")
    for at in (20, scan) if name == "garbage between" else (2, 20, scan):
        data = jpeg[:at] + JPEG_SEGMENTS[name] + jpeg[at:]
        assert np.array_equal(pixels(data), np.asarray(open_rgb(jpeg)))


@pytest.mark.parametrize(
    "behind", [b"\x00" * 1_000, b"<html>", NOISE, b"\xff\xda" * 1_000, b"\xff\xe1\xff\xff", b"self"]
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_what_follows_the_end_is_not_looked_at(photo, encode, image_format, behind):
    """A film of a telephone, a second picture, an archive, a line of a broken script."""
    data = encode(photo, image_format)
    behind = data if behind == b"self" else behind
    _, kept = inspect(data + behind, **LIMITS)
    assert kept == inspect(data, **LIMITS)[1]
    assert np.array_equal(pixels(data + behind), np.asarray(open_rgb(data)))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF"])
def test_a_missing_end_marker_is_no_missing_pixel(photo, encode, image_format):
    data = encode(photo, image_format)
    for cut in {"JPEG": (1, 2), "PNG": (1, 4, 8, 12), "GIF": (1,)}[image_format]:
        assert np.array_equal(pixels(data[:-cut]), np.asarray(open_rgb(data)))
    with pytest.raises(ImageRejected, match=r"does not decode|ends within"):
        inspect(data[: -len(data) // 10], **LIMITS)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_a_jpeg_that_ends_within_its_pixels_is_none(photo, encode, progressive, options):
    data = encode(photo, "JPEG", progressive=progressive, **options)
    assert np.array_equal(pixels(data[:-2]), np.asarray(open_rgb(data)))
    for cut in (40, 200, 1_000, len(data) // 3):
        with pytest.raises(ImageRejected) as rejected:
            inspect(data[:-cut], **LIMITS)
        assert rejected.value.reason == "decode_error"


WEBP_CHUNKS = {
    "large XMP": (b"XMP ", NOISE),
    "large EXIF": (b"EXIF", NOISE),
    "garbage EXIF": (b"EXIF", b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"),
    "unknown": (b"abcd", NOISE[:70_001]),
    "second profile": (b"ICCP", b"nonsense"),
}


@pytest.mark.parametrize("name", WEBP_CHUNKS)
def test_no_chunk_beside_the_picture_costs_a_webp(webp, name):
    kind, payload = WEBP_CHUNKS[name]
    planted = struct.pack("<4sI", kind, len(payload)) + payload + b"\x00" * (len(payload) % 2)
    expected = np.asarray(open_rgb(webp))
    for body in (webp[12:] + planted, webp[12:] + planted[: len(planted) // 2]):
        data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
        assert np.array_equal(pixels(data), expected)
        assert np.array_equal(pixels(data[:4] + struct.pack("<I", len(body) + 900) + data[8:]), expected)


def test_gif_comments_of_any_size(photo, encode):
    gif = encode(photo, "GIF")
    blocks = b"!\xfe" + b"\xff".join([b"", *[NOISE[:255]] * 2_000]) + b"\x00"
    blocks += b"!\xff\x0bABCDEFGHIJK\x03abc\x00" + b"!\xff\x02ab\x00" + b"!\xfe\x00"
    at = 13 + (3 << (gif[10] & 7) + 1)
    assert np.array_equal(pixels(gif[:at] + blocks + gif[at:]), np.asarray(open_rgb(gif)))


# Orientation


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_orientation_comes_from_exif_alone(photo, encode, image_format):
    xmp = encode(photo, image_format, **{"xmp": XMP} if image_format != "PNG" else {})
    if image_format == "PNG":
        xmp = xmp[:33] + PNG_CHUNKS["orientation in XMP"] + xmp[33:]
    assert b"Orientation" in xmp
    info, kept = inspect(xmp, **LIMITS)
    assert (info.width, info.height) == (300, 200)
    assert b"xif" not in kept.lower().replace(b"\x00", b"")
    with Image.open(io.BytesIO(kept)) as image:
        assert not image.getexif()
    # EXIF counts, and what XMP says of the same picture does not.
    upright = XMP.replace(b'"6"', b'"1"')
    data = encode(photo, image_format, exif=TURNED, **{"xmp": upright} if image_format != "PNG" else {})
    assert inspect(data, **LIMITS)[0].width == 200
    with Image.open(io.BytesIO(inspect(data, **LIMITS)[1])) as image:
        assert dict(image.getexif()) == {0x0112: 6}


def exif_block(order, kind=3, count=1, value=6, entries=1, directory=8):
    magic = {"<": b"II*\x00", ">": b"MM\x00*"}[order]
    entry = struct.pack(f"{order}HHIHH", 0x0112, kind, count, value, 0)
    return magic + struct.pack(f"{order}IH", directory, entries) + entry + bytes(4)


def test_an_orientation_has_one_form():
    assert exif_orientation(exif_block("<")) == exif_orientation(exif_block(">")) == 6
    for odd in ({"kind": 4}, {"count": 2}, {"count": 0}, {"value": 0}, {"value": 9}, {"directory": 10**9}):
        assert exif_orientation(exif_block("<", **odd)) == 1
    assert exif_orientation(exif_block("<", entries=65_535)) == 6
    assert exif_orientation(exif_block("<")[:-10]) == 1
    assert exif_orientation(b"") == exif_orientation(b"Exif\x00\x00" + exif_block("<")) == 1


@given(st.binary(max_size=200))
def test_no_exif_block_is_an_error(block):
    assert 1 <= exif_orientation(b"II*\x00\x08\x00\x00\x00" + block) <= 8


def test_the_first_exif_block_counts(photo, encode):
    turned, upright = (segment(0xE1, b"Exif\x00\x00" + exif_block(">", value=value)) for value in (6, 1))
    jpeg = encode(photo, "JPEG")
    assert inspect(jpeg[:2] + turned + upright + jpeg[2:], **LIMITS)[0].width == 200
    assert inspect(jpeg[:2] + upright + turned + jpeg[2:], **LIMITS)[0].width == 300
    assert inspect(jpeg[:-2] + turned + jpeg[-2:], **LIMITS)[0].width == 300


# Pixels

RNG = np.random.default_rng(11)
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


@pytest.mark.parametrize(
    ("colour_type", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)],
)
def test_pngs_of_every_depth(colour_type, depth):
    samples = RNG.integers(0, 1 << depth, (24, 40, CHANNELS[colour_type]))
    data = png(samples, depth, colour_type)
    found = pixels(data)
    if depth >= 8:  # below, several samples of a pass share a byte
        assert np.array_equal(pixels(interlaced(samples, depth, colour_type)), found)
    eight = (samples >> 8 if depth == 16 else samples * (255 // ((1 << depth) - 1))).astype(np.int64)
    alpha = eight[..., -1:] if colour_type in (4, 6) else np.full((*eight.shape[:2], 1), 255)
    colours = eight[..., :3] if colour_type in (2, 6) else np.repeat(eight[..., :1], 3, axis=2)
    expected = colours * alpha / 255 + (255 - alpha)
    assert np.abs(found - expected).max() <= 1
    assert (found == expected)[np.broadcast_to(alpha == 255, found.shape)].all()
    if colour_type != 4:  # which OpenCV reads without its alpha
        assert np.abs(found.astype(int) - second_opinion(data)).max() <= 1


def interlaced(samples, depth, colour_type):
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for top, left, down, right in passes:
        for row in samples[top::down, left::right]:
            raw += b"\x00" + row.astype(">u2" if depth == 16 else ">u1").tobytes()
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour_type, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour_type", "depth"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)])
@pytest.mark.parametrize("masked", [False, True])
def test_one_colour_is_transparent(colour_type, depth, masked):
    samples = RNG.integers(0, 1 << depth, (24, 40, CHANNELS[colour_type]))
    key = samples[5, 7].copy()
    samples[9, 10:20] = key
    near = key.copy()
    near[-1] ^= 1  # the same upper 8 bits if there are 16, and another colour
    samples[12, 3] = near
    written = key | (1 << depth if masked and 1 < depth < 16 else 0)  # bits beyond the depth do not count
    data = png(samples, depth, colour_type, chunk(b"tRNS", written.astype(">u2").tobytes()))
    is_key = (samples == key).all(axis=-1)
    eight = samples >> 8 if depth == 16 else samples * (255 // ((1 << depth) - 1))
    expected = np.where(is_key[..., None], 255, np.broadcast_to(eight, (24, 40, 3)))
    assert is_key.sum() >= 11
    assert np.array_equal(pixels(data), expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_with_alpha(depth):
    colours = RNG.integers(0, 256, (1 << depth, 3), dtype=np.uint8)
    alpha = RNG.integers(0, 256, (1 << depth) - 1, dtype=np.uint8)  # the last colour has none, so it is opaque
    samples = RNG.integers(0, 1 << depth, (24, 40, 1))
    palette, transparency = chunk(b"PLTE", colours.tobytes()), chunk(b"tRNS", alpha.tobytes())
    data = png(samples, depth, 3, palette, transparency)
    share = np.append(alpha, 255)[samples].astype(float) / 255
    expected = colours[samples[..., 0]] * share + 255 * (1 - share)
    assert np.abs(pixels(data) - expected).max() <= 1
    opaque = colours[samples[..., 0]]
    assert np.array_equal(pixels(png(samples, depth, 3, palette)), opaque)
    # Before the palette it means nothing, nor does more of it than there are colours.
    assert np.array_equal(pixels(png(samples, depth, 3, transparency, palette)), opaque)
    too_many = chunk(b"tRNS", bytes((1 << depth) + 1))
    assert np.array_equal(pixels(png(samples, depth, 3, palette, too_many)), opaque)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_jpegs_as_a_second_decoder_sees_them(photo, encode, mode, options):
    data = encode(photo.convert(mode), "JPEG", quality=92, **options)
    found, other = pixels(data).astype(int), second_opinion(data).astype(int)
    # Both use libjpeg, in versions that round differently; inks become colours by two approximations.
    assert np.abs(found - other).max() <= (3 if mode == "CMYK" else 2)


def test_inks_behind_a_transform(photo, encode):
    """YCCK: what Photoshop writes. The three colours are transformed, the fourth is not; Pillow writes plain CMYK."""
    data = encode(photo.convert("CMYK"), "JPEG", quality=92)
    marker = data.index(b"Adobe")
    ycck = data[: marker + 11] + b"\x02" + data[marker + 12 :]
    found, other = pixels(ycck).astype(int), second_opinion(ycck).astype(int)
    assert np.abs(found - other).max() <= 3


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webps_as_a_second_decoder_sees_them(photo, encode, mode, options):
    image = photo.convert(mode)
    if mode == "RGBA":
        image.putalpha(photo.getchannel(0))
    data = encode(image, "WEBP", **options)
    assert np.abs(pixels(data).astype(int) - second_opinion(data)).max() <= 1


# What moves


def test_an_animation_is_one_by_its_frames(photo, encode):
    moving = encode(photo, "PNG", save_all=True, append_images=[photo.rotate(180)], default_image=True)
    with pytest.raises(ImageRejected) as rejected:
        inspect(moving, **LIMITS)
    assert rejected.value.reason == "animated"
    assert np.array_equal(np.asarray(open_rgb(moving)), np.asarray(photo))
    one_frame = encode(photo, "WEBP", save_all=True, append_images=[photo], lossless=True)
    assert np.array_equal(pixels(one_frame), np.asarray(photo))
