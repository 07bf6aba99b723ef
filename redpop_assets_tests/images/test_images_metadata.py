import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from redpop_assets.images.decode import inspect, open_rgb
from redpop_assets.images.metadata import UnknownStructure, strip_metadata

SECRET = b"52.5163N 13.3777E Jane Doe"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = SECRET.decode()
    block.get_ifd(0x8825)[0x001D] = SECRET.decode()  # GPS
    return block.tobytes()


def chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def segment(marker, payload):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload


def encode(image, image_format, **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def plant_in_jpeg(data):
    """Metadata of every kind behind the first segment and, a comment, in front of every scan."""
    thumbnail = b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x09\x01" + SECRET + b"x"
    kinds = [(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + SECRET), (0xED, b"Photoshop 3.0\x008BIM" + SECRET)]
    kinds += [(0xE2, b"MPF\x00" + SECRET), (0xE0, b"JFXX\x00\x10" + SECRET), (0xEB, SECRET), (0xFE, SECRET)]
    planted = b"".join(segment(marker, payload) for marker, payload in kinds)
    first = 4 + struct.unpack_from(">H", data, 4)[0]
    if data[2:4] == b"\xff\xe0":
        data = b"\xff\xd8" + segment(0xE0, thumbnail) + planted + data[first:]
    else:
        data = data[:2] + planted + data[2:]
    return data.replace(b"\xff\xda\x00", segment(0xFE, SECRET) + b"\xff\xff\xda\x00") + SECRET


def plant_in_png(data):
    texts = [chunk(b"tEXt", b"Author\x00" + SECRET), chunk(b"zTXt", b"Software\x00\x00" + zlib.compress(SECRET))]
    texts += [chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + SECRET), chunk(b"tIME", bytes(7))]
    texts += [chunk(b"prVw", SECRET)]
    planted = b"".join(texts)
    return data[:33] + planted + data[33:-12] + planted + data[-12:] + SECRET


def plant_in_webp(data):
    body = data[12:] + b"".join(
        struct.pack("<4sI", kind, len(SECRET)) + SECRET + b"\x00" * (len(SECRET) % 2) for kind in (b"XMP ", b"JUNK")
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body + SECRET


def plant_in_gif(data):
    blocks = b"!\xfe" + bytes([len(SECRET)]) + SECRET + b"\x00"
    # The trick of XMP in GIF: text without sub-blocks, behind it a ramp on which every decoder finds the end.
    blocks += b"!\xff\x0bXMP DataXMP" + SECRET + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    colours = 3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0
    return data[: 13 + colours] + blocks + data[13 + colours : -1] + blocks + b";" + SECRET


PLANT = {"JPEG": plant_in_jpeg, "PNG": plant_in_png, "WEBP": plant_in_webp, "GIF": plant_in_gif}
MODES = {
    "JPEG": ["RGB", "L", "CMYK"],
    "PNG": ["RGB", "L", "P", "RGBA", "LA", "1"],
    "WEBP": ["RGB", "RGBA"],
    "GIF": ["P", "L"],
}
OPTIONS = {
    "JPEG": st.fixed_dictionaries(
        {
            "quality": st.integers(20, 95),
            "progressive": st.booleans(),
            "restart_marker_rows": st.integers(0, 2),
            "subsampling": st.integers(0, 2),
        }
    ),
    "PNG": st.just({}),
    "WEBP": st.fixed_dictionaries({"lossless": st.booleans()}),
    "GIF": st.fixed_dictionaries({"interlace": st.integers(0, 1)}),
}


@st.composite
def pictures(draw):
    """A file with metadata wherever its format has room, its format and its orientation."""
    image_format = draw(st.sampled_from(sorted(PLANT)))
    mode = draw(st.sampled_from(MODES[image_format]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 4), dtype=np.uint8))
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    image = coarse.resize(size, Image.Resampling.BICUBIC).convert("RGBA" if "A" in mode else "RGB").convert(mode)
    orientation = 1 if image_format == "GIF" else draw(st.integers(1, 8))
    options = dict(draw(OPTIONS[image_format]))
    if image_format != "GIF":
        options["exif"] = exif(orientation)
        if mode in ("RGB", "RGBA") and draw(st.booleans()):
            options["icc_profile"] = PROFILE
    return PLANT[image_format](encode(image, image_format, **options)), image_format, orientation, options


@given(pictures())
@settings(max_examples=200)
def test_nothing_but_the_picture_remains(picture):
    data, image_format, orientation, options = picture
    assert SECRET in data
    bare = strip_metadata(data, image_format)
    stripped = bare.data
    assert bare.orientation == orientation
    assert SECRET not in stripped
    assert len(stripped) < len(data)
    before, after = open_rgb(data), open_rgb(stripped)
    assert before.size == after.size
    assert before.tobytes() == after.tobytes()
    with Image.open(io.BytesIO(stripped)) as image:
        image.load()
        expected = {} if orientation == 1 else {0x0112: orientation}
        assert dict(image.getexif()) == expected
        assert image.info.get("icc_profile") == options.get("icc_profile")
        assert not {"comment", "xmp", "photoshop", "Author", "Software", "mp"} & set(image.info)
    assert strip_metadata(stripped, image_format).data == stripped


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(pictures(), st.randoms(use_true_random=False), st.sampled_from(["set", "insert", "delete"]), st.integers(1, 3))
@settings(max_examples=200, derandomize=True)
def test_damage_is_refused_or_harmless(picture, random, how, times):
    """A damaged file that a decoder gets along with is either taken apart without a change or not at all."""
    data, image_format, _, _ = picture
    damaged = bytearray(data)
    for _ in range(times):
        at = random.randrange(8, len(damaged))
        if how == "set":
            damaged[at] = random.randrange(256)
        elif how == "insert":
            damaged[at:at] = random.randbytes(3)
        else:
            del damaged[at : at + 3]
    try:
        bare = strip_metadata(bytes(damaged), image_format)
        with Image.open(io.BytesIO(damaged)) as image:
            image.load()
            before = image.convert("RGBA")
            # A decoder that does not look at checksums has colours from what browsers pass over.
            before_info = image.info.get("transparency")
        with Image.open(io.BytesIO(bare.data)) as image:
            image.load()
            after = image.convert("RGBA")
            after_info = image.info.get("transparency")
    except UnknownStructure:
        return
    except (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError):
        return
    # Damage inside a WEBP's bit stream can make its decoder read on into what follows, which is gone then.
    if image_format != "WEBP" and before_info == after_info:
        assert after.tobytes() == before.tobytes()


def test_a_jpeg_without_its_end_gets_one(photo):
    data = encode(photo, "JPEG")
    bare = strip_metadata(data[:-2], "JPEG")
    assert bare.data == data
    assert not bare.has_end


def test_the_second_picture_of_a_phone_is_dropped(photo):
    both = encode(photo, "MPO", save_all=True, append_images=[photo])
    stripped = strip_metadata(both, "JPEG").data
    assert len(stripped) < len(both) * 0.6
    assert stripped.count(b"\xff\xd8") == 1
    assert open_rgb(stripped).tobytes() == open_rgb(both).tobytes()


@pytest.mark.parametrize(
    ("data", "image_format"),
    [
        (b"\xff\xd8\xff\xe1\xff\xff\x00", "JPEG"),
        (b"\xff\xd8\xff\xd9", "JPEG"),
        (b"\xff\xd8\xff\xe1", "JPEG"),
        (b"\xff\xd8\xff\x51\x00\x02\xff\xd9", "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"") + chunk(b"IEND", b""), "PNG"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)), "PNG"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13))[:-5], "PNG"),
        (b"RIFF\x10\x00\x00\x00WEBPANIM\x00\x00\x00\x00", "WEBP"),
        (b"RIFF\x0c\x00\x00\x00WEBPVP8X\x00\x00\x00\x00", "WEBP"),
        (b"RIFF\xff\x00\x00\x00WEBP", "WEBP"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00?", "GIF"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00!\xfe\x05ab", "GIF"),
    ],
)
def test_odd_structures_are_refused(data, image_format):
    with pytest.raises(UnknownStructure):
        strip_metadata(data, image_format)


def test_a_decodable_oddity_is_encoded_anew(photo):
    limits = {"max_pixels": 10**6, "min_edge": 1, "max_aspect": 9.0}
    gif = encode(photo, "GIF")
    gif = gif[:-1] + b"\x00\x00!\xff"  # junk, and a block that is cut off
    info, kept = inspect(gif, **limits)
    assert (info.format, info.extension) == ("GIF", "png")
    assert open_rgb(kept).tobytes() == open_rgb(gif).tobytes()


def test_a_segment_that_is_cut_off_behind_the_picture_is_metadata(photo):
    data = encode(photo, "JPEG", exif=exif(6))
    bare = strip_metadata(data[:-2] + b"\xff\xe1\xff\xff" + SECRET, "JPEG")
    assert bare.data == strip_metadata(data, "JPEG").data
    assert (bare.orientation, bare.has_end) == (6, False)
