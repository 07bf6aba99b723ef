"""Past posts that counted for a draft: who they are, as the predictor that listens to them says."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.judges import Judges
from redpop_assets.features.family import Networks
from redpop_assets.predictors.systems import multimodal_mlp, retrieval_attention
from redpop_assets.refresh import counted
from redpop_assets.refresh.counted import MOST_COUNTED, counted_posts
from redpop_assets.refresh.draft import dataset_of
from redpop_assets.refresh.new_post import Drafts, Picture
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.speakers import Speakers

pytestmark = pytest.mark.integration

AT = datetime(2026, 4, 1, 18, tzinfo=UTC)
AGE = timedelta(days=7)


def unit(seed, width):
    vector = np.random.default_rng(crc32(seed)).normal(size=width)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture(scope="module")
def home(prepared, encoders, learn_from):
    """A filled community with a predictor that looks at single past posts, and one that does not."""
    _, warehouse, models = prepared
    with warehouse.kept(), pytest.MonkeyPatch.context() as quick:
        learn_from(warehouse)
        quick.setattr(retrieval_attention, "MEMBERS", 1)
        quick.setattr(multimodal_mlp, "MEMBERS", 1)
        for name in ("retrieval_attention", "metadata_boosting"):
            assert refresh_predictor(name, "pics", warehouse, models, encoders, seed=7).row["status"] == "trained"
    with warehouse.kept():
        yield warehouse, models


@pytest.fixture
def drafts(home, monkeypatch):
    texts = SimpleNamespace(encode=lambda some: np.stack([unit(text.encode(), 5) for text in some]))
    images = SimpleNamespace(
        outputs_of=lambda some: SimpleNamespace(
            vectors=np.stack([unit(image.tobytes(), 6) for image in some]), probabilities=None
        )
    )
    monkeypatch.setattr(retrieval_attention, "MEMBERS", 1)
    monkeypatch.setattr(multimodal_mlp, "MEMBERS", 1)
    monkeypatch.setattr("redpop_assets.encoders.load.load_text_encoder", lambda *_, **__: texts)
    monkeypatch.setattr("redpop_assets.encoders.load.load_image_encoder", lambda *_, **__: images)
    return Drafts(home[0], Networks("cpu", Judges("", ("", ""), "", "", "", "cpu", dict[str, Provenance]().get)), AGE)


@pytest.fixture
def asked(home, drafts, monkeypatch):
    """Asks a predictor of the home about a draft: what counted, the predictor and the draft."""

    def ask(name, picture, at=AT):
        (speaker,) = Speakers(*home).of("pics", [name])
        post = drafts.draft("pics", ["A lake"], picture, posted_at=at, author="author5")
        monkeypatch.setattr(type(post), "block", _few(type(post).block))
        data = dataset_of(post, speaker.predictor, speaker.encoders)
        return counted_posts(home[0], speaker, post), speaker, data

    return ask


def _few(block):
    """What other families say of the draft does not matter here, nor are their networks at hand."""
    names = ("image", "caption", "retrieved", "time")
    return lambda self, name, encoders: block(self, name, encoders) if name in names else None


def test_the_posts_that_counted_are_past_and_mature_and_add_up(asked, home, monkeypatch):
    # The stored neighbours of the filled community are noise, so that the gate is all but shut.
    monkeypatch.setattr(counted, "LEAST_WEIGHT", 1e-12)
    picture = Picture(Image.radial_gradient("L").convert("RGB").resize((64, 64)))
    found, speaker, data = asked("retrieval_attention", picture)
    assert 0 < len(found) <= MOST_COUNTED
    weights = [one.weight for one in found]
    assert weights == sorted(weights, reverse=True)
    assert min(weights) > 0
    whole = speaker.predictor.counted(data)
    assert sum(weights) <= whole.gate[0] + 1e-6 <= 1 + 1e-6
    assert len({one.post.post_id for one in found}) == len(found)
    assert {one.post.alike for one in found} <= {"picture", "caption"}
    for one in found:
        assert one.post.created_at + AGE <= AT.replace(tzinfo=None)
        assert one.post.score is not None
        # The number is the one that the predictor saw: a cosine of stored vectors.
        content = "image" if one.post.alike == "picture" else "caption"
        stored = home[0].query(
            f"SELECT e.embedding FROM core.posts LEFT JOIN core.primary_images USING (post_id) "
            f"JOIN features.{content}_embeddings AS e USING ({content}_sha256) "
            "WHERE post_id = $id AND e.encoder = $encoder",
            {"id": one.post.post_id, "encoder": getattr(speaker.encoders, content)},
        )
        vector = np.array(stored.column("embedding")[0].as_py())
        own = data.blocks[content].values[0]
        cosine = vector @ own / np.linalg.norm(vector) / np.linalg.norm(own)
        assert one.post.similarity == pytest.approx(cosine, abs=1e-4)


def test_before_anything_has_matured_nobody_counts(asked):
    found, _, _ = asked("retrieval_attention", None, datetime(2026, 1, 2, tzinfo=UTC))
    assert found == ()


def test_predictors_that_look_at_no_single_post_have_none(asked):
    found, _, _ = asked("metadata_boosting", None)
    assert found == ()
