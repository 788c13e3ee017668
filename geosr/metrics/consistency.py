"""Whether a finer picture still averages to its source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Valid = NDArray[np.bool_]


def consistency_error(
    source: Array, output: Array, upscale_factor: int, valid: Valid | None = None
) -> float:
    """Return the largest difference between a block's mean and its source pixel.

    ``source`` is ``(bands, h, w)``, ``output`` ``(bands, s*h, s*w)`` in the same units;
    ``valid`` is of the source's shape, or ``(h, w)`` for all bands.
    """
    difference = np.abs(block_difference(source, output, upscale_factor))
    kept = _kept(difference, valid)
    return float(kept.max()) if kept.size else 0.0


def consistency_rmse(
    source: Array, output: Array, upscale_factor: int, valid: Valid | None = None
) -> float:
    """Return the root mean square of what `consistency_error` returns the largest of."""
    kept = _kept(block_difference(source, output, upscale_factor), valid)
    return float(np.sqrt(np.mean(kept**2))) if kept.size else 0.0


def block_difference(source: Array, output: Array, upscale_factor: int) -> NDArray[np.float64]:
    """Return each block's mean less its source pixel, ``(bands, h, w)``."""
    bands, height, width = source.shape
    s = upscale_factor
    blocks = output.astype(np.float64).reshape(bands, height, s, width, s)
    difference: NDArray[np.float64] = blocks.mean(axis=(2, 4)) - source
    return difference


def _kept(difference: NDArray[np.float64], valid: Valid | None) -> NDArray[np.float64]:
    if valid is None:
        return difference
    return difference[np.broadcast_to(valid, difference.shape)]
