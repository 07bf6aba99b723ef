"""Layer models: the shared training set, one asset per predictor, and who speaks for a subreddit. How: see refresh/."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from redpop_assets import markdown, versions
from redpop_assets.assets.tables import AssetPlan, Metadata, TableAssets, Work, asset_key
from redpop_assets.automation import on_new_training_data, on_own_training_data
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.resources import deployed_encoders, deployed_families

if TYPE_CHECKING:
    from redpop_assets.refresh.predictors import PredictorState

_REMOVALS = ("models.removal_predictors", "models.removal_posts")
_EARLY = ("models.early_predictors", "models.early_predictions", "models.early_coverage")
_BORROWS = "Learns from the training sets of other subreddits, too, up to where its own train part ends. "
_TRAINING = ("models.training_set", "models.training_columns")


def model_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The training set, every predictor of the settings, the champion, and what foresees removals or follows posts."""
    settings = tables.settings
    inputs = (
        "core.posts",
        "core.labels",
        "core.anomalies",
        "core.duplicates",
        *(family.filled_table for family in deployed_families(settings) if family.block),
    )
    return [
        tables.asset(
            AssetPlan(
                name="training_set",
                together=True,
                code_versions=dict.fromkeys(_TRAINING, versions.TRAINING_SET),
                deps=dict.fromkeys(_TRAINING, inputs),
                condition=on_new_training_data(settings.nightly_cron),
            ),
            training_set,
        ),
        *(_predictor_asset(tables, name) for name in settings.predictor_names),
        tables.asset(
            AssetPlan(
                code_versions={"models.champions": versions.CHAMPIONS},
                deps={
                    "models.champions": (
                        "models.training_set",
                        *(f"models.{name}" for name in settings.predictor_names),
                    )
                },
                resources=("warehouse", "models"),
            ),
            champions,
        ),
        tables.asset(
            AssetPlan(
                name="removal",
                together=True,
                code_versions=dict.fromkeys(_REMOVALS, versions.REMOVAL_PREDICTORS),
                deps=dict.fromkeys(_REMOVALS, ("core.posts", "core.rejected_posts", "raw.observations")),
                condition=on_new_training_data(settings.nightly_cron),
                kinds=frozenset({"lightgbm"}),
                resources=("warehouse", "models"),
            ),
            removal_predictors,
        ),
        tables.asset(
            AssetPlan(
                name="early",
                together=True,
                code_versions=dict.fromkeys(_EARLY, versions.EARLY_PREDICTORS),
                deps=dict.fromkeys(_EARLY, (*_TRAINING, "models.champions", "features.early_readings")),
                condition=on_new_training_data(settings.nightly_cron),
                kinds=frozenset({"lightgbm", "pytorch"}),
                resources=("warehouse", "models"),
            ),
            early_predictors,
        ),
    ]


def early_predictors(work: Work) -> Mapping[str, Metadata]:
    """Predictors that follow a post: what each expects of it from the readings by 1, 3, 6 and 24 hours.

    Learnt from the posts of the training set that were read while they were young, by the same split; trained again
    when these, their readings or the champion changed. One of them is a model of the whole curve, judged at every age.
    """
    from redpop_assets.refresh.early_predictors import refresh_early_predictors

    settings = work.settings
    states = refresh_early_predictors(
        work.warehouse,
        work.models,
        work.subreddit,
        deployed_encoders(settings),
        label_hours=settings.label_rule.age / timedelta(hours=1),
        seed=settings.seed,
        progress=work.progress,
    )
    reasons = sorted({row["reason"] for row in states.rows if row["reason"]})
    return {
        "models.early_predictors": {
            "trained": states.trained,
            "not_trained": len(states.rows) - states.trained,
            "reasons": "; ".join(reasons),
            "trained_because": states.trained_because or "",
        },
        "models.early_predictions": {},
        "models.early_coverage": {},
    }


def removal_predictors(work: Work) -> Mapping[str, Metadata]:
    """How likely a post is to be taken down: learnt from posts that were, trained again when one more was looked at.

    Posts are looked at once, at the label age; those deleted by their authors, or not read in that time, are left out.
    Too few removals are said with their number. What it looks at was known when a post was made.
    """
    from redpop_assets.refresh.removal_predictors import refresh_removal_predictor

    settings = work.settings
    state = refresh_removal_predictor(
        work.warehouse,
        work.models,
        work.subreddit,
        settings.label_rule,
        test_share=settings.test_share,
        validation_share=settings.validation_share,
        most=settings.training_posts,
        seed=settings.seed,
        progress=work.progress,
    )
    work.progress(state.outcome if state.trained_now else f"{state.outcome} (nothing new)")
    said = ("status", "posts", "removed", "seen_late", "not_read_in_time", "test_posts", "test_removed")
    metadata: Metadata = {
        **{name: state.row[name] for name in said},
        "reason": state.row["reason"] or "",
        "trained_now": state.trained_now,
        "trained_because": state.trained_because or "",
    }
    return {"models.removal_predictors": metadata, "models.removal_posts": {}}


def training_set(work: Work) -> Mapping[str, Metadata]:
    """The labelled posts of one subreddit in the split that all predictors share, and the columns they may use.

    All of train and validation had matured when the test part began, and no picture is on both sides.
    Columns that became known only after the post are refused. Labels of core.doubtful_labels are left out, and counted.
    """
    from redpop_assets.refresh.training_set import refresh_training_set

    settings = work.settings
    built = refresh_training_set(
        work.warehouse,
        work.subreddit,
        deployed_encoders(settings),
        matured_after=settings.label_rule.final_age,
        test_share=settings.test_share,
        validation_share=settings.validation_share,
        most=settings.training_posts,
        leave_out_anomalies=settings.leave_out_anomalies,
        predictors=settings.predictor_names,
    )
    counts = {f"{part}_posts": posts for part, posts in built.sizes.items()}
    labels = [
        (source, "on time" if on_time else "later", posts) for (source, on_time), posts in sorted(built.labels.items())
    ]
    if built.mixed:
        found = ", ".join(f"{posts} of {source} {when}" for source, when, posts in labels)
        work.warn(
            f"The labels of r/{work.subreddit} are of different {' and '.join(built.mixed)}: {found}. Scores of other "
            "ages are not alike; models.training_set says which each post has (label_source, age_at_label_hours)."
        )
    return {
        "models.training_set": {
            "snapshot": built.snapshot,
            **counts,
            "left_out_as_first_readings": built.left_out,
            "labels_differ_in": ", ".join(built.mixed) or "nothing",
            "labels": dg.MetadataValue.md(markdown.table(("source", "read", "posts"), labels)),
        },
        "models.training_columns": {},
    }


def _predictor_asset(tables: TableAssets, name: str) -> dg.AssetsDefinition:
    kind = predictor_class(name)
    table = f"models.{name}"

    def predictor(work: Work) -> tuple[Metadata, str]:
        from redpop_assets.refresh.predictors import refresh_predictor

        state = refresh_predictor(
            name,
            work.subreddit,
            work.warehouse,
            work.models,
            deployed_encoders(work.settings),
            seed=work.settings.seed,
            progress=work.progress,
        )
        work.progress(state.outcome if state.trained_now else f"{state.outcome} (nothing new)")
        return _described(state), state.version

    return tables.artifact(
        AssetPlan(
            code_versions={table: kind.code_version},
            deps={table: _TRAINING},
            reads_everybody_of=(_TRAINING[0],) if kind.borrows else (),
            condition=on_own_training_data(asset_key(_TRAINING[0])) if kind.borrows else None,
            descriptions={
                table: f"{kind.title}\n\nOne model per subreddit, trained again when the training set, the code or the "
                f"seed changes. Needs {', '.join(sorted(kind.requires)) or 'no block'}; "
                f"uses {', '.join(sorted(kind.uses)) or 'labels only'}. {_BORROWS if kind.borrows else ''}"
                "Its state is a row of models.predictors, its files lie in the model store."
            },
            kinds=frozenset({kind.library} - {""}),
            resources=("warehouse", "models"),
        ),
        predictor,
        described_by="models.predictors",
    )


def _described(state: "PredictorState") -> Metadata:
    row = state.row
    return {
        **{name: row[name] for name in ("status", "train_rows", "train_seconds", "snapshot")},
        "borrowed_from": row["lenders"] or 0,
        "borrowed_posts": row["lent_rows"] or 0,
        "reason": row["reason"] or "",
        "blocks": ", ".join(row["blocks"]),
        "notes": "; ".join(row["notes"]),
        "trained_now": state.trained_now,
        "trained_because": state.trained_because or "",
    }


def champions(work: Work) -> Mapping[str, Metadata]:
    """Which predictor speaks for a subreddit, and the evidence: every judgement, the last one holds.

    Candidates are chosen on the validation part and judged on the test part: nobody who loses to the median is
    champion, and one that is gives way only to what is better beyond chance. A new row when a model changed.
    """
    from redpop_assets.pages.champions import history_markdown
    from redpop_assets.refresh.champions import refresh_champion

    settings, warehouse, subreddit = work.settings, work.warehouse, work.subreddit
    row, judged_now = refresh_champion(
        warehouse, work.models, subreddit, settings.predictor_names, seed=settings.seed, progress=work.progress
    )
    champion = (row["predictor"] if row else None) or "nobody"
    work.progress(f"{champion}: {row['reason'] if row else 'nothing is trained yet'}")
    history = warehouse.query("FROM models.champions WHERE subreddit = $subreddit", {"subreddit": subreddit})
    return {
        "models.champions": {
            "champion": champion,
            "reason": row["reason"] if row else "",
            "judged_now": judged_now,
            "history": dg.MetadataValue.md(history_markdown(history.to_pylist())),
        }
    }
