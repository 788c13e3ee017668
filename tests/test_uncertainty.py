"""``--uncertainty``: a second output that tells, for each pixel, how sure the first one is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from cli_scenes import make_raster, run
from scipy.stats import laplace, norm

import geosr
from geosr.core.catalog import WEIGHTS_DIR, factors_of, find_model, shipped_models
from geosr.core.errors import CancelledError, GeosrError, OptionError, OutputExistsError
from geosr.core.facts import ModelFacts
from geosr.core.heads import find_head, shipped_heads
from geosr.predictors import Machinery, load_predictor

MODEL = "geosr-lite-x2"


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Path:
    """Publish a head of geosr-lite-x2 with random weights; return its card's path."""
    for needed in ("tensorflow", "keras", "onnx", "tf2onnx"):
        pytest.importorskip(needed, reason="making a network needs geosr[tensorflow]")
    import keras

    from geosr.models.sigma import build_sigma
    from geosr.training.publish import publish_files

    keras.utils.set_random_seed(5)
    network = build_sigma(upscale_factor=2, widths=(8, 8))
    facts = ModelFacts(
        name="random-sigma",
        family="random-sigma",
        upscale_factor=2,
        radius=7,
        base=None,
        equivariant=False,
        consistency="none",
        kind="sigma",
        of=MODEL,
        multipliers={"area": {"0.80": 1.25, "0.90": 1.75, "0.95": 2.5}},
        tensors={"detail_in": "detail_in", "detail_out": "detail_out"},
        training={"of_sha256": dict(find_model(MODEL).sha256)},
    )
    return publish_files(network, facts, tmp_path_factory.mktemp("head"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def upscaled(head, **options):
    """Upscale ``in.tif`` with its uncertainty; return the report and both images."""
    chosen = {"model": MODEL, "uncertainty": "sigma.tif", "uncertainty_model": str(head)}
    report = geosr.upscale_file("in.tif", "out.tif", **(chosen | options))
    return report, read("out.tif"), read("sigma.tif")


def read(path):
    with rasterio.open(path) as src:
        return src.read()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_radius_is_what_graph_and_probe_say(factor):
    pytest.importorskip("keras", reason="the network needs geosr[tensorflow]")
    from geosr.models.radius import checked_radius
    from geosr.models.sigma import build_sigma

    network = build_sigma(upscale_factor=factor)
    assert checked_radius(network) == 10
    assert 15_000 < network.count_params() < 30_000


def test_sigma_scales_with_the_units(head):
    facts = find_head(find_model(MODEL), str(head))
    predictor = load_predictor(facts, Machinery("openvino", "cpu", "float32", 1))
    x = np.random.default_rng(0).normal(0, 1, (1, 54, 54))
    sigma = predictor.predict(x)
    assert sigma.shape == (1, 4, 40, 40)
    assert (sigma > 0).all()
    for scale, shift in ((1000.0, 5000.0), (1e-4, -3.0)):
        np.testing.assert_allclose(predictor.predict(scale * x + shift), scale * sigma, rtol=1e-4)
    assert (predictor.predict(np.full_like(x, 7.0)) == 0).all()  # where nothing is, all is sure


def test_both_runtimes_tell_the_same(head):
    facts = find_head(find_model(MODEL), str(head))
    x = np.random.default_rng(1).normal(200, 30, (2, 50, 46)).astype("float32")
    both = [
        np.array(load_predictor(facts, Machinery(name, "cpu", "float32", 1)).predict(x))
        for name in ("openvino", "tensorflow")
    ]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-4)


def test_holes_tags_and_metadata(head):
    values = make_raster("in.tif", bands=2)
    with rasterio.open("in.tif", "r+") as dst:
        dst.descriptions = ("red", "near infrared")
        dst.scales, dst.offsets = (0.01, 0.01), (-5.0, -5.0)
    report, picture, sigma = upscaled(head)
    with rasterio.open("sigma.tif") as src, rasterio.open("out.tif") as out:
        assert (src.transform, src.crs, src.shape) == (out.transform, out.crs, out.shape)
        assert src.descriptions == ("red", "near infrared")
        assert (src.scales, src.offsets) == ((0.01, 0.01), (0.0, 0.0))  # sigma is a difference
        assert src.dtypes == ("float32", "float32")
        assert np.isnan(src.nodata)
        tags = src.tags()
    holes = (values == 0).repeat(2, axis=1).repeat(2, axis=2)
    assert (picture[holes] == 0).all()
    assert np.array_equal(np.isnan(sigma), holes)
    assert (sigma[~holes] > 0).all()
    assert tags["GEOSR_MODEL"] == "random-sigma"
    assert tags["GEOSR_UNCERTAINTY_OF"] == MODEL
    assert tags["GEOSR_SIGMA_MULTIPLIERS_AREA"] == "0.80:1.25 0.90:1.75 0.95:2.5"
    assert "AREA: if the raster's pixels are the means" in tags["GEOSR_SIGMA_INTERVAL"]
    assert report.stats["model"] == MODEL
    assert report.uncertainty.stats["model"] == "random-sigma"
    assert report.uncertainty.output == "sigma.tif"


def test_the_picture_is_the_same_with_and_without(head):
    make_raster("in.tif", bands=1)
    _, picture, _ = upscaled(head)
    geosr.upscale_file("in.tif", "alone.tif", model=MODEL)
    assert Path("alone.tif").read_bytes() == Path("out.tif").read_bytes()
    assert picture.dtype == np.uint16


def test_tiles_never_change_a_pixel(head):
    make_raster("in.tif", bands=1, size=90)
    whole = upscaled(head)[2]
    for size in (24, 31, 64):
        tiled = upscaled(head, tile_size=size, overwrite=True, threads=2)[2]
        np.testing.assert_allclose(tiled, whole, rtol=2e-5)


def test_bounds_give_the_whole_runs_pixels(head):
    make_raster("in.tif", bands=1, size=60)
    whole = upscaled(head)[2]
    part = upscaled(head, overwrite=True, bounds=(500100, 4999700, 500300, 4999900))[2]
    np.testing.assert_allclose(part, whole[:, 20:60, 20:60], rtol=2e-5)


def test_any_format(head):
    pytest.importorskip("zarr", reason="Zarr stores need geosr[zarr]")
    make_raster("in.tif", bands=1)
    report = geosr.upscale_file(
        "in.tif",
        "out.zarr",
        model=MODEL,
        format="zarr",
        uncertainty="sigma.zarr",
        uncertainty_model=str(head),
    )
    assert Path(report.uncertainty.output).is_dir()


def test_a_run_stopped_between_the_two_goes_on(head):
    make_raster("in.tif", bands=1)
    seen = []

    def stop():
        return any(event.get("index") == 2 for event in seen)

    with pytest.raises(CancelledError):
        upscaled(head, on_event=seen.append, should_stop=stop)
    assert Path("out.tif").exists()
    assert not Path("sigma.tif").exists()
    first = Path("out.tif").read_bytes()
    told = []
    report, _, sigma = upscaled(head, on_event=told.append)
    assert any("out.tif is finished already" in event.get("message", "") for event in told)
    assert [event["output"] for event in told if event["event"] == "file"] == [
        "out.tif",
        "sigma.tif",
    ]
    assert Path("out.tif").read_bytes() == first
    assert np.isfinite(sigma).any()
    assert report.stats["resumed"] == 1.0
    with pytest.raises(OutputExistsError):
        upscaled(head)


def test_what_is_something_else_is_never_replaced(head):
    make_raster("in.tif", bands=1)
    geosr.upscale_file("in.tif", "out.tif", model="bicubic", upscale_factor=2)
    before = Path("out.tif").read_bytes()
    with pytest.raises(OutputExistsError):
        upscaled(head)
    assert Path("out.tif").read_bytes() == before
    assert not Path("sigma.tif").exists()


def test_a_picture_older_than_its_source_is_not_taken(head):
    make_raster("in.tif", bands=1)
    geosr.upscale_file("in.tif", "out.tif", model=MODEL)
    make_raster("in.tif", bands=1, size=40)
    with pytest.raises(OutputExistsError):
        upscaled(head)


def test_the_plan_tells_both(head):
    make_raster("in.tif", bands=1)
    told = run(
        *("upscale", "in.tif", "out.tif", "-m", MODEL, "--dry-run"),
        *("--uncertainty", "sigma.tif", "--uncertainty-model", head),
    )
    assert told.exit_code == 0, told.output
    assert f"{MODEL}, openvino" in told.output
    assert "random-sigma, openvino" in told.output
    plan = geosr.api.plan_file(
        "in.tif", model=MODEL, uncertainty="s.tif", uncertainty_model=str(head)
    )
    assert plan.to_dict()["uncertainty"]["dtype"] == "float32"
    assert not Path("sigma.tif").exists()


def test_the_command_tells_both(head):
    make_raster("in.tif", bands=1)
    command = ("upscale", "in.tif", "out.tif", "-m", MODEL, "--uncertainty", "sigma.tif")
    told = run(*command, "--uncertainty-model", head, "--progress", "json")
    assert told.exit_code == 0, told.output
    events = [json.loads(line) for line in told.output.splitlines() if line.startswith("{")]
    assert [event["event"] for event in events].count("result") == 1
    assert events[-1]["stats"]["uncertainty"]["output"] == "sigma.tif"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-m", "bicubic"), "Nothing tells how sure bicubic-x2 is"),
        (("-m", MODEL, "--resolution", "5"), "not for a resolution"),
        (("-m", MODEL, "--no-consistency"), "block means"),
        (("-m", MODEL, "--uncertainty-model", "none.json"), "none.json cannot be read"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(options, said):
    make_raster("in.tif", bands=1)
    told = run("upscale", "in.tif", "out.tif", "--uncertainty", "sigma.tif", *options)
    assert told.exit_code in (1, 2)
    assert said in told.output
    assert "Traceback" not in told.output
    assert sorted(path.name for path in Path().iterdir()) == ["in.tif"]


def test_more_mistakes(head):
    make_raster("in.tif", bands=1)
    with pytest.raises(OptionError, match="both be"):
        upscaled(head, uncertainty="./out.tif")
    with pytest.raises(GeosrError, match="nowhere"):
        upscaled(head, uncertainty="nowhere/sigma.tif")
    assert not Path("out.tif").exists()
    with pytest.raises(OptionError, match="uncertainty was asked"):
        geosr.upscale_file("in.tif", "out.tif", uncertainty_model=str(head))
    with pytest.raises(OptionError, match="how sure geosr-lite-x2 is, not geosr-lite-x4"):
        upscaled(head, model="geosr-lite-x4")
    with pytest.raises(OptionError, match="makes no picture"):
        geosr.upscale_file("in.tif", "out.tif", model=str(head))
    with pytest.raises(OptionError, match="--out-dir takes many"):
        geosr.upscale_files("in.tif", "out", uncertainty="sigma.tif", uncertainty_model=str(head))
    told = run("upscale", "in.tif", "--out-dir", "out", "--uncertainty", "sigma.tif")
    assert told.exit_code == 2
    assert not Path("out").exists()


def test_a_head_of_other_weights_is_refused(head):
    model = find_model(MODEL)
    changed = replace(model, sha256=dict.fromkeys(model.sha256, "0" * 64))
    with pytest.raises(OptionError, match="as it is now"):
        find_head(changed, str(head))


def test_heads_are_no_models():
    assert all(facts.kind == "picture" for facts in shipped_models())
    assert len(set(factors_of("geosr-lite"))) == len(factors_of("geosr-lite"))
    for facts in shipped_heads():
        assert facts.of in {model.name for model in shipped_models()}
        assert find_head(find_model(facts.of)) == facts
        for kind, name in facts.files.items():
            path = WEIGHTS_DIR / name
            assert hashlib.sha256(path.read_bytes()).hexdigest() == facts.sha256[kind]
            assert path.stat().st_size < 200_000
        assert "mtf" in facts.multipliers
        assert facts.scores["calibration"].keys() == facts.multipliers.keys()
        for degradation, found in facts.multipliers.items():
            assert list(found) == ["0.80", "0.90", "0.95"]
            assert sorted(found.values()) == list(found.values())
            measured = facts.scores["calibration"][degradation]["measured"]
            assert measured.keys() == found.keys()
        if len(facts.multipliers) == 2:  # blur that the head knows nothing of makes more error
            area, mtf = (facts.multipliers[name]["0.80"] for name in ("area", "mtf"))
            assert mtf > area


def test_a_card_whose_multipliers_name_no_degradation_is_told(head, tmp_path):
    card = json.loads(head.read_text()) | {"multipliers": {"0.80": 1.25}}
    (tmp_path / "old.json").write_text(json.dumps(card))
    make_raster("in.tif", bands=1)
    told = run("upscale", "in.tif", "out.tif", "-m", MODEL, "--uncertainty", "sigma.tif",
               "--uncertainty-model", "old.json")  # fmt: skip
    assert told.exit_code == 1
    assert "do not say for which degradation" in told.stderr


def test_a_head_beside_the_models_card_is_found(head, tmp_path):
    facts = find_model(MODEL)
    (tmp_path / "mine.json").write_text(replace(facts, name="mine").to_card())
    own = find_model("mine.json")
    with pytest.raises(OptionError, match="Nothing tells how sure mine is"):
        find_head(own)
    card = replace(ModelFacts.from_card(head.read_text()), of="mine").to_card()
    (tmp_path / "mine-sigma.json").write_text(card)
    assert find_head(own).of == "mine"


def test_calibration_on_own_chips(head, tmp_path):
    chips = tmp_path / "chips"
    chips.mkdir()
    rng = np.random.default_rng(2)
    for number in range(3):
        image = rng.normal(3000, 200 * (number + 1), (1, 96, 96))
        image = (image + np.roll(image, 1, 1) + np.roll(image, 1, 2)).astype("uint16")
        with rasterio.open(
            chips / f"chip{number}.tif", "w", driver="GTiff", count=1, height=96, width=96,
            dtype="uint16", crs="EPSG:32632", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
        ) as dst:  # fmt: skip
            dst.write(image)
    command = ("calibrate", MODEL, "--head", head, "--data", chips)
    told = run(*command, "--out", "mine/sigma.json")
    assert told.exit_code == 0, told.output
    mine = find_head(find_model(MODEL), "mine/sigma.json")
    assert mine.multipliers.keys() == {"area"}  # a card of one's own has nothing of others'
    found = [mine.multipliers["area"][level] for level in ("0.80", "0.90", "0.95")]
    assert found == sorted(found)
    measured = mine.scores["calibration"]["area"]["measured"]
    # Chips of one kind at three contrasts: sigma scales, so the others' multipliers hold.
    for level in ("0.80", "0.90", "0.95"):
        assert measured[level]["mean"] == pytest.approx(float(level), abs=0.03)
    make_raster("in.tif", bands=1)
    upscaled("mine/sigma.json")
    with rasterio.open("sigma.tif") as src:
        assert f"0.95:{found[2]:.4g}" in src.tags()["GEOSR_SIGMA_MULTIPLIERS_AREA"]
    again = run("calibrate", MODEL, "--head", "mine/sigma.json", "--data", chips, "--write",
                "--degradation", "mtf")  # fmt: skip
    assert again.exit_code == 0, again.output
    both = find_head(find_model(MODEL), "mine/sigma.json")
    assert both.multipliers["area"] == mine.multipliers["area"]
    assert both.multipliers["mtf"]["0.80"] > both.multipliers["area"]["0.80"]
    assert both.scores["calibration"].keys() == {"area", "mtf"}
    told = run("upscale", "in.tif", "out.tif", "-m", MODEL, "--uncertainty", "sigma.tif",
               "--uncertainty-model", "mine/sigma.json", "--overwrite")  # fmt: skip
    assert f"80% +- {both.multipliers['mtf']['0.80']:.3g} sigma" in told.output
    assert "(mtf: if the sensor blurred them as well)" in told.output
    with rasterio.open("sigma.tif") as src:
        assert (
            f"0.95:{both.multipliers['mtf']['0.95']:.4g}"
            in (src.tags()["GEOSR_SIGMA_MULTIPLIERS_MTF"])
        )
    few = run("calibrate", MODEL, "--head", "mine/sigma.json", "--data", chips, "--write",
              "--guarantee")  # fmt: skip
    assert few.exit_code == 0, few.output
    assert find_head(find_model(MODEL), "mine/sigma.json").multipliers.keys() == {"mtf"}
    few = run(*command, "--guarantee")
    assert "inf" in few.output  # three scenes guarantee nothing
    assert "Nothing was written" in few.output


def test_a_calibration_needs_two_scenes(head, tmp_path):
    (tmp_path / "chips").mkdir()
    make_raster(tmp_path / "chips" / "one.tif", bands=1, size=64)
    told = run("calibrate", MODEL, "--head", head, "--data", "chips")
    assert told.exit_code == 1
    assert "two or more" in told.output


def test_training_goes_on_where_it_stopped(head, tmp_path):
    from geosr.training.head_recipe import head_recipe
    from geosr.training.uncertainty import train_head

    (tmp_path / "data").mkdir()
    for number in range(2):
        make_raster(tmp_path / "data" / f"{number}.tif", bands=1, size=90, nodata=None)
    table = {
        "name": "tiny-sigma",
        "of": MODEL,
        "sources": [{"glob": "*.tif", "validation": ["1.tif"]}],
        "steps": 4,
        "batch_size": 2,
        "patch": 8,
        "validate_every": 2,
    }
    asked = head_recipe(table)
    card = train_head(asked, tmp_path / "data", tmp_path / "whole")

    def stop(event):
        if event.get("done") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_head(asked, tmp_path / "data", tmp_path / "parts", on_event=stop)
    again = train_head(asked, tmp_path / "data", tmp_path / "parts")
    facts = [json.loads(path.read_text()) for path in (card, again)]
    assert facts[0]["sha256"]["onnx"] == facts[1]["sha256"]["onnx"] or _alike(card, again)
    assert (facts[0]["kind"], facts[0]["of"], facts[0]["base"]) == ("sigma", MODEL, None)
    assert find_head(find_model(MODEL), str(card)).radius == 10


def _alike(*cards):
    import keras

    models = [keras.saving.load_model(path.with_suffix(".keras"), compile=False) for path in cards]
    pairs = zip(*(model.get_weights() for model in models), strict=True)
    return all(np.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in pairs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"of": "bicubic"}, "can have none"),
        ({"of": "nothing"}, "There is no model"),
        ({"losses": {"l1": 1.0}}, "losses"),
        ({"batchsize": 3}, "batchsize"),
        ({"likelihood": "normal"}, "likelihood"),
    ],
)
def test_recipes_that_make_no_sense(change, said):
    from geosr.training.head_recipe import head_recipe

    table = {"name": "x", "of": MODEL, "sources": [{"glob": "*"}]}
    with pytest.raises(GeosrError, match=said):
        head_recipe(table | change)


@pytest.mark.parametrize(
    ("likelihood", "density"),
    [
        ("gaussian", lambda e, s: norm.logpdf(e, scale=s) + 0.5 * np.log(2 * np.pi)),
        ("laplace", lambda e, s: laplace.logpdf(e, scale=s / 2**0.5) + 0.5 * np.log(2)),
    ],
)
def test_the_loss_is_the_likelihood(head, likelihood, density):
    from geosr.training.uncertainty import LEAST, surprise

    error = np.array([-2.0, 0.0, 0.3, 5.0], "float32")
    sigma = np.array([1.0, 0.2, 0.3, 2.0], "float32")
    told = np.array(surprise(error, sigma - LEAST, likelihood))
    np.testing.assert_allclose(told, -density(error, sigma), rtol=1e-5, atol=1e-6)
