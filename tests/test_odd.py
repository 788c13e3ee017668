"""Real odd files: each is upscaled right, or refused with a sentence."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geosr
from geosr.core.errors import (
    GeosrError,
    InputFileError,
    OptionError,
    UnsupportedRasterError,
)

REFUSED = {
    "damaged/empty.tif": (InputFileError, "is empty"),
    "damaged/header_only_1kB_naip.tif": (InputFileError, "is cut off"),
    "damaged/not_a_tiff_but_html.tif": (InputFileError, "is a web page"),
    "damaged/truncated_40pct_ngi.tif": (InputFileError, "is cut off"),
    "geotrellis__jpeg-test-deflate-small.tif": (InputFileError, "cannot be read"),
    "rasterio__corrupt.tif": (InputFileError, "is cut off"),
    "rio-tiler__cog_cmap.tif": (UnsupportedRasterError, "colour table"),
    "rioxarray__cint16.tif": (UnsupportedRasterError, "complex numbers"),
    "spDataLarge__nlcd2011.tif": (UnsupportedRasterError, "colour table"),
    "test-data__GeogToWGS84GeoKey5.tif": (UnsupportedRasterError, "colour table"),
}
UPSCALED = [
    "damaged/zeroed_64_bytes_mid_tile.tif",  # the damage lies in an overview
    "enmap-box__enmap_potsdam_tile_128_0.tif",
    "geotrellis__byte-tile.tiff",
    "geoutils-data__AST_L1A_00303182012144228_Z_test.tif",
    "orthority__ngi_3324c_2015_1004_05_0182_RGB.tif",
    "rasterio__RGBA.uint16.tif",
    "rasterio__all-nodata.tif",
    "rasterio__alpha.tif",
    "rasterio__float_nan.tif",
    "rasterio__goes.tif",
    "rasterio__red.tif",
    "rasterio__red.tif.ovr",
    "rasterio__rotated.tif",
    "rasterio__test_esri_wkt.tif",
    "rio-cogeo__image_51px.tif",
    "rio-cogeo__image_geos.tif",
    "rio-cogeo__image_missing_nodata.tif",
    "rio-cogeo__image_nan.tif",
    "rio-cogeo__image_webp.tif",
    "rio-pansharpen__LC81070352015122LGN00_B4.tif",
    "rio-pansharpen__corrupt_image.TIF",
    "rio-tiler__cog_dateline.tif",
    "rio-tiler__cog_gcps.tif",
    "rio-tiler__cog_hirise_mars.tif",
    "rio-tiler__cog_rgb_mask.tif",
    "rio-tiler__cog_rgba.tif",
    "rio-tiler__cog_scale.tif",
    "rio-tiler__inverted_lat.tif",
    "rioxarray__2d_test.tif",
    "rioxarray__test_rpcs.tif",
    "vrt/RGB.byte.gcp.vrt",
    "vrt/RGB.byte.rpc.vrt",
    "vrt/RGB.byte.tif",
    "vrt/landsat8_byte.tif",
    "vrt/landsat8_byte.vrt",
]

# rasterio 1.4 multiplies with a sign that affine 3 will drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]


@pytest.fixture
def odd(data_dir) -> Path:
    return data_dir / "odd"


def test_table_is_complete(odd):
    files = {str(p.relative_to(odd)) for p in odd.rglob("*") if p.is_file()}
    assert files == set(REFUSED) | set(UPSCALED)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_sentence_and_nothing_lost(name, odd, tmp_path):
    out = tmp_path / "out.tif"
    out.write_bytes(b"what was there before")
    kind, words = REFUSED[name]
    with pytest.raises(GeosrError, match=words) as caught:
        geosr.upscale_file(odd / name, out, model="bicubic", overwrite=True)
    assert isinstance(caught.value, kind)
    assert caught.value.hint
    assert out.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("name", UPSCALED)
def test_upscaled_in_place(name, factor, odd, tmp_path):
    out = tmp_path / "out.tif"
    geosr.upscale_file(odd / name, out, model="nearest", upscale_factor=factor)
    with rasterio.open(odd / name) as src, rasterio.open(out) as dst:
        _same_place(src, dst, factor)
        _same_meaning(src, dst)
        _same_pixels(src, dst, factor)


def _same_place(src, dst, factor) -> None:
    """Compare footprints as GDAL computes them: by transform, control points, polynomials."""
    assert (dst.width, dst.height) == (src.width * factor, src.height * factor)
    if not src.transform.is_identity:
        assert dst.bounds == src.bounds
        for col, row in ((0, 0), (src.width, 0), (0, src.height), (src.width, src.height)):
            assert dst.transform @ (col * factor, row * factor) == pytest.approx(
                src.transform @ (col, row), rel=1e-15, abs=1e-9
            )
    points, crs = src.gcps
    again, again_crs = dst.gcps
    assert again_crs == crs
    if src.transform.is_identity:
        for before, after in zip(points, again, strict=True):
            assert (after.x, after.y, after.z) == (before.x, before.y, before.z)
            assert (after.row, after.col) == pytest.approx(
                (before.row * factor, before.col * factor)
            )
    if not points:
        assert dst.crs == src.crs
    if src.rpcs:
        where = [transformer(ds) for ds, transformer in ((src, _ground), (dst, _ground))]
        assert where[1] == pytest.approx(where[0], abs=1e-9)


def _ground(dataset) -> list[float]:
    """Return where the raster's middle corner points lie, by its polynomials."""
    from rasterio.transform import RPCTransformer

    with RPCTransformer(dataset.rpcs) as transformer:
        rows, cols = (
            [dataset.height / 4, dataset.height / 2],
            [dataset.width / 4, dataset.width / 2],
        )
        xs, ys = transformer.xy(rows, cols, offset="ul")
    return [*xs, *ys]


def _same_meaning(src, dst) -> None:
    assert dst.dtypes == src.dtypes
    np.testing.assert_equal(dst.nodatavals, src.nodatavals)
    for name in ("descriptions", "colorinterp", "scales", "offsets", "units"):
        assert getattr(dst, name) == getattr(src, name), name
    left_out = {"AREA_OR_POINT"} if src.transform.is_identity else set()
    for band in range(src.count + 1):
        before, after = src.tags(band), dst.tags(band)
        kept = {k: v for k, v in before.items() if not k.startswith("STATISTICS_")}
        assert {k: after.get(k) for k in kept if k not in left_out} == {
            k: v for k, v in kept.items() if k not in left_out
        }
        assert not [k for k in after if k.startswith("STATISTICS_")]


def _same_pixels(src, dst, factor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = src.read(), dst.read()
        mask_before, mask_after = src.dataset_mask(), dst.dataset_mask()
    enlarged = before.repeat(factor, axis=1).repeat(factor, axis=2)
    valid = mask_before.repeat(factor, 0).repeat(factor, 1) > 0
    if src.nodata is not None and "nodata" not in {f.name for f in src.mask_flag_enums[0]}:
        # A mask band calls pixels with the nodata value valid: they move off it by a step.
        enlarged = np.where((enlarged == src.nodata) & valid, enlarged + 1, enlarged)
    np.testing.assert_array_equal(after, enlarged)
    assert ((mask_after > 0) == valid).all()


def test_without_a_transform_no_size_on_the_ground_is_invented(odd, tmp_path):
    name, out = odd / "rio-pansharpen__corrupt_image.TIF", tmp_path / "out.tif"
    plan = geosr.plan_file(name, out, model="bicubic")
    assert plan.to_dict()["pixel_size"] is None
    assert any(line.startswith("Transform  none") for line in plan.lines())
    report = geosr.upscale_file(name, out, model="bicubic")
    assert report.stats["pixel_size"] is None
    with pytest.raises(OptionError, match="has no geotransform"):
        geosr.plan_file(name, out, model="bicubic", resolution="3m", overwrite=True)
