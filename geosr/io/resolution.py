"""Pixel sizes and bounds that were asked for, in the terms of a raster's own grid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from geosr.core.errors import BoundsError, OptionError
from geosr.core.geometry import Bounds, GeoGrid

Vector = tuple[float, float]

_NEAR = 1e-9  # of a pixel: rounding of the division, not a wish
_ASKED = re.compile(r"\s*([-+0-9.eE]+)\s*(m?)\s*", re.ASCII)


def target_grid(grid: GeoGrid, resolution: str | float) -> tuple[GeoGrid, float]:
    """Return the grid with pixels of ``resolution``, and how many times finer it is at most.

    Parameters
    ----------
    grid
        Of the raster.
    resolution
        Length of a pixel's side in CRS units, or ``"2.5m"``: in metres, measured at the middle
        of the raster on the ellipsoid if the CRS is geographic. In a rotated grid it is the
        length along the rows and columns.

    Returns
    -------
    grid
        From the same corner, with just this pixel size; as many pixels as come nearest to the
        raster's extent, as with ``gdal_translate -tr``.
    ratio
        Source pixels' side over output pixels' side, the larger of the two axes.

    Raises
    ------
    OptionError
        If ``resolution`` is no length, not finer than the raster, or in metres without a CRS.
    """
    length, in_metres = _parsed(resolution)
    a, b, c, d, e, f = grid.transform
    if (a, b, c, d, e, f) == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0):
        raise OptionError(
            "The raster has no geotransform, so its pixels have no size.",
            hint="Use --factor in place of --resolution.",
        )
    sizes = _sizes_in_metres(grid) if in_metres else grid.pixel_size
    ratios = tuple(size / length for size in sizes)
    coarser = max(ratios) <= 1 + _NEAR or min(ratios) < 1 - _NEAR
    if coarser:
        unit = " m" if in_metres else ""
        raise OptionError(
            f"A resolution of {length:g}{unit} is not finer than the raster's own "
            f"{sizes[0]:g} x {sizes[1]:g}{unit}.",
            hint="geosr only makes rasters finer; `rio warp` makes them coarser.",
        )
    height, width = grid.shape
    shape = (
        max(1, math.floor(height * ratios[1] + 0.5)),
        max(1, math.floor(width * ratios[0] + 0.5)),
    )
    exact = None if in_metres else length
    (a, d), (b, e) = (
        _resized((a, d), ratios[0], exact),
        _resized((b, e), ratios[1], exact),
    )
    return GeoGrid(shape, (a, b, c, d, e, f), grid.crs), max(ratios)


def choose_factor(ratio: float, factors: Iterable[int]) -> int:
    """Return the smallest of ``factors`` that is at least ``ratio``.

    Raises
    ------
    OptionError
        If none is.

    >>> choose_factor(2.4, (2, 3, 4))
    3
    """
    available = sorted(factors)
    for factor in available:
        if factor >= ratio * (1 - _NEAR):
            return factor
    names = ", ".join(f"x{factor}" for factor in available)
    raise OptionError(
        f"This resolution is {ratio:.4g} times finer than the raster; the model makes {names}.",
        hint="Ask for a coarser resolution, or name a model with a larger factor.",
    )


def transform_bounds(bounds: Bounds, bounds_crs: str | None, grid: GeoGrid) -> Bounds:
    """Return ``(west, south, east, north)`` in the CRS of ``grid``; the box around them there.

    ``bounds_crs`` is what pyproj takes, such as ``"EPSG:4326"``, x first; None means that the
    bounds are in the raster's CRS already.

    Raises
    ------
    BoundsError
        If a CRS is missing or unknown, or the bounds have no place in the raster's CRS.
    """
    if bounds_crs is None:
        return bounds
    if grid.crs is None:
        raise BoundsError(
            "The raster has no CRS, so bounds in another one cannot be found in it.",
            hint="Leave --bounds-crs out and give the bounds in the raster's own coordinates.",
        )
    try:
        asked, own = CRS.from_user_input(bounds_crs), CRS.from_wkt(grid.crs)
        if asked.equals(own, ignore_axis_order=True):
            return bounds
        there = Transformer.from_crs(asked, own, always_xy=True)
        west, south, east, north = there.transform_bounds(*bounds, densify_pts=21, errcheck=True)
    except CRSError as error:
        raise BoundsError(
            f"{bounds_crs!r} is no CRS that can be transformed to the raster's.",
            hint="Write it as EPSG:4326, for instance.",
        ) from error
    except ProjError as error:
        raise BoundsError(
            "The bounds {} {} {} {} have no place in the raster's CRS.".format(*bounds),
            hint="Give WEST SOUTH EAST NORTH, x before y, in the CRS of --bounds-crs.",
        ) from error
    if not all(map(math.isfinite, (west, south, east, north))) or west > east:
        raise BoundsError(
            "The bounds {} {} {} {} cannot be drawn as one box in the raster's CRS.".format(
                *bounds
            ),
            hint="Bounds across the 180th meridian: run the two sides by themselves.",
        )
    return west, south, east, north


def _parsed(resolution: str | float) -> tuple[float, bool]:
    match = _ASKED.fullmatch(str(resolution))
    try:
        length = float(match[1]) if match else math.nan
    except ValueError:
        length = math.nan
    if not (match and math.isfinite(length) and length > 0):
        raise OptionError(
            f"{resolution!r} is no pixel size.",
            hint="Give a length in CRS units, such as 2.5, or in metres, such as 2.5m.",
        )
    return length, match[2] == "m"


def _resized(side: Vector, ratio: float, length: float | None) -> Vector:
    """Return a pixel's side made ``ratio`` times shorter; if along an axis, just ``length``."""
    x, y = side
    if length is not None and y == 0:
        return math.copysign(length, x), y
    if length is not None and x == 0:
        return x, math.copysign(length, y)
    return x / ratio, y / ratio


def _sizes_in_metres(grid: GeoGrid) -> Vector:
    """Return the length of a pixel's side along a row and along a column, in metres."""
    if grid.crs is None:
        raise OptionError(
            "The raster has no CRS, so a resolution in metres cannot be worked out.",
            hint="Give the resolution in the raster's own units, without the m.",
        )
    try:
        crs = CRS.from_wkt(grid.crs)
    except CRSError as error:
        raise OptionError(
            "The raster's CRS is not one that PROJ knows, so metres cannot be worked out.",
            hint="Give the resolution in the raster's own units, without the m.",
        ) from error
    horizontal = crs.sub_crs_list[0] if crs.is_compound else crs
    unit = horizontal.axis_info[0].unit_conversion_factor if horizontal.axis_info else 1.0
    if not horizontal.is_geographic:
        width, height = grid.pixel_size
        return width * unit, height * unit
    return _geodesic_sizes(grid, horizontal.get_geod() or Geod(ellps="WGS84"), math.degrees(unit))


def _geodesic_sizes(grid: GeoGrid, geod: Geod, degrees: float) -> Vector:
    """Measure the middle pixel's sides; ``degrees`` is what one CRS unit is."""
    a, b, _, d, e, _ = grid.transform
    lon, lat = grid.xy(grid.shape[0] / 2, grid.shape[1] / 2)

    def metres(x: float, y: float) -> float:
        start = (lon - x / 2) * degrees, (lat - y / 2) * degrees
        end = (lon + x / 2) * degrees, (lat + y / 2) * degrees
        return float(geod.inv(*start, *end)[2])

    return metres(a, d), metres(b, e)
