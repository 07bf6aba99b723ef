"""A filled community, for the tests of jobs to train in and to copy."""

import shutil
from datetime import timedelta

import pytest

from redpop_assets.predictors.registry import predictor_names
from redpop_assets.refresh.training_set import refresh_training_set
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, fill):
    """(folder, warehouse, models) of a filled community, for a module to train in before its tests take copies."""
    folder = tmp_path_factory.mktemp("prepared")
    warehouse = Warehouse(folder / "home", source="test", lock_timeout=30)
    fill(warehouse)
    return folder, warehouse, ModelStore(folder / "models")


@pytest.fixture
def copy_of(tmp_path):
    """Copies such a folder into that of the test, where its fixture `models` looks, and returns the warehouse."""

    def copy(folder):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
        return Warehouse(tmp_path / "home", source="test", lock_timeout=30)

    return copy


@pytest.fixture
def models(tmp_path):
    """Where the models of `copy_of` are, or of nobody yet."""
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="session")
def learn_from(encoders):
    """Stores the training set of a community of a warehouse, and returns it; keywords change how it is made."""

    def learn_from(warehouse, subreddit="pics", *, networks=encoders, **changes):
        options = {"test_share": 0.2, "validation_share": 0.15, "most": 1000, "predictors": predictor_names()}
        return refresh_training_set(
            warehouse, subreddit, networks, **{"matured_after": timedelta(days=7), **options, **changes}
        )

    return learn_from
