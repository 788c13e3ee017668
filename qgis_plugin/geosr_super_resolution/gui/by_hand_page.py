# SPDX-License-Identifier: GPL-2.0-or-later
"""Make an environment by hand: the commands to copy."""

from __future__ import annotations

from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..environment import CreationPlan, commands_by_hand
from ..explain import without_secrets
from ..translation import tr

GENERIC = """python3.12 -m venv geosr-env
geosr-env/bin/python -m pip install geosr"""
"""What to do on a computer where no plan could be made."""


class ByHandPage(QWidget):
    """The commands that do what 'Create one' would do."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        steps = (
            tr("1. Run these commands in a terminal, changed as your network asks for:"),
            tr(
                "2. Choose the Python of the new environment under 'Use an existing one', and "
                "press Check."
            ),
            tr(
                "Any environment will do, of conda or of your IT department, if geosr is "
                "installed in it. Administrators name it for everybody by the variable "
                "GEOSR_PYTHON, or by geosr/python in QGIS's global settings file."
            ),
        )
        labels = []
        for step in steps:
            label = QLabel(step)
            label.setWordWrap(True)
            labels.append(label)
        self.commands = QPlainTextEdit()
        self.commands.setReadOnly(True)
        self.commands.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.commands.setMaximumHeight(140)
        self.copy_button = QPushButton(tr("Copy the commands"))
        self.copy_button.clicked.connect(self._copy)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self.copy_button)
        column.addWidget(labels[0])
        column.addWidget(self.commands)
        column.addLayout(row)
        column.addWidget(labels[1])
        column.addWidget(labels[2])
        column.addStretch()
        self.show_plan(None)

    def show_plan(self, plan: CreationPlan | None) -> None:
        """Show the commands of a plan."""
        text = GENERIC if plan is None else commands_by_hand(plan)
        self.commands.setPlainText(without_secrets(text))

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.commands.toPlainText())
