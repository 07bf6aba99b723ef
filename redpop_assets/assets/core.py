"""Layer core: clean posts, their images and their labels. SQL picks the rows, reddit/ and images/ have the rules."""

from collections.abc import Iterator

import dagster as dg

from redpop_assets.assets.tables import TableAssets
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

# Submissions without a row in core, or whose row was made by other rules, from another removal state or from a JSON
# that was revised since.
_DUE_SUBMISSIONS = """
WITH latest AS (
    SELECT
        post_id,
        arg_max_null(removed_by_category, observed_at) AS removed_by_category,
        arg_max_null(author_present, observed_at) AS author_present
    FROM raw.observations WHERE subreddit = $subreddit GROUP BY post_id
),
cleaned AS (
    SELECT post_id, code_version, removed_by_category, author_present, revised_at
    FROM core.posts WHERE subreddit = $subreddit
    UNION ALL
    SELECT post_id, code_version, removed_by_category, author_present, revised_at
    FROM core.rejected_posts WHERE subreddit = $subreddit
)
SELECT s.post_id, s.origin, s.revised_at, l.removed_by_category, l.author_present
FROM raw.submissions AS s
LEFT JOIN latest AS l USING (post_id)
LEFT JOIN cleaned AS c USING (post_id)
WHERE s.subreddit = $subreddit AND (
    c.post_id IS NULL
    OR c.code_version <> $code_version
    OR c.removed_by_category IS DISTINCT FROM l.removed_by_category
    OR c.author_present IS DISTINCT FROM l.author_present
    OR c.revised_at IS DISTINCT FROM s.revised_at
)
ORDER BY s.post_id
"""

# December 2016: Reddit re-scaled all scores, so readings from before and after never go into one label.
_LABELS = """
WITH mature AS (
    SELECT
        p.post_id,
        p.subreddit,
        p.created_at,
        o.observed_at,
        o.score,
        CASE WHEN o.observed_at < TIMESTAMP '2016-12-01' THEN 'before_2016_12' ELSE 'current' END AS score_scale
    FROM core.posts AS p
    JOIN raw.observations AS o USING (post_id)
    WHERE p.subreddit = $subreddit
        AND o.observed_at >= p.created_at + $label_age
        AND o.score IS NOT NULL
        AND NOT coalesce(o.hide_score, FALSE)
    WINDOW post AS (PARTITION BY p.post_id ORDER BY o.observed_at)
    QUALIFY o.observed_at <= first_value(o.observed_at) OVER post + $label_window
        AND score_scale = first_value(score_scale) OVER post
),
estimated AS (
    SELECT
        post_id,
        subreddit,
        created_at,
        score_scale,
        round(median(score))::INTEGER AS score,
        min(observed_at) AS first_observed_at,
        max(observed_at) AS observed_at,
        count(*)::INTEGER AS readings,
        max(score) - min(score) AS score_spread
    FROM mature
    GROUP BY ALL
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
    epoch(first_observed_at - created_at) / 3600 AS age_at_label_hours,
    score_scale,
    first_observed_at,
    readings,
    score_spread
FROM estimated
"""


def core_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Cleaning, downloading, grouping by picture, and labelling."""
    settings = tables.settings

    @dg.multi_asset(
        name="clean",
        **tables.multi_asset(
            ("core.posts", "core.rejected_posts"),
            code_version="1",
            deps=["raw.submissions", "raw.observations", "raw.tombstones"],
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
        # Limits per host are those of one download, and two at a time could ask for the same picture.
        pool="image_hosts",
    )
    def download(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        images: dg.ResourceParam[ImageStore],
    ) -> Iterator[dg.MaterializeResult]:
        """Fetch the images of one subreddit that are not stored yet; failures are kept with their reason.

        A URL is asked again only while its failure may pass, after the time in next_attempt_at. Stored images are
        checked every REDPOP_IMAGE_RECHECK_DAYS; what its host has removed leaves the warehouse.
        """
        from redpop_assets.images.download import Downloads, download_images, fetch_policy

        subreddit = context.partition_key
        done = Downloads()
        if settings.fetch_images:
            done = download_images(
                warehouse,
                images,
                subreddit,
                fetch_policy(settings),
                images_per_post=settings.images_per_post,
                recheck=settings.image_recheck,
                chunk_size=settings.chunk_size,
                progress=context.log.info,
            )
        failures = warehouse.scalar(
            "SELECT count(*) FROM core.image_fetches WHERE status <> 'stored' AND url IN "
            "(SELECT url FROM core.image_urls WHERE subreddit = $subreddit)",
            {"subreddit": subreddit},
        )
        yield tables.materialized(
            warehouse,
            "core.image_fetches",
            subreddit,
            urls_fetched=done.fetched,
            urls_rechecked=done.rechecked,
            urls_reused=done.reused,
            urls_gone=done.gone,
            urls_without_image=failures,
        )
        yield tables.materialized(
            warehouse, "core.images", subreddit, images_stored=done.stored, placeholders_learnt=done.placeholders
        )

    @dg.asset(
        **tables.asset("core.duplicates", code_version="1", deps=["core.posts", "core.image_fetches", "core.images"]),
        # The groups of all communities are made at once; of two steps the slower one would undo the other's.
        pool="duplicates",
    )
    def duplicates(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        """Group the posts that show one picture: crossposts, spellings of a URL, equal files, pixels and hashes.

        One row per post, alone or not. Groups reach across communities, so each run makes those of all of them; rows
        that stay the same are left alone. Splits keep a group together; reposts keep their scores.
        """
        from redpop_assets.images.duplicates import POSTS, duplicate_groups

        rows = duplicate_groups(warehouse.query(POSTS))
        changed = warehouse.replace("core.duplicates", rows, "TRUE").changed
        scope = {"subreddit": context.partition_key}
        return tables.materialized(
            warehouse,
            "core.duplicates",
            context.partition_key,
            rows_changed=changed,
            posts_with_duplicates=warehouse.scalar(
                "SELECT count(*) FROM core.duplicates WHERE subreddit = $subreddit AND duplicate_group IN "
                "(SELECT duplicate_group FROM core.duplicates WHERE NOT canonical)",
                scope,
            ),
        )

    @dg.asset(**tables.asset("core.labels", code_version="2", deps=["core.posts", "raw.observations"]))
    def labels(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        """The score of every matured post: the median of its readings in the two days from the label age on.

        Reddit fuzzes every score it shows, so a single reading is off by several points. What counts are the unmasked
        readings at or past the label age, from the first of them until REDPOP_LABEL_WINDOW_HOURS later; of two middle
        ones the mean, halves rounded up. One row per post, younger ones have none. Rebuilt in one statement from
        core.posts and raw.observations, so changed settings take effect at once.
        """
        subreddit = {"subreddit": context.partition_key}
        rule = settings.label_rule
        rows = warehouse.query(_LABELS, {**subreddit, "label_age": rule.age, "label_window": rule.window})
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

    return [clean, download, duplicates, labels]
