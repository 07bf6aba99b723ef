"""Which past posts counted for what is expected of a draft, where its predictor looks at them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from redpop_assets.features.family import Content
from redpop_assets.features.neighbours import NEIGHBOURS
from redpop_assets.predictors.systems.retrieval_attention import RetrievalAttention
from redpop_assets.refresh.draft import dataset_of
from redpop_assets.refresh.likeness import PastPost, shown
from redpop_assets.refresh.new_post import Draft
from redpop_assets.refresh.speakers import Speaker
from redpop_assets.storage.rows import Readable

MOST_COUNTED: Final = 6
"""Posts that are told."""

LEAST_WEIGHT: Final = 0.01
"""Share of attention below which a post did not count."""


@dataclass(frozen=True)
class CountedPost:
    """A past post that an expectation was drawn towards.

    Attributes:
        post: the post, and how like the draft it is in what it was found by.
        weight: its share of attention, from 0 to 1; what is left is that of the others, of the level of the community
            and of what is expected without any past post.
        added: by how much it moves the expectation (log score).
    """

    post: PastPost
    weight: float
    added: float


def counted_posts(warehouse: Readable, speaker: Speaker, post: Draft) -> tuple[CountedPost, ...]:
    """The past posts that counted most for the first row of a draft; none for predictors that do not look at any.

    Args:
        warehouse: where they are.
        speaker: whose expectation it is.
        post: the draft.

    Raises:
        WeightsUnavailable, ArtifactError: an encoder or the model cannot be loaded.
    """
    predictor = speaker.predictor
    if not isinstance(predictor, RetrievalAttention):
        return ()
    data = dataset_of(post, predictor, speaker.encoders)
    counted = predictor.counted(data)
    places: dict[str, list[int]] = {}
    for place, post_id in enumerate(post.neighbours(speaker.encoders)[0]):
        if post_id is not None:
            places.setdefault(post_id, []).append(place)
    weights = {post_id: float(counted.weights[0, own].sum()) for post_id, own in places.items()}
    most = sorted(weights, key=lambda post_id: (-weights[post_id], post_id))[:MOST_COUNTED]
    found: list[CountedPost] = []
    for post_id in (one for one in most if weights[one] >= LEAST_WEIGHT):
        own = places[post_id]
        alike: Content = "picture" if own[0] < NEIGHBOURS else "caption"
        added = float(counted.added[0, own].sum())
        for past in shown(warehouse, [(post_id, predictor.similarity(data, own[0]))], alike):
            found.append(CountedPost(past, weights[post_id], added))
    return tuple(found)
