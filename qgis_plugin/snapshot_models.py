# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the list of models that the plugin shows before it has found an environment.

Usage: python qgis_plugin/snapshot_models.py [PYTHON]

PYTHON is the interpreter of an environment with geosr; by default the one that runs this. Needs no
QGIS. With --check nothing is written, and the status is 1 if the list is not up to date.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
SNAPSHOT = os.path.join(FOLDER, "geosr_super_resolution", "resources", "models.json")
KEPT = ("name", "family", "upscale_factor", "bands", "parameters", "licence", "summary")


def snapshot(python: str) -> str:
    """Return the text of the file."""
    command = [python, "-m", "geosr", "models", "--json"]
    done = subprocess.run(command, capture_output=True, check=True)  # nosec B603
    listed = json.loads(done.stdout)
    models = [
        dict({key: model[key] for key in KEPT}, gain_db=model["scores"].get("gain_db"))
        for model in listed
    ]
    return json.dumps(models, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or check the file."""
    arguments = [name for name in sys.argv[1:] if name != "--check"]
    text = snapshot(arguments[0] if arguments else sys.executable)
    if "--check" in sys.argv:
        with open(SNAPSHOT, encoding="utf-8") as stream:
            return int(stream.read() != text)
    with open(SNAPSHOT, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
