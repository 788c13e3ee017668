"""Split-conformal calibration: how many sigmas hold the truth, learned from whole scenes.

A scene's pixels are no independent draws, so the scene is the unit: all scenes count alike,
however many pixels they have, and so do the pixels within one. The quantile is that of the mean
of the scenes' distributions, "pooling CDFs" in [1]_.

References
----------
.. [1] Dunn, Wasserman and Ramdas (2023), "Distribution-free prediction sets for two-layer
   hierarchical models", Journal of the American Statistical Association 118(544).
   https://arxiv.org/abs/1809.07441
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def error_ratios(truth: NDArray[np.generic], picture: NDArray[np.generic], sigma: Floats) -> Floats:
    """Return ``|truth - picture| / sigma`` of each pixel.

    Where sigma is zero it is 0 if the picture is right, and infinite if not.
    """
    error = np.abs(truth.astype(np.float64) - picture.astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = error / sigma
    ratios[error == 0] = 0
    return ratios


def conformal_quantile(
    scenes: Sequence[Floats], level: float, *, finite_sample: bool = False
) -> float:
    """Return the smallest ratio within which, as a mean over scenes, ``level`` of the pixels lie.

    Parameters
    ----------
    scenes
        Ratios of `error_ratios` for each scene, of any shape.
    finite_sample
        Ask for ``level * (n + 1) / n`` of ``n`` scenes: then a new scene, exchangeable with
        these, is covered on average by at least ``level`` [1]_. Infinite if ``n`` is too small
        for that. Without it, coverage is ``level`` of the scenes at hand.

    References
    ----------
    .. [1] Dunn et al. (2023), section 3. https://arxiv.org/abs/1809.07441
    """
    pixels = [np.asarray(scene, np.float64).reshape(-1) for scene in scenes]
    pixels = [scene for scene in pixels if scene.size]
    count = len(pixels)
    if not count:
        return float("nan")
    wanted = level * (count + 1) / count if finite_sample else level
    if wanted > 1 + 1e-12:
        return float("inf")
    values = np.concatenate(pixels)
    weights = np.concatenate([np.full(scene.size, 1 / (count * scene.size)) for scene in pixels])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, wanted - 1e-9))  # sums of many weights are inexact
    return float(values[order[min(place, values.size - 1)]])


def coverage(ratios: Floats, multiplier: float) -> float:
    """Return the share of pixels whose error is at most ``multiplier`` sigmas."""
    return float(np.mean(ratios <= multiplier)) if ratios.size else float("nan")


def held_out_coverages(
    scenes: Sequence[Floats], level: float, *, finite_sample: bool = False
) -> list[float]:
    """Return the coverage of each scene by the quantile of all the others."""
    found = []
    for number, scene in enumerate(scenes):
        others = [*scenes[:number], *scenes[number + 1 :]]
        found.append(
            coverage(scene, conformal_quantile(others, level, finite_sample=finite_sample))
        )
    return found
