"""The posts of a community as features about other posts read them."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.history import History, read_subscribers

pytestmark = pytest.mark.integration

AGE = timedelta(days=9)


@pytest.fixture
def filled(empty_warehouse, fill):
    fill(empty_warehouse, posts=40)
    fill(empty_warehouse, "mixed", posts=40, seed=3, label_scale="current")
    with empty_warehouse.write() as writer:
        writer.execute(
            "UPDATE core.labels SET score_scale = 'before_2016_12' WHERE subreddit = 'mixed' AND post_id < 'mi00010'"
        )
    return empty_warehouse


def test_it_is_in_the_order_of_ids_and_labels_are_of_one_score_scale(filled):
    posts = History.read(filled, "mixed", matured_after=AGE)
    assert list(posts.post_ids) == [f"mi{number:05}" for number in range(40)]
    assert np.isnan(posts.log_score[:10]).all()
    assert np.isfinite(posts.log_score[10:]).sum() > 20
    assert (posts.matured_at - posts.created_at == np.timedelta64(9, "D")).all()
    assert posts.captions[3] == "mixed 3"
    assert posts.authors[7] is None


def test_each_community_has_the_scale_of_most_of_its_own_labels(filled):
    with filled.write() as writer:
        writer.execute("UPDATE core.labels SET score_scale = 'before_2016_12' WHERE subreddit = 'pics'")
    everybody = History.read(filled, None, matured_after=AGE)
    assert len(everybody) == 80
    for subreddit in ("pics", "mixed"):
        alone, part = History.read(filled, subreddit, matured_after=AGE), everybody.only(subreddit)
        assert list(alone.post_ids) == list(part.post_ids)
        assert list(alone.groups) == list(part.groups)
        assert np.array_equal(alone.log_score, part.log_score, equal_nan=True)
        assert np.isfinite(part.log_score).sum() > 20


def test_members_are_those_of_the_moment_each_post_was_seen(filled):
    posts = filled.query("SELECT post_id, created_at FROM core.posts WHERE subreddit = 'pics' ORDER BY 1").to_pylist()
    rows = {
        "post_id": [post["post_id"] for post in posts],
        "subreddit": ["pics"] * 40,
        "discovered_at": [post["created_at"] for post in posts],
        "origin": ["reddit"] * 40,
        "revised_at": pa.nulls(40, pa.timestamp("us")),
        "json": ["{}" if n == 5 else f'{{"subreddit_subscribers": {1000 + n}}}' for n in range(40)],
    }
    filled.merge("raw.submissions", arrow_table(rows))
    with filled.read() as reader:
        members, seen_at = read_subscribers(reader, [post["post_id"] for post in posts])
    assert np.isnan(members[5])
    assert members[[0, 39]].tolist() == [1000, 1039]
    assert seen_at.tolist() == [post["created_at"] for post in posts]
