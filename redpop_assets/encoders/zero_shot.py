"""What CLIP says a picture shows, without training: pictures compared with sentences, in one space of vectors.

A concept is the mean of the vectors of its prompts, L2-normalised again (prompt ensembling: Radford et al. 2021,
section 3.1.4). Concepts come in lists, and a picture's cosines with the concepts of a list become probabilities by a
softmax over the list after multiplication with CLIP's logit scale: 100 in its trained models, which learn the scale and
clip it there (section 2.5). So a number says which concept of its list fits best, not whether any fits. The list
`quality` is made of pairs of opposites; its numbers are the probability of the first of each pair, as in CLIP-IQA
(Wang et al. 2023).

The lists are RedPop's own and lie in `redpop_assets/encoders/data`: `sentiment_concepts.csv` holds adjective-noun pairs
in the spirit of SentiBank (Borth et al. 2013) with a valence of -1, 0 or 1, `zero_shot_concepts.csv` the others. The
valences were given by hand and rated by no panel. The spelling is American.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.encoders.base import TextEncoder, unit_rows

CODE_VERSION: Final = "1"
"""Raise it when the same vectors would get other numbers than before, and when a list or a template changes."""

LOGIT_SCALE: Final = 100.0

LISTS: Final[tuple[str, ...]] = ("anp", "people", "medium", "scene", "style", "quality")
_DATA = Path(__file__).parent / "data"
_NOBODY = "nobody"
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "anp": ("a photo of {}",),
    "people": ("{}", "a photo of {}", "a picture that shows {}"),
    "medium": ("{}", "{} posted on the internet"),
    "scene": ("{}", "a photo of {}", "a picture that shows {}"),
    "style": ("{}",),
    "quality": ("{}",),
}
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True)
class ConceptList:
    """Concepts that are compared with each other.

    `prompts` are the sentences of each concept. `opposites` are those of each one's counterpart, in a list of pairs,
    and empty in others; `valences` are -1, 0 or 1 per concept in the list of sentiments, and empty in others.
    """

    concepts: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    opposites: tuple[tuple[str, ...], ...] = ()
    valences: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Prototypes:
    """Vectors of the concepts of one list: (m, d) float32, L2-normalised; `opposites` likewise, or None."""

    concepts: ConceptList
    vectors: npt.NDArray[np.float32]
    opposites: npt.NDArray[np.float32] | None = None


@cache
def concept_lists() -> Mapping[str, ConceptList]:
    """The shipped lists, by the names of `LISTS`; concepts keep the order of the files."""
    pairs = list(_rows("sentiment_concepts.csv"))
    phrases = [f"{row['adjective']} {row['noun']}" for row in pairs]
    found = {
        "anp": ConceptList(
            tuple(phrase.replace(" ", "_") for phrase in phrases),
            tuple(_filled("anp", [phrase]) for phrase in phrases),
            valences=tuple(int(row["valence"]) for row in pairs),
        )
    }
    rows = list(_rows("zero_shot_concepts.csv"))
    for name in LISTS[1:]:
        own = [row for row in rows if row["list"] == name]
        concepts = tuple(dict.fromkeys(row["concept"] for row in own))
        of = {concept: [row for row in own if row["concept"] == concept] for concept in concepts}
        prompts = tuple(_filled(name, [row["phrase"] for row in of[concept]]) for concept in concepts)
        opposites = tuple(_filled(name, [row["opposite"] for row in of[concept]]) for concept in concepts)
        found[name] = ConceptList(concepts, prompts, opposites if all(row["opposite"] for row in own) else ())
    return found


def concept_vectors(encoder: TextEncoder, lists: Mapping[str, ConceptList]) -> dict[str, Prototypes]:
    """Encode the concepts; done once per encoder, for all pictures.

    Args:
        encoder: The text half of the CLIP that made the vectors of the pictures.
        lists: Such as `concept_lists()`.

    Raises:
        RedPopError: The vector of a prompt, or the mean of a concept, is zero or not finite.
    """
    made = {}
    for name, concepts in lists.items():
        opposites = _prototypes(encoder, concepts.opposites) if concepts.opposites else None
        made[name] = Prototypes(concepts, _prototypes(encoder, concepts.prompts), opposites)
    return made


def concept_scores(
    image_vectors: npt.NDArray[np.float32], prototypes: Mapping[str, Prototypes], *, logit_scale: float = LOGIT_SCALE
) -> dict[str, npt.NDArray[np.float32]]:
    """Probabilities of concepts.

    Args:
        image_vectors: (n, d), L2-normalised, of the same CLIP as the prototypes.
        prototypes: As `concept_vectors` made them.
        logit_scale: exp of the model's own logit scale; the higher, the surer.

    Returns:
        Per list its name -> (n, m) float32: rows sum to 1, except in lists of pairs, where each number is the
        probability of the first of its pair. Beside them, where their lists are given:

        * `valence`: (n,) expected valence, -1 to 1, of the list with valences;
        * `people_share`: (n,) probability, in the list `people`, of anything but `nobody`.

    Raises:
        ValueError: Vectors of pictures and concepts differ in dimension, or those of pictures are not L2-normalised.
    """
    scores: dict[str, npt.NDArray[np.float32]] = {}
    for name, prototype in prototypes.items():
        _require_comparable(image_vectors, prototype.vectors.shape[1])
        logits = logit_scale * _cosines(image_vectors, prototype.vectors)
        if prototype.opposites is None:
            probabilities = _softmax(logits)
        else:
            opposite = logit_scale * _cosines(image_vectors, prototype.opposites)
            probabilities = _softmax(np.stack([logits, opposite], axis=-1))[..., 0]
        scores[name] = probabilities.astype(np.float32)
        if prototype.concepts.valences:
            scores["valence"] = (probabilities @ np.asarray(prototype.concepts.valences, np.float64)).astype(np.float32)
        if name == "people":
            nobody = prototype.concepts.concepts.index(_NOBODY)
            scores["people_share"] = np.delete(probabilities, nobody, axis=1).sum(axis=1).astype(np.float32)
    return scores


def caption_image_agreement(
    caption_vectors: npt.NDArray[np.float32], image_vectors: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    """How well captions describe their pictures.

    A caption is read up to the context length of the model (77 tokens in CLIP's own). Cosines of matching pairs lie far
    below 1 in trained models: compare them with each other, not with 1.

    Args:
        caption_vectors: (n, d), L2-normalised, from the text half of a CLIP.
        image_vectors: (n, d), L2-normalised, from the image half of the same CLIP; row i belongs to caption i.

    Returns:
        Two columns, (n,) float32: `agreement`, the cosine, -1 to 1, and `inconsistency`, 1 - cosine, 0 to 2 (Hsu et
        al. 2024).

    Raises:
        ValueError: The arrays differ in shape or are not L2-normalised.
    """
    if caption_vectors.shape != image_vectors.shape:
        raise ValueError(f"captions have vectors of shape {caption_vectors.shape}, images of {image_vectors.shape}")
    _require_comparable(image_vectors, image_vectors.shape[-1])
    _require_comparable(caption_vectors, image_vectors.shape[-1])
    cosines = np.clip(np.einsum("ij,ij->i", caption_vectors, image_vectors, dtype=np.float64), -1, 1)
    return {"agreement": cosines.astype(np.float32), "inconsistency": (1 - cosines).astype(np.float32)}


def _prototypes(encoder: TextEncoder, prompts: tuple[tuple[str, ...], ...]) -> npt.NDArray[np.float32]:
    vectors = encoder.encode([prompt for own in prompts for prompt in own])
    ends = np.cumsum([len(own) for own in prompts])[:-1]
    means = np.stack([part.mean(axis=0, dtype=np.float64) for part in np.split(vectors, ends)])
    return unit_rows(means, "concept")


def _cosines(image_vectors: npt.NDArray[np.float32], concepts: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    cosines: npt.NDArray[np.float64] = image_vectors.astype(np.float64) @ concepts.astype(np.float64).T
    return cosines


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _require_comparable(vectors: npt.NDArray[np.float32], dimension: int) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(f"vectors of shape {vectors.shape} came where (n, {dimension}) is needed: of another encoder")
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) < _UNIT_TOLERANCE).all():
        raise ValueError("vectors are not L2-normalised")


def _filled(name: str, phrases: list[str]) -> tuple[str, ...]:
    return tuple(template.format(phrase) for phrase in phrases for template in _TEMPLATES[name])


def _rows(file_name: str) -> Iterator[dict[str, str]]:
    with (_DATA / file_name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
