"""Communities that are filled without a graph or a network: rows of every table that predictors learn from."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import BLOCKS
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.warehouse import Warehouse

_IMAGE_ENCODER, _CAPTION_ENCODER = "timm:resnet10t/random", "sentence_transformers:all-MiniLM-L6-v2/bundled"
ENCODERS = Encoders(
    _IMAGE_ENCODER,
    _CAPTION_ENCODER,
    clip="open_clip:ViT-S-32-alt/random",
    objects=_IMAGE_ENCODER,
    entities="bundled",
    emotions="of the test",
)
"""The encoders whose vectors `fill_community` writes."""

_FILLERS: Mapping[str, Callable[[int], Any]] = {
    "labels": lambda n: [["joy", "anger", "fear", "love"]] * n,
    "top_classes": lambda n: np.zeros((n, 5), np.int32),
}
"""What columns hold that are neither keys nor numbers to learn from."""

_WIDTHS = {
    "features.image_embeddings.embedding": 6,
    "features.environments.image_mean": 6,
    "features.caption_emotions.probabilities": 4,
}
_OTHER_WIDTH = 5  # of vectors by the caption encoder


def fill_community(
    warehouse: Warehouse,
    subreddit: str = "pics",
    *,
    posts: int = 240,
    days: int = 120,
    seed: int = 0,
    images: bool = True,
    label_scale: str = "current",
    encoders: Encoders = ENCODERS,
    widths: Mapping[str, int] = _WIDTHS,
) -> list[str]:
    """Write a community with all its features, without a graph or a network, and return the ids of its posts.

    The newest week has no labels, one picture in ten is dead, and every fortieth repeats the one before. Features are
    noise, but for the caption's number of words, which decides the score.

    Args:
        warehouse: where to; other communities may be there already.
        subreddit: its name, in lower case.
        posts: how many.
        days: the time they are spread over, from 2026-01-01 on.
        seed: of the noise.
        images: whether there are pictures, and what is made of them.
        label_scale: `score_scale` of the labels.
        encoders: whose vectors there are.
        widths: as of `noise`.
    """
    rng = np.random.default_rng(seed)
    ids = [f"{subreddit[:2]}{number:05}" for number in range(posts)]
    start = np.datetime64("2026-01-01T00:00:00", "s")
    created = start + np.sort(rng.integers(0, days * 86_400, posts)).astype("timedelta64[s]")
    titles = [f"{subreddit} {number}" for number in range(posts)]
    caption_sha256 = [hashlib.sha256(caption.encode()).hexdigest() for caption in titles]
    picture = [number - 1 if number % 40 == 39 else number for number in range(posts)]
    image_sha256 = [hashlib.sha256(f"{subreddit} image {number}".encode()).hexdigest() for number in picture]
    urls = [f"https://i.redd.it/{subreddit}{number}.jpg" for number in range(posts)]
    words = rng.normal(size=posts).astype(np.float32)
    scores = np.rint(np.expm1(np.clip(3 + 1.2 * words + 0.4 * rng.normal(size=posts), 0, 9))).astype(np.int64)
    log_scores = np.log1p(scores)

    key = {"post_id": ids, "subreddit": [subreddit] * posts}
    tables: dict[str, dict[str, Any]] = {
        "core.posts": {
            **key,
            "created_at": created,
            "author": [None if number % 50 == 7 else f"author{number % 31}" for number in range(posts)],
            "caption": titles,
            "caption_sha256": caption_sha256,
            "flair": [None] * posts,
            "kind": ["image"] * posts,
            "image_urls": [[url] for url in urls],
            "crosspost_parent": [None] * posts,
            **{name: [False] * posts for name in ("is_original_content", "over_18", "spoiler")},
            "author_present": [True] * posts,
            "removed_by_category": [None] * posts,
            "code_version": ["1"] * posts,
        }
    }
    labelled = posts - int((created > created.max() - np.timedelta64(7, "D")).sum())
    labels: dict[str, Any] = {
        **key,
        "score": scores,
        "log_score": log_scores,
        "percentile": np.argsort(np.argsort(scores)) / posts,
        "observed_at": created + np.timedelta64(8, "D"),
        "age_at_label_hours": [192.0] * posts,
        "score_scale": [label_scale] * posts,
    }
    tables["core.labels"] = {name: values[:labelled] for name, values in labels.items()}
    stored = [images and number % 10 != 3 for number in range(posts)]
    tables["core.image_fetches"] = {
        "url": urls,
        "status": ["stored" if there else "failed" for there in stored],
        "reason": [None if there else "url_dead" for there in stored],
        "detail": [""] * posts,
        "http_status": [200 if there else 404 for there in stored],
        "image_sha256": [digest if there else None for digest, there in zip(image_sha256, stored, strict=True)],
        "attempts": [1] * posts,
        "fetched_at": created,
        "next_attempt_at": pa.nulls(posts, pa.timestamp("us")),
    }
    original = [first if stored[first] and stored[number] else number for number, first in enumerate(picture)]
    tables["core.duplicates"] = {
        **key,
        "duplicate_group": [ids[first] for first in original],
        "canonical": [first == number for number, first in enumerate(original)],
        "level": [None if first == number else "bytes" for number, first in enumerate(original)],
    }
    pictures = sorted({digest for digest, there in zip(image_sha256, stored, strict=True) if there})
    for block, family in BLOCKS.items():
        if warehouse.schema[family.table].is_view or (not images and family.needs_picture):
            continue
        shown = [number for number in range(posts) if stored[number]]
        subjects: dict[str, list[str]] = {
            "post": {"post_id": ids},
            "caption": {"caption_sha256": caption_sha256},
            "picture": {"image_sha256": pictures},
            "pair": {
                "caption_sha256": [caption_sha256[number] for number in shown],
                "image_sha256": [image_sha256[number] for number in shown],
            },
        }[family.grain]
        columns = noise(warehouse, family, subjects, encoders, rng, subreddit=subreddit, widths=widths)
        if block == "text":
            columns["words"] = words
        tables[family.table] = columns
    with warehouse.write() as writer:
        for table, columns in tables.items():
            if n := len(next(iter(columns.values()))):
                unknown = {c.name: pa.nulls(n) for c in warehouse.schema[table].columns if c.name not in columns}
                writer.merge(table, arrow_table({**columns, **unknown}))
        for table, encoder in (("image", encoders.image), ("caption", encoders.caption)):
            if images or table == "caption":
                row = {
                    "encoder": encoder,
                    "modality": table,
                    "dimension": widths.get(f"features.{table}_embeddings.embedding", _OTHER_WIDTH),
                    "provenance": encoder.rpartition("/")[2],
                    "weights_sha256": "0" * 64,
                    "library": "none",
                    "first_used_at": created[0],
                    **dict.fromkeys(("backend", "precision", "batch_size", "items_per_second", "min_cosine")),
                }
                writer.merge(
                    "features.encoders",
                    arrow_table({k: np.array([v]) if k == "first_used_at" else [v] for k, v in row.items()}),
                )
    return ids


def noise(
    warehouse: Warehouse,
    family: Family,
    subjects: Mapping[str, Sequence[str]],
    encoders: Encoders,
    rng: np.random.Generator,
    *,
    subreddit: str = "",
    widths: Mapping[str, int] = _WIDTHS,
) -> dict[str, Any]:
    """The columns of a family's table, as if it had been computed: normally distributed numbers for each subject.

    Args:
        warehouse: for the shape of its tables.
        family: whose; no view.
        subjects: column of the key -> n values.
        encoders: whose outputs they count as.
        rng: of the noise.
        subreddit: of the subjects, where the table has it.
        widths: `table.column` -> length of a vector that the table leaves open; 5 for those that are not named.
    """
    definition = warehouse.schema[family.filled_table]
    n = len(next(iter(subjects.values())))
    same = {"subreddit": subreddit, "code_version": family.version, **family.named(encoders)}
    columns: dict[str, Any] = dict(subjects)
    for column in definition.columns:
        if column.name in same:
            columns[column.name] = [same[column.name]] * n
        elif column.type.startswith("FLOAT"):
            fixed = column.type.removeprefix("FLOAT").strip("[]")
            width = int(fixed or widths.get(f"{definition.name}.{column.name}", _OTHER_WIDTH))
            shape = (n,) if column.type == "FLOAT" else (n, width)
            columns[column.name] = rng.normal(size=shape).astype(np.float32)
        elif column.name not in columns and not column.nullable:
            columns[column.name] = _FILLERS[column.name](n)
    return columns
