"""The low resolution made finer: by models as `geosr upscale` runs them, and by GDAL."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from geosr.core.catalog import factors_of, find_model
from geosr.core.errors import OptionError
from geosr.core.options import UpscaleOptions
from geosr.evaluation.protocol import BASELINES, GDALWARP, Protocol
from geosr.evaluation.resident import MemoryPeak
from geosr.evaluation.samples import Sample, rounded
from geosr.file_run import Surroundings, run_file, surroundings
from geosr.foreign import is_model_path
from geosr.io.scratch import read_scratch, write_scratch
from geosr.io.warp import warp_cubic
from geosr.loaded import LoadedModels

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Prediction:
    """What a method made of a sample.

    Attributes
    ----------
    image
        ``(bands, s*h, s*w)``, of the low resolution's dtype.
    seconds
        From the file with the low resolution to that with the high one; the model was loaded.
    peak_bytes
        Growth of resident memory meanwhile; None if the system does not tell.
    """

    image: Array
    seconds: float
    peak_bytes: int | None


class Upscaler:
    """Runs methods on samples; models stay loaded."""

    def __init__(self, protocol: Protocol, around: Surroundings, folder: Path) -> None:
        self._protocol, self._around, self._folder = protocol, around, folder
        self._warm: set[tuple[str, int]] = set()

    def __call__(self, sample: Sample, method: str, factor: int) -> Prediction:
        """Return what ``method`` makes of a sample.

        Raises
        ------
        GeosrError
            As `geosr.upscale_file`.
        """
        if method == GDALWARP:
            return _warped(sample, factor)
        source = self._folder / "low.tif"
        write_scratch(source, sample.low, sample.low_valid, names=sample.names)
        if (method, len(sample.low)) not in self._warm:
            self._upscaled(source, method, factor)
            self._warm.add((method, len(sample.low)))
        return self._upscaled(source, method, factor)

    def _upscaled(self, source: Path, method: str, factor: int) -> Prediction:
        target = self._folder / "high.tif"
        options = self._options(method, factor)
        with MemoryPeak() as peak:
            begun = time.perf_counter()
            plan = self._around.plan(str(source), options)
            run_file(plan, str(target), self._around, options)
            seconds = time.perf_counter() - begun
        image, _ = read_scratch(target)
        return Prediction(image, seconds, peak.grown_bytes)

    def _options(self, method: str, factor: int) -> UpscaleOptions:
        engine = dict(self._protocol.engine)
        if method in BASELINES:
            engine = {"threads": engine.get("threads")}
        if not is_model_path(method):
            engine.pop("model_range", None)
        return UpscaleOptions(
            **{"device": "cpu", **engine},
            model=method,
            upscale_factor=factor,
            format="gtiff",
            overwrite=True,
            resume=False,
        )


@contextmanager
def upscaling(protocol: Protocol, should_stop: Callable[[], bool]) -> Iterator[Upscaler]:
    """Yield an upscaler with a folder of its own, which goes when it is done."""
    with (
        surroundings(UpscaleOptions(), should_stop=should_stop) as around,
        TemporaryDirectory(prefix="geosr-evaluate-") as folder,
    ):
        yield Upscaler(protocol, around, Path(folder))


def common_factor(protocol: Protocol) -> int:
    """Return the factor that all models make; a family follows those that make only one.

    Raises
    ------
    UnknownModelError
        If there is no such model.
    OptionError
        If they make different ones, or not the one asked for.
    """
    made = {model: _factors_of(model, protocol) for model in protocol.models}
    fixed = {model: factors[0] for model, factors in made.items() if len(factors) == 1}
    if protocol.upscale_factor is None and len(set(fixed.values())) > 1:
        listed = ", ".join(f"{model} makes x{factor}" for model, factor in fixed.items())
        raise OptionError(
            f"The models cannot be compared: {listed}.",
            hint="Name models of one factor, or families and --factor.",
        )
    factor = protocol.upscale_factor or next(iter(fixed.values()), 2)
    for model in protocol.models:
        if not is_model_path(model):
            find_model(model, factor)  # which says what is wrong with it
    return factor


def _factors_of(model: str, protocol: Protocol) -> tuple[int, ...]:
    if not is_model_path(model):
        return factors_of(model)
    options = UpscaleOptions(
        **{"device": "cpu", **protocol.engine},
        model=model,
        upscale_factor=protocol.upscale_factor,
    )
    bands = len(protocol.indexes) or 3
    opened = LoadedModels().foreign(options, bands=bands, processors=os.cpu_count() or 1)
    return (opened.facts.upscale_factor,)


def _warped(sample: Sample, factor: int) -> Prediction:
    image = sample.low.astype(np.float64)
    if sample.low_valid is not None:
        image = np.where(sample.low_valid, image, np.nan)
    with MemoryPeak() as peak:
        begun = time.perf_counter()
        finer = warp_cubic(image, factor)
        seconds = time.perf_counter() - begun
    return Prediction(rounded(finer, sample.low.dtype), seconds, peak.grown_bytes)
