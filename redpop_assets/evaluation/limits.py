"""What keeps a predictor from ordering posts better: too few posts, luck, or that it does not see enough.

Learning curves answer the first (Viering & Loog 2021, "The shape of learning curves"): where twice as many posts still
gained something beyond chance, more of them are likely to. Where they gained nothing worth having, either no one could
do better, since the rest is luck, or somebody who sees more could. The two are told apart by what is known of a
ceiling:

- *from above*: the correlation with what is left when luck is taken away. Only who made the posts knows it;
- *from below*: posts that show one picture twice. Their scores differ by all that is not the picture: title, hour,
  author and luck. So luck is no more than that, and somebody who knew all about the picture alone would reach at least
  r = sqrt(1 - (mean squared difference / 2) / variance) by Pearson's correlation; Spearman's is 6 / pi * asin(r / 2)
  for normal variables (Pearson 1907).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.bootstrap import Interval, replicate

if TYPE_CHECKING:
    from redpop_assets.evaluation.bootstrap import Weights

Limit = Literal["posts", "luck", "sight", "luck or sight", "cannot be told"]

WORTH_HAVING: Final = 0.02
"""Spearman: a gain that is surely below is none."""

LEAST_PAIRS: Final = 30


def limited_by(
    gain: Interval | None,
    reached: Interval | None,
    *,
    ceiling: Interval | None = None,
    at_least: Interval | None = None,
) -> Limit:
    """What limits a predictor, by intervals of 95 %; each undecided case is said to be one.

    1. The whole of the gain lies above 0: *posts*.
    2. It does not lie below `WORTH_HAVING`: *cannot be told*.
    3. It does, so the curve is flat. What is reached lies below all of the ceiling, or of what is reachable at
       least: *sight*. It overlaps with the ceiling: *luck*. Without a ceiling: *luck or sight*.

    Args:
        gain: Spearman with all posts minus that with half of them, on the same test posts.
        reached: Spearman with all posts.
        ceiling: that of somebody who knows all but luck; None where nobody knows it.
        at_least: what somebody would reach at least, of `reachable_at_least`; None where it is not known.
    """
    if gain is None or reached is None:
        return "cannot be told"
    if gain.low > 0.0:
        return "posts"
    if gain.high >= WORTH_HAVING:
        return "cannot be told"
    if any(bound is not None and reached.high < bound.low for bound in (ceiling, at_least)):
        return "sight"
    return "luck or sight" if ceiling is None else "luck"


def reachable_at_least(
    log_scores: npt.NDArray[np.float64], groups: Sequence[str], *, seed: int = 0
) -> tuple[Interval | None, int]:
    """Spearman that somebody who knows all about pictures would reach at least, and the pairs of posts that tell.

    Args:
        log_scores: (n,) of the posts of one community, in the order of time.
        groups: (n,) duplicate groups: posts of one show one picture.
        seed: of the bootstrap over groups.

    Returns:
        The interval, None for fewer than `LEAST_PAIRS` pairs; each post is paired with the one before it in its group.
    """
    before: dict[str, int] = {}
    pairs = []
    for row, group in enumerate(groups):
        if group in before:
            pairs.append((before[group], row))
        before[group] = row
    if len(pairs) < LEAST_PAIRS:
        return None, len(pairs)
    first, second = np.array(pairs).T
    halves = (log_scores[first] - log_scores[second]) ** 2 / 2.0
    variance = max(float(np.var(log_scores)), 1e-12)

    def statistic(weights: Weights) -> npt.NDArray[np.float64]:
        other = weights @ halves / np.maximum(weights.sum(axis=1), 1.0) / variance
        known = np.sqrt(np.clip(1.0 - other, 0.0, 1.0))
        return np.asarray(6.0 / math.pi * np.arcsin(known / 2.0))

    clusters = np.unique(np.array([groups[row] for row in second]), return_inverse=True)[1].astype(np.int64)
    return replicate((statistic,), clusters, seed=seed)[0].interval(), len(pairs)
