"""What Dagster is told of the raw tables after an import: of all communities at once, without a run of each of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from redpop_assets import versions
from redpop_assets.assets.raw import TABLES, forget_what_is_gone, no_stray_files
from redpop_assets.assets.tables import asset_key
from redpop_assets.checks import FileCheck, TableCheck, checks_of, offences_of, verdict
from redpop_assets.settings import Settings

if TYPE_CHECKING:
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.warehouse import Warehouse

Targets = Mapping[str, Mapping[str, AssetCheckEvaluationTargetMaterializationData]]
"""Table -> community -> the event that told of it: a check says which one it judges."""


@dataclass(frozen=True)
class ImportEvents:
    """What Dagster is told of the raw tables after an import, of all communities at once.

    Attributes:
        tables: how each table is now, for each community.
        offences: table -> each rule, and the offences against it by community.
    """

    tables: list[dg.AssetMaterialization]
    offences: Mapping[str, Sequence[tuple[TableCheck | FileCheck, Mapping[str, int]]]]

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
    done = forget_what_is_gone(warehouse, images, *subreddits)
    strays = no_stray_files()
    told: list[dg.AssetMaterialization] = []
    offences: dict[str, list[tuple[TableCheck | FileCheck, Mapping[str, int]]]] = {}
    with warehouse.read() as reader:
        for table in (*TABLES, "raw.tombstones"):
            count = reader.scalar(f"SELECT count(*) FROM {table}")
            own = (
                reader.fingerprints(table, subreddits)
                if "subreddit" in warehouse.schema[table].column_names
                else dict.fromkeys(subreddits, (count, reader.fingerprint(table)))
            )
            said: dict[str, int] = done if table == "raw.tombstones" else {}
            code_version = versions.FORGETTING if table == "raw.tombstones" else versions.HARVEST
            told += [
                dg.AssetMaterialization(
                    asset_key(table),
                    partition=name,
                    metadata={
                        "dagster/row_count": count,
                        "dagster/partition_row_count": rows,
                        "imported_file": file,
                        **said,
                    },
                    tags={"dagster/data_version": digest, "dagster/code_version": code_version},
                )
                for name, (rows, digest) in own.items()
            ]
            offences[table] = [
                (rule, offences_of(reader, rule, table, subreddits, settings))
                for rule in checks_of(warehouse.schema[table])
            ]
    offences["raw.tombstones"].append((strays, dict.fromkeys(subreddits, strays.offences(warehouse, images))))
    return ImportEvents(told, offences)


def _evaluation(
    table: str,
    rule: TableCheck | FileCheck,
    offences: int,
    subreddit: str,
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
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The last event that told of each of some communities of a table."""
    found = context.instance.event_log_storage.get_latest_storage_id_by_partition(
        asset_key(table), dg.DagsterEventType.ASSET_MATERIALIZATION, set(subreddits)
    )
    now = time.time()
    return {
        name: AssetCheckEvaluationTargetMaterializationData(run_id=context.run_id, storage_id=storage_id, timestamp=now)
        for name, storage_id in found.items()
    }
