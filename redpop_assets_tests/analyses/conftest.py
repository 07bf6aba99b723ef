"""A community whose scores follow from the number of words of the caption, with trained predictors, ready to study."""

import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from redpop_assets.analyses.asking import studies
from redpop_assets.analyses.study import Study
from redpop_assets.features.family import Encoders
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.training_set import build_training_set
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

TRAINED = ("subreddit_median", "metadata_boosting", "fusion_lightgbm")


@dataclass(frozen=True)
class Community:
    """A home directory with one community in it."""

    home: Path
    encoders: Encoders

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.home, source="test", lock_timeout=30)

    @property
    def models(self) -> ModelStore:
        return ModelStore(self.home / "models")

    def copy(self, home: Path) -> "Community":
        shutil.copytree(self.home, home)
        return replace(self, home=home)

    def study(self, predictor: str = "metadata_boosting", seed: int = 7) -> Study:
        (study,) = studies(
            *(self.warehouse, self.models, ImageStore(self.home / "images"), self.encoders),
            **{"subreddit": "pics", "predictor": predictor, "seed": seed, "progress": [].append},
        )
        return study

    def train(self, *names: str) -> None:
        warehouse = self.warehouse
        with warehouse.kept():
            for name in names:
                state = refresh_predictor(name, "pics", warehouse, self.models, self.encoders, seed=7)
                assert state.row["status"] == "trained", state.row["reason"]


@pytest.fixture(scope="session")
def untrained(tmp_path_factory, fill, encoders) -> Community:
    """With a training set, and sightings: all posts but every third were seen in `new`, odd ones in `top`."""
    community = Community(tmp_path_factory.mktemp("community") / "home", encoders)
    warehouse = community.warehouse
    ids = fill(warehouse)
    built = build_training_set(
        warehouse, "pics", encoders, matured_after=timedelta(days=7), test_share=0.3, validation_share=0.15, most=1000
    )
    with warehouse.write() as writer:
        writer.replace("models.training_set", built.rows, "subreddit = 'pics'")
        for listing, chosen in (("new", [n for n in range(len(ids)) if n % 3]), ("top", list(range(1, len(ids), 2)))):
            many = len(chosen)
            seen = {"post_id": [ids[n] for n in chosen], "subreddit": ["pics"] * many, "listing": [listing] * many}
            moments = np.full(many, np.datetime64("2026-05-01", "us"))
            same = {"seen_at": moments, "time_filter": [""] * many, "rank": [1] * many}
            writer.append("raw.sightings", arrow_table({**seen, **same}))
    return community


@pytest.fixture(scope="session")
def community(untrained, tmp_path_factory) -> Community:
    """The same with predictors that are cheap to train, and their predictions. Nobody changes it: `copy` it first."""
    made = untrained.copy(tmp_path_factory.mktemp("trained") / "home")
    made.train(*TRAINED)
    warehouse = made.warehouse
    with warehouse.kept():
        refresh_predictions(warehouse, made.models, progress=str)
    return made
