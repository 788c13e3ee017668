"""The same ground by two sensors: found, laid on each other, and cut into pairs of patches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import BandError, UnsupportedRasterError
from geosr.core.geometry import GeoGrid, Window
from geosr.degrade import area
from geosr.io.raster import RasterFacts, RasterReader
from geosr.training.dataset.alignment import placed
from geosr.training.dataset.index import Part, SourceEntry
from geosr.training.dataset.radiometry import correlation, robust_fit
from geosr.training.dataset.register import LOBES, resampled, shift_between
from geosr.training.dataset.sources import Cut, Range, entry_of, evenly, scaling_of, windows_of

Array = NDArray[Any]

SAMPLES = 16
SAMPLE_SIDES = (96, 64, 48, 32)  # in low-resolution pixels: the larger, the clearer the peak
FEW = 4
INSET = 2  # so that a shift does not push them off the raster
ROUNDS = 5
BLOCK = 8
"""Low-resolution pixels a side whose means are fitted: over fewer, one sensor's sharper pixels and
the other's noise make the line too flat."""


@dataclass(frozen=True)
class Matching:
    """How a pair was laid on each other.

    Attributes
    ----------
    shift
        Rows and columns by which the high resolution was moved, in its own pixels.
    spread
        Median distance of the windows' own shifts from it, in the same pixels.
    mixing
        Weights of the low resolution's bands, and an offset, that give the one band of the high
        resolution; None if the bands are the same.
    gains, offsets
        Of each band: what brings the high resolution to the low one's values.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    spread: float = 0.0
    mixing: tuple[float, ...] | None = None
    gains: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()


class PairSource:
    """A raster and a finer one of another sensor.

    Windows count in low-resolution pixels. The low side is stored as it is; the high side is
    resampled onto it, and its values are brought to those of the low side.
    """

    def __init__(
        self,
        low: tuple[RasterFacts, tuple[int, ...]],
        high: tuple[RasterFacts, tuple[int, ...]],
        *,
        side: int,
        stride: int,
        min_correlation: float,
    ) -> None:
        self.low, self.low_indexes = low
        self.facts, self.indexes = high
        _check_bands(self.low.path, len(self.low_indexes), self.facts.path, len(self.indexes))
        self.upscale_factor, self._place = placed(self.low, self.facts)
        side, stride = side // self.upscale_factor, stride // self.upscale_factor
        self._least = min_correlation
        self.windows = self._inside(windows_of(self.low.grid.shape, side, stride))
        self.matching = Matching()
        self.scaling: tuple[Range, ...] = ()
        self._low, self._high = (
            RasterReader(facts, indexes, Window(0, 0, *facts.grid.shape))
            for facts, indexes in (low, high)
        )

    @property
    def name(self) -> str:
        """Both paths."""
        return f"{self.low.path} and {self.facts.path}"

    @property
    def grids(self) -> tuple[GeoGrid, ...]:
        """Where the two lie, if anywhere."""
        return tuple(facts.grid for facts in (self.low, self.facts) if facts.has_transform)

    def prepare(self) -> str:
        """Lay the two on each other; return what was found.

        Raises
        ------
        InputFileError
            If one cannot be read.
        UnsupportedRasterError
            If they have nothing in common.
        """
        whole = self._samples()
        if not whole:
            raise UnsupportedRasterError(
                f"{self.low.path} and {self.facts.path} have no part of {SAMPLE_SIDES[-1]} pixels "
                "without holes in common.",
                hint="Look whether they show the same place.",
            )
        self._register(whole)
        self._fit(whole)
        rows, cols = self.matching.shift
        gains = ", ".join(f"{gain:.3g}" for gain in self.matching.gains)
        return (
            f"{self.name}: x{self.upscale_factor}, moved by {rows:+.2f} rows and {cols:+.2f} "
            f"columns (spread {self.matching.spread:.2f}) of the finer one, gains {gains}"
        )

    def _samples(self) -> list[Window]:
        """Return windows without holes, as large as there are several."""
        height, width = (n - 2 * INSET for n in self.low.grid.shape)
        found: list[Window] = []
        for size in SAMPLE_SIDES:
            inner = windows_of((height, width), size, size // 2)
            windows = evenly(self._inside([w.shift(INSET, INSET) for w in inner]), 8 * SAMPLES)
            whole = evenly([w for w in windows if self._pair(w) is not None], SAMPLES)
            if len(whole) >= FEW:
                return whole
            found = found or whole
        return found

    def cut(self, window: Window) -> Cut | str:
        """Return a pair of patches, or the reason why there is none.

        Raises
        ------
        InputFileError
            If one cannot be read there.
        """
        if self._covering(window, self.matching.shift) is None:
            return "outside"
        pair = self._pair(window)
        if pair is None:
            return "holes"
        low, high = pair
        low = self._mixed(low)
        gains, offsets = (
            np.array(values)[:, None, None]
            for values in (self.matching.gains, self.matching.offsets)
        )
        matched = (high * gains + offsets).astype(np.float32)
        alike = correlation(low, area(matched, self.upscale_factor))
        if alike < self._least:
            return "misfits"
        return Cut(matched, low, round(alike, 4))

    def entry(self, scene: int, part: Part) -> SourceEntry:
        """Return what the index says of the pair."""
        high = entry_of(self.facts, self.indexes, self.scaling, scene, part)
        low = entry_of(self.low, self.low_indexes, self.scaling, scene, part)
        facts = {
            key: getattr(low, key) for key in ("path", "dtype", "bands", "nodata", "transform")
        }
        return replace(high, low={**facts, **vars(self.matching)})

    def close(self) -> None:
        """Close both rasters."""
        self._low.close()
        self._high.close()

    def _inside(self, windows: list[Window]) -> list[Window]:
        """Return the windows of the low resolution that the high one covers."""
        return [w for w in windows if self._covering(w, (0.0, 0.0)) is not None]

    def _places(self, window: Window, shift: tuple[float, float]) -> tuple[Array, Array]:
        """Return the rows and columns in the high resolution of the pixels to be made."""
        s = self.upscale_factor
        found = []
        for axis, (first, count) in enumerate(
            ((window.row_off, window.height), (window.col_off, window.width))
        ):
            scale, origin = self._place[axis]
            centres = first + (np.arange(count * s) + 0.5) / s
            found.append(centres * scale + origin - shift[axis] - 0.5)
        return found[0], found[1]

    def _covering(self, window: Window, shift: tuple[float, float]) -> Window | None:
        firsts, lasts = [], []
        for places, length in zip(self._places(window, shift), self.facts.grid.shape, strict=True):
            if places[0] < -0.5 or places[-1] > length - 0.5:
                return None
            firsts.append(max(int(places[0]) - LOBES, 0))
            lasts.append(min(int(places[-1]) + 1 + LOBES, length - 1))
        (top, left), (bottom, right) = firsts, lasts
        return Window(top, left, bottom - top + 1, right - left + 1)

    def _pair(self, window: Window) -> tuple[Array, NDArray[np.float64]] | None:
        """Return low ``(bands, h, w)`` and high ``(bands, s*h, s*w)``; None if there are holes."""
        covering = self._covering(window, self.matching.shift)
        if covering is None:
            return None
        low, low_valid = self._low.read(window)
        high, high_valid = self._high.read(covering)
        if low_valid is not None or high_valid is not None:
            return None
        rows, cols = self._places(window, self.matching.shift)
        fine = resampled(high.astype(np.float64), rows - covering.row_off, cols - covering.col_off)
        return low, fine

    def _register(self, windows: list[Window]) -> None:
        """Find the shift: the median of the windows', again and again until nothing is left."""
        for _ in range(ROUNDS):
            found = []
            for window in windows:
                pair = self._pair(window)
                if pair is not None and (coarse := self._coarse(pair[1])).std() > 0:
                    low = np.asarray(pair[0], np.float64)
                    found.append(shift_between(low.mean(axis=0), coarse))
            if not found:
                return
            shifts = np.array(found) * self.upscale_factor
            step = np.median(shifts, axis=0)
            spread = float(np.median(np.hypot(*(shifts - step).T)))
            rows, cols = self.matching.shift
            moved = rows + float(step[0]), cols + float(step[1])
            self.matching = replace(self.matching, shift=moved, spread=round(spread, 3))
            if np.abs(step).max() < 0.02:
                break
        rows, cols = self.matching.shift
        self.matching = replace(self.matching, shift=(round(rows, 3), round(cols, 3)))

    def _coarse(self, high: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(area(high, self.upscale_factor).mean(axis=0))

    def _fit(self, windows: list[Window]) -> None:
        """Find the lines that bring the high resolution's values to the low one's."""
        pairs = [pair for window in windows if (pair := self._pair(window)) is not None]
        if not pairs:
            raise self._apart()
        low = _means([p[0].astype(np.float64) for p in pairs], BLOCK)
        high = _means([p[1] for p in pairs], BLOCK * self.upscale_factor)
        if len(high) == 1 and len(low) > 1:
            mixing = robust_fit(low, high[0])
            low = (mixing[:-1] @ low + mixing[-1])[None]
            self.matching = replace(self.matching, mixing=tuple(map(float, mixing)))
        lines = [robust_fit(h[None], v) for h, v in zip(high, low, strict=True)]
        if min(line[0] for line in lines) <= 0:
            raise self._apart()
        self.matching = replace(
            self.matching,
            gains=tuple(float(line[0]) for line in lines),
            offsets=tuple(float(line[1]) for line in lines),
        )
        pixels = [self._mixed(p[0]) for p in pairs]
        samples = ((values, np.ones(values.shape, np.bool_)) for values in pixels)
        self.scaling = scaling_of(samples, len(low), "float32")

    def _mixed(self, low: Array) -> Array:
        if self.matching.mixing is None:
            return low
        *weights, offset = self.matching.mixing
        mixed: Array = (np.tensordot(weights, low, axes=1) + offset)[None].astype(np.float32)
        return mixed

    def _apart(self) -> UnsupportedRasterError:
        return UnsupportedRasterError(
            f"{self.low.path} and {self.facts.path} do not show the same: where one is bright, the "
            "other is not.",
            hint="Look whether place and season are the same, and the bands in one order.",
        )


def _means(images: list[NDArray[np.float64]], side: int) -> NDArray[np.float64]:
    """Return the block means of images of ``(bands, h, w)`` as ``(bands, samples)``."""
    means = [area(image, side) for image in images]
    return np.concatenate([mean.reshape(len(mean), -1) for mean in means], axis=1)


def _check_bands(low: str, low_count: int, high: str, high_count: int) -> None:
    if high_count not in (1, low_count):
        raise BandError(
            f"{low} has {low_count} bands and {high} has {high_count}.",
            hint="Use --bidx to pick the same bands of both; a finer raster of one band goes with "
            "any number.",
        )
