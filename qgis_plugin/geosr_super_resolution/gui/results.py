# SPDX-License-Identifier: GPL-2.0-or-later
"""Which layers are a finer picture of another one."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsRasterLayer

FINER = 0.99
"""Pixels are smaller than this part of the other's."""


def is_finer(layer: QgsMapLayer, before: QgsRasterLayer) -> bool:
    """Return whether ``layer`` shows a part of what ``before`` shows, with smaller pixels.

    Parameters
    ----------
    layer
        A new layer of any kind.
    before
        What was upscaled, perhaps.
    """
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() != "gdal":
        return False
    if layer.crs() != before.crs() or not (layer.isValid() and before.isValid()):
        return False
    x, y = before.rasterUnitsPerPixelX(), before.rasterUnitsPerPixelY()
    sizes = layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
    if not (0 < sizes[0] < FINER * x and 0 < sizes[1] < FINER * y):
        return False
    return bool(before.extent().buffered(max(x, y)).contains(layer.extent()))
