"""From the 1,000 classes of ImageNet-1k to families of things: dogs, clothing, alcohol, shores.

A family is a noun of WordNet 3.0 (Princeton University; its licence lies beside the tables) and holds every class that
WordNet calls a kind of it. Families lie inside one another: a beagle is a dog, a domestic animal and an animal. Their
list, `data/wordnet_families.csv`, is chosen by hand: the six that Paul et al. (#LearnDeeply) report (domestic animal,
institution, alcohol, weapon, substance, tableware), and around them the nouns that cut the classes into groups a reader
can name. `data/imagenet_classes.csv` is made from it and from WordNet's `data.noun` by

    python -m redpop_assets.features.class_families --wordnet /usr/share/wordnet

WordNet decides what is a kind of what, not the eye: wheeled vehicles are containers there, "menu" and "plate" (classes
922 and 923) are food, and "cup" (968) is a punch and so alcohol.
"""

from __future__ import annotations

import csv
import math
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.errors import RedPopError
from redpop_assets.features.family import Encoders, Features, Subjects
from redpop_assets.features.family import Family as FeatureFamily

CODE_VERSION: Final = "1"
"""Raise it whenever the same probabilities would get other numbers than before, and when a table changes."""

COLUMNS: Final[tuple[str, ...]] = ("families", "top_classes", "top_probabilities", "peak", "entropy")
"""Columns of `object_features`: `families`, `top_classes` and `top_probabilities` have several numbers per image."""

CLASSES: Final = 1000
TOP: Final = 5
"""How many of the most probable classes are kept; #LearnDeeply takes five."""

_DATA = Path(__file__).parent / "data"
_FAMILIES_FILE = _DATA / "wordnet_families.csv"
_CLASSES_FILE = _DATA / "imagenet_classes.csv"
_CLASS_FIELDS = ("index", "wnid", "lemma", "lexname", "family", "family_lemma", "families")
_SUM_TOLERANCE = 1e-3
# Lexicographer files of nouns, in the order of lexnames(5WN), which begins with 03.
_FIRST_NOUN_FILE = 3
_NOUN_FILES = (
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling"),
    *("food", "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process"),
    *("quantity", "relation", "shape", "state", "substance", "time"),
)


@dataclass(frozen=True, slots=True)
class Family:
    """A noun of WordNet 3.0: `wnid` is n and the eight digits of its offset, `lemma` one of its words."""

    wnid: str
    lemma: str


@dataclass(frozen=True, slots=True)
class ImageNetClass:
    """One class of ImageNet-1k.

    `families` are the wnids of all families it belongs to, from the smallest to the largest (counted in classes);
    `family`, the first of them, is *the* family of the class where only one is wanted. `lexname` is the lexicographer
    file of the noun, such as noun.animal.
    """

    index: int
    wnid: str
    lemma: str
    lexname: str
    families: tuple[str, ...]

    @property
    def family(self) -> str:
        """Wnid of the smallest family that holds the class."""
        return self.families[0]


@cache
def families() -> tuple[Family, ...]:
    """The families, in the order of the columns of `family_probabilities`."""
    return tuple(Family(**row) for row in _rows(_FAMILIES_FILE))


@cache
def classes() -> tuple[ImageNetClass, ...]:
    """The 1,000 classes, in the order of the outputs of classifiers of ImageNet-1k."""
    return tuple(
        ImageNetClass(int(row["index"]), row["wnid"], row["lemma"], row["lexname"], tuple(row["families"].split()))
        for row in _rows(_CLASSES_FILE)
    )


@cache
def membership() -> npt.NDArray[np.float32]:
    """(1000, k) float32, read-only: 1 where the class (row) is a kind of the family (column)."""
    column = {family.wnid: position for position, family in enumerate(families())}
    table = np.zeros((CLASSES, len(column)), np.float32)
    for entry in classes():
        table[entry.index, [column[wnid] for wnid in entry.families]] = 1
    table.setflags(write=False)
    return table


def family_probabilities(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Probability that an image shows a kind of each family.

    Args:
        probabilities: (n, 1000), the softmax of a classifier of ImageNet-1k: rows are not negative and sum to 1.

    Returns:
        (n, k) float32 in the order of `families()`: sums over the classes of the family. Families overlap, so a row
        may sum to more than 1.

    Raises:
        ValueError: The probabilities have another shape, are negative or not finite, or do not sum to 1.
    """
    probabilities = _checked(probabilities)
    summed: npt.NDArray[np.float32] = np.clip(probabilities @ membership().astype(np.float64), 0, 1).astype(np.float32)
    return summed


def object_features(
    probabilities: npt.NDArray[np.floating],
) -> dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int32]]:
    """What a classifier saw, in few numbers.

    Args:
        probabilities: As for `family_probabilities`.

    Returns:
        The columns of `COLUMNS`:

        * `families`: (n, k) float32, see `family_probabilities`;
        * `top_classes`: (n, 5) int32, the most probable classes, best first, the lower index first among equals;
        * `top_probabilities`: (n, 5) float32, theirs;
        * `peak`: (n,) float32, the largest probability;
        * `entropy`: (n,) float32, Shannon entropy of the 1,000 probabilities divided by ln 1000: 0 when one class is
          certain, 1 when all are equally likely.

    Raises:
        ValueError: As for `family_probabilities`.
    """
    checked = _checked(probabilities)
    order = np.argsort(-checked, axis=1, kind="stable")[:, :TOP]
    logs = np.log(checked, out=np.zeros_like(checked), where=checked > 0)
    entropy = -(checked * logs).sum(axis=1) / math.log(CLASSES)
    return {
        "families": family_probabilities(checked),
        "top_classes": order.astype(np.int32),
        "top_probabilities": np.take_along_axis(checked, order, axis=1).astype(np.float32),
        "peak": checked.max(axis=1).astype(np.float32),
        "entropy": np.clip(entropy, 0, 1).astype(np.float32),
    }


def _checked(probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != CLASSES:
        raise ValueError(f"probabilities of shape {values.shape} came where (n, {CLASSES}) is needed")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("probabilities are negative or not finite; give the softmax, not the logits")
    if (np.abs(values.sum(axis=1) - 1) > _SUM_TOLERANCE).any():
        raise ValueError("probabilities do not sum to 1; give the softmax, not the logits")
    return values


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


# How data/imagenet_classes.csv is made.


@dataclass(frozen=True, slots=True)
class _Noun:
    words: tuple[str, ...]
    lexname: str
    hypernyms: tuple[str, ...]


def make_classes(nouns_file: Path, wnids: Sequence[str], wanted: Sequence[Family]) -> list[ImageNetClass]:
    """Find the families of classes in WordNet.

    Args:
        nouns_file: `data.noun` of WordNet 3.0.
        wnids: The wnids of the classes, in the order of their indices.
        wanted: The families to choose from; among families of one size the earlier one comes first.

    Raises:
        RedPopError: The file is not of WordNet 3.0 (a wnid is missing or a family has other words), or a class belongs
            to no family.
    """
    nouns = _read_nouns(nouns_file)
    for family in wanted:
        if family.wnid not in nouns or family.lemma not in nouns[family.wnid].words:
            raise RedPopError(f"{nouns_file} has no {family.lemma} as {family.wnid}: it is not that of WordNet 3.0.")
    if missing := [wnid for wnid in wnids if wnid not in nouns]:
        raise RedPopError(f"{nouns_file} lacks {missing[0]}: it is not that of WordNet 3.0.")
    above = [_with_hypernyms(wnid, nouns) for wnid in wnids]
    sizes = {family.wnid: sum(family.wnid in kinds for kinds in above) for family in wanted}
    made = []
    for index, (wnid, kinds) in enumerate(zip(wnids, above, strict=True)):
        own = sorted((family.wnid for family in wanted if family.wnid in kinds), key=lambda family: sizes[family])
        if not own:
            raise RedPopError(
                f"Class {index}, {nouns[wnid].words[0]}, belongs to no family: add one to {_FAMILIES_FILE}."
            )
        made.append(ImageNetClass(index, wnid, nouns[wnid].words[0], nouns[wnid].lexname, tuple(own)))
    return made


def _read_nouns(path: Path) -> Mapping[str, _Noun]:
    """Parse `data.noun`; its format is that of wndb(5WN)."""
    nouns = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" | ")[0].split()
            words_end = 4 + 2 * int(fields[3], 16)
            pointers = [fields[start : start + 4] for start in range(words_end + 1, len(fields) - 3, 4)]
            nouns[f"n{fields[0]}"] = _Noun(
                tuple(fields[4:words_end:2]),
                f"noun.{_NOUN_FILES[int(fields[1]) - _FIRST_NOUN_FILE]}",
                tuple(f"n{offset}" for symbol, offset, _, _ in pointers if symbol in {"@", "@i"}),
            )
    return nouns


def _with_hypernyms(wnid: str, nouns: Mapping[str, _Noun]) -> set[str]:
    """A noun and all it is a kind of."""
    found: set[str] = set()
    pending = [wnid]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending += nouns[current].hypernyms
    return found


def write_classes(made: Sequence[ImageNetClass], path: Path) -> None:
    """Write the table of classes as CSV."""
    lemmas = {family.wnid: family.lemma for family in families()}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_CLASS_FIELDS)
        for entry in made:
            own = (entry.family, lemmas[entry.family], " ".join(entry.families))
            writer.writerow((entry.index, entry.wnid, entry.lemma, entry.lexname, *own))


def _main(arguments: Sequence[str]) -> None:
    from timm.data.imagenet_info import ImageNetInfo

    parser = ArgumentParser(description="Make the table of ImageNet's classes and their families from WordNet 3.0.")
    parser.add_argument("--wordnet", type=Path, required=True, help="folder that holds data.noun of WordNet 3.0")
    folder = parser.parse_args(arguments).wordnet
    write_classes(make_classes(folder / "data.noun", ImageNetInfo().label_names(), families()), _CLASSES_FILE)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    _main(sys.argv[1:])


def _of_pictures(subjects: Subjects, encoders: Encoders) -> Features | None:
    shares = subjects.probabilities(encoders.objects)
    return None if shares is None or shares.shape[1] != CLASSES else object_features(shares)


FAMILY: Final = FeatureFamily(
    "objects",
    "features.image_objects",
    "picture",
    CODE_VERSION,
    _of_pictures,
    networks=(("encoder", "objects"),),
    made_from=("features.image_classes",),
    note="From the classes of the first image encoder of timm, if it sorts into the 1,000 of ImageNet; empty without "
    "one.",
)
