# SPDX-License-Identifier: GPL-2.0-or-later
"""The algorithms in the dialog, in batch, and inside a saved model."""

from __future__ import annotations

import json
import os
import time

import pytest
from conftest import SAMPLE

pytest.importorskip("qgis.gui")
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QTimer
from rasters import assert_alike, contents, make_raster

PICTURES = os.environ.get("GEOSR_PICTURES", "")
"""A folder for pictures of the dialogs, if somebody wants to look at them."""


@pytest.fixture
def dialogs(plugin, qgis_iface, qgis_new_project, monkeypatch):
    """Let dialogs be made: they want a browser model, which the test's interface lacks."""
    import processing.tools.dataobjects  # noqa: F401
    from qgis.gui import QgsBrowserGuiModel

    model = QgsBrowserGuiModel()
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: model)
    return qgis_iface


def grab(widget, name):
    QCoreApplication.processEvents()
    picture = widget.grab()
    assert not picture.isNull()
    if PICTURES:
        assert picture.save(os.path.join(PICTURES, name))


@pytest.mark.parametrize("name", ["upscale", "compare", "evaluate", "adapt", "train", "listmodels"])
def test_dialog_opens(dialogs, name, tmp_path):
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    layer = QgsRasterLayer(str(SAMPLE), "scene")
    QgsProject.instance().addMapLayer(layer)
    algorithm = QgsApplication.processingRegistry().algorithmById("geosr:" + name).create()
    dialog = AlgorithmDialog(algorithm, False, dialogs.mainWindow())
    dialog.resize(1000, 820)
    dialog.show()
    grab(dialog, f"dialog_{name}.png")
    if name != "train":  # its folder has no default
        parameters = dialog.createProcessingParameters()
        assert set(parameters) <= {each.name() for each in algorithm.parameterDefinitions()}
    dialog.close()
    dialog.deleteLater()


def test_dialog_runs(dialogs, geosr_python, tmp_path):
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    layer = QgsRasterLayer(str(SAMPLE), "scene")
    QgsProject.instance().addMapLayer(layer)
    algorithm = QgsApplication.processingRegistry().algorithmById("geosr:upscale").create()
    dialog = AlgorithmDialog(algorithm, False, dialogs.mainWindow())
    dialog.resize(1000, 820)
    dialog.show()
    output = str(tmp_path / "a.tif")
    dialog.setParameters({"INPUT": layer, "MODEL": "bicubic", "OUTPUT": output})
    waiting = QEventLoop()
    done = []
    dialog.algorithmFinished.connect(
        lambda ok, results: (done.append((ok, results)), waiting.quit())
    )
    QTimer.singleShot(60000, waiting.quit)
    dialog.runButton().click()
    if not done:
        waiting.exec()
    grab(dialog, "dialog_done.png")
    assert done[0][0]
    assert done[0][1]["MODEL_USED"] == "bicubic-x2"
    assert os.path.exists(output)
    dialog.close()
    dialog.deleteLater()


def test_batch(dialogs, geosr_python, monkeypatch, tmp_path):
    from processing.gui import BatchPanel
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    outputs = [str(tmp_path / f"out{number}.tif") for number in range(2)]
    rows = [
        {
            "PARAMETERS": {
                "INPUT": repr(make_raster(tmp_path / f"scene{number}.tif")),
                "MODEL": "'bicubic'",
                "FACTOR": "3",
            },
            "OUTPUTS": {"OUTPUT": output},
        }
        for number, output in enumerate(outputs)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    chosen = (str(tmp_path / "rows.json"), "")
    monkeypatch.setattr(BatchPanel.QFileDialog, "getOpenFileName", lambda *_: chosen)
    algorithm = QgsApplication.processingRegistry().algorithmById("geosr:upscale").create()
    dialog = BatchAlgorithmDialog(algorithm, dialogs.mainWindow())
    dialog.resize(1300, 600)
    dialog.show()
    dialog.mainWidget().load()
    grab(dialog, "dialog_batch.png")
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(50)
    dialog.runButton().click()
    timer.stop()
    grab(dialog, "dialog_batch_done.png")
    assert_alike(*outputs)
    assert contents(outputs[0])[0].shape == (60, 72)
    gaps = [later - earlier for earlier, later in zip(ticks, ticks[1:])]
    assert len(ticks) > 10
    assert max(gaps) < 2
    dialog.close()
    dialog.deleteLater()


def test_inside_a_saved_model(plugin, geosr, tmp_path):
    model = QgsProcessingModelAlgorithm("sharper", "tests")
    scene = QgsProcessingModelParameter("scene")
    model.addModelParameter(QgsProcessingParameterRasterLayer("scene", "Scene"), scene)
    child = QgsProcessingModelChildAlgorithm("geosr:upscale")
    child.setChildId("sharpen")
    source = QgsProcessingModelChildParameterSource
    child.addParameterSources("INPUT", [source.fromModelParameter("scene")])
    child.addParameterSources("MODEL", [source.fromStaticValue("bicubic-x3")])  # not in the list
    child.addParameterSources("BANDS", [source.fromStaticValue([2])])
    result = QgsProcessingModelOutput("sharper", "Sharper")
    result.setChildOutputName("OUTPUT")
    result.setChildId("sharpen")
    child.setModelOutputs({"sharper": result})
    model.addChildAlgorithm(child)
    path = str(tmp_path / "sharper.model3")
    assert model.toFile(path)

    loaded = QgsProcessingModelAlgorithm()
    assert loaded.fromFile(path)
    loaded.initAlgorithm()
    output = str(tmp_path / "a.tif")
    (name,) = [each.name() for each in loaded.destinationParameterDefinitions()]
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    _found, ok = loaded.run({"scene": str(SAMPLE), name: output}, context, feedback)
    assert ok, feedback.textLog()
    geosr("upscale", SAMPLE, tmp_path / "b.tif", "-m", "bicubic-x3", "-b", "2")
    assert_alike(output, tmp_path / "b.tif")
