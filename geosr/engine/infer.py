"""The second stage: a block's tiles through the network, into the output's values."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from geosr.core.catalog import ModelFacts
from geosr.core.errors import CancelledError, PredictionError
from geosr.core.geometry import Window
from geosr.core.plan import BlockPlan, Tile
from geosr.engine.parts import Array, Predictor, Valid, Work
from geosr.engine.read import LoadedBlock
from geosr.kernels import interleave
from geosr.quantise import Counts, quantise
from geosr.radiometry import keep_means


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


class RunningBlock:
    """A block whose tiles are being predicted onto its canvas."""

    def __init__(
        self,
        plan: BlockPlan,
        loaded: LoadedBlock,
        predictor: Predictor,
        work: Work,
        pool: ThreadPoolExecutor,
        stop: Stop,
    ) -> None:
        self._plan, self._loaded, self._predictor, self._work = plan, loaded, predictor, work
        self._stop = stop
        bands, height, width = loaded.raw.shape
        s = plan.upscale_factor
        kind = loaded.x.dtype if work.resampler else np.dtype(work.target.dtype)
        self._canvas: Array = np.zeros((bands, height * s, width * s), kind)
        tiles = plan.tiles(loaded.block)
        self._x = _lengthened(loaded.x, tiles, plan.tile_size)
        self.futures = [pool.submit(self._predict, tile) for tile in tiles]

    def _predict(self, tile: Tile) -> tuple[Counts, float]:
        """Predict a tile; return what was counted and its consistency error."""
        self._stop.check()
        core, size = tile.core, self._plan.tile_size
        rows = slice(core.row_off, core.row_off + size)
        cols = slice(core.col_off, core.col_off + size)
        counts, error = Counts(), 0.0
        for bands in _bands_together(len(self._x), self._predictor.facts, self._plan.alpha):
            valid = None if self._loaded.valid is None else self._loaded.valid[bands, *core.slices]
            if valid is not None and not valid.any():
                continue  # the canvas gets its holes later
            more, off = self._predict_bands(self._x[bands, rows, cols], valid, core, bands)
            counts, error = counts + more, max(error, off)
        return counts, error

    def _predict_bands(
        self, patch: Array, valid: Valid | None, core: Window, bands: slice
    ) -> tuple[Counts, float]:
        halo = self._plan.halo
        source = patch[:, halo : halo + core.height, halo : halo + core.width]
        phases = self._predictor.predict(patch)[:, :, : core.height, : core.width]
        phases = np.ascontiguousarray(phases)
        _check_finite(phases, valid, core, self._loaded)
        if self._work.consistency:
            keep_means(phases, source)
        values, counts = phases, Counts()
        if not self._work.resampler:
            values, counts = quantise(phases, source, valid, self._work.target)
        self._canvas[bands, *core.scale(self._plan.upscale_factor).slices] = interleave(values)
        return counts, _mean_error(values, source, valid)

    def finished(self) -> tuple[Window, Array, Valid | None]:
        """Return where the block goes, its values, and which are valid."""
        loaded, canvas, work, s = self._loaded, self._canvas, self._work, self._plan.upscale_factor
        if self._plan.alpha is not None:
            canvas[self._plan.alpha] = enlarged(loaded.raw[self._plan.alpha], s)
        valid = None if loaded.valid is None else enlarged(loaded.valid, s)
        if work.resampler:
            canvas, valid = work.resampler.averaged(canvas, valid, loaded.block)
            phases, source = canvas[:, None], canvas
            canvas = quantise(phases, source, valid, work.target)[0][:, 0]
        if valid is not None:
            hole = enlarged(loaded.raw, s) if work.hole is None else np.asarray(work.hole)
            np.copyto(canvas, hole.astype(canvas.dtype, copy=False), where=~valid)
        return loaded.block.output, canvas, valid


def enlarged(x: Array, factor: int) -> Array:
    """Repeat pixels ``factor`` times along the last two axes."""
    return x.repeat(factor, axis=-2).repeat(factor, axis=-1)


def _lengthened(x: Array, tiles: tuple[Tile, ...], size: int) -> Array:
    """Lengthen a block so that its last tiles are as large as the others."""
    rows = max(tile.core.row_off for tile in tiles) + size - x.shape[1]
    cols = max(tile.core.col_off for tile in tiles) + size - x.shape[2]
    return np.pad(x, ((0, 0), (0, max(rows, 0)), (0, max(cols, 0))), mode="edge")


def _bands_together(count: int, facts: ModelFacts, alpha: int | None) -> list[slice]:
    """Return which bands go through the network at once: one, or all that it takes."""
    if facts.bands > 1:
        return [slice(0, facts.bands)]
    return [slice(band, band + 1) for band in range(count) if band != alpha]


def _check_finite(phases: Array, valid: Valid | None, core: Window, loaded: LoadedBlock) -> None:
    finite = np.isfinite(phases).all(axis=1)
    if valid is not None:
        finite |= ~valid
    if not finite.all():
        row = loaded.block.core.row_off + core.row_off
        col = loaded.block.core.col_off + core.col_off
        raise PredictionError(
            f"The network returned NaN or infinity in the tile at row {row}, column {col}.",
            hint="Try --precision float32; if that does not help, the weights are broken.",
        )


def _mean_error(values: Array, source: Array, valid: Valid | None) -> float:
    """Return the largest difference between a block's mean and its source pixel."""
    error = np.abs(values.sum(axis=1, dtype=np.float64) / values.shape[1] - source)
    if valid is not None:
        error = error[valid]
    return float(error.max()) if error.size else 0.0
