"""Layer features: what was knowable when a post was made. SQL picks the rows, features/ and encoders/ compute them."""

import time
from collections.abc import Callable

import dagster as dg
import numpy as np
import pyarrow as pa

from redpop_assets.assets.tables import TableAssets
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.features import captions, pixels, timestamps
from redpop_assets.features.authors import author_features as describe_authors
from redpop_assets.features.flags import flag_features
from redpop_assets.predictors.blocks import HISTORY
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse, Writer

_IMAGES = """
SELECT DISTINCT i.image_sha256, i.path, i.width, i.height
FROM core.posts AS p
JOIN core.primary_images AS f USING (post_id)
JOIN core.images AS i USING (image_sha256)
"""
_DUE_IMAGES = f"""{_IMAGES}
ANTI JOIN (SELECT image_sha256 FROM features.image_embeddings WHERE encoder = $encoder AND code_version = $version) AS e
    ON e.image_sha256 = i.image_sha256
WHERE p.subreddit = $subreddit ORDER BY i.image_sha256
"""
_DUE_PIXELS = f"""{_IMAGES}
ANTI JOIN (SELECT image_sha256 FROM features.image_features WHERE code_version = $version) AS e
    ON e.image_sha256 = i.image_sha256
WHERE p.subreddit = $subreddit ORDER BY i.image_sha256
"""
_DUE_CAPTION_VECTORS = """
SELECT DISTINCT p.caption_sha256, p.caption FROM core.posts AS p
ANTI JOIN (
    SELECT caption_sha256 FROM features.caption_embeddings WHERE encoder = $encoder AND code_version = $version
) AS e ON e.caption_sha256 = p.caption_sha256
WHERE p.subreddit = $subreddit ORDER BY p.caption_sha256
"""
_DUE_CAPTIONS = """
SELECT DISTINCT p.caption_sha256, p.caption FROM core.posts AS p
ANTI JOIN (SELECT caption_sha256 FROM features.caption_features WHERE code_version = $version) AS e
    ON e.caption_sha256 = p.caption_sha256
WHERE p.subreddit = $subreddit ORDER BY p.caption_sha256
"""
_DUE_TIMES = """
SELECT p.post_id, p.created_at FROM core.posts AS p
ANTI JOIN (SELECT post_id FROM features.timestamp_features WHERE code_version = $version) AS e ON e.post_id = p.post_id
WHERE p.subreddit = $subreddit ORDER BY p.post_id
"""
_FLAGS = """
SELECT post_id, kind, len(image_urls) AS image_count, crosspost_parent, is_original_content, flair, over_18, spoiler
FROM core.posts WHERE subreddit = $subreddit ORDER BY post_id
"""


def feature_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Embeddings and the cheap features, each keyed by the content or the post it depends on."""
    settings = tables.settings

    def compute_missing(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        table: str,
        due: pa.Table,
        compute: Callable[[pa.Table], pa.Table],
    ) -> dict[str, float]:
        """Compute the due rows chunk by chunk, each written as it is ready, and report what it took."""
        began = time.perf_counter()
        for start in range(0, due.num_rows, settings.chunk_size):
            warehouse.merge(table, compute(due.slice(start, settings.chunk_size)))
            done = min(start + settings.chunk_size, due.num_rows)
            context.log.info(f"{done} of {due.num_rows} rows")
        seconds = time.perf_counter() - began
        return {
            "rows_computed": due.num_rows,
            "compute_seconds": round(seconds, 3),
            "rows_per_second": round(due.num_rows / seconds, 1) if due.num_rows else 0.0,
        }

    @dg.asset(
        **tables.asset(
            "features.image_embeddings",
            code_version=ENCODING_VERSION,
            deps=["core.posts", "core.images"],
            kinds={"pytorch"},
        ),
        pool="gpu",
    )
    def image_embeddings(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> dg.MaterializeResult:
        """One vector per stored picture and image encoder (REDPOP_IMAGE_ENCODER), L2-normalised.

        Only pictures without a vector of this encoder and code version are encoded; on the GPU where there is one.
        """
        from redpop_assets.encoders.load import load_image_encoder
        from redpop_assets.encoders.rows import embed_images, record_encoder

        params = {"encoder": settings.image_encoder, "version": ENCODING_VERSION, "subreddit": context.partition_key}
        due = warehouse.query(_DUE_IMAGES, params)
        took = {}
        if due.num_rows:
            encoder = load_image_encoder(settings.image_encoder, device=settings.device)
            record_encoder(warehouse, encoder.provenance)
            took = compute_missing(
                context, warehouse, "features.image_embeddings", due, lambda rows: embed_images(encoder, images, rows)
            )
        return tables.materialized(
            warehouse, "features.image_embeddings", context.partition_key, encoder=settings.image_encoder, **took
        )

    @dg.asset(
        **tables.asset(
            "features.caption_embeddings", code_version=ENCODING_VERSION, deps=["core.posts"], kinds={"pytorch"}
        ),
        pool="gpu",
    )
    def caption_embeddings(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """One vector per caption and caption encoder (REDPOP_CAPTION_ENCODER), L2-normalised.

        Only captions without a vector of this encoder and code version are encoded; on the GPU where there is one.
        """
        from redpop_assets.encoders.load import load_text_encoder
        from redpop_assets.encoders.rows import embed_captions, record_encoder

        params = {"encoder": settings.caption_encoder, "version": ENCODING_VERSION, "subreddit": context.partition_key}
        due = warehouse.query(_DUE_CAPTION_VECTORS, params)
        took = {}
        if due.num_rows:
            encoder = load_text_encoder(settings.caption_encoder, device=settings.device)
            record_encoder(warehouse, encoder.provenance)
            took = compute_missing(
                context, warehouse, "features.caption_embeddings", due, lambda rows: embed_captions(encoder, rows)
            )
        return tables.materialized(
            warehouse, "features.caption_embeddings", context.partition_key, encoder=settings.caption_encoder, **took
        )

    @dg.asset(**tables.asset("features.caption_features", code_version=captions.CODE_VERSION, deps=["core.posts"]))
    def caption_features(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Lengths, punctuation, tags, sentiment (VADER) and emotions (NRC) of each caption, once per caption."""

        def compute(rows: pa.Table) -> pa.Table:
            features = captions.caption_features(rows.column("caption").to_pylist())
            return _keyed(rows, "caption_sha256", features, captions.CODE_VERSION)

        params = {"version": captions.CODE_VERSION, "subreddit": context.partition_key}
        due = warehouse.query(_DUE_CAPTIONS, params)
        took = compute_missing(context, warehouse, "features.caption_features", due, compute)
        return tables.materialized(warehouse, "features.caption_features", context.partition_key, **took)

    @dg.asset(
        **tables.asset("features.image_features", code_version=pixels.CODE_VERSION, deps=["core.posts", "core.images"])
    )
    def image_features(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> dg.MaterializeResult:
        """Size, light, colour, sharpness and clutter of each stored picture, once per picture."""
        from redpop_assets.images.decode import open_rgb

        def compute(rows: pa.Table) -> pa.Table:
            opened = (
                open_rgb(images.read(path), draft_edge=pixels.WORKING_EDGE) for path in rows.column("path").to_pylist()
            )
            sizes = list(zip(rows.column("width").to_pylist(), rows.column("height").to_pylist(), strict=True))
            return _keyed(rows, "image_sha256", pixels.pixel_features(opened, sizes), pixels.CODE_VERSION)

        due = warehouse.query(_DUE_PIXELS, {"version": pixels.CODE_VERSION, "subreddit": context.partition_key})
        took = compute_missing(context, warehouse, "features.image_features", due, compute)
        return tables.materialized(warehouse, "features.image_features", context.partition_key, **took)

    @dg.asset(**tables.asset("features.timestamp_features", code_version=timestamps.CODE_VERSION, deps=["core.posts"]))
    def timestamp_features(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Hour, weekday and day of the year of each post (UTC) as dummies, on a circle, and as radial bases."""

        def compute(rows: pa.Table) -> pa.Table:
            features = timestamps.timestamp_features(rows.column("created_at").to_numpy())
            table = _keyed(rows, "post_id", features, timestamps.CODE_VERSION)
            return table.append_column("subreddit", pa.array([context.partition_key] * rows.num_rows))

        params = {"version": timestamps.CODE_VERSION, "subreddit": context.partition_key}
        due = warehouse.query(_DUE_TIMES, params)
        took = compute_missing(context, warehouse, "features.timestamp_features", due, compute)
        with warehouse.write() as writer:
            _drop_rejected(writer, "features.timestamp_features", context.partition_key)
        return tables.materialized(warehouse, "features.timestamp_features", context.partition_key, **took)

    @dg.asset(**tables.asset("features.author_features", code_version="1", deps=["core.posts", "core.labels"]))
    def author_features(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """The author's and the subreddit's past at each post: strictly earlier posts, only scores mature by then.

        A walk through time over the whole subreddit; rows of old posts come out equal and stay as they are.
        """
        posts = warehouse.query(HISTORY, {"subreddit": context.partition_key})
        created_at = posts.column("created_at").to_numpy().astype("datetime64[s]")
        features = describe_authors(
            posts.column("post_id").to_pylist(),
            posts.column("author").to_pylist(),
            created_at,
            created_at + np.timedelta64(settings.label_final_age),
            posts.column("log_score").to_numpy().astype(np.float64),
        )
        rows = arrow_table(
            {
                "post_id": posts.column("post_id").to_pylist(),
                "subreddit": [context.partition_key] * posts.num_rows,
                **features,
            }
        )
        subreddit = {"subreddit": context.partition_key}
        merged = warehouse.replace("features.author_features", rows, "subreddit = $subreddit", subreddit)
        return tables.materialized(
            warehouse,
            "features.author_features",
            context.partition_key,
            rows_changed=merged.changed,
            cold_start_share=float(features["is_cold_start"].mean()) if posts.num_rows else 0.0,
        )

    @dg.asset(**tables.asset("features.post_flags", code_version="1", deps=["core.posts"]))
    def post_flags(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        """Gallery, crosspost, original content and flair of each post; maturity and spoiler flags for analysis only."""
        posts = warehouse.query(_FLAGS, {"subreddit": context.partition_key})
        column = {name: posts.column(name).to_pylist() for name in posts.column_names}
        features = flag_features(
            column["kind"],
            column["image_count"],
            column["crosspost_parent"],
            column["is_original_content"],
            column["flair"],
            column["over_18"],
            column["spoiler"],
        )
        rows = arrow_table(
            {"post_id": column["post_id"], "subreddit": [context.partition_key] * posts.num_rows, **features}
        )
        subreddit = {"subreddit": context.partition_key}
        merged = warehouse.replace("features.post_flags", rows, "subreddit = $subreddit", subreddit)
        return tables.materialized(warehouse, "features.post_flags", context.partition_key, rows_changed=merged.changed)

    return [
        image_embeddings,
        caption_embeddings,
        image_features,
        caption_features,
        timestamp_features,
        author_features,
        post_flags,
    ]


def _keyed(rows: pa.Table, key: str, features: dict[str, np.ndarray], code_version: str) -> pa.Table:
    return arrow_table({key: rows.column(key).to_pylist(), "code_version": [code_version] * rows.num_rows, **features})


def _drop_rejected(writer: Writer, table: str, subreddit: str) -> None:
    """Posts may be rejected later, as when a moderator removes them; their rows go."""
    writer.execute(
        f"DELETE FROM {table} WHERE subreddit = $subreddit AND post_id NOT IN "
        "(SELECT post_id FROM core.posts WHERE subreddit = $subreddit)",
        {"subreddit": subreddit},
    )
