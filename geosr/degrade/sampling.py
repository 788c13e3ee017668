"""Degradations by one fixed kernel: block means, a sensor's point spread, antialiased bicubic.

All take and return arrays of any unit, ``(..., s*h, s*w)`` to ``(..., h, w)``, of the same dtype.
Beyond the edge the picture is mirrored, its outermost pixels included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import OptionError

Array = NDArray[np.floating]


def area(high: Array, upscale_factor: int, _rng: np.random.Generator | None = None) -> Array:
    """Return the mean of each block: ``(..., s*h, s*w)`` to ``(..., h, w)``, in the same units."""
    *lead, height, width = high.shape
    s = upscale_factor
    blocks = high.reshape(*lead, height // s, s, width // s, s)
    mean: Array = blocks.mean(axis=(-3, -1), dtype=high.dtype)
    return mean


def mtf(
    high: Array,
    upscale_factor: int,
    _rng: np.random.Generator | None = None,
    *,
    mtf_at_nyquist: float | tuple[float, float] = 0.25,
) -> Array:
    """Blur by a Gaussian point-spread function, then keep one sample a block.

    The function is given by its modulation transfer at the low resolution's Nyquist frequency
    [1]_; `geosr.degrade.SENSORS` has that of real sensors.

    Parameters
    ----------
    high
        ``(..., s*h, s*w)``, any unit.
    mtf_at_nyquist
        Between 0 and 1, both excluded; or two numbers, across the track (along a row) and along
        the track (down a column).

    Raises
    ------
    OptionError
        If a transfer is not between 0 and 1.

    References
    ----------
    .. [1] Aiazzi et al. (2006), "MTF-tailored multiscale fusion of high-resolution MS and Pan
       imagery", Photogrammetric Engineering & Remote Sensing 72(5).
    """
    both = mtf_at_nyquist if isinstance(mtf_at_nyquist, tuple) else (mtf_at_nyquist,) * 2
    if not all(0 < value < 1 for value in both):
        raise OptionError(
            f"A modulation transfer of {mtf_at_nyquist} at the Nyquist frequency is none.",
            hint="Use a number between 0 and 1, or two: across and along the track.",
        )
    low = high
    for axis, value in zip((-1, -2), both, strict=True):
        low = _sampled(low, *_gaussian(upscale_factor, value), upscale_factor, axis=axis)
    return low


def bicubic(high: Array, upscale_factor: int, _rng: np.random.Generator | None = None) -> Array:
    """Reduce as MATLAB's ``imresize(high, 1/s, "bicubic")`` does: with antialiasing.

    Keys' cubic kernel (a = -0.5) [1]_ is stretched to ``s`` times its width and made to sum to 1.
    This is the low-resolution side of most published tables.

    References
    ----------
    .. [1] Keys (1981), "Cubic convolution interpolation for digital image processing", IEEE
       Transactions on Acoustics, Speech and Signal Processing 29(6).
    """
    s = upscale_factor
    reach = 2 * s
    offsets = np.arange(-reach, s + reach)
    weights = cubic((offsets - (s - 1) / 2) / s)
    weights /= weights.sum()
    low = _sampled(high, weights, reach, s, axis=-2)
    return _sampled(low, weights, reach, s, axis=-1)


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' cubic convolution kernel with a = -0.5 at ``x``."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _gaussian(upscale_factor: int, mtf_at_nyquist: float) -> tuple[NDArray[np.float64], int]:
    """Return the weights of one axis and how far they reach out of a block."""
    sigma = upscale_factor / np.pi * np.sqrt(-2 * np.log(mtf_at_nyquist))
    reach = int(np.ceil(3 * sigma + upscale_factor / 2))
    offsets = np.arange(-reach, upscale_factor + reach)
    weights = np.exp(-0.5 * ((offsets - (upscale_factor - 1) / 2) / sigma) ** 2)
    return weights / weights.sum(), reach


def _sampled(
    x: Array, weights: NDArray[np.float64], reach: int, upscale_factor: int, *, axis: int
) -> Array:
    x = np.moveaxis(x, axis, -1)
    count = x.shape[-1] // upscale_factor
    padding = [(0, 0)] * (x.ndim - 1) + [(reach, reach)]
    padded = np.pad(x, padding, mode="symmetric")
    result = np.zeros((*x.shape[:-1], count), x.dtype)
    for tap, weight in enumerate(weights.astype(x.dtype)):
        stop = tap + (count - 1) * upscale_factor + 1
        result += weight * padded[..., tap:stop:upscale_factor]
    moved: Array = np.moveaxis(result, -1, axis)
    return moved
