# SPDX-License-Identifier: GPL-2.0-or-later
"""Set up geosr: create an environment, use one that is there, or do it by hand."""

from __future__ import annotations

from qgis.PyQt.QtGui import QCloseEvent
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from .. import settings
from ..translation import tr
from .by_hand_page import ByHandPage
from .create_page import CreatePage
from .diagnostics import copy_diagnostics, say_copied
from .environment_state import EnvironmentState
from .existing_page import EnvironmentField

CREATE, EXISTING, BY_HAND = range(3)
"""The tabs."""


class SetupDialog(QDialog):
    """Three ways to an environment; it never blocks QGIS.

    Parameters
    ----------
    state
        What is told of the outcome.
    parent
        QGIS's window.
    """

    def __init__(self, state: EnvironmentState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.setWindowTitle(tr("Set up GeoSR"))
        self.resize(660, 580)
        self.create_page = CreatePage()
        self.existing = EnvironmentField(settings.python_setting())
        self.use_button = QPushButton(tr("Use this environment"))
        self.use_button.setEnabled(False)
        self.by_hand = ByHandPage()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.create_page, tr("Create one"))
        self.tabs.addTab(self._existing_page(), tr("Use an existing one"))
        self.tabs.addTab(self.by_hand, tr("Do it by hand"))
        about = QLabel(
            tr(
                "GeoSR computes in a Python environment of its own. QGIS and its Python stay as "
                "they are."
            )
        )
        about.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.close_button = buttons.button(QDialogButtonBox.StandardButton.Close)
        self.close_button.setText(tr("Close"))
        self.copy_button = buttons.addButton(
            tr("Copy diagnostics"), QDialogButtonBox.ButtonRole.ActionRole
        )
        self.copy_button.setToolTip(
            tr("For a question or a report; the home folder and secrets are left out.")
        )
        column = QVBoxLayout(self)
        column.addWidget(about)
        column.addWidget(self.tabs, 1)
        column.addWidget(buttons)
        buttons.rejected.connect(self.close)
        self.copy_button.clicked.connect(self._copy)
        self.use_button.clicked.connect(self._use)
        self.existing.checked.connect(self._checked)
        self.create_page.planned.connect(self._show_commands)
        self.create_page.created.connect(self._state.use)
        self.create_page.begin()

    def close_down(self) -> None:
        """Stop everything, for QGIS goes."""
        self.create_page.close_down()
        self.existing.close_check()
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide; what is being made goes on, and is seen when the dialog is opened again."""
        self.hide()
        event.accept()

    def _existing_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        about = QLabel(
            tr(
                "The Python of an environment with geosr: of a virtual environment, of conda, or "
                "of what your IT department has installed. The folder of the environment will do."
            )
        )
        about.setWordWrap(True)
        column.addWidget(about)
        column.addWidget(self.existing)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self.use_button)
        column.addLayout(row)
        column.addStretch()
        return page

    def _checked(self) -> None:
        self.use_button.setEnabled(self.existing.found is not None)

    def _use(self) -> None:
        found = self.existing.found
        if found is not None:
            self._state.use(found.python)
            self.existing.words.setText(
                "{}<br><b>{}</b>".format(self.existing.words.text(), tr("In use from now on."))
            )

    def _show_commands(self) -> None:
        self.by_hand.show_plan(self.create_page.plan)

    def _copy(self) -> None:
        copy_diagnostics(self._state.found or self._state.problem)
        say_copied(self.copy_button)
