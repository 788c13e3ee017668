"""Area averages of a fine image on a grid that does not fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.plan import Block

Array = NDArray[Any]


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
        out = block.output
        offsets = (block.core.row_off, block.core.col_off)
        firsts = (out.row_off, out.col_off)
        taps = [
            self._taps(firsts[axis], out.shape[axis], offsets[axis], image.shape[1 + axis], axis)
            for axis in (0, 1)
        ]
        if valid is None:
            cover = [weights.sum(axis=1) for _, weights in taps]
            area = cover[0][:, None] * cover[1][None, :]
            mean = _weighted(image, taps) / area.astype(image.dtype)
            return mean, None
        share = _weighted(valid.astype(image.dtype), taps)
        total = _weighted(np.where(valid, image, 0), taps)
        cover = [weights.sum(axis=1) for _, weights in taps]
        good = share >= 0.5 * (cover[0][:, None] * cover[1][None, :]).astype(image.dtype)
        return total / np.where(good, share, 1), good

    def _taps(
        self, first: int, count: int, offset: int, length: int, axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return which fine pixels each output pixel covers, and how much of each."""
        step = self.steps[axis] * self.upscale_factor
        starts = (first + np.arange(count)) * step - offset * self.upscale_factor
        ends = starts + step
        width = int(np.ceil(step)) + 1
        index = np.floor(starts + 1e-6).astype(np.int64)[:, None] + np.arange(width)
        covered = np.minimum(ends[:, None], index + 1) - np.maximum(starts[:, None], index)
        inside = (index >= 0) & (index < length)
        weights = np.where(inside, np.clip(covered, 0, 1), 0.0)
        weights[weights < 1e-5] = 0  # edges that coincide but for rounding
        return np.clip(index, 0, length - 1), weights


def _weighted(
    image: Array, taps: list[tuple[NDArray[np.int64], NDArray[np.float64]]]
) -> Array:
    """Sum the covered parts, first down the columns, then along the rows."""
    (rows, row_weights), (cols, col_weights) = taps
    kind = image.dtype
    down = np.zeros((len(image), len(rows), image.shape[2]), kind)
    for tap in range(rows.shape[1]):
        down += image[:, rows[:, tap]] * row_weights[:, tap, None].astype(kind)
    total = np.zeros((len(image), len(rows), len(cols)), kind)
    for tap in range(cols.shape[1]):
        total += down[:, :, cols[:, tap]] * col_weights[:, tap].astype(kind)
    return total
