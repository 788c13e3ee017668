"""Networks that see several bands together: contract, files, rasters that go through them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from cli_scenes import run

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

import geosr  # noqa: E402
from geosr.api import plan_file  # noqa: E402
from geosr.core.catalog import read_card  # noqa: E402
from geosr.core.composition import composed_models  # noqa: E402
from geosr.core.errors import BandError, ModelFileError, OptionError  # noqa: E402
from geosr.core.facts import ModelFacts, kernel_facts  # noqa: E402
from geosr.core.heads import find_head  # noqa: E402
from geosr.kernels import interleave, upsample  # noqa: E402
from geosr.models.contract import declared_radius  # noqa: E402
from geosr.models.cost import multiply_adds  # noqa: E402
from geosr.models.families import build, finished, start_from  # noqa: E402
from geosr.models.layers import BandsApart, BandsTogether  # noqa: E402
from geosr.models.radius import checked_radius, graph_radius  # noqa: E402
from geosr.predictors import Machinery, load_predictor  # noqa: E402
from geosr.radiometry import keep_means  # noqa: E402
from geosr.training.int8 import export_int8  # noqa: E402
from geosr.training.publish import publish_files  # noqa: E402
from geosr.training.tflite import write_tflite  # noqa: E402

NAMES = ("red", "green", "nir")
OPENVINO = Machinery("openvino", "cpu", "float32", 2)


def lively(factor: int, bands: int, **options: object) -> keras.Model:
    """Return a network whose random weights are large enough to be seen in its output."""
    model = build("geosr-lite", factor, expansion=8, bands=bands, **options)
    rng = np.random.default_rng(factor)
    model.set_weights(
        [rng.normal(0, np.prod(w.shape[:-1]) ** -0.5, w.shape) for w in model.get_weights()]
    )
    return model


def through(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x.astype("float32")))


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> str:
    """The card of a network of x2 for three bands, with random weights."""
    folder = tmp_path_factory.mktemp("joint")
    model = finished(lively(2, 3), "geosr-lite")
    facts = ModelFacts(
        "mine-x2",
        "mine",
        2,
        declared_radius(model),
        bands=3,
        band_names=NAMES,
        parameters=model.count_params(),
        tensors={"detail_in": "detail_in", "detail_out": "detail_out"},
        training={"recipe": {"name": "mine-x2"}},
    )
    return str(publish_files(model, facts, folder))


def noise(bands: int, height: int = 60, width: int = 70, seed: int = 0) -> np.ndarray:
    """Return blocks of 4 pixels: steps and flat parts, ``(bands, height, width)`` uint16."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30000, 31500, (bands, -(-height // 4), -(-width // 4)))
    return coarse.repeat(4, 1).repeat(4, 2)[:, :height, :width].astype("uint16")


def write(path, values, *, nodata=None, names=()):
    count, height, width = values.shape
    shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    grid = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500000, 0, -10, 5000000)}
    with rasterio.open(path, "w", driver="GTiff", nodata=nodata, **shape, **grid) as dst:
        dst.write(values)
        for band, name in enumerate(names, 1):
            dst.set_band_description(band, name)
    return path


@pytest.fixture
def upscaled(tmp_path, card):
    """A function from values to the output's values."""

    def upscaled(values, *, nodata=None, **options):
        source = write(tmp_path / "in.tif", values, nodata=nodata)
        options = {
            "model": card,
            "overwrite": True,
            "threads": 2,
            "precision": "float32",
            **options,
        }
        geosr.upscale_file(source, tmp_path / "out.tif", **options)
        with rasterio.open(tmp_path / "out.tif") as src:
            return src.read()

    return upscaled


@pytest.mark.parametrize(("factor", "bands"), [(2, 4), (3, 2), (4, 3)])
def test_network_keeps_the_contract_for_each_band(factor, bands):
    model = lively(factor, bands)
    x = np.random.default_rng(1).normal(0, 1, (2, 23, 25, bands))
    y = through(model, x)
    assert y.shape == (2, 23 * factor, 25 * factor, bands)
    contrast = np.ptp(y)
    for band in range(bands):
        padded = np.pad(x[..., band], ((0, 0), (2, 2), (2, 2)), "reflect")
        base = interleave(upsample(padded, "bicubic", factor))
        assert np.abs(y[..., band] - base).max() > 0.05 * contrast  # the trained part shows
    shift = np.array([5, -7, 40, 0.5])[:bands]
    assert np.abs(through(model, 3 * x + shift) - (3 * y + shift)).max() < 1e-4 * contrast
    means = y.reshape(2, 23, factor, 25, factor, bands).mean(axis=(2, 4))
    assert np.abs(means - x).max() < 1e-5 * contrast
    assert np.abs(through(finished(model, "geosr-lite"), x) - y).max() < 1e-4 * contrast


def test_detail_of_one_band_shows_in_the_others_and_its_level_does_not():
    model = lively(2, 3)
    x = np.random.default_rng(2).normal(0, 1, (1, 24, 24, 3))
    y = through(model, x)
    rough, higher = x.copy(), x.copy()
    rough[0, 12, 12, 0] += 3
    higher[..., 0] += 100
    assert np.abs(through(model, rough) - y)[..., 1:].max() > 0.01
    assert np.abs(through(model, higher) - y)[..., 1:].max() < 1e-3


def test_radius_is_counted_and_measured_alike():
    for architecture, radius in (("geosr-lite", 10), ("geosr", 20)):
        model = finished(build(architecture, 3, expansion=8, bands=4), architecture)
        assert graph_radius(model) == declared_radius(model) == radius
    assert checked_radius(finished(lively(3, 4), "geosr-lite")) == 10


def test_one_trunk_serves_several_factors():
    two = lively(2, 4)
    four = build("geosr-lite", 4, expansion=8, bands=4, trunk=two)
    assert four.get_layer("conv0") is two.get_layer("conv0")
    assert four.output_shape == (None, None, None, 4)


def test_bands_cost_what_each_costs_alone_and_their_exchange():
    one, four = (build("geosr-lite", 2, bands=bands) for bands in (1, 4))
    exchange = 3 * (4 * 48) ** 2 / 4  # after the three layers of 48; an output pixel is a quarter
    assert multiply_adds(four) == pytest.approx(4 * multiply_adds(one) + exchange)


def test_bands_go_apart_and_together_again():
    x = np.random.default_rng(6).normal(size=(2, 3, 4, 6)).astype("float32")
    apart = through(BandsApart(3), x)
    assert apart.shape == (6, 3, 4, 2)
    np.testing.assert_array_equal(apart[3 + 1], x[1, :, :, [1, 4]].transpose(1, 2, 0))
    np.testing.assert_array_equal(through(BandsTogether(3), apart), x)


def test_it_begins_as_the_trained_network_of_one_band(tmp_path):
    one = build("geosr-lite", 3, expansion=8)
    rng = np.random.default_rng(7)
    one.set_weights([rng.normal(0, 0.3, w.shape) for w in one.get_weights()])
    one.save(tmp_path / "one.keras")
    three = build("geosr-lite", 3, expansion=8, bands=3)
    start_from(three, str(tmp_path / "one.keras"))
    x = rng.normal(0, 1, (2, 24, 26, 3))
    alone = np.concatenate([through(one, x[..., n : n + 1]) for n in range(3)], axis=-1)
    assert np.abs(through(three, x) - alone).max() < 1e-5 * np.ptp(alone)
    three.save(tmp_path / "three.keras")
    other = build("geosr-lite", 3, expansion=8, bands=3)
    start_from(other, str(tmp_path / "three.keras"))
    np.testing.assert_array_equal(through(other, x), through(three, x))


def test_other_networks_see_each_band_by_itself():
    with pytest.raises(OptionError, match="fsrcnn takes each band by itself, not 4 together"):
        build("fsrcnn", 2, bands=4)


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_both_runtimes_and_all_files_give_the_same(card, runtime):
    facts = read_card(card)
    assert (facts.bands, facts.band_names) == (3, NAMES)
    x = np.random.default_rng(3).normal(0, 1, (3, 30, 34)).astype("float32")
    model = keras.saving.load_model(f"{facts.folder}/mine-x2.keras", compile=False)
    whole = np.moveaxis(through(model, np.moveaxis(x, 0, -1)[None])[0], -1, 0)
    halo = facts.radius
    padded = np.pad(x, ((0, 0), (halo, halo), (halo, halo)), "reflect")
    for precision, error in (("float32", 1e-5), ("bfloat16", 0.02)):
        machinery = replace(OPENVINO, runtime=runtime, precision=precision)
        phases = load_predictor(facts, machinery).predict(padded)
        made = interleave(keep_means(phases, x))
        assert np.abs(made - whole).max() < error * np.ptp(whole)
    if runtime == "openvino":
        openvino = pytest.importorskip("openvino")
        graph = openvino.Core().compile_model(
            f"{facts.folder}/mine-x2.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        made = graph(np.moveaxis(x, 0, -1)[None])[0][0]
        assert np.abs(np.moveaxis(made, -1, 0) - whole).max() < 1e-5 * np.ptp(whole)


def test_a_shift_of_one_band_shifts_that_band_alone(upscaled):
    values = noise(3)
    made = upscaled(values)
    values[1] += 1000
    shifted = upscaled(values)
    np.testing.assert_array_equal(shifted[[0, 2]], made[[0, 2]])
    assert np.abs(shifted[1].astype(int) - made[1] - 1000).max() <= 1


def test_block_means_are_exact_and_tiles_do_not_show(upscaled):
    values = noise(3, 70, 90)
    whole = upscaled(values, tile_size=256)
    np.testing.assert_array_equal(
        whole.reshape(3, 70, 2, 90, 2).astype(float).mean(axis=(2, 4)), values
    )
    for size in (32, 41):
        np.testing.assert_array_equal(upscaled(values, tile_size=size), whole)


def test_holes_stay_and_do_not_spread(upscaled):
    values = noise(3)
    values[0, 20:45, 10:40] = 0
    values[1, :, 60:] = 0
    made = upscaled(values, nodata=0, tile_size=40)
    np.testing.assert_array_equal(made == 0, (values == 0).repeat(2, 1).repeat(2, 2))
    poisoned = np.where(values == 0, 65535, values).astype("uint16")
    again = upscaled(poisoned, nodata=65535)
    np.testing.assert_array_equal(np.where(values.repeat(2, 1).repeat(2, 2) == 0, 0, again), made)


def test_where_a_band_is_missing_the_others_see_no_edge_of_it(upscaled, card):
    facts = read_card(card)
    values = noise(3, 90, 110)
    values[0] = 30000  # flat: filled or not, there is no detail of it
    whole = upscaled(values, nodata=0)
    values[0, 10:80, 10:100] = 0
    made = upscaled(values, nodata=0, tile_size=48)
    assert 2 * facts.radius < 35  # deep enough for the hole to be filled in part
    np.testing.assert_array_equal(made[1:], whole[1:])


def test_an_alpha_band_is_not_for_the_network(tmp_path, upscaled, card):
    values = noise(3)
    made = upscaled(values)
    source = write(tmp_path / "rgba.tif", np.concatenate([values, values[:1] * 0 + 65535]))
    with rasterio.open(source, "r+") as dst:
        interp = rasterio.enums.ColorInterp
        dst.colorinterp = (interp.gray, interp.undefined, interp.undefined, interp.alpha)
    geosr.upscale_file(source, tmp_path / "out4.tif", model=card, precision="float32")
    with rasterio.open(tmp_path / "out4.tif") as src:
        np.testing.assert_array_equal(src.read([1, 2, 3]), made)


def test_bands_are_chosen_in_the_networks_order(tmp_path, upscaled, card):
    values = noise(5)
    expected = upscaled(values[[3, 0, 2]])
    np.testing.assert_array_equal(upscaled(values, indexes=(4, 1, 3)), expected)
    assert not np.array_equal(upscaled(values, indexes=(1, 4, 3))[[1, 0, 2]], expected)
    source = write(tmp_path / "five.tif", values)
    with pytest.raises(BandError, match=r"exactly 3 bands \(red, green, nir\), not 5") as caught:
        plan_file(source, model=card)
    assert "--bidx, in this order" in caught.value.hint
    with pytest.raises(BandError, match="not 1"):
        plan_file(source, model=card, indexes=(2,))


def test_the_bands_that_are_taken_are_told_unless_they_were_chosen(tmp_path, card):
    source = write(tmp_path / "s2.tif", noise(3), names=("B04", "B03"))
    (note,) = plan_file(source, model=card).notes
    assert note.startswith("mine-x2 sees red, green, nir together, and takes bands 1 (B04), 2 (B03")
    assert plan_file(source, model=card, indexes=(1, 2, 3)).notes == ()


def test_bands_are_found_by_their_descriptions(tmp_path, upscaled, card):
    """And come out in the raster's own order."""
    values = noise(3)
    expected = upscaled(values[[2, 1, 0]])[[2, 1, 0]]
    assert not np.array_equal(upscaled(values), expected)
    source = write(
        tmp_path / "s2.tif", values, names=("B8, central wavelength 842 nm", "Green", "B4")
    )
    (note,) = plan_file(source, model=card).notes
    assert "takes bands 3 (B4), 2 (Green), 1 (B8, central wavelength 842 nm) for these" in note
    geosr.upscale_file(source, tmp_path / "found.tif", model=card, precision="float32")
    with rasterio.open(tmp_path / "found.tif") as src:
        np.testing.assert_array_equal(src.read(), expected)
        assert src.descriptions == ("B8, central wavelength 842 nm", "Green", "B4")
    geosr.upscale_file(
        source, tmp_path / "chosen.tif", model=card, precision="float32", indexes=(1, 2, 3)
    )
    with rasterio.open(tmp_path / "chosen.tif") as src:
        np.testing.assert_array_equal(src.read(), upscaled(values))


def test_bands_that_are_called_by_their_colours_leave_no_doubt(tmp_path, card):
    source = write(tmp_path / "rgn.tif", noise(3), names=("NIR", "red", "Green"))
    plan = plan_file(source, model=card)
    assert plan.notes == ()
    assert plan.work.order == (1, 2, 0)


def test_of_many_bands_the_right_ones_are_named(tmp_path, card):
    names = ("B02", "B03", "B04", "B05", "B08", "B8A")
    source = write(tmp_path / "s2.tif", noise(6), names=names)
    with pytest.raises(BandError) as caught:
        plan_file(source, model=card)
    assert caught.value.hint.endswith("as Sentinel-2 and Landsat 8 call them, --bidx 3,2,5.")


def test_arrays_find_bands_by_their_names(upscaled, card, caplog):
    xarray = pytest.importorskip("xarray")
    values = noise(3)
    array = xarray.DataArray(
        values, dims=("band", "y", "x"), coords={"band": ["B08", "B03", "B04"]}
    ).chunk({"band": 1, "y": 31, "x": 47})
    lazy = geosr.upscale(array, model=card, precision="float32").compute(scheduler="synchronous")
    np.testing.assert_array_equal(lazy.values, upscaled(values[[2, 1, 0]])[[2, 1, 0]])
    assert list(lazy.band.values) == ["B08", "B03", "B04"]
    (said,) = caplog.messages
    assert "takes bands B04, B03, B08 for these" in said
    caplog.clear()
    geosr.upscale(array.assign_coords(band=["nir", "green", "red"]), model=card)
    assert not caplog.messages


def test_arrays_give_what_files_give(upscaled, card, caplog):
    xarray = pytest.importorskip("xarray")
    values = noise(3)
    array = xarray.DataArray(values, dims=("band", "y", "x")).chunk({"band": 1, "y": 31, "x": 47})
    lazy = geosr.upscale(array, model=card, precision="float32").compute(scheduler="synchronous")
    np.testing.assert_array_equal(lazy.values, upscaled(values))
    (said,) = caplog.messages
    assert "takes bands 1, 2, 3 for these. If they are others, choose with indexes=(...)" in said
    caplog.clear()
    geosr.upscale(array, model=card, precision="float32", indexes=(1, 2, 3))
    assert not caplog.messages
    with pytest.raises(BandError, match=r"\(red, green, nir\), not 2"):
        geosr.upscale(array[:2], model=card)


def test_two_of_a_family_make_one_after_the_other(card):
    two = read_card(card)
    four = replace(two, name="mine-x4", upscale_factor=4)
    (eight,) = composed_models((two, four))
    assert (eight.name, eight.bands, eight.band_names) == ("mine-x8", 3, NAMES)
    assert eight.takes_gaps
    other = replace(four, band_names=("blue", "green", "nir"))
    assert composed_models((two, other)) == ()


def test_a_composed_one_keeps_its_means_and_takes_gaps(card, monkeypatch):
    monkeypatch.setattr("geosr.core.composition.COMPOSED_OF", {4: (2, 2)})
    (facts,) = composed_models((read_card(card),))
    predictor = load_predictor(facts, OPENVINO)
    values = np.pad(noise(3, 40, 40), ((0, 0), *2 * ((facts.radius,) * 2,)), "reflect")
    x = values.astype("float32")
    whole = predictor.predict(x)
    inner = x[:, facts.radius : -facts.radius, facts.radius : -facts.radius]
    assert np.abs(whole.mean(axis=1) - inner).max() < 0.05  # of 30,000
    x[0, :30] = np.nan
    holed = predictor.predict(x)
    assert np.isfinite(holed[1:]).all()
    np.testing.assert_array_equal(holed[:, :, -5:], whole[:, :, -5:])  # far from the gap


def test_what_a_network_lacks_is_told(tmp_path, card):
    facts = read_card(card)
    source = write(tmp_path / "in.tif", noise(3))
    with pytest.raises(OptionError, match="has no int8 weights"):
        plan_file(source, model=card, precision="int8")
    with pytest.raises(OptionError, match="no uncertainty head") as caught:
        find_head(facts)
    assert f'of = "{card}"' in caught.value.hint


# A head, and int8


RECIPE = {
    "name": "mine-x2",
    "architecture": "geosr-lite",
    "upscale_factor": 2,
    "bands": list(NAMES),
    "patch": 8,
    "sources": [{"glob": "*.tif", "validation": ["1.tif"]}],
}


@pytest.fixture
def data(tmp_path):
    """A folder of two images of the three bands."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(2):
        write(folder / f"{number}.tif", noise(3, 140, 150, seed=number))
    return folder


def test_beside_a_network_a_head_sees_each_band_by_itself():
    from geosr.models.sigma import build_sigma
    from geosr.training.uncertainty import side_by_side

    finished_one, head = finished(lively(2, 3), "geosr-lite"), build_sigma(upscale_factor=2)
    both = side_by_side(finished_one, head)
    x = np.moveaxis(noise(3) / 1000, 0, -1)[None]
    found = through(both, x)
    np.testing.assert_allclose(found[..., :3], through(finished_one, x), atol=1e-4)
    for band in range(3):
        alone = through(head, x[..., band : band + 1])
        np.testing.assert_allclose(found[..., 3 + band], alone[..., 0], rtol=1e-3, atol=1e-4)
    assert both.trainable_variables
    assert {v.path for v in both.trainable_variables} == {v.path for v in head.trainable_variables}


def test_a_head_is_trained_calibrated_and_used(tmp_path, card, data):
    recipe = tmp_path / "head.toml"
    recipe.write_text(
        f'name = "mine-x2-sigma"\nof = "{card}"\nsteps = 2\nbatch_size = 2\npatch = 8\n'
        'degradation = "mtf"\n[[sources]]\nglob = "*.tif"\nvalidation = ["1.tif"]\n'
        "bands = [3, 1, 2]\n"
    )
    done = run("train", recipe, "--data", data, "--out", tmp_path / "head")
    assert done.exit_code == 0, done.output
    head = tmp_path / "head" / "mine-x2-sigma.json"
    done = run("calibrate", card, "--head", head, "--data", data, "--write")
    assert done.exit_code == 0, done.output
    known = read_card(str(head)).multipliers["area"]
    assert all(value > 0 for value in known.values())

    values = noise(3, seed=5)
    sigmas = []
    for order in ((0, 1, 2), (2, 0, 1)):
        names = tuple(NAMES[place] for place in order)
        source = write(tmp_path / "in.tif", values[list(order)], names=names)
        geosr.upscale_file(
            source,
            tmp_path / "out.tif",
            model=card,
            uncertainty=tmp_path / "sigma.tif",
            uncertainty_model=str(head),
            overwrite=True,
        )
        with rasterio.open(tmp_path / "sigma.tif") as src:
            assert src.descriptions == names
            sigmas.append(src.read())
    np.testing.assert_array_equal(sigmas[1], sigmas[0][[2, 0, 1]])  # in the raster's own order
    assert (sigmas[0] > 0).any()


def test_a_recipe_holds_back_the_bands_that_its_source_names(data):
    from geosr.evaluation.coverage import validation_entries
    from geosr.evaluation.protocol import Protocol
    from geosr.training.recipe import Source

    source = Source(glob="*.tif", bands=(3, 1, 2), validation=("1.tif",))
    found = validation_entries((source,), data, Protocol(("x",)))
    (entry,) = found["1.tif"]
    image = noise(3, 140, 150, seed=1)
    np.testing.assert_array_equal(entry.load(2).truth, image[[2, 0, 1]])


def test_int8_has_one_step_for_all_bands(tmp_path, card, data):
    pytest.importorskip("nncf", reason="needs geosr[quantise]")
    facts = replace(read_card(card), training={"recipe": RECIPE})
    quantised = str(export_int8(facts, data, tmp_path / "int8"))
    values = noise(3).astype("float32")
    values[1] /= 64

    def upscaled(image, **options):
        source = write(tmp_path / "in.tif", image)
        options = {"precision": "int8", "overwrite": True, **options}
        geosr.upscale_file(source, tmp_path / "out.tif", model=quantised, **options)
        with rasterio.open(tmp_path / "out.tif") as src:
            return src.read()

    plain = upscaled(values)
    exact = upscaled(values, precision="float32")
    spread = (exact - values.repeat(2, 1).repeat(2, 2)).std()  # of the detail that is added
    assert 0 < np.sqrt(np.mean((plain - exact) ** 2)) < 0.2 * spread
    for options in ({"tile_size": 27}, {"tile_size": 41, "threads": 1}):
        np.testing.assert_array_equal(upscaled(values, **options), plain)
    np.testing.assert_array_equal(upscaled(values / 512), plain / 512)  # units never matter


def test_the_whole_network_becomes_tflite(tmp_path, card):
    pytest.importorskip("tensorflow")
    assert write_tflite(read_card(card), tmp_path / "net.tflite") < 1e-4


def test_evaluation_takes_the_bands_it_is_told(tmp_path, card):
    folder = tmp_path / "truths"
    folder.mkdir()
    write(folder / "a.tif", noise(4, 96, 96))
    args = ("evaluate", "-m", card, "--data", folder, "--csv", tmp_path / "scores.csv")
    refused = run(*args)
    assert refused.exit_code == 1
    assert "exactly 3 bands (red, green, nir), not 4" in refused.stderr
    assert run(*args, "--bidx", "4,2,1").exit_code == 0


def test_evaluation_finds_bands_by_their_descriptions(tmp_path, card):
    folder = tmp_path / "truths"
    folder.mkdir()
    write(folder / "a.tif", noise(3, 96, 96), names=("B8", "B3", "B4"))

    def scores(*chosen: str) -> list[float]:
        table = tmp_path / f"scores{len(list(tmp_path.iterdir()))}.csv"
        args = ("evaluate", "-m", card, "--data", folder, "--csv", table, *chosen)
        assert run(*args).exit_code == 0
        with table.open(encoding="utf-8") as file:
            found = [row for row in csv.DictReader(file) if row["method"] == card]
        return sorted(float(row["psnr"]) for row in found)

    assert len(scores()) == 4  # the bands, and all together
    assert scores() == pytest.approx(scores("--bidx", "3,2,1"))
    assert scores() != pytest.approx(scores("--bidx", "1,2,3"))


def test_cards_of_before_and_wrong_ones():
    plain = json.loads(kernel_facts("bicubic", 2).to_card())
    del plain["band_names"]
    assert ModelFacts.from_card(json.dumps(plain)) == kernel_facts("bicubic", 2)
    facts = ModelFacts("n-x2", "n", 2, 10, bands=3, band_names=NAMES)
    assert ModelFacts.from_card(facts.to_card()) == facts
    assert not facts.takes_gaps  # a network that nobody cut open
    with pytest.raises(ModelFileError, match="names 3 bands and says bands 4"):
        replace(facts, bands=4)


def test_lists_name_the_bands(card, monkeypatch):
    facts = read_card(card)
    monkeypatch.setattr("geosr.core.catalog.shipped_models", lambda *_: (facts,))
    listed = run("models").stdout
    assert "red,green,nir" in listed
    assert "each" in listed
