"""The ceiling of the demo's leaderboard, and that the leaderboard shows it."""

import io

import pytest
from rich.console import Console

from redpop_assets.cli.pages.leaderboard import print_leaderboard
from redpop_assets.demo.calm import ceiling


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
