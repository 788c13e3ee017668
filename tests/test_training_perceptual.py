"""Perceptual networks: converted numbers, safe reading, refusals."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from keras import ops  # noqa: E402

from geosr.core.errors import MissingDependencyError, ModelFileError, OptionError  # noqa: E402
from geosr.training import efficientnet  # noqa: E402
from geosr.training.perceptual import Perceptual  # noqa: E402
from geosr.training.torch_file import read_torch_file  # noqa: E402

KEPT = Path(__file__).parent / "golden" / "efficientnet_lite0.npz"
"""100 features of each of five blocks, by PyTorch 2.13 and efficientnet-lite-pytorch 0.1.0."""


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        return efficientnet.find_weights()
    except MissingDependencyError:
        pytest.skip("needs geosr[perceptual]")


def test_converted_network_gives_pytorchs_features(weights):
    with np.load(KEPT) as saved:
        kept = {name: saved[name] for name in saved.files if name != "logits"}
    rgb = np.random.default_rng(7).random((1, 64, 64, 3), dtype=np.float32)
    network = efficientnet.build_efficientnet_lite0(weights, tuple(kept))
    found = network.predict_on_batch((rgb * 255 - 127) / 128)
    for (name, wanted), features in zip(kept.items(), found, strict=True):
        rng = np.random.default_rng(int(name.removeprefix("block")))
        chosen = features[0].reshape(-1)[rng.choice(features[0].size, 100, replace=False)]
        assert wanted.std() > 1
        np.testing.assert_allclose(chosen, wanted, atol=2e-4 * wanted.std())


def test_perceptual_loss_sees_structure(weights):
    loss = Perceptual()
    rng = np.random.default_rng(0)
    truth = rng.random((1, 32, 32, 1), dtype=np.float32)
    smooth = truth * 0 + truth.mean()
    near = truth + 0.01
    assert float(loss(truth, truth)) == 0
    assert 0 < float(loss(truth, near)) < 0.2 * float(loss(truth, smooth))
    grey = loss.features(ops.convert_to_tensor(truth))
    rgb = loss.features(ops.convert_to_tensor(np.repeat(truth, 3, axis=-1)))
    for a, b in zip(grey, rgb, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert [a.shape[-1] for a in grey] == [16, 24, 40]


def test_range_of_the_planes_is_stated(weights):
    rng = np.random.default_rng(0)
    truth, other = rng.random((2, 1, 32, 32, 1), dtype=np.float32)
    scaled = Perceptual(low=100.0, high=300.0)
    wanted = float(Perceptual()(truth, other))
    assert float(scaled(100 + 200 * truth, 100 + 200 * other)) == pytest.approx(wanted, rel=1e-3)
    with pytest.raises(OptionError, match="high = 0"):
        Perceptual(low=0.0, high=0.0)
    with pytest.raises(OptionError, match="no such layer: block99"):
        Perceptual(layers=("block99",))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_that_calls_something_is_refused(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ModelFileError, match=r"names __builtin__\.print"):
        read_torch_file(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("keep", [0, 40, 20_000, 100_000])
def test_damaged_weights_are_a_sentence(weights, tmp_path, keep):
    path = tmp_path / "short.pth"
    path.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="cannot be read as PyTorch weights"):
        read_torch_file(path)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"geosr\[perceptual\]"):
        Perceptual()


def test_vgg19_is_never_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="downloads nothing"):
        Perceptual("vgg19")
    (tmp_path / "wrong.h5").write_bytes(b"no")
    with pytest.raises(ModelFileError, match="does not hold the weights of VGG19"):
        Perceptual("vgg19", weights=str(tmp_path / "wrong.h5"))


def test_vgg19_gives_features_before_activation(monkeypatch, tmp_path):
    """With random weights in Keras's own file layout, found in its cache."""
    keras.utils.set_random_seed(3)
    whole = keras.applications.VGG19(include_top=False, weights=None)
    (tmp_path / "models").mkdir()
    name = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    whole.save(tmp_path / "models" / name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    planes = np.random.default_rng(1).random((1, 32, 32, 1), dtype=np.float32)
    (found,) = Perceptual("vgg19").features(ops.convert_to_tensor(planes))
    found = np.asarray(found)
    assert found.min() < 0
    bgr = np.repeat(planes, 3, axis=-1) * 255 - np.array([103.939, 116.779, 123.68], "float32")
    ends = keras.Model(whole.inputs, whole.get_layer("block5_conv4").output)
    np.testing.assert_allclose(np.maximum(found, 0), ends.predict_on_batch(bgr), atol=1e-4)
