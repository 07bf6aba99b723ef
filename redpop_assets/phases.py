"""In which order communities are brought up to date: first the posts of all of them, then what is made of the posts.

What authors and pictures had been through in one community is a feature in the others, so no community may be computed
before the posts of all are there. What is about all communities is done once, when all of them are ready for it.
Whoever starts runs for several communities, a person or a schedule, goes by this.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import dagster as dg

from redpop_assets.partitions import is_of_all


@dataclass(frozen=True)
class Phase:
    """A part of the graph that is finished before the next one begins.

    Attributes:
        layers: asset groups.
        together: whether it is what is made of all communities at once; else, what each of them has.
        settles: whether it depends on nothing but what lies in the warehouse, and the settings: where these are the
            same, there is nothing to do.
    """

    layers: tuple[str, ...]
    together: bool = False
    settles: bool = False

    def has(self, key: dg.AssetKey) -> bool:
        """Whether an asset is part of it."""
        return key.path[0] in self.layers and is_of_all(key) == self.together


PHASES = (
    Phase(("raw",)),
    Phase(("raw",), together=True),
    Phase(("core",)),
    Phase(("core",), together=True),
    Phase(("features", "models"), settles=True),
    Phase(("marts",), together=True),
)


@dataclass(frozen=True)
class Part:
    """Assets that one run brings up to date: of one community, or of all of them at once; and as `Phase` has it."""

    keys: tuple[dg.AssetKey, ...]
    together: bool
    settles: bool = False


def in_phases(keys: Iterable[dg.AssetKey], communities: Collection[str]) -> list[Part]:
    """Assets in the parts that runs are to have, each in the order of the keys, without empty ones.

    Args:
        keys: what is brought up to date.
        communities: for which; one alone waits for nobody, so it has one run for everything.
    """
    wanted = tuple(keys)
    if len(communities) < 2:
        return [Part(wanted, together=all(map(is_of_all, wanted)))] if wanted else []
    parts = (Part(tuple(filter(phase.has, wanted)), phase.together, phase.settles) for phase in PHASES)
    return [part for part in parts if part.keys]
