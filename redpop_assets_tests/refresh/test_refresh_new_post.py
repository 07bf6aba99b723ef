"""Many questions about drafts, one after the other and at once: what is made once, and what nobody sees of others."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.errors import NotTrainable
from redpop_assets.features import visual
from redpop_assets.features.family import Networks
from redpop_assets.features.registry import BLOCKS
from redpop_assets.refresh import speakers as job
from redpop_assets.refresh.draft import answer, asked
from redpop_assets.refresh.new_post import Drafts, Picture
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.speakers import Speakers
from redpop_assets.refresh.titles import compared
from redpop_assets.storage.models import ModelStore
from redpop_assets_tests.fixtures.deployments import NOT_IN_PIPELINE

pytestmark = pytest.mark.integration

AT = datetime(2026, 3, 1, 18, tzinfo=UTC)
HOURS = [AT + timedelta(hours=13 * number) for number in range(12)]
NAMES = ("metadata_boosting", "past_neighbours")
BLOCKS_HERE = [name for name in BLOCKS if name not in NOT_IN_PIPELINE]


def unit(seed, width):
    vector = np.random.default_rng(crc32(seed)).normal(size=width)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Texts:
    """Vectors that follow from the words, as wide as those of the filled community; knows what it was asked."""

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return np.stack([unit(text.encode(), 5) for text in texts])


class Images:
    """Likewise, of pictures."""

    def __init__(self):
        self.asked = 0

    def outputs_of(self, images):
        self.asked += len(images)
        vectors = np.stack([unit(image.tobytes(), 6) for image in images])
        return SimpleNamespace(vectors=vectors, probabilities=None)


@pytest.fixture(scope="module")
def home(prepared, fill, encoders, learn_from):
    """(warehouse, models) of two filled communities with two predictors each; nothing writes there."""
    _, warehouse, models = prepared
    fill(warehouse, "aww", seed=3)
    with warehouse.kept():
        for name in ("pics", "aww"):
            learn_from(warehouse, name)
            for each in NAMES:
                assert refresh_predictor(each, name, warehouse, models, encoders, seed=7).row["status"] == "trained"
        yield warehouse, models


@pytest.fixture
def encoders_asked(monkeypatch):
    """The stand-ins for networks of captions and pictures."""
    texts, images = Texts(), Images()
    monkeypatch.setattr("redpop_assets.encoders.load.load_text_encoder", lambda *_, **__: texts)
    monkeypatch.setattr("redpop_assets.encoders.load.load_image_encoder", lambda *_, **__: images)
    return texts, images


@pytest.fixture
def drafts(home, encoders_asked):  # noqa: ARG001
    judges = Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get)
    return Drafts(home[0], Networks("cpu", judges), timedelta(days=7))


@pytest.fixture
def picture():
    return Picture(Image.radial_gradient("L").convert("RGB").resize((120, 90)))


def draft(drafts, captions, picture=None, at=AT, subreddit="pics"):
    return drafts.draft(subreddit, captions, picture, posted_at=at, author="author5")


@pytest.fixture(scope="module")
def seen(encoders):
    """Networks of the filled home that need no library of their own here."""
    return type(encoders)(encoders.image, encoders.caption)


def test_the_hours_of_a_week_are_asked_about_at_once_as_each_alone(drafts, picture, seen):
    titles = ["A caption", "word " * 9] * 6
    together = draft(drafts, titles, picture, HOURS)
    for row in (0, 5, 11):
        alone = draft(drafts, [titles[row]], picture, HOURS[row])
        for name in BLOCKS_HERE:
            block, one = together.block(name, seen), alone.block(name, seen)
            assert (block is None) == (one is None), name
            if block is not None:
                assert len(block.values) == 12
                np.testing.assert_array_equal(block.values[row], one.values[0], err_msg=name)


def test_moments_are_one_or_as_many_as_titles(drafts):
    with pytest.raises(ValueError, match="2 moments for 3 titles"):
        draft(drafts, ["a", "b", "c"], at=HOURS[:2])


def test_a_picture_is_looked_at_once_whatever_else_changes(drafts, picture, seen, encoders_asked, monkeypatch):
    measured = []
    real = visual.describe_images
    monkeypatch.setattr(visual, "describe_images", lambda *some, **more: measured.append(1) or real(*some, **more))
    for subreddit in ("pics", "aww"):
        for title, at in (("one", AT), ("two", AT), ("one", HOURS[3])):
            asked_about = draft(drafts, [title], picture, at, subreddit)
            for name in BLOCKS_HERE:
                asked_about.block(name, seen)
    texts, images = encoders_asked
    assert images.asked == 1
    assert measured == [1]
    assert sorted(texts.asked) == ["one", "two"]  # each title is encoded once, too


def test_pictures_and_titles_do_not_mix(drafts, picture, seen):
    other = Picture(Image.linear_gradient("L").convert("RGB"))
    first, second = (draft(drafts, ["t"], one).block("image", seen).values[0] for one in (picture, other))
    assert not np.array_equal(first, second)
    assert np.array_equal(draft(drafts, ["t"], picture).block("image", seen).values[0], first)


def test_networks_keep_nothing_of_what_is_asked_and_titles_are_bounded(drafts, seen, monkeypatch):
    monkeypatch.setattr(drafts.titles, "_most", 7)
    for number in range(30):
        draft(drafts, [f"title {number}"]).block("caption", seen)
        draft(drafts, [f"title {number}"]).block("text", seen)
    assert len(drafts.networks._kept) == 1
    assert len(drafts.titles) == 7


def test_ten_people_are_answered_as_each_alone(home, drafts, picture):
    speakers = Speakers(home[0], home[1])

    def ask(number):
        subreddit = ("pics", "aww")[number % 2]
        one = draft(drafts, [f"title {number}", "another"], picture, HOURS[number % 12], subreddit)
        return [found.forecasts for found in asked(speakers, one)]

    with ThreadPoolExecutor(10) as pool:
        at_once = list(pool.map(ask, range(30)))
    assert at_once == [ask(number) for number in range(30)]


def test_what_a_speaker_needs_is_loaded_once(home, drafts, monkeypatch):
    loaded, real = [], job.load_predictor
    monkeypatch.setattr(job, "load_predictor", lambda folder: loaded.append(folder) or real(folder))
    speakers = Speakers(home[0], ModelStore(home[1].place))
    first = [list(compared(speakers, draft(drafts, ["a b c", "d"]))) for _ in range(3)]
    assert len(loaded) == len(NAMES)
    assert first[0] == first[1] == first[2]
    assert first[0][0].held_out_posts > 0
    (one,) = speakers.of("pics", ["past_neighbours"])
    assert answer(one, draft(drafts, ["a"])).forecasts[0].predictor == "past_neighbours"
    with pytest.raises(NotTrainable, match=r"r/cats.*aww, pics"):
        speakers.of("cats")
    with pytest.raises(NotTrainable, match="nobody: not trained for r/pics"):
        speakers.of("pics", ["nobody"])


def test_who_speaks_for_several_communities_is_loaded_once_however_few_are_kept(home, monkeypatch):
    monkeypatch.setattr(job, "MOST_LOADED", 2)
    loaded, real = [], job.load_predictor
    monkeypatch.setattr(job, "load_predictor", lambda folder: loaded.append(folder) or real(folder))
    speakers = Speakers(home[0], ModelStore(home[1].place))
    for _ in range(3):
        for name in ("pics", "aww"):
            assert speakers.first(name).predictor is speakers.first(name).predictor
            assert speakers.first(name).name == speakers.of(name, [speakers.first(name).name])[0].name
    assert len(loaded) == 2
    with pytest.raises(NotTrainable, match=r"r/cats.*aww, pics"):
        speakers.first("cats")
