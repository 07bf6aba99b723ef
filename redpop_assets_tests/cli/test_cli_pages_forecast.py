"""What `redpop predict` says: the champion in words, what is not known, and the same for programs."""

import io
import json
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console

from redpop_assets.cli.pages.forecast import as_json, print_forecasts
from redpop_assets.pages.drafts import standing
from redpop_assets.refresh.counted import CountedPost
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.likeness import PastPost
from redpop_assets.refresh.removal_risk import RemovalRecord, RemovalRisk

CHAMPION = Forecast(
    predictor="fusion_lightgbm",
    expected_log_score=7.1,
    expected_score=1234.4,
    percentile=0.876,
    used_image=True,
    used_caption=True,
    test_spearman=0.412,
    test_mae=0.7,
    champion_since=datetime(2026, 6, 1),
    intervals={50: (900.0, 1500.0), 80: (-0.7, 2600.2), 90: None},
)
OTHER = replace(
    CHAMPION,
    predictor="subreddit_median",
    champion_since=None,
    test_spearman=None,
    used_image=False,
    used_caption=False,
    intervals={50: (900.0, 1500.0), 80: None, 90: None},
)


RISK = RemovalRisk(
    "earthporn", 0.042, 0.058, 7.0, RemovalRecord(500, 40, 0.3, 0.2, 0.4, 0.1, 0.05, 0.15), why_unknown=None
)


COUNTED = CountedPost(
    PastPost("a1", "earthporn", "Fog [OC]", 321, 0.9, datetime(2026, 5, 1), None, 0.8, "caption"), 0.25, 0.0953
)


def shown(*forecasts, risk=RISK, counted=()):
    text = io.StringIO()
    print_forecasts(forecasts, "EarthPorn", "A [OC]", 7, risk, counted, Console(file=text, width=120))
    return text.getvalue()


def test_the_champion_speaks_in_words():
    said = shown(CHAMPION, OTHER)
    assert "r/EarthPorn: A [OC]\n" in said
    assert "Expected   1,234 points after 7 days" in said
    assert "Range      0 to 2,600 points, for 80 of 100 posts" in said  # Reddit shows nothing below 0
    assert "Standing   in the top quarter: 88 % of the posts there score less" in said
    assert "Seen       picture and title" in said
    assert "fusion_lightgbm, the champion of r/EarthPorn since 2026-06-01" in said
    assert "off by a factor of 2.0" in said
    assert "Taken down 4 % (usual here: 6 %)\n" in said
    rows = [line.split() for line in said.splitlines() if line.startswith((" fusion", " subreddit"))]
    assert [(row[0], row[-1]) for row in rows] == [("fusion_lightgbm", "0.41"), ("subreddit_median", "–")]


def test_what_is_not_known_is_said():
    said = shown(replace(OTHER, test_mae=None))
    assert "Range      unknown: too few posts were held out" in said
    assert "subreddit_median, which ranked unseen posts best; a champion is named by `redpop materialize`" in said
    assert "factor" not in said
    assert "neither picture nor title" in said


def test_a_risk_that_is_not_known_or_was_never_shown_to_be_any_is_no_figure_like_others():
    silent = RemovalRisk("earthporn", None, 0.004, 7.0, None, "too few removals here: 3 of 30.")
    assert "Taken down not known (usual here: 0.4 %): too few removals here: 3 of 30.\n" in shown(CHAMPION, risk=silent)
    never = RemovalRisk("earthporn", None, None, None, None, "never trained [here].")
    assert "Taken down not known: never trained [here].\n" in shown(CHAMPION, risk=never)
    doubtful = replace(RISK, record=replace(RISK.record, brier_skill_low=-0.01))
    assert "4 % (usual here: 6 %, and not shown to know more than that)\n" in shown(CHAMPION, risk=doubtful)


def test_it_says_what_of_the_post_was_looked_at():
    for image, caption, words in ((True, True, "picture and title"), (True, False, "picture"), (False, True, "title")):
        said = shown(replace(CHAMPION, used_image=image, used_caption=caption), OTHER)
        assert f"Seen       {words}\n" in said


def test_past_posts_that_counted_are_named_where_there_are_any():
    assert "Counted" not in shown(CHAMPION)
    said = shown(CHAMPION, counted=[COUNTED, replace(COUNTED, post=replace(COUNTED.post, score=None))])
    assert "Counted    ×1.10, 25 % of the attention: Fog [OC] (321 points)\n" in said
    assert "           ×1.10, 25 % of the attention: Fog [OC] (no settled score)\n" in said


def test_programs_get_the_same():
    found = json.loads(as_json([CHAMPION, OTHER], "earthporn", 7, RISK, [COUNTED]))
    assert [(one["post"]["post_id"], one["weight"]) for one in found["counted"]] == [("a1", 0.25)]
    assert (found["subreddit"], found["label_age_days"]) == ("earthporn", 7)
    first, second = found["forecasts"]
    assert (first["champion"], second["champion"]) == (True, False)
    removal = found["removal"]
    assert (removal["probability"], removal["base_rate"], removal["why_unknown"]) == (0.042, 0.058, None)
    assert removal["record"]["test_removed"] == 40
    assert first["intervals"] == {"50": [900.0, 1500.0], "80": [-0.7, 2600.2], "90": None}
    assert (first["expected_score"], first["test_mae"], second["test_spearman"]) == (1234.4, 0.7, None)


@pytest.mark.parametrize(
    ("percentile", "words"),
    [
        *((1.0, "in the top tenth"), (0.9, "in the top tenth"), (0.89, "in the top quarter")),
        *((0.6, "above the middle"), (0.5, "in the middle"), (0.3, "below the middle")),
        *((0.2, "in the bottom quarter"), (0.0, "in the bottom quarter")),
    ],
)
def test_a_percentile_in_words(percentile, words):
    assert standing(percentile) == words
