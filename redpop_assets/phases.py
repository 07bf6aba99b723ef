"""In which order communities are brought up to date: first the posts of all of them, then what is made of the posts.

What authors and pictures had been through in one community is a feature in the others, so no community may be computed
before the posts of all are there. Whoever starts runs for several communities, a person or a schedule, goes by this.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class Phase:
    """A part of the graph that is finished for every community before the next one begins for any.

    Attributes:
        name: for people and for the names of jobs.
        layers: asset groups.
    """

    name: str
    layers: tuple[str, ...]

    @property
    def selection(self) -> dg.AssetSelection:
        """Its assets, in whatever graph."""
        return dg.AssetSelection.groups(*self.layers)


POSTS = Phase("posts", ("raw", "core"))
REST = Phase("rest", ("features", "models", "marts"))
PHASES = (POSTS, REST)


def in_phases(keys: Iterable[dg.AssetKey], communities: Collection[str]) -> list[list[dg.AssetKey]]:
    """Assets in the parts that runs are to have, each in the order of the keys, without empty ones.

    Args:
        keys: what is brought up to date.
        communities: for which; one alone waits for nobody, so it has one run for everything.
    """
    wanted = list(keys)
    if len(communities) < 2:
        return [wanted] if wanted else []
    parts = ([key for key in wanted if key.path[0] in phase.layers] for phase in PHASES)
    return [part for part in parts if part]
