"""Which windows to read, predict and write: computed from shapes alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

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
    return tuple(Tile(core, core.grow(halo)) for core in plan_blocks(shape, block_size=core_size))


@dataclass(frozen=True)
class Block:
    """What is read and written at once.

    Attributes
    ----------
    core
        Source pixels that are predicted.
    output
        Output pixels that they become.
    number
        Its turn, from 0, in the order in which blocks are written.
    """

    core: Window
    output: Window
    number: int = 0


@dataclass(frozen=True)
class BlockPlan:
    """A raster cut into blocks, and each block into tiles.

    A block is read and written at once; a tile is what the network sees at once, always of the
    same shape. Neither changes a pixel of the result.

    Attributes
    ----------
    shape
        ``(height, width)`` of the source, in pixels.
    block_size
        Side of a block without its halo, in source pixels.
    tile_size
        Side of a tile with its halo, in source pixels.
    halo
        Pixels around each core.
    upscale_factor
        Output pixels per source pixel, per side.
    alpha
        Place of the alpha band, from 0, that is enlarged but not predicted.
    """

    shape: Tuple[int, int]
    block_size: int
    tile_size: int
    halo: int
    upscale_factor: int
    alpha: Optional[int] = None

    def __post_init__(self) -> None:
        if self.tile_size <= 2 * self.halo:
            raise PlanError(
                f"Tiles of {self.tile_size} pixels hold nothing but their halo of {self.halo} "
                "pixels on each side.",
                hint=f"Use tiles of {2 * self.halo + 1} or more; {2 * self.halo + 256} is quick.",
            )

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in the order in which they are written."""
        cores = plan_blocks(self.shape, block_size=self.block_size)
        for number, core in enumerate(cores):
            yield Block(core, core.scale(self.upscale_factor), number)

    def tiles(self, block: Block) -> Tuple[Tile, ...]:
        """Return a block's tiles; their windows count from the block's first pixel."""
        return plan_tiles(block.core.shape, tile_size=self.tile_size, halo=self.halo)

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return num_blocks(self.shape, block_size=self.block_size)

    @property
    def num_tiles(self) -> int:
        """How many tiles all blocks have together.

        >>> plan = BlockPlan((100, 130), block_size=64, tile_size=40, halo=4, upscale_factor=2)
        >>> plan.num_tiles
        20
        """
        core = self.tile_size - 2 * self.halo
        rows, cols = (_pieces(length, self.block_size, core) for length in self.shape)
        return rows * cols


@dataclass(frozen=True)
class ResampledPlan(BlockPlan):
    """A plan whose prediction is averaged to another pixel size.

    Blocks are cut in the output; ``block_size`` counts output pixels here. The source pixels
    of neighbouring blocks overlap where an output pixel's edge lies inside a source pixel.

    Attributes
    ----------
    output_shape
        ``(height, width)`` of the output.
    steps
        Height and width of an output pixel, in source pixels.
    """

    output_shape: Tuple[int, int] = (1, 1)
    steps: Tuple[float, float] = (1.0, 1.0)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in the order in which they are written."""
        outputs = plan_blocks(self.output_shape, block_size=self.block_size)
        for number, output in enumerate(outputs):
            yield Block(self.under(output), output, number)

    def under(self, output: Window) -> Window:
        """Return the source pixels that lie under a window of the output."""
        (top, bottom), (left, right) = (self._core(output, axis) for axis in (0, 1))
        return Window(top, left, bottom - top, right - left)

    def _core(self, output: Window, axis: int) -> Tuple[int, int]:
        """Return the first source pixel under a block, and the one behind its last."""
        first = (output.row_off, output.col_off)[axis]
        last = first + output.shape[axis]
        step, length = self.steps[axis], self.shape[axis]
        near = 1e-6  # of a pixel: an edge that falls on a source pixel's edge
        start = min(math.floor(first * step + near), length - 1)
        return start, max(min(math.ceil(last * step - near), length), start + 1)

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return num_blocks(self.output_shape, block_size=self.block_size)

    @property
    def num_tiles(self) -> int:
        """How many tiles all blocks have together.

        >>> ResampledPlan((10, 10), block_size=4, tile_size=12, halo=4, upscale_factor=2,
        ...               output_shape=(15, 15), steps=(2 / 3, 2 / 3)).num_tiles
        16
        """
        core = self.tile_size - 2 * self.halo
        total = 1
        for axis in (0, 1):
            edges = range(0, self.output_shape[axis], self.block_size)
            spans = [self._core(self._strip(edge, axis), axis) for edge in edges]
            total *= sum(-(-(end - start) // core) for start, end in spans)
        return total

    def _strip(self, edge: int, axis: int) -> Window:
        length = min(self.block_size, self.output_shape[axis] - edge)
        return Window(edge, 0, length, 1) if axis == 0 else Window(0, edge, 1, length)


def _pieces(length: int, block: int, core: int) -> int:
    """Return how many tiles lie along one axis."""
    whole, rest = divmod(length, block)
    return whole * -(-block // core) + -(-rest // core)


def best_tile_size(
    shape: Tuple[int, int], *, block_size: int, halo: int, largest: int = 512
) -> int:
    """Return the tile size, halo included, that has the network see the fewest pixels.

    Tiles are all alike, so a poor fit at the far edges costs time. ``largest`` bounds the core.

    >>> best_tile_size((300, 300), block_size=1024, halo=10)
    320
    >>> best_tile_size((5000, 5000), block_size=1024, halo=10)
    532
    """

    def seen(core: int) -> int:
        rows, cols = (_pieces(length, block_size, core) for length in shape)
        return rows * cols * (core + 2 * halo) ** 2

    longest = min(largest, block_size, max(shape))
    return min(range(longest, max(longest // 3, 1) - 1, -1), key=seen) + 2 * halo


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
    unit = OUTPUT_TILE // math.gcd(
        OUTPUT_TILE, upscale_factor
    )  # source pixels per whole output tiles
    side = unit
    while (
        2 * side * upscale_factor <= 4608
        and (2 * side * upscale_factor) ** 2 * bytes_per_output_pixel <= limit
    ):
        side *= 2
    return side
