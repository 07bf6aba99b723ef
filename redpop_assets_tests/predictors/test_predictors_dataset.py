from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from redpop_assets.predictors.dataset import Block, Dataset, joined

NAN = np.float32(np.nan)


def time_block(n):
    return Block(np.arange(2 * n, dtype=np.float32).reshape(n, 2), ("hour", "weekday"), np.ones(n, dtype=bool))


def dataset(n=4, **changes):
    created = np.datetime64("2025-05-01T00:00:00", "s") + np.arange(n)
    whole = Dataset("pics", tuple("abcdefgh"[:n]), {"time": time_block(n)}, created, np.arange(n, dtype=np.float32))
    return replace(whole, **changes)


@given(st.integers(1, 9), st.data())
def test_a_block_gathered_in_parts_is_the_block_at_once(n, data):
    numbers = np.arange(5 * n, dtype=np.float32)
    whole = {"level": numbers[:n], "mean": numbers[n:].reshape(n, 4)}
    at = np.array(data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))], dtype=np.int64)
    edges = sorted(data.draw(st.lists(st.integers(0, len(at)), max_size=3)))
    parts = [(some, {name: values[some] for name, values in whole.items()}) for some in np.split(at, edges)]
    gathered, expected = Block.gathered(n, parts), Block.of(whole, np.isin(np.arange(n), at))
    assert gathered.columns == expected.columns == ("level", "mean_0", "mean_1", "mean_2", "mean_3")
    assert gathered.present.tolist() == expected.present.tolist()
    assert np.array_equal(gathered.values, expected.values, equal_nan=True)


def test_a_block_of_no_part_has_no_columns_that_could_be_named():
    with pytest.raises(ValueError, match="one part at least"):
        Block.gathered(3, [])


@pytest.mark.parametrize(
    ("values", "columns", "present", "message"),
    [
        (np.zeros((2, 1)), ("a",), np.ones(2, dtype=bool), r"must be \(n, d\) float32, not \(2, 1\) float64"),
        (np.zeros(2, dtype=np.float32), ("a",), np.ones(2, dtype=bool), r"must be \(n, d\) float32"),
        (np.zeros((2, 2), dtype=np.float32), ("a",), np.ones(2, dtype=bool), "1 column names for 2 columns"),
        (np.zeros((2, 2), dtype=np.float32), ("a", "a"), np.ones(2, dtype=bool), "not unique: a"),
        (np.zeros((2, 1), dtype=np.float32), ("a",), np.ones(3, dtype=bool), r"present must be \(2,\) bool"),
        (np.zeros((2, 1), dtype=np.float32), ("a",), np.ones(2), r"present must be \(2,\) bool"),
        (np.zeros((2, 1), dtype=np.float32), ("a",), np.array([True, False]), "must be NaN"),
        (np.full((2, 1), np.inf, dtype=np.float32), ("a",), np.ones(2, dtype=bool), "2 infinite values"),
    ],
)
def test_a_block_refuses_what_does_not_fit(values, columns, present, message):
    with pytest.raises(ValueError, match=message):
        Block(values, columns, present)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"post_ids": ("a", "a", "b", "c")}, "1 post ids occur twice"),
        ({"blocks": {"smell": time_block(4)}}, "unknown block 'smell'"),
        ({"blocks": {"time": time_block(3)}}, "block time has 3 rows for 4 posts"),
        ({"created_at": np.zeros(4)}, "datetime64"),
        ({"created_at": np.full(4, np.datetime64("NaT"), dtype="datetime64[s]")}, "4 posts have no creation time"),
        ({"log_score": np.zeros(4)}, r"log_score must be \(4,\) float32"),
        ({"log_score": np.full(4, NAN)}, "4 labels are not finite"),
    ],
)
def test_a_dataset_refuses_what_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        dataset(**changes)


def test_a_dataset_does_not_change():
    data = dataset()
    with pytest.raises(FrozenInstanceError):
        data.subreddit = "earthporn"
    with pytest.raises(TypeError):
        data.blocks["time"] = time_block(4)


def test_select_keeps_rows_together():
    data = dataset().select(np.array([True, False, False, True]))
    assert data.post_ids == ("a", "d")
    assert data.labels.tolist() == [0, 3]
    assert data.blocks["time"].values.tolist() == [[0, 1], [6, 7]]
    with pytest.raises(ValueError, match="mask must be"):
        dataset().select(np.array([0, 3]))


def test_without_leaves_blocks_out_and_names_unknown_ones():
    assert not dataset().without(["time"]).blocks
    with pytest.raises(ValueError, match="no block image to leave out; there are time"):
        dataset().without({"image"})


def test_pick_keeps_columns_in_the_order_asked_for_and_names_those_that_lack():
    block = Block(np.arange(6, dtype=np.float32).reshape(2, 3), ("a", "b", "c"), np.array([True, True]))
    picked = block.pick(("c", "a"))
    assert picked.columns == ("c", "a")
    assert np.array_equal(picked.values, [[2, 0], [5, 3]])
    assert np.array_equal(block.pick(("a", "b", "c")).values, block.values)
    with pytest.raises(ValueError, match="lacks 1 of the columns: d"):
        block.pick(("a", "d"))


def test_joined_posts_stand_one_after_the_other():
    one = dataset(3)
    other = replace(dataset(2), post_ids=("y", "z"), elsewhere=np.ones(1, dtype=np.float32))
    both = joined([one, other], "all")
    assert (both.subreddit, both.post_ids) == ("all", ("a", "b", "c", "y", "z"))
    assert np.array_equal(both.blocks["time"].values, np.concatenate([time_block(3).values, time_block(2).values]))
    assert both.labels.tolist() == [0, 1, 2, 0, 1]
    assert len(both.elsewhere) == 0  # as the first
    unlabelled = [replace(part, log_score=None) for part in (one, other)]
    assert joined(unlabelled, "all").log_score is None
    with pytest.raises(ValueError, match="other blocks or columns"):
        joined([one, other.without("time")], "all")


def test_labels_that_are_not_there():
    with pytest.raises(ValueError, match="4 posts of r/pics carry no labels"):
        _ = dataset(log_score=None).labels


@given(
    st_numpy.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 4)),
        elements=st.floats(-1e3, 1e3, width=32) | st.just(NAN),
    )
)
def test_moments_are_those_of_the_known_values(values):
    mean, deviation = Block(values, tuple(map(str, range(values.shape[1]))), np.ones(len(values), dtype=bool)).moments()
    for column, m, d in zip(values.T, mean, deviation, strict=True):
        known = column[~np.isnan(column)].astype(np.float64)
        expected = known.std() if len(known) else 0.0
        assert m == pytest.approx(known.mean() if len(known) else 0.0, rel=1e-4, abs=1e-3)
        assert d == pytest.approx(expected, rel=1e-2, abs=1e-3) or (d == 1 and expected < 1e-3)
