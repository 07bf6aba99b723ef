import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.encoders.load import load_image_encoder, load_text_encoder
from redpop_assets.encoders.zero_shot import (
    CODE_VERSION,
    LISTS,
    ConceptList,
    Prototypes,
    caption_image_agreement,
    concept_lists,
    concept_scores,
    concept_vectors,
)
from redpop_assets.features import class_families
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration

DATA = Path(class_families.__file__).parent / "data"
CLIP = "open_clip:ViT-S-32-alt/random"


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class PlantedTexts:
    """A text encoder that knows a direction for each sentence and nothing else."""

    name = "planted"
    dimension = 96
    provenance = None

    def __init__(self, lists, noise=0.3):
        random = np.random.default_rng(11)
        self.directions = {}
        self.vectors = {}
        for name, concepts in lists.items():
            for side in (concepts.prompts, concepts.opposites):
                for position, prompts in enumerate(side):
                    direction = unit(random.normal(size=self.dimension))
                    self.directions[name, side is concepts.opposites, position] = direction
                    for prompt in prompts:
                        off = noise * unit(random.normal(size=self.dimension))
                        self.vectors[prompt] = unit(direction + off)

    def encode(self, texts):
        return np.stack([self.vectors[text] for text in texts])


@pytest.fixture(scope="module")
def planted():
    encoder = PlantedTexts(concept_lists())
    return encoder, concept_vectors(encoder, concept_lists())


def test_the_lists_are_of_the_announced_size():
    lists = concept_lists()
    assert tuple(lists) == LISTS
    assert 200 <= len(lists["anp"].concepts) <= 300
    assert len(lists["people"].concepts) == 5
    for name, concepts in lists.items():
        assert len(set(concepts.concepts)) == len(concepts.concepts) == len(concepts.prompts), name
        prompts = [prompt for own in (*concepts.prompts, *concepts.opposites) for prompt in own]
        assert len(set(prompts)) == len(prompts), f"{name} says a sentence twice"
        assert all(prompt.strip() == prompt and "{" not in prompt for prompt in prompts)
    assert [bool(lists[name].opposites) for name in LISTS] == [False] * 5 + [True]


def test_valences_are_given_to_all_pairs_and_balanced():
    valences = concept_lists()["anp"].valences
    assert len(valences) == len(concept_lists()["anp"].concepts)
    assert set(valences) == {-1, 0, 1}
    assert min(valences.count(1), valences.count(-1)) > 0.25 * len(valences)
    assert all(not concept_lists()[name].valences for name in LISTS[1:])


def test_planted_concepts_are_recovered(planted):
    encoder, prototypes = planted
    for name, prototype in prototypes.items():
        own = np.stack([encoder.directions[name, False, i] for i in range(len(prototype.concepts.concepts))])
        found = concept_scores(own, {name: prototype})[name]
        if prototype.opposites is None:
            assert found.argmax(axis=1).tolist() == list(range(len(own))), name
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        else:
            assert (np.diag(found) > 0.99).all()
            other = np.stack([encoder.directions[name, True, i] for i in range(len(own))])
            assert (np.diag(concept_scores(other, {name: prototype})[name]) < 0.01).all()


def test_a_pleasant_picture_has_a_higher_valence(planted):
    encoder, prototypes = planted
    valences = np.array(concept_lists()["anp"].valences)
    own = np.stack([encoder.directions["anp", False, i] for i in range(len(valences))])
    found = concept_scores(own, {"anp": prototypes["anp"]})["valence"]
    np.testing.assert_allclose(found, valences, atol=0.05)


def test_people_share_is_all_but_nobody(planted):
    encoder, prototypes = planted
    own = np.stack([encoder.directions["people", False, i] for i in range(5)])
    found = concept_scores(own, prototypes)
    np.testing.assert_allclose(found["people_share"], 1 - found["people"][:, 0], atol=1e-6)
    assert found["people_share"][0] < 0.05 < 0.95 < found["people_share"][1:].min()


def test_scores_by_hand():
    concepts = ConceptList(("nobody", "crowd"), (("a",), ("b",)), valences=(1, -1))
    pairs = ConceptList(("good",), (("c",),), (("d",),))
    east, north = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    prototypes = {
        "people": Prototypes(concepts, np.concatenate([east, north])),
        "quality": Prototypes(pairs, east, north),
    }
    picture = np.array([[0.6, 0.8]], np.float32)
    found = concept_scores(picture, prototypes, logit_scale=10)
    crowd = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(found["people"], [[1 - crowd, crowd]], rtol=1e-5)
    np.testing.assert_allclose(found["people_share"], [crowd], rtol=1e-5)
    np.testing.assert_allclose(found["valence"], [1 - 2 * crowd], rtol=1e-5)
    np.testing.assert_allclose(found["quality"], [[1 - crowd]], rtol=1e-5)


def test_a_prototype_is_the_unit_mean_of_its_prompts():
    lists = {"scene": ConceptList(("one", "two"), (("a", "b"), ("c",)))}
    encoder = PlantedTexts(lists)
    made = concept_vectors(encoder, lists)["scene"].vectors
    np.testing.assert_allclose(made[0], unit(encoder.vectors["a"] + encoder.vectors["b"]), atol=1e-6)
    np.testing.assert_allclose(made[1], encoder.vectors["c"], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(1, 200))
def test_scores_are_finite_and_in_range_whatever_the_pictures(seed, scale):
    lists = {name: concept_lists()[name] for name in ("people", "quality")}
    prototypes = concept_vectors(PlantedTexts(lists), lists)
    pictures = unit(np.random.default_rng(seed).normal(size=(4, PlantedTexts.dimension)))
    for values in concept_scores(pictures, prototypes, logit_scale=scale).values():
        assert values.dtype == np.float32
        assert ((values >= 0) & (values <= 1 + 1e-6)).all()


def test_columns_are_those_of_the_warehouse(planted):
    _, prototypes = planted
    found = concept_scores(np.empty((0, PlantedTexts.dimension), np.float32), prototypes)
    types = {column.name: column.type for column in load_schema()["features.image_concepts"].columns}
    assert set(types) == {"image_sha256", "encoder", "code_version", *found}
    for name, values in found.items():
        assert types[name] == ("FLOAT" if values.ndim == 1 else f"FLOAT[{values.shape[1]}]")


def test_comments_of_the_warehouse_list_the_concepts_in_order():
    comments = {column.name: column.description for column in load_schema()["features.image_concepts"].columns}
    for name in LISTS[1:]:
        assert ", ".join(concept_lists()[name].concepts).replace("_", " ") in comments[name]


def test_the_lists_change_only_with_the_code_version():
    prompts = repr(
        {name: (own.concepts, own.prompts, own.opposites, own.valences) for name, own in concept_lists().items()}
    )
    assert (CODE_VERSION, hashlib.sha256(prompts.encode()).hexdigest()[:16]) == ("1", "0480f5865bd08f29")


def test_vectors_of_another_encoder_are_refused(planted):
    _, prototypes = planted
    with pytest.raises(ValueError, match=r"\(n, 96\) is needed: of another encoder"):
        concept_scores(unit(np.ones((1, 95))), prototypes)
    with pytest.raises(ValueError, match="not L2-normalised"):
        concept_scores(np.ones((1, 96), np.float32), prototypes)


def test_agreement_is_the_cosine_of_each_pair():
    captions = unit([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    images = unit([[1, 0, 0], [0, -1, 0], [0, 0, 1]])
    found = caption_image_agreement(captions, images)
    np.testing.assert_allclose(found["agreement"], [1, -1, 0], atol=1e-6)
    np.testing.assert_allclose(found["inconsistency"], [0, 2, 1], atol=1e-6)
    columns = load_schema()["features.caption_image_agreement"].column_names
    assert columns == ("caption_sha256", "image_sha256", "encoder", "code_version", *found)


def test_agreement_of_arrays_that_do_not_pair_is_refused():
    with pytest.raises(ValueError, match="captions have vectors of shape"):
        caption_image_agreement(unit(np.ones((2, 3))), unit(np.ones((1, 3))))
    with pytest.raises(ValueError, match="not L2-normalised"):
        caption_image_agreement(np.ones((2, 3), np.float32), unit(np.ones((2, 3))))


def test_a_clip_goes_from_pictures_and_sentences_to_scores(photos):
    images, texts = load_image_encoder(CLIP, device="cpu"), load_text_encoder(CLIP, device="cpu")
    lists = {name: concept_lists()[name] for name in ("people", "quality")}
    vectors = images.encode(photos)
    found = concept_scores(vectors, concept_vectors(texts, lists))
    assert {name: values.shape for name, values in found.items()} == {
        "people": (2, 5),
        "people_share": (2,),
        "quality": (2, 16),
    }
    agreement = caption_image_agreement(texts.encode(["a Chinese palace", "a flower"]), vectors)["agreement"]
    assert (np.abs(agreement) < 1).all()
