import os

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported: no test may ask the hub

import torch
from transformers import BertForSequenceClassification, BertTokenizerFast

from redpop_assets.errors import SettingsError, WeightsUnavailable
from redpop_assets.features.emotions import CODE_VERSION, load_emotions
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.schema import load_schema
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.tiny_networks import LABELS, save_network

pytestmark = pytest.mark.integration

CAPTIONS = ["my cat", "", "i love this old harbour", "sunset over the harbour", "rain " * 300, "the cat", "🐶"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp("emotions"))


@pytest.fixture(scope="module")
def emotions(folder):
    return load_emotions(folder, device="cpu", batch_size=2)


def test_the_table_has_a_column_for_labels_and_one_for_probabilities():
    table = load_schema()["features.caption_emotions"]
    assert table.column_names == ("caption_sha256", "model", "code_version", "labels", "probabilities")


def test_the_warehouse_takes_them(emotions, tmp_path):
    warehouse = blank_warehouse(tmp_path)
    probabilities = emotions.probabilities(CAPTIONS)
    count = len(CAPTIONS)
    rows = {
        "caption_sha256": [str(row) for row in range(count)],
        "model": [emotions.model] * count,
        "code_version": [CODE_VERSION] * count,
        "labels": [emotions.labels] * count,
        "probabilities": probabilities,
    }
    warehouse.merge("features.caption_emotions", arrow_table(rows))
    stored = warehouse.query("SELECT labels, probabilities FROM features.caption_emotions ORDER BY caption_sha256")
    assert stored.column("labels").to_pylist() == [list(LABELS.values())] * count
    np.testing.assert_array_equal(stored.column("probabilities").to_pylist(), probabilities)


def test_labels_are_those_of_the_network(emotions, folder):
    assert emotions.labels == ("joy", "sadness", "anger")
    assert emotions.model == folder


def test_each_caption_gets_what_the_network_says_of_it_alone(emotions, folder):
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    network = BertForSequenceClassification.from_pretrained(folder).eval()
    probabilities = emotions.probabilities(CAPTIONS)
    assert probabilities.shape == (len(CAPTIONS), 3)
    assert probabilities.dtype == np.float32
    for caption, row in zip(CAPTIONS, probabilities, strict=True):
        with torch.inference_mode():
            logits = network(**tokenizer(caption, truncation=True, max_length=64, return_tensors="pt")).logits
        np.testing.assert_allclose(row, torch.softmax(logits, dim=-1)[0].numpy(), atol=1e-6)


def test_rows_sum_to_one_and_differ(emotions):
    probabilities = emotions.probabilities(CAPTIONS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(probabilities, axis=0).max() > 0.01


def test_order_and_company_of_captions_do_not_matter(emotions):
    together = emotions.probabilities(CAPTIONS)
    np.testing.assert_allclose(emotions.probabilities(CAPTIONS[::-1])[::-1], together, atol=1e-6)
    for caption, row in zip(CAPTIONS, together, strict=True):
        np.testing.assert_allclose(emotions.probabilities([caption])[0], row, atol=1e-6)


def test_a_network_that_answers_for_each_emotion_apart_is_no_distribution(tmp_path):
    apart = load_emotions(save_network(tmp_path / "apart", problem_type="multi_label_classification"), device="cpu")
    probabilities = apart.probabilities(CAPTIONS)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert not np.allclose(probabilities.sum(axis=1), 1)


def test_no_captions_give_no_rows(emotions):
    assert emotions.probabilities([]).shape == (0, 3)


def test_a_network_without_a_head_is_refused_and_not_filled(tmp_path):
    with pytest.raises(WeightsUnavailable, match=r"lacks 2 tensors, such as classifier\.bias") as caught:
        load_emotions(save_network(tmp_path / "headless", with_head=False), device="cpu")
    assert "REDPOP_EMOTION_MODEL" in str(caught.value)


def test_weights_that_are_not_finite_are_an_error(folder):
    broken = load_emotions(folder, device="cpu")
    with torch.no_grad():
        broken._network.classifier.bias[0] = float("nan")
    with pytest.raises(WeightsUnavailable, match="not finite"):
        broken.probabilities(["my cat"])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("/no/such/folder", "there is no /no/such/folder"),
        ("", "no model is named"),
        ("someone/an-emotion-model", "cannot be reached"),
    ],
)
def test_a_model_that_cannot_be_had_is_an_error_that_says_what_helps(model, reason):
    with pytest.raises(WeightsUnavailable, match=reason) as caught:
        load_emotions(model, device="cpu")
    assert "REDPOP_EMOTION_MODEL" in str(caught.value)


def test_a_folder_without_a_network_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no network")
    with pytest.raises(WeightsUnavailable, match="holds no weights"):
        load_emotions(str(tmp_path), device="cpu")


def test_a_device_that_is_not_there_is_an_error(folder):
    with pytest.raises(SettingsError, match="REDPOP_DEVICE"):
        load_emotions(folder, device="gpu")
