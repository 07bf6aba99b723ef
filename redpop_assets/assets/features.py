"""Layer features: an asset for every step of the registry. What a family computes is declared beside its code."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import dagster as dg

from redpop_assets import versions
from redpop_assets.assets.tables import AssetPlan, Body, Metadata, TableAssets, Work
from redpop_assets.features.family import Family, Grain, Networks
from redpop_assets.features.registry import STEPS
from redpop_assets.resources import deployed_encoders, deployed_families, judges_of
from redpop_assets.settings import Settings

if TYPE_CHECKING:
    from redpop_assets.refresh.embeddings import Encoding
    from redpop_assets.refresh.features import Scope

_MADE_OF: Final[Mapping[Grain, tuple[str, ...]]] = {
    "caption": ("core.posts",),
    "picture": ("core.posts", "core.images"),
    "pair": ("core.posts", "core.images"),
    "post": ("core.posts",),
}


def feature_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """All features: what can be computed of content by itself, what networks say of it, and what looks at the past."""
    computed = set(deployed_families(tables.settings))
    return [
        tables.asset(_plan(step, families), _body(step, families))
        for step, families in STEPS.items()
        if computed.issuperset(families)
    ] + [
        tables.asset(
            AssetPlan(
                code_versions={"features.early_readings": versions.EARLY_READINGS},
                deps={"features.early_readings": ("core.posts", "raw.observations")},
            ),
            early_readings,
        )
    ]


def early_readings(work: Work) -> Mapping[str, Metadata]:
    """What the readings of a post told by the time it was 1, 3, 6 and 24 hours old, and nothing that was read later.

    One row per post and age, made once the community has been read past that age. Ordinary predictors never see it.
    """
    from redpop_assets.refresh.early_readings import refresh_early_readings

    found = refresh_early_readings(work.warehouse, work.subreddit)
    return {"features.early_readings": {"rows_made": found.made, "rows_gone": found.gone}}


def _plan(step: str, families: Sequence[Family]) -> AssetPlan:
    everybody = families[0].past == "everybody"
    on_device = any(family.on_device for family in families)
    return AssetPlan(
        code_versions={family.filled_table: family.version for family in families},
        deps={family.filled_table: (*_MADE_OF[family.grain], *family.made_from) for family in families},
        name=step if len(families) > 1 else "",
        together=step in _JOBS and len(families) > 1,
        reads_everybody=everybody,
        descriptions={family.filled_table: family.note for family in families},
        kinds=frozenset({"pytorch"} if on_device else ()),
        resources=("warehouse", "images", "engine"),
        pool="gpu" if on_device else None,
    )


def _body(step: str, families: Sequence[Family]) -> Body:
    def refresh(work: Work) -> Mapping[str, Metadata]:
        from redpop_assets.refresh.features import refresh_step

        scope = _scope(work)
        if job := _JOBS.get(step):
            return job(scope, _encoding(work.settings))
        return refresh_step([family for family in families if family.filled_table in work.tables], scope)

    return refresh


def _scope(work: Work) -> "Scope":
    from redpop_assets.refresh.features import Scope

    settings = work.settings
    return Scope(
        subreddit=work.subreddit,
        warehouse=work.warehouse,
        images=work.images,
        encoders=deployed_encoders(settings),
        networks=Networks(settings.network_device, judges_of(settings, work.warehouse.query)),
        matured_after=settings.label_rule.final_age,
        chunk_size=settings.chunk_size,
        progress=work.progress,
        warn=work.warn,
        engine=work.engine,
    )


def _encoding(settings: Settings) -> "Encoding":
    from redpop_assets.refresh.embeddings import Encoding

    return Encoding(
        images=settings.image_encoders,
        captions=settings.caption_encoders,
        grids=settings.image_grids,
        tuning=None if settings.reproducible else settings.tuning_memory,
    )


def _image_networks(scope: "Scope", encoding: "Encoding") -> Mapping[str, Metadata]:
    from redpop_assets.refresh.embeddings import refresh_images

    return refresh_images(scope, encoding)


def _captions(scope: "Scope", encoding: "Encoding") -> Mapping[str, Metadata]:
    from redpop_assets.refresh.embeddings import refresh_captions

    return refresh_captions(scope, encoding)


def _ratings(scope: "Scope", _: "Encoding") -> Mapping[str, Metadata]:
    from redpop_assets.refresh.embeddings import refresh_scores

    return refresh_scores(scope)


_JOBS: Final[Mapping[str, Callable[["Scope", "Encoding"], Mapping[str, Metadata]]]] = {
    "image_networks": _image_networks,
    "caption": _captions,
    "ratings": _ratings,
}
"""Steps that several networks fill together, with jobs of their own."""
