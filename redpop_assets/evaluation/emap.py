"""Did a multimodal predictor learn an interaction? Its projection onto sums of one function per side says so.

Hessel and Lee 2020, "Does my multimodal model learn cross-modal interactions? It's harder to tell than you might
think!" (EMNLP), section 3: the empirical multimodally-additive projection (EMAP) of a predictor f of texts t and
pictures v on n posts is

    emap(t_i, v_i) = mean_j f(t_i, v_j) + mean_j f(t_j, v_i) - mean_jk f(t_j, v_k),

the function g(t) + h(v) that is nearest to f in squared error over all n x n pairs. If f is no better than it, then
whatever f is good for, it is not an interaction of picture and text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from redpop_assets.arrays import np, npt

Doubles: TypeAlias = "npt.NDArray[np.float64]"
Rows: TypeAlias = "npt.NDArray[np.int64]"


def additive_projection(
    score: Callable[[Rows, Rows], Doubles], posts: int, *, at_once: int = 4096
) -> tuple[Doubles, Doubles]:
    """Project a predictor onto sums of a function of the text and one of the picture.

    Args:
        score: maps m row numbers of texts and m of pictures to the (m,) predictions for these pairs.
        posts: number n of posts; n x n pairs are scored.
        at_once: pairs scored in one call, at most, but at least n.

    Returns:
        (n,) predictions for the posts as they are, and (n,) of the projection.

    Raises:
        ValueError: there are no posts, or a prediction is not finite.
    """
    if posts < 1:
        raise ValueError("there is nothing to project without posts")
    texts = np.arange(posts)
    of_texts, of_pictures, own = np.zeros(posts), np.zeros(posts), np.zeros(posts)
    pictures_at_once = max(1, at_once // posts)
    for first in range(0, posts, pictures_at_once):
        pictures = np.arange(first, min(first + pictures_at_once, posts))
        found = np.asarray(score(np.tile(texts, len(pictures)), np.repeat(pictures, posts)), dtype=np.float64)
        if found.shape != (posts * len(pictures),) or not np.isfinite(found).all():
            raise ValueError("a predictor must give one finite number per pair")
        square = found.reshape(len(pictures), posts)
        of_texts += square.sum(axis=0)
        of_pictures[pictures] = square.mean(axis=1)
        own[pictures] = square[np.arange(len(pictures)), pictures]
    of_texts /= posts
    return own, of_texts + of_pictures - of_texts.mean()
