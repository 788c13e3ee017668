# SPDX-License-Identifier: GPL-2.0-or-later
"""The one layer that shows the last preview."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from qgis.core import QgsDataProvider, QgsProcessingUtils, QgsProject, QgsRasterLayer

from ..post import apply_look, describe, look_of, picture_words
from ..translation import tr

PREVIEW_PROPERTY = "geosr/preview"


class PreviewLayer:
    """Puts previews on the map: each takes the place of the one before.

    The files lie in Processing's temporary folder, so QGIS marks the layer as a temporary one.
    """

    def __init__(self) -> None:
        self._layer_id = ""
        self._file = ""

    @property
    def layer_id(self) -> str:
        """The layer's id, or '' before the first preview."""
        return self._layer_id

    @property
    def layer(self) -> QgsRasterLayer | None:
        """The layer, if it is in the project."""
        return QgsProject.instance().mapLayer(self._layer_id) if self._layer_id else None

    def show(
        self,
        path: str,
        source: QgsRasterLayer,
        *,
        indexes: Sequence[int],
        stats: dict[str, Any],
        version: str,
    ) -> QgsRasterLayer | None:
        """Show a preview of ``source``; return its layer, or None if it cannot be opened.

        ``indexes`` are the bands of ``source`` that it has; empty: all. The file at ``path`` is
        the layer's from now on.
        """
        name = tr("Preview: {source} ({model}, detail estimated)").format(
            source=source.name(), model=stats.get("model") or "geosr"
        )
        layer = self.layer
        if layer is None:
            layer = QgsRasterLayer(path, name, "gdal")
            if not layer.isValid():
                return None
            layer.setCustomProperty(PREVIEW_PROPERTY, True)
            self._dress(layer, source, indexes, stats, version)
            self._add(layer, source)
        else:
            options = QgsDataProvider.ProviderOptions()
            layer.setDataSource(path, name, "gdal", options, False)
            if not layer.isValid():
                return None
            self._dress(layer, source, indexes, stats, version)
            layer.triggerRepaint()
        self._discard_file()
        self._file = path
        return layer

    def remove(self) -> None:
        """Take the layer out of the project, and remove its file."""
        if self.layer is not None:
            QgsProject.instance().removeMapLayer(self._layer_id)
        self._layer_id = ""
        self._discard_file()

    def _dress(
        self,
        layer: QgsRasterLayer,
        source: QgsRasterLayer,
        indexes: Sequence[int],
        stats: dict[str, Any],
        version: str,
    ) -> None:
        if source.crs().isValid() and layer.crs() != source.crs():
            layer.setCrs(source.crs())
        apply_look(layer, look_of(source), indexes)
        describe(layer, **picture_words(source.name(), stats, version))

    def _add(self, layer: QgsRasterLayer, source: QgsRasterLayer) -> None:
        project = QgsProject.instance()
        project.addMapLayer(layer, False)
        self._layer_id = layer.id()
        node = project.layerTreeRoot().findLayer(source.id())
        group = node.parent() if node is not None else project.layerTreeRoot()
        place = group.children().index(node) if node is not None else 0
        group.insertLayer(place, layer).setExpanded(False)

    def _discard_file(self) -> None:
        if self._file:
            discard(self._file)
            self._file = ""


def kept_copy(path: str, folder: str) -> str:
    """Copy what the worker made to a folder of our own: the worker's goes with it."""
    os.makedirs(folder, exist_ok=True)
    handle, copy = tempfile.mkstemp(suffix=".tif", prefix="preview-", dir=folder)
    os.close(handle)
    shutil.copyfile(path, copy)
    return copy


def discard(path: str) -> None:
    """Remove the file of a preview, unless something still reads it: QGIS empties the folder."""
    with suppress(OSError):
        os.unlink(path)


def preview_folder() -> str:
    """Return the folder for previews; it may not exist yet."""
    return os.path.join(QgsProcessingUtils.tempFolder(), "geosr_preview")
