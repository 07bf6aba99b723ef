"""Layer marts: tables made for reading, over all subreddits, and the published file. How they are made: refresh/."""

from collections.abc import Mapping

import dagster as dg

from redpop_assets import versions
from redpop_assets.assets.tables import AssetPlan, Metadata, TableAssets, Work
from redpop_assets.resources import deployed_encoders

_REMOVALS = ("marts.removal_metrics", "marts.removal_calibration")
_COMPARISON = ("marts.leaderboard", "marts.metrics", "marts.comparisons")


def mart_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Predictions, the leaderboard with all metrics, the catalogue, forecasts and the file that people open."""
    predictors = tuple(f"models.{name}" for name in tables.settings.predictor_names)
    return [
        tables.asset(
            AssetPlan(
                code_versions={"marts.predictions": versions.PREDICTIONS},
                deps={"marts.predictions": ("core.posts", *predictors)},
                partitioned=False,
                resources=("warehouse", "models"),
            ),
            predictions,
        ),
        tables.asset(
            AssetPlan(
                name="leaderboard",
                together=True,
                code_versions=dict.fromkeys(_COMPARISON, versions.LEADERBOARD),
                deps=dict.fromkeys(_COMPARISON, ("marts.predictions", "models.training_set", *predictors)),
                partitioned=False,
            ),
            leaderboard,
        ),
        tables.asset(
            AssetPlan(
                name="removal_metrics",
                together=True,
                code_versions=dict.fromkeys(_REMOVALS, versions.REMOVAL_METRICS),
                deps=dict.fromkeys(_REMOVALS, ("models.removal_predictors", "models.removal_posts")),
                partitioned=False,
            ),
            removal_metrics,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"marts.feature_catalogue": versions.CATALOGUE},
                # Of the features as the training set saw them: what became of them since would be asked about in vain.
                deps={"marts.feature_catalogue": ("models.training_set",)},
                partitioned=False,
            ),
            feature_catalogue,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"marts.forecasts": versions.FORECASTS},
                deps={"marts.forecasts": ("marts.predictions", "models.champions")},
                partitioned=False,
            ),
            forecasts,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"marts.early_leaderboard": versions.EARLY_LEADERBOARD},
                deps={"marts.early_leaderboard": ("models.early_predictors", "models.early_predictions")},
                partitioned=False,
            ),
            early_leaderboard,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"marts.early_forecasts": versions.EARLY_FORECASTS},
                deps={
                    "marts.early_forecasts": (
                        *("features.early_readings", "models.early_predictors", "models.early_predictions"),
                        "marts.predictions",
                    )
                },
                partitioned=False,
                resources=("warehouse", "models"),
            ),
            early_forecasts,
        ),
        tables.artifact(
            AssetPlan(
                code_versions={"marts.published_warehouse": versions.PUBLISHED},
                deps={
                    "marts.published_warehouse": (
                        *("marts.predictions", *_COMPARISON),
                        *("marts.feature_catalogue", "marts.forecasts", *_REMOVALS),
                        *("marts.early_leaderboard", "marts.early_forecasts"),
                    )
                },
                partitioned=False,
                kinds=frozenset({"duckdb"}),
                resources=("warehouse", "models"),
            ),
            published_warehouse,
        ),
    ]


def predictions(work: Work) -> Mapping[str, Metadata]:
    """What every trained predictor expects of every post, those too young to have a label included.

    One row per post and predictor; a model is asked again about a post of which it sees something new. Percentiles and
    intervals are renewed when labels changed.
    """
    from redpop_assets.refresh.predictions import refresh_predictions

    computed = refresh_predictions(work.warehouse, work.models, progress=work.progress)
    return {"marts.predictions": {"rows_computed": computed}}


def leaderboard(work: Work) -> Mapping[str, Metadata]:
    """Every predictor on the test part of the shared time split, within its subreddit, with 95 % intervals.

    Measured again for a subreddit when a model, a prediction or a label in it changed; who is better than whom is
    tested on the same resamples. What could not be trained is listed with the reason.
    """
    from redpop_assets.pages.leaderboard import leaderboard_markdown
    from redpop_assets.refresh.leaderboard import refresh_leaderboard

    found = refresh_leaderboard(work.warehouse, seed=work.settings.seed, progress=work.progress)
    best = max((row["spearman"] for row in found.rows if row["spearman"] is not None), default=0.0)
    significant = sum(row["p_holm"] is not None and row["p_holm"] < 0.05 for row in found.comparisons)
    work.progress(f"{len(found.rows)} rows, best Spearman {best:.3f}, {found.measured} communities measured")
    return {
        "marts.leaderboard": {
            "best_spearman": best,
            "table": dg.MetadataValue.md(leaderboard_markdown(found.rows, found.metrics)),
        },
        "marts.metrics": {"communities_measured": found.measured},
        "marts.comparisons": {"significant_differences": significant},
    }


def removal_metrics(work: Work) -> Mapping[str, Metadata]:
    """How good the predictors of removals are on the newest posts, with 95 % intervals, and whether they are right.

    One row per community, and up to five groups of test posts of which about the same was said. Measured again where a
    predictor changed.
    """
    from redpop_assets.pages.removals import removals_markdown
    from redpop_assets.refresh.removal_metrics import refresh_removal_metrics

    rows = refresh_removal_metrics(work.warehouse, seed=work.settings.seed, progress=work.progress)
    groups = work.warehouse.query("FROM marts.removal_calibration ORDER BY subreddit, bin").to_pylist()
    return {
        "marts.removal_metrics": {"table": dg.MetadataValue.md(removals_markdown(rows, groups))},
        "marts.removal_calibration": {},
    }


def feature_catalogue(work: Work) -> Mapping[str, Metadata]:
    """What each feature means, how often it is known, and how it goes with the score by itself, with intervals.

    One row per subreddit and feature; measured again for a subreddit when its training set changed. A feature that
    alone says more than honest ones do is marked as suspicious.
    """
    from redpop_assets.pages.catalogue import catalogue_by_subreddit
    from redpop_assets.refresh.catalogue import refresh_catalogue

    settings = work.settings
    rows, measured = refresh_catalogue(
        work.warehouse, deployed_encoders(settings), seed=settings.seed, progress=work.progress
    )
    return {
        "marts.feature_catalogue": {
            "communities_measured": measured,
            "suspicious_features": sum(row["leakage"] == "suspicious" for row in rows),
            "table": dg.MetadataValue.md(catalogue_by_subreddit(rows)),
        }
    }


def forecasts(work: Work) -> Mapping[str, Metadata]:
    """What the champion expected of each post while it was too young for a label, written down once.

    One row per post, never changed; marts.forecast_outcomes and marts.forecast_accuracy score it when the post has
    matured. A post waits up to a day for its picture and features.
    """
    from redpop_assets.pages.forecasts import accuracy_markdown
    from redpop_assets.refresh.forecasts import make_forecasts
    from redpop_assets.storage.arrow import utc_now

    made = make_forecasts(work.warehouse, label_age=work.settings.label_rule.age, made_at=utc_now())
    work.progress(f"{made} new forecasts")
    accuracy = work.warehouse.query("FROM marts.forecast_accuracy").to_pylist()
    return {
        "marts.forecasts": {
            "forecasts_made": made,
            "forecasts_scored": sum(row["scored"] for row in accuracy),
            "accuracy": dg.MetadataValue.md(accuracy_markdown(accuracy)),
        }
    }


def early_leaderboard(work: Work) -> Mapping[str, Metadata]:
    """Predictors that follow a post, by age, and what the readings by then add over the forecast at posting.

    All of an age are judged on the same test posts, with 95 % intervals; measured again where one of them changed.
    """
    from redpop_assets.pages.early import early_markdown
    from redpop_assets.refresh.early_leaderboard import refresh_early_leaderboard

    rows = refresh_early_leaderboard(work.warehouse, seed=work.settings.seed, progress=work.progress)
    return {"marts.early_leaderboard": {"table": dg.MetadataValue.md(early_markdown(rows))}}


def early_forecasts(work: Work) -> Mapping[str, Metadata]:
    """What was expected of each young post once its readings by an age had arrived, written down once per age.

    Never changed; marts.early_forecast_outcomes and marts.early_forecast_accuracy score it when the post has matured.
    """
    from redpop_assets.refresh.early_forecasts import make_early_forecasts
    from redpop_assets.storage.arrow import utc_now

    label_age = work.settings.label_rule.age
    made = make_early_forecasts(work.warehouse, work.models, label_age=label_age, made_at=utc_now())
    work.progress(f"{made} new forecasts that follow posts")
    scored = work.warehouse.scalar("SELECT coalesce(sum(scored), 0)::BIGINT FROM marts.early_forecast_accuracy")
    return {"marts.early_forecasts": {"forecasts_made": made, "forecasts_scored": scored}}


def published_warehouse(work: Work) -> tuple[Metadata, str | None]:
    """The copy of the warehouse that people query, replaced as a whole; open clients keep the one they have.

    Source: the pipeline's own file. Nothing is copied when nothing changed. Nothing that was erased is left in
    either file, and models that the copy does not name are removed.
    """
    from redpop_assets.refresh.published import refresh_published

    published, pruned = refresh_published(work.warehouse, work.models)
    if published.swept.files:
        work.progress(str(published.swept))
    work.progress(f"{'published' if published.changed else 'unchanged:'} {published.path}")
    metadata: Metadata = {
        "path": dg.MetadataValue.path(str(published.path)),
        "bytes": published.bytes,
        "changed": published.changed,
        "models_pruned": pruned,
    }
    return metadata, None
