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


def upsample(x: Floats, kernel: str, upscale_factor: int) -> Floats:
    """Interpolate, and return the phases of all pixels that have the kernel's radius around them.

    Each tap adds its weight times the *difference* from the middle pixel, so a constant stays
    that constant to the last bit.

    Parameters
    ----------
    x
        ``(batch, height + 2 * radius, width + 2 * radius)``, float32 or float64.

    Returns
    -------
    ndarray
        ``(batch, s*s, height, width)`` of the dtype of ``x``.
    """
    weights = polyphase_weights(kernel, upscale_factor)
    batch, rows, cols = x.shape
    radius = KERNEL_RADIUS[kernel]
    shape = (batch, upscale_factor**2, rows - 2 * radius, cols - 2 * radius)
    phases: Floats = np.empty(shape, x.dtype)
    vertical = _filtered(x, weights, axis=1)
    for i, j in product(range(upscale_factor), repeat=2):
        phases[:, i * upscale_factor + j] = _one_phase(vertical[i], weights[j], axis=2)
    return phases


def _filtered(x: Floats, weights: NDArray[np.float64], axis: int) -> list[Floats]:
    return [_one_phase(x, row, axis=axis) for row in weights]


def _one_phase(x: Floats, weights: NDArray[np.float64], axis: int) -> Floats:
    radius = len(weights) // 2
    length = x.shape[axis] - 2 * radius
    middle = _shifted(x, radius, length, axis)
    result = middle.copy()
    difference = np.empty_like(result)
    for tap, weight in enumerate(weights):
        if tap != radius and weight != 0:
            np.subtract(_shifted(x, tap, length, axis), middle, out=difference)
            difference *= x.dtype.type(weight)
            result += difference
    return result


def _shifted(x: Floats, start: int, length: int, axis: int) -> Floats:
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, start + length)
    return x[tuple(index)]


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
