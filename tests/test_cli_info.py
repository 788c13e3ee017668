"""``geosr models`` and ``geosr info``; how light the command line is; rio."""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib

import pytest
from cli_scenes import ROOT, run

import geosr
from geosr.core import catalog
from geosr.core.events import PROTOCOL, parse_event
from geosr.core.facts import KERNEL_RADIUS, ModelFacts

HEAVY = ("openvino", "tensorflow", "keras", "jax", "torch")


def test_models_are_a_table_of_all_that_can_be_named(monkeypatch):
    facts = ModelFacts(
        name="fine-x2",
        family="fine",
        upscale_factor=2,
        radius=9,
        bands=3,
        parameters=12345,
        bfloat16_error=0.75,
        int8_error=210.0,
        licence="CC0-1.0",
        scores={"gain_db": 1.234},
    )
    monkeypatch.setattr(catalog, "shipped_models", lambda: (facts,))
    lines = run("models").stdout.splitlines()
    assert lines[0].split() == [
        "name",
        "factor",
        "bands",
        "radius",
        "parameters",
        "gain",
        "bfloat16",
        "int8",
        "licence",
    ]
    assert lines[1].split() == [
        "fine-x2",
        "2",
        "3",
        "9",
        "12,345",
        "+1.23",
        "dB",
        "0.75",
        "210",
        "CC0-1.0",
    ]
    assert [line.split()[0] for line in lines[2:]] == list(KERNEL_RADIUS)
    assert len({line.index("2-8") for line in lines[2:]}) == 1  # aligned
    listed = json.loads(run("models", "--json").stdout)
    assert ModelFacts.from_card(json.dumps(listed[0])) == facts
    for entry in listed[1:]:
        assert catalog.find_model(entry["name"], models=()).radius == entry["radius"]


def test_damaged_card_is_an_error_not_a_crash(monkeypatch):
    def damaged():
        return (ModelFacts.from_card("{"),)

    monkeypatch.setattr(catalog, "shipped_models", damaged)
    result = run("models", "--json")
    assert result.exit_code == 1
    assert parse_event(result.stdout)["code"] == "model.damaged"


def test_info_tells_versions_and_runtimes():
    facts = json.loads(run("info", "--json").stdout)
    assert facts["geosr"] == geosr.__version__
    assert facts["protocol"] == PROTOCOL
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["numpy"] == importlib.import_module("numpy").__version__
    assert facts["gdal"] == importlib.import_module("rasterio").__gdal_version__
    assert facts["processors"] >= 1
    assert facts["problem"] is None
    for runtime in facts["runtimes"]:
        assert facts["packages"][runtime]
    text = run("info").stdout
    assert "packages.numpy" in text
    assert facts["gdal"] in text


def test_info_lists_no_runtime_that_is_not_installed(monkeypatch):
    def version(name):
        if name in ("openvino", "keras"):
            raise importlib.metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr("importlib.metadata.version", version)
    facts = json.loads(run("info", "--json").stdout)
    assert facts["runtimes"] == []
    assert facts["packages"]["openvino"] is None
    assert facts["packages"]["tensorflow"] == "1.0"


def test_info_of_a_missing_file_is_an_error():
    result = run("info", "nothing.tif")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "nothing.tif" in result.stderr
    event = parse_event(run("info", "nothing.tif", "--json").stdout)
    assert (event["event"], event["code"]) == ("error", "input.unreadable")
    assert result.stderr == f"Error: {event['message']}\n{event['hint']}\n"


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["info"], ["models"], ["upscale", "--help"]], ids=" ".join
)
def test_light_commands_load_no_runtime(args):
    program = (
        "import sys\n"
        "sys.argv = ['geosr', *sys.argv[1:]]\n"
        "from geosr.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "geosr.cli.upscale" in loaded
    assert loaded.isdisjoint(HEAVY)
    if args != ["info"]:  # which asks GDAL for its version
        assert loaded.isdisjoint({"rasterio", "numpy", "xarray", "dask", "pyproj"})


def test_import_geosr_is_light():
    program = "import sys, geosr; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint({*HEAVY, "numpy", "rasterio", "click", "xarray"})


@pytest.mark.parametrize("command", ["--help", "info", "models"])
def test_light_commands_answer_within_a_second_of_processor_time(command):
    begun = os.times()
    subprocess.run(
        [sys.executable, "-m", "geosr", command], cwd=ROOT, stdout=subprocess.DEVNULL, check=True
    )
    ended = os.times()
    used = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    assert used < 1.0  # the wall would depend on what else the machine does


def test_what_pipes_to_head_is_no_error():
    command = [sys.executable, "-m", "geosr", "models", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == b""
        assert listing.wait(30) == 1


@pytest.mark.parametrize("command", ["info", "models"])
def test_json_answers_come_on_the_real_standard_output(command):
    done = subprocess.run(
        [sys.executable, "-m", "geosr", command, "--json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)
    assert done.stderr == b""


def test_rio_takes_upscale_as_a_plugin(tmp_path):
    """In the real rio, found by the entry point that the wheel will have."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["scripts"] == {"geosr": "geosr.cli.main:main"}
    plugins = project["entry-points"]["rasterio.rio_plugins"]
    wheel = tmp_path / "geosr_of_this_test-0.dist-info"
    wheel.mkdir()
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: geosr-of-this-test\nVersion: 0\n")
    lines = ["[rasterio.rio_plugins]", *(f"{name} = {place}" for name, place in plugins.items())]
    (wheel / "entry_points.txt").write_text("\n".join(lines))
    program = "from rasterio.rio.main import main_group; main_group(prog_name='rio')"

    def rio(*args):
        return subprocess.run(
            [sys.executable, "-c", program, *args],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )

    shown = rio("upscale", "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Usage: rio upscale [OPTIONS] INPUT OUTPUT")
    wrong = rio("-v", "upscale", "in.tif", "out.tif", "-f", "1", "--progress", "json")
    assert wrong.returncode == 2
    assert parse_event(wrong.stdout)["code"] == "usage"


@pytest.mark.parametrize("module", ["models", "progress"])
def test_doctests(module):
    assert doctest.testmod(importlib.import_module(f"geosr.cli.{module}")).failed == 0
