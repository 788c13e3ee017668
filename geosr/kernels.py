"""Classical interpolation kernels as exact polyphase filters.

Arrays here are in *phases*: ``(batch, s*s, height, width)``, where phase ``i*s + j`` holds the
output pixels of row ``i`` and column ``j`` of each source pixel's block of ``s x s``. Output
pixel centres lie at ``(i + 0.5) / s - 0.5`` source pixels: corners stay put.

References
----------
Keys (1981), "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6);
the bicubic kernel has a = -0.5. Duchon (1979) for the Lanczos window, three lobes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from geosr.core.catalog import KERNEL_RADIUS

Floats = NDArray[np.floating]


def _nearest(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: Floats) -> Floats:
    return np.maximum(1 - np.abs(x), 0)


def _bicubic(x: Floats) -> Floats:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


STRIP = 32
"""Rows that are interpolated at once."""

_KERNELS: dict[str, Callable[[Floats], Floats]] = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
}


def polyphase_weights(kernel: str, upscale_factor: int) -> NDArray[np.float64]:
    """Return the weights of each source pixel for each phase of one axis.

    Returns
    -------
    ndarray
        ``(upscale_factor, 2 * radius + 1)``; each row sums to 1.
    """
    radius = KERNEL_RADIUS[kernel]
    centres = (np.arange(upscale_factor) + 0.5) / upscale_factor - 0.5
    taps = np.arange(-radius, radius + 1)
    weights = np.asarray(_KERNELS[kernel](taps[None, :] - centres[:, None]), dtype=np.float64)
    normed: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normed


def upsample(x: Floats, kernel: str, upscale_factor: int, *, onto: Floats | None = None) -> Floats:
    """Interpolate, and return the phases of all pixels that have the kernel's radius around them.

    Each tap adds its weight times the *difference* from the middle pixel, so a constant stays
    that constant to the last bit.

    Parameters
    ----------
    x
        ``(batch, height + 2 * radius, width + 2 * radius)``, float32 or float64.
    onto
        Phases of the dtype of ``x`` to add the result to, in place.

    Returns
    -------
    ndarray
        ``(batch, s*s, height, width)`` of the dtype of ``x``.
    """
    weights = polyphase_weights(kernel, upscale_factor)
    batch, rows, cols = x.shape
    reach = 2 * KERNEL_RADIUS[kernel]
    shape = (batch, upscale_factor**2, rows - reach, cols - reach)
    phases: Floats = np.empty(shape, x.dtype) if onto is None else onto
    with np.errstate(over="ignore", invalid="ignore"):  # infinity shows in the result
        for image, result in zip(x, phases, strict=True):
            for row in range(0, shape[2], STRIP):
                strip = np.ascontiguousarray(image[row : row + STRIP + reach])
                _upsample_strip(strip, weights, result[:, row : row + STRIP], onto is not None)
    return phases


def _upsample_strip(
    strip: Floats, weights: NDArray[np.float64], result: Floats, adds: bool
) -> None:
    """Write the phases of a few rows, or add them: all they need stays in the cache.

    Rows are taken as one long line, in which the neighbours above and below are a row's length
    away. Where the line passes from one row to the next, pixels come out that nobody keeps.
    """
    rows, pitch = strip.shape
    radius = weights.shape[1] // 2
    rows -= 2 * radius
    line, count = strip.reshape(-1), rows * pitch
    downwards = _differences(line, weights, pitch, count)
    for i, row_weights in enumerate(weights):
        between = _weighted(downwards, row_weights, line[radius * pitch :][:count])
        sideways = _differences(between, weights, 1, count - 2 * radius)
        for j, col_weights in enumerate(weights):
            value = np.empty(count, strip.dtype)
            ends = count - 2 * radius
            _weighted(sideways, col_weights, between[radius:][:ends], out=value[:ends])
            kept = value.reshape(rows, pitch)[:, : pitch - 2 * radius]
            place = result[i * len(weights) + j]
            if adds:
                place += kept
            else:
                place[...] = kept


def _differences(
    line: Floats, weights: NDArray[np.float64], step: int, count: int
) -> dict[int, Floats]:
    """Return, for each tap but the middle one, how its pixels differ from the middle ones."""
    radius = weights.shape[1] // 2
    middle = line[radius * step :][:count]
    taps = [tap for tap in np.flatnonzero(weights.any(axis=0)).tolist() if tap != radius]
    return {tap: line[tap * step :][:count] - middle for tap in taps}


def _weighted(
    differences: dict[int, Floats],
    weights: NDArray[np.float64],
    middle: Floats,
    out: Floats | None = None,
) -> Floats:
    """Return the middle pixels and what the weighted differences change."""
    used = [(tap, difference) for tap, difference in differences.items() if weights[tap]]
    total: Floats = np.empty_like(middle) if out is None else out
    if not used:
        total[...] = middle
        return total
    np.multiply(used[0][1], middle.dtype.type(weights[used[0][0]]), out=total)
    term = np.empty_like(total)
    for tap, difference in used[1:]:
        total += np.multiply(difference, middle.dtype.type(weights[tap]), out=term)
    total += middle
    return total


def interleave(phases: NDArray[np.generic]) -> NDArray[np.generic]:
    """Put phases ``(batch, s*s, height, width)`` in place: ``(batch, s*height, s*width)``."""
    batch, squares, height, width = phases.shape
    factor = round(squares**0.5)
    image = np.empty((batch, height * factor, width * factor), phases.dtype)
    for i, j in product(range(factor), repeat=2):
        image[:, i::factor, j::factor] = phases[:, i * factor + j]
    return image


def to_phases(image: NDArray[np.generic], upscale_factor: int) -> NDArray[np.generic]:
    """Undo `interleave`: ``(batch, s*height, s*width)`` to ``(batch, s*s, height, width)``."""
    s = upscale_factor
    return np.stack([image[:, i::s, j::s] for i, j in product(range(s), repeat=2)], axis=1)
