"""Captions as weighted counts of their words and pairs of words, fitted on the captions of the train part.

Term frequency times inverse document frequency (Salton & Buckley 1988), smoothed, by scikit-learn: the column of a term
is its count times ln((1 + n) / (1 + captions with it)) + 1, and a row has length 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

from redpop_assets.arrays import np, npt
from redpop_assets.features.tokens import CODE_VERSION as TOKENS_VERSION
from redpop_assets.features.tokens import caption_tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

CODE_VERSION: Final = f"1.{TOKENS_VERSION}"
"""Raise its first number whenever the same captions would get other numbers."""

LEAST_CAPTIONS: Final = 3
"""A term joins the vocabulary if so many captions have it."""

MOST_TERMS: Final = 20_000
"""Size of the vocabulary; the terms that most captions have stay, ties in alphabetical order."""


class TfIdf:
    """A vocabulary with weights; make one with `fit`, or from what was stored.

    Args:
        terms: v words, emoji, tags, and pairs of neighbours joined by a space.
        inverse_frequency: (v,) float64.
    """

    def __init__(self, terms: Sequence[str], inverse_frequency: npt.NDArray[np.float64]) -> None:
        self.terms = tuple(terms)
        self.inverse_frequency = inverse_frequency

    @classmethod
    def fit(cls, captions: Sequence[str], *, least: int = LEAST_CAPTIONS) -> Self:
        """Choose the vocabulary and weigh it; it may be empty.

        Args:
            captions: n titles of the train part.
            least: captions that must have a term.
        """
        terms = _terms(captions)
        having = Counter(term for own in terms for term in dict.fromkeys(own))
        frequent = sorted((term for term, count in having.items() if count >= least), key=lambda t: (-having[t], t))
        kept = sorted(frequent[:MOST_TERMS])
        return cls(kept, _vectorizer(kept).fit(terms).idf_ if kept else np.zeros(0))

    def transform(self, captions: Sequence[str]) -> csr_array:
        """(n, v) float64, rows of length 1, or 0 where a caption has no term of the vocabulary."""
        from scipy.sparse import csr_array

        if not self.terms:
            return csr_array((len(captions), 0), dtype=np.float64)
        vectorizer = _vectorizer(self.terms)
        vectorizer.idf_ = self.inverse_frequency
        return csr_array(vectorizer.transform(_terms(captions)))


def _vectorizer(terms: Sequence[str]) -> TfidfVectorizer:
    """scikit-learn's, for captions that are lists of terms.

    The vocabulary is given: its own `max_features` keeps the terms that occur most, not those that most captions have,
    and cuts ties as they come.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=list, vocabulary=terms)


def _terms(captions: Sequence[str]) -> list[list[str]]:
    """The tokens of each caption, then its pairs of neighbours."""
    return [
        [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]
        for tokens in caption_tokens(captions).tokens
    ]
