"""What the new detail is worth: improvement, omission and hallucination after opensr-test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Plane = NDArray[np.float64]
Distance = Literal["nd", "l1"]

_LAMBDA = 0.05
_TEMPERATURE = 0.25
_FARTHEST = 1e6


@dataclass(frozen=True)
class Correctness:
    """Three shares that sum to 1, NaN if no pixel has detail.

    Attributes
    ----------
    improvement
        Detail that the truth has as well: the more, the better.
    omission
        Detail of the truth that is missing.
    hallucination
        Detail that the truth does not have.
    """

    improvement: float
    omission: float
    hallucination: float


def correctness(
    enlarged: Array,
    estimate: Array,
    truth: Array,
    *,
    distance: Distance = "nd",
    valid: NDArray[np.bool_] | None = None,
) -> Correctness:
    """Return what share of the detail is improvement, omission and hallucination [1]_.

    With ``d_ref = d(enlarged, truth)``, ``d_im = d(estimate, truth) / d_ref``,
    ``d_om = d(estimate, enlarged) / d_ref`` and ``H = d_im + d_om - 1`` at each pixel, the
    distances to the three extremes are

    - improvement ``d_im + d_om (1 - exp(-0.05 H))``,
    - omission ``d_om + d_im (1 - exp(-0.05 H))``,
    - hallucination ``exp(-0.05 d_im d_om)``;

    their softmin at temperature 0.25, averaged over pixels, is the result. Pixels without detail
    are left out: those where all three distances are at most the 75th percentile of ``d_ref``.

    These are the defaults of opensr-test's release, except that its percentile threshold
    ("auto") is taken, and that nothing is harmonised or shifted first: both pictures must
    already have the same colours and the same place.

    Parameters
    ----------
    enlarged
        The low-resolution picture on the fine grid by bilinear interpolation, ``(bands, h, w)``.
    estimate, truth
        ``(bands, h, w)``.
    distance
        ``nd``: ``|x - y| / |x + y|``, averaged over bands, for values of one sign; ``l1``:
        ``|x - y|``.

    References
    ----------
    .. [1] Aybar et al. (2024), "A Comprehensive Benchmark for Optical Remote Sensing Image
       Super-Resolution", IEEE Geoscience and Remote Sensing Letters 21.
    """
    good = np.ones(truth.shape[1:], bool) if valid is None else valid
    low, made, true = (image.astype(np.float64)[:, good] for image in (enlarged, estimate, truth))
    ref, error, change = (
        _apart(*pair, distance) for pair in ((low, true), (made, true), (made, low))
    )
    nothing = Correctness(float("nan"), float("nan"), float("nan"))
    if ref.size == 0:
        return nothing
    threshold = float(np.quantile(ref, 0.75))
    detailed = (ref > threshold) | (error > threshold) | (change > threshold)
    if not detailed.any():
        return nothing
    ref = np.maximum(ref[detailed], np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        d_im = np.minimum(error[detailed] / ref, _FARTHEST)
        d_om = np.minimum(change[detailed] / ref, _FARTHEST)
    beyond = 1 - np.exp(-_LAMBDA * (d_im + d_om - 1))
    away = np.stack([d_im + d_om * beyond, d_om + d_im * beyond, np.exp(-_LAMBDA * d_im * d_om)])
    near = np.exp((away.min(axis=0) - away) / _TEMPERATURE)  # shifted: no underflow of all three
    shares = (near / near.sum(axis=0)).mean(axis=1)
    return Correctness(*map(float, shares))


def _apart(x: Plane, y: Plane, distance: Distance) -> Plane:
    """Return the distance of two pictures ``(bands, pixels)`` at each pixel."""
    apart = np.abs(x - y)
    if distance == "nd":
        total = np.abs(x + y)
        apart = np.divide(apart, total, out=np.zeros_like(apart), where=total > 0)
    mean: Plane = apart.mean(axis=0)
    return mean
