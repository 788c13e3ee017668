"""Which windows to read, predict and write: computed from shapes alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Iterator, Tuple

from .errors import PlanError
from .geometry import Window

OUTPUT_TILE = 512
"""Side of the output file's internal tiles, in output pixels."""


@dataclass(frozen=True)
class Tile:
    """What the network sees at once.

    Attributes
    ----------
    core
        Source pixels whose output is kept.
    read
        Source pixels seen: the core and its halo. It may leave the raster; what lies outside
        is mirrored.
    """

    core: Window
    read: Window


def plan_tiles(shape: Tuple[int, int], *, tile_size: int, halo: int) -> Tuple[Tile, ...]:
    """Cut a raster into tiles whose cores cover each pixel exactly once.

    ``tile_size`` is the side of the square the model sees and ``halo`` the context on
    each side of the core, both in source pixels. Tiles come in row-major order.

    >>> [tile.core.width for tile in plan_tiles((10, 25), tile_size=16, halo=3)]
    [10, 10, 5]
    """
    core_size = tile_size - 2 * halo
    if halo < 0 or core_size < 1:
        raise PlanError(
            f"tile_size={tile_size} leaves {core_size} pixels of core with halo={halo}.",
            hint=f"Use tile_size >= {2 * max(halo, 0) + 1}, or a smaller halo.",
        )
    return tuple(
        Tile(core, core.grow(halo)) for core in plan_blocks(shape, block_size=core_size)
    )


def plan_blocks(shape: Tuple[int, int], *, block_size: int) -> Iterator[Window]:
    """Cut a raster into squares of ``block_size`` pixels, smaller at its far edges.

    >>> [block.shape for block in plan_blocks((3, 5), block_size=3)]
    [(3, 3), (3, 2)]
    """
    height, width = shape
    for row_off in range(0, height, block_size):
        for col_off in range(0, width, block_size):
            rows, cols = min(block_size, height - row_off), min(block_size, width - col_off)
            yield Window(row_off, col_off, rows, cols)


def num_blocks(shape: Tuple[int, int], *, block_size: int) -> int:
    """Return how many squares of ``block_size`` pixels cover ``shape``.

    >>> num_blocks((3, 5), block_size=3)
    2
    """
    return -(-shape[0] // block_size) * -(-shape[1] // block_size)


def block_side(upscale_factor: int, *, bytes_per_output_pixel: int, limit: int = 64 << 20) -> int:
    """Return the side of a block in source pixels: the largest that ``limit`` bytes allow.

    A block is what is read and written at once. Its output is a multiple of the file's
    internal tiles, so that each of them is compressed once; between 512 and 4096 output pixels.

    >>> block_side(2, bytes_per_output_pixel=8)
    1024
    >>> block_side(3, bytes_per_output_pixel=2)
    1024
    """
    unit = OUTPUT_TILE // gcd(OUTPUT_TILE, upscale_factor)  # source pixels per whole output tiles
    side = unit
    while (
        2 * side * upscale_factor <= 4608
        and (2 * side * upscale_factor) ** 2 * bytes_per_output_pixel <= limit
    ):
        side *= 2
    return side
