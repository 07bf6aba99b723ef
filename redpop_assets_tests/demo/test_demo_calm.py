"""The ceiling of the demo's leaderboard, that the leaderboard shows it, and the readings that somebody else kept."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from redpop_assets.cli.pages.leaderboard import print_leaderboard
from redpop_assets.demo.calm import READ_AT, ceiling, import_readings


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_nobody_beats_the_ceiling_but_by_luck(self, pipeline, sandbox):
        deployment = pipeline.deployment
        ceilings = {name: ceiling(deployment.settings, sandbox, name) for name in deployment.settings.partitions}
        rows = deployment.rows("FROM marts.leaderboard")
        for name, found in ceilings.items():
            assert found.low < found.estimate < found.high
            assert all(row["spearman"] < found.high for row in rows if row["subreddit"] == name and row["spearman"])
            assert found.estimate > 0.4
        out = io.StringIO()
        print_leaderboard(rows, Console(file=out, width=200), ceilings)
        lines = [line for line in out.getvalue().splitlines() if line.strip().startswith("highest reachable")]
        assert len(lines) == len(ceilings)
        assert f"{ceilings['pics'].estimate:.2f} [" in "".join(lines)

    def test_young_posts_have_the_readings_of_a_file_once(self, pipeline, sandbox, tmp_path):
        deployment = pipeline.deployment.copy(tmp_path / "home").on(sandbox)
        said = []
        import_readings(deployment.settings, sandbox, said.append)
        [stored] = deployment.rows("SELECT max(created_at) AS newest FROM core.posts")
        read = deployment.rows(
            """
            SELECT
                p.post_id,
                list(round(epoch(o.observed_at - p.created_at) / 3600)::INT ORDER BY o.observed_at) AS ages
            FROM core.posts AS p JOIN raw.observations AS o USING (post_id)
            WHERE p.created_at < $until AND o.endpoint = 'archive' GROUP BY ALL
            """,
            {"until": stored["newest"] - timedelta(hours=max(READ_AT))},
        )
        assert len(read) > 100
        assert {tuple(row["ages"]) for row in read} == {READ_AT}
        count = "SELECT count(*) AS rows FROM raw.observations"
        [before] = deployment.rows(count)
        import_readings(deployment.settings, sandbox, said.append)
        assert deployment.rows(count) == [before]
        assert [" 0 are new" in line for line in said] == [False, True]
