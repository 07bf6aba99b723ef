"""Which emotions a caption expresses, as a text-classification network of transformers sees them.

The network and its emotions are the user's choice, such as the 28 of GoEmotions (Demszky et al. 2020); RedPop brings
none. The lexica of `redpop_assets.features.captions` are there without any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from redpop_assets.arrays import np, npt, pa
from redpop_assets.errors import WeightsUnavailable
from redpop_assets.features.family import Encoders, Family, Features, Subjects

CODE_VERSION: Final = "1"
"""Raise it whenever the same caption and model would get other probabilities than before."""

_SETTING: Final = "REDPOP_EMOTION_MODEL"


class Emotions:
    """A text-classification network with its tokenizer.

    Attributes:
        model: name of the network in the warehouse, as in `load_emotions`.
        labels: its k classes, in the order of `probabilities`.
    """

    def __init__(
        self, model: str, tokenizer: Any, network: Any, *, device: str = "cpu", batch_size: int | None = None
    ) -> None:
        from redpop_assets.encoders.batches import ShrinkingBatches

        self.model = model
        config = network.config
        self.labels = tuple(str(config.id2label[number]) for number in range(config.num_labels))
        self._tokenizer = tokenizer
        self._network = network.eval().to(device)
        self._half = device.startswith("cuda")
        self._batches = ShrinkingBatches(batch_size or (256 if self._half else 32))
        self._answers_apart = config.problem_type == "multi_label_classification"
        limits = (tokenizer.model_max_length, getattr(config, "max_position_embeddings", None))
        self._longest = min(512, *(limit for limit in limits if limit))

    def probabilities(self, captions: Sequence[str]) -> npt.NDArray[np.float32]:
        """Probabilities of the emotions.

        Captions of the same number of tokens share a batch, so nothing is padded and a caption's row hardly depends on
        its neighbours (rounding apart). On CUDA the network runs in float16.

        Args:
            captions: n titles; longer ones than the network takes (512 tokens at most) are cut.

        Returns:
            (n, k) float32, 0 to 1. Rows sum to 1, unless the network answers for each emotion apart (its configuration
            says `multi_label_classification`).

        Raises:
            WeightsUnavailable: the network gives what is not finite.
        """
        result = np.empty((len(captions), len(self.labels)), dtype=np.float32)
        for rows in self._rows_of_equal_length(captions):
            parts = self._batches.run(self._answer, [captions[row] for row in rows])
            result[rows] = np.concatenate(parts)
        if not np.isfinite(result).all():
            raise WeightsUnavailable(
                f"The emotion model {self.model} gives numbers that are not finite: its weights are damaged. "
                f"Set {_SETTING} to another model, or to nothing to go without."
            )
        return result

    def _rows_of_equal_length(self, captions: Sequence[str]) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the indices of the captions with one number of tokens after another."""
        if not captions:
            return
        encoded = self._tokenizer(list(captions), truncation=True, max_length=self._longest)
        lengths = np.array([len(tokens) for tokens in encoded["input_ids"]], dtype=np.int64)
        order = np.argsort(lengths, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)

    def _answer(self, captions: list[str]) -> npt.NDArray[np.float32]:
        import torch

        inputs = self._tokenizer(captions, truncation=True, max_length=self._longest, return_tensors="pt")
        inputs = inputs.to(self._network.device)
        with torch.inference_mode(), torch.autocast("cuda", dtype=torch.float16, enabled=self._half):
            logits = self._network(**inputs).logits.float()
        answers = torch.sigmoid(logits) if self._answers_apart else torch.softmax(logits, dim=-1)
        probabilities: npt.NDArray[np.float32] = answers.cpu().numpy()
        return probabilities


def load_emotions(model: str, *, device: str = "auto", batch_size: int | None = None) -> Emotions:
    """Load a text-classification network.

    Args:
        model: name on the model hub (SamLowe/roberta-base-go_emotions), or the path of a folder, saved by
            transformers, that starts with `/`, `./`, `../` or `~`.
        device: auto, cpu, cuda or cuda:<n>.
        batch_size: captions per forward pass; None chooses for the device. Halved when memory runs out.

    Raises:
        SettingsError: there is no such device.
        WeightsUnavailable: the network or its tokenizer cannot be had, or its weights are not whole; the message says
            what to do.
    """
    from redpop_assets.encoders.load import resolve_device
    from redpop_assets.encoders.weights import from_hub, from_path

    target = resolve_device(device)
    try:
        if not model:
            raise WeightsUnavailable("no model is named.")
        if model.startswith(("/", "./", "../", "~")):
            path = Path(model).expanduser()
            with from_path(path, "a text classification of transformers"):
                tokenizer, network = _load(str(path), only_local=True)
        else:
            with from_hub(model):
                tokenizer, network = _load(model, only_local=False)
    except WeightsUnavailable as error:
        raise WeightsUnavailable(
            f"The emotion model {model!r} cannot be had: {error} What helps: load it once where the model hub can be "
            f"reached (its cache is used from then on); set {_SETTING} to the path of a folder that holds it "
            "(/data/my_model); or set it to nothing to go without."
        ) from error
    return Emotions(model, tokenizer, network, device=target, batch_size=batch_size)


def _load(source: str, *, only_local: bool) -> tuple[Any, Any]:
    """Tokenizer and network, no tensor of which was made up."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from redpop_assets.encoders.weights import seeded

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=only_local)
    with seeded():
        network, report = AutoModelForSequenceClassification.from_pretrained(
            source, local_files_only=only_local, output_loading_info=True
        )
    # transformers fills what a file lacks with random numbers, such as the whole head of a network without one.
    missing = sorted(report["missing_keys"])
    if missing:
        raise WeightsUnavailable(f"{source} lacks {len(missing)} tensors, such as {missing[0]}.")
    return tokenizer, network


def _of_captions(subjects: Subjects, encoders: Encoders) -> Features:
    name, networks = encoders.emotions, subjects.networks
    model = networks.kept(("emotions", name), lambda: load_emotions(name, device=networks.device))
    labels = pa.array([list(model.labels)] * len(subjects), pa.list_(pa.string()))
    return {"probabilities": model.probabilities(subjects.captions), "labels": labels}


FAMILY: Final = Family(
    "emotions",
    "features.caption_emotions",
    "caption",
    CODE_VERSION,
    _of_captions,
    networks=(("model", "emotions"),),
    on_device=True,
    note="By the transformers model of REDPOP_EMOTION_MODEL, once per caption and model; empty without one.",
)
