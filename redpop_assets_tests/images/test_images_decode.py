import contextlib
import struct
import warnings
import zlib

import imagehash
import numpy as np
import pytest
from PIL import Image

from redpop_assets.images.decode import ImageRejected, format_of, inspect, open_rgb

LIMITS = {"max_pixels": 50_000_000, "min_edge": 128, "max_aspect": 5.0}


def reason(data, **limits):
    with pytest.raises(ImageRejected) as rejected:
        inspect(data, **(LIMITS | limits))
    assert str(rejected.value)
    return rejected.value.reason


def png_chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_bomb(width, height):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(100_000)))


@pytest.mark.parametrize(
    ("image_format", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif")]
)
def test_the_four_formats(photo, encode, image_format, extension):
    data = encode(photo, image_format)
    info = inspect(data, **LIMITS)
    assert format_of(data[:16]) == info.format == image_format
    assert (info.width, info.height, info.extension) == (300, 200, extension)
    assert len(info.phash) == len(info.dhash) == 16
    opened = open_rgb(data)
    assert opened.mode == "RGB"
    assert info.phash == str(imagehash.phash(opened))
    assert info.dhash == str(imagehash.dhash(opened))
    original = imagehash.phash(photo)
    assert original - imagehash.hex_to_hash(info.phash) <= 4


@pytest.mark.parametrize("image_format", ["BMP", "TIFF", "ICO", "PPM"])
def test_other_formats_are_not_images_here(photo, encode, image_format):
    assert reason(encode(photo, image_format)) == "not_image_bytes"


def test_not_an_image():
    assert reason(b"") == "not_image_bytes"
    assert reason(b"<html>") == "not_image_bytes"
    assert reason(b"RIFF\x00\x00\x00\x00WAVE") == "not_image_bytes"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_truncated_anywhere_is_a_decode_error(photo, encode, image_format):
    data = encode(photo, image_format)
    for share in (0.1, 0.5, 0.9):
        assert reason(data[: int(len(data) * share)]) == "decode_error"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_damage_never_escapes_as_a_foreign_error(photo, encode, image_format):
    data = encode(photo, image_format)
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(data)
        for position in rng.integers(12, min(len(data), 400), 6):
            damaged[position] = rng.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(ImageRejected):
                inspect(bytes(damaged), **LIMITS)


def test_pixel_bombs_are_refused_by_their_header(encode):
    assert reason(png_bomb(60_000, 60_000)) == "too_many_pixels"
    assert reason(png_bomb(9_400, 9_400)) == "too_many_pixels"
    assert reason(encode(Image.new("1", (9_000, 6_000)), "PNG")) == "too_many_pixels"
    gif = bytearray(encode(Image.new("P", (200, 200)), "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    assert reason(bytes(gif)) == "too_many_pixels"
    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_000).to_bytes(3, "little") + (16_000).to_bytes(3, "little")
    webp = b"RIFF" + struct.pack("<I", len(vp8x) + 4) + b"WEBP" + vp8x
    assert reason(webp) == "too_many_pixels"
    with pytest.raises(ImageRejected, match="pixels"):
        open_rgb(png_bomb(60_000, 60_000))


def test_pillows_limit_is_neither_used_nor_changed(encode):
    before = Image.MAX_IMAGE_PIXELS
    big = encode(Image.new("1", (10_000, 10_000)), "PNG")  # Image.open would warn, and warnings are errors here
    with pytest.raises(ImageRejected, match="10000x10000 is more than 50000000 pixels"):
        inspect(big, **LIMITS)
    assert before == Image.MAX_IMAGE_PIXELS


def test_jpeg_with_endless_scans_is_refused(photo, encode):
    data = encode(photo, "JPEG", progressive=True)
    last_scan = data[data.rfind(b"\xff\xda") : -2]
    assert inspect(data, **LIMITS).format == "JPEG"
    assert reason(data[:-2] + last_scan * 300 + b"\xff\xd9") == "decode_error"


def test_sizes(encode):
    assert reason(encode(Image.new("RGB", (127, 400)), "PNG")) == "too_small"
    assert reason(encode(Image.new("RGB", (128, 641)), "PNG")) == "aspect_extreme"
    assert inspect(encode(Image.new("RGB", (128, 640)), "PNG"), **LIMITS).height == 640


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_animations(photo, encode, image_format):
    moving = encode(photo, image_format, save_all=True, append_images=[photo.transpose(Image.Transpose.ROTATE_180)])
    assert reason(moving) == "animated"
    assert open_rgb(moving).size == (300, 200)


def test_multi_picture_jpegs_of_phones_are_stills(photo, encode):
    data = encode(photo, "MPO", save_all=True, append_images=[photo])
    assert inspect(data, **LIMITS).format == "JPEG"


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_comes_before_size_and_hashes(photo, encode, image_format, orientation):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = photo.transpose(Image.Transpose(undo[orientation])) if orientation in undo else photo
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, image_format, exif=exif, quality=95)
    info = inspect(data, **LIMITS)
    assert (info.width, info.height) == (300, 200)
    assert imagehash.hex_to_hash(info.phash) - imagehash.phash(photo) <= 4
    difference = np.abs(np.asarray(open_rgb(data)).astype(int) - np.asarray(photo).astype(int))
    assert difference.mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_does_not_break_the_picture(photo, encode):
    assert inspect(encode(photo, "JPEG", exif=b"Exif\x00\x00garbage"), **LIMITS).width == 300
    assert inspect(encode(photo, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"), **LIMITS).width == 300


def test_transparency_lies_on_white(photo, encode):
    layer = photo.convert("RGBA")
    layer.putalpha(Image.new("L", layer.size, 0))
    for data in (encode(layer, "PNG"), encode(layer, "WEBP", lossless=True)):
        assert np.asarray(open_rgb(data)).min() == 255
    palette = Image.new("P", (200, 200), 0)
    palette.putpalette([200, 0, 0, 0, 200, 0])
    assert np.asarray(open_rgb(encode(palette, "PNG", transparency=0))).min() == 255
    assert np.asarray(open_rgb(encode(palette, "GIF", transparency=0))).min() == 255
    assert open_rgb(encode(palette, "PNG")).getpixel((0, 0)) == (200, 0, 0)
    half = Image.new("LA", (200, 200), (0, 128))
    assert open_rgb(encode(half, "PNG")).getpixel((5, 5)) == (127, 127, 127)
    keyed = Image.new("RGB", (200, 200), (1, 2, 3))
    assert open_rgb(encode(keyed, "PNG", transparency=(1, 2, 3))).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_tones(encode):
    ramp = np.repeat(np.linspace(0, 65_535, 300).astype(np.uint16)[None, :], 200, axis=0)
    data = encode(Image.fromarray(ramp), "PNG")
    opened = np.asarray(open_rgb(data))
    assert opened.dtype == np.uint8
    assert (opened[0, :, 0] == ramp[0] >> 8).all()
    assert inspect(data, **LIMITS).width == 300


def test_cmyk_and_grey_and_bilevel(photo, encode):
    cmyk = open_rgb(encode(photo.convert("CMYK"), "JPEG", quality=95))
    assert cmyk.mode == "RGB"
    assert np.abs(np.asarray(cmyk).astype(int) - np.asarray(photo).astype(int)).mean() < 8
    for mode in ("L", "1"):
        assert open_rgb(encode(photo.convert(mode), "PNG")).mode == "RGB"


def test_draft_shrinks_jpegs_only_as_far_as_it_may(encode):
    data = encode(Image.effect_noise((1600, 1200), 60).convert("RGB"), "JPEG")
    assert open_rgb(data).size == (1600, 1200)
    assert open_rgb(data, draft_edge=224).size == (800, 600)
    assert open_rgb(data, draft_edge=64).size == (200, 150)
    assert open_rgb(data, draft_edge=1000).size == (1600, 1200)
    png = encode(Image.new("RGB", (1600, 1200)), "PNG")
    assert open_rgb(png, draft_edge=64).size == (1600, 1200)


def test_stored_files(photo, encode, tmp_path):
    path = tmp_path / "ab.jpg"
    with pytest.raises(ImageRejected) as rejected:
        open_rgb(path)
    assert rejected.value.reason == "file_missing"
    path.write_bytes(encode(photo, "JPEG"))
    assert open_rgb(path).size == (300, 200)
