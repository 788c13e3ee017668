# SPDX-License-Identifier: GPL-2.0-or-later
"""Before and after on the map, with a handle between them."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal

from .before_image import BeforeImage, BeforeRenderer
from .swipe_item import SwipeItem
from .swipe_tool import SwipeTool

STEP = 0.02
"""Of the width of the canvas, for each press of an arrow key; with Shift five times that."""


class Swipe(QObject):
    """Compares two layers on the canvas until `end`, Esc, or the end of a layer.

    Parameters
    ----------
    canvas
        Where ``after`` is shown.
    before, after
        The layers: ``before`` is seen left of the handle, the map as it is right of it.
    """

    ended = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, before: QgsMapLayer, after: QgsMapLayer) -> None:
        super().__init__()
        self._canvas = canvas
        self._layers = {before.id(), after.id()}
        self.item: SwipeItem | None = SwipeItem(canvas)
        self._renderer = BeforeRenderer(canvas, before, after, self._show)
        self._former: QgsMapTool | None = canvas.mapTool()
        self.tool = SwipeTool(canvas, self.item)
        canvas.setMapTool(self.tool)
        canvas.setFocus()
        # From here on: whoever picks another tool, ends this.
        self.tool.deactivated.connect(self.end)
        canvas.renderStarting.connect(self._renderer.start)
        canvas.extentsChanged.connect(self._renderer.cancel)
        canvas.installEventFilter(self)
        QgsProject.instance().layersWillBeRemoved.connect(self._end_without)
        before.repaintRequested.connect(self._renderer.start)
        self._before = before
        self._renderer.start()

    def end(self) -> None:
        """Take everything off the canvas again; a second call does nothing."""
        item, self.item = self.item, None
        if item is None:
            return
        canvas = self._canvas
        canvas.removeEventFilter(self)
        canvas.renderStarting.disconnect(self._renderer.start)
        canvas.extentsChanged.disconnect(self._renderer.cancel)
        self._before.repaintRequested.disconnect(self._renderer.start)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._end_without)
        self.tool.deactivated.disconnect(self.end)
        self._renderer.close()
        if canvas.mapTool() is self.tool:
            canvas.unsetMapTool(self.tool)
            if self._former is not None:
                canvas.setMapTool(self._former)
        canvas.scene().removeItem(item)
        self.ended.emit()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Take the keys that QGIS would pan the map with."""
        if self.item is None or event.type() != QEvent.Type.KeyPress:
            return False
        step = STEP * (5 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        moved = {
            Qt.Key.Key_Left: self.item.fraction - step,
            Qt.Key.Key_Right: self.item.fraction + step,
            Qt.Key.Key_Home: 0.0,
            Qt.Key.Key_End: 1.0,
        }
        if event.key() in moved:
            self.item.fraction = moved[event.key()]
            return True
        if event.key() == Qt.Key.Key_Escape:
            self.end()
            return True
        return False

    def _show(self, before: BeforeImage) -> None:
        if self.item is not None:
            self.item.show_image(before)

    def _end_without(self, layer_ids: list[str]) -> None:
        if self._layers & set(layer_ids):
            self.end()
