"""The additive projection against its definition, and on functions whose interaction is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.evaluation.emap import additive_projection


def by_definition(table):
    """emap[i] = mean_j f(t_i, v_j) + mean_j f(t_j, v_i) - mean_jk f(t_j, v_k), one sum at a time."""
    n = len(table)
    return [
        sum(table[i][j] for j in range(n)) / n
        + sum(table[j][i] for j in range(n)) / n
        - sum(table[j][k] for j in range(n) for k in range(n)) / n**2
        for i in range(n)
    ]


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 1000))
def test_it_is_the_definition_however_many_pairs_are_scored_at_once(posts, at_once, seed):
    table = np.random.default_rng(seed).normal(size=(posts, posts))
    own, projected = additive_projection(lambda texts, pictures: table[texts, pictures], posts, at_once=at_once)
    assert own == pytest.approx(np.diag(table))
    assert projected == pytest.approx(by_definition(table))


@given(st.integers(2, 12), st.integers(0, 1000))
def test_a_sum_is_its_own_projection_and_of_a_product_little_is_left(posts, seed):
    text, picture = np.random.default_rng(seed).normal(size=(2, posts))
    own, projected = additive_projection(lambda t, v: text[t] + picture[v], posts)
    assert projected == pytest.approx(own)
    text, picture = text - text.mean(), picture - picture.mean()
    _, projected = additive_projection(lambda t, v: text[t] * picture[v], posts)
    assert projected == pytest.approx(np.zeros(posts), abs=1e-12)


def test_it_is_nearest_of_all_sums_over_all_pairs():
    table = np.random.default_rng(1).normal(size=(6, 6))
    _, projected = additive_projection(lambda t, v: table[t, v], 6)
    # Least squares on indicators of the text and of the picture.
    rows, columns = np.divmod(np.arange(36), 6)
    design = np.hstack([np.eye(6)[rows], np.eye(6)[columns]])
    fitted = (design @ np.linalg.lstsq(design, table.ravel(), rcond=None)[0]).reshape(6, 6)
    assert projected == pytest.approx(np.diag(fitted))


def test_what_is_no_number_per_pair_is_refused():
    for wrong in (lambda t, _: np.zeros(len(t) - 1), lambda t, _: np.full(len(t), np.nan)):
        with pytest.raises(ValueError, match="one finite number per pair"):
            additive_projection(wrong, 4)
    with pytest.raises(ValueError, match="without posts"):
        additive_projection(lambda t, _: t * 1.0, 0)
