"""Learning curves: ever more posts, the newest ones, judged on the same posts; and a verdict on the last doubling."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from redpop_assets.analyses.asking import refresh
from redpop_assets.analyses.learning_curves import LEARNING_CURVES
from redpop_assets.pages.analyses import rows_markdown
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.training_set import build_training_set
from redpop_assets_tests.analyses.conftest import Community

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def curves(tmp_path_factory, fill, encoders):
    """(community, outcome) of boosted trees on a community of which halves and quarters are enough to learn from."""
    community = Community(tmp_path_factory.mktemp("curves") / "home", encoders)
    warehouse = community.warehouse
    fill(warehouse, posts=720, days=240)
    store(community, test_share=0.2)
    return community, refresh(LEARNING_CURVES, [community.study()], warehouse)


def store(community, **shares):
    built = build_training_set(
        *(community.warehouse, "pics", community.encoders),
        **{"matured_after": timedelta(days=7), "validation_share": 0.15, "most": 1000, **shares},
    )
    with community.warehouse.write() as writer:
        writer.replace("models.training_set", built.rows, "subreddit = 'pics'")


def test_halves_are_learnt_from_as_long_as_they_are_enough(curves):
    community, outcome = curves
    train = community.study().parts(["time"])["train"].data
    assert [row["posts"] for row in outcome.rows] == [round(len(train) * share) for share in (0.25, 0.5, 1)]
    assert outcome.rows[0]["posts"] >= predictor_class("metadata_boosting").minimum_train
    assert len({row["test_posts"] for row in outcome.rows}) == 1
    assert [row["gain"] is None for row in outcome.rows] == [True, False, False]
    assert [row["limited_by"] is None for row in outcome.rows] == [True, True, False]


def test_a_point_is_what_the_predictor_makes_of_the_newest_posts(curves):
    community, outcome = curves
    parts = community.study().parts(sorted(predictor_class("metadata_boosting").uses))
    spearmans = []
    for row, share in zip(outcome.rows[-2:], (0.5, 1.0), strict=True):
        train, validation = (
            parts[part].data.newest(round(share * len(parts[part].data))) for part in ("train", "validation")
        )
        predictor = predictor_class("metadata_boosting")(seed=7)
        predictor.fit(train, validation)
        spearmans.append(stats.spearmanr(parts["test"].truth, predictor.predict(parts["test"].data)).statistic)
        assert row["spearman"] == pytest.approx(spearmans[-1])
        assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
    assert outcome.rows[-1]["gain"] == pytest.approx(spearmans[1] - spearmans[0])


def test_the_verdict_follows_from_the_last_doubling(curves):
    _, outcome = curves
    last = outcome.rows[-1]
    if last["gain_low"] > 0:
        assert last["limited_by"] == "posts"
    elif last["gain_high"] >= 0.02:
        assert last["limited_by"] == "cannot be told"
    else:
        assert last["limited_by"] in ("sight", "luck or sight")
    assert (last["pairs"], last["reachable"]) == (17, None)  # every fortieth repeats the one before: too few
    assert outcome.figures == ("pics/learning_curves-metadata_boosting.png",)
    assert "limited by" in rows_markdown(outcome.rows, LEARNING_CURVES.shown)


def test_nothing_new_is_not_measured_again(curves):
    community, _ = curves
    assert refresh(LEARNING_CURVES, [community.study()], community.warehouse).measured == 0


def test_few_test_posts_give_a_reason(curves, tmp_path):
    community = curves[0].copy(tmp_path / "home")
    store(community, test_share=0.03)
    outcome = refresh(LEARNING_CURVES, [community.study()], community.warehouse)
    (row,) = outcome.rows
    assert row["reason"].startswith("too few test posts: ")
    assert row["limited_by"] is None


def test_who_cannot_learn_from_anything_says_why(curves, tmp_path):
    community = curves[0].copy(tmp_path / "home")
    outcome = refresh(LEARNING_CURVES, [community.study("pooled_fusion_metadata")], community.warehouse)
    rows = [row for row in outcome.rows if row["predictor"] == "pooled_fusion_metadata"]
    assert {row["reason"] for row in rows} == {
        "nobody to borrow from: no other community has 30 posts that had matured by then"
    }
    assert all(row["spearman"] is None for row in rows)
    assert np.isfinite([row["spearman"] for row in outcome.rows if row not in rows]).all()
    assert replace(community.study(), predictor="pooled_fusion_metadata").others(["time"]) == []
