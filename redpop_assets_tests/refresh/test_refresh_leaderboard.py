"""The leaderboard: every predictor on the same test posts, measured once per model, never pooled."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from redpop_assets.evaluation.macro import WARNING
from redpop_assets.refresh.leaderboard import TABLES, refresh_leaderboard
from redpop_assets.refresh.predictors import NETWORK_COLUMNS
from redpop_assets.storage.arrow import arrow_table

pytestmark = pytest.mark.integration

SPLIT = ["train"] * 100 + ["validation"] * 20 + ["embargo"] * 10 + ["test"] * 100


def rank(rows):
    return {(row["subreddit"], row["predictor"]): row for row in rows}


@pytest.fixture
def empty_warehouse(empty_warehouse, keep):
    return keep(empty_warehouse)


def put(warehouse, subreddit, predictors, seed=0, snapshot="s1", split=SPLIT, intervals=(), left_out=None):
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
                    "label_source": ["archive"] * n,
                    "age_at_label_hours": np.full(n, 200.0),
                    "left_out_posts": pa.array([left_out] * n, pa.int32()),
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
                "networks_ran": None,
                **{"lenders": 12 if name == "bad" else None, "lent_rows": None, "lent_digest": None},
                "train_seconds": 1.0,
                "trained_at": np.datetime64("2026-02-01", "s").item(),
            }
            writer.merge("models.predictors", arrow_table({key: [value] for key, value in row.items()}))
        writer.execute("DELETE FROM marts.predictions WHERE subreddit = $s", {"s": subreddit})
        for name, digest, expected in predictions:
            rows = {
                "post_id": ids,
                "predictor": [name] * n,
                "subreddit": [subreddit] * n,
                "split": split,
                "expected_log_score": expected,
                "expected_score": np.expm1(expected),
                "percentile": np.full(n, 0.5),
                "digest": [digest] * n,
                "inputs": ["i"] * n,
                **{f"low_{level}": expected - level / 50 for level in intervals},
                **{f"high_{level}": expected + level / 50 for level in intervals},
            }
            others = {c.name: pa.nulls(n) for c in writer.schema["marts.predictions"].columns if c.name not in rows}
            writer.append("marts.predictions", arrow_table({**rows, **others}))
    return truth, {name: expected for name, _, expected in predictions}


def test_metrics_are_those_of_the_test_part_alone(empty_warehouse):
    truth, expected = put(empty_warehouse, "pics", {"good": 0.5, "bad": 5.0})
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows)
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
    assert [rows["pics", name]["lenders"] for name in ("good", "bad")] == [None, 12]
    assert rows["pics", "good"]["pair_accuracy"] > rows["pics", "bad"]["pair_accuracy"]


def test_what_is_returned_is_what_is_stored(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "none": None})
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows)
    assert rank(empty_warehouse.query("FROM marts.leaderboard").to_pylist()) == rows


def test_a_constant_and_an_untrained_one_have_no_rank(empty_warehouse):
    put(empty_warehouse, "pics", {"constant": 99, "none": None})
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows)
    constant, none = rows["pics", "constant"], rows["pics", "none"]
    assert constant["spearman"] is None
    assert constant["mae"] > 0
    assert constant["pair_accuracy"] == 0.5
    assert (none["status"], none["reason"], none["test_posts"]) == ("not_trained", "needs images", 0)
    assert [none[name] for name in ("spearman", "mae", "mse", "pair_accuracy", "digest")] == [None] * 5


def test_nothing_new_measures_and_writes_nothing(empty_warehouse, monkeypatch):
    put(empty_warehouse, "pics", {"good": 0.5, "constant": 99, "none": None})
    put(empty_warehouse, "earthporn", {"good": 1.5, "bad": 4.0})
    first = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    assert first.measured == 2
    before = [empty_warehouse.fingerprint(table) for table in TABLES.values()]
    written = []
    monkeypatch.setattr(type(empty_warehouse), "write", lambda self: written.append(self))
    second = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    assert (second.rows, second.metrics, second.comparisons) == (first.rows, first.metrics, first.comparisons)
    assert (second.measured, written) == (0, [])
    assert [empty_warehouse.fingerprint(table) for table in TABLES.values()] == before


def test_only_the_community_that_changed_is_measured(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "bad": 4.0})
    put(empty_warehouse, "earthporn", {"good": 1.5, "bad": 4.0}, seed=3)
    first = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    with empty_warehouse.write() as writer:
        writer.execute(
            "UPDATE marts.predictions SET expected_log_score = 1 WHERE subreddit = 'pics' AND predictor = 'bad'"
        )
    second = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    assert second.measured == 1
    for table in ("rows", "metrics", "comparisons"):
        old, new = ([r for r in getattr(board, table) if r["subreddit"] == "earthporn"] for board in (first, second))
        assert old == new
    assert rank(second.rows)["pics", "good"]["spearman"] == rank(first.rows)["pics", "good"]["spearman"]
    assert rank(second.rows)["pics", "bad"]["spearman"] is None


def test_unlabelled_posts_are_no_reason_to_measure(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5})
    refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    with empty_warehouse.write() as writer:
        writer.execute(
            "INSERT INTO marts.predictions BY NAME SELECT * REPLACE ('new' AS post_id, 'unlabelled' AS split) "
            "FROM marts.predictions LIMIT 1"
        )
    assert refresh_leaderboard(empty_warehouse, seed=7, progress=str).measured == 0


def test_other_metrics_are_measured_again(empty_warehouse, monkeypatch):
    said = []
    put(empty_warehouse, "pics", {"good": 0.5, "none": None})
    assert refresh_leaderboard(empty_warehouse, seed=7, progress=said.append).measured == 1
    monkeypatch.setattr("redpop_assets.versions.LEADERBOARD", "another")
    assert refresh_leaderboard(empty_warehouse, seed=7, progress=said.append).measured == 1
    assert refresh_leaderboard(empty_warehouse, seed=7, progress=said.append).measured == 0
    assert said == [
        "r/pics is measured because of good there is none yet",
        "r/pics is measured because of good the code, the seed or the predictions changed",
    ]


@pytest.mark.parametrize("change", ["snapshot", "model", "seed"])
def test_another_model_snapshot_or_seed_is_measured_again(empty_warehouse, change):
    put(empty_warehouse, "pics", {"good": 0.5})
    (first,) = refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows
    if change != "seed":
        put(empty_warehouse, "pics", {"good": 0.5 if change == "snapshot" else 1.5}, snapshot="s2", seed=1)
    (second,) = refresh_leaderboard(empty_warehouse, seed=8 if change == "seed" else 7, progress=str).rows
    assert second["spearman_low"] != first["spearman_low"]
    assert empty_warehouse.scalar("SELECT count(*) FROM marts.leaderboard") == 1


def test_communities_are_never_pooled(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5})
    (alone,) = refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows
    put(empty_warehouse, "earthporn", {"good": 3.0}, seed=9)
    rows = rank(refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows)
    assert rows["pics", "good"] == alone
    assert set(rows) == {("pics", "good"), ("earthporn", "good")}


def test_a_predictor_that_is_gone_leaves_the_board(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "old": 1.0})
    refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    with empty_warehouse.write() as writer:
        writer.execute("DELETE FROM models.predictors WHERE predictor = 'old'")
    assert set(rank(refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows)) == {("pics", "good")}
    assert empty_warehouse.scalar("SELECT count(*) FROM marts.leaderboard") == 1


def test_a_community_without_test_posts(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5}, split=["train"] * 30)
    (row,) = refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows
    assert row["test_posts"] == row["pairs"] == 0
    assert row["spearman"] is row["mae"] is row["pair_accuracy"] is None


def test_without_predictors_the_board_is_empty(empty_warehouse):
    with empty_warehouse.write():
        pass
    assert refresh_leaderboard(empty_warehouse, seed=7, progress=str).rows == []


def test_nobody_is_best_without_significance(empty_warehouse):
    """Two predictors that are equally good, a bad one and a constant."""
    put(empty_warehouse, "pics", {"one": 0.7, "other": 0.7, "bad": 6.0, "constant": 99})
    found = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    rows = rank(found.rows)
    assert {name: rows["pics", name]["standing"] for name in ("one", "other", "bad", "constant")} == {
        "one": "among_best", "other": "among_best", "bad": "worse", "constant": None,
    }  # fmt: skip
    pairs = {(row["first"], row["second"]): row for row in found.comparisons if row["metric"] == "spearman"}
    pairs = {names: row for names, row in pairs.items() if row["scope"] == "subreddit"}
    assert len(pairs) == 3  # the constant has no rank
    (close,) = (row for names, row in pairs.items() if set(names) == {"one", "other"})
    assert close["p_holm"] > 0.05
    assert close["low"] < 0 < close["high"]
    assert abs(close["difference"]) < close["smallest_detectable"]
    assert all(row["p_holm"] < 0.05 for names, row in pairs.items() if "bad" in names)
    assert rows["pics", "one"]["smallest_detectable"] > 0


def test_every_metric_of_every_target_is_stored(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "constant": 99}, intervals=(50, 80, 90))
    found = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    of_one = {
        (row["target"], row["metric"]): row
        for row in found.metrics
        if (row["scope"], row["predictor"]) == ("subreddit", "good")
    }
    assert len(of_one) >= 45
    assert of_one["log_score", "coverage_90"]["value"] == 1.0  # a radius of 1.8 at a noise of 0.5
    assert 0.9 < of_one["log_score", "coverage_50"]["value"] < 1.0
    assert of_one["log_score", "width_80"]["value"] == pytest.approx(3.2)
    assert of_one["per_subscriber", "spearman"]["value"] is None
    assert "members is not known" in of_one["per_subscriber", "spearman"]["note"]
    assert of_one["top_quarter", "pr_auc"]["value"] > of_one["top_quarter", "pr_auc"]["chance"] > 0
    board = rank(found.rows)["pics", "good"]
    assert board["pr_auc"] == of_one["top_quarter", "pr_auc"]["value"]
    assert board["r2"] == of_one["log_score", "r2"]["value"]
    assert board["test_clusters"] == 40
    constant = [row for row in found.metrics if (row["predictor"], row["metric"]) == ("constant", "spearman")]
    assert all(row["value"] is None for row in constant)
    assert "the prediction is the same for all posts" in {row["note"] for row in constant}


def test_predictions_without_intervals_have_no_coverage(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5}, intervals=(90,))
    metrics = {row["metric"] for row in refresh_leaderboard(empty_warehouse, seed=7, progress=str).metrics}
    assert {"coverage_90", "width_90"} <= metrics
    assert not {"coverage_50", "coverage_80"} & metrics


def test_missing_predictions_are_said_and_not_compared(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "partly": 0.5})
    with empty_warehouse.write() as writer:
        writer.execute("DELETE FROM marts.predictions WHERE predictor = 'partly' AND post_id LIKE '%229'")
    found = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    row = rank(found.rows)["pics", "partly"]
    assert (row["spearman"], row["test_posts"]) == (None, 99)
    assert row["note"] == "1 of 220 posts have no prediction: refresh marts.predictions"
    assert not found.comparisons


def test_macro_means_weigh_communities_alike_and_pooling_is_marked(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "bad": 4.0})
    put(empty_warehouse, "earthporn", {"good": 1.5, "bad": 3.0}, seed=3)
    put(empty_warehouse, "tiny", {"good": 0.1, "bad": 3.0}, seed=4, split=["train"] * 100 + ["test"] * 20)
    found = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    rows = rank(found.rows)
    by_scope = {
        (row["scope"], row["predictor"]): row
        for row in found.metrics
        if (row["target"], row["metric"]) == ("log_score", "spearman") and row["scope"] != "subreddit"
    }
    macro = by_scope["macro_mean", "good"]
    expected = (rows["pics", "good"]["spearman"] + rows["earthporn", "good"]["spearman"]) / 2
    assert macro["value"] == pytest.approx(expected)
    assert (macro["subreddits"], macro["n"]) == (2, 200)
    assert macro["low"] < macro["value"] < macro["high"]
    pooled = by_scope["pooled", "good"]
    assert (pooled["note"], pooled["subreddits"], pooled["n"], pooled["low"]) == (WARNING, 3, 220, None)
    (compared,) = (row for row in found.comparisons if (row["scope"], row["metric"]) == ("macro_mean", "spearman"))
    assert (compared["first"], compared["second"], compared["subreddits"]) == ("good", "bad", 2)
    assert compared["difference"] == pytest.approx(macro["value"] - by_scope["macro_mean", "bad"]["value"])
    assert compared["p_holm"] < 0.001


def test_a_community_that_is_gone_leaves_all_tables(empty_warehouse):
    put(empty_warehouse, "pics", {"good": 0.5, "bad": 4.0})
    put(empty_warehouse, "earthporn", {"good": 1.5, "bad": 3.0}, seed=3)
    refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    with empty_warehouse.write() as writer:
        writer.execute("DELETE FROM models.predictors WHERE subreddit = 'earthporn'")
    found = refresh_leaderboard(empty_warehouse, seed=7, progress=str)
    assert {row["subreddit"] for row in (*found.rows, *found.metrics, *found.comparisons)} == {"pics", ""}
    macro = [row for row in found.metrics if row["scope"] == "macro_mean"]
    assert {row["subreddits"] for row in macro} <= {0, 1}


def test_what_is_left_out_is_said_and_measured_again_when_it_changed(empty_warehouse):
    def refresh():
        return refresh_leaderboard(empty_warehouse, seed=7, progress=str)

    put(empty_warehouse, "pics", {"good": 0.5})
    assert refresh().measured == 1
    put(empty_warehouse, "pics", {"good": 0.5}, left_out=0)
    assert refresh().measured == 0  # nothing, and not counted, is the same
    put(empty_warehouse, "pics", {"good": 0.5}, left_out=12)
    found = refresh()
    assert (found.measured, found.rows[0]["left_out_posts"]) == (1, 12)
    assert refresh().measured == 0
    put(empty_warehouse, "pics", {"good": 0.5})
    found = refresh()
    assert (found.measured, found.rows[0]["left_out_posts"]) == (1, 0)
