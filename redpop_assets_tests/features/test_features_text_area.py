from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from redpop_assets.features.text_area import text_share

EDGE = 256
SENTENCES = (
    "When you see it",
    "MY CAT FOUND THE BOX",
    "Beautiful morning in Norway",
    "NOBODY TOLD ME ABOUT THIS",
    "this is the first time",
    "After ten years we made it",
)


def scene(random: np.random.Generator, roughness: float = 0.6) -> Image.Image:
    """Smooth and rough at once, as photographs are: noise of all scales, each finer one weaker."""
    total = np.zeros((EDGE, EDGE, 3))
    for octave in range(1, 8):
        layer = Image.fromarray(random.integers(0, 256, (2**octave, 2**octave, 3), dtype=np.uint8))
        total += roughness**octave * np.asarray(layer.resize((EDGE, EDGE), Image.Resampling.BICUBIC), dtype=float)
    total -= total.min()
    return Image.fromarray((255 * total / total.max()).astype(np.uint8))


def gradient(random: np.random.Generator) -> Image.Image:
    corners = random.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((EDGE, EDGE), Image.Resampling.BICUBIC)


def white_noise(random: np.random.Generator) -> Image.Image:
    side = int(random.integers(90, EDGE))
    return Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((EDGE, EDGE))


def foliage(random: np.random.Generator) -> Image.Image:
    """Leaves of one size and many greens, on top of each other."""
    picture = Image.new("RGB", (2 * EDGE, 2 * EDGE), (20, 40, 15))
    draw = ImageDraw.Draw(picture)
    size = random.uniform(8, 24)
    for _ in range(int(random.integers(300, 2000))):
        centre, angle = random.uniform(0, 2 * EDGE, 2), random.uniform(0, np.pi)
        along = size * random.uniform(0.6, 1.4) * np.array([np.cos(angle), np.sin(angle)])
        aside = random.uniform(0.2, 0.5) * np.array([-along[1], along[0]])
        green = random.uniform(0.25, 1.0)
        corners = [tuple(centre + offset) for offset in (along, aside, -along, -aside)]
        draw.polygon(corners, fill=(int(120 * green), int(220 * green), int(80 * green)))
    return picture.resize((EDGE, EDGE), Image.Resampling.BOX)


def windows(random: np.random.Generator) -> Image.Image:
    """Lit windows of a house at night: bright, of one height, in rows."""
    picture = Image.new("RGB", (2 * EDGE, 2 * EDGE), (25, 30, 45))
    draw = ImageDraw.Draw(picture)
    step = random.uniform(16, 44)
    for y in np.arange(0, 2 * EDGE, 1.35 * step):
        for x in np.arange(0, 2 * EDGE, step):
            if random.random() < 0.6:
                draw.rectangle((x, y, x + 0.55 * step, y + 0.75 * step), fill=(240, 220, 150))
    return picture.resize((EDGE, EDGE), Image.Resampling.BOX)


def fence(random: np.random.Generator) -> Image.Image:
    picture = gradient(random)
    draw = ImageDraw.Draw(picture)
    step = random.uniform(6, 18)
    for x in np.arange(0, EDGE, step):
        draw.rectangle((x, 60, x + 0.4 * step, 190), fill=(235, 230, 225))
    return picture


SURROUNDINGS = (gradient, scene, foliage, white_noise)
WITHOUT_WORDS = (gradient, scene, white_noise, foliage, windows, fence)


def captioned(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """One to three lines, white with a black outline or black with a white one, as on memes."""
    large = picture.resize((3 * EDGE, 3 * EDGE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(large)
    light, dark = ("white", "black") if random.random() < 0.5 else ("black", "white")
    size = float(random.uniform(40, 72))
    top = random.uniform(0.02, 0.6) * 3 * EDGE
    for line in range(int(random.integers(1, 4))):
        words = SENTENCES[random.integers(len(SENTENCES))]
        while draw.textlength(words, ImageFont.load_default(size)) > 0.95 * 3 * EDGE:
            words = words.rsplit(" ", 1)[0]
        draw.text(
            (1.5 * EDGE, top + 1.25 * size * line),
            words,
            font=ImageFont.load_default(size),
            fill=light,
            anchor="ma",
            stroke_width=3,
            stroke_fill=dark,
        )
    return large.resize((EDGE, EDGE), Image.Resampling.BOX)


def share(picture: Image.Image) -> float:
    return text_share(np.asarray(picture.convert("L")))


def shares(make: Callable[[np.random.Generator], Image.Image], count: int = 12) -> np.ndarray:
    return np.array([share(make(np.random.default_rng(seed))) for seed in range(count)])


@pytest.fixture(scope="module")
def with_words() -> dict[str, np.ndarray]:
    """Shares in captioned pictures, by what is around the words."""
    return {make.__name__: shares(lambda random, make=make: captioned(make(random), random)) for make in SURROUNDINGS}


@pytest.fixture(scope="module")
def without_words() -> dict[str, np.ndarray]:
    return {make.__name__: shares(make) for make in WITHOUT_WORDS}


def line_box(draw: ImageDraw.ImageDraw, *where: float, words: str, font: ImageFont.FreeTypeFont, fill: str) -> float:
    """Draw a line and return the area of its box."""
    draw.text(where, words, font=font, fill=fill)
    left, top, right, bottom = draw.textbbox(where, words, font=font)
    return (right - left) * (bottom - top)


@pytest.mark.parametrize("surroundings", [make.__name__ for make in SURROUNDINGS])
def test_words_are_found_on(surroundings, with_words):
    assert np.median(with_words[surroundings]) > 0.05
    assert (with_words[surroundings] > 0.02).mean() >= 0.8


@pytest.mark.parametrize("subject", [make.__name__ for make in WITHOUT_WORDS])
def test_no_words_are_found_in(subject, without_words):
    assert np.median(without_words[subject]) < 0.01
    assert without_words[subject].mean() < 0.02


def test_pictures_with_words_come_before_those_without(with_words, without_words):
    words, none = (np.concatenate(list(found.values())) for found in (with_words, without_words))
    higher = words[:, None] - none[None, :]
    auc = ((higher > 0) + 0.5 * (higher == 0)).mean()
    assert auc > 0.95


@pytest.mark.parametrize(("paper", "ink"), [("white", "black"), ("black", "white"), ("#2050a0", "#ffe060")])
def test_the_share_is_that_of_the_lines(paper, ink):
    picture = Image.new("RGB", (EDGE, EDGE), paper)
    font = ImageFont.load_default(size=20)
    draw = ImageDraw.Draw(picture)
    area = sum(line_box(draw, 10, top, words="Words on the wall", font=font, fill=ink) for top in (20, 100, 180))
    assert share(picture) == pytest.approx(area / EDGE**2, rel=0.25)


def test_a_page_of_small_print_is_mostly_words():
    picture = Image.new("RGB", (3 * EDGE, 3 * EDGE), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=30)
    for line in range(18):
        draw.text(
            (30, 30 + 40 * line), f"{SENTENCES[line % 6]} and {SENTENCES[(line + 1) % 6]}"[:42], font=font, fill="black"
        )
    assert share(picture.resize((EDGE, EDGE), Image.Resampling.BOX)) > 0.3


def test_more_lines_cover_more():
    picture = scene(np.random.default_rng(1))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=24)
    found = [share(picture)]
    for line in range(4):
        draw.text((8, 10 + 60 * line), "LOOK AT THIS", font=font, fill="white", stroke_width=1, stroke_fill="black")
        found.append(share(picture))
    assert found[0] < 0.01
    assert all(later > earlier + 0.02 for earlier, later in pairwise(found))


def test_blurred_beyond_reading_is_no_text():
    picture = captioned(gradient(np.random.default_rng(2)), np.random.default_rng(2))
    assert share(picture) > 0.03
    assert share(picture.filter(ImageFilter.GaussianBlur(12))) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 260), st.integers(1, 260), st.integers(0, 2**32 - 1))
def test_any_picture_has_a_share(height, width, seed):
    random = np.random.default_rng(seed)
    grey = random.integers(0, 256, (height, width), dtype=np.uint8)
    assert 0 <= text_share(grey) <= 1
    assert 0 <= text_share((grey > 200).astype(np.uint8) * np.uint8(255)) <= 1
    assert text_share(np.full((height, width), seed % 256, dtype=np.uint8)) == 0
