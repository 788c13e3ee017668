"""Run ONNX networks with OpenVINO: the light runtime, on processors."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import DeviceError, MissingDependencyError, ModelFileError

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}

_FIRST_USE = threading.Lock()

_KEPT_SHAPES = 8
"""Shapes that a network stays compiled for: rasters of many sizes may come one after the other."""

_NO_MEMORY = ("bad_alloc", "Failed to allocate", "out of memory", "out_of_memory")
"""What OpenVINO's errors say then, as of 2026.4; they are `RuntimeError` like all others."""


class OpenVinoNetwork:
    """An ONNX graph, or the part of it between two tensors, as a function of float32 arrays.

    One single-threaded stream runs for each worker thread, so the same tile gives the same
    bits whatever else runs. A graph is compiled once for each shape that it meets.

    Parameters
    ----------
    path
        The .onnx file, or an .xml of OpenVINO's own with its .bin.
    cut
        Names of the tensors where the part begins and ends; None: the whole graph.
    precision
        ``float32`` or ``bfloat16``; OpenVINO would pick the latter by itself. ``int8``: what a
        graph of quantised convolutions leaves over runs in bfloat16 where the processor can.
    threads
        Number of threads that will call.
    """

    def __init__(
        self, path: Path, *, cut: tuple[str, str] | None, precision: str, threads: int
    ) -> None:
        self._core, model = open_core(path)
        self._model = model if cut is None else _part(_openvino(), model, cut)
        if len(self._model.inputs) != 1 or len(self._model.outputs) != 1:
            raise ModelFileError(
                f"{path.name} has {len(self._model.inputs)} inputs and "
                f"{len(self._model.outputs)} outputs.",
                hint="A network for super-resolution has one of each.",
            )
        self._settings = {
            "INFERENCE_PRECISION_HINT": _hint(precision),
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
            "PERFORMANCE_HINT": "THROUGHPUT",
            "ENABLE_CPU_PINNING": "NO",  # another program may hold that processor
        }
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The declared shape of the input; None where any size goes."""
        shape = self._model.inputs[0].get_partial_shape()
        return tuple(None if n.is_dynamic else n.get_length() for n in shape)

    @property
    def input_dtype(self) -> str:
        """The declared dtype of the input; OpenVINO would convert float32 to it in silence."""
        return str(self._model.inputs[0].get_element_type().to_dtype().name)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network on an array of its own layout."""
        return self.borrow(x).copy()

    def borrow(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network; what is returned lasts until this thread's next call.

        Memory for a large tile costs a twentieth of the time of a quick network.

        Raises
        ------
        MemoryError
            If memory does not suffice for an array of this size.
        """
        requests = self._local.__dict__.setdefault("requests", {})
        try:
            with _memory_errors():
                if x.shape not in requests:
                    requests[x.shape] = self._compile(x.shape).create_infer_request()
                request = requests[x.shape]
                request.infer({0: np.ascontiguousarray(x)}, share_inputs=True)
                output: NDArray[np.float32] = request.get_output_tensor(0).data
        except MemoryError:
            requests.pop(x.shape, None)  # smaller arrays need what it holds
            raise
        return output

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape not in self._compiled:
                while len(self._compiled) >= _KEPT_SHAPES:
                    self._compiled.pop(next(iter(self._compiled)))
                fixed = self._model.clone()
                fixed.reshape(list(shape))
                self._compiled[shape] = self._core.compile_model(fixed, "CPU", self._settings)
            return self._compiled[shape]


def open_core(path: Path) -> tuple[Any, Any]:
    """Return OpenVINO's core, and the graph of an .onnx file, or of OpenVINO's .xml.

    Raises
    ------
    ModelFileError
        If OpenVINO cannot read it.
    """
    ov = _openvino()
    core = ov.Core()
    if path.suffix != ".xml":
        _check_is_onnx(ov, path)
    try:
        return core, core.read_model(str(path))
    except RuntimeError as error:
        raise ModelFileError(
            f"{path.name} is no network that OpenVINO can read: {_first_line(error)}",
            hint="Export it again as ONNX, opset 11 to 18.",
        ) from error


def supports_bfloat16() -> bool:
    """Return whether this processor computes in bfloat16 by itself."""
    ov = _openvino()
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _hint(precision: str) -> str:
    if precision == "int8":
        precision = "bfloat16" if supports_bfloat16() else "float32"
    return PRECISIONS[precision]


def open_part(path: Path, cut: tuple[str, str]) -> Any:
    """Return the part of an .onnx file's graph between two tensors, as a graph of OpenVINO.

    Raises
    ------
    ModelFileError
        If OpenVINO cannot read it, or there are no such tensors.
    """
    return _part(_openvino(), open_core(path)[1], cut)


def write_graph(graph: Any, path: Path) -> None:
    """Write a graph as ``path``, an .xml, with its weights in a .bin beside it."""
    _openvino().save_model(graph, str(path), compress_to_fp16=False)


def require_cpu(device: str) -> None:
    """Refuse devices that this runtime is not used on.

    Raises
    ------
    DeviceError
        For ``gpu``.
    """
    if device == "gpu":
        raise DeviceError(
            "The OpenVINO runtime runs on the processor here.",
            hint='For an NVIDIA GPU: pip install "geosr[tensorflow]" and --runtime tensorflow.',
        )


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Raise what it is when memory runs out."""
    try:
        yield
    except RuntimeError as error:
        if any(sign in str(error) for sign in _NO_MEMORY):
            raise MemoryError(_first_line(error)) from error
        raise


def _check_is_onnx(ov: Any, path: Path) -> None:
    """Refuse other files: OpenVINO would try all formats that it knows, and not quietly."""
    onnx = ov.frontend.FrontEndManager().load_by_framework("onnx")
    if not path.is_file() or not onnx.supported(str(path)):
        raise ModelFileError(
            f"{path.name} is no network that OpenVINO can read: it is damaged, or not ONNX.",
            hint="Export it again as ONNX, opset 11 to 18.",
        )


def _part(ov: Any, model: Any, cut: tuple[str, str]) -> Any:
    """Return the part of a graph between two named tensors as a graph of its own."""
    begin, end = _named_output(model, cut[0]), _named_output(model, cut[1])
    bands = begin.get_partial_shape()[1]
    entry = ov.opset13.parameter([-1, bands, -1, -1], np.float32, name="detail_in")
    for target in begin.get_target_inputs():
        target.replace_source_output(entry.output(0))
    return ov.Model([ov.opset13.result(end)], [entry], "detail")


def _named_output(model: Any, name: str) -> Any:
    for op in model.get_ordered_ops():
        for output in op.outputs():
            if name in output.get_names():
                return output
    raise ModelFileError(
        f"The network has no tensor {name!r}.", hint="Its card belongs to another file."
    )


def _openvino() -> Any:
    # Without this the import forks a process that reports to its makers, and that shares our
    # signal handlers; where the module is missing, OpenVINO does without.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
        import openvino.frontend
        import openvino.opset13
    except ImportError as error:
        raise MissingDependencyError(
            "OpenVINO is not installed.", hint="pip install openvino"
        ) from error
    with _FIRST_USE:
        # Its bindings make tables of dtypes at their first use, each behind a lock of C++ that is
        # held while they wait for Python's. Two threads that begin at once would wait for ever.
        openvino.Type.f32.to_dtype()
        openvino.Tensor(np.zeros(1, np.float32), shared_memory=True).data.sum()
    return openvino


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
