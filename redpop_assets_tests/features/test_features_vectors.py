"""Vectors of posts, some of which have none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.features.vectors import Vectors, present_rows


def test_a_row_of_nan_is_a_missing_vector():
    vectors = np.asarray([[1, 2], [np.nan, np.nan], [0, 0]], dtype=np.float32)
    assert present_rows(vectors, "v").tolist() == [True, False, True]
    assert present_rows(np.zeros((2, 0), dtype=np.float32), "v").tolist() == [False, False]


@pytest.mark.parametrize("odd", [[np.nan, 1], [np.inf, 1], [np.inf, -np.inf]])
def test_half_a_vector_is_refused(odd):
    with pytest.raises(ValueError, match="v has rows that are partly missing"):
        present_rows(np.asarray([[1, 2], odd], dtype=np.float32), "v")
    with pytest.raises(ValueError, match="shape"):
        present_rows(np.zeros(3, dtype=np.float32), "v")


@given(st.lists(st.booleans(), max_size=12), st.data())
def test_only_those_that_are_there_are_kept_and_any_can_be_had(there, data):
    given = np.arange(len(there) * 3, dtype=np.float32).reshape(-1, 3)
    given[~np.asarray(there, dtype=np.bool_)] = np.nan
    vectors = Vectors.of(given, "v")
    rows = np.asarray(
        data.draw(st.lists(st.sampled_from(range(len(there) or 1)), max_size=9 if there else 0)), np.int64
    )
    assert vectors[rows].dtype == np.float32
    np.testing.assert_array_equal(vectors[rows], given[rows])
    assert (len(vectors), vectors.width, vectors.there.tolist()) == (len(there), 3, there)
    assert vectors.values.shape == (sum(there), 3)
    np.testing.assert_allclose(vectors.lengths(), np.nan_to_num(np.linalg.norm(given, axis=1)), rtol=1e-6)


def test_posts_of_which_none_has_a_vector_have_no_width():
    none = Vectors.none(3)
    assert none[np.asarray([2, 0])].shape == (2, 0)
    assert none.lengths().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "values", "said"),
    [
        ([0, 0], np.ones((2, 2)), "ascending places of 3 posts"),
        ([1, 0], np.ones((2, 2)), "ascending places of 3 posts"),
        ([0, 3], np.ones((2, 2)), "ascending places of 3 posts"),
        ([0], np.ones((2, 2)), r"shape \(1, d\)"),
        ([0, 1], np.asarray([[1, 2], [np.nan, 1]]), "partly missing"),
        ([0], np.asarray([[np.inf, 1]]), "partly missing"),
    ],
)
def test_what_is_no_vector_of_a_post_is_refused(rows, values, said):
    with pytest.raises(ValueError, match=said):
        Vectors(np.asarray(rows, np.int64), values.astype(np.float32), 3)
