"""A filled community, for the tests of jobs to train in and to copy."""

import shutil
from datetime import timedelta
from zlib import crc32

import numpy as np
import pytest

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.features.family import Networks
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.registry import predictor_names
from redpop_assets.refresh.desk import Desk
from redpop_assets.refresh.training_set import refresh_training_set
from redpop_assets.storage.edition import Edition
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, fill):
    """(folder, warehouse, models) of a filled community, for a module to train in before its tests take copies."""
    folder = tmp_path_factory.mktemp("prepared")
    warehouse = Warehouse(folder / "home", source="test", lock_timeout=30)
    fill(warehouse)
    return folder, warehouse, ModelStore(folder / "models")


@pytest.fixture(scope="module")
def learnable(prepared, learn_from):
    """Folder of `prepared` once its community has a training set."""
    folder, warehouse, _ = prepared
    with warehouse.kept():
        learn_from(warehouse)
    return folder


@pytest.fixture
def copy_of(tmp_path, keep):
    """Copies such a folder into that of the test, where its fixture `models` looks, and returns the warehouse, kept."""

    def copy(folder):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
        return keep(Warehouse(tmp_path / "home", source="test", lock_timeout=30))

    return copy


@pytest.fixture
def empty(empty_warehouse, keep):
    """A warehouse without rows, kept."""
    return keep(empty_warehouse)


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


class _Words:
    """Vectors that follow from the words, as short as those of the filled community."""

    def encode(self, texts):
        vectors = np.stack([np.random.default_rng(crc32(text.encode())).normal(size=5) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def open_desk():
    """Publishes a warehouse and makes the desk of that edition, whose captions are encoded without a network."""
    editions = []

    def made(warehouse, models):
        warehouse.publish()
        editions.append(Edition(warehouse.published.parent))
        judges = Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get)
        rule = LabelRule(timedelta(days=6), timedelta(days=1))
        return Desk(editions[-1], models, rule, Networks("cpu", judges))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redpop_assets.encoders.load.load_text_encoder", lambda *_, **__: _Words())
        yield made
    for edition in editions:
        edition.close()
