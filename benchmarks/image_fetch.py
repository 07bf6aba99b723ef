"""RedPop's image fetcher beside img2dataset: images per second and memory, from one local server, in one run.

    python benchmarks/image_fetch.py                    the comparison, one table
    python benchmarks/image_fetch.py --memory 100000    peak memory after a tenth and after all of so many URLs

The pictures are made here, photograph-like JPEGs of about 300 kB, the same on every machine. The server
(`image_server.py`) answers after 50 ms and refuses 5 % of the URLs. img2dataset is installed with uv into an
environment of its own. Each round runs both, one after the other, so that a busy machine slows both.

What each is asked to do, per picture:
    original    img2dataset: `--resize_mode no --skip_reencode True`, which decodes every picture, checks its edges and
                area, hashes the file (SHA-256) and stores the bytes that came. (`--disable_all_reencoding` would be
                faster, but it stores whatever arrives without ever decoding it.)
                RedPop: address checks, complete decoding of the bit stream, format, edges, area and aspect, SHA-256
                of file and pixels, two perceptual hashes, contrast, metadata removed, stored by content with fsync.
    256 pixels  img2dataset: `--resize_mode keep_ratio_largest --image_size 256 --resize_only_if_bigger True`, area
                interpolation, JPEG quality 90. RedPop: as above, shrunk to 256 pixels, JPEG quality 90.
img2dataset runs with the settings found fastest here: two processes of 32 threads, shards of 500, its EXIF reader off.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from peers import installed
from PIL import Image

HERE = Path(__file__).parent
MODES = {"original": None, "256 pixels": 256}
PEER = ["img2dataset==1.47.0", "numpy>=2", "setuptools<81"]
QUALITY = 90
CHUNK = 200  # pictures that become durable together, as in the platform


@dataclass(frozen=True)
class Run:
    """What one run of one fetcher came to.

    Attributes:
        kept: Pictures stored.
        failed: URLs that gave none.
        overall: From the start of the process to its end (seconds).
        fetching: From the first request that the server saw to the end of the process (seconds).
        processor: Processor time of the process and its children, in user and kernel (seconds).
        memory: Largest resident memory of the process and all its children together (bytes).
    """

    kept: int
    failed: int
    overall: float
    fetching: float
    processor: float
    memory: int


def make_photographs(folder: Path, count: int) -> None:
    """Write `count` JPEGs of 0.6 to 1.4 megapixels, smooth and rough at once as photographs are, always the same."""
    if len(list(folder.glob("*.jpg"))) == count:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.default_rng(20)
    scenes = [_scene(random, 2_200) for _ in range(6)]
    for number in range(count):
        width, height = int(random.integers(900, 1_400)), int(random.integers(700, 1_000))
        if random.random() < 0.3:
            width, height = height, width
        pixels = np.full((height, width, 3), random.integers(90, 160), np.int16)
        for scene in random.choice(len(scenes), 2, replace=False):
            y, x = random.integers(0, 2_200 - height), random.integers(0, 2_200 - width)
            pixels += scenes[scene][y : y + height, x : x + width][:: random.choice((-1, 1)), :: random.choice((-1, 1))]
        photograph = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        photograph.save(folder / f"{number:06}.jpg", quality=QUALITY)


def _scene(random: np.random.Generator, edge: int) -> npt.NDArray[np.int16]:
    """Coloured noise whose strength falls with its frequency, (edge, edge, 3)."""
    scene = np.zeros((edge, edge, 3), np.float32)
    for cells, strength in ((6, 45), (20, 28), (70, 18), (250, 12), (900, 9)):
        coarse = Image.fromarray(random.normal(0, strength, (cells, cells)).astype(np.float32))
        grey = np.asarray(coarse.resize((edge, edge), Image.Resampling.BICUBIC))
        scene += grey[..., None] * random.normal(1, 0.25, 3).astype(np.float32)
    return scene.astype(np.int16)


def make_thumbnails(folder: Path, count: int) -> None:
    """Write `count` JPEGs of 160 x 130 pixels."""
    if len(list(folder.glob("*.jpg"))) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(21)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (13, 16, 3), dtype=np.uint8))
        coarse.resize((160, 130), Image.Resampling.BICUBIC).save(folder / f"{number:06}.jpg")


@contextlib.contextmanager
def served(folder: Path, latency: float, failures: float) -> Iterator[tuple[str, int]]:
    """Run the server in a process of its own; yields its address and the process's id."""
    command = [sys.executable, str(HERE / "image_server.py"), str(folder)]
    command += ["--latency", str(latency), "--failures", str(failures)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"127.0.0.1:{int(server.stdout.readline())}", server.pid
        finally:
            server.terminate()


def stats(host: str) -> dict[str, Any]:
    """What the server saw since it was last asked."""
    with urllib.request.urlopen(f"http://{host}/stats") as answer:
        seen: dict[str, Any] = json.load(answer)
    return seen


def peer_environment(folder: Path) -> Path:
    """Install img2dataset into `folder` unless it is there; returns its interpreter."""
    return folder / "bin" / "python" if (folder / "bin" / "img2dataset").exists() else installed(PEER, folder)


def resident(process: int) -> int:
    """Resident memory of a process and its descendants (bytes); what has just ended counts nothing."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        children: list[int] = []
        for task in Path(f"/proc/{process}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
        return pages * 4_096 + sum(map(resident, children))
    return 0


def measure(command: list[str], host: str, log: Path, counts: Callable[[], tuple[int, int]]) -> Run:
    """Run a fetcher to its end, watching its memory 20 times a second."""
    stats(host)
    peak = 0
    spent = _processor_time()
    began = time.time()
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}  # else img2dataset's start waits for a package index
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment) as process,
    ):
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.05)
    ended = time.time()
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{log.read_text()[-2_000:]}")
    kept, failed = counts()
    return Run(kept, failed, ended - began, ended - stats(host)["first"], _processor_time() - spent, peak)


def _processor_time() -> float:
    """Of all children that have ended so far (seconds)."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_peer(python: Path, urls: Path, out: Path, host: str, edge: int | None, arguments: argparse.Namespace) -> Run:
    """Let img2dataset fetch a list."""
    options: dict[str, object] = {
        "url_list": urls,
        "output_folder": out,
        "processes_count": arguments.peer_processes,
        "thread_count": arguments.peer_threads,
        "number_sample_per_shard": arguments.peer_shard,
        "output_format": arguments.peer_output,
        "extract_exif": False,
        "min_image_size": 128,
        "max_image_area": 50_000_000,
        "max_aspect_ratio": 5,
    }
    if edge is None:
        options |= {"resize_mode": "no", "skip_reencode": True}
    else:
        options |= {"resize_mode": "keep_ratio_largest", "image_size": edge, "resize_only_if_bigger": True}
        options |= {"encode_quality": QUALITY}
    command = [str(python.with_name("img2dataset")), *(f"--{name}={value}" for name, value in options.items())]

    def counts() -> tuple[int, int]:
        shards = [json.loads(path.read_text()) for path in out.glob("*_stats.json")]
        kept = sum(shard["successes"] for shard in shards)
        return kept, sum(shard["count"] for shard in shards) - kept

    return measure(command, host, out.with_suffix(".log"), counts)


def run_redpop(urls: Path, out: Path, host: str, edge: int | None, arguments: argparse.Namespace) -> Run:
    """Let RedPop fetch a list, in an interpreter of its own."""
    log = out.with_suffix(".log")
    command = [sys.executable, __file__, "--fetch", str(urls), str(out), "--edge", str(edge or 0)]
    command += ["--concurrency", str(arguments.concurrency)]

    def counts() -> tuple[int, int]:
        last = json.loads(log.read_text().splitlines()[-1])
        return last["kept"], last["failed"]

    return measure(command, host, log, counts)


def fetch_list(urls: Path, out: Path, edge: int, concurrency: int) -> None:
    """What the RedPop process does: fetch, check and store, as the platform does it, and count."""
    from redpop_assets.images.decode import StoredForm
    from redpop_assets.images.fetch import FetchPolicy, fetch
    from redpop_assets.storage.images import ImageStore

    with urls.open() as lines:
        host = lines.readline().split("/")[2]
    policy = FetchPolicy(
        concurrency=concurrency,
        per_host=concurrency,
        allowed_hosts=frozenset({host}),
        store=StoredForm("jpeg", edge, QUALITY) if edge else StoredForm(),
    )
    store = ImageStore(out)
    kept = failed = 0
    with (
        urls.open() as lines,
        contextlib.closing(fetch(map(str.strip, lines), policy)) as results,
        store.batch() as batch,
    ):
        for result in results:
            if result.image is None or result.data is None:
                failed += 1
            else:
                batch.put(result.data, result.image.extension)
                kept += 1
            if (kept + failed) % CHUNK == 0:
                batch.commit()
        batch.commit()
    print(json.dumps({"kept": kept, "failed": failed}))


def compare(arguments: argparse.Namespace) -> None:
    """Print the table."""
    folder: Path = arguments.folder
    make_photographs(folder / "photographs", arguments.images)
    python = peer_environment(folder / "img2dataset")
    sizes = [path.stat().st_size for path in (folder / "photographs").iterdir()]
    print(
        f"{len(sizes)} photographs, {statistics.mean(sizes) / 1e3:.0f} kB on average; latency "
        f"{arguments.latency * 1e3:.0f} ms, {arguments.failures:.0%} failures; median of {arguments.rounds} rounds"
    )
    print("mode        fetcher       images/s  w/o start-up  CPU ms  peak MB   kept  failed")
    with served(folder / "photographs", arguments.latency, arguments.failures) as (host, _):
        urls = folder / "urls.txt"
        names = sorted(path.name for path in (folder / "photographs").iterdir())
        urls.write_text("".join(f"http://{host}/{name}\n" for name in names))
        for mode, edge in MODES.items():
            runs: dict[str, list[Run]] = {"img2dataset": [], "RedPop": []}
            for _ in range(arguments.rounds):
                for name, of_name in runs.items():
                    out = folder / "out" / name
                    shutil.rmtree(out, ignore_errors=True)
                    out.mkdir(parents=True)
                    if name == "RedPop":
                        of_name.append(run_redpop(urls, out, host, edge, arguments))
                    else:
                        of_name.append(run_peer(python, urls, out, host, edge, arguments))
            rows = {name: _median(of_name) for name, of_name in runs.items()}
            for name, row in rows.items():
                print(
                    f"{mode:<11} {name:<12} {row.kept / row.overall:>9.0f} {row.kept / row.fetching:>13.0f} "
                    f"{row.processor / row.kept * 1e3:>7.1f} {row.memory / 1e6:>8.0f} {row.kept:>6} {row.failed:>7}"
                )
            peer, ours = rows["img2dataset"], rows["RedPop"]
            print(
                f"{mode:<11} {'ratio':<12} {ours.kept / ours.overall / (peer.kept / peer.overall):>9.2f} "
                f"{ours.kept / ours.fetching / (peer.kept / peer.fetching):>13.2f} "
                f"{ours.processor / peer.processor:>7.2f} {ours.memory / peer.memory:>8.2f}",
                flush=True,
            )


def _median(runs: list[Run]) -> Run:
    """The run of the median rate."""
    return sorted(runs, key=lambda run: run.kept / run.overall)[len(runs) // 2]


def memory(arguments: argparse.Namespace) -> None:
    """Fetch many small pictures in this process; print the peak after a tenth and at the end."""
    from redpop_assets.images.fetch import FetchPolicy, fetch

    folder = arguments.folder / "thumbnails"
    make_thumbnails(folder, 100)
    with served(folder, 0.0, arguments.failures) as (host, server):
        peak = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.05):
                peak = max(peak, resident(os.getpid()) - resident(server))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            policy = FetchPolicy(
                concurrency=arguments.concurrency, per_host=arguments.concurrency, allowed_hosts=frozenset({host})
            )
            urls = (f"http://{host}/{number % 100:06}.jpg?{number}" for number in range(arguments.memory))
            began = time.perf_counter()
            kept = 0
            with contextlib.closing(fetch(urls, policy)) as results:
                for taken, result in enumerate(results, start=1):
                    kept += result.status == "ok"
                    if taken in (arguments.memory // 100, arguments.memory // 10, arguments.memory):
                        seconds = time.perf_counter() - began
                        print(
                            f"{taken:>7} URLs: {kept} kept, peak {peak / 1e6:.1f} MB, {taken / seconds:.0f} URLs/s",
                            flush=True,
                        )
        finally:
            done.set()
            watcher.join()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "redpop-image-benchmark")
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before an answer")
    parser.add_argument("--failures", type=float, default=0.05, help="share of URLs refused")
    parser.add_argument("--concurrency", type=int, default=64, help="of RedPop")
    parser.add_argument("--peer-processes", type=int, default=2)
    parser.add_argument("--peer-threads", type=int, default=32)
    parser.add_argument("--peer-shard", type=int, default=500)
    parser.add_argument("--peer-output", choices=("files", "webdataset"), default="files")
    parser.add_argument("--memory", type=int, metavar="URLS", help="measure memory alone")
    parser.add_argument("--fetch", type=Path, nargs=2, metavar=("LIST", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--edge", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fetch:
        fetch_list(arguments.fetch[0], arguments.fetch[1], arguments.edge, arguments.concurrency)
    elif arguments.memory:
        memory(arguments)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
