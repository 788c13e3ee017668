# SPDX-License-Identifier: GPL-2.0-or-later
"""The page "GeoSR" of QGIS's options."""

from __future__ import annotations

from typing import Callable

from qgis.gui import QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from .. import settings
from ..translation import tr
from .choices import default_model, fill_models, set_default_model
from .diagnostics import copy_diagnostics, say_copied
from .environment_state import EnvironmentState
from .existing_page import EnvironmentField, found_in_words, problem_in_words, result_label


class OptionsPage(QgsOptionsPageWidget):
    """Which environment, and which model at first.

    Parameters
    ----------
    state
        Which environment is in use.
    open_setup
        Called to open the set-up dialog.
    """

    def __init__(
        self, state: EnvironmentState, open_setup: Callable[[], None], parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self._state = state
        column = QVBoxLayout(self)
        column.addWidget(self._environment(open_setup))
        column.addWidget(self._model())
        column.addStretch()
        state.changed.connect(self._show_state)
        self._show_state()
        if state.found is None:
            state.check()

    def apply(self) -> None:
        """Take over what was chosen."""
        if self.field.python != settings.python_setting():
            self._state.use(self.field.python)
        if self.model_box.currentText():
            set_default_model(self.model_box.currentText())

    def _environment(self, open_setup: Callable[[], None]) -> QGroupBox:
        group = QGroupBox(tr("Environment"))
        column = QVBoxLayout(group)
        about = QLabel(
            tr(
                "The Python of the environment that has geosr. Empty: the one that this plugin "
                "has created, or the command geosr on PATH."
            )
        )
        about.setWordWrap(True)
        self.field = EnvironmentField(settings.python_setting())
        self.in_use = result_label()
        self.setup_button = QPushButton(tr("Set up…"))
        self.setup_button.clicked.connect(open_setup)
        self.copy_button = QPushButton(tr("Copy diagnostics"))
        self.copy_button.clicked.connect(self._copy)
        row = QHBoxLayout()
        row.addWidget(self.setup_button)
        row.addWidget(self.copy_button)
        row.addStretch()
        column.addWidget(about)
        column.addWidget(self.field)
        column.addWidget(QLabel(tr("In use now:")))
        column.addWidget(self.in_use)
        column.addLayout(row)
        return group

    def _model(self) -> QGroupBox:
        group = QGroupBox(tr("Model"))
        column = QVBoxLayout(group)
        self.model_box = QComboBox()
        fill_models(self.model_box, default_model())
        self.description = QLabel()
        self.description.setWordWrap(True)
        column.addWidget(QLabel(tr("The dock begins with:")))
        column.addWidget(self.model_box)
        column.addWidget(self.description)
        self.model_box.currentIndexChanged.connect(self._describe)
        self._describe()
        return group

    def _describe(self) -> None:
        family = self.model_box.currentData()
        self.description.setText(family.description if family is not None else "")

    def _show_state(self) -> None:
        if self._state.found is not None:
            self.in_use.setText(found_in_words(self._state.found))
        elif self._state.problem is not None:
            self.in_use.setText(problem_in_words(self._state.problem))
        else:
            self.in_use.setText(tr("Looking for the environment…"))

    def _copy(self) -> None:
        copy_diagnostics(self._state.found or self._state.problem)
        say_copied(self.copy_button)


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever the options are opened."""

    def __init__(
        self, state: EnvironmentState, open_setup: Callable[[], None], icon: QIcon
    ) -> None:
        super().__init__()
        self._state, self._open_setup, self._icon = state, open_setup, icon

    def icon(self) -> QIcon:
        """Return the icon in the list of pages."""
        return self._icon

    def title(self) -> str:
        """Return the name in the list of pages."""
        return tr("GeoSR")

    def createWidget(self, parent: QWidget | None = None) -> OptionsPage:
        """Return a page."""
        return OptionsPage(self._state, self._open_setup, parent)
