"""How RedPop grows: what a hundred new posts cost where there are ten thousand, fifty thousand, two hundred thousand.

For each size a home is filled and kept up to date by the product, each phase in a process of its own:

* `first load`: a file of posts is imported and everything is made of it, for all communities
* `nothing new`: a refresh of the largest community, in which nothing has changed
* `new posts`: `--new` posts of the last hours are imported, and the community refreshed
* `their labels`: the same posts as read at the label age, and another refresh: now there is something to learn from
* `forgotten`: as many old posts are forgotten, and the warehouse published

One community has 60 % of the posts, four others share the rest. Titles are the sandbox's, one in thirty repeats an
earlier one; authors are of very unequal diligence; each post is a line such as Pushshift kept, read 40 days later.

Networks run over new posts only, as in a deployment that has had its posts for a while: what they would say of the
first ones stands in the warehouse already, as noise of the right shape (vectors of captions, named entities; vectors
and pixel features of the pictures of a tenth of the posts, `--pictures`). Those pictures have rows and no files, for
nothing reads a file again; and no probabilities of classes, so features.image_objects stays empty.
`--no-networks` leaves out all that and what is made of it, and all predictors.

CPU seconds are those of the step, with what it imports; `outside` is what the process took beside them. Memory is the
largest of the process within the step. Progress goes to stderr, Markdown to stdout.

    python benchmarks/growth.py [--posts 10000 50000 200000] [--new 100] [--predictors NAME ...] [--pictures 0.1]
    python benchmarks/growth.py --no-networks --posts 1000000 --phases "first load"
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cheap_features import captions
from measured import Cost, Meter, cpu_seconds, own_process

from redpop_assets import markdown
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS, STEPS
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.resources import deployed_encoders, open_warehouse
from redpop_assets.runs import materialize, report_import
from redpop_assets.settings import Settings, load_settings
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.forgetting import forget
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.deployments import Deployment, sandbox_variables
from redpop_assets.testing.filled import noise

LARGEST = "pics"
COMMUNITIES = {LARGEST: 0.6, "earthporn": 0.1, "aww": 0.1, "itookapicture": 0.1, "houseplants": 0.1}
"""Community -> its share of the posts."""

PREDICTORS = ("metadata_boosting", "tfidf_ridge", "past_neighbours")
FIRST, AGAIN, NEW, LABELS, FORGOTTEN = ("first load", "nothing new", "new posts", "their labels", "forgotten")
PHASES = (FIRST, AGAIN, NEW, LABELS, FORGOTTEN)

NOISE = ("image", "caption", "entities", "pixels", "visual")
"""Families whose rows stand in the warehouse before the first load."""

WIDTHS = {"image": 1280, "caption": 384}
AUTHORS = 20_000
DAYS = 3 * 365
BORN = 1_672_531_200  # 2023-01-01
HOUR, DAY = 3_600, 86_400
SMALL_STEP = 1.0  # CPU seconds below which steps are told together
_CHUNK = 20_000
_NOWHERE = "http://127.0.0.1:9"  # nothing is asked


def posts(count: int, number: int, communities: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Posts from the `number`-th on, oldest first, as a collector of dumps keeps them; without when they were read.

    Args:
        count: how many.
        number: of the first. Posts from the 0th on are spread over three years, later ones follow by the second.
        communities: name -> its share of them.
    """
    rng = np.random.default_rng([0, number])
    since = BORN + DAYS * DAY + np.arange(count) if number else BORN + np.sort(rng.integers(0, DAYS * DAY, count))
    diligence = 1 / (np.arange(AUTHORS) + 3)
    wrote = rng.choice(AUTHORS, count, p=diligence / diligence.sum())
    where = rng.choice(list(communities), count, p=list(communities.values()))
    scores = np.expm1(np.clip(rng.normal(3, 2, count) + 0.3 * np.sin(wrote), 0, 11)).astype(int)
    for row, title in enumerate(captions(count, (), rng)):
        post_id = f"p{number + row:x}"
        yield {
            "id": post_id,
            "subreddit": str(where[row]),
            "title": f"{title}, {post_id}" if number else title,  # so that each has to be encoded
            "author": f"person_{wrote[row]}",
            "author_fullname": f"t2_{wrote[row] + 36**4:x}",
            "created_utc": int(since[row]),
            "score": int(scores[row]),
            "num_comments": int(scores[row]) // 10,
            "upvote_ratio": 0.9,
            "link_flair_text": "OC" if row % 3 == 0 else None,
            "is_self": False,
            "over_18": False,
            "permalink": f"/r/{where[row]}/comments/{post_id}/a_title/",
            "url": f"https://i.redd.it/{post_id}.jpg",
        }


def file_of(name: str, folder: Path, size: int, new: int) -> Path:
    """The file that is imported in a phase: young posts show a third of their score."""
    if name == FIRST:
        rows, age, share = posts(size, 0, COMMUNITIES), 40 * DAY, 1.0
    else:
        rows = posts(new, size, {LARGEST: 1.0})
        age, share = (3 * HOUR, 0.3) if name == NEW else (8 * DAY, 1.0)
    path = folder / f"{name.replace(' ', '_')}.ndjson"
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            read = {"score": 1 + int(share * row["score"]), "retrieved_on": row["created_utc"] + age}
            file.write(json.dumps(row | read) + "\n")
    return path


def phase(name: str, size: int, new: int, pictures: float, *, networks: bool) -> dict[str, Any]:
    """Go through a phase in this process; returns what it took, by part, without what made its inputs."""
    meter, settings, inputs = Meter(), load_settings(), Meter()
    subreddits = settings.partitions if name == FIRST else (LARGEST,)
    began = time.perf_counter()
    if name == FORGOTTEN:
        forgotten(settings, new, meter)
    elif name == AGAIN:
        refreshed(settings, subreddits, meter, None if networks else without_networks())
    else:
        with tempfile.TemporaryDirectory() as folder:
            with inputs.part("inputs"):
                path = file_of(name, Path(folder), size, new)
            with meter.part("import"):
                imported(settings, path, subreddits)
        if name == FIRST and networks:
            refreshed(settings, subreddits, meter, 'key:"core/posts"')
            with inputs.part("inputs"):
                content(settings, pictures)
        refreshed(settings, subreddits, meter, None if networks else without_networks())
    aside = inputs.parts.get("inputs", Cost())
    return {
        "parts": {part: asdict(cost) for part, cost in meter.parts.items()},
        "cpu": cpu_seconds() - aside.cpu,
        "seconds": time.perf_counter() - began - aside.seconds,
        "megabytes": max(cost.megabytes for cost in meter.parts.values()),
    }


def imported(settings: Settings, path: Path, subreddits: Sequence[str]) -> None:
    """As `redpop import`."""
    key = AuthorKey.load_or_create(settings.home / "author.key")
    import_archive(path, subreddits, open_warehouse(settings), key)
    report_import(settings, subreddits, path.name)


def refreshed(settings: Settings, subreddits: Sequence[str], meter: Meter, select: str | None) -> None:
    """As `redpop materialize --no-harvest`.

    Raises:
        SystemExit: a step failed.
    """
    with meter.steps():
        outcomes = materialize(settings, subreddits, select=select, harvest=False)
    if failures := [str(failure) for outcome in outcomes for failure in outcome.failures]:
        sys.exit("\n".join(failures))


def without_networks() -> str:
    """A selection of what needs neither a network nor a picture, and no predictor."""
    cheap = [
        family.filled_table
        for families in STEPS.values()
        for family in families
        if not any(one.networks or one.needs_picture for one in families)
    ]
    chosen = [f'key:"{table.replace(".", "/")}"' for table in (*cheap, "marts.published_warehouse")]
    return " or ".join(("group:core", *chosen))


def forgotten(settings: Settings, count: int, meter: Meter) -> None:
    """As `redpop forget`, of posts all over the store."""
    warehouse = open_warehouse(settings)
    ids = warehouse.query("SELECT post_id FROM core.posts ORDER BY hash(post_id) LIMIT $n", {"n": count})
    with meter.part("forget"):
        forget(
            warehouse,
            ImageStore(settings.home / "images"),
            dict.fromkeys(ids.column("post_id").to_pylist(), "by_request"),
        )
    with meter.part("publish"):
        warehouse.publish()


def content(settings: Settings, pictures: float) -> None:
    """Write what networks and pictures would have given of all posts so far, as noise."""
    rng = np.random.default_rng(1)
    warehouse, encoders = open_warehouse(settings), deployed_encoders(settings)
    titles = warehouse.query("SELECT DISTINCT caption_sha256 FROM core.posts ORDER BY 1").column(0).to_pylist()
    urls = warehouse.query(
        "SELECT DISTINCT url FROM core.image_urls WHERE hash(url) % 1000 < 1000 * $share ORDER BY 1",
        {"share": pictures},
    )
    subjects = {"caption": titles, "picture": stored_pictures(warehouse, urls.column(0).to_pylist(), rng)}
    warehouse.append("features.encoders", arrow_table(encoder_rows(encoders)))
    for name in NOISE:
        family = BLOCKS[name]
        widths = {f"{family.filled_table}.embedding": WIDTHS.get(name, 0)}
        values = subjects[family.grain]
        for start in range(0, len(values), _CHUNK):
            keys = {family.keys[0]: values[start : start + _CHUNK]}
            columns = noise(warehouse, family, keys, encoders, rng, widths=widths)
            if "embedding" in columns:
                columns["embedding"] /= np.linalg.norm(columns["embedding"], axis=1, keepdims=True)
            warehouse.append(family.filled_table, arrow_table(columns))


def encoder_rows(encoders: Encoders) -> dict[str, Any]:
    """The rows of features.encoders that belong to the vectors."""
    names = {"image": encoders.image, "caption": encoders.caption}
    return {
        "encoder": list(names.values()),
        "modality": list(names),
        "dimension": pa.array([WIDTHS[name] for name in names], pa.int32()),
        "provenance": ["random"] * 2,
        "weights_sha256": ["0" * 64] * 2,
        "library": ["none"] * 2,
        "first_used_at": [utc_now()] * 2,
        **dict.fromkeys(("backend", "precision"), pa.nulls(2, pa.string())),
        "batch_size": pa.nulls(2, pa.int32()),
        **dict.fromkeys(("items_per_second", "min_cosine"), pa.nulls(2, pa.float64())),
    }


def stored_pictures(warehouse: Warehouse, urls: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Write the pictures of addresses as a harvest leaves them, but for their files; returns their digests."""
    digests = [hashlib.sha256(url.encode()).hexdigest() for url in urls]
    hashes = rng.integers(0, 2**63, (2, len(urls)))
    tables: dict[str, dict[str, Any]] = {
        "core.image_fetches": {
            "url": urls,
            "status": ["stored"] * len(urls),
            "detail": [""] * len(urls),
            "image_sha256": digests,
            "attempts": [1] * len(urls),
            "fetched_at": [utc_now()] * len(urls),
            "canonical_url": urls,
        },
        "core.images": {
            "image_sha256": digests,
            "path": [f"{digest[:2]}/{digest}.jpg" for digest in digests],
            "format": ["JPEG"] * len(urls),
            **{name: [1_000] * len(urls) for name in ("bytes", "width", "height")},
            **{name: [f"{value:016x}" for value in hashes[row]] for row, name in enumerate(("phash", "dhash"))},
            "stored_at": [utc_now()] * len(urls),
            "file_sha256": digests,
            "pixel_sha256": digests,
            "contrast": [50.0] * len(urls),
        },
    }
    for table, columns in tables.items():
        missing = {c.name: pa.nulls(len(urls)) for c in warehouse.schema[table].columns if c.name not in columns}
        if urls:
            warehouse.append(table, arrow_table({**columns, **missing}))
    return digests


def table_of(name: str, results: Mapping[int, Mapping[str, Any]]) -> str:
    """CPU seconds and peak memory by step and size, and how many times as much as for the smallest size."""
    sizes = sorted(results)
    smallest = sizes[0]
    steps = list(dict.fromkeys(step for size in reversed(sizes) for step in results[size]["parts"]))
    none = {"cpu": 0.0, "megabytes": 0.0}
    found = {step: [results[size]["parts"].get(step, none) for size in sizes] for step in steps}
    large = {step: costs for step, costs in found.items() if max(cost["cpu"] for cost in costs) >= SMALL_STEP}
    small = [costs for step, costs in found.items() if step not in large]
    lines = {
        **dict(sorted(large.items(), key=lambda line: -line[1][-1]["cpu"])),
        f"{len(small)} others": [
            {"cpu": sum(own["cpu"] for own in costs), "megabytes": max((own["megabytes"] for own in costs), default=0)}
            for costs in (zip(*small, strict=True) if small else [()] * len(sizes))
        ],
        "outside": [
            {
                "cpu": results[size]["cpu"] - sum(cost["cpu"] for cost in results[size]["parts"].values()),
                "megabytes": 0.0,
            }
            for size in sizes
        ],
        "**all**": [results[size] for size in sizes],
    }
    headers = [f"{name}, CPU s", f"{smallest:,}"]
    for size in sizes[1:]:
        headers += [f"{size:,}", "×"]
    headers.append("peak MB")
    rows = []
    for step, costs in lines.items():
        cells = [step, f"{costs[0]['cpu']:.1f}"]
        for cost in costs[1:]:
            cells += [f"{cost['cpu']:.1f}", f"{cost['cpu'] / costs[0]['cpu']:.1f}" if costs[0]["cpu"] > 0.05 else "–"]
        rows.append([*cells, f"{costs[-1]['megabytes']:,.0f}" if costs[-1]["megabytes"] else ""])
    return markdown.table(headers, rows)


def targets(results: Mapping[str, Mapping[int, Mapping[str, Any]]], new: int) -> Iterator[str]:
    """One line for each thing that must not grow."""
    for name, aim in ((NEW, " (target < 2)"), (LABELS, ""), (AGAIN, "")):
        if len(found := results.get(name, {})) > 1:
            small, large = min(found), max(found)
            what = "nothing new" if name == AGAIN else f"+{new}" + (", their labels" if name == LABELS else "")
            ratio = found[large]["cpu"] / found[small]["cpu"]
            yield f"* {what} at {large:,} / at {small:,} = {ratio:.2f}{aim}"
    if len(found := results.get(FIRST, {})) > 1:
        small, large = min(found), max(found)
        ratio = (found[large]["cpu"] / large) / (found[small]["cpu"] / small)
        yield f"* first load per post at {large:,} / at {small:,} = {ratio:.2f}"
    for name, found in results.items():
        large = max(found)
        part, cost = max(found[large]["parts"].items(), key=lambda part: part[1]["megabytes"])
        yield f"* {name} at {large:,}: peak {cost['megabytes'] / 1000:.2f} GB ({part}), {found[large]['seconds']:.0f} s"


def main() -> None:
    """Go through the phases for each size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--new", type=int, default=100, help="posts that come later")
    parser.add_argument("--predictors", nargs="+", default=list(PREDICTORS))
    parser.add_argument("--pictures", type=float, default=0.1, help="share of the posts with a stored picture")
    parser.add_argument("--no-networks", action="store_true", help="only what needs no network, and no predictors")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument("--homes", type=Path, help="keep the homes there, and go on with those that are there")
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        size = options.posts[0]
        print(json.dumps(phase(options.phase, size, options.new, options.pictures, networks=not options.no_networks)))
        return
    results: dict[str, dict[int, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for size in sorted(options.posts):
            home = (options.homes or Path(temporary)).absolute() / f"growth-{size}"
            home.mkdir(parents=True, exist_ok=True)
            deployment = Deployment(home, sandbox_variables(home, _NOWHERE, **variables(options.predictors)))
            arguments = ["--posts", str(size), "--new", str(options.new), "--pictures", str(options.pictures)]
            arguments += ["--no-networks"] * options.no_networks
            for name in options.phases:
                done, _ = own_process(__file__, "--phase", name, *arguments, environment=deployment.full_environment)
                results.setdefault(name, {})[size] = done
                print(f"== {size:,}, {name}: {done['cpu']:.0f} CPU s, {done['megabytes']:.0f} MB", file=sys.stderr)
    print(f"{os.cpu_count()} CPUs; predictors: {', '.join(options.predictors)}\n")
    for name, found in results.items():
        print(f"{table_of(name, found)}\n")
    print("\n".join(targets(results, options.new)))


def variables(predictors: Sequence[str]) -> dict[str, str]:
    """The settings that differ from those of other deployments of tests."""
    return {
        "REDPOP_SUBREDDITS": ",".join(COMMUNITIES),
        "REDPOP_FETCH_IMAGES": "false",
        "REDPOP_PREDICTORS": ",".join(predictors),
    }


if __name__ == "__main__":
    main()
