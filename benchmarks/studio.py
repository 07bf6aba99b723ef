"""What an answer about a draft takes, beside the forward passes of the networks that it cannot do without.

A home of its own is filled without a graph: ten communities whose features are noise, in which predictors are trained,
and then a long history of posts with labels, vectors and perceptual hashes. Its published file is opened as the studio
opens it, and its predictors are asked (`redpop_assets.refresh.new_post`, `draft`): another title, another time, another
community, another picture; all hours of a week; ten titles in ten communities; ten people at once. HTTP is not part of
it.

Each line says how long half and 95 of 100 questions take, and what share of its budget the latter is: twice the forward
passes that the question needs (of the same run), and what decoding takes, and some milliseconds for the rest. Below
stand what the first answer takes, and how memory grows over many questions. Progress goes to stderr, Markdown to
stdout.

    python benchmarks/studio.py [--posts 1000 100000] [--predictors NAME ...] [--questions 100] [--memory 10000]
"""

import argparse
import hashlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from redpop_assets import markdown
from redpop_assets.encoders.base import CODE_VERSION, Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import BLOCKS
from redpop_assets.images.decode import open_rgb
from redpop_assets.predictors.registry import predictor_names
from redpop_assets.refresh.draft import answer
from redpop_assets.refresh.new_post import Draft, Drafts, Picture
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.speakers import Speakers
from redpop_assets.refresh.training_set import refresh_training_set
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.edition import Edition
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.filled import ENCODERS, fill_community

PREDICTORS = ("metadata_boosting", "past_neighbours", "catboost_fusion")
NETWORKS = Encoders(
    "timm:tf_efficientnet_lite0/bundled", "sentence_transformers:all-MiniLM-L6-v2/bundled", entities="bundled"
)
WIDTHS = {"image": 1280, "caption": 384}
MATURED_AFTER = timedelta(days=9)
LEARNT_FROM = 300  # posts of each community that have features, and that predictors are trained on
PICTURES = 0.1  # share of the posts of the history with a picture
SLACK = 50.0  # ms besides the forward passes
SLACK_OF_PICTURE = 100.0
PEOPLE = 10
HOURS = 168
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)  # when the last post of a community is made
_CHUNK = 20_000
WORDS = ("lake", "old", "cat", "morning", "first", "home", "garden", "light", "after", "rain", "found", "winter")


def home(folder: Path, communities: Sequence[str], posts: int, predictors: Sequence[str]) -> ModelStore:
    """Fill a home, train in each community, give the first one so many posts, and publish."""
    warehouse, models = Warehouse(folder, source="benchmark", lock_timeout=30), ModelStore(folder / "models")
    widths = {
        f"features.{table}": WIDTHS[kind]
        for kind in WIDTHS
        for table in (f"{kind}_embeddings.embedding", f"environments.{kind}_mean")
    }
    encoders = Encoders(**{**vars(ENCODERS), **{k: v for k, v in vars(NETWORKS).items() if v}})
    for number, name in enumerate(communities):
        fill_community(warehouse, name, posts=LEARNT_FROM, seed=number, encoders=encoders, widths=widths)
        with warehouse.write() as writer:  # what a deployment does not compute unless it is told to
            for family in BLOCKS.values():
                if family.optional:
                    writer.execute(f"DELETE FROM {family.table}")
        refresh_training_set(
            warehouse,
            name,
            NETWORKS,
            matured_after=MATURED_AFTER,
            test_share=0.2,
            validation_share=0.15,
            most=LEARNT_FROM,
            predictors=predictor_names(),
        )
        for predictor in predictors:
            state = refresh_predictor(predictor, name, warehouse, models, NETWORKS, seed=0)
            if state.row["status"] != "trained":
                sys.exit(f"{predictor} in r/{name} is {state.outcome}")
        print(f"r/{name} is trained", file=sys.stderr)
    for start in range(LEARNT_FROM, posts, _CHUNK):
        _history(warehouse, communities[0], range(start, min(start + _CHUNK, posts)))
        print(f"{min(start + _CHUNK, posts):,} posts", file=sys.stderr)
    warehouse.publish()
    return models


def _history(warehouse: Warehouse, subreddit: str, numbers: range) -> None:
    """Older posts: titles, labels, and noise for what networks would have said of them."""
    rng = np.random.default_rng(numbers.start)
    n = len(numbers)
    ids = [f"{subreddit[:2]}_{number:06}" for number in numbers]
    titles = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) + f" {number}" for number in numbers]
    captions = [hashlib.sha256(title.encode()).hexdigest() for title in titles]
    created = np.datetime64("2023-01-01", "s") + rng.integers(0, 1090 * 86_400, n).astype("timedelta64[s]")
    scores = np.expm1(np.clip(rng.normal(3, 2, n), 0, 11)).astype(np.int64)
    shown = np.flatnonzero(rng.random(n) < PICTURES)
    pictures = [hashlib.sha256(ids[row].encode()).hexdigest() for row in shown]
    urls = [f"https://i.redd.it/{post_id}.jpg" for post_id in ids]
    key = {"post_id": ids, "subreddit": [subreddit] * n}
    groups = {"duplicate_group": ids, "canonical": [True] * n}
    told = {"score": scores, "log_score": np.log1p(scores), "percentile": [0.5] * n, "score_scale": ["current"] * n}
    tables: dict[str, dict[str, Any]] = {
        "core.posts": {
            **key,
            "created_at": created,
            "author": [f"author{number}" for number in rng.integers(0, max(len(numbers) // 3, 1), n)],
            "caption": titles,
            "caption_sha256": captions,
            "kind": ["image"] * n,
            "image_urls": [[url] for url in urls],
            **{name: [False] * n for name in ("is_original_content", "over_18", "spoiler")},
            "author_present": [True] * n,
            "code_version": ["1"] * n,
        },
        "core.labels": {**key, **told, "observed_at": created, "age_at_label_hours": [192.0] * n},
        "core.duplicates": {**key, **groups},
        "core.image_fetches": {
            "url": [urls[row] for row in shown],
            "status": ["stored"] * len(shown),
            "detail": [""] * len(shown),
            "image_sha256": pictures,
            "attempts": [1] * len(shown),
            "fetched_at": created[shown],
        },
        "core.images": {
            "image_sha256": pictures,
            "path": [f"{digest}.jpg" for digest in pictures],
            "format": ["JPEG"] * len(shown),
            **{name: [1000] * len(shown) for name in ("bytes", "width", "height")},
            **{name: [f"{v:016x}" for v in rng.integers(0, 2**63, len(shown))] for name in ("phash", "dhash")},
            "stored_at": created[shown],
            "file_sha256": pictures,
            "pixel_sha256": pictures,
            "contrast": [50.0] * len(shown),
        },
    }
    for kind, column, digests, encoder in (
        ("image", "image_sha256", pictures, NETWORKS.image),
        ("caption", "caption_sha256", captions, NETWORKS.caption),
    ):
        tables[f"features.{kind}_embeddings"] = {
            column: digests,
            "encoder": [encoder] * len(digests),
            "code_version": [CODE_VERSION] * len(digests),
            "embedding": rng.normal(size=(len(digests), WIDTHS[kind])).astype(np.float32),
        }
    with warehouse.write() as writer:
        for table, columns in tables.items():
            if rows := len(next(iter(columns.values()))):
                unknown = {c.name: pa.nulls(rows) for c in warehouse.schema[table].columns if c.name not in columns}
                writer.append(table, arrow_table({**columns, **unknown}))


class Asker:
    """Who asks a predictor about drafts, each one new."""

    def __init__(self, folder: Path, models: ModelStore, predictor: str, networks: Networks) -> None:
        self.edition = Edition(folder)
        self.drafts = Drafts(self.edition, networks, MATURED_AFTER)
        self.speakers = Speakers(self.edition, models)
        self.predictor = predictor
        self._asked = 0

    def title(self) -> str:
        """One that nobody has asked about."""
        self._asked += 1
        return f"My {WORDS[self._asked % len(WORDS)]} number {self._asked}"

    def ask(
        self, subreddit: str, titles: Sequence[str], picture: Picture | None, at: datetime | Sequence[datetime] = NOW
    ) -> None:
        """What is expected of each of the titles."""
        draft: Draft = self.drafts.draft(subreddit, titles, picture, posted_at=at, author="author3")
        answer(self.speakers.of(subreddit, [self.predictor])[0], draft)


def jpeg(number: int) -> bytes:
    """A file of 1280 x 960 pixels that shows no other's picture."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    file = io.BytesIO()
    small.resize((1280, 960), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def encoders_alone() -> Networks:
    """Networks of a processor, without judges of pictures."""
    return Networks("cpu", Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get))


def milliseconds(question: Callable[[int], object], count: int) -> list[float]:
    """How long each of so many questions takes; each gets its number."""
    found = []
    for number in range(count):
        began = time.perf_counter()
        question(number)
        found.append(1000 * (time.perf_counter() - began))
    return found


def resident_megabytes() -> float:
    """Memory of this process now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def measured(
    folder: Path, models: ModelStore, predictor: str, communities: Sequence[str], questions: int, memory: int
) -> tuple[list[list[str]], list[str]]:
    """Rows of the table, and sentences, about one predictor in one home."""
    networks = encoders_alone()
    files = [jpeg(number) for number in range(questions + 1)]
    here = communities[0]
    began = time.perf_counter()
    asker = Asker(folder, models, predictor, networks)
    picture = Picture(open_rgb(files[-1]))
    asker.ask(here, [asker.title()], picture)
    first = time.perf_counter() - began
    for name in communities:  # what is prepared once, and what the first calls of a network do
        asker.ask(name, [asker.title()], picture)
        asker.ask(name, [asker.title() for _ in range(10)], picture)

    text, image = networks.text_encoder(NETWORKS.caption), networks.image_encoder(NETWORKS.image)
    of_title = float(np.median(milliseconds(lambda _: text.encode([asker.title()]), 30)))
    of_titles = float(np.median(milliseconds(lambda _: text.encode([asker.title() for _ in range(10)]), 10)))
    of_picture = float(np.median(milliseconds(lambda _: image.outputs_of([picture.image]), 10)))
    decoding = float(np.median(milliseconds(lambda number: open_rgb(files[number]), min(questions, 10))))
    title, others = asker.title(), communities[1:] or communities
    hours = [NOW + timedelta(hours=number) for number in range(HOURS)]

    def people() -> list[float]:
        def one(_: int) -> float:
            return milliseconds(lambda _: asker.ask(here, [asker.title()], picture), 1)[0]

        with ThreadPoolExecutor(PEOPLE) as pool:
            return list(pool.map(one, range(max(questions, PEOPLE))))

    def everywhere(_: int) -> None:
        titles = [asker.title() for _ in range(10)]
        for name in communities:
            asker.ask(name, titles, picture)

    few = max(questions // 10, 1)
    lines: dict[str, tuple[Callable[[], list[float]], float]] = {
        "another title": (
            lambda: milliseconds(lambda _: asker.ask(here, [asker.title()], picture), questions),
            2 * of_title + SLACK,
        ),
        "another time": (
            lambda: milliseconds(lambda n: asker.ask(here, [title], picture, NOW + timedelta(minutes=n)), questions),
            2 * of_title + SLACK,
        ),
        "another community": (
            lambda: milliseconds(lambda n: asker.ask(others[n % len(others)], [title], picture), questions),
            2 * of_title + SLACK,
        ),
        "another picture": (
            lambda: milliseconds(lambda n: asker.ask(here, [title], Picture(open_rgb(files[n]))), questions),
            2 * of_picture + decoding + SLACK_OF_PICTURE,
        ),
        f"{HOURS} hours": (
            lambda: milliseconds(lambda _: asker.ask(here, [asker.title()] * HOURS, picture, hours), few),
            2 * of_title + SLACK,
        ),
        f"10 titles in {len(communities)} communities": (
            lambda: milliseconds(everywhere, few),
            2 * of_titles + len(communities) * SLACK,
        ),
        f"another title, {PEOPLE} people at once": (people, PEOPLE * (2 * of_title + SLACK)),
    }
    rows = []
    for name, (ask, budget) in lines.items():
        took = ask()
        half, most = np.quantile(took, [0.5, 0.95])
        rows.append([predictor, name, f"{half:.0f}", f"{most:.0f}", f"{budget:.0f}", f"{most / budget:.2f}"])
        print(f"{predictor}, {name}: {half:.0f} / {most:.0f} ms", file=sys.stderr)
    passes = f"a forward pass takes {of_title:.0f} ms of a title and {of_picture:.0f} ms of a picture"
    said = [f"the first answer takes {first:.1f} s; {passes}"]
    if memory:
        for _ in range(memory // 10):
            asker.ask(here, [asker.title()], picture)
        before = resident_megabytes()
        for _ in range(memory):
            asker.ask(here, [asker.title()], picture)
        said.append(f"{memory:,} questions: memory from {before:,.0f} to {resident_megabytes():,.0f} MB")
    asker.edition.close()
    return rows, [f"* {predictor}: {sentence}" for sentence in said]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a home for each size, ask, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--predictors", nargs="+", default=list(PREDICTORS))
    parser.add_argument("--communities", type=int, default=10)
    parser.add_argument("--questions", type=int, default=100, help="of each kind")
    parser.add_argument("--memory", type=int, default=10_000, help="questions over which memory is watched; 0 for none")
    options = parser.parse_args(arguments)
    # The ids of posts begin with the first two letters.
    communities = [f"{chr(97 + number // 26)}{chr(97 + number % 26)}_pictures" for number in range(options.communities)]
    for size in options.posts:
        with tempfile.TemporaryDirectory() as folder:
            models = home(Path(folder), communities, size, options.predictors)
            ask = partial(measured, Path(folder), models, communities=communities)
            found = [
                ask(predictor=name, questions=options.questions, memory=options.memory) for name in options.predictors
            ]
        print(f"## {size:,} posts of history\n")
        headers = ["predictor", "question", "half, ms", "95 of 100, ms", "budget, ms", "share of it"]
        print(markdown.table(headers, [row for rows, _ in found for row in rows]))
        print("\n" + "\n".join(sentence for _, said in found for sentence in said) + "\n")


if __name__ == "__main__":
    main()
