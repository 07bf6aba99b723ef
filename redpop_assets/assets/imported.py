"""What Dagster is told of the raw tables after an import: of all communities at once, without a run of each of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from redpop_assets import versions
from redpop_assets.assets.raw import TABLES, forget_what_is_gone, no_stray_files
from redpop_assets.assets.tables import asset_key
from redpop_assets.checks import FileCheck, TableCheck, checks_of, count_offences, offences_of, verdict
from redpop_assets.partitions import is_of_all
from redpop_assets.settings import Settings

if TYPE_CHECKING:
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.warehouse import Warehouse

FORGOTTEN: Final = "raw.tombstones"

Targets = Mapping[str, Mapping[str | None, AssetCheckEvaluationTargetMaterializationData]]
"""Table -> community, None for all -> the event that told of it: a check says which one it judges."""


@dataclass(frozen=True)
class ImportEvents:
    """What Dagster is told of the raw tables after an import, of all communities at once.

    Attributes:
        tables: how each table is now, for each community, or for all of them together.
        offences: table -> each rule, and the offences against it by community; None stands for all of them together.
    """

    tables: list[dg.AssetMaterialization]
    offences: Mapping[str, Sequence[tuple[TableCheck | FileCheck, Mapping[str | None, int]]]]

    def checks(self, targets: Targets) -> Iterator[dg.AssetCheckEvaluation]:
        """The verdicts, of the events that told of the tables."""
        for table, rules in self.offences.items():
            for rule, found in rules:
                for subreddit, number in found.items():
                    yield _evaluation(table, rule, number, subreddit, targets[table][subreddit])


def import_events(
    settings: Settings, warehouse: "Warehouse", images: "ImageStore", subreddits: Sequence[str], file: str
) -> ImportEvents:
    """See how an import left the raw tables.

    What is gone from Reddit is forgotten first, as by `tombstones`. The cost grows with the rows of these communities,
    and no query is asked for each of them unless something is wrong.
    """
    done = forget_what_is_gone(warehouse, images, *dict.fromkeys((*settings.partitions, *subreddits)))
    told: list[dg.AssetMaterialization] = []
    offences: dict[str, list[tuple[TableCheck | FileCheck, Mapping[str | None, int]]]] = {}
    with warehouse.read() as reader:
        for table in TABLES:
            count = reader.scalar(f"SELECT count(*) FROM {table}")
            told += [
                dg.AssetMaterialization(
                    asset_key(table),
                    partition=name,
                    metadata={
                        "dagster/row_count": count,
                        "dagster/partition_row_count": rows,
                        "imported_file": file,
                    },
                    tags={"dagster/data_version": digest, "dagster/code_version": versions.HARVEST},
                )
                for name, (rows, digest) in reader.fingerprints(table, subreddits).items()
            ]
            offences[table] = [
                (rule, dict(offences_of(reader, rule, table, subreddits, settings).items()))
                for rule in checks_of(warehouse.schema[table])
            ]
        count = reader.scalar(f"SELECT count(*) FROM {FORGOTTEN}")
        told.append(
            dg.AssetMaterialization(
                asset_key(FORGOTTEN),
                metadata={"dagster/row_count": count, "imported_file": file, **done},
                tags={
                    "dagster/data_version": reader.fingerprint(FORGOTTEN),
                    "dagster/code_version": versions.FORGETTING,
                },
            )
        )
        offences[FORGOTTEN] = [
            (rule, {None: count_offences(reader, rule, "TRUE", None, settings)})
            for rule in checks_of(warehouse.schema[FORGOTTEN])
        ]
    strays = no_stray_files()
    offences[FORGOTTEN].append((strays, {None: strays.offences(warehouse, images)}))
    return ImportEvents(told, offences)


def _evaluation(
    table: str,
    rule: TableCheck | FileCheck,
    offences: int,
    subreddit: str | None,
    target: AssetCheckEvaluationTargetMaterializationData,
) -> dg.AssetCheckEvaluation:
    found = verdict(table, rule, offences)
    return dg.AssetCheckEvaluation(
        asset_key(table),
        rule.name,
        passed=found.passed,
        metadata=found.metadata,
        target_materialization_data=target,
        severity=found.severity,
        blocking=rule.blocking,
        partition=subreddit,
    )


def materializations_told(
    context: dg.OpExecutionContext, table: str, subreddits: Sequence[str]
) -> dict[str | None, AssetCheckEvaluationTargetMaterializationData]:
    """The last event that told of each of some communities of a table, or of all of them together (None)."""
    found: dict[str | None, int] = {}
    if is_of_all(asset_key(table)):
        (latest,) = context.instance.fetch_materializations(asset_key(table), limit=1).records
        found[None] = latest.storage_id
    else:
        found.update(
            context.instance.event_log_storage.get_latest_storage_id_by_partition(
                asset_key(table), dg.DagsterEventType.ASSET_MATERIALIZATION, set(subreddits)
            ).items()
        )
    now = time.time()
    return {
        name: AssetCheckEvaluationTargetMaterializationData(run_id=context.run_id, storage_id=storage_id, timestamp=now)
        for name, storage_id in found.items()
    }
