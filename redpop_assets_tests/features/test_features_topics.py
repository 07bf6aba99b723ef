import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from redpop_assets.errors import ArtifactError
from redpop_assets.features.topics import MOST_TOPICS, TopicModel, topic_count

CATS = ["my cat sleeps", "cat and kitten sleep", "the kitten purrs at my cat", "sleepy kitten purrs", "cat purrs"]
PEAKS = [
    "mountain lake sunrise",
    "sunrise over the mountain",
    "a lake and a mountain",
    "sunrise lake",
    "mountain trail",
]


@pytest.fixture(scope="module")
def captions():
    random = np.random.default_rng(3)
    return [str(caption) for caption in random.choice([*CATS, *PEAKS], 200)]


@pytest.fixture(scope="module")
def model(captions):
    return TopicModel.fit(captions)


@pytest.mark.parametrize(
    ("captions", "topics"), [(0, 2), (39, 2), (60, 3), (2_000, 100), (8_000, MOST_TOPICS), (10**6, MOST_TOPICS)]
)
def test_the_number_of_topics_follows_the_data(captions, topics):
    assert topic_count(captions) == topics


def test_rows_are_shares(model, captions):
    shares = model.transform([*captions, "a caption of other words entirely", "🐶"])
    assert shares.shape == (len(captions) + 2, 10)
    assert shares.dtype == np.float32
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("caption", ["", "🐶", "zzz qqq", "the of and"])
def test_a_caption_without_known_words_has_equal_shares(model, caption):
    assert model.transform([caption]).tolist() == [[np.float32(0.1)] * 10]


def test_captions_of_like_words_have_like_topics():
    random = np.random.default_rng(0)
    words = {
        "cats": ["cat", "kitten", "purr", "sleep", "paw", "whisker"],
        "peaks": ["mountain", "lake", "sunrise", "trail"],
    }
    train = [" ".join(random.choice(words[kind], 6)) for kind in ("cats", "peaks") for _ in range(19)]
    model = TopicModel.fit(train)
    cat, kitten, peak = model.transform(["cat paw purr cat whisker", "kitten sleep kitten paw", "mountain lake trail"])
    assert cat @ kitten > 2 * (cat @ peak)
    assert {model.top_words(topic, 1)[0] in words["cats"] for topic in range(2)} == {True, False}


def test_words_of_no_topic_are_left_out():
    """Stop words, numbers, words of fewer than three captions and words of more than half of them."""
    cats = [f"the cat {row} everywhere unique{'x' * row}" for row in range(30)]
    lakes = [f"a lake everywhere {row} [OC]" for row in range(30)]
    assert TopicModel.fit([*cats, *lakes, "twice", "twice"]).vocabulary == ("[oc]", "cat", "lake")


def test_the_same_captions_give_the_same_model(model, captions):
    again = TopicModel.fit(captions)
    assert again.vocabulary == model.vocabulary
    assert again.weights.tobytes() == model.weights.tobytes()
    assert TopicModel.fit(captions, seed=1).weights.tobytes() != model.weights.tobytes()


def test_global_random_numbers_are_left_alone(captions):
    np.random.seed(4)
    expected = np.random.random()
    np.random.seed(4)
    TopicModel.fit(captions).transform(captions[:3])
    assert np.random.random() == expected


def test_captions_of_the_test_part_change_nothing(model, captions):
    """Neither the model, nor the shares of other captions."""
    before = model.weights.tobytes()
    alone = model.transform(captions[:5])
    together = model.transform([*captions[:5], "other words", "my cat my cat", ""])
    assert together[:5].tobytes() == alone.tobytes()
    assert model.weights.tobytes() == before
    assert "other" not in model.vocabulary


def test_a_stored_model_gives_the_same_shares(model, captions, tmp_path):
    model.save(tmp_path / "topics.safetensors")
    loaded = TopicModel.load(tmp_path / "topics.safetensors")
    assert loaded.vocabulary == model.vocabulary
    assert loaded.transform(captions).tobytes() == model.transform(captions).tobytes()


@pytest.mark.parametrize("captions", [[], ["one caption"], [""] * 100])
def test_without_common_words_every_caption_has_equal_shares(captions, tmp_path):
    model = TopicModel.fit(captions)
    model.save(tmp_path / "topics.safetensors")
    loaded = TopicModel.load(tmp_path / "topics.safetensors")
    topics = topic_count(len(captions))
    assert loaded.transform(["one caption", ""]).tolist() == [[np.float32(1 / topics)] * topics] * 2


def test_no_captions_give_no_rows(model):
    assert model.transform([]).shape == (0, 10)


def test_a_damaged_file_is_an_error(model, tmp_path):
    path = tmp_path / "topics.safetensors"
    with pytest.raises(ArtifactError, match="train again"):
        TopicModel.load(path)
    path.write_bytes(b"no topics")
    with pytest.raises(ArtifactError, match="train again"):
        TopicModel.load(path)
    model.save(path)
    header = {"format": "redpop-topics", "code_version": "0", "vocabulary": json.dumps(model.vocabulary)}
    save_file(load_file(path), path, metadata=header)
    with pytest.raises(ArtifactError, match="of version"):
        TopicModel.load(path)
