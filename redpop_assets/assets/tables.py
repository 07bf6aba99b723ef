"""How a table of the warehouse becomes an asset: key, kinds, schema, checks, versions and row counts, in one place."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg

from redpop_assets.automation import ON_DEMAND_TAGS, ON_NEW_DATA, ON_NEW_DATA_FROM_ANY
from redpop_assets.checks import check_specs, looks_as_before, run_checks
from redpop_assets.refresh import drift
from redpop_assets.refresh.blocks import Encoders
from redpop_assets.refresh.drift import COMPARED_TABLES, Sample, read_sample
from redpop_assets.settings import Settings
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.schema import Schema, Table
from redpop_assets.storage.warehouse import Warehouse

OWNERS = ["team:redpop"]

_OF_SUBREDDIT = "subreddit = $subreddit"
_IMAGES = """image_sha256 IN (
    SELECT f.image_sha256 FROM core.image_fetches AS f
    SEMI JOIN (SELECT url FROM core.image_urls WHERE subreddit = $subreddit) AS u ON u.url = f.url)"""
_CAPTIONS = "caption_sha256 IN (SELECT caption_sha256 FROM core.posts WHERE subreddit = $subreddit)"
# Tables keyed by content have no column `subreddit`: a partition of them is what its posts refer to.
_PARTITION = {
    "core.image_fetches": "url IN (SELECT url FROM core.image_urls WHERE subreddit = $subreddit)",
    "core.images": _IMAGES,
    **{
        f"features.image_{what}": _IMAGES
        for what in ("embeddings", "classes", "grids", "features", "visual", "objects", "concepts", "scores")
    },
    **{f"features.caption_{what}": _CAPTIONS for what in ("embeddings", "features", "tokens", "entities", "emotions")},
    "features.caption_image_agreement": f"{_CAPTIONS} AND {_IMAGES}",
    "raw.tombstones": "$subreddit IS NOT NULL",  # of a forgotten post not even the community is kept
}

_FRESH_EVERY_DAY: dict[str, Any] = {
    "automation_condition": ON_NEW_DATA_FROM_ANY,
    "freshness_policy": dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=30), warn_window=timedelta(hours=26)
    ),
}


def partition_filter(table: str) -> str:
    """SQL condition for the rows of `table` that belong to the subreddit `$subreddit`."""
    return _PARTITION.get(table, _OF_SUBREDDIT)


def asset_key(table: str) -> dg.AssetKey:
    """Asset key `[layer, table]` of `layer.table`."""
    return dg.AssetKey(table.split("."))


@dataclass(frozen=True)
class TableAssets:
    """Builds the Dagster side of every table from its SQL file and the settings: attributes, checks and results."""

    settings: Settings
    schema: Schema
    partitions: dg.StaticPartitionsDefinition

    @property
    def encoders(self) -> Encoders:
        """The networks whose outputs predictors learn from."""
        return Encoders.from_settings(self.settings)

    def asset(self, table: str, *, code_version: str, deps: list[str], kinds: Iterable[str] = ()) -> dict[str, Any]:
        """Keyword arguments of `dg.asset` for a partitioned table with an asset of its own."""
        return {
            **self._common(table, code_version, deps, {"python", "duckdb", *kinds}),
            "partitions_def": self.partitions,
            "automation_condition": ON_NEW_DATA,
            "check_specs": check_specs(self.schema[table], asset_key(table), self.partitions),
        }

    def multi_asset(
        self,
        tables: Iterable[str],
        *,
        code_version: str,
        deps: list[str] | None = None,
        condition: dg.AutomationCondition[Any] = ON_NEW_DATA,
        kinds: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Keyword arguments of `dg.multi_asset` for partitioned tables that are written together.

        Without `deps` they are roots, which only a schedule or a person refreshes.
        """
        names = tuple(tables)
        return {
            "specs": [
                dg.AssetSpec(
                    **self._common(table, code_version, deps or [], {"python", "duckdb", *kinds}),
                    description=self.schema[table].description,
                    partitions_def=self.partitions,
                    automation_condition=condition if deps else None,
                )
                for table in names
            ],
            "check_specs": [
                spec for table in names for spec in check_specs(self.schema[table], asset_key(table), self.partitions)
            ],
        }

    def mart(self, table: str, *, code_version: str, deps: list[str]) -> dict[str, Any]:
        """Keyword arguments of `dg.asset` for an unpartitioned asset, which has to be fresh every day."""
        known = table in self.schema
        return {
            **self._common(table, code_version, deps, {"python", "duckdb"}),
            **_FRESH_EVERY_DAY,
            "check_specs": check_specs(self.schema[table], asset_key(table), None) if known else [],
        }

    def marts(self, tables: Iterable[str], *, code_version: str, deps: list[str]) -> dict[str, Any]:
        """Keyword arguments of `dg.multi_asset` for unpartitioned tables that are written together."""
        names = tuple(tables)
        return {
            "specs": [
                dg.AssetSpec(
                    **self._common(table, code_version, deps, {"python", "duckdb"}),
                    description=self.schema[table].description,
                    **_FRESH_EVERY_DAY,
                )
                for table in names
            ],
            "check_specs": [
                spec for table in names for spec in check_specs(self.schema[table], asset_key(table), None)
            ],
        }

    def on_demand(self, table: str, *, code_version: str, deps: list[str]) -> dict[str, Any]:
        """Keyword arguments of `dg.asset` for an unpartitioned table that is computed only when asked for."""
        return {
            **self._common(table, code_version, deps, {"python", "duckdb"}),
            "tags": ON_DEMAND_TAGS,
            "check_specs": check_specs(self.schema[table], asset_key(table), None),
        }

    def predictor(self, name: str, *, code_version: str, deps: list[str], kinds: Iterable[str]) -> dict[str, Any]:
        """Keyword arguments of `dg.asset` for a predictor: files in the model store, its state in models.predictors."""
        return {
            **self._common(f"models.{name}", code_version, deps, {"python", *kinds}),
            "metadata": _table_metadata(self.schema["models.predictors"]),
            "partitions_def": self.partitions,
            "automation_condition": ON_NEW_DATA,
        }

    def materialized(
        self,
        warehouse: Warehouse,
        table: str,
        subreddit: str | None = None,
        /,
        **metadata: dg.MetadataValue | float | str | bool,
    ) -> dg.MaterializeResult:
        """Row counts, check results and data version of a table, or of its partition, as the result of an asset.

        The data version is a digest of the rows: what is equal is not new, whenever it was written. Features that look
        as before, and new ones, are accepted; see `evaluation.drift`.
        """
        rows = "TRUE" if subreddit is None else partition_filter(table)
        params = {} if subreddit is None else {"subreddit": subreddit}
        with warehouse.read() as reader:
            counts = {"dagster/row_count": reader.scalar(f"SELECT count(*) FROM {table}")}
            if subreddit is not None:
                counts["dagster/partition_row_count"] = reader.scalar(
                    f"SELECT count(*) FROM {table} WHERE {rows}", params
                )
            checks = run_checks(reader, self.schema[table], asset_key(table), rows, subreddit, self.settings)
            version = reader.fingerprint(table, rows, params)
            sample = (
                None
                if subreddit is None or table not in COMPARED_TABLES
                else read_sample(reader, subreddit, table, self.encoders)
            )
        if subreddit is not None and sample is not None:
            sound = all(check.passed for check in checks)
            checks.append(self._compared(warehouse, table, subreddit, sample, sound=sound))
        return dg.MaterializeResult(
            asset_key=asset_key(table),
            metadata={**counts, **metadata},
            check_results=checks,
            data_version=dg.DataVersion(version),
        )

    def _compared(
        self, warehouse: Warehouse, table: str, subreddit: str, sample: Sample, *, sound: bool
    ) -> dg.AssetCheckResult:
        """Compare the features of a partition with what was accepted, and accept what needs no person to do so.

        Nothing is accepted of a table that is not sound: that breaks another rule.
        """
        check = sample.check()
        if sound and check.renewed:
            warehouse.merge(drift.TABLE, drift.profile_rows(subreddit, sample.table, check.renewed, utc_now()))
        return looks_as_before(asset_key(table), subreddit, sample, check)

    def _common(self, table: str, code_version: str, deps: Iterable[str], kinds: set[str]) -> dict[str, Any]:
        key = asset_key(table)
        return {
            "key": key,
            "group_name": key.path[0],
            "deps": [asset_key(name) for name in deps],
            "code_version": code_version,
            "owners": OWNERS,
            "kinds": kinds,
            "metadata": _table_metadata(self.schema[table]) if table in self.schema else {},
        }


def _table_metadata(table: Table) -> dict[str, Any]:
    columns = [
        dg.TableColumn(
            column.name,
            column.type,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (column.name,)),
        )
        for column in table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": table.name,
        "key": ", ".join(table.key),
    }
