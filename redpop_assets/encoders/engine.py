"""A network on its devices: in which library and precision it runs, in batches of what size, in how many lanes."""

import copy
import itertools
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from redpop_assets.encoders.base import Backend, Choice, Precision
from redpop_assets.encoders.batches import Items, ShrinkingBatches
from redpop_assets.encoders.lanes import Batch, in_lanes, threads_per_pass
from redpop_assets.encoders.openvino_network import OpenVinoNetwork, converted

Outputs = tuple[npt.NDArray[np.float32], ...]
Forward = Callable[..., Outputs]

_MOST_LANES = 16
_LANES_PER_GPU = 2
_LONG_PASS_SECONDS = 5.0
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True, slots=True)
class Way:
    """A library and a precision to run a network with."""

    backend: Backend
    precision: Precision


class Engine:
    """Runs a network the way that is chosen; until then as the library would, on CUDA in float16.

    Attributes:
        cores: Threads for everything together.
        first_batch_size: Items per forward pass before any choice and any lack of memory.

    Args:
        module: Maps tensors whose first dimension is the batch to a tuple of such tensors. In lower precision, its
            child `network` is what computes in it.
        example: Inputs for two items, on the CPU.
        devices: cpu, or one or several of cuda:<n>: each gets a copy of the network, and they share the batches.
        batch_size: Items per forward pass to begin with.
        batch_sizes: Others to try.
        precision: None for float32, on CUDA float16.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        example: Sequence[torch.Tensor],
        devices: Sequence[str],
        *,
        batch_size: int,
        batch_sizes: Sequence[int] = (),
        precision: Precision | None = None,
    ) -> None:
        self.module = module.eval()
        self._example = example
        self._devices = [torch.device(device) for device in devices]
        self._on_cpu = self._devices[0].type == "cpu"
        self.cores = torch.get_num_threads()
        self._batches = ShrinkingBatches(batch_size)
        self.first_batch_size = batch_size
        self.batch_sizes = tuple(batch_sizes) if self._on_cpu else ()
        self.way = Way("torch", precision or ("float32" if self._on_cpu else "float16"))
        self.choice: Choice | None = None
        self._forward = self.build(self.way)

    @property
    def batch_size(self) -> int:
        """Items per forward pass, as far as memory allowed."""
        return self._batches.size

    @property
    def lanes(self) -> int:
        """Forward passes at the same time."""
        return min(_MOST_LANES, self.cores) if self._on_cpu else _LANES_PER_GPU * len(self._devices)

    @property
    def threads(self) -> int:
        """Threads of one forward pass."""
        return max(1, self.cores // self.lanes) if self._on_cpu else self.cores

    @property
    def ways(self) -> tuple[Way, ...]:
        """All ways to run the network here, the most promising first, float32 in torch left out."""
        if not self._on_cpu:
            return Way("torch", "float16"), Way("torch", "bfloat16")
        return Way("openvino", "bfloat16"), Way("torch", "bfloat16"), Way("openvino", "float32")

    @property
    def processor(self) -> str:
        """What the network runs on, as far as it decides which way is fastest."""
        if self._on_cpu:
            return f"{_cpu()}, {self.cores} threads"
        return ", ".join(torch.cuda.get_device_name(device) for device in self._devices)

    def build(self, way: Way) -> Forward:
        """The network, ready to run one way; may be called from several threads at once.

        Raises:
            RuntimeError: The network cannot run this way.
        """
        if way.backend == "openvino":
            streams = self.lanes
            return OpenVinoNetwork(self._converted, way.precision, streams=streams, threads=self.cores)
        replicas = [self.module, *(copy.deepcopy(self.module) for _ in self._devices[1:])]
        return _Spread(
            [
                TorchNetwork(module, way.precision, device)
                for module, device in zip(replicas, self._devices, strict=True)
            ]
        )

    def use(self, choice: Choice, forward: Forward | None = None) -> None:
        """Run as a measurement chose; `forward` is what `build` made of it, if that is at hand."""
        self.way = Way(choice.backend, choice.precision)
        self._forward = forward or self.build(self.way)
        self._batches = ShrinkingBatches(choice.batch_size)
        self.choice = choice

    def run(self, take: Callable[[Items], Sequence[torch.Tensor]], items: Items) -> Outputs:
        """Outputs for the items, in their order; `take` makes inputs of a part of them.

        Raises:
            RedPopError: A single item does not fit into memory.
        """
        return joined(self._batches.run(lambda part: self._forward(*take(part)), items))

    def measured(
        self,
        batches: Sequence[Batch],
        compute: Callable[[Batch], npt.NDArray[np.float32]],
        count: Callable[[Batch], int],
        *,
        seconds: float = 0.5,
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Results for all batches, one below the other, and items per second in the fastest pass over them.

        The first pass also warms up. Unless it was long, passes over half of the batches follow until they add up to
        `seconds`, so that a short disturbance does not decide.
        """
        some = batches[::2] if len(batches) >= 4 * self.lanes else batches
        results: list[npt.NDArray[np.float32]] = []

        def rate(part: Sequence[Batch]) -> tuple[float, float]:
            began = time.perf_counter()
            results.extend(in_lanes(part, compute, lanes=self.lanes, ahead=len(part)))
            took = time.perf_counter() - began
            return sum(map(count, part)) / took, took

        with threads_per_pass(self.threads):
            best, first = rate(batches)
            passed = 0.0
            while first < _LONG_PASS_SECONDS and passed < seconds:
                again, took = rate(some)
                best, passed = max(best, again), passed + took
        return np.concatenate(results[: len(batches)]), best

    @cached_property
    def _converted(self) -> Any:
        return converted(self.module, self._example)


class TorchNetwork:
    """A network in torch; may be called from several threads at once.

    float16 means autocast: a pass that overflows runs again in float32. bfloat16 on a processor means that the weights
    are of that type too, in a copy: autocast there would convert them in every pass.
    """

    def __init__(self, module: torch.nn.Module, precision: Precision, device: torch.device) -> None:
        self._device = device
        self._cast = torch.float16 if precision == "float16" else torch.bfloat16
        self._autocast = precision == "float16" or (precision == "bfloat16" and device.type == "cuda")
        if precision == "bfloat16" and not self._autocast:
            module = copy.deepcopy(module)
            module.network.bfloat16()
        module = module.to(device)
        self._run = module
        self._own = threading.local()

    def __call__(self, *inputs: torch.Tensor) -> Outputs:
        """Outputs of the network, float32."""
        if self._device.type == "cpu":
            return self._outputs(inputs)
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.device(self._device), torch.cuda.stream(self._own.stream):
            return self._outputs([tensor.pin_memory().to(self._device, non_blocking=True) for tensor in inputs])

    def _outputs(self, inputs: Sequence[torch.Tensor]) -> Outputs:
        with torch.inference_mode():
            with torch.autocast(self._device.type, dtype=self._cast, enabled=self._autocast):
                outputs = self._run(*inputs)
            if self._autocast and not all(bool(torch.isfinite(output).all()) for output in outputs):
                outputs = self._run(*inputs)
            return tuple(output.float().cpu().numpy() for output in outputs)


class _Spread:
    """Each thread that calls gets one of the replicas, in turn, and keeps it."""

    def __init__(self, replicas: Sequence[Forward]) -> None:
        self._replicas = itertools.cycle(replicas)
        self._own = threading.local()

    def __call__(self, *inputs: torch.Tensor) -> Outputs:
        if not hasattr(self._own, "replica"):
            self._own.replica = next(self._replicas)
        outputs: Outputs = self._own.replica(*inputs)
        return outputs


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Outputs of consecutive batches, one below the other."""
    return parts[0] if len(parts) == 1 else tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _cpu() -> str:
    """Model of the processor and which instructions for lower precision it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return torch.backends.cpu.get_cpu_capability()
    fields = dict(re.findall(r"^([^\t\n:]+)\t*: (.*)$", text.partition("\n\n")[0], re.MULTILINE))
    flags = fields.get("flags", "").split()
    family = "/".join(fields.get(name, "?") for name in ("cpu family", "model", "stepping"))
    known = " ".join(flag for flag in _TELLING_FLAGS if flag in flags)
    return f"{fields.get('model name', 'CPU')} {family} {known}".strip()
