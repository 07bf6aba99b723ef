"""What learning whom to listen to adds over the same network without neighbours, with the controls that it must beat.

For each community the Spearman correlation with the later scores, its paired difference from that of
`retrieval_attention_alone` with an interval of 95 % over authors, and the share of attention that neighbours get:

- planted communities (`redpop_assets.testing.planted`): one where what a subject is worth drifts, so that past posts
  alone tell it; the same where all subjects are worth the same, so that neighbours tell nothing; and the community with
  effects of content, hour and author that the tests of all predictors use;
- `--titles FOLDER`: the newest posts of r/dataisbeautiful from such files as `benchmarks/dataisbeautiful.py` reads, by
  title, hour, author's past and what earlier titles tell, without the graph: no picture is at hand;
- `--home HOME`: the communities of a deployment, such as the demo's, with all features that are stored there.

Run: `python benchmarks/retrieval.py [--seeds 2] [--titles FOLDER] [--posts 6000] [--home HOME]`
"""

import argparse
import csv
import gzip
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from redpop_assets import markdown
from redpop_assets.evaluation.bootstrap import author_clusters, interval, paired_difference, spearman_of
from redpop_assets.evaluation.metrics import log_score
from redpop_assets.evaluation.splits import time_split
from redpop_assets.features.authors import author_features
from redpop_assets.features.community import community_features
from redpop_assets.features.neighbours import neighbour_features
from redpop_assets.features.retrieved import retrieved_features
from redpop_assets.features.timestamps import timestamp_features
from redpop_assets.features.title_past import title_past_features
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.testing.planted import make_drifting, make_planted

ALONE = "retrieval_attention_alone"
NAMES = (
    *(ALONE, "retrieval_attention", "retrieval_attention_similarity", "retrieval_attention_shuffled"),
    *("past_neighbours", "multimodal_mlp"),
)
AGE = np.timedelta64(7, "D")
ENCODER = "sentence_transformers:all-MiniLM-L6-v2/bundled"

Parts = tuple[Dataset, Dataset, Dataset]


def planted(seeds: int) -> Iterator[tuple[str, Parts]]:
    """The communities whose truth is known."""
    for seed in range(seeds):
        for name, made in (
            ("drifting subjects", make_drifting(seed)),
            ("subjects worth the same", make_drifting(seed, share=0.0)),
            ("content, hour and author", make_planted(seed, image_width=64, caption_width=32)),
        ):
            yield f"{name}, seed {seed}", (made.train, made.validation, made.test)


def titles(folder: Path, most: int) -> Iterator[tuple[str, Parts]]:
    """The newest posts of the files, without pictures."""
    from redpop_assets.encoders.load import load_text_encoder

    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.csv.gz"), reverse=True):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
        if len(rows) >= most:
            break
    # The id is the seventh part of the address.
    by_id = {row["full_permalink"].split("/")[6]: row for row in rows}
    rows = sorted(by_id.values(), key=lambda row: row["created_date"])[-most:]
    created = np.array([row["created_date"].replace(" ", "T") for row in rows], dtype="datetime64[s]")
    ids = [row["full_permalink"].split("/")[6] for row in rows]
    authors = [None if row["author"] in ("", "[deleted]") else row["author"] for row in rows]
    scores = log_score(np.array([float(row["score"]) for row in rows]))
    captions = [row["title"][:300] for row in rows]
    vectors = np.asarray(load_text_encoder(ENCODER, device="cpu").encode(captions), dtype=np.float32)
    nothing = np.full((len(rows), 1), np.nan, dtype=np.float32)
    known = (ids, created, created + AGE, scores)
    blocks = {
        "caption": Block.of({"embedding": vectors}),
        "time": Block.of(timestamp_features(created)),
        "author": Block.of(author_features(ids, authors, *known[1:])),
        "community": Block.of(community_features(ids, authors, *known[1:])),
        "title_past": Block.of(title_past_features(*known, caption_tokens(captions).tokens, vectors)),
        "neighbours": Block.of(neighbour_features(*known, nothing, vectors)),
        "retrieved": Block.of(retrieved_features(*known, authors, nothing, vectors)),
    }
    data = Dataset(
        *("dataisbeautiful", tuple(ids), blocks, created, scores.astype(np.float32)),
        captions=tuple(captions),
        authors=tuple(authors),
    )
    split = time_split(created, created + AGE, ids, test_share=0.2, validation_share=0.15)
    train, validation, test = (data.select(split == part) for part in ("train", "validation", "test"))
    yield f"r/dataisbeautiful, newest {len(data):,}", (train, validation, test)


def deployment(home: Path) -> Iterator[tuple[str, Parts]]:
    """The communities of a home."""
    os.environ["REDPOP_HOME"] = str(home)
    from redpop_assets.refresh.training_set import read_split, training_sets
    from redpop_assets.resources import deployed_encoders, open_warehouse
    from redpop_assets.settings import load_settings

    settings = load_settings()
    warehouse = open_warehouse(settings)
    for subreddit in training_sets(warehouse):
        data, split = read_split(warehouse, subreddit, deployed_encoders(settings))
        train, validation, test = (data.select(split == part) for part in ("train", "validation", "test"))
        yield f"r/{subreddit}", (train, validation, test)


def compared(title: str, parts: Parts, names: list[str]) -> str:
    """The table of one community."""
    train, validation, test = parts
    clusters = author_clusters(test.authors)
    alone, lines = None, []
    for name in names:
        predictor = predictor_class(name)(seed=7)
        began = time.process_time()
        predictor.fit(train, validation)
        seconds = time.process_time() - began
        predicted = predictor.predict(test)
        statistic = spearman_of(test.labels, predicted)
        alone = statistic if name == ALONE else alone
        found = interval(statistic, clusters)
        gap = None if name == ALONE or alone is None else paired_difference(statistic, alone, clusters)
        gate = predictor.counted(test).gate.mean() if hasattr(predictor, "counted") else None
        lines.append(
            (
                name,
                "–" if found is None else markdown.interval(found.estimate, found.low, found.high),
                "–" if gap is None else markdown.interval(gap.interval.estimate, gap.interval.low, gap.interval.high),
                markdown.number(float(np.abs(predicted - test.labels).mean())),
                "–" if gate is None else f"{gate:.2f}",
                f"{seconds:.1f}",
            )
        )
    head = ("predictor", "Spearman", "against it alone, paired", "MAE", "share of neighbours", "CPU seconds")
    return f"{title}: {len(train):,} posts to learn from, {len(test):,} later ones\n\n{markdown.table(head, lines)}\n"


def main() -> None:
    """Print a table for each community."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="planted communities of each kind")
    parser.add_argument("--titles", type=Path, help="folder with 2012.csv.gz to 2023.csv.gz")
    parser.add_argument("--posts", type=int, default=6_000, help="of these files, the newest")
    parser.add_argument("--home", type=Path, help="REDPOP_HOME of a deployment")
    parser.add_argument("--predictor", nargs="+", default=list(NAMES))
    options = parser.parse_args()
    for title, parts in planted(options.seeds):
        print(compared(title, parts, options.predictor), flush=True)
    if options.titles:
        for title, parts in titles(options.titles, options.posts):
            print(compared(title, parts, options.predictor), flush=True)
    if options.home:
        for title, parts in deployment(options.home):
            print(compared(title, parts, options.predictor), flush=True)


if __name__ == "__main__":
    main()
