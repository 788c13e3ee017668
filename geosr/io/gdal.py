"""Whether GDAL, which comes with rasterio, is fit for work."""

from __future__ import annotations

import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError


def gdal_version() -> str:
    """Return the version of the GDAL in use."""
    version: str = rasterio.__gdal_version__
    return version


def crs_problem() -> str | None:
    """Return why no CRS is known, or None if all is well.

    ``PROJ_DATA`` and the like, left by another program, name a database of other versions.
    """
    try:
        CRS.from_epsg(4326)
    except CRSError as error:
        return f"No CRS is known: {error}"
    return None
