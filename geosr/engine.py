"""The tile loop: read a block with its halo, predict its tiles, write it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geosr.core.geometry import Window


class Reader(Protocol):
    """Where source pixels come from; safe to call from one thread at a time."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of what is upscaled, in source pixels."""

    @property
    def dtype(self) -> str:
        """The source's dtype name."""

    @property
    def count(self) -> int:
        """Number of bands that are upscaled."""

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Return values ``(bands, height, width)`` as stored and which of them are valid.

        ``window`` lies inside ``shape``. None for the second: all are valid.
        """


class Writer(Protocol):
    """Where output pixels go; called from one thread."""

    def write(
        self, window: Window, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> None:
        """Store ``values`` ``(bands, height, width)`` of the output's dtype at ``window``.

        ``valid`` is of the same shape; None: all are valid. Invalid pixels already hold the
        nodata value.
        """
