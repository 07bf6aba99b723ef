"""All analyses, audits first. Light: what is heavy is imported by the one that runs."""

from collections.abc import Mapping

from redpop_assets.analyses.ablation import ABLATION
from redpop_assets.analyses.emap import EMAP
from redpop_assets.analyses.errors import CALIBRATION, ERROR_SLICES
from redpop_assets.analyses.shuffled_labels import SHUFFLED_LABELS
from redpop_assets.analyses.study import Analysis

ANALYSES: Mapping[str, Analysis] = {
    analysis.name: analysis for analysis in (ERROR_SLICES, CALIBRATION, EMAP, SHUFFLED_LABELS, ABLATION)
}
"""Name -> analysis, in the order in which people are shown them."""
