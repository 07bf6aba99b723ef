"""Ablation and shuffled labels: the planted block is found, and nothing is where the labels are permuted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from redpop_assets.analyses import ablation, shuffled_labels
from redpop_assets.analyses.ablation import ABLATION
from redpop_assets.analyses.asking import refresh
from redpop_assets.analyses.shuffled_labels import SHUFFLED_LABELS, mean_interval
from redpop_assets.pages.analyses import rows_markdown
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.storage.figures import FigureStore

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def ablated(community, tmp_path_factory):
    """(community, outcome) of the boosted trees on metadata, whose block `text` decides the score."""
    own = community.copy(tmp_path_factory.mktemp("ablated") / "home")
    return own, refresh(ABLATION, [own.study()], own.warehouse)


def test_the_planted_block_is_worth_something_alone_and_missed_when_left_out(ablated):
    rows = {(row["variant"], row["block"]): row for row in ablated[1].rows}
    blocks = predictor_class("metadata_boosting").uses
    assert set(rows) == {("all", ""), *((kind, block) for kind in ("only", "without") for block in blocks)}
    assert rows["all", ""]["spearman_low"] > 0.5
    assert rows["all", ""]["difference"] is None
    assert rows["without", "text"]["difference_high"] < -0.3
    for block in ("author", "flags"):
        assert rows["without", block]["difference_low"] > -0.2
    # These trees insist on times.
    assert "needs block time" in rows["only", "text"]["reason"]
    assert "needs block time" in rows["without", "time"]["reason"]
    assert rows["only", "time"]["difference_high"] < -0.3


def test_a_variant_is_what_the_predictor_makes_of_the_masked_data(ablated):
    own, outcome = ablated
    row = next(row for row in outcome.rows if (row["variant"], row["block"]) == ("without", "flags"))
    parts = own.study().parts(sorted(predictor_class("metadata_boosting").uses - {"flags"}))
    predictor = predictor_class("metadata_boosting")(seed=7)
    predictor.fit(parts["train"].data, parts["validation"].data)
    predicted = predictor.predict(parts["test"].data)
    assert row["spearman"] == pytest.approx(stats.spearmanr(parts["test"].truth, predicted).statistic)
    assert row["mae"] == pytest.approx(np.abs(parts["test"].truth - predicted).mean())


def test_its_figure_is_kept_and_measured_again_only_without_it(ablated, tmp_path):
    own, outcome = ablated[0].copy(tmp_path / "home"), ablated[1]
    assert outcome.figures == ("pics/ablation-metadata_boosting.png",)
    figures = FigureStore(own.home / "figures")
    png = figures.read(outcome.figures[0])
    assert png.startswith(b"\x89PNG")
    assert refresh(ABLATION, [own.study()], own.warehouse).measured == 0
    figures.remove(outcome.figures[0])
    again = refresh(ABLATION, [own.study()], own.warehouse)
    assert again.measured == 1
    assert again.rows == outcome.rows
    assert figures.read(outcome.figures[0]) == png


def test_another_predictor_has_rows_beside_and_an_older_training_set_none(ablated, tmp_path):
    own = ablated[0].copy(tmp_path / "home")
    refresh(ABLATION, [own.study("subreddit_median")], own.warehouse)
    found = {row["predictor"] for row in own.warehouse.query("FROM marts.ablation").to_pylist()}
    assert found == {"metadata_boosting", "subreddit_median"}
    newer = replace(own.study("subreddit_median"), snapshot="newer")
    refresh(ABLATION, [newer], own.warehouse)
    rows = own.warehouse.query("FROM marts.ablation").to_pylist()
    assert [(row["predictor"], row["snapshot"]) for row in rows] == [("subreddit_median", "newer")]
    assert rows[0]["reason"] == "its predictions order nothing"


def test_a_predictor_without_a_choice_of_blocks_has_one_row(community):
    finding = ablation.measure(community.study("author_past_mean"))
    assert [row["variant"] for row in finding.rows] == ["all"]
    assert not finding.figures


def test_what_cannot_be_trained_says_why(community, monkeypatch):
    from redpop_assets.predictors.systems.metadata_boosting import MetadataBoosting

    monkeypatch.setattr(MetadataBoosting, "minimum_train", 10_000)
    study = community.study()
    assert all("too few matured posts" in row["reason"] for row in ablation.measure(study).rows)
    (row,) = shuffled_labels.measure(study).rows
    assert "too few matured posts" in row["reason"]
    assert "spearman" not in row


def test_permuted_labels_give_nothing_where_the_true_ones_give_much(community, tmp_path):
    own = community.copy(tmp_path / "home")
    (row,) = refresh(SHUFFLED_LABELS, [own.study()], own.warehouse).rows
    assert row["permutations"] == len(row["spearmans"]) == shuffled_labels.PERMUTATIONS
    assert row["covers_zero"]
    assert row["spearman_low"] <= 0 <= row["spearman_high"]
    assert row["spearman"] == pytest.approx(np.mean(row["spearmans"]))
    assert row["true_spearman"] > 0.5
    assert refresh(SHUFFLED_LABELS, [own.study()], own.warehouse).measured == 0


def test_a_leak_is_found(community, monkeypatch):
    """A predictor that gets hold of the test labels has a mean away from 0, whatever it is trained on."""
    study = community.study()
    parts = study.parts(["text", "time", "author", "flags"])
    known = dict(zip(parts["test"].data.post_ids, parts["test"].truth, strict=True))
    from redpop_assets.predictors.systems.metadata_boosting import MetadataBoosting

    monkeypatch.setattr(
        MetadataBoosting, "_predict", lambda _, data: np.array([known.get(post, 0.0) for post in data.post_ids])
    )
    (row,) = shuffled_labels.measure(study).rows
    assert not row["covers_zero"]
    assert row["spearman_low"] > 0.9


def test_a_constant_prediction_counts_as_nothing(community):
    (row,) = shuffled_labels.measure(community.study("subreddit_median")).rows
    assert (row["spearman"], row["covers_zero"], row["true_spearman"]) == (0.0, True, None)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_the_interval_of_a_mean_is_students(values):
    mean, low, high = mean_interval(np.array(values))
    assert mean == pytest.approx(np.mean(values))
    error = stats.sem(values)
    if error > 1e-9:
        expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
        assert (low, high) == pytest.approx(expected)
    assert low <= high


def test_tables_for_people_show_intervals_and_dashes(ablated):
    rows = ablated[1].rows
    lines = rows_markdown(rows, ABLATION.shown, most=3).splitlines()
    assert lines[0].startswith("| subreddit | predictor | blocks |")
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert lines[-1] == f"… and {len(rows) - 3} more rows."
    whole = rows[0]
    assert f"{whole['spearman']:.2f} [{whole['spearman_low']:.2f}, {whole['spearman_high']:.2f}]" in lines[2]
    assert "| – |" in lines[2]
