"""Judgements of champions as a table."""

from datetime import datetime

from redpop_assets.pages.champions import history_markdown


def row(judgement, **more):
    return {
        **{"judgement": judgement, "judged_at": datetime(2024, 1, judgement, 3), "predictor": "x", "promoted": False},
        **{"rival": None, "mae_difference": None, "mae_difference_low": None, "mae_difference_high": None},
        **{"p_value": None, "test_posts": 70, "mae": 0.5, "median_mae": None, "reason": "the best | of two"},
        **more,
    }


def test_the_newest_judgements_come_first_with_their_evidence():
    evidence = {"mae_difference": -0.1, "mae_difference_low": -0.2, "mae_difference_high": -0.05, "p_value": 0.04}
    rows = [
        row(1, predictor=None, mae=None),
        row(2, promoted=True, rival="y", median_mae=0.625, **evidence),
        row(3, rival="y", mae_difference=0.25),
    ]
    assert history_markdown(rows).splitlines() == [
        "| judged | champion |  | compared with | MAE difference (95 %) | p | posts | MAE | median's | why |",
        "|---|---|---|---|---|---|---|---|---|---|",
        "| 2024-01-03 03:00 | x |  | y | 0.250 | – | 70 | 0.500 | – | the best \\| of two |",
        "| 2024-01-02 03:00 | x | promoted | y | -0.100 [-0.200, -0.050] | 0.040 | 70 | 0.500 | 0.625 "
        "| the best \\| of two |",
        "| 2024-01-01 03:00 | nobody |  | – | – | – | 70 | – | – | the best \\| of two |",
    ]
    assert len(history_markdown([row(number) for number in range(1, 31)], most=5).splitlines()) == 2 + 5
