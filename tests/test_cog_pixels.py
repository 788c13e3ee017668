"""Pixels, masks and overviews of cloud-optimised GeoTIFFs, of all shapes and kinds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cog_checks import (
    KINDS,
    SHAPE,
    check_order,
    check_overviews,
    check_same,
    check_valid,
    levels,
    scene,
)
from sink_runs import as_gtiff, filled, make_output, write

from geosr.core.options import DTYPES
from geosr.core.plan import BlockPlan
from geosr.io.cog.directory import TILE_BYTE_COUNTS, TILE_OFFSETS, read_directories
from geosr.io.opening import open_raster

# rasterio 1.4 multiplies with a sign that affine 3 will drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]


COMBINATIONS = [
    (dtype, kind) for dtype in DTYPES for kind in KINDS if "NaN" not in kind or "float" in dtype
]


@pytest.mark.parametrize(("dtype", "kind"), COMBINATIONS)
def test_pixels_masks_and_overviews(tmp_path, dtype, kind):
    output = make_output(tmp_path / "a.tif", SHAPE, bands=4, dtype=dtype, **KINDS[kind])
    values, valid = scene(output, kind=kind)
    write(output, values, valid)
    check_valid(output.path)
    check_overviews(output, values, valid)
    plain = as_gtiff(output, tmp_path / "b.tif")
    write(plain, values, valid)
    check_same(output.path, plain.path)


METHODS = [("NONE", "")] + [
    (method, predictor)
    for method in ("DEFLATE", "ZSTD", "LZW")
    for predictor in ("NO", "STANDARD", "YES")
]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("compression", "predictor"), METHODS)
def test_compressions_and_predictors(tmp_path, dtype, compression, predictor):
    asked = {"COMPRESS": compression, **({"PREDICTOR": predictor} if predictor else {})}
    output = make_output(tmp_path / "a.tif", (200, 300), bands=2, dtype=dtype, options=asked)
    values, _ = scene(output)
    write(output, values)
    check_overviews(output, values, None)
    with open_raster(output.path) as src:
        told = src.tags(ns="IMAGE_STRUCTURE")
    wanted = {"STANDARD": "2", "YES": "2" if dtype == "uint8" else "3"}.get(predictor)
    assert (told.get("COMPRESSION", "NONE"), told.get("PREDICTOR")) == (compression, wanted)


@pytest.mark.parametrize("kind", ["nodata", "mask", "none"])
@pytest.mark.parametrize(
    ("bands", "asked", "planes"),
    [(1, {}, 1), (13, {}, 1), (200, {}, 200), (3, {"INTERLEAVE": "band"}, 3)],
)
def test_many_bands_are_stored_one_by_one(tmp_path, bands, asked, planes, kind):
    output = make_output(tmp_path / "a.tif", (140, 150), bands=bands, options=asked, **KINDS[kind])
    values, valid = scene(output, kind=kind)
    write(output, values, valid)
    check_valid(output.path)
    check_overviews(output, values, valid)
    with open_raster(output.path) as src:
        assert src.interleaving.value == ("PIXEL" if planes == 1 < bands else "BAND")
    full = read_directories(Path(output.path).read_bytes())[0]
    assert len(full[TILE_OFFSETS].numbers()) == 4 * planes


SHAPES = [(1, 1), (1, 5000), (5000, 1), (37, 50), (129, 127), (127, 700), (600, 250)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("tile", "block"), [(None, 2048), (128, 128), (256, 512)])
def test_odd_shapes(tmp_path, shape, tile, block):
    """``None``: tiles as they are if none are asked for, no larger than a small raster needs."""
    output = make_output(tmp_path / "a.tif", shape, block=block, tile=tile, mask=True, bands=2)
    values, valid = scene(output, kind="mask")
    write(output, values, valid)
    check_valid(output.path)
    check_overviews(output, values, valid)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_blocks_that_hold_few_levels(tmp_path, factor):
    """A block of 3 x 128 pixels makes one overview's tiles by itself; a later pass the others."""
    output = make_output(tmp_path / "a.tif", (900, 1000), block=128 * factor, nodata=0)
    values, valid = scene(output, kind="nodata")
    write(output, values, valid)
    check_valid(output.path)
    check_overviews(output, values, valid)
    other = make_output(tmp_path / "b.tif", (900, 1000), block=512, nodata=0)
    write(other, values, valid)
    for one, another in zip(levels(output.path), levels(other.path), strict=True):
        np.testing.assert_array_equal(one[0], another[0])


def test_the_top_is_made_in_pieces(tmp_path, monkeypatch):
    """As for large rasters: of each level a part is read back at a time."""
    output = make_output(tmp_path / "a.tif", (900, 1000), nodata=0, mask=False)
    values, valid = scene(output, kind="nodata")
    write(output, values, valid)
    monkeypatch.setattr("geosr.io.cog.top._AT_ONCE", 1)
    write(replace(output, path=str(tmp_path / "b.tif")), values, valid)
    check_valid(tmp_path / "b.tif")
    for one, another in zip(levels(output.path), levels(tmp_path / "b.tif"), strict=True):
        np.testing.assert_array_equal(one[0], another[0])


# Sparse


@pytest.mark.parametrize("interleave", ["PIXEL", "BAND"])
@pytest.mark.parametrize("kind", ["nodata", "mask"])
def test_a_wedge_without_data_is_left_out(tmp_path, kind, interleave):
    output = make_output(
        tmp_path / "a.tif", (700, 900), bands=3, options={"INTERLEAVE": interleave}, **KINDS[kind]
    )
    rows, cols = np.indices((700, 900))
    valid = np.broadcast_to(rows + cols > 800, (3, 700, 900))
    values = filled(output, scene(output)[0], valid)
    write(output, values, valid)
    check_valid(output.path)
    check_overviews(output, values, valid)
    directories = read_directories(Path(output.path).read_bytes())
    for tags in directories[: 2 if kind == "mask" else 1]:
        counts = tags[TILE_BYTE_COUNTS].numbers()
        assert counts[0] == 0
        assert 10 < np.count_nonzero(counts == 0) < len(counts)


def test_bands_without_data_of_their_own(tmp_path):
    """The first band has no tile at all in some levels; the order must hold for the others."""
    output = make_output(
        tmp_path / "a.tif", (400, 500), bands=3, nodata=0, options={"INTERLEAVE": "BAND"}
    )
    values = np.zeros((3, 400, 500), "uint16")
    values[1, 300:, 400:] = 9
    values[2] = 5
    write(output, values, values != 0)
    check_valid(output.path)
    check_overviews(output, values, values != 0)


@pytest.mark.parametrize("kind", ["nodata", "mask", "nodata and mask", "alpha", "NaN"])
def test_a_raster_of_nothing_is_tiny_and_valid(tmp_path, kind):
    bands, dtype = 4 if kind == "alpha" else 2, "float32" if kind == "NaN" else "uint16"
    output = make_output(tmp_path / "a.tif", (900, 1000), bands=bands, dtype=dtype, **KINDS[kind])
    valid = np.zeros((bands, 900, 1000), bool)
    values = filled(output, np.zeros(valid.shape, dtype), valid)
    write(output, values, valid)
    check_valid(output.path)
    # Of a mask, GDAL leaves out no tile at the right edge, though it has nothing but zeros.
    assert check_order(output.path) <= (400 if output.profile.nodata.write_mask else 0)
    assert Path(output.path).stat().st_size < 5000
    check_overviews(output, values, valid)


def test_zeros_that_are_no_holes_read_back_as_zeros(tmp_path):
    output = make_output(tmp_path / "a.tif", SHAPE, mask=True)
    values = np.zeros((1, *SHAPE), "uint16")
    write(output, values)
    check_valid(output.path)
    check_overviews(output, values, None)


def test_a_plan_of_other_blocks_fits_the_same_file(tmp_path):
    """Blocks need not be squares of whole tiles at the raster's far edges."""
    output = make_output(tmp_path / "a.tif", (130, 260), nodata=0)
    values, valid = scene(output, kind="nodata")
    for block in (128, 256, 512):
        again = replace(
            output,
            path=str(tmp_path / f"{block}.tif"),
            blocks=BlockPlan((130, 260), block, 99, 0, 1),
        )
        write(again, values, valid)
        check_valid(again.path)
        check_overviews(again, values, valid)
