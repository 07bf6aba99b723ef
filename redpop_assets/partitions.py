"""The one partitioning of the platform: by subreddit. Nothing else belongs here."""

import dagster as dg

from redpop_assets.settings import Settings


def subreddit_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition per configured community, in lower case, in the order of the settings."""
    return dg.StaticPartitionsDefinition(list(settings.partitions))
