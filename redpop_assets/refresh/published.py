"""Brings the file that people open up to date, and the model files with it."""

from redpop_assets.predictors.removal import NAME
from redpop_assets.storage.forms import Published
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

_IN_USE = f"""
SELECT subreddit, predictor, digest FROM models.predictors WHERE digest IS NOT NULL
UNION ALL SELECT subreddit, '{NAME}', digest FROM models.removal_predictors WHERE digest IS NOT NULL
UNION SELECT subreddit, predictor, digest FROM models.early_predictors WHERE digest IS NOT NULL
"""


def refresh_published(warehouse: Warehouse, models: ModelStore) -> tuple[Published, int]:
    """Publish what is new, and remove the models that the published file does not name.

    Returns:
        The file, and how many models were removed.
    """
    published = warehouse.publish()
    in_use = [tuple(row.values()) for row in warehouse.query(_IN_USE).to_pylist()]
    return published, models.prune(in_use)
