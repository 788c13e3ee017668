# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin as QGIS sees it: the provider always, windows only in the desktop."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsApplication

from .provider import PROVIDER_ID, GeosrProvider
from .said import said
from .translation import install_translator, tr


class GeosrPlugin:
    """Adds the provider, and in the desktop what needs windows.

    Parameters
    ----------
    iface
        QGIS's interface; None in qgis_process, which calls `initProcessing` only.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._translator = install_translator()
        self._provider: GeosrProvider | None = None
        self._parts: list[Any] = []
        self._message: Any = None
        self._refreshing: Any = None
        self.state: Any = None
        self.desktop: Any = None

    def initProcessing(self) -> None:
        """Add the provider."""
        if self._provider is None:
            self._provider = GeosrProvider()
            QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add the rest, and look for the environment in the background."""
        self.initProcessing()
        if self._iface is None:
            return
        from .gui.desktop import Desktop
        from .gui.environment_state import EnvironmentState

        self.state = EnvironmentState()
        self.desktop = Desktop(self._iface, self.state)
        self.add_part(self.desktop)
        self.state.changed.connect(self._environment_known)
        self.state.check()

    def add_part(self, part: Any) -> None:
        """Keep a part of the desktop, such as the dock; its ``unload()`` is called at the end."""
        self._parts.append(part)

    def set_up(self) -> None:
        """Show the ways to an environment."""
        self.desktop.open_setup()

    def unload(self) -> None:
        """Take all away again; the provider may be gone already."""
        while self._parts:
            self._parts.pop().unload()
        if self._refreshing is not None:
            self._refreshing.forget()
            self._refreshing = None
        if self.state is not None:
            self.state.changed.disconnect(self._environment_known)
            self.state.close()
            self.state = None
        self._take_message_away()
        registry = QgsApplication.processingRegistry()
        if self._provider is not None and registry.providerById(PROVIDER_ID) is not None:
            registry.removeProvider(PROVIDER_ID)
        self._provider = None
        if self._translator is not None:
            QgsApplication.removeTranslator(self._translator)
            self._translator = None

    def _environment_known(self) -> None:
        self._take_message_away()
        if self.state.found is not None:
            self._refresh_models(self.state.found.python)
        else:
            self._ask_to_set_up(self.state.problem.message)

    def _refresh_models(self, python: str) -> None:
        """Ask the environment for its models; the dialogs offer what it has."""
        from . import models, settings
        from .gui.background import Background

        cache = settings.models_cache()
        self._refreshing = Background(
            lambda: models.refresh(python, cache), self._models_known, self._models_unknown
        )

    def _models_known(self, changed: bool) -> None:
        self._refreshing = None
        if changed and self._provider is not None:
            self._provider.refreshAlgorithms()
            self.desktop.dock.list_models()

    def _models_unknown(self, error: Exception) -> None:
        self._refreshing = None
        log = QgsApplication.messageLog()
        log.logMessage(str(error), "GeoSR", Qgis.MessageLevel.Warning)

    def _ask_to_set_up(self, problem: str) -> None:
        """Say in one line, which goes away by itself when it is done, what is missing."""
        from qgis.PyQt.QtWidgets import QPushButton

        bar = self._iface.messageBar()
        self._message = bar.createMessage("GeoSR", said(problem))
        button = QPushButton(tr("Set up…"), self._message)
        button.clicked.connect(self.set_up)
        self._message.layout().addWidget(button)
        self._message.destroyed.connect(self._message_gone)
        bar.pushWidget(self._message, Qgis.MessageLevel.Warning)

    def _message_gone(self, *_: object) -> None:
        self._message = None

    def _take_message_away(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            message.destroyed.disconnect(self._message_gone)  # it comes late, after the next one
            self._iface.messageBar().popWidget(message)
