"""How often the truth lies within sigma's intervals: by the same runs as a user's."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.batch.uncertainty import run_both
from geosr.core.errors import InputFileError, OptionError
from geosr.core.geometry import Window
from geosr.core.options import UpscaleOptions
from geosr.degrade import area
from geosr.evaluation.overlap import middle
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.samples import (
    LARGEST,
    Entry,
    Sample,
    blocks,
    degraded,
    opened,
    read_pixels,
    rounded,
)
from geosr.file_run import Surroundings, surroundings
from geosr.io.scratch import read_scratch, write_scratch
from geosr.metrics import luma
from geosr.metrics.conformal import error_ratios

Array = NDArray[np.generic]
Floats = NDArray[np.floating]
Valid = NDArray[np.bool_]

PIXELS = 1 << 18
"""Pixels of a scene that a calibration looks at, drawn by the scene's name."""


@dataclass(frozen=True)
class SceneRatios:
    """Errors of a scene's pixels, in sigmas, by band: numbers from 1, or ``luma``."""

    name: str
    bands: dict[str, Floats]

    def drawn(self) -> Floats:
        """Return at most `PIXELS` of them over all bands; the same each time."""
        values = np.concatenate([self.bands[band] for band in self.bands])
        if values.size <= PIXELS:
            return values
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return values[rng.choice(values.size, PIXELS, replace=False)]


class Prober:
    """Upscales samples with their uncertainty, and compares both with the truth."""

    def __init__(self, around: Surroundings, folder: Path, options: UpscaleOptions) -> None:
        self._around, self._folder, self._options = around, folder, options

    def bands(self, name: str, sample: Sample) -> SceneRatios:
        """Return the ratios of all bands of a sample."""
        ratios = self._ratios(
            sample.low, sample.low_valid, sample.truth, sample.valid, names=sample.names
        )
        numbered = {str(number): values for number, values in enumerate(ratios, 1)}
        return SceneRatios(name, numbered)

    def luma(self, name: str, sample: Sample) -> SceneRatios:
        """Return the ratios of a photograph's luma, which is upscaled as a band of its own."""
        low, truth = (luma(image)[None].astype(np.float32) for image in (sample.low, sample.truth))
        ratios = self._ratios(low, sample.low_valid, truth, sample.valid)
        return SceneRatios(name, {"luma": ratios[0]})

    def _ratios(
        self,
        low: Array,
        low_valid: Valid | None,
        truth: Array,
        valid: Valid | None,
        *,
        names: Sequence[str | None] = (),
    ) -> list[Floats]:
        source, target = self._folder / "low.tif", self._folder / "high.tif"
        write_scratch(source, low, low_valid, names=names)
        plan = self._around.plan(str(source), self._options)
        run_both(plan, str(target), self._around, self._options)
        picture, _ = read_scratch(target)
        sigma, _ = read_scratch(Path(str(self._options.uncertainty)))
        kept = np.ones(truth.shape[1:], bool) if valid is None else valid
        ratios = error_ratios(truth, picture, sigma.astype(np.float64))
        return [
            band[kept & np.isfinite(spread)] for band, spread in zip(ratios, sigma, strict=True)
        ]


@contextmanager
def probing(
    model: str, factor: int, head: str | None, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Prober]:
    """Yield a prober of a model and its head, or the head of a card."""
    with TemporaryDirectory(prefix="geosr-calibrate-") as folder:
        options = UpscaleOptions(
            model=model,
            upscale_factor=factor,
            uncertainty=str(Path(folder) / "sigma.tif"),
            uncertainty_model=head,
            format="gtiff",
            overwrite=True,
            resume=False,
            device="cpu",
        )
        with surroundings(options, should_stop=should_stop) as around:
            yield Prober(around, Path(folder), options)


def validation_entries(
    sources: tuple[Any, ...], data_dir: Path, protocol: Protocol
) -> dict[str, list[Entry]]:
    """Return what a recipe holds back: for each file, an entry for each of its reductions.

    Parameters
    ----------
    sources
        Of the recipe, `geosr.training.recipe.Source`.

    Raises
    ------
    InputFileError
        If nothing is held back, or it is not there.
    """
    found: dict[str, list[Entry]] = {}
    for source in sources:
        seen = replace(protocol, indexes=tuple(source.bands) or protocol.indexes)
        for path in sorted(data_dir.glob(source.glob)) if source.glob else ():
            if any(fnmatch(path.name, pattern) for pattern in source.validation):
                found[path.name] = [
                    Entry(f"{path.name} /{n}", partial(_reduced, path, n, seen))
                    for n in source.reduce
                ]
    if not found:
        raise InputFileError(
            f"The recipe holds back no image of {data_dir}.",
            hint="Its sources need `validation`, and --data the folder that they are relative to.",
        )
    return found


def _reduced(path: Path, reduce: int, protocol: Protocol, factor: int) -> Sample:
    """Return block means of a file as the truth, and the low resolution that they have."""
    facts, indexes = opened(path, protocol)
    window = middle(Window(0, 0, *facts.grid.shape), LARGEST * reduce)
    side = reduce * factor
    height, width = (length // side * side for length in window.shape)
    if min(height, width) < 8 * side:
        raise OptionError(f"{path.name} is too small.", hint="Leave it out.")
    window = Window(window.row_off, window.col_off, height, width)
    truth, valid = read_pixels(facts, indexes, window)
    if reduce > 1:
        truth = rounded(np.asarray(area(truth.astype(np.float64), reduce)), truth.dtype)
        valid = None if valid is None else np.asarray(blocks(valid, reduce).all(axis=(1, 3)))
    return degraded(facts, indexes, (truth, valid), protocol, factor)
