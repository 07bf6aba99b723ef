"""What the best forecaster could expect of a post who knows the process and had read the post at some moments.

Nobody can do better, but by luck: it is the mean of the log score under the posterior distribution that follows from
the documented process (`popularity`, `world`). Known exactly are the four terms of image, caption, time and author;
unknown are, a priori independent,

- the noise of the log score, normal (`Taste.noise_scale`);
- the pace of growth, log-normal about 10.5 hours (`PACE`);
- what shifts the share of upvotes, which follows the log score, and the talk about it, both normal.

A reading tells of them by the score, unless it is hidden in the first hour, through rounding and vote fuzzing; by the
share of upvotes, which is 1 below two points; by the comments and the crossposts, cut to whole numbers. The integral is
a sum over a grid of noise and pace; liking and talk, which are the same in all readings of a post, are integrated by
their distribution functions. Without readings it is the expectation at posting, `Post.expected_log_score`.
"""

import math
from collections.abc import Sequence

import numpy as np

from redpop_assets.sandbox.popularity import SHARES, SPREAD
from redpop_assets.sandbox.world import HIDDEN, LIKING, PACE, TALK, Post, Reading, World

_NOISES, _PACES = 801, 41
_WIDTH = 4.0  # deviations that the grid reaches to either side


def foreseen(world: World, post: Post, moments: Sequence[float]) -> float:
    """Expected log score of a post, read at these moments.

    Args:
        world: whose post it is.
        post: known in all that it shows.
        moments: Unix seconds, each when it was there already.
    """
    deviation = SPREAD * math.sqrt(SHARES["noise"])
    steps = np.linspace(-_WIDTH, _WIDTH, _NOISES)[:, None]
    paces = np.linspace(-_WIDTH, _WIDTH, _PACES)[None, :]
    log_weight = -0.5 * steps**2 - 0.5 * paces**2
    noise, pace = deviation * steps, 3600 * np.exp(math.log(PACE[0]) + PACE[1] * paces)
    log_score = post.expected_log_score + noise
    final = np.maximum(0.0, np.expm1(log_score))
    shown: set[float] = set()
    least, most = np.full(log_weight.shape, -np.inf), np.full(log_weight.shape, np.inf)
    for moment in moments:
        reading, age = world.read(post, moment), min(moment, post.removed_at) - post.created
        grown = 1 - np.exp(-((max(age, 0.0) / pace) ** 1.4))
        true = np.maximum(0.0, 1 + (final - 1) * grown)
        if moment - post.created >= HIDDEN:
            log_weight = log_weight + np.log(_fuzz(np.rint(true), reading.score))
        # A share of 1 is said of fewer than two points, and of no others.
        log_weight = np.where((true < 2) == (reading.upvote_ratio == 1.0), log_weight, -np.inf)
        if reading.upvote_ratio < 1.0:
            shown.add(reading.upvote_ratio)
        log_weight = np.where((true / 900).astype(np.int64) == reading.num_crossposts, log_weight, -np.inf)
        least, most = _talk(reading, true, least, most)
    for ratio in shown:
        middle = LIKING[0] + LIKING[1] * (sum(post.terms.values()) + noise)
        low = -np.inf if ratio <= 0.5 else (ratio - 0.005 - middle) / LIKING[2]
        high = np.inf if ratio >= 0.99 else (ratio + 0.005 - middle) / LIKING[2]
        log_weight = log_weight + np.log(np.maximum(_normal(high) - _normal(low), 1e-300))
    if len(moments):
        mass = _normal((most - TALK[0]) / TALK[1]) - _normal((least - TALK[0]) / TALK[1])
        log_weight = log_weight + np.log(np.maximum(mass, 1e-300))
    if not np.isfinite(log_weight).any():  # the grid is coarser than what the readings tell: they do not fit any of it
        return post.expected_log_score
    weight = np.exp(log_weight - log_weight.max())
    return float((weight * np.log1p(final)).sum() / weight.sum())


def _fuzz(score: np.ndarray, seen: int) -> np.ndarray:
    """Probability that a score is shown as `seen`: the vote fuzzing of `World.read`, a trace everywhere."""
    off = seen - score
    few = np.where(off == 0, (39 / 40) ** 2 + (1 / 40) ** 2, np.where(np.abs(off) == 1, 39 / 1600, 0.0))
    deviation = np.minimum(3.2, 0.45 * np.maximum(score, 1.0) ** 0.25)
    limit = np.minimum(10, np.maximum(2, score // 10))
    high = np.where(off >= limit, np.inf, off + 0.5)
    low = np.where(off <= -limit, -np.inf, off - 0.5)
    many = np.where(np.abs(off) <= limit, _normal(high / deviation) - _normal(low / deviation), 0.0)
    found = np.where(score < 10, few, many)
    if seen == 0:  # the floor hides a fuzz below it
        found = np.where(score <= 1, np.where(score == 0, 1 - 39 / 1600, 39 / 1600), found)
    return np.maximum(found, 1e-12)


def _talk(reading: Reading, true: np.ndarray, least: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which bounds the talk about a post lies, if it had so many points under so many comments."""
    follows = 0.6 * np.log1p(true)
    most = np.minimum(most, math.log1p(reading.num_comments + 1) - follows)
    if reading.num_comments:
        least = np.maximum(least, math.log1p(reading.num_comments) - follows)
    return least, np.maximum(most, least)


def _normal(value: np.ndarray | float) -> np.ndarray:
    """Distribution function of the standard normal."""
    from scipy.special import ndtr

    return np.asarray(ndtr(value))
