# SPDX-License-Identifier: GPL-2.0-or-later
"""The dock "GeoSR": a preview of what the map shows, before and after, and the way to the run."""

from __future__ import annotations

from typing import Any, Callable

from qgis.core import Qgis, QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QTimer

from ..models import Family
from ..said import said
from ..source import SourceRefused, cli_path, source_of
from ..translation import tr
from .choices import default_model, fill_factors, fill_models
from .dock_widgets import DockWidgets
from .environment_state import EnvironmentState
from .preview_layer import PREVIEW_PROPERTY, PreviewLayer
from .previewer import Previewer, PreviewRequest
from .results import is_finer
from .shown_part import ShownPart, shown_bands, shown_part
from .swipe import Swipe

SETTLED_MS = 400
"""So long the map must stand still before a preview is renewed."""


class GeosrDock(QgsDockWidget):
    """Layer, model, preview, swipe.

    Parameters
    ----------
    iface
        QGIS's window.
    state
        Which environment there is.
    open_setup, open_algorithm
        Called to open the set-up dialog, and the algorithm's dialog with its parameters.
    """

    def __init__(
        self,
        iface: Any,
        state: EnvironmentState,
        open_setup: Callable[[], None],
        open_algorithm: Callable[[dict[str, Any]], None],
    ) -> None:
        super().__init__(tr("GeoSR"), iface.mainWindow())
        self.setObjectName("GeosrDock")
        self._iface, self._canvas, self._state = iface, iface.mapCanvas(), state
        self._open_setup, self._open_algorithm = open_setup, open_algorithm
        self.widgets = DockWidgets()
        self.setWidget(self.widgets)
        self.previewer = Previewer()
        self.preview = PreviewLayer()
        self.swipe: Swipe | None = None
        self._asked: tuple[str, ShownPart, tuple[int, ...]] | None = None
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._connect()
        self.list_models()
        self._choose_layer()
        self._show_state()

    def show_checked(self) -> None:
        """Show the dock, and look whether there is an environment."""
        if self._state.found is None and self._state.problem is None:
            self._state.check()
        self.setUserVisible(True)

    def list_models(self) -> None:
        """List the models anew, with the one chosen before, or the default one."""
        box = self.widgets.model_box
        fill_models(box, box.currentText() or default_model())
        self._choose_model()

    def close_down(self) -> None:
        """Stop everything that was begun here; the dock is of no use after that."""
        self._end_swipe()
        self._settled.stop()
        self.previewer.close()
        self._canvas.extentsChanged.disconnect(self._map_moved)
        self._state.changed.disconnect(self._show_state)
        QgsProject.instance().layersAdded.disconnect(self._layers_added)
        self.preview.remove()

    def start_preview(self) -> None:
        """Preview what the map shows of the layer."""
        self._settled.stop()
        layer, family = self._layer(), self._family()
        if self._state.found is None or family is None:
            return
        if layer is None:
            self._complain(tr("Choose a raster layer first."))
            return
        try:
            source = source_of(layer)
            part = self._part(layer)
            path = cli_path(source) if part is not None else ""
        except SourceRefused as error:
            self._complain(str(error))
            return
        if part is None:
            self._complain(tr("The map shows nothing of the layer '{}'.").format(layer.name()))
            return
        factor = int(self.widgets.factor_box.currentData() or 2)
        indexes = shown_bands(layer) if family.bands == 1 else ()
        self._asked = (layer.id(), part, indexes)
        self.widgets.preview_button.setEnabled(False)
        self.widgets.cancel_button.setEnabled(True)
        self.widgets.progress.show()
        self.previewer.use(self._state.found.python)
        self.previewer.ask(PreviewRequest(path, part.bounds, family.name, factor, indexes))

    def _connect(self) -> None:
        widgets = self.widgets
        widgets.setup_button.clicked.connect(self._open_setup)
        widgets.check_button.clicked.connect(self._check_again)
        widgets.preview_button.clicked.connect(self.start_preview)
        widgets.cancel_button.clicked.connect(self._cancel)
        widgets.run_button.clicked.connect(self._run)
        widgets.swipe_button.toggled.connect(self._toggle_swipe)
        widgets.layer_box.layerChanged.connect(self._choose_layer)
        widgets.after_box.layerChanged.connect(self._choose_after)
        widgets.model_box.currentIndexChanged.connect(self._choose_model)
        widgets.follow.toggled.connect(self._follow)
        self.previewer.answered.connect(self._show_preview)
        self.previewer.failed.connect(self._show_failure)
        self.previewer.moved.connect(self._show_progress)
        self.previewer.ended.connect(self._show_idle)
        self._settled.timeout.connect(self.start_preview)
        self._canvas.extentsChanged.connect(self._map_moved)
        self._state.changed.connect(self._show_state)
        QgsProject.instance().layersAdded.connect(self._layers_added)
        self.closed.connect(self._closed)

    def _part(self, layer: QgsRasterLayer) -> ShownPart | None:
        crs = self._canvas.mapSettings().destinationCrs()
        return shown_part(layer, self._canvas.extent(), crs)

    def _layer(self) -> QgsRasterLayer | None:
        return self.widgets.layer_box.currentLayer()

    def _family(self) -> Family | None:
        found = self.widgets.model_box.currentData()
        return found if isinstance(found, Family) else None

    def _show_state(self) -> None:
        if self._state.found is not None:
            self.previewer.use(self._state.found.python)
            self.widgets.show_work()
        elif self._state.problem is not None:
            problem = self._state.problem
            words = [said(each) for each in (problem.message, problem.hint) if each]
            self.widgets.show_setup("\n".join(words))
        else:
            self.widgets.show_setup(tr("Looking for the environment…"))

    def _check_again(self) -> None:
        self.widgets.show_setup(tr("Looking for the environment…"))
        self._state.check(anew=True)

    def _choose_layer(self) -> None:
        layer = self._layer()
        self.widgets.after_box.setExceptedLayerList([layer] if layer is not None else [])
        self._choose_after()
        self._cancel()

    def _choose_model(self) -> None:
        family = self._family()
        box = self.widgets.factor_box
        fill_factors(box, family, int(box.currentData() or 2))
        self.widgets.description.setText(family.description if family is not None else "")
        self._cancel()

    def _choose_after(self) -> None:
        self._end_swipe()
        both = self._layer() is not None and self.widgets.after_box.currentLayer() is not None
        self.widgets.swipe_button.setEnabled(both)

    def _cancel(self) -> None:
        if self.previewer.busy:
            self.previewer.cancel()
            self._say(tr("Cancelled."))

    def _follow(self, on: bool) -> None:
        if on:
            self.start_preview()
        else:
            self._settled.stop()

    def _map_moved(self) -> None:
        if self.previewer.busy:
            self.previewer.cancel()
            self._say(tr("Cancelled, for the map was moved."))
        if self.widgets.follow.isChecked() and self.isUserVisible():
            self._settled.start()

    def _show_preview(self, answer: dict[str, Any]) -> None:
        if self._asked is None:
            return
        layer_id, part, indexes = self._asked
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is None:  # removed meanwhile
            return
        if not answer.get("transform"):
            self._complain(tr("The layer has no place on the map, so its preview has none."))
            return
        stats = answer.get("stats") or {}
        shown = self.preview.show(
            answer["path"], layer, indexes=indexes, stats=stats, version=self.previewer.version
        )
        if shown is None:
            self._complain(tr("QGIS cannot open the preview."))
            return
        if self.widgets.after_box.currentLayer() is not shown:
            self.widgets.after_box.setLayer(shown)
        self._say(_done_words(part, answer))

    def _show_failure(self, message: str, hint: str) -> None:
        self._complain(" ".join(said(each) for each in (message, hint) if each))

    def _show_progress(self, words: str, done: float) -> None:
        bar = self.widgets.progress
        bar.setRange(0, 100 if done >= 0 else 0)
        bar.setValue(int(100 * max(done, 0)))
        self._say(words)

    def _show_idle(self) -> None:
        self.widgets.progress.hide()
        self.widgets.preview_button.setEnabled(True)
        self.widgets.cancel_button.setEnabled(False)

    def _toggle_swipe(self, on: bool) -> None:
        if not on:
            self._end_swipe()
            return
        before, after = self._layer(), self.widgets.after_box.currentLayer()
        if before is None or after is None:
            return
        root = QgsProject.instance().layerTreeRoot()
        node, over = root.findLayer(after.id()), root.findLayer(self.preview.layer_id)
        if node is not None:
            node.setItemVisibilityCheckedParentRecursive(True)
        if over is not None and after.id() != self.preview.layer_id:
            over.setItemVisibilityChecked(False)  # the preview would hide the result
        self.swipe = Swipe(self._canvas, before, after)
        self.swipe.ended.connect(self._swipe_ended)

    def _end_swipe(self) -> None:
        if self.swipe is not None:
            self.swipe.end()

    def _swipe_ended(self) -> None:
        self.swipe = None
        self.widgets.swipe_button.setChecked(False)

    def _layers_added(self, layers: list[QgsMapLayer]) -> None:
        """Offer the result of a run for comparison."""
        before = self._layer()
        for layer in layers:
            known = layer.customProperty(PREVIEW_PROPERTY, False)
            if before is not None and not known and is_finer(layer, before):
                self.widgets.after_box.setLayer(layer)

    def _run(self) -> None:
        layer, family = self._layer(), self._family()
        values: dict[str, Any] = {"FACTOR": int(self.widgets.factor_box.currentData() or 2)}
        if layer is not None:
            values["INPUT"] = layer.id()
        if family is not None:
            values["MODEL"] = family.name
        self._open_algorithm(values)

    def _closed(self) -> None:
        self._end_swipe()
        self._settled.stop()
        self.previewer.close()

    def _say(self, words: str) -> None:
        self.widgets.status.setText(words)

    def _complain(self, sentence: str) -> None:
        self._say(sentence)
        self._iface.messageBar().pushMessage(tr("GeoSR"), sentence, Qgis.MessageLevel.Warning, 15)


def _done_words(part: ShownPart, answer: dict[str, Any]) -> str:
    seconds = "{:.1f}".format(float(answer.get("seconds") or 0))
    words = tr("{columns} x {rows} pixels of the layer in {seconds} s.").format(
        columns=part.columns, rows=part.rows, seconds=seconds
    )
    if part.whole:
        return words
    more = tr(
        "The view has {columns} x {rows}; this is its middle. Zoom in to see all of it."
    ).format(columns=part.seen[0], rows=part.seen[1])
    return f"{words} {more}"
