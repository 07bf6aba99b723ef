"""What commands say that read the published warehouse."""

import duckdb
import pytest


@pytest.mark.parametrize("command", [("leaderboard",), ("sql", "SELECT 1"), ("sql",)], ids=" ".join)
def test_nothing_is_published_yet(redpop, tmp_path, command):
    answer = redpop(*command)
    assert answer.code == 1
    assert f"Nothing is published at {tmp_path}/warehouse/redpop.duckdb" in answer.output
    assert "redpop materialize" in answer.output
    assert not (tmp_path / "warehouse").exists()  # asking makes nothing


def test_a_file_of_another_version_says_what_to_run(redpop, tmp_path):
    (tmp_path / "warehouse").mkdir()
    with duckdb.connect(tmp_path / "warehouse" / "redpop.duckdb") as conn:
        conn.execute("CREATE SCHEMA marts; CREATE TABLE marts.leaderboard_of_old (predictor VARCHAR)")
    answer = redpop("leaderboard")
    assert answer.code == 1
    assert "was published by another version of RedPop: run `redpop materialize`" in answer.output
    assert "leaderboard" in answer.output


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_the_leaderboard(self, here, pipeline):
        answer = here(pipeline.deployment, "leaderboard")
        assert answer.code == 0
        for word in ("pics", "earthporn", "fusion_lightgbm", "subreddit_median", "Spearman"):
            assert word in answer.output
