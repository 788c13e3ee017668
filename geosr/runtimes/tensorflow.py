"""Run Keras networks with TensorFlow: for NVIDIA GPUs, and for networks without ONNX."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import DeviceError, MissingDependencyError, ModelFileError


class TensorFlowNetwork:
    """A Keras model as a function of float32 arrays ``(batch, height, width, bands)``.

    It runs as one ``tf.function`` for each input shape: ``model.predict`` costs six times as
    much on tiles.

    Parameters
    ----------
    model
        A Keras model on the TensorFlow backend.
    device
        ``cpu`` or ``gpu``.
    precision
        ``float32`` or ``bfloat16``; in the latter, weights and activations are bfloat16.
    """

    def __init__(self, model: Any, *, device: str, precision: str) -> None:
        tf = load_tensorflow()
        self._tf = tf
        self._device = "/GPU:0" if device == "gpu" else "/CPU:0"
        self._model = _in_bfloat16(model) if precision == "bfloat16" else model
        self._kind = tf.bfloat16 if precision == "bfloat16" else tf.float32
        self._functions: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The declared shape of the input; None where any size goes."""
        return tuple(self._model.inputs[0].shape)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Raises
        ------
        MemoryError
            If memory does not suffice for an array of this size.
        """
        try:
            output: NDArray[np.float32] = self._function(x.shape)(x).numpy()
        except self._tf.errors.ResourceExhaustedError as error:
            raise MemoryError("TensorFlow has no memory left.") from error
        return output

    def _function(self, shape: tuple[int, ...]) -> Any:
        tf = self._tf
        with self._lock:
            if shape not in self._functions:

                @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator]
                def call(x: Any) -> Any:
                    with tf.device(self._device):
                        return tf.cast(self._model(tf.cast(x, self._kind)), tf.float32)

                self._functions[shape] = call
            return self._functions[shape]


def _in_bfloat16(model: Any) -> Any:
    """Return the model computing in bfloat16, with the same weights."""
    import keras

    def converted(layer: Any) -> Any:
        config = layer.get_config()
        config["dtype"] = "bfloat16"
        return type(layer).from_config(config)

    twin = keras.models.clone_model(model, clone_function=converted)
    twin.set_weights(model.get_weights())
    return twin


def load_keras(path: Path) -> Any:
    """Read a .keras file without running code that it brings along.

    Raises
    ------
    ModelFileError
        If it cannot be read, or is no network of one input and one output.
    """
    load_tensorflow()  # before Keras, for its clearer message
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        ends = len(model.inputs), len(model.outputs)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, BadZipFile) as error:
        raise _unreadable(path, str(error)) from error
    if ends != (1, 1):
        raise ModelFileError(
            f"{path.name} has {ends[0]} inputs and {ends[1]} outputs.",
            hint="A network for super-resolution has one of each.",
        )
    return model


def _unreadable(path: Path, problem: str) -> ModelFileError:
    """Say in a sentence why Keras did not read a file."""
    if "`Lambda` layer" in problem:
        return ModelFileError(
            f"{path.name} holds a Lambda layer: Python code that would run here.",
            hint="Save the network without Lambda layers.",
        )
    missing = re.search(r"Could not locate (?:class|object|function) '([^']+)'", problem)
    if missing:
        return ModelFileError(
            f"{path.name} holds a layer {missing[1]} that is not one of Keras's own.",
            hint="Build the network of Keras's own layers, or export it as ONNX.",
        )
    return ModelFileError(
        f"{path.name} cannot be read as a Keras network: {problem.strip().splitlines()[0][:200]}",
        hint="It must be a .keras file of a functional or sequential network.",
    )


def require_device(device: str) -> str:
    """Return ``cpu`` or ``gpu`` for what was asked for.

    Raises
    ------
    DeviceError
        If a GPU was asked for and TensorFlow sees none.
    """
    gpus = load_tensorflow().config.list_physical_devices("GPU") if device != "cpu" else []
    if device == "gpu" and not gpus:
        raise DeviceError(
            "TensorFlow sees no GPU on this machine.",
            hint="Use --device cpu, or install the NVIDIA driver and `tensorflow[and-cuda]`.",
        )
    return "gpu" if gpus else "cpu"


def load_tensorflow() -> Any:
    """Import TensorFlow, when it is needed and not before.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import tensorflow
    except ImportError as error:
        raise MissingDependencyError(
            "TensorFlow is not installed.", hint='pip install "geosr[tensorflow]"'
        ) from error
    return tensorflow
