"""The second stage for networks whose tiles differ where they meet: each passes into the next.

The result depends on the tiles, but neither on blocks nor on threads: tiles are laid over the
whole raster, each is filled and mirrored by itself, and they are added up in one order.
"""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from geosr.core.geometry import Window
from geosr.core.plan import Block, Tile
from geosr.engine.infer import Bands, Canvas, Stop, bands_together, timed
from geosr.engine.overlap import BlendedPlan, shares
from geosr.engine.parts import Array, Predictor, Reader, Tally, Valid, Work
from geosr.engine.read import LoadedBlock
from geosr.radiometry import fill_holes, mirror, working_dtype

STRIP = 128
"""Source rows that are finished at once: what they need meanwhile stays small."""


@dataclass(frozen=True)
class WideBlock(LoadedBlock):
    """A block and all of the raster that its tiles see; holes are not filled yet.

    Attributes
    ----------
    seen
        Where ``x`` lies in the raster.
    good
        Which pixels of ``x`` are valid; None: all are.
    """

    seen: Window
    good: Valid | None

    def patch(self, tile: Tile, reach: int) -> Array:
        """Return what a tile sees: holes filled from its own pixels, edges mirrored."""
        first, seen = self.block.core, self.seen
        wide = tile.read.shift(first.row_off - seen.row_off, first.col_off - seen.col_off)
        inner = wide.clip((seen.height, seen.width))
        x = self.x[:, *inner.slices]
        good = None if self.good is None else self.good[:, *inner.slices]
        if good is not None and not good.all():
            x = fill_holes(x, good, reach=reach)
        before = inner.row_off - wide.row_off, inner.col_off - wide.col_off
        after = wide.height - inner.height - before[0], wide.width - inner.width - before[1]
        return mirror(x, before, after)


def load_wide_block(block: Block, reader: Reader, reach: int) -> WideBlock:
    """Read a block and ``reach`` pixels around it."""
    core = block.core
    seen = core.grow(reach).within(reader.extent)
    raw, good = reader.read(seen)
    place = core.shift(-seen.row_off, -seen.col_off).slices
    valid = None if good is None else good[:, *place]
    valid = None if valid is None or valid.all() else valid
    x = raw.astype(working_dtype(reader.dtype))
    return WideBlock(block, raw[:, *place], valid, x, seen, good)


@dataclass(frozen=True)
class _Part:
    """What a tile adds to its block: its share of the detail, for some bands at a place."""

    bands: Bands
    place: Window
    detail: Array


class BlendedBlock:
    """A block whose tiles are being predicted and added up.

    What is added up is the difference from the source, so that a constant stays constant to
    the last bit.
    """

    def __init__(
        self,
        plan: BlendedPlan,
        loaded: WideBlock,
        predictor: Predictor,
        work: Work,
        pool: Executor,
        stop: Stop,
    ) -> None:
        self._plan, self._loaded, self._predictor, self._stop = plan, loaded, predictor, stop
        self._canvas = Canvas(plan, loaded, work)
        self._bands = bands_together(len(loaded.x), predictor.facts, plan.alpha, work.order)
        core, seen = loaded.block.core, loaded.seen
        place = core.shift(-seen.row_off, -seen.col_off)
        self._source = loaded.x[:, *place.slices]
        shape = (len(loaded.x), plan.upscale_factor**2, *core.shape)
        self._detail: Array = np.zeros(shape, loaded.x.dtype)
        self._shares = tuple(shares(plan, loaded.block, axis) for axis in (0, 1))
        tiles = plan.tiles(loaded.block)
        self._lock = threading.Lock()
        self._waiting: dict[int, list[_Part]] = {}
        self._next, self._num_tiles = 0, len(tiles)
        self.futures = [[pool.submit(self._predict, *numbered)] for numbered in enumerate(tiles)]

    def _predict(self, number: int, tile: Tile) -> Tally:
        """Predict a tile and add it up; the last one finishes the block and tells its counts."""
        self._stop.check()
        core = tile.core
        place = core.clip(self._loaded.block.core.shape)
        patch: Array | None = None
        parts, network_s = [], 0.0
        for bands in self._bands:
            valid = self._canvas.valid(bands, place)
            if valid is not None and not valid.any():
                continue  # the canvas gets its holes later
            if patch is None:
                patch = self._loaded.patch(tile, self._plan.tile_size)
            phases, seconds = timed(self._predictor, patch[bands])
            network_s += seconds
            inner = place.shift(-core.row_off, -core.col_off)
            detail = phases[:, :, *inner.slices] - self._source[bands, None, *place.slices]
            self._canvas.check_finite(detail, bands, place)
            detail *= self._share(number, place).astype(detail.dtype)
            parts.append(_Part(bands, place, detail))
        tally = self._add(number, parts)
        tally.network_s += network_s
        return tally

    def _share(self, number: int, place: Window) -> Array:
        """Return how much a tile counts at a place: phases ``(s*s, height, width)``."""
        row, col = divmod(number, len(self._shares[1]))
        rows = self._shares[0][row][:, None, place.slices[0], None]
        cols = self._shares[1][col][None, :, None, place.slices[1]]
        share: Array = (rows * cols).reshape(-1, *place.shape)
        return share

    def _add(self, number: int, parts: list[_Part]) -> Tally:
        """Add up what tiles have given, in their order: sums of floats depend on it."""
        with self._lock:
            self._waiting[number] = parts
            while self._next in self._waiting:
                for part in self._waiting.pop(self._next):
                    self._detail[part.bands, :, *part.place.slices] += part.detail
                self._next += 1
            if self._next < self._num_tiles:
                return Tally()
        return self._finish()

    def _finish(self) -> Tally:
        """Bring the sum to the output's dtype."""
        tally = Tally()
        height, width = self._loaded.block.core.shape
        for bands in self._bands:
            for row in range(0, height, STRIP):
                strip = Window(row, 0, min(STRIP, height - row), width)
                source = self._source[bands, *strip.slices]
                phases = self._detail[bands, :, *strip.slices] + source[:, None]
                tally.add(self._canvas.put(phases, source, bands, strip))
        return tally

    def finished(self) -> tuple[Window, Array, Valid | None]:
        """Return where the block goes, its values, and which are valid."""
        return self._canvas.finished()
