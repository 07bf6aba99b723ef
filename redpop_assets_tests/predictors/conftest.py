"""A community with planted effects, and each predictor fitted once on it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.testing.planted import Planted, make_planted


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
    """Each predictor fitted once on the small community with seed 3: name -> (predictor, report)."""
    made = {}

    def get(name):
        if name not in made:
            predictor = predictor_class(name)(seed=3)
            made[name] = (predictor, predictor.fit(small.train, small.validation, lent))
        return made[name]

    return get
