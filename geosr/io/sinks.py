"""The ways to store an output, behind one protocol."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import OptionError
from geosr.core.plan import Block
from geosr.io.cog.encode import BlockEncoder
from geosr.io.cog.sink import CogSink
from geosr.io.encoded import EncodedBlock
from geosr.io.gtiff import GeoTiffSink
from geosr.io.output import Output

Encoded = TypeVar("Encoded")
Note = dict[str, float]


class Sink(Protocol[Encoded]):
    """An `engine.Writer` that knows what is stored already; a context manager.

    Entering takes the output for this process and finds out what an earlier run has left.
    Leaving without an error finishes the output and gives it its final name. After an error
    what is stored stays for a later run, if the output can be resumed; else it goes.
    """

    @property
    def done(self) -> Collection[int]:
        """Numbers of the blocks that are stored already."""

    @property
    def notes(self) -> Sequence[Note]:
        """What there was to tell of them."""

    @property
    def news(self) -> str:
        """What the user should know of an earlier run; empty if there is nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def encode(
        self, block: Block, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> Encoded:
        """Make ready what is to be stored; called from several threads at once."""

    def commit(self, block: Block, encoded: Encoded, note: Note) -> None:
        """Store a block, and what there is to tell of it; called from one thread, in order."""


class Encoder(Protocol):
    """The half of a sink that needs no claim: it runs on any machine."""

    def encode(
        self, block: Block, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> EncodedBlock:
        """Make ready what is to be stored; called from several threads at once."""


def open_sink(output: Output) -> Sink[Any]:
    """Return what stores an output in its format."""
    if output.profile.format == "zarr":
        from geosr.io.zarr.sink import ZarrSink

        return ZarrSink(output)
    return CogSink(output) if output.profile.format == "cog" else GeoTiffSink(output)


def encoder_of(output: Output) -> Encoder:
    """Return what makes an output's blocks ready on other machines.

    Raises
    ------
    OptionError
        If the format can be written by one process only.
    """
    if output.profile.format == "zarr":
        from geosr.io.zarr.store import ZarrEncoder

        return ZarrEncoder(output)
    if output.profile.format == "gtiff":
        raise OptionError(
            "--format gtiff is written by one process.",
            hint="Use --format cog, or leave --workers and --scheduler out.",
        )
    return BlockEncoder(output)
