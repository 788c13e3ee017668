"""Lazy arrays of many chunks: small graphs, thin exchanges, and out to Zarr and GeoTIFF."""

import math
import pickle
import threading
from collections import Counter

import dask
import dask.array
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

import geosr
from geosr.core.catalog import shipped_models
from geosr.lazy import blocks, graph
from geosr.lazy.layout import chunk_steps, lay_spans

# rioxarray multiplies affine transforms in a way that affine 3 wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

NORTH_UP = rasterio.Affine(10.0, 0, 437240.0, 0, -10.0, 5391730.0)


def picture(shape, seed=0):
    values = np.random.default_rng(seed).normal(2000, 700, shape)
    return np.clip(values, 1, 4000).astype("uint16")


def scene(path, shape=(3, 100, 130)):
    """Write a GeoTIFF with a hole; return its path."""
    pixels = picture(shape)
    pixels[:, np.add.outer(np.arange(shape[1]), np.arange(shape[2])) < 30] = 0
    with rasterio.open(
        path, "w", driver="GTiff", count=shape[0], height=shape[1], width=shape[2], nodata=0,
        dtype="uint16", transform=NORTH_UP, crs="EPSG:32633",
        tiled=True, blockxsize=16, blockysize=16,
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.scales, dst.offsets = [0.0001] * shape[0], [-0.1] * shape[0]
    return path


def opened(path, side=32):
    return rioxarray.open_rasterio(path, chunks={"band": -1, "y": side, "x": side}, lock=False)


def finer_file(path, **options):
    finer = path.with_name("finer.tif")
    geosr.upscale_file(path, finer, overwrite=True, **options)
    return rioxarray.open_rasterio(finer)


def never(shape, side):
    """Return a raster of square chunks, none of which can be computed."""

    def forbidden(block_info=None):
        raise AssertionError("something was computed")

    chunks = tuple((side,) * (length // side) for length in shape)
    data = dask.array.map_blocks(
        forbidden, dtype="uint16", chunks=chunks, meta=np.empty((0, 0), "uint16")
    )
    return xarray.DataArray(data, dims=("y", "x"), attrs={"_FillValue": 0})


def own_layers(finer, raster):
    """Return the layers that upscaling has put on top of a raster's own."""
    return {
        name: layer
        for name, layer in finer.data.dask.layers.items()
        if name not in raster.data.dask.layers
    }


def same_raster(got, want):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.values, want.values)
    np.testing.assert_array_equal(got.x, want.x)
    np.testing.assert_array_equal(got.y, want.y)
    assert got.rio.crs == want.rio.crs
    assert got.rio.transform() == want.rio.transform()
    assert got.rio.nodata == want.rio.nodata


# --- graphs ---


def test_ten_thousand_chunks_take_two_tasks_each():
    raster = never((102_400, 102_400), 1024)
    finer = geosr.upscale(raster, model="lanczos")
    assert finer.sizes == {"y": 204_800, "x": 204_800}
    sizes = sorted(len(layer) for layer in own_layers(finer, raster).values())
    assert sizes == [10_000, 10_000]  # what becomes a chunk, and what its neighbours see of it
    tasks, name = own_layers(finer, raster)[finer.data.name], finer.data.name
    needs = {key: [one for one in task if isinstance(one, tuple)] for key, task in tasks.items()}
    assert len(needs[name, 50, 50]) == 9
    assert len(needs[name, 0, 0]) == 4
    # A chunk goes whole to the task that it belongs to, and to no other.
    whole = Counter(one for given in needs.values() for one in given if one[0] == raster.data.name)
    assert len(whole) == sum(whole.values()) == 10_000


@pytest.mark.parametrize("side", [8, 64])
def test_small_chunks_are_not_cut_up(side):
    """One of 8 pixels is all rim; one of 64 would spare less than the task costs."""
    raster = never((100 * side, 100 * side), side)
    finer = geosr.upscale(raster, model="lanczos")
    (layer,) = own_layers(finer, raster).values()
    assert len(layer) == 10_000


@pytest.mark.parametrize("model", ["bicubic", "geosr-lite-x2"])
def test_tasks_are_small_and_hold_no_weights(model):
    if model not in {facts.name for facts in shipped_models()} | {"bicubic"}:
        pytest.skip("the weights of geosr-lite are not here")
    raster = never((102_400, 102_400), 1024)
    finer = geosr.upscale(raster, model=model)
    tasks = own_layers(finer, raster)[finer.data.name]
    assert max(len(pickle.dumps(tasks[finer.data.name, i, i])) for i in range(100)) < 2500
    # All tasks together share what is the same in all of them.
    together = sum(len(pickle.dumps(dict(layer))) for layer in own_layers(finer, raster).values())
    assert together < 800 * 10_000


def test_two_results_of_one_source_do_not_mix(monkeypatch):
    monkeypatch.setattr(graph, "WORTH_A_TASK", 0)
    data = dask.array.from_array(picture((93, 93)), chunks=31)  # a prime: cut across its edges
    raster = xarray.DataArray(data, dims=("y", "x"))
    want = [geosr.upscale(raster, model="bicubic", dtype=dtype) for dtype in ("uint16", "float32")]
    with dask.config.set({"array.chunk-size": "2 kB"}):
        cut = geosr.upscale(raster, model="bicubic")
    both = dask.compute(*(finer.data for finer in (*want, cut)))
    np.testing.assert_array_equal(both[0], want[0])
    np.testing.assert_array_equal(both[1], want[1])
    np.testing.assert_array_equal(both[2], want[0])


# --- pixels ---


def test_many_small_chunks_make_the_picture_of_one():
    raster = xarray.DataArray(picture((320, 320)), dims=("y", "x"))
    many = geosr.upscale(raster.chunk(8), model="bicubic")
    assert math.prod(many.data.numblocks) == 1600
    np.testing.assert_array_equal(many, geosr.upscale(raster.chunk(-1), model="bicubic"))


def test_neighbours_give_thin_strips_only(monkeypatch):
    monkeypatch.setattr(graph, "WORTH_A_TASK", 0)
    raster = xarray.DataArray(picture((2, 256, 256)), dims=("band", "y", "x")).chunk(y=64, x=64)
    finer = geosr.upscale(raster, model="bicubic")
    (rims,) = [keys for name, keys in own_layers(finer, raster).items() if name != finer.data.name]
    strips = dask.get(finer.data.dask, list(rims))
    reach, both = 2, 4 * 4 * 2 * 64  # bytes of a row, and of a column, of two bands of uint16
    assert len(strips) == 16
    assert {sum(strip.nbytes for strip in rim) for rim in strips} == {reach * both // 2}
    assert all(strip.base is None for rim in strips for strip in rim)  # no hold on the chunk
    np.testing.assert_array_equal(finer, geosr.upscale(raster.chunk(-1), model="bicubic"))


@settings(max_examples=25)
@given(data=st.data())
def test_no_way_of_cutting_changes_a_pixel(data):
    shape = tuple(data.draw(st.integers(1, 70)) for _ in range(2))
    pixels = picture((2, *shape), data.draw(st.integers(0, 9)))
    pixels[np.random.default_rng(1).random(pixels.shape) < 0.03] = 0
    raster = xarray.DataArray(pixels, dims=("band", "y", "x"))
    raster.attrs = data.draw(st.sampled_from([{}, {"_FillValue": 0}]))
    model = data.draw(st.sampled_from(["nearest", "bilinear", "lanczos"]))
    want = geosr.upscale(raster, model=model).compute()
    cuts = {name: data.draw(irregular(raster.sizes[name])) for name in ("y", "x")}
    order = data.draw(st.permutations(raster.dims))
    limit = data.draw(st.sampled_from(["1 kB", "10 kB", "1 MB"]))
    with (
        pytest.MonkeyPatch.context() as patched,
        dask.config.set({"scheduler": "synchronous", "array.chunk-size": limit}),
    ):
        patched.setattr(graph, "WORTH_A_TASK", 0)
        got = geosr.upscale(raster.chunk(band=1, **cuts).transpose(*order), model=model)
        for name in ("y", "x"):
            first, *rest = got.chunksizes[name]
            assert set(rest[:-1]) <= {first}  # as zarr wants them
            assert rest[-1:] <= [first]
        np.testing.assert_array_equal(got.transpose(*raster.dims), want)


@st.composite
def irregular(draw, length):
    edges = draw(st.sets(st.integers(1, length), max_size=4)) | {length}
    return tuple(np.diff([0, *sorted(edges)]).tolist())


def test_chunks_too_large_are_cut_at_their_own_edges_where_they_can_be():
    cut = {"factor": 4, "itemsize": 2, "limit": 128 << 20}
    assert chunk_steps(((4,), (2048, 2048, 900), (2048, 7)), (1, 2), **cut) == (1024, 1024)
    assert chunk_steps(((9,), (2048, 2048), (2048,)), (1, 2), **cut) == (512, 512)  # not 683
    assert chunk_steps(((9,), (2039,), (2039,)), (1, 2), **cut) == (680, 680)  # a prime


@given(data=st.data())
def test_spans_cover_each_pixel_once_and_see_their_surroundings(data):
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=1).filter(sum))
    step, reach = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 12))
    spans = lay_spans(tuple(lengths), step=step, reach=reach)
    hits = np.zeros(sum(lengths), int)
    for span in spans:
        hits[span.first : span.first + span.count] += 1
        seen = set(range(span.seen_first, span.seen_first + span.seen_count))
        wide = range(span.first - reach, span.first + span.count + reach)
        assert seen == set(wide) & set(range(hits.size))
        for met in span.met:
            pixels = range(met.first, met.first + met.count)
            assert met.count == lengths[met.index]
            assert met.at_first == (seen & set(pixels) <= set(pixels[:reach]))
            assert met.at_last == (seen & set(pixels) <= set(pixels[max(met.count - reach, 0) :]))
            seen -= set(pixels)
        assert not seen
    assert (hits == 1).all()


# --- Zarr and GeoTIFF ---


def read_back(store, name="finer", **options):
    """Open a store as a user does who wants the values as they are stored."""
    dataset = xarray.open_zarr(
        store, decode_coords="all", mask_and_scale=False, consolidated=False, **options
    )
    return dataset[name]


def test_a_zarr_store_holds_the_pixels_and_place_of_the_file(tmp_path):
    path = scene(tmp_path / "scene.tif")
    want = finer_file(path, model="lanczos")
    finer = geosr.upscale(opened(path), model="lanczos").rename("finer")
    finer.to_zarr(tmp_path / "finer.zarr", consolidated=False)
    got = read_back(tmp_path / "finer.zarr")
    same_raster(got, want)
    assert got.encoding["chunks"] == (3, 64, 64)  # those of dask
    assert got.attrs["scale_factor"] == 0.0001
    masked = xarray.open_zarr(tmp_path / "finer.zarr", decode_coords="all", consolidated=False)
    holes = want.values == 0
    np.testing.assert_array_equal(np.isnan(masked.finer), holes)
    assert masked.finer.rio.transform() == want.rio.transform()


def test_a_slice_goes_to_zarr_as_it_is(tmp_path):
    """Slices have chunks of all lengths; zarr refuses such."""
    raster = opened(scene(tmp_path / "scene.tif"))[:, 11:, 50:]
    assert raster.chunks == ((3,), (21, 32, 32, 4), (14, 32, 32, 2))
    finer = geosr.upscale(raster, model="lanczos").rename("finer")
    assert finer.chunks == ((3,), (64, 64, 50), (64, 64, 32))
    finer.to_zarr(tmp_path / "finer.zarr", consolidated=False)
    same_raster(read_back(tmp_path / "finer.zarr"), finer)


@pytest.mark.parametrize(
    "encoding",
    [{"chunks": (1, 32, 32)}, {"chunks": (1, 16, 16), "shards": (3, 64, 64)}],
    ids=["smaller chunks", "shards"],
)
def test_zarr_chunks_may_be_parts_of_dasks(tmp_path, encoding):
    finer = geosr.upscale(opened(scene(tmp_path / "scene.tif")), model="bicubic").rename("finer")
    store = tmp_path / "finer.zarr"
    finer.encoding.update(encoding)  # to_zarr(encoding=...) would forget the grid mapping
    finer.to_zarr(store, consolidated=False)
    got = read_back(store)
    assert {name: got.encoding[name] for name in encoding} == encoding
    same_raster(got, finer)


REGIONS = (slice(64, 200), slice(0, 64))  # each begins where a chunk does


@pytest.mark.parametrize("region", ["slices", "auto"])
def test_regions_can_be_written_one_by_one(tmp_path, region):
    """By xarray: of physical values only, for it cannot write parts of stored ones (see below)."""
    path = scene(tmp_path / "scene.tif")
    raster = rioxarray.open_rasterio(path, chunks={"y": 32, "x": 32}, mask_and_scale=True)
    finer = geosr.upscale(raster, model="lanczos").rename("finer")
    finer.to_zarr(tmp_path / "parts.zarr", compute=False, consolidated=False)
    for rows in REGIONS:
        part = finer.isel(y=rows).drop_vars("spatial_ref")  # it is written, and has no rows
        if region == "slices":
            part = part.drop_vars(["band", "x"])
        where = "auto" if region == "auto" else {"y": rows}
        part.to_zarr(tmp_path / "parts.zarr", region=where, consolidated=False)
    finer.to_zarr(tmp_path / "whole.zarr", consolidated=False)
    same_raster(read_back(tmp_path / "parts.zarr"), read_back(tmp_path / "whole.zarr"))


def test_regions_of_stored_values_are_written_past_xarray(tmp_path):
    """rioxarray keeps scale and nodata value of stored values among the attributes.

    xarray refuses to write a part of such an array, and without its attributes scales it twice.
    """
    zarr = pytest.importorskip("zarr")
    path, store = scene(tmp_path / "scene.tif"), tmp_path / "finer.zarr"
    finer = geosr.upscale(opened(path), model="lanczos").rename("finer")
    finer.to_zarr(store, compute=False, consolidated=False)
    target = zarr.open(store)["finer"]
    for rows in REGIONS:
        part = finer.isel(y=rows).data
        dask.array.store(part, target, regions=(slice(None), rows, slice(None)), lock=False)
    same_raster(read_back(store), finer_file(path, model="lanczos"))


def test_a_tiled_geotiff_is_written_chunk_by_chunk(tmp_path):
    path = scene(tmp_path / "scene.tif")
    want = finer_file(path, model="lanczos")
    own = tmp_path / "own.tif"
    finer = geosr.upscale(opened(path), model="lanczos")
    finer.rio.to_raster(own, tiled=True, blockxsize=64, blockysize=64, lock=threading.Lock())
    same_raster(rioxarray.open_rasterio(own), want)
    with rasterio.open(own) as dataset:
        assert dataset.block_shapes == [(64, 64)] * 3


# --- processes ---


@pytest.fixture(scope="module")
def client():
    """Two worker processes, started anew and not forked."""
    distributed = pytest.importorskip("distributed", reason="workers need dask[distributed]")
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "spawn"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_processes_write_the_same_and_load_the_model_once(tmp_path, client):
    from distributed import Lock

    path = scene(tmp_path / "scene.tif", (2, 120, 150))
    shipped = {facts.name for facts in shipped_models()}
    model = "geosr-lite-x2" if "geosr-lite-x2" in shipped else "bicubic"
    want = finer_file(path, model=model, precision="float32")
    finer = geosr.upscale(opened(path, 24), model=model, precision="float32").rename("finer")
    finer.to_zarr(tmp_path / "finer.zarr", consolidated=False)
    same_raster(read_back(tmp_path / "finer.zarr"), want)
    finer.rio.to_raster(tmp_path / "own.tif", tiled=True, lock=Lock("own.tif"))
    same_raster(rioxarray.open_rasterio(tmp_path / "own.tif"), want)
    loads = client.run(blocks._load.cache_info).values()
    assert sum(load.hits + load.misses for load in loads) == 2 * math.prod(finer.data.numblocks)
    assert max(load.misses for load in loads) == 1  # with two threads, too


def test_processes_give_each_other_strips(tmp_path, client, monkeypatch):
    monkeypatch.setattr(graph, "WORTH_A_TASK", 0)
    path = scene(tmp_path / "scene.tif")
    raster = opened(path, 24)
    finer = geosr.upscale(raster, model="bilinear")
    assert len(own_layers(finer, raster)) == 2
    same_raster(finer.compute(), finer_file(path, model="bilinear"))
