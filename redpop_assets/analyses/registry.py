"""All analyses, audits first. Light: what is heavy is imported by the one that runs."""

from collections.abc import Mapping

from redpop_assets.analyses.ablation import ABLATION
from redpop_assets.analyses.emap import EMAP
from redpop_assets.analyses.errors import CALIBRATION, ERROR_SLICES
from redpop_assets.analyses.image_categories import IMAGE_CATEGORIES
from redpop_assets.analyses.learning_curves import LEARNING_CURVES
from redpop_assets.analyses.object_families import OBJECT_FAMILIES
from redpop_assets.analyses.shap import SHAP
from redpop_assets.analyses.shuffled_labels import SHUFFLED_LABELS
from redpop_assets.analyses.study import Analysis
from redpop_assets.analyses.word_attention import WORD_ATTENTION
from redpop_assets.analyses.words import WORDS

ANALYSES: Mapping[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        *(ERROR_SLICES, CALIBRATION, EMAP, SHUFFLED_LABELS, ABLATION, LEARNING_CURVES, SHAP),
        *(WORDS, IMAGE_CATEGORIES, OBJECT_FAMILIES, WORD_ATTENTION),
    )
}
"""Name -> analysis, in the order in which people are shown them."""
