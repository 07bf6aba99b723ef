"""What captions are about, as shares of topics learnt from the captions of the train part.

Latent Dirichlet allocation (Blei, Ng & Jordan 2003) by online variational Bayes (Hoffman, Blei & Bach 2010, as in
scikit-learn). Zhang et al. describe the text of a user by 400 such topics; the number here follows the data.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from redpop_assets.errors import ArtifactError
from redpop_assets.features.tokens import CODE_VERSION as TOKENS_VERSION
from redpop_assets.features.tokens import caption_tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CODE_VERSION: Final = f"1.{TOKENS_VERSION}"
"""Raise its first number whenever the same captions would give another model."""

MOST_TOPICS: Final = 400
"""Topics of the dual-attention model (Zhang et al.), which had 60,785 captions."""

CAPTIONS_PER_TOPIC: Final = 20
"""Smaller collections get one topic per so many captions."""

LEAST_CAPTIONS: Final = 3
"""A word joins the vocabulary if so many captions have it; what fewer share makes no topic."""

MOST_WORDS: Final = 10_000
"""Size of the vocabulary; the words that most captions have stay."""

_LARGEST_SHARE: Final = 0.5  # words that more captions have are about nothing
_LOOKS: Final = 200_000  # captions that training looks at in all, each caption once at least
_MOST_PASSES: Final = 20
_MINI_BATCH: Final = 512  # captions between two updates of the topics
_FORMAT: Final = "redpop-topics"


def topic_count(captions: int) -> int:
    """Number of topics for so many captions: one per `CAPTIONS_PER_TOPIC`, from 2 to `MOST_TOPICS`."""
    return max(2, min(MOST_TOPICS, captions // CAPTIONS_PER_TOPIC))


class TopicModel:
    """Topics of captions; make one with `fit` or `load`.

    Attributes:
        vocabulary: v words, emoji and tags, in the order of the columns of `weights`. English stop words and numbers
            are not among them.
        weights: (k, v) float64, pseudo-counts of the words in the topics; a row divided by its sum is a topic.
    """

    def __init__(self, vocabulary: Sequence[str], weights: npt.NDArray[np.float64]) -> None:
        self.vocabulary = tuple(vocabulary)
        self.weights = weights
        self._columns = {word: column for column, word in enumerate(self.vocabulary)}

    @classmethod
    def fit(cls, captions: Sequence[str], *, seed: int = 0) -> Self:
        """Learn topics. The same captions in the same order and the same seed give the same model.

        Args:
            captions: n titles of the train part.
            seed: of the initial topics and of the order of mini-batches.
        """
        topics = topic_count(len(captions))
        tokens = caption_tokens(captions).tokens
        vocabulary = _vocabulary(tokens)
        if not vocabulary:
            return cls((), np.zeros((topics, 0)))
        untrained = cls(vocabulary, np.zeros((topics, len(vocabulary))))
        counts = untrained._counts(tokens)
        counts = counts[np.diff(counts.indptr) > 0]
        estimator = _estimator(
            topics,
            random_state=seed,
            batch_size=_MINI_BATCH,
            max_iter=int(np.clip(_LOOKS // counts.shape[0], 1, _MOST_PASSES)),
            total_samples=counts.shape[0],
        )
        estimator.fit(counts)
        return cls(vocabulary, np.asarray(estimator.components_, dtype=np.float64))

    def transform(self, captions: Sequence[str]) -> npt.NDArray[np.float32]:
        """Share of each topic in captions; a row depends on its caption alone.

        Args:
            captions: n titles.

        Returns:
            (n, k) float32; rows sum to 1. Captions without a word of the vocabulary have equal shares.
        """
        topics = len(self.weights)
        shares = np.full((len(captions), topics), 1.0 / topics)
        counts = self._counts(caption_tokens(captions).tokens)
        known = np.flatnonzero(np.diff(counts.indptr))
        if known.size:
            shares[known] = self._trained().transform(counts[known])
        return shares.astype(np.float32)

    def top_words(self, topic: int, count: int = 10) -> tuple[str, ...]:
        """The words with the greatest weight in a topic, greatest first."""
        order = np.argsort(-self.weights[topic], kind="stable")[:count]
        return tuple(self.vocabulary[column] for column in order)

    def save(self, path: Path) -> None:
        """Write the model as one safetensors file; the vocabulary is JSON in its header."""
        from safetensors.numpy import save_file

        header = {"format": _FORMAT, "code_version": CODE_VERSION, "vocabulary": json.dumps(self.vocabulary)}
        save_file({"weights": np.ascontiguousarray(self.weights)}, path, metadata=header)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model that `save` wrote.

        Raises:
            ArtifactError: there is no such file, it is damaged, or it is of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                weights = file.get_tensor("weights") if "weights" in file.keys() else None  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{path} holds no topics ({error}): train again.") from error
        if header.get("format") != _FORMAT or header.get("code_version") != CODE_VERSION or weights is None:
            raise ArtifactError(f"{path} holds no topics of version {CODE_VERSION}: train again.")
        return cls(json.loads(header["vocabulary"]), weights)

    def _counts(self, tokens: Sequence[Sequence[str]]) -> "csr_array":
        """How often each caption has each word of the vocabulary, (n, v)."""
        from scipy.sparse import csr_array

        columns = [[self._columns[token] for token in caption if token in self._columns] for caption in tokens]
        ends = np.cumsum([0, *map(len, columns)])
        flat = np.array([column for caption in columns for column in caption], dtype=np.int64)
        counts = csr_array((np.ones(len(flat)), flat, ends), shape=(len(tokens), len(self.vocabulary)))
        counts.sum_duplicates()
        return counts

    def _trained(self) -> Any:
        """scikit-learn's estimator as it is after training, made of `weights`."""
        from scipy.special import psi

        estimator = _estimator(len(self.weights))
        estimator.components_ = self.weights
        # E[log topic], exponentiated: equation 8 of Hoffman, Blei & Bach 2010.
        estimator.exp_dirichlet_component_ = np.exp(psi(self.weights) - psi(self.weights.sum(axis=1))[:, None])
        estimator.doc_topic_prior_ = estimator.topic_word_prior_ = 1.0 / len(self.weights)
        estimator.n_features_in_ = self.weights.shape[1]
        return estimator


def _estimator(topics: int, **options: Any) -> Any:
    from sklearn.decomposition import LatentDirichletAllocation

    return LatentDirichletAllocation(n_components=topics, learning_method="online", **options)


def _vocabulary(tokens: Sequence[Sequence[str]]) -> tuple[str, ...]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    captions = Counter(token for caption in tokens for token in set(caption))
    kept = [
        token
        for token, count in captions.items()
        if LEAST_CAPTIONS <= count <= _LARGEST_SHARE * len(tokens)
        and token not in ENGLISH_STOP_WORDS
        and not token.startswith("#")
    ]
    kept.sort(key=lambda token: (-captions[token], token))
    return tuple(sorted(kept[:MOST_WORDS]))
