# SPDX-License-Identifier: GPL-2.0-or-later
"""Rasters for tests, and what is compared of them; needs QGIS's Python."""

from __future__ import annotations

import numpy as np
from osgeo import gdal, osr
from qgis.core import QgsProcessingFeedback

gdal.UseExceptions()
OBLIQUE = (
    "+proj=omerc +lat_0=47 +lonc=8 +alpha=37 +k=0.9996 +x_0=1000 +y_0=2000 +gamma=0 "
    "+ellps=bessel +units=m +no_defs"
)
"""A CRS that no authority lists."""


class Feedback(QgsProcessingFeedback):
    """Takes down what is said."""

    def __init__(self):
        super().__init__(False)
        self.errors, self.infos, self.phases, self.warnings = [], [], [], []
        self.console, self.commands, self.shares = [], [], []
        self.cancel_at = None
        self.progressChanged.connect(self._progress)

    def _progress(self, share):
        self.shares.append(share)

    def reportError(self, error, fatalError=False):  # noqa: N803
        self.errors.append(error)

    def pushInfo(self, info):
        self.infos.append(info)

    def pushWarning(self, warning):
        self.warnings.append(warning)

    def pushConsoleInfo(self, info):
        self.console.append(info)

    def pushCommandInfo(self, info):
        self.commands.append(info)

    def setProgressText(self, text):
        self.phases.append(text)
        if self.cancel_at is not None and text.startswith(self.cancel_at):
            self.cancel()


def make_raster(path, *, bands=1, size=(24, 20), crs="EPSG:32633", dtype="uint16", driver="GTiff"):
    """Write a smooth raster with 10 m pixels; ``size`` is ``(width, height)``."""
    width, height = size
    kind = gdal.GDT_UInt16 if dtype == "uint16" else gdal.GDT_Float32
    made = gdal.GetDriverByName("GTiff" if driver == "GTiff" else "MEM").Create(
        str(path) if driver == "GTiff" else "", width, height, bands, kind
    )
    made.SetGeoTransform((500000.0, 10.0, 0.0, 5000000.0, 0.0, -10.0))
    if crs:
        system = osr.SpatialReference()
        system.SetFromUserInput(crs)
        made.SetProjection(system.ExportToWkt())
    rows, columns = np.mgrid[:height, :width]
    for band in range(1, bands + 1):
        wave = np.sin(columns / (2 + band % 5)) * np.cos(rows / (3 + band % 4))
        made.GetRasterBand(band).WriteArray(2000 + 100 * band + 900 * wave)
    if driver != "GTiff":
        gdal.GetDriverByName(driver).CreateCopy(str(path), made)
    made.FlushCache()
    return str(path)


def contents(path):
    """Return pixels, geotransform, CRS as WKT, and nodata."""
    opened = gdal.Open(str(path))
    nodata = opened.GetRasterBand(1).GetNoDataValue()
    return opened.ReadAsArray(), opened.GetGeoTransform(), opened.GetProjection(), nodata


def assert_alike(found, wanted):
    """Check that two rasters have the same pixels, place, CRS and nodata."""
    one, other = contents(found), contents(wanted)
    assert one[0].dtype == other[0].dtype
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1:] == other[1:]
