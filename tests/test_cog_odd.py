"""Real odd files, as cloud-optimised GeoTIFFs and as plain ones: the same in all but the order."""

from __future__ import annotations

import os

import pytest
from cog_checks import check_same, check_valid
from test_odd import UPSCALED

from geosr.api import upscale_file

# rasterio 1.4 multiplies with a sign that affine 3 will drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]


LARGE = {"damaged/zeroed_64_bytes_mid_tile.tif", "rio-pansharpen__LC81070352015122LGN00_B4.tif"}


@pytest.mark.parametrize("name", sorted({*UPSCALED} - LARGE))
def test_odd_files_come_out_as_plain_ones_do(data_dir, tmp_path, name):
    for kind in ("cog", "gtiff"):
        out = tmp_path / f"{kind}.tif"
        upscale_file(data_dir / "odd" / name, out, model="nearest", format=kind)
    check_same(tmp_path / "cog.tif", tmp_path / "gtiff.tif")
    check_valid(tmp_path / "cog.tif")
    assert sorted(os.listdir(tmp_path)) == ["cog.tif", "gtiff.tif"]
