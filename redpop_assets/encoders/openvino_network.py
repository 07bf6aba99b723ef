"""Running a network in OpenVINO, which compiles it for the processor at hand. Nothing is sent anywhere."""

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from redpop_assets.encoders.base import Precision

_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_TELEMETRY = "openvino_telemetry"


class OpenVinoNetwork:
    """A compiled network; may be called from several threads at once.

    Args:
        model: As `converted` or `read_network` returns it.
        precision: Numbers it computes with; inputs and outputs stay as they are.
        streams: How many calls run at the same time.
        threads: Cores for all of them together.
    """

    def __init__(self, model: Any, precision: Precision, *, streams: int, threads: int) -> None:
        with _without_telemetry():
            import openvino  # type: ignore[import-untyped]
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the cores are shared with the threads that decode
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        self._own = threading.local()
        self._first_call = threading.Lock()

    def __call__(self, *inputs: torch.Tensor) -> tuple[npt.NDArray[np.float32], ...]:
        """Outputs of the network, float32."""
        if hasattr(self._own, "request"):
            return self._outputs(inputs)
        # The binding gets to know NumPy when it first meets an array. Two threads in which it does so at the same time
        # wait for each other for ever, one with a lock of C++ and one with Python's.
        with self._first_call:
            self._own.request = self._compiled.create_infer_request()
            return self._outputs(inputs)

    def _outputs(self, inputs: Sequence[torch.Tensor]) -> tuple[npt.NDArray[np.float32], ...]:
        request = self._own.request
        request.infer([tensor.numpy() for tensor in inputs])
        outputs = range(len(self._compiled.outputs))
        return tuple(request.get_output_tensor(index).data.astype(np.float32) for index in outputs)


def converted(module: torch.nn.Module, example: Sequence[torch.Tensor]) -> Any:
    """The network as OpenVINO reads it, by tracing.

    Args:
        module: In evaluation, on the CPU, in float32. Its weights are shared, so it has to stay.
        example: Inputs to trace it with, of two dimensions (n, length) or more; the first is left free, and so is the
            second where there are two.

    Raises:
        RuntimeError: It cannot be traced, or OpenVINO has no equal of one of its operations.
    """
    with _without_telemetry():
        import openvino
        from openvino.frontend import FrontEndManager  # type: ignore[import-untyped]
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # type: ignore[import-untyped]
    frontend = FrontEndManager().load_by_framework("pytorch")
    with torch.no_grad(), warnings.catch_warnings(), _without_hints():
        warnings.simplefilter("ignore")  # tracing warns of each Python branch; that the vectors agree is measured
        try:
            decoder = TorchScriptPythonDecoder(module, example_input=tuple(example))
            model = frontend.convert(frontend.load(decoder))
        except Exception as error:  # OpenVINO's own kinds, and those of the operations that are traced
            raise RuntimeError(f"OpenVINO cannot take over the network: {error}") from error
    shapes = {
        index: openvino.PartialShape([-1, -1] if tensor.ndim == 2 else [-1, *tensor.shape[1:]])
        for index, tensor in enumerate(example)
    }
    model.reshape(shapes)
    return model


def read_network(path: Path) -> Any:
    """The network in a file of ONNX or of OpenVINO's own form; what it says of itself is kept with it."""
    with _without_telemetry():
        import openvino
    return openvino.Core().read_model(path)


@contextlib.contextmanager
def _without_hints() -> Iterator[None]:
    """Tracing reads every property of a module, and these libraries warn of those that nobody should use any more."""
    libraries = [logging.getLogger(name) for name in ("sentence_transformers", "transformers")]
    levels = [library.level for library in libraries]
    for library in libraries:
        library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.setLevel(level)


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """OpenVINO reports its import to its makers, unless the module that would do so cannot be imported."""
    if "openvino" in sys.modules:
        yield
        return
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # how Python marks a module as not importable
    try:
        yield
    finally:
        if before is None:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = before
