"""Moderators with reasons: as often as they say, for reasons that can be seen, and without touching anything else."""

from dataclasses import replace

import numpy as np
import pytest

from redpop_assets.sandbox import moderation
from redpop_assets.sandbox.world import World


@pytest.fixture(scope="module")
def worlds():
    return World(3, ("pics",), 1500), World(3, ("pics",), 1500, moderated=True)


@pytest.fixture(scope="module")
def pairs(worlds):
    plain, moderated = worlds
    now = plain.epoch.timestamp()
    return list(zip(plain.posts("pics", now), moderated.posts("pics", now), strict=True))


def test_nothing_but_removals_differs(pairs):
    for plain, moderated in pairs:
        assert plain.removal_chance == 0
        assert replace(moderated, removal=None, removed_at=0, removal_chance=0) == replace(
            plain, removal=None, removed_at=0
        )
        assert (plain.removal == "deleted") == (moderated.removal == "deleted")
        if plain.removal == "deleted":
            assert moderated.removed_at == plain.removed_at


def test_they_take_down_as_often_as_they_say(pairs):
    posts = [post for _, post in pairs if post.removal != "deleted" and post.kind != "moderator"]
    chance = np.array([post.removal_chance for post in posts])
    down = np.array([post.removal == "moderator" for post in posts])
    assert 0.04 < chance.mean() < 0.12
    assert down.mean() == pytest.approx(chance.mean(), abs=0.02)
    likely = chance > 0.15
    assert likely.sum() > 50
    assert down[likely].mean() == pytest.approx(chance[likely].mean(), abs=0.12)
    assert {post.removal for post in posts} == {None, "moderator"}


def test_each_reason_counts_and_can_be_seen(pairs):
    post = pairs[0][1]
    noon, night = 12 * 3600.0, 3 * 3600.0

    def chance(text, created=noon, careless=False):
        return moderation.probability(replace(post.caption, text=text), created, careless)

    plain = chance("A lake")
    assert plain == pytest.approx(1 / (1 + np.exp(-moderation.INTERCEPT)))
    for worse in (chance("A lake?"), chance("A lake 😂"), chance("A " * 80), chance("A lake", night)):
        assert worse > 1.5 * plain
    assert chance("A lake", careless=True) > 1.5 * plain
    assert chance("A lake?", night, careless=True) > 0.3


def test_moderators_posts_stay(worlds):
    _, moderated = worlds
    post = moderated.post("pics", moderated.moderator_rhythm[1])
    assert (post.kind, post.removal, post.removal_chance) == ("moderator", None, 0)
