"""What is computed on demand, a table of layer marts each. How belongs into analyses/, for splits into predictors/."""

import dagster as dg

from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.analyses.study import Analysis, markdown, refresh, studies
from redpop_assets.assets.tables import TableAssets
from redpop_assets.evaluation.pictures import embedded_png
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

MOST_FIGURES = 4
"""Figures shown in the UI; all of them lie on disk."""


class Asked(dg.Config):
    """What is asked about."""

    subreddit: str = ""
    """One community in lower case; empty for all that have a training set."""
    predictor: str = ""
    """The predictor to look at; empty for that of the settings, or for all where all are compared."""


def analysis_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """One asset per analysis, and the comparison of splits."""
    return [*(_analysis_asset(tables, analysis) for analysis in ANALYSES.values()), _split_comparison(tables)]


def _split_comparison(tables: TableAssets) -> dg.AssetsDefinition:
    settings = tables.settings

    @dg.asset(
        **tables.on_demand(
            "marts.split_comparison", code_version="1", deps=["models.training_set", "models.training_columns"]
        )
    )
    def split_comparison(
        context: dg.AssetExecutionContext, config: Asked, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Every predictor trained again under the split by time, by author, at random and with one post per author.

        One row per subreddit, predictor and split; trained only if the training set, the code or the seed changed.
        Takes as long as four trainings of all predictors.
        """
        from redpop_assets.refresh.split_comparison import refresh_split_comparison, split_markdown

        rows, trained = refresh_split_comparison(
            warehouse,
            tables.encoders,
            [config.predictor] if config.predictor else settings.predictor_names,
            subreddit=config.subreddit,
            matured_after=settings.label_rule.final_age,
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

    return split_comparison


def _analysis_asset(tables: TableAssets, analysis: Analysis) -> dg.AssetsDefinition:
    @dg.asset(
        **tables.on_demand(
            analysis.table,
            code_version=analysis.version,
            deps=["models.training_set", *(name for name in analysis.sources if name in _ASSETS)],
        ),
        description=f"{analysis.question}\n\nComputed on demand, and again when what it was measured on changed.",
    )
    def analysed(
        context: dg.AssetExecutionContext,
        config: Asked,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
        models: dg.ResourceParam[ModelStore],
    ) -> dg.MaterializeResult:
        asked = studies(
            warehouse,
            models,
            images,
            tables.encoders,
            subreddit=config.subreddit,
            predictor=config.predictor or tables.settings.analysed_predictor,
            seed=tables.settings.seed,
            progress=context.log.info,
        )
        outcome = refresh(analysis, asked, warehouse)
        figures = FigureStore.of(warehouse)
        # A figure that shows posts must be able to go; the log of events keeps everything.
        shown = () if analysis.shows_posts else outcome.figures[:MOST_FIGURES]
        return tables.materialized(
            warehouse,
            analysis.table,
            communities_measured=outcome.measured,
            remarks="; ".join(outcome.notes),
            figures=dg.MetadataValue.path(str(figures.root)),
            table=dg.MetadataValue.md(markdown(outcome.rows, analysis.shown)),
            pictures=dg.MetadataValue.md("\n\n".join(embedded_png(figures.read(name), name) for name in shown)),
        )

    return analysed


_ASSETS = frozenset({"marts.predictions", "raw.sightings"})
"""Sources that are assets; models.predictors is filled by all predictors."""
