"""Pictures of the local Reddit, painted from a few visible properties.

A `Look` names everything that a viewer can see at a glance: subject, palette, sharpness, words on the picture, framing
and composition. `render` paints it; the same look always gives the same bytes. The popularity process judges these
properties, so a model that looks at the pixels can find out what the community likes. Nothing here knows about posts or
scores.
"""

import colorsys
import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SUBJECTS = ("mountain", "sea", "forest", "desert", "flower", "animal", "portrait", "food", "city")
PALETTES = ("warm", "cold", "muted", "vivid")
SHARPNESSES = ("crisp", "soft", "blurred")
OVERLAYS = ("none", "words")
FRAMINGS = ("plain", "bordered", "letterbox")
COMPOSITIONS = ("close", "wide", "many")

_ASPECTS = (4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0, 4 / 5)
_WORDS = (
    "WHEN YOU SEE IT",
    "NO FILTER",
    "MONDAY MOOD",
    "LOOK CLOSER",
    "WAIT FOR IT",
    "BEFORE COFFEE",
    "THIS IS FINE",
    "GOOD VIBES ONLY",
    "SOUND ON",
    "NOBODY ASKED",
)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What can be seen in a picture; `detail` seeds all that does not matter for popularity (shapes, size, hues)."""

    subject: str
    palette: str
    sharpness: str
    overlay: str
    framing: str
    composition: str
    detail: int


def size(look: Look) -> tuple[int, int]:
    """Width and height of the picture in pixels: about 640 x 480, the aspect ratio between 4:5 and 16:9."""
    rng = np.random.default_rng(look.detail)
    aspect = _ASPECTS[int(rng.integers(len(_ASPECTS)))]
    area = 640 * 480 * float(rng.uniform(0.82, 1.1))
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def render(look: Look, quality: int = 86) -> bytes:
    """Paint the picture as a JPEG file; another `quality` gives other bytes of the same picture, like a re-upload."""
    width, height = size(look)
    canvas = _Canvas(look, width, height)
    _PAINTERS[look.subject](canvas)
    picture = _finish(canvas, look)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


class _Canvas:
    """An image under the brush: its size, its random numbers, and colours as the palette bends them."""

    def __init__(self, look: Look, width: int, height: int) -> None:
        self.rng = np.random.default_rng([look.detail, 1])
        self.width, self.height = width, height
        self.composition, self.palette = look.composition, look.palette
        self.image = Image.new("RGB", (width, height))
        self.draw = ImageDraw.Draw(self.image)
        self.shift = float(self.rng.normal(0, 0.02))

    def ink(self, hue: float, saturation: float, value: float) -> Colour:
        """The colour (each 0 to 1) as this picture's palette renders it."""
        hue = (hue + self.shift) % 1
        if self.palette == "warm":
            hue, saturation = _towards(hue, 0.065, 0.8), 0.25 + 0.6 * saturation
        elif self.palette == "cold":
            hue, saturation = _towards(hue, 0.59, 0.8), 0.25 + 0.55 * saturation
        elif self.palette == "vivid":
            saturation, value = 0.3 + 0.9 * saturation, 0.06 + value * 1.06
        else:
            saturation, value = saturation * 0.2, 0.3 + 0.45 * value
        red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1.0, saturation), min(1.0, value))
        return round(red * 255), round(green * 255), round(blue * 255)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def gradient(self, top: Colour, bottom: Colour, first: float = 0.0, last: float = 1.0) -> None:
        """Fill the rows from `first` to `last` (shares of the height) with a vertical gradient."""
        start, stop = round(first * self.height), round(last * self.height)
        if stop <= start:
            return
        strip = np.linspace(top, bottom, 64).astype(np.uint8)[:, None, :]
        self.image.paste(
            Image.fromarray(strip).resize((self.width, stop - start), Image.Resampling.BILINEAR), (0, start)
        )

    def sky(self, horizon: float = 1.0) -> None:
        """A sky down to the horizon, with a sun or moon and some clouds."""
        dusk = self.uniform(0, 1) < 0.35
        hue = 0.95 if dusk else 0.57
        self.gradient(self.ink(hue, 0.55, 0.72), self.ink(0.09 if dusk else 0.54, 0.22, 0.98), 0, horizon)
        x, y = self.uniform(0.15, 0.85) * self.width, self.uniform(0.25, 0.75) * horizon * self.height
        radius = self.uniform(0.03, 0.07) * self.height
        for step in range(5, 0, -1):
            self.disc(x, y, radius * (1 + step * 0.22), self.ink(0.12, 0.06 + 0.05 * step, 1.0 - 0.012 * step))
        self.disc(x, y, radius, self.ink(0.13, 0.06, 1.0))
        for _ in range(self.count(0, 4)):
            left, top = self.uniform(-0.1, 0.9) * self.width, self.uniform(0.03, 0.5) * horizon * self.height
            span = self.uniform(0.12, 0.3) * self.width
            for puff in range(6):
                offset = puff / 5
                lift = span * 0.13 * math.sin(math.pi * offset) * self.uniform(0.8, 1.3)
                self.ellipse(
                    left + span * (offset - 0.13), top - lift, span * 0.26, span * 0.1, self.ink(0.58, 0.06, 0.97)
                )

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    def ellipse(self, x: float, y: float, width: float, height: float, fill: Colour) -> None:
        """An ellipse from its left middle edge `x`, centre row `y`, full width and half height."""
        self.draw.ellipse((x, y - height, x + width, y + height), fill=fill)

    def ridge(self, base: float, rise: float, rough: float) -> np.ndarray:
        """Heights of a skyline in pixels from the top, one for every 4 pixels of width."""
        columns = np.arange(0, self.width + 4, 4)
        heights = np.zeros(len(columns))
        for octave in range(6):
            knots = 3 * 2**octave + 1
            at = np.linspace(0, self.width + 4, knots)
            heights += np.interp(columns, at, self.rng.uniform(-1, 1, knots)) * rough**octave
        heights /= max(1e-6, float(np.abs(heights).max()))
        return (base - rise * (heights + 1) / 2) * self.height

    def land(self, ridge: np.ndarray, fill: Colour) -> None:
        """Fill everything below a skyline."""
        points = [(4 * i, float(y)) for i, y in enumerate(ridge)]
        self.draw.polygon([*points, (self.width + 4, self.height), (0, self.height)], fill=fill)


def _towards(hue: float, target: float, share: float) -> float:
    """Turn a hue towards another one, the short way round."""
    distance = (target - hue + 0.5) % 1 - 0.5
    return (hue + share * distance) % 1


def _mountain(c: _Canvas) -> None:
    c.sky(0.85)
    peaks = {"close": 1, "wide": 3, "many": 5}[c.composition]
    tallest = {"close": 0.78, "wide": 0.3, "many": 0.45}[c.composition]
    ground = 0.8
    c.land(c.ridge(ground - 0.05, tallest * 0.5, 0.55), c.ink(0.6, 0.22, 0.78))
    for peak in sorted(range(peaks), key=lambda _: c.uniform(0, 1)):
        x = c.width * ((peak + 0.5) / peaks + c.uniform(-0.08, 0.08))
        top = c.height * (ground - tallest * c.uniform(0.75, 1.0))
        foot = c.height * ground
        half = (foot - top) * c.uniform(0.8, 1.1)
        left = _broken(c, (x - half, foot), (x, top))
        right = _broken(c, (x, top), (x + half, foot))
        shade = c.uniform(0.42, 0.56)
        c.draw.polygon([*left, *right], fill=c.ink(0.62, 0.3, shade))
        inner = _broken(c, (x, top), (x + half * 0.15, foot))
        c.draw.polygon([*left, *inner], fill=c.ink(0.6, 0.2, shade + 0.22))
        snow = top + (foot - top) * c.uniform(0.22, 0.36)
        cap = [p for p in left if p[1] < snow] + [p for p in right if p[1] < snow]
        if len(cap) > 3:
            teeth = np.linspace(cap[-1][0], cap[0][0], 9)
            zigzag = [(float(tx), snow + (i % 2) * (foot - top) * 0.07) for i, tx in enumerate(teeth)]
            c.draw.polygon([*cap, *zigzag], fill=c.ink(0.58, 0.04, 0.98))
    c.land(c.ridge(ground + 0.06, 0.1, 0.5), c.ink(0.38, 0.45, 0.42))
    _pines(c, ground + 0.12, 26, 0.05, 0.28)
    c.land(c.ridge(1.0, 0.1, 0.4), c.ink(0.33, 0.5, 0.26))


def _broken(c: _Canvas, start: tuple[float, float], stop: tuple[float, float]) -> list[tuple[float, float]]:
    """A jagged edge between two points."""
    steps = 14
    along = np.linspace(0, 1, steps)
    rough = c.rng.normal(0, 0.02 * abs(stop[0] - start[0]) + 2, steps)
    rough[[0, -1]] = 0
    xs = start[0] + (stop[0] - start[0]) * along + rough
    ys = start[1] + (stop[1] - start[1]) * along
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _pines(c: _Canvas, foot: float, trees: int, tall: float, value: float) -> None:
    """A row of conifers standing at `foot` (share of the height)."""
    for x in np.sort(c.rng.uniform(0, c.width, trees)):
        height = c.height * tall * c.uniform(0.6, 1.4)
        bottom = c.height * foot + c.uniform(0, 0.03) * c.height
        fill = c.ink(c.uniform(0.33, 0.42), 0.5, value * c.uniform(0.8, 1.25))
        c.draw.rectangle(
            (x - height * 0.03, bottom - height * 0.2, x + height * 0.03, bottom), fill=c.ink(0.07, 0.5, 0.3)
        )
        for tier in range(4):
            top = bottom - height * (1 - tier * 0.21)
            half = height * (0.1 + 0.07 * tier)
            c.draw.polygon([(x, top), (x - half, top + height * 0.36), (x + half, top + height * 0.36)], fill=fill)


def _sea(c: _Canvas) -> None:
    horizon = {"close": 0.38, "wide": 0.62, "many": 0.5}[c.composition]
    c.sky(horizon)
    sky = c.image.crop((0, 0, c.width, round(horizon * c.height)))
    c.gradient(c.ink(0.53, 0.45, 0.82), c.ink(0.6, 0.8, 0.36), horizon)
    mirror = sky.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((c.width, c.height - round(horizon * c.height)))
    c.image.paste(
        Image.blend(c.image.crop((0, round(horizon * c.height), c.width, c.height)), mirror, 0.3),
        (0, round(horizon * c.height)),
    )
    if c.uniform(0, 1) < 0.6:
        isle = c.ridge(horizon + 0.005, 0.12, 0.5)
        left, right = sorted((c.count(0, len(isle) - 1), c.count(0, len(isle) - 1)))
        points = [(4 * i, float(isle[i])) for i in range(left, right)]
        if len(points) > 8:
            c.draw.polygon(
                [(points[0][0] - 30, horizon * c.height), *points, (points[-1][0] + 30, horizon * c.height)],
                fill=c.ink(0.6, 0.3, 0.45),
            )
    for wave in range(70):
        depth = (wave / 70) ** 1.6
        y = c.height * (horizon + (1 - horizon) * depth) + c.uniform(0, 4)
        span = c.width * (0.02 + 0.12 * depth) * c.uniform(0.5, 1.5)
        x = c.uniform(-0.1, 1.0) * c.width
        bright = c.uniform(0, 1) < 0.5
        fill = c.ink(0.53, 0.2, 0.95) if bright else c.ink(0.6, 0.7, 0.4)
        c.draw.arc((x, y, x + span, y + 3 + 16 * depth), 190, 350, fill=fill, width=1 + round(2.5 * depth))
    boats = {"close": 1, "wide": c.count(0, 1), "many": 6}[c.composition]
    for _ in range(boats):
        tall = c.height * {"close": 0.42, "wide": 0.08, "many": 0.16}[c.composition] * c.uniform(0.8, 1.1)
        x = c.uniform(0.15, 0.85) * c.width
        y = c.height * (horizon + {"close": 0.3, "wide": 0.05, "many": c.uniform(0.03, 0.35)}[c.composition])
        c.draw.polygon(
            [(x, y - tall), (x, y - tall * 0.1), (x + tall * 0.5, y - tall * 0.1)], fill=c.ink(0.1, 0.05, 0.98)
        )
        c.draw.polygon(
            [(x - 2, y - tall * 0.85), (x - 2, y - tall * 0.1), (x - tall * 0.32, y - tall * 0.1)],
            fill=c.ink(0.0, 0.6, 0.85),
        )
        hull = [
            (x - tall * 0.4, y - tall * 0.06),
            (x + tall * 0.55, y - tall * 0.06),
            (x + tall * 0.38, y + tall * 0.08),
            (x - tall * 0.26, y + tall * 0.08),
        ]
        c.draw.polygon(hull, fill=c.ink(0.07, 0.55, 0.38))


def _forest(c: _Canvas) -> None:
    c.gradient(c.ink(0.2, 0.2, 0.95), c.ink(0.3, 0.45, 0.5))
    c.gradient(c.ink(0.22, 0.5, 0.6), c.ink(0.25, 0.65, 0.28), 0.72)
    if c.composition == "wide":
        for layer in range(5):
            _pines(c, 0.5 + 0.1 * layer, 34, 0.16 + 0.03 * layer, 0.68 - 0.1 * layer)
        return
    path = c.uniform(0.35, 0.65) * c.width
    c.draw.polygon(
        [
            (path - 8, 0.7 * c.height),
            (path + 8, 0.7 * c.height),
            (path + 0.26 * c.width, c.height),
            (path - 0.2 * c.width, c.height),
        ],
        fill=c.ink(0.1, 0.35, 0.62),
    )
    layers = 3
    for layer in range(layers):
        trunks = {"close": (7, 4, 2), "many": (26, 18, 9)}[c.composition][layer]
        near = (layer + 1) / layers
        thick = c.width * {"close": 0.075, "many": 0.02}[c.composition] * near
        for x in c.rng.uniform(0, c.width, trunks):
            if abs(x - path) < 0.12 * c.width * near:
                continue
            bottom = c.height * (0.7 + 0.28 * near * c.uniform(0.7, 1.0))
            fill = c.ink(0.07, 0.4, 0.6 - 0.36 * near)
            c.draw.polygon(
                [(x - thick * 0.36, 0), (x + thick * 0.36, 0), (x + thick * 0.6, bottom), (x - thick * 0.6, bottom)],
                fill=fill,
            )
            c.draw.polygon(
                [(x + thick * 0.1, 0), (x + thick * 0.36, 0), (x + thick * 0.6, bottom), (x + thick * 0.2, bottom)],
                fill=c.ink(0.07, 0.45, 0.5 - 0.34 * near),
            )
        for x, y in zip(c.rng.uniform(0, c.width, 60), c.rng.triangular(-0.05, 0, 0.55, 60) * c.height, strict=True):
            c.disc(
                float(x),
                float(y),
                c.height * 0.035 * c.uniform(0.5, 1.5),
                c.ink(c.uniform(0.2, 0.38), 0.6, (0.75 - 0.35 * near) * c.uniform(0.75, 1.2)),
            )


def _desert(c: _Canvas) -> None:
    horizon = {"close": 0.35, "wide": 0.62, "many": 0.45}[c.composition]
    c.sky()
    layers = {"close": 2, "wide": 3, "many": 7}[c.composition]
    for layer in range(layers):
        base = horizon + (1.02 - horizon) * (layer + 0.6) / layers
        crest = c.ridge(base, 0.16 * (0.5 + layer / layers), 0.18)
        value = 0.92 - 0.2 * layer / layers
        c.land(crest, c.ink(0.085, 0.5, value))
        shadow = (
            crest
            + np.abs(np.sin(np.linspace(0, 3.2 * (1 + layer % 2), len(crest)) + c.uniform(0, 3))) * c.height * 0.14
        )
        points = [(4 * i, float(y)) for i, y in enumerate(crest)]
        under = [(4 * i, float(y)) for i, y in reversed(list(enumerate(shadow)))]
        c.draw.polygon([*points, *under], fill=c.ink(0.055, 0.62, value - 0.27))
    for _ in range({"close": 2, "wide": 3, "many": 9}[c.composition]):
        tall = c.height * {"close": 0.42, "wide": 0.09, "many": 0.15}[c.composition] * c.uniform(0.7, 1.1)
        x, y, wide = c.uniform(0.05, 0.95) * c.width, c.height * c.uniform(0.78, 0.95), 0.0
        wide = tall * 0.13
        fill = c.ink(0.36, 0.5, 0.36)
        c.draw.rounded_rectangle((x - wide, y - tall, x + wide, y), wide, fill=fill)
        for side in (-1, 1):
            arm, high = x + side * tall * 0.3, y - tall * c.uniform(0.45, 0.6)
            c.draw.rectangle((min(x, arm), high - wide * 0.6, max(x, arm), high + wide * 0.6), fill=fill)
            c.draw.rounded_rectangle(
                (arm - wide * 0.7, high - tall * 0.28, arm + wide * 0.7, high + wide * 0.6), wide * 0.6, fill=fill
            )
        c.draw.rectangle((x + wide * 0.3, y - tall * 0.9, x + wide * 0.7, y), fill=c.ink(0.36, 0.4, 0.52))


def _spots(c: _Canvas, hue: float, value: float) -> None:
    """An out-of-focus background: a gradient with soft discs of light."""
    c.gradient(c.ink(hue, 0.4, value), c.ink(hue + 0.06, 0.5, value * 0.55))
    for _ in range(26):
        fill = c.ink(hue + c.uniform(-0.08, 0.12), c.uniform(0.25, 0.55), min(1.0, value * c.uniform(0.75, 1.35)))
        c.disc(c.uniform(0, 1) * c.width, c.uniform(0, 1) * c.height, c.height * c.uniform(0.02, 0.11), fill)
    small = c.image.reduce(10).filter(ImageFilter.BoxBlur(0.7))
    c.image.paste(small.resize((c.width, c.height), Image.Resampling.BICUBIC))


def _places(c: _Canvas, close: float, wide: float, many: float) -> list[tuple[float, float, float]]:
    """Where the objects stand: (x, y, radius) in pixels, by composition; the farthest first."""
    side = min(c.width, c.height)
    if c.composition == "close":
        return [(c.width * c.uniform(0.46, 0.54), c.height * c.uniform(0.48, 0.54), side * close)]
    if c.composition == "wide":
        third = 1 / 3 if c.uniform(0, 1) < 0.5 else 2 / 3
        return [(c.width * (third + c.uniform(-0.03, 0.03)), c.height * c.uniform(0.6, 0.68), side * wide)]
    columns = [(i + 0.5) / 4 for i in range(4)]
    places = [
        (
            c.width * (x + c.uniform(-0.05, 0.05)),
            c.height * (y + c.uniform(-0.06, 0.06)),
            side * many * c.uniform(0.85, 1.1),
        )
        for y in (0.3, 0.72)
        for x in columns
    ]
    return places[: c.count(6, 8)]


def _flower(c: _Canvas) -> None:
    _spots(c, c.uniform(0.22, 0.38), 0.62)
    hue = c.uniform(0.75, 1.12)
    for x, y, radius in _places(c, 0.4, 0.16, 0.15):
        stem = radius * 0.09
        c.draw.polygon(
            [(x - stem, y), (x + stem, y), (x + stem * 2.2, c.height), (x - stem * 0.4, c.height)],
            fill=c.ink(0.3, 0.6, 0.4),
        )
        leaf = y + radius * 1.3
        c.draw.polygon(
            [
                (x, leaf + radius * 0.3),
                (x + radius * 0.5, leaf - radius * 0.25),
                (x + radius * 0.95, leaf - radius * 0.2),
                (x + radius * 0.6, leaf + radius * 0.1),
            ],
            fill=c.ink(0.31, 0.6, 0.5),
        )
        petals = c.count(7, 13)
        for ring, (reach, value) in enumerate(((1.0, 0.78), (0.78, 0.93))):
            for petal in range(petals):
                angle = 2 * math.pi * (petal + 0.5 * ring) / petals
                along = np.linspace(0, math.pi, 12)
                spread = math.pi / petals * 1.25
                out = radius * reach * np.sin(along) ** 0.6
                turn = angle + spread * np.cos(along)
                points = [
                    (x, y),
                    *zip((x + out * np.cos(turn)).tolist(), (y + out * np.sin(turn)).tolist(), strict=True),
                ]
                c.draw.polygon(
                    points, fill=c.ink(hue + 0.02 * (petal % 3), 0.6 - 0.15 * ring, value * (0.9 + 0.1 * (petal % 2)))
                )
        c.disc(x, y, radius * 0.27, c.ink(0.11, 0.75, 0.75))
        for _ in range(18):
            way, reach = c.uniform(0, 2 * math.pi), radius * 0.22 * math.sqrt(c.uniform(0, 1))
            c.disc(
                x + reach * math.cos(way), y + reach * math.sin(way), max(1.0, radius * 0.025), c.ink(0.07, 0.7, 0.45)
            )


def _animal(c: _Canvas) -> None:
    c.gradient(c.ink(0.55, 0.25, 0.95), c.ink(0.3, 0.25, 0.85))
    c.land(c.ridge(0.55, 0.1, 0.4), c.ink(0.32, 0.4, 0.62))
    c.gradient(c.ink(0.28, 0.5, 0.62), c.ink(0.3, 0.6, 0.36), 0.55)
    for x, y in zip(c.rng.uniform(0, c.width, 90), c.rng.uniform(0.57, 1, 90) * c.height, strict=True):
        c.draw.line(
            (x, y, x + c.uniform(-4, 4), y - c.uniform(6, 16)), fill=c.ink(0.27, 0.55, c.uniform(0.4, 0.8)), width=2
        )
    hue = c.uniform(0.04, 0.11)
    coat = c.uniform(0.35, 0.9)
    pointed = c.uniform(0, 1) < 0.5
    for x, y, r in _places(c, 0.3, 0.13, 0.12):
        fur, dark, light = c.ink(hue, 0.5, coat), c.ink(hue, 0.55, coat * 0.66), c.ink(hue, 0.2, min(1.0, coat * 1.25))
        c.draw.ellipse((x - 1.15 * r, y + 1.3 * r, x + 1.3 * r, y + 1.62 * r), fill=c.ink(0.3, 0.6, 0.25))
        c.draw.arc(
            (x + 0.5 * r, y - 0.3 * r, x + 1.7 * r, y + 1.3 * r), 270, 110, fill=dark, width=max(3, round(r * 0.22))
        )
        c.draw.ellipse((x - 0.9 * r, y - 0.05 * r, x + 1.0 * r, y + 1.5 * r), fill=fur)
        for leg in (-0.65, -0.25, 0.3, 0.62):
            c.draw.rounded_rectangle(
                (x + (leg - 0.15) * r, y + 0.8 * r, x + (leg + 0.15) * r, y + 1.55 * r),
                r * 0.12,
                fill=dark if leg in (-0.25, 0.62) else fur,
            )
        c.draw.ellipse((x - 0.6 * r, y + 0.45 * r, x + 0.5 * r, y + 1.4 * r), fill=light)
        for side in (-1, 1):
            if pointed:
                c.draw.polygon(
                    [
                        (x + side * 0.25 * r, y - 0.75 * r),
                        (x + side * 0.72 * r, y - 1.3 * r),
                        (x + side * 0.78 * r, y - 0.35 * r),
                    ],
                    fill=fur,
                )
                c.draw.polygon(
                    [
                        (x + side * 0.4 * r, y - 0.75 * r),
                        (x + side * 0.66 * r, y - 1.12 * r),
                        (x + side * 0.7 * r, y - 0.5 * r),
                    ],
                    fill=c.ink(0.98, 0.35, 0.85),
                )
            else:
                c.draw.ellipse(
                    (x + side * 0.72 * r - 0.24 * r, y - 0.75 * r, x + side * 0.72 * r + 0.24 * r, y + 0.3 * r),
                    fill=dark,
                )
        c.disc(x, y - 0.3 * r, 0.8 * r, fur)
        c.draw.ellipse((x - 0.42 * r, y - 0.25 * r, x + 0.42 * r, y + 0.42 * r), fill=light)
        for side in (-1, 1):
            c.disc(x + side * 0.34 * r, y - 0.4 * r, 0.17 * r, c.ink(0.12, 0.1, 0.98))
            c.disc(x + side * 0.33 * r, y - 0.39 * r, 0.12 * r, c.ink(0.08, 0.8, 0.12))
            c.disc(x + side * 0.33 * r + 0.04 * r, y - 0.44 * r, 0.04 * r, c.ink(0.1, 0.0, 1.0))
        c.draw.polygon(
            [(x - 0.14 * r, y - 0.12 * r), (x + 0.14 * r, y - 0.12 * r), (x, y + 0.05 * r)], fill=c.ink(0.97, 0.4, 0.25)
        )
        c.draw.arc(
            (x - 0.22 * r, y - 0.08 * r, x, y + 0.2 * r),
            10,
            150,
            fill=c.ink(0.0, 0.3, 0.2),
            width=max(1, round(r * 0.04)),
        )
        c.draw.arc(
            (x, y - 0.08 * r, x + 0.22 * r, y + 0.2 * r),
            30,
            170,
            fill=c.ink(0.0, 0.3, 0.2),
            width=max(1, round(r * 0.04)),
        )


def _portrait(c: _Canvas) -> None:
    _spots(c, c.uniform(0, 1), 0.6)
    for x, y, r in _places(c, 0.36, 0.15, 0.13):
        y -= 0.15 * r
        skin_value = c.uniform(0.4, 0.95)
        skin, shade = c.ink(0.065, 0.42, skin_value), c.ink(0.045, 0.5, skin_value * 0.82)
        hair = c.ink(c.uniform(0.02, 0.12), 0.6, c.uniform(0.12, 0.7))
        cloth = c.uniform(0, 1)
        long_hair = c.uniform(0, 1) < 0.5
        if long_hair:
            c.draw.rounded_rectangle((x - 0.86 * r, y - 0.7 * r, x + 0.86 * r, y + 1.3 * r), 0.5 * r, fill=hair)
        c.draw.rounded_rectangle(
            (x - 1.45 * r, y + 1.15 * r, x + 1.45 * r, y + 4 * r), 0.7 * r, fill=c.ink(cloth, 0.6, 0.6)
        )
        c.draw.polygon([(x - 0.4 * r, y + 1.14 * r), (x + 0.4 * r, y + 1.14 * r), (x, y + 1.7 * r)], fill=shade)
        c.draw.rectangle((x - 0.28 * r, y + 0.6 * r, x + 0.28 * r, y + 1.25 * r), fill=shade)
        c.draw.ellipse((x - 0.78 * r, y - 1.05 * r, x + 0.78 * r, y + 0.6 * r), fill=hair)
        c.draw.ellipse((x - 0.66 * r, y - 0.85 * r, x + 0.66 * r, y + 0.95 * r), fill=skin)
        c.draw.pieslice((x - 0.72 * r, y - 1.02 * r, x + 0.72 * r, y + 0.35 * r), 180, 360, fill=hair)
        for side in (-1, 1):
            c.draw.ellipse(
                (x + side * 0.28 * r - 0.13 * r, y - 0.06 * r, x + side * 0.28 * r + 0.13 * r, y + 0.1 * r),
                fill=c.ink(0.1, 0.02, 0.98),
            )
            c.disc(x + side * 0.28 * r, y + 0.02 * r, 0.07 * r, c.ink(0.58, 0.6, 0.2))
            c.draw.arc(
                (x + side * 0.28 * r - 0.18 * r, y - 0.24 * r, x + side * 0.28 * r + 0.18 * r, y + 0.08 * r),
                200,
                340,
                fill=hair,
                width=max(2, round(r * 0.06)),
            )
        c.draw.line(
            (x, y + 0.08 * r, x - 0.08 * r, y + 0.34 * r, x + 0.05 * r, y + 0.36 * r),
            fill=shade,
            width=max(2, round(r * 0.05)),
        )
        c.draw.chord((x - 0.26 * r, y + 0.3 * r, x + 0.26 * r, y + 0.68 * r), 15, 165, fill=c.ink(0.98, 0.55, 0.68))


def _food(c: _Canvas) -> None:
    wood = c.uniform(0.05, 0.1)
    planks = c.count(5, 8)
    for plank in range(planks):
        left = c.width * plank / planks
        c.draw.rectangle(
            (left, 0, c.width * (plank + 1) / planks, c.height), fill=c.ink(wood, 0.5, c.uniform(0.36, 0.5))
        )
        for _ in range(6):
            x = left + c.uniform(0, 1) * c.width / planks
            c.draw.line((x, 0, x + c.uniform(-8, 8), c.height), fill=c.ink(wood, 0.55, 0.33), width=1)
    for x, y, r in _places(c, 0.44, 0.2, 0.16):
        c.disc(x + 0.06 * r, y + 0.1 * r, r, c.ink(wood, 0.6, 0.2))
        c.disc(x, y, r, c.ink(0.6, 0.03, 0.97))
        c.disc(x, y, 0.8 * r, c.ink(0.6, 0.05, 0.88))
        c.disc(x, y, 0.77 * r, c.ink(0.6, 0.03, 0.95))
        base = c.uniform(0.03, 0.16)
        c.disc(x, y, 0.6 * r, c.ink(base, 0.6, 0.8))
        for _ in range(34):
            turn, out = c.uniform(0, 2 * math.pi), 0.52 * r * math.sqrt(c.uniform(0, 1))
            hue = (base, 0.01, 0.29, 0.12)[c.count(0, 3)]
            blob = r * c.uniform(0.05, 0.14)
            px, py = x + out * math.cos(turn), y + out * math.sin(turn)
            c.disc(px + 0.02 * r, py + 0.03 * r, blob, c.ink(hue, 0.7, 0.4))
            c.disc(px, py, blob, c.ink(hue, 0.75, 0.82))
            c.disc(px - blob * 0.3, py - blob * 0.3, blob * 0.3, c.ink(hue, 0.25, 1.0))
        for side, tip in ((-1.22, 0.09), (1.22, 0.05)):
            c.draw.rounded_rectangle(
                (x + side * r - 0.04 * r, y - 0.1 * r, x + side * r + 0.04 * r, y + 0.9 * r),
                0.03 * r,
                fill=c.ink(0.6, 0.04, 0.82),
            )
            c.draw.ellipse(
                (x + (side - tip) * r, y - 0.6 * r, x + (side + tip) * r, y - 0.05 * r), fill=c.ink(0.6, 0.04, 0.86)
            )


def _city(c: _Canvas) -> None:
    c.sky()
    rows = {
        "close": ((0.95, 3, 0.85),),
        "wide": ((0.86, 16, 0.28), (0.9, 12, 0.2)),
        "many": ((0.8, 13, 0.62), (0.9, 11, 0.46), (0.98, 8, 0.3)),
    }[c.composition]
    for depth, (foot, buildings, tall) in enumerate(rows):
        near = (depth + 1) / len(rows)
        for block in range(buildings):
            wide = c.width / buildings * c.uniform(0.75, 1.05)
            left = c.width * (block + c.uniform(-0.1, 0.15)) / buildings
            top = c.height * (foot - tall * c.uniform(0.5, 1.0))
            hue, value = (
                c.uniform(0.02, 0.15) if c.uniform(0, 1) < 0.5 else c.uniform(0.55, 0.65),
                (0.8 - 0.42 * near) * c.uniform(0.85, 1.15),
            )
            c.draw.rectangle((left, top, left + wide, c.height), fill=c.ink(hue, 0.3, value))
            c.draw.rectangle((left + wide * 0.78, top, left + wide, c.height), fill=c.ink(hue, 0.35, value * 0.72))
            across = {"close": 6, "wide": 3, "many": 4}[c.composition]
            step = wide * 0.74 / across
            lit = c.rng.random((40, across)) < 0.4
            for row in range(min(40, int((c.height * foot - top) / (step * 1.35)))):
                for column in range(across):
                    x, y = left + step * (column + 0.35), top + step * (1.35 * row + 0.5)
                    fill = c.ink(0.13, 0.45, 1.0) if lit[row, column] else c.ink(hue, 0.3, value * 0.6)
                    c.draw.rectangle((x, y, x + step * 0.55, y + step * 0.75), fill=fill)
    c.gradient(c.ink(0.6, 0.1, 0.42), c.ink(0.6, 0.1, 0.25), 0.93)
    for dash in range(10):
        x = c.width * dash / 10
        c.draw.rectangle((x, 0.96 * c.height, x + 0.05 * c.width, 0.967 * c.height), fill=c.ink(0.14, 0.3, 0.95))


_PAINTERS: dict[str, Callable[[_Canvas], None]] = {
    "mountain": _mountain,
    "sea": _sea,
    "forest": _forest,
    "desert": _desert,
    "flower": _flower,
    "animal": _animal,
    "portrait": _portrait,
    "food": _food,
    "city": _city,
}


def _finish(c: _Canvas, look: Look) -> Image.Image:
    """Grain or blur, then framing, then words: in the order in which a camera and an editor would add them."""
    picture, (width, height) = c.image, (c.width, c.height)
    if look.sharpness == "crisp":
        grain = Image.frombytes("L", (width, height), c.rng.bytes(width * height))
        picture = Image.blend(picture, Image.merge("RGB", (grain, grain, grain)), 0.07)
    elif look.sharpness == "soft":
        picture = picture.filter(ImageFilter.BoxBlur(1.6))
    else:
        picture = picture.reduce(8).filter(ImageFilter.BoxBlur(0.8)).resize((width, height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    if look.framing == "bordered":
        edge = round(0.055 * min(width, height))
        draw.rectangle((0, 0, width - 1, height - 1), outline=(246, 245, 240), width=edge)
    elif look.framing == "letterbox":
        bar = round(0.12 * height)
        draw.rectangle((0, 0, width, bar), fill=(8, 8, 10))
        draw.rectangle((0, height - bar, width, height), fill=(8, 8, 10))
    if look.overlay == "words":
        words = _WORDS[c.count(0, len(_WORDS) - 1)]
        font = ImageFont.load_default(size=round(1.35 * width / len(words)))
        for anchor, row in (("mt", 0.05), ("mb", 0.95))[: c.count(1, 2)]:
            draw.text(
                (width / 2, row * height),
                words,
                font=font,
                fill=(255, 255, 255),
                anchor=anchor,
                stroke_width=4,
                stroke_fill=(0, 0, 0),
            )
    return picture
