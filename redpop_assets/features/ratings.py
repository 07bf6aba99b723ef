"""What trained judges say of a picture: intrinsic popularity (IIPA), ratings (NIMA), beauty (a head on CLIP).

Judges write features.image_scores, a row each; predictors read the view that puts them side by side.
"""

from __future__ import annotations

from typing import Final

from redpop_assets.arrays import np
from redpop_assets.encoders.heads import CODE_VERSION, VectorScorer
from redpop_assets.features.family import Encoders, Family, Features, Floats, Subjects

_RATINGS: Final = {
    "iipa": {"score": "intrinsic_popularity"},
    "nima": {"score": "rating", "spread": "rating_spread"},
    "aesthetic": {"score": "aesthetic"},
}
"""Judge -> its columns -> those of features.image_ratings."""


def _ratings(subjects: Subjects, _: Encoders) -> Features:
    """What all judges say; NaN where there is no judge."""
    count = len(subjects)
    found: dict[str, Floats] = {
        column: np.full(count, np.nan, np.float32) for columns in _RATINGS.values() for column in columns.values()
    }
    judges = subjects.networks.kept("judges", lambda: list(subjects.networks.judges.load()))
    for judge, encoder in judges:
        if isinstance(judge, VectorScorer):
            scores = judge.score_vectors(subjects.vectors("picture", encoder))
        else:
            scores = judge.score(subjects.pictures())
        for name, column in _RATINGS[judge.name].items():
            found[column] = scores[name]
    return found


FAMILY: Final = Family(
    "ratings",
    "features.image_ratings",
    "picture",
    CODE_VERSION,
    _ratings,
    made_from=("features.image_embeddings",),
    filled="features.image_scores",
    on_device=True,
    note="Only by the judges whose weights are named: REDPOP_IIPA_WEIGHTS, REDPOP_NIMA_WEIGHTS, "
    "REDPOP_AESTHETIC_WEIGHTS. Scores by other weights than the present ones are removed.",
)
