# SPDX-License-Identifier: GPL-2.0-or-later
"""The built ZIP in a fresh profile, run by qgis_process; its Debian wrapper is broken: `.bin`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

import build_zip
import pytest
from conftest import SAMPLE

pytest.importorskip("qgis.core")
from rasters import assert_alike, make_raster

PROGRAM = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
PLUGIN = "geosr_super_resolution"
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no qgis_process")


@pytest.fixture(scope="module")
def profile(tmp_path_factory, geosr_python):
    """Return the environment variables of a fresh profile with the plugin enabled in it."""
    folder = tmp_path_factory.mktemp("profile")
    plugins = folder / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    archive = os.environ.get("GEOSR_ZIP") or build_zip.build_zip(folder / "built.zip")
    shutil.unpack_archive(archive, plugins)  # as "Install from ZIP" does
    (folder / "run").mkdir(mode=0o700)
    environ = {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(folder),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "GEOSR_PYTHON": geosr_python,
    }
    done = subprocess.run(
        [PROGRAM, "plugins", "enable", PLUGIN],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return environ


def ask(environ, *arguments):
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_run_equals_the_command(profile, geosr, tmp_path):
    output = tmp_path / "schärfer 1.tif"
    done = ask(
        profile,
        *("--json", "run", "geosr:upscale", "--", f"INPUT={SAMPLE}"),
        *("MODEL=geosr-lite-x2", "BANDS=3", "BANDS=2", f"OUTPUT={output}"),
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["OUTPUT"] == str(output)
    assert results["MODEL_USED"] == "geosr-lite-x2"
    geosr("upscale", SAMPLE, tmp_path / "b.tif", "-b", "3,2")
    assert_alike(output, tmp_path / "b.tif")


def test_help_lists_the_models(profile):
    done = ask(profile, "help", "geosr:upscale")
    assert done.returncode == 0, done.stderr
    for word in ("MODEL", "geosr-lite", "bicubic", "UNCERTAINTY", "TILE_SIZE"):
        assert word in done.stdout


def test_an_error_is_on_stderr_and_the_status_is_1(profile, tmp_path):
    done = ask(
        profile, "run", "geosr:upscale", "--", "INPUT=/gone.tif", "OUTPUT={}".format(tmp_path / "a")
    )
    assert done.returncode == 1
    assert "gone.tif" in done.stderr


def test_without_an_environment_it_says_what_to_do(profile, tmp_path):
    bare = {name: value for name, value in profile.items() if name != "GEOSR_PYTHON"}
    done = ask(
        bare,
        *("run", "geosr:upscale", "--", f"INPUT={SAMPLE}"),
        "OUTPUT={}".format(tmp_path / "a.tif"),
    )
    assert done.returncode == 1
    assert "No environment with geosr was found." in done.stderr + done.stdout


def test_killed_it_leaves_no_worker_and_no_file(profile, tmp_path):
    source = make_raster(tmp_path / "large.tif", bands=4, size=(2000, 2000))
    folder = tmp_path / "out"
    folder.mkdir()
    command = [PROGRAM, "run", "geosr:upscale", "--", "INPUT=" + source, "FACTOR=4"]
    command.append("OUTPUT={}".format(folder / "a.tif"))
    process = subprocess.Popen(
        command, env=profile, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: os.listdir(folder), 120)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not workers_on(source), 30)
    assert os.listdir(folder) == []


def workers_on(source):
    """Return the processes that have ``source`` among their arguments."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                if source.encode() in stream.read().split(b"\0"):
                    found.append(name)
        except OSError:
            continue
    return found


def wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)
