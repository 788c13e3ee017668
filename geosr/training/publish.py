"""Finished weights: the files that ship and the card that describes them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from geosr.core.facts import ModelFacts
from geosr.models.contract import DETAIL_IN, DETAIL_OUT, declared_radius
from geosr.models.radius import checked_radius
from geosr.training.history import Row
from geosr.training.onnx import write_onnx
from geosr.training.recipe import Recipe


def publish(model: keras.Model, recipe: Recipe, history: list[Row], out_dir: Path) -> Path:
    """Write ``NAME.keras``, ``NAME.onnx`` and their card ``NAME.json``; return the card's path."""
    factor = model.get_layer("high_resolution").upscale_factor
    name = recipe.name_of(factor)
    facts = ModelFacts(
        name=name,
        family=name.rpartition("-x")[0] or name,
        upscale_factor=factor,
        radius=declared_radius(model),
        bands=model.inputs[0].shape[-1],
        band_names=recipe.bands,
        parameters=model.count_params(),
        tensors={DETAIL_IN: DETAIL_IN, DETAIL_OUT: DETAIL_OUT},
        licence=recipe.licence,
        summary=recipe.summary,
        sources=tuple(f"{s.name}: {s.licence}" for s in recipe.sources),
        training=_course(recipe, history),
    )
    return publish_files(model, facts, out_dir)


def publish_files(model: keras.Model, facts: ModelFacts, folder: Path) -> Path:
    """Write a model's weights as .keras and .onnx and its card; return the card's path."""
    checked_radius(model)
    files = {kind: f"{facts.name}.{kind}" for kind in ("keras", "onnx")}
    facts = replace(facts, files=files, sha256={})
    model.save(folder / files["keras"])
    # If the ONNX export fails, what there is has its card already.
    write_card(replace(facts, files={"keras": files["keras"]}), folder)
    write_onnx(folder / files["keras"], folder / files["onnx"], card=facts.to_card())
    return write_card(facts, folder)


def write_card(facts: ModelFacts, folder: Path) -> Path:
    """Write a card beside its files, with their digests."""
    digests = {
        kind: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for kind, name in facts.files.items()
    }
    path = folder / f"{facts.name}.json"
    path.write_text(replace(facts, sha256=digests).to_card(), encoding="utf-8")
    return path


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
