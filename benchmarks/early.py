"""What is an hour worth? Predictors that follow a post, by age, on a sandbox whose process is known.

Posts of one community of the sandbox are read at 1, 2, 3, 6, 12, 24, 48 and 96 hours and at the label age. Beside the
early leaderboard stands its ceiling at each age: what the best forecaster expects who knows the process and the same
readings by then (`redpop_assets.sandbox.foresight`), and at posting. No picture is fetched: the predictors know title,
time, author and what was read, while the ceiling knows the picture, too.

Run: `python benchmarks/early.py [--posts 1500] [--seed 5] [--only early_growth ...]`
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console

from redpop_assets import markdown
from redpop_assets.cli.pages.early import print_early_leaderboard
from redpop_assets.evaluation.bootstrap import Interval, author_clusters, interval, spearman_of
from redpop_assets.features.early import FORECAST_AGES
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import FAMILIES
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.early.registry import AT_POSTING, EARLY_NAMES
from redpop_assets.refresh.champions import refresh_champion
from redpop_assets.refresh.early_leaderboard import refresh_early_leaderboard
from redpop_assets.refresh.early_predictors import refresh_early_predictors
from redpop_assets.refresh.early_readings import refresh_early_readings
from redpop_assets.refresh.features import Scope, refresh_step
from redpop_assets.refresh.labels import refresh_labels
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.training_set import refresh_training_set
from redpop_assets.sandbox.foresight import foreseen
from redpop_assets.sandbox.world import Post, World
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.early import WATCHED, fill_watched, watched_world
from redpop_assets.testing.warehouses import blank_warehouse

RULE = LabelRule(timedelta(days=7), timedelta(days=2))
ENCODERS = Encoders("", "")
FEATURES = ("text", "time", "author", "flags", "community")
AT_ONCE = ("subreddit_median", "metadata_boosting", "tfidf_ridge", "fusion_lightgbm")
_TEST = """
SELECT t.post_id, t.log_score, t.cluster FROM models.training_set AS t
SEMI JOIN models.early_predictions AS e ON e.post_id = t.post_id AND e.age_hours = $age AND e.split = 'test'
WHERE t.split = 'test' ORDER BY t.post_id
"""


def prepared(warehouse: Warehouse, models: ModelStore, folder: Path) -> None:
    """Posts, labels, features without networks, the training set, some predictors and their champion."""
    refresh_posts(warehouse, "pics", allow_over_18=False, progress=str)
    refresh_labels(warehouse, "pics", RULE)
    scope = Scope(
        "pics",
        warehouse,
        ImageStore(folder / "images"),
        ENCODERS,
        Networks("cpu", None),  # type: ignore[arg-type]  # nobody is asked
        RULE.final_age,
        20_000,
        str,
        str,
    )
    for family in FAMILIES:
        if family.name in FEATURES:
            refresh_step([family], scope)
    options = {"test_share": 0.2, "validation_share": 0.15, "most": 100_000}
    refresh_training_set(warehouse, "pics", ENCODERS, matured_after=RULE.final_age, predictors=AT_ONCE, **options)
    for name in AT_ONCE:
        refresh_predictor(name, "pics", warehouse, models, ENCODERS, seed=7)
    row, _ = refresh_champion(warehouse, models, "pics", AT_ONCE, seed=7, progress=str)
    print(f"champion at posting: {row and row['predictor']}")


def ceiling(warehouse: Warehouse, world: World, posts: dict[str, Post], age: int, read_until: float) -> Interval | None:
    """Spearman of what the best forecaster expects with the labels, on the test posts of an age."""
    rows = warehouse.query(_TEST, {"age": age}).to_pylist()
    best = []
    for row in rows:
        post = posts[row["post_id"]]
        moments = [post.created + 3600 * hour for hour in WATCHED if hour <= read_until]
        best.append(foreseen(world, post, moments))
    labels = np.array([row["log_score"] for row in rows])
    return interval(spearman_of(labels, np.array(best)), author_clusters([row["cluster"] for row in rows]), seed=7)


def main() -> None:
    """Print the early leaderboard with its ceilings, and the coverage of the curve at every age."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(EARLY_NAMES), help="those trained for each age")
    asked = parser.parse_args()
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as folder:
        warehouse, models = blank_warehouse(Path(folder) / "home"), ModelStore(Path(folder) / "models")
        world = watched_world(asked.posts, seed=asked.seed)
        posts = fill_watched(warehouse, world)
        prepared(warehouse, models, Path(folder))
        seconds = {}
        began = time.process_time()
        refresh_early_readings(warehouse, "pics")
        seconds["readings"] = time.process_time() - began
        began = time.process_time()
        options = {"label_hours": 168.0, "seed": 7, "progress": str, "names": asked.only}
        refresh_early_predictors(warehouse, models, "pics", ENCODERS, **options)
        seconds["training"] = time.process_time() - began
        began = time.process_time()
        refresh_early_readings(warehouse, "pics")
        refresh_early_predictors(warehouse, models, "pics", ENCODERS, **options)
        seconds["nothing new"] = time.process_time() - began
        rows = refresh_early_leaderboard(warehouse, seed=7, progress=str)
        ceilings = {("pics", age): ceiling(warehouse, world, posts, age, age) for age in FORECAST_AGES}
        at_posting = ceiling(warehouse, world, posts, FORECAST_AGES[0], 0.0)
        print_early_leaderboard(rows, console, {key: found for key, found in ceilings.items() if found})
        if at_posting:
            own = next((row for row in rows if row["predictor"] == AT_POSTING), None)
            reached = f"{own['spearman']:.3f}" if own else "nothing"
            print(f"at posting: {reached} of {at_posting.estimate:.3f} [{at_posting.low:.3f}, {at_posting.high:.3f}]")
        print("coverage of the curve: read by, at, posts, MAE, in 50 / 80 / 90 %, width of 80 %")
        for row in warehouse.query("FROM models.early_coverage ORDER BY age_hours, target_hours").to_pylist():
            shown = (row[name] for name in ("coverage_50", "coverage_80", "coverage_90", "mean_width_80"))
            numbers = " ".join(markdown.number(value) for value in (row["mae"], *shown))
            print(f"  {row['age_hours']:3} h {row['target_hours']:4} h {row['posts']:5} {numbers}")
    print("CPU seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
