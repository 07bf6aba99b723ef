"""What CLIP says of a picture, and of a title beside it, from its stored vectors; how is in `encoders.zero_shot`."""

from typing import Final

from redpop_assets.encoders import zero_shot
from redpop_assets.features.family import Encoders, Family, Features, Subjects

_WITHOUT_CLIP: Final = (
    "From the vectors of REDPOP_CLIP_ENCODER, or of the image encoder if that is a CLIP; empty without one."
)


def _concepts(subjects: Subjects, encoders: Encoders) -> Features:
    networks = subjects.networks
    prototypes = networks.kept(
        ("concepts", encoders.clip),
        lambda: zero_shot.concept_vectors(networks.text_encoder(encoders.clip), zero_shot.concept_lists()),
    )
    return zero_shot.concept_scores(subjects.vectors("picture", encoders.clip), prototypes)


def _agreement(subjects: Subjects, encoders: Encoders) -> Features:
    captions, pictures = (subjects.vectors(content, encoders.clip) for content in ("caption", "picture"))
    return zero_shot.caption_image_agreement(captions, pictures)


CONCEPTS: Final = Family(
    "concepts",
    "features.image_concepts",
    "picture",
    zero_shot.CODE_VERSION,
    _concepts,
    networks=(("encoder", "clip"),),
    made_from=("features.image_embeddings",),
    on_device=True,
    note=_WITHOUT_CLIP,
)
AGREEMENT: Final = Family(
    "agreement",
    "features.caption_image_agreement",
    "pair",
    zero_shot.CODE_VERSION,
    _agreement,
    networks=(("encoder", "clip"),),
    made_from=("features.image_embeddings", "features.caption_embeddings"),
    note=f"Once per pair of title and picture. {_WITHOUT_CLIP}",
)
