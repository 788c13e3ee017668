"""How two rasters of one place lie on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geosr.core.errors import OptionError
from geosr.core.geometry import GeoGrid, Window
from geosr.io.crs import same_crs
from geosr.io.facts import RasterFacts

NEAR = 0.1
"""Fine pixels by which grids may miss each other and still count as one."""


class GridError(OptionError):
    """Two rasters do not lie on one footprint."""

    code = "input.grids"
    exit_status = 1


@dataclass(frozen=True)
class Overlap:
    """What two rasters have in common.

    Attributes
    ----------
    coarse, fine
        Windows of both that cover the same ground.
    factor
        Fine pixels per coarse one and side.
    """

    coarse: Window
    fine: Window
    factor: int

    def middle(self, side: int) -> Overlap:
        """Return its middle, at most ``side`` fine pixels high and wide."""
        coarse = middle(self.coarse, max(side // self.factor, 1))
        rows = (coarse.row_off - self.coarse.row_off) * self.factor
        cols = (coarse.col_off - self.coarse.col_off) * self.factor
        fine = Window(
            self.fine.row_off + rows,
            self.fine.col_off + cols,
            coarse.height * self.factor,
            coarse.width * self.factor,
        )
        return Overlap(coarse, fine, self.factor)


def middle(window: Window, side: int) -> Window:
    """Return the middle of a window, at most ``side`` pixels high and wide."""
    height, width = min(window.height, side), min(window.width, side)
    row_off = window.row_off + (window.height - height) // 2
    col_off = window.col_off + (window.width - width) // 2
    return Window(row_off, col_off, height, width)


def lay(coarse: RasterFacts, fine: RasterFacts, *, smallest: int = 1, hint: str = "") -> Overlap:
    """Return what two rasters have in common.

    Without georeferencing both must show the very same place. With it they may overlap in part,
    but pixels must fit: a whole number of at least ``smallest`` fine ones on each coarse one.
    ``hint`` says what to do about grids that do not.

    Raises
    ------
    GridError
        If they do not; one sentence says why.
    """
    if coarse.has_transform != fine.has_transform:
        without = fine if coarse.has_transform else coarse
        raise GridError(
            f"{without.path} has no georeferencing and the other raster has.",
            hint="Give both their place, or none: `rio edit-info --like` copies it.",
        )
    if not coarse.has_transform:
        return _by_shape(coarse, fine, smallest)
    if not same_crs(coarse.grid.crs, fine.grid.crs):
        raise GridError(
            f"{coarse.path} and {fine.path} have different coordinate systems.",
            hint=hint or _hint(coarse.path),
        )
    return _by_place(coarse, fine, smallest, hint)


def _by_shape(coarse: RasterFacts, fine: RasterFacts, smallest: int) -> Overlap:
    (height, width), (rows, cols) = coarse.grid.shape, fine.grid.shape
    factor = rows // height
    if factor < smallest or (rows, cols) != (height * factor, width * factor):
        raise GridError(
            f"{fine.path} is {cols} x {rows} pixels, no whole multiple of the {width} x {height} "
            f"of {coarse.path}.",
            hint="Both must show the same place; cut or resample one of them.",
        )
    return Overlap(Window(0, 0, height, width), Window(0, 0, rows, cols), factor)


def _by_place(coarse: RasterFacts, fine: RasterFacts, smallest: int, hint: str) -> Overlap:
    (height, width), (rows, cols) = coarse.grid.shape, fine.grid.shape
    first = _place(coarse.grid, fine.grid, 0, 0)
    last = _place(coarse.grid, fine.grid, rows, cols)
    other = _place(coarse.grid, fine.grid, 0, cols)
    across = last[1] - first[1]
    factor = round(cols / across) if across > 0 else 0
    expected = (first[0] + rows / max(factor, 1), first[1] + cols / max(factor, 1))
    drift = (*_apart(last, expected), *_apart(other, (first[0], expected[1])))
    if factor < smallest or max(drift) * max(factor, 1) > NEAR:
        sizes = " and ".join(f"{facts.grid.pixel_size[0]:g}" for facts in (coarse, fine))
        raise GridError(
            f"{coarse.path} and {fine.path} lie on different grids: their pixels measure {sizes}, "
            f"and {smallest} or more of the second must fit each of the first, a whole number.",
            hint=hint or _hint(coarse.path),
        )
    offset = tuple(place * factor for place in first)
    miss = max(abs(place - round(place)) for place in offset)
    if miss > NEAR:
        raise GridError(
            f"{coarse.path} and {fine.path} lie on different grids: their pixels are shifted "
            f"against each other by {miss:.2f} fine pixels.",
            hint=hint or _hint(coarse.path),
        )
    near = NEAR / factor
    top, left = (max(math.ceil(place - near), 0) for place in first)
    bottom = min(math.floor(last[0] + near), height)
    right = min(math.floor(last[1] + near), width)
    if bottom <= top or right <= left:
        raise GridError(
            f"{coarse.path} and {fine.path} have no pixel in common.",
            hint="They must show the same place.",
        )
    common = Window(top, left, bottom - top, right - left)
    shift = (-round(offset[0]), -round(offset[1]))
    return Overlap(common, common.scale(factor).shift(*shift), factor)


def _place(coarse: GeoGrid, fine: GeoGrid, row: float, col: float) -> tuple[float, float]:
    """Return where a corner of the fine grid lies in rows and columns of the coarse one."""
    return coarse.rowcol(*fine.xy(row, col))


def _apart(place: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return abs(place[0] - other[0]), abs(place[1] - other[1])


def _hint(path: str) -> str:
    return f"Bring the finer one onto the grid of {path} first, with gdalwarp -te and -tr."
