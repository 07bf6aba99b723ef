"""Tables whose functions are there and whose assets are not yet: nothing fills them."""

PENDING = frozenset(
    {
        "features.caption_emotions",
        "features.caption_entities",
        "features.caption_image_agreement",
        "features.caption_novelty",
        "features.caption_tokens",
        "features.community_features",
        "features.environments",
        "features.image_classes",
        "features.image_concepts",
        "features.image_grids",
        "features.image_objects",
        "features.image_scores",
        "features.image_visual",
        "features.neighbours",
        "features.profiles",
        "features.seen_before",
        "marts.feature_catalogue",
    }
)
