"""How the output is stored, and what it takes for nodata."""

import logging
import math

import numpy as np
import pytest
import rasterio

from geosr.core.errors import OptionError
from geosr.core.geometry import GeoGrid
from geosr.io.facts import RasterFacts
from geosr.io.metadata import RasterMetadata
from geosr.io.opening import open_raster
from geosr.io.profile import OutputNodata, has_zstd, output_profile, resolve_nodata

NO_HOLES = OutputNodata(None, 0.0, write_mask=False)
GRID = GeoGrid((1000, 2000), (1.0, 0.0, 5.0, 0.0, -1.0, 9.0))


def facts(*, dtype="uint16", bands=2, nodata=None, masks=None, alpha=None, colours=None):
    nodata = nodata if isinstance(nodata, tuple) else (nodata,) * bands
    default = tuple("none" if value is None else "nodata" for value in nodata)
    metadata = RasterMetadata(
        descriptions=(None,) * bands,
        units=(None,) * bands,
        scales=(1.0,) * bands,
        offsets=(0.0,) * bands,
        colours=colours or ("gray", *("undefined",) * (bands - 1)),
        band_tags=({},) * bands,
    )
    return RasterFacts(
        path="a.tif",
        driver="GTiff",
        compression="jpeg",
        grid=GRID,
        has_transform=True,
        dtypes=(dtype,) * bands,
        nodata=nodata,
        masks=masks or default,
        alpha=alpha,
        palettes=(False,) * bands,
        block_shape=(256, 256),
        files=("a.tif",),
        metadata=metadata,
    )


def profile_of(source, grid=GRID, *, dtype=None, nodata=NO_HOLES, indexes=(), **options):
    return output_profile(
        source,
        indexes,
        grid,
        dtype=dtype or source.dtype,
        nodata=nodata,
        format=options.pop("format", "gtiff"),
        creation_options=options,
    )


def cog_options(source=None, **options):
    """Return what a cloud-optimised GeoTIFF is created with."""
    return profile_of(source or facts(), format="cog", **options).creation_options


def written(tmp_path, profile):
    """Create a file of this profile and return what rasterio says of it."""
    path = str(tmp_path / "a.tif")
    height, width = profile.grid.shape
    with open_raster(path, "w", **profile.to_rasterio()) as dst:
        dst.write(np.ones((profile.count, height, width), profile.dtype))
    with open_raster(path) as src:
        return src.profile, src.tags(ns="IMAGE_STRUCTURE"), src.photometric


# Nodata


@pytest.mark.parametrize(
    ("source", "dtype", "asked", "value", "fill", "mask"),
    [
        ({}, "uint16", None, None, 0.0, False),
        ({"nodata": 7.0}, "uint16", None, 7.0, 7.0, False),
        ({"nodata": 7.0}, "uint8", None, 7.0, 7.0, False),
        ({"nodata": 7.0}, "uint16", 65535, 65535.0, 65535.0, False),
        ({}, "int8", -128, -128.0, -128.0, False),
        ({"dtype": "float32"}, "float32", None, None, math.nan, False),
        ({"dtype": "float32"}, "uint16", None, None, 0.0, True),
        ({"dtype": "float32"}, "uint16", 0, 0.0, 0.0, False),
        ({"dtype": "float32", "nodata": math.nan}, "float64", None, math.nan, math.nan, False),
        ({"masks": ("dataset",) * 2}, "uint16", None, None, 0.0, True),
        ({"masks": ("dataset",) * 2, "nodata": 7.0}, "uint16", None, 7.0, 7.0, True),
        ({"masks": ("dataset",) * 2}, "uint16", 3, 3.0, 3.0, False),
        ({"masks": ("alpha", "alpha"), "alpha": 2}, "uint16", None, None, 0.0, False),
    ],
)
def test_holes_are_marked_as_in_the_source(source, dtype, asked, value, fill, mask):
    found = resolve_nodata(facts(**source), (), dtype=dtype, nodata=asked)
    assert repr((found.value, found.fill, found.write_mask)) == repr((value, fill, mask))
    assert found.note == ""


def test_an_alpha_band_left_behind_becomes_a_mask():
    source = facts(masks=("alpha", "none"), alpha=2)
    assert resolve_nodata(source, (1,), dtype="uint16").write_mask
    assert not resolve_nodata(source, (1, 2), dtype="uint16").write_mask


@pytest.mark.parametrize(
    ("dtype", "asked"),
    [("uint8", -1), ("uint8", 256), ("uint8", 0.5), ("int16", math.nan), ("float32", 1e300),
     ("uint16", math.inf)],
)  # fmt: skip
def test_nodata_that_does_not_fit(dtype, asked):
    with pytest.raises(OptionError, match=f"asked for does not fit into {dtype}") as caught:
        resolve_nodata(facts(), (), dtype=dtype, nodata=asked)
    assert "--nodata" in caught.value.hint


def test_the_sources_nodata_does_not_fit_the_dtype_asked_for():
    with pytest.raises(OptionError, match=r"-9999 of a\.tif does not fit into uint8") as caught:
        resolve_nodata(facts(dtype="float32", nodata=-9999.0), (), dtype="uint8")
    assert "from 0 to 255" in caught.value.hint


def test_what_a_geotiff_cannot_say_is_noted():
    found = resolve_nodata(facts(nodata=(1.0, 2.0)), (), dtype="uint16")
    assert (found.value, "different nodata values" in found.note) == (1.0, True)
    assert resolve_nodata(facts(nodata=(1.0, 2.0)), (2,), dtype="uint16").value == 2.0
    found = resolve_nodata(facts(masks=("band", "band")), (), dtype="uint16")
    assert (found.write_mask, "--nodata" in found.note) == (True, True)


# Creation options


def test_the_default_is_lossless_and_tiled(tmp_path):
    profile, structure, _ = written(tmp_path, profile_of(facts()))
    assert has_zstd()  # rasterio's wheels have it
    assert (profile["compress"], structure["PREDICTOR"]) == ("zstd", "2")
    assert (profile["blockxsize"], profile["blockysize"], profile["tiled"]) == (512, 512, True)
    assert profile["interleave"] == "pixel"
    assert profile_of(facts()).raw_bytes == 1000 * 2000 * 2 * 2


def test_floats_take_their_own_predictor(tmp_path):
    _, structure, _ = written(tmp_path, profile_of(facts(dtype="float32")))
    assert structure["PREDICTOR"] == "3"
    _, structure, _ = written(tmp_path, profile_of(facts(dtype="float32"), dtype="int16"))
    assert structure["PREDICTOR"] == "2"


def test_without_zstd_deflate_it_is(monkeypatch):
    monkeypatch.setattr("geosr.io.profile.has_zstd", lambda: False)
    options = profile_of(facts()).creation_options
    assert (options["COMPRESS"], options["ZLEVEL"]) == ("DEFLATE", "1")


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (16, 17), (511, 513)])
def test_small_outputs_have_small_tiles(tmp_path, shape):
    grid = GeoGrid(shape, GRID.transform)
    profile, _, _ = written(tmp_path, profile_of(facts(), grid))
    assert (profile["height"], profile["width"]) == shape
    assert profile["blockysize"] == min(512, -(-shape[0] // 16) * 16)
    assert profile["blockxsize"] == min(512, -(-shape[1] // 16) * 16)


def test_a_tall_raster_is_not_stored_in_strips():
    """A block as wide as the raster is one to rio-cogeo, whatever its height."""
    for shape in ((513, 464), (5000, 16), (700, 3)):
        options = profile_of(facts(), GeoGrid(shape, GRID.transform)).creation_options
        assert (options["BLOCKXSIZE"], options["BLOCKYSIZE"]) == ("512", "512")


def test_many_bands_are_stored_one_by_one():
    assert profile_of(facts(bands=16)).creation_options["INTERLEAVE"] == "PIXEL"
    assert profile_of(facts(bands=17)).creation_options["INTERLEAVE"] == "BAND"


def test_bigtiff_where_compression_might_not_save_it(tmp_path):
    path = tmp_path / "big.tif"
    for side, magic in ((1000, b"II*\0"), (50_000, b"II+\0")):
        grid = GeoGrid((side, side), GRID.transform)
        keywords = profile_of(facts(), grid).to_rasterio() | {"SPARSE_OK": "YES"}
        open_raster(str(path), "w", **keywords).close()
        assert path.read_bytes()[:4] == magic


def test_options_asked_for_win_in_any_spelling(tmp_path):
    profile, structure, _ = written(tmp_path, profile_of(facts(), compress="lzw", blockxsize=256))
    assert (profile["compress"], structure["PREDICTOR"]) == ("lzw", "2")
    assert (profile["blockxsize"], profile["blockysize"]) == (256, 512)
    profile, structure, _ = written(tmp_path, profile_of(facts(), COMPRESS="NONE"))
    assert "compress" not in profile
    assert "PREDICTOR" not in structure
    profile, _, _ = written(tmp_path, profile_of(facts(), tiled="no"))
    assert profile["tiled"] is False


def test_jpeg_when_asked_for(tmp_path):
    source = facts(dtype="uint8", bands=3, colours=("red", "green", "blue"))
    profile, _, photometric = written(
        tmp_path, profile_of(source, COMPRESS="JPEG", PHOTOMETRIC="YCBCR")
    )
    assert profile["compress"] == "jpeg"
    assert photometric == rasterio.enums.PhotometricInterp.ycbcr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"FOO": "1"}, "does not support creation option FOO"),
        ({"COMPRESS": "FOO"}, "'FOO' is an unexpected value"),
        ({"COMPRESS": "JPEG"}, "cannot store 2 bands of uint16"),
        ({"BIGTIFF": "maybe"}, "'maybe' is an unexpected value"),
        ({"BLOCKXSIZE": "100"}, "multiples of 16"),
        ({"ZSTD_LEVEL": "99"}, "ZSTD_LEVEL"),
        ({"PREDICTOR": "3"}, "PREDICTOR=3 is only supported with Float"),
        ({"TILED": "banana"}, "neither YES nor NO"),
        ({"TFW": "YES"}, "TFW does not apply"),
        ({"COPY_SRC_OVERVIEWS": "YES"}, "does not apply"),
        ({"DTYPE": "uint8"}, "DTYPE"),
        ({"CRS": "EPSG:4326"}, "CRS"),
        ({"NUM_THREADS": "many"}, "NUM_THREADS"),
    ],
)
def test_options_that_gdal_would_pass_over_are_refused(options, says, caplog):
    logger = logging.getLogger("rasterio")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with pytest.raises(OptionError, match=says) as caught:
        profile_of(facts(), **options)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert not caplog.records  # GDAL's own words are not shown beside ours
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


# Those of a cloud-optimised GeoTIFF


def test_a_cog_is_stored_as_a_geotiff_is():
    assert cog_options() == profile_of(facts()).creation_options
    many = facts(bands=200)
    assert cog_options(many) == profile_of(many).creation_options
    assert cog_options(many)["INTERLEAVE"] == "BAND"


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [
        ({"COMPRESS": "deflate"}, {"COMPRESS": "DEFLATE", "PREDICTOR": "2"}),
        ({"COMPRESS": "DEFLATE", "LEVEL": "9"}, {"COMPRESS": "DEFLATE", "ZLEVEL": "9"}),
        ({"COMPRESS": "ZSTD", "LEVEL": "9"}, {"COMPRESS": "ZSTD", "ZSTD_LEVEL": "9"}),
        ({"COMPRESS": "ZSTD", "LEVEL": "9", "ZSTD_LEVEL": "9"}, {"ZSTD_LEVEL": "9"}),
        ({"ZLEVEL": "9"}, {"COMPRESS": "DEFLATE", "ZLEVEL": "9", "PREDICTOR": "2"}),
        ({"ZSTD_LEVEL": "9"}, {"COMPRESS": "ZSTD", "ZSTD_LEVEL": "9", "PREDICTOR": "2"}),
        ({"COMPRESS": "LZW"}, {"COMPRESS": "LZW", "PREDICTOR": "2"}),
        ({"COMPRESS": "NONE"}, {"COMPRESS": "NONE", "PREDICTOR": None}),
        ({"PREDICTOR": "YES"}, {"COMPRESS": "ZSTD", "PREDICTOR": "2"}),
        ({"PREDICTOR": "NO"}, {"COMPRESS": "ZSTD", "PREDICTOR": "1"}),
        ({"predictor": "standard"}, {"PREDICTOR": "2"}),
        ({"PREDICTOR": "2"}, {"PREDICTOR": "2"}),
        ({"BLOCKSIZE": "256"}, {"BLOCKXSIZE": "256", "BLOCKYSIZE": "256", "BLOCKSIZE": None}),
        ({"BLOCKXSIZE": "128"}, {"BLOCKXSIZE": "128", "BLOCKYSIZE": "128"}),
        ({"BLOCKYSIZE": "128", "BLOCKSIZE": "128"}, {"BLOCKXSIZE": "128", "BLOCKYSIZE": "128"}),
        ({"INTERLEAVE": "band"}, {"INTERLEAVE": "BAND"}),
        ({"overviews": "none"}, {"OVERVIEWS": "NONE"}),
        ({"OVERVIEWS": "AUTO", "OVERVIEW_RESAMPLING": "average"}, {"OVERVIEWS": "AUTO"}),
        ({"BIGTIFF": "yes"}, {"BIGTIFF": "YES"}),
        ({"NUM_THREADS": "all_cpus"}, {"NUM_THREADS": "ALL_CPUS"}),
        ({"NUM_THREADS": "3"}, {"NUM_THREADS": "3"}),
        ({"TILED": "true", "SPARSE_OK": "YES"}, {"TILED": "YES", "SPARSE_OK": None}),
    ],
)
def test_a_cog_takes_both_drivers_spellings(asked, becomes):
    made = cog_options(**asked)
    assert {name: made.get(name) for name in becomes} == becomes
    assert made.keys() - {"OVERVIEWS", "ZLEVEL", "ZSTD_LEVEL"} <= cog_options().keys()


def test_the_predictor_of_a_cog_follows_the_dtype():
    floats = facts(dtype="float32")
    for asked in ({}, {"PREDICTOR": "YES"}, {"PREDICTOR": "FLOATING_POINT"}, {"PREDICTOR": "3"}):
        assert cog_options(floats, COMPRESS="LZW", **asked)["PREDICTOR"] == "3"
    assert cog_options(floats, PREDICTOR="STANDARD")["PREDICTOR"] == "2"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"COMPRESS": "JPEG"}, "NONE, DEFLATE, ZSTD, LZW"),
        ({"COMPRESS": "LERC_ZSTD"}, "NONE, DEFLATE, ZSTD, LZW"),
        ({"COMPRESS": ""}, "NONE, DEFLATE, ZSTD, LZW"),
        ({"LEVEL": "9"}, "COMPRESS=DEFLATE or ZSTD"),
        ({"COMPRESS": "LZW", "LEVEL": "9"}, "COMPRESS=DEFLATE or ZSTD"),
        ({"COMPRESS": "NONE", "LEVEL": "9"}, "COMPRESS=DEFLATE or ZSTD"),
        ({"COMPRESS": "ZSTD", "ZLEVEL": "9"}, "COMPRESS=DEFLATE"),
        ({"COMPRESS": "DEFLATE", "ZSTD_LEVEL": "9"}, "COMPRESS=ZSTD"),
        ({"ZLEVEL": "9", "ZSTD_LEVEL": "9"}, "COMPRESS=ZSTD"),
        ({"COMPRESS": "ZSTD", "LEVEL": "9", "ZSTD_LEVEL": "3"}, "says otherwise"),
        ({"COMPRESS": "NONE", "PREDICTOR": "2"}, "belongs to a compression"),
        ({"COMPRESS": "NONE", "PREDICTOR": "YES"}, "belongs to a compression"),
        ({"BLOCKSIZE": "128", "BLOCKXSIZE": "256"}, "squares"),
        ({"BLOCKXSIZE": "128", "BLOCKYSIZE": "256"}, "squares"),
        ({"BLOCKSIZE": "1024"}, "128, 256, 512 pixels a side"),
        ({"BLOCKXSIZE": "100"}, "128, 256, 512 pixels a side"),
        ({"TILED": "NO"}, "is tiled"),
        ({"SPARSE_OK": "FALSE"}, "sparse"),
        ({"OVERVIEWS": "FORCE_USE_EXISTING"}, "AUTO, NONE"),
        ({"OVERVIEW_RESAMPLING": "CUBIC"}, "is tiled"),
        ({"OVERVIEW_COUNT": "2"}, "is tiled"),
        ({"INTERLEAVE": "TILE"}, "PIXEL, BAND"),
        ({"BIGTIFF": "MAYBE"}, "YES, NO, IF_NEEDED, IF_SAFER"),
        ({"QUALITY": "50"}, "lossless"),
        ({"NBITS": "12"}, "lossless"),
        ({"JPEG_QUALITY": "50"}, "lossless"),
        ({"PHOTOMETRIC": "YCBCR"}, "lossless"),
        ({"PROFILE": "BASELINE"}, "lossless"),
        ({"TILING_SCHEME": "GoogleMapsCompatible"}, "is tiled"),
        ({"TFW": "YES"}, "is tiled"),
        ({"FOO": "1"}, "is tiled"),
    ],
)
def test_what_a_cog_does_not_take_is_refused(options, hint):
    with pytest.raises(OptionError, match="A cloud-optimised GeoTIFF does not take") as caught:
        cog_options(**options)
    assert hint in caught.value.hint
    assert "--format gtiff" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"PREDICTOR": "3"}, "PREDICTOR=3 is only supported with Float"),
        ({"PREDICTOR": "BANANA"}, "PREDICTOR"),
        ({"COMPRESS": "ZSTD", "LEVEL": "99"}, "ZSTD_LEVEL"),
        ({"COMPRESS": "DEFLATE", "LEVEL": "banana"}, "ZLEVEL"),
        ({"NUM_THREADS": "many"}, "NUM_THREADS"),
    ],
)
def test_values_that_gdal_would_pass_over_are_refused_for_a_cog(options, says):
    with pytest.raises(OptionError, match=says) as caught:
        cog_options(**options)
    assert caught.value.hint


def test_a_classic_cog_has_room_for_4_gb():
    large, small = (
        GeoGrid((28_000, 28_000), GRID.transform),
        GeoGrid((26_000, 26_000), GRID.transform),
    )
    for bigtiff in ("IF_SAFER", "YES"):
        profile_of(facts(), large, format="cog", BIGTIFF=bigtiff)
    profile_of(facts(), small, format="cog", BIGTIFF="NO")
    with pytest.raises(OptionError, match="room for 4 GB") as caught:
        profile_of(facts(), large, format="cog", bigtiff="no")
    assert "Leave BIGTIFF out" in caught.value.hint
