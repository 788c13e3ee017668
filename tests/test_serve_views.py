"""Previews have the pixels of the whole run, whatever changed in between."""

from __future__ import annotations

import base64
import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from serving import TRANSFORM, bounds_of, noise, replaced, working, write

import geosr
from geosr.core.requests import Preview, Warm
from geosr.foreign import open_foreign
from geosr.io.opening import open_raster
from geosr.io.raster import RasterReader

VIEWS = {
    "inside": (31, 40, 25, 22),
    "first corner": (0, 0, 20, 30),
    "last corner": (71, 78, 19, 22),
    "near an edge": (2, 3, 30, 30),
    "one pixel": (44, 51, 1, 1),
    "on the hole": (40, 30, 20, 20),
    "beside the hole": (36, 20, 30, 16),
    "far inside the hole": (52, 42, 3, 3),
    "all": (0, 0, 90, 100),
}
SHAPE = (90, 100)


def with_hole(dtype="uint16", hole=0, bands=2):
    values = noise((bands, *SHAPE), dtype)
    values[:, 45:65, 36:56] = hole
    values[0, 80, 90] = hole
    return values


def rasters(kind, path):
    """Write a raster of a kind."""
    if kind == "nodata":
        write(path, with_hole(), nodata=0)
    elif kind == "NaN":
        write(path, with_hole("float32", np.nan, bands=1))
    elif kind == "float64":
        write(path, with_hole("float64", -9999.0, bands=1), nodata=-9999)
    elif kind == "mask":
        write(path, values := with_hole(bands=1))
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dst:
            dst.write_mask(values[0] != 0)
    elif kind == "alpha":
        values = with_hole(bands=4)
        values[3] = np.where(values[3] == 0, 0, 65535)
        write(path, values, photometric="RGB", alpha="YES")
    return path


@pytest.fixture(scope="module")
def whole_runs(tmp_path_factory):
    """Return a source and the whole run's output for a kind of raster and options, once."""
    folder = tmp_path_factory.mktemp("whole")
    made = {}

    def whole(kind, **options):
        key = kind + repr(options)
        if key not in made:
            src = folder / f"{kind}.tif"
            if not src.exists():
                rasters(kind, src)
            dst = folder / f"{len(made)}-out.tif"
            geosr.upscale_file(src, dst, format="gtiff", **options)
            made[key] = src, dst
        return made[key]

    return whole


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with working(tmp_path_factory.mktemp("session")) as asked:
        yield asked


def assert_is_part(event, dst_path, window):
    """Assert that a preview is a window of the whole run's output, to the last bit."""
    with rasterio.open(dst_path) as whole, rasterio.open(event["path"]) as part:
        assert part.shape == (window.height, window.width) == (event["height"], event["width"])
        assert part.crs == whole.crs
        assert part.nodata == whole.nodata or np.isnan(whole.nodata)
        assert part.dtypes == whole.dtypes
        assert part.colorinterp == whole.colorinterp
        assert part.mask_flag_enums == whole.mask_flag_enums
        assert part.transform.almost_equals(moved(whole.transform, window), 1e-9)
        assert tuple(event["transform"]) == tuple(part.transform)[:6]
        np.testing.assert_array_equal(part.read(), whole.read(window=window))
        np.testing.assert_array_equal(part.read_masks(), whole.read_masks(window=window))


def moved(transform, window):
    return transform @ Affine.translation(window.col_off, window.row_off)


def scaled(view, factor):
    row, col, height, width = view
    return Window(col * factor, row * factor, width * factor, height * factor)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("nodata", {"model": "geosr-lite-x2"}),
        ("nodata", {"model": "lanczos-x3"}),
        ("NaN", {"model": "geosr-lite-x2"}),
        ("float64", {"model": "geosr-lite-x3", "consistency": False}),
        ("mask", {"model": "geosr-lite-x4"}),
        ("alpha", {"model": "bicubic-x2"}),
        ("nodata", {"model": "bicubic-x2", "indexes": (2,), "dtype": "float32", "nodata": -1.0}),
    ],
    ids=lambda value: value if isinstance(value, str) else value["model"],
)
def test_a_preview_is_what_the_whole_run_has_there(whole_runs, worker, kind, options, view):
    src, dst = whole_runs(kind, **options)
    event = worker.preview(src, bounds_of(*VIEWS[view]), **options)
    factor = event["stats"]["factor"]
    assert_is_part(event, dst, scaled(VIEWS[view], factor))
    assert event["stats"]["notes"] == []


def test_bounds_have_the_same_pixels(whole_runs, worker, tmp_path):
    """A run with ``--bounds`` makes what its preview has shown."""
    src, _ = whole_runs("nodata", model="geosr-lite-x2")
    view = VIEWS["near an edge"]
    cut = tmp_path / "cut.tif"
    geosr.upscale_file(src, cut, model="geosr-lite-x2", bounds=bounds_of(*view))
    event = worker.preview(src, bounds_of(*view), model="geosr-lite-x2")
    with rasterio.open(event["path"]) as preview, rasterio.open(cut) as part:
        np.testing.assert_array_equal(part.read(), preview.read())


def test_several_blocks_make_a_preview(tmp_path, monkeypatch):
    monkeypatch.setattr("geosr.planning.block_side", lambda *_, **__: 16)
    src = rasters("nodata", tmp_path / "in.tif")
    geosr.upscale_file(src, tmp_path / "out.tif", format="gtiff", model="lanczos-x2")
    with working(tmp_path) as worker:
        event = worker.preview(src, bounds_of(21, 37, 40, 50), model="lanczos-x2")
        assert event["stats"]["tiles"] == 12  # one in each block: 3 rows, 4 columns
        assert_is_part(event, tmp_path / "out.tif", scaled((21, 37, 40, 50), 2))


@pytest.mark.parametrize("resolution", [4.0, 7.3])
@pytest.mark.parametrize("view", ["inside", "last corner", "on the hole", "all"])
def test_a_preview_of_another_pixel_size_is_part_of_the_whole_run(
    whole_runs, worker, resolution, view
):
    options = {"model": "bicubic", "resolution": resolution}
    src, dst = whole_runs("nodata", **options)
    bounds = bounds_of(*VIEWS[view])
    event = worker.preview(src, bounds, **options)
    with rasterio.open(dst) as whole:
        col, row = map(int, ~whole.transform @ (bounds[0], bounds[3]))
    window = Window(col, row, event["width"], event["height"])
    assert_is_part(event, dst, window)
    west, south, east, north = event["bounds"]
    inside = TRANSFORM @ (SHAPE[1], SHAPE[0])
    assert west <= bounds[0] < west + resolution
    assert north - resolution < bounds[3] <= north
    assert east >= min(bounds[2], inside[0] - resolution)
    assert south <= max(bounds[1], inside[1] + resolution)


@pytest.mark.parametrize("network", ["convolutions", "strided", "pooled"])
def test_networks_without_a_card_give_what_the_whole_run_gives(tmp_path, network):
    networks = pytest.importorskip("foreign_networks", reason="making a network needs onnx")
    src = write(tmp_path / "in.tif", noise((1, 300, 330), "float32"))
    model = str(getattr(networks, network)(tmp_path / "network.onnx"))
    geosr.upscale_file(src, tmp_path / "out.tif", format="gtiff", model=model)
    with working(tmp_path) as worker:
        for view in ((101, 99, 60, 75), (0, 0, 30, 30), (281, 313, 19, 17)):
            event = worker.preview(src, bounds_of(*view), model=model)
            assert_is_part(event, tmp_path / "out.tif", scaled(view, event["stats"]["factor"]))
            said = any("tiles of 256 pixels, as here" in n for n in event["stats"]["notes"])
            assert said == (network == "pooled")


def test_a_network_without_a_card_is_probed_once(tmp_path, monkeypatch):
    networks = pytest.importorskip("foreign_networks", reason="making a network needs onnx")
    probed = []
    monkeypatch.setattr(
        "geosr.loaded.open_foreign", lambda *a, **k: probed.append(a) or open_foreign(*a, **k)
    )
    model = str(networks.convolutions(tmp_path / "network.onnx"))
    with working(tmp_path) as worker:
        event = worker.ask(Warm(1, bands=2, options={"model": model}))
        assert (event["event"], event["model"]) == ("warm", "network.onnx")
        for name, size in (("a.tif", 40), ("b.tif", 50)):
            src = write(tmp_path / name, noise((2, size, size)))
            worker.preview(src, bounds_of(1, 1, 20, 20), model=model)
    assert len(probed) == 1


def test_control_points_move_with_the_view(tmp_path, worker):
    points = [
        GroundControlPoint(row, col, col * 10.0, -row * 10.0)
        for row, col in ((0, 0), (0, 50), (40, 0), (40, 50))
    ]
    src = tmp_path / "in.tif"
    with rasterio.open(
        src, "w", driver="GTiff", count=1, height=40, width=50, dtype="uint8", gcps=points,
        crs="EPSG:32632",
    ) as dst:  # fmt: skip
        dst.write(noise((1, 40, 50), "uint8"))
    event = worker.preview(src, (10, 5, 30, 25), model="nearest-x2")  # rows run southwards, +y
    assert event["transform"] is None
    with rasterio.open(event["path"]) as part:
        assert {(p.row, p.col) for p in part.gcps[0]} == {
            (2.0 * row - 10, 2.0 * col - 20) for row in (0, 40) for col in (0, 50)
        }


def test_bounds_may_be_in_another_crs(whole_runs, worker):
    src, _ = whole_runs("nodata", model="nearest-x2")
    bounds = transform_bounds("EPSG:32632", "EPSG:4326", *bounds_of(30, 40, 20, 10))
    asked = Preview(9, str(src), bounds, "EPSG:4326", options={"model": "nearest"})
    event = worker.ask(asked)
    west, south, east, north = bounds_of(30, 40, 20, 10)
    assert event["bounds"][0] <= west
    assert event["bounds"][1] <= south
    assert event["bounds"][2] >= east
    assert event["bounds"][3] >= north
    assert event["width"] < 40


def test_a_preview_may_come_as_bytes(whole_runs, worker, tmp_path):
    src, dst = whole_runs("nodata", model="lanczos-x3")
    view = VIEWS["inside"]
    options = {"model": "lanczos-x3"}
    event = worker.ask(Preview(1, str(src), bounds_of(*view), answer="bytes", options=options))
    assert "path" not in event
    path = tmp_path / "part.tif"
    path.write_bytes(base64.b64decode(event["bytes"]))
    assert_is_part({**event, "path": path}, dst, scaled(view, 3))
    assert not [name for name in worker.worker._folder._path.iterdir() if path.stem in name.name]


def test_a_raster_is_neither_opened_nor_planned_twice(tmp_path, monkeypatch):
    opened = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: opened.append(a[0]) or real(*a, **k))
    src = rasters("nodata", tmp_path / "in.tif")
    with working(tmp_path) as worker:
        worker.preview(src, bounds_of(10, 10, 20, 20), model="bicubic-x2")
        assert opened.count(str(src)) == 2  # for its facts, and for its pixels
        worker.preview(src, bounds_of(30, 30, 20, 20), model="bicubic-x2")
        worker.preview(src, bounds_of(31, 35, 20, 20), model="bicubic-x2")
        assert opened.count(str(src)) == 2


def test_a_network_is_compiled_once_for_views_of_all_sizes(tmp_path, monkeypatch):
    from geosr.runtimes.openvino import OpenVinoNetwork

    shapes = []
    real = OpenVinoNetwork._compile
    monkeypatch.setattr(
        OpenVinoNetwork, "_compile", lambda self, shape: shapes.append(shape) or real(self, shape)
    )
    small = write(tmp_path / "a.tif", noise((1, 60, 70)))
    large = write(tmp_path / "b.tif", noise((3, 310, 290)))
    with working(tmp_path) as worker:
        event = worker.ask(Warm(0, options={"model": "geosr-lite-x2"}))
        assert (event["event"], event["model"]) == ("warm", "geosr-lite-x2")
        assert len(set(shapes)) == 1
        views = ((small, (0, 0, 60, 70)), (small, (3, 4, 5, 6)), (large, (0, 7, 300, 250)))
        for source, view in views:
            worker.preview(source, bounds_of(*view), model="geosr-lite", upscale_factor=2)
    assert len(set(shapes)) == 1


def test_a_source_that_was_replaced_is_noticed(tmp_path):
    first, second = noise((1, 40, 50), seed=1), noise((1, 40, 50), seed=2)
    src = write(tmp_path / "in.tif", first)
    with working(tmp_path) as worker:
        for values in (first, second):
            event = worker.preview(src, bounds_of(5, 6, 7, 8), model="nearest-x2")
            with rasterio.open(event["path"]) as part:
                shown = part.read()[:, ::2, ::2]
            np.testing.assert_array_equal(shown, values[:, 5:12, 6:14])
            if values is first:
                replaced(src, second)


@pytest.mark.parametrize("how", ["in place", "its mask", "its place"])
def test_a_source_that_was_changed_is_noticed(tmp_path, how):
    values = noise((1, 40, 50))
    placed = {"transform": None, "crs": None} if how == "its place" else {}
    src = write(tmp_path / "in.tif", values, **placed)
    box = (6, 5, 14, 12) if placed else bounds_of(5, 6, 7, 8)
    with working(tmp_path.parent) as worker:
        before = worker.preview(src, box, model="nearest-x2")
        if how == "in place":
            with rasterio.open(src, "r+") as dst:
                dst.write(values + 1)
        elif how == "its mask":
            with rasterio.open(src, "r+") as dst:
                dst.write_mask(np.zeros((40, 50), bool))
        else:
            src.with_suffix(".tfw").write_text("2\n0\n0\n2\n1\n1\n")
        after = worker.preview(src, box, model="nearest-x2")
        with open_raster(before["path"]) as old, open_raster(after["path"]) as new:
            assert old.dataset_mask().all()
            if how == "in place":
                np.testing.assert_array_equal(new.read(), old.read() + 1)
            elif how == "its mask":
                assert not new.dataset_mask().any()
            else:
                assert (before["transform"], after["transform"][0]) == (None, 1.0)


@pytest.fixture
def touched(monkeypatch):
    """Return a list of files that change whenever pixels are read."""
    files = []
    real = RasterReader.read

    def read(self, window):
        values = real(self, window)
        for path in files:
            os.utime(path, ns=(1, 1))
        return values

    monkeypatch.setattr(RasterReader, "read", read)
    return files


def test_statistics_may_be_written_meanwhile(tmp_path, touched):
    """QGIS does so when it shows a raster for the first time."""
    src = write(tmp_path / "in.tif", noise((1, 40, 50)))
    statistics = tmp_path / "in.tif.aux.xml"
    statistics.write_text("<PAMDataset/>")
    touched.append(statistics)
    with working(tmp_path) as worker:
        for _ in range(2):
            worker.preview(src, bounds_of(5, 6, 7, 8))


def test_a_source_that_changes_while_it_is_read_gives_no_preview(tmp_path, touched):
    src = write(tmp_path / "in.tif", noise((1, 40, 50)))
    touched.append(src)
    with working(tmp_path) as worker:
        event = worker.ask(Preview(1, str(src), bounds_of(5, 6, 7, 8)))
        assert (event["event"], event["code"]) == ("error", "input.unreadable")
        assert "changed" in event["message"]
        folder = worker.worker._folder._path
        assert [path.name for path in folder.iterdir()] == ["owner.lock"]
