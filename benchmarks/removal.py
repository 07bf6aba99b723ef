"""Is it foreseen what moderators take down, and do the probabilities hold? On a sandbox whose moderators have reasons.

The process by which posts are taken down there is known (`redpop_assets.sandbox.moderation`), so the best that anybody
could say of each test post is, too: its true probability, with which the predictor's is compared. That knows careless
authors from their first post on, which nobody can; "expected skill" is the Brier skill without the luck of what was
removed and what was not.

Run: `python benchmarks/removal.py [--posts 3000] [--seeds 3 4]`
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.probabilities import average_precision_of
from redpop_assets.labels import LabelRule
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.refresh.removal_metrics import refresh_removal_metrics
from redpop_assets.refresh.removal_predictors import refresh_removal_predictor
from redpop_assets.storage.models import ModelStore
from redpop_assets.testing.moderated import fill_moderated, moderated_world
from redpop_assets.testing.warehouses import blank_warehouse

RULE = LabelRule(timedelta(days=7), timedelta(days=2))
_JUDGED = "SELECT post_id, removed, probability FROM models.removal_posts WHERE split = 'test' ORDER BY post_id"


def expected_skill(said: npt.NDArray[np.float64], true: npt.NDArray[np.float64], base_rate: float) -> float:
    """Brier skill on average over what could have been removed."""
    luck = true * (1 - true)
    return float(1 - np.mean((said - true) ** 2 + luck) / np.mean((base_rate - true) ** 2 + luck))


def measured(posts: int, seed: int) -> None:
    """Print the figures of one community."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse, models = blank_warehouse(Path(folder) / "home"), ModelStore(Path(folder) / "models")
        known = fill_moderated(warehouse, moderated_world(posts, seed=seed))
        refresh_posts(warehouse, "pics", allow_over_18=False, progress=lambda _: None)
        options = {"test_share": 0.2, "validation_share": 0.15, "most": 100_000, "seed": 7}
        began = time.process_time()
        state = refresh_removal_predictor(warehouse, models, "pics", RULE, progress=lambda _: None, **options)
        seconds = time.process_time() - began
        (row,) = refresh_removal_metrics(warehouse, seed=7, progress=lambda _: None)
        judged = warehouse.query(_JUDGED).to_pydict()
        groups = warehouse.query("FROM marts.removal_calibration ORDER BY bin").to_pylist()
    print(f"seed {seed}: {state.row['posts']} posts, {state.row['removed']} removed; {state.outcome}")
    if row["pr_auc"] is None:
        return
    removed, said = np.array(judged["removed"]), np.array(judged["probability"])
    true = np.array([known[post_id].removal_chance for post_id in judged["post_id"]])
    ceiling = float(average_precision_of(removed, true)(np.ones((1, len(removed))))[0])
    base = state.row["base_rate"]
    print(
        f"  PR-AUC {row['pr_auc']:.3f} [{row['pr_auc_low']:.3f}, {row['pr_auc_high']:.3f}] of {ceiling:.3f}, chance "
        f"{row['base_rate']:.3f}; Brier skill {row['brier_skill']:.3f} [{row['brier_skill_low']:.3f}, "
        f"{row['brier_skill_high']:.3f}]; expected skill {expected_skill(said, true, base):.3f} of "
        f"{expected_skill(true, true, base):.3f}; trained in {seconds:.1f} CPU seconds"
    )
    for group in groups:
        print(
            f"  said {group['mean_probability']:.3f}: {group['removed']} of {group['posts']} removed, "
            f"{group['removed_share']:.3f} [{group['removed_share_low']:.3f}, {group['removed_share_high']:.3f}]"
        )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=3000, help="posts of the community")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3], help="a community each")
    asked = parser.parse_args()
    for seed in asked.seeds:
        measured(asked.posts, seed)


if __name__ == "__main__":
    main()
