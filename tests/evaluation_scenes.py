"""Small rasters with something to see in them, for the tests of evaluations."""

from __future__ import annotations

import warnings

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

UTM = "EPSG:32632"


def scenery(shape, *, bands=3, seed=0):
    """Return fields and roads, ``(bands, height, width)``, from 0 to 1."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros((bands, *shape))
    for _ in range(14):
        angle, place = rng.uniform(0, np.pi), rng.uniform(-20, max(shape), 1)
        side = rows * np.cos(angle) + cols * np.sin(angle) > place
        image += rng.uniform(-0.3, 0.3, (bands, 1, 1)) * side
    image += 0.1 * np.sin(rows / 3) * np.cos(cols / 5)
    image += rng.normal(0, 0.01, image.shape)
    low, high = image.min(), image.max()
    return (image - low) / (high - low)


def write(path, image, *, pixel=10.0, origin=(500000.0, 5000000.0), crs=UTM, **profile):
    """Write an image at a place; ``pixel`` None gives it none."""
    bands, height, width = image.shape
    place = {}
    if pixel is not None:
        transform = Affine(pixel, 0, origin[0], 0, -pixel, origin[1])
        place = {"crs": crs, "transform": transform}
    shape = {"count": bands, "height": height, "width": width, "dtype": image.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **shape, **place, **profile) as dst:
            dst.write(image)
    return path


def photo(path, *, shape=(72, 80), bands=3, seed=0, **options):
    """Write an 8-bit image; return its values."""
    image = np.rint(scenery(shape, bands=bands, seed=seed) * 255).astype(np.uint8)
    write(path, image, **options)
    return image


def satellite(path, *, shape=(72, 80), bands=4, seed=0, hole=None, **options):
    """Write a 16-bit image with nodata 0 in the window ``hole``; return its values."""
    image = np.rint(400 + scenery(shape, bands=bands, seed=seed) * 6000).astype(np.uint16)
    if hole is not None:
        image[:, *hole] = 0
        options["nodata"] = 0
    write(path, image, **options)
    return image
