"""ONNX networks that compare two pictures, run with OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import ModelFileError
from geosr.runtimes.openvino import open_core

Float32 = NDArray[np.float32]


class PairNetwork:
    """An ONNX graph of two pictures ``(1, 3, h, w)`` and one number."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        core, model = open_core(path)
        if len(model.inputs) != 2 or len(model.outputs) != 1:
            raise ModelFileError(
                f"{path.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs.",
                hint="A network that compares has two inputs and one output.",
            )
        self._compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def __call__(self, first: Float32, second: Float32) -> float:
        """Return the network's number.

        Raises
        ------
        ModelFileError
            If it does not take such pictures, or gives more than one number.
        """
        try:
            result = self._compiled([first, second])[0]
        except RuntimeError as error:
            shape = " x ".join(map(str, first.shape))
            raise ModelFileError(
                f"{self._name} takes no pictures of shape {shape}.",
                hint="Export it with free height and width.",
            ) from error
        if result.size != 1:
            raise ModelFileError(
                f"{self._name} returned {result.size} numbers.",
                hint="A network that compares gives one.",
            )
        return float(result.reshape(-1)[0])
