"""Cloud-optimised GeoTIFFs as files: options, other readers, metadata, and the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
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
from rasterio.rpc import RPC
from sink_runs import as_gtiff, make_output, noise, plain_metadata, store, write

from geosr.io.cog import template
from geosr.io.facts import read_facts
from geosr.io.metadata import ControlPoint
from geosr.io.opening import open_raster
from geosr.io.sinks import open_sink

# rasterio 1.4 multiplies with a sign that affine 3 will drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]

UTM = rasterio.CRS.from_epsg(32633).to_wkt()


# Creation options, in the file


@pytest.mark.parametrize("side", [128, 256, 512])
def test_tiles_asked_for(tmp_path, side):
    output = make_output(tmp_path / "a.tif", (700, 600), block=512, tile=side)
    write(output, noise((1, 700, 600)))
    for level in range(len(levels(output.path)) - 1):
        with open_raster(output.path, OVERVIEW_LEVEL=level) as src:
            assert src.block_shapes == [(side, side)]
    with open_raster(output.path) as src:
        assert src.block_shapes == [(side, side)]


def test_no_overviews(tmp_path):
    output = make_output(tmp_path / "a.tif", SHAPE, mask=True, options={"OVERVIEWS": "NONE"})
    values, valid = scene(output, kind="mask")
    write(output, values, valid)
    check_order(output.path)
    assert len(levels(output.path)) == 1
    check_overviews(output, values, valid)


def test_levels_of_compression(tmp_path):
    sizes = {}
    values = np.add.outer(np.arange(333) % 17, np.arange(411) // 3 % 29).astype("uint16")[None]
    for method in ("DEFLATE", "ZSTD"):
        for level in (1, 9):
            asked = {"COMPRESS": method, "LEVEL": str(level)}
            output = make_output(tmp_path / "a.tif", SHAPE, options=asked, overwrite=True)
            write(output, values)
            sizes[method, level] = Path(output.path).stat().st_size
    assert sizes["DEFLATE", 9] < sizes["DEFLATE", 1]
    assert sizes["ZSTD", 9] < sizes["ZSTD", 1]


@pytest.mark.parametrize(
    ("bigtiff", "raw", "magic"),
    [
        ("YES", 1, b"II+\0"),
        ("NO", 1, b"II*\0"),
        ("IF_NEEDED", 1, b"II*\0"),
        ("IF_SAFER", 2_000_000_001, b"II+\0"),
        ("IF_NEEDED", 2_000_000_001, b"II+\0"),
    ],
)
def test_bigtiff(tmp_path, monkeypatch, bigtiff, raw, magic):
    """``raw``: bytes of pixels; the limit is brought down to what the raster has."""
    monkeypatch.setattr(template, "_CLASSIC_LIMIT", 333 * 411 * 2 - (raw > 1))
    output = make_output(tmp_path / "a.tif", SHAPE, mask=True, options={"BIGTIFF": bigtiff})
    values, valid = scene(output, kind="mask")
    write(output, values, valid)
    assert Path(output.path).read_bytes()[:4] == magic
    check_valid(output.path)
    check_overviews(output, values, valid)


def test_tiles_beyond_4_gb(tmp_path):
    """Behind a hole, which takes no room on the disk."""
    output = make_output(tmp_path / "a.tif", SHAPE, mask=True, options={"BIGTIFF": "YES"})
    values, valid = scene(output, kind="mask")
    with open_sink(output) as sink:
        sink._end = 5 << 30
        for block in output.blocks.blocks():
            store(sink, block, values, valid)
    check_overviews(output, values, valid)
    with open_raster(output.path) as src:
        assert int(src.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", bidx=1)) > 5 << 30
    (tmp_path / "a.tif").unlink()


def test_a_classic_file_does_not_outgrow_its_offsets(tmp_path, monkeypatch):
    monkeypatch.setattr("geosr.io.cog.sink._CLASSIC_BYTES", 100_000)
    output = make_output(tmp_path / "a.tif", SHAPE, options={"BIGTIFF": "NO"})
    with pytest.raises(OSError, match="outgrows") as caught:
        write(output, noise((1, *SHAPE)))
    assert "BIGTIFF=YES" in caught.value.hint
    assert not Path(output.path).exists()
    again = make_output(tmp_path / "a.tif", SHAPE, options={"BIGTIFF": "YES"}, resume=False)
    write(again, noise((1, *SHAPE)))


# Other readers


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("interleave", ["PIXEL", "BAND"])
@pytest.mark.parametrize("predictor", ["NO", "YES"])
def test_tifffile_reads_the_same(tmp_path, dtype, interleave, predictor):
    tifffile = pytest.importorskip("tifffile")
    asked = {"COMPRESS": "DEFLATE", "INTERLEAVE": interleave, "PREDICTOR": predictor}
    output = make_output(
        tmp_path / "a.tif", SHAPE, bands=3, dtype=dtype, mask=True, options=asked, colours=None
    )
    values, valid = scene(output, kind="mask")
    write(output, values, valid)
    wanted = levels(output.path)
    with tifffile.TiffFile(output.path) as tiff:
        assert len(tiff.pages) == 2 * len(wanted)
        for page, (pixels, mask) in enumerate(wanted):
            seen = tiff.pages[2 * page]
            try:
                read = seen.asarray()
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                pytest.skip(str(error))
            if interleave == "PIXEL":
                read = np.moveaxis(read, -1, 0)
            np.testing.assert_array_equal(read, pixels)
            assert (tiff.pages[2 * page + 1].asarray() == (mask[0] != 0)).all()


@pytest.mark.skipif(not shutil.which("gdalinfo"), reason="gdal-bin is not here")
@pytest.mark.parametrize("kind", ["none", "nodata", "mask", "nodata and mask", "alpha"])
def test_an_older_gdal_reads_the_same(tmp_path, kind):
    output = make_output(tmp_path / "a.tif", SHAPE, bands=4, options={"COMPRESS": "DEFLATE"},
                         **KINDS[kind])  # fmt: skip
    values, valid = scene(output, kind=kind)
    plain = as_gtiff(output, tmp_path / "b.tif")
    write(output, values, valid)
    write(plain, values, valid)
    told = []
    for path in (output.path, plain.path):
        done = subprocess.run(
            ["gdalinfo", "-json", "-checksum", "-mdd", "all", path],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        info = json.loads(done.stdout)
        for band in info["bands"]:
            overviews = [tuple(overview["size"]) for overview in band.pop("overviews", [])]
            (band.get("mask") or {}).pop("overviews", None)
        told.append({**info, "description": "", "files": []})
        told[-1]["metadata"].pop("DERIVED_SUBDATASETS", None)
        if path == output.path:
            assert overviews == [(206, 167), (103, 84)]
    assert told[0] == told[1]


# What the file says


CORNERS = tuple(
    ControlPoint(row, col, 10.0 + col / 100, 50.0 - row / 100, 3.0, f"p{row}", "a place")
    for row in (0.5, 300) for col in (0, 400.25)
)  # fmt: skip
HALVES = [0.5, *[0.25] * 19]
RPCS = RPC(
    height_off=1.0, height_scale=500.0, lat_off=45.0, lat_scale=0.25, long_off=7.0,
    long_scale=0.5, line_off=3.0, line_scale=4.0, samp_off=5.0, samp_scale=6.0,
    line_num_coeff=HALVES, line_den_coeff=HALVES, samp_num_coeff=HALVES, samp_den_coeff=HALVES,
    err_bias=1.5, err_rand=2.5,
)  # fmt: skip
SAID = {
    "nothing": {},
    "long": {"tags": {"": {"NOTE": "x" * 40_000}, "MINE": {f"k{n}": "ä" * 999 for n in range(60)}}},
    "words": {
        "descriptions": ("a<b>&\"'", None, "µ"),
        "units": (None, "m" * 99, "µ"),
        "scales": (0.0001, 1.0, 2.5),
        "offsets": (-0.1, 0.0, 1e6),
        "band_tags": ({"": {"wavelength": "490"}}, {}, {"SENSOR": {"gain": "2"}}),
        "colours": ("blue", "nir", "undefined"),
    },
    "tags of TIFF": {
        "tags": {
            "": {
                "TIFFTAG_DATETIME": "2020:01:01 00:00:00",
                "TIFFTAG_XRESOLUTION": "72",
                "TIFFTAG_RESOLUTIONUNIT": "2 (pixels/inch)",
                "TIFFTAG_IMAGEDESCRIPTION": "ä",
                "AREA_OR_POINT": "Point",
            }
        }
    },
    "XML": {"tags": {"xml:XMP": {"xml:XMP": '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'}}},
    "polynomials": {"rpcs": RPCS},
}


def told(output, said):
    return replace(output, metadata=replace(output.metadata, **SAID[said]), tags={"GEOSR": "1"})


@pytest.mark.parametrize("said", SAID)
def test_what_the_file_says(tmp_path, said):
    output = told(make_output(tmp_path / "a.tif", SHAPE, bands=3, mask=True), said)
    grid = replace(output.profile.grid, crs=UTM)
    output = replace(output, profile=replace(output.profile, grid=grid))
    values, valid = scene(output, kind="mask")
    plain = as_gtiff(output, tmp_path / "b.tif")
    write(output, values, valid)
    write(plain, values, valid)
    check_same(output.path, plain.path)
    check_valid(output.path)
    facts = read_facts(output.path)
    for name, value in SAID[said].items():
        found = getattr(facts.metadata, name)
        if name == "tags":
            assert found.pop("")["GEOSR"] == "1"
            value = {domain: value[domain] for domain in value if domain}
        assert found == value, name
    assert facts.grid.crs == UTM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_ground_control_points(tmp_path):
    output = make_output(tmp_path / "a.tif", SHAPE)
    metadata = replace(output.metadata, gcps=CORNERS, gcp_crs=UTM)
    profile = replace(output.profile, has_transform=False, has_gcps=True)
    output = replace(output, metadata=metadata, profile=profile)
    plain = as_gtiff(output, tmp_path / "b.tif")
    write(output, noise((1, *SHAPE)))
    write(plain, noise((1, *SHAPE)))
    check_same(output.path, plain.path)
    found = read_facts(output.path).metadata
    assert [point[:5] for point in found.gcps] == [point[:5] for point in CORNERS]
    assert rasterio.CRS.from_wkt(found.gcp_crs).to_epsg() == 32633


def test_what_gdal_keeps_beside_the_file_goes_along(tmp_path):
    """With this setting of GDAL's an XML domain goes into a file of its own."""
    output = make_output(tmp_path / "a.tif", SHAPE, overwrite=True)
    said = {"xml:ESRI": {"xml:ESRI": '<metadata>\n  <a b="c" />\n</metadata>\n'}}
    output = replace(output, metadata=replace(plain_metadata(1), tags=said))
    with rasterio.Env(ESRI_XML_PAM="YES"):
        write(output, noise((1, *SHAPE)))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "a.tif.aux.xml"]
        assert read_facts(output.path).metadata.tags == said
    write(output, noise((1, *SHAPE)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif"]
    assert read_facts(output.path).metadata.tags == said


# The same bytes, whoever encodes


def test_encoders_in_threads_make_the_same_bytes(tmp_path, monkeypatch):
    output = make_output(tmp_path / "a.tif", (700, 900), bands=3, block=256, mask=True)
    values, valid = scene(output, kind="mask")
    write(output, values, valid)
    alone = Path(output.path).read_bytes()
    for name, threads in (("1", 1), ("ALL_CPUS", 4)):
        monkeypatch.setenv("GDAL_NUM_THREADS", name)
        options = {**output.profile.creation_options, "NUM_THREADS": name}
        profile = replace(output.profile, creation_options=options)
        again = replace(output, path=str(tmp_path / f"{name}.tif"), profile=profile)
        blocks = list(again.blocks.blocks())
        with open_sink(again) as sink, ThreadPoolExecutor(threads) as pool:
            coming = [
                pool.submit(
                    sink.encode,
                    block,
                    values[(slice(None), *block.output.slices)],
                    valid[(slice(None), *block.output.slices)],
                )
                for block in blocks
            ]
            for block, encoded in zip(blocks, coming, strict=True):
                sink.commit(block, encoded.result(), {})
        assert Path(again.path).read_bytes() == alone


def test_no_valid_and_all_valid_are_the_same(tmp_path):
    output = make_output(tmp_path / "a.tif", SHAPE, mask=True)
    values = noise((1, *SHAPE))
    write(output, values)
    again = replace(output, path=str(tmp_path / "b.tif"))
    with open_sink(again) as sink:
        for block in again.blocks.blocks():
            place = slice(None), *block.output.slices
            every = np.ones(values[place].shape, bool)
            sink.commit(block, sink.encode(block, values[place], every), {})
    assert Path(again.path).read_bytes() == Path(output.path).read_bytes()


def test_a_block_out_of_turn_is_refused(tmp_path):
    output = make_output(tmp_path / "a.tif", SHAPE)
    blocks = list(output.blocks.blocks())
    with (
        pytest.raises(OSError, match="Block 1 came in place of block 0"),
        open_sink(output) as sink,
    ):
        store(sink, blocks[1], noise((1, *SHAPE)))
    assert list(tmp_path.iterdir()) == []
