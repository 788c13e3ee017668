"""Tiles that overlap: where they lie, and how much each of them counts where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geosr.core.geometry import Window
from geosr.core.plan import Block, BlockPlan, Tile


@dataclass(frozen=True)
class BlendedPlan(BlockPlan):
    """A plan for networks whose tiles differ where they meet: neighbours overlap.

    Tiles are laid evenly over the whole raster, whatever its blocks are, so that blocks do not
    show; each block predicts all tiles whose core touches it. Cores stay inside the raster
    unless it is smaller than one.

    Attributes
    ----------
    overlap
        Source pixels that neighbouring cores share, at least.
    """

    overlap: int = 0

    @property
    def reach(self) -> int:
        """How far a block's tiles may look beyond it, in source pixels."""
        return self.tile_size - self.halo

    @property
    def core_size(self) -> int:
        """Side of a tile's core."""
        return self.tile_size - 2 * self.halo

    def tiles(self, block: Block) -> tuple[Tile, ...]:
        """Return the tiles that touch a block; their windows count from its first pixel."""
        rows, cols = self.starts(block, 0), self.starts(block, 1)
        size = self.core_size
        cores = [Window(row, col, size, size) for row in rows for col in cols]
        return tuple(Tile(core, core.grow(self.halo)) for core in cores)

    def starts(self, block: Block, axis: int) -> tuple[int, ...]:
        """Return the first pixels of these tiles' cores along an axis."""
        first = (block.core.row_off, block.core.col_off)[axis]
        return tuple(start - first for start in self._touching(first, block.core.shape[axis], axis))

    def _touching(self, first: int, count: int, axis: int) -> list[int]:
        starts = spread(self.shape[axis], core=self.core_size, overlap=self.overlap)
        return [at for at in starts if at < first + count and first < at + self.core_size]

    @property
    def num_tiles(self) -> int:
        """How many tiles all blocks predict; those between two blocks count twice."""
        total = 1
        for axis, length in enumerate(self.shape):
            edges = range(0, length, self.block_size)
            counts = (min(self.block_size, length - edge) for edge in edges)
            total *= sum(
                len(self._touching(edge, count, axis))
                for edge, count in zip(edges, counts, strict=True)
            )
        return total


def spread(length: int, *, core: int, overlap: int) -> list[int]:
    """Return where cores begin that cover ``length`` pixels evenly, sharing ``overlap`` or more.

    >>> spread(100, core=40, overlap=10)
    [0, 30, 60]
    >>> spread(101, core=40, overlap=10)
    [0, 20, 40, 61]
    >>> spread(30, core=40, overlap=10)
    [0]
    """
    if length <= core:
        return [0]
    gaps = -(-(length - core) // (core - overlap))
    return [index * (length - core) // gaps for index in range(gaps + 1)]


def shares(plan: BlendedPlan, block: Block, axis: int) -> NDArray[np.float64]:
    """Return how much each tile of a block counts along an axis of it.

    It rises and falls smoothly over the overlap, and all tiles' shares sum to 1 everywhere.

    Returns
    -------
    ndarray
        ``(tiles, upscale_factor, length)``: for each output pixel of each source pixel of the
        block; 0 where a core does not reach.
    """
    factor, length = plan.upscale_factor, block.core.shape[axis]
    places = np.arange(length * factor) + 0.5  # exact, so that all blocks get the same shares
    offsets = places - np.asarray(plan.starts(block, axis))[:, None] * factor
    depth = np.minimum(offsets, plan.core_size * factor - offsets)
    ramp = np.clip(depth / max(plan.overlap * factor, 1), 0, 1)
    weight = ramp**2 * (3 - 2 * ramp)
    share = (weight / weight.sum(axis=0)).reshape(-1, length, factor)
    return np.ascontiguousarray(np.moveaxis(share, 2, 1))
