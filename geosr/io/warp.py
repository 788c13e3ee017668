"""GDAL's own resampling: what people use where they have no network."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject

from geosr.core.geometry import GeoGrid
from geosr.io.opening import GDAL_ERRORS, open_source, unreadable

Floats = NDArray[np.float64]

_NOWHERE = "EPSG:32633"  # any CRS in metres: both grids lie in the same one


def warp_cubic(image: Floats, upscale_factor: int) -> Floats:
    """Return what ``gdalwarp -r cubic`` makes of ``(bands, h, w)``, NaN where it has a hole."""
    s = upscale_factor
    bands, height, width = image.shape
    finer = np.full((bands, height * s, width * s), np.nan)
    coarse = rasterio.Affine(s, 0, 0, 0, -s, height * s)
    fine = rasterio.Affine(1, 0, 0, 0, -1, height * s)
    reproject(
        image,
        finer,
        src_transform=coarse,
        dst_transform=fine,
        src_crs=_NOWHERE,
        dst_crs=_NOWHERE,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.cubic,
    )
    return finer


def warp_onto(path: str, indexes: tuple[int, ...], grid: GeoGrid) -> Floats:
    """Return bands of a raster on another grid, ``(bands, h, w)``, NaN outside and in holes.

    Cubic; where the grid's pixels are coarser than the raster's, GDAL widens the kernel with them.

    Raises
    ------
    InputFileError
        If the raster cannot be read.
    """
    result = np.full((len(indexes), *grid.shape), np.nan)
    place: dict[str, Any] = {
        "dst_transform": rasterio.Affine(*grid.transform),
        "dst_crs": grid.crs,
        "dst_nodata": np.nan,
        "resampling": Resampling.cubic,
    }
    with open_source(path) as src:
        for index, band in zip(indexes, result, strict=True):
            try:
                reproject(rasterio.band(src, index), band, init_dest_nodata=True, **place)
            except GDAL_ERRORS as error:
                raise unreadable(path, error) from error
    return result
