"""``--bounds``: the pixels are those of the whole raster's run, its edges and holes included."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

import geosr

TRANSFORM = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
PARTS = {
    "middle": (40, 50, 30, 45),
    "one pixel": (60, 60, 1, 1),
    "beside a hole": (20, 30, 25, 30),
    "at the edge": (0, 70, 40, 50),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Make a raster with a hole; each of its bands is noise of its own."""
    path = tmp_path_factory.mktemp("bounds") / "in.tif"
    rng = np.random.default_rng(3)
    image = rng.integers(1, 4000, (2, 110, 120)).astype("uint16")
    image[:, 38:50, 40:70] = 0
    profile = {"driver": "GTiff", "count": 2, "height": 110, "width": 120, "dtype": "uint16"}
    with rasterio.open(
        path, "w", **profile, nodata=0, crs="EPSG:32633", transform=TRANSFORM
    ) as dst:
        dst.write(image)
    return path


@pytest.mark.parametrize("model", ["bicubic", "lanczos", "geosr-lite"])
@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_the_whole_runs_pixels(tmp_path, source, model, name):
    row, col, height, width = PARTS[name]
    west, north = TRANSFORM @ (col, row)
    east, south = TRANSFORM @ (col + width, row + height)
    bounds = (west, south, east, north)
    geosr.upscale_file(source, tmp_path / "whole.tif", model=model)
    geosr.upscale_file(source, tmp_path / "part.tif", model=model, bounds=bounds)
    with rasterio.open(tmp_path / "whole.tif") as dst:
        whole = dst.read()
    with rasterio.open(tmp_path / "part.tif") as dst:
        place = np.s_[:, 2 * row : 2 * (row + height), 2 * col : 2 * (col + width)]
        np.testing.assert_array_equal(dst.read(), whole[place])
        assert dst.transform @ (0, 0) == (west, north)
