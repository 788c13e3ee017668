# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin adds to QGIS's window: a menu, a button, the dock and the options page."""

from __future__ import annotations

import os
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from ..translation import tr
from .dock import GeosrDock
from .environment_state import EnvironmentState
from .options_page import OptionsFactory
from .setup_dialog import SetupDialog

ICON = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "icon.svg")
OPTIONS_PAGE = "GeoSR"
ALGORITHM = "geosr:upscale"


class Desktop:
    """Everything with a window, from `initGui` to `unload`.

    Parameters
    ----------
    iface
        QGIS's window.
    state
        Which environment there is.
    """

    def __init__(self, iface: Any, state: EnvironmentState) -> None:
        self._iface, self._state = iface, state
        self._setup: SetupDialog | None = None
        self._dialogs: list[Any] = []
        icon = QIcon(ICON)
        self.dock = GeosrDock(iface, state, self.open_setup, self.open_algorithm)
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()
        self._factory = OptionsFactory(state, self.open_setup, icon)
        iface.registerOptionsWidgetFactory(self._factory)
        window = iface.mainWindow()
        self._menu = tr("GeoSR")
        self.toggle_action = QAction(icon, tr("Preview and compare"), window)
        self.toggle_action.setCheckable(True)
        self.dock.setToggleVisibilityAction(self.toggle_action)
        self.toggle_action.triggered.connect(self._toggled)
        self.run_action = QAction(icon, tr("Super-resolve raster…"), window)
        self.run_action.triggered.connect(lambda: self.open_algorithm({}))
        self.setup_action = QAction(tr("Set up…"), window)
        self.setup_action.triggered.connect(self.open_setup)
        self._actions = [self.toggle_action, self.run_action, self.setup_action]
        for action in self._actions:
            iface.addPluginToRasterMenu(self._menu, action)
        iface.addToolBarIcon(self.toggle_action)

    def open_setup(self, *_: object) -> None:
        """Show the set-up dialog; it is the same one until QGIS ends."""
        if self._setup is None:
            self._setup = SetupDialog(self._state, self._iface.mainWindow())
        self._setup.show()
        self._setup.raise_()
        self._setup.activateWindow()

    def open_algorithm(self, values: dict[str, Any]) -> Any:
        """Show the algorithm's dialog, filled in."""
        import processing  # QGIS's own; it is there once its plugin is loaded

        dialog = processing.createAlgorithmDialog(ALGORITHM, values)
        if dialog is not None:
            self._dialogs = [each for each in self._dialogs if _lives(each)] + [dialog]
            dialog.show()
        return dialog

    def unload(self) -> None:
        """Take all away again."""
        for action in self._actions:
            self._iface.removePluginRasterMenu(self._menu, action)
            action.deleteLater()
        self._iface.removeToolBarIcon(self.toggle_action)
        self._iface.unregisterOptionsWidgetFactory(self._factory)
        self.dock.close_down()
        self._iface.removeDockWidget(self.dock)
        self.dock.deleteLater()
        if self._setup is not None:
            self._setup.close_down()
            self._setup.deleteLater()
            self._setup = None
        self._dialogs.clear()

    def _toggled(self, on: bool) -> None:
        if on:
            self.dock.show_checked()


def _lives(dialog: Any) -> bool:
    try:
        return bool(dialog.isVisible())
    except RuntimeError:  # Qt has deleted it
        return False
