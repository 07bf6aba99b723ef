"""Each network is loaded once per test session; photographs come with scikit-learn."""

import io
from pathlib import Path

import pytest
from PIL import Image

from redpop_assets.encoders.engine import Engine


@pytest.fixture(scope="session")
def photos():
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    images = []
    for name in ("china.jpg", "flower.jpg"):
        with Image.open(folder / name) as image:
            images.append(image.convert("RGB"))
    return images


@pytest.fixture(scope="session")
def variants(photos):
    """Eleven different pictures of different shapes."""
    china, flower = photos
    boxes = [(0, 0, 320, 427), (100, 50, 600, 400), (320, 0, 640, 200), (10, 10, 150, 400), (200, 200, 420, 420)]
    return [china, *(china.crop(box) for box in boxes), *(flower.crop(box) for box in boxes)]


@pytest.fixture(scope="session")
def recompressed(photos):
    packed = io.BytesIO()
    photos[0].save(packed, "JPEG", quality=60)
    return Image.open(packed)


@pytest.fixture(scope="session")
def bundled_images():
    from redpop_assets.encoders.load import load_image_encoder

    return load_image_encoder("timm:tf_efficientnet_lite0/bundled", device="cpu")


@pytest.fixture(scope="session")
def bundled_texts():
    from redpop_assets.encoders.load import load_text_encoder

    return load_text_encoder("sentence_transformers:all-MiniLM-L6-v2/bundled", device="cpu")


@pytest.fixture(scope="session")
def clip_model():
    """A small untrained CLIP of open_clip's own, and its transform: the reference for ours."""
    import open_clip

    from redpop_assets.encoders.weights import seeded

    with seeded():
        model, _, transform = open_clip.create_model_and_transforms("ViT-S-32-alt", pretrained=None)
    return model.eval(), transform


@pytest.fixture(scope="session")
def clip_images():
    from redpop_assets.encoders.load import load_image_encoder

    return load_image_encoder("open_clip:ViT-S-32-alt/random", device="cpu")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A folder with an untrained BERT of transformers and its tokenizer, without anything of sentence-transformers."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from redpop_assets.encoders.weights import seeded

    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nmy\ncat\nfell\nasleep\nin\nthe\nsink\nwow\n")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32)
    config = BertConfig(
        vocab_size=13,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=32,
    )
    with seeded():
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def measured_shortly(monkeypatch):
    """A way of running an encoder is measured for 20 ms, where nobody asks which is the quickest."""
    monkeypatch.setitem(Engine.measured.__kwdefaults__, "seconds", 0.02)
