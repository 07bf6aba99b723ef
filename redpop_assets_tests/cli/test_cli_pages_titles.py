"""What `redpop predict` says of several titles: what may be said, and no more."""

import io
import json
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console

from redpop_assets.cli.pages.titles import comparisons_json, print_comparisons
from redpop_assets.pages.drafts import verdict
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.removal_risk import RemovalRisk
from redpop_assets.refresh.titles import Comparison, Difference, TitleForecast

FORECAST = Forecast(
    predictor="fusion_lightgbm",
    expected_log_score=4.0,
    expected_score=53.6,
    percentile=0.6,
    used_image=True,
    used_caption=True,
    test_spearman=0.4,
    test_mae=0.7,
    champion_since=datetime(2026, 6, 1),
    intervals={50: (30.0, 80.0), 80: (-0.7, 260.2), 90: None},
)


def title(text, expected, high):
    bounds = None if high is None else (expected - 0.5, high)
    return TitleForecast(text, FORECAST, Difference(expected, {50: bounds, 80: bounds, 90: bounds}))


BEST = TitleForecast("A [OC]", FORECAST, Difference(0.0, dict.fromkeys((50, 80, 90), (0.0, 0.0))))
WORSE, CLOSE = title("B", -0.7, -0.1), title("C", -0.1, 0.3)


def comparison(*others, **changes):
    return replace(Comparison("fusion_lightgbm", (BEST, *others), True, 120, None), **changes)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((WORSE,), "the first is better than the other"),
        ((WORSE, WORSE), "the first is better than each of the 2 others"),
        ((CLOSE,), "these cannot be told apart"),
        ((CLOSE, CLOSE, BEST), "these cannot be told apart"),
        ((CLOSE, WORSE), "1 of the 2 others is worse than the first; the rest cannot be told from it"),
        ((CLOSE, WORSE, WORSE), "2 of the 3 others are worse than the first; the rest cannot be told from it"),
        ((BEST,), "the titles are the same"),
    ],
)
def test_the_verdict_claims_what_the_intervals_prove(others, said):
    assert verdict(comparison(*others)) == said


def test_the_verdict_says_what_is_not_known():
    unknown = title("B", -0.7, None)
    assert verdict(comparison(unknown, why_unknown="no posts", held_out_posts=0)) == (
        "the titles cannot be told apart: no posts"
    )
    blind = comparison(unknown, looks_at_titles=False, why_unknown="the predictor does not look at titles")
    assert "fusion_lightgbm does not look at titles" in verdict(blind)


RISKS = {
    name: RemovalRisk("earthporn", probability, 0.06, 7.0, None, None)
    for name, probability in (("A [OC]", 0.04), ("B", 0.09), ("C", 0.1), ("D", 0.11))
}


def test_people_see_the_order_the_factor_and_its_interval():
    text = io.StringIO()
    found = comparison(CLOSE, WORSE, replace(BEST))
    print_comparisons([found], "EarthPorn", 7, RISKS, Console(file=text, width=120))
    said = text.getvalue()
    assert "r/EarthPorn: 4 titles for one post\n" in said
    assert "fusion_lightgbm, the champion of r/EarthPorn since 2026-06-01; on posts it had not seen" in said
    rows = [line.split() for line in said.splitlines() if line.startswith((" A [OC]", " B", " C"))]
    assert rows[0] == ["A", "[OC]", "54", "0", "to", "260"]
    assert " ".join(rows[1]) == "C 54 0 to 260 0.90 0.55 to 1.35 cannot be told apart"
    assert " ".join(rows[2]) == "B 54 0 to 260 0.50 0.30 to 0.90 worse"
    assert " ".join(rows[3]) == "A [OC] 54 0 to 260 1.00 – the same title"
    risks = "the first 4 % (usual here: 6 %, and not shown to know more than that); the others 10 %, 9 %, 4 %\n"
    assert f"Taken down {risks}" in said
    assert "should hold it in 90 of 100 cases, by 120 posts that were not learnt from" in said


def test_programs_get_the_same():
    document = json.loads(comparisons_json([comparison(WORSE, title("D", -0.2, None))], "pics", 7, RISKS))
    assert (document["subreddit"], document["label_age_days"]) == ("pics", 7)
    (found,) = document["comparisons"]
    assert (found["predictor"], found["champion"], found["held_out_posts"]) == ("fusion_lightgbm", True, 120)
    assert [one["title"] for one in found["titles"]] == ["A [OC]", "B", "D"]
    difference = found["titles"][1]["difference"]
    assert difference["expected_log_score"] == -0.7
    assert difference["intervals"]["90"] == [-1.2, -0.1]
    assert difference["told_apart"] is True
    assert found["titles"][2]["difference"] == {
        "expected_log_score": -0.2,
        "intervals": {"50": None, "80": None, "90": None},
        "told_apart": False,
    }
    assert found["titles"][0]["expected_score"] == 53.6
    assert [one["removal"]["probability"] for one in found["titles"]] == [0.04, 0.09, 0.11]
