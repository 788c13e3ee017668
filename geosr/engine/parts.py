"""What the engine takes and gives: protocols for its ends, values for its way of working."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geosr.core.catalog import ModelFacts
from geosr.core.geometry import Window
from geosr.quantise import Counts, Target
from geosr.resample import AreaResampler

Array = NDArray[Any]
Valid = NDArray[np.bool_]


class Reader(Protocol):
    """Where source pixels come from; called from one thread at a time."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of what is upscaled, in source pixels."""

    @property
    def dtype(self) -> str:
        """The source's dtype name."""

    @property
    def count(self) -> int:
        """Number of bands that are read, an alpha band included."""

    @property
    def alpha(self) -> int | None:
        """Place of the alpha band among them, from 0; None if there is none."""

    def read(self, window: Window) -> tuple[Array, Valid | None]:
        """Return values ``(bands, height, width)`` as stored and which of them are valid.

        ``window`` lies inside ``shape``. None for the second: all are valid.
        """


class Writer(Protocol):
    """Where output pixels go; called from one thread."""

    def write(self, window: Window, values: Array, valid: Valid | None) -> None:
        """Store ``values`` ``(bands, height, width)`` of the output's dtype at ``window``.

        ``valid`` is of the same shape; None: all are valid. Invalid pixels already hold what
        the output has there.
        """


class Predictor(Protocol):
    """A model that is ready to run; called from several threads at once."""

    @property
    def facts(self) -> ModelFacts:
        """What the model's card says."""

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``.

        Both are in the raster's units and of the same float dtype. The caller may change what
        is returned; the next call from the same thread may, too.
        """


@dataclass(frozen=True)
class Work:
    """How pixels are treated on their way.

    Attributes
    ----------
    target
        The output's dtype and nodata value.
    consistency
        Make each block of output pixels average to its source pixel.
    hole
        What invalid output pixels hold; None: the source's own value, enlarged.
    resampler
        Takes the prediction to another pixel size; None: the factor is the answer.
    workers
        Threads that run the network.
    """

    target: Target
    consistency: bool = True
    hole: float | None = None
    resampler: AreaResampler | None = None
    workers: int = 1


@dataclass
class Tally:
    """What a run has to tell at its end."""

    counts: Counts = field(default_factory=Counts)
    consistency_error: float = 0.0
    tiles: int = 0
