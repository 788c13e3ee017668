"""The part of a planned run that a preview shows.

Nothing is cut out before the network has seen it. The view's blocks lie anywhere in the whole
raster and are read with their true surroundings, so that edges are mirrored and holes are filled
only where the whole run does so, and from the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.geometry import Bounds, Window
from geosr.core.plan import Block, BlockPlan, ResampledPlan, plan_blocks
from geosr.engine.overlap import BlendedPlan
from geosr.file_plan import FilePlan
from geosr.io.gtiff import GeoTiffSink
from geosr.io.output import Output
from geosr.io.resolution import transform_bounds
from geosr.outputs import output_of

CACHE_BYTES = 128 << 20
"""Of GDAL's block cache: a view's own pixels, and few more."""


@dataclass(frozen=True)
class View:
    """What is shown.

    Attributes
    ----------
    source
        Pixels of the raster that are upscaled.
    output
        Pixels of the whole run's output that are shown.
    blocks
        How they are made; they may reach beyond what is shown.
    """

    source: Window
    output: Window
    blocks: BlockPlan


def view_of(plan: FilePlan, bounds: Bounds, bounds_crs: str | None) -> View:
    """Return the view of all source pixels that ``bounds`` touch.

    Raises
    ------
    BoundsError
        If the bounds lie outside the raster, or their CRS does not help to find them.
    """
    asked = transform_bounds(bounds, bounds_crs, plan.source.grid)
    if isinstance(plan.blocks, ResampledPlan):
        return _resampled(plan.blocks, plan.output.grid.window(asked))
    source, factor = plan.source.grid.window(asked), plan.blocks.upscale_factor
    within = _snapped(source, plan.foreign.stride if plan.foreign else 1).clip(plan.blocks.shape)
    cores = _pieces(within, plan.blocks.block_size)
    blocks = tuple(Block(core, core.scale(factor), n) for n, core in enumerate(cores))
    return View(source, source.scale(factor), _chosen(plan.blocks, blocks))


def output_of_view(plan: FilePlan, view: View, path: str) -> Output:
    """Return the output of a preview: a small part of the whole run's."""
    whole = output_of(plan, path, resume=False)
    return replace(
        whole,
        profile=replace(plan.output, grid=plan.output.grid.crop(view.output)),
        metadata=whole.metadata.place(view.output, (1.0, 1.0)),
        blocks=view.blocks,
        cache_bytes=CACHE_BYTES,
    )


class ViewWriter:
    """Stores the part of each block that is shown; an `engine.Writer`."""

    def __init__(self, sink: GeoTiffSink, shown: Window) -> None:
        self._sink, self._shown = sink, shown

    def encode(
        self, block: Block, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> Any:
        """Cut off what is not shown."""
        place = self._place(block).output
        inside = place.shift(
            self._shown.row_off - block.output.row_off, self._shown.col_off - block.output.col_off
        )
        good = None if valid is None else valid[:, *inside.slices]
        shown = np.ascontiguousarray(values[:, *inside.slices])
        return self._sink.encode(self._place(block), shown, good)

    def commit(self, block: Block, encoded: Any, note: dict[str, float]) -> None:
        """Store a block."""
        self._sink.commit(self._place(block), encoded, note)

    def _place(self, block: Block) -> Block:
        """Return the block's place in the view."""
        shown = self._shown
        shifted = block.output.shift(-shown.row_off, -shown.col_off)
        return replace(block, output=shifted.clip(shown.shape))


@dataclass(frozen=True)
class ChosenPlan(BlockPlan):
    """A plan for some windows of a raster, which need be none of its own blocks.

    Attributes
    ----------
    chosen
        The windows.
    """

    chosen: tuple[Block, ...] = ()

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in the order in which they are written."""
        return iter(self.chosen)

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.chosen)

    @property
    def num_tiles(self) -> int:
        """How many tiles all blocks have together."""
        return sum(len(self.tiles(block)) for block in self.chosen)


@dataclass(frozen=True)
class ChosenBlendedPlan(ChosenPlan, BlendedPlan):
    """The same for tiles that overlap: they lie where those of the whole raster do."""


def _resampled(plan: ResampledPlan, output: Window) -> View:
    pieces = enumerate(_pieces(output, plan.block_size))
    blocks = tuple(Block(plan.under(piece), piece, number) for number, piece in pieces)
    return View(plan.under(output), output, _chosen(plan, blocks))


def _chosen(plan: BlockPlan, blocks: tuple[Block, ...]) -> BlockPlan:
    if isinstance(plan, BlendedPlan):
        return ChosenBlendedPlan(**vars(plan), chosen=blocks)
    return ChosenPlan(
        plan.shape,
        plan.block_size,
        plan.tile_size,
        plan.halo,
        plan.upscale_factor,
        plan.alpha,
        chosen=blocks,
    )


def _pieces(window: Window, side: int) -> Iterator[Window]:
    for piece in plan_blocks(window.shape, block_size=side):
        yield piece.shift(window.row_off, window.col_off)


def _snapped(window: Window, stride: int) -> Window:
    """Return the window, grown so that it begins and ends at multiples of ``stride``."""
    rows = window.row_off // stride, -(-(window.row_off + window.height) // stride)
    cols = window.col_off // stride, -(-(window.col_off + window.width) // stride)
    return Window(rows[0], cols[0], rows[1] - rows[0], cols[1] - cols[0]).scale(stride)
