"""Simulated low resolution: what a coarser sensor would have seen of the same ground.

Grids are corner-aligned: each low-resolution pixel covers a block of ``s x s`` pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def area(high: Array, upscale_factor: int) -> Array:
    """Return the mean of each block: ``(..., s*h, s*w)`` to ``(..., h, w)``, in the same units."""
    *lead, height, width = high.shape
    s = upscale_factor
    blocks = high.reshape(*lead, height // s, s, width // s, s)
    mean: Array = blocks.mean(axis=(-3, -1), dtype=high.dtype)
    return mean


def mtf(high: Array, upscale_factor: int, *, mtf_at_nyquist: float = 0.25) -> Array:
    """Blur by a Gaussian point-spread function, then keep one sample a block.

    The function is given by its modulation transfer at the low resolution's Nyquist frequency
    [1]_: 0.15 to 0.30 for Sentinel-2's bands [2]_, about 0.3 for Landsat OLI. Beyond the edge
    the picture is mirrored.

    Parameters
    ----------
    high
        ``(..., s*h, s*w)``, any unit.
    mtf_at_nyquist
        Between 0 and 1, both excluded.

    References
    ----------
    .. [1] Aiazzi et al. (2006), "MTF-tailored multiscale fusion of high-resolution MS and Pan
       imagery", Photogrammetric Engineering & Remote Sensing 72(5).
    .. [2] ESA, Sentinel-2 L1C Data Quality Report.
    """
    sigma = upscale_factor / np.pi * np.sqrt(-2 * np.log(mtf_at_nyquist))
    reach = int(np.ceil(3 * sigma + upscale_factor / 2))
    offsets = np.arange(-reach, upscale_factor + reach)
    weights = np.exp(-0.5 * ((offsets - (upscale_factor - 1) / 2) / sigma) ** 2)
    weights /= weights.sum()
    once = _sampled(high, weights, reach, upscale_factor, axis=-1)
    return _sampled(once, weights, reach, upscale_factor, axis=-2)


def _sampled(
    x: Array, weights: NDArray[np.float64], reach: int, upscale_factor: int, axis: int
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


DEGRADATIONS: dict[str, Callable[[Array, int], Array]] = {"area": area, "mtf": mtf}
"""The degradations that a recipe can name."""


def add_noise(x: Array, *, snr: float, rng: np.random.Generator) -> Array:
    """Add Poisson-Gaussian noise of a signal-to-noise ratio, in the signal's own units.

    Half of the variance grows with the signal (Poisson), half does not (Gaussian); at the mean
    of ``x`` the standard deviation is ``mean / snr``.
    """
    mean = float(np.abs(x).mean())
    spread = mean / snr
    variance = 0.5 * spread**2 * (1 + np.maximum(x, 0) / max(mean, 1e-12))
    noisy: Array = x + np.sqrt(variance).astype(x.dtype) * rng.standard_normal(x.shape, x.dtype)
    return noisy
