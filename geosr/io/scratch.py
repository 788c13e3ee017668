"""Small rasters that live for a moment: written plainly, read whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from geosr.core.geometry import GeoGrid, Window
from geosr.io.facts import read_facts
from geosr.io.opening import open_raster
from geosr.io.raster import RasterReader

Array = NDArray[np.generic]
Valid = NDArray[np.bool_]


def write_scratch(
    path: Path,
    image: Array,
    valid: Valid | None = None,
    grid: GeoGrid | None = None,
    *,
    names: Sequence[str | None] = (),
) -> None:
    """Write ``(bands, h, w)`` as a GeoTIFF; ``valid`` ``(h, w)`` becomes a mask inside the file.

    ``names`` describe the bands.
    """
    bands, height, width = image.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": image.dtype.name}
    place = {} if grid is None else {"transform": rasterio.Affine(*grid.transform), "crs": grid.crs}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        open_raster(
            str(path), "w", driver="GTiff", photometric="MINISBLACK", **shape, **place
        ) as dst,
    ):
        dst.write(image)
        if names:
            dst.descriptions = tuple(names)
        if valid is not None:
            dst.write_mask(valid)


def read_scratch(path: Path) -> tuple[Array, Valid]:
    """Return all bands ``(bands, h, w)``, and which pixels ``(h, w)`` are valid in all of them."""
    facts = read_facts(path)
    whole = Window(0, 0, *facts.grid.shape)
    with RasterReader(facts, (), whole) as reader:
        image, valid = reader.read(whole)
    seen = np.ones(whole.shape, bool) if valid is None else np.asarray(valid.all(axis=0))
    return image, seen
