# SPDX-License-Identifier: GPL-2.0-or-later
"""Use an environment that is there already; also the upper half of the options page."""

from __future__ import annotations

from html import escape

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from .. import environment
from ..environment import Environment, EnvironmentProblem
from ..said import said
from ..translation import tr
from .background import Background
from .environment_state import as_problem, where_from


class EnvironmentField(QWidget):
    """The path of a Python, a button that checks it, and what came out.

    Parameters
    ----------
    python
        The path to begin with.

    Attributes
    ----------
    checked
        Signal: a check has ended; `found` is the environment, or None.
    """

    checked = pyqtSignal()

    def __init__(self, python: str = "") -> None:
        super().__init__()
        self.found: Environment | None = None
        self.problem: EnvironmentProblem | None = None
        self._running: Background | None = None
        self.path = QgsFileWidget()
        self.path.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.path.setDialogTitle(tr("Python of the environment"))
        self.path.setFilePath(python)
        self.path.lineEdit().setPlaceholderText(
            tr("such as C:/envs/geosr/Scripts/python.exe or ~/envs/geosr/bin/python")
        )
        self.button = QPushButton(tr("Check"))
        self.words = result_label()
        row = QHBoxLayout()
        row.addWidget(self.path, 1)
        row.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.words)
        self.button.clicked.connect(self.check)
        self.path.fileChanged.connect(self._changed)

    @property
    def python(self) -> str:
        """The path as it stands in the field."""
        return str(self.path.filePath()).strip()

    def check(self) -> None:
        """Probe the Python in a thread, and say what came out."""
        self.close_check()
        python = self.python
        if not python:
            self.show_problem(EnvironmentProblem(tr("Choose the Python of an environment first.")))
            return
        self.button.setEnabled(False)
        self.words.setText(tr("Checking…"))
        self._running = Background(
            lambda: environment.probe(python), self.show_found, self._show_failure
        )

    def close_check(self) -> None:
        """Wait for no check any more."""
        if self._running is not None:
            self._running.forget()
            self._running = None
        self.button.setEnabled(True)

    def show_found(self, found: Environment) -> None:
        """Say what an environment has."""
        self.close_check()
        self.found, self.problem = found, None
        self.words.setText(found_in_words(found))
        self.checked.emit()

    def show_problem(self, problem: EnvironmentProblem) -> None:
        """Say what is wrong."""
        self.close_check()
        self.found, self.problem = None, problem
        self.words.setText(problem_in_words(problem))
        self.checked.emit()

    def _show_failure(self, error: Exception) -> None:
        self.show_problem(as_problem(error))

    def _changed(self) -> None:
        self.close_check()
        self.found = self.problem = None
        self.words.setText("")
        self.checked.emit()


def result_label() -> QLabel:
    """Return a label for what came out: it wraps, and can be copied."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return label


def found_in_words(found: Environment) -> str:
    """Return what an environment has, as HTML."""
    device = tr("NVIDIA driver {version}").format(version=found.nvidia_driver)
    facts = [
        tr("geosr {version} on Python {python}").format(
            version=found.version, python=found.python_version
        ),
        tr("with training") if found.can_train else tr("upscaling only, no training"),
        device if found.nvidia_driver else tr("no NVIDIA GPU"),
    ]
    where = f"{found.python} ({where_from(found.how)})"
    return "<b>{}</b> {}.<br><small>{}</small>".format(
        tr("Works:"), escape(", ".join(facts)), escape(where)
    )


def problem_in_words(problem: EnvironmentProblem) -> str:
    """Return what is wrong and what to do, as HTML."""
    words = [escape(said(each)) for each in (problem.message, problem.hint) if each]
    return "<b>{}</b> {}".format(tr("Does not work:"), "<br>".join(words))
