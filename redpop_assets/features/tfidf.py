"""Captions as weighted counts of their words and pairs of words, fitted on the captions of the train part.

Term frequency times inverse document frequency (Salton & Buckley 1988), smoothed as in scikit-learn: the column of a
term is its count times ln((1 + n) / (1 + captions with it)) + 1, and a row has length 1.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from redpop_assets.features.tokens import CODE_VERSION as TOKENS_VERSION
from redpop_assets.features.tokens import caption_tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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
        self._columns = {term: column for column, term in enumerate(self.terms)}

    @classmethod
    def fit(cls, captions: Sequence[str], *, least: int = LEAST_CAPTIONS) -> Self:
        """Choose the vocabulary and weigh it; it may be empty.

        Args:
            captions: n titles of the train part.
            least: captions that must have a term.
        """
        having = Counter(term for terms in _terms(captions) for term in dict.fromkeys(terms))
        frequent = sorted((term for term, count in having.items() if count >= least), key=lambda t: (-having[t], t))
        kept = sorted(frequent[:MOST_TERMS])
        counts = np.array([having[term] for term in kept], dtype=np.float64)
        return cls(kept, np.log((1 + len(captions)) / (1 + counts)) + 1)

    def transform(self, captions: Sequence[str]) -> "csr_array":
        """(n, v) float64, rows of length 1, or 0 where a caption has no term of the vocabulary."""
        from scipy.sparse import csr_array

        columns: list[int] = []
        counts: list[float] = []
        starts = [0]
        for terms in _terms(captions):
            found = Counter(self._columns[term] for term in terms if term in self._columns)
            columns.extend(found)
            counts.extend(found.values())
            starts.append(len(columns))
        at = np.array(columns, dtype=np.int64)
        values = np.array(counts, dtype=np.float64) * self.inverse_frequency[at]
        rows = np.repeat(np.arange(len(captions)), np.diff(starts))
        lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(captions)))
        matrix = csr_array((values / lengths[rows], at, np.array(starts)), shape=(len(captions), len(self.terms)))
        matrix.sort_indices()
        return matrix


def _terms(captions: Sequence[str]) -> list[list[str]]:
    """The tokens of each caption, then its pairs of neighbours."""
    return [
        [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]
        for tokens in caption_tokens(captions).tokens
    ]
