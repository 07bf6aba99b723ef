"""What the hand-made features of a picture cost, beside decoding the picture, which is paid in any case.

    python benchmarks/image_features.py [--images 64] [--rounds 5] [--threads 2]

Every way starts from the same JPEG files, 1280 x 854, smooth and rough at once as photographs are, half of them with a
caption. They run in turn on one thread, and the best round of each counts; then decoding, and decoding with both
tables, on several threads:

* decode: `open_rgb` for a working copy of 256 pixels, nothing else
* pixels, visual: decoding and one table
* twice: decoding once for each table, as two independent assets would
* both: `describe_images`, one decoding and one working copy for both tables
"""

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redpop_assets.features.pixels import WORKING_EDGE, pixel_features
from redpop_assets.features.visual import describe_images, visual_features
from redpop_assets.images.decode import open_rgb

SIZE = (1280, 854)


class OpenedOnAccess(Sequence[Image.Image]):
    """JPEG files in memory, decoded when asked for, as the platform's image store gives them."""

    def __init__(self, files: list[bytes]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Image.Image:
        return open_rgb(self.files[index], draft_edge=WORKING_EDGE)


def jpegs(count: int, random: np.random.Generator) -> list[bytes]:
    """Generated pictures as JPEG files."""
    files = []
    for number in range(count):
        total = np.zeros((SIZE[1], SIZE[0], 3))
        for octave in range(1, 10):
            layer = Image.fromarray(random.integers(0, 256, (2**octave, 2**octave, 3), dtype=np.uint8))
            total += 0.6**octave * np.asarray(layer.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
        total -= total.min()
        picture = Image.fromarray((255 * total / total.max()).astype(np.uint8))
        if number % 2:
            font = ImageFont.load_default(size=90)
            ImageDraw.Draw(picture).text(
                (SIZE[0] / 2, 60),
                "WHEN YOU SEE IT",
                font=font,
                fill="white",
                anchor="ma",
                stroke_width=5,
                stroke_fill="black",
            )
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=85)
        files.append(packed.getvalue())
    return files


def milliseconds(ways: dict[str, Callable[[], object]], count: int, rounds: int) -> dict[str, float]:
    """Time per picture of each way, best of the rounds, in turn."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            best[name] = min(best[name], (time.perf_counter() - began) / count * 1e3)
    return best


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    pictures = OpenedOnAccess(jpegs(options.images, np.random.default_rng(0)))
    sizes = [SIZE] * len(pictures)
    describe_images(OpenedOnAccess(pictures.files[:2]), sizes[:2])

    def decode(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda index: pictures[index].size, range(len(pictures))):
                pass

    one = milliseconds(
        {
            "decode": lambda: decode(1),
            "pixels": lambda: pixel_features(pictures, sizes),
            "visual": lambda: visual_features(pictures),
            "twice": lambda: (pixel_features(pictures, sizes), visual_features(pictures)),
            "both": lambda: describe_images(pictures, sizes),
        },
        len(pictures),
        options.rounds,
    )
    print(f"{len(pictures)} JPEGs of {SIZE[0]} x {SIZE[1]}, one thread, best of {options.rounds}")
    print(f"{'':10}{'ms/picture':>12}{'x decode':>10}{'less decode':>13}")
    for name, taken in one.items():
        print(f"{name:10}{taken:12.2f}{taken / one['decode']:10.2f}{taken - one['decode']:13.2f}")

    many = milliseconds(
        {
            "decode": lambda: decode(options.threads),
            "both": lambda: describe_images(pictures, sizes, workers=options.threads),
        },
        len(pictures),
        options.rounds,
    )
    print(f"\n{options.threads} threads")
    for name, taken in many.items():
        print(f"{name:10}{taken:12.2f}  {one[name] / taken:.2f} x as fast as one thread")


if __name__ == "__main__":
    main()
