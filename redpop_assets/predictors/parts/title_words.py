"""Words and pairs of words of titles as a few numbers: TF-IDF, then the leading singular directions.

Origin: latent semantic analysis (Deerwester et al. 1990) on TF-IDF weights of one and two words, as the winner of the
SMP Challenge 2020 (HyFea) describes titles, there fitted on train and test together. Here the vocabulary, the weights
and the directions come from the train part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.features.tfidf import TfIdf

Doubles: TypeAlias = "npt.NDArray[np.float64]"

COMPONENTS = 20


@dataclass(frozen=True, eq=False)
class TitleWords:
    """Titles as at most `COMPONENTS` numbers; make one with `fit`.

    Args:
        tfidf: v terms and their weights.
        directions: (v, k) float64, the strongest first.
    """

    tfidf: TfIdf
    directions: Doubles

    @classmethod
    def fit(cls, titles: Sequence[str]) -> TitleWords:
        """From the titles of the train part; where they share too few words, k is 0."""
        from scipy.sparse.linalg import svds

        tfidf = TfIdf.fit(titles)
        table = tfidf.transform(titles)
        kept = min(COMPONENTS, min(table.shape) - 1)
        if kept < 1:
            return cls(tfidf, np.zeros((len(tfidf.terms), 0)))
        # A start of its own: the default one is random.
        _, singular, directions = svds(table, k=kept, v0=np.ones(min(table.shape)))
        strongest = np.argsort(-singular, kind="stable")
        directions = directions[strongest][singular[strongest] > 1e-9]
        signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
        return cls(tfidf, np.ascontiguousarray((directions * signs[:, None]).T))

    def transform(self, titles: Sequence[str]) -> Doubles:
        """(n, k) components; a title without a known term is a row of 0."""
        return np.asarray(self.tfidf.transform(titles) @ self.directions)
