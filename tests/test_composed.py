"""Two networks one after the other: x8 as x4, then x2."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from cli_scenes import run
from in_memory import block_means, scene, upscaled

from geosr.core import composition
from geosr.core.catalog import factors_of, find_model, shipped_models
from geosr.core.composition import composed_models
from geosr.core.errors import OptionError
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.predictors import ComposedPredictor, Machinery, load_predictor, settle

HILLS = tuple(
    ModelFacts(
        name=f"hills-x{factor}",
        family="hills",
        upscale_factor=factor,
        radius=10,
        parameters=1000 * factor,
        sha256={"keras": f"{factor}k", "onnx": f"{factor}o"},
        licence="CC0-1.0" if factor == 2 else "CC-BY-4.0",
        sources=("hills", f"at {factor}"),
    )
    for factor in (2, 3, 4)
)

CPU = Machinery("openvino", "cpu", "float32", 2)


@pytest.fixture(scope="module")
def sixfold(random_networks) -> ComposedPredictor:
    """A network of x3, and one of x2 on what it makes; both have random weights."""
    steps = random_networks[3], random_networks[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "COMPOSED_OF", {6: (3, 2)})
        (facts,) = composed_models([step.facts for step in steps])
    assert (facts.name, facts.radius) == ("random-x6", 10 + 4)  # 10 fine pixels are 3.33
    return ComposedPredictor(facts, *steps)


def test_facts_are_those_of_both():
    facts = find_model("hills", 8, models=HILLS)
    assert facts == find_model("hills-x8", models=HILLS)
    assert (facts.name, facts.family, facts.upscale_factor) == ("hills-x8", "hills", 8)
    assert facts.radius == 10 + 3  # 10 pixels of a quarter are 2.5
    assert facts.parameters == 6000
    assert facts.sha256 == {"keras": "4k 2k", "onnx": "4o 2o"}
    assert facts.licence == "CC-BY-4.0 and CC0-1.0"
    assert facts.sources == ("hills", "at 4", "at 2")
    assert (facts.exact, facts.equivariant, facts.consistency) == (True, True, "block-mean")
    assert [step.name for step in facts.steps] == ["hills-x4", "hills-x2"]
    assert not facts.is_kernel


def test_facts_come_back_from_their_card():
    facts = find_model("hills-x8", models=HILLS)
    assert ModelFacts.from_card(facts.to_card()) == facts


def test_a_family_has_as_many_factors_as_it_can_compose():
    assert factors_of("hills", models=HILLS) == (2, 3, 4, 8)
    assert factors_of("hills-x8", models=HILLS) == (8,)
    assert factors_of("hills", models=HILLS[:2]) == (2, 3)
    with pytest.raises(OptionError, match="no weights for factor 8"):
        find_model("hills", 8, models=HILLS[1:])


def test_formats_are_those_that_both_have():
    eight = replace(HILLS[2], sha256={**HILLS[2].sha256, "int8": "4i"})
    (facts,) = composed_models((*HILLS[:2], eight))
    assert set(facts.sha256) == {"keras", "onnx"}


def test_own_weights_come_first():
    own = replace(HILLS[0], name="hills-x8", upscale_factor=8)
    assert find_model("hills", 8, models=(*HILLS, own)) == own


@pytest.mark.parametrize(
    "change", [{"bands": 4}, {"consistency": "none"}, {"exact": False}, {"kind": "sigma"}]
)
def test_networks_that_do_not_fit_each_other_are_not_composed(change):
    assert composed_models(HILLS)
    assert composed_models((replace(HILLS[0], **change), *HILLS[1:])) == ()


def test_machinery_is_what_both_can_use():
    facts = find_model("geosr-lite", 8)
    options = UpscaleOptions(device="cpu")
    assert settle(facts, options, processors=3) == Machinery("openvino", "cpu", "float32", 3)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_tiles_do_not_change_a_bit(sixfold, dtype):
    source = scene((33, 38), dtype=dtype)
    expected = upscaled(source, sixfold)
    for core, block_size in ((5, 1000), (16, 20), (37, 23), (9, 13)):
        result = upscaled(source, sixfold, core=core, block_size=block_size)
        assert np.array_equal(result.values, expected.values), (core, block_size)


def test_it_is_the_one_after_the_other(sixfold, random_networks):
    """Away from the edges, where the second run mirrors what the first made."""
    source = scene((40, 43), dtype="float32")
    at_once = upscaled(source, sixfold).values
    first = upscaled(source, random_networks[3]).values
    then = upscaled(first, random_networks[2]).values
    inner = (0, slice(6 * 4, -6 * 4), slice(6 * 4, -6 * 4))
    contrast = np.ptp(then[inner])
    assert np.abs(at_once[inner] - then[inner]).max() < 1e-5 * contrast
    assert np.abs(at_once - then).max() > 1e-3 * contrast  # at the edges they may differ


def test_edges_are_those_of_the_mirrored_source(sixfold):
    source = scene((20, 23), dtype="float32")
    halo = sixfold.facts.radius
    wide = np.pad(source, ((0, 0), (halo, halo), (halo, halo)), "reflect")
    inner = upscaled(wide, sixfold, core=64).values[:, 6 * halo : -6 * halo, 6 * halo : -6 * halo]
    values = upscaled(source, sixfold).values
    assert np.abs(values - inner).max() < 1e-5 * np.ptp(values)


def test_it_looks_as_far_as_its_facts_say(sixfold):
    halo = sixfold.facts.radius
    x = np.random.default_rng(0).normal(0, 1, (1, 4 * halo + 1, 4 * halo + 1)).astype("float32")
    changed = x.copy()
    changed[0, 2 * halo, 2 * halo] += 50
    far = np.nonzero(sixfold.predict(changed)[0] != sixfold.predict(x)[0])
    reach = max(int(np.abs(places - halo).max()) for places in far[1:])
    assert reach == halo


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_block_means_are_kept(sixfold, dtype):
    source = scene((21, 22), bands=2, dtype=dtype)
    means = block_means(upscaled(source, sixfold).values, 6)
    assert np.abs(means - source).max() <= (0 if dtype == "uint16" else 2e-3)


def test_each_step_keeps_its_means(sixfold):
    """So that blocks of the first step show no steps of their own."""
    source = scene((21, 22), dtype="float32")
    values = upscaled(source, sixfold, consistency=False).values
    assert np.abs(block_means(values, 6) - source).max() < 2e-3


def test_units_do_not_matter(sixfold):
    source = scene((21, 22), dtype="float32")
    values = upscaled(source, sixfold).values
    scaled = upscaled(0.01 * source - 7, sixfold).values
    assert np.abs(scaled - (0.01 * values - 7)).max() < 1e-5 * np.ptp(values)


def test_shipped_networks_are_composed():
    names = {facts.name for facts in composed_models(shipped_models())}
    assert "geosr-lite-x8" in names
    assert not names & {facts.name for facts in shipped_models()}
    predictor = load_predictor(find_model("geosr-lite", 8), CPU)
    source = scene((30, 26))
    expected = upscaled(source, predictor)
    assert upscaled(source, predictor, core=11, block_size=14).values.tobytes() == (
        expected.values.tobytes()
    )


@pytest.fixture
def raster(tmp_path, monkeypatch):
    """Make ``in.tif`` with pixels of 10 m, and go there; return its values."""
    monkeypatch.chdir(tmp_path)
    values = scene((30, 40))
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5000000)}
    with rasterio.open(
        "in.tif", "w", driver="GTiff", height=30, width=40, count=1, dtype="uint16", **place
    ) as dst:
        dst.write(values)
    return values


def test_eightfold_from_the_command_line(raster):
    result = run("upscale", "in.tif", "out.tif", "-f", "8")
    assert result.exit_code == 0, result.stderr
    with rasterio.open("in.tif") as src, rasterio.open("out.tif") as dst:
        assert dst.bounds == src.bounds
        assert dst.shape == (240, 320)
        assert dst.tags()["GEOSR_MODEL"] == "geosr-lite-x8"
        assert dst.tags()["GEOSR_SHA256"] == " ".join(
            find_model("geosr-lite", n).sha256["onnx"] for n in (4, 2)
        )
        assert np.array_equal(block_means(dst.read(), 8), raster)


def test_resolutions_beyond_four_times_finer(raster):
    """The eightfold picture, averaged to what was asked for."""
    result = run("upscale", "in.tif", "out.tif", "--resolution", "2")
    assert result.exit_code == 0, result.stderr
    assert run("upscale", "in.tif", "x8.tif", "-f", "8", "-t", "float32").exit_code == 0
    with rasterio.open("out.tif") as dst, rasterio.open("x8.tif") as fine:
        assert (dst.res, dst.shape) == ((2, 2), (150, 200))
        assert dst.tags()["GEOSR_MODEL"] == "geosr-lite-x8"
        weights = np.zeros((150, 240))  # each of them lies on 1.6 fine pixels
        for row in range(150):
            for fine_row in range(240):
                shared = min(1.6 * (row + 1), fine_row + 1) - max(1.6 * row, fine_row)
                weights[row, fine_row] = max(shared, 0) / 1.6
        across = np.zeros((200, 320))
        across[:150, :240] = weights
        for row in range(150, 200):
            across[row] = np.roll(across[row - 5], 8)
        expected = weights @ fine.read(1).astype("f8") @ across.T
        assert np.abs(dst.read(1) - expected).max() <= 0.5 + 1e-2
    refused = run("upscale", "in.tif", "no.tif", "--resolution", "1")
    assert refused.exit_code == 2
    assert "the model makes x2, x3, x4, x8" in refused.stderr


def test_arrays_get_the_pixels_of_files(raster):
    xarray = pytest.importorskip("xarray")
    import geosr

    geosr.upscale_file("in.tif", "out.tif", upscale_factor=8)
    array = xarray.DataArray(raster, dims=("band", "y", "x")).chunk(x=17, y=30)
    finer = geosr.upscale(array, upscale_factor=8)
    assert finer.shape == (1, 240, 320)
    with rasterio.open("out.tif") as dst:
        assert np.array_equal(finer.to_numpy(), dst.read())


def test_it_is_listed():
    listed = run("models")
    line = next(line for line in listed.stdout.splitlines() if line.startswith("geosr-lite-x8"))
    assert line.split()[1:5] == ["8", "each", "13", "144,576"]
    facts = {entry["name"]: entry for entry in json.loads(run("models", "--json").stdout)}
    assert [step["name"] for step in facts["geosr-lite-x8"]["steps"]] == [
        "geosr-lite-x4",
        "geosr-lite-x2",
    ]


def test_memory_is_estimated_for_both_steps(raster):
    import geosr

    eight, four = (geosr.plan_file("in.tif", upscale_factor=n).ram_bytes for n in (8, 4))
    assert four < eight < 4 * four
