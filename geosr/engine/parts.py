"""What the engine takes and gives: protocols for its ends, values for its way of working."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from geosr.core.facts import ModelFacts
from geosr.core.geometry import Window
from geosr.core.plan import Block
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
    def extent(self) -> Window:
        """All that can be read: `shape` counts from (0, 0), and more may lie around it."""

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

        ``window`` lies inside ``extent``. None for the second: all are valid.
        """


Note = dict[str, float]
"""What there is to tell of a block, as plain values: `Tally.to_note`."""

Encoded = TypeVar("Encoded")
"""What a writer makes of a block before it is stored."""


class Writer(Protocol[Encoded]):
    """Where output pixels go, in two steps: made ready in several threads, stored in order."""

    def encode(self, block: Block, values: Array, valid: Valid | None) -> Encoded:
        """Make ready what is to be stored; called from several threads at once.

        ``values`` are ``(bands, height, width)`` of the output's dtype, for ``block.output``.
        ``valid`` is of the same shape; None: all are valid. Invalid pixels already hold what
        the output has there.
        """

    def commit(self, block: Block, encoded: Encoded, note: Note) -> None:
        """Store a block, and what there is to tell of it; called from one thread, in order."""


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
    threads
        Threads that run the network.
    contrasts
        What each band is divided by before the network, and multiplied by afterwards; empty:
        nothing is.
    order
        The places, among the bands that are not alpha, of those that a network sees together, in
        its order; empty: as they come.
    """

    target: Target
    consistency: bool = True
    hole: float | None = None
    resampler: AreaResampler | None = None
    threads: int = 1
    contrasts: tuple[float, ...] = ()
    order: tuple[int, ...] = ()


@dataclass
class Tally:
    """What a tile, a block or a run has to tell at its end.

    Attributes
    ----------
    counts
        See `geosr.quantise.Counts`.
    consistency_error
        The largest difference between a block's mean and its source pixel.
    tiles
        How many tiles were predicted.
    network_s
        Seconds that threads spent inside the network, all threads together.
    """

    counts: Counts = field(default_factory=Counts)
    consistency_error: float = 0.0
    tiles: int = 0
    network_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Take over what ``other`` has to tell."""
        self.counts += other.counts
        self.consistency_error = max(self.consistency_error, other.consistency_error)
        self.tiles += other.tiles
        self.network_s += other.network_s

    def to_note(self) -> Note:
        """Return this as plain values, which a journal keeps."""
        return {
            "unresolved": self.counts.unresolved,
            "clamped": self.counts.clamped,
            "error": self.counts.error,
            "consistency_error": self.consistency_error,
            "tiles": self.tiles,
            "network_s": round(self.network_s, 4),
        }

    @classmethod
    def from_note(cls, note: Mapping[str, float]) -> Self:
        """Return what `to_note` was made of."""
        counts = Counts(int(note["unresolved"]), int(note["clamped"]), note["error"])
        return cls(counts, note["consistency_error"], int(note["tiles"]), note["network_s"])
