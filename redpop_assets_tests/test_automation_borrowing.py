"""When predictors that borrow are asked for: as their own training set is renewed, not as those of others are."""

import dagster as dg
import pytest

from redpop_assets.automation import on_own_training_data

pytestmark = [
    # Of a parameter that evaluate_automation_conditions itself passes on.
    pytest.mark.filterwarnings("ignore:Parameter `include_sources`:dagster.BetaWarning"),
]

SET, COLUMNS, BORROWER = (dg.AssetKey(["models", name]) for name in ("training_set", "training_columns", "pooled"))
PARTITIONS = dg.StaticPartitionsDefinition(["pics", "aww", "cats"])


@dg.multi_asset(
    specs=[dg.AssetSpec(SET), dg.AssetSpec(COLUMNS)],
    partitions_def=PARTITIONS,
)
def training(context):
    version = dg.DataVersion(context.run.tags["version"])
    for key in (SET, COLUMNS):
        yield dg.MaterializeResult(asset_key=key, data_version=version)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            BORROWER,
            deps=[dg.AssetDep(SET, partition_mapping=dg.AllPartitionMapping()), dg.AssetDep(COLUMNS)],
            automation_condition=on_own_training_data(SET),
            partitions_def=PARTITIONS,
        )
    ],
    partitions_def=PARTITIONS,
)
def borrower():
    yield dg.MaterializeResult(asset_key=BORROWER)


def test_only_its_own_training_set_asks_for_a_borrower():
    defs = dg.Definitions(assets=[training, borrower])
    with dg.DagsterInstance.ephemeral() as instance:

        def learnt(partition, version):
            tags = {"version": version}
            assert dg.materialize([training], instance=instance, partition_key=partition, tags=tags).success

        def requested(cursor=None):
            result = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
            return set(result.get_requested_partitions(BORROWER)), result.cursor

        found, cursor = requested()  # a first tick requests nothing
        assert found == set()
        for partition in ("pics", "aww"):
            learnt(partition, "1")
        # A community that has nothing yet holds up nobody, and has nothing to learn from itself.
        found, cursor = requested(cursor)
        assert found == {"pics", "aww"}
        for partition in ("pics", "aww"):
            assert dg.materialize(
                [training, borrower], instance=instance, partition_key=partition, selection=[BORROWER]
            )
        found, cursor = requested(cursor)  # what changes in the tick of its own update is lost by design
        assert found == set()
        learnt("aww", "2")
        found, cursor = requested(cursor)
        assert found == {"aww"}
        learnt("pics", "1")  # as it was
        found, cursor = requested(cursor)
        assert found == set()
        learnt("cats", "1")
        found, cursor = requested(cursor)
        assert found == {"cats"}
