# SPDX-License-Identifier: GPL-2.0-or-later
"""The map tool that drags the handle; everywhere else it pans."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QCursor

from .swipe_item import KNOB_RADIUS, SwipeItem


class SwipeTool(QgsMapTool):
    """Drags the handle of a `SwipeItem`, or the map.

    Parameters
    ----------
    canvas, item
        What is worked on.
    """

    def __init__(self, canvas: QgsMapCanvas, item: SwipeItem) -> None:
        super().__init__(canvas)
        self._item = item
        self._drags_handle = False
        self._pans = False

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Take hold of the handle, or of the map."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._drags_handle = self._near(event)
        if not self._drags_handle:
            self._pans = True
            self.canvas().panActionStart(event.pos())
            self.setCursor(QCursor(Qt.CursorShape.ClosedHandCursor))

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Move what is held."""
        if self._drags_handle:
            self._item.fraction = event.pos().x() / max(self.canvas().viewport().width(), 1)
        elif self._pans:
            self.canvas().panAction(event)
        else:
            self._show_cursor(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Let go."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if self._pans:
            self.canvas().panActionEnd(event.pos())
        self._drags_handle = self._pans = False
        self._show_cursor(event)

    def _near(self, event: QgsMapMouseEvent) -> bool:
        return bool(abs(event.pos().x() - self._item.handle_x) <= KNOB_RADIUS)

    def _show_cursor(self, event: QgsMapMouseEvent) -> None:
        shape = Qt.CursorShape.SplitHCursor if self._near(event) else Qt.CursorShape.OpenHandCursor
        self.setCursor(QCursor(shape))
