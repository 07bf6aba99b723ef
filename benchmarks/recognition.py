"""What finding faces and reading words cost per picture, beside the vectors of a picture, which are made in any case.

    python benchmarks/recognition.py [--pictures 48] [--rounds 3] [--cores 1 2]

All start from the same JPEG files and decode them: photographs of scikit-image, matplotlib and scikit-learn (three of
them show a face) and painted pictures of the sandbox (every second one with words on it), enlarged to a longest edge of
1,600 pixels. The peer is the vector of EfficientNet-Lite0 (`timm:tf_efficientnet_lite0/bundled`) in torch. The ways run
in turn, each in a process of its own that may use so many cores; the best round counts, by the clock and by the time of
the processor, which other work on the machine changes less. Memory is the highest of the process beyond what it had
when torch was loaded.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from PIL import Image

from redpop_assets.images.decode import open_rgb
from redpop_assets.sandbox.pictures import COMPOSITIONS, PALETTES, SHARPNESSES, SUBJECTS, Look, render

LONGEST_EDGE = 1600
PHOTOGRAPHS = (
    *(f"skimage/data/{name}.png" for name in ("astronaut", "camera", "chelsea", "coffee", "motorcycle_left", "page")),
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    *(f"sklearn/datasets/images/{name}.jpg" for name in ("china", "flower")),
)
PEER = "vectors of EfficientNet-Lite0"


class OpenedOnAccess(Sequence[Image.Image]):
    """JPEG files in memory, decoded when asked for, as the platform's image store gives them."""

    def __init__(self, data: list[bytes], draft_edge: int) -> None:
        self.data = data
        self.draft_edge = draft_edge

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Image.Image:
        return open_rgb(self.data[index], draft_edge=self.draft_edge)


def jpegs(count: int) -> list[bytes]:
    """Photographs and painted pictures in turn."""
    data = []
    for number in range(count):
        if number % 2:
            package, _, rest = PHOTOGRAPHS[number // 2 % len(PHOTOGRAPHS)].partition("/")
            image = open_rgb(files(package).joinpath(rest).read_bytes())
        else:
            choices = (SUBJECTS, PALETTES, SHARPNESSES, ("none", "words"), ("plain",), COMPOSITIONS)
            look = Look(*(some[number // 2 % len(some)] for some in choices), detail=number)
            image = open_rgb(render(look))
        scale = LONGEST_EDGE / max(image.size)
        file = io.BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale))).save(file, "JPEG", quality=88)
        data.append(file.getvalue())
    return data


def ways(cores: int) -> dict[str, Callable[[list[bytes]], object]]:
    """What is measured; each is loaded when it is made."""

    def vectors() -> Callable[[list[bytes]], object]:
        from redpop_assets.encoders.load import load_image_encoder

        encoder = load_image_encoder("timm:tf_efficientnet_lite0/bundled", device="cpu")
        return lambda data: encoder.encode(OpenedOnAccess(data, 224))

    def faces() -> Callable[[list[bytes]], object]:
        from redpop_assets.features.faces import WORKING_EDGE, load_face_detector

        detector = load_face_detector(device="cpu", workers=cores)
        return lambda data: detector.find(OpenedOnAccess(data, WORKING_EDGE // 2))

    def words() -> Callable[[list[bytes]], object]:
        from redpop_assets.features.image_text import WORKING_EDGE, load_text_reader

        reader = load_text_reader(workers=cores)
        return lambda data: reader.read(OpenedOnAccess(data, WORKING_EDGE // 2))

    return {PEER: vectors, "faces": faces, "image_text": words}


def measure(way: str, count: int, cores: int, rounds: int) -> dict[str, float]:
    """Milliseconds and processor's milliseconds per picture, seconds to load, and megabytes, of one way."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import torch

    torch.set_num_threads(cores)
    data = jpegs(count)
    before = resident("VmRSS")
    began = time.perf_counter()
    run = ways(cores)[way]()
    run(data[:cores])
    loaded = time.perf_counter() - began
    clock, processor = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        run(data)
        clock.append((time.perf_counter() - began) / count * 1e3)
        processor.append((time.process_time() - used) / count * 1e3)
    return {"clock": min(clock), "processor": min(processor), "load": loaded, "memory": resident("VmHWM") - before}


def resident(what: str) -> float:
    """Memory of this process now (VmRSS) or at its highest (VmHWM), megabytes."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[what].split()[0]) / 1024


def main() -> None:
    """Print a table for each number of cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.pictures, options.cores[0], options.rounds)))
        return
    for cores in options.cores:
        found = {}
        for way in ways(cores):
            command = [sys.executable, __file__, "--way", way, "--cores", str(cores)]
            command += ["--pictures", str(options.pictures), "--rounds", str(options.rounds)]
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            if finished.returncode:
                raise SystemExit(finished.stderr[-4000:])
            found[way] = json.loads(finished.stdout.splitlines()[-1])
        print(
            f"{options.pictures} pictures, {cores} of {os.cpu_count()} cores, best of {options.rounds} rounds, ", end=""
        )
        print(f"{os.getloadavg()[0]:.1f} processes busy")
        print(f"{'':32}{'ms/picture':>11}{'CPU ms':>9}{'x vectors':>11}{'load s':>8}{'MB':>7}")
        for way, row in found.items():
            ratio = row["processor"] / found[PEER]["processor"]
            print(
                f"{way:32}{row['clock']:11.1f}{row['processor']:9.1f}{ratio:11.1f}{row['load']:8.1f}{row['memory']:7.0f}"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
