"""One picture's scores: each band, luma, and all bands together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.facts import KERNEL_RADIUS
from geosr.evaluation.lpips import Lpips
from geosr.evaluation.methods import Prediction
from geosr.evaluation.samples import Sample
from geosr.kernels import interleave, upsample
from geosr.metrics import (
    consistency_error,
    consistency_rmse,
    correctness,
    edge_sharpness,
    ergas,
    luma,
    psnr,
    sam,
    ssim,
    uiqi,
)

Array = NDArray[np.generic]
Valid = NDArray[np.bool_]

ALL, LUMA = "all", "luma"
NAN = float("nan")


@dataclass(frozen=True)
class Score:
    """One method on one image: one band, luma, or all bands together. NaN: does not apply.

    Attributes
    ----------
    image, method
        Names.
    band
        A number from 1, ``luma`` or ``all``. The row ``all`` has the image's headline PSNR, SSIM
        and sharpness: luma's of an 8-bit colour image, else the mean of the bands'.
    data_range
        That of PSNR and SSIM.
    psnr, ssim, uiqi, sharpness, sam, ergas
        See `geosr.metrics`.
    consistency, consistency_rmse
        Block means against the source, in its units.
    improvement, omission, hallucination
        See `geosr.metrics.correctness`.
    lpips
        If a network for it was given.
    seconds_per_mpx
        Of the output, all bands counted.
    peak_mib
        Growth of resident memory.
    """

    image: str
    method: str
    band: str
    data_range: float = NAN
    psnr: float = NAN
    ssim: float = NAN
    uiqi: float = NAN
    sharpness: float = NAN
    sam: float = NAN
    ergas: float = NAN
    consistency: float = NAN
    consistency_rmse: float = NAN
    improvement: float = NAN
    omission: float = NAN
    hallucination: float = NAN
    lpips: float = NAN
    seconds_per_mpx: float = NAN
    peak_mib: float = NAN

    def to_row(self) -> dict[str, Any]:
        """Return plain values for a CSV; what does not apply is empty."""
        row = asdict(self)
        return {
            key: "" if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }


NUMBERS = tuple(field.name for field in fields(Score) if field.type == "float")
"""Names of the scores that are numbers."""


class Scorer:
    """Scores what methods made of one sample; what they share is worked out once."""

    def __init__(
        self,
        sample: Sample,
        *,
        name: str,
        factor: int,
        border: int,
        data_range: float | None,
        lpips: Lpips | None,
    ) -> None:
        self._sample, self._name, self._factor, self._lpips = sample, name, factor, lpips
        self._inner = (slice(border, -border or None),) * 2
        self.truth = sample.truth[:, *self._inner]
        self.valid = None if sample.valid is None else sample.valid[self._inner]
        self._range = data_range
        self._enlarged = bilinear(sample.low, factor)[:, *self._inner]
        # The normalised difference is for values of one sign.
        seen = self.truth if self.valid is None else self.truth[:, self.valid]
        low = float(seen.min()) if seen.size else 0.0
        self.distance: Any = "nd" if low >= 0 else "l1"

    def __call__(self, method: str, prediction: Prediction) -> list[Score]:
        """Return the rows of a method: the bands, luma if there is any, and all together last."""
        made = prediction.image[:, *self._inner]
        rows = [self._plane(method, *plane) for plane in self._planes(made)]
        return [*rows, self._together(method, prediction, made, rows)]

    def _planes(self, made: Array) -> Iterator[tuple[str, Array, Array]]:
        for number, (true, band) in enumerate(zip(self.truth, made, strict=True), 1):
            yield str(number), true, band
        if self._sample.is_photo:
            yield LUMA, luma(self.truth), luma(made)

    def _plane(self, method: str, band: str, true: Array, made: Array) -> Score:
        span = self.span(true)
        known = span > 0
        return Score(
            self._name,
            method,
            band,
            data_range=span,
            psnr=psnr(true, made, data_range=span, valid=self.valid) if known else NAN,
            ssim=ssim(true, made, data_range=span, valid=self.valid) if known else NAN,
            uiqi=uiqi(true, made, valid=self.valid),
            sharpness=edge_sharpness(true, made, valid=self.valid),
        )

    def _together(
        self, method: str, prediction: Prediction, made: Array, rows: list[Score]
    ) -> Score:
        sample, s = self._sample, self._factor
        bands = [row for row in rows if row.band != LUMA]
        headline = [row for row in rows if row.band == LUMA] or bands
        share = correctness(
            self._enlarged, made, self.truth, distance=self.distance, valid=self.valid
        )
        low, whole = sample.low.astype(np.float64), prediction.image
        peak = prediction.peak_bytes
        return Score(
            self._name,
            method,
            ALL,
            psnr=mean([row.psnr for row in headline]),
            ssim=mean([row.ssim for row in headline]),
            uiqi=mean([row.uiqi for row in bands]),
            sharpness=mean([row.sharpness for row in headline]),
            sam=sam(self.truth, made, valid=self.valid),
            ergas=ergas(self.truth, made, upscale_factor=s, valid=self.valid),
            consistency=consistency_error(low, whole, s, sample.low_valid),
            consistency_rmse=consistency_rmse(low, whole, s, sample.low_valid),
            improvement=share.improvement,
            omission=share.omission,
            hallucination=share.hallucination,
            lpips=self._lpips(self.truth, made, sample.colours) if self._lpips else NAN,
            seconds_per_mpx=prediction.seconds / (whole.size / 1e6),
            peak_mib=NAN if peak is None else peak / 2**20,
        )

    def span(self, true: Array) -> float:
        """Return the data range of a plane of the truth."""
        if self._range is not None:
            return self._range
        if self._sample.truth.dtype == np.uint8:
            return 255.0
        values = true if self.valid is None else true[self.valid]
        if values.size == 0:
            return 0.0
        low, high = np.percentile(values.astype(np.float64), (0.1, 99.9))
        return float(high - low)


def bilinear(low: Array, factor: int) -> NDArray[np.float64]:
    """Return the low resolution on the fine grid."""
    reach = KERNEL_RADIUS["bilinear"]
    padded = np.pad(low.astype(np.float64), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    finer: NDArray[np.float64] = interleave(upsample(padded, "bilinear", factor)).astype(np.float64)
    return finer


def mean(values: list[float]) -> float:
    """Return the mean of what is known, NaN if nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else NAN
