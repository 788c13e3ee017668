"""Losses: closed forms, scikit-image's SSIM, numpy's Fourier transform, finite gradients."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from keras import ops  # noqa: E402
from skimage.metrics import structural_similarity  # noqa: E402

from geosr.core.errors import OptionError  # noqa: E402
from geosr.training import losses  # noqa: E402
from geosr.training.adversarial import critic_loss, maker_loss, right_share  # noqa: E402
from geosr.training.terms import PARAMETERS, read_terms  # noqa: E402

RNG = np.random.default_rng(5)
X = RNG.random((2, 24, 20, 3), dtype=np.float32)
Y = (X + RNG.normal(0, 0.1, X.shape)).astype("float32")


def value(loss, *args, **kwargs) -> float:
    return float(ops.convert_to_numpy(loss(*map(ops.convert_to_tensor, args), **kwargs)))


def test_pixel_losses_are_their_closed_forms():
    d = Y.astype(float) - X
    assert value(losses.l1, X, Y) == pytest.approx(np.abs(d).mean(), rel=1e-5)
    assert value(losses.mse, X, Y) == pytest.approx((d**2).mean(), rel=1e-5)
    wanted = (np.sqrt(d**2 + 0.03**2) - 0.03).mean()
    assert value(losses.charbonnier, X, Y, eps=0.03) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("data_range", [1.0, 4.0])
def test_ssim_is_scikit_images(data_range):
    wanted = np.mean(
        [
            structural_similarity(
                x,
                y,
                data_range=data_range,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for x, y in zip(X.astype(float), Y.astype(float), strict=True)
        ]
    )
    assert value(losses.ssim, X, Y, data_range=data_range) == pytest.approx(1 - wanted, abs=1e-5)


def test_sam_is_the_angle_between_spectra():
    x, y = X.astype(float), Y.astype(float)
    cosine = (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
    assert value(losses.sam, X, Y) == pytest.approx(np.arccos(cosine).mean(), abs=1e-4)
    assert value(losses.sam, X, 3 * X) == pytest.approx(0, abs=1e-5)
    across = np.zeros((1, 1, 1, 2), "float32")
    across[..., 0] = 1
    assert value(losses.sam, across, across[..., ::-1].copy()) == pytest.approx(np.pi / 2, abs=1e-4)
    with pytest.raises(OptionError, match="one band"):
        losses.sam(X[..., :1], Y[..., :1])


def test_frequency_is_numpys_amplitude():
    x, y = (np.abs(np.fft.fft2(a, axes=(1, 2), norm="ortho")) for a in (X, Y))
    assert value(losses.frequency, X, Y) == pytest.approx(np.abs(x - y).mean(), rel=1e-4)
    moved = np.roll(X, 3, axis=1)  # a shift changes phases only
    assert value(losses.frequency, X, moved) == pytest.approx(0, abs=1e-5)


def gradient(loss, truth, output):
    """Return the gradient by Keras's own training step: a layer that adds a learned picture."""
    layer = Added(output.shape[1:])
    model = keras.Sequential([keras.Input(output.shape[1:]), layer])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    model.train_on_batch(output, truth)
    return -layer.get_weights()[0]


class Added(keras.layers.Layer):
    def __init__(self, shape):
        super().__init__()
        self.moved = self.add_weight(shape=shape, initializer="zeros")

    def call(self, x):
        return x + self.moved


@pytest.mark.parametrize("name", ["l1", "mse", "charbonnier", "ssim", "sam", "frequency"])
def test_gradients_are_finite_and_vanish_at_no_difference(name):
    loss = losses.make_loss(name, read_terms({name: 1.0}, "A test")[name])
    for truth in (X[:1], np.zeros_like(X[:1])):
        found = gradient(loss, truth, truth.copy())
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, 0, atol=1e-4)
    towards = gradient(loss, X[:1], Y[:1])
    assert np.isfinite(towards).all()
    nearer = Y[:1] - 1e-3 * towards / np.abs(towards).max()
    assert value(loss, X[:1], nearer) < value(loss, X[:1], Y[:1])


@pytest.mark.parametrize("kind", ["bce", "relativistic", "hinge"])
def test_adversarial_losses_are_their_closed_forms(kind):
    real, fake = RNG.normal(1, 2, (2, 6, 1)).astype("float32")
    r, f = real.astype(float), fake.astype(float)

    def soft(x):
        return np.log1p(np.exp(x)).mean()

    if kind == "bce":
        critic, maker = (soft(-r) + soft(f)) / 2, soft(-f)
    elif kind == "hinge":
        critic = (np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()) / 2
        maker = -f.mean()
    else:
        critic = (soft(-(r - f.mean())) + soft(f - r.mean())) / 2
        maker = (soft(-(f - r.mean())) + soft(r - f.mean())) / 2
    assert value(lambda a, b: critic_loss(kind, a, b), real, fake) == pytest.approx(
        critic, rel=1e-5
    )
    assert value(lambda a, b: maker_loss(kind, a, b), real, fake) == pytest.approx(maker, rel=1e-5)
    sure = np.full((3, 1), 9.0, "float32")
    assert value(lambda a, b: right_share(kind, a, b), sure, -sure) == 1
    assert value(lambda a, b: right_share(kind, a, b), -sure, sure) == 0


def test_unknown_kind_is_a_sentence():
    with pytest.raises(OptionError, match="no adversarial loss 'wasserstein'"):
        critic_loss("wasserstein", X, Y)


def test_terms_have_their_parameters():
    assert read_terms({}, "R", eps=0.5) == {"charbonnier": {"weight": 1.0, "eps": 0.5}}
    terms = read_terms({"l1": 2, "ssim": {"weight": 0.1, "data_range": 4.0}}, "R")
    assert terms == {"l1": {"weight": 2}, "ssim": {"weight": 0.1, "data_range": 4.0}}
    assert set(PARAMETERS) >= {"l1", "charbonnier", "mse", "ssim", "sam", "frequency"}


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ({"carbonnier": 1.0}, "unknown loss: carbonnier", "Did you mean charbonnier?"),
        ({"ssim": {"datarange": 1.0}}, "unknown parameter of the loss ssim", "data_range"),
        ({"l1": 1.0, "adversarial": {"kind": "hinged"}}, "adversarial.kind: hinged", "hinge"),
        ({"l1": "much"}, "l1.weight = 'much'", "a number"),
        ({"l1": 0.0}, "l1.weight = 0.0", "above 0"),
        ({"adversarial": 1.0}, "against a discriminator only", "charbonnier"),
    ],
)
def test_wrong_terms_are_sentences(table, message, hint):
    with pytest.raises(OptionError, match=message) as caught:
        read_terms(table, "R")
    assert hint in caught.value.hint
