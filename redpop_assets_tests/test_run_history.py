"""The run history over kept connections: the same files as Dagster's own storages, for threads, processes and homes."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.exc import DatabaseError

from redpop_assets.run_history import Connections

# What steps print is not captured: threads that run at once would redirect the one standard output of their process.
_COMMON = """
compute_logs: {{module: dagster._core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}}
telemetry: {{enabled: false}}
"""
OF_DAGSTER = "storage: {{sqlite: {{base_dir: {folder}}}}}" + _COMMON
OURS = (
    """\
run_storage: {{module: redpop_assets.run_history, class: Runs, config: {{base_dir: {folder}/history}}}}
event_log_storage: {{module: redpop_assets.run_history, class: EventLog, config: {{base_dir: {folder}/history/runs}}}}
schedule_storage: {{module: redpop_assets.run_history, class: Schedules, config: {{base_dir: {folder}/schedules}}}}
"""
    + _COMMON
)


@dg.asset(check_specs=[dg.AssetCheckSpec("holds", asset="table")])
def table() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True)])


@pytest.fixture
def opened(tmp_path):
    """Opens an instance of a folder, by Dagster's storages or by ours."""

    def open_(config=OURS, folder=tmp_path / "history of runs"):
        folder.mkdir(exist_ok=True)
        (folder / "dagster.yaml").write_text(config.format(folder=folder), encoding="utf-8")
        return dg.DagsterInstance.from_config(str(folder))

    return open_


def materialized(instance):
    """Run the asset and return what the instance then knows of it."""
    assert dg.materialize([table], instance=instance).success
    return known(instance)


def known(instance):
    runs = instance.get_runs()
    event = instance.get_latest_materialization_event(table.key)
    return {
        "runs": [(run.run_id, run.status) for run in runs],
        "events": {run.run_id: [entry.message for entry in instance.all_logs(run.run_id)] for run in runs},
        "latest": (event.run_id, event.asset_materialization.metadata["rows"].value),
        "checks": [
            record.status
            for record in instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(table.key, "holds"), limit=10
            )
        ],
    }


@pytest.mark.parametrize("configs", [(OF_DAGSTER, OURS), (OURS, OF_DAGSTER)], ids=["upgraded", "taken back"])
def test_what_one_writes_the_other_reads_and_goes_on_with(opened, configs):
    first, second = configs
    with opened(first) as instance:
        before = materialized(instance)
    with opened(second) as instance:
        assert known(instance) == before
        after = materialized(instance)
    assert len(after["runs"]) == 2
    with opened(first) as instance:
        assert known(instance) == after


def tables(folder):
    """What defines each database below a folder, and which version each is said to have."""
    found = {}
    for path in folder.rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            lines = [line for line in connection.iterdump() if "alembic" in line or line.startswith("CREATE")]
        found[path.relative_to(folder).as_posix()] = sorted(lines)
    return found


def test_a_new_history_has_the_tables_and_the_version_of_dagsters_own(opened, tmp_path):
    found = []
    for name, config in (("ours", OURS), ("again", OURS), ("theirs", OF_DAGSTER)):
        with opened(config, tmp_path / name) as instance, instance.event_log_storage.run_connection("of-a-run"):
            pass
        found.append(tables(tmp_path / name))
    assert found[0] == found[1] == found[2]
    assert {Path(name).stem for name in found[0]} == {"runs", "index", "of-a-run", "schedules"}
    assert all("INSERT INTO" in " ".join(lines) for lines in found[0].values())


@pytest.mark.parametrize("left", [b"", b"no database"], ids=["empty", "foreign"])
def test_a_file_that_was_left_unfinished_is_for_dagster_to_judge(opened, tmp_path, left):
    """An empty one is what a process leaves that was killed while it made it."""
    file = tmp_path / "history" / "history" / "runs.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(left)
    with nullcontext() if not left else pytest.raises(DatabaseError), opened(folder=tmp_path / "history") as instance:
        assert materialized(instance)
    assert left == b"" or file.read_bytes() == left


def test_two_histories_are_not_taken_for_one(opened, tmp_path):
    """New files are copies of one, in which nothing may stand that tells histories apart."""
    ids = []
    for name in ("one", "other"):
        with opened(folder=tmp_path / name) as instance:
            ids.append(instance.run_storage.get_run_storage_id())
    assert ids[0] != ids[1]


def test_both_at_once(opened):
    """The UI may still be of the version before while a command is of this one."""
    with opened(OF_DAGSTER) as theirs, opened(OURS) as ours:
        assert materialized(ours) == known(theirs)
        assert materialized(theirs) == known(ours)


RUN = """
import sys, dagster as dg
from redpop_assets_tests.test_run_history import table
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    sys.exit(not dg.materialize([table], instance=instance).success)
"""


@dg.job
def nothing():
    pass


MESSAGES = [str(number) for number in range(20)]


def recorded(instance):
    """What a run stores, without running: Dagster arranges the logging of a process anew for each, which is for no two
    threads at once (each can hold the lock that the other waits for)."""
    run = instance.create_run_for_job(nothing)
    for message in MESSAGES:
        instance.report_engine_event(message, run)
    instance.report_runless_asset_event(dg.AssetMaterialization(table.key, metadata={"rows": 3}))
    instance.report_runless_asset_event(dg.AssetCheckEvaluation(table.key, check_name="holds", passed=True))


def test_threads_and_processes_lose_nothing_to_one_another(opened):
    with opened() as instance:
        others = [
            subprocess.Popen(
                [sys.executable, "-c", RUN, instance.root_directory],
                env={"PYTHONPATH": ":".join(sys.path)},
                stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        threads = [threading.Thread(target=recorded, args=(instance,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [other.wait(120) for other in others] == [0, 0]
        found = known(instance)
        materializations = instance.fetch_materializations(table.key, limit=10).records
    assert [status for _, status in found["runs"]].count(dg.DagsterRunStatus.SUCCESS) == 2
    assert len(found["runs"]) == len(found["checks"]) == len(materializations) == 6
    events = list(found["events"].values())
    assert events.count(MESSAGES) == 4
    assert len({len(those) for those in events if those != MESSAGES}) == 1


def open_files(folder):
    links = Path("/proc/self/fd").iterdir()
    return [link for link in links if link.exists() and str(folder.resolve()) in str(link.resolve())]


def test_of_many_runs_few_files_stay_open_and_none_in_the_end(opened, tmp_path):
    with opened() as instance:
        for _ in range(20):
            instance.report_engine_event("said", instance.create_run_for_job(nothing))
        assert len(instance.get_runs()) == 20
        assert 0 < len(open_files(tmp_path)) < 20 * 3
    assert open_files(tmp_path) == []


def test_a_history_that_was_wiped_begins_anew(opened):
    with opened() as instance:
        before = materialized(instance)
        instance.wipe()
        assert instance.get_runs() == []
        after = materialized(instance)
        assert len(after["runs"]) == len(before["runs"]) == 1
        instance.delete_run(after["runs"][0][0])
        assert instance.get_runs() == []


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    connections = Connections()
    with connections.transaction(url) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")

    with suppress(ZeroDivisionError), connections.transaction(url) as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        1 / 0  # noqa: B018
    with connections.transaction(url) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    connections.close()


def test_many_events_at_once_are_all_there_even_if_something_fails(opened):
    with opened() as instance, opened(OF_DAGSTER) as theirs:
        run = instance.create_run_for_job(nothing)
        with suppress(ZeroDivisionError), instance.event_log_storage.at_once():
            for number in range(700):
                instance.report_runless_asset_event(dg.AssetMaterialization("many", partition=str(number)))
            instance.report_engine_event("said", run)
            assert 0 < len(theirs.get_materialized_partitions(dg.AssetKey("many"))) < 700  # some are committed
            1 / 0  # noqa: B018
        instance.report_engine_event("said again", run)
        assert len(theirs.get_materialized_partitions(dg.AssetKey("many"))) == 700
        assert [entry.message for entry in theirs.all_logs(run.run_id)] == ["said", "said again"]
