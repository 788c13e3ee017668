# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin's tests share.

Those without QGIS run in any Python; the others in a venv of QGIS's Python with pytest-qgis. The
environment variable GEOSR_PYTHON names the Python of an environment with the real geosr.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import pytest

PLUGIN_PARENT = Path(__file__).resolve().parent.parent
PROCESSING = "/usr/share/qgis/python/plugins"

for _folder in (str(PLUGIN_PARENT), *([PROCESSING] if os.path.isdir(PROCESSING) else [])):
    if _folder not in sys.path:
        sys.path.append(_folder)

SCRATCH = tempfile.mkdtemp(prefix="geosr-tests-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)

# Nothing of the tests goes where the user's own environment and list of models are.
os.environ["XDG_DATA_HOME"] = SCRATCH

# A copy, for GDAL writes the statistics of a layer that QGIS shows into a file beside it.
SAMPLE = Path(shutil.copy(PLUGIN_PARENT.parent / "sample_data" / "scene.tif", SCRATCH))


@pytest.fixture(scope="session")
def geosr_python():
    python = os.environ.get("GEOSR_PYTHON", "")
    if not python:
        pytest.skip("GEOSR_PYTHON does not name an environment with geosr")
    return python


@pytest.fixture(scope="session")
def geosr(geosr_python):
    """Run geosr's own command, as in a terminal."""

    def run(*arguments):
        clean = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
        command = [geosr_python, "-m", "geosr", *map(str, arguments)]
        return subprocess.run(command, env=clean, capture_output=True, text=True, check=True)

    return run


@pytest.fixture
def plugin(qgis_processing):
    """Load the plugin as qgis_process does."""
    from geosr_super_resolution import classFactory

    loaded = classFactory(None)
    loaded.initProcessing()
    yield loaded
    loaded.unload()


@pytest.fixture
def feedback():
    """Take down what an algorithm says."""
    from rasters import Feedback

    return Feedback()


@pytest.fixture
def run(plugin, feedback):
    """Run one of the plugin's algorithms as a script does."""
    import processing

    def go(name, **parameters):
        return processing.run("geosr:" + name, parameters, feedback=feedback)

    return go


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Let go of what a failed test held: a layer that outlives QGIS crashes it at the end."""
    yield
    if call.excinfo is not None:
        traceback.clear_frames(call.excinfo.tb)
