"""Layer core: clean posts, their images and their labels. SQL picks the rows, reddit/ and images/ have the rules."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from redpop_assets.assets.tables import TableAssets
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

# Submissions without a row in core, or whose row was made by other rules or from another removal state.
_DUE_SUBMISSIONS = """
WITH latest AS (
    SELECT
        post_id,
        arg_max_null(removed_by_category, observed_at) AS removed_by_category,
        arg_max_null(author_present, observed_at) AS author_present
    FROM raw.observations WHERE subreddit = $subreddit GROUP BY post_id
),
cleaned AS (
    SELECT post_id, code_version, removed_by_category, author_present FROM core.posts WHERE subreddit = $subreddit
    UNION ALL
    SELECT post_id, code_version, removed_by_category, author_present
    FROM core.rejected_posts WHERE subreddit = $subreddit
)
SELECT s.post_id, s.origin, l.removed_by_category, l.author_present
FROM raw.submissions AS s
LEFT JOIN latest AS l USING (post_id)
LEFT JOIN cleaned AS c USING (post_id)
WHERE s.subreddit = $subreddit AND (
    c.post_id IS NULL
    OR c.code_version <> $code_version
    OR c.removed_by_category IS DISTINCT FROM l.removed_by_category
    OR c.author_present IS DISTINCT FROM l.author_present
)
ORDER BY s.post_id
"""

_DUE_URLS = """
WITH urls AS (
    SELECT unnest(image_urls[1:$images_per_post]) AS url, created_at FROM core.posts WHERE subreddit = $subreddit
),
wanted AS (SELECT url, max(created_at) AS created_at FROM urls GROUP BY url)
SELECT w.url, coalesce(f.attempts, 0)::INTEGER AS attempts
FROM wanted AS w LEFT JOIN core.image_fetches AS f USING (url)
WHERE f.url IS NULL OR (f.status = 'retry' AND f.next_attempt_at <= $now)
ORDER BY w.created_at DESC, w.url
"""

# December 2016: Reddit re-scaled all scores.
_LABELS = """
WITH matured AS (
    SELECT
        p.post_id,
        p.subreddit,
        p.created_at,
        arg_min(o.score, o.observed_at) AS score,
        min(o.observed_at) AS observed_at
    FROM core.posts AS p
    JOIN raw.observations AS o USING (post_id)
    WHERE p.subreddit = $subreddit
        AND o.observed_at >= p.created_at + $label_age
        AND o.score IS NOT NULL
        AND NOT coalesce(o.hide_score, FALSE)
    GROUP BY ALL
),
scaled AS (
    SELECT
        *,
        CASE WHEN observed_at < TIMESTAMP '2016-12-01' THEN 'before_2016_12' ELSE 'current' END AS score_scale
    FROM matured
)
SELECT
    post_id,
    subreddit,
    score,
    sign(score) * ln(1 + abs(score)) AS log_score,
    (
        rank() OVER (PARTITION BY score_scale ORDER BY score) - 1
        + 0.5 * count(*) OVER (PARTITION BY score_scale, score)
    ) / count(*) OVER (PARTITION BY score_scale) AS percentile,
    observed_at,
    epoch(observed_at - created_at) / 3600 AS age_at_label_hours,
    score_scale
FROM scaled
"""


def core_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Cleaning, downloading and labelling."""
    settings = tables.settings

    @dg.multi_asset(
        name="clean",
        **tables.multi_asset(
            ("core.posts", "core.rejected_posts"), code_version="1", deps=["raw.submissions", "raw.observations"]
        ),
        partitions_def=tables.partitions,
    )
    def clean(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult]:
        """Sort every raw submission into core.posts or, with a reason code, into core.rejected_posts.

        Done again for a post when the rules change or when it was removed since.
        """
        from redpop_assets.reddit.cleaning import clean_submissions, rules_version

        version = rules_version(allow_over_18=settings.allow_over_18)
        subreddit = context.partition_key
        due = warehouse.query(_DUE_SUBMISSIONS, {"subreddit": subreddit, "code_version": version})
        for start in range(0, due.num_rows, settings.chunk_size):
            chunk = due.slice(start, settings.chunk_size)
            ids = {"ids": chunk.column("post_id").to_pylist()}
            stored = warehouse.query(
                "SELECT post_id, json FROM raw.submissions WHERE post_id IN (SELECT unnest($ids))", ids
            )
            posts, rejected = clean_submissions(
                stored.join(chunk, "post_id"), subreddit=subreddit, allow_over_18=settings.allow_over_18
            )
            with warehouse.write() as writer:
                for table, rows in (("core.posts", posts), ("core.rejected_posts", rejected)):
                    writer.execute(f"DELETE FROM {table} WHERE post_id IN (SELECT unnest($ids))", ids)
                    writer.append(table, rows)
            context.log.info(f"cleaned {start + chunk.num_rows} of {due.num_rows} submissions")
        yield tables.materialized(warehouse, "core.posts", subreddit, rows_computed=due.num_rows)
        reasons = warehouse.query(
            "SELECT reason, count(*) AS posts FROM core.rejected_posts WHERE subreddit = $subreddit "
            "GROUP BY ALL ORDER BY posts DESC, reason",
            {"subreddit": context.partition_key},
        ).to_pylist()
        yield tables.materialized(
            warehouse,
            "core.rejected_posts",
            context.partition_key,
            reasons=dg.MetadataValue.md(
                "\n".join(
                    ["| reason | posts |", "| --- | --- |", *(f"| {r['reason']} | {r['posts']} |" for r in reasons)]
                )
            ),
        )

    @dg.multi_asset(
        name="download",
        **tables.multi_asset(("core.image_fetches", "core.images"), code_version="1", deps=["core.posts"]),
        partitions_def=tables.partitions,
    )
    def download(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> Iterator[dg.MaterializeResult]:
        """Fetch the images of one subreddit that are not stored yet; failures are kept with their reason.

        A URL is asked again only while its failure may pass, after the time in next_attempt_at.
        """
        from redpop_assets.images.download import download_images, fetch_policy

        subreddit = context.partition_key
        fetched = stored = 0
        if settings.fetch_images:
            now = datetime.now(UTC).replace(tzinfo=None)
            params = {"subreddit": subreddit, "images_per_post": settings.images_per_post, "now": now}
            due = warehouse.query(_DUE_URLS, params)
            attempts = dict(zip(due.column("url").to_pylist(), due.column("attempts").to_pylist(), strict=True))
            for chunk in download_images(attempts, fetch_policy(settings), images, chunk_size=settings.chunk_size):
                with warehouse.write() as writer:
                    stored += writer.append("core.images", chunk.images)
                    writer.merge("core.image_fetches", chunk.fetches)
                fetched = chunk.done
                context.log.info(f"fetched {fetched} of {len(attempts)} images, {stored} new ones stored")
        failures = warehouse.scalar(
            "SELECT count(*) FROM core.image_fetches WHERE status <> 'stored' AND url IN "
            "(SELECT unnest(image_urls) FROM core.posts WHERE subreddit = $subreddit)",
            {"subreddit": subreddit},
        )
        yield tables.materialized(
            warehouse, "core.image_fetches", subreddit, urls_fetched=fetched, urls_without_image=failures
        )
        yield tables.materialized(warehouse, "core.images", subreddit, images_stored=stored)

    @dg.asset(**tables.asset("core.labels", code_version="1", deps=["core.posts", "raw.observations"]))
    def labels(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        """The score of every matured post: the first unmasked reading at or past the label age.

        One row per post; younger posts have none. Rebuilt in one statement from core.posts and raw.observations, so a
        changed label age takes effect at once.
        """
        subreddit = {"subreddit": context.partition_key}
        rows = warehouse.query(_LABELS, {**subreddit, "label_age": settings.label_age})
        changed = warehouse.replace("core.labels", rows, "subreddit = $subreddit", subreddit).changed
        posts = warehouse.scalar("SELECT count(*) FROM core.posts WHERE subreddit = $subreddit", subreddit)
        return tables.materialized(
            warehouse,
            "core.labels",
            context.partition_key,
            rows_changed=changed,
            posts_below_label_age=posts - rows.num_rows,
            label_age_days=settings.label_age_days,
        )

    return [clean, download, labels]
