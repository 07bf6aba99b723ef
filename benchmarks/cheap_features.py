"""How long it takes to rebuild all cheap features of one community, and in how much memory.

Fills a warehouse with the posts of a community over three years and of a second one with some of the same authors, and
materializes the real assets into it, each in a process of its own: once into empty tables, and once more, when nothing
is due. What has no limit of its own to be compared with has an aim: 100,000 posts in less than 60 seconds, no process
with more than 2 GB.

* captions: put together from halves of real titles (`--titles`, CSV files with a column `title`), else by the
  grammar of the sandbox; one in thirty repeats an earlier one
* authors: 8,000 of very unequal diligence; the most diligent one made 4 % of all posts; one post in a hundred has none
* labels: of all posts but those of the newest week; one picture in thirty was there before, here or in the other
  community; every submission has about 2 kB of JSON

Seconds are those of the step, from its start until the table is written, checked and reported; `process` is what the
process took from start to end, imports and all, and `CPU s` its processor time, which other work on the machine changes
less. Of the asset picture_history only features.seen_before is cheap: its seconds end when that table is done, and what
follows for the posts without vectors is in the process, its processor time and its memory.
Neighbours, which are compared with all earlier posts, and environments are measured on fewer posts, with vectors of
the widths of EfficientNet and MiniLM.

    python benchmarks/cheap_features.py [--posts 100000] [--vectors 20000] [--titles FILE.csv.gz ...]
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.warehouse import Warehouse

COMMUNITIES = ("pics", "earthporn")
ENCODERS = {"image": "timm:tf_efficientnet_lite0/bundled", "caption": "sentence_transformers:all-MiniLM-L6-v2/bundled"}
WIDTHS = {"image": 1280, "caption": 384}
AUTHORS = 8_000
DAYS = 3 * 365
AIM_SECONDS, AIM_MEGABYTES = 60.0, 2_000.0

CHEAP = {
    "captions_and_words": ("caption_features", "caption_tokens"),
    "timestamp_features": ("timestamp_features",),
    "post_flags": ("post_flags",),
    "post_history": ("author_features", "community_features", "caption_novelty"),
    "picture_history": ("seen_before",),
}
"""Asset -> those of its tables in the layer features that are cheap."""

_SUBMISSIONS = """
INSERT INTO raw.submissions BY NAME
SELECT post_id, subreddit, created_at + INTERVAL 5 MINUTE AS discovered_at, 'listing' AS origin,
    json_object('id', post_id, 'title', caption, 'subreddit_subscribers', 1000000 + hash(post_id) % 1000,
        'preview', repeat(md5(post_id), 60)) AS json
FROM core.posts
"""


def real_titles(paths: Sequence[Path]) -> list[str]:
    """The column `title` of gzipped CSV files."""
    titles = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            titles += [row["title"].strip() for row in csv.DictReader(file)]
    return titles


def captions(count: int, titles: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Captions of the lengths of real ones; one in thirty repeats an earlier one."""
    found = []
    for number in range(count):
        if number and rng.random() < 1 / 30:
            found.append(found[int(rng.integers(number))])
        elif titles:
            begin, end = (titles[int(place)].split() for place in rng.integers(len(titles), size=2))
            found.append(" ".join(begin[: (len(begin) + 1) // 2] + end[len(end) // 2 :]))
        else:
            found.append(_sandbox_caption(rng))
    return found


def _sandbox_caption(rng: np.random.Generator) -> str:
    from redpop_assets.sandbox import captions as grammar
    from redpop_assets.sandbox.pictures import SUBJECTS

    properties = [
        str(choices[int(rng.integers(len(choices)))])
        for choices in (SUBJECTS, grammar.THEMES, grammar.TONES, grammar.STORIES, grammar.LENGTHS)
    ]
    return grammar.write(rng, *properties, tag=rng.random() < 0.1).text


def fill(warehouse: Warehouse, posts: int, titles: Sequence[str], *, vectors: bool) -> None:
    """Write a community of so many posts and a second one of a fifth of them, with vectors of all or of none."""
    rng = np.random.default_rng(0)
    count = posts + posts // 5
    of = [COMMUNITIES[number >= posts] for number in range(count)]
    ids = [f"{number:07x}" for number in rng.permutation(count)]
    created = np.datetime64("2023-01-01T00:00:00", "s") + rng.integers(0, DAYS * 86_400, count).astype("timedelta64[s]")
    diligence = 1 / (np.arange(AUTHORS) + 3)
    names = [hashlib.blake2s(str(number).encode(), digest_size=16).hexdigest() for number in range(AUTHORS)]
    wrote = rng.choice(AUTHORS, count, p=diligence / diligence.sum())
    anonymous = rng.random(count) < 0.01
    texts = captions(count, titles, rng)
    digests = [_sha256(text) for text in texts]
    urls = [f"https://i.redd.it/{post_id}.jpg" for post_id in ids]
    scores = np.rint(np.expm1(np.clip(rng.normal(3, 2, count), 0, 11))).astype(np.int64)
    # Each post in thirty shows the picture of another one; the earlier of the two is the canonical post.
    copied = np.flatnonzero(rng.random(count) < 1 / 30)
    canonical = np.arange(count)
    originals = rng.integers(0, count, len(copied))
    fits = (created[originals] < created[copied]) & ~np.isin(originals, copied)
    canonical[copied[fits]] = originals[fits]
    mature = np.flatnonzero(created <= created.max() - np.timedelta64(7, "D"))
    key = {"post_id": ids, "subreddit": of}
    tables = {
        "core.posts": {
            **key,
            "created_at": created,
            "author": [None if nobody else names[who] for nobody, who in zip(anonymous, wrote, strict=True)],
            "caption": texts,
            "caption_sha256": digests,
            "flair": [None if number % 3 else "OC" for number in range(count)],
            "kind": ["gallery" if number % 20 == 0 else "image" for number in range(count)],
            "image_urls": [[url] for url in urls],
            **{name: [False] * count for name in ("is_original_content", "over_18", "spoiler")},
            "author_present": ~anonymous,
            "code_version": ["1"] * count,
        },
        "core.labels": {
            **{name: [values[row] for row in mature] for name, values in key.items()},
            "score": scores[mature],
            "log_score": np.log1p(scores[mature]),
            "percentile": rng.random(len(mature)),
            "observed_at": created[mature] + np.timedelta64(8, "D"),
            "age_at_label_hours": np.full(len(mature), 192.0),
            "score_scale": ["current"] * len(mature),
        },
        "core.duplicates": {
            **key,
            "duplicate_group": [ids[row] for row in canonical],
            "canonical": canonical == np.arange(count),
            "level": [None if row == first else "bytes" for row, first in enumerate(canonical)],
        },
    }
    if vectors:
        tables |= _vectors(urls, [_sha256(urls[row]) for row in canonical], digests, created, rng)
    with warehouse.write() as writer:
        for table, columns in tables.items():
            rows = len(next(iter(columns.values())))
            missing = {c.name: pa.nulls(rows) for c in warehouse.schema[table].columns if c.name not in columns}
            writer.merge(table, arrow_table({**columns, **missing}))
        writer.execute(_SUBMISSIONS)


def _vectors(
    urls: list[str], pictures: list[str], digests: list[str], created: np.ndarray, rng: np.random.Generator
) -> dict[str, dict[str, object]]:
    """Tables that give each post an image vector and a caption vector, random ones of length 1."""
    from redpop_assets.encoders.base import CODE_VERSION

    tables: dict[str, dict[str, object]] = {
        "core.image_fetches": {
            "url": urls,
            "status": ["stored"] * len(urls),
            "detail": [""] * len(urls),
            "image_sha256": pictures,
            "attempts": [1] * len(urls),
            "fetched_at": created,
        },
        "features.encoders": {
            "encoder": list(ENCODERS.values()),
            "modality": list(ENCODERS),
            "dimension": list(WIDTHS.values()),
            "provenance": ["random"] * 2,
            "weights_sha256": ["0" * 64] * 2,
            "library": ["none"] * 2,
            "first_used_at": created[:2],
        },
    }
    for modality, subjects in (("image", pictures), ("caption", digests)):
        keys = list(dict.fromkeys(subjects))
        values = rng.normal(size=(len(keys), WIDTHS[modality])).astype(np.float32)
        tables[f"features.{modality}_embeddings"] = {
            f"{modality}_sha256": keys,
            "encoder": [ENCODERS[modality]] * len(keys),
            "code_version": [CODE_VERSION] * len(keys),
            "embedding": values / np.linalg.norm(values, axis=1, keepdims=True),
        }
    return tables


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def materialize(home: Path, table: str) -> dict[str, dict[str, float]]:
    """Materialize the asset of a table of the layer features for the first community, in this process.

    Returns:
        Table -> its rows, and the seconds from the start of the step until it was done.
    """
    import dagster as dg

    from redpop_assets.definitions import build_defs
    from redpop_assets.instance import open_instance
    from redpop_assets.rounds import execute
    from redpop_assets.settings import load_settings

    encoders = {f"{modality}_encoder": name for modality, name in ENCODERS.items()}
    settings = load_settings(home=home, source="benchmark", subreddits=COMMUNITIES, **encoders)
    defs = build_defs(settings)
    asset = defs.resolve_asset_graph().get(dg.AssetKey(["features", table]))
    with open_instance(settings) as instance:
        result = execute(defs, instance, COMMUNITIES[0], sorted(asset.execution_set_asset_keys), tags={})
        if not result.success:
            raise RuntimeError(f"features.{table} failed: see the log above")
        began, done = 0.0, {}
        for entry in instance.all_logs(result.run_id):
            event = entry.dagster_event
            if event is not None and event.is_step_start:
                began = entry.timestamp
            elif event is not None and event.is_step_materialization and event.asset_key is not None:
                rows = event.materialization.metadata["dagster/partition_row_count"].value
                done[event.asset_key.path[-1]] = {"rows": rows, "seconds": entry.timestamp - began}
    return done


def measured(home: Path, table: str) -> dict[str, dict[str, float]]:
    """As `materialize`, in a process of its own; `process` has its seconds, CPU seconds and peak memory (MB)."""
    began = time.perf_counter()
    command = [sys.executable, __file__, "--home", str(home), "--table", table]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr[-4000:])
    tables = json.loads(finished.stdout.splitlines()[-1])
    tables["process"]["seconds"] = time.perf_counter() - began
    return tables


def report(home: Path, assets: dict[str, tuple[str, ...]]) -> tuple[float, float]:
    """Print a line for each asset; returns the seconds of all steps the first time, and the highest memory (MB)."""
    print(f"{'asset':20}{'rows':>9}{'seconds':>9}{'rows/s':>9}{'process':>9}{'CPU s':>7}{'peak MB':>9}", end="")
    print(f"{'again':>8}{'peak MB':>9}")
    total, again, highest = 0.0, 0.0, 0.0
    for asset, tables in assets.items():
        first, second = (measured(home, tables[0]) for _ in range(2))
        # Tables of one asset are done one after the other.
        seconds, seconds_again = (max(run[table]["seconds"] for table in tables) for run in (first, second))
        rows, peaks = first[tables[0]]["rows"], [run["process"]["megabytes"] for run in (first, second)]
        print(
            f"{asset:20}{rows:9,}{seconds:9.1f}{rows / seconds:9,.0f}{first['process']['seconds']:9.1f}"
            f"{first['process']['cpu']:7.1f}{peaks[0]:9,.0f}{seconds_again:8.1f}{peaks[1]:9,.0f}",
            flush=True,
        )
        if len(tables) > 1:
            parts = sorted((first[table]["seconds"], table) for table in tables)
            print("   " + ", ".join(f"{table} after {seconds:.1f} s" for seconds, table in parts))
        total, again, highest = total + seconds, again + seconds_again, max(highest, *peaks)
    print(f"{'all':29}{total:9.1f}{'':34}{again:8.1f}")
    return total, highest


def main() -> None:
    """Fill the warehouses and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--vectors", type=int, default=20_000, help="posts for neighbours and environments; 0: none")
    parser.add_argument("--titles", type=Path, nargs="+", default=[], help="gzipped CSV files with a column `title`")
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        tables = materialize(options.home, options.table)
        # getrusage would count what the parent process had before this one was started.
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        process = {"megabytes": int(status["VmHWM"].split()[0]) / 1024, "cpu": time.process_time()}
        print(json.dumps({**tables, "process": process}))
        return
    titles = real_titles(options.titles)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "cheap")
        fill(Warehouse(home, source="benchmark"), options.posts, titles, vectors=False)
        print(
            f"{os.cpu_count()} CPUs, {os.getloadavg()[0]:.1f} processes busy already, {options.posts:,} posts, ", end=""
        )
        print(f"captions {'of real titles' if titles else 'generated'}")
        total, highest = report(home, CHEAP)
        print(f"aim: {AIM_SECONDS:g} s, {'met' if total < AIM_SECONDS else 'MISSED'}; ", end="")
        print(f"{AIM_MEGABYTES:,.0f} MB per process, {'met' if highest < AIM_MEGABYTES else 'MISSED'}\n")
        if options.vectors:
            home = Path(folder, "vectors")
            fill(Warehouse(home, source="benchmark"), options.vectors, titles, vectors=True)
            print(f"{options.vectors:,} posts with vectors of {' and '.join(map(str, WIDTHS.values()))} numbers")
            report(home, {"picture_history": ("seen_before", "neighbours", "environments")})


if __name__ == "__main__":
    main()
