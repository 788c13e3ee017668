"""Networks: their contract, their radius, their files."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from geosr.core.errors import ModelFileError, OptionError  # noqa: E402
from geosr.kernels import interleave, upsample  # noqa: E402
from geosr.models.contract import declared_radius, trained_part, valid_part  # noqa: E402
from geosr.models.edsr import build_edsr  # noqa: E402
from geosr.models.families import ARCHITECTURES, build, finished, start_from  # noqa: E402
from geosr.models.layers import PixelShuffle, PixelUnshuffle  # noqa: E402
from geosr.models.probe import probed_radius  # noqa: E402
from geosr.models.radius import checked_radius, factor_of, graph_radius  # noqa: E402
from geosr.models.rcan_local import build_rcan_local  # noqa: E402
from geosr.models.rrdb import build_rrdb  # noqa: E402
from geosr.models.srresnet import build_srresnet  # noqa: E402

SMALL = {
    "edsr, small": partial(build_edsr, filters=6, blocks=2, residual_scale=0.5),
    "rcan-local, small": partial(build_rcan_local, filters=8, groups=2, blocks=1, window=5),
    "rrdb, small": partial(build_rrdb, filters=6, growth=4, blocks=1),
    "srresnet, small": partial(build_srresnet, filters=6, blocks=2),
}
"""Deep networks with fewer and thinner layers, which are quick."""

CASES = [
    (name, factor)
    for name in ("geosr", "geosr-lite", "espcn", "fsrcnn", "srcnn", "srcnn-955", *SMALL)
    for factor in (2, 3, 4)
]


def built(architecture: str, factor: int) -> keras.Model:
    if architecture in SMALL:
        return SMALL[architecture](upscale_factor=factor)
    return build(architecture, factor, expansion=8)


def lively(architecture: str, factor: int, seed: int = 0) -> keras.Model:
    """Return a network whose random weights are large enough to be seen in its output."""
    model = built(architecture, factor)
    rng = np.random.default_rng(seed)
    weights = []
    for w in model.get_weights():
        inputs = int(np.prod(w.shape[:-1])) or 1
        weights.append(rng.normal(0, 1 / np.sqrt(inputs), w.shape).astype("float32"))
    model.set_weights(weights)
    return model


def run(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x.astype("float32")))


@pytest.mark.parametrize(("architecture", "factor"), CASES)
def test_network_keeps_the_contract(architecture, factor):
    model = lively(architecture, factor)
    x = np.random.default_rng(1).normal(0, 1, (2, 27, 31, 1))
    y = run(model, x)
    assert y.shape == (2, 27 * factor, 31 * factor, 1)
    contrast = np.ptp(y)
    padded = np.pad(x[..., 0], ((0, 0), (2, 2), (2, 2)), "reflect")
    base = interleave(upsample(padded, "bicubic", factor))
    assert np.abs(y[..., 0] - base).max() > 0.05 * contrast  # the trained part does something
    assert np.abs(run(model, 3 * x + 5) - (3 * y + 5)).max() < 1e-4 * contrast
    means = y.reshape(2, 27, factor, 31, factor).mean(axis=(2, 4))
    assert np.abs(means - x[..., 0]).max() < 1e-5 * contrast
    flat = run(model, np.full((1, 28, 28, 1), 7.25))
    assert np.abs(flat - 7.25).max() < 7.25e-6 * contrast  # of rounding in the high-pass


@pytest.mark.parametrize(("architecture", "factor"), CASES)
def test_radius_is_counted_and_measured_alike(architecture, factor):
    model = built(architecture, factor)
    counted = graph_radius(model)
    assert factor_of(model) == factor
    assert probed_radius(model, expected=counted) == counted
    assert checked_radius(model) == counted <= declared_radius(model)


def test_geosr_lite_looks_ten_pixels_far_with_at_most_80000_weights():
    for factor in (2, 3, 4):
        model = finished(build("geosr-lite", factor, expansion=8), "geosr-lite")
        assert graph_radius(model) == 10
        assert 30_000 <= model.count_params() <= 80_000


def test_a_network_that_looks_further_than_its_halo_is_refused(monkeypatch):
    monkeypatch.setattr("geosr.models.radius.declared_radius", lambda model: 9)
    with pytest.raises(ModelFileError, match="looks 10 pixels far, its graph says 10"):
        checked_radius(build("geosr-lite", 2))


def test_a_network_whose_graph_is_misread_is_refused(monkeypatch):
    monkeypatch.setattr("geosr.models.radius.graph_radius", lambda model: 8)
    with pytest.raises(ModelFileError, match="looks 10 pixels far, its graph says 8"):
        checked_radius(build("geosr-lite", 2))


def test_a_global_layer_is_refused():
    x = inputs = keras.Input((None, None, 1))
    x = keras.layers.Multiply()([x, keras.layers.GlobalAveragePooling2D(keepdims=True)(x)])
    x = keras.layers.Conv2D(4, 1)(x)
    model = keras.Model(inputs, PixelShuffle(2, name="high_resolution")(x))
    with pytest.raises(ModelFileError, match="not known to be local"):
        graph_radius(model)


@pytest.mark.parametrize(
    ("architecture", "radius", "parameters"),
    [
        ("edsr", 40, 1_512_576),
        ("edsr-large", 72, 43_061_760),
        ("rcan-local", 55, 474_444),
        ("rrdb", 353, 16_682_112),
        ("rrdb-small", 53, 576_576),
        ("srresnet", 44, 1_523_008),
    ],
)
def test_full_size_networks_have_the_radius_that_they_declare(architecture, radius, parameters):
    for factor in (3, 4):
        model = build(architecture, factor)
        counted = graph_radius(model)
        repeats = model.name.startswith("rrdb")  # once for x3: its blocks of 3 hide a pixel
        assert counted == declared_radius(model) == radius - (factor == 3 and repeats)
    assert model.count_params() == parameters


def test_gans_are_named_by_their_generators():
    assert ARCHITECTURES["srgan"] == ARCHITECTURES["srresnet"]
    assert ARCHITECTURES["esrgan"] == ARCHITECTURES["rrdb"]


def test_a_radius_that_a_probe_cannot_measure_need_only_hold_it(monkeypatch):
    monkeypatch.setattr("geosr.models.radius.MEASURABLE", 9)
    monkeypatch.setattr("geosr.models.radius.graph_radius", lambda model: 12)
    monkeypatch.setattr("geosr.models.radius.declared_radius", lambda model: 12)
    assert checked_radius(lively("geosr-lite", 2)) == 12
    monkeypatch.setattr("geosr.models.radius.graph_radius", lambda model: 9)
    with pytest.raises(ModelFileError, match="looks 10 pixels far, its graph says 9"):
        checked_radius(lively("geosr-lite", 2))


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(1, 3, strides=2, padding="same"),
        keras.layers.AveragePooling2D(2),
        keras.layers.UpSampling2D(2, interpolation="bilinear"),
        keras.layers.Conv2DTranspose(1, 3, strides=2, padding="valid"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_does_not_keep_the_grid_is_refused(layer):
    inputs = keras.Input((None, None, 1))
    with pytest.raises(ModelFileError, match=layer.name):
        graph_radius(keras.Model(inputs, layer(inputs)))


def test_pixel_shuffle_of_several_bands_is_undone():
    x = np.random.default_rng(5).normal(0, 1, (2, 4, 5, 12)).astype("float32")
    image = PixelShuffle(2)(x)
    assert image.shape == (2, 8, 10, 3)
    assert np.array_equal(image[:, 1::2, 0::2, :], x[..., 6:9])  # row 1, column 0 of each block
    assert np.array_equal(PixelUnshuffle(2)(image), x)


@pytest.mark.parametrize("architecture", ["geosr-lite", "espcn", "srcnn", "fsrcnn", *SMALL])
def test_saved_network_is_the_same_after_reading(architecture, tmp_path):
    model = finished(lively(architecture, 2), architecture)
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    x = np.random.default_rng(2).normal(0, 1, (1, 31, 33, 1))
    assert np.array_equal(run(model, x), run(again, x))


@pytest.mark.parametrize("architecture", ["geosr", "geosr-lite"])
def test_collapsed_network_is_the_same_function(architecture):
    model = lively(architecture, 3)
    plain = finished(model, architecture)
    assert plain.count_params() != model.count_params()
    x = np.random.default_rng(3).normal(0, 1, (1, 25, 25, 1))
    y = run(model, x)
    assert np.abs(run(plain, x) - y).max() < 1e-5 * np.ptp(y)


def test_valid_part_takes_real_pixels_for_the_mirrored_rim():
    model = lively("geosr-lite", 2)
    x = np.random.default_rng(4).normal(0, 1, (1, 24, 26, 1)).astype("float32")
    padded = np.pad(x, ((0, 0), (10, 10), (10, 10), (0, 0)), "reflect")
    assert np.array_equal(run(valid_part(model), padded), run(model, x))


def test_foreign_model_cannot_be_cut():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    with pytest.raises(ModelFileError, match="detail_in"):
        trained_part(model)


def test_another_factor_starts_from_the_same_trunk(tmp_path):
    donor, model = lively("geosr-lite", 2), build("geosr-lite", 4, expansion=8)
    donor.save(tmp_path / "x2.keras")
    start_from(model, str(tmp_path / "x2.keras"))
    for name in ("conv0", "conv4"):
        ours, theirs = (m.get_layer(name).get_weights() for m in (model, donor))
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_factors_share_their_trunk():
    two = build("geosr", 2, expansion=8)
    four = build("geosr", 4, expansion=8, trunk=two)
    assert two.get_layer("conv7") is four.get_layer("conv7")
    assert two.get_layer("detail_out") is not four.get_layer("detail_out")
    with pytest.raises(OptionError, match="srcnn shares nothing"):
        build("srcnn", 2, trunk=two)


def test_geosr_looks_twenty_pixels_far_with_about_300000_weights():
    for factor in (2, 3, 4):
        model = finished(build("geosr", factor, expansion=8), "geosr")
        assert graph_radius(model) == declared_radius(model) == 20
        assert 290_000 < model.count_params() < 300_000


def test_the_features_of_geosr_do_not_grow_from_layer_to_layer():
    """Where they do, the first steps of training throw the weights about."""
    model = build("geosr", 2, expansion=128)
    ends = [model.get_layer(name).output for name in ("act0", "act14")]
    features = keras.Model(model.get_layer("detail_in").output, ends)
    x = np.random.default_rng(5).normal(0, 1, (1, 48, 48, 1)).astype("float32")
    first, last = (keras.ops.convert_to_numpy(y).std() for y in features(x))
    assert 0.2 < last / first < 2


def test_unknown_architecture():
    with pytest.raises(OptionError, match="resnet"):
        build("resnet", 2)


def test_recipes_know_the_architectures_of_the_contract():
    from geosr.training.architectures import ARCHITECTURES as TRAINABLE
    from geosr.training.architectures import AS_PUBLISHED

    assert set(TRAINABLE) == {name for name, a in ARCHITECTURES.items() if a.is_contract}
    assert set(AS_PUBLISHED) == set(ARCHITECTURES) - set(TRAINABLE)
    assert set(AS_PUBLISHED.values()) <= set(TRAINABLE)


@pytest.mark.parametrize("architecture", ["espcn", *SMALL])
def test_onnx_form_is_the_same_function(architecture, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")
    from geosr.core.facts import ModelFacts
    from geosr.kernels import interleave
    from geosr.predictors import Machinery, load_predictor
    from geosr.radiometry import keep_means
    from geosr.training.onnx import write_onnx
    from geosr.training.publish import write_card

    model, halo = lively(architecture, 2), declared_radius(built(architecture, 2))
    ends = {"detail_in": "detail_in", "detail_out": "detail_out"}
    facts = ModelFacts("net-x2", "net", 2, halo, files={"onnx": "net.onnx"}, tensors=ends)
    model.save(tmp_path / "net.keras")
    write_onnx(tmp_path / "net.keras", tmp_path / "net.onnx", card=facts.to_card())
    facts = ModelFacts.from_card(write_card(facts, tmp_path).read_text(encoding="utf-8"))
    network = load_predictor(facts, Machinery("openvino", "cpu", "float32", 1), folder=tmp_path)
    x = np.random.default_rng(6).normal(0, 1, (1, 29, 32)).astype("float32")
    padded = np.pad(x, ((0, 0), (halo, halo), (halo, halo)), "reflect")
    y = run(model, x[..., None])[..., 0]
    found = interleave(keep_means(network.predict(padded), x))
    assert np.abs(found - y).max() < 1e-4 * np.ptp(y)
