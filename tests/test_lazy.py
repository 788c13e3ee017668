"""Lazy arrays: the pixels, place and attributes of `upscale_file`, however they are chunked."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import dask
import dask.array
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint

import geosr
from geosr.core.catalog import shipped_models
from geosr.core.errors import BandError, OptionError, PredictionError, UnsupportedRasterError
from geosr.core.facts import kernel_facts
from geosr.lazy import blocks
from geosr.predictors import Machinery

# rioxarray multiplies affine transforms in a way that affine 3 wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

NORTH_UP = rasterio.Affine(10.0, 0, 437240.0, 0, -10.0, 5391730.0)
THIRDS = rasterio.Affine(0.1, 0, -70.3, 0, -0.1, 12.7)
ROTATED = NORTH_UP @ rasterio.Affine.rotation(30) @ rasterio.Affine.scale(1, 2)
CHUNKS = {
    "none": None,
    "odd": {"band": 1, "y": 17, "x": 23},
    "smaller than the halo": {"band": 3, "y": 2, "x": 50},
    "uneven": {"y": (1, 30, 6), "x": (7, 38, 5)},
}


@dataclass(frozen=True)
class Wide:
    """A network stand-in that looks 9 pixels around it, by sums that the order cannot change."""

    facts: object = replace(kernel_facts("bicubic", 2), radius=9, consistency="block-mean")

    def predict(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, (19, 19), axis=(1, 2))
        centre, corner = windows[..., 9, 9], windows[..., 0, 18]
        spread = windows.max(axis=(-2, -1)) - centre
        tilt = (corner - centre) / 8
        return np.stack([centre + tilt, centre - spread / 3, centre + spread / 4, centre], axis=1)


@pytest.fixture
def wide(monkeypatch):
    """Have the model named bicubic-x2 look 9 pixels around."""
    blocks._load.cache_clear()
    for module in ("geosr.planning", "geosr.lazy.array"):
        monkeypatch.setattr(f"{module}.find_model", lambda *args, **kwargs: Wide().facts)
    for module in ("geosr.loaded", "geosr.lazy.blocks"):
        monkeypatch.setattr(f"{module}.load_predictor", lambda *args, **kwargs: Wide())
    yield
    blocks._load.cache_clear()


def picture(shape=(3, 37, 50), dtype="uint16", seed=0):
    values = np.random.default_rng(seed).normal(2000, 700, shape)
    return np.clip(values, 1, 4000).astype(dtype)


def wedge(shape):
    """Return a hole that cuts across chunks, and one pixel inside the rest."""
    hole = np.add.outer(np.arange(shape[-2]), np.arange(shape[-1])) < 30
    hole[-5, -7] = True
    return hole


def uint16_with_wedge():
    pixels = picture()
    pixels[:, wedge(pixels.shape)] = 0
    return pixels, {"nodata": 0}


def float32_with_nan():
    pixels = picture(dtype="float32") / 4000
    pixels[0, wedge(pixels.shape)] = np.nan
    pixels[1, 3, 40] = np.inf
    return pixels, {}


def float32_with_value():
    pixels = picture(dtype="float32")
    pixels[:, wedge(pixels.shape)] = -9999
    return pixels, {"nodata": -9999}


def int32_without_holes():
    return picture(dtype="int32") * 100_000 - 200_000_000, {}


RASTERS = {
    make.__name__: make
    for make in (uint16_with_wedge, float32_with_nan, float32_with_value, int32_without_holes)
}


def write(path, pixels, transform=NORTH_UP, crs="EPSG:32633", **profile):
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width,
        dtype=pixels.dtype, transform=transform, crs=crs, **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.descriptions = [f"band {n}" for n in range(1, count + 1)]
        dst.scales, dst.offsets = [0.0001] * count, [-0.1] * count
        dst.update_tags(SENSOR="invented", STATISTICS_MEAN="12")
    return path


def finer_file(path, **options):
    """Upscale a file; return the result as rioxarray opens it."""
    finer = path.with_name("finer.tif")
    geosr.upscale_file(path, finer, overwrite=True, **options)
    return rioxarray.open_rasterio(finer)


def opened(path, chunks=None, **options):
    raster = rioxarray.open_rasterio(path, **options)
    return raster if chunks is None else raster.chunk(chunks)


def array(shape=(2, 20, 30), dims=("band", "y", "x"), **attrs):
    """Return an array with coordinates as rioxarray gives them, without its file."""
    coords = {
        dims[-2]: 995 - 10.0 * np.arange(shape[-2]),
        dims[-1]: 5 + 10.0 * np.arange(shape[-1]),
    }
    return xarray.DataArray(picture(shape), coords, dims, attrs=attrs)


def same_pixels(got, want):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.values, want.values)


def same_place(got, want):
    for name in ("x", "y", "xc", "yc"):
        assert (name in got.coords) == (name in want.coords)
        if name in got.coords:
            np.testing.assert_array_equal(got[name].values, want[name].values)
            assert got[name].dims == want[name].dims
    assert got.spatial_ref.attrs == want.spatial_ref.attrs
    assert got.rio.transform() == want.rio.transform()
    assert got.rio.crs == want.rio.crs


# --- the pixels of upscale_file ---


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("make", RASTERS.values(), ids=RASTERS)
def test_pixels_and_place_are_the_files(tmp_path, make, chunks):
    pixels, profile = make()
    path = write(tmp_path / "source.tif", pixels, **profile)
    want = finer_file(path, model="lanczos", upscale_factor=3)
    got = geosr.upscale(opened(path, chunks), model="lanczos", upscale_factor=3)
    same_pixels(got, want)
    same_place(got, want)
    np.testing.assert_array_equal(got.rio.nodata, want.rio.nodata)
    assert got.dims == want.dims
    np.testing.assert_array_equal(got.band, want.band)


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("make", RASTERS.values(), ids=RASTERS)
def test_pixels_are_the_files_where_the_halo_is_wider(tmp_path, wide, make, chunks):
    pixels, profile = make()
    path = write(tmp_path / "source.tif", pixels, **profile)
    want = finer_file(path, model="bicubic", tile_size=31)
    got = geosr.upscale(opened(path, chunks), model="bicubic")
    same_pixels(got, want)
    if pixels.dtype.kind == "u":
        sums = got.values.reshape(3, 37, 2, 50, 2).sum(axis=(2, 4), dtype=int)
        np.testing.assert_array_equal(sums[pixels != 0], 4 * pixels.astype(int)[pixels != 0])


@pytest.mark.parametrize("chunks", [CHUNKS["none"], CHUNKS["odd"]], ids=["none", "odd"])
def test_pixels_are_the_files_with_a_shipped_network(tmp_path, chunks):
    if not any(facts.name == "geosr-lite-x2" for facts in shipped_models()):
        pytest.skip("the weights of geosr-lite are not here")
    pixels, profile = uint16_with_wedge()
    path = write(tmp_path / "source.tif", pixels, **profile)
    want = finer_file(path, model="geosr-lite-x2", precision="float32")
    got = geosr.upscale(opened(path, chunks), model="geosr-lite-x2", precision="float32")
    same_pixels(got, want)
    assert (got.values != geosr.upscale(opened(path), model="bicubic").values).any()


@pytest.mark.parametrize("chunks", [CHUNKS["none"], CHUNKS["odd"], {"y": 5, "x": 9}], ids=str)
@pytest.mark.parametrize(
    ("build", "facts", "options"),
    [
        ("convolutions", {}, {}),
        ("convolutions", {"bands": 3}, {}),  # seen together
        ("strided", {}, {}),  # on a grid of two pixels, which chunks need not keep to
        ("pooled", {}, {"tile_size": 50, "consistency": False}),  # blended tiles
    ],
)
def test_pixels_are_the_files_with_a_users_network(tmp_path, build, facts, options, chunks):
    networks = pytest.importorskip("foreign_networks")
    model = str(getattr(networks, build)(tmp_path / "own.onnx", **facts))
    pixels, profile = uint16_with_wedge()
    path = write(tmp_path / "source.tif", pixels, **profile)
    options = {"model": model, "model_range": (0, 4000), **options}
    want = finer_file(path, **options)
    got = geosr.upscale(opened(path, chunks), **options)
    same_pixels(got, want)
    assert (got.values != pixels.repeat(2, -1).repeat(2, -2)).mean() > 0.5


@settings(max_examples=40)
@given(data=st.data())
def test_chunks_and_dimension_order_change_nothing(data):
    shape = tuple(data.draw(st.integers(1, 24)) for _ in range(2))
    pixels = picture((2, *shape), "float32", seed=data.draw(st.integers(0, 9)))
    holes = np.random.default_rng(data.draw(st.integers(0, 9))).random(pixels.shape) < 0.2
    pixels[holes] = np.nan
    raster = xarray.DataArray(pixels, dims=("band", "y", "x"))
    want = geosr.upscale(raster, model="lanczos").compute()
    order = data.draw(st.permutations(raster.dims))
    sides = {name: data.draw(st.integers(1, n)) for name, n in raster.sizes.items()}
    with dask.config.set(scheduler="synchronous"):
        got = geosr.upscale(raster.transpose(*order).chunk(sides), model="lanczos").compute()
    assert got.dims == tuple(order)
    np.testing.assert_array_equal(got.transpose(*raster.dims), want)


def test_more_dimensions_are_bands_too():
    pixels = picture((2, 3, 20, 30))
    raster = xarray.DataArray(pixels, dims=("time", "band", "y", "x"))
    got = geosr.upscale(raster.transpose("y", "time", "x", "band").chunk(y=7), model="bicubic")
    assert got.dims == ("y", "time", "x", "band")
    for time_ in range(2):
        want = geosr.upscale(raster[time_], model="bicubic")
        np.testing.assert_array_equal(got.isel(time=time_).transpose(*want.dims), want)
    flat = geosr.upscale(raster[1, 2], model="bicubic")
    np.testing.assert_array_equal(flat, got.isel(time=1, band=2))
    assert flat.dims == ("y", "x")


def test_bands_seen_together_stay_together(monkeypatch):
    """A model of three bands gets all three, for each time, even where they lie in three chunks."""

    class Joint:
        facts = replace(kernel_facts("nearest", 2), bands=3)

        def predict(self, x):
            assert x.shape[0] == 3
            return np.repeat((x + x.sum(axis=0))[:, None], 4, axis=1)

    blocks._load.cache_clear()
    monkeypatch.setattr("geosr.lazy.array.find_model", lambda *args: Joint.facts)
    monkeypatch.setattr(blocks, "load_predictor", lambda *args: Joint())
    pixels = picture((2, 3, 20, 30), "float32")
    raster = xarray.DataArray(pixels, dims=("time", "band", "y", "x")).transpose("y", "band", ...)
    got = geosr.upscale(raster.chunk(band=1, time=1, y=6), consistency=False)
    want = np.repeat(np.repeat(pixels + pixels.sum(axis=1, keepdims=True), 2, -1), 2, -2)
    np.testing.assert_allclose(got.transpose("time", "band", "y", "x"), want, rtol=1e-6)
    with pytest.raises(BandError, match="exactly 3 bands, not 2"):
        geosr.upscale(array())
    blocks._load.cache_clear()


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_schedulers_agree(scheduler):
    raster = array(_FillValue=0).chunk(y=9, x=11)
    with dask.config.set(scheduler=scheduler, num_workers=2):
        got = geosr.upscale(raster, model="bicubic").compute()
    one = geosr.upscale(raster.chunk(-1), model="bicubic")
    np.testing.assert_array_equal(got, one)


# --- laziness ---


def forbidden(*args, **kwargs):
    raise AssertionError("something was computed")


def test_nothing_is_computed_when_called():
    data = dask.array.map_blocks(
        forbidden, dtype="float32", chunks=((20, 15), (30,)), meta=np.empty((0, 0), "float32")
    )
    finer = geosr.upscale(xarray.DataArray(data, dims=("y", "x")), model="bicubic")
    assert finer.chunks == ((40, 30), (60,))
    assert finer.dtype == np.float32
    with pytest.raises(AssertionError, match="something was computed"):
        finer.compute()


def test_arrays_in_memory_and_unread_files_become_lazy(tmp_path, monkeypatch):
    assert geosr.upscale(array(), model="bicubic").chunks is not None
    path = write(tmp_path / "source.tif", picture())
    raster = rioxarray.open_rasterio(path)
    with monkeypatch.context() as patched:
        patched.setattr("rioxarray._io.RasterioArrayWrapper.__getitem__", forbidden)
        finer = geosr.upscale(raster, model="nearest")
    np.testing.assert_array_equal(finer, picture().repeat(2, -1).repeat(2, -2))


def test_a_part_is_computed_from_its_surroundings_only():
    touched = []

    def read(block_info=None):
        touched.append(tuple(block_info[None]["chunk-location"]))
        return np.ones((10, 10), "float32")

    data = dask.array.map_blocks(
        read, dtype="float32", chunks=((10,) * 9, (10,) * 9), meta=np.empty((0, 0), "float32")
    )
    finer = geosr.upscale(xarray.DataArray(data, dims=("y", "x")), model="lanczos")
    corner = finer[80:100, 80:100].compute(scheduler="synchronous")
    assert (corner == 1).all()
    assert sorted(touched) == [(y, x) for y in (3, 4, 5) for x in (3, 4, 5)]


def test_chunks_grow_with_the_pixels_up_to_a_limit():
    raster = xarray.DataArray(dask.array.zeros((100, 90), chunks=(60, 50)), dims=("y", "x"))
    assert geosr.upscale(raster, model="nearest-x3").chunks == ((180, 120), (150, 120))
    with dask.config.set({"array.chunk-size": "100 kB"}):  # 180 x 150 float64 are 216 kB
        assert geosr.upscale(raster, model="nearest-x3").chunks == (
            (90, 90, 90, 30),
            (75, 75, 75, 45),
        )


def test_the_graph_holds_no_weights_and_its_names_tell_what_differs():
    raster = array().chunk(y=9)
    one, two, other = (
        geosr.upscale(raster, model=model) for model in ("bicubic", "bicubic", "lanczos")
    )
    assert one.data.name == two.data.name != other.data.name
    assert geosr.upscale(raster, model="bicubic", dtype="float32").data.name != one.data.name
    (task,) = [task for key, task in one.data.dask.items() if key == (one.data.name, 0, 0, 0)]
    assert len(pickle.dumps(task)) < 4000


def test_a_process_loads_the_model_once(monkeypatch):
    loads = []

    def slow(facts, machinery):
        loads.append(machinery.threads)
        time.sleep(0.1)
        return Wide()

    blocks._load.cache_clear()
    monkeypatch.setattr(blocks, "load_predictor", slow)
    monkeypatch.setattr(blocks.os, "cpu_count", lambda: 5)
    network = blocks.Network(Wide().facts.to_card(), Machinery("numpy", "cpu", "float32", 64))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: network.load(), range(8)))
    assert loads == [5]  # as many streams as *this* machine has processors
    assert all(predictor is found[0] for predictor in found)
    blocks._load.cache_clear()


def test_errors_reach_the_caller_whole(monkeypatch):
    class Broken(Wide):
        def predict(self, x):
            return Wide().predict(x) * np.nan

    monkeypatch.setattr(blocks, "load_predictor", lambda *args: Broken())
    blocks._load.cache_clear()
    with pytest.raises(PredictionError) as caught:
        geosr.upscale(array(), model="bicubic").compute()
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint != ""
    blocks._load.cache_clear()


# --- dimensions and bands ---


@pytest.mark.parametrize("names", [("y", "x"), ("latitude", "longitude"), ("lat", "lon")])
def test_rows_and_columns_are_known_by_name(names):
    raster = array(dims=("band", *names))
    got = geosr.upscale(raster.transpose(names[1], "band", names[0]), model="bicubic")
    want = geosr.upscale(array(), model="bicubic")
    np.testing.assert_array_equal(got.transpose("band", *names), want)
    np.testing.assert_array_equal(got[names[0]], want.y)


def test_rows_and_columns_are_known_by_cf_attributes():
    raster = array(dims=("band", "north", "east"))
    raster.north.attrs["axis"] = "Y"
    raster.east.attrs["standard_name"] = "projection_x_coordinate"
    got = geosr.upscale(raster, model="bicubic")
    np.testing.assert_array_equal(got, geosr.upscale(array(), model="bicubic"))
    assert got.north.attrs == {"axis": "Y"}
    with pytest.raises(UnsupportedRasterError, match="band, north, east") as caught:
        geosr.upscale(raster.drop_vars("north"), model="bicubic")
    assert "rename" in caught.value.hint


def test_bands_are_chosen_by_their_place_from_1(tmp_path):
    pixels, profile = uint16_with_wedge()
    path = write(tmp_path / "source.tif", pixels, **profile)
    want = finer_file(path, model="bicubic", indexes=(3, 1))
    got = geosr.upscale(opened(path, CHUNKS["odd"]), model="bicubic", indexes=(3, 1))
    same_pixels(got, want)
    assert got.attrs["long_name"] == want.attrs["long_name"] == ("band 3", "band 1")
    np.testing.assert_array_equal(got.band, [3, 1])
    with pytest.raises(BandError, match="no band 4; it has 3"):
        geosr.upscale(opened(path), model="bicubic", indexes=(4,))
    flat = opened(path)[0]
    np.testing.assert_array_equal(
        geosr.upscale(flat, model="bicubic", indexes=(1,)), geosr.upscale(flat, model="bicubic")
    )
    cube = xarray.DataArray(picture((2, 3, 8, 9)), dims=("time", "level", "y", "x"))
    with pytest.raises(BandError, match="time, level, y, x"):
        geosr.upscale(cube, model="bicubic", indexes=(1,))


# --- place ---


@pytest.mark.parametrize("transform", [THIRDS, rasterio.Affine(2, 0, 5, 0, 3, -40)])
@pytest.mark.parametrize("factor", [2, 3])
def test_place_is_the_files(tmp_path, transform, factor):
    path = write(tmp_path / "source.tif", picture(), transform, crs="EPSG:4326")
    same_place(
        geosr.upscale(opened(path), model="nearest", upscale_factor=factor),
        finer_file(path, model="nearest", upscale_factor=factor),
    )


def test_slices_keep_their_place_though_their_transform_is_stale(tmp_path):
    path = write(tmp_path / "source.tif", picture(), THIRDS, crs="EPSG:4326")
    west, north = THIRDS @ (11, 4)
    east, south = THIRDS @ (31, 14)
    want = finer_file(path, model="nearest", upscale_factor=3, bounds=(west, south, east, north))
    got = geosr.upscale(opened(path)[:, 4:14, 11:31], model="nearest", upscale_factor=3)
    same_pixels(got, want)
    same_place(got, want)


def test_steps_and_aggregates_are_placed_by_their_coordinates():
    raster = array()
    raster = raster.assign_coords(
        spatial_ref=xarray.Variable((), 0, {"GeoTransform": "0 10 0 1000 0 -10"})
    )
    coarse = geosr.upscale(raster.coarsen(y=2, x=3).mean(), model="nearest")
    np.testing.assert_allclose(coarse.x[:3], [7.5, 22.5, 37.5])
    np.testing.assert_allclose(coarse.y[:3], [995, 985, 975])
    numbers = [float(n) for n in coarse.spatial_ref.attrs["GeoTransform"].split()]
    np.testing.assert_allclose(numbers, [0, 15, 0, 1000, 0, -10])
    thinned = geosr.upscale(raster[:, ::2, ::2], model="nearest")
    np.testing.assert_allclose(thinned.x[:3], [0, 10, 20])


@pytest.mark.parametrize("part", [np.s_[:, :, :], np.s_[:, 3:20, 7:]], ids=["whole", "sliced"])
def test_rotated_rasters_stay_right(tmp_path, part):
    path = write(tmp_path / "source.tif", picture(), ROTATED)
    raster = opened(path, CHUNKS["odd"])[part]
    got = geosr.upscale(raster, model="nearest", upscale_factor=3)
    assert isinstance(got.xc.data, dask.array.Array)  # two float64 for each pixel: never in memory
    if part == np.s_[:, :, :]:
        same_place(got, finer_file(path, model="nearest", upscale_factor=3))
    means = {name: got[name].values.reshape(raster[name].shape[0], 3, -1, 3).mean(axis=(1, 3))
             for name in ("xc", "yc")}  # fmt: skip
    np.testing.assert_allclose(means["xc"], raster.xc, atol=1e-6)
    np.testing.assert_allclose(means["yc"], raster.yc, atol=1e-6)
    transform = got.rio.transform() @ rasterio.Affine.translation(0.5, 0.5)
    x, y = transform @ (4, 7)
    np.testing.assert_allclose([got.xc[7, 4], got.yc[7, 4]], [x, y], rtol=1e-12)


def test_rotated_rasters_with_other_coordinates_are_refused(tmp_path):
    raster = opened(write(tmp_path / "source.tif", picture(), ROTATED))
    with pytest.raises(UnsupportedRasterError, match="rotated transform"):
        geosr.upscale(raster.assign_coords(xc=raster.xc + 3), model="nearest")
    with pytest.raises(UnsupportedRasterError, match="rotated transform"):
        geosr.upscale(raster.assign_coords(x=np.arange(50)), model="nearest")
    bare = geosr.upscale(raster.drop_vars(["xc", "yc"]), model="nearest")
    assert bare.rio.transform().a == ROTATED.a / 2


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # as it is meant
def test_ground_control_points_move_with_the_pixels(tmp_path):
    corners = [(0, 0), (0, 50), (37, 0), (37, 50), (10.5, 20.25)]
    points = [
        GroundControlPoint(row, col, 1000 + 3 * col + row, 500 - 2 * row + col)
        for row, col in corners
    ]
    path = tmp_path / "source.tif"
    write(path, picture(), transform=None, crs=None)
    with rasterio.open(path, "r+") as dst:
        dst.gcps = points, rasterio.CRS.from_epsg(32633)
    want = finer_file(path, model="nearest", upscale_factor=3)
    got = geosr.upscale(opened(path), model="nearest", upscale_factor=3)
    places = [[(p.row, p.col, p.x, p.y) for p in r.rio.get_gcps()] for r in (got, want)]
    assert places[0] == places[1]
    assert places[0][4][:2] == (31.5, 60.75)
    assert got.rio.transform() == rasterio.Affine.identity()
    assert "x" not in got.coords


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # as it is meant
def test_files_without_a_transform_get_none(tmp_path):
    path = write(tmp_path / "source.tif", picture(), transform=None, crs=None)
    got = geosr.upscale(opened(path), model="nearest", upscale_factor=3)
    same_place(got, finer_file(path, model="nearest", upscale_factor=3))
    assert got.rio.transform() == rasterio.Affine.identity()
    part = geosr.upscale(opened(path)[:, 4:, 8:], model="nearest")
    np.testing.assert_array_equal(part.x[:3], [8.25, 8.75, 9.25])  # a slice has a place: in it


def test_arrays_without_a_place_need_none():
    bare = xarray.DataArray(picture((20, 30)), dims=("y", "x"))
    finer = geosr.upscale(bare, model="bicubic")
    assert not finer.coords
    assert finer.name is None
    np.testing.assert_array_equal(finer, geosr.upscale(array(), model="bicubic")[0])
    only_x = geosr.upscale(bare.assign_coords(x=np.arange(30)), model="bicubic")
    assert set(only_x.coords) == {"x"}
    np.testing.assert_array_equal(only_x.x[:3], [-0.25, 0.25, 0.75])


def test_coordinates_of_pixel_centres_move():
    finer = geosr.upscale(array(), model="nearest")
    np.testing.assert_array_equal(finer.x[:4], [2.5, 7.5, 12.5, 17.5])
    np.testing.assert_array_equal(finer.y[:4], [997.5, 992.5, 987.5, 982.5])
    assert finer.rio.bounds() == array().rio.bounds()


def test_coordinates_rounded_to_float32_are_still_regular():
    raster = array((2, 20, 3000))
    raster = raster.assign_coords(x=(437245 + 0.6 * np.arange(3000)).astype("float32"))
    finer = geosr.upscale(raster, model="nearest")
    np.testing.assert_allclose(np.diff(finer.x), 0.3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.arange(30.0) ** 1.5}, "x is not evenly spaced"),
        ({"x": np.full(30, 7.0)}, "x is not evenly spaced"),
        ({"y": np.r_[np.arange(19.0), np.nan]}, "y holds something else than finite numbers"),
        ({"y": [f"row {n}" for n in range(20)]}, "y holds something else than finite numbers"),
        ({"area": ("y", np.arange(20))}, "area has a value for each pixel along y"),
        ({"height": (("y", "x"), np.zeros((20, 30)))}, "height has a value for each pixel"),
    ],
)
def test_irregular_coordinates_are_refused(change, message):
    with pytest.raises(UnsupportedRasterError, match=message) as caught:
        geosr.upscale(array().assign_coords(change), model="nearest")
    assert f"raster.drop_vars({next(iter(change))!r})" in caught.value.hint


def test_one_pixel_is_placed_by_its_transform(tmp_path):
    path = write(tmp_path / "source.tif", picture((1, 1, 9)), THIRDS)
    got = geosr.upscale(opened(path), model="bicubic", upscale_factor=3)
    want = finer_file(path, model="bicubic", upscale_factor=3)
    same_pixels(got, want)
    same_place(got, want)
    with pytest.raises(UnsupportedRasterError, match="pixel size along y is not known"):
        geosr.upscale(array()[:, :1], model="bicubic")


def test_broken_transforms_are_refused():
    mapping = xarray.Variable((), 0, {"GeoTransform": "10 0 5 0"})
    with pytest.raises(UnsupportedRasterError, match="six numbers"):
        geosr.upscale(array().assign_coords(spatial_ref=mapping), model="nearest")


def test_a_transform_among_the_attributes_is_renewed():
    raster = array(transform=(10.0, 0.0, 0.0, 0.0, -10.0, 1000.0), res=(10.0, 10.0))
    finer = geosr.upscale(raster, model="nearest")
    assert finer.attrs == {"transform": (5.0, 0.0, 0.0, 0.0, -5.0, 1000.0), "res": (5.0, 5.0)}
    assert finer.rio.transform() == rasterio.Affine(5, 0, 0, 0, -5, 1000)


def test_other_coordinates_are_kept():
    raster = array().assign_coords(
        wavelength=("band", [490, 842]), sensor="invented", time=np.datetime64("2025-06-07", "ns")
    )
    stacked = raster.expand_dims(day=[3, 9]).stack(image=("day", "band"))
    for before in (raster, stacked):
        after = geosr.upscale(before, model="nearest")
        kept = after.drop_vars(["x", "y"]).coords
        assert kept.to_dataset().identical(before.drop_vars(["x", "y"]).coords.to_dataset())
        assert list(after.indexes) == list(before.indexes) or set(after.indexes) == set(
            before.indexes
        )
    assert raster.x.size == 30  # the source is as it was


# --- nodata, dtype, attributes ---


@pytest.mark.parametrize("name", ["_FillValue", "missing_value", "fill_value", "nodata"])
def test_nodata_is_found_where_rioxarray_finds_it(name):
    pixels, _ = uint16_with_wedge()
    raster = xarray.DataArray(pixels, dims=("band", "y", "x"), attrs={name: 0})
    finer = geosr.upscale(raster, model="lanczos")
    np.testing.assert_array_equal(finer == 0, (pixels == 0).repeat(2, -1).repeat(2, -2))
    assert finer.attrs == {name: 0}
    encoded = raster.drop_attrs()
    encoded.encoding["_FillValue"] = 0
    again = geosr.upscale(encoded, model="lanczos")
    np.testing.assert_array_equal(again, finer)
    assert again.encoding == {"_FillValue": 0}
    assert not (geosr.upscale(raster.drop_attrs(), model="lanczos") == finer).all()


def test_masked_arrays_stay_masked(tmp_path):
    pixels, profile = uint16_with_wedge()
    pixels[pixels != 0] += 2000  # far from the ends of the range, where the file's are clamped
    path = write(tmp_path / "source.tif", pixels, **profile)
    masked = opened(path, masked=True)
    finer = geosr.upscale(masked, model="lanczos")
    np.testing.assert_array_equal(
        np.isnan(finer), masked.isnull().values.repeat(2, -1).repeat(2, -2)
    )
    assert finer.dtype == np.float32
    assert {name: finer.encoding[name] for name in ("_FillValue", "dtype")} == {
        name: masked.encoding[name] for name in ("_FillValue", "dtype")
    }
    assert finer.rio.encoded_nodata == 0
    assert np.isnan(finer.rio.nodata)
    off = finer.values[:, 40:] - finer_file(path, model="lanczos").values[:, 40:]
    assert np.nanmax(np.abs(off[np.isfinite(off)])) <= 0.5  # the file's values, but not rounded


def test_masked_arrays_become_the_files_pixels_with_its_dtype(tmp_path):
    pixels, profile = uint16_with_wedge()
    path = write(tmp_path / "source.tif", pixels, **profile)
    want = finer_file(path, model="bicubic")
    got = geosr.upscale(opened(path, CHUNKS["odd"], masked=True), model="bicubic", dtype="uint16")
    same_pixels(got, want)
    assert got.attrs["_FillValue"] == 0
    assert "_FillValue" not in got.encoding
    assert "dtype" not in got.encoding


@pytest.mark.parametrize(
    "options", [{"dtype": "float32"}, {"dtype": "int16", "nodata": -1}, {"nodata": 65535}]
)
def test_dtype_and_nodata_are_the_files(tmp_path, options):
    pixels, profile = uint16_with_wedge()
    path = write(tmp_path / "source.tif", pixels, **profile)
    want = finer_file(path, model="lanczos", **options)
    got = geosr.upscale(opened(path, CHUNKS["odd"]), model="lanczos", **options)
    same_pixels(got, want)
    assert got.rio.nodata == want.rio.nodata
    assert got.attrs["_FillValue"].dtype == got.dtype
    assert "rasterio_dtype" not in got.encoding


def test_holes_need_a_value_that_fits():
    floats = array().astype("float32")
    with pytest.raises(OptionError, match="uint16 has no value for holes") as caught:
        geosr.upscale(floats, model="bicubic", dtype="uint16")
    assert "nodata=" in caught.value.hint
    assert geosr.upscale(floats, model="bicubic", dtype="uint16", nodata=0).dtype == "uint16"
    with pytest.raises(OptionError, match="-1 does not fit into uint8"):
        geosr.upscale(array(), model="bicubic", dtype="uint8", nodata=-1)
    with pytest.raises(OptionError, match="-9999 does not fit into uint16"):
        geosr.upscale(floats.assign_attrs(_FillValue=-9999), model="bicubic", dtype="uint16")
    with pytest.raises(UnsupportedRasterError, match="'none', no number"):
        geosr.upscale(floats.assign_attrs(nodata="none"), model="bicubic")


def test_scaled_arrays_do_not_take_their_nodata_value_for_a_physical_one(tmp_path):
    pixels, profile = uint16_with_wedge()
    raster = opened(write(tmp_path / "source.tif", pixels, **profile), mask_and_scale=True)
    with pytest.raises(OptionError, match="no value for holes"):
        geosr.upscale(raster, model="bicubic", dtype="int16")
    finer = geosr.upscale(raster, model="bicubic")
    assert finer.encoding["scale_factor"] == 0.0001
    assert 0.09 < np.nanmedian(finer) < 0.11


@pytest.mark.parametrize("dtype", ["complex64", "bool", "int64", "float16", "datetime64[ns]"])
def test_dtypes_that_hold_no_picture_are_refused(dtype):
    with pytest.raises(UnsupportedRasterError, match=rf"dtype {dtype}".replace("[", r"\[")):
        geosr.upscale(array().astype(dtype), model="bicubic")


def test_attributes_stay_but_for_what_is_true_no_more(tmp_path):
    path = write(tmp_path / "source.tif", picture(), nodata=0)
    raster = opened(path, {"y": 16})
    raster.encoding["chunksizes"] = (1, 16, 50)
    raster.attrs["actual_range"] = (1, 4000)
    finer = geosr.upscale(raster.rename("scene"), model="nearest")
    assert finer.name == "scene"
    assert finer.attrs["SENSOR"] == "invented"
    assert finer.attrs["long_name"] == ("band 1", "band 2", "band 3")
    assert finer.attrs["scale_factor"] == 0.0001
    gone = {"STATISTICS_MEAN", "actual_range"}
    assert gone < set(raster.attrs)
    assert set(finer.attrs) == set(raster.attrs) - gone
    assert finer.encoding == {"grid_mapping": "spatial_ref", "rasterio_dtype": "uint16"}
    assert "chunksizes" in raster.encoding  # the source is as it was


def test_saved_by_rioxarray_it_is_the_file(tmp_path):
    pixels, profile = uint16_with_wedge()
    path = write(tmp_path / "source.tif", pixels, **profile)
    finer_file(path, model="lanczos")
    geosr.upscale(opened(path, CHUNKS["odd"]), model="lanczos").rio.to_raster(tmp_path / "own.tif")
    with rasterio.open(tmp_path / "own.tif") as own, rasterio.open(tmp_path / "finer.tif") as its:
        np.testing.assert_array_equal(own.read(), its.read())
        for name in ("transform", "crs", "nodata", "descriptions", "scales", "offsets", "dtypes"):
            assert getattr(own, name) == getattr(its, name), name
        assert own.tags()["SENSOR"] == "invented"


ODD = ["rasterio__float_nan", "rasterio__rotated", "rio-tiler__cog_gcps", "rio-tiler__cog_scale"]
ODD += ["rio-tiler__inverted_lat", "rioxarray__test_rpcs", "rio-cogeo__image_nan"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # as it is meant
@pytest.mark.filterwarnings("ignore:(Scales|Offsets) differ:UserWarning")  # rioxarray's
@pytest.mark.parametrize("name", ODD)
def test_real_files_come_out_the_same(data_dir, tmp_path, name):
    path = data_dir / "odd" / f"{name}.tif"
    geosr.upscale_file(path, tmp_path / "finer.tif", model="bicubic")
    want = rioxarray.open_rasterio(tmp_path / "finer.tif")
    got = geosr.upscale(rioxarray.open_rasterio(path), model="bicubic")
    same_pixels(got, want)
    same_place(got, want)


# --- options ---


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ({"resolution": 5.0}, "upscale_file"),
        ({"bounds": (0, 0, 1, 1)}, "raster.sel"),
        ({"creation_options": {"COMPRESS": "LZW"}}, "to_raster"),
        ({"overwrite": True}, "Nothing is written"),
        ({"workers": 2}, "num_workers"),
        ({"threads": 2}, "num_workers"),
        ({"scheduler": "tcp://127.0.0.1:8786"}, "dask.distributed.Client"),
        ({"format": "zarr"}, "to_zarr"),
        ({"resume": False}, "Nothing is written"),
        ({"model_range": (0, 255)}, "without a card"),
    ],
)
def test_options_that_do_not_apply_are_refused(option, hint):
    with pytest.raises(OptionError, match="does not apply") as caught:
        geosr.upscale(array(), model="bicubic", **option)
    assert hint in caught.value.hint


def test_tile_size_changes_nothing():
    raster = array((2, 60, 70)).chunk(y=25)
    want = geosr.upscale(raster, model="lanczos")
    np.testing.assert_array_equal(geosr.upscale(raster, model="lanczos", tile_size=13), want)


def test_consistency_can_be_left_out(wide):
    raster = array()
    kept, left = (
        geosr.upscale(raster, model="bicubic", consistency=on).values.astype(int)
        for on in (True, False)
    )
    sums = [x.reshape(2, 20, 2, 30, 2).sum(axis=(2, 4)) for x in (kept, left)]
    np.testing.assert_array_equal(sums[0], 4 * raster.values.astype(int))
    assert (sums[1] != sums[0]).any()


def test_empty_arrays_are_refused():
    with pytest.raises(UnsupportedRasterError, match="0 x 30 pixels is empty"):
        geosr.upscale(array()[:, :0], model="bicubic")
