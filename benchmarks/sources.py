"""How good predictors become through each source of posts, on one and the same world.

A community of the sandbox is read into two homes, through Reddit's API and through Arctic Shift's, at the same moment;
in each, the whole graph runs from nothing to the leaderboard. Labels differ: those of Reddit are read late and often,
those of the archive once, at about 36 hours. What the fusion reaches is shown beside the highest correlation that
anybody could reach on that test part (`redpop_assets.demo.calm.ceiling`), without pictures unless they are asked for.

Run: `python benchmarks/sources.py [--posts 800] [--days 120] [--seed 7] [--images]`
"""

import argparse
import tempfile
from datetime import timedelta
from pathlib import Path

from redpop_assets.demo.calm import ceiling
from redpop_assets.sandbox.arctic_shift import PATH
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World
from redpop_assets.testing.deployments import SECRET, Deployment, sandbox_variables

_COMMUNITY = "pics"
_FUSION = "fusion_lightgbm"


def run(folder: Path, url: str, *, images: bool, **variables: str) -> str:
    """Fill a home from a source; returns a line of what its fusion reached."""
    common = {
        "REDPOP_SUBREDDITS": _COMMUNITY,
        "REDPOP_FETCH_IMAGES": str(images).lower(),
        "REDPOP_PREDICTORS": f"metadata_boosting,{_FUSION}",
        "REDPOP_REQUESTS_PER_HARVEST": "100000",
    }
    deployment = Deployment(folder, sandbox_variables(folder, url, **common, **variables))
    result = deployment.run(_COMMUNITY)
    if not result.success:
        return "; ".join(result.failures)
    highest = ceiling(deployment.settings, url, _COMMUNITY).estimate
    parts = {
        row["predictor"]: row
        for row in deployment.rows(
            "SELECT predictor, spearman, spearman_low, spearman_high FROM marts.leaderboard WHERE subreddit = $name",
            {"name": _COMMUNITY},
        )
    }
    labels = deployment.rows(
        "SELECT count(*) AS posts, median(age_at_label_hours) AS age, median(readings) AS readings FROM core.labels"
    )[0]
    fusion = parts[_FUSION]
    return (
        f"{labels['posts']:>6} labels, median age {labels['age']:>6.1f} h; Spearman {fusion['spearman']:.3f} "
        f"[{fusion['spearman_low']:.3f}, {fusion['spearman_high']:.3f}], highest {highest:.3f}, "
        f"share {fusion['spearman'] / highest:.2f}"
    )


def main() -> None:
    """Read the same world through both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=800)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--images", action="store_true")
    asked = parser.parse_args()
    world = World(
        seed=asked.seed,
        subreddits=(_COMMUNITY,),
        posts_per_subreddit=asked.posts,
        history=timedelta(days=asked.days),
    )
    with (
        running(world, Clock(world.epoch), secret=SECRET, budget=100_000) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        archive = {
            "REDPOP_SOURCE": "arctic_shift:sandbox",
            "REDPOP_ARCTIC_SHIFT_URL": url + PATH,
            "REDPOP_ARCTIC_SHIFT_REQUESTS_PER_SECOND": "2",
            "REDPOP_ARCTIC_SHIFT_LOOK_BACK_DAYS": str(asked.days + 1),
        }
        for name, variables in (("Reddit", {"REDPOP_HARVEST_PLAN": "new"}), ("Arctic Shift", archive)):
            print(f"{name:<13}{run(Path(folder) / name.split()[0], url, images=asked.images, **variables)}", flush=True)


if __name__ == "__main__":
    main()
