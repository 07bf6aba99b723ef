"""Versions of the jobs: raised whenever a job would write other rows, they fire the assets that it fills.

Families of features and predictors name theirs beside their code. Those of jobs stand here, because Dagster is told of
all of them by every process, and a process loads the job that it runs and no other.
"""

from typing import Final

HARVEST: Final = "4"
"""`redpop_assets.sources`: raise it when a harvest, or the plan of it, would read or keep something else."""

FORGETTING: Final = "2"
"""`redpop_assets.storage.forgetting` and `removals`: raise it when something else would be forgotten."""

CLEANING: Final = "3"
"""`redpop_assets.sources.cleaning`: raise it whenever a rule, or the resolution of image URLs, gives another result."""

DOWNLOAD: Final = "2"
"""`redpop_assets.images.download`: raise it when other URLs would be asked for, or other pictures kept."""

DUPLICATES: Final = "1"
"""`redpop_assets.images.duplicates`: raise it when the same posts would be grouped in another way."""

LABELS: Final = "4"
"""`redpop_assets.refresh.labels`: raise it when the same readings would give another label."""

ANOMALIES: Final = "1"
"""`redpop_assets.evaluation.anomalies`: raise it when another period would be found, or said other things of."""

TRAINING_SET: Final = "2"
"""`redpop_assets.refresh.training_set`: raise it whenever a row would come out differently. Predictors learn again only
if one did."""

CHAMPIONS: Final = "1"
"""`redpop_assets.refresh.champions`: raise it whenever the rules would judge otherwise."""

CONFORMAL: Final = "1"
"""`redpop_assets.predictors.parts.conformal`: raise it whenever an interval would come out differently."""

PREDICTIONS: Final = f"1.{CONFORMAL}"
"""`redpop_assets.refresh.predictions`: raise the first number whenever a row would come out differently."""

REMOVAL_PREDICTORS: Final = "1"
"""`redpop_assets.refresh.removal_posts` and `redpop_assets.predictors.removal`: raise it whenever a post would get
another outcome, or other inputs, or something else would be learnt."""

REMOVAL_METRICS: Final = "1"
"""`redpop_assets.refresh.removal_metrics`: raise it whenever a number would come out differently."""

LEADERBOARD: Final = "2"
"""`redpop_assets.refresh.leaderboard`: raise it whenever a metric would come out differently."""

SPLIT_COMPARISON: Final = f"2-{LEADERBOARD}"
"""`redpop_assets.refresh.split_comparison`: raise the first number whenever a split or a row would come out
differently."""

CATALOGUE: Final = "2"
"""`redpop_assets.evaluation.catalogue`: raise it whenever a number of the catalogue would come out differently."""

FORECASTS: Final = "1"
"""`redpop_assets.refresh.forecasts`: raise it whenever another post would be forecast, or a forecast would hold
something else."""

PUBLISHED: Final = "1"
"""`redpop_assets.refresh.published`: raise it when another file would be published."""

EARLY_READINGS: Final = "1"
"""`redpop_assets.features.early` and `redpop_assets.refresh.early_readings`: raise it when other posts would get a row,
or the same readings would give other numbers."""

EARLY_PREDICTORS: Final = f"1.{CONFORMAL}"
"""`redpop_assets.refresh.early_predictors` and `redpop_assets.predictors.early.curve`: raise the first number whenever
other posts would be learnt from or judged, or the curve would come out differently."""

EARLY_LEADERBOARD: Final = "1"
"""`redpop_assets.refresh.early_leaderboard`: raise it whenever a number would come out differently."""

EARLY_FORECASTS: Final = "1"
"""`redpop_assets.refresh.early_forecasts`: raise it whenever another post would be forecast, or a forecast would hold
something else."""
