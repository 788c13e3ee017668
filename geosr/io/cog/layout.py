"""Which tiles a cloud-optimised GeoTIFF has, and which of them a block makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from geosr.core.errors import PlanError
from geosr.core.geometry import Window
from geosr.core.plan import BlockPlan


@dataclass(frozen=True)
class Level:
    """One resolution.

    Attributes
    ----------
    shape
        ``(height, width)`` in pixels.
    tile
        ``(height, width)`` of a tile in pixels.
    planes
        How many tiles lie at one place: 1, or one for each band.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    planes: int = 1

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.shape[0] // self.tile[0]), -(-self.shape[1] // self.tile[1])

    @property
    def num_tiles(self) -> int:
        """How many tiles there are, of all planes."""
        return self.planes * self.grid[0] * self.grid[1]

    def numbers(self, window: Window) -> Iterator[int]:
        """Yield the numbers of the tiles that hold ``window``, plane by plane."""
        rows, cols = self.grid
        first_row, first_col = window.row_off // self.tile[0], window.col_off // self.tile[1]
        last_row = -(-(window.row_off + window.height) // self.tile[0])
        last_col = -(-(window.col_off + window.width) // self.tile[1])
        for plane in range(self.planes):
            for row in range(first_row, last_row):
                for col in range(first_col, last_col):
                    yield (plane * rows + row) * cols + col


@dataclass(frozen=True)
class CogLayout:
    """All resolutions of a file.

    Attributes
    ----------
    levels
        The full resolution first; each further one has half the pixels a side.
    in_block
        How many of them, from the first, a block makes all tiles of.
    has_mask
        Whether each level has a mask of one bit a pixel.
    """

    levels: tuple[Level, ...]
    in_block: int
    has_mask: bool

    @property
    def mask_levels(self) -> tuple[Level, ...]:
        """The levels of the mask; none if there is no mask."""
        if not self.has_mask:
            return ()
        return tuple(Level(level.shape, level.tile) for level in self.levels)

    def images(self, first: int, last: int) -> Iterator[tuple[int, bool]]:
        """Yield levels ``first`` to before ``last`` as they lie in a block: coarse ones first.

        The second value tells whether it is the level's mask.
        """
        for level in reversed(range(first, last)):
            yield level, False
            if self.has_mask:
                yield level, True


def cog_layout(
    blocks: BlockPlan,
    shape: tuple[int, int],
    tile: tuple[int, int],
    *,
    planes: int,
    has_mask: bool,
    overviews: bool,
) -> CogLayout:
    """Return the layout of a file of ``shape`` that is written in ``blocks``.

    Overviews follow until one fits into a tile.

    Raises
    ------
    PlanError
        If a tile would lie in several blocks.
    """
    shapes = [shape]
    while overviews and (shapes[-1][0] > tile[0] or shapes[-1][1] > tile[1]):
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    block = next(blocks.blocks()).output.shape  # all others start at multiples of it
    in_block = 0
    while in_block < len(shapes) and all(
        block[axis] == shape[axis] or block[axis] % (tile[axis] << in_block) == 0 for axis in (0, 1)
    ):
        in_block += 1
    if in_block == 0:
        raise PlanError(
            "Blocks of {} x {} pixels hold no whole tiles of {} x {}.".format(*block, *tile),
            hint="Use other tiles: --co BLOCKSIZE=128, or --format gtiff.",
        )
    return CogLayout(tuple(Level(s, tile, planes) for s in shapes), in_block, has_mask)


def reduced(window: Window, level: int) -> Window:
    """Return where ``window`` of the full resolution lies in a level.

    Its first row and column must be multiples of ``2**level``.
    """
    step = 1 << level
    row, col = window.row_off >> level, window.col_off >> level
    bottom = -(-(window.row_off + window.height) // step)
    right = -(-(window.col_off + window.width) // step)
    return Window(row, col, bottom - row, right - col)
