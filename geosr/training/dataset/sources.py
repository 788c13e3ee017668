"""Rasters to cut patches from: which there are, and what a patch of one is."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, UnsupportedRasterError
from geosr.core.geometry import GeoGrid, Window
from geosr.degrade import DEGRADATIONS
from geosr.io.raster import RasterFacts, RasterReader, check_upscalable, read_facts
from geosr.training.dataset.index import Part, SourceEntry

Array = NDArray[Any]
Range = tuple[float, float]

SUFFIXES = frozenset((".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg", ".vrt", ".img", ".bil"))
"""Of the files that are taken from a folder; others can be named one by one."""

SAMPLES = 32
"""Windows from which the range of a raster's values is taken."""


@dataclass(frozen=True)
class Cut:
    """A patch ``(bands, h, w)``: as stored, and of a pair its low side and how alike they are."""

    high: Array
    low: Array | None = None
    correlation: float | None = None


def rasters_in(folder: str) -> list[str]:
    """Return the rasters of a folder and those below it, sorted.

    Raises
    ------
    InputFileError
        If there are none.
    """
    found = [
        os.path.join(root, name)
        for root, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    if not found:
        raise InputFileError(
            f"The folder {folder} holds no rasters.",
            hint=f"Rasters are taken by their names' ends: {', '.join(sorted(SUFFIXES))}.",
        )
    return sorted(found)


def read_source(path: str, indexes: Sequence[int]) -> tuple[RasterFacts, tuple[int, ...]]:
    """Return the facts of a raster and the numbers of the bands to take: never the alpha band.

    Raises
    ------
    InputFileError
        If it cannot be read.
    BandError, UnsupportedRasterError
        If bands are missing, or hold no picture.
    """
    facts = read_facts(path)
    chosen = tuple(index for index in facts.all_indexes(indexes) if index != facts.alpha)
    check_upscalable(facts, chosen)
    if not chosen:
        raise UnsupportedRasterError(f"{path} holds nothing but an alpha band.", hint="Leave it.")
    return facts, chosen


def windows_of(shape: tuple[int, int], side: int, stride: int) -> list[Window]:
    """Return the squares that fit into a raster, row by row."""
    height, width = shape
    return [
        Window(row, col, side, side)
        for row in range(0, height - side + 1, stride)
        for col in range(0, width - side + 1, stride)
    ]


class RasterSource:
    """One raster, cut into patches; their low side is made here if a degradation is named."""

    def __init__(
        self, facts: RasterFacts, indexes: tuple[int, ...], *, side: int, stride: int
    ) -> None:
        self.facts, self.indexes = facts, indexes
        self.windows = windows_of(facts.grid.shape, side, stride)
        self.scaling: tuple[Range, ...] = ()
        self._reader = RasterReader(facts, indexes, Window(0, 0, *facts.grid.shape))
        self.degradation, self.upscale_factor, self.seed = "", 0, 0

    @property
    def name(self) -> str:
        """The raster's path."""
        return self.facts.path

    @property
    def grids(self) -> tuple[GeoGrid, ...]:
        """Where it lies, if anywhere."""
        return (self.facts.grid,) if self.facts.has_transform else ()

    def prepare(self) -> str:
        """Find the range of the values; return what is worth telling: nothing.

        Raises
        ------
        InputFileError
            If the raster cannot be read.
        """
        self.scaling = scaling_of(self._samples(), len(self.indexes), self.facts.dtype)
        return ""

    def _samples(self) -> Iterator[tuple[Array, NDArray[np.bool_]]]:
        for window in evenly(self.windows, SAMPLES):
            values, valid = self._reader.read(window)
            yield values, np.ones(values.shape, np.bool_) if valid is None else valid

    def cut(self, window: Window) -> Cut | str:
        """Return a patch, or the reason why there is none.

        Raises
        ------
        InputFileError
            If the raster cannot be read there.
        """
        values, valid = self._reader.read(window)
        if valid is not None:
            return "holes"
        return Cut(values, self._low(window, values) if self.degradation else None)

    def _low(self, window: Window, values: Array) -> NDArray[np.float32]:
        """Degrade a patch, with what lies around it where that is whole."""
        s = self.upscale_factor
        inner, outer = self._with_surroundings(window, values)
        scale = np.array(self.scaling, np.float32)[:, :, None, None]
        low, span = scale[:, 0], scale[:, 1] - scale[:, 0]
        rng = np.random.default_rng([self.seed, window.row_off, window.col_off])
        degraded = DEGRADATIONS[self.degradation]((outer.astype(np.float32) - low) / span, s, rng)
        rows, cols = Window(inner[0] // s, inner[1] // s, *(n // s for n in window.shape)).slices
        kept: NDArray[np.float32] = (degraded[:, rows, cols] * span + low).astype(np.float32)
        return kept

    def _with_surroundings(self, window: Window, values: Array) -> tuple[tuple[int, int], Array]:
        """Return where the patch begins in the pixels around it, and those."""
        s, (height, width) = self.upscale_factor, self.facts.grid.shape
        most = 4 * s
        up, left = (min(most, n // s * s) for n in (window.row_off, window.col_off))
        down = min(most, (height - window.row_off - window.height) // s * s)
        right = min(most, (width - window.col_off - window.width) // s * s)
        around = Window(
            window.row_off - up,
            window.col_off - left,
            window.height + up + down,
            window.width + left + right,
        )
        outer, valid = self._reader.read(around)
        return ((0, 0), values) if valid is not None else ((up, left), outer)

    def entry(self, scene: int, part: Part) -> SourceEntry:
        """Return what the index says of the raster."""
        return entry_of(self.facts, self.indexes, self.scaling, scene, part)

    def close(self) -> None:
        """Close the raster."""
        self._reader.close()


def entry_of(
    facts: RasterFacts,
    indexes: tuple[int, ...],
    scaling: tuple[Range, ...],
    scene: int,
    part: Part,
) -> SourceEntry:
    """Return what the index says of a raster."""
    nodata = (facts.nodata[index - 1] for index in indexes)
    return SourceEntry(
        path=facts.path,
        dtype=facts.dtype,
        bands=indexes,
        nodata=tuple(
            str(value) if value is not None and math.isnan(value) else value for value in nodata
        ),
        crs=facts.grid.crs,
        transform=facts.grid.transform if facts.has_transform else None,
        scaling=scaling,
        scene=scene,
        part=part,
    )


def evenly(windows: Sequence[Window], most: int) -> list[Window]:
    """Return at most so many windows, evenly spaced in their order."""
    count = min(len(windows), most)
    return [windows[(2 * i + 1) * len(windows) // (2 * count)] for i in range(count)]


def scaling_of(
    samples: Iterator[tuple[Array, NDArray[np.bool_]]], bands: int, dtype: str
) -> tuple[Range, ...]:
    """Return for each band what stands for 0 and 1: 0 and 255 of bytes, else a range of samples.

    That is from the 0.1 to the 99.9 percentile of the valid values; of a flat band, a unit.
    """
    if dtype == "uint8":
        return ((0.0, 255.0),) * bands
    kept: list[list[Array]] = [[] for _ in range(bands)]
    for values, valid in samples:
        for band, (plane, good) in enumerate(zip(values, valid, strict=True)):
            kept[band].append(plane[good])
    found: list[Range] = []
    for planes in kept:
        pixels = np.concatenate(planes) if planes else np.empty(0)
        low, high = np.percentile(pixels, (0.1, 99.9)) if pixels.size else (0.0, 1.0)
        found.append((float(low), float(high if high > low else low + 1)))
    return tuple(found)
