"""The second stage: a block's tiles through the network, into the output's values."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from geosr.core.errors import CancelledError, NotEnoughMemoryError, PredictionError
from geosr.core.facts import ModelFacts
from geosr.core.geometry import Window
from geosr.core.plan import BlockPlan, Tile
from geosr.engine.parts import Array, Predictor, Tally, Valid, Work
from geosr.engine.read import LoadedBlock
from geosr.kernels import interleave
from geosr.quantise import Counts, quantise
from geosr.radiometry import keep_means

Bands = slice | list[int]
"""Places of some bands, from 0."""

SMALLEST_CORE = 8
"""Smaller tiles are not tried when memory runs out: their halo is most of them."""

STRIP = 1 << 19
"""Output pixels that are finished at once: few enough for a processor's own cache."""


class Stop:
    """Whether to stop: because somebody asked for it, or because something else failed."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked
        self._event = threading.Event()

    def now(self) -> None:
        """Have every tile that has not begun give up."""
        self._event.set()

    def check(self) -> None:
        """Raise if it is time to stop.

        Raises
        ------
        CancelledError
            Then.
        """
        if self._event.is_set() or self._asked():
            raise CancelledError("Stopped; the output was not written.")


class Canvas:
    """A block's output values as they come together."""

    def __init__(self, plan: BlockPlan, loaded: LoadedBlock, work: Work) -> None:
        self._plan, self._loaded, self._work = plan, loaded, work
        bands, height, width = loaded.raw.shape
        s = plan.upscale_factor
        kind = loaded.x.dtype if work.resampler else np.dtype(work.target.dtype)
        self._values: Array = np.zeros((bands, height * s, width * s), kind)

    def valid(self, bands: Bands, core: Window) -> Valid | None:
        """Return which source pixels are valid; None: all of them."""
        valid = self._loaded.valid
        return None if valid is None else valid[bands, *core.slices]

    def check_finite(self, phases: Array, bands: Bands, core: Window) -> None:
        """Refuse what is no picture.

        Raises
        ------
        PredictionError
            If a valid pixel became NaN or infinite.
        """
        finite, valid = np.isfinite(phases).all(axis=1), self.valid(bands, core)
        if valid is not None:
            finite |= ~valid
        if not finite.all():
            row = self._loaded.block.core.row_off + core.row_off
            col = self._loaded.block.core.col_off + core.col_off
            raise PredictionError(
                f"The network returned NaN or infinity in block {self._loaded.block.number}, "
                f"in the tile at row {row}, column {col}.",
                hint="Try --precision float32; if that does not help, the weights are broken.",
            )

    def put(self, phases: Array, source: Array, bands: Bands, core: Window) -> Tally:
        """Bring a prediction to the output's dtype; ``phases`` is used up.

        Parameters
        ----------
        phases, source
            ``(bands, s*s, height, width)`` and ``(bands, height, width)`` of ``core``.
        core
            Counts from the block's first pixel.

        Raises
        ------
        PredictionError
            If a valid pixel is NaN or infinite.
        """
        counts = Counts()
        height = max(STRIP // max(phases[:, :, 0].size, 1), 1)
        for row in range(0, core.height, height):
            rows = slice(row, row + height)
            strip = Window(
                core.row_off + row, core.col_off, min(height, core.height - row), core.width
            )
            counts += self._put_strip(phases[:, :, rows], source[:, rows], bands, strip)
        return Tally(counts, counts.error)

    def _put_strip(self, phases: Array, source: Array, bands: Bands, strip: Window) -> Counts:
        valid, place = self.valid(bands, strip), strip.scale(self._plan.upscale_factor).slices
        with np.errstate(over="ignore", invalid="ignore"):  # said below, in a sentence
            if self._work.consistency:
                keep_means(phases, source)
            values, counts = phases, Counts()
            if not self._work.resampler:
                values, counts = quantise(phases, source, valid, self._work.target)
        if self._work.resampler or not np.isfinite(counts.error):
            self.check_finite(phases, bands, strip)
        if isinstance(bands, slice):
            interleave(values, out=self._values[bands, *place])
        else:
            self._values[bands, *place] = interleave(values)
        return counts

    def finished(self) -> tuple[Window, Array, Valid | None]:
        """Return where the block goes, its values, and which are valid."""
        loaded, values, work, s = self._loaded, self._values, self._work, self._plan.upscale_factor
        if self._plan.alpha is not None:
            values[self._plan.alpha] = enlarged(loaded.raw[self._plan.alpha], s)
        valid = None if loaded.valid is None else enlarged(loaded.valid, s)
        if work.resampler:
            values, valid = work.resampler.averaged(values, valid, loaded.block)
            phases, source = values[:, None], values
            values = quantise(phases, source, valid, work.target)[0][:, 0]
        if valid is not None:
            hole = enlarged(loaded.raw, s) if work.hole is None else np.asarray(work.hole)
            np.copyto(values, hole.astype(values.dtype, copy=False), where=~valid)
        return loaded.block.output, values, valid


class RunningBlock:
    """A block whose tiles are being predicted onto its canvas."""

    def __init__(
        self,
        plan: BlockPlan,
        loaded: LoadedBlock,
        predictor: Predictor,
        work: Work,
        pool: Executor,
        stop: Stop,
    ) -> None:
        self._plan, self._predictor, self._stop = plan, predictor, stop
        self._contrasts = np.array(work.contrasts, loaded.x.dtype)[:, None, None]
        self._canvas = Canvas(plan, loaded, work)
        tiles = plan.tiles(loaded.block)
        self._x = _lengthened(loaded.x, tiles, plan.tile_size)
        groups = bands_together(len(loaded.x), predictor.facts, plan.alpha, work.order)
        # Each tile's bands apart: a raster of one tile keeps several threads busy, too.
        self.futures = [
            [pool.submit(self._predict, tile.core, plan.tile_size, bands) for bands in groups]
            for tile in tiles
        ]

    def _predict(self, core: Window, size: int, bands: Bands) -> Tally:
        """Predict some bands of a tile; where memory does not suffice, a quarter at a time."""
        self._stop.check()
        try:
            return self._predict_at_once(core, size, bands)
        except NotEnoughMemoryError:
            raise
        except MemoryError as error:
            quarters = quartered(core)
            if not quarters:
                raise NotEnoughMemoryError(
                    f"Memory does not suffice for a tile of {core.height} x {core.width} pixels.",
                    hint="Close other programs, or lower --threads.",
                ) from error
        tally = Tally()
        for quarter in quarters:
            side = max(quarter.shape) + 2 * self._plan.halo
            tally.add(self._predict(quarter, side, bands))
        return tally

    def _predict_at_once(self, core: Window, size: int, bands: Bands) -> Tally:
        halo = self._plan.halo
        rows = slice(core.row_off, core.row_off + size)
        cols = slice(core.col_off, core.col_off + size)
        valid = self._canvas.valid(bands, core)
        if valid is not None and not valid.any():
            return Tally()  # the canvas gets its holes later
        patch = self._x[bands, rows, cols]
        source = patch[:, halo : halo + core.height, halo : halo + core.width]
        if valid is not None and self._predictor.facts.takes_gaps:
            source = np.where(valid, source, source.dtype.type(0))
        if self._contrasts.size:
            phases, seconds = timed(self._predictor, patch / self._contrasts[bands])
            phases *= self._contrasts[bands][:, None]
        else:
            phases, seconds = timed(self._predictor, patch)
        tally = self._canvas.put(phases[:, :, : core.height, : core.width], source, bands, core)
        tally.network_s = seconds
        return tally

    def finished(self) -> tuple[Window, Array, Valid | None]:
        """Return where the block goes, its values, and which are valid."""
        return self._canvas.finished()


def timed(predictor: Predictor, x: Array) -> tuple[Array, float]:
    """Return a prediction, and the seconds that it took."""
    begun = time.perf_counter()
    phases = predictor.predict(x)
    return phases, time.perf_counter() - begun


def quartered(core: Window) -> list[Window]:
    """Return the quarters of a tile's core; none if it is too small for that."""
    height, width = -(-core.height // 2), -(-core.width // 2)
    if max(height, width) < SMALLEST_CORE:
        return []
    rows = ((0, height), (height, core.height - height))
    cols = ((0, width), (width, core.width - width))
    return [
        Window(core.row_off + row, core.col_off + col, rows_in, cols_in)
        for row, rows_in in rows
        for col, cols_in in cols
        if rows_in and cols_in
    ]


def enlarged(x: Array, factor: int) -> Array:
    """Repeat pixels ``factor`` times along the last two axes."""
    return x.repeat(factor, axis=-2).repeat(factor, axis=-1)


def _lengthened(x: Array, tiles: tuple[Tile, ...], size: int) -> Array:
    """Lengthen a block so that its last tiles are as large as the others."""
    rows = max(tile.core.row_off for tile in tiles) + size - x.shape[1]
    cols = max(tile.core.col_off for tile in tiles) + size - x.shape[2]
    if rows <= 0 and cols <= 0:
        return x
    return np.pad(x, ((0, 0), (0, max(rows, 0)), (0, max(cols, 0))), mode="edge")


def bands_together(
    count: int, facts: ModelFacts, alpha: int | None, order: tuple[int, ...]
) -> list[Bands]:
    """Return which bands go through the network at once: one, or all that it takes."""
    seen = [band for band in range(count) if band != alpha]
    if facts.bands == 1:
        return [slice(band, band + 1) for band in seen]
    if order:
        seen = [seen[place] for place in order]
    together = slice(0, len(seen))
    return [together if seen == list(range(len(seen))) else seen]
