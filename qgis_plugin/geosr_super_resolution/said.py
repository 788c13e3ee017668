# SPDX-License-Identifier: GPL-2.0-or-later
"""What the modules that know no QGIS say, in the user's language.

They say it in English, as geosr does. Here are the same sentences with names for what changes.
"""

from __future__ import annotations

import re

from .translation import tr


def later(text: str) -> str:
    """Return ``text``; it is translated when it is said."""
    return text


SENTENCES = (
    later("No environment with geosr was found."),
    later("Choose or create an environment in Settings > Options > GeoSR."),
    later("Create it anew in Settings > Options > GeoSR."),
    later("There is no Python in the folder {path}."),
    later("There is no Python at {path}."),
    later("{path} is QGIS itself, not a Python for geosr."),
    later("{path} is no working Python."),
    later("{path} is Python {version}; geosr needs 3.11 or later."),
    later("{path} is Python {version} with {bits} bits; geosr needs {versions} with 64 bits."),
    later("{path} is Python {version}; geosr needs {versions} with 64 bits."),
    later("geosr is not installed in {path}."),
    later("geosr is not installed in this environment."),
    later("By hand: {command}"),
    later("What {path} answers is not geosr's."),
    later("The environment of {path} is damaged: {why}"),
    later("The environment's geosr {version} is newer than this plugin can read."),
    later("The environment's geosr {version} is too old for this plugin."),
    later("Update the plugin GeoSR Super-Resolution."),
    later("Update the environment to geosr {version} or later."),
    later("GEOSR_PYTHON says so: {hint}"),
    later("There is no Python {versions} here."),
    later("Install Python {versions} from python.org or your system's packages."),
    later("{path} cannot make environments: its module venv is not installed."),
    later("Install it; on Debian and Ubuntu: sudo apt install python3-venv"),
    later("The folder {path} is not empty, and was not made by this plugin."),
    later("Choose another folder, or use what is there as an existing environment."),
    later("The folder {path} cannot be made: {why}."),
    later("Choose another folder, or close what uses it."),
    later("There is no geosr in the wheel folder {path}."),
    later("Make one with make_wheel_folder.py, on a computer like this one."),
    later("There is no CA bundle at {path}."),
    later("Correct the path."),
    later("There is {free} GB of room in {path}; this takes about {needed} GB."),
    later("Make room, or choose another folder."),
    later("{path} cannot be started: {why}."),
    later("Choose another environment in the settings of GeoSR."),
    later("Set up another one in the settings of GeoSR."),
    later("The virtual environment could not be made: {why}"),
    later("pip failed: {why}"),
    later("{what} was installed without TensorFlow."),
    later("See the log above; installing by hand shows the same."),
    later(
        "Set the proxy of your network, as "
        "http://user:password@host:port if it asks for one."  # pragma: allowlist secret
    ),
    later("Your network inspects encrypted connections: give its CA bundle, a .pem file."),
    later("Make room on the disk, or choose another folder."),
    later("Install Python's module venv; on Debian and Ubuntu: sudo apt install python3-venv"),
    later(
        "The package index cannot be reached: check the network, the proxy and the index address, "
        "or install from a wheel folder."
    ),
    later("The package index refuses: check its address, and the name and password in it."),
    later(
        "The package source lacks what is named above for this Python and system: give the "
        "address of an index that has it, or a wheel folder made for this Python."
    ),
    later("Choose a folder that you may write to and run programs from."),
    later("geosr did not answer within {seconds} seconds."),
    later("Try again: the first start of a new environment is slow."),
    later("geosr gave no answer."),
    later("geosr was killed: usually it was out of memory."),
    later("Lower the tile size or the number of workers, or close other programs."),
    later("geosr crashed ({how}){why}"),
    later("geosr ended without a result."),
    later("See the log."),
    later("See the log; the environment may be damaged: check it in the settings of GeoSR."),
    later("geosr has failed."),
    later("The preview was killed: usually it was out of memory."),
    later("The preview's process has ended (status {status}){why}"),
    later("Try again; if it comes back, check the environment in the settings of GeoSR."),
)
"""Those that are more special come before those that hold them."""


def said(text: str) -> str:
    """Return a sentence of `SENTENCES`, or several, in the user's language, or as they are."""
    for pattern, sentence in _PATTERNS:
        whole = pattern.fullmatch(text)
        if whole:
            # A path may itself be part of a known sentence; what was said of it may be one, too.
            values = {name: said(value) for name, value in whole.groupdict().items()}
            return tr(sentence).format(**values)
    for pattern, sentence in _PATTERNS:
        if pattern.groups == 0 and text.startswith(sentence + " "):
            begin = len(sentence) + 1
            return f"{tr(sentence)} {said(text[begin:])}"
    return text


def _patterns() -> list[tuple[re.Pattern[str], str]]:
    found = []
    for sentence in SENTENCES:
        parts = re.split(r"\{(\w+)\}", sentence)
        pieces = [
            f"(?P<{part}>.+)" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        ]
        found.append((re.compile("".join(pieces), re.DOTALL), sentence))
    return found


_PATTERNS = _patterns()
