"""Where on earth a raster lies, so that rasters in different CRSs can be compared."""

from __future__ import annotations

from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform_bounds

from geosr.core.geometry import Bounds, GeoGrid


def lonlat_boxes(grid: GeoGrid) -> tuple[Bounds, ...]:
    """Return boxes ``(west, south, east, north)`` in degrees that hold the raster.

    Two where it crosses the date line; none if it has no CRS, or one that has no place on earth.
    """
    if grid.crs is None:
        return ()
    try:
        crs = CRS.from_wkt(grid.crs)
        west, south, east, north = transform_bounds(crs, CRS.from_epsg(4326), *grid.bounds)
    except (CRSError, RasterioError):
        return ()
    if west <= east:
        return ((west, south, east, north),)
    return (west, south, 180.0, north), (-180.0, south, east, north)
