"""What the best forecaster expects from readings: what it starts from, that it learns, and that nobody is better."""

import numpy as np
import pytest

from redpop_assets.sandbox.foresight import foreseen
from redpop_assets.sandbox.world import World

HOUR = 3600.0


@pytest.fixture(scope="module")
def read():
    """(world, 120 standing posts)."""
    world = World(seed=11, subreddits=("pics",), posts_per_subreddit=400)
    posts = [post for post in world.posts("pics", world.epoch.timestamp()) if post.kind == "image" and not post.removal]
    return world, posts[:120]


def errors(world, posts, *hours):
    truth = np.array([np.log1p(post.final_score) for post in posts])
    best = [foreseen(world, post, [post.created + hour * HOUR for hour in hours]) for post in posts]
    return np.array(best) - truth


def test_without_readings_it_is_the_expectation_at_posting(read):
    world, posts = read
    found = [foreseen(world, post, []) for post in posts[:20]]
    assert found == pytest.approx([post.expected_log_score for post in posts[:20]], abs=0.01)


def test_every_reading_tells_more(read):
    world, posts = read
    spread = [float((errors(world, posts, *hours) ** 2).mean()) for hours in ((), (1,), (1, 3), (1, 3, 6), (1, 6, 24))]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] == pytest.approx(0.20 * 1.3**2, rel=0.35)
    assert spread[-1] < 0.1 * spread[0]


def test_a_hidden_score_is_not_looked_at(read):
    world, posts = read
    minutes = errors(world, posts, 0.5)
    assert (minutes**2).mean() > (errors(world, posts, 1.0) ** 2).mean()
    assert np.isfinite(minutes).all()


def test_nobody_is_better_with_the_same_reading(read):
    world, posts = read
    truth = np.array([np.log1p(post.final_score) for post in posts])
    score = np.log1p([world.read(post, post.created + 3 * HOUR).score for post in posts])
    known = np.array([post.expected_log_score for post in posts])
    inputs = np.column_stack([np.ones(len(posts)), score, known])
    fitted = inputs @ np.linalg.lstsq(inputs, truth, rcond=None)[0]  # in-sample, which flatters it
    assert (errors(world, posts, 3) ** 2).mean() < ((fitted - truth) ** 2).mean()
