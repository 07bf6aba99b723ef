"""What one community may learn from others: nothing later, nothing twice, and only what is there."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.predictors.dataset import Dataset
from redpop_assets.refresh import lending
from redpop_assets.refresh.lending import lent_digest, no_newer, read_lent, share_of_each
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
OTHERS = ("aww", "cats", "earthporn")


@pytest.fixture(scope="module")
def home(tmp_path_factory, fill, learn_from):
    """r/pics and three others over the same months, with their training sets. Nobody changes it: copy it first."""
    folder = tmp_path_factory.mktemp("lending")
    warehouse = Warehouse(folder / "home", source="test", lock_timeout=30)
    for number, name in enumerate(("pics", *OTHERS)):
        fill(warehouse, name, posts=240 if name == "pics" else 150, seed=number)
        with warehouse.kept():
            learn_from(warehouse, name)
    return folder


@pytest.fixture
def warehouse(home, copy_of):
    return copy_of(home)


@pytest.fixture(scope="module")
def unchanged(home):
    return Warehouse(home / "home", source="test", lock_timeout=30)


def set_labels(warehouse, where):
    with warehouse.write() as writer:
        writer.execute(f"UPDATE models.training_set SET log_score = log_score + 1 WHERE {where}")


def lent_ids(warehouse, encoders, subreddit="pics"):
    return {
        other.subreddit: dict(zip(other.post_ids, other.created_at, strict=True))
        for other in read_lent(warehouse, subreddit, encoders, [])
    }


def moment(warehouse, what, subreddit="pics"):
    return np.datetime64(
        warehouse.scalar(f"SELECT {what} FROM models.training_set WHERE subreddit = $s", {"s": subreddit}), "s"
    )


@pytest.mark.parametrize("subreddit", ["pics", *OTHERS])
def test_all_that_is_lent_had_matured_before_the_first_test_post(unchanged, encoders, subreddit):
    lent = lent_ids(unchanged, encoders, subreddit)
    assert set(lent) == {"pics", *OTHERS} - {subreddit}
    first_test = moment(unchanged, "min(created_at) FILTER (split = 'test')", subreddit)
    newest_train = moment(unchanged, "max(created_at) FILTER (split = 'train')", subreddit)
    for posts in lent.values():
        newest = max(posts.values())
        assert newest + np.timedelta64(WEEK) <= first_test
        assert newest <= newest_train
    # What is kept back is there: it would be lent if nobody looked.
    later = unchanged.scalar(
        "SELECT count(*) FROM models.training_set WHERE subreddit <> $s AND created_at > $t",
        {"s": subreddit, "t": newest_train.item()},
    )
    assert later > 30


def test_posts_come_with_their_own_labels_and_blocks(unchanged, encoders):
    for other in read_lent(unchanged, "pics", encoders, ["text", "image"]):
        stored = unchanged.query(
            "SELECT post_id, log_score FROM models.training_set WHERE subreddit = $s ORDER BY post_id",
            {"s": other.subreddit},
        ).to_pydict()
        label = dict(zip(stored["post_id"], stored["log_score"], strict=True))
        np.testing.assert_allclose(other.labels, [label[post_id] for post_id in other.post_ids], rtol=1e-6)
        assert set(other.blocks) == {"text", "image"}
        words = other.blocks["text"].values[:, other.blocks["text"].columns.index("words")]
        assert np.corrcoef(words, other.labels)[0, 1] > 0.8  # they are the posts' own


@settings(max_examples=15)
@given(data=st.data())
def test_no_picture_is_lent_to_a_community_that_shows_it(unchanged, encoders, data):
    """Whichever posts of others show which pictures of this one, in whichever part, none of them is lent."""
    with unchanged.kept():
        own = unchanged.query("SELECT post_id FROM models.training_set WHERE subreddit = 'pics'").column(0).to_pylist()
        lendable = [post_id for posts in lent_ids(unchanged, encoders).values() for post_id in posts]
        again = data.draw(st.dictionaries(st.sampled_from(lendable), st.sampled_from(own), min_size=1, max_size=8))
        before = unchanged.query("SELECT post_id, duplicate_group FROM core.duplicates").to_pydict()
        group = dict(zip(before["post_id"], before["duplicate_group"], strict=True))
        try:
            with unchanged.write() as writer:
                for post_id, shown in again.items():
                    writer.execute(
                        "UPDATE core.duplicates SET duplicate_group = $g WHERE post_id = $p",
                        {"p": post_id, "g": group[shown]},
                    )
            lent = {post_id for posts in lent_ids(unchanged, encoders).values() for post_id in posts}
        finally:
            with unchanged.write() as writer:
                for post_id in again:
                    writer.execute(
                        "UPDATE core.duplicates SET duplicate_group = $g WHERE post_id = $p",
                        {"p": post_id, "g": group[post_id]},
                    )
    assert lent == set(lendable) - set(again)


def test_scores_of_another_scale_are_not_lent(warehouse, encoders):
    with warehouse.write() as writer:
        writer.execute("UPDATE core.labels SET score_scale = 'old' WHERE subreddit = 'aww'")
    assert set(lent_ids(warehouse, encoders)) == {"cats", "earthporn"}


def test_the_newest_are_lent_and_no_community_more_than_its_share(unchanged, encoders, monkeypatch):
    everything = lent_ids(unchanged, encoders)
    monkeypatch.setattr(lending, "MOST", 120)
    some = lent_ids(unchanged, encoders)
    assert {name: len(posts) for name, posts in some.items()} == dict.fromkeys(OTHERS, share_of_each(3))
    for name, posts in some.items():
        assert min(posts.values()) >= max(set(everything[name].values()) - set(posts.values()))
    assert share_of_each(1) == 120
    monkeypatch.setattr(lending, "MOST_OF_EACH", 35)
    assert share_of_each(1) == 35
    assert {len(posts) for posts in lent_ids(unchanged, encoders).values()} == {35}


def test_what_comes_later_elsewhere_changes_no_digest_and_what_was_earlier_does(warehouse):
    bound = moment(warehouse, "max(created_at) FILTER (split = 'train')")
    before = lent_digest(warehouse, "pics")
    set_labels(warehouse, f"subreddit = 'aww' AND created_at > '{bound}'")
    set_labels(warehouse, "subreddit = 'pics'")
    assert lent_digest(warehouse, "pics") == before
    set_labels(warehouse, f"subreddit = 'aww' AND created_at <= '{bound}'")
    assert lent_digest(warehouse, "pics") != before


def test_others_of_any_part_are_cut_where_it_ends():
    days = np.datetime64("2026-01-01T00:00:00", "s") + np.arange(9) * np.timedelta64(1, "D")
    other = Dataset("aww", tuple("abcdefghi"), {}, days, np.zeros(9, np.float32))
    train = Dataset("pics", ("x", "y"), {}, days[[2, 4]], np.zeros(2, np.float32))
    assert [cut.post_ids for cut in no_newer([other], train)] == [tuple("abcde")]
    assert [len(cut) for cut in no_newer([other], train.take(np.zeros(0, dtype=np.intp)))] == [0]


def trained(warehouse, models, encoders):
    return refresh_predictor("pooled_fusion_metadata", "pics", warehouse, models, encoders, seed=7)


def test_a_borrower_says_how_much_it_borrowed_and_learns_again_only_for_what_it_may_know(warehouse, models, encoders):
    first = trained(warehouse, models, encoders)
    assert first.row["status"] == "trained"
    lent = lent_ids(warehouse, encoders)
    assert (first.row["lenders"], first.row["lent_rows"]) == (3, sum(map(len, lent.values())))
    assert first.row["notes"][-2] == f"borrowed from 3 others: {first.row['lent_rows']} posts"
    assert not trained(warehouse, models, encoders).trained_now

    # A night that brings others news, and none here.
    bound = moment(warehouse, "max(created_at) FILTER (split = 'train')")
    set_labels(warehouse, f"subreddit <> 'pics' AND created_at > '{bound}'")
    with warehouse.write() as writer:
        writer.execute("UPDATE models.training_set SET snapshot = 'another' WHERE subreddit = 'aww'")
    again = trained(warehouse, models, encoders)
    assert not again.trained_now
    assert again.row["digest"] == first.row["digest"]

    set_labels(warehouse, f"subreddit = 'aww' AND created_at <= '{bound}'")
    assert trained(warehouse, models, encoders).trained_because == "the posts of other communities changed"


def test_later_posts_elsewhere_change_no_bit_of_a_model(warehouse, models, encoders):
    first = trained(warehouse, models, encoders)
    bound = moment(warehouse, "max(created_at) FILTER (split = 'train')")
    set_labels(warehouse, f"subreddit <> 'pics' AND created_at > '{bound}'")
    with warehouse.write() as writer:
        writer.execute("DELETE FROM models.predictors")
    second = trained(warehouse, models, encoders)
    assert second.trained_now
    assert second.row["digest"] == first.row["digest"]


def test_who_has_nobody_to_borrow_from_says_so_and_learns_when_somebody_comes(
    empty, fill, learn_from, models, encoders
):
    fill(empty)
    learn_from(empty)
    alone = trained(empty, models, encoders)
    assert alone.row["reason"] == "nobody to borrow from: no other community has 30 posts that had matured by then"
    assert alone.row["lenders"] is None
    assert not trained(empty, models, encoders).trained_now
    fill(empty, "aww", posts=320, seed=3)
    learn_from(empty, "aww")
    found = trained(empty, models, encoders)
    assert (found.row["status"], found.row["lenders"]) == ("trained", 1)


def test_who_does_not_borrow_reads_nothing_of_others(warehouse, models, encoders):
    row = refresh_predictor("metadata_boosting", "pics", warehouse, models, encoders, seed=7).row
    assert (row["lenders"], row["lent_rows"], row["lent_digest"]) == (None, None, None)
    set_labels(warehouse, "subreddit <> 'pics'")
    assert not refresh_predictor("metadata_boosting", "pics", warehouse, models, encoders, seed=7).trained_now
