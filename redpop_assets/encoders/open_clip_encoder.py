"""Both halves of open_clip models: the image tower, and the text tower, whose vectors lie in the same space."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import torch

from redpop_assets.encoders.base import describe, unit_rows
from redpop_assets.encoders.batches import ShrinkingBatches
from redpop_assets.encoders.image_network import ImageNetwork
from redpop_assets.encoders.names import EncoderName
from redpop_assets.encoders.weights import from_hub, from_path, seeded
from redpop_assets.errors import SettingsError

_DISTRIBUTION = "open_clip_torch"


class _ImageTower(torch.nn.Module):
    """The image half alone, its projected and pooled vector also where a tower returns its tokens beside it (CoCa)."""

    def __init__(self, visual: torch.nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) to (n, d)."""
        output = self.visual(pixels)
        pooled: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return pooled


class ClipTexts:
    """A `TextEncoder`: the text half of an open_clip model. On CUDA it runs in float16, as `ImageNetwork` does."""

    def __init__(self, name: EncoderName, model: Any, tokenizer: Any, *, device: str, batch_size: int | None) -> None:
        self.name = str(name)
        self._device = torch.device(device)
        state = model.state_dict()
        del model.visual
        self._model = model.eval().to(self._device)
        self._tokenizer = tokenizer
        self._batches = ShrinkingBatches(batch_size or (256 if self._device.type == "cuda" else 16))
        self.dimension = int(self._features(["a"]).shape[1])
        self.provenance = describe(name, "caption", self.dimension, state, _DISTRIBUTION)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts, in their order; see `TextEncoder.encode`."""
        parts = self._batches.run(self._features, list(texts))
        vectors = np.concatenate(parts) if parts else np.empty((0, self.dimension), np.float32)
        return unit_rows(vectors, "text")

    def _features(self, texts: list[str]) -> npt.NDArray[np.float32]:
        tokens = self._tokenizer(texts).to(self._device)
        half = self._device.type == "cuda"
        with torch.inference_mode(), torch.autocast(self._device.type, dtype=torch.float16, enabled=half):
            result: npt.NDArray[np.float32] = self._model.encode_text(tokens).float().cpu().numpy()
        return result


def load_clip_images(name: EncoderName, device: str, batch_size: int | None) -> ImageNetwork:
    """Load the image half of an open_clip model; the text half is not kept.

    Raises:
        SettingsError: open_clip knows no such model or tag.
        WeightsUnavailable: The weights cannot be had.
    """
    model, transform = _model(name)
    return ImageNetwork(
        name,
        _ImageTower(model.visual),
        model.state_dict(),
        transform,
        device=device,
        batch_size=batch_size,
        distribution=_DISTRIBUTION,
    )


def load_clip_texts(name: EncoderName, device: str, batch_size: int | None) -> ClipTexts:
    """Load the text half of an open_clip model; the image half is not kept.

    Raises:
        SettingsError: open_clip knows no such model or tag.
        WeightsUnavailable: The weights cannot be had, or the tokenizer where it is not part of open_clip.
    """
    model, _ = _model(name)
    with from_hub(f"the tokenizer of {name.model}"):
        tokenizer = open_clip.get_tokenizer(name.model)
    return ClipTexts(name, model, tokenizer, device=device, batch_size=batch_size)


def _model(name: EncoderName) -> tuple[Any, Any]:
    """The whole model on the CPU and its evaluation transform."""
    models = open_clip.list_models()
    if name.model not in models:
        near = difflib.get_close_matches(name.model, models, n=5)
        raise SettingsError(f"open_clip has no model {name.model!r}. Close names: {', '.join(near) or 'none'}.")
    match name.provenance:
        case "path":
            with from_path(name.path, name.model), seeded():
                return _create(name.model, pretrained=str(name.path), require_pretrained=True)
        case "random":
            with from_hub(f"the text configuration of {name.model}"), seeded():
                return _create(name.model, pretrained=None, pretrained_text=False)
        case _:
            tags = open_clip.list_pretrained_tags_by_model(name.model)
            if name.weights not in tags:
                known = ", ".join(tags) or "none"
                raise SettingsError(f"open_clip has no weights {name.weights!r} of {name.model}; its tags: {known}.")
            quick = bool(open_clip.get_pretrained_cfg(name.model, name.weights).get("quick_gelu"))
            with from_hub(name.model), seeded():
                return _create(name.model, pretrained=name.weights, force_quick_gelu=quick, require_pretrained=True)


def _create(model: str, **options: Any) -> tuple[Any, Any]:
    created, _, transform = open_clip.create_model_and_transforms(model, **options)
    return created, transform
