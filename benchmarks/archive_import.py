"""How fast a dump of Reddit is imported, and in how much memory, beside what reading such a file costs in any case.

Makes a synthetic dump like those of Pushshift (about 2.5 kB of JSON a line, 2,000 communities of very unequal size,
one broken line in 10,000), and takes from it the posts of two communities, about 2 % of all. Each way runs in a process
of its own:

* unpack: zstandard and line ends, nothing else: what no importer can avoid
* json.loads: the same, and every line parsed by the standard library: what the usual scripts for such dumps begin with
* read: `archives.read`
* import: `import_archive` into an empty warehouse
* resume: the same file again, after an import that was stopped at 90 % of it

Run: `python benchmarks/archive_import.py --lines 1000000`
"""

import argparse
import io
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import zstandard

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.sources.archives.posts import Chunk, read
from redpop_assets.storage.warehouse import Warehouse

WANTED = ("pics", "EarthPorn")
BORN = 1_600_000_000


class Stopped(Exception):
    """Stands for a killed process."""


def communities() -> tuple[list[str], list[float]]:
    """Names, and weights that fall with the rank."""
    names = [f"community_{number}" for number in range(2000)]
    names[10], names[25] = WANTED
    return names, list(itertools.accumulate(1 / (rank + 3) ** 0.9 for rank in range(len(names))))


def submissions(lines: int, seed: int) -> "itertools.chain[bytes]":
    """The lines of the dump."""
    rng = random.Random(seed)
    names, weights = communities()
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    empty: dict[str, object] = {
        **{name: [] for name in ("all_awardings", "awarders", "link_flair_richtext", "author_flair_richtext")},
        **dict.fromkeys(
            ("approved_at_utc", "approved_by", "banned_by", "category", "discussion_type", "view_count"), None
        ),
        **dict.fromkeys(
            ("archived", "can_mod_post", "contest_mode", "hide_score", "is_self", "is_video", "locked"), False
        ),
        **dict.fromkeys(("media_only", "over_18", "pinned", "quarantine", "saved", "spoiler", "stickied"), False),
        **{"gilded": 0, "total_awards_received": 0, "num_crossposts": 0, "pwls": 6, "wls": 6, "media_embed": {}},
    }

    def line(number: int) -> bytes:
        if number % 10_000 == 9_999:
            return b'{"id": "broken", "title": "cut in the mid\n'
        post_id = f"k{number:x}"
        subreddit = rng.choices(names, cum_weights=weights)[0]
        created = BORN + number
        address = f"https://preview.redd.it/{post_id}.jpg?"
        sizes = [
            {
                "url": f"{address}width={width}&amp;auto=webp&amp;s={rng.getrandbits(160):040x}",
                "width": width,
                "height": width,
            }
            for width in (108, 216, 320, 640, 960, 1080)
        ]
        source = {"url": f"{address}auto=webp&amp;s={rng.getrandbits(160):040x}", "width": 4032, "height": 3024}
        late = number % 2 == 0
        submission = {
            **empty,
            "author": f"person_{rng.randrange(200_000)}",
            "author_fullname": f"t2_{rng.getrandbits(32):x}",
            "created_utc": created,
            "domain": "i.redd.it",
            "id": post_id,
            "num_comments": rng.randrange(50) if late else 0,
            "permalink": f"/r/{subreddit}/comments/{post_id}/some_title/",
            "post_hint": "image",
            "preview": {"enabled": True, "images": [{"id": post_id, "resolutions": sizes, "source": source}]},
            "retrieved_on": created + (rng.randrange(8, 60) * 86_400 if late else rng.randrange(2, 90)),
            "score": int(rng.lognormvariate(3, 2)) if late else 1,
            "selftext": "",
            "subreddit": subreddit,
            "subreddit_subscribers": 1_000_000,
            "title": " ".join(rng.choices(words, k=rng.randint(3, 14))),
            "upvote_ratio": 0.93,
            "url": f"https://i.redd.it/{post_id}.jpg",
        }
        return json.dumps(submission, separators=(",", ":")).encode() + b"\n"

    return itertools.chain.from_iterable((line(number),) for number in range(lines))


def write_dump(path: Path, lines: int, window_log: int, seed: int = 0) -> None:
    """Write the dump with the window that dumps of Reddit have (31: 2 GiB) or another one."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window_log)
    with path.open("wb") as file, zstandard.ZstdCompressor(compression_params=parameters).stream_writer(file) as packed:
        for line in submissions(lines, seed):
            packed.write(line)


def unpack(path: Path, folder: Path) -> int:
    """Lines of the file."""
    del folder
    return sum(1 for _ in unpacked(path))


def json_loads(path: Path, folder: Path) -> int:
    """Lines of the file that are JSON."""
    del folder
    found = 0
    for line in unpacked(path):
        try:
            json.loads(line)
            found += 1
        except ValueError:
            pass
    return found


def unpacked(path: Path) -> io.BufferedReader:
    """The lines of the file as zstandard gives them."""
    return io.BufferedReader(
        zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(path.open("rb"), read_size=131_072), 131_072
    )


def read_archive(path: Path, folder: Path) -> int:
    """Posts of the two communities."""
    del folder
    return sum(len(chunk.rows) for chunk in read(path, subreddits=WANTED))


def import_file(path: Path, folder: Path) -> int:
    """The same posts, in the warehouse."""
    return import_archive(path, WANTED, warehouse(folder), AuthorKey(bytes(32))).new_submissions


def stop_import(path: Path, folder: Path) -> int:
    """Lines done when the import is stopped, at 90 % of the file."""

    def watch(chunk: Chunk) -> None:
        if chunk.bytes_read > 0.9 * chunk.bytes_total:
            raise Stopped(chunk.position.records)

    try:
        import_archive(path, WANTED, warehouse(folder), AuthorKey(bytes(32)), progress=watch)
    except Stopped as stopped:
        return int(stopped.args[0])
    raise RuntimeError("the import came to its end")


def resume(path: Path, folder: Path) -> int:
    """Posts that are in the warehouse in the end."""
    report = import_archive(path, WANTED, warehouse(folder), AuthorKey(bytes(32)))
    if not report.resumed_after:
        raise RuntimeError("the import began again")
    return report.new_submissions


def warehouse(folder: Path) -> Warehouse:
    """The warehouse of a folder."""
    return Warehouse(folder, source="benchmark")


WAYS: dict[str, Callable[[Path, Path], int]] = {
    "unpack": unpack,
    "json.loads": json_loads,
    "read": read_archive,
    "import": import_file,
    "stopped": stop_import,
    "resume": resume,
}


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--window-log", type=int, default=31)
    parser.add_argument("--file", type=Path, help="keep the dump there, or use the one that is there")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        began = time.perf_counter()
        found = WAYS[arguments.way](arguments.file, arguments.folder)
        seconds, cpu = time.perf_counter() - began, time.process_time()
        # getrusage would count what the parent process had before this one was started.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        megabytes = int(status["VmHWM"].split()[0]) / 1024
        print(json.dumps({"found": found, "seconds": seconds, "cpu": cpu, "megabytes": megabytes}))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder, "RS_2020-09.zst")
        if not path.exists():
            write_dump(path, arguments.lines, arguments.window_log)
        print(f"{datetime.now(UTC):%Y-%m-%d}, {arguments.lines:,} lines, {path.stat().st_size / 1e6:,.0f} MB packed")
        print(
            f"{'way':12} {'found':>10} {'seconds':>8} {'CPU s':>6} {'lines/s':>9} {'x json.loads':>13} {'peak MB':>8}"
        )
        pace = 0.0
        for way in WAYS:
            home = Path(folder, "stopped" if way == "resume" else way)
            command = [sys.executable, __file__, "--way", way, "--file", str(path), "--folder", str(home)]
            done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rate = arguments.lines / done["seconds"]
            pace = rate if way == "json.loads" else pace
            ratio = f"{rate / pace:.2f}" if pace and way not in ("stopped", "resume") else ""
            print(
                f"{way:12} {done['found']:10,} {done['seconds']:8.1f} {done['cpu']:6.1f} {rate:9,.0f} {ratio:>13} "
                f"{done['megabytes']:8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
