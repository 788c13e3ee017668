"""Keras networks as TFLite files, which LiteRT runs on phones and small boards."""

from __future__ import annotations

import tempfile
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import ModelFileError
from geosr.runtimes.tensorflow import load_tensorflow


def tflite_bytes(model: Any, *, float16: bool) -> bytes:
    """Return a Keras model ``(1, height, width, bands)`` of any size as a TFLite file.

    ``float16`` halves the file: weights are rounded, and computed with in float32.

    Raises
    ------
    ModelFileError
        If TFLite lacks an operation of the network.
    """
    tf = load_tensorflow()
    shape = (1, None, None, model.inputs[0].shape[-1])
    signature = [tf.TensorSpec(shape, tf.float32, name="low_resolution")]
    with tempfile.TemporaryDirectory() as folder:  # a function alone would lose the weights
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=signature)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            return bytes(converter.convert())
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(
                f"{model.name} cannot become TFLite: {str(error).strip().splitlines()[0]}",
                hint="Use --format onnx.",
            ) from error


def run_tflite(content: bytes, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a TFLite file on ``(1, height, width, bands)``."""
    tf = load_tensorflow()
    with warnings.catch_warnings():  # it is to move to a package that ships apart
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=content)
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(entry["index"], image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    output: NDArray[np.float32] = interpreter.get_tensor(end["index"])
    return output
