"""Both halves of open_clip models: the image tower, and the text tower, whose vectors lie in the same space."""

import difflib
from collections.abc import Sequence
from typing import Any

import open_clip
import torch
from open_clip.transformer import text_global_pool

from redpop_assets.encoders.image_network import ImageNetwork
from redpop_assets.encoders.names import EncoderName
from redpop_assets.encoders.text_network import PaddedTokens, TextNetwork
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


class _TextTower(torch.nn.Module):
    """The text half alone, for captions of one length.

    A causal tower never looks behind the token where it pools, so captions may end there; others get the full length.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        del model.visual
        self.network = model
        self.ends_early = (
            type(model) is open_clip.CLIP and model.attn_mask is not None and model.text_pool_type == "argmax"
        )

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor]:
        """(n, length) to (n, d)."""
        model = self.network
        if not self.ends_early:
            return (model.encode_text(tokens),)
        length = tokens.shape[1]
        hidden = model.token_embedding(tokens) + model.positional_embedding[:length]
        hidden = model.ln_final(model.transformer(hidden, attn_mask=model.attn_mask[:length, :length]))
        pooled = text_global_pool(hidden, tokens, model.text_pool_type)
        projection = model.text_projection
        if projection is None:
            return (pooled,)
        return (projection(pooled) if isinstance(projection, torch.nn.Module) else pooled @ projection,)


def load_clip_images(name: EncoderName, devices: Sequence[str], batch_size: int | None) -> ImageNetwork:
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
        devices=devices,
        batch_size=batch_size,
        distribution=_DISTRIBUTION,
    )


def load_clip_texts(name: EncoderName, devices: Sequence[str], batch_size: int | None) -> TextNetwork:
    """Load the text half of an open_clip model; the image half is not kept.

    Raises:
        SettingsError: open_clip knows no such model or tag.
        WeightsUnavailable: The weights cannot be had, or the tokenizer where it is not part of open_clip.
    """
    model, _ = _model(name)
    with from_hub(f"the tokenizer of {name.model}"):
        tokenizer = open_clip.get_tokenizer(name.model)
    state = model.state_dict()
    tower = _TextTower(model)

    def tokenise(texts: list[str]) -> PaddedTokens:
        tokens = tokenizer(texts)
        ends = tokens.argmax(dim=1) if tower.ends_early else torch.full((len(texts),), tokens.shape[1])
        return PaddedTokens((tokens,), torch.arange(tokens.shape[1]) <= ends[:, None])

    return TextNetwork(
        name,
        tower,
        tokenise,
        state,
        devices=devices,
        batch_size=batch_size,
        distribution=_DISTRIBUTION,
    )


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
