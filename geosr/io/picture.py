"""Pictures for people: PNG and WebP."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geosr.io.opening import open_raster

PictureFormat = Literal["PNG", "WEBP"]


def encode_picture(
    image: NDArray[np.uint8], driver: PictureFormat = "PNG", *, quality: int = 90
) -> bytes:
    """Return ``(bands, h, w)`` as the bytes of a picture; 1 band is grey, 3 are colours.

    ``quality`` is WebP's, below 100 with loss; WebP has no grey pictures, so it gets three bands.
    """
    if driver == "WEBP" and len(image) == 1:
        image = np.repeat(image, 3, axis=0)
    options = {"QUALITY": str(quality)} if driver == "WEBP" else {"ZLEVEL": "9"}
    bands, height, width = image.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": "uint8"}
    with MemoryFile(ext=f".{driver.lower()}") as memory:
        with open_raster(memory.name, "w", driver=driver, **shape, **options) as dst:
            dst.write(image)
        data: bytes = memory.read()
    return data
