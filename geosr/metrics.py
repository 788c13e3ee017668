"""Scores. Every one takes the data range; none guesses it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in full-range luma (ITU-R BT.601)."""


def luma(rgb: Array) -> NDArray[np.float64]:
    """Return the luma ``(h, w)`` of ``(3 or more, h, w)``: red, green and blue come first."""
    gray: NDArray[np.float64] = np.tensordot(LUMA, rgb[:3].astype(np.float64), axes=1)
    return gray


def psnr(truth: Array, estimate: Array, *, data_range: float, border: int = 0) -> float:
    """Return the peak signal-to-noise ratio in dB, without ``border`` pixels at each edge."""
    inner = slice(border, -border or None)
    difference = np.subtract(
        truth[..., inner, inner], estimate[..., inner, inner], dtype=np.float64
    )
    mse = float(np.mean(difference**2))
    return float("inf") if mse == 0 else 10 * float(np.log10(data_range**2 / mse))


def consistency_error(
    source: Array, output: Array, upscale_factor: int, valid: NDArray[np.bool_] | None = None
) -> float:
    """Return the largest difference between a block's mean and its source pixel.

    ``source`` is ``(bands, h, w)``, ``output`` ``(bands, s*h, s*w)`` in the same units;
    ``valid`` is of the source's shape.
    """
    bands, height, width = source.shape
    s = upscale_factor
    blocks = output.astype(np.float64).reshape(bands, height, s, width, s)
    difference = np.abs(blocks.mean(axis=(2, 4)) - source)
    if valid is not None:
        difference = difference[valid]
    return float(difference.max()) if difference.size else 0.0
