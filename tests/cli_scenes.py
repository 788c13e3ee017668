"""Small rasters, and the command line in this process, for the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from click.testing import CliRunner

import geosr
from geosr.cli.main import geosr as cli

ROOT = Path(geosr.__file__).parent.parent
NODATA = 0


def make_raster(path, *, size=40, width=None, bands=3, dtype="uint16", nodata=NODATA, **profile):
    """Write a raster of noise with a nodata corner, in UTM at 10 m; return its values."""
    shape = (bands, size, width or size + 4)
    values = np.random.default_rng(1).uniform(100, 9000, shape).astype(dtype)
    values[:, :3, :5] = NODATA
    profile = {
        "crs": "EPSG:32632",
        "transform": Affine(10, 0, 500000, 0, -10, 5000000),
        "nodata": nodata,
        **profile,
    }
    height, width = values.shape[1:]
    shape = {"width": width, "height": height, "count": bands, "dtype": dtype}
    with rasterio.open(path, "w", driver="GTiff", **shape, **profile) as dst:
        dst.write(values)
    return values


def run(*args):
    """Run ``geosr`` in this process."""
    return CliRunner().invoke(cli, list(map(str, args)))


def files():
    """Return all files of the working folder with their content."""
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
