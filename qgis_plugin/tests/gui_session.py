# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person does in the desktop, from the ZIP to the swipe; run_gui.sh runs it inside QGIS.

Each step writes a line ``ok`` or ``FAILED`` to the report. Steps look at the widgets, at the
layers and at the processes, and take screenshots.
"""

import os
import signal
import subprocess
import sys
import time
import traceback

from qgis.core import (
    QgsApplication,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
)
from qgis.PyQt.QtCore import QCoreApplication, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDialog, QMessageBox, QProgressBar, QWidget
from qgis.utils import iface

PLUGIN = "geosr_super_resolution"
SAMPLE = os.environ["GEOSR_SAMPLE"]
PYTHON = os.environ["GEOSR_TEST_PYTHON"]
SHOTS = os.environ.get("GEOSR_SHOTS", "")
OUTPUT = os.path.join(os.environ["XDG_DATA_HOME"], "sharper.tif")
LONG = 90.0
VILLAGE = QgsRectangle(438550, 5390250, 439450, 5390850)

PYTHONS = [PYTHON]
"""Of the environments; the last one is in use."""

failed, pictures = [], []


def note(line):
    with open(os.environ["GEOSR_REPORT"], "a", encoding="utf-8") as report:
        report.write(line + "\n")


def pump(seconds=0.1):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, 52)  # deferred deletions
        time.sleep(0.01)


def wait_for(asked, seconds=LONG, what=""):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if asked():
            return
        pump(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what or asked}")


def drawn():
    """Wait until the map stands still."""
    iface.mapCanvas().refresh()
    pump(0.3)
    wait_for(lambda: not iface.mapCanvas().isDrawing(), 20, "the map is drawn")
    pump(0.5)


def shoot(name, widget=None):
    """Save the screen, or a widget alone."""
    pump(0.4)
    if not SHOTS:
        return
    os.makedirs(SHOTS, exist_ok=True)
    pictures.append(name)
    screen = QGuiApplication.primaryScreen()
    picture = screen.grabWindow(0) if widget is None else widget.grab()
    picture.save(os.path.join(SHOTS, f"{len(pictures):02d}_{name}.png"))


def plugin():
    from qgis import utils

    return utils.plugins[PLUGIN]


def dock():
    return plugin().desktop.dock


def workers():
    """Return the geosr processes that live."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout
    mine = f"{PYTHONS[-1]} -m geosr"
    return [line for line in listed.splitlines() if mine in line and not line.endswith("--json")]


def step(function):
    """Run a step; a failure stops nothing but itself."""
    begun = time.monotonic()
    try:
        words = function() or ""
        note(f"ok      {function.__name__} ({time.monotonic() - begun:.1f} s) {words}")
    except Exception:  # noqa: BLE001 - whatever it is, the next step is tried
        failed.append(function.__name__)
        note(f"FAILED  {function.__name__}\n{traceback.format_exc()}")
        shoot("failed_" + function.__name__)


def close_message_boxes():
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QMessageBox) and widget.isVisible():
            widget.accept()


def install_from_zip():
    archive = os.environ.get("GEOSR_ZIP", "")
    if archive:
        import pyplugin_installer

        timer = QTimer()
        timer.timeout.connect(close_message_boxes)
        timer.start(500)
        pyplugin_installer.instance().installFromZipFile(archive)
        timer.stop()
    wait_for(lambda: PLUGIN in sys.modules, 20, "the plugin is loaded")
    found = QgsApplication.processingRegistry().algorithmById("geosr:upscale")
    assert found is not None
    return "from the ZIP" if archive else "linked"


def without_an_environment():
    """It says what is missing, in one line, and does not stand in the way."""
    wait_for(lambda: plugin().state.problem is not None, 40, "the environment was looked for")
    pump(0.5)
    items = iface.messageBar().items()
    assert [each.title() for each in items] == ["GeoSR"], [each.text() for each in items]
    dock().show_checked()
    wait_for(lambda: dock().widgets.currentIndex() == 0, 5)
    assert dock().widgets.setup_button.isVisible()
    shoot("not_set_up")


def set_up_dialog():
    dock().widgets.setup_button.click()
    dialog = plugin().desktop._setup
    assert dialog.isVisible()
    assert not dialog.isModal()
    dialog.move(220, 60)
    page = dialog.create_page
    wait_for(lambda: page.words.text() != "", 40, "a plan or a problem")
    shoot("setup_create", dialog)
    page.fields.network.setCollapsed(False)
    shoot("setup_create_network", dialog)
    page.fields.network.setCollapsed(True)
    dialog.tabs.setCurrentIndex(2)
    shoot("setup_by_hand", dialog)
    dialog.tabs.setCurrentIndex(1)
    dialog.existing.path.setFilePath("/usr/bin/python3")
    dialog.existing.button.click()
    wait_for(lambda: dialog.existing.problem is not None, 40, "it was checked")
    assert "-m pip install" in dialog.existing.words.text()
    shoot("setup_existing_problem", dialog)
    dialog.existing.path.setFilePath(PYTHON)
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(20)
    dialog.existing.button.click()
    wait_for(lambda: dialog.existing.found is not None, 40, "it was checked")
    timer.stop()
    longest = max(b - a for a, b in zip(ticks, ticks[1:]))
    assert longest < 1.0, f"the window stood still for {longest:.2f} s"
    shoot("setup_existing", dialog)
    dialog.use_button.click()
    wait_for(lambda: plugin().state.found is not None, 40, "it is in use")
    assert QgsSettings().value("geosr/python") == PYTHON
    dialog.copy_button.click()
    assert "geosr" in QApplication.clipboard().text()
    dialog.close()
    wait_for(lambda: not iface.messageBar().items(), 5, "the message has gone")
    assert dock().widgets.currentIndex() == 1
    return f"longest stand-still {1000 * longest:.0f} ms"


def create_an_environment():
    """Make one from a folder of wheels, cancelled once; skipped without the folder."""
    wheels = os.environ.get("GEOSR_WHEELS", "")
    if not wheels:
        return "skipped: GEOSR_WHEELS names no folder of wheels"
    desktop = plugin().desktop
    desktop.open_setup()
    dialog = desktop._setup
    dialog.tabs.setCurrentIndex(0)
    dialog.move(220, 60)
    page = dialog.create_page
    page.fields.wheel_folder.setFilePath(wheels)
    pump(0.5)
    wait_for(lambda: page.plan is not None, 40, page.words.text())
    assert page.plan.wheel_folder == wheels
    folder = page.plan.folder
    page.create_button.click()
    wait_for(lambda: "pip" in page.log.toPlainText(), 120, "pip has begun")
    page.cancel_button.click()
    wait_for(lambda: not page.busy, 30, "it was cancelled")
    assert not os.path.exists(folder)
    begun = time.monotonic()
    page.create_button.click()
    wait_for(lambda: "Processing" in page.log.toPlainText(), 240, "pip installs")
    pump(2.0)
    shoot("setup_creating", dialog)
    wait_for(lambda: not page.busy, 500, "it is made")
    took = time.monotonic() - begun
    shoot("setup_created", dialog)
    assert os.path.isdir(folder), page.words.text()
    wait_for(lambda: plugin().state.found is not None and not plugin().state.checking, 60)
    assert plugin().state.found.how == "managed", plugin().state.found
    assert not QgsSettings().value("geosr/python")
    dialog.close()
    PYTHONS.append(plugin().state.found.python)
    return f"in {took:.0f} s"


def add_the_scene():
    layer = QgsRasterLayer(SAMPLE, "scene")
    style = layer.renderer()
    style.setRedBand(3)
    style.setGreenBand(2)
    style.setBlueBand(1)
    bands = (style.redContrastEnhancement(), style.greenContrastEnhancement())
    for enhancement in (*bands, style.blueContrastEnhancement()):
        enhancement.setMinimumValue(0.0)
        enhancement.setMaximumValue(0.22)
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().setCrs(layer.crs())
    drawn()  # QGIS zooms to the first layer
    iface.setActiveLayer(layer)
    iface.mapCanvas().setExtent(VILLAGE)
    drawn()
    dock().widgets.layer_box.setLayer(layer)
    shoot("ready")


def scene():
    return QgsProject.instance().mapLayersByName("scene")[0]


def preview_this_view():
    begun = time.monotonic()
    dock().widgets.preview_button.click()
    wait_for(lambda: not dock().previewer.busy, LONG, "the preview is there")
    first = time.monotonic() - begun
    layer = dock().preview.layer
    assert layer is not None, dock().widgets.status.text()
    drawn()
    shoot("preview")
    begun = time.monotonic()
    dock().widgets.preview_button.click()
    wait_for(lambda: not dock().previewer.busy, LONG, "the preview is there again")
    warm = time.monotonic() - begun
    assert dock().preview.layer.id() == layer.id()
    names = [each.name() for each in QgsProject.instance().mapLayers().values()]
    assert len(names) == 2, names
    assert len(workers()) == 1, workers()
    return f"first {first:.1f} s, then {warm:.1f} s"


def preview_of_a_large_view():
    from geosr_super_resolution.gui import shown_part

    shown_part.LARGEST_SIDE, before = 128, shown_part.LARGEST_SIDE
    try:
        iface.mapCanvas().setExtent(scene().extent())
        drawn()
        dock().widgets.preview_button.click()
        wait_for(lambda: not dock().previewer.busy, LONG, "the preview is there")
        shoot("preview_of_the_middle")
    finally:
        shown_part.LARGEST_SIDE = before
    assert "128" in dock().widgets.status.text(), dock().widgets.status.text()
    return dock().widgets.status.text()


def moving_the_map_cancels():
    iface.mapCanvas().setExtent(scene().extent())
    drawn()
    dock().widgets.factor_box.setCurrentIndex(dock().widgets.factor_box.count() - 1)
    dock().widgets.preview_button.click()
    pump(0.05)
    assert dock().previewer.busy
    iface.mapCanvas().setExtent(VILLAGE)
    assert not dock().previewer.busy
    drawn()
    dock().widgets.factor_box.setCurrentIndex(dock().widgets.factor_box.findData(4))
    dock().widgets.preview_button.click()
    wait_for(lambda: not dock().previewer.busy, LONG, "the next preview is there")
    drawn()


def follow_the_map():
    dock().widgets.follow.setChecked(True)
    wait_for(lambda: not dock().previewer.busy, LONG, "a preview")
    before = dock().preview.layer.extent()
    iface.mapCanvas().setExtent(QgsRectangle(439000, 5390400, 439400, 5390700))
    wait_for(lambda: dock().previewer.busy, 5, "a new preview has begun")
    wait_for(lambda: not dock().previewer.busy, LONG, "it has come")
    pump(0.2)
    assert dock().preview.layer.extent() != before
    dock().widgets.follow.setChecked(False)


def swipe_before_and_after():
    iface.mapCanvas().setExtent(QgsRectangle(438700, 5390300, 439180, 5390620))
    dock().widgets.preview_button.click()
    wait_for(lambda: not dock().previewer.busy, LONG, "a preview")
    drawn()
    canvas = iface.mapCanvas()
    plain = canvas.grab().toImage()
    dock().widgets.swipe_button.click()
    drawn()
    assert dock().swipe is not None
    swiped = canvas.grab().toImage()
    shoot("swipe")
    width, height = canvas.width(), canvas.height()
    left = differing(plain, swiped, range(10, width // 2 - 20, 7), range(60, height, 11))
    right = differing(plain, swiped, range(width // 2 + 80, width - 4, 7), range(60, height, 11))
    assert left > 0.2, left
    assert right == 0, right
    x = int(dock().swipe.item.handle_x)
    view = canvas.viewport()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(x, 99))
    QTest.mouseMove(view, QPoint(x - 150, 99))
    pump(0.1)
    QTest.mouseRelease(
        view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(x - 150, 99)
    )
    pump(0.1)
    moved = dock().swipe.item.handle_x
    extent = QgsRectangle(canvas.extent())
    QTest.keyClick(canvas, Qt.Key.Key_Right)
    assert dock().swipe.item.handle_x > moved
    assert canvas.extent() == extent
    shoot("swipe_moved")
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    pump(0.1)
    assert dock().swipe is None
    assert not dock().widgets.swipe_button.isChecked()
    return f"left {left:.0%} differ, right {right:.0%}"


def differing(one, other, columns, rows):
    places = [(x, y) for x in columns for y in rows]
    return sum(one.pixel(*place) != other.pixel(*place) for place in places) / len(places)


def algorithm_dialog():
    dock().widgets.run_button.click()
    pump(0.5)
    dialog = plugin().desktop._dialogs[-1]
    assert dialog.isVisible()
    dialog.resize(900, 640)
    dialog.move(200, 60)
    values = dialog.createProcessingParameters()
    assert (values["MODEL"], values["FACTOR"]) == ("geosr-lite", 4), values
    shoot("dialog")
    dialog.close()


def run_and_cancel():
    import processing

    dialog = processing.createAlgorithmDialog(
        "geosr:upscale", {"INPUT": scene().id(), "FACTOR": 8, "TILE_SIZE": 32}
    )
    dialog.show()
    dialog.resize(900, 640)
    dialog.move(200, 60)
    pump(0.3)
    dialog.runButton().click()
    bar = dialog.findChild(QProgressBar)
    wait_for(lambda: bar.value() > 0, LONG, "the worker upscales")
    shoot("running")
    assert upscaling(), "it has ended before it could be cancelled"
    asked = time.monotonic()
    dialog.cancelButton().click()
    wait_for(lambda: not upscaling(), 10, "the worker has gone")
    took = time.monotonic() - asked
    wait_for(lambda: not dialog.cancelButton().isEnabled(), 10, "the dialog knows")
    assert not leftovers(), leftovers()
    shoot("cancelled")
    dialog.close()
    return f"worker gone after {took:.2f} s"


def leftovers():
    """Return what runs have left in Processing's temporary folder."""
    found = []
    for folder, _, files in os.walk(QgsProcessingUtils.tempFolder()):
        found += [os.path.join(folder, each) for each in files if each.startswith("OUTPUT")]
    return found


def upscaling():
    return [line for line in workers() if " upscale " in line]


def run_to_the_end():
    import processing

    dialog = processing.createAlgorithmDialog(
        "geosr:upscale", {"INPUT": scene().id(), "FACTOR": 2, "OUTPUT": OUTPUT}
    )
    dialog.show()
    dialog.resize(900, 640)
    dialog.move(200, 60)
    finished = []
    dialog.algorithmFinished.connect(lambda ok, results: finished.append((ok, results)))
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(20)
    dialog.runButton().click()
    wait_for(lambda: finished, LONG, "the run has ended")
    timer.stop()
    pump(0.5)
    shoot("done")
    ok, results = finished[0]
    assert ok, results
    assert results["OUTPUT"] == OUTPUT, results
    dialog.close()
    loaded = [
        each for each in QgsProject.instance().mapLayers().values() if each.source() == OUTPUT
    ]
    assert len(loaded) == 1
    result, source = loaded[0], scene()
    assert result.width() == 2 * source.width()
    assert result.extent() == source.extent()
    assert result.renderer().redBand() == 3
    mine, its = (each.renderer().redContrastEnhancement() for each in (source, result))
    for wanted, got in (
        (mine.minimumValue(), its.minimumValue()),
        (mine.maximumValue(), its.maximumValue()),
    ):
        assert abs(wanted - got) < 1e-9, (wanted, got)  # as text it lost the last digit
    assert "geosr-lite" in result.name(), result.name()
    assert dock().widgets.after_box.currentLayer().id() == result.id()
    drawn()
    dock().widgets.swipe_button.click()
    drawn()
    iface.messageBar().clearWidgets()
    shoot("result_compared")
    root = QgsProject.instance().layerTreeRoot()
    assert not root.findLayer(dock().preview.layer_id).isVisible()
    dock().widgets.swipe_button.click()
    longest = max(b - a for a, b in zip(ticks, ticks[1:]))
    return f"longest stand-still {1000 * longest:.0f} ms"


def batch_dialog():
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    algorithm = QgsApplication.processingRegistry().algorithmById("geosr:upscale").create()
    dialog = BatchAlgorithmDialog(algorithm, iface.mainWindow())
    dialog.show()
    dialog.resize(1100, 480)
    dialog.move(120, 120)
    pump(0.8)
    shoot("batch", dialog)
    dialog.close()


def model_designer():
    from processing.modeler.ModelerDialog import ModelerDialog
    from qgis.core import (
        QgsProcessingModelAlgorithm,
        QgsProcessingModelChildAlgorithm,
        QgsProcessingModelChildParameterSource,
        QgsProcessingModelOutput,
        QgsProcessingModelParameter,
        QgsProcessingParameterRasterLayer,
    )
    from qgis.PyQt.QtCore import QPointF

    model = QgsProcessingModelAlgorithm("Sharpen", "geosr")
    raster = QgsProcessingModelParameter("raster")
    raster.setPosition(QPointF(150, 80))
    model.addModelParameter(QgsProcessingParameterRasterLayer("raster", "Raster"), raster)
    child = QgsProcessingModelChildAlgorithm("geosr:upscale")
    child.setChildId("sharpen")
    child.setDescription("Super-resolve raster")
    child.setPosition(QPointF(380, 170))
    for each in (
        QgsApplication.processingRegistry().algorithmById("geosr:upscale").parameterDefinitions()
    ):
        if each.defaultValue() is not None and not each.isDestination():
            value = QgsProcessingModelChildParameterSource.fromStaticValue(each.defaultValue())
            child.addParameterSources(each.name(), [value])
    named = QgsProcessingModelChildParameterSource.fromModelParameter("raster")
    child.addParameterSources("INPUT", [named])
    output = QgsProcessingModelOutput("Sharper")
    output.setChildId("sharpen")
    output.setChildOutputName("OUTPUT")
    output.setPosition(QPointF(600, 260))
    child.setModelOutputs({"Sharper": output})
    model.addChildAlgorithm(child)
    dialog = ModelerDialog.create(model) if hasattr(ModelerDialog, "create") else ModelerDialog()
    dialog.show()
    dialog.resize(1100, 640)
    dialog.move(100, 80)
    pump(1.0)
    shoot("modeler", dialog)
    problems = model.validate()[1] if isinstance(model.validate(), tuple) else []
    dialog.setDirty(False)
    dialog.close()
    assert not problems, problems


def options_page():
    def look():
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QDialog):
            return
        timer.stop()
        dialog.resize(980, 640)
        dialog.move(150, 60)
        pump(1.0)
        from geosr_super_resolution.gui.options_page import OptionsPage

        page = dialog.findChild(OptionsPage) or next(
            each for each in dialog.findChildren(QWidget) if type(each).__name__ == "OptionsPage"
        )
        seen.append(page.in_use.text())
        page.field.path.setFilePath(PYTHON)
        page.field.button.click()
        wait_for(lambda: page.field.found is not None, 40, "it was checked")
        shoot("options", dialog)
        dialog.reject()

    seen = []
    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(500)
    iface.showOptionsDialog(iface.mainWindow(), "GeoSR")
    timer.stop()
    assert PYTHONS[-1] in "".join(seen), seen


def closing_the_dock_ends_the_worker():
    if not dock().previewer.is_running:
        dock().widgets.preview_button.click()
        wait_for(lambda: not dock().previewer.busy, LONG, "a preview")
    assert workers()
    dock().close()
    begun = time.monotonic()
    wait_for(lambda: not workers(), 10, "the worker has gone")
    return f"after {time.monotonic() - begun:.1f} s"


def unload_and_load_again():
    from qgis import utils

    dock().show_checked()
    dock().widgets.preview_button.click()
    wait_for(lambda: not dock().previewer.busy, LONG, "a preview")
    layers = len(QgsProject.instance().mapLayers())
    assert utils.unloadPlugin(PLUGIN)
    pump(0.5)
    wait_for(lambda: not workers(), 10, "the worker has gone")
    assert len(QgsProject.instance().mapLayers()) == layers - 1  # the preview went with it
    assert QgsApplication.processingRegistry().providerById("geosr") is None
    assert utils.loadPlugin(PLUGIN)
    assert utils.startPlugin(PLUGIN)
    pump(0.5)
    assert QgsApplication.processingRegistry().providerById("geosr") is not None
    assert dock().widgets is not None


def be_killed():
    """Leave a run and a preview's worker at work; run_gui.sh looks whether they outlive QGIS."""
    import processing

    dock().show_checked()
    wait_for(lambda: dock()._state.found is not None, LONG, "the environment is found again")
    dock().widgets.preview_button.click()
    wait_for(lambda: not dock().previewer.busy, LONG, "the preview is there")
    dialog = processing.createAlgorithmDialog(
        "geosr:upscale", {"INPUT": scene().id(), "FACTOR": 8, "TILE_SIZE": 32}
    )
    dialog.show()
    dialog.runButton().click()
    bar = dialog.findChild(QProgressBar)
    wait_for(lambda: bar.value() > 0, LONG, "the worker upscales")
    assert len(workers()) >= 2, workers()
    with open(os.environ["GEOSR_REPORT"] + ".workers", "w", encoding="utf-8") as file:
        file.writelines(line.split()[0] + "\n" for line in workers())
    return f"{len(workers())} processes of geosr live"


STEPS = (
    install_from_zip,
    without_an_environment,
    set_up_dialog,
    create_an_environment,
    add_the_scene,
    preview_this_view,
    preview_of_a_large_view,
    moving_the_map_cancels,
    follow_the_map,
    swipe_before_and_after,
    algorithm_dialog,
    run_and_cancel,
    run_to_the_end,
    batch_dialog,
    model_designer,
    options_page,
    closing_the_dock_ends_the_worker,
    unload_and_load_again,
)


def take_message(text, tag, level):
    """Write down what QGIS complains of."""
    if tag in ("GeoSR", "Plugins", "Python error") and int(level) in (1, 2):
        note("log     {}: {}".format(tag, text.strip().replace("\n", "\n        ")))


def go():
    window = iface.mainWindow()
    window.showNormal()
    window.setGeometry(0, 0, 1360, 860)
    pump(0.5)
    QgsApplication.messageLog().messageReceived.connect(take_message)
    for function in STEPS:
        step(function)
        if failed and function is install_from_zip:
            break
    step(be_killed)
    note(f"done: {len(failed)} failed")
    os.kill(os.getpid(), signal.SIGKILL)


QTimer.singleShot(1500, go)
