"""`marts.word_attention`: what `dual_attention` looks at in the posts of which it expects most and least.

Origin: figure 5 of Zhang et al. ("dual attention"): below a picture the attention to each word of its caption, and over
it the probability of the top quarter when only one of its 7 x 7 cells is seen: each cell of the grid before pooling
goes through the trained model in the place of the picture. That is no attention, but shows which parts speak for it.

The examples are the test posts with a picture of which the model is surest, either way: they show what it looks at, not
how often it is right. Maps need the grids of the image encoder (REDPOP_IMAGE_GRIDS).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from redpop_assets.analyses.drawings import attention_chart
from redpop_assets.analyses.image_categories import thumbnail
from redpop_assets.analyses.study import Analysis, Doubles, Finding, Row, Study
from redpop_assets.arrays import np, npt
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.encoders.names import EncoderName
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.systems.dual_attention import DualAttention
from redpop_assets.storage.figures import FigureStore

if TYPE_CHECKING:
    from PIL import Image

EXAMPLES: Final = 3
"""Posts at either end."""

EDGE: Final = 240
"""Longest edge of a picture in the figure (pixels)."""

_PICTURES = """
SELECT p.post_id, f.path, g.channels, g.height, g.width, g.grid
FROM core.posts AS p
JOIN core.primary_images AS i USING (post_id)
JOIN core.images AS f USING (image_sha256)
LEFT JOIN features.image_grids AS g
    ON g.image_sha256 = i.image_sha256 AND g.encoder = $encoder AND g.code_version = $version
WHERE p.post_id IN (SELECT unnest($ids)) AND NOT p.over_18 AND NOT p.spoiler
"""


def measure(study: Study) -> Finding:
    """One row per word of the examples."""
    model = next((model for model in study.trained if model.name == DualAttention.name), None)
    if model is None:
        return Finding((), notes=(f"{DualAttention.name} is not trained on the present training set",))
    predictor = study.load(model)
    assert isinstance(predictor, DualAttention)
    test = study.parts(model.blocks, model.encoders)["test"].data
    test = test.select(test.blocks["image"].present)
    pictures = {
        row["post_id"]: row
        for row in study.warehouse.query(
            _PICTURES, {"ids": list(test.post_ids), "encoder": model.encoders.image, "version": ENCODING_VERSION}
        ).to_pylist()
    }
    test = test.select(np.array([post in pictures for post in test.post_ids], dtype=np.bool_))
    if len(test) < 2 * EXAMPLES:
        return Finding((), notes=(f"too few test posts with a picture: {len(test)} of {2 * EXAMPLES}",))
    order = np.argsort(-predictor.probability(test), kind="stable")
    examples = test.take(np.concatenate([order[:EXAMPLES], order[-EXAMPLES:]]))
    name = WORD_ATTENTION.figure_name(study)
    rows: list[Row] = []
    drawn = []
    found = zip(examples.post_ids, predictor.probability(examples), predictor.word_weights(examples), strict=True)
    for at, (post, probability, words) in enumerate(found):
        rows += [
            {
                "post_id": post,
                "position": position,
                "word": word,
                "weight": weight,
                "probability": float(probability),
                "figure": FigureStore.relative(study.subreddit, name),
            }
            for position, (word, weight) in enumerate(words, start=1)
        ]
        stored = pictures[post]
        cells = None
        if stored["grid"] is not None:
            shape = (stored["channels"], stored["height"], stored["width"])
            grid = np.frombuffer(stored["grid"], dtype=np.float16).reshape(shape)
            cells = cell_probabilities(predictor, examples.take(np.array([at])), grid)
        picture = _as_seen(thumbnail(study.images.read, stored["path"], EDGE), model.encoders.image)
        drawn.append((f"{post}: probability {probability:.2f}", picture, cells, words))
    if not rows:
        return Finding((), notes=("the captions of the examples have no words",))
    title = f"r/{study.subreddit}: what {DualAttention.name} looks at, most and least promising posts"
    return Finding(rows, {name: attention_chart(drawn, title=title)})


def _as_seen(picture: Image.Image, encoder: str) -> Image.Image:
    """The middle of a picture, which is all that a network of timm sees of it, and all that its grid covers."""
    name = EncoderName.parse(encoder)
    if name.library != "timm":
        return picture
    import timm

    config = timm.get_pretrained_cfg(name.model)
    half = (1.0 if config is None else config.crop_pct) * min(picture.size) / 2
    across, down = picture.width / 2, picture.height / 2
    return picture.crop((round(across - half), round(down - half), round(across + half), round(down + half)))


def cell_probabilities(predictor: DualAttention, post: Dataset, grid: npt.NDArray[np.float16]) -> Doubles | None:
    """(h, w) probability of the top quarter if all of the picture were like one cell.

    Args:
        predictor: fitted.
        post: a single post.
        grid: (channels, h, w) features before pooling, of the encoder whose vectors the predictor knows.

    Returns:
        The map; None if the vectors of the encoder are not its pooled channels.
    """
    channels, height, width = grid.shape
    block = post.blocks["image"]
    if channels != len(block.columns):
        return None
    vectors = grid.reshape(channels, height * width).T.astype(np.float32)
    # Vectors of pictures have length 1.
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    cells = height * width
    same = post.take(np.zeros(1, dtype=np.intp))
    repeated = {
        name: Block(np.repeat(each.values, cells, axis=0), each.columns, np.repeat(each.present, cells))
        for name, each in same.blocks.items()
    }
    repeated["image"] = Block(vectors, block.columns, np.ones(cells, dtype=np.bool_))
    data = replace(
        same,
        post_ids=tuple(f"{post.post_ids[0]}-{cell}" for cell in range(cells)),
        blocks=repeated,
        created_at=np.repeat(post.created_at, cells),
        log_score=None,
        captions=post.captions * cells,
        authors=post.authors * cells,
    )
    return predictor.probability(data).reshape(height, width)


WORD_ATTENTION = Analysis(
    name="word_attention",
    question=(
        "What does dual_attention look at? The posts of the test part of which it is surest, either way: its attention "
        "to each word of the caption, and the probability of the top quarter by cell of the picture (Zhang et al., "
        "figure 5)."
    ),
    measure=measure,
    version="1",
    draws=True,
    order="subreddit, probability DESC, post_id, position",
    shows_posts=True,
    shown={
        "subreddit": "subreddit",
        "post_id": "post",
        "probability": "probability",
        "position": "position",
        "word": "word",
        "weight": "attention",
    },
)
