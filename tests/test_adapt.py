"""Adaptation to one scene: what is read, what is held back, the verdict, what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from cli_scenes import run

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

import geosr  # noqa: E402
from geosr.core.catalog import find_model  # noqa: E402
from geosr.core.errors import BandError, InputFileError, NotEnoughMemoryError, OptionError  # noqa: E402
from geosr.core.events import parse_event  # noqa: E402
from geosr.core.facts import ModelFacts  # noqa: E402
from geosr.degrade import area  # noqa: E402
from geosr.io.facts import read_facts  # noqa: E402
from geosr.models.families import build  # noqa: E402
from geosr.training.adapt import AdaptOptions, PulledStep, adapt  # noqa: E402
from geosr.training.publish import publish_files  # noqa: E402
from geosr.training.scene import draw_patches, held_patch, read_scene  # noqa: E402

SIDE = (12 + 20) * 2
FAST = AdaptOptions(steps=60, batch_size=4, patch=12, learning_rate=3e-3, pull=0.0)


def write(path, image, *, nodata=None, names=()):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=image.shape[1],
        width=image.shape[2],
        count=image.shape[0],
        dtype=image.dtype,
        nodata=nodata,
        crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500000, 0, -10, 5800000),
    ) as dst:
        dst.write(image)
        dst.descriptions = tuple(names) or dst.descriptions
    return path


def read(path, *, bands=(), **options):
    facts = read_facts(str(path))
    return read_scene(facts, facts.all_indexes(bands), side=SIDE, **options)


def stripes(bands=2, shape=(320, 330)):
    """Waves of about six pixels, which bicubic damps: there is something to learn."""
    rows, cols = np.indices(shape)
    waves = [np.sin((rows + (0.4 + 0.2 * b) * cols) / 0.95) for b in range(bands)]
    return (np.stack(waves) * 400 + 2000).astype("uint16")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scene") / "scene.tif", stripes())


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return plain(tmp_path_factory.mktemp("model"))


def plain(folder, *, names=()):
    """Return a model that gives bicubic: its last convolution is zero."""
    keras.utils.set_random_seed(1)
    bands = max(len(names), 1)
    model = build("geosr-lite", 2, bands=bands)
    tail = model.get_layer("detail_out")
    tail.set_weights([0 * w for w in tail.get_weights()])
    tensors = {"detail_in": "detail_in", "detail_out": "detail_out"}
    found = ModelFacts("plain-x2", "plain", 2, 10, tensors=tensors, licence="CC0-1.0")
    found = replace(found, bands=bands, band_names=names)
    return find_model(str(publish_files(model, found, folder)))


def test_cells_do_not_overlap_and_the_same_seed_draws_the_same(scene):
    found = read(scene, seed=3, memory=1 << 30)
    assert found.indexes == (1, 2)
    assert len(found.held) >= 2
    hits = np.zeros((320, 330), int)
    for cell in (*found.learned, *found.held):
        hits[cell.window.slices] += 1
        with rasterio.open(scene) as src:
            image = src.read().astype(float)[:, *cell.window.slices]
        low, span = 1600, 800
        np.testing.assert_allclose(cell.values, (image - low) / span, atol=3e-3)
    assert hits.max() == 1
    one, two, other = (
        draw_patches(found, side=SIDE, count=3, seed=3, step=step)[0] for step in (5, 5, 6)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert read(scene, seed=3, memory=1 << 30).held[0].window in [
        cell.window for cell in found.held
    ]


def test_memory_bounds_what_is_read(scene):
    few = read(scene, seed=0, memory=16 * 2 * 64**2 * 9)
    many = read(scene, seed=0, memory=1 << 30)
    assert len(few.learned) + len(few.held) < len(many.learned) + len(many.held)
    with pytest.raises(NotEnoughMemoryError, match="do not hold four cells"):
        read(scene, seed=0, memory=1 << 10)


def test_nodata_is_filled_marked_and_rare(tmp_path):
    image = stripes()
    rng = np.random.default_rng(0)
    holes = rng.random(image.shape[1:]) < 0.005
    holes[:, :40] = True
    image[:, holes] = 0
    path = write(tmp_path / "holes.tif", image, nodata=0)
    found = read(path, seed=0, memory=1 << 30)
    shares = []
    for step in range(20):
        patches, valid = draw_patches(found, side=SIDE, count=4, seed=0, step=step)
        assert patches.min() > -0.01  # nodata would be -2 after scaling
        shares += list(1 - valid.mean(axis=(1, 2)))
    assert 0.002 < np.mean(shares) < 0.05
    assert max(shares) <= 0.05
    for cell in found.held:
        values, valid = held_patch(cell, SIDE)
        assert values.min() > -0.01
        assert valid.mean() >= 0.95
        rows, cols = cell.window.slices
        np.testing.assert_array_equal(cell.valid, ~holes[rows, cols])


@pytest.mark.parametrize(
    ("image", "nodata", "message"),
    [
        (stripes(shape=(50, 50)), None, "no place of 64 x 64 valid pixels"),
        (stripes(shape=(70, 90)), None, "one place of 64 x 64 valid pixels"),
        (stripes() * 0, 0, "no place"),
        (stripes() * 0 + 7, None, "flat"),
    ],
)
def test_scenes_that_are_too_little(tmp_path, image, nodata, message):
    path = write(tmp_path / "x.tif", image.astype("uint16"), nodata=nodata)
    with pytest.raises(InputFileError, match=message):
        read(path, seed=0, memory=1 << 30)


@pytest.fixture(scope="module")
def adapted(scene, facts, tmp_path_factory):
    card = tmp_path_factory.mktemp("adapted") / "mine.json"
    return adapt(scene, facts, card, FAST)


def test_adapting_helps_where_there_is_something_to_learn(adapted):
    assert adapted.after > adapted.before + 1
    assert adapted.helps
    assert not adapted.kept
    assert adapted.difference.low <= adapted.difference.mean <= adapted.difference.high


def test_the_card_runs_and_tells_what_it_is(adapted, scene, tmp_path):
    card = json.loads(adapted.card.read_text())
    assert (card["name"], card["licence"]) == ("mine", "CC0-1.0")
    assert "plain-x2 adapted to scene.tif" in card["summary"]
    assert card["training"]["adapted_from"] == "plain-x2"
    assert card["training"]["options"]["steps"] == 60
    out = tmp_path / "out.tif"
    report = geosr.upscale_file(scene, out, model=str(adapted.card))
    assert report.stats["model"] == "mine"
    with rasterio.open(out) as dst, rasterio.open(scene) as src:
        assert dst.shape == (640, 660)
        image, source = dst.read().astype(float), src.read().astype(float)
    np.testing.assert_array_equal(area(image, 2), source)


def test_what_does_not_help_leaves_the_weights(scene, facts, tmp_path):
    """With a rate so high that it destroys the model."""
    options = AdaptOptions(steps=3, batch_size=2, patch=12, learning_rate=0.5, pull=0.0)
    verdict = adapt(scene, facts, tmp_path, options)
    assert verdict.kept
    assert verdict.after < verdict.before
    assert verdict.card == tmp_path / "plain-x2-adapted.json"
    ours = keras.saving.load_model(tmp_path / "plain-x2-adapted.keras").get_weights()
    theirs = keras.saving.load_model(f"{facts.folder}/plain-x2.keras").get_weights()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    assert "did not help" in ModelFacts.from_card(verdict.card.read_text()).summary


def test_the_pull_is_the_relative_distance_of_the_weights():
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1, use_bias=False)])
    network.set_weights([np.full((1, 1, 1, 1), 2.0)])
    step = PulledStep(network, pull=3.0)
    step.compile(optimizer=keras.optimizers.SGD(0.0))
    network.set_weights([np.full((1, 1, 1, 1), 2.5)])
    x, y = np.ones((1, 4, 4, 1), np.float32), np.full((1, 4, 4, 2), 2.5, np.float32)
    y[..., 1] = 1
    y[0, 0, 0] = (99, 0)  # what is not valid counts for nothing
    found = step.train_on_batch(x, y, return_dict=True)
    assert found["distance"] == pytest.approx(0.0625)  # 0.5**2 / 2**2
    assert found["loss"] == pytest.approx(3 * 0.0625)


def test_what_is_no_network_of_the_contract_is_refused(scene, tmp_path):
    with pytest.raises(OptionError, match="bicubic-x2 cannot be adapted"):
        adapt(scene, find_model("bicubic-x2"), tmp_path)
    with pytest.raises(OptionError, match="makes no sense"):
        AdaptOptions(steps=0)


def test_the_command_says_what_came_of_it(scene, facts, tmp_path):
    card = f"{facts.folder}/plain-x2.json"
    out = tmp_path / "forced.json"
    args = ("--steps", "1", "--learning-rate", "0.5", "--pull", "0", "--force")
    result = run("adapt", str(scene), "--model", card, "--out", str(out), *args)
    assert result.exit_code == 0, result.output
    assert "plain-x2" in result.stdout
    assert "written because of --force" in result.stdout
    assert result.stdout.endswith(f"{out}\n")
    assert out.exists()
    held = json.loads(out.read_text())["training"]["held_psnr"]
    result = run(
        "adapt", str(scene), "--model", card, "--out", str(out), *args, "--progress", "json"
    )
    stats = parse_event(result.stdout.splitlines()[-1])["stats"]
    assert stats["held_psnr"].keys() == held.keys()
    difference = stats["held_psnr"]["difference"]
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert stats["places"] > 0
    result = run("adapt", str(scene), "--model", "geosr-light", "--out", str(out))
    assert result.exit_code == 2
    assert "Did you mean geosr-lite" in result.stderr
    assert "Traceback" not in result.stderr


# Bands that a network sees together


@pytest.fixture(scope="module")
def called_nir_red(tmp_path_factory):
    """A scene whose near infrared comes first and varies four times as much."""
    image = stripes()
    image[0] = (image[0] - 1600) * 4 + 500
    return write(tmp_path_factory.mktemp("scene") / "nir_red.tif", image, names=("B08", "B04"))


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    return plain(tmp_path_factory.mktemp("joint"), names=("red", "nir"))


def test_bands_seen_together_keep_their_ratio_and_their_place(called_nir_red):
    found = read(called_nir_red, bands=(2, 1), seed=0, memory=1 << 30, together=True)
    assert found.indexes == (2, 1)
    patches, valid = draw_patches(found, side=SIDE, count=6, seed=0, step=0)
    assert patches.shape == (6, 2, SIDE, SIDE)
    assert valid.shape == (6, SIDE, SIDE)
    spans = np.ptp(patches, axis=(2, 3))
    np.testing.assert_allclose(spans[:, 1], 1, atol=0.05)  # one gain: that of the widest
    np.testing.assert_allclose(spans[:, 0], 0.25, atol=0.02)
    with rasterio.open(called_nir_red) as src:
        image = src.read().astype(float)
    for cell in found.learned:
        place = cell.window.slices
        np.testing.assert_allclose(cell.values[1], (image[0][place] - 500) / 3200, atol=3e-3)
        np.testing.assert_allclose(cell.values[0], (image[1][place] - 1600) / 3200, atol=3e-3)


def test_patches_of_several_bands_are_turned_alike(tmp_path):
    image = np.stack([stripes(bands=1)[0], stripes(bands=1)[0] * 2])
    path = write(tmp_path / "x.tif", image.astype("uint16"))
    found = read(path, seed=0, memory=1 << 30, together=True)
    for step in range(4):
        patches, _ = draw_patches(found, side=SIDE, count=4, seed=1, step=step)
        np.testing.assert_allclose(
            patches[:, 1] - patches[:, 1].mean(),
            2 * (patches[:, 0] - patches[:, 0].mean()),
            atol=0.02,
        )


def test_a_network_that_sees_bands_together_is_adapted(called_nir_red, joint, tmp_path):
    told = []
    verdict = adapt(called_nir_red, joint, tmp_path / "mine.json", FAST, on_event=told.append)
    assert verdict.helps
    assert verdict.after > verdict.before + 1
    card = json.loads(verdict.card.read_text())
    assert card["training"]["bands"] == [2, 1]
    assert card["band_names"] == ["red", "nir"]
    logs = [event["message"] for event in told if event["event"] == "log"]
    assert any("takes bands 2 (B04), 1 (B08) for these" in line for line in logs)
    out = tmp_path / "out.tif"
    geosr.upscale_file(called_nir_red, out, model=str(verdict.card))
    with rasterio.open(out) as dst, rasterio.open(called_nir_red) as src:
        assert dst.descriptions == ("B08", "B04")
        np.testing.assert_array_equal(area(dst.read().astype(float), 2), src.read())


def test_bands_that_do_not_fit_and_bands_that_are_chosen(called_nir_red, joint, facts, tmp_path):
    with pytest.raises(BandError, match="takes exactly 2 bands"):
        adapt(called_nir_red, joint, tmp_path, AdaptOptions(indexes=(1,)))
    out = tmp_path / "mine.json"
    args = ("--steps", "1", "--bidx", "2", "--model", f"{facts.folder}/plain-x2.json")
    result = run("adapt", str(called_nir_red), "--out", str(out), *args)
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["training"]["bands"] == [2]
    result = run("adapt", str(called_nir_red), "--out", str(out), *args, "--bidx", "9")
    assert result.exit_code == 2
    assert "9" in result.stderr
    assert "Traceback" not in result.stderr
