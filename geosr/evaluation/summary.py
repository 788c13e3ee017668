"""Means over images, how sure they are, and what a model gains over bicubic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from geosr.evaluation.protocol import BASELINES, BICUBIC
from geosr.evaluation.scoring import ALL, NUMBERS, Score, mean
from geosr.metrics import Interval, bootstrap_mean

SAME = 100.0
"""PSNR in dB that equal pictures count as in means."""


@dataclass(frozen=True)
class MethodSummary:
    """How a method fared over all images.

    Attributes
    ----------
    method
        Its name.
    means
        Of each number in `Score`, over the images' rows for all bands; NaN where none applies.
    psnr, gain
        Headline PSNR, and what it is above bicubic's; in dB.
    losses
        Number of images where bicubic is better.
    worst
        The smallest gain, and its image.
    images
        How many there were.
    """

    method: str
    means: dict[str, float]
    psnr: Interval
    gain: Interval
    losses: int
    worst: tuple[float, str]
    images: int

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the rows that are always there."""
        return self.method in BASELINES

    @property
    def verdict(self) -> str:
        """``gains``, ``loses`` or ``unsure``, by the interval of the gain."""
        low, high = self.gain.low, self.gain.high
        if low is None or high is None:
            return "unsure"
        return "gains" if low > 0 else "loses" if high < 0 else "unsure"


def summarise(scores: Sequence[Score], methods: Sequence[str], seed: int) -> list[MethodSummary]:
    """Return a summary of each method, in order; images are the unit of the intervals."""
    by_method: dict[str, dict[str, Score]] = {method: {} for method in methods}
    for score in scores:
        if score.band == ALL:
            by_method[score.method][score.image] = score
    plain = by_method[BICUBIC]
    return [_summary(method, rows, plain, seed) for method, rows in by_method.items()]


def gain_of(score: Score, plain: Score) -> float:
    """Return how much better than bicubic a picture is, in dB."""
    return min(score.psnr, SAME) - min(plain.psnr, SAME)


def _summary(
    method: str, rows: dict[str, Score], plain: dict[str, Score], seed: int
) -> MethodSummary:
    gains = {image: gain_of(row, plain[image]) for image, row in rows.items()}
    known = {image: gain for image, gain in gains.items() if not math.isnan(gain)}
    worst = min(known, key=lambda image: known[image]) if known else ""
    means = {name: mean([_finite(getattr(row, name)) for row in rows.values()]) for name in NUMBERS}
    return MethodSummary(
        method=method,
        means=means,
        psnr=bootstrap_mean([min(row.psnr, SAME) for row in rows.values()], seed=seed),
        gain=bootstrap_mean(list(gains.values()), seed=seed),
        losses=sum(gain < 0 for gain in known.values()),
        worst=(known.get(worst, float("nan")), worst),
        images=len(rows),
    )


def _finite(value: float) -> float:
    return min(value, SAME) if math.isinf(value) else value
