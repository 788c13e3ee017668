"""Rasters for the tests of patch sets: ground that differs from place to place."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine
from scipy import ndimage

UTM = "EPSG:32633"


def ground(shape, seed=0, *, bands=1):
    """Return fields with sharp edges between them, 0 to 1: ``(bands, height, width)``."""
    rng = np.random.default_rng(seed)
    planes = []
    for _ in range(bands):
        seeds = rng.uniform(0, 1, shape)
        fields = ndimage.gaussian_filter(seeds, 3)
        levels = np.digitize(fields, np.quantile(fields, np.linspace(0.05, 0.95, 12)))
        planes.append(levels / 12 + 0.02 * rng.standard_normal(shape))
    return np.clip(np.stack(planes), 0, 1)


def write(path, values, *, origin=(500_000.0, 5_000_000.0), pixel=10.0, **profile):
    """Write ``(bands, h, w)`` as a GeoTIFF, north up in UTM."""
    bands, height, width = values.shape
    form = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": values.dtype.name,
        "crs": UTM,
        "transform": Affine(pixel, 0, origin[0], 0, -pixel, origin[1]),
    }
    with rasterio.open(path, "w", **{**form, **profile}) as dst:
        dst.write(values)
    return str(path)


def scene(path, seed, *, east=0, side=80, bands=1, dtype="uint16", **profile):
    """Write ground of its own, ``east`` pixels from the others; return the path."""
    values = ground((side, side), seed, bands=bands)
    if np.dtype(dtype).kind == "u":
        values = np.rint(values * (200 if dtype == "uint8" else 9000) + 20)
    return write(path, values.astype(dtype), origin=(500_000.0 + 10 * east, 5e6), **profile)
