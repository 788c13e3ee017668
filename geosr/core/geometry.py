"""Where pixels lie: `GeoGrid` and `Window`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Optional, Tuple

from .errors import BoundsError, OptionError

Transform = Tuple[float, float, float, float, float, float]
Bounds = Tuple[float, float, float, float]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels, by its first row and column and its shape."""

    row_off: int
    col_off: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise OptionError(f"A window of {self.height} x {self.width} pixels has no area.")

    @property
    def shape(self) -> Tuple[int, int]:
        """``(height, width)`` in pixels."""
        return self.height, self.width

    @property
    def slices(self) -> Tuple[slice, slice]:
        """Row and column slices into an array whose first pixel is ``(0, 0)``."""
        rows = slice(self.row_off, self.row_off + self.height)
        return rows, slice(self.col_off, self.col_off + self.width)

    def grow(self, margin: int) -> Window:
        """Return the window with ``margin`` more pixels on each side; it may leave the raster.

        >>> Window(0, 5, 10, 10).grow(2)
        Window(row_off=-2, col_off=3, height=14, width=14)
        """
        return Window(
            self.row_off - margin,
            self.col_off - margin,
            self.height + 2 * margin,
            self.width + 2 * margin,
        )

    def clip(self, shape: Tuple[int, int]) -> Window:
        """Return the part inside a raster of ``shape``.

        >>> Window(-2, 3, 14, 14).clip((10, 12))
        Window(row_off=0, col_off=3, height=10, width=9)
        """
        return self.within(Window(0, 0, *shape))

    def within(self, other: Window) -> Window:
        """Return the part inside another window.

        >>> Window(-2, 3, 14, 14).within(Window(-1, 0, 11, 12))
        Window(row_off=-1, col_off=3, height=11, width=9)
        """
        row_off, col_off = max(self.row_off, other.row_off), max(self.col_off, other.col_off)
        row_end = max(min(self.row_off + self.height, other.row_off + other.height), row_off)
        col_end = max(min(self.col_off + self.width, other.col_off + other.width), col_off)
        return Window(row_off, col_off, row_end - row_off, col_end - col_off)

    def scale(self, factor: int) -> Window:
        """Return the same place with ``factor`` times the pixels per side."""
        return Window(
            self.row_off * factor, self.col_off * factor, self.height * factor, self.width * factor
        )

    def shift(self, rows: int, cols: int) -> Window:
        """Return the window moved by ``rows`` and ``cols`` pixels."""
        return Window(self.row_off + rows, self.col_off + cols, self.height, self.width)


@dataclass(frozen=True)
class GeoGrid:
    """A raster's pixel grid: how many pixels, where they lie, in which CRS.

    Attributes
    ----------
    shape
        ``(height, width)`` in pixels.
    transform
        ``(a, b, c, d, e, f)``: ``x = a*col + b*row + c``, ``y = d*col + e*row + f``.
    crs
        WKT, carried as read; None if unknown.
    """

    shape: Tuple[int, int]
    transform: Transform
    crs: Optional[str] = None

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise OptionError(f"A raster of {self.shape[0]} x {self.shape[1]} pixels is empty.")

    def xy(self, row: float, col: float) -> Tuple[float, float]:
        """Return the CRS coordinates of a pixel corner; ``(0, 0)`` is the first pixel's outer one.

        >>> GeoGrid((2, 2), (10.0, 0.0, 500.0, 0.0, -10.0, 900.0)).xy(2, 1)
        (510.0, 880.0)
        """
        a, b, c, d, e, f = self.transform
        return a * col + b * row + c, d * col + e * row + f

    def rowcol(self, x: float, y: float) -> Tuple[float, float]:
        """Return where a place lies in rows and columns: the inverse of `xy`.

        >>> GeoGrid((2, 2), (10.0, 0.0, 500.0, 0.0, -10.0, 900.0)).rowcol(510.0, 880.0)
        (2.0, 1.0)
        """
        a, b, c, d, e, f = self.transform
        det = a * e - b * d
        return (a * (y - f) - d * (x - c)) / det, (e * (x - c) - b * (y - f)) / det

    @property
    def corners(self) -> Tuple[Tuple[float, float], ...]:
        """The four outer corners, row by row."""
        height, width = self.shape
        return tuple(self.xy(row, col) for row, col in product((0, height), (0, width)))

    @property
    def bounds(self) -> Bounds:
        """``(west, south, east, north)`` in CRS units: the smallest box around the corners."""
        xs, ys = zip(*self.corners)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def pixel_size(self) -> Tuple[float, float]:
        """Length of a pixel's side along a row and along a column, in CRS units."""
        a, b, _, d, e, _ = self.transform
        return math.hypot(a, d), math.hypot(b, e)

    @property
    def is_rotated(self) -> bool:
        """Whether rows and columns are not parallel to the CRS axes."""
        return self.transform[1] != 0 or self.transform[3] != 0

    def upscale(self, factor: int) -> GeoGrid:
        """Return the same footprint with ``factor`` times the pixels per side.

        The full 2x2 part is divided, so rotated, sheared, south-up and non-square pixels stay
        right. Division by 3 rounds; the neighbouring floats are tried then, so that the corners
        come out at the very same numbers.

        >>> GeoGrid((2, 3), (10.0, 0.0, 500.0, 0.0, -10.0, 900.0)).upscale(2).transform
        (5.0, 0.0, 500.0, 0.0, -5.0, 900.0)
        """
        height, width = self.shape
        a, b, c, d, e, f = self.transform
        east, south = width * factor, height * factor
        finer = (
            _divided(a, factor, width, c),
            _divided(b, factor, height, c),
            c,
            _divided(d, factor, width, f),
            _divided(e, factor, height, f),
            f,
        )
        return GeoGrid((south, east), finer, self.crs)

    def crop(self, window: Window) -> GeoGrid:
        """Return the grid of a window of this one; its pixels do not move."""
        a, b, _, d, e, _ = self.transform
        x, y = self.xy(window.row_off, window.col_off)
        return GeoGrid(window.shape, (a, b, x, d, e, y), self.crs)

    def window(self, bounds: Bounds) -> Window:
        """Return the whole pixels that ``(west, south, east, north)`` touches, inside the raster.

        Raises
        ------
        BoundsError
            If the box is empty or does not meet the raster.

        >>> grid = GeoGrid((10, 10), (10.0, 0.0, 0.0, 0.0, -10.0, 100.0))
        >>> grid.window((15, 75, 40, 200))
        Window(row_off=0, col_off=1, height=3, width=3)
        """
        west, south, east, north = bounds
        if not (west < east and south < north):
            raise BoundsError(
                f"The bounds {west} {south} {east} {north} enclose nothing.",
                hint="Give them as WEST SOUTH EAST NORTH.",
            )
        a, b, c, d, e, f = self.transform
        det = a * e - b * d
        places = [
            ((a * (y - f) - d * (x - c)) / det, (e * (x - c) - b * (y - f)) / det)
            for x, y in product((west, east), (south, north))
        ]
        rows, cols = zip(*places)
        near = 1e-6  # of a pixel: bounds printed with few digits still mean the pixel's edge
        row_off, col_off = math.floor(min(rows) + near), math.floor(min(cols) + near)
        row_end, col_end = math.ceil(max(rows) - near), math.ceil(max(cols) - near)
        window = Window(row_off, col_off, max(row_end - row_off, 1), max(col_end - col_off, 1))
        inside = window.clip(self.shape)
        if inside.height == 0 or inside.width == 0:
            raise BoundsError(
                f"The bounds {west} {south} {east} {north} lie outside the raster.",
                hint="The raster covers {} {} {} {}.".format(*self.bounds),
            )
        return inside


def _divided(step: float, factor: int, pixels: int, origin: float) -> float:
    """Return ``step / factor``, or the float beside it that puts the far corner where it was."""
    near = step / factor
    wanted = step * pixels + origin
    candidates = [near]
    below = above = near
    for _ in range(3):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        candidates += [below, above]
    exact = [value for value in candidates if value * (pixels * factor) + origin == wanted]
    return exact[0] if exact else near
