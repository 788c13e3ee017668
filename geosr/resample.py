"""Area averages of a fine image on a grid that does not fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.plan import Block

Array = NDArray[Any]
Taps = tuple[NDArray[np.int64], NDArray[np.float64]]

NEAR = 1e-6
"""Parts of a fine pixel that are rounding only."""


@dataclass(frozen=True)
class AreaResampler:
    """Averages predicted pixels over each pixel of the output grid, holes left out.

    Both grids begin at the same corner. A pixel is valid if at least half of what the raster
    covers of it is; where the raster ends inside a pixel, its mean is that of the covered part.

    Attributes
    ----------
    upscale_factor
        Predicted pixels per source pixel and side.
    steps
        Height and width of an output pixel, in source pixels.
    """

    upscale_factor: int
    steps: tuple[float, float]

    def averaged(
        self, image: Array, valid: NDArray[np.bool_] | None, block: Block
    ) -> tuple[Array, NDArray[np.bool_] | None]:
        """Return the means over a block's output pixels, and which are valid.

        Parameters
        ----------
        image
            ``(bands, height, width)``: the prediction of the block's core, float.
        valid
            Of the same shape; None: all are.
        """
        out, s = block.output, self.upscale_factor
        firsts, offsets = (out.row_off, out.col_off), (block.core.row_off, block.core.col_off)
        taps = [
            self._taps(
                firsts[axis], out.shape[axis], offsets[axis] * s, image.shape[1 + axis], axis
            )
            for axis in (0, 1)
        ]
        cover = [weights.sum(axis=1) for _, weights in taps]
        area = cover[0][:, None] * cover[1]
        mean = np.empty((len(image), *out.shape), image.dtype)
        if valid is None:
            for band, result in zip(image, mean, strict=True):
                result[...] = _weighted(band, taps) / area
            return mean, None
        good = np.empty(mean.shape, np.bool_)
        for band, known, result, enough in zip(image, valid, mean, good, strict=True):
            share = _weighted(known, taps)
            total = _weighted(np.where(known, band, 0), taps)
            enough[...] = share >= (0.5 - NEAR) * area
            result[...] = total / np.where(enough, share, 1)
        return mean, good

    def _taps(self, first: int, count: int, offset: int, length: int, axis: int) -> Taps:
        """Return which fine pixels each output pixel covers, and how much of each.

        Places count from the raster's edge, so that they do not depend on the block.
        """
        step = self.steps[axis] * self.upscale_factor
        starts = (first + np.arange(count)) * step
        ends = (first + np.arange(1, count + 1)) * step
        width = int(np.ceil(step)) + 1
        index = np.floor(starts + NEAR).astype(np.int64)[:, None] + np.arange(width)
        covered = np.minimum(ends[:, None], index + 1) - np.maximum(starts[:, None], index)
        index -= offset
        inside = (index >= 0) & (index < length)
        weights = np.where(inside, np.clip(covered, 0, 1), 0.0)
        weights[weights < 10 * NEAR] = 0  # edges that coincide but for rounding
        return np.clip(index, 0, length - 1), weights


def _weighted(image: Array, taps: list[Taps]) -> NDArray[np.float64]:
    """Sum the covered parts of ``(height, width)``, first down the columns, then along the rows.

    In double precision, so that a constant comes out as it was, holes or not.
    """
    (rows, row_weights), (cols, col_weights) = taps
    down = np.zeros((len(rows), image.shape[1]))
    for tap in range(rows.shape[1]):
        down += image[rows[:, tap]] * row_weights[:, tap, None]
    total = np.zeros((len(rows), len(cols)))
    for tap in range(cols.shape[1]):
        total += down[:, cols[:, tap]] * col_weights[:, tap]
    return total
