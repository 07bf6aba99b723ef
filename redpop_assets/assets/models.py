"""Layer models: the shared training set and one asset per predictor. How a predictor works belongs into predictors/."""

from collections.abc import Iterator

import dagster as dg

from redpop_assets.assets.tables import TableAssets
from redpop_assets.automation import on_new_training_data
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.blocks import SOURCES, Encoders
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse


def model_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The training set and every predictor of the settings."""
    settings = tables.settings
    encoders = tables.encoders

    @dg.multi_asset(
        name="training_set",
        **tables.multi_asset(
            ("models.training_set", "models.training_columns"),
            code_version="1",
            deps=[
                "core.posts",
                "core.labels",
                "core.duplicates",
                *(source.filled_table for source in SOURCES.values()),
            ],
            condition=on_new_training_data(settings.nightly_cron),
        ),
        partitions_def=tables.partitions,
    )
    def training_set(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        """The labelled posts of one subreddit in the split that all predictors share, and the columns they may use.

        All of train and validation had matured when the test part began, and no picture is on both sides.
        Columns that became known only after the post are refused.
        """
        from redpop_assets.refresh.training_set import build_training_set

        built = build_training_set(
            warehouse,
            context.partition_key,
            encoders,
            matured_after=settings.label_rule.final_age,
            test_share=settings.test_share,
            validation_share=settings.validation_share,
            most=settings.training_posts,
        )
        scope = {"subreddit": context.partition_key}
        with warehouse.write() as writer:
            for table, rows in (("models.training_set", built.rows), ("models.training_columns", built.columns)):
                writer.replace(table, rows, "subreddit = $subreddit", scope)
            # What the settings name no longer would be compared on posts it never saw.
            writer.execute(
                "DELETE FROM models.predictors "
                "WHERE subreddit = $subreddit AND NOT list_contains($predictors, predictor)",
                {**scope, "predictors": list(settings.predictor_names)},
            )
        parts = built.rows.column("split").to_pylist()
        yield tables.materialized(
            warehouse,
            "models.training_set",
            context.partition_key,
            snapshot=built.snapshot,
            **{
                f"{part}_posts": parts.count(part) for part in ("train", "validation", "test", "embargo", "seen_before")
            },
        )
        yield tables.materialized(warehouse, "models.training_columns", context.partition_key)

    return [training_set, *(_predictor_asset(tables, encoders, name) for name in settings.predictor_names)]


def _predictor_asset(tables: TableAssets, encoders: Encoders, name: str) -> dg.AssetsDefinition:
    settings = tables.settings
    kind = predictor_class(name)

    @dg.asset(
        **tables.predictor(
            name,
            code_version=kind.code_version,
            deps=["models.training_set", "models.training_columns"],
            kinds={kind.library} - {""},
        ),
        description=(
            f"{kind.title}\n\nOne model per subreddit, trained again when the training set, the code or the seed "
            f"changes. Needs {', '.join(sorted(kind.requires)) or 'no block'}; "
            f"uses {', '.join(sorted(kind.uses)) or 'labels only'}. "
            "Its state is a row of models.predictors, its files lie in the model store."
        ),
    )
    def predictor(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[ModelStore],
    ) -> dg.MaterializeResult:
        from redpop_assets.refresh.predictors import refresh_predictor

        state = refresh_predictor(
            name,
            context.partition_key,
            warehouse,
            models,
            encoders,
            seed=settings.seed,
            progress=context.log.info,
        )
        row = state.row
        outcome = row["status"] if row["reason"] is None else f"{row['status']}: {row['reason']}"
        context.log.info(outcome if state.trained_now else f"{outcome} (nothing new)")
        return dg.MaterializeResult(
            metadata={
                "status": row["status"],
                "reason": row["reason"] or "",
                "blocks": ", ".join(row["blocks"]),
                "notes": "; ".join(row["notes"]),
                "train_rows": row["train_rows"],
                "train_seconds": row["train_seconds"],
                "trained_now": state.trained_now,
                "snapshot": row["snapshot"],
            },
            data_version=dg.DataVersion(f"{row['snapshot']}-{row['digest']}"),
        )

    return predictor
