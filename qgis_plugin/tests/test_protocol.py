"""What the plugin expects of geosr, against the real one."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from geosr_super_resolution import protocol
from geosr_super_resolution.environment import probe
from geosr_super_resolution.runner import WorkerCancelled, WorkerError, run_json, run_worker
from test_runner import PARENT, PLUGIN, is_alive, wait_until

SCENE = PLUGIN.parent / "sample_data" / "scene.tif"


@pytest.fixture(scope="session")
def python():
    """The interpreter of an environment with geosr; `GEOSR_PYTHON` in QGIS's test run."""
    if os.environ.get("GEOSR_PYTHON"):
        return os.environ["GEOSR_PYTHON"]
    if importlib.util.find_spec("geosr") is None or sys.version_info < (3, 11):
        pytest.skip("geosr is not installed here; set GEOSR_PYTHON")
    return sys.executable


def upscale(python, source, output, *options, **keywords):
    keywords = {"on_event": lambda event: None, "is_cancelled": lambda: False, **keywords}
    return run_worker(
        python, ["upscale", str(source), str(output), "-f", "2", *options], **keywords
    )


def big_scene(python, folder):
    """Return a raster that takes a while to upscale; the child's rasterio writes it."""
    path = folder / "grün und groß.tif"
    code = (
        "import numpy, rasterio, sys\n"
        "pixels = numpy.random.default_rng(0).integers(0, 4000, (4, 3000, 3000), 'uint16')\n"
        "with rasterio.open(sys.argv[1], 'w', driver='GTiff', count=4, width=3000, height=3000,\n"
        "    dtype='uint16', crs='EPSG:32632', transform=rasterio.Affine(10, 0, 5e5, 0, -10, 6e6))"
        " as dst: dst.write(pixels)\n"
    )
    subprocess.run([python, "-c", code, str(path)], check=True)
    return path


def test_lines():
    assert protocol.parse_line('{"event": "x", "a": 1}') == {"event": "x", "a": 1}
    for line in ("", "[]", '{"a": 1}', '{"event": 1}', b"\xff", "[" * 100000, "NaN"):
        assert protocol.parse_line(line) is None


@pytest.mark.parametrize("spoken", [None, "1", 0, True, 99])
def test_other_protocols_are_refused(spoken):
    with pytest.raises(protocol.ProtocolProblem) as caught:
        protocol.check_protocol({"event": "start", "protocol": spoken, "version": "7.8"})
    assert "7.8" in str(caught.value)
    assert "Update the " in caught.value.hint


def test_constants_are_those_of_geosr(python):
    code = (
        "import json\n"
        "from geosr.core import answers, events, requests, version\n"
        "print(json.dumps([events.PROTOCOL, answers.PROTOCOL, sorted(requests.REQUESTS)]))"
    )
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    spoken, answered, asked = json.loads(done.stdout)
    for number in (spoken, answered):
        assert protocol.OLDEST_PROTOCOL <= number <= protocol.NEWEST_PROTOCOL
    # Each request is answered by an event of its own name, except those that end something.
    assert set(asked) - {"cancel", "quit"} <= set(protocol.ANSWERING)


def test_info_tells_what_the_plugin_asks_for(python):
    found = probe(python)
    assert found.protocol == protocol.NEWEST_PROTOCOL
    assert "openvino" in found.runtimes
    assert any(name.startswith("geosr-lite") for name in found.models)
    assert found.python_version.startswith("3.")
    assert found.gdal
    assert found.can_train == (found.packages["tensorflow"] is not None)


def test_models_are_listed(python):
    listed = run_json(python, ["models", "--json"])
    assert {"geosr-lite-x2", "bicubic-x2"} <= {f"{one['name']}" for one in listed} | {
        f"{one['name']}-x{one['upscale_factor']}" for one in listed
    }


def test_a_run_of_the_real_geosr(python, tmp_path):
    events, output = [], tmp_path / "schärfer als zuvor.tif"
    result = upscale(python, SCENE, output, "--model", "bicubic", on_event=events.append)
    assert output.exists()
    assert Path(result["output"]) == output
    kinds = [event["event"] for event in events]
    assert kinds[0] in ("start", "phase")
    assert "start" in kinds
    assert kinds[-1] == "result"
    last = [event for event in events if event["event"] == "progress"][-1]
    assert last["done"] == last["total"]


def test_mistakes_of_the_real_geosr(python, tmp_path):
    with pytest.raises(WorkerError) as caught:
        upscale(python, SCENE, tmp_path / "out.tif", "-b", "9")
    assert caught.value.code == "input.bands"
    assert caught.value.hint
    with pytest.raises(WorkerError) as caught:
        upscale(python, tmp_path / "missing.tif", tmp_path / "out.tif")
    assert caught.value.code == "input.unreadable"
    with pytest.raises(WorkerError) as caught:
        upscale(python, SCENE, tmp_path / "out.tif", "--no-such-option")
    assert caught.value.code == "usage"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROJ_LIB", "/usr/share/proj"),
        ("PROJ_DATA", "/usr/share/proj"),
        ("PYTHONHOME", "/usr"),
        ("PYTHONPATH", "/usr/lib/python3/dist-packages"),
        ("PYTHONEXECUTABLE", "/usr/bin/python3"),
        ("GDAL_DATA", "/nowhere"),
        ("GDAL_DRIVER_PATH", "/nowhere"),
    ],
)
def test_what_qgis_sets_does_no_harm(python, name, value):
    found = probe(python, environ={**os.environ, name: value})
    assert "openvino" in found.runtimes


def test_cancelling_the_real_geosr_leaves_nothing(python, tmp_path):
    scene = big_scene(python, tmp_path)
    seen, cancelled_at = [], []

    def is_cancelled():
        if any(event["event"] == "progress" for event in seen):
            cancelled_at[:] = cancelled_at or [time.monotonic()]
        return bool(cancelled_at)

    with pytest.raises(WorkerCancelled):
        upscale(
            python, scene, tmp_path / "out.tif", on_event=seen.append, is_cancelled=is_cancelled
        )
    assert time.monotonic() - cancelled_at[0] < 15
    assert [path.name for path in tmp_path.iterdir()] == [scene.name]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_killing_the_parent_of_the_real_geosr_leaves_nothing(python, tmp_path):
    scene, output = big_scene(python, tmp_path), tmp_path / "out.tif"
    command = [sys.executable, "-u", "-c", PARENT, str(PLUGIN), python, "upscale", str(scene)]
    with subprocess.Popen(
        [*command, str(output), "-f", "2"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if "'progress'" in line:
                break
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert children
        parent.kill()
    assert wait_until(lambda: not any(map(is_alive, children)), 30.0)
    assert [path.name for path in tmp_path.iterdir()] == [scene.name]
