# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the environment in which geosr runs: a Python of its own, never QGIS's.

What else there is to say about environments is told here as well, each from a module of its
own: `probing` (is geosr there), `interpreters` and `creation` (make one).
"""

from __future__ import annotations

import os
import platform as platform_facts
import re
import shutil
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .creation import CreationCancelled, create
from .creation_plan import CreationPlan, commands_by_hand, describe_plan, plan_creation
from .interpreters import BasePython, base_pythons
from .managed_folder import is_unfinished
from .probing import IN_SETTINGS, Environment, EnvironmentProblem, interpreter_of, probe
from .scrub import clean_environment, qgis_folders

__all__ = [
    "IN_SETTINGS",
    "BasePython",
    "Candidate",
    "CreationCancelled",
    "CreationPlan",
    "Environment",
    "EnvironmentProblem",
    "base_pythons",
    "candidates",
    "commands_by_hand",
    "create",
    "describe_plan",
    "diagnostics",
    "find",
    "forget",
    "known",
    "plan_creation",
    "probe",
]

VARIABLE = "GEOSR_PYTHON"

_found: dict[tuple[str, ...], Environment] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Candidate:
    """A Python in which geosr may be, and who says so."""

    python: str
    how: str

    @property
    def is_wanted(self) -> bool:
        """Whether somebody chose it: then no other one may take its place unsaid."""
        return self.how in (VARIABLE, "setting")


def candidates(
    setting: str, managed_folder: str, environ: Mapping[str, str] | None = None
) -> list[Candidate]:
    """Return where geosr may be: the first one counts. Nothing is started.

    In this order: the variable ``GEOSR_PYTHON``, the plugin's setting, the environment that the
    plugin has made, and the ``geosr`` on ``PATH``.
    """
    environ = os.environ if environ is None else environ
    found = []
    if environ.get(VARIABLE, "").strip():
        found.append(Candidate(environ[VARIABLE].strip(), VARIABLE))
    if setting.strip():
        found.append(Candidate(setting.strip(), "setting"))
    if managed_folder and os.path.isdir(managed_folder) and not is_unfinished(managed_folder):
        found.append(Candidate(managed_folder, "managed"))
    command = shutil.which("geosr", path=environ.get("PATH", ""))
    if command:
        found.append(Candidate(python_of_command(command), "PATH"))
    return found


def find(
    setting: str,
    managed_folder: str,
    environ: Mapping[str, str] | None = None,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Environment:
    """Return the environment to use; each is probed once, until it changes.

    Takes a second the first time: not for the GUI thread.

    Raises
    ------
    EnvironmentProblem
        If there is none, or the one that somebody chose does not work.
    WorkerCancelled
        If it was cancelled.
    """
    environ = os.environ if environ is None else environ
    problem = EnvironmentProblem("No environment with geosr was found.", IN_SETTINGS)
    for number, candidate in enumerate(candidates(setting, managed_folder, environ)):
        try:
            return _probed(candidate, environ, is_cancelled)
        except EnvironmentProblem as error:
            if candidate.is_wanted:
                says = f"{candidate.how} says so: " if candidate.how == VARIABLE else ""
                raise EnvironmentProblem(
                    error.message, f"{says}{error.hint}", log=error.log
                ) from error
            problem = error if number == 0 else problem
    raise problem


def known(
    setting: str, managed_folder: str, environ: Mapping[str, str] | None = None
) -> Environment | None:
    """Return what `find` would, if it has found it before; starts nothing."""
    environ = os.environ if environ is None else environ
    for candidate in candidates(setting, managed_folder, environ):
        try:
            key = _key(interpreter_of(candidate.python), candidate.how)
        except EnvironmentProblem:
            key = ()
        with _lock:
            if key in _found:
                return _found[key]
        if candidate.is_wanted:
            return None
    return None


def forget() -> None:
    """Probe everything anew from now on."""
    with _lock:
        _found.clear()


def python_of_command(command: str, *, platform: str = sys.platform) -> str:
    """Return the interpreter that the command ``geosr`` runs with, as far as its file tells."""
    try:
        with open(command, "rb") as file:
            content = file.read(1 << 20)
    except OSError:
        return command
    if platform == "win32":  # a small program that ends in the line that a script begins with
        named = re.findall(rb'#!"?([^"\r\n]*python[^"\r\n]*\.exe)', content)
    else:  # a path that is long or has spaces is called by the shell, in the second line
        by_shell = rb"\A#!/bin/sh\n'''exec' \"?([^\"\n]*?)\"? \"\$0\""
        named = re.findall(by_shell, content) or re.findall(rb"\A#!([^\s]*python[^\s]*)", content)
    python = os.fsdecode(named[-1]) if named else ""
    return python if os.path.isabs(python) and os.path.isfile(python) else command


def diagnostics(
    found: Environment | EnvironmentProblem | None,
    *,
    environ: Mapping[str, str] | None = None,
    extra: Iterable[tuple[str, str]] = (),
) -> str:
    """Return what to send with a question: no name of the user, no password.

    ``extra`` are more facts, such as QGIS's version.
    """
    environ = os.environ if environ is None else environ
    rows = [*extra, ("System", platform_facts.platform()), ("Python of QGIS", sys.version)]
    if isinstance(found, Environment):
        rows += [
            ("Environment", f"{found.python} ({found.how})"),
            ("geosr", f"{found.version}, protocol {found.protocol}"),
            ("Python", found.python_version),
            ("GDAL", found.gdal),
            ("Runtimes", ", ".join(found.runtimes)),
            ("NVIDIA driver", found.nvidia_driver or "none"),
            ("Models", ", ".join(found.models)),
            ("Packages", ", ".join(f"{name} {v}" for name, v in found.packages.items() if v)),
        ]
    elif found is not None:
        rows += [("Problem", found.message), ("Hint", found.hint)]
        rows += [("Log", line) for line in found.log]
    rows += [("Folders of QGIS", os.pathsep.join(qgis_folders(environ)))]
    cleaned = clean_environment(environ)
    left_out = sorted(each for each in set(environ) - set(cleaned) if not _is_secret(each))
    rows += [("Left out", f"{each}={environ[each]}") for each in left_out]
    rows += [("Kept", f"{each}={cleaned[each]}") for each in sorted(cleaned) if _tells(each)]
    text = "\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in rows)
    return redacted(text, environ)


def redacted(text: str, environ: Mapping[str, str]) -> str:
    """Return a text without the home folder, the user's name, and passwords in addresses.

    >>> redacted("/home/ada/env http://ada" + ":pass@host/", {"HOME": "/home/ada"})
    '~/env http://***@host/'
    """
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    homes = {environ.get("HOME", ""), environ.get("USERPROFILE", ""), os.path.expanduser("~")}
    for home in sorted((each.rstrip("\\/") for each in homes), key=len, reverse=True):
        if len(home) > 2:
            spellings = {home, home.replace("\\", "/"), os.path.realpath(home)}
            for spelled in spellings - {"/"}:
                text = re.sub(rf"{re.escape(spelled)}(?=$|[\\/\s:;,.\"'])", "~", text)
    name = environ.get("USERNAME") or environ.get("USER") or ""
    return re.sub(rf"(?<=[\\/]){re.escape(name)}(?=[\\/])", "***", text) if name else text


def _tells(variable: str) -> bool:
    """Return whether a variable says something about failures, and holds no secret."""
    if _is_secret(variable):
        return False
    name = variable.upper()
    return name in {"PATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR", "TEMP"} or name.startswith(
        ("PIP_", "UV_", "GDAL_", "SSL_", "TF_", "CUDA_", "HTTP", "NO_PROXY", "REQUESTS_", "GEOSR")
    )


def _is_secret(variable: str) -> bool:
    words = ("TOKEN", "SECRET", "PASS", "KEY", "AUTH", "CREDENTIAL")
    return any(word in variable.upper() for word in words)


def _probed(
    candidate: Candidate, environ: Mapping[str, str], is_cancelled: Callable[[], bool]
) -> Environment:
    python = interpreter_of(candidate.python)
    key = _key(python, candidate.how)
    with _lock:
        if key in _found:
            return _found[key]
    found = probe(python, how=candidate.how, environ=environ, is_cancelled=is_cancelled)
    with _lock:
        _found[key] = found
    return found


def _key(python: str, how: str) -> tuple[str, ...]:
    """Return what changes when an environment does: packages come and go in folders."""
    root = Path(python).parent.parent
    looked_at = [Path(python), root / "pyvenv.cfg", Path(python).parent / "conda-meta"]
    for pattern in ("lib/python3*/site-packages", "Lib/site-packages"):
        looked_at += sorted(root.glob(pattern))
    times = (f"{path.stat().st_mtime_ns}" for path in looked_at if path.exists())
    return (python, how, *times)
