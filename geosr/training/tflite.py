"""The TFLite form of a trained network, for LiteRT on phones and small boards."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from geosr.core.errors import MissingDependencyError, ModelFileError
from geosr.core.facts import ModelFacts
from geosr.models import layers  # noqa: F401 - makes them known to Keras
from geosr.runtimes.tflite import run_tflite, tflite_bytes
from geosr.training.copies import network_file, write_new

TOLERANCE = {False: 1e-4, True: 2e-2}
"""What an exported network may be off, as a part of the picture's contrast; True: float16."""


def write_tflite(
    facts: ModelFacts, path: Path, *, float16: bool = False, overwrite: bool = False
) -> float:
    """Write the whole network as TFLite, and compare the two.

    It maps float32 ``(1, height, width, bands)`` in the raster's units to ``upscale_factor`` times
    the pixels; the interpreter's ``resize_tensor_input`` gives it a size.

    Returns
    -------
    float
        Largest difference from Keras on a drawn picture, as a part of its contrast.

    Raises
    ------
    ModelFileError
        If the model has no Keras file, or TFLite gives another picture.
    MissingDependencyError
        If Keras does not run on TensorFlow.
    OutputError
        If it cannot be written.
    """
    source = network_file(facts, "keras")
    if keras.backend.backend() != "tensorflow":
        raise MissingDependencyError(
            f"TFLite files are made with TensorFlow, and Keras runs on {keras.backend.backend()}.",
            hint='pip install "geosr[tensorflow]", and set KERAS_BACKEND=tensorflow.',
        )
    model = keras.saving.load_model(source, compile=False, safe_mode=True)
    content = tflite_bytes(model, float16=float16)
    # Blocks of 3 pixels: steps and flat parts, as pictures have them.
    shape = (1, 16, 18, facts.bands)
    blocks = np.random.default_rng(0).normal(0.5, 0.1, shape).astype(np.float32)
    image = blocks.repeat(3, axis=1).repeat(3, axis=2)
    difference = run_tflite(content, image) - keras.ops.convert_to_numpy(model(image))
    share = float(np.abs(difference).max() / image.std())
    if not share <= TOLERANCE[float16]:
        raise ModelFileError(
            f"{facts.name} as TFLite is off by {share:.2g} of the contrast.",
            hint="Use --format onnx.",
        )
    write_new(path, content, overwrite=overwrite)
    return share
