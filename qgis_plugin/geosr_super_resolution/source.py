# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a raster layer geosr has to know, as plain text: no layer outlives the main thread."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRasterLayer,
)

from .translation import tr

_VARIANT = QgsCoordinateReferenceSystem.WKT_PREFERRED  # so spelled in QGIS 4, too


class SourceRefused(Exception):
    """The layer cannot be read outside QGIS; the text says what to do instead."""


@dataclass(frozen=True)
class Source:
    """A raster layer as GDAL finds it.

    Attributes
    ----------
    name
        The layer's name.
    path
        What GDAL opens: a file, a ``/vsi`` path, or a subdataset such as ``NETCDF:"x.nc":red``.
    open_options
        ``NAME=VALUE``, as chosen in QGIS's data source manager.
    crs
        WKT of the layer's CRS, if it is not the file's own; else ''.
    bands
        Their number.
    """

    name: str
    path: str
    open_options: tuple[str, ...]
    crs: str
    bands: int

    @property
    def plain(self) -> bool:
        """Whether the path alone is the layer."""
        return not (self.open_options or self.crs)


def source_of(layer: QgsRasterLayer) -> Source:
    """Return where a layer's pixels are; call it on the main thread.

    Raises
    ------
    SourceRefused
        If they are not in a file or address that geosr can open by itself.
    """
    name = layer.name()
    provider = layer.providerType()
    if provider != "gdal":
        raise SourceRefused(_refusal(name, provider))
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    if parts.get("authcfg"):
        raise SourceRefused(
            tr(
                "The layer '{name}' is opened with a password kept by QGIS, which geosr does not "
                "get. Export it (right-click, Export, Save As) and use that file."
            ).format(name=name)
        )
    path = _gdal_path(parts)
    if "/vsimem/" in path:
        raise SourceRefused(
            tr(
                "The layer '{name}' is only in QGIS's memory. Export it (right-click, Export, "
                "Save As) and use that file."
            ).format(name=name)
        )
    options = tuple(str(option) for option in parts.get("openOptions") or ())
    return Source(name, path, options, _other_crs(layer), layer.bandCount())


def cli_path(source: Source) -> str:
    """Return the source as geosr's command takes it.

    With open options or a CRS of the layer's own it is a VRT in Processing's temporary folder,
    which has both.

    Raises
    ------
    SourceRefused
        If GDAL cannot open it.
    """
    if source.plain:
        return source.path
    from osgeo import gdal  # only here: QGIS starts without it

    vrt = str(QgsProcessingUtils.generateTempFilename("source.vrt"))
    os.makedirs(os.path.dirname(vrt), exist_ok=True)
    crs: str | None = source.crs or None
    try:  # it raises or returns None, as somebody has told GDAL
        opened = gdal.OpenEx(source.path, gdal.OF_RASTER, open_options=list(source.open_options))
        made = gdal.Translate(vrt, opened, format="VRT", outputSRS=crs) if opened else None
    except RuntimeError:
        made = None
    if made is None:
        raise SourceRefused(
            tr("The layer '{name}' cannot be opened again from {path}.").format(
                name=source.name, path=source.path
            )
        )
    made.FlushCache()
    return vrt


def _gdal_path(parts: dict[str, Any]) -> str:
    plain = {key: value for key, value in parts.items() if key != "openOptions"}
    path = str(QgsProviderRegistry.instance().encodeUri("gdal", plain))
    relative = not (plain.get("vsiPrefix") or plain.get("layerName")) and os.path.exists(path)
    return os.path.abspath(path) if relative else path


def _other_crs(layer: QgsRasterLayer) -> str:
    shown, own = layer.crs(), layer.dataProvider().crs()
    if not shown.isValid() or shown == own:
        return ""
    text = shown.toWkt(_VARIANT)
    return "" if own.isValid() and text == own.toWkt(_VARIANT) else text


def _refusal(name: str, provider: str) -> str:
    if provider == "wms":
        return tr(
            "The layer '{name}' is a web map (WMS, WMTS or XYZ tiles): it has pictures, no "
            "measured pixels. Export the part you need (right-click, Export, Save As, Raw data), "
            "or use the provider's own GeoTIFF."
        ).format(name=name)
    if provider == "virtualraster":
        return tr(
            "The layer '{name}' is a virtual raster that only QGIS can compute. Save its result "
            "(right-click, Export, Save As) and use that file."
        ).format(name=name)
    return tr(
        "The layer '{name}' comes from the provider {provider}, which only QGIS can read. Export "
        "it as GeoTIFF (right-click, Export, Save As) and use that file."
    ).format(name=name, provider=provider)
