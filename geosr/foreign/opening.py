"""A user's file to a function of arrays, on the runtime that can read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import DeviceError, ModelFileError, OptionError, UnknownModelError
from geosr.core.options import UpscaleOptions
from geosr.predictors import Machinery

Float32 = NDArray[np.float32]

RUNTIME_OF = {".onnx": "openvino", ".keras": "tensorflow"}
"""What runs each kind of file."""


@dataclass(frozen=True)
class OpenedNetwork:
    """A network as a function of arrays of its own layout.

    Attributes
    ----------
    name
        The file's name, for messages.
    call
        Runs it.
    input_shape
        As declared; None where any length goes.
    failures
        What ``call`` raises on an array that the network cannot take.
    """

    name: str
    call: Callable[[Float32], Float32]
    input_shape: tuple[int | None, ...]
    failures: tuple[type[Exception], ...]


def is_model_path(model: str) -> bool:
    """Return whether ``--model`` names a file rather than one of geosr's own models."""
    return Path(model).suffix.lower() in RUNTIME_OF


def choose_machinery(path: Path, options: UpscaleOptions, *, processors: int) -> Machinery:
    """Decide what a user's network runs on: float32 unless bfloat16 is asked for.

    Raises
    ------
    UnknownModelError
        If there is no such file.
    OptionError, DeviceError, MissingDependencyError
        If what was asked for cannot run it.
    """
    if not path.is_file():
        raise UnknownModelError(
            f"There is no network at {path}.",
            hint="Look at the path; `geosr models` lists the models that have names.",
        )
    kind = path.suffix.lower()
    runtime = RUNTIME_OF[kind]
    if options.precision == "int8":
        raise OptionError(
            f"{path.name} has no card, and so no int8 weights that belong to it.",
            hint="Use --precision float32 or bfloat16.",
        )
    if options.runtime not in ("auto", runtime):
        raise OptionError(
            f"{path.name} does not run with {options.runtime}.",
            hint=f"Leave --runtime out: {kind} files run with {runtime}.",
        )
    device = "cpu"
    if runtime == "openvino" and options.device == "gpu":
        raise DeviceError(
            f"{path.name} runs with OpenVINO, on the processor.",
            hint="For a GPU, give the network as a .keras file.",
        )
    if runtime == "tensorflow":
        from geosr.runtimes.tensorflow import require_device

        device = require_device(options.device)
    precision = "bfloat16" if options.precision == "bfloat16" else "float32"
    return Machinery(runtime, device, precision, options.threads or processors)


def open_networks(path: Path, *machineries: Machinery) -> tuple[OpenedNetwork, ...]:
    """Open a file once for each way to run it.

    Raises
    ------
    ModelFileError
        If the file is damaged, is no network, or none that maps a picture to a picture.
    """
    if path.suffix.lower() == ".keras":
        return _keras_networks(path, machineries)
    return tuple(_onnx_network(path, machinery) for machinery in machineries)


def _onnx_network(path: Path, machinery: Machinery) -> OpenedNetwork:
    from geosr.runtimes.openvino import OpenVinoNetwork

    network = OpenVinoNetwork(
        path, cut=None, precision=machinery.precision, threads=machinery.threads
    )
    if not network.input_dtype.startswith("float"):
        raise ModelFileError(
            f"{path.name} takes values of type {network.input_dtype}.",
            hint="geosr feeds networks with float32; export it without the cast.",
        )
    return OpenedNetwork(path.name, network, network.input_shape, (RuntimeError, ValueError))


def _keras_networks(path: Path, machineries: tuple[Machinery, ...]) -> tuple[OpenedNetwork, ...]:
    from geosr.runtimes.tensorflow import TensorFlowNetwork, load_keras, load_tensorflow

    failures = (ValueError, TypeError, load_tensorflow().errors.OpError)
    import geosr.models.layers  # noqa: F401 - so that Keras knows geosr's own layers

    model = load_keras(path)
    networks = [
        TensorFlowNetwork(model, device=machinery.device, precision=machinery.precision)
        for machinery in machineries
    ]
    return tuple(
        OpenedNetwork(path.name, network, network.input_shape, failures) for network in networks
    )
