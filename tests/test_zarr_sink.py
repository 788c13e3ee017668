"""Zarr stores: what xarray and rioxarray read of them, and that no kill spoils one."""

import errno
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from geosr.api import upscale_file
from geosr.core.errors import (
    CancelledError,
    MissingDependencyError,
    OptionError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
)
from geosr.core.geometry import Window
from geosr.core.plan import BlockPlan
from geosr.io.encoded import EncodedBlock
from geosr.io.facts import read_facts
from geosr.io.metadata import output_metadata
from geosr.io.output import Output
from geosr.io.profile import output_profile, resolve_nodata
from geosr.io.sinks import encoder_of, open_sink
from geosr.io.zarr.options import require_zarr, zarr_options
from geosr.io.zarr.sink import ZarrSink

zarr = pytest.importorskip("zarr", reason="a Zarr store needs geosr[zarr]")
xarray = pytest.importorskip("xarray")
pytest.importorskip("rioxarray")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),  # rioxarray's
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]

NORTH_UP = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
ROTATED = rasterio.Affine(8.0, 6.0, 500_000.0, 6.0, -8.0, 5_000_000.0)
NOTE = {"unresolved": 0, "tiles": 1}


def make(path, *, bands=2, shape=(24, 31), dtype="uint16", change=lambda dst: None, **profile):
    """Write a small raster with holes at its upper left, and return its path as text."""
    height, width = shape
    values = np.random.default_rng(7).integers(1, 200, (bands, height, width)).astype(dtype)
    if profile.get("nodata") is not None:
        values[:, :9, :8] = profile["nodata"]
    profile = {"transform": NORTH_UP, "crs": "EPSG:32633", **profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=dtype,
            **profile,
        ) as dst,
    ):
        change(dst)
        dst.write(values)
    return str(path)


def output_of(src_path, dst_path, *, block=8, **changes):
    """Return an output of twice the pixels in blocks of ``2 * block`` pixels, so in many files."""
    facts = read_facts(src_path)
    window, grid = Window(0, 0, *facts.grid.shape), facts.grid.upscale(2)
    nodata = resolve_nodata(facts, (), dtype=facts.dtype)
    profile = output_profile(
        facts, (), grid, dtype=facts.dtype, nodata=nodata, creation_options={}, format="zarr"
    )
    options = changes.pop("options", {})
    profile = replace(profile, creation_options={**profile.creation_options, **options})
    return Output(
        path=str(dst_path),
        profile=profile,
        metadata=output_metadata(facts.metadata, (1,), window, (facts.grid, grid)),
        tags={"GEOSR_MODEL": "nearest-x2"},
        blocks=BlockPlan(facts.grid.shape, block, block, 0, 2),
        identity={"source": src_path, "nodata": math.nan},
        **changes,
    )


def pixels_of(output):
    """Return each block with its pixels; most of them are made of the block's number."""
    profile = output.profile
    for block in output.blocks.blocks():
        rng = np.random.default_rng(block.number)
        shape = (profile.count, *block.output.shape)
        values = rng.integers(1, 60_000, shape).astype(profile.dtype)
        if block.number in (0, 5):
            values[:] = profile.nodata.fill
        yield block, values, None


def write(output, *, stop_after=None):
    """Write an output, or stop in the middle; return the sink, as it was when it was opened."""
    with ZarrSink(output) as sink:
        news = (sink.done, list(sink.notes), sink.news)
        written = 0
        for block, values, valid in pixels_of(output):
            if block.number in sink.done:
                continue
            if written == stop_after:
                raise CancelledError("enough")
            sink.commit(block, sink.encode(block, values, valid), NOTE)
            written += 1
    return news


def files_of(folder):
    """Return the contents of all files below a folder."""
    folder = Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Do not wait for the disk: only a power failure would show it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A raster that becomes twelve blocks."""
    return make(tmp_path_factory.mktemp("source") / "a.tif", bands=1, nodata=3)


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """The files of its store."""
    out = tmp_path_factory.mktemp("undisturbed") / "out.zarr"
    write(output_of(source, out))
    assert os.listdir(out.parent) == ["out.zarr"]
    return files_of(out)


# What is read back


def with_mask(dst):
    dst.write_mask(np.arange(dst.height * dst.width).reshape(dst.shape) % 7 != 0)


def with_words(dst):
    dst.descriptions, dst.units = ("blue", ""), ("1", "1")
    dst.scales, dst.offsets = (0.0001, 0.0001), (-0.1, -0.1)
    dst.update_tags(NOTE="ä = b", units="furlongs", AREA_OR_POINT="Point")
    dst.update_tags(2, wavelength="842")
    dst.update_tags(ns="MINE", key="value")
    dst.update_tags(1, ns="SENSOR", gain="2")


RASTERS = {
    "uint16 with nodata": {"nodata": 3},
    "one band": {"bands": 1, "dtype": "uint8"},
    "thirteen bands": {"bands": 13, "nodata": 0},
    "float": {"dtype": "float32", "nodata": math.nan},
    "float with a value that float32 cannot hold": {"dtype": "float32", "nodata": -9999.9},
    "negative": {"dtype": "int16", "nodata": -32768},
    "mask": {"change": with_mask},
    "rotated": {"transform": ROTATED},
    "south up": {"transform": rasterio.Affine(10, 0, 500, 0, 10, 900)},
    "no CRS": {"crs": None},
    "no place": {"crs": None, "transform": None},
    "words": {"change": with_words, "nodata": 3},
    "wide": {"shape": (20, 330), "bands": 1},
}


@pytest.mark.parametrize("kind", RASTERS)
def test_xarray_reads_what_the_geotiff_holds(tmp_path, kind):
    src = make(tmp_path / "a.tif", **RASTERS[kind])
    for form, name in (("gtiff", "b.tif"), ("zarr", "b.zarr")):
        upscale_file(src, tmp_path / name, model="lanczos", upscale_factor=2, format=form)
    with (
        rasterio.open(tmp_path / "b.tif") as tif,
        xarray.open_zarr(tmp_path / "b.zarr", decode_coords="all", mask_and_scale=False) as store,
    ):
        data = store["band_data"]
        assert data.dims == ("band", "y", "x")
        assert data.dtype == tif.dtypes[0]
        np.testing.assert_array_equal(data.values, tif.read())
        assert list(data["band"].values) == list(tif.indexes)
        assert data.rio.crs == tif.crs
        if tif.nodata is None:
            assert data.rio.nodata is None
        else:
            np.testing.assert_array_equal(data.rio.nodata, tif.nodata)
        if kind != "no place":
            assert data.rio.transform() == tif.transform
        assert ("x" in data.coords) == (kind not in ("rotated", "no place"))
        if "x" in data.coords:
            assert (data["x"].values[-1], data["y"].values[-1]) == pytest.approx(
                tif.xy(tif.height - 1, tif.width - 1), abs=1e-9
            )
        assert ("mask" in store) == (kind == "mask")
        if kind == "mask":
            np.testing.assert_array_equal(store["mask"].values * 255, tif.dataset_mask())
            assert not store["mask"].values.all()


def test_pixels_that_were_scaled_are_read_as_physical_values(tmp_path):
    src = make(tmp_path / "a.tif", change=with_words, nodata=3)
    upscale_file(src, tmp_path / "b.zarr", model="nearest", format="zarr")
    with (
        rasterio.open(src) as tif,
        xarray.open_zarr(tmp_path / "b.zarr") as store,  # coordinates are found by default, too
    ):
        physical = tif.read(masked=True).repeat(2, 1).repeat(2, 2) * 0.0001 - 0.1
        data = store["band_data"]
        np.testing.assert_allclose(data.values, physical.filled(np.nan), rtol=1e-6)
        assert np.isnan(data.values).sum() == physical.mask.sum() > 0
        assert data.rio.crs == tif.crs
        assert data.attrs["long_name"] == ["blue", ""]
        assert data.attrs["units"] == ["1", "1"]  # the bands'; the tag of that name is kept beside
        assert data.attrs["NOTE"] == "ä = b"
        assert data.attrs["AREA_OR_POINT"] == "Point"
        assert data.attrs["GEOSR_MODEL"] == "nearest-x2"
        assert json.loads(data.attrs["gdal_metadata"]) == {
            "dataset": {"MINE": {"key": "value"}, "": {"units": "furlongs"}},
            "bands": [{"SENSOR": {"gain": "2"}}, {}],
        }
        data.rio.to_raster(tmp_path / "back.tif")
    with rasterio.open(tmp_path / "back.tif") as back, rasterio.open(src) as tif:
        assert (back.descriptions[0], back.scales, back.offsets, back.nodata, back.crs) == (
            tif.descriptions[0],
            tif.scales,
            tif.offsets,
            tif.nodata,
            tif.crs,
        )
        assert back.tags(2)["wavelength"] == "842"
        np.testing.assert_array_equal(back.read(), tif.read().repeat(2, 1).repeat(2, 2))


def test_bands_with_scales_of_their_own_are_left_as_stored(tmp_path):
    def add(dst):
        dst.scales, dst.offsets = (0.5, 0.5), (0.0, 1.0)

    src = make(tmp_path / "a.tif", change=add)
    upscale_file(src, tmp_path / "b.zarr", model="nearest", format="zarr")
    with xarray.open_zarr(tmp_path / "b.zarr") as store, rasterio.open(src) as tif:
        data = store["band_data"]
        assert (data.attrs["scales"], data.attrs["offsets"]) == ([0.5, 0.5], [0.0, 1.0])
        np.testing.assert_array_equal(data.values, tif.read().repeat(2, 1).repeat(2, 2))


def test_points_and_polynomials_that_give_the_place_are_kept(tmp_path):
    points = [
        GroundControlPoint(1, 2, 10.0, 50.0, 7.0, "a"),
        GroundControlPoint(24, 31, 11.0, 49.0),
    ]

    def add_points(dst):
        dst.gcps = (points, rasterio.CRS.from_epsg(4326))

    src = make(tmp_path / "a.tif", change=add_points, transform=None, crs=None)
    upscale_file(src, tmp_path / "a.zarr", model="nearest", format="zarr")
    with xarray.open_zarr(tmp_path / "a.zarr", decode_coords="all") as store:
        data = store["band_data"]
        found = data.rio.get_gcps()
        assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [
            (2, 4, 10.0, 50.0, 7.0),
            (48, 62, 11.0, 49.0, 0.0),
        ]
        assert data.rio.crs.to_epsg() == 4326

    def add_rpcs(dst):
        ones = [1.0, *[0.0] * 19]
        dst.rpcs = RPC(0, 1, 50, 1, ones, ones, 10, 12, 10, 1, ones, ones, 15, 15)

    src = make(tmp_path / "b.tif", change=add_rpcs, transform=None, crs=None)
    upscale_file(src, tmp_path / "b.zarr", model="nearest", format="zarr")
    with xarray.open_zarr(tmp_path / "b.zarr") as store:
        said = json.loads(store["band_data"].attrs["rpcs"])
        assert (float(said["LINE_OFF"]), float(said["LINE_SCALE"])) == (20.5, 24)


def test_one_read_opens_the_store_and_a_block_is_one_file(undisturbed):
    meta = json.loads(undisturbed["zarr.json"])["consolidated_metadata"]["metadata"]
    assert sorted(meta) == ["band", "band_data", "spatial_ref", "x", "y"]
    assert meta["band_data"]["chunk_grid"]["configuration"]["chunk_shape"] == [1, 16, 16]
    blocks = {name for name in undisturbed if name.startswith("band_data/c/")}
    holes = {"band_data/c/0/0/0", "band_data/c/0/1/1"}
    assert blocks == {f"band_data/c/0/{row}/{col}" for row in range(3) for col in range(4)} - holes


@pytest.mark.parametrize(("interleave", "chunk"), [("PIXEL", (3, 48, 62)), ("BAND", (1, 48, 62))])
def test_chunks_hold_all_bands_or_one(tmp_path, interleave, chunk):
    src = make(tmp_path / "a.tif", bands=3)
    output = output_of(src, tmp_path / "b.zarr", block=64, options={"INTERLEAVE": interleave})
    output = replace(output, metadata=read_facts(src).metadata)
    write(output)
    array = zarr.open_group(tmp_path / "b.zarr", mode="r")["band_data"]
    assert (array.chunks, array.shards) == (chunk, (3, 48, 62))
    (_, values, _) = next(pixels_of(output))
    np.testing.assert_array_equal(array[:], values)


# Compression


@pytest.mark.parametrize(
    ("asked", "codec"),
    [
        ({}, ("zstd", 1)),
        ({"COMPRESS": "zstd", "ZSTD_LEVEL": "9"}, ("zstd", 5)),
        ({"LEVEL": "22"}, ("zstd", 9)),
        ({"COMPRESS": "DEFLATE", "LEVEL": "6"}, ("zlib", 6)),
        ({"ZLEVEL": "2"}, ("zlib", 2)),
        ({"COMPRESS": "NONE"}, None),
    ],
)
def test_compression_is_as_asked(tmp_path, source, asked, codec):
    out = tmp_path / "b.zarr"
    write(output_of(source, out, options=zarr_options(asked)))
    array = zarr.open_group(out, mode="r")["band_data"]
    used = [(c.cname.value, c.clevel) for c in array.compressors]
    assert used == ([codec] if codec else [])
    if codec:  # the level that Blosc hands on is the one asked for
        level = next((int(value) for name, value in asked.items() if "LEVEL" in name), 1)
        assert (
            level == {"zlib": codec[1], "zstd": 22 if codec[1] == 9 else 2 * codec[1] - 1}[codec[0]]
        )


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"COMPRESS": "LERC"}, "COMPRESS=LERC"),
        ({"TILED": "YES"}, "TILED=YES"),
        ({"BIGTIFF": "YES"}, "BIGTIFF=YES"),
        ({"PREDICTOR": "2"}, "PREDICTOR=2"),
        ({"COMPRESS": "DEFLATE", "ZSTD_LEVEL": "1"}, "ZSTD_LEVEL=1"),
        ({"ZSTD_LEVEL": "4"}, "ZSTD_LEVEL=4"),
        ({"COMPRESS": "DEFLATE", "LEVEL": "0"}, "LEVEL=0"),
        ({"LEVEL": "3", "ZSTD_LEVEL": "5"}, "LEVEL=3 and ZSTD_LEVEL=5"),
        ({"COMPRESS": "NONE", "LEVEL": "1"}, "LEVEL=1"),
    ],
)
def test_other_options_are_refused_in_one_sentence(asked, named):
    with pytest.raises(OptionError, match=f"does not take {named}\\.\n.") as caught:
        zarr_options(asked)
    assert "\n" not in caught.value.message


def test_without_the_package_its_extra_is_named(monkeypatch, source, tmp_path):
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "zarr", None)
        with pytest.raises(MissingDependencyError, match=r"geosr\[zarr\]"):
            require_zarr()
        with pytest.raises(MissingDependencyError):
            open_sink(output_of(source, tmp_path / "b.zarr"))
    monkeypatch.setattr(zarr, "__version__", "2.18.7")
    with pytest.raises(MissingDependencyError, match=r"version 3 on; 2\.18\.7 is here"):
        require_zarr()
    assert os.listdir(tmp_path) == []


# The same bytes


def test_threads_and_order_change_no_byte(tmp_path, source, undisturbed):
    output = output_of(source, tmp_path / "b.zarr")
    encoder, parts = encoder_of(output), list(pixels_of(output))
    with (
        ThreadPoolExecutor(8) as pool,
        ZarrSink(output) as sink,
        zarr.config.set({"async.concurrency": 1}),
    ):
        made = list(pool.map(lambda part: encoder.encode(*part).to_bytes(NOTE), parts * 3))
        assert made[: len(parts)] * 3 == made
        for number in random.Random(1).sample(range(len(parts)), len(parts)):
            encoded, note = EncodedBlock.from_bytes(made[number])
            sink.commit(parts[number][0], encoded, note)
    assert files_of(tmp_path / "b.zarr") == undisturbed


def test_one_block_in_many_threads_is_the_same_each_time(tmp_path, source):
    output = output_of(source, tmp_path / "b.zarr")
    encoder, part = encoder_of(output), list(pixels_of(output))[2]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda part: encoder.encode(*part), [part] * 100))
    assert set(made) == {encoder_of(output).encode(*part)}


def test_a_chunk_of_zeros_is_no_hole_where_zero_has_a_sign(tmp_path):
    src = make(tmp_path / "a.tif", bands=1, dtype="float32", nodata=0.0)
    output = output_of(src, tmp_path / "b.zarr", block=64)
    block = next(output.blocks.blocks())
    with ZarrSink(output) as sink:
        negative = np.full((1, *block.output.shape), -0.0, np.float32)
        sink.commit(block, sink.encode(block, negative, None), NOTE)
    stored = zarr.open_group(tmp_path / "b.zarr", mode="r")["band_data"][:]
    assert np.signbit(stored).all()


# Going on


def test_a_stopped_run_goes_on(tmp_path, source, undisturbed):
    output = output_of(source, tmp_path / "b.zarr")
    with pytest.raises(CancelledError, match="4 of 12 blocks are kept"):
        write(output, stop_after=4)
    assert sorted(os.listdir(tmp_path)) == ["b.zarr.part", "b.zarr.part.journal"]
    assert not (tmp_path / "b.zarr.part" / "zarr.json").exists()  # nobody takes it for a result
    (tmp_path / "b.zarr.part" / "band_data" / "c" / "0" / "0" / "1").unlink()
    (tmp_path / "b.zarr.part" / "band_data" / "c" / "0" / "0" / "2").write_bytes(b"short")
    (tmp_path / "b.zarr.part" / "band_data" / "c" / "0" / "0" / "7.half").write_bytes(b"half")
    done, notes, news = write(output)
    assert (done, notes) == ({0, 3}, [NOTE, NOTE])
    assert news == "Going on: an earlier run has left 2 of 12 blocks."
    assert files_of(tmp_path) == {f"b.zarr/{name}": undisturbed[name] for name in undisturbed}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identity": {"source": "another", "nodata": math.nan}}, "The source has changed"),
        ({"resume": False}, "--no-resume was given"),
    ],
)
def test_a_run_that_is_another_starts_anew(tmp_path, source, undisturbed, change, said):
    output = output_of(source, tmp_path / "b.zarr")
    with pytest.raises(CancelledError):
        write(output, stop_after=4)
    done, notes, news = write(replace(output, **change))
    assert (done, notes) == (set(), [])
    assert news.startswith(said)
    assert files_of(tmp_path) == {f"b.zarr/{name}": undisturbed[name] for name in undisturbed}


def test_files_that_were_taken_away_are_made_anew(tmp_path, source, undisturbed):
    output = output_of(source, tmp_path / "b.zarr")
    with pytest.raises(CancelledError):
        write(output, stop_after=5)
    (tmp_path / "b.zarr.part").rename(tmp_path / "elsewhere")
    done, _, news = write(output)
    assert done == {0}  # it has no file
    assert "1 of 12" in news
    assert files_of(tmp_path / "b.zarr") == undisturbed


def test_nothing_is_left_of_a_run_that_cannot_be_gone_on_with(tmp_path, source):
    output = output_of(source, tmp_path / "b.zarr")
    with pytest.raises(CancelledError, match=r"^enough$"):
        write(output, stop_after=0)
    with pytest.raises(CancelledError, match=r"^enough$"):
        write(replace(output, resume=False), stop_after=3)
    assert os.listdir(tmp_path) == []


def test_one_run_at_a_time(tmp_path, source):
    output = output_of(source, tmp_path / "b.zarr")
    with suppress(CancelledError), ZarrSink(output):
        with pytest.raises(OutputBusyError):
            write(output)
        raise CancelledError("enough")
    write(output)


# Replacing


def test_another_store_is_replaced_only_if_asked(tmp_path, source, undisturbed):
    output = output_of(source, tmp_path / "b.zarr")
    write(replace(output, tags={"GEOSR_MODEL": "older"}))
    before = files_of(tmp_path)
    with pytest.raises(OutputExistsError):
        write(output)
    assert files_of(tmp_path) == before
    (tmp_path / "b.zarr").chmod(0o750)
    write(replace(output, overwrite=True))
    assert files_of(tmp_path) == {f"b.zarr/{name}": undisturbed[name] for name in undisturbed}
    assert (tmp_path / "b.zarr").stat().st_mode & 0o777 == 0o750


def test_a_store_that_a_killed_run_moved_aside_comes_back(tmp_path, source, undisturbed):
    out, aside = tmp_path / "b.zarr", tmp_path / "b.zarr.part.old"
    output = output_of(source, out)
    write(replace(output, tags={"GEOSR_MODEL": "older"}))
    old = files_of(out)
    out.rename(aside)
    with pytest.raises(OutputExistsError):
        write(output)
    assert files_of(tmp_path) == {f"b.zarr/{name}": old[name] for name in old}
    out.rename(aside)
    (aside / "zarr.json").unlink()  # its removal had begun: it had been replaced
    write(output)
    assert files_of(tmp_path) == {f"b.zarr/{name}": undisturbed[name] for name in undisturbed}


def test_a_link_stays_one(tmp_path, source, undisturbed):
    (tmp_path / "far").mkdir()
    (tmp_path / "b.zarr").symlink_to(tmp_path / "far" / "c.zarr")
    write(output_of(source, tmp_path / "b.zarr"))
    assert (tmp_path / "b.zarr").is_symlink()
    assert files_of(tmp_path / "far") == {
        f"c.zarr/{name}": undisturbed[name] for name in undisturbed
    }


def test_a_folder_that_is_no_store_stays(tmp_path, source):
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "diary.txt").write_text("dear diary")
    with pytest.raises(OutputError, match="is no Zarr store"):
        upscale_file(source, tmp_path / "b.zarr", model="nearest", format="zarr", overwrite=True)
    assert list(files_of(tmp_path)) == ["b.zarr/diary.txt"]


# Faults


@pytest.mark.parametrize("failing", [3, 12])  # a block; the metadata
def test_a_full_disk_leaves_what_can_be_gone_on_with(
    tmp_path, source, undisturbed, monkeypatch, failing
):
    output = output_of(source, tmp_path / "b.zarr")
    calls = []

    def full(_):
        calls.append(1)
        if len(calls) >= failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("geosr.io.zarr.sink.os.fsync", full)
        with pytest.raises(OutputError, match=r"The disk is full: .*b\.zarr") as caught:
            write(output)
    assert "\n" not in caught.value.message
    left = files_of(tmp_path)
    assert not any(name.endswith((".half", "/zarr.json")) for name in left)
    assert "b.zarr.part.journal" in left
    done, _, _ = write(output)
    assert len(done) == (3 if failing == 3 else 12)  # the first block has no file
    assert files_of(tmp_path) == {f"b.zarr/{name}": undisturbed[name] for name in undisturbed}


def killed_runs(source, plans):
    """Run `be_killed` in a process of its own."""
    code = "import test_zarr_sink as here, sys; here.be_killed(*sys.argv[1:])"
    root = Path(__file__).resolve().parent
    environment = {**os.environ, "PYTHONPATH": f"{root.parent}{os.pathsep}{root}"}
    command = [sys.executable, "-c", code, source, json.dumps(plans)]
    subprocess.run(command, cwd=root, env=environment, check=True, timeout=120)


def be_killed(source, plans):
    """Write outputs, each in a child that is killed; the first one is not.

    A plan is the output and a moment: seconds, a share of the steps until the last renaming, or
    steps after that one.
    """
    os.fsync = lambda descriptor: None
    steps, renaming = [], 0
    for out, kind, amount in json.loads(plans):
        last = {
            "whole": 0,
            "seconds": 0,
            "share": 1 + int(amount * (renaming - 1)),
            "after renaming": renaming + amount,
        }[kind]
        child = os.fork()  # no thread runs here
        if child:
            if kind == "seconds":
                time.sleep(amount)
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            if kind == "whole":
                steps = json.loads(Path(f"{out}.steps").read_text())
                renaming = max(n for n, event in enumerate(steps, 1) if event == "os.rename")
            continue
        seen = watched_steps(last, str(Path(out).parent))
        write(output_of(source, out, overwrite=True))
        if kind == "whole":
            Path(f"{out}.steps").write_text(json.dumps(seen))
        os._exit(0)


def watched_steps(last, folder):
    """Return a list of all that this process opens, renames or removes; kill it at the last."""
    watched = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
    seen = []

    def hook(event, args):
        if event in watched and (str(args[0]).startswith(folder) or event == "os.truncate"):
            seen.append(event)
            if len(seen) == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("replaces", [False, True], ids=["new", "replacing"])
def test_a_kill_at_any_step_is_mended(tmp_path, source, undisturbed, replaces):
    """All steps were tried once: 99 for a new store, 139 to replace one. Here are some of them."""
    older = replace(output_of(source, tmp_path / "older.zarr", block=32), tags={"A": "b"})
    write(older)
    rng = random.Random(replaces)
    moments = [
        ("whole", 0),
        *(("share", rng.random()) for _ in range(10)),
        *(("after renaming", steps) for steps in (-2, -1, 0, 1, 2, 5)),
        *(("seconds", rng.uniform(0.001, 0.2)) for _ in range(5)),
    ]
    plans = []
    for number, moment in enumerate(moments):
        out = tmp_path / str(number) / "b.zarr"
        out.parent.mkdir()
        if replaces:
            shutil.copytree(older.path, out)
        plans.append((str(out), *moment))
    killed_runs(source, plans)
    (tmp_path / "0" / "b.zarr.steps").unlink()
    old, resumed, aside = files_of(older.path), 0, 0
    for out, *_ in plans:
        there = files_of(out) if os.path.exists(out) else None
        assert there in (undisturbed, old if replaces else None, None)
        if replaces and there is None:  # killed between the two renames
            aside += 1
            assert files_of(f"{out}.part.old") == old
        done, _, _ = write(output_of(source, out, overwrite=True))
        resumed += len(done) > 0
        left = files_of(Path(out).parent)
        assert left == {f"b.zarr/{name}": undisturbed[name] for name in undisturbed}
    assert resumed >= 5
    assert aside >= replaces
