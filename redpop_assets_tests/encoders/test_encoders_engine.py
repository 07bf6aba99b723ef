import subprocess
import sys
import threading
from functools import cache

import numpy as np
import pytest
import torch

from redpop_assets.encoders.base import Choice
from redpop_assets.encoders.engine import Engine, Way
from redpop_assets.encoders.lanes import in_lanes, threads_per_pass
from redpop_assets.encoders.openvino_network import converted
from redpop_assets.encoders.preprocessing import common_edge
from redpop_assets.encoders.tuning import LEAST_COSINE, REFERENCE, choose
from redpop_assets.errors import RedPopError

pytestmark = pytest.mark.integration

CAPTIONS = [
    "my cat",
    "a dog in the old harbour",
    "🔥",
    "",
    "sunset over the sea after a day of rain " * 3,
    "wow " * 600,
]


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


class Narrow(torch.nn.Module):
    """A network for which a device has room for a few items only."""

    def __init__(self, room):
        super().__init__()
        self.network = torch.nn.Identity()
        self.room = room
        self.seen = []

    def forward(self, numbers):
        self.seen.append(len(numbers))
        if len(numbers) > self.room:
            raise torch.OutOfMemoryError("no room")
        return (2 * numbers,)


def tensors(numbers):
    return (torch.from_numpy(numbers),)


def test_lack_of_memory_halves_the_batch_for_good():
    network = Narrow(room=3)
    engine = Engine(network, [torch.ones(2, 1)], ["cpu"], batch_size=16)
    numbers = np.arange(20, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(engine.run(tensors, numbers)[0], 2 * numbers)
    assert (engine.batch_size, engine.first_batch_size) == (2, 16)
    assert network.seen == [16, 8, 4, *[2] * 10]
    engine.run(tensors, numbers[:4])
    assert network.seen[-2:] == [2, 2]


def test_one_item_without_room_says_what_to_do():
    engine = Engine(Narrow(room=0), [torch.ones(2, 1)], ["cpu"], batch_size=4)
    with pytest.raises(RedPopError, match="free some, or set REDPOP_DEVICE=cpu"):
        engine.run(tensors, np.ones((3, 1), np.float32))


def test_batches_of_several_threads_shrink_together():
    engine = Engine(Narrow(room=2), [torch.ones(2, 1)], ["cpu"], batch_size=16)
    parts = [np.full((9, 1), number, np.float32) for number in range(12)]
    results = in_lanes(parts, lambda part: engine.run(tensors, part)[0], lanes=4, ahead=8)
    for part, result in zip(parts, results, strict=True):
        np.testing.assert_array_equal(result, 2 * part)
    assert engine.batch_size in {1, 2}


@pytest.mark.usefixtures("measured_shortly")
def test_every_way_keeps_the_vectors_of_captions(bundled_texts):
    tokens = bundled_texts.tokenise(CAPTIONS)
    reference, _ = bundled_texts.vectors(tokens, bundled_texts.engine.build(REFERENCE), 4)
    order = np.argsort(tokens.lengths, kind="stable")
    assert cosines(reference, bundled_texts.encode(CAPTIONS)[order]).min() > 0.99999
    assert len(bundled_texts.engine.ways) == 3
    for way in bundled_texts.engine.ways:
        vectors, rate = bundled_texts.vectors(tokens, bundled_texts.engine.build(way), 4)
        assert cosines(vectors, reference).min() >= (0.99999 if way.precision == "float32" else LEAST_COSINE)
        assert vectors.dtype == np.float32
        assert rate > 0


@pytest.mark.usefixtures("measured_shortly")
def test_every_way_keeps_the_vectors_of_pictures_or_is_refused(bundled_images, variants):
    from redpop_assets.encoders.pictures import whole

    pixels = np.stack([bundled_images.preprocessing.pixels(whole(image)) for image in variants])

    @cache
    def measure(way, batch_size):
        vectors, _ = bundled_images.vectors(pixels, bundled_images.engine.build(way), batch_size)
        return vectors, 1.0 if way == REFERENCE else 100.0

    reference, _ = measure(REFERENCE, 4)
    for way in bundled_images.engine.ways:
        cosine = cosines(measure(way, 4)[0], reference).min()
        choice = choose([way], 4, (), measure, processor="here")
        assert (choice.backend, choice.precision) == (
            (way.backend, way.precision) if cosine >= LEAST_COSINE else ("torch", "float32")
        )
        assert choice.min_cosine >= LEAST_COSINE
        assert way.precision != "float32" or cosine > 0.99999


def test_a_chosen_way_is_used_by_several_threads(bundled_images, photos):
    from redpop_assets.encoders.load import load_image_encoder

    encoder = load_image_encoder(bundled_images.name, device="cpu", probabilities=True)
    encoder.engine.use(Choice("openvino", "float32", 3, 1.0, 1.0, "here"))
    assert (encoder.engine.way, encoder.engine.batch_size) == (Way("openvino", "float32"), 3)
    images = [photos[number % 2] for number in range(20)]
    outputs = encoder.outputs_of(images)
    plain = bundled_images.encode(photos)
    assert cosines(outputs.vectors, plain[np.arange(20) % 2]).min() > 0.9999
    assert outputs.probabilities.argmax(axis=1).tolist() == [698, 985] * 10


def test_a_network_that_openvino_cannot_run_is_a_runtime_error():
    class SingularValues(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = torch.nn.Identity()

        def forward(self, numbers):
            return (torch.linalg.svdvals(numbers),)

    engine = Engine(SingularValues(), [torch.ones(2, 3, 3)], ["cpu"], batch_size=4)
    with pytest.raises(RuntimeError, match="OpenVINO cannot take over the network"):
        engine.build(Way("openvino", "float32"))


def test_openvino_leaves_batch_and_length_free():
    module = torch.nn.Embedding(9, 4)
    network = torch.nn.Sequential(module, torch.nn.Linear(4, 2)).eval()
    model = converted(network, [torch.zeros(2, 3, dtype=torch.long)])
    assert str(model.inputs[0].get_partial_shape()) == "[?,?]"


def test_openvino_is_imported_without_its_telemetry():
    code = (
        "import sys, torch\n"
        "from redpop_assets.encoders.openvino_network import converted\n"
        "converted(torch.nn.Linear(2, 2).eval(), [torch.ones(2, 2)])\n"
        "print('openvino' in sys.modules, sys.modules.get('openvino_telemetry'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "None"]


def test_encoders_are_described_without_torch():
    code = (
        "import sys\n"
        "import redpop_assets.encoders.base, redpop_assets.encoders.names, redpop_assets.encoders.load\n"
        "print([name for name in ('torch', 'timm', 'open_clip', 'openvino', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_edge_serves_all_encoders(bundled_images, clip_images):
    ours, clip = bundled_images.preprocessing, clip_images.preprocessing
    assert (ours.edge, clip.edge) == (256, 224)
    assert common_edge([ours, clip]) == 256


def test_results_come_in_order_and_an_error_ends_the_rest():
    begun = []

    def compute(number):
        begun.append(number)
        if number == 5:
            raise ValueError("five")
        return -number

    assert list(in_lanes(range(5), compute, lanes=3, ahead=2)) == [0, -1, -2, -3, -4]
    results = in_lanes(range(1000), compute, lanes=2, ahead=3)
    with pytest.raises(ValueError, match="five"):
        for _ in results:
            pass
    assert max(begun) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("redpop-lane")]


def test_lanes_go_on_while_the_caller_is_busy():
    done = threading.Semaphore(0)

    def compute(number):
        done.release()
        return number

    results = in_lanes(range(100), compute, lanes=2, ahead=6)
    assert next(results) == 0
    for _ in range(7):
        assert done.acquire(timeout=30)
    results.close()


def test_threads_of_a_pass_are_put_back_after_an_error():
    before = torch.get_num_threads()
    inside = []

    def fail():
        with threads_per_pass(1):
            inside.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [1]
    assert torch.get_num_threads() == before
