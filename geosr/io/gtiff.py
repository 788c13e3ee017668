"""A plain GeoTIFF, written by GDAL: for creation options that nothing else takes."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geosr.core.errors import OutputError
from geosr.core.geometry import Window
from geosr.core.plan import Block
from geosr.io.claim import Claim, part_of, sweep
from geosr.io.integrity import first_lost_block
from geosr.io.metadata import write_metadata
from geosr.io.opening import open_raster
from geosr.io.output import (
    Output,
    check_absent,
    disk_full,
    flush,
    is_full,
    put_in_place,
    write_errors,
    write_failure,
)

Values = NDArray[np.generic]
Valid = NDArray[np.bool_]


class GeoTiffSink:
    """Writes a GeoTIFF; an `engine.Writer` and a context manager, to be left in its own thread.

    The pixels go to a file beside the destination. Leaving the context puts it in place, if no
    error was raised; if one was, or Ctrl-C was pressed, the file goes and the old one stays: GDAL
    cannot go on with a file that was left in the middle. Metadata is written first: it then
    stands before the pixels in the file.

    Attributes
    ----------
    done, notes, news
        Always empty: see `geosr.io.cog.sink.CogSink`.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._part = part_of(output.path)
        self._claim = Claim(output.path)
        self._stack = ExitStack()
        self._dst: Any = None
        self.done: frozenset[int] = frozenset()
        self.notes: tuple[dict[str, float], ...] = ()
        self.news = ""

    def __enter__(self) -> Self:
        profile, metadata = self._output.profile, self._output.metadata
        # An integer sets the size of GDAL's one cache; a mask band shall not be a second file.
        options = {
            "GDAL_CACHEMAX": self._output.cache_bytes,
            "GDAL_TIFF_INTERNAL_MASK": True,
        }
        self._stack.enter_context(self._claim)
        self._stack.enter_context(rasterio.Env(**options))
        try:
            with write_errors(self._output):
                # No later run may take for its own what GDAL will put where the pixels lay.
                self._claim.restart(self._output.identity)
                sweep(self._output.path)
                self._dst = open_raster(str(self._part), "w", **profile.to_rasterio())
                points = metadata.gcps if profile.has_gcps else ()
                write_metadata(self._dst, replace(metadata, gcps=points), self._output.tags)
                if profile.nodata.write_mask:
                    # To begin a mask later, GDAL would free tags that its threads still read.
                    pixel = RasterioWindow(0, 0, 1, 1)
                    self._dst.write_mask(np.zeros((1, 1), bool), window=pixel)
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()
            return
        try:
            with write_errors(self._output):
                self._dst.close()
                self._check_whole()
                check_absent(self._output)
                flush(self._part)
                put_in_place(self._part, self._output)
                self._claim.remove()
        except BaseException:
            self._discard()
            raise
        self._stack.close()

    def encode(
        self,
        block: Block,  # noqa: ARG002 - GDAL encodes, when it is given the pixels
        values: Values,
        valid: Valid | None,
    ) -> tuple[Values, Valid | None]:
        """Return what `commit` takes."""
        return values, valid

    def commit(
        self,
        block: Block,
        encoded: tuple[Values, Valid | None],
        note: dict[str, float],  # noqa: ARG002 - nothing is kept for a later run
    ) -> None:
        """Store a block; see `engine.Writer`."""
        self.write(block.output, *encoded)

    def write(self, window: Window, values: Values, valid: Valid | None) -> None:
        """Store ``values`` ``(bands, height, width)`` at ``window``.

        Raises
        ------
        OutputError
            If the disk is full, or fails.
        """
        place = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        # GDAL compresses and writes in threads of its own, and tells of a full disk late or never.
        if is_full(self._output):
            raise disk_full(self._output)
        try:
            self._dst.write(values, window=place)
            if self._output.profile.nodata.write_mask:
                # A GeoTIFF has one mask for all bands.
                whole = np.ones(window.shape, bool) if valid is None else valid.all(axis=0)
                self._dst.write_mask(whole, window=place)
        except (RasterioError, OSError) as error:
            raise self._failed(error) from error

    def _check_whole(self) -> None:
        """Look for blocks that never reached the disk: closing a raster reports no errors."""
        with open_raster(str(self._part)) as written:
            options = self._output.profile.creation_options
            sparse = options.get("SPARSE_OK", "NO").upper() != "NO"
            lost = first_lost_block(written, self._part.stat().st_size, sparse=sparse)
        if lost is not None:
            raise self._failed(OSError(f"block {lost} did not reach the disk"))

    def _discard(self) -> None:
        try:
            with suppress(RasterioError, OSError):  # the error that led here is the one to show
                if self._dst is not None:
                    self._dst.close()
        finally:
            sweep(self._output.path)
            self._claim.remove()
            self._stack.close()

    def _failed(self, error: BaseException) -> OutputError:
        return write_failure(self._output, error)
