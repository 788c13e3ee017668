"""Discriminators: shapes, spectral norm, what they must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from geosr.core.errors import OptionError  # noqa: E402
from geosr.models.discriminators import DISCRIMINATORS, build_discriminator  # noqa: E402
from geosr.models.spectral import SpectralConv  # noqa: E402
from geosr.models.unet_discriminator import build_unet_discriminator  # noqa: E402
from geosr.models.vgg_discriminator import build_vgg_discriminator  # noqa: E402


def run(model, x, training: bool = False) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x.astype("float32"), training=training))


def pictures(count: int = 3, side: int = 32, bands: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (count, side, side, bands))


def trainable(model) -> int:
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_parameters_are_those_of_the_authors_codes():
    """Real-ESRGAN's U-Net prints 4,376,897; SRGAN's for 96 pixels 23,569,217 with its averages."""
    assert trainable(build_unet_discriminator(bands=3)) == 4_376_897
    vgg = build_vgg_discriminator(side=96, bands=3)
    widths = (64, 128, 128, 256, 256, 512, 512)
    assert vgg.count_params() == 23_569_217
    assert vgg.count_params() - trainable(vgg) == 2 * sum(widths)


@pytest.mark.parametrize("bands", [1, 4])
def test_shapes_of_logits(bands):
    unet = build_discriminator("unet", side=32, bands=bands, filters=4)
    assert run(unet, pictures(2, 32, bands)).shape == (2, 32, 32, 1)
    assert run(unet, pictures(2, 48, bands)[:, :40]).shape == (2, 40, 48, 1)
    vgg = build_discriminator("vgg", side=40, bands=bands, filters=4)
    assert run(vgg, pictures(2, 40, bands)).shape == (2, 1)


def test_the_unet_judges_faint_and_bright_pictures_alike():
    unet = build_discriminator("unet", side=32, filters=4)
    x = pictures()
    plain, brighter, fainter = (run(unet, each) for each in (x, 40 * x + 100, 0.5 * x))
    assert np.ptp(plain) > 0.1
    np.testing.assert_allclose(brighter, plain, atol=0.01 * np.ptp(plain))
    np.testing.assert_allclose(fainter, plain, atol=0.01 * np.ptp(plain))


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(OptionError, match="patchgan"):
        build_discriminator("patchgan", side=32)
    with pytest.raises(OptionError, match="36 pixels"):
        build_discriminator("unet", side=36)


def largest_singular_value(layer: SpectralConv) -> float:
    """Return that of the kernel which the layer applies, by numpy."""
    size, bands = layer.size, layer.kernel.shape[2]
    # Through the layer itself: its answer to an impulse in each band is its kernel.
    impulses = np.zeros((bands, 2 * size + 1, 2 * size + 1, bands), "float32")
    impulses[range(bands), size, size, range(bands)] = 1
    answers = keras.ops.convert_to_numpy(layer(impulses))
    assert np.abs(answers).max() > 0
    window = slice(size - size // 2, size + (size + 1) // 2)
    matrix = answers[:, window, window].transpose(1, 2, 0, 3).reshape(-1, layer.filters)
    return float(np.linalg.svd(matrix, compute_uv=False)[0])


@pytest.mark.parametrize("gain", [0.01, 1, 30])
def test_the_largest_singular_value_becomes_one(gain):
    layer = SpectralConv(12, 3)
    x = np.random.default_rng(1).normal(0, 1, (1, 9, 9, 5)).astype("float32")
    layer(x)
    layer.kernel.assign(gain * keras.ops.convert_to_numpy(layer.kernel))
    before = largest_singular_value(layer)
    for _ in range(60):
        layer(x, training=True)
    assert largest_singular_value(layer) == pytest.approx(1, abs=2e-3)
    assert abs(before - 1) > 0.01  # it took the iterations


def test_the_singular_vector_moves_in_training_only():
    layer = SpectralConv(6, 4, 2)
    x = np.random.default_rng(2).normal(0, 1, (1, 8, 8, 3)).astype("float32")
    first = keras.ops.convert_to_numpy(layer(x))
    assert first.shape == (1, 4, 4, 6)
    vector = keras.ops.convert_to_numpy(layer.vector)
    assert np.array_equal(keras.ops.convert_to_numpy(layer(x)), first)
    assert np.array_equal(keras.ops.convert_to_numpy(layer.vector), vector)
    layer(x, training=True)
    assert not np.array_equal(keras.ops.convert_to_numpy(layer.vector), vector)


def test_all_inner_convolutions_of_the_unet_are_normalised():
    unet = build_unet_discriminator(filters=4)
    plain = [layer.name for layer in unet.layers if isinstance(layer, keras.layers.Conv2D)]
    assert plain == ["first", "logits"]
    assert sum(isinstance(layer, SpectralConv) for layer in unet.layers) == 8


def test_the_unet_judges_each_picture_by_itself():
    unet = build_unet_discriminator(filters=4)
    x = pictures(4)
    for training in (False, True):
        vectors = unet.get_weights()
        together = run(unet, x, training)
        unet.set_weights(vectors)
        alone = run(unet, x[2:3], training)
        unet.set_weights(vectors)
        assert np.abs(together[2:3] - alone).max() < 1e-5


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_training_tells_noise_from_flat_pictures(name):
    """Gradients reach all weights, and what they lead to is right."""
    keras.utils.set_random_seed(0)
    model = build_discriminator(name, side=16, filters=4)
    x = np.concatenate([pictures(4, 16), np.full((4, 16, 16, 1), 0.5)]).astype("float32")
    truth = np.repeat([1.0, 0.0], 4).astype("float32").reshape(8, 1, 1, 1)
    target = np.broadcast_to(truth, (8, 16, 16, 1)) if name == "unet" else truth[:, 0, 0]
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    losses = [float(model.train_on_batch(x, target)) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]
    after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    moved = [not np.array_equal(a, b) for a, b in zip(after, before, strict=True)]
    assert all(moved)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_saved_discriminator_is_the_same_after_reading(name, tmp_path):
    model = build_discriminator(name, side=16, filters=4)
    x = pictures(2, 16)
    run(model, x, training=True)
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    assert np.array_equal(run(again, x), run(model, x))
