"""Whose run is dead, and whose is not: in a history of one machine, and in one that several share."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import dagster as dg
import pytest

from redpop_assets import pools, run_owners
from redpop_assets.errors import WarehouseError
from redpop_assets.instance import dagster_environment, open_instance, prepare_instance
from redpop_assets.run_owners import HOST, MACHINE, PID, SIGN_OF_LIFE, STARTED, Process, end_dead_runs, owning
from redpop_assets.settings import load_settings
from redpop_assets.shared_history import SharedHistory
from redpop_assets.storage import postgres as locks
from redpop_assets.storage.postgres import Postgres

pytestmark = pytest.mark.integration

STARTED_RUN, FAILED_RUN = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


def begun(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    """The id of a run that has started."""
    run = dg.DagsterRun("some", tags=tags, status=STARTED_RUN)
    instance.run_storage.add_run(run)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    return instance.get_run_by_id(run_id).status


@pytest.fixture
def other_process():
    """A process that lives, and one that is dead, of this machine."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def alone(tmp_path, only):
    """The instance of a home whose history is in files."""
    with only({}, tmp_path), open_instance(load_settings(home=tmp_path / "home")) as instance:
        yield instance


@pytest.fixture(scope="module")
def shared_url(new_postgres):
    return new_postgres()


@pytest.fixture
def machines(tmp_path, only, shared_url):
    """Two homes on one history, as two machines have them."""
    with only({}, tmp_path):
        first, second = (
            load_settings(home=tmp_path / name, dagster_storage=shared_url) for name in ("first", "second")
        )
        with open_instance(first) as one, open_instance(second) as two:
            yield one, two
            one.wipe()


def test_on_one_machine_the_operating_system_says_who_is_dead(alone, other_process):
    mine = Process.this()
    with owning(alone) as tags:
        assert tags == mine.tags
        assert SIGN_OF_LIFE not in tags
    living = Process(mine.host, other_process.pid, mine.machine, run_owners._started(other_process.pid))
    cases = {
        "of a living process": (living.tags, STARTED_RUN),
        "of a living process, told by an older version": ({HOST: mine.host, PID: str(living.pid)}, STARTED_RUN),
        "of a process whose id another one has now": ({**living.tags, STARTED: "1"}, FAILED_RUN),
        "of a process that is gone": ({**living.tags, PID: "4194000"}, FAILED_RUN),
        "of one that is gone, told by an older version": ({HOST: mine.host, PID: "4194000"}, FAILED_RUN),
        "of this process, which has none": (mine.tags, FAILED_RUN),
        "before the machine was started again": ({**mine.tags, PID: "4194000", MACHINE: "before"}, FAILED_RUN),
        "of another host": ({**living.tags, HOST: "elsewhere", PID: "4194000"}, STARTED_RUN),
        "of Dagster's own": ({}, STARTED_RUN),
    }
    runs = {case: begun(alone, tags) for case, (tags, _) in cases.items()}
    end_dead_runs(alone)
    assert {case: status(alone, run) for case, run in runs.items()} == {case: end for case, (_, end) in cases.items()}


def test_a_process_knows_itself_and_the_next_one_of_its_id_does_not():
    mine = Process.this()
    assert Process.of(mine.tags) == mine
    assert mine.is_running()
    assert mine.is_on(mine)
    assert not Process(mine.host, mine.pid, "", mine.started).is_on(mine)
    if mine.started:
        assert not Process(mine.host, mine.pid, mine.machine, "1").is_running()


def test_a_process_of_another_machine_is_dead_when_its_sign_of_life_is_gone(machines, monkeypatch):
    monkeypatch.setattr(run_owners, "LOST_SECONDS", 0)
    one, two = machines
    elsewhere = {HOST: "elsewhere", PID: str(os.getpid()), MACHINE: "another", STARTED: "1"}
    with owning(one) as tags:
        living = begun(one, {**tags, **elsewhere})
        killed = begun(one, {**tags, **elsewhere, SIGN_OF_LIFE: "run of somebody"})
        unknown = begun(one, elsewhere)  # nothing can be said; Dagster ends it after its longest time
        end_dead_runs(two)
        assert [status(two, run) for run in (living, killed, unknown)] == [STARTED_RUN, FAILED_RUN, STARTED_RUN]
    end_dead_runs(two)
    assert status(two, living) == FAILED_RUN


def test_who_has_lost_the_connection_for_a_moment_is_not_dead(machines, monkeypatch):
    monkeypatch.setattr(run_owners, "LOST_SECONDS", 3)
    monkeypatch.setattr(locks, "_RENEWAL", timedelta(seconds=0.5))
    one, two = machines
    shared = Postgres(one.run_storage.postgres_url)
    with owning(one) as tags:
        run = begun(one, {**tags, HOST: "elsewhere"})
        with shared.session() as connection, connection.cursor() as cursor:
            # Which waits until they are gone, at most so many milliseconds.
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        assert shared.held([tags[SIGN_OF_LIFE]]) == set()
        end_dead_runs(two)
        assert status(two, run) == STARTED_RUN
        assert shared.held([tags[SIGN_OF_LIFE]]) == {tags[SIGN_OF_LIFE]}


KILLED = """
import os, signal, sys
import dagster as dg
from redpop_assets.run_owners import owning

@dg.op(pool="gpu")
def encode():
    print("begun", flush=True)
    sys.stdin.read()

@dg.job
def some():
    encode()

with dg.DagsterInstance.get() as instance, owning(instance) as tags:
    some.execute_in_process(instance=instance, tags={**tags, "redpop/host": "elsewhere"})
"""


def test_a_killed_process_of_another_machine_gives_its_place_in_a_pool_back(
    machines, tmp_path, shared_url, monkeypatch
):
    """Limits hold for all machines: they are in the history, which programs of Dagster find by their environment."""
    monkeypatch.setattr(run_owners, "LOST_SECONDS", 0)
    one, two = machines
    environment = dagster_environment(load_settings(home=tmp_path / "third", dagster_storage=shared_url))
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert any("begun" in line for line in process.stdout)
        (run,) = two.get_runs()
        claim = one.event_log_storage.claim_concurrency_slot("gpu", "mine", "step")
        assert not claim.is_claimed
        end_dead_runs(two)
        assert status(two, run.run_id) == STARTED_RUN
        process.kill()
    deadline = time.monotonic() + 20
    while status(two, run.run_id) == STARTED_RUN and time.monotonic() < deadline:
        end_dead_runs(two)
    assert status(one, run.run_id) == FAILED_RUN
    assert one.event_log_storage.claim_concurrency_slot("gpu", "mine", "step").is_claimed


def test_the_history_is_one_and_its_password_in_no_file(machines, shared_url, tmp_path):
    one, two = machines

    @dg.asset
    def numbers() -> int:
        return 3

    assert dg.materialize([numbers], instance=one).success
    assert two.get_latest_materialization_event(dg.AssetKey("numbers")) is not None
    assert len(two.get_runs()) == 1
    assert one.get_concurrency_config().pool_config.default_pool_limit == 1
    secret = shared_url.split(":")[2].partition("@")[0]
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes(), path
    assert not list(tmp_path.rglob("*.db"))


def test_without_a_postgres_everything_is_as_it_was(tmp_path, only, shared_url):
    with only({}, tmp_path):
        folder = prepare_instance(load_settings(home=tmp_path / "home", dagster_storage=shared_url))
        assert "run_storage" not in (folder / "dagster.yaml").read_text(encoding="utf-8")
        prepare_instance(load_settings(home=tmp_path / "home"))
        assert "shared_history" not in (folder / "dagster.yaml").read_text(encoding="utf-8")


def test_machines_that_start_together_make_the_tables_once(postgres):
    def opened(_: int) -> int:
        history = SharedHistory(Postgres(postgres).url)
        return len(history.run_storage.get_runs())

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(opened, range(3))) == [0, 0, 0]


def test_machines_may_begin_with_a_pool_at_the_same_time(machines):
    for instance in (*machines, *machines):
        assert instance.event_log_storage.initialize_concurrency_limit_to_default("reddit")
    assert machines[0].event_log_storage.get_concurrency_info("reddit").slot_count == 1


def test_a_history_that_does_not_answer_is_one_sentence(tmp_path, only, shared_url):
    wrong = shared_url.replace("/d", "/absent")
    with only({}, tmp_path):
        settings = load_settings(home=tmp_path / "home", dagster_storage=wrong)
        for look in (open_instance, dagster_environment):
            with pytest.raises(WarehouseError, match="cannot be opened") as refused:
                look(settings)
            assert shared_url.split(":")[2].partition("@")[0] not in str(refused.value)


def _waits_without_haste_and_not_for_the_dead(instance):
    mine = Process.this()
    dead = begun(instance, {**mine.tags, PID: "4194000"})
    storage = instance.event_log_storage
    storage.set_concurrency_slots("reddit", 1)
    assert storage.claim_concurrency_slot("reddit", dead, "harvest").is_claimed
    with owning(instance) as tags:
        waiting = begun(instance, tags)
        began, used = time.monotonic(), time.process_time()
        answer = storage.claim_concurrency_slot("reddit", waiting, "harvest")
        assert not answer.is_claimed
        assert answer.sleep_interval == 0  # Dagster asks again at once: the pause was here
        assert time.monotonic() - began >= pools.PAUSE
        assert time.process_time() - used < pools.PAUSE / 2
        assert (status(instance, dead), status(instance, waiting)) == (FAILED_RUN, STARTED_RUN)
        assert storage.claim_concurrency_slot("reddit", waiting, "harvest").is_claimed


def test_a_place_is_waited_for_without_haste_and_not_for_the_dead(alone):
    _waits_without_haste_and_not_for_the_dead(alone)


def test_a_place_is_waited_for_in_a_shared_history_as_well(machines):
    _waits_without_haste_and_not_for_the_dead(machines[0])
