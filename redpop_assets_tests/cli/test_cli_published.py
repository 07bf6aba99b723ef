"""What commands say that read the published warehouse."""

import pytest


@pytest.mark.parametrize("command", [("leaderboard",), ("sql", "SELECT 1"), ("sql",)], ids=" ".join)
def test_nothing_is_published_yet(redpop, tmp_path, command):
    answer = redpop(*command)
    assert answer.code == 1
    assert f"Nothing is published at {tmp_path}/warehouse/redpop.duckdb" in answer.output
    assert "redpop materialize" in answer.output
    assert not (tmp_path / "warehouse").exists()  # asking makes nothing


@pytest.mark.xdist_group("pipeline")
class TestOnAPipeline:
    def test_the_leaderboard(self, here, pipeline):
        answer = here(pipeline.deployment, "leaderboard")
        assert answer.code == 0
        for word in ("pics", "earthporn", "fusion_lightgbm", "subreddit_median", "Spearman"):
            assert word in answer.output
