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

from geosr.core.facts import KERNEL_RADIUS

Floats = NDArray[np.floating]


def _nearest(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: Floats) -> Floats:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def _bicubic(x: Floats) -> Floats:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


STRIP = 1 << 16
"""Pixels that are interpolated at once: few enough for a processor's own cache."""

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
    phases: Floats = np.zeros(shape, x.dtype) if onto is None else onto
    height = max(STRIP // cols, 1)
    with np.errstate(over="ignore", invalid="ignore"):  # infinity shows in the result
        for image, result in zip(x, phases, strict=True):
            for row in range(0, shape[2], height):
                strip = np.ascontiguousarray(image[row : row + height + reach])
                _add_phases(strip, weights.astype(x.dtype), result[:, row : row + height])
    return phases


def _add_phases(strip: Floats, weights: Floats, result: Floats) -> None:
    """Add the phases of a few rows, all of which stay in the cache meanwhile.

    Rows are taken as one long line, in which the neighbours above and below are a row's length
    away. Where the line passes from one row to the next, pixels come out that nobody keeps.
    """
    rows, pitch = result.shape[1], strip.shape[1]
    reach = weights.shape[1] - 1
    count = rows * pitch
    downwards = _differences(strip.reshape(-1), weights, step=pitch, count=count)
    between, phase, term = np.empty((3, count), strip.dtype)
    kept = phase.reshape(rows, pitch)[:, : pitch - reach]
    for i, row_weights in enumerate(weights):
        _add_up(downwards, row_weights, between, term)
        sideways = _differences(between, weights, step=1, count=count - reach)
        for j, col_weights in enumerate(weights):
            _add_up(sideways, col_weights, phase[: count - reach], term[: count - reach])
            result[i * len(weights) + j] += kept


def _differences(line: Floats, weights: Floats, *, step: int, count: int) -> dict[int, Floats]:
    """Return each tap's pixels less the middle ones; by the middle tap, these themselves."""
    middle_tap = weights.shape[1] // 2
    middle = line[middle_tap * step :][:count]
    taps = np.flatnonzero(weights.any(axis=0)).tolist()
    rest = {tap: line[tap * step :][:count] - middle for tap in taps if tap != middle_tap}
    return {middle_tap: middle, **rest}


def _add_up(taps: dict[int, Floats], weights: Floats, total: Floats, term: Floats) -> None:
    """Write the middle pixels, changed by the weighted differences, into ``total``."""
    (_, middle), *rest = taps.items()
    used = [(difference, weights[tap]) for tap, difference in rest if weights[tap]]
    if not used:
        total[...] = middle
        return
    np.multiply(*used[0], out=total)
    for pair in used[1:]:
        total += np.multiply(*pair, out=term)
    total += middle


def interleave(
    phases: NDArray[np.generic], *, out: NDArray[np.generic] | None = None
) -> NDArray[np.generic]:
    """Put phases ``(batch, s*s, height, width)`` in place: ``(batch, s*height, s*width)``.

    ``out`` is of this shape; None: a new array.
    """
    batch, squares, height, width = phases.shape
    factor = round(squares**0.5)
    shape = (batch, height * factor, width * factor)
    image = np.empty(shape, phases.dtype) if out is None else out
    for i, j in product(range(factor), repeat=2):
        image[:, i::factor, j::factor] = phases[:, i * factor + j]
    return image


def to_phases(image: NDArray[np.generic], upscale_factor: int) -> NDArray[np.generic]:
    """Undo `interleave`: ``(batch, s*height, s*width)`` to ``(batch, s*s, height, width)``."""
    s = upscale_factor
    return np.stack([image[:, i::s, j::s] for i, j in product(range(s), repeat=2)], axis=1)
