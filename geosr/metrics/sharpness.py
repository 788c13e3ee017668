"""How sharp a picture is where the truth has edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geosr.metrics.windows import whole_windows

Array = NDArray[np.generic]
Plane = NDArray[np.float64]


def edge_sharpness(
    truth: Array,
    estimate: Array,
    *,
    share: float = 0.1,
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Return how steep the truth's edges are in the estimate: 1 is as steep as in the truth.

    At the ``share`` of pixels where the truth's Sobel gradient is steepest [1]_, the estimate's
    gradient is projected on the truth's: ``sum(g_t . g_e) / sum(g_t . g_t)``. Below 1 edges are
    softer, above 1 they are overdrawn; an edge that is steep elsewhere, or the other way round,
    does not count as sharp. Unlike a plain mean of gradients, noise does not raise it. NaN if the
    truth is flat.

    Parameters
    ----------
    truth, estimate
        Planes ``(h, w)``.
    share
        Between 0 and 1.

    References
    ----------
    .. [1] Krotkov (1988), "Focusing", International Journal of Computer Vision 1(3): the
       gradient magnitude of Sobel's operator as a measure of sharpness.
    """
    if min(truth.shape) < 3:
        return float("nan")
    true, made = _gradient(truth.astype(np.float64)), _gradient(estimate.astype(np.float64))
    power = (true**2).sum(axis=0)
    whole = whole_windows(valid, 3)
    if whole is not None:
        power = np.where(whole, power, 0.0)
    steep = power >= max(float(np.quantile(power, 1 - share)), np.finfo(float).tiny)
    total = float(power[steep].sum())
    if total == 0:
        return float("nan")
    return float((true * made).sum(axis=0)[steep].sum() / total)


def _gradient(plane: Plane) -> Plane:
    """Return Sobel's gradient ``(2, h - 2, w - 2)`` per pixel, down and along."""
    down = plane[2:] - plane[:-2]
    along = plane[:, 2:] - plane[:, :-2]
    smooth_down = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 8
    smooth_along = (along[:-2] + 2 * along[1:-1] + along[2:]) / 8
    return np.stack([smooth_down, smooth_along])
