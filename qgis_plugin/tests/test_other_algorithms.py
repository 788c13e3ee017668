# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare, evaluate, list, adapt and train, with the real geosr."""

from __future__ import annotations

import json
import math
import subprocess

import pytest
from conftest import SAMPLE

pytest.importorskip("qgis.core")
from qgis.core import QgsProcessingException
from rasters import make_raster

pytestmark = pytest.mark.usefixtures("geosr_python")


def test_compare(run, tmp_path):
    source = make_raster(tmp_path / "a b.tif", bands=2, size=(60, 50))
    finer = run("upscale", INPUT=source, OUTPUT=str(tmp_path / "finer.tif"))["OUTPUT"]
    report = tmp_path / "Bericht für alle.html"
    found = run("compare", INPUT=source, FINER=finer, REPORT=str(report))
    assert found["FACTOR"] == 2
    assert found["RMSE"] == 0
    assert found["LARGEST"] == 0
    assert found["CORRELATION"] == pytest.approx(1)
    assert found["SUMMARY"].count("Band") == 2
    assert "<html" in report.read_text(encoding="utf-8")[:200].lower()


def test_compare_of_other_places_says_so(run, tmp_path):
    with pytest.raises(QgsProcessingException) as caught:
        run(
            "compare",
            INPUT=str(SAMPLE),
            FINER=make_raster(tmp_path / "elsewhere.tif", bands=4),
            REPORT=str(tmp_path / "report.html"),
        )
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) > 20
    assert not (tmp_path / "report.html").exists()


def test_evaluate(run, geosr, tmp_path):
    report, table = tmp_path / "report.html", tmp_path / "table.csv"
    found = run(
        "evaluate",
        INPUT=str(SAMPLE),
        MODELS=["bilinear", "geosr-lite-x2"],
        BANDS=[3],
        CROPS=2,
        REPORT=str(report),
        CSV=str(table),
    )
    assert found["BEST_MODEL"] == "geosr-lite-x2"
    assert found["GAIN"] == pytest.approx(found["PSNR"] - found["PSNR_BICUBIC"])
    assert found["GAIN"] > 0.5
    assert "bilinear" in found["SUMMARY"]
    assert "bicubic" in found["SUMMARY"]
    assert "Does geosr-lite-x2 suit scene.tif?" in found["SUITABILITY"]
    assert report.exists()
    assert table.read_text(encoding="utf-8").count("\n") > 3


def test_evaluate_takes_names_as_text(run, tmp_path):
    found = run("evaluate", INPUT=str(SAMPLE), MODELS="lanczos; bilinear", BANDS=[1], CROPS=2)
    assert found["BEST_MODEL"] == "lanczos"
    assert "bilinear" in found["SUMMARY"]
    assert "geosr-lite" not in found["SUMMARY"]
    assert not math.isnan(found["PSNR"])


def test_listmodels_equals_the_command(run, geosr, tmp_path):
    page = tmp_path / "models.html"
    found = run("listmodels", OUTPUT=str(page))
    listed = json.loads(geosr("models", "--json").stdout)
    assert found["MODELS"].split(",") == [each["name"] for each in listed]
    assert found["COUNT"] == len(listed)
    assert "geosr-lite-x4" in page.read_text(encoding="utf-8")


def test_the_list_that_comes_with_the_plugin_is_up_to_date(geosr):
    from geosr_super_resolution import models

    listed = json.loads(geosr("models", "--json").stdout)
    with open(models.SNAPSHOT, encoding="utf-8") as stream:
        assert json.load(stream) == models.condensed(listed)


def test_train_needs_rasters(run, monkeypatch, tmp_path):
    with pytest.raises(QgsProcessingException, match="There is no raster in the folder"):
        run("train", DATA=str(tmp_path), OUTPUT=str(tmp_path / "out"))


def test_recipe_of_a_folder(tmp_path):
    from geosr_super_resolution.algorithms.recipe import rasters_in, recipe_text

    (tmp_path / "deeper").mkdir()
    for name in ("b.tif", "a.tif", "deeper/c[1].tif", "deeper/d.tif", "x.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    rasters = rasters_in(str(tmp_path))
    assert rasters == {".tif": ["a.tif", "b.tif", "c[1].tif", "d.tif"], ".PNG": ["x.PNG"]}
    text = recipe_text(rasters, name='own "x2"', factor=2, steps=40)
    assert 'name = "own \\"x2\\""' in text
    assert "steps = 40" in text
    assert 'glob = "**/*.tif"\nvalidation = ["a.tif"]' in text
    assert 'glob = "**/*.PNG"\n\n' in text


@pytest.fixture
def training(geosr_python):
    command = [geosr_python, "-I", "-c", "import keras"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the environment of GEOSR_PYTHON cannot train")


def test_train_then_use(run, training, tmp_path):
    data = tmp_path / "Bilder 1"
    data.mkdir()
    for number in range(4):
        make_raster(data / f"tile {number}.tif", size=(260, 240))
    found = run(
        "train", DATA=str(data), NAME="own-x2", FACTOR=2, STEPS=2, OUTPUT=str(tmp_path / "out")
    )
    assert found["CARD"].endswith(".json")
    assert "tile 0.tif" in (tmp_path / "out" / "recipe.toml").read_text(encoding="utf-8")
    source = make_raster(tmp_path / "scene.tif")
    sharper = run("upscale", INPUT=source, MODEL_FILE=found["CARD"], OUTPUT=str(tmp_path / "a.tif"))
    assert sharper["MODEL_USED"] == "own-x2"


def test_adapt(run, feedback, training, tmp_path):
    card = tmp_path / "mine.json"
    found = run("adapt", INPUT=str(SAMPLE), STEPS=2, MEMORY=32, BANDS=[2], OUTPUT=str(card))
    assert found["OUTPUT"] == str(card)
    assert json.loads(card.read_text(encoding="utf-8"))["training"]["bands"] == [2]
    assert found["PSNR_BEFORE"] > found["PSNR_BICUBIC"]
    assert isinstance(found["HELPS"], bool)
    assert found["GAIN_LOW"] <= found["GAIN"] <= found["GAIN_HIGH"]
    assert found["GAIN"] == pytest.approx(found["PSNR_AFTER"] - found["PSNR_BEFORE"])
    assert any("95 % interval" in line for line in feedback.infos)
    assert any("PSNR where" in line for line in feedback.infos)
