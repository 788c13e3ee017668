"""Mixed precision: steps in bfloat16, validation in float32, as the published weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from training_scenes import TINY, write_images

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

from geosr.metrics import psnr  # noqa: E402
from geosr.models.families import build  # noqa: E402
from geosr.training import gan  # noqa: E402
from geosr.training.fit import train  # noqa: E402
from geosr.training.history import read_history  # noqa: E402
from geosr.training.patches import Pair, load_pools, validation_pairs  # noqa: E402
from geosr.training.recipe import Gan  # noqa: E402
from geosr.training.run import Run  # noqa: E402

RECIPE = replace(TINY, learning_rate=1e-3, precision="mixed_bfloat16")
ADVERSARIAL = replace(
    RECIPE,
    losses={"charbonnier": 1.0, "adversarial": {"weight": 0.01}},
    gan=Gan(pretrain=1, pause_above=1.0),
)
TERMS = {"loss": 0.1}


def small_critic(*_):
    return keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(1, 4, 2)])


@pytest.fixture(autouse=True)
def critics(monkeypatch):
    monkeypatch.setattr(gan, "_critic", small_critic)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"))


def lively(seed=0):
    """Return a network whose detail is strong, so that bfloat16 shows."""
    model = build("geosr-lite", 2, expansion=8)
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.normal(0, 0.6 * np.prod(w.shape[:-1]) ** -0.5, w.shape) for w in model.get_weights()]
    )
    return model


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return (
        [rng.random((2, 32, 32, 1), dtype=np.float32)],
        [rng.random((2, 24, 24, 1), dtype=np.float32)],
    )


def some_pairs():
    rng = np.random.default_rng(9)
    shapes = ((30, 34), (28, 28), (30, 34))
    return {
        2: [
            Pair(
                rng.random(shape, dtype=np.float32),
                rng.random((2 * shape[0], 2 * shape[1]), dtype=np.float32),
                border=4,
                bicubic=20.0,
            )
            for shape in shapes
        ]
    }


class Watched:
    """Notes what a convolution computes in whenever a framework traces or runs it."""

    def __init__(self, model):
        layer = model.get_layer("conv2")
        self.found, self._call = [], layer.call
        self._layer = layer
        layer.call = self

    def __call__(self, *args, **kwargs):
        self.found.append(self._layer.compute_dtype)
        return self._call(*args, **kwargs)

    def since(self):
        """Return what was noted since the last question."""
        found, self.found = self.found, []
        return found


@pytest.mark.parametrize("recipe", [RECIPE, ADVERSARIAL], ids=["pixels", "adversarial"])
def test_validation_is_float32_and_steps_are_not(recipe, tmp_path):
    model = lively()
    run = (gan.GanRun if recipe.gan else Run)(recipe, {2: model}, tmp_path)
    watched = Watched(model)
    run.train_on(*batch())
    run.step = 1  # of an adversarial run, the second phase: a step that is compiled only now
    assert set(watched.since()) == {"bfloat16"}
    seen = []
    run.seen = lambda pairs, outputs: seen.append(outputs[2])
    pairs = some_pairs()
    before = [np.array(w) for w in run.trained.get_weights()]
    run.validate(pairs, TERMS)
    assert set(watched.since()) == {"float32"}
    for ours, theirs in zip(run.trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    run.train_on(*batch(1))
    compiled = watched.since()
    assert set(compiled) <= {"bfloat16"}
    assert bool(compiled) == bool(recipe.gan)
    run.validate(pairs, TERMS)
    run.train_on(*batch(2))
    assert watched.since() == []  # nothing is compiled a second time

    plain = build("geosr-lite", 2, expansion=8)
    with run.averaged():
        plain.set_weights(model.get_weights())
    run.validate(pairs, TERMS)
    for pair, image in zip(pairs[2], seen[-1], strict=True):
        wanted = plain.predict_on_batch(pair.low[None, ..., None])[0, ..., 0]
        span = np.ptp(wanted)
        np.testing.assert_allclose(image, wanted, atol=1e-5 * span)
    halved = lively()
    halved.set_weights(plain.get_weights())
    for layer in halved.layers:
        if layer.name.startswith("conv"):
            layer.dtype_policy = "mixed_bfloat16"
    other = halved.predict_on_batch(pair.low[None, ..., None])[0, ..., 0]
    assert np.abs(other - wanted).max() > 3e-4 * span  # what validation would have seen


def test_a_step_is_the_same_with_and_without_validation_before_it(tmp_path):
    found = []
    for validated in (True, False):
        keras.utils.set_random_seed(0)
        run = Run(RECIPE, {2: lively()}, tmp_path)
        run.train_on(*batch())
        if validated:
            run.validate(some_pairs(), TERMS)
        losses = [run.train_on(*batch(n))["loss"] for n in (1, 2)]
        found.append((losses, run.trained.get_weights()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for ours, theirs in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("recipe", [RECIPE, ADVERSARIAL], ids=["pixels", "adversarial"])
def test_the_history_has_the_published_weights_scores_stopped_or_not(recipe, images, tmp_path):
    class StoppedError(Exception):
        pass

    def stop_at_five(event):
        if event["event"] == "progress" and event["done"] == 5:
            raise StoppedError

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(recipe, images, whole)
    with pytest.raises(StoppedError):
        train(recipe, images, stopped, on_event=stop_at_five)
    train(recipe, images, stopped)  # from the checkpoint of step 3
    with np.load(whole / "checkpoint.npz") as a, np.load(stopped / "checkpoint.npz") as b:
        assert a.files == b.files
        for name in set(a.files) - {"facts"}:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-6)
    published = keras.saving.load_model(whole / "tiny-x2.keras")
    _, held = load_pools(recipe, images, side=64)
    scores = [
        psnr(
            pair.high,
            published.predict_on_batch(pair.low[None, ..., None])[0, ..., 0],
            data_range=1.0,
            border=pair.border,
        )
        for pair in validation_pairs(held, recipe, 2)
    ]
    for folder in (whole, stopped):
        rows = read_history(folder)
        assert [row.step for row in rows] == [3, 6]
        assert rows[-1].psnr == pytest.approx(float(np.mean(scores)), abs=1e-4)
