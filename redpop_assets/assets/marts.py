"""Layer marts: tables made for reading, over all subreddits, and the published file. Metrics live in evaluation/."""

from collections.abc import Iterator

import dagster as dg

from redpop_assets.assets.tables import TableAssets
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse


def mart_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Predictions, the leaderboard with all metrics, the feature catalogue and the file that people open."""
    settings = tables.settings
    predictors = [f"models.{name}" for name in settings.predictor_names]

    @dg.asset(**tables.mart("marts.predictions", code_version="1", deps=["core.posts", *predictors]))
    def predictions(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[ModelStore],
    ) -> dg.MaterializeResult:
        """What every trained predictor expects of every post, those too young to have a label included.

        One row per post and predictor; computed again for a subreddit when its model or its features changed.
        """
        from redpop_assets.refresh.predictions import refresh_predictions

        computed = refresh_predictions(warehouse, models, progress=context.log.info)
        return tables.materialized(warehouse, "marts.predictions", rows_computed=computed)

    @dg.multi_asset(
        name="leaderboard",
        **tables.marts(
            ("marts.leaderboard", "marts.metrics", "marts.comparisons"),
            code_version="2",
            deps=["marts.predictions", "models.training_set", *predictors],
        ),
    )
    def leaderboard(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        """Every predictor on the test part of the shared time split, within its subreddit, with 95 % intervals.

        Measured again for a subreddit when a model, a prediction or a label in it changed; who is better than whom is
        tested on the same resamples. What could not be trained is listed with the reason.
        """
        from redpop_assets.refresh.leaderboard import leaderboard_markdown, refresh_comparison

        found = refresh_comparison(warehouse, seed=settings.seed)
        best = max((row["spearman"] for row in found.rows if row["spearman"] is not None), default=0.0)
        significant = sum(row["p_holm"] is not None and row["p_holm"] < 0.05 for row in found.comparisons)
        context.log.info(f"{len(found.rows)} rows, best Spearman {best:.3f}, {found.measured} communities measured")
        yield tables.materialized(
            warehouse,
            "marts.leaderboard",
            best_spearman=best,
            table=dg.MetadataValue.md(leaderboard_markdown(found.rows, found.metrics)),
        )
        yield tables.materialized(warehouse, "marts.metrics", communities_measured=found.measured)
        yield tables.materialized(warehouse, "marts.comparisons", significant_differences=significant)

    # Of the features as the training set saw them: what became of them since would only be asked about in vain.
    @dg.asset(**tables.mart("marts.feature_catalogue", code_version="1", deps=["models.training_set"]))
    def feature_catalogue(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """What each feature means, how often it is known, and how it goes with the score by itself, with intervals.

        One row per subreddit and feature; measured again for a subreddit when its training set changed. A feature that
        alone says more than honest ones do is marked as suspicious.
        """
        from redpop_assets.evaluation.catalogue import catalogue_by_subreddit
        from redpop_assets.refresh.catalogue import refresh_catalogue

        rows, measured = refresh_catalogue(warehouse, tables.encoders, seed=settings.seed, progress=context.log.info)
        suspicious = sum(row["leakage"] == "suspicious" for row in rows)
        return tables.materialized(
            warehouse,
            "marts.feature_catalogue",
            communities_measured=measured,
            suspicious_features=suspicious,
            table=dg.MetadataValue.md(catalogue_by_subreddit(rows)),
        )

    @dg.asset(
        **tables.mart(
            "marts.published_warehouse",
            code_version="1",
            deps=[
                *("marts.predictions", "marts.leaderboard", "marts.metrics", "marts.comparisons"),
                *("marts.feature_catalogue", "marts.forecasts"),
            ],
        )
    )
    def published_warehouse(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[ModelStore],
    ) -> dg.MaterializeResult:
        """The copy of the warehouse that people query, replaced as a whole; open clients keep the one they have.

        Source: the pipeline's own file. Nothing is copied when nothing changed. Nothing that was erased is left in
        either file, and models that the copy does not name are removed.
        """
        published = warehouse.publish()
        context.log.info(f"{'published' if published.changed else 'unchanged:'} {published.path}")
        in_use = warehouse.query("SELECT subreddit, predictor, digest FROM models.predictors WHERE digest IS NOT NULL")
        pruned = models.prune([tuple(row.values()) for row in in_use.to_pylist()])
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(published.path)),
                "bytes": published.bytes,
                "changed": published.changed,
                "models_pruned": pruned,
            }
        )

    return [predictions, leaderboard, feature_catalogue, published_warehouse]
