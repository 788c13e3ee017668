# SPDX-License-Identifier: GPL-2.0-or-later
"""GeoSR in the Processing toolbox."""

from __future__ import annotations

import os

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import ALGORITHMS
from .translation import tr

PROVIDER_ID = "geosr"
_FOLDER = os.path.dirname(os.path.abspath(__file__))


class GeosrProvider(QgsProcessingProvider):
    """Offers the algorithms, whether there is an environment or not."""

    def id(self) -> str:
        """Return the first half of the algorithms' ids; it never changes."""
        return PROVIDER_ID

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "GeoSR"

    def longName(self) -> str:
        """Return the name in full."""
        return tr("GeoSR super-resolution")

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        """Return where the icon is."""
        return os.path.join(_FOLDER, "icon.svg")

    def loadAlgorithms(self) -> None:
        """Make the algorithms; nothing is started."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportsNonFileBasedOutput(self) -> bool:
        """Say that results are files: another process writes them."""
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return the endings of raster results; the first is the default."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self, *_: object) -> str:
        """Return the ending of temporary raster results."""
        return "tif"
