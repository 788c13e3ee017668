"""A sensor's noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


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
