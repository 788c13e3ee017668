"""The import contracts of pyproject.toml notice what they forbid; `make lint` checks the rest."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BREACHES = {
    "a lower layer looks up": ("kernels.py", "import geosr.radiometry"),
    "siblings look sideways": ("io/raster.py", "import geosr.runtimes"),
    "siblings look sideways elsewhere": ("runtimes/openvino.py", "import geosr.models.srcnn"),
    "core looks up inside": ("core/errors.py", "from . import geometry"),
    "core takes numpy": ("core/plan.py", "import numpy"),
    "rasterio outside io": ("metrics/fidelity.py", "import rasterio"),
    "a framework in the engine": ("engine/run.py", "import openvino"),
    "a lazy upward import": ("engine/run.py", "def f() -> None:\n    import geosr.api"),
}


RUN = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint(folder):
    """Run the contracts on the copy of the package in ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", RUN, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy_of_package(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "weights")
    shutil.copytree(ROOT / "geosr", tmp_path / "geosr", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold(copy_of_package):
    done = lint(copy_of_package)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("breach", BREACHES)
def test_breach_is_noticed(copy_of_package, breach):
    name, line = BREACHES[breach]
    module = copy_of_package / "geosr" / name
    module.write_text(f"{module.read_text()}\n{line}\n")
    done = lint(copy_of_package)
    assert "BROKEN" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
