"""Layer features, what can be computed of a post by itself: its caption, its picture's pixels, its time, its flags."""

import os
from collections.abc import Iterator, Mapping

import dagster as dg
import pyarrow as pa

from redpop_assets.assets.due import (
    CHEAP_CHUNK,
    StoredPictures,
    compute_due,
    due_content,
    keyed,
    without_unreadable,
)
from redpop_assets.assets.tables import TableAssets
from redpop_assets.features import captions, pixels, timestamps, tokens, visual
from redpop_assets.features.flags import flag_features
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse, Writer

_FLAGS = """
SELECT post_id, kind, len(image_urls) AS image_count, crosspost_parent, is_original_content, flair, over_18, spoiler
FROM core.posts WHERE subreddit = $subreddit ORDER BY post_id
"""


def feature_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """The cheap features, each keyed by the content or the post it depends on."""
    settings = tables.settings

    @dg.multi_asset(
        **tables.multi_asset(
            ("features.caption_features", "features.caption_tokens"),
            code_version=f"{captions.CODE_VERSION}.{tokens.CODE_VERSION}",
            deps=["core.posts"],
        ),
        partitions_def=tables.partitions,
    )
    def captions_and_words(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        """Lengths, case, tags, readability, sentiment (VADER) and emotions (NRC) of each caption, and its words.

        Once per caption.
        """
        versions = {
            "features.caption_features": captions.CODE_VERSION,
            "features.caption_tokens": tokens.CODE_VERSION,
        }

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            texts = rows.column("caption").to_pylist()
            split = tokens.caption_tokens(texts)
            lists = {"tokens": split.tokens, "tags": split.tags}
            words = keyed(rows, ["caption_sha256"], {}, code_version=tokens.CODE_VERSION)
            for name, values in lists.items():
                words = words.append_column(name, pa.array(values, pa.list_(pa.string())))
            features = captions.caption_features(texts)
            return {
                "features.caption_features": keyed(
                    rows, ["caption_sha256"], features, code_version=captions.CODE_VERSION
                ),
                "features.caption_tokens": words,
            }

        due = due_content(warehouse, "caption", context.partition_key, versions)
        took = compute_due(context, warehouse, due, compute, CHEAP_CHUNK)
        for table in versions:
            yield tables.materialized(warehouse, table, context.partition_key, **took)

    @dg.multi_asset(
        **tables.multi_asset(
            ("features.image_features", "features.image_visual"),
            code_version=f"{pixels.CODE_VERSION}.{visual.CODE_VERSION}",
            deps=["core.posts", "core.images"],
        ),
        partitions_def=tables.partitions,
    )
    def pixels_and_composition(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> Iterator[dg.MaterializeResult]:
        """Size, light, colour, sharpness, clutter and text of each stored picture, and its texture and composition.

        Once per picture, both tables from one decoding.
        """
        versions = {"features.image_features": pixels.CODE_VERSION, "features.image_visual": visual.CODE_VERSION}

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            opened = StoredPictures(images, rows, draft_edge=pixels.WORKING_EDGE)
            sizes = list(zip(rows.column("width").to_pylist(), rows.column("height").to_pylist(), strict=True))
            features = visual.describe_images(opened, sizes, workers=os.cpu_count() or 1)
            return {
                table: keyed(rows, ["image_sha256"], columns, code_version=version)
                for (table, version), columns in zip(versions.items(), features, strict=True)
            }

        due = due_content(warehouse, "image", context.partition_key, versions)
        readable = without_unreadable(context, images, compute)
        took = compute_due(context, warehouse, due, readable, settings.chunk_size)
        for table in versions:
            yield tables.materialized(warehouse, table, context.partition_key, **took)

    @dg.asset(**tables.asset("features.timestamp_features", code_version=timestamps.CODE_VERSION, deps=["core.posts"]))
    def timestamp_features(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        """Hour, weekday and day of the year of each post (UTC) as dummies, on a circle, and as radial bases."""
        table = "features.timestamp_features"

        def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
            features = timestamps.timestamp_features(rows.column("created_at").to_numpy())
            same = {"code_version": timestamps.CODE_VERSION, "subreddit": context.partition_key}
            return {table: keyed(rows, ["post_id"], features, **same)}

        due = due_content(warehouse, "post", context.partition_key, {table: timestamps.CODE_VERSION})
        took = compute_due(context, warehouse, due, compute, CHEAP_CHUNK)
        with warehouse.write() as writer:
            _drop_rejected(writer, table, context.partition_key)
        return tables.materialized(warehouse, table, context.partition_key, **took)

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

    return [captions_and_words, pixels_and_composition, timestamp_features, post_flags]


def _drop_rejected(writer: Writer, table: str, subreddit: str) -> None:
    """Posts may be rejected later, as when a moderator removes them; their rows go."""
    writer.execute(
        f"DELETE FROM {table} WHERE subreddit = $subreddit AND post_id NOT IN "
        "(SELECT post_id FROM core.posts WHERE subreddit = $subreddit)",
        {"subreddit": subreddit},
    )
