"""How sure a mean over images is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie.

    Attributes
    ----------
    mean
        NaN if there is no value.
    low, high
        Ends of the 95 % interval; None if there are fewer than two values.
    count
        How many values there were.
    """

    mean: float
    low: float | None
    high: float | None
    count: int


def bootstrap_mean(
    values: Sequence[float], *, seed: int = 0, draws: int = 10_000, level: float = 0.95
) -> Interval:
    """Return the mean of ``values`` and its bootstrap interval, NaN left out.

    The percentile bootstrap [1]_: ``draws`` times as many values are drawn with replacement, and
    the middle ``level`` of their means is the interval.

    References
    ----------
    .. [1] Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics
       7(1).
    """
    known = np.array([value for value in values if not np.isnan(value)])
    if len(known) == 0:
        return Interval(float("nan"), None, None, 0)
    if len(known) == 1:
        return Interval(float(known[0]), None, None, 1)
    rng = np.random.default_rng(seed)
    means = known[rng.integers(0, len(known), (draws, len(known)))].mean(axis=1)
    edge = (1 - level) / 2
    low, high = np.quantile(means, (edge, 1 - edge))
    return Interval(float(known.mean()), float(low), float(high), len(known))
