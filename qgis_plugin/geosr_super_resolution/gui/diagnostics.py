# SPDX-License-Identifier: GPL-2.0-or-later
"""What to send with a question, on the clipboard."""

from __future__ import annotations

import configparser
import os

from osgeo import gdal
from qgis.core import Qgis
from qgis.PyQt.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, QLocale, QTimer
from qgis.PyQt.QtWidgets import QApplication, QPushButton

from .. import environment
from ..environment import Environment, EnvironmentProblem
from ..translation import tr

METADATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "metadata.txt")


def plugin_version() -> str:
    """Return the version of this plugin."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(METADATA, encoding="utf-8")
    return metadata.get("general", "version", fallback="")


def say_copied(button: QPushButton) -> None:
    """Say on a button for two seconds that it has copied something."""
    before = button.text()
    if button.findChild(QTimer) is not None:
        return
    timer = QTimer(button)
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: button.setText(before))
    timer.timeout.connect(timer.deleteLater)
    button.setText(tr("Copied"))
    timer.start(2000)


def copy_diagnostics(found: Environment | EnvironmentProblem | None) -> str:
    """Put the facts on the clipboard, without the home folder; return them."""
    extra: list[tuple[str, str]] = [
        ("Plugin", plugin_version()),
        ("QGIS", Qgis.QGIS_VERSION),
        ("Qt, PyQt", f"{QT_VERSION_STR}, {PYQT_VERSION_STR}"),
        ("GDAL of QGIS", gdal.__version__),
        ("Locale", QLocale().name()),
    ]
    text = environment.diagnostics(found, extra=extra)
    QApplication.clipboard().setText(text)
    return text
