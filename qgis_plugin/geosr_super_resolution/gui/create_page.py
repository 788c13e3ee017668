# SPDX-License-Identifier: GPL-2.0-or-later
"""Create an environment: said first, then done with a live log, and cancelled if asked."""

from __future__ import annotations

import os
import threading

from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from .. import environment, settings
from ..environment import (
    BasePython,
    CreationCancelled,
    CreationPlan,
    Environment,
    EnvironmentProblem,
)
from ..translation import tr
from .background import Background
from .create_fields import CreateFields
from .environment_state import as_problem
from .existing_page import found_in_words, problem_in_words, result_label
from .plan_words import plan_in_words

SETTLED_MS = 300
"""So long nothing is typed before a plan is made."""


class CreatePage(QWidget):
    """The fields, what would be done, the button that does it, and the log.

    Attributes
    ----------
    created
        Signal: the Python to set, or '' if it is where the plugin looks anyway.
    planned
        Signal: `plan` is new; it is None while nothing can be made.
    """

    created = pyqtSignal(str)
    planned = pyqtSignal()
    _logged = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.plan: CreationPlan | None = None
        self._offered = False
        self._stop = threading.Event()
        self._planning: Background | None = None
        self._creating: Background | None = None
        self.fields = CreateFields()
        self.words = result_label()
        self.create_button = QPushButton(tr("Create"))
        self.create_button.setEnabled(False)
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.setEnabled(False)
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(2000)
        self.log.setMinimumHeight(90)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._lay_out()
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._make_plan)
        self.fields.changed.connect(self._changed)
        self.create_button.clicked.connect(self.create)
        self.cancel_button.clicked.connect(self.cancel)
        self._logged.connect(self.log.appendPlainText, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether an environment is being made."""
        return self._creating is not None

    def begin(self) -> None:
        """Look for Pythons in a thread; a second call does nothing."""
        if not self._offered:
            self._offered = True
            Background(environment.base_pythons, self._offer, lambda _: self._offer([]))

    def create(self) -> None:
        """Make what is planned."""
        plan = self.plan
        if plan is None or self.busy:
            return
        self._stop.clear()
        self.log.clear()
        self._show_log(True)
        self._show_busy(True)
        self.words.setText("<b>{}</b>".format(tr("Working; QGIS can be used meanwhile.")))
        self._creating = Background(
            lambda: environment.create(
                plan, on_log=self._logged.emit, is_cancelled=self._stop.is_set
            ),
            self._created,
            self._failed,
        )

    def cancel(self) -> None:
        """Stop making one; what was made is removed."""
        if self.busy:
            self._stop.set()
            self.cancel_button.setEnabled(False)
            self.words.setText(tr("Stopping, and removing what was made…"))

    def close_down(self) -> None:
        """Stop everything, for QGIS goes."""
        self._stop.set()
        self._settled.stop()
        for each in (self._planning, self._creating):
            if each is not None:
                each.forget()
        self._planning = self._creating = None

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.progress, 1)
        row.addStretch()
        row.addWidget(self.cancel_button)
        row.addWidget(self.create_button)
        column = QVBoxLayout(self)
        column.addWidget(self.fields)
        column.addWidget(self.words)
        column.addLayout(row)
        self._log_title = QLabel(tr("Log"))
        column.addWidget(self._log_title)
        column.addWidget(self.log, 1)
        column.addStretch()
        self._show_log(False)

    def _show_log(self, shown: bool) -> None:
        """Show the log in place of the fields for networks, or hide it."""
        self._log_title.setVisible(shown)
        self.log.setVisible(shown)
        if shown:
            self.fields.network.setCollapsed(True)

    def _offer(self, pythons: list[BasePython]) -> None:
        self.fields.offer(pythons)

    def _changed(self) -> None:
        self.plan = None
        self.create_button.setEnabled(False)
        self._settled.start()

    def _make_plan(self) -> None:
        values = self.fields.values()
        if self._planning is not None:
            self._planning.forget()
        self._planning = Background(
            lambda: environment.plan_creation(**values), self._show_plan, self._show_problem
        )

    def _show_plan(self, plan: CreationPlan) -> None:
        self._planning = None
        self.plan = plan
        if not self.busy:
            self.words.setText(plan_in_words(plan))
            self.create_button.setEnabled(True)
        self.planned.emit()

    def _show_problem(self, error: Exception) -> None:
        self._planning = None
        self.plan = None
        if not self.busy:
            self.words.setText(problem_in_words(as_problem(error)))
        self.planned.emit()

    def _created(self, found: Environment) -> None:
        self._creating = None
        self._show_busy(False)
        self.words.setText(found_in_words(found))
        managed = os.path.normpath(settings.managed_folder())
        inside = os.path.normpath(found.python).startswith(managed + os.sep)
        self.created.emit("" if inside else found.python)

    def _failed(self, error: Exception) -> None:
        self._creating = None
        self._show_busy(False)
        if isinstance(error, CreationCancelled):
            self.words.setText(tr("Cancelled; what was made is removed."))
            return
        problem = as_problem(error)
        self._tell(problem)
        self.words.setText(problem_in_words(problem))

    def _tell(self, problem: EnvironmentProblem) -> None:
        self.log.appendPlainText(f"{problem.message}\n{problem.hint}".rstrip())

    def _show_busy(self, busy: bool) -> None:
        self.fields.setEnabled(not busy)
        self.create_button.setEnabled(not busy and self.plan is not None)
        self.cancel_button.setEnabled(busy)
        self.progress.setVisible(busy)
