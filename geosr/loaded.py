"""Models that stay loaded from one raster to the next."""

from __future__ import annotations

import os
import threading
from typing import Any

from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.engine import Predictor
from geosr.foreign import ForeignPredictor, open_foreign
from geosr.predictors import Machinery, load_predictor


class LoadedModels:
    """Loads each model once, and keeps it; call it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, ...], Any] = {}

    def predictor(self, facts: ModelFacts, machinery: Machinery) -> Predictor:
        """Return a model of a card, ready to run.

        Raises
        ------
        ModelFileError
            If the file is missing, or not the one that the card describes.
        """
        key = (facts.name, facts.folder, tuple(sorted(facts.sha256.items())), machinery)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = load_predictor(facts, machinery)
            kept: Predictor = self._kept[key]
            return kept

    def foreign(self, options: UpscaleOptions, *, bands: int, processors: int) -> ForeignPredictor:
        """Return a network without a card, opened and probed; see `geosr.foreign`.

        Raises
        ------
        GeosrError
            If it cannot be used.
        """
        path = os.path.realpath(options.model)
        changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        key = (
            (path, changed, bands, processors),
            (options.upscale_factor, options.model_range, options.threads),
            (options.device, options.precision, options.runtime),
        )
        with self._lock:
            if key not in self._kept:
                self._kept[key] = open_foreign(options, bands=bands, processors=processors)
            kept: ForeignPredictor = self._kept[key]
            return kept
