"""Networks with int8 convolutions, made by NNCF for OpenVINO."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import MissingDependencyError
from geosr.runtimes.openvino import open_part, write_graph


def write_int8(
    onnx_path: Path,
    cut: tuple[str, str],
    samples: Sequence[NDArray[np.float32]],
    path: Path,
) -> None:
    """Write the part of an .onnx file between two tensors with int8 weights and activations.

    Weights get a step for each filter, activations one for each tensor and a zero point, for
    a leaky ReLU's negative side is short. The first convolution stays as it is: it is a
    hundredth of the work, and the picture itself keeps its precision. Biases are not corrected,
    so that no detail in still gives no detail out.

    Parameters
    ----------
    samples
        Inputs ``(1, bands, height, width)`` that tell the ranges of activations.
    path
        An .xml; the weights go into a .bin beside it.

    Raises
    ------
    MissingDependencyError
        If NNCF is not installed.
    ModelFileError
        If the graph cannot be read.
    """
    graph = open_part(onnx_path, cut)
    nncf = _nncf()
    first = next(op for op in graph.get_ordered_ops() if op.get_type_name() == "Convolution")
    with redirect_stdout(StringIO()):  # its progress bars
        quantised = nncf.quantize(
            graph,
            nncf.Dataset(list(samples)),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(names=[first.get_friendly_name()]),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True, disable_channel_alignment=True
            ),
        )
    write_graph(quantised, path)


def _nncf() -> Any:
    try:
        import nncf
    except ImportError as error:
        raise MissingDependencyError(
            "Making int8 weights needs NNCF, which is not installed.",
            hint='Install it with: pip install "geosr[quantise]"',
        ) from error
    # Not nncf.set_log_level: it changes handlers, too, also those that others have put there.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
