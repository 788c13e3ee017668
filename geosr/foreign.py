"""Networks without a card (placeholder interface; the engineer of this part replaces it)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geosr.core.catalog import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.predictors import Machinery


@dataclass(frozen=True)
class ForeignPredictor:
    facts: ModelFacts
    machinery: Machinery
    notes: tuple[str, ...]

    def predict(self, x: Any) -> Any: ...


def is_model_path(model: str) -> bool:
    return Path(model).suffix.lower() in (".onnx", ".keras")


def open_foreign(options: UpscaleOptions, *, bands: int) -> ForeignPredictor:
    raise NotImplementedError
