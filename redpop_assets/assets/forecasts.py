"""Who speaks for a subreddit, and what became of it: champions and their forecasts. The rules live in predictors/."""

import dagster as dg

from redpop_assets.assets.tables import TableAssets
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse


def forecast_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The champion of each subreddit, and its forecasts of young posts."""
    settings = tables.settings

    @dg.asset(
        **tables.asset(
            "models.champions",
            code_version="1",
            deps=["models.training_set", *(f"models.{name}" for name in settings.predictor_names)],
        )
    )
    def champions(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[ModelStore],
    ) -> dg.MaterializeResult:
        """Which predictor speaks for a subreddit, and the evidence: every judgement, the last one holds.

        Candidates are chosen on the validation part and judged on the test part: nobody who loses to the median is
        champion, and one that is gives way only to what is better beyond chance. A new row when a model changed.
        """
        from redpop_assets.refresh.champions import history_markdown, refresh_champion

        subreddit = context.partition_key
        row, judged_now = refresh_champion(warehouse, models, subreddit, settings.predictor_names, seed=settings.seed)
        champion = (row["predictor"] if row else None) or "nobody"
        context.log.info(f"{champion}: {row['reason'] if row else 'nothing is trained yet'}")
        history = warehouse.query("FROM models.champions WHERE subreddit = $subreddit", {"subreddit": subreddit})
        return tables.materialized(
            warehouse,
            "models.champions",
            subreddit,
            champion=champion,
            reason=row["reason"] if row else "",
            judged_now=judged_now,
            history=dg.MetadataValue.md(history_markdown(history.to_pylist())),
        )

    @dg.asset(**tables.mart("marts.forecasts", code_version="1", deps=["marts.predictions", "models.champions"]))
    def forecasts(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        """What the champion expected of each post while it was too young for a label, written down once.

        One row per post, never changed; marts.forecast_outcomes and marts.forecast_accuracy score it when the post has
        matured. A post waits up to a day for its picture and features.
        """
        from redpop_assets.refresh.forecasts import accuracy_markdown, make_forecasts

        made = make_forecasts(warehouse, label_age=settings.label_rule.age, made_at=utc_now())
        context.log.info(f"{made} new forecasts")
        accuracy = warehouse.query("FROM marts.forecast_accuracy").to_pylist()
        return tables.materialized(
            warehouse,
            "marts.forecasts",
            forecasts_made=made,
            forecasts_scored=sum(row["scored"] for row in accuracy),
            accuracy=dg.MetadataValue.md(accuracy_markdown(accuracy)),
        )

    return [champions, forecasts]
