# SPDX-License-Identifier: GPL-2.0-or-later
"""Ask an interpreter whether geosr is there and works."""

from __future__ import annotations

import ntpath
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from .interpreters import asked
from .protocol import ProtocolProblem, check_protocol
from .runner import WorkerError, run_json

PROBE_S = 30.0
"""How long a probe may take; the first one of a new environment takes a few seconds."""

IN_SETTINGS = "Choose or create an environment in Settings > Options > GeoSR."


class EnvironmentProblem(Exception):
    """There is no environment, or something is wrong with one.

    ``message`` says what in one sentence, ``hint`` what to do, ``log`` what was written last.
    """

    def __init__(self, message: str, hint: str = "", *, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.log = message, hint, log

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class Environment:
    """An environment in which geosr works.

    Attributes
    ----------
    python
        Its interpreter.
    how
        Where it was found: ``GEOSR_PYTHON``, ``setting``, ``managed``, ``PATH`` or ``given``.
    version, protocol
        Of geosr.
    extras
        Those of geosr's extras that matter here: ``tensorflow``.
    """

    python: str
    how: str
    version: str
    protocol: int
    extras: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    packages: Mapping[str, str | None] = field(default_factory=dict)
    python_version: str = ""
    gdal: str = ""
    nvidia_driver: str = ""
    processors: int = 1

    @property
    def can_train(self) -> bool:
        """Whether models can be trained and adapted."""
        return "tensorflow" in self.extras

    def in_words(self) -> str:
        """Return one sentence about it."""
        what = "with training" if self.can_train else "without training"
        return f"geosr {self.version} on Python {self.python_version}, {what}: {self.python}"


def probe(
    python: str,
    *,
    how: str = "given",
    environ: Mapping[str, str] | None = None,
    timeout_s: float = PROBE_S,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Environment:
    """Return what an interpreter, or the folder of an environment, offers; takes a second.

    Raises
    ------
    EnvironmentProblem
        If geosr cannot be used there.
    WorkerCancelled
        If it was cancelled.
    """
    python = interpreter_of(python)
    try:
        facts = run_json(
            python,
            ["info", "--json"],
            timeout_s=timeout_s,
            is_cancelled=is_cancelled,
            environ=environ,
        )
    except WorkerError as error:
        raise _problem(python, error, environ) from error
    if not isinstance(facts, dict) or "geosr" not in facts:
        raise EnvironmentProblem(f"What {python} answers is not geosr's.", IN_SETTINGS)
    try:
        check_protocol(facts)
    except ProtocolProblem as error:
        raise EnvironmentProblem(error.message, f"{error.hint} {_by_hand(python)}") from error
    if facts.get("problem"):
        raise EnvironmentProblem(
            f"The environment of {python} is damaged: {facts['problem']}",
            "Create it anew in Settings > Options > GeoSR.",
        )
    return _environment(python, how, facts)


def interpreter_of(
    path: str, *, platform: str = sys.platform, exists: Callable[[str], bool] = os.path.isfile
) -> str:
    """Return the interpreter that a user may mean by a path: itself, or that of a folder.

    Raises
    ------
    EnvironmentProblem
        If there is none, or it is QGIS, of which this would open a second window.
    """
    path = os.path.expanduser(path.strip().strip('"'))
    if ntpath.basename(path).lower().startswith("qgis"):
        raise EnvironmentProblem(f"{path} is QGIS itself, not a Python for geosr.", IN_SETTINGS)
    inner = (
        ["Scripts\\python.exe", "python.exe"]
        if platform == "win32"
        else ["bin/python", "bin/python3"]
    )
    near = ["python.exe", "..\\python.exe"] if platform == "win32" else ["python", "python3"]
    if ntpath.basename(path).lower() in {"geosr", "geosr.exe", "pip", "pip.exe"}:
        folder = os.path.dirname(path)
        found = next((each for name in near if exists(each := os.path.join(folder, name))), None)
        return found or path
    if os.path.isdir(path):
        for name in inner:
            if exists(os.path.join(path, name)):
                return os.path.join(path, name)
        raise EnvironmentProblem(f"There is no Python in the folder {path}.", IN_SETTINGS)
    if not exists(path):
        raise EnvironmentProblem(f"There is no Python at {path}.", IN_SETTINGS)
    return path


def _environment(python: str, how: str, facts: Mapping[str, Any]) -> Environment:
    packages = facts.get("packages") or {}
    trains = all(packages.get(name) for name in ("tensorflow", "keras"))
    return Environment(
        python=python,
        how=how,
        version=str(facts["geosr"]),
        protocol=int(facts["protocol"]),
        extras=("tensorflow",) if trains else (),
        runtimes=tuple(facts.get("runtimes") or ()),
        models=tuple(facts.get("models") or ()),
        packages=packages,
        python_version=str(facts.get("python") or ""),
        gdal=str(facts.get("gdal") or ""),
        nvidia_driver=str(facts.get("nvidia_driver") or ""),
        processors=int(facts.get("processors") or 1),
    )


def _problem(
    python: str, error: WorkerError, environ: Mapping[str, str] | None
) -> EnvironmentProblem:
    """Return in words why a probe has failed."""
    if error.code == "worker.missing":
        return EnvironmentProblem(
            f"geosr is not installed in {python}.",
            f"{IN_SETTINGS} {_by_hand(python)}",
            log=error.log,
        )
    if error.code == "worker.start":
        return EnvironmentProblem(error.message, IN_SETTINGS)
    version = python_version(python, environ)
    if version is None:
        return EnvironmentProblem(f"{python} is no working Python.", IN_SETTINGS, log=error.log)
    if version < (3, 11):
        return EnvironmentProblem(
            f"{python} is Python {version[0]}.{version[1]}; geosr needs 3.11 or later.",
            IN_SETTINGS,
            log=error.log,
        )
    return EnvironmentProblem(error.message, error.hint or IN_SETTINGS, log=error.log)


def python_version(python: str, environ: Mapping[str, str] | None = None) -> tuple[int, int] | None:
    """Return the version of an interpreter, or None if it does not run."""
    found = asked(python, environ)
    return None if found is None else found.version


def _by_hand(python: str) -> str:
    return f'By hand: "{python}" -m pip install --upgrade geosr'
