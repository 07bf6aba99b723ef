"""Shards: there with their note, counted within a part, gone with their run."""

import os
import time

import pyarrow as pa
import pytest

from redpop_assets.storage.files import Folder
from redpop_assets.storage.shards import Shards

ROWS = {"core.images": pa.table({"a": [1, 2]}), "core.image_fetches": pa.table({"b": pa.array([], pa.string())})}


@pytest.fixture
def place(tmp_path):
    return Folder(tmp_path / "images")


def files(place):
    return sorted(path.name for path in (place.root.parent / "runs").rglob("*") if path.is_file())


def test_a_shard_is_found_by_others_who_know_the_run(place):
    shards = Shards(place)
    assert not shards.is_open
    shards.open()
    there = Shards(place, shards.run)
    assert there.is_open
    put = there.put(3, 0, ROWS, ("x", "y"), {"left": 1})
    assert shards.get(put.name) == put
    assert shards.tables(put) == ROWS
    assert [shard.name for shard in shards.of(3)] == [put.name]
    assert list(shards.of(0)) == []


def test_shards_of_a_part_come_in_the_order_of_their_numbers_as_far_as_they_are_whole(place):
    shards = Shards(place)
    for number in (1, 0, 3):
        shards.put(7, number, ROWS, (str(number),), {})
    assert [shard.done for shard in shards.of(7)] == [("0",), ("1",)]


def test_without_its_note_a_shard_is_not_there(place):
    shards = Shards(place)
    put = shards.put(0, 0, ROWS, (), {})
    (note,) = [name for name in files(place) if name.endswith(".json")]
    (place.root.parent / "runs" / note).unlink()
    assert list(shards.of(0)) == []
    with pytest.raises(FileNotFoundError):
        shards.get(put.name)


def test_what_was_taken_over_leaves_its_note_and_nothing_is_left_of_a_run_that_ended(place):
    shards, other = Shards(place), Shards(place)
    shards.open()
    other.open()
    put = shards.put(0, 0, ROWS, ("x",), {})
    shards.taken(put)
    assert not [name for name in files(place) if name.endswith(".parquet")]
    assert [shard.done for shard in shards.of(0)] == [("x",)]
    shards.close()
    assert files(place) == [f"{other.run}.run"]


def test_a_run_begins_without_what_killed_ones_left_a_day_ago(place):
    killed, young = Shards(place), Shards(place)
    for shards in (killed, young):
        shards.put(0, 0, ROWS, (), {})
    long_ago = time.time() - 90_000
    for name in files(place):
        if name.startswith(killed.run):
            os.utime(place.root.parent / "runs" / name, (long_ago, long_ago))
    Shards(place).open()
    assert not [name for name in files(place) if name.startswith(killed.run)]
    assert list(young.of(0))


def test_it_is_counted_how_often_a_part_was_begun(place):
    shards = Shards(place)
    assert [shards.begin(0), Shards(place, shards.run).begin(0), shards.begin(1), shards.begin(0)] == [1, 2, 1, 3]
