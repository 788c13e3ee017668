"""The pixels of a raster and which of them are valid."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window as RasterioWindow

from geosr.core.errors import GeosrError, InputFileError
from geosr.core.geometry import Window
from geosr.io.facts import RasterFacts, cache_bytes, check_upscalable, facts_of, read_facts
from geosr.io.integrity import Checksums, has_checksums
from geosr.io.opening import (
    GDAL_ERRORS,
    damage_raises,
    lacks_memory,
    open_raster,
    open_source,
    persistently,
    reason,
    unreadable,
)
from geosr.io.remote import Retries, fetching, gdal_name, is_remote, shown
from geosr.io.transfers import LostTransferError, Transfers

__all__ = ["RasterFacts", "RasterReader", "cache_bytes", "check_upscalable", "read_facts"]

Valid = NDArray[np.bool_]
Pixels = tuple[NDArray[np.generic], Valid]

_ROWS = 256  # of a remote raster that are fetched again together


class _ChangedError(OSError):
    """A remote raster is not what it was: replaced, or not all there."""


class RasterReader:
    """Reads bands ``indexes`` inside ``window`` of a raster; an `engine.Reader`.

    It holds a path and pickles. Each thread that reads opens the raster once, and keeps it open
    until `close`. What a remote raster's server fails to send is fetched again, as ``retries``
    says. GDAL's options go from the thread that makes the reader to those that read; a pickle has
    none of them, and no credentials.
    """

    def __init__(
        self,
        facts: RasterFacts,
        indexes: Sequence[int],
        window: Window,
        *,
        retries: Retries | None = None,
    ) -> None:
        self._facts = facts
        self._indexes = facts.all_indexes(indexes)
        self._window = window
        self._retries = retries or Retries()
        self._open: dict[int, Any] = {}
        self._checksums = Checksums(facts.path) if has_checksums(facts) else None
        self._options = _options(facts)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_options": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._options = _options(self._facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of what is read, in pixels."""
        return self._window.shape

    @property
    def extent(self) -> Window:
        """The whole raster, counted from the first pixel of what is read."""
        rows, cols = self._window.row_off, self._window.col_off
        return Window(0, 0, *self._facts.grid.shape).shift(-rows, -cols)

    @property
    def dtype(self) -> str:
        """The dtype of the bands."""
        return self._facts.dtypes[self._indexes[0] - 1]

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self._indexes)

    @property
    def alpha(self) -> int | None:
        """Place of the alpha band among the bands, from 0; None if it is not one of them."""
        alpha = self._facts.alpha
        return self._indexes.index(alpha) if alpha in self._indexes else None

    def close(self) -> None:
        """Close what the threads opened."""
        while self._open:
            self._open.popitem()[1].close()

    def read(self, window: Window) -> tuple[NDArray[np.generic], Valid | None]:
        """Return values ``(bands, height, width)`` as stored and which of them are valid.

        ``window`` counts from the reader's own and lies inside `extent`. None for the second:
        all are valid.

        Raises
        ------
        InputFileError
            If the file is damaged there, or cannot be fetched.
        MemoryError
            If GDAL gets none.
        """
        place = window.shift(self._window.row_off, self._window.col_off)
        values, valid = self._local(place) if self._options is None else self._fetched(place)
        return values, None if valid.all() else valid

    def _local(self, place: Window) -> Pixels:
        thread = threading.get_ident()
        if thread not in self._open:
            self._open[thread] = open_source(self._facts.path)
        src = self._open[thread]
        try:
            return self._pixels(src, place)
        except GDAL_ERRORS as error:
            if lacks_memory(error):
                raise MemoryError(reason(error)) from error
            raise self._damaged(src, place, error) from error

    def _fetched(self, place: Window) -> Pixels:
        try:
            return self._insist(place, Retries(()))
        except LostTransferError:
            # In parts: where one answer in ten is lost, a whole window never comes through.
            parts = [self._part(rows) for rows in _cut(place, self._facts.block_shape[0])]
        values, valid = zip(*parts, strict=True)
        return np.concatenate(values, axis=1), np.concatenate(valid, axis=1)

    def _part(self, place: Window) -> Pixels:
        try:
            return self._insist(place, self._retries)
        except LostTransferError as error:
            if isinstance(error.__cause__, _ChangedError):
                raise InputFileError(
                    f"{shown(self._facts.path)} has changed on the server meanwhile.",
                    hint="Run again; what was made of the old one has to be made anew.",
                ) from error
            raise InputFileError(
                f"{shown(self._facts.path)} cannot be read at {_where(place)}; it was tried "
                f"{error.tries + 1} times: {shown(str(error))}.",  # once with the whole window
                hint="The server or the way to it fails, or the file is damaged: try again later.",
            ) from error

    def _insist(self, place: Window, retries: Retries) -> Pixels:
        def attempt(transfers: Transfers) -> Pixels:
            try:
                pixels = self._pixels(self._same_source(transfers), place)
                transfers.check()
            except GDAL_ERRORS:
                self._forget()  # what GDAL has cached is what came, halves of answers too
                raise
            return pixels

        try:
            return persistently(attempt, self._options or {}, retries)
        except (GeosrError, LostTransferError):
            raise
        except GDAL_ERRORS as error:
            raise unreadable(self._facts.path, error) from error

    def _same_source(self, transfers: Transfers) -> Any:
        """Return the open raster; one just opened has to be what it was when the run began."""
        thread = threading.get_ident()
        if thread not in self._open:
            src = self._open[thread] = open_raster(gdal_name(self._facts.path))
            now = facts_of(self._facts.path, src)
            transfers.check()
            if _form(now) != _form(self._facts):
                raise _ChangedError("it has changed")
        return self._open[thread]

    def _forget(self) -> None:
        src = self._open.pop(threading.get_ident(), None)
        if src is not None:
            src.close()

    def _pixels(self, src: Any, place: Window) -> Pixels:
        with damage_raises():
            values: NDArray[np.generic] = src.read(self._indexes, window=_rasterio(place))
            valid = self._valid(src, place, values)
        if self._checksums and self._checksums.broken(src, self._indexes, place):
            raise RasterioIOError("the checksum of the compressed data is wrong")
        return values, valid

    def _valid(self, src: Any, place: Window, values: NDArray[np.generic]) -> Valid:
        """Return which pixels are valid; the alpha band, which says so, is so itself."""
        facts = self._facts
        valid = np.ones(values.shape, np.bool_)
        shared: dict[str, Valid] = {}  # masks that all bands have in common
        for band, (index, stored, good) in enumerate(
            zip(self._indexes, values, valid, strict=True)
        ):
            if band == self.alpha:
                continue
            if stored.dtype.kind == "f":
                good &= np.isfinite(stored)
            mask, nodata = facts.masks[index - 1], facts.nodata[index - 1]
            if mask == "nodata" and nodata is not None:
                good &= ~equals_nodata(stored, nodata)
            elif mask == "band":
                good &= src.read_masks(index, window=_rasterio(place)) != 0
            elif mask == "dataset":
                if mask not in shared:
                    shared[mask] = src.read_masks(index, window=_rasterio(place)) != 0
                good &= shared[mask]
            if facts.alpha is not None:
                if "alpha" not in shared:
                    shared["alpha"] = self._opacity(src, place, values) != 0
                good &= shared["alpha"]
        return valid

    def _opacity(self, src: Any, place: Window, values: NDArray[np.generic]) -> NDArray[np.generic]:
        if self.alpha is not None:
            opacity: NDArray[np.generic] = values[self.alpha]
        else:
            opacity = src.read(self._facts.alpha, window=_rasterio(place))
        return opacity

    def _damaged(self, src: Any, place: Window, error: BaseException) -> InputFileError:
        where, cause = self._first_bad_block(src, place) or (place, error)
        return InputFileError(
            f"{self._facts.path} cannot be read at {_where(where)}: {reason(cause)}.",
            hint="The file is damaged or not all there. Fetch or copy it again, or leave this "
            "part out with --bounds.",
        )

    def _first_bad_block(self, src: Any, place: Window) -> tuple[Window, BaseException] | None:
        for block in _blocks(place, self._facts):
            try:
                self._pixels(src, block)
            except GDAL_ERRORS as error:
                return block, error
        return None


def _options(facts: RasterFacts) -> dict[str, str] | None:
    """Return GDAL's options for a raster of which any file is remote; None for others."""
    if not any(map(is_remote, (facts.path, *facts.files))):
        return None
    return fetching(facts.path, side_files=len(facts.files) > 1)


def _form(facts: RasterFacts) -> str:
    """Return what of a raster the reader counts on, as text: a nodata value may be NaN."""
    place = facts.grid.shape, facts.grid.transform, facts.block_shape
    values = facts.dtypes, facts.nodata, facts.masks, facts.alpha
    return repr((facts.driver, facts.compression, place, values))


def _where(window: Window) -> str:
    return (
        f"rows {window.row_off} to {window.row_off + window.height - 1}, "
        f"columns {window.col_off} to {window.col_off + window.width - 1}"
    )


def _cut(place: Window, block_rows: int) -> Iterator[Window]:
    """Yield the parts of a window that lie in whole rows of the file's blocks."""
    step = -(-_ROWS // block_rows) * block_rows
    row, end = place.row_off, place.row_off + place.height
    while row < end:
        below = min(row // step * step + step, end)
        yield Window(row, place.col_off, below - row, place.width)
        row = below


def _rasterio(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col_off, window.row_off, window.width, window.height)


def equals_nodata(values: NDArray[np.generic], nodata: float) -> Valid:
    """Return where ``values`` are ``nodata``: within two steps of the float type, as in GDAL."""
    if values.dtype.kind != "f":
        return np.asarray(values == values.dtype.type(nodata))
    low = high = values.dtype.type(nodata)
    with np.errstate(over="ignore"):  # beyond the largest number lies infinity, as it should
        for _ in range(2):
            low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    # All False for NaN, which is never valid anyway.
    near: Valid = np.greater_equal(values, low) & np.less_equal(values, high)
    return near


def _blocks(place: Window, facts: RasterFacts) -> Iterator[Window]:
    """Yield the file's blocks that ``place`` touches."""
    rows, cols = facts.block_shape
    for row_off in range(place.row_off // rows * rows, place.row_off + place.height, rows):
        for col_off in range(place.col_off // cols * cols, place.col_off + place.width, cols):
            yield Window(row_off, col_off, rows, cols).clip(facts.grid.shape)
