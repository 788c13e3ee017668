"""Resize to any shape: area, bilinear, bicubic, without antialiasing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geosr.degrade.sampling import cubic

Array = NDArray[np.floating]
Method = Literal["area", "bilinear", "bicubic"]


def resized(x: Array, shape: tuple[int, int], method: Method) -> Array:
    """Return ``(..., h, w)`` at another shape, corners aligned, in the same units and dtype.

    ``area`` is the mean of what a new pixel covers. The others interpolate at its centre and look
    no further when the picture shrinks, so fine detail turns into moire: that is a part of what
    happens to pictures. Edge pixels go on beyond the edge.
    """
    rows = weights(x.shape[-2], shape[0], method).astype(x.dtype)
    cols = weights(x.shape[-1], shape[1], method).astype(x.dtype)
    result: Array = rows @ x @ cols.T
    return result


def weights(length: int, count: int, method: Method) -> NDArray[np.float64]:
    """Return the matrix ``(count, length)`` of one axis; each row sums to 1."""
    step = length / count
    pixels = np.arange(length)
    if method == "area":
        starts = np.arange(count)[:, None] * step
        covered = np.minimum(starts + step, pixels + 1) - np.maximum(starts, pixels)
        matrix = np.maximum(covered, 0.0)
    else:
        centres = (np.arange(count) + 0.5) * step - 0.5
        reach = 1 if method == "bilinear" else 2
        taps = np.floor(centres)[:, None].astype(np.int64) + np.arange(1 - reach, 1 + reach)
        away = taps - centres[:, None]
        values = np.maximum(1 - np.abs(away), 0) if method == "bilinear" else cubic(away)
        matrix = np.zeros((count, length))
        lines = np.broadcast_to(np.arange(count)[:, None], taps.shape)
        np.add.at(matrix, (lines, np.clip(taps, 0, length - 1)), values)
    normed: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normed
