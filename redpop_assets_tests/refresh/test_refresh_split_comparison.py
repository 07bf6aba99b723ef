"""Predictors trained again under other splits: the future and the author leak in, and that shows."""

from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.errors import SettingsError
from redpop_assets.evaluation import splits
from redpop_assets.evaluation.targets import Posts
from redpop_assets.pages.split_comparison import split_markdown
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh import split_comparison
from redpop_assets.refresh.leaderboard import read_posts
from redpop_assets.refresh.split_comparison import (
    SPLITS,
    TABLE,
    compare_splits,
    refresh_split_comparison,
    split_trials,
)
from redpop_assets.refresh.training_set import build_training_set

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
SHARES = {"test_share": 0.2, "validation_share": 0.15}


@pytest.fixture
def filled(empty_warehouse, fill, encoders, keep):
    fill(empty_warehouse, posts=300, days=200)
    store(keep(empty_warehouse), encoders)
    return empty_warehouse


def store(warehouse, encoders, subreddit="pics"):
    built = build_training_set(warehouse, subreddit, encoders, matured_after=WEEK, most=1000, **SHARES)
    with warehouse.write() as writer:
        writer.replace("models.training_set", built.rows, "subreddit = $s", {"s": subreddit})


def refresh(warehouse, encoders, predictors=("subreddit_median", "metadata_boosting"), **options):
    said = []
    rows, trained = refresh_split_comparison(
        warehouse, encoders, predictors, matured_after=WEEK, **SHARES, **{"seed": 7, "progress": said.append, **options}
    )
    return {(row["subreddit"], row["predictor"], row["split"]): row for row in rows}, trained, said


def test_each_split_keeps_its_promise(filled):
    _, posts = read_posts(filled, "pics")
    trials = {trial.name: trial.split for trial in split_trials(posts, matured_after=WEEK, seed=7, **SHARES)}
    assert tuple(trials) == SPLITS
    np.testing.assert_array_equal(trials["time"], posts.split)
    for name, split in trials.items():
        parts = {part: set(posts.groups[split == part].tolist()) for part in ("train", "validation", "test")}
        assert not parts["test"] & (parts["train"] | parts["validation"]), name
        assert parts["train"], name
        assert parts["test"], name
    learnt = np.isin(trials["author"], ("train", "validation"))
    assert not set(posts.authors[learnt]) & set(posts.authors[trials["author"] == "test"])
    one = trials["one_per_author"]
    assert len(set(posts.authors[one != "left_out"])) == (one != "left_out").sum()
    assert set(trials["one_author"]) >= {"train", "test", "left_out"}
    whose = posts.authors[trials["one_author"] != "left_out"]
    assert len(set(whose)) == 1
    assert len(whose) == max((posts.authors == author).sum() for author in posts.authors)
    times = posts.created_at[trials["random"] == "test"]
    assert times.min() < posts.created_at[trials["random"] == "train"].max()


def test_rows_say_what_was_learnt_from_and_how_it_did(filled, encoders):
    rows, trained, said = refresh(filled, encoders)
    assert set(rows) == {
        ("pics", name, split) for name in ("subreddit_median", "metadata_boosting") for split in SPLITS
    }
    # One post each of some thirty authors, or all of one of them, is too little to learn from, but for a median.
    assert trained == 8
    assert len(said) == 2
    n = filled.scalar("SELECT count(*) FROM models.training_set")
    for (_, name, split), row in rows.items():
        assert row["train_posts"] + row["validation_posts"] + row["test_posts"] + row["left_out_posts"] == n
        if name == "metadata_boosting" and split in ("one_per_author", "one_author"):
            assert (row["status"], row["spearman"], row["pairs"]) == ("not_trained", None, 0)
            assert "too few matured posts" in row["reason"]
        elif name == "subreddit_median":
            few = split == "one_author"
            note = "2 test posts, 3 are needed" if few else "the prediction is the same for all posts"
            assert (row["spearman"], row["note"]) == (None, note)
            assert row["mae"] > 0
        else:
            assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
            assert row["spearman"] > 0.5  # the number of words decides, whenever and whoever
            assert row["pr_auc"] > row["top_quarter_share"]
    assert rows["pics", "metadata_boosting", "author"]["unseen_author_share"] == 1.0
    assert rows["pics", "metadata_boosting", "random"]["unseen_author_share"] < 0.2


def test_what_was_trained_is_not_trained_again(filled, encoders, monkeypatch):
    first, _, _ = refresh(filled, encoders)
    before = filled.fingerprint(TABLE)
    monkeypatch.setattr(split_comparison, "read_split", lambda *_: pytest.fail("nothing is due"))
    second, trained, said = refresh(filled, encoders)
    assert (second, trained, said) == (first, 0, [])
    assert filled.fingerprint(TABLE) == before


def test_the_same_again_gives_the_same_bytes(filled, encoders):
    refresh(filled, encoders, ["metadata_boosting"])
    before = filled.fingerprint(TABLE)
    with filled.write() as writer:
        writer.execute(f"DELETE FROM {TABLE}")
    refresh(filled, encoders, ["metadata_boosting"])
    assert filled.fingerprint(TABLE) == before


def test_only_what_changed_is_trained(filled, encoders, fill):
    refresh(filled, encoders, ["subreddit_median"])
    fill(filled, "earthporn", posts=300, days=200, seed=3)
    store(filled, encoders, "earthporn")
    rows, trained, _ = refresh(filled, encoders, ["subreddit_median"])
    assert trained == 5
    assert {name for name, *_ in rows} == {"pics", "earthporn"}
    _, trained, said = refresh(filled, encoders, ["subreddit_median"], seed=8, subreddit="pics")
    assert (trained, len(said)) == (5, 1)
    # By time and for one author, no seed decides who is in which part.
    assert said[0].endswith("trained under 5 splits of r/pics because the code, the predictor or the seed changed")
    with filled.write() as writer:
        writer.execute("DELETE FROM models.training_set WHERE subreddit = 'pics'")
    rows, trained, _ = refresh(filled, encoders, ["subreddit_median"])
    assert ({name for name, *_ in rows}, trained) == ({"earthporn"}, 0)


def test_another_version_of_splits_or_predictor_trains_again(filled, encoders, monkeypatch):
    names = ["subreddit_median"]
    refresh(filled, encoders, names)
    monkeypatch.setattr("redpop_assets.versions.SPLIT_COMPARISON", "another")
    assert refresh(filled, encoders, names)[1] == 5
    monkeypatch.setattr(predictor_class("subreddit_median"), "code_version", "another")
    assert refresh(filled, encoders, names)[1] == 5
    assert refresh(filled, encoders, names)[1] == 0


def test_a_variant_that_is_compared_stays(filled, encoders):
    names = ["subreddit_median", "like_to_follower_buckets"]
    rows, _, _ = refresh(filled, encoders, names)
    assert {name for _, name, _ in rows} == set(names)
    assert refresh(filled, encoders, names)[2] == []  # nothing was due


def test_a_killed_run_keeps_what_is_done(filled, encoders):
    def killed(sentence):
        raise KeyboardInterrupt(sentence)

    with pytest.raises(KeyboardInterrupt, match="subreddit_median trained under 5 splits of r/pics"):
        refresh(filled, encoders, progress=killed)
    assert filled.scalar(f"SELECT count(*) FROM {TABLE}") == 5
    assert refresh(filled, encoders)[1] == 3


def test_wrong_names_are_refused(filled, encoders):
    with pytest.raises(SettingsError, match=r"r/aww has no training set. Subreddits that have one: pics"):
        refresh(filled, encoders, subreddit="aww")
    with pytest.raises(ValueError, match="no predictor 'nobody'"):
        refresh(filled, encoders, ["nobody"])


def test_as_a_table_for_people(filled, encoders):
    rows, *_ = refresh(filled, encoders)
    lines = split_markdown(list(rows.values())).splitlines()
    assert (
        lines[0]
        == "| subreddit | predictor | time | author | random | one_per_author | one_author | unseen authors by time |"
    )
    assert lines[2].startswith("| pics | metadata_boosting | 0.")
    assert "| not trained |" in lines[2]
    assert all(line.count("|") == 9 for line in lines[:4])


def test_a_random_split_flatters_where_the_weeks_differ():
    """The score drifts without a pattern, and the time is a feature: only a random split can tell how high it was."""
    rng = np.random.default_rng(0)
    n = 900
    created = np.datetime64("2026-01-01", "s") + np.arange(n) * np.timedelta64(3, "h")
    walk = np.repeat(rng.normal(size=n // 30), 30)  # another level every four days
    truth = (3.0 + walk + 0.5 * rng.normal(size=n)).astype(np.float32)
    values = np.column_stack([np.arange(n) / n, rng.normal(size=n)]).astype(np.float32)
    time = Block(values, ("age", "noise"), np.ones(n, dtype=bool))
    others = {
        name: Block(rng.normal(size=(n, 2)).astype(np.float32), ("a", "b"), np.ones(n, dtype=bool))
        for name in ("text", "author", "flags")
    }
    ids = tuple(f"p{number:04}" for number in range(n))
    data = Dataset("pics", ids, {"time": time, **others}, created, truth)
    names = np.array([f"a{number}" for number in range(n)])
    split = splits.time_split(created, created + np.timedelta64(7, "D"))
    posts = Posts(created, truth.astype(float), names, names, split, np.full(n, np.nan))
    trials = split_trials(posts, matured_after=WEEK, seed=7, **SHARES)
    rows = {row["split"]: row for row in compare_splits("pics", "metadata_boosting", data, posts, trials, seed=7)}
    assert rows["random"]["spearman"] > 0.6
    assert abs(rows["time"]["spearman"] or 0.0) < 0.3
    assert rows["one_per_author"]["train_posts"] == rows["random"]["train_posts"]
    with pytest.raises(ValueError, match="not the same posts"):
        next(compare_splits("pics", "metadata_boosting", data.select(split == "test"), posts, trials, seed=7))
