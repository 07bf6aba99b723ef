"""Means of groups that are likely to be alike: what a group says is believed as far as it is large."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.evaluation.shrunken_means import shrunken_means


def of(values, groups, clusters=None, number=None, **options):
    groups = np.array(groups, dtype=np.int64)
    clusters = np.arange(len(groups)) if clusters is None else np.array(clusters, dtype=np.int64)
    return shrunken_means(
        np.array(values, dtype=float), groups, clusters, number or int(groups.max(initial=0)) + 1, **options
    )


def test_a_large_group_is_believed_and_a_small_one_hardly():
    rng = np.random.default_rng(0)
    large = np.clip(rng.normal(0.7, 0.1, 2000), 0, 1)
    others = rng.uniform(0, 1, 4000)
    values = np.concatenate([large, others, [0.99]])
    groups = np.concatenate([np.zeros(2000), 1 + np.arange(4000) % 20, [21]])
    found = of(values, groups)
    assert found.mean[0] == pytest.approx(large.mean(), abs=0.005)
    assert 0.5 < found.mean[21] < 0.62
    assert found.high[21] - found.low[21] > 5 * (found.high[0] - found.low[0])


def test_groups_that_cannot_be_told_apart_are_not_certain():
    found = of([0.5] * 40 + [0.1] * 40 + [0.9] * 40, list(range(40)) * 3, number=40)
    assert (found.high - found.low > 0.01).all()
    assert (found.low < 0.5).all()
    assert (found.high > 0.5).all()


def test_nothing_is_known_of_an_empty_group():
    found = of([0.2, 0.4, 0.3], [1, 1, 2], number=4)
    assert found.counts.tolist() == [0, 2, 1, 0]
    assert found.effective[[0, 3]].tolist() == [0, 0]
    assert found.mean[[0, 3]].tolist() == [0.5, 0.5]
    widths = found.high - found.low
    assert widths[0] == widths[3] > widths[2] > widths[1]


def test_without_values_there_is_only_what_was_believed_before():
    found = of([], [], number=3)
    assert found.counts.tolist() == [0, 0, 0]
    assert found.mean.tolist() == [0.5] * 3


def test_posts_of_one_author_count_as_fewer():
    rng = np.random.default_rng(1)
    author = np.repeat(np.arange(60), 20)
    level = rng.uniform(0.1, 0.9, 60)[author]
    values = np.clip(level + rng.normal(0, 0.03, len(author)), 0, 1)
    groups = author // 20  # of twenty authors each
    alone, together = of(values, groups), of(values, groups, author)
    assert alone.effective == pytest.approx([400] * 3)
    assert (together.effective < 40).all()
    assert (together.high - together.low > alone.high - alone.low).all()


def test_the_interval_holds_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(60):
        truth = np.clip(rng.normal(0.5, 0.06, 24), 0.1, 0.9)
        groups = rng.integers(0, 24, 600)
        found = of((rng.uniform(0, 1, 600) < truth[groups]).astype(float), groups, number=24)
        inside.append(((found.low <= truth) & (truth <= found.high)).mean())
    assert 0.74 < np.mean(inside) < 0.88


@given(
    st.lists(
        st.tuples(st.floats(0, 1, allow_subnormal=False), st.integers(0, 9), st.integers(0, 5)), min_size=0, max_size=40
    )
)
def test_means_are_between_what_is_usual_and_what_was_seen(rows):
    values, groups, clusters = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    found = of(values, groups, clusters, number=10)
    assert (found.low >= 0).all()
    assert (found.high <= 1).all()
    assert (found.effective <= found.counts + 1e-9).all()
    for group in range(10):
        mine = [value for value, name in zip(values, groups, strict=True) if name == group]
        plain = float(np.mean(mine)) if mine else 0.5
        assert min(plain, 0.5) - 1e-9 <= found.mean[group] <= max(plain, 0.5) + 1e-9
