"""Runtimes: the same picture from both, and weights that nobody changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from geosr.core.catalog import WEIGHTS_DIR, find_model, shipped_models
from geosr.core.errors import DeviceError, ModelFileError, OptionError
from geosr.core.facts import kernel_facts
from geosr.core.options import UpscaleOptions
from geosr.predictors import Machinery, load_predictor, settle

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning"  # some of the real crops have no place
)

SHIPPED = [facts for facts in shipped_models() if facts.files]
CPU = Machinery("openvino", "cpu", "float32", 2)


def scenes(data_dir) -> list[np.ndarray]:
    """Return a tile of each of three real 16-bit scenes, ``(bands, 120, 120)`` float32."""
    names = (
        "ms/s2_l1c_T49JGM_20171022_10m_u16",
        "ms/l8_224077_0_b234_u16",
        "ms/l8_greenland_0_b2345_u16",
    )
    tiles = []
    for name in names:
        with rasterio.open(data_dir / "eval" / f"{name}.tif") as src:
            tiles.append(src.read(window=((100, 220), (100, 220))).astype("float32"))
    return tiles


def inputs(facts, tile) -> list[np.ndarray]:
    """Return what a network takes of a tile: each band, or all four where it sees so many."""
    if facts.bands == 1:
        return list(tile[:, None])
    assert facts.band_names == ("red", "green", "blue", "nir")
    return [tile[[2, 1, 0, 3]]] if len(tile) == 4 else []


def test_weights_are_shipped_for_three_factors():
    assert {facts.name for facts in SHIPPED} >= {"geosr-lite-x2", "geosr-lite-x3", "geosr-lite-x4"}


@pytest.mark.parametrize("facts", SHIPPED, ids=lambda facts: facts.name)
def test_both_runtimes_agree(facts, data_dir):
    pytest.importorskip("tensorflow", reason="needs geosr[tensorflow]")
    ours = load_predictor(facts, CPU)
    theirs = load_predictor(facts, replace(CPU, runtime="tensorflow"))
    for tile in scenes(data_dir):
        for x in inputs(facts, tile)[:1]:
            a, b = (model.predict(x) for model in (ours, theirs))
            local = np.ptp(a, axis=1).max()
            assert local > 10
            assert np.abs(a - b).max() <= 1e-5 * local


@pytest.mark.parametrize("facts", SHIPPED, ids=lambda facts: facts.name)
def test_keras_and_onnx_files_are_the_same_whole_network(facts):
    keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
    pytest.importorskip("geosr.models.layers")
    openvino = pytest.importorskip("openvino")
    shape = (1, 40, 44, facts.bands)
    x = np.random.default_rng(0).uniform(0, 1000, shape).astype("float32")
    model = keras.saving.load_model(WEIGHTS_DIR / facts.files["keras"], compile=False)
    a = np.asarray(model(x))
    graph = openvino.Core().compile_model(
        WEIGHTS_DIR / facts.files["onnx"], "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    b = graph(x)[0]
    sides = 40 * facts.upscale_factor, 44 * facts.upscale_factor
    assert a.shape == b.shape == (1, *sides, facts.bands)
    rounding = 2e-6 * np.ptp(b)  # float32 has seven digits, and they add up in another order
    assert np.abs(a - b).max() < rounding
    halo = facts.radius
    source = np.moveaxis(x[0], -1, 0)
    padded = np.pad(source, ((0, 0), (halo, halo), (halo, halo)), "reflect")
    from geosr.kernels import interleave
    from geosr.radiometry import keep_means

    phases = keep_means(load_predictor(facts, CPU).predict(padded), source)
    assert np.abs(interleave(phases) - np.moveaxis(a[0], -1, 0)).max() < rounding


@pytest.mark.parametrize("facts", SHIPPED, ids=lambda facts: facts.name)
def test_bfloat16_is_as_near_as_the_card_says(facts, data_dir):
    from geosr.runtimes.openvino import supports_bfloat16

    if not supports_bfloat16():
        pytest.skip("this processor has no bfloat16")
    assert facts.bfloat16_error is not None
    exact, quick = (
        load_predictor(facts, replace(CPU, precision=p)) for p in ("float32", "bfloat16")
    )
    for tile in scenes(data_dir):
        for x in inputs(facts, tile):
            a, b = (model.predict(x) for model in (exact, quick))
            span = min(float(np.ptp(band)) for band in x)
            scaled = np.abs(a - b).max() * min(10_000 / span, 1)
            assert 0 < scaled <= facts.bfloat16_error * 1.0001


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_shape_of_the_tile_does_not_change_a_bit(precision):
    facts = find_model("geosr-lite-x2")
    network = load_predictor(facts, replace(CPU, precision=precision))
    x = np.random.default_rng(0).uniform(0, 4000, (1, 180, 190)).astype("float32")
    whole = network.predict(x)
    for height, width in ((40, 70), (21, 21), (150, 33)):
        part = network.predict(x[:, 5 : 5 + height, 9 : 9 + width])
        h, w = height - 20, width - 20
        assert np.array_equal(part, whole[:, :, 5 : 5 + h, 9 : 9 + w])


@pytest.fixture
def copied(tmp_path):
    for path in WEIGHTS_DIR.glob("geosr-lite-x2.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_tampered_weights_are_refused(copied):
    facts = find_model("geosr-lite-x2")
    path = copied / facts.files["onnx"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="is not the file that its card describes"):
        load_predictor(facts, CPU, folder=copied)


def test_missing_weights_are_named(copied):
    facts = find_model("geosr-lite-x2")
    (copied / facts.files["onnx"]).unlink()
    with pytest.raises(ModelFileError, match="onnx file of geosr-lite-x2 is missing"):
        load_predictor(facts, CPU, folder=copied)


def test_auto_takes_bfloat16_only_where_the_card_allows(monkeypatch):
    monkeypatch.setattr("geosr.runtimes.openvino.supports_bfloat16", lambda: True)
    facts = find_model("geosr-lite-x2")
    options = UpscaleOptions(device="cpu")
    for error, precision in ((None, "float32"), (0.4, "bfloat16"), (7.0, "float32")):
        machinery = settle(replace(facts, bfloat16_error=error), options, processors=3)
        assert (machinery.precision, machinery.runtime, machinery.threads) == (
            precision,
            "openvino",
            3,
        )


def test_no_gpu():
    facts = find_model("geosr-lite-x2")
    with pytest.raises(DeviceError, match="processor"):
        settle(facts, UpscaleOptions(device="gpu", runtime="openvino"), processors=1)
    tensorflow = pytest.importorskip("tensorflow", reason="needs geosr[tensorflow]")
    if tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="no GPU"):
        settle(facts, UpscaleOptions(device="gpu"), processors=1)


def test_kernels_take_no_runtime():
    with pytest.raises(OptionError, match="bicubic has no network"):
        settle(kernel_facts("bicubic", 2), UpscaleOptions(runtime="tensorflow"), processors=1)


def test_openvino_starts_no_process_and_reports_to_nobody():
    code = """
import os, sys
forks = []
os.register_at_fork(before=lambda: forks.append(1))
from geosr.core.catalog import WEIGHTS_DIR
from geosr.runtimes.openvino import supports_bfloat16
supports_bfloat16()
assert "openvino" in sys.modules
print(len(forks), sys.modules["openvino_telemetry"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "None"]
