# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether geosr can be run, for all windows of the plugin alike."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .. import environment, settings
from ..environment import Environment, EnvironmentProblem
from ..runner import WorkerCancelled
from ..translation import tr
from .background import Background


class EnvironmentState(QObject):
    """The environment in use, found in a thread.

    Attributes
    ----------
    found, problem
        One of them is set once it has been looked for.
    changed
        Signal: it was looked for, and ``found`` or ``problem`` is new.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.found: Environment | None = None
        self.problem: EnvironmentProblem | None = None
        self._running: Background | None = None

    @property
    def checking(self) -> bool:
        """Whether it is being looked for."""
        return self._running is not None

    def check(self, *, anew: bool = False) -> None:
        """Look for the environment; ``anew``: even for one that was found before."""
        if anew:
            environment.forget()
            self.close()
        if self._running is None:
            self._running = Background(settings.find_environment, self._found, self._failed)

    def use(self, python: str) -> None:
        """Run geosr with ``python`` from now on; '' : with whatever is found."""
        settings.set_python_setting(python)
        self.check(anew=True)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._running is not None:
            self._running.forget()
            self._running = None

    def _found(self, found: Environment) -> None:
        self._running = None
        self.found, self.problem = found, None
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        self._running = None
        self.found, self.problem = None, as_problem(error)
        self.changed.emit()


def as_problem(error: Exception) -> EnvironmentProblem:
    """Return what went wrong while an environment was looked for, as a sentence."""
    if isinstance(error, EnvironmentProblem):
        return error
    if isinstance(error, WorkerCancelled):
        return EnvironmentProblem(tr("The check was cancelled."))
    return EnvironmentProblem(tr("The check failed: {error}").format(error=repr(error)))


def where_from(how: str) -> str:
    """Return in words who said which environment to use."""
    words = {
        "GEOSR_PYTHON": tr("named by the environment variable GEOSR_PYTHON"),
        "setting": tr("chosen in the settings"),
        "managed": tr("created by this plugin"),
        "PATH": tr("found as the command geosr on PATH"),
        "given": tr("just checked"),
    }
    return words.get(how, how)
