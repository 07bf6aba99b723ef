"""Layer marts: comparisons that train predictors again, on demand. How they are made belongs into predictors/."""

import dagster as dg

from redpop_assets.assets.tables import TableAssets
from redpop_assets.storage.warehouse import Warehouse


class Chosen(dg.Config):
    """What to compare."""

    subreddit: str = ""
    """One community in lower case; empty for all that have a training set."""
    predictor: str = ""
    """One predictor; empty for all."""


def comparison_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The comparison of splits."""
    settings = tables.settings

    @dg.asset(
        **tables.on_demand(
            "marts.split_comparison", code_version="1", deps=["models.training_set", "models.training_columns"]
        )
    )
    def split_comparison(
        context: dg.AssetExecutionContext, config: Chosen, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Every predictor trained again under the split by time, by author, at random and with one post per author.

        One row per subreddit, predictor and split; trained only if the training set, the code or the seed changed.
        Takes as long as four trainings of all predictors.
        """
        from redpop_assets.predictors.split_comparison import refresh_split_comparison, split_markdown

        rows, trained = refresh_split_comparison(
            warehouse,
            tables.encoders,
            [config.predictor] if config.predictor else settings.predictor_names,
            subreddit=config.subreddit,
            test_share=settings.test_share,
            validation_share=settings.validation_share,
            seed=settings.seed,
            progress=context.log.info,
        )
        return tables.materialized(
            warehouse,
            "marts.split_comparison",
            models_trained=trained,
            table=dg.MetadataValue.md(split_markdown(rows)),
        )

    return [split_comparison]
