"""Layer features, what looks at other posts: each row knows only posts of earlier seconds, and only mature scores."""

from collections.abc import Iterator
from itertools import islice

import dagster as dg
import numpy as np
import pyarrow as pa

from redpop_assets.assets.tables import TableAssets
from redpop_assets.features import authors, community, environments, neighbours, novelty, seen_before
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.history import History, read_subscribers
from redpop_assets.storage.warehouse import Warehouse

_OF_SUBREDDIT = "subreddit = $subreddit"
# Of environments, in one merge: some 50 MB of means of EfficientNet's and MiniLM's vectors.
_BLOCKS_AT_ONCE = 8


def history_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """What authors, communities and pictures had been through when a post was made."""
    settings = tables.settings

    @dg.multi_asset(
        **tables.multi_asset(
            ("features.author_features", "features.community_features", "features.caption_novelty"),
            code_version=f"{authors.CODE_VERSION}.{community.CODE_VERSION}.{novelty.CODE_VERSION}",
            deps=["core.posts", "core.labels"],
        ),
        partitions_def=tables.partitions,
    )
    def post_history(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        """The author's and the community's past at each post, and how new its caption was.

        Computed for the whole subreddit at once; rows of old posts come out equal and stay as they are.
        """
        subreddit = context.partition_key
        everybody = History.read(warehouse, None, matured_after=settings.label_rule.final_age)
        posts = everybody.only(subreddit)
        past = (posts.post_ids, posts.authors, posts.created_at, posts.matured_at, posts.log_score)
        activity = authors.Activity(everybody.authors, everybody.subreddits, everybody.created_at)
        subscribers, seen_at = read_subscribers(warehouse, subreddit)
        computed = {
            "features.author_features": authors.author_features(*past, captions=posts.captions, activity=activity),
            "features.community_features": community.community_features(
                *past, subscribers=subscribers, subscribers_observed_at=seen_at
            ),
            "features.caption_novelty": novelty.caption_novelty(
                posts.post_ids, posts.created_at, caption_tokens(posts.captions).tokens
            ),
        }
        for table, features in computed.items():
            changed = _replace(warehouse, table, subreddit, {"post_id": posts.post_ids, **features})
            yield tables.materialized(warehouse, table, subreddit, rows_changed=changed)

    @dg.multi_asset(
        **tables.multi_asset(
            ("features.seen_before", "features.neighbours", "features.environments"),
            code_version=f"{seen_before.CODE_VERSION}.{neighbours.CODE_VERSION}.{environments.CODE_VERSION}",
            deps=[
                "core.posts",
                "core.labels",
                "core.duplicates",
                "features.image_embeddings",
                "features.caption_embeddings",
            ],
        ),
        partitions_def=tables.partitions,
    )
    def picture_history(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        """How the same picture and the most similar earlier posts did, and what the author had shown before.

        Computed for the whole subreddit at once, exactly; rows of old posts come out equal and stay as they are.
        """
        subreddit = context.partition_key
        everybody = History.read(warehouse, None, matured_after=settings.label_rule.final_age)
        seen = seen_before.seen_before_features(
            everybody.post_ids,
            everybody.subreddits,
            everybody.authors,
            everybody.groups,
            everybody.created_at,
            everybody.matured_at,
            everybody.log_score,
        )
        here = everybody.of(subreddit)
        seen_here = {name: values[here] for name, values in seen.items()}
        posts = everybody.only(subreddit)
        names = {"image_encoder": settings.image_encoder, "caption_encoder": settings.caption_encoder}
        encoders = tables.encoders
        vectors = read_dataset(warehouse, subreddit, encoders, ["image", "caption"])
        if vectors.post_ids != tuple(posts.post_ids):
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=5)  # another run has cleaned posts in between
        changed = _replace(warehouse, "features.seen_before", subreddit, {"post_id": posts.post_ids, **seen_here})
        yield tables.materialized(warehouse, "features.seen_before", subreddit, rows_changed=changed)

        images, captions = (vectors.blocks[block].values for block in ("image", "caption"))
        nearest = neighbours.neighbour_features(
            posts.post_ids,
            posts.created_at,
            posts.matured_at,
            posts.log_score,
            images,
            captions,
            groups=posts.groups,
        )
        same = {name: [value] * len(posts) for name, value in names.items()}
        changed = _replace(warehouse, "features.neighbours", subreddit, {"post_id": posts.post_ids, **same, **nearest})
        yield tables.materialized(warehouse, "features.neighbours", subreddit, rows_changed=changed, **names)

        changed = 0
        blocks = environments.environments(posts.post_ids, posts.authors, posts.created_at, images, captions)
        while several := list(islice(blocks, _BLOCKS_AT_ONCE)):
            rows = pa.concat_tables([_environment_rows(block, posts, subreddit, names) for block in several])
            changed += warehouse.merge("features.environments", rows).changed
        with warehouse.write() as writer:
            writer.execute(
                "DELETE FROM features.environments WHERE subreddit = $subreddit AND (image_encoder <> $image_encoder "
                "OR caption_encoder <> $caption_encoder OR post_id NOT IN "
                "(SELECT post_id FROM core.posts WHERE subreddit = $subreddit))",
                {"subreddit": subreddit, **names},
            )
        yield tables.materialized(warehouse, "features.environments", subreddit, rows_changed=changed, **names)

    return [post_history, picture_history]


def _replace(warehouse: Warehouse, table: str, subreddit: str, columns: dict[str, object]) -> int:
    count = len(columns["post_id"])  # type: ignore[arg-type]
    rows = arrow_table({**columns, "subreddit": [subreddit] * count})  # type: ignore[dict-item]
    return warehouse.replace(table, rows, _OF_SUBREDDIT, {"subreddit": subreddit}).changed


def _environment_rows(
    block: environments.Environments, posts: History, subreddit: str, names: dict[str, str]
) -> pa.Table:
    count = len(block.rows)
    return arrow_table(
        {
            "post_id": [posts.post_ids[row] for row in block.rows],
            **{name: [value] * count for name, value in {"subreddit": subreddit, **names}.items()},
            "level": block.level,
            "posts": block.posts,
            "image_mean": np.asarray(block.image_mean, dtype=np.float32),
            "caption_mean": np.asarray(block.caption_mean, dtype=np.float32),
        }
    )
