"""Layer features, what trained networks say of pictures and captions: each content is asked about once per network."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.assets.due import (
    Compute,
    Kind,
    StoredPictures,
    compute_due,
    cost_of,
    due_content,
    keyed,
    without_unreadable,
)
from redpop_assets.assets.tables import TableAssets, partition_filter
from redpop_assets.encoders import heads, zero_shot
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.encoders.base import Modality
from redpop_assets.encoders.judges import Judge
from redpop_assets.features import class_families, emotions, entities
from redpop_assets.resources import judges_of
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from redpop_assets.encoders.base import Choice
    from redpop_assets.encoders.rows import Chunk

_NO_JUDGES = f"""
DELETE FROM features.image_scores
WHERE {partition_filter("features.image_scores")} AND NOT list_contains($judges, scorer)
"""
_OTHER_WEIGHTS = f"""
DELETE FROM features.image_scores WHERE {partition_filter("features.image_scores")} AND scorer = $scorer
AND (weights_sha256 <> $sha256 OR code_version <> $version)
"""


def network_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Vectors, classes, concepts, scores, names and emotions."""
    settings = tables.settings
    tuning = settings.home / "tuning"

    def described(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        table: str,
        kind: Kind,
        compute: Compute,
        *,
        code_version: str,
        made_from: Sequence[str] = (),
        **network: str,
    ) -> dg.MaterializeResult:
        """Let a network (the column that names it, and its name) describe what it has not seen; "" is no network."""
        took = cost_of(0, 0)
        if all(network.values()):
            given = dict.fromkeys(made_from, ENCODING_VERSION)
            subreddit = context.partition_key
            due = due_content(warehouse, kind, subreddit, {table: code_version}, made_from=given, **network)
            took = compute_due(context, warehouse, due, compute, settings.chunk_size)
        shown = {column: name or "none" for column, name in network.items()}
        return tables.materialized(warehouse, table, context.partition_key, **shown, **took)

    @dg.multi_asset(
        **tables.multi_asset(
            ("features.image_embeddings", "features.image_classes", "features.image_grids"),
            code_version=ENCODING_VERSION,
            deps=["core.posts", "core.images"],
            kinds={"pytorch"},
        ),
        partitions_def=tables.partitions,
        pool="gpu",
    )
    def image_networks(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> Iterator[dg.MaterializeResult]:
        """One vector per stored picture and image encoder (REDPOP_IMAGE_ENCODER and those beside it), L2-normalised.

        With the vector come the probabilities of the encoder's classes, where it has a classifier, and its spatial
        grid, where REDPOP_IMAGE_GRIDS asks for it. A picture is read and decoded once for all encoders that have yet to
        see it; on the GPU where there is one.
        """
        subreddit = context.partition_key
        due, encoders, ways = {}, {}, {}
        for name in settings.image_encoders:
            gives = ["features.image_embeddings"]
            if settings.image_grids and name.startswith("timm:"):
                gives.append("features.image_grids")
            rows = _due_images(warehouse, subreddit, gives, name)
            if not rows.num_rows:
                continue
            # torch is loaded only where there is something to encode: most refreshes of a quiet hour find nothing.
            from redpop_assets.encoders.load import load_image_encoder
            from redpop_assets.encoders.rows import record_encoder, tune_images

            encoder = load_image_encoder(
                name, device=settings.device, grids=settings.image_grids, probabilities=name.startswith("timm:")
            )
            if "grids" not in encoder.outputs and len(gives) > 1:
                rows = _due_images(warehouse, subreddit, gives[:1], name)
            due[name], encoders[name] = rows, encoder
            ways[name] = tune_images(encoder, images, rows, tuning)
            record_encoder(warehouse, encoder.provenance, ways[name])
        costs = _Costs()
        for names, rows in _by_encoders(due):
            from redpop_assets.encoders.rows import image_chunks

            chosen = [encoders[name] for name in names]
            chunks = image_chunks(chosen, images, rows, chunk_size=settings.chunk_size)
            costs.write(context, warehouse, chunks, rows.num_rows)
        shown = {"encoders": ", ".join(settings.image_encoders), **costs.metadata(ways)}
        yield tables.materialized(warehouse, "features.image_embeddings", subreddit, **shown)
        yield tables.materialized(warehouse, "features.image_classes", subreddit)
        yield tables.materialized(warehouse, "features.image_grids", subreddit)

    @dg.asset(
        **tables.asset(
            "features.caption_embeddings", code_version=ENCODING_VERSION, deps=["core.posts"], kinds={"pytorch"}
        ),
        pool="gpu",
    )
    def caption_embeddings(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """One vector per caption and caption encoder (REDPOP_CAPTION_ENCODER, and the words' half of the CLIP).

        L2-normalised. Only captions without a vector of this encoder and code version are encoded; on the GPU where
        there is one.
        """
        costs, ways = _Costs(), {}
        for name in settings.caption_encoders:
            table = {"features.caption_embeddings": ENCODING_VERSION}
            due = due_content(warehouse, "caption", context.partition_key, table, encoder=name)
            if due.num_rows:
                from redpop_assets.encoders.load import load_text_encoder
                from redpop_assets.encoders.rows import caption_chunks, record_encoder, tune_captions

                encoder = load_text_encoder(name, device=settings.device)
                ways[name] = tune_captions(encoder, due, tuning)
                record_encoder(warehouse, encoder.provenance, ways[name])
                chunks = caption_chunks(encoder, due, chunk_size=16 * settings.chunk_size)
                costs.write(context, warehouse, chunks, due.num_rows)
        shown = {"encoders": ", ".join(settings.caption_encoders), **costs.metadata(ways)}
        return tables.materialized(warehouse, "features.caption_embeddings", context.partition_key, **shown)

    @dg.asset(
        **tables.asset(
            "features.image_objects",
            code_version=class_families.CODE_VERSION,
            deps=["core.posts", "core.images", "features.image_classes"],
        )
    )
    def image_objects(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """What a picture shows: probabilities of WordNet's families of things, and the most probable classes.

        From the classes of the first image encoder of timm, if it sorts into the 1,000 of ImageNet; empty without one.
        """

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            seen = _stored(warehouse, "features.image_classes", "probabilities", settings.object_encoder, rows)
            of_imagenet = [len(seen[key]) == class_families.CLASSES for key in rows.column("image_sha256").to_pylist()]
            kept = rows.filter(pa.array(of_imagenet))
            if not kept.num_rows:
                return {}
            shares = np.stack([seen[key] for key in kept.column("image_sha256").to_pylist()])
            same = {"encoder": settings.object_encoder, "code_version": class_families.CODE_VERSION}
            features = class_families.object_features(shares)
            return {"features.image_objects": keyed(kept, ["image_sha256"], features, **same)}

        return described(
            context,
            warehouse,
            "features.image_objects",
            "image",
            compute,
            code_version=class_families.CODE_VERSION,
            made_from=("features.image_classes",),
            encoder=settings.object_encoder,
        )

    @dg.asset(
        **tables.asset(
            "features.image_concepts",
            code_version=zero_shot.CODE_VERSION,
            deps=["core.posts", "core.images", "features.image_embeddings"],
            kinds={"pytorch"},
        ),
        pool="gpu",
    )
    def image_concepts(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Sentiment concepts, people, medium, scene, style and quality of a picture as CLIP sees them, zero-shot.

        From the vectors of REDPOP_CLIP_ENCODER, or of the image encoder if that is a CLIP; empty without one.
        """
        from redpop_assets.encoders.load import load_text_encoder

        clip = settings.clip

        @cache
        def prototypes() -> dict[str, zero_shot.Prototypes]:
            words = load_text_encoder(clip, device=settings.device)
            return zero_shot.concept_vectors(words, zero_shot.concept_lists())

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            vectors = _vectors(warehouse, "image", clip, rows)
            same = {"encoder": clip, "code_version": zero_shot.CODE_VERSION}
            scores = zero_shot.concept_scores(vectors, prototypes())
            return {"features.image_concepts": keyed(rows, ["image_sha256"], scores, **same)}

        return described(
            context,
            warehouse,
            "features.image_concepts",
            "image",
            compute,
            code_version=zero_shot.CODE_VERSION,
            made_from=("features.image_embeddings",),
            encoder=clip,
        )

    @dg.asset(
        **tables.asset(
            "features.caption_image_agreement",
            code_version=zero_shot.CODE_VERSION,
            deps=["core.posts", "core.images", "features.image_embeddings", "features.caption_embeddings"],
        )
    )
    def caption_image_agreement(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """How well a title describes its picture: cosine of their CLIP vectors, once per pair.

        From the vectors of REDPOP_CLIP_ENCODER, or of the image encoder if that is a CLIP; empty without one.
        """
        clip = settings.clip

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            captions, pictures = (_vectors(warehouse, modality, clip, rows) for modality in ("caption", "image"))
            same = {"encoder": clip, "code_version": zero_shot.CODE_VERSION}
            features = zero_shot.caption_image_agreement(captions, pictures)
            keys = ["caption_sha256", "image_sha256"]
            return {"features.caption_image_agreement": keyed(rows, keys, features, **same)}

        return described(
            context,
            warehouse,
            "features.caption_image_agreement",
            "pair",
            compute,
            code_version=zero_shot.CODE_VERSION,
            made_from=("features.image_embeddings", "features.caption_embeddings"),
            encoder=clip,
        )

    @dg.asset(
        **tables.asset(
            "features.image_scores",
            code_version=heads.CODE_VERSION,
            deps=["core.posts", "core.images", "features.image_embeddings"],
            kinds={"pytorch"},
        ),
        pool="gpu",
    )
    def image_scores(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> dg.MaterializeResult:
        """What trained judges say of a picture: intrinsic popularity (IIPA), ratings (NIMA), beauty (a head on CLIP).

        Only those whose weights are named: REDPOP_IIPA_WEIGHTS, REDPOP_NIMA_WEIGHTS, REDPOP_AESTHETIC_WEIGHTS. Scores
        by other weights than the present ones are removed.
        """
        judges = judges_of(settings, warehouse)
        with warehouse.write() as writer:
            writer.execute(_NO_JUDGES, {"subreddit": context.partition_key, "judges": judges.names})
        rows_computed, seconds = 0, 0.0
        for judge, encoder in judges.load():
            due = _due_for(judge, encoder, warehouse, context.partition_key)
            compute = _judged(judge, encoder, warehouse, images)
            readable = compute if encoder else without_unreadable(context, images, compute)
            took = compute_due(context, warehouse, due, readable, settings.chunk_size)
            rows_computed += due.num_rows
            seconds += took["compute_seconds"]
        took = cost_of(rows_computed, seconds)
        return tables.materialized(warehouse, "features.image_scores", context.partition_key, **took)

    @dg.asset(**tables.asset("features.caption_entities", code_version=entities.CODE_VERSION, deps=["core.posts"]))
    def caption_entities(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """People, places, organisations, times, dates, sums and shares that a caption names, counted.

        By the spaCy model of REDPOP_ENTITY_MODEL, once per caption and model; empty without one.
        """
        model = settings.entity_model
        load = cache(lambda: entities.load_entities(model))

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            counts = load().counts(rows.column("caption").to_pylist())
            same = {"model": model, "code_version": entities.CODE_VERSION}
            return {"features.caption_entities": keyed(rows, ["caption_sha256"], counts, **same)}

        return described(
            context,
            warehouse,
            "features.caption_entities",
            "caption",
            compute,
            code_version=entities.CODE_VERSION,
            model=model,
        )

    @dg.asset(
        **tables.asset(
            "features.caption_emotions", code_version=emotions.CODE_VERSION, deps=["core.posts"], kinds={"pytorch"}
        ),
        pool="gpu",
    )
    def caption_emotions(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Probabilities of the emotions of a caption, by a text-classification network.

        By the transformers model of REDPOP_EMOTION_MODEL, once per caption and model; empty without one.
        """
        model = settings.emotion_model
        load = cache(lambda: emotions.load_emotions(model, device=settings.device))

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            network = load()
            found = network.probabilities(rows.column("caption").to_pylist())
            same = {"model": model, "code_version": emotions.CODE_VERSION}
            table = keyed(rows, ["caption_sha256"], {"probabilities": found}, **same)
            labels = pa.array([list(network.labels)] * rows.num_rows, pa.list_(pa.string()))
            return {"features.caption_emotions": table.append_column("labels", labels)}

        return described(
            context,
            warehouse,
            "features.caption_emotions",
            "caption",
            compute,
            code_version=emotions.CODE_VERSION,
            model=model,
        )

    return [
        image_networks,
        caption_embeddings,
        image_objects,
        image_concepts,
        caption_image_agreement,
        image_scores,
        caption_entities,
        caption_emotions,
    ]


class _Costs:
    """What encoding took, over all its passes."""

    def __init__(self) -> None:
        self._rows, self._unreadable, self._seconds = 0, 0, 0.0
        self._device_seconds: Counter[str] = Counter()

    def write(
        self, context: dg.AssetExecutionContext, warehouse: Warehouse, chunks: "Iterator[Chunk]", due: int
    ) -> None:
        """Write chunks as they come; what cannot be read is named in the log."""
        began, done = time.perf_counter(), 0
        with closing(chunks):  # type: ignore[type-var]  # it is a generator
            for chunk in chunks:
                with warehouse.write() as writer:
                    for table, rows in chunk.tables.items():
                        writer.merge(table, rows)
                for picture in chunk.unreadable:
                    context.log.warning(f"left out ({picture.reason}): {picture.detail}")
                done += chunk.items
                self._unreadable += len(chunk.unreadable)
                self._device_seconds.update(chunk.device_seconds)
                context.log.info(f"{done} of {due} rows")
        self._rows += done
        self._seconds += time.perf_counter() - began

    def metadata(self, ways: "Mapping[str, Choice | None]") -> dict[str, float | str]:
        """Rows, seconds, seconds on the device, and how each encoder ran."""
        shown = [
            f"{name}: {way.backend} {way.precision}, {way.batch_size} at a time, cosine {way.min_cosine:.5f}"
            for name, way in ways.items()
            if way is not None
        ]
        return {
            **cost_of(self._rows, self._seconds),
            "device_seconds": round(self._device_seconds.total(), 3),
            "unreadable": self._unreadable,
            "ways": "; ".join(shown),
        }


def _due_images(warehouse: Warehouse, subreddit: str, gives: Sequence[str], encoder: str) -> pa.Table:
    return due_content(warehouse, "image", subreddit, dict.fromkeys(gives, ENCODING_VERSION), encoder=encoder)


def _by_encoders(due: Mapping[str, pa.Table]) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """Pictures by the encoders that have yet to see them, so that each picture is decoded once."""
    waiting: dict[str, tuple[str, ...]] = {}
    for encoder, rows in due.items():
        for picture in rows.column("image_sha256").to_pylist():
            waiting[picture] = (*waiting.get(picture, ()), encoder)
    for encoders in dict.fromkeys(waiting.values()):
        rows = due[encoders[0]]
        theirs = [waiting[picture] == encoders for picture in rows.column("image_sha256").to_pylist()]
        yield encoders, rows.filter(pa.array(theirs))


def _stored(
    warehouse: Warehouse, table: str, column: str, encoder: str, rows: pa.Table, key: str = "image_sha256"
) -> dict[str, npt.NDArray[np.float32]]:
    """What an encoder said of the content of some rows, by the key of the content."""
    found = warehouse.query(
        f"SELECT {key} AS key, {column} AS said FROM {table} "
        f"WHERE encoder = $encoder AND code_version = $version AND {key} IN (SELECT unnest($keys))",
        {"encoder": encoder, "version": ENCODING_VERSION, "keys": rows.column(key).to_pylist()},
    )
    return dict(zip(found.column("key").to_pylist(), found.column("said").to_numpy(), strict=True))


def _vectors(warehouse: Warehouse, modality: Modality, encoder: str, rows: pa.Table) -> npt.NDArray[np.float32]:
    """(n, d) stored vectors of the pictures or captions of n rows, in their order."""
    key = f"{modality}_sha256"
    vectors = _stored(warehouse, f"features.{modality}_embeddings", "embedding", encoder, rows, key)
    return np.stack([vectors[content] for content in rows.column(key).to_pylist()])


def _due_for(judge: Judge, encoder: str, warehouse: Warehouse, subreddit: str) -> pa.Table:
    """Pictures that a judge has not seen; its scores by other weights or code are removed."""
    weights = judge.provenance.weights_sha256
    of_encoder = {"encoder": encoder} if encoder else {}
    with warehouse.write() as writer:
        params = {"scorer": judge.name, "sha256": weights, "version": heads.CODE_VERSION}
        writer.execute(_OTHER_WEIGHTS, {"subreddit": subreddit, **params})
    return due_content(
        warehouse,
        "image",
        subreddit,
        {"features.image_scores": heads.CODE_VERSION},
        made_from={"features.image_embeddings": ENCODING_VERSION} if encoder else {},
        scorer=judge.name,
        weights_sha256=weights,
        **of_encoder,
    )


def _judged(judge: Judge, encoder: str, warehouse: Warehouse, store: ImageStore) -> Compute:
    """How a judge scores the pictures of some rows."""
    weights = {"weights": judge.provenance.weights, "weights_sha256": judge.provenance.weights_sha256}
    same = {"scorer": judge.name, **weights, "code_version": heads.CODE_VERSION}

    def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
        if isinstance(judge, heads.VectorScorer):
            scores = judge.score_vectors(_vectors(warehouse, "image", encoder, rows))
        else:
            scores = judge.score(StoredPictures(store, rows))
        return {"features.image_scores": keyed(rows, ["image_sha256"], scores, **same)}

    return compute
