"""What JPEG makes of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geosr.io.opening import open_raster


def through_jpeg(plane: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return a grey picture ``(height, width)`` after JPEG of a quality from 1 to 100.

    It is encoded and decoded by GDAL, in memory.
    """
    height, width = plane.shape
    with MemoryFile(ext=".jpg") as file:
        form = {"height": height, "width": width, "count": 1, "dtype": "uint8"}
        with open_raster(file.name, "w", driver="JPEG", quality=quality, **form) as dst:
            dst.write(plane, 1)
        with open_raster(file.name) as src:
            back: NDArray[np.uint8] = src.read(1)
    return back
