"""Asset checks: what must hold before anything downstream may trust a table; each is a query that counts offences.

An asset runs the checks of its table right after it wrote it, in the same step; each can also be run alone, of one
community or of all, and then nothing is written. They block what follows; only what no repetition can mend is a
warning, and so are features that look different from when they were accepted. The check of a
partitioned table is partitioned too: otherwise a pass of the next community would release the bad one. A mart is
checked as a whole.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from redpop_assets import markdown
from redpop_assets.features.registry import COMPARED
from redpop_assets.settings import Settings
from redpop_assets.storage.facts import AFTER_AGE
from redpop_assets.storage.schema import Column, Table

if TYPE_CHECKING:
    from redpop_assets.evaluation.drift import FeatureCheck
    from redpop_assets.refresh.drift import Sample
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.rows import Reader
    from redpop_assets.storage.warehouse import Warehouse

LOOKS_AS_BEFORE = "looks_as_before"


@dataclass(frozen=True)
class TableCheck:
    """A rule for one table.

    Args:
        name, description: what the UI shows.
        sql: counts the offences, 0 if all is well; `$subreddit` is the partition, `$subreddits` a list of one or
            several, `$label_age` the age from which readings count for a label, `$matured_after` that from which it is
            final, `{rows}` is the condition for the rows of the partition, `{traces}` the search of the whole
            warehouse for what was forgotten, `{accounts}` that for accounts that were closed.
        blocking: whether nothing downstream may run after a failure; else it is a warning.
    """

    name: str
    description: str
    sql: str
    blocking: bool = True


@dataclass(frozen=True)
class FileCheck:
    """A rule for the files that belong to a table: `offences` counts those that break it."""

    name: str
    description: str
    offences: Callable[["Warehouse", "ImageStore"], int]
    blocking: bool = True


# Rounding in float32 leaves the norm of a unit vector within a few 1e-7 of 1.
_UNIT_VECTORS = """
SELECT count(*)
FROM {table} AS v LEFT JOIN features.encoders AS e ON e.encoder = v.encoder AND e.modality = '{modality}'
WHERE ({rows}) AND (
    e.dimension IS NULL
    OR len(v.embedding) <> e.dimension
    OR NOT isfinite(list_dot_product(v.embedding, v.embedding))
    OR abs(sqrt(list_dot_product(v.embedding, v.embedding)) - 1) > 1e-4
)
"""
# Counted by windows of SQL, independently of the walk through time that computed the columns. A join of each post with
# all of its author's would grow with the square of what the most diligent author posts.
_PAST_ONLY = """
WITH seconds AS (
    SELECT
        p.post_id,
        p.author,
        p.created_at,
        date_trunc('second', p.created_at) AS second,
        l.post_id IS NOT NULL AS has_label
    FROM core.posts AS p LEFT JOIN core.labels AS l USING (post_id)
    WHERE p.subreddit = $subreddit
), expected AS (
    SELECT
        post_id,
        CASE WHEN author IS NULL THEN 0 ELSE count(*) OVER earlier END AS past_posts,
        CASE WHEN author IS NULL THEN 0 ELSE count(*) FILTER (has_label) OVER mature END AS past_mature_posts
    FROM seconds
    WINDOW
        earlier AS (
            PARTITION BY author ORDER BY second RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 SECOND PRECEDING
        ),
        mature AS (
            PARTITION BY author ORDER BY created_at
            RANGE BETWEEN UNBOUNDED PRECEDING AND $matured_after::INTERVAL PRECEDING
        )
)
SELECT count(*) FROM features.author_features AS f JOIN expected AS e USING (post_id)
WHERE f.past_posts <> e.past_posts OR f.past_mature_posts > e.past_mature_posts
"""
_FUTURE_LABELS = """
SELECT count(*) FROM models.training_set
WHERE subreddit = $subreddit AND split IN ('train', 'validation') AND created_at + $matured_after > (
    SELECT min(created_at) FROM models.training_set WHERE subreddit = $subreddit AND split = 'test'
)
"""
_STRADDLING = """
SELECT count(*) FROM (
    SELECT duplicate_group FROM models.training_set WHERE subreddit = $subreddit
    GROUP BY duplicate_group
    HAVING count(*) FILTER (split = 'test') > 0 AND count(*) FILTER (split IN ('train', 'validation')) > 0
)
"""
# The median predicts in single precision what the rule computes in double.
_UNFIT_CHAMPION = """
WITH last AS (
    FROM models.champions WHERE subreddit = $subreddit ORDER BY judgement DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM last LEFT JOIN models.predictors AS m USING (subreddit, predictor)
        WHERE last.predictor IS NOT NULL AND m.digest IS DISTINCT FROM last.digest)
    + (SELECT count(*) FROM last WHERE mae > median_mae + 1e-6)
    + (SELECT count(*) FROM models.predictors WHERE subreddit = $subreddit AND predictor = 'subreddit_median'
        AND status = 'trained' AND NOT EXISTS (FROM last WHERE predictor IS NOT NULL))
"""

_CHECKS: Mapping[str, tuple[TableCheck, ...]] = {
    "raw.tombstones": (
        TableCheck(
            "no_trace_of_forgotten_posts",
            "No table has a forgotten post, refers to one, or has content that no post uses.",
            "{traces}",
        ),
        TableCheck(
            "no_trace_of_closed_accounts",
            "No post names an author whom Reddit does not name any more.",
            "{accounts}",
        ),
    ),
    "raw.listing_reads": (
        TableCheck(
            "new_joins_on",
            "The last reading of `new` reached back to the one before: no post was missed between them.",
            """
            SELECT count(*) FROM (
                SELECT overlapped FROM raw.listing_reads
                WHERE subreddit = $subreddit AND listing = 'new' AND overlapped IS NOT NULL
                ORDER BY read_at DESC LIMIT 1
            ) WHERE NOT overlapped
            """,
            blocking=False,
        ),
    ),
    "core.posts": (
        TableCheck(
            "every_submission_accounted_for",
            "Every raw submission is in core.posts or in core.rejected_posts, and none is in both.",
            """
            WITH cleaned AS (
                SELECT post_id FROM core.posts WHERE subreddit = $subreddit
                UNION ALL SELECT post_id FROM core.rejected_posts WHERE subreddit = $subreddit
            )
            SELECT
                (SELECT count(*) FROM raw.submissions AS s WHERE s.subreddit = $subreddit
                    AND (SELECT count(*) FROM cleaned AS c WHERE c.post_id = s.post_id) <> 1)
                + (SELECT count(*) FROM cleaned ANTI JOIN raw.submissions USING (post_id))
            """,
        ),
    ),
    "core.image_fetches": (
        TableCheck(
            "stored_images_exist",
            "Every fetch that was stored has its row in core.images.",
            "SELECT count(*) FROM (SELECT image_sha256 FROM core.image_fetches WHERE status = 'stored' AND ({rows})) "
            "ANTI JOIN core.images USING (image_sha256)",
        ),
    ),
    "core.duplicates": (
        TableCheck(
            "every_post_has_a_group",
            "Every post of core.posts has a row, and every row its post.",
            """
            SELECT
                (SELECT count(*) FROM core.posts ANTI JOIN core.duplicates USING (post_id))
                + (SELECT count(*) FROM core.duplicates ANTI JOIN core.posts USING (post_id))
            """,
        ),
        TableCheck(
            "groups_have_a_canonical_post",
            "Every group is named after a post that is in it.",
            "SELECT count(*) FROM core.duplicates AS d LEFT JOIN core.duplicates AS c ON c.post_id = d.duplicate_group "
            "WHERE c.duplicate_group IS DISTINCT FROM d.duplicate_group",
        ),
        TableCheck(
            "one_canonical_post_per_group",
            "A post is canonical exactly if its group is named after it.",
            "SELECT count(*) FROM core.duplicates WHERE canonical <> (post_id = duplicate_group)",
        ),
    ),
    "core.labels": (
        TableCheck(
            "labels_are_mature",
            "No label is made of a reading from before its post had reached the label age.",
            "SELECT count(*) FROM core.labels AS l JOIN core.posts AS p USING (post_id) WHERE l.subreddit = $subreddit "
            "AND coalesce(l.first_observed_at, l.observed_at) < p.created_at "
            "+ CASE WHEN l.source = 'arctic_shift' THEN $archive_age ELSE $label_age END",
        ),
    ),
    "core.anomalies": (
        TableCheck(
            "nothing_newly_found",
            "No period in which an archive is wrong was found within the last seven days. Look at it: its labels are "
            "left out of training unless REDPOP_LEAVE_OUT_ANOMALIES is off.",
            "SELECT count(*) FROM core.anomalies WHERE subreddit = $subreddit "
            "AND found_at > make_timestamp(epoch_us(now())) - INTERVAL 7 DAY",
            blocking=False,
        ),
    ),
    **{
        f"features.{modality}_embeddings": (
            TableCheck(
                "finite_unit_vectors",
                "Every vector is of a known encoder, finite, of length 1, and of its dimension.",
                _UNIT_VECTORS.replace("{table}", f"features.{modality}_embeddings").replace("{modality}", modality),
            ),
        )
        for modality in ("image", "caption")
    },
    "features.author_features": (
        TableCheck(
            "authors_see_only_the_past",
            "The count of the author's earlier posts is that of strictly earlier seconds, and no more of them count as "
            "mature than had a final label (label age and label window) by then.",
            _PAST_ONLY,
        ),
    ),
    "features.early_readings": (
        TableCheck(
            "nothing_was_read_later",
            "Every row was made of readings by the age that it names, the newest of them not older than half of it.",
            "SELECT count(*) FROM features.early_readings AS e JOIN core.posts AS p USING (post_id) "
            "WHERE e.subreddit = $subreddit AND (e.observed_at > p.created_at + to_hours(e.age_hours) "
            "OR e.observed_at < p.created_at + to_minutes(30 * e.age_hours) "
            "OR abs(e.reading_age_hours - epoch(e.observed_at - p.created_at) / 3600) > 0.001)",
        ),
    ),
    "models.training_set": (
        TableCheck(
            "no_label_from_the_future",
            "Every label to learn from was final (label age and label window) when the first test post was made.",
            _FUTURE_LABELS,
        ),
        TableCheck("no_picture_on_both_sides", "No picture is both learnt from and tested on.", _STRADDLING),
        TableCheck(
            "finite_targets",
            "Every target is a finite number.",
            "SELECT count(*) FROM models.training_set WHERE subreddit = $subreddit AND NOT isfinite(log_score)",
        ),
    ),
    "models.training_columns": (
        TableCheck(
            "no_leakage",
            "No column was known only after the post.",
            "SELECT count(*) FROM models.training_columns WHERE subreddit = $subreddit "
            "AND known_at NOT IN ('before_post', 'at_post')",
        ),
    ),
    "models.early_predictions": (
        TableCheck(
            "judged_posts_were_not_learnt_from",
            "What is kept as expected of a post was expected by models that had not learnt from it.",
            "SELECT count(*) FROM models.early_predictions AS e JOIN models.training_set AS t USING (post_id) "
            "WHERE e.subreddit = $subreddit AND (t.split <> e.split OR t.split NOT IN ('validation', 'test'))",
        ),
    ),
    "models.champions": (
        TableCheck(
            "champion_is_fit",
            "The champion is trained, its model is the one that was judged, and it does not lose to the median.",
            _UNFIT_CHAMPION,
        ),
    ),
    "marts.predictions": (
        TableCheck(
            "finite_predictions",
            "Every prediction is a finite number.",
            "SELECT count(*) FROM marts.predictions WHERE NOT isfinite(expected_log_score)",
        ),
        TableCheck(
            "every_post_predicted",
            "Every trained predictor has predicted every post of its subreddit.",
            "SELECT count(*) FROM core.posts AS p JOIN models.predictors AS m USING (subreddit) "
            "ANTI JOIN marts.predictions AS d ON d.post_id = p.post_id AND d.predictor = m.predictor "
            "WHERE m.status = 'trained'",
        ),
        TableCheck(
            "intervals_are_nested",
            "A wider interval holds every narrower one, and its lower end is not above its upper end.",
            "SELECT count(*) FROM marts.predictions "
            "WHERE NOT (low_90 <= low_80 AND low_80 <= low_50 AND low_50 <= high_50 AND high_50 <= high_80 "
            "AND high_80 <= high_90)",
        ),
    ),
    "marts.forecasts": (
        TableCheck(
            "forecasts_come_before_scores",
            "Every forecast was made before its post had reached the label age, when nobody could know its score. "
            "Forecasts are never changed, so this only warns; a label age that was shortened makes such.",
            "SELECT count(*) FROM marts.forecasts JOIN core.posts USING (post_id) "
            "WHERE as_of >= created_at + $label_age::INTERVAL",
            blocking=False,
        ),
    ),
    "marts.early_forecasts": (
        TableCheck(
            "forecasts_come_before_scores",
            "Every forecast was made before its post had reached the label age, from nothing that was read after the "
            "age that it names. Forecasts are never changed, so this only warns.",
            "SELECT count(*) FROM marts.early_forecasts AS f JOIN core.posts AS p USING (post_id) "
            "WHERE f.as_of >= p.created_at + $label_age::INTERVAL "
            "OR f.read_at > p.created_at + to_hours(f.age_hours)",
            blocking=False,
        ),
    ),
}


def checks_of(table: Table) -> tuple[TableCheck, ...]:
    """All rules of a table: its own, unique keys, and finite numbers where it holds features."""
    key = ", ".join(table.key)
    rules = [
        TableCheck(
            "unique_keys",
            f"No two rows share the key ({key}).",
            f"SELECT count(*) - count(DISTINCT ({key})) FROM {table.name} WHERE {{rows}}",
        ),
        *_CHECKS.get(table.name, ()),
    ]
    if table.features and not table.name.endswith("_embeddings"):
        broken = " OR ".join(_not_finite(column) for column in table.features)
        rules.append(
            TableCheck(
                "no_missing_numbers",
                "No feature is NULL, NaN or infinite.",
                f"SELECT count(*) FROM {table.name} WHERE ({{rows}}) AND ({broken})",
            )
        )
    return tuple(rules)


def check_specs(
    table: Table, partitions: dg.PartitionsDefinition[str] | None, file_checks: Sequence[FileCheck] = ()
) -> list[dg.AssetCheckSpec]:
    """The rules of a table for its asset."""
    checks: list[TableCheck | FileCheck] = [*checks_of(table), *file_checks]
    rules = [(check.name, check.description, check.blocking) for check in checks]
    if table.name in COMPARED:
        words = (
            "Every feature is distributed as when it was last accepted; embeddings are healthy. "
            "`redpop accept-drift` accepts what is not."
        )
        rules.append((LOOKS_AS_BEFORE, words, False))
    with warnings.catch_warnings():
        # A preview in Dagster 1.13; without it the pass of one community releases the failure of another.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=dg.AssetKey(table.name.split(".")),
                description=description,
                blocking=blocking,
                partitions_def=partitions,
            )
            for name, description, blocking in rules
        ]


def count_offences(reader: "Reader", check: TableCheck, rows: str, subreddit: str | None, settings: Settings) -> int:
    """Count the offences against a rule, in the rows that satisfy the condition `rows`; of all communities for None."""
    everybody = settings.partitions if subreddit is None else [subreddit]
    return _count(reader, check, rows, settings, {"subreddit": subreddit, "subreddits": list(everybody)})


def offences_of(
    reader: "Reader", check: TableCheck, table: str, subreddits: Sequence[str], settings: Settings
) -> dict[str, int]:
    """Offences against a rule of a table, for each of some communities.

    All of them are looked at together; one by one only where there are offences, or where the rule is about one.
    """
    from redpop_assets.refresh.partition import partition_filter, partitions_filter

    if not re.search(r"\$subreddit\b", check.sql):
        together = {"subreddits": list(subreddits)}
        if _count(reader, check, partitions_filter(table), settings, together) == 0:
            return dict.fromkeys(subreddits, 0)
    rows = partition_filter(table)
    return {name: count_offences(reader, check, rows, name, settings) for name in subreddits}


def _count(reader: "Reader", check: TableCheck, rows: str, settings: Settings, known: Mapping[str, object]) -> int:
    from redpop_assets.storage.forgetting import ACCOUNT_TRACES, trace_query

    sql = check.sql.replace("{rows}", rows)
    sql = sql.replace("{accounts}", ACCOUNT_TRACES).replace("{traces}", trace_query(reader.schema))
    params = {name: value for name, value in known.items() if re.search(rf"\${name}\b", sql)}
    rule = settings.label_rule
    ages: dict[str, object] = {
        "label_age": rule.age,
        "archive_age": rule.least_archive_age,
        "matured_after": rule.final_age,
    }
    params |= {name: age for name, age in ages.items() if f"${name}" in sql}
    return int(reader.scalar(sql, params))


def verdict(table: str, check: TableCheck | FileCheck, offences: int) -> dg.AssetCheckResult:
    """The outcome of a rule as Dagster takes it."""
    what = "offending_files" if isinstance(check, FileCheck) else "offending_rows"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(table.split(".")),
        check_name=check.name,
        passed=offences == 0,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        metadata={what: offences},
    )


def looks_as_before(table: str, looks: Mapping[str, tuple["Sample", "FeatureCheck"]]) -> dg.AssetCheckResult:
    """The verdict on how features look: the worst columns and, if any drifted, a picture.

    Args:
        table: whose asset is told.
        looks: community -> its features, and how they compare.
    """
    from redpop_assets.pages.drift import drift_markdown, evidence_picture

    metadata: dict[str, dg.MetadataValue[Any] | int] = {
        "drifted_columns": sum(len(check.drifted) for _, check in looks.values()),
        "compared_rows": sum(sample.compared for sample, _ in looks.values()),
        "rows": sum(sample.rows for sample, _ in looks.values()),
    }
    advice = []
    for subreddit, (sample, check) in looks.items():
        place = "" if len(looks) == 1 else f" in r/{subreddit}"
        metadata[f"columns{place}"] = dg.MetadataValue.md(drift_markdown(check.drifts))
        picture = evidence_picture(check.drifted)
        if picture is not None:
            words = f"{sample.table} in r/{subreddit}: when it was accepted, and now"
            metadata[f"picture{place}"] = dg.MetadataValue.md(markdown.picture(picture, words))
        if not check.passed:
            drifted = ", ".join(drift.column for drift in check.drifted)
            advice.append(
                f"{drifted} drifted{place}. If that is how it should be, accept it: "
                f"`redpop accept-drift {subreddit} {sample.table}`."
            )
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(table.split(".")),
        check_name=LOOKS_AS_BEFORE,
        passed=not advice,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(advice) or None,
        metadata=metadata,
    )


def _not_finite(column: Column) -> str:
    if column.known_at == AFTER_AGE and column.nullable:  # a reading may not say it, as a score that is hidden
        return f"NOT isfinite({column.name})"
    if column.type == "FLOAT":
        return f"{column.name} IS NULL OR NOT isfinite({column.name})"
    vector = f"{column.name}::FLOAT[]"
    # The squared length of nearly all of them tells that at once; entry by entry only the others are looked at.
    return (
        f"{column.name} IS NULL OR NOT coalesce(isfinite(try(list_inner_product({vector}, {vector}))), FALSE) "
        f"AND len(list_filter({vector}, lambda x: x IS NULL OR NOT isfinite(x))) > 0"
    )
