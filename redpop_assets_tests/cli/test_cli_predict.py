"""`redpop predict` as people type it."""

import json
import re

import pytest
from PIL import Image

from redpop_assets.testing.deployments import PREDICTORS


def test_predict_before_anything_was_trained(redpop):
    answer = redpop("predict", "-r", "pics", "-t", "A title")
    assert answer.code == 1
    assert "materialize" in answer.output


def test_predict_refuses_what_is_no_picture_and_no_title(redpop):
    assert "no picture nowhere.jpg" in redpop("predict", "-r", "pics", "-t", "x", "-i", "nowhere.jpg").output
    assert "title is empty" in redpop("predict", "-r", "pics", "-t", "  ").output
    assert "title is empty" in redpop("predict", "-r", "pics", "-t", "fine", "-t", "\u200b").output
    assert "301 characters; Reddit takes 300" in redpop("predict", "-r", "pics", "-t", "x", "-t", "y" * 301).output
    answer = redpop("predict", "-r", "pics", "-t", "x", "--at", "tomorrow")
    assert answer.code == 1
    assert "'tomorrow' is no time" in answer.output


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_predict_with_a_picture(self, here, pipeline, tmp_path):
        path = tmp_path / "photo.jpg"
        Image.radial_gradient("L").convert("RGB").resize((640, 400)).save(path)
        answer = here(
            pipeline.deployment,
            *("predict", "-r", "EarthPorn", "-t", "Sunrise over the lake [OC]", "-i", str(path)),
            *("--at", "2026-06-05T18:00", "--author", "somebody"),
        )
        assert answer.code == 0, answer.output
        for name in ("fusion_lightgbm", "metadata_boosting", "redpop_thesis", "subreddit_median"):
            assert name in answer.output
        assert "r/EarthPorn: Sunrise over the lake [OC]" in answer.output
        assert answer.output.count("%") >= 4
        assert "picture and title" in answer.output
        assert "neither picture nor title" in answer.output
        rows = [line.split() for line in answer.lines.splitlines() if re.search(r" -?0\.\d\d$", line.rstrip())]
        champion = pipeline.deployment.scalar("SELECT predictor FROM marts.champions WHERE subreddit = 'earthporn'")
        assert f"{champion}, the champion of r/EarthPorn since 20" in answer.output
        assert rows[0][0] == champion
        skills = [float(row[-1]) for row in rows[1:]]
        assert len(skills) >= 2  # the median orders nothing
        assert skills == sorted(skills, reverse=True)
        said = re.search(r"Range +([\d,]+) to ([\d,]+) points, for 80 of 100 posts", answer.output)
        low, high = (int(number.replace(",", "")) for number in said.groups())
        expected = int(re.search(r"Expected +([\d,]+) points after 7 days", answer.output)[1].replace(",", ""))
        assert low <= expected <= high
        assert low < high
        assert re.search(r"Standing +[a-z ]+: \d+ % of the posts there score less", answer.output)
        assert re.search(r"off by a factor of \d+\.\d", answer.output)

    def test_predict_without_a_picture(self, here, pipeline):
        answer = here(pipeline.deployment, "predict", "-r", "r/pics", "-t", "My cat")
        assert answer.code == 0, answer.output
        assert "r/pics: My cat" in answer.output
        assert "r/r/" not in answer.output
        assert "picture and title" not in answer.output
        assert re.search(r"metadata_boosting .* % +title ", answer.output)

    def test_predict_for_programs(self, here, pipeline):
        asked = ("predict", "-r", "r/Pics", "-t", "My [bold]cat", "--at", "2026-06-05T18:00")
        found = json.loads(here(pipeline.deployment, *asked, "--json").lines)
        assert (found["subreddit"], found["label_age_days"]) == ("pics", 7)
        assert len(found["forecasts"]) == len(PREDICTORS)
        assert [one["champion"] for one in found["forecasts"]].count(True) == 1
        first = found["forecasts"][0]
        assert first["champion"]
        low, high = first["intervals"]["80"]
        assert low < high
        assert 0 <= first["percentile"] <= 1
        shown = here(pipeline.deployment, *asked).output
        assert f"{first['expected_score']:,.0f} points" in shown
        assert "My [bold]cat" in shown

    def test_several_titles_are_compared(self, here, pipeline):
        asked = ("predict", "-r", "pics", "-t", "My cat", "-t", "A [bold]dog", "-t", "My cat")
        answer = here(pipeline.deployment, *asked)
        assert answer.code == 0, answer.output
        champion = pipeline.deployment.scalar("SELECT predictor FROM marts.champions WHERE subreddit = 'pics'")
        assert "r/pics: 3 titles for one post" in answer.output
        assert f"{champion}, the champion" in answer.output
        assert "A [bold]dog" in answer.output
        found = json.loads(here(pipeline.deployment, *asked, "--json", "-p", "all").lines)
        assert {one["predictor"] for one in found["comparisons"]} == set(PREDICTORS)
        for one in found["comparisons"]:
            assert len(one["titles"]) == 3
            scores = [title["expected_log_score"] for title in one["titles"]]
            assert scores == sorted(scores, reverse=True)
            assert one["looks_at_titles"] == (one["predictor"] != "subreddit_median")
        blind = here(pipeline.deployment, *asked, "-p", "subreddit_median").output
        assert "does not look at titles" in blind
        wrong = here(pipeline.deployment, *asked, "-p", "oracle")
        assert wrong.code == 1
        assert "oracle: not trained for r/pics" in wrong.output

    def test_predict_for_a_community_without_predictors(self, here, pipeline):
        answer = here(pipeline.deployment, "predict", "-r", "aww", "-t", "My cat")
        assert answer.code == 1
        assert "r/aww" in answer.output
        assert "earthporn, pics" in answer.output

    def test_predict_asks_the_published_warehouse_whoever_filled_it(self, redpop, pipeline):
        answer = redpop("predict", "-r", "pics", "-t", "x", REDPOP_HOME=str(pipeline.deployment.home))
        assert answer.code == 0, answer.output

    def test_predict_with_a_file_that_is_no_picture(self, here, pipeline, tmp_path):
        (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
        answer = here(pipeline.deployment, "predict", "-r", "pics", "-t", "My cat", "-i", str(tmp_path / "text.jpg"))
        assert answer.code == 1
        assert "text.jpg" in answer.output
