"""The real thing, offline: a folder of wheels, an environment from it, a scene made sharper."""

import os
import subprocess
import sys

import make_wheel_folder
import pytest
from geosr_super_resolution.environment import create, plan_creation
from geosr_super_resolution.runner import run_worker
from test_protocol import SCENE


def test_versions_of_wheels():
    names = ["Some_Name-1.0-1-py3-none-any.whl", "b.c-2.0rc1-cp311-abi3-win_amd64.whl"]
    assert make_wheel_folder.constraint_lines(names) == ["b-c==2.0rc1", "some-name==1.0"]
    with pytest.raises(ValueError, match="begin with an empty one"):
        make_wheel_folder.constraint_lines(["a-1-py3-none-any.whl", "a-2-py3-none-any.whl"])


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder of wheels; ``GEOSR_WHEELS`` names one that was made before."""
    if os.environ.get("GEOSR_WHEELS"):
        return os.environ["GEOSR_WHEELS"]
    if not os.environ.get("CI"):
        pytest.skip("downloads 150 MB and takes a minute: set CI=1 or GEOSR_WHEELS=FOLDER")
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        pytest.skip("geosr is not for this Python")
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "1", "affine"]
    done = subprocess.run([*pip, "-d", str(folder / "try")], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("there is no package index here")
    make_wheel_folder.make_wheel_folder(folder)
    return str(folder)


def test_an_environment_from_a_wheel_folder(wheels, tmp_path):
    environ = {
        **os.environ,
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    plan = plan_creation(
        str(tmp_path / "env"), environ, base=sys.executable, installer="pip", wheel_folder=wheels
    )
    log = []
    found = create(plan, on_log=log.append, is_cancelled=lambda: False, environ=environ)
    assert any("--no-index" in line and "constraints.txt" in line for line in log)
    assert found.runtimes == ("openvino",)
    assert found.packages["tensorflow"] is None
    assert not found.can_train
    size = sum(file.stat().st_size for file in (tmp_path / "env").rglob("*") if file.is_file())
    assert size < 0.65e9  # what the plan says
    result = run_worker(
        found.python,
        ["upscale", str(SCENE), str(tmp_path / "out.tif"), "--model", "geosr-lite", "-f", "2"],
        on_event=lambda event: None,
        is_cancelled=lambda: False,
    )
    assert (tmp_path / "out.tif").exists()
    assert result["stats"]["runtime"] == "openvino"
