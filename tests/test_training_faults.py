"""What goes wrong in training is a sentence, and what was there is kept."""

from __future__ import annotations

import json
import resource
from dataclasses import replace

import numpy as np
import pytest
from dataset_scenes import write as write_raster
from training_scenes import TINY

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

from geosr.core.errors import (  # noqa: E402
    GeosrError,
    InputFileError,
    OptionError,
    OutputError,
    TrainingError,
)
from geosr.models.families import build  # noqa: E402
from geosr.training.checkpoint import load_checkpoint, replacing  # noqa: E402
from geosr.training.fit import train  # noqa: E402
from geosr.training.history import read_history  # noqa: E402
from geosr.training.optimizers import Halvings, compute_in, make_optimizer  # noqa: E402
from geosr.training.recipe import Source, read_recipe  # noqa: E402
from geosr.training.run import Run  # noqa: E402

RECIPE = replace(TINY, steps=4, validate_every=2)


def write(folder, name, *, side=120, dtype="uint8", top=255, count=1):
    rng = np.random.default_rng(len(name))
    cells = rng.uniform(0, top, (count, side // 5 + 1, side // 5 + 1))
    image = np.kron(cells, np.ones((5, 5)))[:, :side, :side].astype(dtype)
    write_raster(folder / name, image, origin=(500.0, 900.0), pixel=1.0)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in ("a.tif", "held.tif"):
        write(folder, name)
    return folder


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    train(RECIPE, images, out)
    return out


@pytest.fixture
def run(tmp_path):
    return Run(RECIPE, {2: build("geosr-lite", 2, expansion=8)}, tmp_path)


def batch():
    rng = np.random.default_rng(0)
    return (
        [rng.random((2, 32, 32, 1), dtype=np.float32)],
        [rng.random((2, 24, 24, 1), dtype=np.float32)],
    )


def test_a_loss_that_is_no_number_stops_and_keeps_the_batch(run, tmp_path):
    low, high = batch()
    run.train_on(low, high)
    run.step = 41
    high[0][0, 3, 4] = np.nan
    with pytest.raises(TrainingError, match="no number at step 42") as caught:
        run.train_on(low, high)
    assert "learning_rate" in caught.value.hint
    with np.load(tmp_path / "diverged.npz") as saved:
        np.testing.assert_array_equal(saved["low_x2"], low[0])
        np.testing.assert_array_equal(saved["high_x2"], high[0])


def test_diverging_by_its_rate_stops_and_leaves_the_checkpoint(images, tmp_path):
    recipe = replace(RECIPE, learning_rate=1e18, losses={"mse": 1e6}, steps=40)
    with pytest.raises(TrainingError, match="no number at step"):
        train(recipe, images, tmp_path)
    assert (tmp_path / "diverged.npz").exists()


@pytest.fixture
def full_disk():
    """Let no file grow beyond 64 KiB: writing fails in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_keeps_the_old_checkpoint(run, tmp_path, request):
    run.save()
    before = (tmp_path / "checkpoint.npz").read_bytes()
    run.train_on(*batch())
    request.getfixturevalue("full_disk")
    with pytest.raises(OutputError, match=r"checkpoint\.npz cannot be written") as caught:
        run.save()
    assert "is kept" in caught.value.hint
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_replacing_passes_other_errors_on(tmp_path):
    with pytest.raises(KeyError), replacing(tmp_path / "x.csv"):
        raise KeyError("x")


def test_a_damaged_checkpoint_is_a_sentence(images, trained, tmp_path):
    whole = (trained / "checkpoint.npz").read_bytes()
    (tmp_path / "checkpoint.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match="is damaged") as caught:
        train(RECIPE, images, tmp_path)
    assert "--no-resume" in caught.value.hint


def test_a_checkpoint_from_before_a_key_was_known_goes_on(images, trained, tmp_path):
    """Keys that its recipe lacks count as their defaults; others make it another recipe."""
    facts, values = load_checkpoint(trained / "checkpoint.npz")
    for key in ("losses", "gan", "precision", "schedule"):
        del facts["recipe"][key]
    arrays = {f"v{i}": value for i, value in enumerate(values)}
    np.savez(tmp_path / "checkpoint.npz", facts=json.dumps(facts), **arrays)
    events = []
    train(RECIPE, images, tmp_path, on_event=events.append)
    assert not [e for e in events if e["event"] == "progress"]  # it was at its end
    ours = keras.saving.load_model(tmp_path / "tiny-x2.keras").get_weights()
    theirs = keras.saving.load_model(trained / "tiny-x2.keras").get_weights()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(OptionError, match="another recipe"):
        train(replace(RECIPE, losses={"l1": 1.0}), images, tmp_path)


def test_history_has_the_loss_terms(images, tmp_path):
    recipe = replace(RECIPE, losses={"l1": 1.0, "ssim": 0.5, "frequency": 0.1})
    train(recipe, images, tmp_path)
    rows = read_history(tmp_path)
    terms = rows[-1].terms
    assert set(terms) == {"l1", "ssim", "frequency"}
    total = terms["l1"] + 0.5 * terms["ssim"] + 0.1 * terms["frequency"]
    assert rows[-1].loss == pytest.approx(total, rel=1e-4)


def test_empty_folder(tmp_path):
    with pytest.raises(InputFileError, match="No file in"):
        train(RECIPE, tmp_path, tmp_path / "out")


def test_one_image_trains_without_scores_and_says_so(tmp_path):
    write(tmp_path, "only.tif")
    recipe = replace(RECIPE, sources=(Source("*.tif"),), steps=2)
    events = []
    train(recipe, tmp_path, tmp_path / "out", on_event=events.append)
    said = [e["message"] for e in events if e["event"] == "log" and e["level"] == "warning"]
    assert any("no scores" in message for message in said)
    assert (tmp_path / "out" / "tiny-x2.json").exists()


def test_one_image_that_is_held_back_leaves_none(tmp_path):
    write(tmp_path, "held.tif")
    with pytest.raises(InputFileError):
        train(RECIPE, tmp_path, tmp_path / "out")


def test_images_smaller_than_a_patch(tmp_path):
    write(tmp_path, "small.tif", side=40)
    with pytest.raises(InputFileError, match="64 pixels wide"):
        train(RECIPE, tmp_path, tmp_path / "out")


def test_images_too_small_for_one_of_the_factors_are_told(tmp_path):
    write(tmp_path, "a.tif", side=140)
    write(tmp_path, "b.tif", side=120)
    events = []
    recipe = replace(RECIPE, name="two", upscale_factor=(2, 4), steps=1)
    train(recipe, tmp_path, tmp_path / "out", on_event=events.append)
    (said,) = [e["message"] for e in events if e.get("level") == "warning" and "planes" in str(e)]
    assert said.startswith("x4 is trained without 1 of 2 planes")
    assert "128 pixels" in said
    assert said.endswith("With a patch of 10 all would be used.")


def test_mixed_dtypes_and_band_counts_train_together(tmp_path):
    write(tmp_path, "a.tif", count=3)
    write(tmp_path, "b.tif", dtype="uint16", top=9000, count=2)
    write(tmp_path, "c.tif", dtype="float32", top=0.4)
    train(replace(RECIPE, sources=(Source("*.tif"),), steps=2), tmp_path, tmp_path / "out")
    assert 0 < read_history(tmp_path / "out")[-1].loss < 1


BASE = """
name = "a"
architecture = "geosr-lite"
upscale_factor = 2
"""
SOURCES = '[[sources]]\nglob = "*.tif"\n'


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (BASE + "stpes = 3\n" + SOURCES, "unknown key: stpes", "Did you mean steps?"),
        (BASE + SOURCES + "wieght = 2\n", "unknown key: wieght", "Did you mean weight?"),
        (BASE + SOURCES + "[losses]\nl2 = 1\n", "unknown loss: l2", "Did you mean l1?"),
        (BASE + SOURCES + "[losses]\nssim = {wait = 1}\n", "of the loss ssim: wait", "weight"),
        (BASE + 'steps = "many"\n' + SOURCES, "steps = 'many'", "whole number"),
        (BASE + "steps = 2.5\n" + SOURCES, "steps = 2.5", "whole number"),
        (BASE + "steps = true\n" + SOURCES, "steps = True", "whole number"),
        (BASE + "sources = 3\n", "sources = 3", "a list"),
        (BASE + 'schedule = "cosin"\n' + SOURCES, "schedule: cosin", "Did you mean cosine?"),
        (BASE + 'precision = "float16"\n' + SOURCES, "precision: float16", "mixed_bfloat16"),
        (BASE.replace("geosr-lite", "geosr-light") + SOURCES, "geosr-light", "geosr-lite"),
        (BASE + "sources = [3]\n", "it = 3", "a table"),
    ],
)
def test_a_typo_in_a_recipe_names_the_nearest(tmp_path, text, message, hint):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(OptionError, match=message) as caught:
        read_recipe(tmp_path / "r.toml")
    assert hint in str(caught.value)


def test_sam_on_one_band_is_a_sentence(images, tmp_path):
    with pytest.raises(GeosrError, match="one band"):
        train(replace(RECIPE, losses={"sam": 1.0}), images, tmp_path)


def test_step_schedule_halves():
    schedule = Halvings(1.0, 10, (100, 150))
    found = [float(schedule(step)) for step in (0, 4, 9, 50, 99, 100, 150, 400)]
    assert found == pytest.approx([0.1, 0.5, 1, 1, 1, 0.5, 0.25, 0.25])
    optimizer = make_optimizer(replace(RECIPE, schedule="step", steps=200))
    assert float(optimizer.learning_rate) == pytest.approx(RECIPE.learning_rate / RECIPE.warmup)


def test_mixed_precision_keeps_all_but_the_trained_part_in_float32(images, tmp_path):
    model = build("geosr-lite", 2)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
    low = rng.random((1, 30, 30, 1), dtype=np.float32) + 1000
    wanted = model.predict_on_batch(low)
    compute_in(model, "mixed_bfloat16")
    policies = {layer.name: layer.dtype_policy.compute_dtype for layer in model.layers}
    assert policies["conv1"] == policies["detail_out"] == "bfloat16"
    assert {policies[n] for n in ("base", "detail_in", "sum", "keep_means")} == {"float32"}
    assert {v.dtype for v in model.variables} == {"float32"}
    model.predict_function = None  # it was traced in float32
    found = model.predict_on_batch(low)
    assert 0 < np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)  # bfloat16 steps by 4 at 1000
    compute_in(model, "float32")
    model.predict_function = None
    np.testing.assert_array_equal(model.predict_on_batch(low), wanted)
    train(replace(RECIPE, precision="mixed_bfloat16"), images, tmp_path)
    for name in ("tiny-x2", "training_form"):
        saved = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert {layer.dtype_policy.name for layer in saved.layers} == {"float32"}
