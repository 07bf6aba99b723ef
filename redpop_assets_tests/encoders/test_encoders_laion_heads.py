"""The heads that LAION publishes, as they are downloaded, on real vectors of CLIP; skipped where they are not at hand.

github.com/LAION-AI/aesthetic-predictor (MIT): `sa_0_4_vit_*_linear.pth`, and the vectors of its examples, whose ratings
rise from 0 to 9.
"""

import numpy as np
import pytest

from redpop_assets.encoders.aesthetic import load_aesthetic
from redpop_assets.encoders.base import Provenance
from redpop_assets.errors import WeightsUnavailable

pytestmark = pytest.mark.integration

HEADS = {"vit_b_32": 512, "vit_b_16": 512, "vit_l_14": 768}


@pytest.fixture(scope="module")
def published(shared_data):
    return lambda name: shared_data(f"weights/laion_aesthetic/{name}")


def clip(dimension):
    return Provenance("open_clip:a-clip/openai", "image", dimension, "hub", "0" * 64, "none")


def vectors(published):
    folder = published("vit_b_32_embeddings")
    return np.concatenate([np.load(folder / f"rating{rating}.npy") for rating in range(10)])


@pytest.mark.parametrize(("head", "dimension"), HEADS.items())
def test_each_published_file_loads_for_its_clip(published, head, dimension):
    scorer = load_aesthetic(str(published(f"sa_0_4_{head}_linear.pth")), clip(dimension))
    provenance = scorer.provenance
    assert (provenance.scorer, provenance.weights) == ("aesthetic", "path")
    one = np.eye(1, dimension, dtype=np.float32)
    found = scorer.score_vectors(np.concatenate([one, one[:, ::-1]]))
    assert np.isfinite(found["score"]).all()
    assert found["score"][0] != found["score"][1]
    assert (found["spread"] == 0).all()


def test_the_ratings_of_ten_real_vectors_rise_as_published(published):
    """The scores are those that LAION's own linear layer gives these vectors."""
    real = vectors(published)
    assert real.shape == (10, 512)
    np.testing.assert_allclose(np.linalg.norm(real, axis=1), 1.0, atol=1e-3)
    scorer = load_aesthetic(str(published("sa_0_4_vit_b_32_linear.pth")), clip(512))
    scores = scorer.score_vectors(real.astype(np.float32))["score"]
    assert (np.diff(scores) > 0).all()
    expected = [-1.47, 0.27, 1.99, 3.61, 5.09, 6.39, 7.67, 8.92, 9.92, 11.01]
    np.testing.assert_allclose(scores, expected, atol=0.011)


def test_the_head_of_another_clip_is_refused_with_what_to_change(published):
    with pytest.raises(WeightsUnavailable, match="REDPOP_AESTHETIC_WEIGHTS"):
        load_aesthetic(str(published("sa_0_4_vit_l_14_linear.pth")), clip(512))
