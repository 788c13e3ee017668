"""Finished weights: the files that ship and the card that describes them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from geosr.core.catalog import ModelFacts
from geosr.core.errors import MissingDependencyError
from geosr.models.contract import DETAIL_IN, DETAIL_OUT, declared_radius
from geosr.models.radius import checked_radius
from geosr.training.history import Row
from geosr.training.recipe import Recipe


def publish(model: keras.Model, recipe: Recipe, history: list[Row], out_dir: Path) -> Path:
    """Write ``NAME.keras``, ``NAME.onnx`` and their card ``NAME.json``; return the card's path."""
    checked_radius(model)
    files = {kind: f"{recipe.name}.{kind}" for kind in ("keras", "onnx")}
    facts = ModelFacts(
        name=recipe.name,
        family=recipe.name.rpartition("-x")[0] or recipe.name,
        upscale_factor=recipe.upscale_factor,
        radius=declared_radius(model),
        parameters=model.count_params(),
        files=files,
        tensors={DETAIL_IN: DETAIL_IN, DETAIL_OUT: DETAIL_OUT},
        licence=recipe.licence,
        summary=recipe.summary,
        sources=tuple(f"{s.glob}: {s.licence}" for s in recipe.sources),
        training=_course(recipe, history),
    )
    model.save(out_dir / files["keras"])
    export_onnx(model, out_dir / files["onnx"], metadata={"geosr": facts.to_card()})
    return write_card(facts, out_dir)


def write_card(facts: ModelFacts, folder: Path) -> Path:
    """Write a card beside its files, with their digests."""
    digests = {
        kind: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for kind, name in facts.files.items()
    }
    path = folder / f"{facts.name}.json"
    path.write_text(replace(facts, sha256=digests).to_card(), encoding="utf-8")
    return path


def export_onnx(model: keras.Model, path: Path, *, metadata: dict[str, str]) -> None:
    """Write a model of the contract as ONNX, the ends of its trained part by name.

    Raises
    ------
    MissingDependencyError
        If onnx or tf2onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "Writing ONNX needs the packages onnx and tf2onnx.",
            hint='pip install "geosr[tensorflow]"',
        ) from error
    signature = keras.InputSpec(shape=(None, None, None, 1), dtype="float32", name="low_resolution")
    model.export(path, format="onnx", verbose=False, input_signature=[signature])
    graph = onnx.load(path)
    _rename(graph.graph, _tensor_names(graph.graph))
    for key, value in metadata.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _tensor_names(graph: Any) -> dict[str, str]:
    """Find the ends of the trained part: what the high-pass gives, and what the sum takes."""
    names = {graph.output[0].name: "high_resolution"}
    for node in graph.node:
        if re.search(rf"/{DETAIL_IN}(_\d+)?/sub$", node.name):
            names[node.output[0]] = DETAIL_IN
        if re.search(r"/sum(_\d+)?/[Aa]dd", node.name):
            names[node.input[1]] = DETAIL_OUT
    return names


def _rename(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        for ends in (node.input, node.output):
            for index, name in enumerate(ends):
                ends[index] = names.get(name, name)
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _course(recipe: Recipe, history: list[Row]) -> dict[str, Any]:
    last = history[-1] if history else None
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "backend": f"Keras {keras.__version__} on {keras.backend.backend()}",
        "seconds": last.seconds if last else 0,
        "validation_psnr": last.psnr if last else None,
        "validation_gain": last.gain if last else None,
        "recipe": recipe.to_dict(),
    }
