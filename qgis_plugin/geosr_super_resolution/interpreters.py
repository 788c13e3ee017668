# SPDX-License-Identifier: GPL-2.0-or-later
"""The Pythons of this machine that an environment can be made from.

Never ``sys.executable``: inside QGIS on Windows and macOS that is QGIS itself.
"""

from __future__ import annotations

import glob
import json
import ntpath
import os
import re
import shutil
import subprocess  # nosec B404
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Callable

from .child import hidden
from .scrub import clean_environment

OLDEST, NEWEST = (3, 11), (3, 13)
"""What geosr and all of its libraries are there for."""

LIKED = ("3.12", "3.11", "3.13")
"""The order in which they are tried."""

ASK_S = 15.0

_QUESTION = (
    "import json, struct, sys\n"
    "try:\n import ensurepip, venv\n complete = True\n"
    "except ImportError:\n complete = False\n"
    "print(json.dumps([sys.version_info[:2], struct.calcsize('P') * 8, complete]))"
)


@dataclass(frozen=True)
class BasePython:
    """An interpreter that was asked.

    Attributes
    ----------
    version
        Such as ``(3, 12)``.
    bits
        64, or 32: there are no libraries for those.
    complete
        Whether it has ``venv`` and ``ensurepip``; Debian's may not.
    """

    path: str
    version: tuple[int, int]
    bits: int = 64
    complete: bool = True

    @property
    def suits(self) -> bool:
        """Whether geosr can be installed on it."""
        return OLDEST <= self.version <= NEWEST and self.bits == 64


def base_pythons(
    environ: Mapping[str, str] | None = None, *, platform: str = sys.platform
) -> list[BasePython]:
    """Return the interpreters that suit, best first; each one is started once."""
    environ = os.environ if environ is None else environ
    found: list[BasePython] = []
    seen: set[str] = set()
    for path in _existing(places(environ, platform=platform)):
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        known = asked(path, environ)
        if known is not None and known.suits:
            found.append(known)
    order = [f"{major}.{minor}" for major, minor in (each.version for each in found)]
    ranked = sorted(
        range(len(found)),
        key=lambda index: (not found[index].complete, LIKED.index(order[index]), index),
    )
    return [found[index] for index in ranked]


def places(
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    prefix: str = sys.prefix,
    launcher: Callable[[Mapping[str, str]], str] | None = None,
) -> Iterator[str]:
    """Yield where interpreters may be, likely ones first; patterns among them."""
    path = clean_environment(environ, platform=platform).get("PATH", "")
    if platform == "win32":
        yield from listed_by_launcher((launcher or _launcher)(environ))
        names = [f"python{version}.exe" for version in LIKED] + ["python.exe"]
        for folder in path.split(";"):
            if "windowsapps" not in folder.lower():  # what is there opens the shop
                yield from (ntpath.join(folder, name) for name in names if folder)
        for root in ("LOCALAPPDATA", "PROGRAMFILES"):
            if environ.get(root):
                inner = "Programs\\Python" if root == "LOCALAPPDATA" else ""
                yield ntpath.join(environ[root], inner, "Python31*", "python.exe")
        yield ntpath.join(prefix, "python.exe")  # QGIS's own, as a last resort
        return
    folders = [folder for folder in path.split(":") if folder]
    if platform == "darwin":
        folders += ["/opt/homebrew/bin", "/usr/local/bin"]
        folders += [
            f"/Library/Frameworks/Python.framework/Versions/{version}/bin" for version in LIKED
        ]
    folders += [folder for folder in ("/usr/bin", "/usr/local/bin") if folder not in folders]
    for name in [f"python{version}" for version in LIKED] + ["python3"]:
        yield from (f"{folder}/{name}" for folder in folders)
    if platform == "darwin":
        yield f"{prefix}/bin/python3"  # QGIS's own, as a last resort


def listed_by_launcher(text: str) -> list[str]:
    r"""Return the interpreters that ``py -0p`` lists.

    >>> listed_by_launcher(" -V:3.12 *        C:\\Python312\\python.exe")
    ['C:\\Python312\\python.exe']
    """
    found = (re.search(r"([A-Za-z]:\\.*\.exe)\s*$", line) for line in text.splitlines())
    return [match.group(1) for match in found if match and "WindowsApps" not in match.group(1)]


def asked(path: str, environ: Mapping[str, str] | None = None) -> BasePython | None:
    """Return what an interpreter says of itself, or None if it is none that works."""
    text = _output([path, "-c", _QUESTION], os.environ if environ is None else environ)
    try:
        version, bits, complete = json.loads(text.strip().splitlines()[-1])
        return BasePython(path, (int(version[0]), int(version[1])), int(bits), bool(complete))
    except (ValueError, TypeError, IndexError):
        return None


def uv_program(environ: Mapping[str, str], *, platform: str = sys.platform) -> str:
    """Return where uv is, or nothing."""
    path = clean_environment(environ, platform=platform).get("PATH", "")
    return shutil.which("uv", path=path) or ""


def _launcher(environ: Mapping[str, str]) -> str:
    program = shutil.which("py", path=environ.get("PATH", ""))
    return _output([program, "-0p"], environ) if program else ""


def _output(command: list[str], environ: Mapping[str, str]) -> str:
    """Return what a command prints, or nothing if it fails."""
    try:
        done = subprocess.run(  # nosec B603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=ASK_S,
            env=clean_environment(environ, python=command[0]),
            creationflags=hidden(),
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _existing(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        if "*" in pattern:
            yield from sorted(glob.glob(pattern), reverse=True)
        elif os.path.isfile(pattern):
            yield pattern
