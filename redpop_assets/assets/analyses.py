"""What is computed on demand, a table of layer marts each: analyses, and the comparison of splits."""

from collections.abc import Mapping

import dagster as dg

from redpop_assets import markdown, versions
from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.analyses.study import Analysis
from redpop_assets.assets.tables import AssetPlan, Metadata, TableAssets, Work
from redpop_assets.resources import deployed_encoders

MOST_FIGURES = 4
"""Figures shown in the UI; all of them lie on disk."""

_ASSETS = frozenset({"marts.predictions", "raw.sightings"})
"""Sources that are assets; models.predictors is filled by all predictors."""


class Asked(dg.Config):
    """What is asked about."""

    subreddit: str = ""
    """One community in lower case; empty for all that have a training set."""
    predictor: str = ""
    """The predictor to look at; empty for that of the settings, or for all where all are compared."""


def analysis_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """One asset per analysis, and the comparison of splits."""
    splits = "marts.split_comparison"
    return [
        *(_analysis_asset(tables, analysis) for analysis in ANALYSES.values()),
        tables.asset(
            AssetPlan(
                code_versions={splits: versions.SPLIT_COMPARISON},
                deps={splits: ("models.training_set", "models.training_columns")},
                partitioned=False,
                on_demand=True,
                config=Asked,
            ),
            split_comparison,
        ),
    ]


def split_comparison(work: Work) -> Mapping[str, Metadata]:
    """Every predictor trained again under the split by time, by author, at random and with one post per author.

    One row per subreddit, predictor and split; trained only if the training set, the code or the seed changed.
    Takes as long as four trainings of all predictors.
    """
    from redpop_assets.pages.split_comparison import split_markdown
    from redpop_assets.refresh.split_comparison import refresh_split_comparison

    settings, asked = work.settings, work.config(Asked)
    rows, trained = refresh_split_comparison(
        work.warehouse,
        deployed_encoders(settings),
        [asked.predictor] if asked.predictor else settings.predictor_names,
        subreddit=asked.subreddit,
        matured_after=settings.label_rule.final_age,
        test_share=settings.test_share,
        validation_share=settings.validation_share,
        seed=settings.seed,
        progress=work.progress,
    )
    return {
        "marts.split_comparison": {
            "models_trained": trained,
            "table": dg.MetadataValue.md(split_markdown(rows)),
        }
    }


def _analysis_asset(tables: TableAssets, analysis: Analysis) -> dg.AssetsDefinition:
    def analysed(work: Work) -> Mapping[str, Metadata]:
        from redpop_assets.analyses.asking import refresh, studies
        from redpop_assets.pages.analyses import rows_markdown
        from redpop_assets.storage.figures import FigureStore

        settings, asked = work.settings, work.config(Asked)
        outcome = refresh(
            analysis,
            studies(
                work.warehouse,
                work.models,
                work.images,
                deployed_encoders(settings),
                subreddit=asked.subreddit,
                predictor=asked.predictor or settings.analysed_predictor,
                seed=settings.seed,
                progress=work.progress,
            ),
            work.warehouse,
        )
        figures = FigureStore.beside(work.images)
        # A figure that shows posts must be able to go; the log of events keeps everything.
        shown = () if analysis.shows_posts else outcome.figures[:MOST_FIGURES]
        return {
            analysis.table: {
                "communities_measured": outcome.measured,
                "remarks": "; ".join(outcome.notes),
                "figures": dg.MetadataValue.path(figures.place.where),
                "table": dg.MetadataValue.md(rows_markdown(outcome.rows, analysis.shown)),
                "pictures": dg.MetadataValue.md(
                    "\n\n".join(markdown.picture(figures.read(name), name) for name in shown)
                ),
            }
        }

    return tables.asset(
        AssetPlan(
            code_versions={analysis.table: analysis.version},
            deps={analysis.table: ("models.training_set", *(name for name in analysis.sources if name in _ASSETS))},
            descriptions={
                analysis.table: f"{analysis.question}\n\nComputed on demand, and again when what it was measured on "
                "changed."
            },
            partitioned=False,
            on_demand=True,
            resources=("warehouse", "images", "models"),
            config=Asked,
        ),
        analysed,
    )
