"""Layer core: clean posts, their images and their labels. SQL picks the rows, reddit/ and images/ have the rules."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from redpop_assets import markdown, versions
from redpop_assets.assets.tables import AssetPlan, Metadata, TableAssets, Work
from redpop_assets.resources import fetch_policy


def core_assets(tables: TableAssets) -> list[dg.AssetsDefinition]:
    """Cleaning, downloading, grouping by picture, labelling, and telling which labels of archives are wrong."""
    return [
        tables.asset(
            AssetPlan(
                name="clean",
                together=True,
                code_versions=dict.fromkeys(("core.posts", "core.rejected_posts"), versions.CLEANING),
                deps=dict.fromkeys(
                    ("core.posts", "core.rejected_posts"), ("raw.submissions", "raw.observations", "raw.tombstones")
                ),
            ),
            clean,
        ),
        tables.asset(
            AssetPlan(
                name="download",
                together=True,
                code_versions=dict.fromkeys(("core.image_fetches", "core.images"), versions.DOWNLOAD),
                deps=dict.fromkeys(("core.image_fetches", "core.images"), ("core.posts",)),
                resources=("warehouse", "images", "engine"),
                # Limits per host are those of one download, and two at a time could ask for the same picture.
                pool="image_hosts",
            ),
            download,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"core.duplicates": versions.DUPLICATES},
                deps={"core.duplicates": ("core.posts", "core.image_fetches", "core.images")},
                partitioned=False,
                # Runs of several communities each make the groups of all: the slower one would undo the other's.
                pool="duplicates",
            ),
            duplicates,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"core.labels": versions.LABELS},
                deps={"core.labels": ("core.posts", "raw.observations")},
            ),
            labels,
        ),
        tables.asset(
            AssetPlan(
                code_versions={"core.anomalies": versions.ANOMALIES},
                deps={"core.anomalies": ("core.posts", "core.rejected_posts", "core.labels")},
            ),
            anomalies,
        ),
    ]


def clean(work: Work) -> Mapping[str, Metadata]:
    """Sort every raw submission into core.posts or, with a reason code, into core.rejected_posts.

    Done again for a post when the rules change or when it was removed since.
    """
    from redpop_assets.refresh.posts import refresh_posts

    cleaned = refresh_posts(
        work.warehouse,
        work.subreddit,
        allow_over_18=work.settings.allow_over_18,
        progress=work.progress,
    )
    reasons = markdown.table(("reason", "posts"), list(cleaned.reasons.items()))
    return {
        "core.posts": {"rows_computed": cleaned.submissions},
        "core.rejected_posts": {"reasons": dg.MetadataValue.md(reasons)},
    }


def download(work: Work) -> Mapping[str, Metadata]:
    """Fetch the images of one subreddit that are not stored yet; failures are kept with their reason.

    A URL is asked again only while its failure may pass, after the time in next_attempt_at. Stored images are
    checked every REDPOP_IMAGE_RECHECK_DAYS; what its host has removed leaves the warehouse.
    """
    from redpop_assets.images.download import Downloads, download_images

    settings = work.settings
    done = Downloads()
    if settings.fetch_images:
        done = download_images(
            work.warehouse,
            work.images,
            work.subreddit,
            fetch_policy(settings),
            images_per_post=settings.images_per_post,
            recheck=settings.image_recheck,
            chunk_size=settings.chunk_size,
            progress=work.progress,
            ask=work.engine.fetched,
        )
    failures = work.warehouse.scalar(
        "SELECT count(*) FROM core.image_fetches WHERE status <> 'stored' AND url IN "
        "(SELECT url FROM core.image_urls WHERE subreddit = $subreddit)",
        {"subreddit": work.subreddit},
    )
    return {
        "core.image_fetches": {
            "urls_fetched": done.fetched,
            "urls_rechecked": done.rechecked,
            "urls_reused": done.reused,
            "urls_gone": done.gone,
            "urls_without_image": failures,
        },
        "core.images": {"images_stored": done.stored, "placeholders_learnt": done.placeholders},
    }


def duplicates(work: Work) -> Mapping[str, Metadata]:
    """Group the posts that show one picture: crossposts, spellings of a URL, equal files, pixels and hashes.

    One row per post, alone or not, of all communities at once, because groups reach across them; rows that stay the
    same are left alone. Splits keep a group together; reposts keep their scores.
    """
    from redpop_assets.images.duplicates import POSTS, duplicate_groups

    rows = duplicate_groups(work.warehouse.query(POSTS))
    changed = work.warehouse.replace("core.duplicates", rows, "TRUE").changed
    grouped = work.warehouse.scalar(
        "SELECT count(*) FROM core.duplicates WHERE duplicate_group IN "
        "(SELECT duplicate_group FROM core.duplicates WHERE NOT canonical)"
    )
    return {"core.duplicates": {"rows_changed": changed, "posts_with_duplicates": grouped}}


def labels(work: Work) -> Mapping[str, Metadata]:
    """The score of every matured post: the median of its readings in the two days from the label age on.

    Reddit fuzzes every score it shows, so a single reading is off by several points. What counts are the unmasked
    readings at or past the label age, from the first of them until REDPOP_LABEL_WINDOW_HOURS later; of two middle
    ones the mean, halves rounded up. One row per post, younger ones have none. Rebuilt in one statement from
    core.posts and raw.observations, so changed settings take effect at once.
    """
    from redpop_assets.refresh.labels import refresh_labels

    settings = work.settings
    made = refresh_labels(work.warehouse, work.subreddit, settings.label_rule)
    return {
        "core.labels": {
            "rows_changed": made.changed,
            "posts_below_label_age": made.too_young,
            "label_age_days": settings.label_age_days,
        }
    }


def anomalies(work: Work) -> Mapping[str, Metadata]:
    """Periods in which an archive is wrong: scores read when posts were made, and never again; days without posts.

    One row per period, told from the community's own past: the share of scores of 1 or less among labels that archives
    gave, and the posts per day. Labels of such a period are in core.doubtful_labels and in no training set, unless
    REDPOP_LEAVE_OUT_ANOMALIES is off. Judged again whenever labels or posts changed; what lasts for more than half a
    year is a new level, and its labels are doubted no more.
    """
    from redpop_assets.pages.anomalies import anomalies_markdown, anomalies_picture
    from redpop_assets.refresh.anomalies import refresh_anomalies
    from redpop_assets.storage.arrow import utc_now

    found = refresh_anomalies(work.warehouse, work.subreddit, now=utc_now())
    said: dict[str, dg.MetadataValue[Any] | int] = {
        "rows_changed": found.changed,
        "doubtful_labels": found.doubtful_labels,
        "periods": dg.MetadataValue.md(anomalies_markdown(found.anomalies, found.windows)),
    }
    picture = anomalies_picture(found.anomalies, found.windows, found.first_day, found.posts_per_day)
    if picture is not None:
        words = f"r/{work.subreddit}: share of low scores and posts per day"
        said["picture"] = dg.MetadataValue.md(markdown.picture(picture, words))
    return {"core.anomalies": said}
