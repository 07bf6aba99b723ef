"""What is made once and kept."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from redpop_assets.kept import Kept, Recent


def test_what_many_threads_ask_for_at_once_is_made_once():
    made, kept, together = [], Kept(), threading.Barrier(8)

    def make():
        time.sleep(0.02)
        made.append(1)
        return object()

    def ask(_):
        together.wait()
        return kept.kept_as("it", make)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert made == [1]


def test_what_is_made_may_ask_for_something_else_and_a_failure_is_not_kept():
    kept = Kept()
    assert kept.kept_as("sum", lambda: kept.kept_as("one", lambda: 1) + 1) == 2
    with pytest.raises(KeyError):
        kept.kept_as("odd", lambda: {}["nothing"])
    assert kept.kept_as("odd", lambda: None) is None
    assert kept.kept_as("odd", lambda: 1) is None  # nothing is something to keep


def test_the_latest_are_kept_and_only_what_is_missing_is_made():
    recent, asked = Recent(3), []

    def make(keys):
        asked.append(list(keys))
        return [key * 10 for key in keys]

    assert recent.all([1, 2, 1], make) == {1: 10, 2: 20}
    assert recent.all([2, 3], make) == {2: 20, 3: 30}
    assert recent.all([1], make) == {1: 10}
    assert recent.all([4], make) == {4: 40}  # 2 is the one that nobody asked for longest
    assert recent.all([1, 3, 4], make).keys() == {1, 3, 4}
    assert recent.all([2], make) == {2: 20}
    assert asked == [[1, 2], [3], [4], [2]]
    assert len(recent) == 3
    assert recent.all([], make) == {}


def test_more_than_are_kept_are_all_returned():
    recent = Recent(2)
    assert recent.all(range(5), lambda keys: list(keys)) == {number: number for number in range(5)}
    assert len(recent) == 2
    assert recent.get(4, lambda: pytest.fail("it is kept")) == 4
