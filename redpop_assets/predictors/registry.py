"""Which predictors there are: name -> class, imported when asked for. Light: neither torch nor lightgbm is loaded."""

from importlib import import_module
from pathlib import Path

from redpop_assets.errors import ArtifactError
from redpop_assets.predictors.base import Predictor, read_description

_LISTED = {
    "subreddit_median": "redpop_assets.predictors.subreddit_median:SubredditMedian",
    "metadata_boosting": "redpop_assets.predictors.metadata_boosting:MetadataBoosting",
    "redpop_thesis": "redpop_assets.predictors.redpop_thesis:RedPopThesis",
    "fusion_lightgbm": "redpop_assets.predictors.fusion:FusionLightGBM",
}

_UNLISTED = {
    "subreddit_hour_median": "redpop_assets.predictors.subreddit_hour_median:SubredditHourMedian",
    "author_past_mean": "redpop_assets.predictors.author_past_mean:AuthorPastMean",
    "tfidf_ridge": "redpop_assets.predictors.tfidf_ridge:TfIdfRidge",
    "frozen_cnn_ridge": "redpop_assets.predictors.frozen_cnn_ridge:FrozenCnnRidge",
    "past_neighbours": "redpop_assets.predictors.past_neighbours:PastNeighbours",
    "late_fusion": "redpop_assets.predictors.late_fusion:LateFusion",
    "iipa": "redpop_assets.predictors.iipa:IntrinsicPopularity",
    "like_to_follower": "redpop_assets.predictors.like_to_follower:LikeToFollower",
    "sentiment_context": "redpop_assets.predictors.sentiment_context:SentimentContext",
    "con_soc_rf": "redpop_assets.predictors.con_soc:ConSocForest",
    "con_soc_cnn": "redpop_assets.predictors.con_soc:ConSocCNN",
    "con_soc_image": "redpop_assets.predictors.con_soc:ConSocImage",
    "con_soc_multimodal": "redpop_assets.predictors.con_soc:ConSocMultimodal",
    "learn_deeply": "redpop_assets.predictors.learn_deeply:LearnDeeply",
    "vscnn": "redpop_assets.predictors.vscnn:VSCNN",
    "feature_fusion": "redpop_assets.predictors.feature_fusion:FeatureFusion",
    "dual_attention": "redpop_assets.predictors.dual_attention:DualAttention",
    "catboost_fusion": "redpop_assets.predictors.catboost_fusion:CatBoostFusion",
    "multimodal_mlp": "redpop_assets.predictors.multimodal_mlp:MultimodalMLP",
    "stack": "redpop_assets.predictors.stack:Stack",
    "like_to_follower_buckets": "redpop_assets.predictors.like_to_follower:LikeToFollowerBuckets",
    "learn_deeply_metadata": "redpop_assets.predictors.learn_deeply:LearnDeeplyMetadata",
    "learn_deeply_objects": "redpop_assets.predictors.learn_deeply:LearnDeeplyObjects",
    "learn_deeply_aesthetics": "redpop_assets.predictors.learn_deeply:LearnDeeplyAesthetics",
    "learn_deeply_metadata_objects": "redpop_assets.predictors.learn_deeply:LearnDeeplyMetadataObjects",
    "learn_deeply_metadata_aesthetics": "redpop_assets.predictors.learn_deeply:LearnDeeplyMetadataAesthetics",
    "learn_deeply_objects_aesthetics": "redpop_assets.predictors.learn_deeply:LearnDeeplyObjectsAesthetics",
    **{
        f"dual_attention_{variant}": f"redpop_assets.predictors.dual_attention:{name}"
        for variant, name in {
            "visual": "Visual",
            "textual": "Textual",
            "early": "Early",
            "late": "Late",
            "ccr": "Ccr",
            "similarity": "Similarity",
            "explicit": "Explicit",
            "env": "Env",
            "env_implicit": "EnvImplicit",
            "explicit_env": "ExplicitEnv",
        }.items()
    },
}
"""Systems that are not yet compared on the leaderboard, and baselines and ablations of a system for its own tables:
found by name like all others, but neither assets nor on the leaderboard."""


def predictor_names() -> tuple[str, ...]:
    """All predictors but the variants, simplest first."""
    return tuple(_LISTED)


def predictor_variants(name: str) -> tuple[str, ...]:
    """Baselines and ablations that belong to a predictor, in the order of its paper's tables; none for most."""
    return tuple(variant for variant in _UNLISTED if variant.startswith(f"{name}_"))


def predictor_class(name: str) -> type[Predictor]:
    """The class behind a name, a variant's too; its attributes (title, requires, uses, ...) need no heavy library.

    Raises:
        ValueError: there is no such predictor.
    """
    known = _LISTED | _UNLISTED
    if name not in known:
        raise ValueError(f"no predictor {name!r}; there are {', '.join(_LISTED)}")
    module, attribute = known[name].split(":")
    found: type[Predictor] = getattr(import_module(module), attribute)
    return found


def load_predictor(folder: Path) -> Predictor:
    """Read whichever predictor is stored in `folder`.

    Raises:
        ArtifactError: missing, damaged, of another code version, or of a predictor that does not exist (any more).
    """
    name = read_description(folder)["name"]
    if name not in _LISTED | _UNLISTED:
        raise ArtifactError(f"{folder} holds {name!r}, which is no predictor here; there are {', '.join(_LISTED)}")
    return predictor_class(name).load(folder)
