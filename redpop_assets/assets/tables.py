"""How tables of the warehouse become assets: key, schema, checks, versions and row counts, in one place.

An asset is described by an `AssetPlan` and does its work in a body, a plain function from `Work` to what is to be said
of each table. It can be asked for in part, unless its tables are written together: a check alone reads the table as it
is and writes nothing.
"""

import inspect
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import dagster as dg

from redpop_assets.arithmetic import SAME_EVERYWHERE, is_same_everywhere
from redpop_assets.automation import ON_DEMAND_TAGS, ON_NEW_DATA, ON_NEW_DATA_FROM_ANY
from redpop_assets.checks import (
    LOOKS_AS_BEFORE,
    FileCheck,
    check_specs,
    checks_of,
    count_offences,
    looks_as_before,
    verdict,
)
from redpop_assets.features.family import Encoders
from redpop_assets.partitions import is_of_all
from redpop_assets.refresh.partition import partition_filter
from redpop_assets.resources import SourceResource, deployed_encoders
from redpop_assets.settings import Settings
from redpop_assets.shown import visible
from redpop_assets.storage.schema import Schema

if TYPE_CHECKING:
    from redpop_assets.refresh.drift import Sample
    from redpop_assets.refresh.engine import Engine
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.models import ModelStore
    from redpop_assets.storage.rows import Reader
    from redpop_assets.storage.warehouse import Warehouse

OWNERS = ["team:redpop"]

_log = logging.getLogger(__name__)

Metadata = Mapping[str, dg.MetadataValue[Any] | float | str | bool]
"""What is said of a table in the UI."""

Resource = Literal["warehouse", "images", "models", "engine", "source"]
C = TypeVar("C", bound=dg.Config)

_FRESH_EVERY_DAY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=26))


def _docstring(body: Callable[..., object]) -> str:
    """What a body says of itself; nothing for one that serves many tables."""
    return inspect.getdoc(body) or "" if inspect.isfunction(body) else ""


@contextmanager
def _computing(settings: Settings) -> Iterator[None]:
    """Where figures are to be the same everywhere, everything inside is added up in one order: on one thread."""
    with ExitStack() as stack:
        if settings.reproducible:
            if not is_same_everywhere():
                _log.warning(
                    "REDPOP_REPRODUCIBLE: this process computes with all that the processor has, so figures may differ "
                    "from those of other machines. Start runs by `redpop`, or with these variables: %s",
                    " ".join(f"{name}='{value}'" for name, value in SAME_EVERYWHERE.items()),
                )
            # A library is limited only once it is loaded.
            import scipy.linalg  # noqa: F401
            from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

            from redpop_assets.encoders.lanes import threads_per_pass

            stack.enter_context(threadpool_limits(limits=1))
            stack.enter_context(threads_per_pass(1))
        yield


def _once(body: "Body", work: "Work") -> Mapping[str, Metadata]:
    """What a body says; interrupted, it fails for good, where Dagster would wait and try again as a policy says."""
    try:
        return body(work)
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
        raise dg.Failure("Interrupted.", allow_retries=False) from error


def asset_key(table: str) -> dg.AssetKey:
    """Asset key `[layer, table]` of `layer.table`."""
    return dg.AssetKey(table.split("."))


@dataclass(frozen=True)
class Work:
    """What the body of an asset works with.

    Attributes:
        settings: the deployment.
        tables: the tables that are asked for, in the order of the plan.
    """

    settings: Settings
    tables: tuple[str, ...]
    _context: dg.AssetExecutionContext
    _config: dg.Config | None

    @property
    def subreddit(self) -> str:
        """The community, in lower case."""
        name: str = self._context.partition_key
        return name

    @property
    def warehouse(self) -> "Warehouse":
        """The warehouse of the deployment."""
        found: Warehouse = self._context.resources.warehouse
        return found

    @property
    def images(self) -> "ImageStore":
        """Its image files."""
        found: ImageStore = self._context.resources.images
        return found

    @property
    def models(self) -> "ModelStore":
        """Its model files."""
        found: ModelStore = self._context.resources.models
        return found

    @property
    def engine(self) -> "Engine":
        """Who fetches its pictures and runs its networks."""
        found: Engine = self._context.resources.engine
        return found

    @property
    def source(self) -> SourceResource:
        """Its access to the service that posts come from."""
        found: SourceResource = self._context.resources.source
        return found

    def config(self, kind: type[C]) -> C:
        """What the run asks of this asset."""
        assert isinstance(self._config, kind)
        return self._config

    def progress(self, message: str) -> None:
        """Say how far it is."""
        self._context.log.info(visible(message))

    def warn(self, message: str) -> None:
        """Say what a person should look at."""
        self._context.log.warning(visible(message))


Result = dg.MaterializeResult[Any] | dg.AssetCheckResult

Body = Callable[[Work], Mapping[str, Metadata]]
"""Brings the tables up to date; table -> what to say of it. Tables that it leaves out are up to date in silence."""


@dataclass(frozen=True)
class AssetPlan:
    """What Dagster is told of an asset.

    Attributes:
        code_versions: table -> version of the code that computes it: the constant that its module names.
        deps: table -> the tables it is made from; without any, only a schedule or a person refreshes it.
        name: of the step, where it writes several tables; by default the key of its only table.
        together: whether its tables are written by one pass that cannot leave one out: they are asked for all at once,
            and their checks with them.
        partitioned: whether there is one of each community.
        reads_everybody: whether each community is made from the rows of all of them.
        reads_everybody_of: the tables of which that is so, where it is not so of all.
        condition: when it refreshes itself; None for the usual one.
        on_demand: whether it is computed only when a person asks.
        descriptions: table -> what the UI says besides the comment of the table.
        kinds: shown in the UI.
        resources: what the body asks for.
        pool: limit that it shares with others.
        config: what a run may ask of it.
        retry_policy: for errors that may pass.
        file_checks: rules for files that belong to the tables.
    """

    code_versions: Mapping[str, str]
    deps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str = ""
    together: bool = False
    partitioned: bool = True
    reads_everybody: bool = False
    reads_everybody_of: Collection[str] = ()
    condition: dg.AutomationCondition[Any] | None = None
    on_demand: bool = False
    descriptions: Mapping[str, str] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()
    resources: tuple[Resource, ...] = ("warehouse",)
    pool: str | None = None
    config: type[dg.Config] | None = None
    retry_policy: dg.RetryPolicy | None = None
    file_checks: Sequence[FileCheck] = ()


@dataclass(frozen=True)
class TableAssets:
    """Builds the Dagster side of tables from their SQL files and the settings."""

    settings: Settings
    schema: Schema
    partitions: dg.StaticPartitionsDefinition

    def asset(self, plan: AssetPlan, body: Body) -> dg.AssetsDefinition:
        """The tables of a plan, as one asset definition: written by one body, each followed by its checks."""
        tables = tuple(plan.code_versions)
        partitions = self.partitions if plan.partitioned else None

        define = dg.multi_asset(
            name=plan.name or asset_key(tables[0]).to_python_identifier(),
            specs=[self._spec(table, plan, body) for table in tables],
            check_specs=[
                spec for table in tables for spec in check_specs(self.schema[table], partitions, plan.file_checks)
            ],
            partitions_def=partitions,
            can_subset=not plan.together,
            required_resource_keys={*plan.resources, "warehouse"},
            pool=plan.pool,
            retry_policy=plan.retry_policy,
        )

        def results(context: dg.AssetExecutionContext, config: dg.Config | None) -> Iterator[Result]:
            asked = context.op_execution_context.selected_asset_keys
            wanted = tuple(table for table in tables if asset_key(table) in asked)
            with _computing(self.settings):
                said = _once(body, Work(self.settings, wanted, context, config)) if wanted else {}
            for table in tables:
                yield from self._examine(context, plan, table, said.get(table, {}) if table in wanted else None)

        if plan.config is None:

            def run(context: dg.AssetExecutionContext) -> Iterator[Result]:
                yield from results(context, None)

            return define(run)

        def run_as_asked(context: dg.AssetExecutionContext, config: dg.Config) -> Iterator[Result]:
            yield from results(context, config)

        run_as_asked.__annotations__["config"] = plan.config  # where Dagster finds what may be asked
        return define(run_as_asked)

    def artifact(
        self, plan: AssetPlan, body: Callable[[Work], tuple[Metadata, str | None]], *, described_by: str = ""
    ) -> dg.AssetsDefinition:
        """An asset that is no table: a body that returns what to say of it and its data version.

        `described_by` is the table that keeps its state, if there is one.
        """
        (name,) = plan.code_versions
        key = asset_key(name)

        @dg.multi_asset(
            name=key.to_python_identifier(),
            specs=[self._spec(name, plan, body).merge_attributes(metadata=self._columns(described_by))],
            partitions_def=self.partitions if plan.partitioned else None,
            required_resource_keys={*plan.resources, "warehouse"},
            pool=plan.pool,
        )
        def run(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
            with _computing(self.settings):
                metadata, version = body(Work(self.settings, (name,), context, None))
            yield dg.MaterializeResult(
                asset_key=key, metadata=metadata, data_version=None if version is None else dg.DataVersion(version)
            )

        return run

    def _spec(self, table: str, plan: AssetPlan, body: Callable[..., object]) -> dg.AssetSpec:
        deps = plan.deps.get(table, ())
        known = self.schema.get(table)
        parts = (known.description if known else "", plan.descriptions.get(table, ""), _docstring(body))
        usual = ON_NEW_DATA_FROM_ANY if plan.reads_everybody or not plan.partitioned else ON_NEW_DATA
        refreshes_itself = bool(deps) and not plan.on_demand
        return dg.AssetSpec(
            asset_key(table),
            deps=[self._dep(dep, plan) for dep in deps],
            description="\n\n".join(part for part in parts if part),
            metadata=self._columns(table),
            group_name=table.split(".")[0],
            code_version=plan.code_versions[table],
            automation_condition=(plan.condition or usual) if refreshes_itself else None,
            owners=OWNERS,
            tags=ON_DEMAND_TAGS if plan.on_demand else None,
            kinds={"python", *(("duckdb",) if known else ()), *plan.kinds},
            partitions_def=self.partitions if plan.partitioned else None,
            freshness_policy=None if plan.partitioned or plan.on_demand else _FRESH_EVERY_DAY,
        )

    def _columns(self, table: str) -> dict[str, Any]:
        """What the UI shows of the columns of a table; nothing of what is no table."""
        known = self.schema.get(table)
        if known is None:
            return {}
        columns = [
            dg.TableColumn(
                column.name,
                column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=known.key == (column.name,)),
            )
            for column in known.columns
        ]
        return {
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/table_name": known.name,
            "key": ", ".join(known.key),
        }

    def _dep(self, table: str, plan: AssetPlan) -> dg.AssetDep:
        # Without partitions there is only one way to depend on those of others: on all of them.
        of_all = plan.reads_everybody or table in plan.reads_everybody_of
        everybody = plan.partitioned and of_all and not is_of_all(asset_key(table))
        return dg.AssetDep(asset_key(table), partition_mapping=dg.AllPartitionMapping() if everybody else None)

    def _examine(
        self, context: dg.AssetExecutionContext, plan: AssetPlan, table: str, said: Metadata | None
    ) -> Iterator[Result]:
        """Read a table as it is, and report it: row counts, a digest of its rows, and the checks that are asked for.

        Without `said` nobody asked for the table itself, only for checks of it; without a community, of all of them.
        The data version is the digest: what is equal is not new, whenever it was written.
        """
        from redpop_assets.refresh.drift import accept_renewed, read_sample

        selected = {check.name for check in context.selected_asset_check_keys if check.asset_key == asset_key(table)}
        if said is None and not selected:
            return
        warehouse: Warehouse = context.resources.warehouse
        scopes = self._scopes(context, plan)
        rules = [check for check in checks_of(self.schema[table]) if check.name in selected]
        compares = LOOKS_AS_BEFORE in selected and bool(scopes[0])
        offences = dict.fromkeys((rule.name for rule in rules), 0)
        samples: dict[str, Sample] = {}
        with warehouse.read() as reader:
            for subreddit in scopes:
                rows = "TRUE" if subreddit is None else partition_filter(table)
                for rule in rules:
                    offences[rule.name] += count_offences(reader, rule, rows, subreddit, self.settings)
                if compares and subreddit is not None:
                    with reader.sparing():
                        samples[subreddit] = read_sample(reader, subreddit, table, self.encoders)
            report = _report(reader, table, scopes[0]) if said is not None else None
        results = [verdict(table, rule, offences[rule.name]) for rule in rules]
        results += [
            verdict(table, check, check.offences(warehouse, context.resources.images))
            for check in plan.file_checks
            if check.name in selected
        ]
        looks = {subreddit: (sample, sample.check()) for subreddit, sample in samples.items()}
        if report is not None and all(result.passed for result in results):
            accept_renewed(warehouse, looks)
        if looks:
            results.append(looks_as_before(table, looks))
        if report is not None and said is not None:
            counts, version = report
            yield dg.MaterializeResult(
                asset_key=asset_key(table), metadata={**counts, **said}, data_version=dg.DataVersion(version)
            )
        # After the table and not inside of its result: Dagster would look up twice what each check is of.
        yield from results

    def _scopes(self, context: dg.AssetExecutionContext, plan: AssetPlan) -> list[str | None]:
        """The communities that are looked at; None where a table has no partitions."""
        if not plan.partitioned:
            return [None]
        return [context.partition_key] if context.has_partition_key else list(self.partitions.get_partition_keys())

    @property
    def encoders(self) -> Encoders:
        """The networks whose outputs count."""
        return deployed_encoders(self.settings)


def _report(reader: "Reader", table: str, subreddit: str | None) -> tuple[Metadata, str]:
    """Row counts of a table, or of its partition, and a digest of the rows."""
    if subreddit is None:
        rows, _, version = reader.counted(table)
        return {"dagster/row_count": rows}, version
    rows, own, version = reader.counted(table, partition_filter(table), {"subreddit": subreddit})
    return {"dagster/row_count": rows, "dagster/partition_row_count": own}, version
