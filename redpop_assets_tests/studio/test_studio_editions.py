import threading
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from redpop_assets.errors import NothingPublished, WarehouseError
from redpop_assets.studio.editions import Editions
from redpop_assets_tests.studio.samples import SampleDesk, draft, publish_reading

pytestmark = pytest.mark.integration


def readings(opened):
    return opened.edition.scalar("SELECT count(*) FROM raw.observations")


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def now_has(editions, number):
    with editions.current() as opened:
        return readings(opened) == number


def is_closed(edition):
    try:
        edition._conn.execute("SELECT 1")
    except duckdb.Error:
        return True
    return False


def test_a_new_file_is_taken_over_and_the_old_one_closed_after_its_last_answer(home):
    editions = Editions(home, SampleDesk, every=0.0)
    with editions.current() as old:
        assert readings(old) == 0
        publish_reading(home, "a")
        until(lambda: now_has(editions, 1))
        assert readings(old) == 0  # whoever began with it ends with it
        assert not is_closed(old.edition)
    assert is_closed(old.edition)
    with editions.current() as new:
        assert readings(new) == 1
    editions.close()
    assert is_closed(new.edition)


def test_what_cannot_be_taken_over_changes_nothing(home, caplog):
    calls = []

    def make(edition):
        calls.append(edition)
        if len(calls) == 2:
            raise WarehouseError("by another version")
        return SampleDesk(edition)

    editions = Editions(home, make, every=0.0)
    with editions.current() as old:
        pass
    publish_reading(home, "a")
    until(lambda: now_has(editions, 0) and len(calls) == 2)
    until(lambda: editions._taking_over is None)
    assert is_closed(calls[1])
    with editions.current() as opened:
        assert opened is old
    assert "by another version" in caplog.text
    editions._next_look = 0.0
    until(lambda: now_has(editions, 1))
    editions.close()


def test_nothing_published_is_said_until_there_is_something(tmp_path):
    from redpop_assets.testing.warehouses import blank_warehouse

    editions = Editions(tmp_path, SampleDesk)
    with pytest.raises(NothingPublished), editions.current():
        pass
    blank_warehouse(tmp_path).publish()
    with editions.current() as opened:
        assert readings(opened) == 0
    editions.close()
    with pytest.raises(WarehouseError), editions.current():
        pass


def test_the_first_edition_is_opened_once_by_all_who_ask(home):
    made = []

    def make(edition):
        made.append(edition)
        time.sleep(0.05)
        return SampleDesk(edition)

    editions = Editions(home, make)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: now_has(editions, 0), range(8)))
    assert found == [True] * 8
    assert len(made) == 1
    editions.close()


def test_a_publish_during_questions_drops_no_answer(visit, home):
    client = visit(desk=lambda edition: SampleDesk(edition, pause=0.02), studio_threads=2)
    seen, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answer = client.post("/api/v1/answers", json=draft())
            seen.append((answer.status_code, answer.json()["comparisons"][0]["titles"][0]["expected_score"]))

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for number in range(1, 4):
                until(lambda: seen)
                publish_reading(home, f"p{number}")
                until(lambda number=number: seen and seen[-1][1] == 500.0 + number)
        finally:
            stop.set()
        for one in asking:
            one.result()
    assert {status for status, _ in seen} == {200}
    assert {score for _, score in seen} <= {500.0, 501.0, 502.0, 503.0}


def test_questions_beyond_what_can_wait_are_told_to_come_back(visit):
    client = visit(desk=lambda edition: SampleDesk(edition, pause=0.3), studio_threads=1, waiting=1)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/answers", json=draft()), range(6)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert statuses[-1] == 503
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert client.post("/api/v1/answers", json=draft()).status_code == 200
