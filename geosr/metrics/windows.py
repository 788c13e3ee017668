"""Means over windows that slide by one pixel and lie inside the plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]


def gaussian_mean(plane: Plane, *, sigma: float = 1.5, radius: int = 5) -> Plane:
    """Return the Gaussian-weighted mean of each window of ``2 * radius + 1`` pixels a side."""
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return _filtered(plane, weights / weights.sum())


def box_mean(plane: Plane, side: int) -> Plane:
    """Return the mean of each window of ``side`` pixels a side."""
    return _filtered(plane, np.full(side, 1.0 / side))


def whole_windows(valid: NDArray[np.bool_] | None, side: int) -> NDArray[np.bool_] | None:
    """Return which windows of ``side`` pixels a side hold no hole; None: all of them."""
    if valid is None:
        return None
    whole: NDArray[np.bool_] = box_mean((~valid).astype(np.float64), side) == 0
    return whole


def _filtered(plane: Plane, weights: Plane) -> Plane:
    """Weigh down the columns, then along the rows; each axis loses ``len(weights) - 1``."""
    rows, cols = (n - len(weights) + 1 for n in plane.shape)
    down = np.zeros((rows, plane.shape[1]))
    for tap, weight in enumerate(weights):
        down += weight * plane[tap : tap + rows]
    result = np.zeros((rows, cols))
    for tap, weight in enumerate(weights):
        result += weight * down[:, tap : tap + cols]
    return result
