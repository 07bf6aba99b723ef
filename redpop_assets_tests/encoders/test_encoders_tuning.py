import dataclasses
import json
import time

import numpy as np
import pytest
import torch

from redpop_assets.encoders.base import Choice, Provenance
from redpop_assets.encoders.engine import Engine, Way
from redpop_assets.encoders.tuning import LEAST_COSINE, LEAST_ITEMS, REFERENCE, choose, tune

pytestmark = pytest.mark.integration

BF16 = Way("openvino", "bfloat16")
TORCH_BF16 = Way("torch", "bfloat16")
F32 = Way("openvino", "float32")
WAYS = (BF16, TORCH_BF16, F32)


def turned(cosine):
    """Vectors of which the second one has this cosine with the one of the reference, (1, 0)."""
    return np.array([[1, 0], [cosine, np.sqrt(max(0, 1 - cosine**2))]], np.float32)


class Clock:
    """Time that passes only when something is measured."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Bench:
    """Throughput and cosine of each way as given: `rates` per way, or per way and batch size."""

    def __init__(self, rates, cosines=None, *, took=0.0):
        self.rates = {REFERENCE: 10.0, **rates}
        self.cosines = cosines or {}
        self.took = took
        self.clock = Clock()
        self.measured = []

    def __call__(self, way, batch_size):
        self.measured.append((way, batch_size))
        self.clock.now += self.took
        rate = self.rates.get((way, batch_size), self.rates.get(way))
        if isinstance(rate, Exception):
            raise rate
        return turned(self.cosines.get(way, 1.0)), rate

    def choice(self, ways=WAYS, sizes=(), seconds=10.0):
        return choose(ways, 8, sizes, self, processor="here", seconds=seconds, clock=self.clock)


def test_the_fastest_faithful_way_wins():
    choice = Bench({BF16: 20.0, TORCH_BF16: 30.0}, {TORCH_BF16: 0.9995}).choice()
    assert dataclasses.replace(choice, min_cosine=0) == Choice("torch", "bfloat16", 8, 30.0, 0, "here")
    assert choice.min_cosine == pytest.approx(0.9995, abs=1e-6)


def test_float32_in_torch_stays_when_nothing_is_faster():
    choice = Bench({BF16: 9.0, TORCH_BF16: 1.0, F32: 10.0}).choice()
    assert choice == Choice("torch", "float32", 8, 10.0, 1.0, "here")


@pytest.mark.parametrize("cosine", [LEAST_COSINE - 1e-4, 0.5, -1.0, float("nan")])
def test_an_unfaithful_way_never_wins(cosine):
    bench = Bench({BF16: 1000.0, TORCH_BF16: 11.0, F32: 12.0}, {BF16: cosine})
    assert bench.choice() == Choice("openvino", "float32", 8, 12.0, 1.0, "here")


def test_a_vector_of_zeros_is_unfaithful():
    def measure(way, _):
        vectors = np.ones((3, 2), np.float32)
        if way == BF16:
            vectors[1] = 0
        return vectors, 10.0 if way == REFERENCE else 1000.0

    assert choose([BF16], 8, (), measure, processor="here").precision == "float32"


def test_float32_of_a_library_is_left_out_where_it_is_faithful_in_less():
    bench = Bench({BF16: 20.0, TORCH_BF16: 15.0, F32: 99.0})
    assert bench.choice().items_per_second == 20
    assert [way for way, _ in bench.measured] == [REFERENCE, BF16, TORCH_BF16]


def test_the_best_way_is_tried_with_other_batch_sizes():
    bench = Bench({BF16: 20.0, TORCH_BF16: 15.0, (BF16, 4): 25.0, (BF16, 16): 24.0})
    assert bench.choice(sizes=(4, 8, 16)) == Choice("openvino", "bfloat16", 4, 25.0, 1.0, "here")
    assert bench.measured[3:] == [(BF16, 4), (BF16, 16)]


def test_what_the_network_cannot_do_is_skipped():
    bench = Bench({BF16: RuntimeError("no such\noperation"), TORCH_BF16: torch.OutOfMemoryError("much"), F32: 12.0})
    assert bench.choice() == Choice("openvino", "float32", 8, 12.0, 1.0, "here")


def test_float32_that_does_not_run_is_no_choice():
    with pytest.raises(RuntimeError, match="broken"):
        Bench({REFERENCE: RuntimeError("broken")}).choice()


@pytest.mark.parametrize(("seconds", "begun"), [(0.5, 3), (3.0, 3), (3.5, 4), (4.5, 5), (100.0, 5)])
def test_after_the_deadline_nothing_is_begun(seconds, begun):
    bench = Bench({BF16: 20.0, TORCH_BF16: 30.0}, took=1.0)
    choice = bench.choice(sizes=(4, 16), seconds=seconds)
    assert len(bench.measured) == begun
    assert choice.items_per_second == 30.0


def test_a_slow_network_has_time_for_its_two_most_promising_ways():
    bench = Bench({BF16: 20.0, TORCH_BF16: 15.0}, took=600.0)
    assert bench.choice(sizes=(4, 16)).items_per_second == 20.0
    assert [way for way, _ in bench.measured] == [REFERENCE, BF16, TORCH_BF16]


def test_a_disturbance_of_one_pass_does_not_decide():
    passes = []

    def compute(batch):
        if batch == 0:
            passes.append(len(passes))
        if batch == 0 and len(passes) == 2:
            time.sleep(0.2)
        return np.full((1, 1), batch, np.float32)

    engine = Encoder().engine
    results, rate = engine.measured(range(8 * engine.lanes), compute, lambda _: 1)
    assert results.ravel().tolist() == list(range(8 * engine.lanes))
    assert len(passes) >= 3
    assert rate > 4 * engine.lanes / 0.2


class Doubling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = torch.nn.Linear(4, 3, bias=False)

    def forward(self, numbers):
        return (self.network(numbers.to(self.network.weight.dtype)),)


class Encoder:
    """A network that counts how often it was measured."""

    def __init__(self, *, outputs=("vectors",), weights="abc"):
        self.provenance = Provenance("timm:tiny/random", "image", 3, "random", weights, "timm 1")
        self.outputs = outputs
        torch.manual_seed(3)
        self.engine = Engine(Doubling(), [torch.ones(2, 4)], ["cpu"], batch_size=8, batch_sizes=(4, 16))
        self.measured = 0

    def vectors(self, sample, forward, batch_size):
        self.measured += 1
        batches = list(torch.from_numpy(sample).split(batch_size))
        return self.engine.measured(batches, lambda batch: forward(batch)[0], len, seconds=0)


class Sample:
    def __init__(self):
        self.given = 0

    def __call__(self):
        self.given += 1
        return np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)


def tuned(encoder, folder, *, due=LEAST_ITEMS):
    sample = Sample()
    return tune(encoder, sample, due=due, folder=folder), sample.given


def test_a_choice_is_measured_used_and_remembered(tmp_path):
    folder = tmp_path / "made" / "here"
    encoder = Encoder()
    choice, given = tuned(encoder, folder)
    assert given == 1
    assert encoder.measured >= 3
    assert choice.min_cosine >= LEAST_COSINE
    assert choice.processor == encoder.engine.processor
    assert (encoder.engine.choice, encoder.engine.batch_size) == (choice, choice.batch_size)
    assert encoder.engine.way == Way(choice.backend, choice.precision)
    (file,) = folder.iterdir()
    assert file.name.startswith("image-")

    again = Encoder()
    assert tuned(again, folder) == (choice, 0)
    assert again.measured == 0
    assert (again.engine.choice, again.engine.batch_size) == (choice, choice.batch_size)
    numbers = Sample()()
    here, there = (each.engine.run(lambda part: (torch.from_numpy(part),), numbers)[0] for each in (encoder, again))
    np.testing.assert_array_equal(here, there)


def test_for_few_items_no_network_is_converted_whatever_is_remembered(tmp_path):
    """A title that comes in the night would cost seconds of compiling for milliseconds of computing."""
    tuned(Encoder(), tmp_path)
    encoder = Encoder()
    forward = encoder.engine._forward
    assert tuned(encoder, tmp_path, due=LEAST_ITEMS - 1) == (None, 0)
    assert encoder.engine._forward is forward


def test_an_encoder_that_was_tuned_finds_its_own_choice(tmp_path):
    encoder = Encoder()
    choice, _ = tuned(encoder, tmp_path)
    (file,) = tmp_path.iterdir()
    content = json.loads(file.read_text())
    content["choice"]["batch_size"] = 5
    file.write_text(json.dumps(content))
    assert tuned(encoder, tmp_path) == (dataclasses.replace(choice, batch_size=5), 0)
    assert tuned(encoder, tmp_path) == (dataclasses.replace(choice, batch_size=5), 0)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("other", [{"outputs": ("vectors", "grids")}, {"weights": "abd"}])
def test_another_network_has_its_own_choice(tmp_path, other):
    tuned(Encoder(), tmp_path)
    encoder = Encoder(**other)
    assert tuned(encoder, tmp_path)[1] == 1
    assert encoder.measured
    assert len(list(tmp_path.iterdir())) == 2


def changed(**values):
    def change(content):
        content["choice"].update(values)
        return json.dumps(content)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "{",
        lambda _: "[]",
        lambda content: json.dumps({"choice": content["choice"]}),
        lambda content: json.dumps({**content, "subject": {**content["subject"], "processor": "another"}}),
        changed(backend="tensorflow"),
        changed(precision="int8"),
        changed(batch_size=0),
        changed(batch_size=2.5),
        changed(min_cosine=0.9),
        changed(min_cosine=None),
        changed(items_per_second="fast"),
        changed(unknown=1),
    ],
)
def test_a_damaged_or_foreign_file_is_ignored_and_replaced(tmp_path, damage):
    encoder = Encoder()
    tuned(encoder, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(damage(json.loads(file.read_text())))
    again = Encoder()
    choice, given = tuned(again, tmp_path)
    assert given == 1
    assert again.engine.choice == choice
    assert tuned(Encoder(), tmp_path) == (choice, 0)


@pytest.mark.parametrize(("due", "folder"), [(LEAST_ITEMS - 1, "choices"), (10_000, None)])
def test_few_items_or_no_folder_leave_the_encoder_as_it_is(tmp_path, due, folder):
    encoder = Encoder()
    assert tuned(encoder, folder and tmp_path / folder, due=due) == (None, 0)
    assert (encoder.measured, encoder.engine.choice) == (0, None)
    assert list(tmp_path.iterdir()) == []


def test_no_items_to_measure_with_leave_the_encoder_as_it_is(tmp_path):
    encoder = Encoder()
    assert tune(encoder, lambda: None, due=1000, folder=tmp_path) is None
    assert (encoder.measured, encoder.engine.choice) == (0, None)
