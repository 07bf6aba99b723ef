"""The leaderboard: every predictor on the same test posts, measured once per model, never pooled."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from redpop_assets.evaluation.leaderboard import leaderboard_markdown, refresh_leaderboard, with_interval
from redpop_assets.predictors.training import NETWORK_COLUMNS
from redpop_assets.storage.arrow import arrow_table

SPLIT = ["train"] * 100 + ["validation"] * 20 + ["embargo"] * 10 + ["test"] * 100


def rank(rows):
    return {(row["subreddit"], row["predictor"]): row for row in rows}


def put(warehouse, subreddit, predictors, seed=0, snapshot="s1", split=SPLIT):
    """Training set, models and predictions; `predictors` maps a name to the noise of its expectation, or to None."""
    rng = np.random.default_rng(seed)
    n = len(split)
    ids = [f"{subreddit}{number:04}" for number in range(n)]
    truth = np.log1p(np.rint(np.exp(rng.normal(4, 1.5, n))))
    created = np.datetime64("2026-01-01T00:00:00", "s") + np.arange(n) * np.timedelta64(2, "h")
    states, predictions = [], []
    for name, noise in predictors.items():
        digest = None if noise is None else f"{name}-{snapshot}-{noise}"
        states.append((name, digest))
        if noise is None:
            continue
        expected = truth + noise * rng.normal(size=n) if noise < 90 else np.full(n, 3.0)
        predictions.append((name, digest, expected))
    with warehouse.write() as writer:
        writer.replace(
            "models.training_set",
            arrow_table(
                {
                    "post_id": ids,
                    "subreddit": [subreddit] * n,
                    "created_at": created,
                    "cluster": [f"author{number % 40}" for number in range(n)],
                    "duplicate_group": ids,
                    "log_score": truth,
                    "split": split,
                    "snapshot": [snapshot] * n,
                }
            ),
            "subreddit = $s",
            {"s": subreddit},
        )
        for name, digest in states:
            row = {
                "subreddit": subreddit,
                "predictor": name,
                "status": "not_trained" if digest is None else "trained",
                "reason": "needs images" if digest is None else None,
                "snapshot": snapshot,
                "code_version": "1",
                "seed": 7,
                "digest": digest,
                "blocks": ["text"],
                **dict.fromkeys(NETWORK_COLUMNS.values()),
                "untrained_weights": name == "random_one",
                "train_rows": 100,
                "notes": [],
                "validation_rows": 20,
                "train_seconds": 1.0,
                "trained_at": np.datetime64("2026-02-01", "s").item(),
            }
            writer.merge("models.predictors", arrow_table({key: [value] for key, value in row.items()}))
        writer.execute("DELETE FROM marts.predictions WHERE subreddit = $s", {"s": subreddit})
        for name, digest, expected in predictions:
            writer.append(
                "marts.predictions",
                arrow_table(
                    {
                        "post_id": ids,
                        "predictor": [name] * n,
                        "subreddit": [subreddit] * n,
                        "split": split,
                        "expected_log_score": expected,
                        "expected_score": np.expm1(expected),
                        "percentile": np.full(n, 0.5),
                        "digest": [digest] * n,
                        "inputs": ["i"] * n,
                    }
                ),
            )
    return truth, {name: expected for name, _, expected in predictions}


def test_metrics_are_those_of_the_test_part_alone(empty_warehouse):
    truth, expected = put(empty_warehouse, "pics", {"good": 0.5, "bad": 5.0})
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7))
    test = np.array(SPLIT) == "test"
    for name in ("good", "bad"):
        row = rows["pics", name]
        assert row["test_posts"] == 100
        assert row["train_posts"] == 100
        assert row["spearman"] == pytest.approx(spearmanr(truth[test], expected[name][test]).statistic)
        assert row["mae"] == pytest.approx(np.abs(truth - expected[name])[test].mean())
        assert row["mse"] == pytest.approx(((truth - expected[name]) ** 2)[test].mean())
        assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
        assert row["pair_accuracy_low"] <= row["pair_accuracy"] <= row["pair_accuracy_high"]
        assert row["pairs"] > 50
    assert rows["pics", "good"]["pair_accuracy"] > rows["pics", "bad"]["pair_accuracy"]


def test_what_is_returned_is_what_is_stored(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "none": None})
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7))
    assert rank(empty_warehouse.query("FROM marts.leaderboard").to_pylist()) == rows


def test_a_constant_and_an_untrained_one_have_no_rank(empty_warehouse):
    put(empty_warehouse, "pics", {"constant": 99, "none": None})
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7))
    constant, none = rows["pics", "constant"], rows["pics", "none"]
    assert constant["spearman"] is None
    assert constant["mae"] > 0
    assert constant["pair_accuracy"] == 0.5
    assert (none["status"], none["reason"], none["test_posts"]) == ("not_trained", "needs images", 0)
    assert [none[name] for name in ("spearman", "mae", "mse", "pair_accuracy", "digest")] == [None] * 5


def test_nothing_new_measures_and_writes_nothing(empty_warehouse, monkeypatch):
    put(empty_warehouse, "pics", {"good": 0.5, "constant": 99, "none": None})
    first = refresh_leaderboard(empty_warehouse, seed=7)
    before = empty_warehouse.fingerprint("marts.leaderboard")
    measured = []
    from redpop_assets.evaluation import leaderboard

    real = leaderboard._measure
    monkeypatch.setattr(leaderboard, "_measure", lambda *given: measured.append(given) or real(*given))
    assert refresh_leaderboard(empty_warehouse, seed=7) == first
    assert measured == []
    assert empty_warehouse.fingerprint("marts.leaderboard") == before


@pytest.mark.parametrize("change", ["snapshot", "model", "seed"])
def test_another_model_snapshot_or_seed_is_measured_again(empty_warehouse, change):
    put(empty_warehouse, "pics", {"good": 0.5})
    (first,) = refresh_leaderboard(empty_warehouse, seed=7)
    if change != "seed":
        put(empty_warehouse, "pics", {"good": 0.5 if change == "snapshot" else 1.5}, snapshot="s2", seed=1)
    (second,) = refresh_leaderboard(empty_warehouse, seed=8 if change == "seed" else 7)
    assert second["spearman_low"] != first["spearman_low"]
    assert empty_warehouse.scalar("SELECT count(*) FROM marts.leaderboard") == 1


def test_communities_are_never_pooled(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5})
    (alone,) = refresh_leaderboard(empty_warehouse, seed=7)
    put(empty_warehouse, "earthporn", {"good": 3.0}, seed=9)
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7))
    assert rows["pics", "good"] == alone
    assert set(rows) == {("pics", "good"), ("earthporn", "good")}


def test_a_predictor_that_is_gone_leaves_the_board(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "old": 1.0})
    refresh_leaderboard(empty_warehouse, seed=7)
    with empty_warehouse.write() as writer:
        writer.execute("DELETE FROM models.predictors WHERE predictor = 'old'")
    assert set(rank(refresh_leaderboard(empty_warehouse, seed=7))) == {("pics", "good")}
    assert empty_warehouse.scalar("SELECT count(*) FROM marts.leaderboard") == 1


def test_a_community_without_test_posts(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5}, split=["train"] * 30)
    (row,) = refresh_leaderboard(empty_warehouse, seed=7)
    assert row["test_posts"] == row["pairs"] == 0
    assert row["spearman"] is row["mae"] is row["pair_accuracy"] is None


def test_without_predictors_the_board_is_empty(empty_warehouse):
    with empty_warehouse.write():
        pass
    assert refresh_leaderboard(empty_warehouse, seed=7) == []


def test_as_a_table_for_people(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "random_one": 5.0, "constant": 99, "none": None})
    rows = refresh_leaderboard(empty_warehouse, seed=7)
    lines = leaderboard_markdown(rows).splitlines()
    assert len(lines) == 2 + 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    order = [line.split("|")[2].strip() for line in lines[2:]]
    assert order[:2] == ["good", "random_one (untrained weights)"]
    assert "not trained: needs images" in leaderboard_markdown(rows)
    assert with_interval(rank(rows)["pics", "constant"], "spearman") == "–"
    good = rank(rows)["pics", "good"]
    low, high = (f"{good[f'spearman_{end}']:.2f}" for end in ("low", "high"))
    assert with_interval(good, "spearman") == f"{good['spearman']:.2f} [{low}, {high}]"
