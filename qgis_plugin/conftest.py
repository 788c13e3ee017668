# SPDX-License-Identifier: GPL-2.0-or-later
"""Where QGIS is missing, only what needs none is tested; in QGIS's Python everything is.

With GEOSR_TESTS=qgis only what needs QGIS: `run_tests.sh` runs after the rest was tested.
"""

import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "tests")]

WITHOUT_QGIS = {
    *("build_zip.py", "make_wheel_folder.py"),
    *("child.py", "creation.py", "creation_plan.py", "environment.py", "explain.py"),
    *("failures.py", "interpreters.py", "managed_folder.py", "preview_client.py", "probing.py"),
    *("protocol.py", "runner.py", "scrub.py"),
    *("test_build_zip.py", "test_creation.py", "test_environment.py", "test_preview_client.py"),
    *("test_protocol.py", "test_runner.py", "test_scrub.py", "test_wheel_folder.py"),
}
OTHER_WAYS = {"gui_session.py", "qt6_smoke.py"}
"""What run_tests.sh runs inside QGIS, or under PyQt6."""

collect_ignore = [str(HERE / "tests" / name) for name in OTHER_WAYS]
if importlib.util.find_spec("qgis") is None:
    collect_ignore += [str(path) for path in HERE.rglob("*.py") if path.name not in WITHOUT_QGIS]
elif os.environ.get("GEOSR_TESTS") == "qgis":
    collect_ignore += [str(path) for path in HERE.rglob("*.py") if path.name in WITHOUT_QGIS]
