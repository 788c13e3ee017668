"""How near a picture comes to the truth: PSNR, SSIM and the universal image quality index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geosr.metrics.windows import box_mean, gaussian_mean, whole_windows

Array = NDArray[np.generic]
Plane = NDArray[np.float64]
Valid = NDArray[np.bool_]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in full-range luma (ITU-R BT.601)."""


def luma(rgb: Array) -> Plane:
    """Return the luma ``(h, w)`` of ``(3 or more, h, w)``: red, green and blue come first."""
    gray: Plane = np.tensordot(LUMA, rgb[:3].astype(np.float64), axes=1)
    return gray


def psnr(
    truth: Array,
    estimate: Array,
    *,
    data_range: float,
    border: int = 0,
    valid: Valid | None = None,
) -> float:
    """Return the peak signal-to-noise ratio in dB, without ``border`` pixels at each edge.

    Equal pictures give infinity; no valid pixel gives NaN.
    """
    inner = slice(border, -border or None)
    difference = np.subtract(
        truth[..., inner, inner], estimate[..., inner, inner], dtype=np.float64
    )
    if valid is not None:
        difference = difference[..., valid[inner, inner]]
    if difference.size == 0:
        return float("nan")
    mse = float(np.mean(difference**2))
    return float("inf") if mse == 0 else 10 * float(np.log10(data_range**2 / mse))


def ssim(truth: Array, estimate: Array, *, data_range: float, valid: Valid | None = None) -> float:
    """Return the structural similarity [1]_ of two planes ``(h, w)``.

    Gaussian windows of 11 x 11 pixels with a standard deviation of 1.5, variances of the whole
    window (not of a sample), K1 = 0.01, K2 = 0.03. Only windows that lie inside the plane and
    hold no hole count. NaN if there is none.

    References
    ----------
    .. [1] Wang et al. (2004), "Image quality assessment: from error visibility to structural
       similarity", IEEE TIP 13(4).
    """
    x, y = _without_holes(truth, valid), _without_holes(estimate, valid)
    if min(x.shape) < 11:
        return float("nan")
    mean_x, mean_y = gaussian_mean(x), gaussian_mean(y)
    var_x = gaussian_mean(x * x) - mean_x**2
    var_y = gaussian_mean(y * y) - mean_y**2
    cov = gaussian_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    index = ((2 * mean_x * mean_y + c1) * (2 * cov + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return _mean(index, whole_windows(valid, 11))


def uiqi(truth: Array, estimate: Array, *, valid: Valid | None = None) -> float:
    """Return the universal image quality index [1]_ of two planes ``(h, w)``.

    The mean of Q = 4 cov mx my / ((vx + vy) (mx² + my²)) over all windows of 8 x 8 pixels; where
    both are flat only their means are compared. 1 is best. It needs no data range, but values
    around zero make it unsteady.

    References
    ----------
    .. [1] Wang and Bovik (2002), "A universal image quality index", IEEE Signal Processing
       Letters 9(3).
    """
    x, y = _without_holes(truth, valid), _without_holes(estimate, valid)
    if min(x.shape) < 8:
        return float("nan")
    mean_x, mean_y = box_mean(x, 8), box_mean(y, 8)
    squares_x, squares_y = box_mean(x * x, 8), box_mean(y * y, 8)
    spread = (squares_x - mean_x**2) + (squares_y - mean_y**2)
    cov = box_mean(x * y, 8) - mean_x * mean_y
    level = mean_x**2 + mean_y**2
    flat = spread <= 1e-12 * (squares_x + squares_y)  # rounding leaves that much of nothing
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(level > 0, 2 * mean_x * mean_y / level, 1.0)
        index = np.where(flat, alike, alike * 2 * cov / spread)
    return _mean(index, whole_windows(valid, 8))


def _without_holes(plane: Array, valid: Valid | None) -> Plane:
    values = plane.astype(np.float64)
    return values if valid is None else np.where(valid, values, 0.0)


def _mean(index: Plane, kept: Valid | None) -> float:
    chosen = index if kept is None else index[kept]
    return float(chosen.mean()) if chosen.size else float("nan")
