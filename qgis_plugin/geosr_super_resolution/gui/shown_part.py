# SPDX-License-Identifier: GPL-2.0-or-later
"""Which part of a raster a preview shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)

LARGEST_SIDE = 512
"""Pixels of the raster that a preview takes, per side: what is answered in two seconds."""


@dataclass(frozen=True)
class ShownPart:
    """A part of a raster.

    Attributes
    ----------
    bounds
        West, south, east and north in the layer's CRS, on the edges of pixels.
    columns, rows
        Its pixels.
    seen
        Columns and rows of the raster that the map shows; more than those of the part if the
        part is only the middle of them.
    """

    bounds: tuple[float, float, float, float]
    columns: int
    rows: int
    seen: tuple[int, int]

    @property
    def whole(self) -> bool:
        """Whether it is all that the map shows of the raster."""
        return self.seen == (self.columns, self.rows)


def shown_part(
    layer: QgsRasterLayer, extent: QgsRectangle, crs: QgsCoordinateReferenceSystem
) -> ShownPart | None:
    """Return the part of ``layer`` to preview, or None if the map shows nothing of it.

    ``extent``, in ``crs``, is what the map shows. Of more than `LARGEST_SIDE` pixels the middle
    is taken.
    """
    full = layer.extent()
    view = _in_layer(extent, crs, layer).intersect(full)
    width, height = layer.width(), layer.height()
    if view.isEmpty() or not (width and height):
        return None
    x_size, y_size = full.width() / width, full.height() / height
    left, columns = _span(
        (view.xMinimum() - full.xMinimum()) / x_size, view.width() / x_size, width
    )
    top, rows = _span((full.yMaximum() - view.yMaximum()) / y_size, view.height() / y_size, height)
    seen = (columns, rows)
    left, columns = _middle(left, columns)
    top, rows = _middle(top, rows)
    north, west = full.yMaximum() - top * y_size, full.xMinimum() + left * x_size
    # geosr shows all pixels that are touched; within them, rounding touches no other one.
    inset_x, inset_y = x_size * 1e-3, y_size * 1e-3
    bounds = (
        west + inset_x,
        north - rows * y_size + inset_y,
        west + columns * x_size - inset_x,
        north - inset_y,
    )
    return ShownPart(bounds, columns, rows, seen)


def shown_bands(layer: QgsRasterLayer) -> tuple[int, ...]:
    """Return the bands that the layer's style shows: only those are worth the wait."""
    renderer = layer.renderer()
    shown = {band for band in renderer.usesBands() if band >= 1} if renderer is not None else set()
    return tuple(sorted(shown))


def _in_layer(
    extent: QgsRectangle, crs: QgsCoordinateReferenceSystem, layer: QgsRasterLayer
) -> QgsRectangle:
    if not (crs.isValid() and layer.crs().isValid()) or crs == layer.crs():
        return QgsRectangle(extent)
    transform = QgsCoordinateTransform(crs, layer.crs(), QgsProject.instance())
    try:
        return transform.transformBoundingBox(extent)
    except QgsCsException:  # such as the poles, seen from a UTM zone
        return QgsRectangle(layer.extent())


def _span(start: float, length: float, size: int) -> tuple[int, int]:
    """Return the first pixel that is touched, and how many are."""
    first = max(math.floor(start + 1e-6), 0)
    last = min(math.ceil(start + length - 1e-6), size)
    return first, max(last - first, 1)


def _middle(first: int, count: int) -> tuple[int, int]:
    if count <= LARGEST_SIDE:
        return first, count
    return first + (count - LARGEST_SIDE) // 2, LARGEST_SIDE
