"""Which families of features there are, a line each, in the order in which predictors see their blocks."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Final

from redpop_assets.features.family import Encoders, Family

_DECLARED: Final = (
    "embeddings:IMAGE",
    "embeddings:CAPTION",
    "captions:FAMILY",
    "timestamps:FAMILY",
    "authors:FAMILY",
    "flags:FAMILY",
    "visual:PIXELS",
    "visual:VISUAL",
    "class_families:FAMILY",
    "concepts:CONCEPTS",
    "concepts:AGREEMENT",
    "ratings:FAMILY",
    "entities:FAMILY",
    "emotions:FAMILY",
    "novelty:FAMILY",
    "community:FAMILY",
    "seen_before:FAMILY",
    "neighbours:FAMILY",
    "retrieved:FAMILY",
    "title_past:FAMILY",
    "environments:FAMILY",
    "tokens:FAMILY",
    "embeddings:CLASSES",
    "embeddings:GRIDS",
    "faces:FAMILY",
    "image_text:FAMILY",
)
"""Module below `redpop_assets.features`, and the name of the family in it."""


def _family(declared: str) -> Family:
    module, _, name = declared.partition(":")
    family: Family = getattr(import_module(f"redpop_assets.features.{module}"), name)
    return family


FAMILIES: Final = tuple(map(_family, _DECLARED))
"""All of them."""

BLOCKS: Final[Mapping[str, Family]] = {family.name: family for family in FAMILIES if family.block}
"""Those that predictors may learn from, by name."""

COMPARED: Final[Mapping[str, Family]] = {family.filled_table: family for family in FAMILIES if family.compared}
"""Those whose features are compared with what was accepted, by the table that is filled."""

STEPS: Final[Mapping[str, tuple[Family, ...]]] = {
    step: tuple(family for family in FAMILIES if (family.step or family.name) == step)
    for step in dict.fromkeys(family.step or family.name for family in FAMILIES)
}
"""What is computed together, by the name of the step."""


def encoders_behind(encoders: Encoders, blocks: Iterable[str]) -> Encoders:
    """Only the networks that made one of these blocks; the others are empty."""
    return encoders.only({network for name in blocks for _, network in BLOCKS[name].networks})
