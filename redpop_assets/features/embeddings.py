"""What image and caption encoders say: vectors, classes, spatial grids. The networks themselves are in encoders/.

The graph runs several encoders in one pass over the pictures (`redpop_assets.refresh.embeddings`); `compute` here asks
a single one, for a post that is not made yet.
"""

from __future__ import annotations

from typing import Final

from redpop_assets.encoders.base import CODE_VERSION
from redpop_assets.features.family import Encoders, Family, Features, Subjects


def _image_vectors(subjects: Subjects, encoders: Encoders) -> Features:
    return {"embedding": subjects.vectors("picture", encoders.image)}


def _caption_vectors(subjects: Subjects, encoders: Encoders) -> Features:
    return {"embedding": subjects.vectors("caption", encoders.caption)}


def _probabilities(subjects: Subjects, encoders: Encoders) -> Features | None:
    found = subjects.probabilities(encoders.objects)
    return None if found is None else {"probabilities": found}


def _grids(subjects: Subjects, encoders: Encoders) -> Features | None:  # noqa: ARG001
    return None  # kept for predictors that read them from the warehouse; no block is made of them


IMAGE: Final = Family(
    "image",
    "features.image_embeddings",
    "picture",
    CODE_VERSION,
    _image_vectors,
    networks=(("encoder", "image"),),
    step="image_networks",
    also_compared=("clip",),
    on_device=True,
    note="One vector per stored picture and image encoder (REDPOP_IMAGE_ENCODER and those beside it), L2-normalised. "
    "A picture is read and decoded once for all encoders that have yet to see it.",
)
CLASSES: Final = Family(
    "classes",
    "features.image_classes",
    "picture",
    CODE_VERSION,
    _probabilities,
    networks=(("encoder", "objects"),),
    step="image_networks",
    block=False,
    on_device=True,
    note="Where an image encoder has a classifier, from the pass that makes its vectors.",
)
GRIDS: Final = Family(
    "grids",
    "features.image_grids",
    "picture",
    CODE_VERSION,
    _grids,
    networks=(("encoder", "image"),),
    step="image_networks",
    block=False,
    compared=False,
    on_device=True,
    note="Where REDPOP_IMAGE_GRIDS asks for them, from the pass that makes the vectors.",
)
CAPTION: Final = Family(
    "caption",
    "features.caption_embeddings",
    "caption",
    CODE_VERSION,
    _caption_vectors,
    networks=(("encoder", "caption"),),
    also_compared=("clip",),
    on_device=True,
    note="One vector per caption and caption encoder (REDPOP_CAPTION_ENCODER, and the words' half of the CLIP), "
    "L2-normalised. Only captions without a vector of this encoder and code version are encoded.",
)
