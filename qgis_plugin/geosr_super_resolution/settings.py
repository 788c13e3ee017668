# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the user's choices and the plugin's own files are kept."""

from __future__ import annotations

import os

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QStandardPaths

from . import environment
from .probing import interpreter_of
from .said import said
from .translation import tr

PYTHON_KEY = "geosr/python"


def python_setting() -> str:
    """Return the Python that the user, or the organisation's global settings, named; or ''."""
    return str(QgsSettings().value(PYTHON_KEY, "") or "").strip()


def set_python_setting(path: str) -> None:
    """Remember the Python of the environment to use; '' forgets it."""
    settings = QgsSettings()
    if path:
        settings.setValue(PYTHON_KEY, path)
    else:
        settings.remove(PYTHON_KEY)


def data_folder() -> str:
    """Return the folder for the plugin's own files; it may not exist yet."""
    place = QStandardPaths.StandardLocation.AppDataLocation
    return os.path.join(QStandardPaths.writableLocation(place), "geosr")


def managed_folder() -> str:
    """Return the folder of the environment that the plugin makes itself."""
    return os.path.join(data_folder(), "env")


def find_environment() -> environment.Environment:
    """Return the environment to run geosr in; it is probed, which takes a second once.

    Raises
    ------
    EnvironmentProblem
        If there is none that works.
    """
    return environment.find(python_setting(), managed_folder(), dict(os.environ))


def missing_environment() -> str:
    """Return what to do if there is surely no environment, else ''; nothing is started."""
    listed = environment.candidates(python_setting(), managed_folder(), dict(os.environ))
    problem = tr("No environment with geosr was found.")
    hint = tr(environment.IN_SETTINGS)
    for candidate in listed:
        found = _problem_of(candidate)
        if found is None:
            return ""
        problem, hint = found.message, found.hint
        if candidate.is_wanted:
            break
    return f"{said(problem)} {said(hint)}"


def _problem_of(candidate: environment.Candidate) -> environment.EnvironmentProblem | None:
    try:
        interpreter_of(candidate.python)
    except environment.EnvironmentProblem as error:
        return error
    return None


def models_cache() -> str:
    """Return the file that keeps the models which geosr listed last."""
    return os.path.join(data_folder(), "models.json")
