"""What an evaluation was asked for, checked before any image is opened."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geosr.core.errors import OptionError
from geosr.degrade import DEGRADATIONS, Degrader, band_named, check_sensor

BICUBIC = "bicubic"
GDALWARP = "gdalwarp -r cubic"
BASELINES = (BICUBIC, GDALWARP)
"""What every table begins with."""


@dataclass(frozen=True)
class Protocol:
    """How images are scored.

    Attributes
    ----------
    models
        As after ``--model`` of `geosr upscale`.
    upscale_factor
        None: the models'.
    degradation
        A name of `geosr.degrade.DEGRADATIONS`.
    sensor
        Of ``mtf``: a name of `geosr.degrade.SENSORS`; empty: a modulation transfer of 0.25.
    border
        Pixels left out at each edge of the fine picture; None: twice the factor.
    data_range
        Span of possible values; None: 255 for 8-bit images, else the range of each band of the
        truth from its 0.1 to its 99.9 percentile.
    indexes
        Band numbers, from 1; empty: all but an alpha band.
    colours
        Numbers of the bands shown as red, green and blue; empty: as the raster says.
    crops, crop_size
        Of a user's own scene: how many parts at most, and their side in pixels; None: 512, or
        less for a small scene.
    match, align
        Of pairs: bring the truth's values to the low resolution's, and its pixels to that grid.
    lpips
        Path of an LPIPS network as ONNX; None: no LPIPS.
    seed
        Of the intervals, and of the choice of crops.
    engine
        Further fields of `geosr.core.options.UpscaleOptions`.
    """

    models: tuple[str, ...]
    upscale_factor: int | None = None
    degradation: str = "area"
    sensor: str = ""
    border: int | None = None
    data_range: float | None = None
    indexes: tuple[int, ...] = ()
    colours: tuple[int, ...] = ()
    crops: int = 16
    crop_size: int | None = None
    match: bool = False
    align: bool = False
    lpips: str | None = None
    seed: int = 0
    engine: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.degradation not in DEGRADATIONS:
            near = difflib.get_close_matches(self.degradation, DEGRADATIONS, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise OptionError(
                f"There is no degradation {self.degradation!r}.",
                hint=f"{meant}Use one of {', '.join(sorted(DEGRADATIONS))}.",
            )
        self._check_sensor()
        if len(set(self.models)) < len(self.models):
            raise OptionError("A model is named twice.", hint="Name each model once.")
        if self.border is not None and self.border < 0:
            raise OptionError(f"A border of {self.border} pixels makes no sense.")
        if self.data_range is not None and not 0 < self.data_range < float("inf"):
            raise OptionError(
                f"The data range {self.data_range:g} is no span of values.",
                hint="Give the largest value less the smallest, such as --data-range 10000.",
            )
        if len(self.colours) not in (0, 1, 3):
            raise OptionError(
                f"{len(self.colours)} bands are no colours.", hint="Use --rgb 3,2,1, or one band."
            )
        if self.crops < 1 or (self.crop_size is not None and self.crop_size < 48):
            raise OptionError(
                f"{self.crops} crops of {self.crop_size or 512} pixels cannot be scored.",
                hint="Use --crops 1 or more and --crop-size 48 or more.",
            )

    def _check_sensor(self) -> None:
        if not self.sensor:
            return
        check_sensor(self.sensor)
        if self.degradation != "mtf":
            raise OptionError(
                f"A sensor is for the degradation mtf, not {self.degradation}.",
                hint="Use --degradation mtf, or leave --sensor out.",
            )

    def degrader(self, description: str | None = None) -> Degrader:
        """Return what makes a band coarser.

        If the sensor has a band of that name, its modulation transfer is the one; else each band
        draws one of the sensor's.
        """
        band = band_named(self.sensor, description) if self.sensor else None
        return Degrader((self.degradation,), sensor=self.sensor, bands=(band,) if band else ())

    @property
    def methods(self) -> tuple[str, ...]:
        """All that is compared, in order: the baselines, then the models."""
        return (*BASELINES, *(model for model in self.models if model not in BASELINES))
