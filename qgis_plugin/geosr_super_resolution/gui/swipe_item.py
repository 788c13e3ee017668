# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies over the canvas while two layers are swiped: the map before, and the handle."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from ..translation import tr
from .before_image import BeforeImage

LINE = QColor(255, 255, 255)
EDGE = QColor(0, 0, 0, 150)
KNOB_RADIUS = 13.0
"""In pixels of the canvas, as everything here."""
LABEL_PADDING = 5.0
LABEL_MARGIN = 10.0


class SwipeItem(QgsMapCanvasItem):
    """Paints the map before left of a handle; right of it the canvas is seen.

    Parameters
    ----------
    canvas
        What it lies over.
    """

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._before: BeforeImage | None = None
        self._fraction = 0.5
        self.setZValue(1000)
        self.show()

    @property
    def fraction(self) -> float:
        """Where the handle is: 0 at the left edge of the canvas, 1 at the right."""
        return self._fraction

    @fraction.setter
    def fraction(self, value: float) -> None:
        self._fraction = min(max(value, 0.0), 1.0)
        self._canvas.viewport().update()

    @property
    def handle_x(self) -> float:
        """Where the handle is, in pixels from the left edge of the canvas."""
        return float(self._fraction * self._canvas.viewport().width())

    def show_image(self, before: BeforeImage) -> None:
        """Paint another image from now on."""
        self._before = before
        self._canvas.viewport().update()

    def updatePosition(self) -> None:
        """Follow the canvas; the place of the image is worked out when it is painted."""
        self.prepareGeometryChange()

    def boundingRect(self) -> QRectF:
        """Return all of the canvas, wherever a drag has moved it."""
        return self._canvas.sceneRect().adjusted(-1, -1, 1, 1)

    def paint(self, painter: QPainter, *_unused: Any) -> None:
        """Paint the map before, the line and its knob."""
        # While the map is dragged, QGIS moves the scene under the window: map moves, handle stays.
        window = QRectF(self._canvas.sceneRect().topLeft(), QRectF(self._canvas.rect()).size())
        x = window.left() + self.handle_x
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = QRectF(window.left(), window.top(), x - window.left(), window.height())
        self._paint_image(painter, left)
        self._paint_handle(painter, window, x)
        self._paint_labels(painter, window, x)

    def _paint_image(self, painter: QPainter, left: QRectF) -> None:
        before = self._before
        settings = self._canvas.mapSettings()
        if before is None or left.width() <= 0 or before.rotation != settings.rotation():
            return
        grown = before.units_per_pixel / settings.mapUnitsPerPixel()
        image = before.image
        size = QRectF(image.rect()).size() * grown / image.devicePixelRatio()
        center = self.toCanvasCoordinates(QgsPointXY(before.center))
        place = QRectF(QPointF(0, 0), size)
        place.moveCenter(QPointF(center))
        if abs(grown - 1) < 1e-9:  # a half pixel off would blur it
            place.moveTopLeft(QPointF(round(place.left()), round(place.top())))
        painter.save()
        painter.setClipRect(left)
        painter.fillRect(left, self._canvas.canvasColor())
        painter.drawImage(place, image)
        painter.restore()

    def _paint_handle(self, painter: QPainter, window: QRectF, x: float) -> None:
        middle = window.center().y()
        for color, width in ((EDGE, 4.0), (LINE, 2.0)):
            painter.setPen(QPen(color, width))
            painter.drawLine(QPointF(x, window.top()), QPointF(x, window.bottom()))
        painter.setPen(QPen(EDGE, 1.0))
        painter.setBrush(LINE)
        painter.drawEllipse(QPointF(x, middle), KNOB_RADIUS, KNOB_RADIUS)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(60, 60, 60))
        for side in (-1, 1):
            tip, base = x + side * 9, x + side * 4
            points = [(tip, middle), (base, middle - 4.5), (base, middle + 4.5)]
            painter.drawPolygon(QPolygonF([QPointF(*point) for point in points]))

    def _paint_labels(self, painter: QPainter, window: QRectF, x: float) -> None:
        font = QFont(self._canvas.font())
        font.setBold(True)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        for text, side in ((tr("Before"), -1), (tr("After"), 1)):
            width = metrics.horizontalAdvance(text) + 2 * LABEL_PADDING
            left = x + side * LABEL_MARGIN - (width if side < 0 else 0)
            box = QRectF(left, window.top() + LABEL_MARGIN, width, metrics.height() + 4)
            if box.left() < window.left() or box.right() > window.right():
                continue
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(EDGE)
            painter.drawRoundedRect(box, 3, 3)
            painter.setPen(LINE)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
