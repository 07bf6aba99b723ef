"""A community with planted effects, and each predictor fitted once on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import pytest

from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.testing.planted import Planted, make_planted

FEW_ROUNDS = {
    "catboost_fusion": {"MOST_TREES": 40},
    "con_soc": {"TREES": 20, "TREES_TO_CHOOSE": 10, "RECIPE": 6, "IMAGE_RECIPE": 6},
    "dual_attention": {"MOST_STEPS": 16},
    "feature_fusion": {"MOST_STEPS": 20},
    "fusion": {"MOST_TREES": 40},
    "learn_deeply": {"RECIPE": 6},
    "multimodal_mlp": {"RECIPE": 6},
    "redpop_thesis": {"RECIPE": 6},
    "retrieval_attention": {"RECIPE": 6},
    "vscnn": {"RECIPE": 4},
}
"""System -> how many trees, steps or epochs of a recipe are enough to show how it treats seeds, columns and files."""


@contextmanager
def learning_shortly() -> Iterator[None]:
    """Whoever learns for long stops early, by its own constants: what a system makes of its inputs is the same."""
    with pytest.MonkeyPatch.context() as patch:
        for system, constants in FEW_ROUNDS.items():
            module = import_module(f"redpop_assets.predictors.systems.{system}")
            for constant, most in constants.items():
                recipe = constant.endswith("RECIPE")
                value = replace(getattr(module, constant), most_epochs=most) if recipe else most
                patch.setattr(module, constant, value)
        yield


@pytest.fixture
def few_rounds() -> Iterator[None]:
    """Predictors that a test fits learn as shortly as those of `fitted`."""
    with learning_shortly():
        yield


@pytest.fixture(scope="session")
def planted() -> Callable[..., Planted]:
    """Generator, kept per set of arguments."""
    made: dict = {}

    def get(**options):
        key = tuple(sorted(options.items()))
        if key not in made:
            made[key] = make_planted(**options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def small(planted) -> Planted:
    """Few posts, and an effect that only trees can find."""
    return planted(sizes=(220, 60, 80), image_width=96, caption_width=48, crossed=3.0)


@pytest.fixture(scope="session")
def lent(small, planted) -> list[Dataset]:
    """What two other communities lend to the small one."""
    found = []
    for number, name in enumerate(("aww", "cats"), start=1):
        data = planted(seed=number, sizes=(220, 60, 80), image_width=96, caption_width=48).train
        data = replace(data, subreddit=name, post_ids=tuple(f"{name}{post_id}" for post_id in data.post_ids))
        found.append(data.select(data.created_at <= small.train.created_at.max()))
    return found


@pytest.fixture(scope="session")
def fitted(small, lent):
    """Each predictor fitted once on the small community with seed 3, in few rounds: name -> (predictor, report)."""
    made = {}

    def get(name):
        if name not in made:
            predictor = predictor_class(name)(seed=3)
            with learning_shortly():
                made[name] = (predictor, predictor.fit(small.train, small.validation, lent))
        return made[name]

    return get
