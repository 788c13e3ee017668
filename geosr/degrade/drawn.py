"""Degradations by name, and what a recipe asks of them, drawn anew for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import OptionError
from geosr.degrade.noise import add_noise
from geosr.degrade.real import real
from geosr.degrade.sampling import area, bicubic, mtf
from geosr.degrade.sensors import PAN, SENSORS, check_sensor, sensor_mtf

Array = NDArray[np.floating]
Span = float | tuple[float, float]
"""A number, or the ends of a range from which one is drawn."""


class Degradation(Protocol):
    """Makes ``(..., s*h, s*w)`` into ``(..., h, w)``, in the same units and dtype."""

    def __call__(self, high: Array, upscale_factor: int, rng: np.random.Generator, /) -> Array:
        """Return the low resolution; what is random about it comes from ``rng``."""
        ...


DEGRADATIONS: dict[str, Degradation] = {"area": area, "bicubic": bicubic, "mtf": mtf, "real": real}
"""The degradations that a recipe can name."""


@dataclass(frozen=True)
class Degrader:
    """One or several degradations with their parameters.

    Of several, each sample draws one with equal odds, and so it does from a range.

    Attributes
    ----------
    names
        Keys of `DEGRADATIONS`.
    mtf_at_nyquist
        For ``mtf``, in both directions or, with ``mtf_along``, across the track alone.
    mtf_along
        For ``mtf``, along the track.
    sensor, bands
        For ``mtf``, in place of numbers: a sensor of `geosr.degrade.SENSORS`, and those of its
        bands to draw from; none means all but the panchromatic one.
    snr
        Signal-to-noise ratio of Poisson-Gaussian noise that is added at the end; 0 adds none.
    """

    names: tuple[str, ...]
    mtf_at_nyquist: Span | None = None
    mtf_along: Span | None = None
    sensor: str = ""
    bands: tuple[str, ...] = ()
    snr: Span = 0.0

    def __post_init__(self) -> None:
        unknown = [name for name in self.names if name not in DEGRADATIONS]
        if unknown or not self.names:
            asked = ", ".join(map(repr, unknown)) or "of no name"
            raise OptionError(
                f"A recipe asks for the degradation {asked}.",
                hint=f"Use one of {', '.join(DEGRADATIONS)}, or a list of them.",
            )
        given = self.sensor or self.mtf_at_nyquist is not None or self.mtf_along is not None
        if given and "mtf" not in self.names:
            raise OptionError(
                "A sensor or its modulation transfer is for the degradation mtf, which the recipe "
                "does not name.",
                hint='Use degradation = "mtf", or leave them out.',
            )
        if self.sensor and (self.mtf_at_nyquist is not None or self.mtf_along is not None):
            raise OptionError(
                "A recipe gives both a sensor and mtf_at_nyquist or mtf_along.", hint="Give one."
            )
        if self.bands and not self.sensor:
            raise OptionError("A recipe names bands of no sensor.", hint="Say sensor as well.")
        for value in (self.mtf_at_nyquist, self.mtf_along):
            _check_span(value, 0.0, 1.0)
        _check_span(self.snr or None, 0.0, np.inf)
        for band in self.bands if self.bands else self._all_bands():
            sensor_mtf(self.sensor, band)

    @classmethod
    def of(cls, names: str | Sequence[str], parameters: Mapping[str, Any]) -> Self:
        """Return what the keys ``degradation`` and ``degrade`` of a recipe ask for.

        Raises
        ------
        OptionError
            If they make no sense.
        """
        known = [field.name for field in fields(cls) if field.name != "names"]
        unknown = sorted(set(parameters) - set(known))
        if unknown:
            raise OptionError(
                f"The recipe's table degrade has unknown keys: {', '.join(unknown)}.",
                hint=f"Known: {', '.join(known)}.",
            )
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in parameters.items()
        }
        return cls((names,) if isinstance(names, str) else tuple(names), **values)

    @property
    def is_fixed(self) -> bool:
        """Whether all samples are degraded alike, without drawing anything."""
        spans = (self.mtf_at_nyquist, self.mtf_along, self.snr)
        drawn = any(isinstance(span, tuple) for span in spans) or bool(self.snr or self.sensor)
        return len(self.names) == 1 and self.names != ("real",) and not drawn

    def __call__(self, high: Array, upscale_factor: int, rng: np.random.Generator) -> Array:
        """Degrade samples ``(samples, ..., s*h, s*w)``, each by a draw of its own."""
        if self.is_fixed:
            return self._drawn(rng)(high, upscale_factor, rng)
        return np.stack([self._one(sample, upscale_factor, rng) for sample in high])

    def _one(self, sample: Array, upscale_factor: int, rng: np.random.Generator) -> Array:
        low = self._drawn(rng)(sample, upscale_factor, rng)
        snr = _value(self.snr, rng)
        return add_noise(low, snr=snr, rng=rng) if snr else low

    def _drawn(self, rng: np.random.Generator) -> Degradation:
        several = len(self.names) > 1
        name = self.names[rng.integers(len(self.names))] if several else self.names[0]
        if name != "mtf":
            return DEGRADATIONS[name]
        return partial(mtf, mtf_at_nyquist=self._transfer(rng))

    def _transfer(self, rng: np.random.Generator) -> tuple[float, float]:
        if self.sensor:
            bands = self.bands or self._all_bands()
            return sensor_mtf(self.sensor, bands[rng.integers(len(bands))])
        across = 0.25 if self.mtf_at_nyquist is None else _value(self.mtf_at_nyquist, rng)
        along = across if self.mtf_along is None else _value(self.mtf_along, rng)
        return across, along

    def _all_bands(self) -> tuple[str, ...]:
        if not self.sensor:
            return ()
        check_sensor(self.sensor)
        return tuple(band for band in SENSORS[self.sensor].bands if band != PAN)


def _value(span: Span, rng: np.random.Generator) -> float:
    return float(rng.uniform(*span)) if isinstance(span, tuple) else span


def _check_span(span: Span | None, low: float, high: float) -> None:
    if span is None:
        return
    ends: tuple[Any, ...] = span if isinstance(span, tuple) else (span, span)
    numbers = len(ends) == 2 and all(isinstance(end, int | float) for end in ends)
    if not (numbers and low < ends[0] <= ends[1] < high):
        raise OptionError(
            f"A recipe's table degrade has {span!r} where a number between {low:g} and {high:g} "
            "belongs.",
            hint="Give a number, or two for a range: the lower one first.",
        )
