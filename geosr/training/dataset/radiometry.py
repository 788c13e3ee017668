"""Bring one sensor's values to another's: robust straight lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def robust_fit(inputs: Floats, target: Floats) -> Floats:
    """Return the weights of the inputs, and an offset, ``(inputs + 1,)``, that best give a target.

    Least squares, repeated with Huber's weights [1]_: differences above 1.345 standard deviations,
    which are estimated by the median, count only linearly.

    Parameters
    ----------
    inputs
        ``(inputs, samples)``.
    target
        ``(samples,)``.

    References
    ----------
    .. [1] Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical
       Statistics 35(1).
    """
    columns = np.stack([*inputs, np.ones_like(target)], axis=1)
    weights = np.ones_like(target)
    found = np.zeros(columns.shape[1])
    for _ in range(20):
        root = np.sqrt(weights)
        before, found = (
            found,
            np.linalg.lstsq(columns * root[:, None], target * root, rcond=None)[0],
        )
        away = np.abs(target - columns @ found)
        spread = max(1.4826 * float(np.median(away)), 1e-12 * float(np.abs(target).max()) + 1e-300)
        weights = 1.345 * spread / np.maximum(away, 1.345 * spread)
        if np.allclose(found, before, rtol=1e-6, atol=0):
            break
    return found


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the mean correlation of the bands of ``(bands, h, w)``; a flat one counts as 0."""
    found = []
    for a, b in zip(one.astype(np.float64), other.astype(np.float64), strict=True):
        a, b = a - a.mean(), b - b.mean()
        size = float(np.sqrt((a**2).sum() * (b**2).sum()))
        found.append(float((a * b).sum()) / size if size > 0 else 0.0)
    return float(np.mean(found))
