# SPDX-License-Identifier: GPL-2.0-or-later
"""GeoSR Super-Resolution for QGIS; only what QGIS calls to load it."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Return the plugin; ``iface`` is None in qgis_process."""
    from .plugin import GeosrPlugin

    return GeosrPlugin(iface)
