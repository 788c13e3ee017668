"""GDAL's one cache of blocks that were read, which all rasters of a process share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rasterio


@contextmanager
def block_cache(size: int) -> Iterator[None]:
    """Read and write in this thread with a cache of ``size`` bytes; by itself it takes 5 % of RAM.

    The size is kept afterwards: an integer sets that of the process.
    """
    with rasterio.Env(GDAL_CACHEMAX=size):
        yield
