"""What is known of rasters, which of their pixels are valid, and what happens to damaged ones."""

import logging
import pickle
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp

from geosr.core.errors import BandError, GeosrError, InputFileError, UnsupportedRasterError
from geosr.core.geometry import Window
from geosr.io.integrity import check_complete
from geosr.io.opening import open_raster
from geosr.io.raster import RasterReader, cache_bytes, check_upscalable, read_facts

TRANSFORM = rasterio.Affine(10, 0, 500, 0, -10, 900)


def make(path, values, *, mask=None, colours=None, **profile):
    """Write ``values`` (bands, height, width) as a GeoTIFF and return its path as text."""
    count, height, width = values.shape
    profile = {"driver": "GTiff", "transform": TRANSFORM, "crs": "EPSG:32633", **profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        open_raster(
            str(path), "w", width=width, height=height, count=count, dtype=values.dtype, **profile
        ) as dst,
    ):
        if colours:
            dst.colorinterp = [ColorInterp[name] for name in colours]
        dst.write(values)
        if mask is not None:
            dst.write_mask(mask)
    return str(path)


def read_all(path, indexes=()):
    facts = read_facts(path)
    whole = Window(0, 0, *facts.grid.shape)
    with RasterReader(facts, indexes, whole) as reader:
        return reader.read(whole)


def ramp(dtype="uint16", bands=2, shape=(6, 8)):
    return np.arange(bands * shape[0] * shape[1]).reshape(bands, *shape).astype(dtype)


# Facts


def test_facts_say_what_the_file_says(tmp_path):
    path = make(tmp_path / "a.tif", ramp(), nodata=7, compress="DEFLATE")
    facts = read_facts(path)
    assert facts.grid.shape == (6, 8)
    assert facts.grid.transform == (10, 0, 500, 0, -10, 900)
    assert "32633" in facts.grid.crs
    assert (facts.dtypes, facts.nodata, facts.masks) == (
        ("uint16",) * 2,
        (7.0, 7.0),
        ("nodata",) * 2,
    )
    assert (facts.driver, facts.compression, facts.has_transform) == ("GTiff", "deflate", True)
    assert facts.files == (path,)
    assert pickle.loads(pickle.dumps(facts)) == facts


def test_no_georeferencing_is_known_and_warns_nobody(tmp_path):
    path = make(tmp_path / "a.tif", ramp(), transform=None, crs=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = read_facts(path)
    assert (facts.has_transform, facts.grid.crs) == (False, None)


def test_an_impossible_nodata_value_is_none(tmp_path):
    path = make(tmp_path / "a.tif", ramp("uint8"))
    vrt = f"""<VRTDataset rasterXSize="8" rasterYSize="6"><VRTRasterBand dataType="Byte" band="1">
      <NoDataValue>-9999</NoDataValue><SimpleSource><SourceFilename>{path}</SourceFilename>
      <SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""
    (tmp_path / "a.vrt").write_text(vrt)
    facts = read_facts(tmp_path / "a.vrt")
    assert facts.nodata == (None,)
    assert read_all(facts.path)[1] is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"hello", "is no raster that GDAL knows"),
        (b"II*\0\xff\xff\xff\x7f", "whose directory is damaged"),
    ],
)
def test_no_raster_says_what_it_is(tmp_path, content, says):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputFileError, match=says) as caught:
        read_facts(tmp_path / "a.tif")
    assert str(tmp_path / "a.tif") in caught.value.message
    assert caught.value.hint


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputFileError, match="There is no file") as caught:
        read_facts(tmp_path / "no" / "a.tif")
    assert "no does not exist either" in caught.value.message
    with pytest.raises(InputFileError, match="is a folder"):
        read_facts(tmp_path)
    with pytest.raises(InputFileError, match="cannot be opened"):
        read_facts("/vsizip/nothing.zip/a.tif")


def test_a_container_names_its_rasters(tmp_path):
    rasterio.shutil.copy(
        make(tmp_path / "a.tif", ramp("uint8")),
        tmp_path / "c.gpkg",
        driver="GPKG",
        RASTER_TABLE="one",
    )
    rasterio.shutil.copy(
        make(tmp_path / "a.tif", ramp("uint8")),
        tmp_path / "c.gpkg",
        driver="GPKG",
        RASTER_TABLE="two",
        APPEND_SUBDATASET="YES",
    )
    with pytest.raises(InputFileError, match="2 rasters inside") as caught:
        read_facts(tmp_path / "c.gpkg")
    assert "GPKG:" in caught.value.hint


# What may be upscaled


def test_bands_that_are_not_there(tmp_path):
    facts = read_facts(make(tmp_path / "a.tif", ramp()))
    check_upscalable(facts, (2, 1))
    for bad in (0, 3, -1):
        with pytest.raises(BandError, match=f"no band {bad}; it has 2"):
            check_upscalable(facts, (1, bad))


def test_a_colour_table_is_refused_with_its_band_only(tmp_path):
    facts = read_facts(make(tmp_path / "a.tif", ramp("uint8")))
    facts = replace(facts, palettes=(False, True))
    check_upscalable(facts, (1,))
    with pytest.raises(UnsupportedRasterError, match=r"Band 2 .* colour table") as caught:
        check_upscalable(facts, ())
    assert "--bidx" not in caught.value.hint
    with pytest.raises(UnsupportedRasterError) as caught:
        check_upscalable(facts, (2,))
    assert "--bidx" in caught.value.hint


def test_a_real_colour_table_is_seen(tmp_path):
    path = make(tmp_path / "a.tif", ramp("uint8", bands=1))
    with rasterio.open(path, "r+") as dst:
        dst.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    with pytest.raises(UnsupportedRasterError, match="colour table"):
        check_upscalable(read_facts(path), ())


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "int64", "uint64"])
def test_dtypes_that_are_refused(tmp_path, dtype):
    facts = read_facts(make(tmp_path / "a.tif", ramp(dtype)))
    with pytest.raises(UnsupportedRasterError, match=dtype):
        check_upscalable(facts, ())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_dtypes_that_are_taken(tmp_path, dtype):
    path = make(tmp_path / "a.tif", ramp(dtype))
    check_upscalable(read_facts(path), ())
    values, valid = read_all(path)
    assert (values.dtype, valid) == (dtype, None)
    assert (values == ramp(dtype)).all()


def test_the_alpha_band_alone_is_no_picture(tmp_path):
    path = make(tmp_path / "a.tif", ramp("uint8"), colours=("gray", "alpha"))
    with pytest.raises(BandError, match="alpha band"):
        check_upscalable(read_facts(path), (2,))


# Valid pixels


def test_nodata_is_invalid_band_by_band(tmp_path):
    values, valid = read_all(make(tmp_path / "a.tif", ramp(), nodata=50))
    assert (valid == (values != 50)).all()
    assert (~valid).sum() == 1


def test_nan_and_infinity_are_never_valid(tmp_path):
    stored = ramp("float32", bands=1)
    stored[0, 0, :3] = np.nan, np.inf, -np.inf
    for nodata in (None, np.nan, 9.0):
        _, valid = read_all(make(tmp_path / "a.tif", stored, nodata=nodata))
        assert (valid == (np.isfinite(stored) & (stored != (nodata or -1)))).all()


def test_the_smallest_float_as_nodata(tmp_path):
    stored = ramp("float32", bands=1)
    stored[0, 2, 3] = np.finfo("float32").min
    _, valid = read_all(make(tmp_path / "a.tif", stored, nodata=-3.4028234663852886e38))
    assert np.argwhere(~valid).tolist() == [[0, 2, 3]]


def test_a_mask_band_wins_over_nodata_as_in_gdal(tmp_path):
    mask = np.ones((6, 8), bool)
    mask[1, 2] = False
    path = make(tmp_path / "a.tif", ramp(), mask=mask, nodata=0)
    _, valid = read_all(path)
    assert (valid == mask).all()
    with rasterio.open(path) as src:
        assert ((src.read_masks() != 0) == valid).all()


@pytest.mark.parametrize("indexes", [(), (1,), (2, 1), (3, 1)])
def test_transparent_pixels_are_invalid_but_not_in_the_alpha_band(tmp_path, indexes):
    stored = ramp("uint16", bands=3)
    stored[2] = 1  # a 16-bit alpha this small is 0 in GDAL's own 8-bit mask
    stored[2, 0, :2] = 0
    path = make(tmp_path / "a.tif", stored, colours=("gray", "undefined", "alpha"))
    facts = read_facts(path)
    whole = Window(0, 0, 6, 8)
    with RasterReader(facts, indexes, whole) as reader:
        values, valid = reader.read(whole)
        chosen = facts.all_indexes(indexes)
        assert reader.alpha == (chosen.index(3) if 3 in chosen else None)
    assert (values == stored[[index - 1 for index in chosen]]).all()
    for index, good in zip(chosen, valid, strict=True):
        assert (good == (True if index == 3 else stored[2] != 0)).all()


def test_bands_of_a_vrt_have_nodata_of_their_own(tmp_path):
    path = make(tmp_path / "a.tif", ramp("uint8"))
    band = """<VRTRasterBand dataType="Byte" band="{0}"><NoDataValue>{1}</NoDataValue><SimpleSource>
      <SourceFilename>{2}</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource>
      </VRTRasterBand>"""
    bands = band.format(1, 3, path) + band.format(2, 60, path)
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="8" rasterYSize="6">{bands}</VRTDataset>'
    )
    values, valid = read_all(tmp_path / "a.vrt")
    assert (valid[0] == (values[0] != 3)).all()
    assert (valid[1] == (values[1] != 60)).all()


# Reading


def test_windows_count_from_the_readers_own(tmp_path):
    stored = ramp()
    facts = read_facts(make(tmp_path / "a.tif", stored))
    reader = RasterReader(facts, (2,), Window(1, 2, 4, 5))
    assert (reader.shape, reader.count, reader.dtype) == ((4, 5), 1, "uint16")
    values, _ = reader.read(Window(1, 1, 2, 3))
    assert (values == stored[1:2, 2:4, 3:6]).all()
    reader.close()


def test_readers_pickle_and_open_once_per_thread(tmp_path, monkeypatch):
    opened = []

    def counted(path):
        opened.append(threading.get_ident())
        return open_raster(path)

    monkeypatch.setattr("geosr.io.raster.open_source", counted)
    facts = read_facts(make(tmp_path / "a.tif", ramp()))
    whole = Window(0, 0, 6, 8)
    reader = RasterReader(facts, (), whole)
    reader.read(whole)
    other = pickle.loads(pickle.dumps(reader))
    barrier = threading.Barrier(3)
    seen = []

    def work():
        barrier.wait()  # all alive at once, so that no thread gets another's number
        seen.extend(int(other.read(whole)[0].sum()) for _ in range(3))
        barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [ramp().sum()] * 9
    assert len(opened) == len(set(opened)) == 4
    reader.close()
    other.close()


def test_the_cache_holds_what_is_read_at_once_within_limits(tmp_path):
    facts = read_facts(make(tmp_path / "a.tif", ramp()))
    assert cache_bytes(facts, (), (50, 50)) == 32 << 20
    tiled = replace(facts, grid=replace(facts.grid, shape=(9000, 50_000)), block_shape=(512, 512))
    assert cache_bytes(tiled, (), (3000, 3000)) == (7 * 512) ** 2 * 2 * 2
    assert cache_bytes(tiled, (1,), (3000, 3000)) == 32 << 20
    # strips: rows as wide as the raster, which the next window needs again
    strips = replace(tiled, block_shape=(1, 50_000))
    assert cache_bytes(strips, (), (1100, 1100)) == 1102 * 50_000 * 2 * 2
    huge = replace(strips, grid=replace(facts.grid, shape=(9000, 10**6)), block_shape=(1, 10**6))
    assert cache_bytes(huge, (), (1100, 1100)) == 512 << 20


# Damage


def noise(shape=(3, 128, 128)):
    rng = np.random.default_rng(0)
    return (np.cumsum(rng.integers(-3, 4, shape), axis=2) + 128).astype("uint8")


def tiled(path, **profile):
    return make(path, noise(), tiled=True, blockxsize=64, blockysize=64, **profile)


def block_places(path):
    with rasterio.open(path) as src:
        for row in range(2):
            for col in range(2):
                yield (
                    (row, col),
                    int(src.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)),
                    int(src.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1)),
                )


@pytest.mark.parametrize("damaged", range(4))
def test_a_flipped_bit_in_any_deflate_block_is_found_and_placed(tmp_path, damaged):
    path = tiled(tmp_path / "a.tif", compress="DEFLATE")
    (row, col), offset, size = list(block_places(path))[damaged]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset + size // 2] ^= 0x10
    (tmp_path / "a.tif").write_bytes(content)
    place = f"rows {64 * row} to {64 * row + 63}, columns {64 * col} to {64 * col + 63}"
    with pytest.raises(InputFileError, match=place) as caught:
        read_all(path)
    assert path in caught.value.message
    assert "--bounds" in caught.value.hint


def test_flipped_bits_that_gdal_reads_as_a_picture_are_found(tmp_path):
    path = tiled(tmp_path / "a.tif", compress="DEFLATE")
    _, offset, size = next(block_places(path))
    content = (tmp_path / "a.tif").read_bytes()
    silent = 0
    for place in range(offset + size // 2, offset + size - 8, 97):
        changed = bytearray(content)
        changed[place] ^= 0x04
        (tmp_path / "a.tif").write_bytes(changed)
        try:
            with open_raster(path) as src:
                silent += bool((src.read() != noise()).any())
        except rasterio.errors.RasterioIOError:
            pass  # GDAL has seen it by itself
        with pytest.raises(InputFileError, match="rows 0 to 63, columns 0 to 63"):
            read_all(path)
    assert silent


def test_other_blocks_of_a_damaged_file_are_read(tmp_path):
    path = tiled(tmp_path / "a.tif", compress="DEFLATE")
    _, offset, _ = list(block_places(path))[3]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset + 20 : offset + 40] = bytes(20)
    (tmp_path / "a.tif").write_bytes(content)
    facts = read_facts(path)
    with RasterReader(facts, (), Window(0, 0, 64, 128)) as reader:
        assert (reader.read(Window(0, 0, 64, 128))[0] == noise()[:, :64]).all()


@pytest.mark.parametrize("compress", ["NONE", "DEFLATE", "ZSTD", "LZW", "JPEG"])
@pytest.mark.parametrize("interleave", ["PIXEL", "BAND"])
def test_a_cut_off_file_is_refused_before_and_while_reading(tmp_path, compress, interleave):
    path = tiled(tmp_path / "a.tif", compress=compress, interleave=interleave)
    content = (tmp_path / "a.tif").read_bytes()
    facts = read_facts(path)
    whole = Window(0, 0, 128, 128)
    check_complete(facts, (), whole)
    (tmp_path / "a.tif").write_bytes(content[:-300])
    with pytest.raises(InputFileError, match="is cut off"):
        check_complete(facts, (), whole)
    with pytest.raises(InputFileError, match="cannot be read at rows"):
        read_all(path)
    check_complete(facts, (1,), Window(0, 0, 64, 64))  # all there


def test_made_up_jpeg_pixels_are_an_error_in_every_thread(tmp_path):
    path = tiled(tmp_path / "a.tif", compress="JPEG")
    _, offset, size = list(block_places(path))[1]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset + size // 2 : offset + size // 2 + 64] = bytes(64)
    (tmp_path / "a.tif").write_bytes(content)
    errors = []

    def work():
        try:
            read_all(path)
        except InputFileError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    work()
    assert len(errors) == 2
    assert all("Corrupt JPEG data" in error.message for error in errors)
    handlers = logging.getLogger("rasterio").handlers
    assert [type(handler) for handler in handlers] == [logging.NullHandler]  # rasterio's own


# The odd files

REFUSED = {
    "damaged/empty.tif": "is empty",
    "damaged/header_only_1kB_naip.tif": "is cut off",
    "damaged/not_a_tiff_but_html.tif": "is a web page",
    "damaged/truncated_40pct_ngi.tif": "is cut off",
    "geotrellis__jpeg-test-deflate-small.tif": "cannot be read at rows 13 to 13",
    "rasterio__corrupt.tif": "is cut off",
    "rio-tiler__cog_cmap.tif": "colour table",
    "rioxarray__cint16.tif": "complex numbers",
    "spDataLarge__nlcd2011.tif": "colour table",
    "test-data__GeogToWGS84GeoKey5.tif": "colour table",
}
MASKS = {
    "rasterio__RGBA.uint16.tif": "alpha",
    "rasterio__alpha.tif": "alpha",
    "rasterio__goes.tif": "dataset",
    "rio-cogeo__image_geos.tif": "dataset",
    "rio-tiler__cog_rgb_mask.tif": "dataset",
    "rio-tiler__cog_rgba.tif": "alpha",
}


def test_every_odd_file_is_read_or_refused_in_a_sentence(data_dir):
    folder = data_dir / "odd"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(paths) >= 40
    refused = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            facts = read_facts(path)
            check_upscalable(facts, ())
            check_complete(facts, (), Window(0, 0, *facts.grid.shape))
            values, valid = read_all(path)
        except GeosrError as error:
            refused[name] = error
            continue
        compare_with_gdal(path, values, valid)
        assert facts.masks[0] == MASKS.get(name, "none" if facts.nodata[0] is None else "nodata")
    assert set(refused) == set(REFUSED)
    for name, error in refused.items():
        assert REFUSED[name] in error.message
        assert error.message.endswith(".")
        assert "\n" not in error.message
        assert error.hint


def compare_with_gdal(path, values, valid):
    with open_raster(str(path)) as src:
        stored, mask = src.read(), src.read_masks() != 0
        alpha = [i for i, c in enumerate(src.colorinterp) if c == ColorInterp.alpha]
    assert np.array_equal(values, stored, equal_nan=values.dtype.kind == "f")
    if alpha:
        mask[:] = stored[alpha[0]] != 0
        mask[alpha[0]] = True
    if values.dtype.kind == "f":
        mask &= np.isfinite(values)
    assert ((np.ones_like(mask) if valid is None else valid) == mask).all()
