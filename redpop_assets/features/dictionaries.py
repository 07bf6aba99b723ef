"""How well the posts did whose titles, or tags, had the same tokens: the title-score and tag-score of `con_soc`.

Meghawat et al. 2018 score titles and tags by dictionaries built from the corpus. A dictionary that has seen the score
of the very post predicts it well and means nothing: on pure noise its scores correlate with the target, and a predictor
trained on them fails on new posts. So each post of the train part is scored by a dictionary of the other folds, and
every other post by that of the whole train part.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Final, Self

from redpop_assets.arrays import np, npt
from redpop_assets.errors import ArtifactError

CODE_VERSION: Final = "1"
"""Raise it whenever the same posts would get other scores than before."""

SMOOTHING: Final = 10.0
"""Weight of the overall mean in the mean of a token: after that many posts a token counts for half."""

FOLDS: Final = 5
"""Folds of `time_folds`: each post of the train part is scored by four fifths of it."""

_FORMAT: Final = "redpop-dictionary"


class TargetDictionary:
    """Smoothed mean score of each token (target encoding, Micci-Barreca 2001).

    The mean of token t is (sum of the log scores of the n posts with t + k m) / (n + k), where m is the mean of all
    posts and k the smoothing. The score of a caption is the mean over its different tokens; a token that the dictionary
    has not seen stands at m, and so does a caption without tokens.

    Args:
        smoothing: k, greater than 0.

    Raises:
        ValueError: the smoothing is not greater than 0.
    """

    def __init__(self, smoothing: float = SMOOTHING) -> None:
        if not smoothing > 0:
            raise ValueError(f"smoothing must be greater than 0, and is {smoothing}")
        self.smoothing = float(smoothing)
        self.mean = 0.0
        self.token_means: dict[str, float] = {}

    def fit(
        self,
        tokens: Sequence[Sequence[str]],
        log_scores: npt.NDArray[np.floating],
        folds: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.float32]:
        """Learn from the train part and score it out of fold.

        Args:
            tokens: n captions, or lists of tags, of the train part.
            log_scores: (n,) matured log scores.
            folds: (n,) fold of each post, such as `time_folds` gives. Posts that are copies of one another must share
                one, else each would tell the score of the other.

        Returns:
            (n,) float32: the score of each post by a dictionary of the posts of the other folds. Its own log score has
            no part in it.

        Raises:
            ValueError: lengths differ, a log score is not finite, or all posts are in one fold.
        """
        scores = np.asarray(log_scores, dtype=np.float64)
        fold_of = np.asarray(folds)
        if not len(tokens) == len(scores) == len(fold_of):
            raise ValueError("tokens, log_scores and folds must have one entry per post")
        if not np.isfinite(scores).all():
            raise ValueError("log_scores are not all finite; leave posts without a label out")
        different = np.unique(fold_of)
        if len(different) < 2:
            raise ValueError("all posts are in one fold, so none can be scored by the others; give two folds at least")

        vocabulary = list(dict.fromkeys(token for caption in tokens for token in caption))
        owner, column = _incidence(tokens, {token: number for number, token in enumerate(vocabulary)})
        out_of_fold = np.zeros(len(scores))
        for fold in different:
            # Learnt anew for each fold: taking a fold's sums out of the total would leave traces in the last bits.
            mean, token_means = self._learn(owner, column, scores, fold_of != fold, len(vocabulary))
            inside = fold_of == fold
            out_of_fold[inside] = _score(owner, token_means[column], mean, len(scores))[inside]
        self.mean, means = self._learn(owner, column, scores, np.ones(len(scores), dtype=np.bool_), len(vocabulary))
        self.token_means = dict(zip(vocabulary, means.tolist(), strict=True))
        return out_of_fold.astype(np.float32)

    def transform(self, tokens: Sequence[Sequence[str]]) -> npt.NDArray[np.float32]:
        """Score posts outside of the train part by the dictionary of all of it.

        Args:
            tokens: n captions or lists of tags.

        Returns:
            (n,) float32, on the scale of the log scores.
        """
        columns = {token: number for number, token in enumerate(self.token_means)}
        owner, column = _incidence(tokens, columns)
        means = np.array([*self.token_means.values(), self.mean])
        return _score(owner, means[column], self.mean, len(tokens)).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the dictionary as JSON."""
        content = {
            "format": _FORMAT,
            "code_version": CODE_VERSION,
            "smoothing": self.smoothing,
            "mean": self.mean,
            "token_means": self.token_means,
        }
        path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a dictionary that `save` wrote.

        Raises:
            ArtifactError: there is no such file, it is damaged, or it is of another version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (content["format"], content["code_version"]) != (_FORMAT, CODE_VERSION):
                raise ArtifactError(f"{path} holds no dictionary of version {CODE_VERSION}: train again.")
            dictionary = cls(content["smoothing"])
            dictionary.mean = float(content["mean"])
            dictionary.token_means = {token: float(mean) for token, mean in content["token_means"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{path} holds no dictionary ({error}): train again.") from error
        return dictionary

    def _learn(
        self,
        owner: npt.NDArray[np.int64],
        column: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        learnt: npt.NDArray[np.bool_],
        width: int,
    ) -> tuple[float, npt.NDArray[np.float64]]:
        """Mean of the scores to learn from, and the smoothed mean of each of the `width` tokens."""
        mean = float(scores[learnt].mean())
        seen = learnt[owner]
        posts = np.bincount(column[seen], minlength=width)
        sums = np.bincount(column[seen], scores[owner[seen]], minlength=width)
        token_means: npt.NDArray[np.float64] = (sums + self.smoothing * mean) / (posts + self.smoothing)
        return mean, token_means


def time_folds(
    created_at: npt.NDArray[np.datetime64], groups: Sequence[Hashable | None], *, count: int = FOLDS
) -> npt.NDArray[np.int64]:
    """Cut the train part into folds of consecutive posts; groups stay together.

    Neighbours in time share what is in the air, so a fold is a stretch of time and not a random draw. A group, such as
    the copies of one picture, goes with its earliest post.

    Args:
        created_at: (n,) datetime64, UTC.
        groups: n group ids, None for a post that is in no group.
        count: number of folds, 2 or more.

    Returns:
        (n,) folds from 0 (earliest) to count - 1, of about equal numbers of posts.

    Raises:
        ValueError: lengths differ, a time is missing, there are fewer posts than folds, or fewer than two folds.
    """
    created = np.asarray(created_at, dtype="datetime64[s]")
    if len(created) != len(groups):
        raise ValueError("created_at and groups must have one entry per post")
    if np.isnat(created).any():
        raise ValueError("created_at has missing times; leave those posts out first")
    if count < 2 or len(created) < count:
        raise ValueError(f"{len(created)} posts cannot be cut into {count} folds; two folds of one post are the least")
    # Posts of one second go together, so that the order of the input decides nothing.
    rank = np.searchsorted(np.sort(created), created, side="left")
    folds: npt.NDArray[np.int64] = rank * count // len(created)
    earliest: dict[Hashable, int] = {}
    for group, fold in zip(groups, folds.tolist(), strict=True):
        if group is not None:
            earliest[group] = min(fold, earliest.get(group, fold))
    return np.array([fold if group is None else earliest[group] for group, fold in zip(groups, folds, strict=True)])


def _incidence(
    tokens: Sequence[Sequence[str]], columns: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of each different token of each caption; tokens without a column get the one after the last."""
    captions = [dict.fromkeys(caption) for caption in tokens]
    owner = np.repeat(np.arange(len(captions)), [len(caption) for caption in captions])
    column = [columns.get(token, len(columns)) for caption in captions for token in caption]
    return owner, np.array(column, dtype=np.int64)


def _score(
    owner: npt.NDArray[np.int64], token_means: npt.NDArray[np.float64], mean: float, count: int
) -> npt.NDArray[np.float64]:
    """Mean of the token means of each of `count` captions; `mean` for those without tokens."""
    different = np.bincount(owner, minlength=count)
    sums = np.bincount(owner, token_means, minlength=count)
    scores: npt.NDArray[np.float64] = np.where(different > 0, sums / np.maximum(different, 1), mean)
    return scores
