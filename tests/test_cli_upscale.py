"""``geosr upscale`` for real, with classical kernels: what it makes and says."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import rasterio
from cli_scenes import files, make_raster, run

from geosr.core.events import parse_event


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Make ``in.tif`` and go there; return its values."""
    monkeypatch.chdir(tmp_path)
    return make_raster("in.tif")


def test_nearest_repeats_each_pixel_in_the_same_place(scene):
    result = run("upscale", "in.tif", "out.tif", "-m", "nearest", "-f", "3")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    with rasterio.open("in.tif") as src, rasterio.open("out.tif") as dst:
        np.testing.assert_array_equal(dst.read(), scene.repeat(3, 1).repeat(3, 2))
        assert dst.bounds == src.bounds
        assert (dst.crs, dst.nodata, dst.dtypes) == (src.crs, src.nodata, src.dtypes)
    assert sorted(files()) == ["in.tif", "out.tif"]


def test_bands_bounds_and_dtype(scene):
    bounds = (500100, 4999700, 500200, 4999900)
    args = ("-m", "nearest", "-b", "3,1", "--bounds", *bounds, "-t", "float32", "--nodata", "nan")
    result = run("upscale", "in.tif", "out.tif", *args)
    assert result.exit_code == 0, result.stderr
    with rasterio.open("out.tif") as dst:
        expected = scene[[2, 0], 10:30, 10:20].repeat(2, 1).repeat(2, 2)
        np.testing.assert_array_equal(dst.read(), expected.astype("float32"))
        assert tuple(dst.bounds) == bounds
        assert np.isnan(dst.nodata)


def test_creation_options_and_resolution(scene):
    args = ("-m", "bicubic", "--resolution", "4", "--co", "compress=deflate")
    result = run("upscale", "in.tif", "out.tif", *args)
    assert result.exit_code == 0, result.stderr
    with rasterio.open("out.tif") as dst:
        assert dst.res == (4, 4)
        assert dst.compression.value.lower() == "deflate"


def test_the_tile_size_changes_nothing(scene):
    for tile_size in (9, 16, 64):
        args = ("-m", "lanczos", "--tile-size", tile_size, "--overwrite")
        assert run("upscale", "in.tif", "out.tif", *args).exit_code == 0
        with rasterio.open("out.tif") as dst:
            values = dst.read()
        if tile_size == 9:
            first = values
        np.testing.assert_array_equal(values, first)


def test_the_summary_says_what_was_made(scene):
    text = run("upscale", "in.tif", "out.tif", "-m", "bicubic-x4").stdout
    assert "out.tif" in text
    assert "176 x 160 pixels" in text
    assert "10 x 10 to 2.5 x 2.5" in text
    assert "bicubic-x4" in text
    assert re.search(r"[\d.]+ s, [\d.]+ Mpx/s", text)


def test_the_events_of_a_run(scene):
    args = ("-m", "bicubic", "--tile-size", "16", "--progress", "json")
    result = run("upscale", "in.tif", "out.tif", *args)
    assert result.exit_code == 0, result.stderr
    events = [parse_event(line) for line in result.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "result"
    assert kinds.count("result") == kinds.count("start") == 1
    assert set(kinds) <= {"start", "phase", "progress", "log", "result"}
    done = [(event["done"], event["total"]) for event in events if event["event"] == "progress"]
    tiles = events[0]["tiles"]
    assert tiles > 4
    assert done == sorted(done)
    assert done[-1] == (tiles, tiles)
    assert (events[-1]["width"], events[-1]["height"]) == (88, 80)
    assert events[-1]["output"] == "out.tif"
    assert events[-1]["stats"]["model"] == "bicubic-x2"
    assert events[-1]["stats"]["factor"] == 2


def test_a_dry_run_writes_nothing_and_agrees_with_the_run(scene):
    args = ("upscale", "in.tif", "out.tif", "-m", "bicubic-x3", "--tile-size", "16")
    before = files()
    text = run(*args, "--dry-run")
    assert text.exit_code == 0, text.stderr
    assert "132 x 120" in text.stdout
    plan = parse_event(run(*args, "--dry-run", "--progress", "json").stdout)["plan"]
    assert files() == before
    events = [parse_event(line) for line in run(*args, "--progress", "json").stdout.splitlines()]
    assert (plan["width"], plan["height"]) == (events[-1]["width"], events[-1]["height"])
    assert plan["tiles"] == events[0]["tiles"]
    with rasterio.open("out.tif") as dst:
        assert plan["bounds"] == list(dst.bounds)
        assert plan["transform"] == list(dst.transform)[:6]
    assert plan["ram_bytes"] > 0
    assert plan["disk_bytes"] >= dst.width * dst.height * 3 * 2


def test_info_of_a_raster(scene):
    facts = json.loads(run("info", "in.tif", "--json").stdout)
    assert (facts["width"], facts["height"], facts["bands"]) == (44, 40, 3)
    assert facts["bounds"] == [500000, 4999600, 500440, 5000000]
    assert facts["upscalable"] is True
    lines = dict(line.split(maxsplit=1) for line in run("info", "in.tif").stdout.splitlines())
    assert lines["Size"] == "44 x 40 pixels, 3 bands"
    assert lines["CRS"] == "WGS 84 / UTM zone 32N"
    assert lines["Nodata"] == "0"
    assert lines["Pixel"] == "size  10 x 10"
    assert lines["Upscalable"] == "yes"


def test_info_says_why_a_raster_cannot_be_upscaled(scene):
    with rasterio.open("in.tif") as src:
        profile = {**src.profile, "count": 1, "dtype": "uint8"}
    with rasterio.open("classes.tif", "w", **profile) as dst:
        dst.write_colormap(1, {1: (255, 0, 0)})
    lines = dict(line.split(maxsplit=1) for line in run("info", "classes.tif").stdout.splitlines())
    assert lines["Upscalable"].startswith("no: ")
    assert "colour table" in lines["Upscalable"]
