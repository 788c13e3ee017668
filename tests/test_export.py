"""``geosr export``: the network in the forms that other programs read."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from cli_scenes import run

from geosr.core.catalog import WEIGHTS_DIR, find_model
from geosr.core.errors import ModelFileError
from geosr.core.facts import ModelFacts
from geosr.predictors import Machinery, load_predictor
from geosr.runtimes import int8

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def images(tmp_path):
    """Make a folder of two small training images."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        blocks = rng.uniform(100, 3000, (1, 30, 30)).repeat(4, axis=1).repeat(4, axis=2)
        x = (blocks + rng.normal(0, 20, blocks.shape)).astype("uint16")
        path = folder / f"{number}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=120, width=120, dtype="uint16"
        ) as dst:
            dst.write(x)
    return folder


@pytest.fixture
def card(tmp_path):
    """Write a copy of a shipped model whose recipe names those images; without int8."""
    facts = find_model("geosr-lite-x2")
    recipe = {**facts.training["recipe"], "patch": 12, "sources": [{"glob": "*.tif"}]}
    files = {kind: facts.files[kind] for kind in ("keras", "onnx")}
    folder = tmp_path / "own"
    folder.mkdir()
    for name in files.values():
        (folder / name).write_bytes((WEIGHTS_DIR / name).read_bytes())
    own = replace(facts, files=files, int8_error=None, training={"recipe": recipe})
    path = folder / "own.json"
    path.write_text(own.to_card(), encoding="utf-8")
    return path


def export(*args):
    return run("export", *map(str, args))


def test_int8_is_made_from_training_images_and_runs(card, images, tmp_path):
    pytest.importorskip("nncf", reason="needs geosr[quantise]")
    pytest.importorskip("keras", reason="needs geosr[tensorflow]")
    for name in ("first", "second"):
        result = export(
            card, "--format", "openvino-int8", "--data", images, "--out", tmp_path / name
        )
        assert result.exit_code == 0, result.output
        assert "of 10,000 on training images" in result.stdout
    facts = ModelFacts.from_card((tmp_path / "first" / "geosr-lite-x2.json").read_text())
    again = ModelFacts.from_card((tmp_path / "second" / "geosr-lite-x2.json").read_text())
    assert facts.files.keys() == {"keras", "onnx", "int8", "int8_bin"}
    assert facts.int8_error > 0
    assert facts.sha256["int8_bin"] == again.sha256["int8_bin"]
    networks = [
        load_predictor(facts, Machinery("openvino", "cpu", p, 1), folder=tmp_path / "first")
        for p in ("float32", "int8")
    ]
    x = np.random.default_rng(1).normal(0, 0.3, (1, 60, 60)).astype("float32")
    exact, quick = (network.predict(x) for network in networks)
    assert 0 < np.sqrt(np.mean((exact - quick) ** 2)) < 0.03
    image = images / "0.tif"
    result = run(
        "upscale",
        str(image),
        str(tmp_path / "out.tif"),
        *("-m", str(tmp_path / "first" / "geosr-lite-x2.json"), "--precision", "int8"),
    )
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "out.tif") as src:
        assert src.tags()["GEOSR_PRECISION"] == "int8"


def test_handlers_that_others_have_put_on_the_log_stay_as_they_are():
    pytest.importorskip("nncf", reason="needs geosr[quantise]")
    handler, logger = logging.NullHandler(logging.DEBUG), logging.getLogger("nncf")
    logger.addHandler(handler)
    try:
        int8._nncf()
        assert handler.level == logging.DEBUG
        assert not logger.isEnabledFor(logging.WARNING)
    finally:
        logger.removeHandler(handler)


def test_without_nncf_it_says_what_to_install(card, images, tmp_path, monkeypatch):
    pytest.importorskip("keras", reason="needs geosr[tensorflow]")
    monkeypatch.setitem(sys.modules, "nncf", None)
    result = export(card, "--format", "openvino-int8", "--data", images, "--out", tmp_path / "q")
    assert result.exit_code == 1
    assert "geosr[quantise]" in result.stderr


@pytest.mark.parametrize(("options", "share"), [((), 1e-4), (("--float16",), 2e-2)])
def test_tflite_gives_the_picture_of_keras(tmp_path, options, share):
    pytest.importorskip("tensorflow", reason="needs geosr[tensorflow]")
    import keras

    from geosr.models import layers  # noqa: F401 - makes them known to Keras
    from geosr.runtimes.tflite import run_tflite

    path = tmp_path / "net.tflite"
    result = export("geosr-lite-x3", "--format", "tflite", "--out", path, *options)
    assert result.exit_code == 0, result.output
    model = keras.saving.load_model(WEIGHTS_DIR / "geosr-lite-x3.keras", compile=False)
    for shape in ((1, 33, 40, 1), (1, 21, 26, 1)):
        x = np.random.default_rng(2).normal(3000, 400, shape).astype("float32")
        off = np.abs(run_tflite(path.read_bytes(), x) - np.asarray(model(x))).max()
        assert off < share * x.std()


def test_tflite_that_gives_another_picture_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow", reason="needs geosr[tensorflow]")
    from geosr.training import tflite

    monkeypatch.setattr(tflite, "run_tflite", lambda content, image: np.float32(0))
    with pytest.raises(ModelFileError, match="is off by"):
        tflite.write_tflite(find_model("geosr-lite-x2"), tmp_path / "net.tflite")
    assert not (tmp_path / "net.tflite").exists()


@pytest.mark.parametrize("kind", ["onnx", "keras"])
def test_shipped_files_are_copied_and_never_replaced_unasked(tmp_path, kind):
    path = tmp_path / f"net.{kind}"
    args = ("geosr-lite", "-f", 4, "--format", kind, "--out", path)
    assert export(*args).exit_code == 0
    assert path.read_bytes() == (WEIGHTS_DIR / f"geosr-lite-x4.{kind}").read_bytes()
    again = export(*args)
    assert again.exit_code == 1
    assert "is there already" in again.stderr
    assert export(*args, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("geosr-lite-x2", "--format", "openvino-int8"), "needs --data"),
        (("geosr-lite-x2", "--format", "onnx", "--data", "."), "--data does not apply to onnx"),
        (("geosr-lite-x2", "--format", "onnx", "--float16"), "--float16 does not apply to onnx"),
        (("bicubic-x2", "--format", "onnx"), "bicubic-x2 has no onnx file"),
        (("geosr-lite-x8", "--format", "keras"), "geosr-lite-x8 has no keras file"),
        (("geosr-lite-x9", "--format", "onnx"), "no weights for factor 9"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(tmp_path, args, message):
    result = export(*args, "--out", tmp_path / "out")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("change", [{"training": {}}, {"files": {}}])
def test_int8_needs_a_network_with_a_recipe(card, tmp_path, change):
    pytest.importorskip("keras", reason="needs geosr[tensorflow]")
    own = replace(ModelFacts.from_card(card.read_text()), **change)
    card.write_text(own.to_card(), encoding="utf-8")
    result = export(card, "--format", "openvino-int8", "--data", tmp_path, "--out", tmp_path / "q")
    assert result.exit_code == 1
    assert "cannot be made int8" in result.stderr
