"""Posts put together from the sides of others: every column comes from the post whose side it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.refresh.blocks import block_columns
from redpop_assets.refresh.sides import SIDES, mixed, side_of, sides_of

POSTS = 5


@pytest.fixture(scope="module")
def data():
    """Every block there is; each value names its row, and a post lacks one block."""
    blocks = {}
    for number, name in enumerate(BLOCKS):
        columns = tuple(column.name for column in block_columns(name))
        values = np.tile(np.arange(POSTS, dtype=np.float32)[:, None], (1, len(columns)))
        present = np.arange(POSTS) != number % POSTS
        values[~present] = np.nan
        blocks[name] = Block(values, columns, present)
    return Dataset(
        "pics",
        tuple(f"p{row}" for row in range(POSTS)),
        blocks,
        np.datetime64("2026-01-01T00:00:00", "s") + np.arange(POSTS) * np.timedelta64(1, "h"),
        captions=tuple(f"title {row}" for row in range(POSTS)),
        authors=tuple(f"author {row}" for row in range(POSTS)),
    )


rows = st.lists(st.integers(0, POSTS - 1), min_size=3, max_size=3).map(lambda some: np.array(some, dtype=np.intp))


@given(posts=rows, sides=st.dictionaries(st.sampled_from(SIDES), rows))
def test_every_column_is_that_of_the_post_whose_side_it_is(data, posts, sides):
    made = mixed(data, posts, sides)
    assert len(made) == 3
    for name, block in made.blocks.items():
        for at, column in enumerate(block.columns):
            source = sides.get(side_of(name, column), posts)
            known = block.present & data.blocks[name].present[source]
            np.testing.assert_array_equal(block.values[known, at], source[known].astype(np.float32))
            assert np.isnan(block.values[~known, at]).all()
    of_title, of_author, of_time = (sides.get(side, posts) for side in ("title", "author", "time"))
    assert made.captions == tuple(f"title {row}" for row in of_title)
    assert made.authors == tuple(f"author {row}" for row in of_author)
    assert (made.created_at == data.created_at[of_time]).all()
    assert made.log_score is None


@given(posts=rows)
def test_a_post_of_its_own_sides_is_that_post(data, posts):
    made = mixed(data, posts, dict.fromkeys(SIDES, posts))
    for name, block in made.blocks.items():
        np.testing.assert_array_equal(block.values, data.blocks[name].values[posts])
        np.testing.assert_array_equal(block.present, data.blocks[name].present[posts])


def test_every_family_has_its_sides():
    columns = {name: tuple(column.name for column in block_columns(name)) for name in BLOCKS}
    assert sides_of(columns, reads_captions=False) == SIDES
    assert sides_of({}, reads_captions=True) == ("title",)
    assert sides_of({"time": ("hour",)}, reads_captions=False) == ("time",)
