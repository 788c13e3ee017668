"""How much power a picture has at each fineness of detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Line = NDArray[np.float64]


def radial_spectrum(
    plane: Array, *, bins: int = 48, valid: NDArray[np.bool_] | None = None
) -> tuple[Line, Line]:
    """Return frequencies in cycles per pixel, up to 0.5, and the mean power around each.

    The periodogram of the plane less its mean, under a Hann window whose power is divided out, so
    that white noise of variance v has power v at every frequency and the size of the picture does
    not matter. Holes hold the mean of the valid pixels. Rings without any frequency are NaN.

    Parameters
    ----------
    plane
        ``(h, w)``.
    bins
        Number of rings.

    References
    ----------
    Harris (1978), "On the use of windows for harmonic analysis with the discrete Fourier
    transform", Proceedings of the IEEE 66(1).
    """
    values = plane.astype(np.float64)
    good = np.ones(values.shape, bool) if valid is None else valid
    level = values[good].mean() if good.any() else 0.0
    values = np.where(good, values - level, 0.0)
    height, width = values.shape
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    power = np.abs(np.fft.rfft2(values * window)) ** 2 / (window**2).sum()
    along = np.fft.rfftfreq(width)
    distance = np.hypot(np.fft.fftfreq(height)[:, None], along[None])
    # A real picture's other half of the plane holds the same once more.
    twice = np.where((along == 0) | (along == 0.5), 1.0, 2.0)[None] * np.ones((height, 1))
    ring = np.floor(distance / 0.5 * bins).astype(int)
    inside = (ring < bins) & (distance > 0)
    total = np.bincount(ring[inside], (power * twice)[inside], bins)
    count = np.bincount(ring[inside], twice[inside], bins)
    with np.errstate(invalid="ignore"):
        mean = total / np.where(count > 0, count, np.nan)
    return (np.arange(bins) + 0.5) * 0.5 / bins, mean
