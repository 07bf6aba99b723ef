from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from safetensors.numpy import save_file as save_numpy_file
from safetensors.torch import save_file

from redpop_assets.encoders.aesthetic import load_aesthetic
from redpop_assets.encoders.heads import ScorerProvenance
from redpop_assets.encoders.iipa import IntrinsicPopularity, load_iipa
from redpop_assets.encoders.load import load_image_encoder
from redpop_assets.encoders.nima import NimaHead, NimaNetwork, load_nima, load_nima_head, rating_moments
from redpop_assets.errors import RedPopError, SettingsError, WeightsUnavailable
from redpop_assets.features.class_families import families, object_features
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration

RATINGS = np.arange(1, 11)
COLUMNS = ("score", "spread")
SMALL = "test_resnet"
RANDOM = ScorerProvenance("test", "test", "random", "", "")

distributions = arrays(np.float64, (4, 10), elements=st.floats(0, 1)).map(
    lambda values: (values + 1e-6) / (values + 1e-6).sum(axis=1, keepdims=True)
)


def all_on(rating):
    return np.eye(10)[[rating - 1]]


@pytest.fixture(scope="session")
def iipa_file(tmp_path_factory):
    """A ResNet-50 in the names of the published file, with weights of its own."""
    from torchvision.models import resnet50

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("iipa") / "iipa.pth"
    torch.save(resnet50(weights=None, num_classes=1).state_dict(), path)
    return path


class Mean(torch.nn.Module):
    """What arrives at the network: the mean of each picture's input."""

    def forward(self, pixels):
        self.shape = tuple(pixels.shape)
        return pixels.mean(dim=(1, 2, 3))[:, None]


class VectorsOf:
    """An encoder whose vectors say how bright a picture is, as an angle."""

    def __init__(self, provenance):
        self.provenance = provenance

    def encode(self, images):
        angles = np.array([np.asarray(image).mean() / 255 for image in images])
        vectors = np.zeros((len(images), self.provenance.dimension), np.float32)
        vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
        return vectors


@pytest.fixture
def encoder(bundled_images):
    return VectorsOf(replace(bundled_images.provenance, dimension=4))


# Intrinsic popularity.


@pytest.mark.parametrize("size", [(224, 224), (640, 300), (50, 90)])
def test_iipa_sees_values_of_0_to_1_and_no_imagenet_mean(size):
    stand_in = Mean()
    scorer = IntrinsicPopularity(stand_in, RANDOM, device="cpu", batch_size=None)
    scores = scorer.score([Image.new("RGB", size, (128, 128, 128)), Image.new("RGB", size, (255, 0, 0))])
    np.testing.assert_allclose(scores["score"], [128 / 255, 1 / 3], rtol=1e-6)
    assert stand_in.shape == (2, 3, 224, 224)


def test_iipa_squeezes_the_whole_picture_and_crops_nothing():
    picture = Image.new("RGB", (800, 200))
    picture.paste((255, 255, 255), (0, 0, 100, 200))  # an eighth, which a centre crop would not see
    scorer = IntrinsicPopularity(Mean(), RANDOM, device="cpu", batch_size=None)
    assert scorer.score([picture])["score"][0] == pytest.approx(1 / 8, abs=0.002)


def test_iipa_weights_by_path_give_the_reference_scores(iipa_file, variants):
    from torchvision.models import resnet50
    from torchvision.transforms.functional import resize, to_tensor

    reference = resnet50(weights=None, num_classes=1)
    reference.load_state_dict(torch.load(iipa_file, weights_only=True))
    reference.eval()
    with torch.inference_mode():
        expected = reference(torch.stack([to_tensor(resize(image, [224, 224])) for image in variants[:3]]))
    scorer = load_iipa(str(iipa_file), batch_size=2)
    found = scorer.score(variants[:3])
    assert tuple(found) == COLUMNS
    np.testing.assert_allclose(found["score"], expected[:, 0].numpy(), rtol=1e-4, atol=1e-5)
    assert found["spread"].tolist() == [0, 0, 0]
    assert (scorer.name, scorer.provenance.weights, scorer.provenance.network) == ("iipa", "path", "resnet50")


def test_iipa_is_untrained_only_when_random_is_written_out(iipa_file):
    first, second = load_iipa("random"), load_iipa("random")
    assert first.provenance == second.provenance
    assert first.provenance.weights == "random"
    assert first.provenance.weights_sha256 != load_iipa(str(iipa_file)).provenance.weights_sha256
    with pytest.raises(SettingsError, match="REDPOP_IIPA_WEIGHTS is not set"):
        load_iipa("")


def test_a_missing_file_names_the_setting(tmp_path, encoder):
    absent = str(tmp_path / "absent.pth")
    for setting, load in {
        "REDPOP_IIPA_WEIGHTS": load_iipa,
        "REDPOP_NIMA_WEIGHTS": load_nima,
        "REDPOP_AESTHETIC_WEIGHTS": lambda path: load_aesthetic(path, encoder.provenance),
    }.items():
        with pytest.raises(WeightsUnavailable, match=rf"absent\.pth\. Change {setting}"):
            load(absent)
        with pytest.raises(SettingsError, match=f"{setting} is not set"):
            load("")


def test_wrong_tensors_are_refused_by_name(iipa_file, tmp_path):
    state = torch.load(iipa_file, weights_only=True)
    wrong = {
        r"the tensor fc.weight is of shape \(1000, 2048\) where \(1, 2048\) is needed": {
            **state,
            "fc.weight": torch.zeros(1000, 2048),
        },
        "it lacks the tensor layer2.0.conv1.weight": {k: v for k, v in state.items() if k != "layer2.0.conv1.weight"},
        "the tensor extra.bias does not belong": {**state, "extra.bias": torch.zeros(1)},
    }
    for message, tensors in wrong.items():
        torch.save(tensors, tmp_path / "wrong.pth")
        with pytest.raises(WeightsUnavailable, match=message):
            load_iipa(str(tmp_path / "wrong.pth"))


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    import collections
    import pickle

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(collections.Counter))
    with pytest.raises(WeightsUnavailable, match="REDPOP_IIPA_WEIGHTS"):
        load_iipa(str(tmp_path / "evil.pth"))


def test_an_unreadable_picture_is_named(tmp_path):
    Image.effect_noise((300, 300), 80).convert("RGB").save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:5_000])
    scorer = IntrinsicPopularity(Mean(), RANDOM, device="cpu", batch_size=None)
    with Image.open(tmp_path / "cut.jpg") as cut, pytest.raises(RedPopError, match=r"Image 1 \(of 2"):
        scorer.score([Image.new("RGB", (9, 9)), cut])


def test_a_score_that_is_not_finite_is_named():
    network = torch.nn.Sequential(Mean(), torch.nn.Linear(1, 1))
    with torch.no_grad():
        network[1].weight.fill_(float("inf"))
        network[1].bias.fill_(float("-inf"))
    scorer = IntrinsicPopularity(network, RANDOM, device="cpu", batch_size=None)
    with pytest.raises(RedPopError, match=r"image 0 \(of 1, counted from 0\) is not finite"):
        scorer.score([Image.new("RGB", (9, 9), (1, 1, 1))])


def test_no_images_give_no_scores():
    found = load_nima("random", backbone=SMALL).score([])
    assert {name: values.shape for name, values in found.items()} == {"score": (0,), "spread": (0,)}


# NIMA: the moments.


@given(distributions)
def test_moments_are_those_of_the_ratings(shares):
    found = rating_moments(shares)
    for row, score, spread in zip(shares, found["score"], found["spread"], strict=True):
        assert score == pytest.approx(np.average(RATINGS, weights=row), rel=1e-5)
        assert spread == pytest.approx(np.sqrt(np.cov(RATINGS, aweights=row, ddof=0)), rel=1e-4)


def test_the_ends_of_the_scale():
    certain = rating_moments(all_on(10))
    assert (certain["score"][0], certain["spread"][0]) == (10, 0)
    split = rating_moments((all_on(1) + all_on(10)) / 2)
    assert (split["score"][0], split["spread"][0]) == (5.5, 4.5)


# NIMA: the networks.


@pytest.mark.parametrize("form", ["pth", "safetensors", "training.pth"])
def test_nima_weights_by_path_give_the_distributions_of_timm(form, tmp_path, photos):
    torch.manual_seed(5)
    network = timm.create_model(SMALL, num_classes=10).eval()
    path = tmp_path / f"nima.{form}"
    match form:
        case "pth":
            torch.save(network.state_dict(), path)
        case "safetensors":
            save_file(network.state_dict(), path)
        case _:
            torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)
    scorer = load_nima(str(path), backbone=SMALL)
    assert scorer.provenance.weights == "path"
    shares = scorer.distributions(photos)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    config = timm.data.resolve_model_data_config(network)
    size = config["input_size"][1:]
    pixels = np.stack([np.asarray(photo.resize(size, Image.Resampling.BILINEAR)) for photo in photos]) / 255
    inputs = torch.from_numpy((pixels - config["mean"]) / config["std"]).float().permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = torch.softmax(network(inputs), dim=1).numpy()
    np.testing.assert_allclose(shares, expected, atol=1e-4)
    np.testing.assert_allclose(scorer.score(photos)["score"], expected @ RATINGS, atol=1e-3)


def test_nima_weights_of_another_head_are_refused(tmp_path):
    network = timm.create_model(SMALL, num_classes=1000)
    torch.save(network.state_dict(), tmp_path / "wrong.pth")
    with pytest.raises(WeightsUnavailable, match=r"the tensor fc.weight is of shape \(1000, .*REDPOP_NIMA_WEIGHTS"):
        load_nima(str(tmp_path / "wrong.pth"), backbone=SMALL)


def test_an_unknown_backbone_is_a_setting_to_change():
    with pytest.raises(SettingsError, match="timm has no model 'resnet-fifty'"):
        load_nima("random", backbone="resnet-fifty")


def test_nima_sees_the_whole_picture():
    class Ends(torch.nn.Module):
        pretrained_cfg = timm.create_model(SMALL).pretrained_cfg

        def forward(self, pixels):
            return pixels[:, 0, :, [0, -1]].mean(dim=1).repeat(1, 5)

    picture = Image.new("RGB", (400, 100))
    picture.paste((255, 255, 255), (380, 0, 400, 100))
    shares = NimaNetwork(Ends(), RANDOM, device="cpu", batch_size=None).distributions([picture])
    assert shares[0, 1] > 2 * shares[0, 0]


# NIMA: its last layer.


def test_a_trained_layer_comes_from_its_file(tmp_path, encoder):
    greys = [Image.new("RGB", (8, 8), (v, v, v)) for v in range(0, 256, 15)]
    vectors = encoder.encode(greys)
    weight = np.outer(RATINGS, [-3.0, 2.0, 0.0, 0.0]).astype(np.float32)  # brighter is rated higher
    bias = np.linspace(0.5, -0.5, 10).astype(np.float32)
    save_numpy_file({"weight": weight, "bias": bias}, tmp_path / "head.safetensors")
    scorer = load_nima_head(str(tmp_path / "head.safetensors"), encoder.provenance)
    made = scorer.provenance
    assert (scorer.name, made.weights, made.network) == ("nima", "path", encoder.provenance.encoder)
    found = scorer.score_vectors(vectors)
    expected = rating_moments(torch.softmax(torch.from_numpy(vectors @ weight.T + bias), dim=1).numpy())
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)
    np.testing.assert_allclose(found["spread"], expected["spread"], rtol=1e-4)
    assert (np.diff(found["score"]) > 0).all()
    with pytest.raises(WeightsUnavailable, match=r"the tensor weight is of shape \(10, 4\) where \(10, 5\)"):
        load_nima_head(str(tmp_path / "head.safetensors"), replace(encoder.provenance, dimension=5))


# Aesthetics from CLIP vectors.


def mlp(dimension):
    """The layers of improved-aesthetic-predictor."""
    from torch.nn import Dropout, Linear, Sequential

    torch.manual_seed(8)
    layers = (Linear(dimension, 1024), Dropout(0.2), Linear(1024, 128), Dropout(0.2), Linear(128, 64), Dropout(0.1))
    return Sequential(*layers, Linear(64, 16), Linear(16, 1)).eval()


def test_both_layouts_score_as_torch_does(tmp_path, encoder, photos):
    vectors = encoder.encode(photos)
    networks = {"": torch.nn.Linear(4, 1), "layers.": mlp(4)}
    for prefix, network in networks.items():
        torch.save({f"{prefix}{name}": value for name, value in network.state_dict().items()}, tmp_path / "head.pth")
        scorer = load_aesthetic(str(tmp_path / "head.pth"), encoder.provenance)
        with torch.inference_mode():
            expected = network(torch.from_numpy(vectors))[:, 0].numpy()
        found = scorer.score_vectors(vectors)
        assert tuple(found) == COLUMNS
        np.testing.assert_allclose(found["score"], expected, rtol=1e-5, atol=1e-6)
        assert (scorer.name, scorer.provenance.weights) == ("aesthetic", "path")


@pytest.mark.parametrize("prefix", ["", "layers."])
def test_a_head_for_vectors_of_another_dimension_is_refused(tmp_path, encoder, prefix):
    network = mlp(768) if prefix else torch.nn.Linear(768, 1)
    torch.save({f"{prefix}{name}": value for name, value in network.state_dict().items()}, tmp_path / "head.pth")
    first = f"{prefix}0.weight" if prefix else "weight"
    message = rf"the tensor {first} is of shape \(\d+, 768\) where \(\d+, 4\) is needed.*REDPOP_AESTHETIC_WEIGHTS"
    with pytest.raises(WeightsUnavailable, match=message):
        load_aesthetic(str(tmp_path / "head.pth"), encoder.provenance)


def test_a_head_that_lacks_a_layer_is_refused_by_name(tmp_path, encoder):
    state = {f"layers.{name}": value for name, value in mlp(4).state_dict().items() if name != "4.bias"}
    torch.save(state, tmp_path / "head.pth")
    with pytest.raises(WeightsUnavailable, match=r"lacks the tensor layers\.4\.bias"):
        load_aesthetic(str(tmp_path / "head.pth"), encoder.provenance)


def test_a_head_on_an_untrained_encoder_is_random_whatever_its_file(tmp_path, clip_images):
    torch.save(torch.nn.Linear(clip_images.dimension, 1).state_dict(), tmp_path / "head.pth")
    from_file = load_aesthetic(str(tmp_path / "head.pth"), clip_images.provenance)
    written_out = load_aesthetic("random", clip_images.provenance)
    assert from_file.provenance.weights == written_out.provenance.weights == "random"
    assert from_file.provenance.weights_sha256 != written_out.provenance.weights_sha256


def test_vectors_of_another_encoder_are_refused(encoder):
    with pytest.raises(ValueError, match=r"\(n, 4\) is needed"):
        load_aesthetic("random", encoder.provenance).score_vectors(np.ones((1, 5), np.float32))


def test_scores_fit_the_table_of_the_warehouse():
    table = load_schema()["features.image_scores"]
    assert table.column_names == ("image_sha256", "scorer", "weights", "weights_sha256", "code_version", *COLUMNS)
    assert table.key == ("image_sha256", "scorer", "weights_sha256", "code_version")


def test_the_bias_of_a_head_alone_decides_without_weights():
    head = NimaHead(np.zeros((10, 3), np.float32), np.log(all_on(7)[0] * 0.9 + 0.01).astype(np.float32))
    np.testing.assert_allclose(head.distributions(np.eye(3, dtype=np.float32))[:, 6], 0.91, rtol=1e-5)


# Objects.


@pytest.fixture(scope="module")
def classifier():
    return load_image_encoder("timm:tf_efficientnet_lite0/bundled", device="cpu", probabilities=True)


def test_the_bundled_classifier_recognises_what_ordinary_pictures_show(classifier, photos):
    """Pictures that scikit-learn and scikit-image carry; how well the classifier does at large is not measured here."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    with Image.open(folder / "chelsea.png") as cat, Image.open(folder / "coffee.png") as coffee:
        pictures = [photos[0], cat.convert("RGB"), coffee.convert("RGB")]
        found = object_features(classifier.outputs_of(pictures).probabilities)
    names = [family.lemma for family in families()]
    likely = {name: found["families"][:, names.index(name)] for name in ("structure", "domestic_cat", "beverage")}
    for position, values in enumerate(likely.values()):
        assert values[position] > 0.5
        assert np.delete(values, position).max() < 0.1
    assert found["top_classes"][[0, 2], 0].tolist() == [698, 967]  # palace, espresso
    assert found["entropy"].argmin() == 2
