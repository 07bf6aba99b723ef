"""Which predictors follow a post: name -> class, imported when asked for."""

from importlib import import_module
from pathlib import Path
from typing import Final

from redpop_assets.errors import ArtifactError
from redpop_assets.predictors.base import Predictor, read_description

CURVE: Final = "early_curve"
"""The model of the whole curve, which is one for all ages (`redpop_assets.predictors.early.curve`)."""

AT_POSTING: Final = "at_posting"
"""What the champion said when the post was made stands under this name beside them."""

_OF_AN_AGE: Final = {
    "early_growth": "redpop_assets.predictors.early.baselines:EarlyGrowth",
    "early_loglinear": "redpop_assets.predictors.early.baselines:EarlyLogLinear",
    "early_boosting": "redpop_assets.predictors.early.following:EarlyBoosting",
    "early_network": "redpop_assets.predictors.early.following:EarlyNetwork",
}

EARLY_NAMES: Final = tuple(_OF_AN_AGE)
"""Those that are trained for each age."""


def early_class(name: str) -> type[Predictor]:
    """The class behind a name of `EARLY_NAMES`."""
    module, attribute = _OF_AN_AGE[name].split(":")
    found: type[Predictor] = getattr(import_module(module), attribute)
    return found


def load_early(folder: Path) -> Predictor:
    """Read whichever of them is stored in `folder`.

    Raises:
        ArtifactError: missing, damaged, or none of them.
    """
    name = read_description(folder)["name"]
    if name not in _OF_AN_AGE:
        raise ArtifactError(f"{folder} holds {name!r}, which follows no post")
    return early_class(name).load(folder)
