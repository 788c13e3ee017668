# SPDX-License-Identifier: GPL-2.0-or-later
"""Words in the user's language."""

from __future__ import annotations

import os

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QTranslator

CONTEXT = "GeoSR"
_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "i18n")


def tr(text: str) -> str:
    """Return ``text`` in the user's language, or as it is."""
    return str(QCoreApplication.translate(CONTEXT, text))


def install_translator() -> QTranslator | None:
    """Load the plugin's translation for QGIS's language, if there is one.

    Keep what is returned: Qt forgets a translator that nobody holds.
    """
    locale = str(QgsSettings().value("locale/userLocale", "") or QLocale.system().name())
    path = os.path.join(_FOLDER, f"geosr_{locale[:2]}.qm")
    translator = QTranslator()
    if not (os.path.exists(path) and translator.load(path)):
        return None
    QCoreApplication.installTranslator(translator)
    return translator
