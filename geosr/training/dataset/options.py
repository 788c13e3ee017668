"""What decides a patch set."""

from __future__ import annotations

from dataclasses import dataclass

from geosr.core.errors import OptionError
from geosr.degrade import DEGRADATIONS


@dataclass(frozen=True)
class DatasetOptions:
    """What decides a patch set, besides the rasters.

    Attributes
    ----------
    patch
        Side of a patch, in high-resolution pixels.
    stride
        From one patch to the next, in the same pixels; None: they lie side by side.
    split
        Share of the patches that are for training; whole scenes go to either side.
    seed
        Of the split, and of degradations that draw.
    indexes
        Bands to take, from 1; none means all.
    scene
        Regular expression: rasters in whose names it finds the same text are one scene.
    min_sharpness
        Patches below it are left out: see `geosr.training.dataset.filters.sharpness`.
    max_likeness
        Correlation of thumbnails above which a patch is taken for one that is there already.
    degradation
        What makes the low side, if it is to be stored.
    upscale_factor
        Of the low side; None: there is none, or a pair's own.
    min_correlation
        Of a cross-sensor pair after matching; patches below it are misfits.
    """

    patch: int = 256
    stride: int | None = None
    split: float = 0.9
    seed: int = 0
    indexes: tuple[int, ...] = ()
    scene: str = ""
    min_sharpness: float = 0.01
    max_likeness: float = 0.98
    degradation: str = ""
    upscale_factor: int | None = None
    min_correlation: float = 0.7

    def __post_init__(self) -> None:
        if self.patch < 16 or (self.stride is not None and self.stride < 1):
            raise OptionError(
                f"Patches of {self.patch} pixels, {self.stride or self.patch} apart, are none.",
                hint="Use --patch 16 or more, and --stride 1 or more.",
            )
        if not 0 < self.split <= 1:
            raise OptionError(
                f"{self.split:g} is no share of the patches.", hint="Use --split 0.9, or 1 for all."
            )
        if self.degradation and self.degradation not in DEGRADATIONS:
            raise OptionError(
                f"There is no degradation {self.degradation!r}.",
                hint=f"Use one of {', '.join(DEGRADATIONS)}.",
            )
        self._check_factor()

    def _check_factor(self) -> None:
        if self.degradation and self.upscale_factor is None:
            raise OptionError(
                "--degradation stores the low resolution, and that needs a factor.",
                hint="Add --factor 2, or leave --degradation out: training degrades as it draws.",
            )
        s = self.upscale_factor
        if s is not None and s < 2:
            raise OptionError(f"A factor of {s} makes nothing coarser.", hint="Use 2 or more.")
        if s is not None and (self.patch % s or (self.stride or 0) % s):
            raise OptionError(
                f"Patches of {self.patch} pixels, {self.stride or self.patch} apart, do not lie on "
                f"the pixels of a resolution {s} times lower.",
                hint=f"Use multiples of {s} for --patch and --stride.",
            )
