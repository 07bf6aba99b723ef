"""Which predictors there are: name -> class, imported when asked for. Light: neither torch nor lightgbm is loaded."""

from importlib import import_module
from pathlib import Path

from redpop_assets.errors import ArtifactError
from redpop_assets.predictors.base import Predictor, read_description

MEDIAN = "subreddit_median"
"""What everybody else is compared with: it is always in the table."""

_SYSTEMS = {
    "subreddit_median": "redpop_assets.predictors.systems.subreddit_median:SubredditMedian",
    "global_median": "redpop_assets.predictors.systems.global_median:GlobalMedian",
    "subreddit_hour_median": "redpop_assets.predictors.systems.subreddit_hour_median:SubredditHourMedian",
    "author_past_mean": "redpop_assets.predictors.systems.author_past_mean:AuthorPastMean",
    "metadata_boosting": "redpop_assets.predictors.systems.metadata_boosting:MetadataBoosting",
    "tfidf_ridge": "redpop_assets.predictors.systems.tfidf_ridge:TfIdfRidge",
    "frozen_cnn_ridge": "redpop_assets.predictors.systems.frozen_cnn_ridge:FrozenCnnRidge",
    "late_fusion": "redpop_assets.predictors.systems.late_fusion:LateFusion",
    "redpop_thesis": "redpop_assets.predictors.systems.redpop_thesis:RedPopThesis",
    "iipa": "redpop_assets.predictors.systems.iipa:IntrinsicPopularity",
    "like_to_follower": "redpop_assets.predictors.systems.like_to_follower:LikeToFollower",
    "vscnn": "redpop_assets.predictors.systems.vscnn:VSCNN",
    "sentiment_context": "redpop_assets.predictors.systems.sentiment_context:SentimentContext",
    "feature_fusion": "redpop_assets.predictors.systems.feature_fusion:FeatureFusion",
    "con_soc_rf": "redpop_assets.predictors.systems.con_soc:ConSocForest",
    "con_soc_cnn": "redpop_assets.predictors.systems.con_soc:ConSocCNN",
    "con_soc_image": "redpop_assets.predictors.systems.con_soc:ConSocImage",
    "con_soc_multimodal": "redpop_assets.predictors.systems.con_soc:ConSocMultimodal",
    "learn_deeply": "redpop_assets.predictors.systems.learn_deeply:LearnDeeply",
    "dual_attention": "redpop_assets.predictors.systems.dual_attention:DualAttention",
    "past_neighbours": "redpop_assets.predictors.systems.past_neighbours:PastNeighbours",
    "catboost_fusion": "redpop_assets.predictors.systems.catboost_fusion:CatBoostFusion",
    "multimodal_mlp": "redpop_assets.predictors.systems.multimodal_mlp:MultimodalMLP",
    "fusion_lightgbm": "redpop_assets.predictors.systems.fusion:FusionLightGBM",
    "pooled_fusion": "redpop_assets.predictors.systems.pooled:PooledFusion",
    "stack": "redpop_assets.predictors.systems.stack:Stack",
}
"""Baselines, then the published systems in the order of their papers, then what came later."""

_VARIANTS = {
    "pooled_fusion_metadata": "redpop_assets.predictors.systems.pooled:PooledFusionMetadata",
    "feature_fusion_literal": "redpop_assets.predictors.systems.feature_fusion:FeatureFusionLiteral",
    "con_soc_rf_literal": "redpop_assets.predictors.systems.con_soc:ConSocForestLiteral",
    "con_soc_cnn_literal": "redpop_assets.predictors.systems.con_soc:ConSocCNNLiteral",
    "con_soc_multimodal_literal": "redpop_assets.predictors.systems.con_soc:ConSocMultimodalLiteral",
    "like_to_follower_buckets": "redpop_assets.predictors.systems.like_to_follower:LikeToFollowerBuckets",
    "learn_deeply_metadata": "redpop_assets.predictors.systems.learn_deeply:LearnDeeplyMetadata",
    "learn_deeply_objects": "redpop_assets.predictors.systems.learn_deeply:LearnDeeplyObjects",
    "learn_deeply_aesthetics": "redpop_assets.predictors.systems.learn_deeply:LearnDeeplyAesthetics",
    "learn_deeply_metadata_objects": "redpop_assets.predictors.systems.learn_deeply:LearnDeeplyMetadataObjects",
    "learn_deeply_metadata_aesthetics": "redpop_assets.predictors.systems.learn_deeply:LearnDeeplyMetadataAesthetics",
    "learn_deeply_objects_aesthetics": "redpop_assets.predictors.systems.learn_deeply:LearnDeeplyObjectsAesthetics",
    **{
        f"dual_attention_{variant}": f"redpop_assets.predictors.systems.dual_attention:{name}"
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
    "retrieval_attention": "redpop_assets.predictors.systems.retrieval_attention:RetrievalAttention",
    **{
        f"retrieval_attention_{variant}": f"redpop_assets.predictors.systems.retrieval_attention:{name}"
        for variant, name in {"alone": "Alone", "similarity": "Similarity", "shuffled": "Shuffled"}.items()
    },
}
"""Baselines and ablations of a system for its own tables, what papers do wrong (`..._literal`), and systems that have
not shown to be worth what they cost everybody: assets only if a deployment names them."""


def predictor_names() -> tuple[str, ...]:
    """All predictors but the variants: baselines, published systems, later ones."""
    return tuple(_SYSTEMS)


def variant_names() -> tuple[str, ...]:
    """All that are trained only where a deployment names them."""
    return tuple(_VARIANTS)


def predictor_variants(name: str) -> tuple[str, ...]:
    """Baselines and ablations that belong to a predictor, in the order of its paper's tables; none for most."""
    return tuple(variant for variant in _VARIANTS if variant.startswith(f"{name}_"))


def predictor_class(name: str) -> type[Predictor]:
    """The class behind a name, a variant's too; its attributes (title, requires, uses, ...) need no heavy library.

    Raises:
        ValueError: there is no such predictor.
    """
    known = _SYSTEMS | _VARIANTS
    if name not in known:
        raise ValueError(f"no predictor {name!r}; there are {', '.join(_SYSTEMS)}")
    module, attribute = known[name].split(":")
    found: type[Predictor] = getattr(import_module(module), attribute)
    return found


def load_predictor(folder: Path) -> Predictor:
    """Read whichever predictor is stored in `folder`.

    Raises:
        ArtifactError: missing, damaged, of another code version, or of a predictor that does not exist (any more).
    """
    name = read_description(folder)["name"]
    if name not in _SYSTEMS | _VARIANTS:
        raise ArtifactError(f"{folder} holds {name!r}, which is no predictor here; there are {', '.join(_SYSTEMS)}")
    return predictor_class(name).load(folder)
