import contextlib
import io
import struct
import warnings
import zlib

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from scipy.fft import dctn

from redpop_assets.errors import SettingsError
from redpop_assets.images.decode import ImageRejected, StoredForm, format_of, inspect, open_rgb

LIMITS = {"max_pixels": 50_000_000, "min_edge": 128, "max_aspect": 5.0}


def look(data, **limits):
    return inspect(data, **(LIMITS | limits))[0]


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
    info = look(data)
    assert format_of(data[:16]) == info.format == image_format
    assert (info.width, info.height, info.extension) == (300, 200, extension)
    assert len(info.phash) == len(info.dhash) == 16
    opened = open_rgb(data)
    assert opened.mode == "RGB"
    if image_format != "JPEG":  # whose decoder has halved it already, to other pixels
        assert info.phash == str(imagehash.phash(opened.convert("L").reduce(2)))
        assert info.dhash == str(imagehash.dhash(opened.convert("L").reduce(2)))
    original = imagehash.phash(photo)
    assert original - imagehash.hex_to_hash(info.phash) <= 4


@pytest.mark.parametrize("image_format", ["BMP", "TIFF", "ICO", "PPM", "AVIF", "JPEG2000"])
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
    assert look(data).format == "JPEG"
    assert reason(data[:-2] + last_scan * 300 + b"\xff\xd9") == "decode_error"


def test_sizes(encode):
    assert reason(encode(Image.new("RGB", (127, 400)), "PNG")) == "too_small"
    assert reason(encode(Image.new("RGB", (128, 641)), "PNG")) == "aspect_extreme"
    assert look(encode(Image.new("RGB", (128, 640)), "PNG")).height == 640


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_animations(photo, encode, image_format):
    moving = encode(photo, image_format, save_all=True, append_images=[photo.transpose(Image.Transpose.ROTATE_180)])
    assert reason(moving) == "animated"
    assert open_rgb(moving).size == (300, 200)


def test_multi_picture_jpegs_of_phones_are_stills(photo, encode):
    data = encode(photo, "MPO", save_all=True, append_images=[photo])
    assert look(data).format == "JPEG"


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_comes_before_size_and_hashes(photo, encode, image_format, orientation):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = photo.transpose(Image.Transpose(undo[orientation])) if orientation in undo else photo
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, image_format, exif=exif, quality=95)
    info = look(data)
    assert (info.width, info.height) == (300, 200)
    assert imagehash.hex_to_hash(info.phash) - imagehash.phash(photo) <= 4
    difference = np.abs(np.asarray(open_rgb(data)).astype(int) - np.asarray(photo).astype(int))
    assert difference.mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_does_not_break_the_picture(photo, encode):
    assert look(encode(photo, "JPEG", exif=b"Exif\x00\x00garbage")).width == 300
    assert look(encode(photo, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")).width == 300


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
    assert look(data).width == 300


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


# Hashes, and inspection at a smaller scale


def large(seed=3, size=(1100, 800), cells=(20, 27)):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (*cells, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)


@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(8, 90), st.integers(8, 90)),
    st.tuples(st.integers(2, 20), st.integers(2, 20)),
)
def test_hashes_are_those_of_imagehash(seed, size, cells):
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, cells, dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "PNG")
    info = look(file.getvalue(), min_edge=1, max_aspect=100.0)
    # In symmetric pictures frequencies equal the median but for rounding; imagehash leaves such bits to the rounding.
    grey = np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    frequencies = dctn(grey, type=2)[:8, :8]
    decided = np.abs(frequencies - np.median(frequencies)) > 1e-6
    differs = imagehash.hex_to_hash(info.phash).hash != imagehash.phash(image).hash
    assert not (differs & decided).any()
    assert info.dhash == str(imagehash.dhash(image))
    assert info.contrast == pytest.approx(np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS)).std())


def test_flat_pictures_have_no_contrast_and_one_hash(encode):
    for colour in ("white", "black", (7, 99, 200)):
        info = look(encode(Image.new("RGB", (200, 150), colour), "PNG"))
        assert info.contrast == 0
        assert info.phash in ("8000000000000000", "0" * 16)
        assert info.dhash == "0" * 16


def test_hashes_of_a_large_jpeg_are_those_of_its_scaled_form(encode):
    data = encode(large(size=(1104, 800)), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as scaled:
        scaled.draft(None, (64, 64))
        assert scaled.size == (138, 100)
        info = look(data)
        assert (info.width, info.height) == (1104, 800)
        assert info.phash == str(imagehash.phash(scaled))
        assert info.dhash == str(imagehash.dhash(scaled))
    for other in (encode(large(), "PNG"), encode(large().resize((500, 364)), "WEBP", quality=70)):
        twin = look(other)
        assert imagehash.hex_to_hash(twin.phash) - imagehash.hex_to_hash(info.phash) <= 4
        assert imagehash.hex_to_hash(twin.dhash) - imagehash.hex_to_hash(info.dhash) <= 6
        assert twin.contrast == pytest.approx(info.contrast, abs=1)


@pytest.mark.parametrize("progressive", [False, True])
def test_the_scaled_decoder_finds_what_the_full_one_finds(encode, progressive):
    data = encode(large(size=(600, 520)), "JPEG", quality=80, progressive=progressive)
    rng = np.random.default_rng(5)
    cut = [data[: int(len(data) * share)] for share in (*rng.random(20), 0.999)]
    damaged = []
    for position in rng.integers(20, len(data), 60):
        broken = bytearray(data)
        broken[position : position + 3] = rng.integers(0, 256, 3, dtype=np.uint8).tobytes()
        damaged.append(bytes(broken))
    found = 0
    for file in cut + damaged:
        verdicts = []
        for open_it in (look, open_rgb):
            try:
                open_it(file)
                verdicts.append("fine")
            except ImageRejected as rejected:
                verdicts.append(rejected.reason)
        assert verdicts[0] == verdicts[1]
        found += verdicts[0] == "decode_error"
    assert found >= len(cut)


def test_pixels_have_an_identity_of_their_own(photo, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    png = look(encode(photo, "PNG")).pixel_sha256
    assert len(png) == 64
    assert look(encode(photo, "PNG", compress_level=1, dpi=(99, 99))).pixel_sha256 == png
    assert look(encode(photo, "WEBP", lossless=True)).pixel_sha256 == png
    turned = photo.transpose(Image.Transpose.ROTATE_90)
    assert look(encode(turned, "PNG", exif=exif)).pixel_sha256 == png
    assert look(encode(turned, "PNG")).pixel_sha256 != png
    jpeg = encode(large(), "JPEG")
    bare = look(jpeg)
    assert look(encode(large(), "JPEG", comment=b"x")).pixel_sha256 == bare.pixel_sha256
    assert look(encode(large(), "JPEG", quality=50)).pixel_sha256 != bare.pixel_sha256
    assert look(encode(large(size=(1101, 800)), "JPEG")).pixel_sha256 != bare.pixel_sha256


# The file that is kept


def kept(data, *form, **limits):
    return inspect(data, **(LIMITS | limits), store=StoredForm(*form))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_file_without_metadata_is_kept_as_it_is(photo, encode, image_format):
    data = encode(photo, image_format)
    info, file = inspect(data, **LIMITS)
    assert file == data
    assert (info.stored_width, info.stored_height) == (300, 200)


@pytest.mark.parametrize(("form", "extension"), [("jpeg", "jpg"), ("webp", "webp")])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_pictures_shrink_to_the_longest_edge(encode, image_format, form, extension):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "Jane Doe"
    options = {"comment": b"Jane Doe"} if image_format == "GIF" else {"exif": exif}
    data = encode(large(), image_format, **options)
    assert b"Jane Doe" in data
    info, file = kept(data, form, 256, 90)
    with Image.open(io.BytesIO(file)) as stored:
        assert stored.format == form.upper()
        assert max(stored.size) == 256
        assert (info.stored_width, info.stored_height) == stored.size
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(stored.info)
        upright = open_rgb(data).resize(stored.size, Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(stored.convert("RGB")).astype(int) - np.asarray(upright)).mean() < 6
    assert b"Jane Doe" not in file
    assert (info.format, info.extension) == (image_format, extension)
    assert (info.width, info.height) == ((1100, 800) if image_format == "GIF" else (800, 1100))


@settings(max_examples=30)
@given(st.integers(128, 700), st.integers(128, 700), st.integers(1, 800), st.integers(1, 8))
def test_never_enlarged_and_in_proportion(width, height, edge, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    large(size=(width, height)).save(file, "JPEG", exif=exif)
    info, _ = kept(file.getvalue(), "jpeg", edge, 80, max_aspect=9.0)
    assert (info.width, info.height) == ((width, height) if orientation < 5 else (height, width))
    assert max(info.stored_width, info.stored_height) == min(edge, max(width, height))
    share = max(info.stored_width, info.stored_height) / max(width, height)
    assert abs(info.stored_width - info.width * share) <= 1
    assert abs(info.stored_height - info.height * share) <= 1


def test_what_is_known_of_a_picture_hardly_depends_on_the_form_kept(encode):
    data = encode(large(), "JPEG")
    infos = [kept(data, *form)[0] for form in ((), ("jpeg", 64), ("jpeg", 1000), ("webp", 500, 50), ("jpeg", None))]
    assert len({(info.width, info.height, info.format) for info in infos}) == 1
    assert infos[-1].stored_width == 1100
    for info in infos[1:]:
        assert imagehash.hex_to_hash(info.phash) - imagehash.hex_to_hash(infos[0].phash) <= 2
        assert imagehash.hex_to_hash(info.dhash) - imagehash.hex_to_hash(infos[0].dhash) <= 2
        assert info.contrast == pytest.approx(infos[0].contrast, abs=0.5)
    # Within one form equal pixels are equal, whatever the packing.
    for form in ((), ("jpeg", 200)):
        assert (
            kept(encode(large(), "PNG"), *form)[0].pixel_sha256
            == kept(encode(large(), "PNG", compress_level=1), *form)[0].pixel_sha256
        )


def test_quality_counts(encode):
    data = encode(large(), "PNG")
    assert len(kept(data, "jpeg", 512, 30)[1]) < len(kept(data, "jpeg", 512, 95)[1])


def test_transparency_is_white_in_a_jpeg(photo, encode):
    layer = photo.convert("RGBA")
    layer.putalpha(0)
    assert np.asarray(open_rgb(kept(encode(layer, "PNG"), "jpeg", 200)[1])).min() >= 254


def test_colours_are_converted_to_srgb(encode):
    """A profile in which red and blue have changed places, and two that do not matter."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"?XYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"?XYZ", b"bXYZ", 1)
    red = Image.new("RGB", (200, 200), (250, 5, 5))
    for profile, is_blue in ((swapped, True), (srgb, False), (b"nonsense", False)):
        data = encode(red, "PNG", icc_profile=profile)
        _, file = kept(data, "jpeg")
        r, _, b = open_rgb(file).getpixel((9, 9))
        assert (b > r) == is_blue
        assert "icc_profile" not in Image.open(io.BytesIO(file)).info
        original = kept(data)[1]
        assert Image.open(io.BytesIO(original)).info["icc_profile"] == profile
    cmyk = encode(red.convert("CMYK"), "JPEG", icc_profile=srgb)
    assert open_rgb(kept(cmyk, "jpeg")[1]).getpixel((9, 9))[0] > 200


def test_pictures_longer_than_a_format_allows_are_shrunk(encode):
    data = encode(Image.new("L", (17_000, 20)), "PNG")
    info, file = kept(data, "webp", min_edge=1, max_aspect=1e4)
    assert (info.stored_width, info.stored_height) == open_rgb(file).size == (16_383, 19)


@pytest.mark.parametrize("form", [("original", 256), ("jpeg", 0), ("jpeg", 256, 0), ("webp", None, 101)])
def test_forms_that_cannot_be_made_are_refused(form):
    with pytest.raises(SettingsError):
        StoredForm(*form)


@settings(max_examples=25, deadline=None)
@given(st.integers(300, 900), st.integers(300, 900), st.integers(1, 8))
def test_scaling_does_not_shift_a_picture_of_any_size(width, height, orientation):
    """A scaled picture has a last column and row that are only partly there; small forms and hashes allow for it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    ramps = np.zeros((height, width, 3), np.uint8)
    ramps[..., 1] = np.linspace(0, 255, width)
    ramps[..., 0] = ramps[..., 2] = np.linspace(0, 255, height)[:, None]
    file = io.BytesIO()
    Image.fromarray(ramps).save(file, "JPEG", quality=95, exif=exif, subsampling=0)
    full = open_rgb(file.getvalue())
    info, small = kept(file.getvalue(), "jpeg", 64, 95)
    stored = open_rgb(small)
    reference = np.asarray(full.resize(stored.size, Image.Resampling.LANCZOS)).astype(int)
    shift = (np.asarray(stored) - reference)[2:-2, 2:-2].mean(axis=(0, 1))
    # Half a level is lost in rounding colours at an eighth of the size (at most 0.68 in 500 sizes); the edges, taken
    # for whole, would cost a level more.
    assert np.abs(shift).max() < 0.7
    assert imagehash.hex_to_hash(info.dhash) - imagehash.dhash(full) <= 2
