"""A filled community, for the tests of jobs to train in and to copy."""

import shutil

import pytest

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
