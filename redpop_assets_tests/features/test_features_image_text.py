"""Words written on pictures, read back, and the numbers that follow from them."""

import io
import re
import socket
import sys
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from redpop_assets.encoders.load import load_text_encoder
from redpop_assets.errors import WeightsUnavailable
from redpop_assets.features import image_text
from redpop_assets.features.captions import caption_features
from redpop_assets.features.image_text import (
    COLUMNS,
    LEAST_CONFIDENCE,
    PLACING,
    WORDING,
    Line,
    image_text_features,
    load_text_reader,
)
from redpop_assets.images.decode import open_rgb
from redpop_assets.sandbox import pictures
from redpop_assets.sandbox.pictures import Look

pytestmark = pytest.mark.integration

WITHOUT_WORDS = (
    *(
        f"skimage/data/{name}"
        for name in ("brick.png", "chelsea.png", "coffee.png", "grass.png", "hubble_deep_field.jpg")
    ),
    *(f"sklearn/datasets/images/{name}" for name in ("china.jpg", "flower.jpg")),
)
SENTENCE = "The quick brown fox jumps over 13 lazy dogs"


def photograph(path):
    package, _, rest = path.partition("/")
    return open_rgb(files(package).joinpath(rest).read_bytes())


def font(size):
    """DejaVu Sans, which comes with matplotlib and has Cyrillic and Greek letters."""
    return ImageFont.truetype(str(files("matplotlib").joinpath("mpl-data/fonts/ttf/DejaVuSans.ttf")), size)


def written(*lines, size=32, ink="black", ground="white", edges=(800, 300)):
    """A picture with lines of words from its upper left corner downwards."""
    image = Image.new("RGB", edges, ground)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((20, 20 + 2 * size * number), line, font=font(size), fill=ink)
    return image


def packed(image, image_format, **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


class LengthEncoder:
    """Stands for a caption encoder: the vector says how long the text is."""

    dimension = 2

    def encode(self, texts):
        return np.array([[1.0, len(text)] for text in texts], np.float32).reshape(-1, 2)


@pytest.fixture(scope="module")
def reader():
    return load_text_reader(workers=2)


def texts(reader, *images):
    return [[line.text for line in lines] for lines in reader.read(images)]


def letters(text):
    return re.sub(r"\W", "", text)


@pytest.mark.parametrize("size", [12, 20, 34])
def test_a_sentence_is_read_as_it_is_written(reader, size):
    image = written(SENTENCE, size=size)
    ((line,),) = reader.read([image])
    assert line.text == SENTENCE
    assert LEAST_CONFIDENCE <= line.confidence <= 1
    left, top, right, bottom = font(size).getbbox(SENTENCE)
    corners = line.corners * image.size
    np.testing.assert_allclose(corners.min(axis=0), [20 + left, 20 + top], atol=0.7 * size)
    np.testing.assert_allclose(corners.max(axis=0), [20 + right, 20 + bottom], atol=0.7 * size)
    assert line.height == pytest.approx((bottom - top) / 300, rel=0.6)


def test_lines_come_from_top_to_bottom_and_from_left_to_right(reader):
    image = written("first line here", "second line", "the third and last", size=28)
    ImageDraw.Draw(image).text((500, 76), "beside it", font=font(28), fill="black")
    assert texts(reader, image) == [["first line here", "second line", "beside it", "the third and last"]]


@pytest.mark.parametrize(
    ("ink", "ground"), [("white", "black"), ("yellow", "blue"), ("#555555", "#bbbbbb")], ids=["light", "hue", "faint"]
)
def test_the_colours_of_ink_and_ground_do_not_matter(reader, ink, ground):
    assert texts(reader, written(SENTENCE, size=24, ink=ink, ground=ground)) == [[SENTENCE]]


def test_the_words_on_memes_are_read(reader):
    looks = [
        Look(subject, "vivid", sharpness, "words", framing, "close", number)
        for number, (subject, sharpness, framing) in enumerate(
            zip(pictures.SUBJECTS, pictures.SHARPNESSES * 3, pictures.FRAMINGS * 3, strict=True)
        )
    ]
    found = texts(reader, *(open_rgb(pictures.render(look)) for look in looks))
    known = {letters(words) for words in pictures._WORDS}
    assert all(lines for lines in found)
    assert {letters(line) for lines in found for line in lines} <= known


def test_where_nothing_is_written_nothing_is_read(reader):
    looks = [Look(subject, "muted", "crisp", "none", "plain", "many", 3) for subject in pictures.SUBJECTS]
    images = [open_rgb(pictures.render(look)) for look in looks] + [photograph(path) for path in WITHOUT_WORDS]
    assert texts(reader, *images) == [[]] * len(images)


def test_a_page_of_an_old_book_is_read(reader):
    (lines,) = texts(reader, photograph("skimage/data/page.png"))
    assert lines[0] == "Region-based segmentation"
    assert "the markers are found at the two extreme parts of the" in lines


def test_lines_that_run_up_down_or_aslant_are_read(reader):
    image = written("sideways words", size=30)
    turned = [image.transpose(way) for way in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)]
    aslant = image.rotate(12, expand=True, fillcolor="white")
    lying, *others = reader.read([image, *turned, aslant])
    assert [line.text for line in lying] == ["sideways words"]
    for (line,) in others:
        assert line.text == "sideways words"
    # The letters are as high in pixels, of a picture that is higher.
    assert others[0][0].height == pytest.approx(lying[0].height * 300 / 800, rel=0.25)


def test_writing_that_the_network_does_not_know_is_left_out(reader):
    image = written("Привет, как дела?", "Погода сегодня хорошая", size=30)
    assert texts(reader, image) == [[]]


def test_letters_of_other_languages_in_latin_writing_are_read(reader):
    assert texts(reader, written("naïve café über façade", size=30)) == [["naïve café über façade"]]


def test_single_letters_do_not_count(reader):
    assert texts(reader, written("A", size=40)) == [[]]


def test_the_size_and_the_form_of_a_file_do_not_matter(reader):
    image = written(SENTENCE, size=30)
    forms = {
        "large": packed(image.resize((4000, 1500)), "PNG"),
        "grey": packed(image.convert("L"), "PNG"),
        "CMYK": packed(image.convert("CMYK"), "JPEG"),
        "palette": packed(image.quantize(8), "PNG"),
        "black on nothing": packed(_on_nothing(image), "PNG"),
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    forms["turned by EXIF"] = packed(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    found = reader.read([image, *(open_rgb(data) for data in forms.values())])
    for form, lines in zip(forms, found[1:], strict=True):
        assert [line.text for line in lines] == [SENTENCE], form
        np.testing.assert_allclose(lines[0].corners, found[0][0].corners, atol=0.03, err_msg=form)


def _on_nothing(image):
    transparent = Image.new("RGBA", image.size, (0, 0, 0, 0))
    transparent.putalpha(image.convert("L").point(lambda grey: 255 - grey))
    return transparent


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (33, 31)])
def test_tiny_and_narrow_pictures_are_read_without_a_word(reader, size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    assert reader.read([Image.fromarray(noise)]) == [[]]


def test_of_too_many_lines_the_largest_are_read(reader, monkeypatch):
    monkeypatch.setattr(image_text, "MOST_LINES", 2)
    image = written("tiny line above", size=14)
    ImageDraw.Draw(image).text((20, 80), "A large line", font=font(50), fill="black")
    ImageDraw.Draw(image).text((20, 180), "Another large line", font=font(50), fill="black")
    assert texts(reader, image) == [["A large line", "Another large line"]]


def test_what_is_read_does_not_depend_on_the_company_or_the_threads(reader):
    images = [written(SENTENCE, size=20), written("short", size=40), photograph("sklearn/datasets/images/flower.jpg")]
    together = reader.read(images)
    alone = [load_text_reader(workers=1).read([image])[0] for image in images[:2]]
    assert together[2] == []
    for ours, theirs in zip(together, alone, strict=False):
        assert [line.text for line in ours] == [line.text for line in theirs]
        np.testing.assert_allclose([line.confidence for line in ours], [line.confidence for line in theirs], atol=1e-4)


def test_no_pictures_give_no_rows(reader):
    assert reader.read([]) == []
    found = image_text_features([], LengthEncoder())
    assert tuple(found) == COLUMNS
    assert found["embedding"].shape == (0, 2)
    assert all(values.shape[0] == 0 and values.dtype == np.float32 for values in found.values())


def test_other_modes_than_rgb_are_refused(reader):
    with pytest.raises(ValueError, match="mode L"):
        reader.read([Image.new("L", (64, 64))])


def test_loading_asks_nobody(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert texts(load_text_reader(workers=1), written("still here")) == [["still here"]]


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(WeightsUnavailable, match=r"rapidocr is not installed.*redpop\[recognise\]"):
        load_text_reader()


def test_words_are_described_as_those_of_a_caption_are(reader):
    lines = ("I HATE THIS STUPID WAR", "What a wonderful day!")
    read = reader.read([written(*lines, size=30)])
    found = image_text_features(read, LengthEncoder())
    expected = caption_features(["\n".join(lines)])
    for name in WORDING:
        assert found[name][0] == expected[name][0], name
    assert found["vader_positive"][0] > 0 < found["vader_negative"][0]
    assert found["embedding"][0].tolist() == [1, len("\n".join(lines))]


def test_capitals_are_told_from_small_letters(reader):
    read = reader.read(
        [written(text, size=30) for text in ("LOOK AT THIS NOW", "look at this now", "Look At This Now")]
    )
    found = image_text_features(read, LengthEncoder())
    assert found["upper_case_share"].tolist() == pytest.approx([1, 0, 4 / 13])
    assert found["title_case_share"].tolist() == [0, 0, 1]
    assert found["characters"].tolist() == [16, 16, 16]


def test_another_line_is_more_of_everything(reader):
    lines = ("one line of words", "and another one", "and the last of them")
    read = reader.read([written(*lines[:count], size=30) for count in range(4)])
    found = image_text_features(read, LengthEncoder())
    assert found["lines"].tolist() == [0, 1, 2, 3]
    assert found["has_text"].tolist() == [0, 1, 1, 1]
    for column in ("lines_share", "characters", "words"):
        assert (np.diff(found[column]) > 0).all(), column
    assert (np.diff(found["text_y"][1:]) > 0).all()


def test_the_vector_is_that_of_the_caption_encoder():
    encoder = load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/bundled", device="cpu")
    box = np.array([[0, 0], [1, 0], [1, 0.1], [0, 0.1]], np.float32)
    found = image_text_features([[], [Line("a dog", 0.9, box, 0.1), Line("on a beach", 0.9, box, 0.1)]], encoder)
    np.testing.assert_allclose(found["embedding"], [np.zeros(384), encoder.encode(["a dog\non a beach"])[0]], atol=1e-6)


@st.composite
def lines_of_a_picture(draw):
    found = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.floats(0, 0.7)), draw(st.floats(0, 0.7))
        width, height = draw(st.floats(0.01, 0.3)), draw(st.floats(0.01, 0.3))
        corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)
        text = draw(st.text("aBé 漢1.!'", min_size=2, max_size=12))
        found.append(Line(text, draw(st.floats(LEAST_CONFIDENCE, 1)), corners, height))
    return found


@given(st.lists(lines_of_a_picture(), max_size=4))
def test_features_are_finite_and_say_whether_there_is_text(pages):
    found = image_text_features(pages, LengthEncoder())
    assert tuple(found) == COLUMNS
    for name, values in found.items():
        assert values.shape == ((len(pages), 2) if name == "embedding" else (len(pages),))
        assert values.dtype == np.float32
        assert np.isfinite(values).all(), name
    for name in {*PLACING, "upper_case_share"} - {"lines"}:
        assert ((found[name] >= 0) & (found[name] <= 1)).all(), name
    assert (found["line_height"] <= found["tallest_line_height"] + 1e-6).all()
    for row, lines in enumerate(pages):
        assert found["lines"][row] == len(lines)
        assert found["characters"][row] == len("\n".join(line.text for line in lines))
        if not lines:
            nothing = {name: float(np.abs(values[row]).sum()) for name, values in found.items()}
            assert nothing == dict.fromkeys(COLUMNS, 0.0) | {"text_x": 0.5, "text_y": 0.5}


def test_the_centre_is_that_of_gravity():
    def box(left, top, right, bottom):
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)

    small, large = Line("ab", 0.9, box(0, 0, 0.2, 0.1), 0.1), Line("cd", 1.0, box(0.4, 0.8, 1, 0.9), 0.1)
    found = image_text_features([[small], [large], [small, large]], LengthEncoder())
    np.testing.assert_allclose(found["lines_share"], [0.02, 0.06, 0.08], atol=1e-6)
    np.testing.assert_allclose(found["text_x"], [0.1, 0.7, 0.55], atol=1e-6)
    np.testing.assert_allclose(found["text_y"], [0.05, 0.85, 0.65], atol=1e-6)
    np.testing.assert_allclose(found["reading_confidence"], [0.9, 1.0, 0.95], atol=1e-6)
