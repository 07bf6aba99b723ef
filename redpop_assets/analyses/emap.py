"""`marts.emap`: do predictors that see picture and text use them together, or do they only add up?

Sides: the picture is what was computed from it (its vector and what networks and formulas say of it, when it was seen
before, the nearest earlier pictures); the text is everything else: words, caption vector, time, author, community. How
well picture and caption agree is computed for each pair anew, from the CLIP vectors that made the column.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Finding, Model, Part, Row, Study, three
from redpop_assets.arrays import np, npt
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.evaluation.bootstrap import paired_difference, spearman_of
from redpop_assets.evaluation.emap import additive_projection
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Block, Dataset

MOST_POSTS = 250
"""Test posts that are looked at, a random sample where there are more: pairs grow with their square."""

OF_BOTH = "agreement"
Rows: TypeAlias = "npt.NDArray[np.int64]"

# Both halves of the CLIP that compares a picture with a caption.
_VECTORS = """
SELECT p.post_id, v.embedding
FROM core.posts AS p {join} AS v USING ({key})
WHERE p.subreddit = $subreddit AND v.encoder = $clip AND v.code_version = $version
"""
_JOINS = {
    "image_sha256": "JOIN core.primary_images AS i USING (post_id) JOIN features.image_embeddings",
    "caption_sha256": "JOIN features.caption_embeddings",
}


def sees_both(predictor: Predictor) -> bool:
    """Whether a fitted predictor looks at the picture and at something else."""
    sides = {
        BLOCKS[block].is_of("picture", column) for block, columns in predictor.columns.items() for column in columns
    }
    return True in sides and (False in sides or predictor.reads_captions)


def crossed(data: Dataset, texts: Rows, pictures: Rows, agreement: npt.NDArray[np.float32] | None) -> Dataset:
    """Posts that have the text side of some posts and the picture side of others.

    Args:
        data: n posts.
        texts, pictures: (m,) row numbers.
        agreement: (n, n) cosine of each text (row) with each picture (column), NaN where unknown; None for none.
    """
    blocks = {}
    for name, block in data.blocks.items():
        if name == OF_BOTH:
            blocks[name] = _agreement_block(block, texts, pictures, agreement)
            continue
        of_picture = np.array([BLOCKS[name].is_of("picture", column) for column in block.columns], dtype=np.bool_)
        values = block.values[texts]
        values[:, of_picture] = block.values[pictures][:, of_picture]
        present = block.present[pictures if of_picture.all() else texts].copy()
        if of_picture.any() and not of_picture.all():
            present &= block.present[pictures]
            values[~present] = np.nan
        blocks[name] = Block(values, block.columns, present)
    return replace(
        data,
        post_ids=tuple(f"{text}x{picture}" for text, picture in zip(texts, pictures, strict=True)),
        blocks=blocks,
        created_at=data.created_at[texts],
        log_score=None,
        captions=tuple(data.captions[row] for row in texts) if data.captions else (),
        authors=tuple(data.authors[row] for row in texts) if data.authors else (),
    )


def measure(study: Study) -> Finding:
    """One row per trained predictor that sees both sides."""
    rows = []
    for model in study.trained:
        predictor = study.load(model)
        if sees_both(predictor):
            study.progress(f"emap: {model.name} in r/{study.subreddit}")
            rows.append({"predictor": model.name, **_measure(study, model, predictor)})
    return Finding(rows, notes=() if rows else ("no trained predictor looks at picture and text",))


def _measure(study: Study, model: Model, predictor: Predictor) -> Row:
    test = study.parts(model.blocks, model.encoders)["test"]
    if len(test.data) < LEAST_POSTS:
        return {"posts": len(test.data), "reason": f"too few test posts: {len(test.data)} of {LEAST_POSTS}"}
    if len(test.data) > MOST_POSTS:
        chosen = np.sort(np.random.default_rng(study.seed).choice(len(test.data), MOST_POSTS, replace=False))
        test = Part(test.data.take(chosen), test.clusters[chosen])
    data = replace(test.data, log_score=None)
    agreement = _agreement(study, model, data) if OF_BOTH in predictor.columns else None
    own, projected = additive_projection(
        lambda texts, pictures: predictor.predict(crossed(data, texts, pictures, agreement)), len(data)
    )
    whole, additive = spearman_of(test.truth, own), spearman_of(test.truth, projected)
    gap = paired_difference(whole, additive, test.clusters, seed=study.seed)
    spread = float(own.var())
    return {
        "posts": len(data),
        **three("spearman", study.interval(whole, test.clusters)),
        **three("additive_spearman", study.interval(additive, test.clusters)),
        **three("gap", None if gap is None else gap.interval),
        "additive_share": 1.0 - float((own - projected).var()) / spread if spread > 0.0 else None,
        "reason": None if gap is not None else "the predictions, or those of the projection, order nothing",
    }


def _agreement(study: Study, model: Model, data: Dataset) -> npt.NDArray[np.float32]:
    """(n, n) cosines of captions (rows) and pictures (columns), NaN where a vector is missing."""
    sides: list[dict[str, Any]] = []
    for key in ("caption_sha256", "image_sha256"):
        found = study.warehouse.query(
            _VECTORS.format(join=_JOINS[key], key=key),
            {"subreddit": study.subreddit, "clip": model.encoders.clip, "version": ENCODING_VERSION},
        ).to_pydict()
        sides.append(dict(zip(found["post_id"], found["embedding"], strict=True)))
    if not all(sides):
        return np.full((len(data), len(data)), np.nan, dtype=np.float32)
    unknown = np.full(len(next(iter(sides[0].values()))), np.nan)
    texts, pictures = (np.array([side.get(post, unknown) for post in data.post_ids], np.float32) for side in sides)
    return np.asarray(texts @ pictures.T, dtype=np.float32)


def _agreement_block(block: Block, texts: Rows, pictures: Rows, agreement: npt.NDArray[np.float32] | None) -> Block:
    cosine = np.full(len(texts), np.nan, np.float32) if agreement is None else agreement[texts, pictures]
    from redpop_assets.refresh.blocks import make_block

    made = make_block(OF_BOTH, {"agreement": cosine, "inconsistency": np.float32(1) - cosine}, np.isfinite(cosine))
    return made.pick(block.columns)


EMAP = Analysis(
    name="emap",
    question=(
        "Does a predictor that sees picture and text use them together? Its rank correlation on the test posts beside "
        "that of its projection onto a sum of one function of the picture and one of everything else (EMAP, Hessel & "
        "Lee 2020), with the gap. A gap whose interval covers 0: what it learnt adds up."
    ),
    measure=measure,
    version="1",
    shown={
        "subreddit": "subreddit",
        "predictor": "predictor",
        "posts": "posts",
        "spearman": "Spearman",
        "additive_spearman": "additive part",
        "gap": "gap",
        "additive_share": "additive share",
        "reason": "remark",
    },
)
