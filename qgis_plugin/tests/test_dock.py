# SPDX-License-Identifier: GPL-2.0-or-later
"""The dock with the real geosr: preview, cancel, swipe, and what is left of them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from conftest import SAMPLE

pytest.importorskip("qgis.core")
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, QSize, Qt
from qgis.PyQt.QtGui import QKeyEvent, QMouseEvent
from qgis.PyQt.QtWidgets import QApplication
from rasters import make_raster

VIEW = QgsRectangle(438000, 5390000, 438600, 5390500)


@pytest.fixture
def canvas(qgis_iface, qgis_new_project):
    canvas = qgis_iface.mapCanvas()
    canvas.resize(QSize(300, 250))
    return canvas


@pytest.fixture
def scene(canvas):
    layer = QgsRasterLayer(str(SAMPLE), "scene")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    canvas.setDestinationCrs(layer.crs())
    canvas.setLayers([layer])
    canvas.setExtent(VIEW)
    return layer


@pytest.fixture
def opened():
    """What the dock asked to open."""
    return []


@pytest.fixture
def dock(qgis_iface, scene, opened, qtbot):
    from geosr_super_resolution.gui.dock import GeosrDock
    from geosr_super_resolution.gui.environment_state import EnvironmentState

    state = EnvironmentState()
    made = GeosrDock(qgis_iface, state, lambda: opened.append("setup"), opened.append)
    qtbot.addWidget(made)
    with qtbot.waitSignal(state.changed, timeout=30000):
        state.check()
    yield made
    made.close_down()
    state.close()


def previewed(dock, qtbot, timeout=60000):
    with qtbot.waitSignal(dock.previewer.ended, timeout=timeout):
        dock.start_preview()
    qtbot.wait(50)
    return dock.preview.layer


def pixels(path):
    return gdal.Open(path).ReadAsArray()


def test_preview_is_one_temporary_layer_with_the_look_of_the_input(
    geosr_python, geosr, dock, scene, qtbot, tmp_path
):
    layer = previewed(dock, qtbot)
    assert layer is not None, dock.widgets.status.text()
    assert layer.crs() == scene.crs()
    assert layer.rasterUnitsPerPixelX() == pytest.approx(5)
    assert "scene" in layer.name()
    assert "geosr-lite" in layer.name()
    assert "estimated" in layer.metadata().abstract()
    assert layer.isTemporary()
    # Only the bands that are shown are made, in the places that the style has them.
    shown, own = layer.renderer(), scene.renderer()
    assert shown.type() == own.type()
    assert layer.bandCount() == len(set(own.usesBands()))
    assert shown.redContrastEnhancement().minimumValue() == pytest.approx(
        own.redContrastEnhancement().minimumValue()
    )
    west, north = layer.extent().xMinimum(), layer.extent().yMaximum()
    east, south = layer.extent().xMaximum(), layer.extent().yMinimum()
    bands = ",".join(map(str, sorted(set(own.usesBands()))))
    geosr(
        *("upscale", SAMPLE, tmp_path / "whole.tif", "-b", bands),
        *("--bounds", west + 1, south + 1, east - 1, north - 1),
    )
    np.testing.assert_array_equal(pixels(layer.source()), pixels(str(tmp_path / "whole.tif")))

    first = layer.source()
    dock.widgets.factor_box.setCurrentIndex(dock.widgets.factor_box.findData(4))
    again = previewed(dock, qtbot)
    assert again.id() == layer.id()
    assert again.source() != first
    assert again.rasterUnitsPerPixelX() == pytest.approx(2.5)
    assert len(QgsProject.instance().mapLayers()) == 2
    assert not os.path.exists(first)


def test_what_is_shown_of_a_large_view(dock, canvas, scene):
    from geosr_super_resolution.gui import shown_part as module

    part = module.shown_part(scene, scene.extent(), scene.crs())
    assert part.whole
    assert (part.columns, part.rows) == (283, 237)
    before, module.LARGEST_SIDE = module.LARGEST_SIDE, 100
    try:
        part = module.shown_part(scene, scene.extent(), scene.crs())
    finally:
        module.LARGEST_SIDE = before
    assert not part.whole
    assert part.seen == (283, 237)
    assert (part.columns, part.rows) == (100, 100)
    west, south, east, north = part.bounds
    assert (west + east) / 2 == pytest.approx(scene.extent().center().x(), abs=10)
    assert (south + north) / 2 == pytest.approx(scene.extent().center().y(), abs=10)
    assert module.shown_part(scene, QgsRectangle(0, 0, 10, 10), scene.crs()) is None
    far = QgsCoordinateReferenceSystem("EPSG:4326")
    part = module.shown_part(scene, QgsRectangle(14.15, 48.66, 14.16, 48.665), far)
    assert part is not None
    assert part.columns < 283


def test_moving_the_map_cancels(geosr_python, dock, canvas, qtbot):
    dock.start_preview()
    assert dock.previewer.busy
    assert not dock.widgets.preview_button.isEnabled()
    canvas.setExtent(QgsRectangle(439000, 5390000, 439600, 5390500))
    assert not dock.previewer.busy
    assert dock.widgets.preview_button.isEnabled()
    qtbot.wait(3000)
    assert dock.preview.layer is None
    # And the next one is answered.
    assert previewed(dock, qtbot) is not None


def test_refusals_are_a_sentence(geosr_python, dock, canvas, qtbot, qgis_iface):
    canvas.setExtent(QgsRectangle(0, 0, 100, 100))
    dock.start_preview()
    assert "shows nothing of the layer 'scene'" in dock.widgets.status.text()
    assert not dock.previewer.busy
    tiles = QgsRasterLayer("type=xyz&url=http://localhost/{z}/{x}/{y}.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(tiles)
    dock.widgets.layer_box.setLayer(tiles)
    canvas.setExtent(VIEW)
    dock.start_preview()
    assert "web map" in dock.widgets.status.text()


def test_closing_ends_the_worker(geosr_python, dock, qtbot):
    assert previewed(dock, qtbot) is not None
    assert dock.previewer.is_running
    worker = dock.previewer._worker
    dock.closed.emit()
    assert not dock.previewer.is_running
    qtbot.waitUntil(lambda: not worker.is_running, timeout=10000)


def test_run_on_the_whole_layer_takes_the_choices(geosr_python, dock, scene, opened):
    dock.widgets.factor_box.setCurrentIndex(dock.widgets.factor_box.findData(4))
    dock.widgets.run_button.click()
    assert opened == [{"INPUT": scene.id(), "MODEL": "geosr-lite", "FACTOR": 4}]


def test_without_an_environment_the_dock_says_what_to_do(
    qgis_iface, scene, opened, qtbot, monkeypatch, tmp_path
):
    from geosr_super_resolution import environment
    from geosr_super_resolution.gui.dock import GeosrDock
    from geosr_super_resolution.gui.environment_state import EnvironmentState

    monkeypatch.setenv("GEOSR_PYTHON", str(tmp_path / "nothing"))
    environment.forget()
    state = EnvironmentState()
    dock = GeosrDock(qgis_iface, state, lambda: opened.append("setup"), opened.append)
    qtbot.addWidget(dock)
    with qtbot.waitSignal(state.changed, timeout=30000):
        dock.show_checked()
    assert dock.widgets.currentIndex() == 0
    assert "nothing" in dock.widgets.setup_text.text()
    dock.widgets.setup_button.click()
    assert opened == ["setup"]
    dock.close_down()


@pytest.fixture
def after(scene, tmp_path, canvas):
    """A finer picture of a part of the scene, plain white."""
    path = str(tmp_path / "after.tif")
    made = gdal.Warp(
        path, str(SAMPLE), xRes=5, yRes=5, outputBounds=[437800, 5389800, 439000, 5390800]
    )
    made.GetRasterBand(1).Fill(60000)
    del made
    layer = QgsRasterLayer(path, "after")
    QgsProject.instance().addMapLayer(layer)
    canvas.setLayers([layer, scene])
    return layer


def test_a_result_is_offered_for_comparison(dock, scene, after, tmp_path):
    assert dock.widgets.after_box.currentLayer() is after
    assert dock.widgets.swipe_button.isEnabled()
    other = QgsRasterLayer(make_raster(tmp_path / "far.tif", crs="EPSG:32632"), "far")
    QgsProject.instance().addMapLayer(other)
    assert dock.widgets.after_box.currentLayer() is after


def drawn(canvas, qtbot):
    with qtbot.waitSignal(canvas.mapCanvasRefreshed, timeout=10000):
        canvas.refresh()
    qtbot.wait(300)
    return canvas.grab().toImage()


def test_swipe_shows_before_left_and_after_right(dock, canvas, scene, after, qtbot):
    canvas.show()
    drawn(canvas, qtbot)  # the window takes its size
    canvas.setLayers([scene])
    before = drawn(canvas, qtbot)
    canvas.setLayers([after, scene])
    plain = drawn(canvas, qtbot)
    dock.widgets.swipe_button.setChecked(True)
    swiped = drawn(canvas, qtbot)
    y, width = 60, canvas.width()
    for x in (10, width // 2 - 20):
        assert swiped.pixel(x, y + 40) == before.pixel(x, y + 40)
        assert swiped.pixel(x, y + 40) != plain.pixel(x, y + 40)
    for x in (width // 2 + 20, width - 10):
        assert swiped.pixel(x, y + 40) == plain.pixel(x, y + 40)

    # The keys move the handle, and do not pan.
    extent = QgsRectangle(canvas.extent())
    canvas.setFocus()
    press_key(canvas, Qt.Key.Key_End)
    assert dock.swipe.item.fraction == 1.0
    press_key(canvas, Qt.Key.Key_Left)
    assert dock.swipe.item.fraction == pytest.approx(0.98)
    assert canvas.extent() == extent

    # The mouse drags it.
    x = int(dock.swipe.item.handle_x)
    drag(canvas, QPoint(x, 120), QPoint(40, 120))
    assert dock.swipe.item.fraction == pytest.approx(40 / canvas.viewport().width(), abs=0.01)

    press_key(canvas, Qt.Key.Key_Escape)
    assert dock.swipe is None
    assert not dock.widgets.swipe_button.isChecked()
    ended = drawn(canvas, qtbot)
    assert ended.pixel(10, y) == plain.pixel(10, y)


def test_swipe_ends_with_its_layer_and_with_another_tool(dock, canvas, after, qtbot):
    from qgis.gui import QgsMapToolPan

    dock.widgets.swipe_button.setChecked(True)
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    assert dock.swipe is None
    dock.widgets.swipe_button.setChecked(True)
    assert dock.swipe is not None
    QgsProject.instance().removeMapLayer(after.id())
    assert dock.swipe is None
    assert not dock.widgets.swipe_button.isEnabled()
    assert canvas.mapTool() is pan
    canvas.unsetMapTool(pan)


def press_key(canvas, key):
    event = QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)


def drag(canvas, start, end):
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    for kind, place, button, held in (
        (QEvent.Type.MouseButtonPress, start, left, left),
        (QEvent.Type.MouseMove, end, none, left),
        (QEvent.Type.MouseButtonRelease, end, left, none),
    ):
        event = QMouseEvent(
            kind, QPointF(place), QPointF(place), button, held, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(canvas.viewport(), event)
