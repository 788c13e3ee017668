"""How two rasters differ, band by band, added up over their parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geosr.metrics.consistency import block_difference

Array = NDArray[np.generic]


@dataclass(frozen=True)
class BandDifference:
    """The second raster, averaged to the first one's grid, less the first.

    Attributes
    ----------
    band
        From 1.
    mean, rmse, largest
        Of the differences, in the rasters' units; the last one is the largest in size.
    correlation
        Of the two; NaN if one of them is constant.
    """

    band: int
    mean: float
    rmse: float
    largest: float
    correlation: float


class Sums:
    """Moments of two rasters and of their difference."""

    def __init__(self, bands: int) -> None:
        self.count = 0
        self._moments = np.zeros((bands, 7))
        self._largest = np.zeros(bands)
        self._level: NDArray[np.float64] | None = None

    def add(self, low: Array, fine: Array, factor: int, valid: NDArray[np.bool_] | None) -> None:
        """Take a part over: ``(bands, h, w)``, ``(bands, s*h, s*w)`` and ``(h, w)``.

        At least one pixel must be valid.
        """
        kept = np.ones(low.shape[1:], bool) if valid is None else valid
        x = low.astype(np.float64)[:, kept]
        difference = block_difference(low, fine, factor)[:, kept]
        if self._level is None:
            self._level = x.mean(axis=1, keepdims=True)  # what squares are taken from: no big sums
        x = x - self._level
        y = x + difference
        terms = (difference, difference**2, x, y, x * y, x * x, y * y)
        self._moments += np.stack([term.sum(axis=1) for term in terms], axis=1)
        self.count += int(kept.sum())
        largest = difference[np.arange(len(x)), np.abs(difference).argmax(axis=1)]
        self._largest = np.where(np.abs(largest) > np.abs(self._largest), largest, self._largest)

    def bands(self) -> tuple[BandDifference, ...]:
        """Return what they say of each band."""
        return tuple(self._band(number) for number in range(len(self._moments)))

    def _band(self, number: int) -> BandDifference:
        mean, square, x, y, xy, xx, yy = (self._moments[number] / self.count).tolist()
        spread = max(xx - x * x, 0.0) * max(yy - y * y, 0.0)
        correlation = (xy - x * y) / spread**0.5 if spread > 0 else float("nan")
        return BandDifference(
            number + 1, mean, square**0.5, float(self._largest[number]), correlation
        )
