"""Networks without a card: what the probe finds, and rasters that go through them."""

from __future__ import annotations

import foreign_networks as networks
import numpy as np
import pytest
import rasterio
from affine import Affine
from cli_scenes import run

import geosr
from geosr.api import plan_file
from geosr.core.errors import (
    BandError,
    DeviceError,
    ModelFileError,
    OptionError,
    PlanError,
    UnknownModelError,
)
from geosr.core.options import UpscaleOptions
from geosr.foreign import is_model_path, open_foreign


def probe(path, *, bands=1, **options):
    """Return a network as the probe finds it."""
    return open_foreign(UpscaleOptions(model=str(path), **options), bands=bands, processors=2)


def write(path, values, *, nodata=None):
    """Write values ``(bands, height, width)`` as a raster at 10 m."""
    count, height, width = values.shape
    grid = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500000, 0, -10, 5000000)}
    shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", nodata=nodata, **shape, **grid) as dst:
        dst.write(values)
    return path


def read(path):
    """Return a raster's values."""
    with rasterio.open(path) as src:
        return src.read()


def noise(shape, dtype="uint16", low=100, high=9000, seed=0):
    """Return random values."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


@pytest.fixture
def upscaled(tmp_path):
    """A function from values and a network to the output's values."""

    def upscaled(values, network, *, nodata=None, **options):
        source = write(tmp_path / "in.tif", values, nodata=nodata)
        options = {"model": str(network), "overwrite": True, "threads": 2, **options}
        geosr.upscale_file(source, tmp_path / "out.tif", **options)
        return read(tmp_path / "out.tif")

    return upscaled


def test_files_are_told_from_names():
    assert is_model_path("nets/mine.onnx")
    assert is_model_path("MINE.KERAS")
    assert not is_model_path("geosr-lite-x2")
    assert not is_model_path("mine.pt")


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("valid", "side"), [(False, None), (True, None), (False, 48), (True, 48)])
def test_the_probe_finds_factor_bands_and_radius(tmp_path, factor, bands, valid, side):
    path = tmp_path / "net.onnx"
    networks.convolutions(path, bands=bands, factor=factor, valid=valid, side=side)
    found = probe(path, bands=bands)
    assert found.facts.upscale_factor == factor
    assert found.facts.bands == bands
    assert (found.facts.radius, found.stride) == (2, 1)
    assert found.facts.exact
    assert not found.facts.equivariant  # its first layer has a bias
    assert found.network.layout.form.side == side
    assert found.network.layout.form.channels_first


def test_a_network_looks_as_far_as_its_layers_do(tmp_path):
    weights = {"v": np.ones((1, 1, 13, 13), np.float32), "w": np.ones((4, 1, 1, 1), np.float32)}
    nodes = [
        networks.node("Conv", "x v", "a", pads=[12] * 4, dilations=[2, 2]),
        networks.node("Conv", "a w", "b"),
        networks.shuffle("b", "y", 2),
    ]
    path = networks.save(tmp_path / "wide.onnx", nodes, weights, ["n", 1, "h", "w"])
    assert probe(path).facts.radius == 12


def test_a_lopsided_network_gets_its_longer_side(tmp_path):
    w = np.zeros((4, 1, 1, 8), np.float32)
    w[..., 0] = 1  # of eight columns, the first: 7 pixels to the left with these pads
    nodes = [networks.node("Conv", "x w", "a", pads=[0, 7, 0, 0]), networks.shuffle("a", "y", 2)]
    path = networks.save(tmp_path / "left.onnx", nodes, {"w": w}, ["n", 1, "h", "w"])
    assert probe(path).facts.radius == 7


@pytest.mark.parametrize("build", [networks.pooled, networks.normalised, networks.aligned])
def test_networks_that_see_the_whole_tile_are_inexact(tmp_path, build):
    found = probe(build(tmp_path / "net.onnx"))
    assert not found.facts.exact
    assert any("inexact" in note and "blended" in note for note in found.notes)


def test_pooling_is_seen_however_weak_it_is(tmp_path):
    assert not probe(networks.pooled(tmp_path / "net.onnx", strength=0.01)).facts.exact


def test_a_network_of_stride_2_stands_on_a_grid(tmp_path, upscaled, monkeypatch):
    path = networks.strided(tmp_path / "net.onnx")
    found = probe(path)
    assert found.stride == 2
    assert found.facts.exact
    assert found.facts.radius % 2 == 0
    values = noise((1, 47, 61))
    whole = upscaled(values, path, tile_size=96)
    for tile_size in (18, None):
        np.testing.assert_array_equal(upscaled(values, path, tile_size=tile_size), whole)
    monkeypatch.setattr("geosr.planning.block_side", lambda *_, **__: 31)
    np.testing.assert_array_equal(upscaled(values, path, tile_size=18), whole)
    with pytest.raises(OptionError, match="multiple of 2"):
        upscaled(values, path, tile_size=25)


def test_layout_and_units_are_found(tmp_path):
    last = probe(networks.channels_last(tmp_path / "last.onnx"), bands=3)
    assert not last.network.layout.form.channels_first
    assert last.facts.equivariant
    x = noise((3, 9, 7), "float32")
    phases = last.predict(x)
    np.testing.assert_array_equal(phases, x[:, None].repeat(4, axis=1))


def test_one_network_for_any_number_of_bands_runs_per_band(tmp_path):
    nodes = [
        networks.helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest"),
    ]
    weights = {"s": np.array([1, 1, 2, 2], np.float32)}
    path = networks.save(tmp_path / "any.onnx", nodes, weights, ["n", "c", "h", "w"])
    assert probe(path, bands=4).facts.bands == 1


def test_a_fixed_batch_is_filled(tmp_path, upscaled):
    w = np.ones((4, 1, 1, 1), np.float32)
    nodes = [networks.node("Conv", "x w", "a"), networks.shuffle("a", "y", 2)]
    path = networks.save(tmp_path / "net.onnx", nodes, {"w": w}, [3, 1, 32, 32])
    values = noise((2, 40, 33))
    expected = values.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(upscaled(values, path), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize(("bands", "side"), [(1, None), (3, 24)])
def test_a_nearest_network_repeats_pixels(tmp_path, upscaled, bands, side, dtype):
    path = networks.nearest(tmp_path / "net.onnx", bands=bands, factor=3, side=side)
    values = noise((3, 31, 50), dtype, 1, 250)
    expected = values.repeat(3, 1).repeat(3, 2)
    if dtype == "float64":  # the network sees float32; the block means are float64's
        np.testing.assert_allclose(upscaled(values, path), expected, rtol=1e-7)
    else:
        np.testing.assert_array_equal(upscaled(values, path), expected)


@pytest.mark.parametrize("valid", [False, True])
@pytest.mark.parametrize("bands", [1, 2])
def test_values_are_those_of_the_untiled_network(tmp_path, upscaled, valid, bands):
    path = networks.convolutions(tmp_path / "net.onnx", bands=bands, factor=2, valid=valid)
    values = noise((2, 37, 53), "float32", -2, 2)
    seen = values if bands == 2 else values[:1]
    expected = networks.untiled(seen, networks.kernels(bands, 2))
    for tile_size in (None, 9, 33):
        made = upscaled(values, path, tile_size=tile_size, consistency=False)
        np.testing.assert_allclose(made[: len(seen)], expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(1, 1, 40), (1, 30, 1), (1, 64, 64), (3, 41, 67)])
@pytest.mark.parametrize("consistency", [True, False])
def test_tiles_do_not_show(tmp_path, upscaled, shape, consistency):
    path = networks.convolutions(tmp_path / "net.onnx", bands=shape[0], factor=2)
    values = noise(shape)
    options = {"consistency": consistency, "model_range": (0.0, 10000.0)}
    whole = upscaled(values, path, tile_size=100, threads=1, **options)
    assert len(np.unique(whole)) > 10
    for tile_size in (9, 31, None):
        np.testing.assert_array_equal(upscaled(values, path, tile_size=tile_size, **options), whole)


def test_a_fixed_size_is_the_tile_size(tmp_path, upscaled):
    fixed = networks.convolutions(tmp_path / "fixed.onnx", side=20)
    free = networks.convolutions(tmp_path / "free.onnx")
    values = noise((1, 47, 61))
    expected = upscaled(values, free)
    np.testing.assert_array_equal(upscaled(values, fixed), expected)
    np.testing.assert_array_equal(upscaled(values, fixed, tile_size=20), expected)
    assert plan_file(tmp_path / "in.tif", model=str(fixed)).blocks.tile_size == 20
    with pytest.raises(OptionError, match=r"tiles of 20 pixels, not 32"):
        upscaled(values, fixed, tile_size=32)


def test_a_fixed_size_that_its_radius_fills_is_blended(tmp_path):
    weights = {"v": np.ones((1, 1, 9, 9), np.float32), "w": np.ones((4, 1, 1, 1), np.float32)}
    nodes = [
        networks.node("Conv", "x v", "a", pads=[4] * 4),
        networks.node("Conv", "a w", "b"),
        networks.shuffle("b", "y", 2),
    ]
    path = networks.save(tmp_path / "net.onnx", nodes, weights, [1, 1, 10, 10])
    assert not probe(path).facts.exact


def test_a_tile_of_nothing_but_halo_is_refused(tmp_path, upscaled):
    path = networks.convolutions(tmp_path / "net.onnx")
    with pytest.raises(PlanError, match="halo of 2"):
        upscaled(noise((1, 20, 20)), path, tile_size=4)


def test_the_model_range_goes_in_and_out(tmp_path):
    path = networks.convolutions(tmp_path / "net.onnx")
    plain, ranged = probe(path), probe(path, model_range=(-50.0, 950.0))
    x = noise((1, 24, 24), "float32", 0, 1, seed=4)
    expected = plain.predict(x) * 1000 - 50
    np.testing.assert_allclose(ranged.predict(x * 1000 - 50), expected, rtol=0, atol=1e-3)
    far = x * 3 - 1  # values outside the range are not clipped
    expected = plain.predict(far) * 1000 - 50
    np.testing.assert_allclose(ranged.predict(far * 1000 - 50), expected, rtol=0, atol=3e-3)


def test_the_model_range_does_not_move_values(tmp_path, upscaled):
    path = networks.nearest(tmp_path / "net.onnx")
    values = noise((2, 20, 30), "uint16", 0, 65000)
    expected = values.repeat(2, 1).repeat(2, 2)
    made = upscaled(values, path, model_range=(0.0, 10000.0), consistency=False)
    np.testing.assert_array_equal(made, expected)


def test_block_means_are_kept_unless_told_otherwise(tmp_path, upscaled):
    path = networks.convolutions(tmp_path / "net.onnx", factor=3)
    values = noise((1, 30, 40))
    sums = upscaled(values, path).reshape(30, 3, 40, 3).astype(int).sum(axis=(1, 3))
    np.testing.assert_array_equal(sums, values[0].astype(int) * 9)
    free = upscaled(values, path, consistency=False).reshape(30, 3, 40, 3).astype(int)
    assert (free.sum(axis=(1, 3)) != sums).any()


@pytest.mark.parametrize("side", [None, 40])
def test_an_inexact_network_is_blended_whatever_the_blocks(tmp_path, upscaled, monkeypatch, side):
    path = networks.pooled(tmp_path / "net.onnx", side=side, strength=0.5)
    values = noise((1, 150, 170)) // 4 + np.linspace(0, 9000, 170).astype("uint16")
    options = {"consistency": False, "tile_size": side or 64, "format": "gtiff"}
    whole = upscaled(values, path, **options)
    monkeypatch.setattr("geosr.planning.block_side", lambda *_, **__: 48)
    np.testing.assert_array_equal(upscaled(values, path, **options, threads=1), whole)
    monkeypatch.undo()
    monkeypatch.setattr("geosr.foreign.tiles.OVERLAP", 0)
    cut = upscaled(values, path, **options)
    added = [made[0].astype(int) - values[0].repeat(2, 0).repeat(2, 1) for made in (whole, cut)]
    steps = [max(np.abs(np.diff(a, axis=axis)).max() for axis in (0, 1)) for a in added]
    assert steps[0] < steps[1] / 4


def test_blended_block_means_are_kept(tmp_path, upscaled):
    path = networks.normalised(tmp_path / "net.onnx", scale=700.0)
    values = noise((2, 90, 70))
    made = upscaled(values, path, tile_size=64).reshape(2, 90, 2, 70, 2).astype(int)
    np.testing.assert_array_equal(made.sum(axis=(2, 4)), values.astype(int) * 4)


@pytest.mark.parametrize("build", [networks.convolutions, networks.pooled, networks.strided])
def test_an_array_gives_what_a_file_gives(tmp_path, upscaled, build):
    xarray = pytest.importorskip("xarray")
    path = build(tmp_path / "net.onnx")
    values = noise((1, 90, 110))
    array = xarray.DataArray(values, dims=("band", "y", "x")).chunk({"y": 31, "x": 47})
    lazy = geosr.upscale(array, model=str(path)).compute(scheduler="synchronous")
    np.testing.assert_array_equal(lazy.values, upscaled(values, path))


def test_holes_stay_and_do_not_spread(tmp_path, upscaled):
    path = networks.convolutions(tmp_path / "net.onnx", bands=2)
    values = noise((2, 30, 40))
    values[:, 10:14, 5:20] = 0
    made = upscaled(values, path, nodata=0)
    np.testing.assert_array_equal(made == 0, (values == 0).repeat(2, 1).repeat(2, 2))
    whole = noise((2, 30, 40))
    far = np.ones((60, 80), bool)
    far[2 * 10 - 4 : 2 * 14 + 4, 2 * 5 - 4 : 2 * 20 + 4] = False
    np.testing.assert_array_equal(made[:, far], upscaled(whole, path, nodata=0)[:, far])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_alpha_band_is_not_for_the_network(tmp_path, place):
    path = networks.nearest(tmp_path / "net.onnx", bands=2)
    values = noise((3, 20, 30), "uint8", 1, 250)
    values[place] = np.where(values[place] > 20, 255, 0)
    write(tmp_path / "in.tif", values)
    with rasterio.open(tmp_path / "in.tif", "r+") as dst:
        alpha, grey = rasterio.enums.ColorInterp.alpha, rasterio.enums.ColorInterp.gray
        dst.colorinterp = [alpha if band == place else grey for band in range(3)]
    geosr.upscale_file(tmp_path / "in.tif", tmp_path / "out.tif", model=str(path))
    made = read(tmp_path / "out.tif")
    valid = (values[place] == 255).repeat(2, 0).repeat(2, 1)
    expected = values.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(made[:, valid], expected[:, valid])
    np.testing.assert_array_equal(made[place], expected[place])


def refused(error, match, path, **options):
    """Expect a sentence with a hint."""
    with pytest.raises(error, match=match) as caught:
        probe(path, **options)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_networks_that_do_not_fit_are_refused_with_a_sentence(tmp_path):
    path = tmp_path / "net.onnx"
    node, relu = networks.node, networks.node("Relu", "x", "y")
    free = ["n", 1, "h", "w"]
    refused(ModelFileError, "makes 1.5 times", networks.resized(path, factor=1.5))
    refused(ModelFileError, "as many pixels", networks.save(path, [relu], {}, free))
    refused(BandError, "exactly 3 bands, not 4", networks.nearest(path, bands=3), bands=4)
    refused(BandError, "exactly 3 bands, not 1", networks.nearest(path, bands=3, side=32))
    refused(ModelFileError, "10 x 3", networks.save(path, [relu], {}, [10, 3]))
    refused(ModelFileError, "unknown shape", networks.save(path, [relu], {}, None))
    refused(ModelFileError, "no square pictures", networks.save(path, [relu], {}, [1, 3, 32, 48]))
    bytes_in = networks.TensorProto.UINT8
    path = networks.save(path, [node("Cast", "x", "y", to=1)], {}, free, kind=bytes_in)
    refused(ModelFileError, "uint8", path)
    outputs = [node("Relu", "x", "y"), node("Abs", "x", "z")]
    refused(ModelFileError, "2 outputs", networks.save(path, outputs, {}, free, outputs="yz"))
    w = {"w": np.ones((4, 3, 1, 1), np.float32)}
    grey = [node("Conv", "x w", "a"), networks.shuffle("a", "y", 2)]
    path = networks.save(path, grey, w, ["n", 3, "h", "w"])
    refused(ModelFileError, "3 x 128 x 128 into one of 1 x 1 x 256 x 256", path, bands=3)
    w = {"w": np.ones((4, 2, 1, 1), np.float32)}
    path = networks.save(path, grey, w, ["n", "c", "h", "w"])
    refused(ModelFileError, "cannot be run", path, bands=5)


def test_files_that_are_no_networks_are_refused_with_a_sentence(tmp_path, capfd):
    path = tmp_path / "net.onnx"
    refused(UnknownModelError, "no network at", path)
    for content in (b"", b"nothing of the kind" * 50):
        path.write_bytes(content)
        refused(ModelFileError, "net.onnx is no network", path)
    whole = networks.nearest(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(ModelFileError, "net.onnx is no network", path)
    assert capfd.readouterr().err == ""  # one sentence, and nothing that a library says beside


def test_options_that_contradict_the_file_are_refused(tmp_path):
    path = networks.nearest(tmp_path / "net.onnx")
    refused(OptionError, "makes 2 times the pixels a side, not 4", path, upscale_factor=4)
    refused(OptionError, "does not run with tensorflow", path, runtime="tensorflow")
    refused(DeviceError, "on the processor", path, device="gpu")
    assert probe(path, upscale_factor=2).machinery.precision == "float32"
    assert probe(path, precision="bfloat16").machinery.precision == "bfloat16"


def test_the_command_line_says_what_was_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("in.tif", noise((1, 20, 30)))
    networks.convolutions("local.onnx")
    networks.pooled("pooled.onnx")
    result = run("upscale", "in.tif", "out.tif", "-m", "local.onnx")
    assert result.exit_code == 0, result.stderr
    found = "x2, each band by itself, NCHW, any size, radius 2 pixels, exact, depends on the units"
    assert f"local.onnx has no card; a probe found: {found}." in result.stderr
    assert "as they are" in result.stderr
    assert "--model-range" in result.stderr
    with rasterio.open("out.tif") as dst:
        tags = dst.tags()
    assert tags["GEOSR_MODEL"] == "local.onnx"
    assert tags["GEOSR_EXACT"] == "yes"
    assert tags["GEOSR_PROBE"] == found
    assert "GEOSR_MODEL_RANGE" not in tags
    args = ("upscale", "in.tif", "out.tif", "--overwrite", "-m", "pooled.onnx")
    result = run(*args, "--model-range", "0", "10000")
    assert result.exit_code == 0, result.stderr
    assert "Tiles are blended" in result.stderr
    assert "as they are" not in result.stderr
    with rasterio.open("out.tif") as dst:
        tags = dst.tags()
    assert tags["GEOSR_EXACT"] == "no: tiles are blended"
    assert tags["GEOSR_MODEL_RANGE"] == "0.0 10000.0"


def test_a_dry_run_probes_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("in.tif", noise((1, 20, 30)))
    networks.convolutions("local.onnx")
    result = run("upscale", "in.tif", "out.tif", "-m", "local.onnx", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "a probe found: x2" in result.stdout
    assert not (tmp_path / "out.tif").exists()


@pytest.fixture(scope="module")
def keras():
    """Keras, on TensorFlow."""
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def local_keras(keras, path, *, side=None):
    """Two 3 x 3 convolutions, one before and one behind the enlargement: radius 2."""
    keras.utils.set_random_seed(0)
    x = keras.Input((side, side, 3))
    y = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    y = keras.layers.UpSampling2D(2, interpolation="nearest")(y)
    y = keras.layers.Conv2D(3, 3, padding="same")(y)
    keras.Model(x, y).save(path)
    return path


def test_a_keras_file_runs(tmp_path, keras, upscaled):
    path = local_keras(keras, tmp_path / "net.keras")
    found = probe(path, bands=3)
    assert found.findings.startswith("x2, 3 bands together, NHWC, any size, radius 2 pixels, exact")
    assert found.machinery.runtime == "tensorflow"
    values = noise((3, 29, 44), "float32", -1, 1)
    padded = np.pad(values, ((0, 0), (2, 2), (2, 2)), "reflect").transpose(1, 2, 0)[None]
    model = keras.saving.load_model(path)
    expected = np.asarray(model(padded))[0, 4:-4, 4:-4].transpose(2, 0, 1)
    made = upscaled(values, path, consistency=False, tile_size=100)
    np.testing.assert_allclose(made, expected, atol=1e-6)
    for tile_size in (8, 17, None):
        tiled = upscaled(values, path, consistency=False, tile_size=tile_size)
        np.testing.assert_array_equal(tiled, made)


def test_a_keras_file_of_fixed_size_runs(tmp_path, keras, upscaled):
    fixed = local_keras(keras, tmp_path / "fixed.keras", side=24)
    free = local_keras(keras, tmp_path / "free.keras")
    values = noise((3, 29, 44))
    np.testing.assert_array_equal(upscaled(values, fixed), upscaled(values, free))


def test_a_keras_file_that_pools_is_inexact(tmp_path, keras):
    x = keras.Input((None, None, 1))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = keras.layers.UpSampling2D(2)(keras.layers.Add()([x, mean]))
    keras.Model(x, y).save(tmp_path / "net.keras")
    assert not probe(tmp_path / "net.keras").facts.exact


def test_keras_files_that_cannot_run_are_refused_with_a_sentence(tmp_path, keras):
    path = tmp_path / "net.keras"
    x = keras.Input((None, None, 1))
    keras.Model(x, keras.layers.Lambda(lambda t: t * 2)(x)).save(path)
    refused(ModelFileError, "Lambda layer: Python code", path)

    class Mine(keras.layers.Layer):
        def call(self, x):
            return keras.ops.repeat(keras.ops.repeat(x, 2, 1), 2, 2)

    keras.Model(x, Mine()(x)).save(path)
    refused(ModelFileError, "layer Mine that is not", path)
    other = keras.Input((None, None, 1))
    y = keras.layers.UpSampling2D(2)(keras.layers.Add()([x, other]))
    keras.Model([x, other], y).save(path)
    refused(ModelFileError, "2 inputs and 1 outputs", path)
    local_keras(keras, path)
    refused(OptionError, "does not run with openvino", path, runtime="openvino", bands=3)
    refused(BandError, "exactly 3 bands", path, bands=2)
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2], whole.replace(b"PK", b"XX")):
        path.write_bytes(content)
        refused(ModelFileError, "net.keras", path, bands=3)


def test_geosrs_own_files_are_networks_like_any_other(tmp_path, keras, upscaled):
    from geosr.models.families import build

    model = build("fsrcnn", upscale_factor=2)
    model.save(tmp_path / "mine.keras")
    found = probe(tmp_path / "mine.keras")
    assert found.facts.exact
    assert found.facts.equivariant
    assert not any("--model-range" in note for note in found.notes)
