"""The ONNX form of a trained network, with names at the ends of its trained part.

``python -m geosr.training.onnx IN.keras OUT.onnx CARD.json`` writes it from a file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras

from geosr.core.errors import MissingDependencyError, ModelFileError
from geosr.models import layers  # noqa: F401 - makes them known to Keras
from geosr.models.contract import DETAIL_IN, DETAIL_OUT


def write_onnx(keras_path: Path, onnx_path: Path, *, card: str) -> None:
    """Write a .keras file of the contract as ONNX, with its card inside.

    Keras writes ONNX of such networks from TensorFlow only. Where training ran on JAX or
    PyTorch, a process of its own does it.

    Raises
    ------
    MissingDependencyError
        If TensorFlow, onnx or tf2onnx is not installed.
    """
    if keras.backend.backend() == "tensorflow":
        _export(keras_path, onnx_path, card)
        return
    with tempfile.TemporaryDirectory() as folder:
        card_path = Path(folder) / "card.json"
        card_path.write_text(card, encoding="utf-8")
        names = [str(path) for path in (keras_path, onnx_path, card_path)]
        done = subprocess.run(
            [sys.executable, "-m", __name__, *names],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise MissingDependencyError(
            f"{onnx_path.name} was not written: that takes TensorFlow and tf2onnx.",
            hint=f'{keras_path} is there. After pip install "geosr[tensorflow]": '
            f"KERAS_BACKEND=tensorflow python -m {__name__} {keras_path} {onnx_path} "
            f"{keras_path.with_suffix('.json')}",
        )


def _export(keras_path: Path, onnx_path: Path, card: str) -> None:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "Writing ONNX needs the packages onnx and tf2onnx.",
            hint='pip install "geosr[tensorflow]"',
        ) from error
    model = keras.saving.load_model(keras_path, compile=False, safe_mode=True)
    signature = keras.InputSpec(
        shape=(None, None, None, model.inputs[0].shape[-1]), dtype="float32", name="low_resolution"
    )
    model.export(onnx_path, format="onnx", verbose=False, input_signature=[signature])
    graph = onnx.load(onnx_path)
    names = _tensor_names(graph.graph)
    if set(names.values()) != {"high_resolution", DETAIL_IN, DETAIL_OUT}:
        raise ModelFileError(
            f"The ends of the trained part of {keras_path.name} are not found in its ONNX form.",
            hint="tf2onnx may name nodes in a new way; see _tensor_names.",
        )
    _rename(graph.graph, names)
    entry = graph.metadata_props.add()
    entry.key, entry.value = "geosr", card
    onnx.checker.check_model(graph)
    onnx.save(graph, onnx_path)


def _tensor_names(graph: Any) -> dict[str, str]:
    """Find the ends of the trained part: what the high-pass gives, and what the sum takes.

    A network without a base has no sum; its trained part ends in a magnitude.
    """
    names = {graph.output[0].name: "high_resolution"}
    for node in graph.node:
        if re.search(rf"/{DETAIL_IN}(_\d+)?/sub$", node.name):
            names[node.output[0]] = DETAIL_IN
        if re.search(r"/sum(_\d+)?/[Aa]dd", node.name):
            names[node.input[1]] = DETAIL_OUT
        if re.search(rf"/{DETAIL_OUT}(_\d+)?/Abs$", node.name):  # of geosr.models.sigma
            names[node.output[0]] = DETAIL_OUT
    return names


def _rename(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        for ends in (node.input, node.output):
            for index, name in enumerate(ends):
                ends[index] = names.get(name, name)
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


if __name__ == "__main__":
    _export(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).read_text(encoding="utf-8"))
