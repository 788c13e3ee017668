"""Training: the same seed gives the same weights, stopped or not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from dataset_scenes import write
from training_scenes import TINY, write_images

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

from geosr.core.errors import InputFileError, ModelFileError, OptionError  # noqa: E402
from geosr.core.facts import ModelFacts  # noqa: E402
from geosr.degrade import area  # noqa: E402
from geosr.training.fit import train  # noqa: E402
from geosr.training.head_recipe import read_sources  # noqa: E402
from geosr.training.history import read_history  # noqa: E402
from geosr.training.patches import draw_batch, load_pools  # noqa: E402
from geosr.training.recipe import read_recipe  # noqa: E402

RECIPE = replace(TINY, learning_rate=1e-3)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two smooth 8-bit images and one to validate on."""
    return write_images(tmp_path_factory.mktemp("images"), ("a", "b", "held"), bands=3)


def weights_of(folder) -> list[np.ndarray]:
    return keras.saving.load_model(folder / "tiny-x2.keras").get_weights()


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    events = []
    card = train(RECIPE, images, out, on_event=events.append)
    return out, card, events


def test_run_leaves_weights_card_and_history(trained):
    out, card, events = trained
    facts = ModelFacts.from_card(card.read_text())
    assert (facts.upscale_factor, facts.radius, facts.bands) == (2, 10, 1)
    assert set(facts.sha256) == {"keras", "onnx"}
    rows = read_history(out)
    assert [row.step for row in rows] == [3, 6]
    assert all(15 < row.bicubic < 40 for row in rows)
    assert (out / "history.png").read_bytes().startswith(b"\x89PNG")
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert done == [1, 2, 3, 4, 5, 6]


def test_own_weights_run_by_their_card(trained, images, tmp_path):
    import geosr

    _, card, _ = trained
    report = geosr.upscale_file(images / "a.tif", tmp_path / "out.tif", model=str(card))
    assert report.stats["model"] == "tiny-x2"
    assert report.stats["consistency_error"] == 0
    with rasterio.open(tmp_path / "out.tif") as dst:
        assert dst.shape == (240, 260)
        assert dst.tags()["GEOSR_MODEL"] == "tiny-x2"
    with pytest.raises(OptionError, match="makes 2 times the pixels, not 3"):
        geosr.plan_file(images / "a.tif", model=str(card), upscale_factor=3)
    with pytest.raises(ModelFileError, match="cannot be read"):
        geosr.plan_file(images / "a.tif", model="nowhere/net.json")


def test_onnx_carries_the_card(trained):
    onnx = pytest.importorskip("onnx")
    out, _card, _ = trained
    graph = onnx.load(out / "tiny-x2.onnx")
    kept = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(kept["geosr"])["name"] == "tiny-x2"
    assert [value.name for value in graph.graph.output] == ["high_resolution"]


def test_same_seed_same_weights_and_a_stopped_run_goes_on(trained, images, tmp_path):
    class StoppedError(Exception):
        pass

    def stop_at_four(event):
        if event["event"] == "progress" and event["done"] == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(RECIPE, images, tmp_path, on_event=stop_at_four)
    assert not (tmp_path / "tiny-x2.keras").exists()
    train(RECIPE, images, tmp_path)  # from the checkpoint of step 3
    whole = weights_of(trained[0])
    for ours, theirs in zip(weights_of(tmp_path), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_another_seed_gives_other_weights(trained, images, tmp_path):
    train(replace(RECIPE, seed=1), images, tmp_path)
    pairs = zip(weights_of(tmp_path), weights_of(trained[0]), strict=True)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in pairs)


def test_recipe_that_starts_from_missing_weights_says_so(images, tmp_path):
    recipe = replace(RECIPE, initial=str(tmp_path / "not_there.keras"))
    with pytest.raises(ModelFileError, match=r"not_there\.keras, which the recipe starts from"):
        train(recipe, images, tmp_path / "out")


def test_each_factor_starts_from_weights_of_its_own(images, tmp_path):
    recipe = replace(RECIPE, name="tiny", upscale_factor=(2, 3), steps=2, patch=8)
    train(recipe, images, tmp_path / "first")
    start = str(tmp_path / "first" / "training_form-x{factor}.keras")
    again = replace(recipe, initial=start, steps=1, learning_rate=1e-12, warmup=0, ema=0.0)
    train(again, images, tmp_path / "second")
    for n in (2, 3):
        before, after = (
            keras.saving.load_model(tmp_path / folder / f"tiny-x{n}.keras", compile=False)
            for folder in ("first", "second")
        )
        for a, b in zip(before.get_weights(), after.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_frozen_layers_keep_the_weights_that_they_start_from(images, tmp_path, trained):
    start = str(trained[0] / "training_form.keras")
    recipe = replace(RECIPE, initial=start, frozen=("conv[01]", "conv2"), ema=0.0, warmup=0)
    train(recipe, images, tmp_path)
    before = keras.saving.load_model(start, compile=False)
    after = keras.saving.load_model(tmp_path / "training_form.keras", compile=False)
    moved = {
        layer.name: max(
            np.abs(a - b).max()
            for a, b in zip(
                layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True
            )
        )
        for layer in before.layers
        if layer.get_weights()
    }
    assert {name for name, by in moved.items() if by == 0} == {"conv0", "conv1", "conv2"}


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (("convs*",), "has no layer convs"),
        (("*",), "nothing is left to learn"),
    ],
)
def test_frozen_layers_are_checked(images, tmp_path, trained, frozen, message):
    recipe = replace(RECIPE, initial=str(trained[0] / "training_form.keras"), frozen=frozen)
    with pytest.raises(OptionError, match=message):
        train(recipe, images, tmp_path)


def test_frozen_layers_need_weights_to_start_from():
    with pytest.raises(OptionError, match="they would stay random"):
        replace(RECIPE, frozen=("conv0",))


def test_checkpoint_of_another_recipe_is_refused(images, tmp_path, trained):
    (tmp_path / "checkpoint.npz").write_bytes((trained[0] / "checkpoint.npz").read_bytes())
    with pytest.raises(OptionError, match="another recipe"):
        train(replace(RECIPE, batch_size=3), images, tmp_path)


def test_factors_are_trained_together(images, tmp_path):
    """Each gets weights of its own, with one trunk, and a stopped run goes on."""
    recipe = replace(RECIPE, name="tiny", upscale_factor=(2, 3), steps=3, patch=8)
    events = []
    train(recipe, images, tmp_path, on_event=events.append)
    told = [event["message"] for event in events if event["event"] == "log"]
    assert "x2 " in told[0]
    assert "x3 " in told[0]
    facts = [ModelFacts.from_card((tmp_path / f"tiny-x{n}.json").read_text()) for n in (2, 3)]
    assert [(f.family, f.upscale_factor) for f in facts] == [("tiny", 2), ("tiny", 3)]
    two, three = (
        keras.saving.load_model(tmp_path / f"tiny-x{n}.keras").get_layer("conv2").get_weights()
        for n in (2, 3)
    )
    np.testing.assert_array_equal(two[0], three[0])
    (tmp_path / "tiny-x2.json").unlink()
    train(recipe, images, tmp_path)  # from the checkpoint, which is at the end
    assert ModelFacts.from_card((tmp_path / "tiny-x2.json").read_text()).sha256


def test_batches_are_paired_and_repeatable(images):
    side = (12 + 2 * 10) * 2
    pool, held = load_pools(RECIPE, images, side=side)
    assert (len(pool.planes), len(held.planes)) == (8, 4)  # red, green, blue and luma of each
    low, high = draw_batch(pool, RECIPE, halo=10, step=3, upscale_factor=2)
    again, _ = draw_batch(pool, RECIPE, halo=10, step=3, upscale_factor=2)
    other, _ = draw_batch(pool, RECIPE, halo=10, step=4, upscale_factor=2)
    assert low.shape == (2, 32, 32, 1)
    assert high.shape == (2, 24, 24, 1)
    assert np.array_equal(low, again)
    assert not np.array_equal(low, other)
    core = low[:, 10:-10, 10:-10, 0]
    np.testing.assert_allclose(area(high[..., 0], 2), core, atol=1e-6)


def test_holes_are_cut_off(images, tmp_path):
    image = np.full((1, 90, 90), 5, "uint16") + np.arange(90, dtype="uint16")
    image[:, :20] = 0
    write(tmp_path / "x.tif", image, nodata=0)
    pool, _ = load_pools(RECIPE, tmp_path, side=40)
    assert [plane.shape for plane in pool.planes] == [(70, 90)]


def test_missing_images(tmp_path):
    with pytest.raises(InputFileError, match=r"No file in .* matches"):
        load_pools(RECIPE, tmp_path, side=40)


def test_the_recipe_of_geosr_lite_can_be_read():
    recipe = read_recipe("recipes/geosr-lite.toml", steps=5)
    assert (recipe.factors, recipe.steps) == ((2, 3, 4), 5)
    assert [recipe.name_of(n) for n in (2, 3, 4)] == [f"geosr-lite-x{n}" for n in (2, 3, 4)]
    assert all("BY-SA" not in source.licence for source in recipe.sources)


def test_all_recipes_can_be_read():
    paths = sorted(Path("recipes").glob("*.toml"))
    assert len(paths) > 4
    for path in paths:
        sources = read_sources(path)
        assert sources
        assert all("BY-SA" not in source.licence for source in sources)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense = 1", "unknown key: nonsense"),
        ("name = ", "no TOML"),
        ('name = "a"\narchitecture = "geosr-lite"', "lacks upscale_factor, sources"),
        ('name="a"\narchitecture="unet"\nupscale_factor=2\n[[sources]]\nglob="*"', "unet"),
    ],
)
def test_bad_recipe_is_one_sentence(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(OptionError, match=message):
        read_recipe(tmp_path / "r.toml")
