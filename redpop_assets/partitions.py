"""The one partitioning of the platform: by subreddit, and what is made of all of them at once."""

import dagster as dg

from redpop_assets.settings import Settings

TOGETHER = frozenset({"raw.tombstones", "core.duplicates"})
"""Tables below the marts that are made of all communities at once."""


def subreddit_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition per configured community, in lower case, in the order of the settings."""
    return dg.StaticPartitionsDefinition(list(settings.partitions))


def is_of_all(key: dg.AssetKey) -> bool:
    """Whether an asset has no partitions: it is made of all communities at once."""
    return key.path[0] == "marts" or ".".join(key.path) in TOGETHER
